//! Everything that an account can create is limited, and this file lists the limits.

use std::collections::BTreeSet;

use sayso::domain::people::role::{Member, MemberState, Role};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::town::{ROUTES, town};
use crate::support::TestDatabase;
use crate::world::{Purchase, TestResponse, World, purchase};

on_both_databases!(
    what_is_counted_ends_at_its_bound,
    a_list_and_its_terms_have_bounds,
    an_account_does_so_much_in_a_day_and_no_more,
);

/// The limit on what an address creates, in addition to [`A_DAY`], which applies to every account.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// At most this many exist at once.
    AtOnce(usize),
    /// At most this many are ever created.
    Ever(usize),
    /// The new one replaces the one before.
    Replaces,
    /// A state change of an existing item, which is possible once.
    OnceEach,
    /// A few rows are written; only the daily limit applies.
    ADay,
}
use Bound::{ADay, AtOnce, Ever, OnceEach, Replaces};

/// Limit on the requests of one account within a day.
const A_DAY: usize = 1_000;

/// Every address that creates or changes something, with its limit.
const BOUNDS: [(&str, Bound); 37] = [
    ("/v1/guide", ADay),
    ("/v1/me/inbox/{message}/read", OnceEach),
    ("/v1/people/{person}/help", AtOnce(1)),
    ("/v1/people/{person}/proposals", AtOnce(1)),
    ("/v1/people/{person}/drafts", AtOnce(10)),
    ("/v1/people/{person}/forced-changes", AtOnce(1)),
    ("/v1/people/{person}/proposals/{proposal}/answer", OnceEach),
    ("/v1/people/{person}/proposals/{proposal}/counter", OnceEach),
    ("/v1/people/{person}/proposals/{proposal}/written-down", OnceEach),
    ("/v1/people/{person}/proposals/{proposal}/confirm", OnceEach),
    ("/v1/people/{person}/proposals/{proposal}/withdraw", OnceEach),
    ("/v1/people/{person}/proposals/{proposal}/take-up", OnceEach),
    ("/v1/people/{person}/pauses", AtOnce(1)),
    ("/v1/people/{person}/pauses/{pause}/lift", OnceEach),
    ("/v1/people/{person}/asks", AtOnce(3)),
    ("/v1/people/{person}/asks/{ask}/answer", OnceEach),
    ("/v1/people/{person}/asks/{ask}/pass-on", OnceEach),
    ("/v1/people/{person}/asks/{ask}/suggestions", ADay),
    ("/v1/people/{person}/asks/{ask}/taken-back", OnceEach),
    ("/v1/people/{person}/asks/{ask}/looked-at", OnceEach),
    ("/v1/people/{person}/appeals", AtOnce(10)),
    ("/v1/people/{person}/appeals/{appeal}/outcome", OnceEach),
    ("/v1/people/{person}/appeals/{appeal}/taken-back", OnceEach),
    ("/v1/people/{person}/custody", Replaces),
    ("/v1/people/{person}/talks", ADay),
    ("/v1/people/{person}/quiet-word", Replaces),
    ("/v1/people/{person}/texts", ADay),
    ("/v1/people/{person}/freeze", Replaces),
    ("/v1/people/{person}/unfreeze", Replaces),
    ("/v1/people/{person}/card-lost", Replaces),
    ("/v1/people/{person}/pots", Ever(20)),
    ("/v1/people/{person}/moves", ADay),
    ("/v1/people/{person}/pots/{pot}/held-back", Replaces),
    ("/v1/people/{person}/pots/{pot}/take-back", Replaces),
    ("/v1/people/{person}/pots/{pot}/pays", Replaces),
    ("/v1/people/{person}/pots/{pot}/close", Replaces),
    ("/v1/people/{person}/helpers", AtOnce(10)),
];
/// Addresses that change an item in place.
const CHANGED_IN_PLACE: [&str; 1] = ["/v1/people/{person}/helpers/{helper}"];

#[test]
fn every_address_that_makes_something_has_a_bound() {
    let made: BTreeSet<_> = BOUNDS.iter().map(|(path, _)| *path).chain(CHANGED_IN_PLACE).collect();
    let posts = ROUTES.iter().filter(|(route, _)| route.method == "POST");
    assert_eq!(made, posts.map(|(route, _)| route.path).collect());
}

