//! Asks over the JSON API, with real tokens.

use sayso::domain::people::role::Role;
use serde_json::{Value, json};

use super::town::{AskFixture, handset};
use crate::support::TestDatabase;
use crate::world::TestResponse;

on_both_databases!(
    refused_asked_answered_and_paid_over_the_api,
    whoever_must_leave_it_to_somebody_else_hears_why_and_what_to_do,
);

/// Calls the API as `who`.
async fn call(
    town: &AskFixture,
    who: &str,
    method: reqwest::Method,
    path: &str,
    body: Value,
) -> TestResponse {
    let world = &town.world;
    let (programme, member) = ("riverside".parse().unwrap(), who.parse().unwrap());
    let token = world.app.tokens().issue(world.app.ids(), &programme, &member, world.now()).await;
    let key = world.app.ids().next(world.now()).simple().to_string();
    let mut request = reqwest::Client::new()
        .request(method, world.url(&format!("/v1/people/dee{path}")))
        .bearer_auth(token.unwrap().text);
    if !body.is_null() {
        request = request.header("idempotency-key", format!("\"{key}\"")).json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    TestResponse { status, body: response.text().await.unwrap() }
}

async fn post(town: &AskFixture, who: &str, path: &str, body: Value) -> TestResponse {
    call(town, who, reqwest::Method::POST, path, body).await
}

async fn get(town: &AskFixture, who: &str, path: &str) -> TestResponse {
    call(town, who, reqwest::Method::GET, path, Value::Null).await
}

async fn refused_asked_answered_and_paid_over_the_api(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let refused = town.refused("First").await;
    let wish = json!({"purchase": refused.decision(), "words": "Mine broke."});
    for (who, status) in [("amina", 403), ("ben", 404), ("ana", 404), ("dee", 201)] {
        assert_eq!(post(&town, who, "/asks", wish.clone()).await.status, status, "{who}");
    }
    let asks = get(&town, "amina", "/asks").await.json();
    let ask = asks["data"][0].clone();
    assert_eq!(ask["place"], "PHONE PLACE");
    assert_eq!(ask["amount"], json!({"amount": 79_00, "currency": "GBP"}));
    assert_eq!((&ask["state"], &ask["step"]), (&json!("sent"), &json!("worker")));
    let place = format!("/asks/{}", ask["ask"].as_str().unwrap());
    let put = reqwest::Method::PUT;
    let seen = call(&town, "amina", put, &format!("{place}/seen"), Value::Null).await;
    assert_eq!(seen.json()["state"], "seen");
    let poor = json!({"answer": "not_this_time", "reason": "poor_value"});
    assert_eq!(post(&town, "amina", &format!("{place}/answer"), poor).await.status, 422);
    let idea = json!({"words": "Second-hand?"});
    let told = post(&town, "amina", &format!("{place}/suggestions"), idea).await;
    assert_eq!(told.status, 201, "{told:?}");
    let yes = json!({"answer": "yes", "up_to": {"amount": 79_00, "currency": "GBP"}});
    let answered = post(&town, "amina", &format!("{place}/answer"), yes.clone()).await;
    assert_eq!((answered.status, &answered.json()["state"]), (200, &json!("yes")), "{answered:?}");
    assert_eq!(post(&town, "amina", &format!("{place}/answer"), yes).await.status, 200);
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    let second = post(&town, "ruth", &format!("{place}/answer"), no.clone()).await;
    assert_eq!(second.status, 409);
    assert!(second.body.contains("Amina was first"), "{second:?}");
    assert!(town.world.authorise(&handset("Second")).await.is_approved());
    assert_eq!(get(&town, "dee", &place).await.json()["answer"]["by"], "amina");

    // A refusal and an appeal against it.
    town.world.authorise(&handset("Third")).await;
    let ask = post(&town, "dee", "/asks", json!({"purchase": "latest"})).await.json();
    let place = format!("/asks/{}", ask["ask"].as_str().unwrap());
    assert_eq!(post(&town, "amina", &format!("{place}/answer"), no).await.status, 200);
    let about = json!({"about": format!("ask:{}", ask["ask"].as_str().unwrap())});
    let appeal = post(&town, "dee", "/appeals", about).await.json();
    assert_eq!(appeal["interim"], "yes_for_now");
    let place = format!("/appeals/{}/outcome", appeal["appeal"].as_str().unwrap());
    let changed = json!({"outcome": "changed", "words": "It is a fair wish."});
    assert_eq!(post(&town, "amina", &place, changed.clone()).await.status, 403);
    assert_eq!(post(&town, "ruth", &place, changed).await.json()["state"], "changed");
    assert_eq!(get(&town, "dee", "/appeals").await.json()["data"][0]["state"], "changed");
    let messages = get(&town, "dee", "/messages").await.json();
    let kinds: Vec<_> =
        messages["data"].as_array().unwrap().iter().map(|m| m["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"appeal-yes"));
    assert!(kinds.iter().all(|kind| !kind.starts_with("worker")), "{kinds:?}");
    town.world.check().await;
}

async fn whoever_must_leave_it_to_somebody_else_hears_why_and_what_to_do(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.put("amina", Role::Worker, |amina| amina.answer_limit_minor = Some(78_99)).await;
    town.put("ben", Role::Manager, |ben| ben.conflicts.push("dee".parse().unwrap())).await;
    town.put("dee-works", Role::Manager, |dee| dee.human = "dee".parse().unwrap()).await;
    town.refused("First").await;
    let ask = post(&town, "dee", "/asks", json!({"purchase": "latest"})).await.json();
    let place = format!("/asks/{}", ask["ask"].as_str().unwrap());
    let yes = json!({"answer": "yes"});
    let barred = async |who: &str, path: &str, body: &Value| {
        let answer = post(&town, who, path, body.clone()).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        let problem = answer.json();
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        (problem["type"].as_str().unwrap().to_owned(), problem["instead"].clone())
    };
    let to = format!("{place}/answer");
    let told = |kind: &str, instead: Value| (format!("/problems/{kind}"), instead);
    let over = barred("amina", &to, &yes).await;
    assert_eq!(over, told("over-your-limit", json!("pass-on")));
    let link = barred("ben", &to, &yes).await;
    assert_eq!(link, told("conflict-of-interest", Value::Null));
    let own = barred("dee-works", &to, &yes).await;
    assert_eq!(own, told("own-question", Value::Null));
    // The link that the ask offers exists.
    let instead = format!("{place}/{}", over.1.as_str().unwrap());
    let passed = post(&town, "amina", &instead, json!({})).await;
    assert_eq!(passed.json()["step"], "manager");
    assert_eq!(get(&town, "dee", &place).await.json()["answer_by"], ask["answer_by"]);
    let no = json!({"answer": "not_this_time", "reason": "not_in_purpose"});
    assert_eq!(post(&town, "ruth", &to, no).await.status, 200);
    let about = json!({"about": format!("ask:{}", ask["ask"].as_str().unwrap())});
    let appeal = post(&town, "dee", "/appeals", about).await.json();
    let place = format!("/appeals/{}/outcome", appeal["appeal"].as_str().unwrap());
    let changed = json!({"outcome": "changed", "words": "It is a fair wish."});
    let own = barred("ruth", &place, &changed).await;
    assert_eq!(own, told("own-decision", Value::Null));
    town.world.check().await;
}
