//! The issuer's side of the wire, cheap to clone: for many messages at once, to any gateway.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sayso::platform::clock::Clock;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::world::{CONNECTION, Purchase, SECRET, TestResponse, sign};

/// How long a test waits for something that must come about.
const WAIT_TIMEOUT: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls one gateway, and signs by one clock.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client: reqwest::Client,
    base: String,
    pub(crate) clock: Clock,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr, clock: Clock) -> Self {
        Self { client: reqwest::Client::new(), base: format!("http://{address}"), clock }
    }

    pub(crate) async fn authorise(&self, purchase: &Purchase) -> TestResponse {
        self.try_authorise(purchase).await.unwrap()
    }

    /// Asks; an error when the gateway went away before it had answered.
    pub(crate) async fn try_authorise(
        &self,
        purchase: &Purchase,
    ) -> Result<TestResponse, reqwest::Error> {
        let body = purchase.request(self.clock.now()).to_string();
        self.post(&format!("/issuers/{CONNECTION}/authorisations"), &body).await
    }

    /// Asks, and says how long the answer took.
    pub(crate) async fn authorise_timed(&self, purchase: &Purchase) -> (TestResponse, Duration) {
        let asked = Instant::now();
        (self.authorise(purchase).await, asked.elapsed())
    }

    /// Tells a later message; it must be stored.
    pub(crate) async fn send_event(&self, event: &Value) {
        let answer = self.try_send_event(event).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Tells; an error when the gateway went away before it had answered.
    pub(crate) async fn try_send_event(
        &self,
        event: &Value,
    ) -> Result<TestResponse, reqwest::Error> {
        self.post(&format!("/issuers/{CONNECTION}/events"), &event.to_string()).await
    }

    /// Waits until the gateway answers at all.
    pub(crate) async fn wait_until_alive(&self) {
        wait_until(async || self.client.get(format!("{}/livez", self.base)).send().await.is_ok())
            .await;
    }

    /// Whether the gateway says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Waits until the gateway is ready, or is not.
    pub(crate) async fn wait_until_ready(&self, is_ready: bool) {
        let begun = Instant::now();
        while self.is_ready().await != is_ready {
            assert!(begun.elapsed() < WAIT_TIMEOUT, "not ready: {is_ready} did not come about");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// What was counted under `name`, a metric with its labels; 0 if nothing was.
    pub(crate) async fn counted(&self, name: &str) -> u64 {
        let text = self.client.get(format!("{}/metrics", self.base)).send().await.unwrap();
        let text = text.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |number| number.parse().unwrap())
    }

    async fn post(&self, path: &str, body: &str) -> Result<TestResponse, reqwest::Error> {
        let response = self
            .client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", sign(SECRET, self.clock.now(), body))
            .body(body.to_owned())
            .send()
            .await?;
        let status = response.status().as_u16();
        Ok(TestResponse { status, body: response.text().await? })
    }
}

/// Asks everything at once. The answers come in the order of the questions, each with the time that
/// it took.
pub(crate) async fn authorise_concurrently(
    questions: impl IntoIterator<Item = (Caller, Purchase)>,
) -> Vec<(TestResponse, Duration)> {
    let asked: Vec<_> = questions
        .into_iter()
        .map(|(caller, purchase)| {
            tokio::spawn(async move { caller.authorise_timed(&purchase).await })
        })
        .collect();
    let mut answers = Vec::with_capacity(asked.len());
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    answers
}

/// Tells everything at once.
pub(crate) async fn send_events_concurrently(events: impl IntoIterator<Item = (Caller, Value)>) {
    let mut telling = JoinSet::new();
    for (caller, event) in events {
        telling.spawn(async move { caller.send_event(&event).await });
    }
    telling.join_all().await;
}

/// Waits for something that must come about.
pub(crate) async fn wait_until(mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "it did not come about");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
