//! A whole gateway for one test: its own database, a clock that the test sets, real HTTP.
//!
//! Messages are the issuer's samples in `tests/fixtures` with changes. They are signed here, so
//! that the gateway's code is not tested against itself.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{Span, Timestamp, ToSpan as _};
use sayso::app::gateway::{App, AppSettings};
use sayso::operations::balances::Balances;
use sayso::platform::clock::{Clock, ClockControl};
use sayso::platform::config::KeySource;
use sayso::programme::apply::{ApplyError, ApplyReport, PendingProposal, apply};
use serde_json::{Value, json};
use sha2::Sha256;
use simulator::ClockMode;

use crate::caller::Caller;
use crate::support::TestDatabase;

pub(crate) const DEMO: &str = include_str!("../../merchant-rules/demo.toml");
pub(crate) const RULES: &str = include_str!("../../merchant-rules/categories.toml");
pub(crate) const CONNECTION: &str = "riverside-stripe";
pub(crate) const SECRET: &str = "whsec_demo_realtime_3f9c1f6f0d2b4c58";
pub(crate) const DEE: &str = "ic_1DemoDee00000000001";
pub(crate) const FEMI: &str = "ic_1DemoFemi0000000001";
pub(crate) const ANA: &str = "ic_1DemoAna00000000001";

/// Monday 23 November 2026, 08:00 in London.
pub(crate) const MONDAY_MORNING: &str = "2026-11-23T08:00:00Z";

/// A running gateway with its own database.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) clock: Clock,
    clock_control: ClockControl,
    client: reqwest::Client,
    // Last, so that it is dropped after the gateway.
    pub(crate) database: TestDatabase,
}