/// The limit on what `path` creates.
fn most(path: &str) -> usize {
    let path = format!("/v1/people/{{person}}{path}");
    match BOUNDS.iter().find(|(known, _)| *known == path).unwrap().1 {
        AtOnce(most) | Ever(most) => most,
        other @ (Replaces | OnceEach | ADay) => panic!("{path}: {other:?}"),
    }
}

async fn post(world: &World, who: &str, path: &str, body: &Value) -> TestResponse {
    world.post_as(who, &format!("/v1/people/dee{path}"), body).await
}

/// Creates as many as the limit allows, and expects one more to be refused.
async fn fill(world: &World, who: &str, path: &str, body: impl Fn(usize) -> Value) {
    for number in 0..most(path) {
        let made = post(world, who, path, &body(number)).await;
        assert_eq!(made.status, 201, "{path} {number}: {made:?}");
    }
    let more = post(world, who, path, &body(most(path))).await;
    assert_eq!(more.status, 409, "{path}: {more:?}");
}

fn change(version: u32, set: &Value) -> Value {
    json!({
        "version": version, "set": set, "words": "Stricter for a while.",
        "session": {"how": "own_page", "place": "the office", "minutes": 5},
    })
}

/// A term that refuses one category code.
fn no_to(code: usize) -> Value {
    json!({
        "on": format!("code:{code:04}"), "answer": "no", "reason": "I want this.",
        "review_on": "2027-03-01", "decides": "person",
    })
}

fn phone(name: &str) -> Purchase {
    Purchase { mcc: json!("4812"), shop: "PHONE PLACE".to_owned(), ..purchase(name, 50_00) }
}

async fn what_is_counted_ends_at_its_bound(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let loose = json!([{"on": "category:phone", "answer": "yes"}]);
    fill(&world, "amina", "/drafts", |_| change(1, &loose)).await;
    // Another account has its own limit.
    assert_eq!(post(&world, "ruth", "/drafts", &change(1, &loose)).await.status, 201);
    fill(&world, "amina", "/proposals", |_| change(1, &loose)).await;
    fill(&world, "dee", "/pots", |number| json!({"of": "week", "name": format!("Pot {number}")}))
        .await;
    let helper = |number| json!({"name": format!("H{number}"), "role": "helper", "sees": ["list"]});
    let helping = "role IN ('helper', 'advocate') AND person_id = 'dee' AND state = 'active'";
    let there = usize::try_from(world.count("member", helping).await).unwrap();
    for number in there..most("/helpers") {
        assert_eq!(post(&world, "dee", "/helpers", &helper(number)).await.status, 201);
    }
    assert_eq!(post(&world, "dee", "/helpers", &helper(99)).await.status, 409);
    chose_many_before(&world).await;
    let ever = post(&world, "dee", "/helpers", &helper(100)).await;
    assert!(ever.status == 409 && ever.body.contains("200 helpers are the most"), "{ever:?}");
    let mut refused = Vec::new();
    for number in 0..=most("/asks") {
        refused.push(world.authorise(&phone(&format!("P{number}"))).await.decision());
    }
    fill(&world, "dee", "/asks", |number| json!({"purchase": refused[number]})).await;
    let talk =
        json!({"concern": "a", "wants": "b", "consent": "c", "options": "d", "next_step": "e"});
    let talk = post(&world, "amina", "/talks", &talk).await.json()["talk"].clone();
    let until = "2026-11-23T12:00:00Z";
    fill(&world, "amina", "/pauses", |_| json!({"reason": "PIN.", "talk": talk, "until": until}))
        .await;
    world.check().await;
}

