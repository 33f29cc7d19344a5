//! The HTTP edge, through the router: which requests are rejected, and that no row of a rejected
//! one is stored.

mod connections;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Request, StatusCode};
use hyper::body::Frame;
use jiff::Timestamp;
use sayso::card_path::committer::{Committer, CommitterSettings};
use sayso::operations::health::Readiness;
use sayso::operations::metrics;
use sayso::people::tokens;
use sayso::people::tokens::TokenService;
use sayso::platform::clock::{Clock, ClockControl};
use sayso::platform::ids::NewIds;
use sayso::programme::apply::apply;
use sayso::programme::directory::Directory;
use sayso::store::Store;
use sayso::web::{
    ApiRuntime, AppState, AppStateParts, ConnectionLimits, RouteGroup, ServerHandle, listen, router,
};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::support::TestDatabase;
use crate::world::{DEE, DEMO, RULES, sign};

const NOW: i64 = 1_790_000_000;
/// The secret that signs every message in the fixtures.
const SECRET: &str = "whsec_ad7e5e20170f4c61bc9d5c86a02f805c";
const OTHER_SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";
const ASK: &str = "/issuers/riverside-stripe/authorisations";
const TELL: &str = "/issuers/riverside-stripe/events";
const BODY_BYTES_MAX: usize = 64 * 1024;

on_both_databases!(
    questions_are_answered_and_messages_stored,
    scenario_77_an_old_message_is_refused_and_a_fresh_repeat_has_the_same_answer,
);

/// The edge with the demo programme and the fixtures' card and secret.
struct EdgeFixture {
    router: Router,
    store: Store,
    directory: Directory,
    clock: Clock,
    clock_control: ClockControl,
    readiness: Readiness,
    database: TestDatabase,
}

impl EdgeFixture {
    async fn open(database: TestDatabase) -> Self {
        let (clock, clock_control) = Clock::manual(at(NOW));
        metrics::start();
        let store = database.store().await;
        let directory = Directory::new(store.clone());
        let ids = NewIds::default();
        let settings = CommitterSettings::default();
        let committer = Committer::start(&store, &directory, &clock, &ids, settings);
        let readiness = Readiness::default();
        readiness.mark_refreshed();
        let state = AppState::new(AppStateParts {
            directory: directory.clone(),
            committer,
            clock: clock.clone(),
            readiness: readiness.clone(),
            store: store.clone(),
            ids: ids.clone(),
            tokens: TokenService::new(store.clone(), tokens::ISSUER),
            api_runtime: ApiRuntime::start().unwrap(),
        });
        let router = router(state, RouteGroup::ALL);
        let state = Self { router, store, directory, clock, clock_control, readiness, database };
        state.apply(&programme()).await;
        state
    }

    async fn sqlite() -> Self {
        Self::open(TestDatabase::sqlite()).await
    }

    async fn listen(&self, limits: ConnectionLimits) -> ServerHandle {
        let address = "127.0.0.1:0".parse().unwrap();
        listen(address, self.router.clone(), limits, &Handle::current()).await.unwrap()
    }

    async fn apply(&self, file: &str) {
        apply(&self.store, &NewIds::default(), self.clock.now(), file, RULES).await.unwrap();
        self.directory.refresh(self.clock.now()).await.unwrap();
    }

    async fn send(&self, request: Request<Body>) -> EdgeResponse {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let answer = EdgeResponse { status: head.status, headers: head.headers, body };
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        answer
    }

    async fn get(&self, path: &str) -> EdgeResponse {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Posts `body`, signed now with the fixtures' secret.
    async fn post(&self, path: &str, body: &str) -> EdgeResponse {
        self.send(signed(path, SECRET, self.clock.now(), body)).await
    }

    /// Row counts of the tables that messages write to.
    async fn rows(&self) -> Vec<i64> {
        let mut connection = AnyConnection::connect(&self.database.url).await.unwrap();
        let mut counts = Vec::new();
        for table in ["decision", "issuer_event", "posting", "journal", "message", "exception"] {
            let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
            counts.push(row.get(0));
        }
        counts
    }
}

#[derive(Debug, PartialEq, Eq)]
struct EdgeResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl EdgeResponse {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status, kind and field of the problem.
    fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
        let kind = text("type").trim_start_matches("/problems/").to_owned();
        (self.status.as_u16(), kind, text("field"))
    }
}

fn problem(status: u16, kind: &str, field: &str) -> (u16, String, String) {
    (status, kind.to_owned(), field.to_owned())
}

