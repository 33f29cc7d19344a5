//! The same over the JSON API, with real tokens.

use serde_json::{Value, json};

use super::town::{Town, handset};
use crate::support::TestDatabase;
use crate::world::Answer;

on_both_databases!(refused_asked_answered_and_paid_over_the_api);

/// Calls the API as `who`.
async fn call(town: &Town, who: &str, method: reqwest::Method, path: &str, body: Value) -> Answer {
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
    Answer { status, body: response.text().await.unwrap() }
}

async fn post(town: &Town, who: &str, path: &str, body: Value) -> Answer {
    call(town, who, reqwest::Method::POST, path, body).await
}

async fn get(town: &Town, who: &str, path: &str) -> Answer {
    call(town, who, reqwest::Method::GET, path, Value::Null).await
}

async fn refused_asked_answered_and_paid_over_the_api(database: TestDatabase) {
    let town = Town::open(database).await;
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
    assert!(town.world.ask(&handset("Second")).await.is_approved());
    assert_eq!(get(&town, "dee", &place).await.json()["answer"]["by"], "amina");

    // A no, and somebody else looks.
    town.world.ask(&handset("Third")).await;
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
