//! The demo programme with an account of every role, and every address of the API.

use serde_json::{Value, json};

use crate::world::{DEMO, TestResponse, World};

/// One account for each relation to Dee.
pub(crate) const ACCOUNTS: [&str; 12] =
    ["dee", "femi", "hal", "hugo", "paul", "amina", "ben", "dara", "ruth", "priya", "sol", "owen"];

const HELPERS: &str = include_str!("helpers.toml");

/// The demo programme with Dee's helpers and planner.
pub(crate) fn town() -> String {
    format!("{DEMO}{HELPERS}")
}

/// The same programme with another id and without any person of the first one.
pub(crate) fn another_town() -> String {
    let file = town().replace("riverside", "hillside").replace("ic_1Demo", "ic_1Hill");
    let file = file.replace("whsec_demo", "whsec_hill").replace("\"dee\"", "\"zed\"");
    file.replace("\"femi\"", "\"zoe\"").replace("\"ana\"", "\"zia\"")
}

/// An address of the API, and how it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// As documented, with `{…}` parameters.
    pub(crate) path: &'static str,
    pub(crate) query: &'static str,
    pub(crate) body: Option<&'static str>,
}

const WHY: &str = "?reason=Dee+asked+me+to";

/// A proposal without a change.
const SAME: &str = r#"{"version": 1, "words": "No change.",
    "session": {"how": "own_page", "place": "the office", "minutes": 5}}"#;
const ANSWER: &str =
    r#"{"say": "yes", "session": {"how": "own_page", "place": "the office", "minutes": 5}}"#;
const SESSION: &str = r#"{"session": {"how": "own_page", "place": "the office", "minutes": 5}}"#;
/// A guide without content.
const GUIDE: &str = r#"{"content": "x = 1", "written_with": ["People with a budget"]}"#;
/// The help level that the list has already.
const HELP: &str = r#"{"help": "alone", "words": "I can do it.",
    "session": {"how": "own_page", "place": "the office", "minutes": 5}}"#;
/// A pause without a talk, which ended before it began.
const PAUSE: &str = r#"{"reason": "No.", "talk": "talk_00000000000000000000000000000001",
    "until": "2020-01-01T00:00:00Z"}"#;
/// About a purchase that does not exist.
const ASK: &str = r#"{"purchase": "dec_00000000000000000000000000000001"}"#;
const NO: &str = r#"{"answer": "not_this_time", "reason": "over_agreed_sum"}"#;
const IDEA: &str = r#"{"words": "The shop next door has one."}"#;
const APPEAL: &str = r#"{"about": "ask:ask_00000000000000000000000000000001"}"#;
const OUTCOME: &str = r#"{"outcome": "changed", "words": "It is a fair wish."}"#;
const TALK: &str = r#"{"concern": "Somebody waits for her.", "wants": "To choose herself.",
    "consent": "She agreed.", "options": "Going together.", "next_step": "Friday."}"#;
/// An id that does not exist.
const NOTHING: &str = "00000000000000000000000000000001";

const fn get(path: &'static str, query: &'static str) -> Route {
    Route { method: "GET", path, query, body: None }
}

const fn post(path: &'static str, body: &'static str) -> Route {
    Route { method: "POST", path, query: "", body: Some(body) }
}