/// Makes the state as if Dee had added and removed many helpers before.
async fn chose_many_before(world: &World) {
    let (programme, dee) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let mut tx = world.app.store().begin().await.unwrap();
    let known = tx.helpers_of(&programme, &dee).await.unwrap();
    let helper = known.into_iter().find(|member| member.role == Role::Helper).unwrap();
    let before = |number: usize| Member {
        id: format!("before-{number}").parse().unwrap(),
        state: MemberState::Ended,
        ..helper.clone()
    };
    tx.put_members(&programme, &(0..200).map(before).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_list_and_its_terms_have_bounds(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let list = world.get_as("dee", "/v1/people/dee/agreement").await.json();
    let there = list["terms"].as_array().unwrap().len();
    let terms = |count: usize| (0..count).map(|number| no_to(1_000 + number)).collect::<Value>();
    let pointer = |answer: &TestResponse| {
        assert_eq!(answer.status, 422, "{answer:?}");
        answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned()
    };
    let sent = post(&world, "dee", "/proposals", &change(1, &terms(201))).await;
    assert_eq!(pointer(&sent), "/set");
    let sent = post(&world, "dee", "/proposals", &change(1, &terms(201 - there))).await;
    assert_eq!(pointer(&sent), "/list");
    assert!(sent.body.contains("at most 200 terms"), "{sent:?}");
    let full = post(&world, "dee", "/proposals", &change(1, &terms(200 - there))).await;
    assert_eq!((full.status, &full.json()["version"]), (201, &json!(2)), "{full:?}");
    let sent = post(&world, "dee", "/drafts", &change(2, &json!([no_to(9_999)]))).await;
    assert_eq!(pointer(&sent), "/list");
    let mut removing = change(2, &json!([]));
    removing["remove"] = json!(vec!["code:1000"; 201]);
    assert_eq!(pointer(&post(&world, "dee", "/drafts", &removing).await), "/remove");
    let limited = |limits: Value| {
        let mut term = no_to(1_000);
        (term["answer"], term["limits"]) = (json!("yes"), limits);
        change(2, &json!([term]))
    };
    let sum = json!({"per": "week", "amount": 20_00});
    let twice = limited(json!([sum, {"per": "week", "amount": 30_00}]));
    let sent = post(&world, "dee", "/drafts", &twice).await;
    assert_eq!(pointer(&sent), "/list");
    assert!(sent.body.contains("two limits of the same kind"), "{sent:?}");
    let many = limited(json!(vec![sum.clone(); 10]));
    assert_eq!(pointer(&post(&world, "dee", "/drafts", &many).await), "/set/limits");
    let fine =
        limited(json!([sum, {"per": "week", "count": 3}, {"per": "purchase", "amount": 5_00}]));
    assert_eq!(post(&world, "dee", "/drafts", &fine).await.status, 201);
    // A problem response does not repeat what was sent.
    let unknown: serde_json::Map<_, _> =
        (0..5_000).map(|number| (format!("k{number}"), Value::Null)).collect();
    let long = json!({"x".repeat(60_000): null});
    for body in [&Value::from(unknown), &long] {
        let sent = post(&world, "dee", "/drafts", body).await;
        assert_eq!(sent.status, 422);
        let problems = sent.json()["errors"].as_array().unwrap().clone();
        assert!((1..=20).contains(&problems.len()), "{}", problems.len());
        let pointers = problems.iter().map(|p| p["pointer"].as_str().unwrap().chars().count());
        assert!(pointers.max() <= Some(200) && sent.body.len() < 8_192, "{}", sent.body.len());
    }
    world.check().await;
}

async fn an_account_does_so_much_in_a_day_and_no_more(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let text = json!({"text": "bus 24"});
    assert_eq!(post(&world, "dee", "/texts", &text).await.status, 200);
    let at = world.now().as_microsecond();
    let rows = (1..A_DAY).map(|number| {
        format!("('riverside', 'dee', 'k{number}', '{}', 200, '{{}}', {at})", "0".repeat(64))
    });
    let sql = format!(
        "INSERT INTO answered_request (programme_id, member_id, request_key, digest, status, body, \
         answered_at) VALUES {}",
        rows.collect::<Vec<_>>().join(", ")
    );
    let mut connection = world.database.connect().await;
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    let enough = post(&world, "dee", "/texts", &text).await;
    assert_eq!((enough.status, &enough.json()["type"]), (429, &json!("/problems/enough")));
    let drafted = post(&world, "dee", "/drafts", &change(1, &json!([no_to(1_000)]))).await;
    assert_eq!(drafted.status, 429);
    // Other accounts and reads are not limited, and recorded responses are still returned.
    assert_eq!(post(&world, "ana", "/texts", &text).await.status, 404);
    assert_eq!(world.get_as("dee", "/v1/me").await.status, 200);
    world.advance_clock(jiff::ToSpan::hours(24));
    assert_eq!(post(&world, "dee", "/texts", &text).await.status, 200);
    world.check().await;
}
