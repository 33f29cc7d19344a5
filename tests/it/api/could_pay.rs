//! What would be paid, by the till's own decision.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use super::town::{data, money, town};
use crate::support::TestDatabase;
use crate::world::{FEMI, Purchase, World, purchase};

on_both_databases!(
    what_could_be_paid_is_paid_and_a_penny_more_is_not,
    each_kind_of_shop_and_each_time_has_its_own_answer,
    what_a_limit_has_counted_and_the_hour_are_considered,
    a_shop_seen_before_is_judged_by_the_list_and_the_look_is_recorded,
    a_frozen_card_pays_nothing_and_the_money_is_still_told,
    an_old_card_is_not_named_to_a_reader,
    what_makes_no_sense_is_refused,
);

const PATH: &str = "/v1/people/dee/could-pay";

async fn ask(world: &World, member: &str, query: &str) -> Value {
    let answer = world.get_as(member, &format!("{PATH}{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.json()
}

fn most(answer: &Value) -> i64 {
    answer["most"]["amount"].as_i64().unwrap()
}

/// All rows that a question could have left behind.
async fn traces(world: &World) -> [i64; 5] {
    [
        world.count("act", "1 = 1").await,
        world.count("look", "1 = 1").await,
        world.count("message", "1 = 1").await,
        world.count("decision", "1 = 1").await,
        world.count("posting", "1 = 1").await,
    ]
}

async fn what_could_be_paid_is_paid_and_a_penny_more_is_not(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    for round in 0..4 {
        let before = traces(&world).await;
        let answer = ask(&world, "dee", "").await;
        let most = most(&answer);
        assert!(most > 0, "round {round}: {answer}");
        assert_eq!(answer["card"], "active");
        assert!(answer["why_not"]["words"].as_str().unwrap().len() > 5, "{answer}");
        let exact = ask(&world, "dee", &format!("?amount={most}")).await;
        assert_eq!((&exact["would_be_paid"], exact.get("why_not")), (&json!(true), None));
        let more = ask(&world, "dee", &format!("?amount={}", most + 1)).await;
        assert_eq!(more["would_be_paid"], false);
        assert_eq!(more["why_not"], answer["why_not"]);
        assert_eq!(traces(&world).await, before, "a question leaves no trace");

        let declined = world.authorise(&purchase(&format!("more{round}"), most + 1)).await;
        assert!(!declined.is_approved(), "round {round}");
        let paid = if round == 3 { most } else { most / 3 };
        assert!(world.authorise(&purchase(&format!("paid{round}"), paid)).await.is_approved());
    }
    assert_eq!(most(&ask(&world, "dee", "").await), 0, "all of it was spent");
    world.check().await;
}

async fn each_kind_of_shop_and_each_time_has_its_own_answer(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let betting = ask(&world, "dee", "?category=gambling&amount=100").await;
    assert_eq!((most(&betting), &betting["would_be_paid"]), (0, &json!(false)));
    assert_eq!(betting["why_not"]["reason"], "funder_rule");
    let food = most(&ask(&world, "dee", "").await);
    assert!(world.authorise(&purchase("all", food)).await.is_approved());
    let spent = ask(&world, "dee", "").await;
    assert_eq!(most(&spent), 0);
    // A limit of this week, or money that comes later, leaves more then.
    let later = world.now().checked_add((20 * 24).hours()).unwrap();
    let then = ask(&world, "dee", &format!("?at={later}")).await;
    assert!(most(&then) >= most(&spent), "{then}");
    assert_eq!(then["at"], later.to_string());
}

/// Femi buys food for up to 30.00 a day; Ana's card works from 6 to 23 o'clock.
async fn what_a_limit_has_counted_and_the_hour_are_considered(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let told = async |member: &str, query: &str| {
        let answer = world.get_as(member, &format!("/v1/people/{member}/could-pay{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (most(&answer.json()), answer.json()["why_not"]["reason"].clone())
    };
    assert_eq!(told("femi", "").await, (30_00, json!("over_period")));
    let bread = Purchase { card: FEMI.to_owned(), ..purchase("Bread", 12_00) };
    assert!(world.authorise(&bread).await.is_approved());
    assert_eq!(told("femi", "").await, (18_00, json!("over_period")));
    let at = |hours: i64| format!("?at={}", world.now().checked_add(hours.hours()).unwrap());
    assert_eq!(told("femi", &at(24)).await, (30_00, json!("over_period")), "another day");

    assert_eq!(told("ana", "").await, (35_00, json!("over_period")));
    let night = "?at=2026-11-24T02:00:00Z";
    assert_eq!(told("ana", night).await, (0, json!("hours")));
}

async fn a_shop_seen_before_is_judged_by_the_list_and_the_look_is_recorded(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    assert!(world.authorise(&purchase("Bread", 2_50)).await.is_approved());
    let shops = world.get_as("dee", "/v1/people/dee/shops").await;
    let bought = shops.json()["shops"][0]["bought"].as_str().unwrap().to_owned();
    let own = ask(&world, "dee", &format!("?bought={bought}&amount=100")).await;
    assert_eq!(own["would_be_paid"], true);
    assert_eq!(world.count("look", "1 = 1").await, 0);

    let path = format!("{PATH}?bought={bought}");
    assert_eq!(world.get_as("amina", &path).await.status, 422);
    let why = format!("?bought={bought}&reason=Dee+asked+me+to");
    assert_eq!(most(&ask(&world, "amina", &why).await), most(&ask(&world, "dee", "").await));
    assert_eq!(world.count("look", "1 = 1").await, 1);
    let looks = data(&world.get_as("dee", "/v1/people/dee/looks").await);
    assert_eq!(looks[0]["what"], json!(bought));
    let others = format!("/v1/people/femi/could-pay?bought={bought}");
    assert_eq!(world.get_as("femi", &others).await.status, 404, "another person's purchase");
}

async fn a_frozen_card_pays_nothing_and_the_money_is_still_told(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    let before = most(&ask(&world, "dee", "").await);
    let frozen = world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(frozen.status, 200, "{frozen:?}");
    let answer = ask(&world, "dee", "?amount=100").await;
    assert_eq!((most(&answer), &answer["card"]), (before, &json!("frozen_by_person")));
    assert_eq!(answer["would_be_paid"], false);
    assert_eq!(answer["why_not"]["reason"], "frozen_self");
    assert!(!world.authorise(&purchase("Bread", 1_00)).await.is_approved());
}

async fn an_old_card_is_not_named_to_a_reader(database: TestDatabase) {
    let active = "last_four = \"5678\"\nstate = \"active\"";
    assert!(town().contains(active));
    let file = town().replace(active, "last_four = \"5678\"\nstate = \"replaced\"");
    let world = World::open_with(database, &file).await;
    for reader in ["dee", "amina"] {
        let answer = ask(&world, reader, "?amount=100").await;
        assert_eq!(
            (&answer["card"], &answer["would_be_paid"]),
            (&json!("replaced"), &json!(false))
        );
        assert_eq!(answer["why_not"]["reason"], "old_card");
        let words = answer["why_not"]["words"].as_str().unwrap();
        assert!(!words.contains(|letter: char| letter.is_ascii_digit()), "{words}");
    }
}

async fn what_makes_no_sense_is_refused(database: TestDatabase) {
    let world = World::open_with(database, &town()).await;
    for (query, field) in [
        ("?amount=0", "amount"),
        ("?amount=-5", "amount"),
        ("?category=nothing", "category"),
        ("?at=yesterday", "at"),
        ("?at=2020-01-01T00:00:00Z", "at"),
        ("?at=2036-01-01T00:00:00Z", "at"),
        ("?category=food&bought=pur_00000000000000000000000000000001", "bought"),
    ] {
        let refused = world.get_as("dee", &format!("{PATH}{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {refused:?}");
        assert!(refused.body.contains(field), "{query}: {refused:?}");
    }
    let unsaid = world.get_as("dee", &format!("{PATH}?reason=")).await;
    assert_eq!(unsaid.status, 422, "a reason without words: {unsaid:?}");
    let huge = world.get_as("dee", &format!("{PATH}?amount={}", i64::MAX)).await;
    assert_eq!(huge.json()["would_be_paid"], false);
    for missing in ["pur_00000000000000000000000000000001", "x"] {
        let path = format!("{PATH}?bought={missing}");
        assert_eq!(world.get_as("dee", &path).await.status, 404, "{missing}");
    }
    assert_eq!(ask(&world, "dee", "").await["most"], money(most(&ask(&world, "dee", "").await)));
}