/// Every address, with the expected status for each of [`ACCOUNTS`] in that order. Requests that
/// change something come last, so that they do not affect the others.
#[rustfmt::skip]
pub(crate) const ROUTES: [(Route, [u16; 12]); 76] = [
    (get("/v1/me", ""),
        [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    (get("/v1/me/inbox", ""),
        [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    (post("/v1/me/inbox/{message}/read", "{}"),
        [404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404, 404]),
    (get("/v1/guide", ""),
        [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    (get("/v1/people", ""),
        [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    (get("/v1/people/{person}", ""),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 200, 404, 200]),
    (get("/v1/people/{person}/activity", ""),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 200, 404, 200]),
    (get("/v1/people/{person}/agreement", ""),
        [200, 404, 200, 404, 200, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/could-pay", ""),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/could-pay", "?bought=pur_00000000000000000000000000000001"),
        [404, 404, 404, 404, 403, 422, 404, 422, 422, 403, 404, 422]),
    (get("/v1/people/{person}/totals", ""),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 200, 404, 200]),
    (get("/v1/people/{person}/purchases", ""),
        [200, 404, 200, 404, 403, 422, 404, 422, 422, 403, 404, 422]),
    (get("/v1/people/{person}/purchases", WHY),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/purchases/{purchase}", ""),
        [200, 404, 200, 404, 403, 422, 404, 422, 422, 403, 404, 422]),
    (get("/v1/people/{person}/purchases/{purchase}", WHY),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/shops", ""),
        [200, 404, 200, 404, 403, 422, 404, 422, 422, 403, 404, 422]),
    (get("/v1/people/{person}/shops", WHY),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/would-meet", "?shop=Tesco"),
        [200, 404, 200, 404, 403, 422, 404, 422, 422, 403, 404, 422]),
    (get("/v1/people/{person}/would-meet", "?shop=Tesco&reason=Dee+asked+me+to"),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/timeline", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/looks", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/messages", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/helpers", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/restrictions", ""),
        [200, 404, 200, 404, 200, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/agreement/changes", "?from=1&to=1"),
        [200, 404, 200, 404, 200, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/proposals", ""),
        [200, 404, 200, 404, 200, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/proposals/{proposal}", ""),
        [404, 404, 404, 404, 404, 404, 404, 404, 404, 403, 404, 404]),
    (get("/v1/people/{person}/pauses", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    // An account with the capability gets a problem: no change, or not found.
    (post("/v1/guide", GUIDE),
        [403, 403, 403, 403, 403, 403, 403, 403, 422, 403, 403, 403]),
    (post("/v1/people/{person}/help", HELP),
        [422, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/proposals", SAME),
        [422, 404, 403, 404, 403, 422, 404, 403, 422, 403, 404, 403]),
    (post("/v1/people/{person}/drafts", SAME),
        [422, 404, 422, 404, 422, 422, 404, 403, 422, 403, 404, 403]),
    (post("/v1/people/{person}/forced-changes", SAME),
        [403, 404, 403, 404, 403, 422, 404, 403, 422, 403, 404, 403]),
    (post("/v1/people/{person}/proposals/{proposal}/answer", ANSWER),
        [404, 404, 403, 404, 403, 404, 404, 403, 404, 403, 404, 403]),
    (post("/v1/people/{person}/proposals/{proposal}/counter", SAME),
        [404, 404, 403, 404, 403, 404, 404, 403, 404, 403, 404, 403]),
    (post("/v1/people/{person}/proposals/{proposal}/written-down", SESSION),
        [403, 404, 403, 404, 403, 404, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/proposals/{proposal}/confirm", "{}"),
        [404, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/proposals/{proposal}/withdraw", "{}"),
        [404, 404, 404, 404, 404, 404, 404, 403, 404, 403, 404, 403]),
    (post("/v1/people/{person}/proposals/{proposal}/take-up", SESSION),
        [404, 404, 403, 404, 403, 404, 404, 403, 404, 403, 404, 403]),
    (post("/v1/people/{person}/pauses", PAUSE),
        [403, 404, 403, 404, 403, 422, 404, 422, 422, 403, 404, 403]),
    (post("/v1/people/{person}/pauses/{pause}/lift", "{}"),
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (get("/v1/people/{person}/asks", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/asks/{ask}", ""),
        [404, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 404]),
    (get("/v1/people/{person}/appealable", ""),
        [200, 404, 200, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (get("/v1/people/{person}/appeals", ""),
        [200, 404, 200, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (post("/v1/people/{person}/asks", ASK),
        [404, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (Route { method: "PUT", path: "/v1/people/{person}/asks/{ask}/seen", query: "", body: None },
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (post("/v1/people/{person}/asks/{ask}/answer", NO),
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (post("/v1/people/{person}/asks/{ask}/pass-on", "{}"),
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (post("/v1/people/{person}/asks/{ask}/suggestions", IDEA),
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (post("/v1/people/{person}/asks/{ask}/taken-back", "{}"),
        [404, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/appeals", APPEAL),
        [404, 404, 404, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/appeals/{appeal}/outcome", OUTCOME),
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (post("/v1/people/{person}/appeals/{appeal}/taken-back", "{}"),
        [404, 404, 404, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (get("/v1/people/{person}/custody", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/people/{person}/talks", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (get("/v1/asks", ""),
        [403, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 403]),
    (get("/v1/appeals", ""),
        [403, 403, 403, 403, 403, 200, 200, 200, 200, 403, 403, 403]),
    (post("/v1/people/{person}/asks/{ask}/looked-at", "{}"),
        [403, 404, 403, 404, 403, 404, 404, 404, 404, 403, 404, 403]),
    (get("/v1/people/{person}/signals", ""),
        [200, 404, 403, 404, 403, 200, 404, 200, 200, 403, 404, 200]),
    (post("/v1/people/{person}/custody", r#"{"holder": "kept_safe", "name": "The office"}"#),
        [201, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/talks", TALK),
        [403, 404, 403, 404, 403, 201, 404, 201, 201, 403, 404, 403]),
    (post("/v1/people/{person}/quiet-word", r#"{"word": "Bus 23?"}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/texts", r#"{"text": "bus 24"}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/freeze", "{}"),
        [200, 404, 200, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/unfreeze", "{}"),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/card-lost", r#"{"card": "ic_1DemoDee00000000001"}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/pots",
        r#"{"of": "week", "name": "Trip to my sister", "sum": 5000}"#),
        [201, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/moves", r#"{"from": "week", "to": "own-1", "amount": 500}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/pots/{pot}/held-back", r#"{"amount": 200, "until": "2027-01-04"}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/pots/{pot}/take-back", "{}"),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/pots/{pot}/pays", r#"{"pays": true}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/pots/{pot}/close", "{}"),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/helpers", r#"{"name": "Hana", "role": "helper", "sees": ["list"]}"#),
        [201, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (post("/v1/people/{person}/helpers/{helper}", r#"{"sees": ["balance"]}"#),
        [200, 404, 403, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
    (Route { method: "DELETE", path: "/v1/people/{person}/helpers/{helper}", query: "",
        body: None },
        [200, 404, 404, 404, 403, 403, 404, 403, 403, 403, 404, 403]),
];

impl Route {
    /// The path for `person`, `purchase` and `helper`.
    pub(crate) fn about(&self, person: &str, purchase: &str, helper: &str) -> String {
        let path = self.path.replace("{person}", person).replace("{purchase}", purchase);
        let path = path.replace("{proposal}", &format!("prop_{NOTHING}"));
        let path = path.replace("{pause}", &format!("pause_{NOTHING}"));
        let path = path.replace("{pot}", "own-1").replace("{message}", &format!("msg_{NOTHING}"));
        let path = path.replace("{ask}", &format!("ask_{NOTHING}"));
        let path = path.replace("{appeal}", &format!("look_{NOTHING}"));
        format!("{}{}", path.replace("{helper}", helper), self.query)
    }

    /// Calls the address with a token, and with an idempotency key where one is required.
    pub(crate) async fn call(&self, world: &World, path: &str, token: &str) -> TestResponse {
        let key = format!("\"{}\"", world.app.ids().next(world.now()).simple());
        let key = self.body.is_some().then_some(key.as_str());
        world.call(self.method.parse().unwrap(), path, token, key, self.body).await
    }
}

/// The kind of a problem: its type without the prefix.
pub(crate) fn kind(answer: &TestResponse) -> String {
    answer.json()["type"].as_str().unwrap_or_default().replace("/problems/", "")
}

/// The items of a page.
pub(crate) fn data(answer: &TestResponse) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

pub(crate) fn money(amount: i64) -> Value {
    json!({"amount": amount, "currency": "GBP"})
}
