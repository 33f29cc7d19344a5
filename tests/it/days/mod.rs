//! Whole days, over HTTP only; README.md in this folder describes the people.

mod amina;
mod dee;
mod year;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::TestDatabase;
use crate::world::{Purchase, TestResponse, World, purchase};

const PROGRAMME: &str = include_str!("programme.toml");

/// A gateway, its clock, and the programme file that is applied now.
struct Day {
    world: World,
    file: String,
}

impl Day {
    /// Starts the gateway with its clock at `at`.
    async fn open(database: TestDatabase, at: &str) -> Self {
        let world = World::open_at(database, PROGRAMME, at).await;
        Self { world, file: PROGRAMME.to_owned() }
    }

    fn at(&self, time: &str) {
        self.world.set_time(time);
    }

    /// Replaces one occurrence in the programme file, and applies it.
    async fn change_file(&mut self, from: &str, to: &str) {
        assert_eq!(self.file.matches(from).count(), 1, "{from}");
        self.file = self.file.replace(from, to);
        self.world.apply(&self.file).await;
    }

    /// The response to `who` at `path`, about `person`.
    async fn get(&self, who: &str, person: &str, path: &str) -> Value {
        let answer = self.world.get_as(who, &format!("/v1/people/{person}{path}")).await;
        assert_eq!(answer.status, 200, "{who} {path}: {answer:?}");
        answer.json()
    }

    /// Posts as `who` about `person`, which must succeed, and returns the response.
    async fn post(&self, who: &str, person: &str, path: &str, body: Value) -> Value {
        let answer = self.try_post(who, person, path, body).await;
        assert!(matches!(answer.status, 200 | 201), "{who} {path}: {answer:?}");
        answer.json()
    }

    async fn try_post(&self, who: &str, person: &str, path: &str, body: Value) -> TestResponse {
        self.world.post_as(who, &format!("/v1/people/{person}{path}"), &body).await
    }

    /// `who` opens an ask.
    async fn see(&self, who: &str, person: &str, ask: &str) -> Value {
        let path = format!("/v1/people/{person}/asks/{ask}/seen");
        let token = self.world.token(who).await;
        let answer = self.world.call(reqwest::Method::PUT, &path, &token, None, None).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A purchase that is approved, confirmed by the issuer and captured.
    async fn pays(&self, purchase: &Purchase) {
        let answer = self.world.authorise(purchase).await;
        assert!(answer.is_approved(), "{}: {answer:?}", purchase.id);
        self.world.send_event(&purchase.created(self.world.now(), purchase.amount)).await;
        self.world.send_event(&purchase.captured(self.world.now(), "all", purchase.amount)).await;
        self.world.send_event(&purchase.over(self.world.now(), "closed")).await;
    }

    /// A purchase that is declined for `reason`; returns the decision.
    async fn refused(&self, purchase: &Purchase, reason: &str) -> String {
        let answer = self.world.authorise(purchase).await;
        assert_eq!(answer.reason(), reason, "{}: {answer:?}", purchase.id);
        answer.decision()
    }

    /// Asserts what is left in each pot on `person`'s own page, in minor units, that nothing is
    /// held, and that `loaded = spent + left`.
    async fn has(&self, person: &str, pots: &[(&str, i64)]) {
        let shown = self.get(person, person, "").await;
        let minor = |value: &Value| value["amount"].as_i64().unwrap();
        let shown_pots = shown["pots"].as_array().unwrap();
        let left: BTreeMap<_, _> =
            shown_pots.iter().map(|p| (p["pot"].as_str().unwrap(), minor(&p["left"]))).collect();
        assert_eq!(left, pots.iter().copied().collect());
        assert_eq!(minor(&shown["left"]), pots.iter().map(|(_, left)| left).sum::<i64>());
        for pot in shown_pots {
            assert_eq!(minor(&pot["held"]), 0, "{pot}");
            assert_eq!(minor(&pot["loaded"]), minor(&pot["spent"]) + minor(&pot["left"]), "{pot}");
        }
    }

    /// Kind and text of the messages that `who` reads about `person`, newest first.
    async fn told(&self, who: &str, person: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let page = self.get(who, person, "/messages").await;
        let messages = page["data"].as_array().unwrap();
        messages.iter().map(|m| (text(&m["kind"]), text(&m["words"]))).collect()
    }

    /// Asserts the newest message that `who` reads about `person`.
    async fn hears(&self, who: &str, person: &str, kind: &str, words: &str) {
        let told = self.told(who, person).await;
        assert_eq!(told[0], (kind.to_owned(), words.to_owned()));
    }

    /// The number of messages that `who` can read about `person`.
    async fn count_told(&self, who: &str, person: &str) -> usize {
        self.told(who, person).await.len()
    }
}

/// A purchase of `amount` at a shop with the category code `mcc`, with the card `card`.
fn at_shop(card: &str, id: &str, mcc: &str, shop: &str, amount: i64) -> Purchase {
    Purchase {
        card: card.to_owned(),
        mcc: json!(mcc),
        shop: shop.to_owned(),
        ..purchase(id, amount)
    }
}

fn money(amount: i64) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}

/// How somebody consented.
fn session(how: &str, place: &str, minutes: u32) -> Value {
    json!({"how": how, "place": place, "minutes": minutes, "present": "a peer supporter"})
}

/// A term that two decide together; `limit` is a period and its limit in minor units.
fn term(on: &str, answer: &str, limit: Option<(&str, i64)>, reason: &str) -> Value {
    let limits: Vec<_> =
        limit.iter().map(|(per, amount)| json!({"per": per, "amount": amount})).collect();
    let mut term = json!({"on": on, "answer": answer, "limits": limits, "decides": "together"});
    if !reason.is_empty() {
        term["reason"] = json!(reason);
        term["review_on"] = json!("2027-02-16");
    }
    term
}
