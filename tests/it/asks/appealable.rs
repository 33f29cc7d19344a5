//! What can be appealed against: a decline, a refused ask, a pause, a frozen card, a forced term.
//! The person and their delegates may appeal; somebody uninvolved decides. Over the JSON API, with
//! real tokens.

use jiff::ToSpan as _;
use sayso::domain::people::role::{Delegation, Role};
use serde_json::{Value, json};

use super::town::{AskFixture, handset, parking};
use crate::support::TestDatabase;
use crate::world::{DEE, Purchase, TestResponse, demo_with_manager_above, purchase};

on_both_databases!(
    a_tills_no_is_looked_at_by_somebody_who_did_not_agree_the_list,
    what_was_asked_for_is_looked_at_as_an_answer,
    whoever_agreed_for_the_staff_does_not_look,
    a_card_that_staff_froze_is_looked_at,
    what_holds_is_listed_with_until_when,
    an_ok_of_a_second_look_stays_within_the_own_limit,
    ten_appeals_wait_and_not_more,
);

async fn try_post(town: &AskFixture, who: &str, path: &str, body: &Value) -> TestResponse {
    town.world.post_as(who, &format!("/v1/people/dee{path}"), body).await
}

async fn post(town: &AskFixture, who: &str, path: &str, body: Value) -> Value {
    let answer = try_post(town, who, path, &body).await;
    assert!((200..202).contains(&answer.status), "{who} {path}: {answer:?}");
    answer.json()
}