fn programme() -> String {
    DEMO.replace(crate::world::SECRET, SECRET).replace(DEE, "ic_1TestCard00000000001")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn signed(path: &str, secret: &str, at: Timestamp, body: &str) -> Request<Body> {
    under(path, &sign(secret, at, body), body)
}

fn under(path: &str, signature: &str, body: &str) -> Request<Body> {
    let request = Request::post(path).header("stripe-signature", signature);
    request.body(Body::from(body.to_owned())).unwrap()
}

/// The messages of the fixtures.
fn vectors() -> Vec<Value> {
    let vectors: Value =
        serde_json::from_str(include_str!("../../fixtures/stripe/vectors.json")).unwrap();
    vectors["vectors"].as_array().unwrap().clone()
}

fn vector(id: &str) -> Value {
    vectors().into_iter().find(|vector| vector["id"] == id).unwrap()
}

fn body(id: &str) -> String {
    vector(id)["body"].as_str().unwrap().to_owned()
}

/// A fixture's message with its own headers.
fn as_sent(path: &str, vector: &Value) -> Request<Body> {
    let headers = vector["headers"].as_object().unwrap().iter();
    let request = headers.fold(Request::post(path), |request, (name, value)| {
        request.header(name, value.as_str().unwrap())
    });
    request.body(Body::from(vector["body"].as_str().unwrap().to_owned())).unwrap()
}

async fn questions_are_answered_and_messages_stored(database: TestDatabase) {
    let state = EdgeFixture::open(database).await;
    for vector in vectors().iter().filter(|vector| vector["expected"]["valid"] == true) {
        let (id, is_event) = (&vector["id"], vector["expected"]["event_type"].is_string());
        let answer = state.send(as_sent(if is_event { TELL } else { ASK }, vector)).await;
        assert_eq!(answer.status, StatusCode::OK, "{id}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/json", "{id}");
        if is_event {
            assert_eq!(answer.body, "{}", "{id}");
        } else {
            assert_eq!(answer.header("stripe-version"), "2026-10-28.endive", "{id}");
            assert!(answer.json()["approved"].is_boolean(), "{id}");
        }
    }
    let rows = state.rows().await;
    assert!(rows[0] > 0 && rows[1] > 0, "{rows:?}");
}

#[tokio::test]
async fn scenario_76_what_nobody_signed_is_refused_unread_and_nothing_is_stored() {
    let state = EdgeFixture::sqlite().await;
    let before = state.rows().await;
    for vector in vectors().iter().filter(|vector| vector["expected"]["valid"] == false) {
        for path in [ASK, TELL] {
            let answer = state.send(as_sent(path, vector)).await;
            assert_eq!(answer.problem(), problem(401, "signature", ""), "{}", vector["id"]);
            assert!(!String::from_utf8_lossy(&answer.body).contains("whsec_"));
        }
    }
    // The signature is checked before the JSON, so the invalid JSON is not reported.
    let unsigned = Request::post(ASK).body(Body::from("{")).unwrap();
    assert_eq!(state.send(unsigned).await.problem(), problem(401, "signature", ""));
    assert_eq!(state.rows().await, before);
}

async fn scenario_77_an_old_message_is_refused_and_a_fresh_repeat_has_the_same_answer(
    database: TestDatabase,
) {
    let state = EdgeFixture::open(database).await;
    let question = vector("valid-purchase");
    let first = state.send(as_sent(ASK, &question)).await;
    assert_eq!(first.status, StatusCode::OK);
    let after_first = state.rows().await;
    state.clock_control.set(at(NOW + 300));
    assert_eq!(state.send(as_sent(ASK, &question)).await, first);
    state.clock_control.set(at(NOW + 301));
    let old = state.send(as_sent(ASK, &question)).await;
    assert_eq!(old.problem(), problem(401, "signature", ""));
    assert_eq!(state.rows().await, after_first);
}

#[tokio::test]
async fn scenario_78_secrets_overlap_and_end_by_date() {
    let state = EdgeFixture::sqlite().await;
    let own = "[[connection.secret]]\nname = \"realtime-1\"";
    let until = at(NOW + 60);
    let other = format!(
        "[[connection.secret]]\nname = \"old\"\nvalue = \"{OTHER_SECRET}\"\nuntil = {until}"
    );
    state.apply(&programme().replacen(own, &format!("{other}\n\n{own}"), 1)).await;
    let body = body("evt-txn-capture");
    for (second, secret, expected) in [
        (NOW, SECRET, StatusCode::OK),
        (NOW, OTHER_SECRET, StatusCode::OK),
        (NOW, "whsec_revoked_long_ago_000000000000", StatusCode::UNAUTHORIZED),
        (NOW + 60, SECRET, StatusCode::OK),
        (NOW + 60, OTHER_SECRET, StatusCode::UNAUTHORIZED),
    ] {
        state.clock_control.set(at(second));
        state.directory.refresh(state.clock.now()).await.unwrap();
        let answer = state.send(signed(TELL, secret, state.clock.now(), &body)).await;
        assert_eq!(answer.status, expected, "{second} {secret}");
    }
    // During a rotation a message carries a signature by each secret.
    let (by_other, by_own) =
        (sign(OTHER_SECRET, state.clock.now(), &body), sign(SECRET, state.clock.now(), &body));
    let both = format!("{by_other},{}", by_own.split_once(',').unwrap().1);
    assert_eq!(state.send(under(TELL, &both, &body)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn scenario_79_a_refusal_does_not_tell_how_wrong_a_signature_is() {
    let state = EdgeFixture::sqlite().await;
    let body = body("valid-purchase");
    let good = sign(SECRET, state.clock.now(), &body);
    let last = if good.ends_with('0') { "1" } else { "0" };
    let nearly = format!("{}{last}", &good[..good.len() - 1]);
    let nothing_like_it = format!("t={NOW},v1={}", "0".repeat(64));
    let nearly = state.send(under(ASK, &nearly, &body)).await;
    assert_eq!(nearly.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nearly, state.send(under(ASK, &nothing_like_it, &body)).await);
}

#[tokio::test]
async fn scenario_80_a_secret_counts_at_its_own_address_only() {
    let state = EdgeFixture::sqlite().await;
    let lakeside = programme().replace("riverside", "lakeside").replace(SECRET, OTHER_SECRET);
    let events = "whsec_demo_events_8a41d7e6b95340c2";
    state.apply(&lakeside.replace(events, "whsec_lakeside_events_00")).await;
    let before = state.rows().await;
    let (body, now) = (body("valid-purchase"), state.clock.now());
    for (connection, secret) in [("lakeside-stripe", SECRET), ("riverside-stripe", OTHER_SECRET)] {
        let path = format!("/issuers/{connection}/authorisations");
        let answer = state.send(signed(&path, secret, now, &body)).await;
        assert_eq!(answer.problem(), problem(401, "signature", ""), "{connection}");
    }
    assert_eq!(state.rows().await, before);
    let path = "/issuers/lakeside-stripe/authorisations";
    assert_eq!(state.send(signed(path, OTHER_SECRET, now, &body)).await.status, StatusCode::OK);
}

/// A body that never ends after its first piece, or that never begins.
struct EndlessBody {
    piece: Option<Bytes>,
}

impl HttpBody for EndlessBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &self.piece {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece.clone())))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn scenario_81_bodies_that_are_bombs_are_refused() {
    let state = EdgeFixture::sqlite().await;
    let before = state.rows().await;
    let question = body("valid-purchase");
    for encoding in ["gzip", "deflate", "br", "identity, gzip"] {
        let mut packed = signed(ASK, SECRET, state.clock.now(), &question);
        packed.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        let answer = state.send(packed).await;
        assert_eq!(answer.problem(), problem(400, "encoded", "content-encoding"), "{encoding}");
    }

    let padded = |length: usize| format!("{question}{}", " ".repeat(length - question.len()));
    let answer = state.post(ASK, &padded(BODY_BYTES_MAX + 1)).await;
    assert_eq!(answer.problem(), problem(400, "too-large", "body"));
    let piece = Some(Bytes::from_static(&[b' '; 16 * 1024]));
    let endless = Request::post(ASK).body(Body::new(EndlessBody { piece })).unwrap();
    assert_eq!(state.send(endless).await.problem(), problem(400, "too-large", "body"));

    let with = |from: &str, to: &str| {
        assert!(question.contains(from), "{from} is not in the question");
        question.replacen(from, to, 1)
    };
    for (what, body) in [
        ("nested", with("\"metadata\":{}", &format!("\"metadata\":{}", "[".repeat(99)))),
        ("twice", with("\"id\":", "\"id\":\"evt_other\",\"id\":")),
        ("NUL", with("TEST GROCER", "TEST\0GROCER")),
        ("cut", question[..question.len() - 1].to_owned()),
        ("empty", String::new()),
    ] {
        let (status, kind, field) = state.post(ASK, &body).await.problem();
        assert_eq!((status, kind.as_str()), (400, "malformed"), "{what}");
        assert!(!field.is_empty(), "{what}");
    }
    assert_eq!(state.rows().await, before);
    assert_eq!(state.post(ASK, &padded(BODY_BYTES_MAX)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn addresses_and_methods_that_are_not_there_are_problems() {
    let state = EdgeFixture::sqlite().await;
    let message = body("valid-purchase");
    for path in [
        "/issuers/nobody/authorisations",
        "/issuers/UPPER%20CASE/authorisations",
        "/issuers/%FF/events",
        "/issuers//events",
        "/issuers/riverside-stripe",
        "/issuers/riverside-stripe/authorisations/",
        "/v9",
    ] {
        assert_eq!(
            state.post(path, &message).await.problem(),
            problem(404, "not-found", ""),
            "{path}"
        );
    }
    for path in [ASK, TELL] {
        assert_eq!(state.get(path).await.problem(), problem(405, "wrong-method", ""), "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics", "/version"] {
        let answer = state.post(path, "").await;
        assert_eq!(answer.problem(), problem(405, "wrong-method", ""), "{path}");
    }
}

#[tokio::test]
async fn each_address_takes_its_own_messages_only() {
    let state = EdgeFixture::sqlite().await;
    let before = state.rows().await;
    for (path, id) in [(TELL, "valid-purchase"), (ASK, "evt-txn-capture")] {
        let answer = state.post(path, &body(id)).await;
        assert_eq!(answer.problem(), problem(400, "malformed", "type"), "{path}");
    }
    assert_eq!(state.rows().await, before);
}

#[tokio::test]
async fn scenario_40_amounts_that_are_no_amounts_are_named() {
    let state = EdgeFixture::sqlite().await;
    let before = state.rows().await;
    for amount in ["12.5", "\"12\"", "-1", "1e309", "012", "NaN", "99999999999999999999", "null"] {
        let question = body("valid-purchase");
        let (start, rest) = question.split_once("\"pending_request\":{\"amount\":").unwrap();
        let (_, end) = rest.split_once(',').unwrap();
        let question = format!("{start}\"pending_request\":{{\"amount\":{amount},{end}");
        let field = "data.object.pending_request.amount";
        let answer = state.post(ASK, &question).await;
        assert_eq!(answer.problem(), problem(400, "malformed", field), "{amount}");
    }
    assert_eq!(state.rows().await, before);
}

#[tokio::test]
async fn without_a_database_questions_are_not_paid_and_messages_come_again() {
    let state = EdgeFixture::sqlite().await;
    state.store.close().await;
    let began = Instant::now();
    let answer = state.post(ASK, &body("valid-purchase")).await;
    assert!(began.elapsed() < Duration::from_millis(1900));
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({ "approved": false, "metadata": { "reason": "our_fault" } });
    assert_eq!(answer.json(), expected);
    let answer = state.post(TELL, &body("evt-txn-capture")).await;
    assert_eq!(answer.problem(), problem(503, "not-stored", ""));
    let ready = state.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["ready"], false);
    assert_eq!(state.get("/livez").await.status, StatusCode::OK, "a restart would not help");
}

#[tokio::test]
async fn operators_learn_how_it_is() {
    let state = EdgeFixture::sqlite().await;
    let ready = state.get("/readyz").await;
    assert_eq!(ready.json(), json!({ "ready": true, "problems": [] }));
    state.readiness.mark_stopping();
    let ready = state.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json(), json!({ "ready": false, "problems": ["it is stopping"] }));
    assert_eq!(state.get("/version").await.json()["version"], env!("CARGO_PKG_VERSION"));

    state.post(ASK, &body("valid-purchase")).await;
    state.send(Request::post(ASK).body(Body::empty()).unwrap()).await;
    let metrics = state.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "# HELP sayso_decisions_total ",
        "# TYPE sayso_decision_seconds histogram",
        "sayso_decision_seconds_bucket{le=\"2\"} ",
        "sayso_messages_refused_total{why=\"missing_header\"} ",
        "sayso_queue_depth ",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    for told_by_a_message in ["riverside", "ic_1", "iauth_", "GROCER", "Dee"] {
        assert!(!text.contains(told_by_a_message), "{told_by_a_message} is in:\n{text}");
    }
}