/// The gateway's HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl TestResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn is_approved(&self) -> bool {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["approved"].as_bool().unwrap()
    }

    /// The reason of a decline; empty for an approval.
    pub(crate) fn reason(&self) -> String {
        self.json()["metadata"]["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn decision(&self) -> String {
        self.json()["metadata"]["decision"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    /// A gateway with the demo programme, on Monday morning.
    pub(crate) async fn open(database: TestDatabase) -> Self {
        Self::open_with(database, DEMO).await
    }

    /// A gateway with the programme of `file`.
    pub(crate) async fn open_with(database: TestDatabase, file: &str) -> Self {
        let url = database.url.clone();
        Self::open_through(database, &url, file).await
    }

    /// A gateway with the programme of `file`, with its clock at `at`.
    pub(crate) async fn open_at(database: TestDatabase, file: &str, at: &str) -> Self {
        let url = database.url.clone();
        Self::begin(database, &url, file, at).await
    }

    /// A gateway that connects to its database at `url`, for example through a proxy.
    pub(crate) async fn open_through(database: TestDatabase, url: &str, file: &str) -> Self {
        Self::begin(database, url, file, MONDAY_MORNING).await
    }

    async fn begin(database: TestDatabase, url: &str, file: &str, at: &str) -> Self {
        let (clock, clock_control) = Clock::manual(at.parse().unwrap());
        let app = start(&database, url, &clock).await;
        let world = Self { app, clock, clock_control, client: reqwest::Client::new(), database };
        world.apply(file).await;
        world
    }

    /// A gateway with the demo programme, and with its secrets sealed by the key from `place`.
    pub(crate) async fn open_with_key(database: TestDatabase, place: KeySource) -> Self {
        let (clock, clock_control) = Clock::manual(MONDAY_MORNING.parse().unwrap());
        let settings = AppSettings { key: place, ..database.settings(&clock) };
        let app = App::start(settings).await.unwrap();
        let world = Self { app, clock, clock_control, client: reqwest::Client::new(), database };
        world.apply(DEMO).await;
        world
    }

    /// Another gateway on the same database.
    pub(crate) async fn another(&self) -> App {
        start(&self.database, &self.database.url, &self.clock).await
    }

    /// Another gateway on the same database, with its own clock.
    pub(crate) async fn another_at(&self, clock: &Clock) -> App {
        start(&self.database, &self.database.url, clock).await
    }

    /// An issuer's client for this gateway, cheap to clone.
    pub(crate) fn caller(&self) -> Caller {
        self.caller_of(&self.app)
    }

    pub(crate) fn caller_of(&self, app: &App) -> Caller {
        Caller::new(app.address(), self.clock.clone())
    }

    /// Applies a programme file.
    pub(crate) async fn try_apply(&self, file: &str) -> Result<ApplyReport, ApplyError> {
        apply(self.app.store(), self.app.ids(), self.clock.now(), file, RULES).await
    }

    /// Applies a programme file and reloads the directory. Returns the pending proposals.
    pub(crate) async fn apply(&self, file: &str) -> Vec<PendingProposal> {
        let applied = self.try_apply(file).await;
        self.app.directory().refresh(self.clock.now()).await.unwrap();
        applied.unwrap().waiting
    }

    /// Each person consents to their pending proposal. Returns the responses in order.
    pub(crate) async fn agree(&self, waiting: &[PendingProposal]) -> Vec<Value> {
        let session = json!({ "how": "own_phone", "place": "at home", "minutes": 3 });
        let yes = json!({ "say": "yes", "session": session });
        let mut answers = Vec::new();
        for PendingProposal { person, proposal, .. } in waiting {
            let address = format!("/v1/people/{person}/proposals/{proposal}/answer");
            let answer = self.post_as(person.as_str(), &address, &yes).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answers.push(answer.json());
        }
        answers
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock forward.
    pub(crate) fn advance_clock(&self, span: Span) {
        self.clock_control.set(self.clock.now().checked_add(span).unwrap());
    }

    /// The simulator's clock, which sets the gateway's.
    pub(crate) fn story_clock(&self) -> ClockMode {
        let clock_control = self.clock_control();
        ClockMode::Story(Box::new(move |unix| {
            clock_control.set(Timestamp::from_second(unix).unwrap());
        }))
    }

    /// The control of the clock, for tasks that set it while the test waits.
    pub(crate) fn clock_control(&self) -> ClockControl {
        self.clock_control.clone()
    }

    /// Sets the clock.
    pub(crate) fn set_time(&self, at: &str) {
        self.clock_control.set(at.parse().unwrap());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address())
    }

    /// Sends an authorisation request for a purchase.
    pub(crate) async fn authorise(&self, purchase: &Purchase) -> TestResponse {
        self.authorise_body(&purchase.request(self.now()).to_string()).await
    }

    /// Signs `body` and sends it as an authorisation request.
    pub(crate) async fn authorise_body(&self, body: &str) -> TestResponse {
        self.post(&format!("/issuers/{CONNECTION}/authorisations"), body).await
    }

    /// Sends an event, which must be stored.
    pub(crate) async fn send_event(&self, event: &Value) {
        let answer = self.send_event_body(&event.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Signs `body` and sends it as an event.
    pub(crate) async fn send_event_body(&self, body: &str) -> TestResponse {
        self.post(&format!("/issuers/{CONNECTION}/events"), body).await
    }

    /// Signs `body` with the demo's secret and posts it.
    pub(crate) async fn post(&self, path: &str, body: &str) -> TestResponse {
        self.post_signed(path, body, &sign(SECRET, self.now(), body)).await
    }

    /// Posts `body` with any signature.
    pub(crate) async fn post_signed(
        &self,
        path: &str,
        body: &str,
        signature: &str,
    ) -> TestResponse {
        let response = self
            .client
            .post(self.url(path))
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", signature)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        TestResponse { status, body: response.text().await.unwrap() }
    }

    /// A token of one of the programme's accounts.
    pub(crate) async fn token(&self, member: &str) -> String {
        self.token_of("riverside", member).await
    }

    /// A token of an account of any programme.
    pub(crate) async fn token_of(&self, programme: &str, member: &str) -> String {
        let (programme, member) = (programme.parse().unwrap(), member.parse().unwrap());
        let now = self.clock.now();
        let issued = self.app.tokens().issue(self.app.ids(), &programme, &member, now).await;
        issued.unwrap().text
    }

    /// Sends a GET request as `member`.
    pub(crate) async fn get_as(&self, member: &str, path: &str) -> TestResponse {
        self.call(reqwest::Method::GET, path, &self.token(member).await, None, None).await
    }

    /// Posts to the API as `member`, with a new idempotency key.
    pub(crate) async fn post_as(&self, member: &str, path: &str, body: &Value) -> TestResponse {
        let key = format!("\"{}\"", self.app.ids().next(self.now()).simple());
        let token = self.token(member).await;
        self.call(reqwest::Method::POST, path, &token, Some(&key), Some(&body.to_string())).await
    }

    /// Calls the API with a token, an idempotency key and a body.
    pub(crate) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&str>,
    ) -> TestResponse {
        let mut request = self.client.request(method, self.url(path)).bearer_auth(token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        TestResponse { status, body: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        let status = response.status().as_u16();
        TestResponse { status, body: response.text().await.unwrap() }
    }

    /// The balances of all programmes, as `sayso balances --output json` prints them.
    pub(crate) async fn all_balances(&self) -> Value {
        Balances::read(self.app.store(), self.app.directory()).await.unwrap().to_json()
    }

    /// The first programme's balances.
    pub(crate) async fn balances(&self) -> Value {
        self.all_balances().await["programmes"][0].clone()
    }

    /// One figure of a person: `loaded`, `held`, `spent` or `left`, in minor units.
    pub(crate) async fn figure(&self, person: &str, figure: &str) -> i64 {
        let balances = self.balances().await;
        let people = balances["people"].as_array().unwrap().clone();
        let found = people.iter().find(|p| p["person"] == person).unwrap().clone();
        found[format!("{figure}_minor")].as_i64().unwrap()
    }

    /// One figure of one pot of a person, in minor units.
    pub(crate) async fn pot(&self, person: &str, pot: &str, figure: &str) -> i64 {
        let balances = self.balances().await;
        let people = balances["people"].as_array().unwrap().clone();
        let found = people.iter().find(|p| p["person"] == person).unwrap().clone();
        let pots = found["pots"].as_array().unwrap().clone();
        let found = pots.iter().find(|p| p["pot"] == pot).unwrap().clone();
        found[format!("{figure}_minor")].as_i64().unwrap()
    }

    /// Held, spent and left of all pots of a person together, in minor units.
    pub(crate) async fn figures(&self, person: &str) -> [i64; 3] {
        let balances = self.balances().await;
        let people = balances["people"].as_array().unwrap();
        let found = people.iter().find(|p| p["person"] == person).unwrap();
        ["held_minor", "spent_minor", "left_minor"].map(|figure| found[figure].as_i64().unwrap())
    }

    /// The kinds of the open exceptions, in alphabetical order.
    pub(crate) async fn exceptions(&self) -> Vec<String> {
        let sql = "SELECT kind FROM exception WHERE settled_at IS NULL ORDER BY kind";
        let rows = self.database.rows(sql).await;
        rows.into_iter().flatten().collect()
    }

    /// Exposure and suspense of the programme, in minor units.
    pub(crate) async fn exposure_and_suspense(&self) -> (i64, i64) {
        let balances = self.balances().await;
        let minor = |name: &str| balances[name].as_i64().unwrap();
        (minor("exposure_minor"), minor("suspense_minor"))
    }

    /// The number of rows of a table that match the SQL `condition`.
    pub(crate) async fn count(&self, table: &str, condition: &str) -> i64 {
        let sql = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table} WHERE {condition}");
        self.database.rows(&sql).await[0][0].parse().unwrap()
    }

    /// Verifies the whole ledger and stops the gateway. Called at the end of every test.
    pub(crate) async fn check(self) {
        self.prove().await;
        self.app.stop().await;
    }

    /// Runs upkeep once.
    pub(crate) async fn upkeep(&self) -> sayso::operations::upkeep::UpkeepReport {
        self.app.upkeep().await.unwrap()
    }

    /// The programme's money in open disputes, in minor units.
    pub(crate) async fn disputed(&self) -> i64 {
        self.balances().await["disputed_minor"].as_i64().unwrap()
    }

    /// Verifies the whole ledger.
    pub(crate) async fn prove(&self) {
        let proof = sayso::operations::verify(self.app.store(), None).await.unwrap();
        assert!(proof.is_clean(), "{}", proof.to_text());
    }
}

async fn start(database: &TestDatabase, url: &str, clock: &Clock) -> App {
    let settings = AppSettings { database_url: url.into(), ..database.settings(clock) };
    App::start(settings).await.unwrap()
}

/// Signs as Stripe does: `t=…,v1=…` over `t.body`, keyed with the whole secret string.
pub(crate) fn sign(secret: &str, at: Timestamp, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{}.{body}", at.as_second()).as_bytes());
    format!("t={},v1={}", at.as_second(), hex::encode(mac.finalize().into_bytes()))
}

/// One of the issuer's sample messages.
pub(crate) fn sample(id: &str) -> Value {
    static SAMPLES: OnceLock<Value> = OnceLock::new();
    let samples = SAMPLES.get_or_init(|| {
        serde_json::from_str(include_str!("../fixtures/stripe/vectors.json")).unwrap()
    });
    let vectors = samples["vectors"].as_array().unwrap();
    let body = vectors.iter().find(|v| v["id"] == id).unwrap()["body"].as_str().unwrap();
    serde_json::from_str(body).unwrap()
}

/// A purchase as the issuer sees it. The default is valid: £12.50 at a grocer, by Dee,
/// contactless.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) id: String,
    pub(crate) card: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) mcc: Value,
    pub(crate) shop: String,
    pub(crate) country: String,
    pub(crate) online: bool,
    pub(crate) partial: bool,
    pub(crate) cash_back: Option<i64>,
    /// The network's merchant number; `None` for that of the sample.
    pub(crate) network_id: Option<String>,
    /// How many authorisation requests were answered before this one.
    pub(crate) answers: usize,
}

/// A purchase of Dee's at a grocer. `id` is part of its reference.
pub(crate) fn purchase(id: &str, amount: i64) -> Purchase {
    Purchase {
        id: format!("iauth_1Test{id}"),
        card: DEE.to_owned(),
        amount,
        currency: "gbp".to_owned(),
        mcc: json!("5411"),
        shop: "TEST GROCER 123".to_owned(),
        country: "GB".to_owned(),
        online: false,
        partial: false,
        cash_back: None,
        network_id: None,
        answers: 0,
    }
}

impl Purchase {
    /// The authorisation request.
    pub(crate) fn request(&self, at: Timestamp) -> Value {
        let mut event = sample("valid-purchase");
        event["id"] = json!(format!("evt_{}_{}", self.id, self.answers));
        event["created"] = json!(at.as_second());
        let object = &mut event["data"]["object"];
        self.describe(object);
        let pending = &mut object["pending_request"];
        pending["amount"] = json!(self.amount);
        pending["currency"] = json!(self.currency);
        pending["merchant_amount"] = json!(self.amount);
        pending["merchant_currency"] = json!(self.currency);
        pending["is_amount_controllable"] = json!(self.partial);
        pending["amount_details"] = json!({"atm_fee": null, "cashback_amount": self.cash_back});
        event
    }

    fn describe(&self, object: &mut Value) {
        object["id"] = json!(self.id);
        object["card"]["id"] = json!(self.card);
        object["currency"] = json!(self.currency);
        object["card"]["currency"] = json!(self.currency);
        object["merchant_currency"] = json!(self.currency);
        object["merchant_data"]["category_code"] = self.mcc.clone();
        object["merchant_data"]["name"] = json!(self.shop);
        object["merchant_data"]["country"] = json!(self.country);
        if let Some(number) = &self.network_id {
            object["merchant_data"]["network_id"] = json!(number);
        }
        object["card_presence"] = json!(if self.online { "not_present" } else { "present" });
        object["authorization_method"] = json!(if self.online { "online" } else { "contactless" });
        let answered = json!({"amount": 0, "approved": true, "reason": "webhook_approved"});
        object["request_history"] = json!(vec![answered; self.answers]);
    }

    /// `issuing_authorization.created` or `.updated` with this state. `answers` is the length of
    /// its request history, `reason` that of the last entry.
    pub(crate) fn snapshot(
        &self,
        kind: &str,
        at: Timestamp,
        state: &AuthorisationState<'_>,
    ) -> Value {
        let mut event = sample("evt-created-approved");
        event["id"] = json!(format!("evt_{}_{kind}_{}", self.id, state.name));
        event["type"] = json!(format!("issuing_authorization.{kind}"));
        event["created"] = json!(at.as_second());
        let object = &mut event["data"]["object"];
        let entry = object["request_history"][0].clone();
        self.describe(object);
        let mut entry = entry;
        entry["approved"] = json!(state.approved);
        entry["reason"] = json!(state.reason);
        entry["amount"] = json!(state.amount);
        object["request_history"] = json!(vec![entry; state.answers]);
        object["approved"] = json!(state.approved);
        object["status"] = json!(state.status);
        object["amount"] = json!(state.amount);
        event
    }

    /// The approval took effect: the issuer holds `amount`.
    pub(crate) fn created(&self, at: Timestamp, amount: i64) -> Value {
        self.snapshot("created", at, &AuthorisationState { amount, ..APPROVED })
    }

    /// The authorisation has ended: `closed`, `reversed` or `expired`.
    pub(crate) fn over(&self, at: Timestamp, status: &str) -> Value {
        let amount = if status == "closed" { self.amount } else { 0 };
        let state = AuthorisationState { status, amount, name: status, ..APPROVED };
        self.snapshot("updated", at, &state)
    }

    /// A capture; `claim` makes its identifier.
    pub(crate) fn captured(&self, at: Timestamp, claim: &str, amount: i64) -> Value {
        self.presented("evt-txn-capture", at, claim, -amount, Some(&self.id))
    }

    /// A capture without an authorisation.
    pub(crate) fn forced(&self, at: Timestamp, claim: &str, amount: i64) -> Value {
        self.presented("evt-txn-capture", at, claim, -amount, None)
    }

    /// A refund that is linked to the purchase.
    pub(crate) fn refunded(&self, at: Timestamp, claim: &str, amount: i64) -> Value {
        self.presented("evt-txn-refund-linked", at, claim, amount, Some(&self.id))
    }

    /// A refund without a link.
    pub(crate) fn refunded_unlinked(&self, at: Timestamp, claim: &str, amount: i64) -> Value {
        self.presented("evt-txn-refund-linked", at, claim, amount, None)
    }

    /// A dispute about the capture `claim`. `kind` is the last part of the event's type.
    pub(crate) fn disputed(
        &self,
        at: Timestamp,
        claim: &str,
        kind: &str,
        status: &str,
        amount: i64,
    ) -> Value {
        let mut event = sample("evt-dispute-submitted");
        event["id"] = json!(format!("evt_{}_{claim}_{kind}", self.id));
        event["type"] = json!(format!("issuing_dispute.{kind}"));
        event["created"] = json!(at.as_second());
        let object = &mut event["data"]["object"];
        object["id"] = json!(format!("idp_{}_{claim}", self.id));
        object["amount"] = json!(amount);
        object["currency"] = json!(self.currency);
        object["status"] = json!(status);
        object["transaction"] = json!(format!("ipi_{}_{claim}", self.id));
        event
    }

    fn presented(
        &self,
        like: &str,
        at: Timestamp,
        claim: &str,
        amount: i64,
        authorisation: Option<&str>,
    ) -> Value {
        let mut event = sample(like);
        event["id"] = json!(format!("evt_{}_{claim}", self.id));
        event["created"] = json!(at.as_second());
        let object = &mut event["data"]["object"];
        object["id"] = json!(format!("ipi_{}_{claim}", self.id));
        object["amount"] = json!(amount);
        object["currency"] = json!(self.currency);
        object["merchant_amount"] = json!(amount);
        object["merchant_currency"] = json!(self.currency);
        object["authorization"] = json!(authorisation);
        object["card"] = json!(self.card);
        object["merchant_data"]["category_code"] = self.mcc.clone();
        object["merchant_data"]["name"] = json!(self.shop);
        if let Some(number) = &self.network_id {
            object["merchant_data"]["network_id"] = json!(number);
        }
        event
    }
}

/// The state of an authorisation, for [`Purchase::snapshot`].
pub(crate) struct AuthorisationState<'a> {
    /// Makes the event's identifier.
    pub(crate) name: &'a str,
    pub(crate) status: &'a str,
    pub(crate) approved: bool,
    pub(crate) reason: &'a str,
    pub(crate) amount: i64,
    pub(crate) answers: usize,
}

/// Approved by the gateway, and open.
pub(crate) const APPROVED: AuthorisationState<'static> = AuthorisationState {
    name: "approved",
    status: "pending",
    approved: true,
    reason: "webhook_approved",
    amount: 0,
    answers: 1,
};

/// `file` with long deadlines, for tests that are not about time.
pub(crate) fn patient(file: &str) -> String {
    file.replace("deadline_ms = 2000", "deadline_ms = 20000")
        .replace("answer_within_ms = 1300", "answer_within_ms = 15000")
}

/// `DEMO` with long deadlines, and with a manager who must consent above `sum`.
pub(crate) fn demo_with_manager_above(sum: &str) -> String {
    let line = format!("country = \"GB\"\nmanager_above = \"{sum}\"");
    patient(DEMO).replace("country = \"GB\"", &line)
}

/// `DEMO` with Dee on the programme's start list.
pub(crate) fn dee_on_start_list() -> String {
    let from = DEMO.find("[person.agreement]\nagreed_on = 2026-11-16").unwrap();
    let to = DEMO[from..].find("# ----").unwrap() + from;
    format!("{}{}", &DEMO[..from], &DEMO[to..])
}

pub(crate) fn an_hour() -> Span {
    1.hour()
}
