//! The issuer's client: cheap to clone, for many concurrent messages to any gateway.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sayso::platform::clock::Clock;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::world::{CONNECTION, Purchase, SECRET, TestResponse, sign};

/// How long a test waits for a condition before it fails.
const WAIT_TIMEOUT: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls one gateway, and signs with the time of one clock.
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

    /// Sends an authorisation request.
    ///
    /// # Errors
    /// When the gateway closes the connection without a response.
    pub(crate) async fn try_authorise(
        &self,
        purchase: &Purchase,
    ) -> Result<TestResponse, reqwest::Error> {
        let body = purchase.request(self.clock.now()).to_string();
        self.post(&format!("/issuers/{CONNECTION}/authorisations"), &body).await
    }

    /// Sends an authorisation request, and measures the latency.
    pub(crate) async fn authorise_timed(&self, purchase: &Purchase) -> (TestResponse, Duration) {
        let asked = Instant::now();
        (self.authorise(purchase).await, asked.elapsed())
    }

    /// Sends an event, which must be stored.
    pub(crate) async fn send_event(&self, event: &Value) {
        let answer = self.try_send_event(event).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends an event.
    ///
    /// # Errors
    /// When the gateway closes the connection without a response.
    pub(crate) async fn try_send_event(
        &self,
        event: &Value,
    ) -> Result<TestResponse, reqwest::Error> {
        self.post(&format!("/issuers/{CONNECTION}/events"), &event.to_string()).await
    }

    /// Waits until the gateway responds to `/livez`.
    pub(crate) async fn wait_until_alive(&self) {
        wait_until(async || self.client.get(format!("{}/livez", self.base)).send().await.is_ok())
            .await;
    }

    /// Whether the gateway reports that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    /// Waits until the readiness is as given.
    pub(crate) async fn wait_until_ready(&self, is_ready: bool) {
        let begun = Instant::now();
        while self.is_ready().await != is_ready {
            assert!(begun.elapsed() < WAIT_TIMEOUT, "not ready: {is_ready} did not come about");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// The value of the metric with its labels; 0 when it was never counted.
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

/// Sends all authorisation requests concurrently. The responses are in the order of the requests,
/// each with its latency.
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

/// Sends all events concurrently; each must be stored.
pub(crate) async fn send_events_concurrently(events: impl IntoIterator<Item = (Caller, Value)>) {
    let mut telling = JoinSet::new();
    for (caller, event) in events {
        telling.spawn(async move { caller.send_event(&event).await });
    }
    telling.join_all().await;
}

/// Polls `condition` until it is true.
pub(crate) async fn wait_until(mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "it did not come about");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
