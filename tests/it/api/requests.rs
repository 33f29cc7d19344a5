//! A request has one effect for its idempotency key, and the response of a failed request is not
//! recorded.

use jiff::ToSpan as _;
use serde_json::json;

use crate::support::TestDatabase;
use crate::world::{DEE, World};

on_both_databases!(
    a_request_is_answered_once_for_its_key,
    a_body_is_known_again_by_what_it_means,
    many_at_once_with_one_key_do_it_once,
    a_failed_request_is_not_kept,
    a_key_is_forgotten_after_seven_days,
);

const FREEZE: &str = "/v1/people/dee/freeze";

async fn a_request_is_answered_once_for_its_key(database: TestDatabase) {
    let world = World::open(database).await;
    let dee = world.token("dee").await;
    let post = async |path: &str, key: Option<&str>, body: &str| {
        world.call(reqwest::Method::POST, path, &dee, key, Some(body)).await
    };
    let first = post(FREEZE, Some("\"one\""), "{}").await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.json()["cards"][0]["state"], "frozen_by_person");
    let unfrozen = post("/v1/people/dee/unfreeze", Some("\"two\""), "{}").await;
    assert_eq!(unfrozen.json()["cards"][0]["state"], "active");
    // The recorded response, byte for byte; no card is frozen again.
    assert_eq!(post(FREEZE, Some("one"), "{}").await, first);
    assert_eq!(world.count("card", "state = 'frozen_by_person'").await, 0);
    // Another formatting of the same JSON is the same request.
    assert_eq!(post(FREEZE, Some("one"), " { }\n").await, first);
    let card = json!({"card": DEE}).to_string();
    for (path, body) in [(FREEZE, card.as_str()), ("/v1/people/dee/unfreeze", "{}")] {
        let other = post(path, Some("\"one\""), body).await;
        assert_eq!((other.status, &other.json()["type"]), (422, &json!("/problems/other-content")));
    }
    assert_eq!(post(FREEZE, None, "{}").await.status, 400);
    // Another account has its own keys.
    let femi = world.token("femi").await;
    let own =
        world.call(reqwest::Method::POST, "/v1/people/femi/freeze", &femi, Some("one"), Some("{}"));
    assert_eq!(own.await.status, 200);
    assert_eq!(world.count("act", "budget_id = 'dee'").await, 2);
    assert_eq!(world.count("message", "recipient = 'worker' AND budget_id = 'dee'").await, 2);
    world.check().await;
}

async fn a_body_is_known_again_by_what_it_means(database: TestDatabase) {
    let world = World::open(database).await;
    let dee = world.token("dee").await;
    let post = async |body: &str| {
        let path = "/v1/people/dee/pots";
        world.call(reqwest::Method::POST, path, &dee, Some("one"), Some(body)).await
    };
    let first = post(r#"{"of":"week","name":"A café","sum":5000}"#).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = "{\n  \"sum\": 5000, \"name\": \"A caf\\u00e9\",\t\"of\": \"week\"\n}";
    assert_eq!(post(again).await, first);
    for other in [
        r#"{"of":"week","name":"A cafe","sum":5000}"#,
        r#"{"of":"week","name":"A café","sum":5001}"#,
        r#"{"of":"week","name":"A café"}"#,
    ] {
        let other = post(other).await;
        assert_eq!((other.status, &other.json()["type"]), (422, &json!("/problems/other-content")));
    }
    assert_eq!(world.count("act", "kind = 'opened_pot'").await, 1);
    world.check().await;
}

async fn many_at_once_with_one_key_do_it_once(database: TestDatabase) {
    let world = World::open(database).await;
    let dee = world.token("dee").await;
    let url = world.url(FREEZE);
    let sent: Vec<_> = (0..12)
        .map(|_| {
            let (dee, url) = (dee.clone(), url.clone());
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let request = client.post(url).bearer_auth(dee).header("idempotency-key", "one");
                let request = request.header("content-type", "application/json").body("{}");
                let answer = request.send().await.unwrap();
                (answer.status().as_u16(), answer.text().await.unwrap())
            })
        })
        .collect();
    let mut answers = Vec::new();
    for answer in sent {
        let (status, body) = answer.await.unwrap();
        // A request that waited too long for the concurrent one gets 409, and the recorded response
        // later.
        assert!(status == 200 || status == 409, "{status} {body}");
        if status == 200 {
            answers.push(body);
        }
    }
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(world.count("act", "kind = 'froze'").await, 1);
    world.check().await;
}

async fn a_failed_request_is_not_kept(database: TestDatabase) {
    let world = World::open(database).await;
    let dee = world.token("dee").await;
    let body = json!({"card": "ic_1DemoDeeOld00000001"}).to_string();
    let post = async |body: &str| {
        world.call(reqwest::Method::POST, FREEZE, &dee, Some("one"), Some(body)).await
    };
    let refused = post(&body).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    let unknown = post(r#"{"card": "ic_nobodys"}"#).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let wrong = post(r#"{"card": 7}"#).await;
    assert_eq!((wrong.status, &wrong.json()["errors"][0]["pointer"]), (422, &json!("/card")));
    assert_eq!(world.count("answered_request", "1 = 1").await, 0);
    assert_eq!(post("{}").await.status, 200);
    world.check().await;
}

async fn a_key_is_forgotten_after_seven_days(database: TestDatabase) {
    let world = World::open(database).await;
    let freeze = async || {
        let dee = world.token("dee").await;
        world.call(reqwest::Method::POST, FREEZE, &dee, Some("one"), Some("{}")).await
    };
    let first = freeze().await;
    for number in 0..3 {
        let key = format!("more-{number}");
        let (path, dee) = ("/v1/people/dee/quiet-word", world.token("dee").await);
        let body = Some("{\"word\": \"bus 23\"}");
        assert_eq!(
            world.call(reqwest::Method::POST, path, &dee, Some(&key), body).await.status,
            200
        );
        let (programme, until) = ("riverside".parse().unwrap(), world.now() + 10.minutes());
        let mut tx = world.app.store().begin().await.unwrap();
        tx.revoke_token(&programme, &format!("tok-{number}"), until, world.now()).await.unwrap();
        tx.commit().await.unwrap();
    }
    world.advance_clock((7 * 24).hours());
    assert_eq!(world.upkeep().await.forgotten, 0);
    assert_eq!(world.count("revoked_token", "1 = 1").await, 0);
    assert_eq!(freeze().await, first, "the key is known");
    assert_eq!(world.count("act", "kind = 'froze'").await, 1);
    // Deletion runs in small batches.
    world.advance_clock(1.second());
    let mut forgotten = 0;
    for most in [1, 1, 100] {
        let mut tx = world.app.store().begin().await.unwrap();
        let before = world.now() - (7 * 24).hours();
        forgotten += tx.purge_requests(before, most).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(forgotten, 4);
    assert_eq!(world.count("answered_request", "1 = 1").await, 0);
    assert_eq!(freeze().await.status, 200);
    world.check().await;
}