/// The subjects about Dee that `who` may appeal against.
async fn listed(town: &AskFixture, who: &str) -> Vec<Value> {
    let answer = town.world.get_as(who, "/v1/people/dee/appealable").await;
    assert_eq!(answer.status, 200, "{who}: {answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

fn about(listed: &[Value]) -> Vec<&str> {
    listed.iter().map(|item| item["about"].as_str().unwrap()).collect()
}

async fn appealed(town: &AskFixture, who: &str, about: &str) -> Value {
    post(town, who, "/appeals", json!({"about": about})).await
}

/// The number of appeals in the queue of `who`.
async fn in_line(town: &AskFixture, who: &str) -> usize {
    let line = town.world.get_as(who, "/v1/appeals").await.json();
    line["data"].as_array().unwrap().len()
}

async fn look(town: &AskFixture, who: &str, appeal: &Value, outcome: &str) -> TestResponse {
    let path = format!("/appeals/{}/outcome", appeal["appeal"].as_str().unwrap());
    let mut body = json!({"outcome": outcome, "words": "I looked."});
    if outcome == "kept" {
        body["next_step"] = json!("The ombudsman.");
    }
    try_post(town, who, &path, &body).await
}

/// Dee's delegates: Joan, an advocate; Hal, a helper with the capability; Hugo, a helper without
/// it.
async fn speakers(town: &AskFixture) {
    let dee = || Some("dee".parse().unwrap());
    town.put("joan", Role::Advocate, |joan| joan.person = dee()).await;
    town.put("hal", Role::Helper, |hal| {
        hal.person = dee();
        hal.sees = vec![Delegation::Appeal];
    })
    .await;
    town.put("hugo", Role::Helper, |hugo| {
        hugo.person = dee();
        hugo.sees = vec![Delegation::List];
    })
    .await;
}

async fn a_tills_no_is_looked_at_by_somebody_who_did_not_agree_the_list(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    speakers(&town).await;
    let refused = town.refused("First").await;
    let name = format!("refusal:{}", refused.decision());
    let own = listed(&town, "dee").await;
    assert_eq!(about(&own), [name.as_str()]);
    let item = &own[0];
    assert_eq!((&item["kind"], &item["reason"]), (&json!("refusal"), &json!("category_ask")));
    assert_eq!((&item["place"], &item["amount"]["amount"]), (&json!("PHONE PLACE"), &json!(79_00)));
    assert_eq!(item["until"], "2026-12-24T09:30:00Z");
    for who in ["joan", "hal"] {
        let item = listed(&town, who).await.remove(0);
        assert_eq!(item["about"], name);
        assert_eq!((item.get("place"), item.get("amount")), (None, None), "it is no look: {who}");
    }
    for (who, status) in [("hugo", 403), ("amina", 403), ("ana", 404)] {
        let answer = town.world.get_as(who, "/v1/people/dee/appealable").await;
        assert_eq!(answer.status, status, "{who}");
        let appeal = try_post(&town, who, "/appeals", &json!({"about": name})).await;
        assert_eq!(appeal.status, status, "{who}");
    }
    let appeal = appealed(&town, "hal", &name).await;
    assert_eq!(appeal["interim"], "as_it_was", "nobody has said no");
    assert_eq!(appeal["answer_by"], "2026-11-24T00:00:00Z", "a phone cannot wait");
    assert_eq!(appealed(&town, "joan", &name).await["appeal"], appeal["appeal"], "looked at once");
    assert_eq!(about(&listed(&town, "dee").await), Vec::<&str>::new());
    let seen = town.world.get_as("hal", "/v1/people/dee/appeals").await.json();
    assert_eq!(seen["data"][0]["appeal"], appeal["appeal"]);
    // The file says that Amina agreed on the list with Dee, so she may not decide.
    assert_eq!((in_line(&town, "amina").await, in_line(&town, "ruth").await), (0, 1));
    let by_amina = look(&town, "amina", &appeal, "changed").await;
    assert_eq!(
        (by_amina.status, &by_amina.json()["type"]),
        (403, &json!("/problems/own-decision"))
    );
    assert_eq!(look(&town, "ruth", &appeal, "changed").await.status, 200);
    assert!(town.world.authorise(&handset("Second")).await.is_approved());
    town.world.check().await;
}

async fn what_was_asked_for_is_looked_at_as_an_answer(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let paid = town.world.authorise(&purchase("Bread", 1_00)).await;
    let answer = json!({"about": format!("refusal:{}", paid.decision())});
    assert_eq!(try_post(&town, "dee", "/appeals", &answer).await.status, 409, "it was paid");
    let frozen = town.world.post_as("dee", "/v1/people/dee/freeze", &json!({})).await;
    assert_eq!(frozen.status, 200);
    let own = town.world.authorise(&purchase("Frozen", 1_00)).await;
    let answer = json!({"about": format!("refusal:{}", own.decision())});
    assert_eq!(try_post(&town, "dee", "/appeals", &answer).await.status, 422, "her own freeze");
    town.world.post_as("dee", "/v1/people/dee/unfreeze", &json!({})).await;
    assert_eq!(listed(&town, "dee").await, Vec::<Value>::new());

    let refused = town.refused("First").await;
    let name = format!("refusal:{}", refused.decision());
    let ana = Purchase { card: crate::world::ANA.to_owned(), ..handset("Other") };
    let others = town.world.authorise(&ana).await;
    let others = json!({"about": format!("refusal:{}", others.decision())});
    assert_eq!(try_post(&town, "dee", "/appeals", &others).await.status, 404);
    let ask = post(&town, "dee", "/asks", json!({"purchase": refused.decision()})).await;
    assert_eq!(about(&listed(&town, "dee").await), Vec::<&str>::new(), "somebody is asked");
    let early = try_post(&town, "dee", "/appeals", &json!({"about": name})).await;
    assert_eq!(early.status, 409, "{early:?}");
    let ask = ask["ask"].as_str().unwrap();
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    post(&town, "amina", &format!("/asks/{ask}/answer"), no).await;
    assert_eq!(about(&listed(&town, "dee").await), [format!("ask:{ask}")]);
    assert_eq!(try_post(&town, "dee", "/appeals", &json!({"about": name})).await.status, 409);

    // A month later both are too late.
    town.refused_parking("Park", 6_00).await;
    let park = listed(&town, "dee").await;
    let park = about(&park).into_iter().find(|about| about.starts_with("refusal:")).unwrap();
    town.world.advance_clock((31 * 24 - 1).hours().minutes(59).seconds(59));
    assert_eq!(listed(&town, "dee").await.len(), 2);
    town.world.advance_clock(1.seconds());
    assert_eq!(listed(&town, "dee").await, Vec::<Value>::new());
    for late in [format!("ask:{ask}"), park.to_owned()] {
        let late = try_post(&town, "dee", "/appeals", &json!({"about": late})).await;
        assert_eq!(late.status, 409, "{late:?}");
    }
    town.world.check().await;
}

/// Amina and Ruth consented to the phone shop term, so neither of them decides an appeal against
/// it.
async fn whoever_agreed_for_the_staff_does_not_look(database: TestDatabase) {
    let town = AskFixture::open_with(database, &demo_with_manager_above("10.00")).await;
    let session = json!({"how": "own_page", "place": "the office", "minutes": 5});
    let phone = json!({"on": "category:phone", "answer": "yes"});
    let change = json!({"version": 1, "set": [phone], "words": "A phone.", "session": session});
    let proposed = post(&town, "amina", "/proposals", change).await;
    let path = format!("/proposals/{}/answer", proposed["proposal"].as_str().unwrap());
    let yes = json!({"say": "yes", "session": session});
    post(&town, "dee", &path, yes.clone()).await;
    assert_eq!(post(&town, "ruth", &path, yes).await["next"], "started");
    let refused = town.world.authorise(&parking("Park", 6_00)).await;
    let appeal = appealed(&town, "dee", &format!("refusal:{}", refused.decision())).await;
    assert_eq!(appeal["answer_by"], "2026-11-26T09:30:00Z", "it can wait");
    // Other accounts of the same human beings.
    town.put("aminata", Role::Manager, |member| member.human = "amina".parse().unwrap()).await;
    town.put("rosa", Role::Manager, |_| {}).await;
    for who in ["amina", "ruth", "aminata"] {
        assert_eq!(in_line(&town, who).await, 0, "{who}");
        assert_eq!(look(&town, who, &appeal, "changed").await.status, 403, "{who}");
    }
    assert_eq!(look(&town, "rosa", &appeal, "kept").await.status, 200);
    town.world.check().await;
}

async fn a_card_that_staff_froze_is_looked_at(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let mut connection = town.world.database.connect().await;
    let freeze = format!("UPDATE card SET state = 'frozen_by_staff' WHERE token = '{DEE}'");
    let name = format!("card:{DEE}");
    let early = try_post(&town, "dee", "/appeals", &json!({"about": name})).await;
    assert_eq!(early.status, 409, "nobody froze it");
    let mut known = Vec::new();
    for round in ["A", "B"] {
        sqlx::query(sqlx::AssertSqlSafe(freeze.clone())).execute(&mut connection).await.unwrap();
        assert_eq!(town.world.authorise(&purchase(round, 1_00)).await.reason(), "frozen_staff");
        let own = listed(&town, "dee").await;
        assert_eq!(about(&own), [name.as_str()], "the refusals are not the list's");
        let appeal = appealed(&town, "dee", &name).await;
        assert_eq!(appeal["answer_by"], "2026-11-24T00:00:00Z", "everything is stopped");
        assert_eq!(look(&town, "amina", &appeal, "changed").await.status, 403);
        assert_eq!(look(&town, "ruth", &appeal, "changed").await.status, 200);
        assert!(town.world.authorise(&purchase(&format!("{round}2"), 1_00)).await.is_approved());
        known.push(appeal["appeal"].clone());
    }
    assert_ne!(known[0], known[1], "frozen again, it is another appeal");
    town.world.check().await;
}

async fn what_holds_is_listed_with_until_when(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    speakers(&town).await;
    let talk = json!({"concern": "Somebody waits for her.", "wants": "To choose herself.",
        "consent": "She agreed.", "options": "Going together.", "next_step": "Friday."});
    let talk = post(&town, "ruth", "/talks", talk).await;
    let until = "2026-11-24T09:30:00Z";
    let pause = json!({"reason": "Someone has your PIN.", "talk": talk["talk"], "until": until});
    let pause = post(&town, "amina", "/pauses", pause).await;
    let session = json!({"how": "own_page", "place": "the office", "minutes": 5});
    let no = json!({"on": "category:pubs", "answer": "no", "reason": "The Act.",
        "review_on": "2027-05-01"});
    let forced =
        json!({"version": 1, "set": [no], "words": "The Act says so.", "session": session});
    let forced = post(&town, "amina", "/forced-changes", forced).await;
    let id = forced["proposal"].as_str().unwrap();
    assert_eq!(listed(&town, "joan").await.len(), 1, "it takes two to force it");
    let yes = json!({"say": "yes", "session": session});
    post(&town, "ruth", &format!("/proposals/{id}/answer"), yes).await;
    let own = listed(&town, "joan").await;
    let find = |kind: &str| own.iter().find(|item| item["kind"] == kind).unwrap().clone();
    let paused = find("pause");
    assert_eq!(paused["about"], format!("pause:{}", pause["pause"].as_str().unwrap()));
    assert_eq!(
        (&paused["until"], &paused["reason"]),
        (&json!(until), &json!("Someone has your PIN."))
    );
    let version = find("version");
    assert_eq!((&version["about"], version.get("until")), (&json!(format!("version:{id}")), None));
    assert_eq!((own.len(), &version["reason"]), (2, &json!("The Act says so.")));
    appealed(&town, "joan", &format!("version:{id}")).await;
    town.world.set_time(until);
    assert_eq!(listed(&town, "joan").await, Vec::<Value>::new(), "one is over, one is looked at");
    town.world.check().await;
}

async fn ten_appeals_wait_and_not_more(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    for n in 0..11 {
        let refused = town.world.authorise(&parking(&format!("P{n}"), 6_00 + n)).await;
        let about = json!({"about": format!("refusal:{}", refused.decision())});
        let status = if n < 10 { 201 } else { 409 };
        assert_eq!(try_post(&town, "dee", "/appeals", &about).await.status, status, "{n}");
    }
    town.world.check().await;
}

/// Lena is on duty, and her answer limit is £50.
async fn an_ok_of_a_second_look_stays_within_the_own_limit(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.put("lena", Role::Duty, |lena| lena.answer_limit_minor = Some(50_00)).await;
    town.on_duty("lena", 10, None).await;
    let refused = town.refused("First").await;
    let appeal = appealed(&town, "dee", &format!("refusal:{}", refused.decision())).await;
    let over = look(&town, "lena", &appeal, "changed").await;
    assert_eq!((over.status, &over.json()["type"]), (403, &json!("/problems/over-your-limit")));
    assert_eq!(town.world.authorise(&handset("Second")).await.reason(), "category_ask");
    assert_eq!(look(&town, "lena", &appeal, "kept").await.status, 200, "a no is no sum");
    town.world.check().await;
}
