//! Delivers messages: once, twice, with a lost response, or over a connection that closes early.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::plan::DeliveryMode;
use crate::{
    client::{Client, DeliveryFailure, GatewayEndpoint, GatewayReply},
    programme::Connection,
};

/// How long an event is retried before the storm fails.
const RETRY_TIME_MAX: Duration = Duration::from_mins(2);
const RETRY_DELAY_MAX: Duration = Duration::from_millis(500);

/// The client side of the connections, shared by everybody in the storm.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    /// Limits the messages in flight to the number of connections.
    connections: Semaphore,
}

/// A message and its endpoint.
#[derive(Debug, Clone)]
pub(super) struct MessageEnvelope {
    pub(super) connection: Arc<Connection>,
    pub(super) endpoint: GatewayEndpoint,
    pub(super) body: String,
}

/// The reply to one message, and its latency.
type SendResult = (Result<GatewayReply, DeliveryFailure>, Duration);

/// The result of one authorisation request.
#[derive(Debug)]
pub(super) struct AuthorisationExchange {
    pub(super) reply: Option<GatewayReply>,
    /// Whether the issuer received the response.
    pub(super) is_answer_received: bool,
    /// Replies to the duplicates of the request.
    pub(super) again: Vec<Option<GatewayReply>>,
    /// Latency since the time at which the request was due.
    pub(super) latency: Duration,
    /// Latency since the request was sent, which the issuer's deadline limits.
    pub(super) took: Duration,
    /// Whether the gateway refused the connection.
    pub(super) is_unreached: bool,
}

/// The result of one event.
#[derive(Debug)]
pub(super) struct EventDelivery {
    /// Attempts until the event was stored, without intended duplicates.
    pub(super) tries: usize,
    pub(super) latency: Duration,
    /// The reply of a permanent failure (status below 500), which is not retried.
    pub(super) refused: Option<GatewayReply>,
}

impl Transport {
    pub(super) fn new(gateway: &str, connections: usize) -> anyhow::Result<Self> {
        Ok(Self { client: Client::new(gateway)?, connections: Semaphore::new(connections.max(1)) })
    }

    /// Sends `envelope` once.
    async fn send(&self, envelope: &MessageEnvelope, at: i64) -> anyhow::Result<SendResult> {
        let _permit = self.connections.acquire().await?;
        let started = Instant::now();
        let sent =
            self.client.send(&envelope.connection, envelope.endpoint, at, &envelope.body).await?;
        Ok((sent, started.elapsed()))
    }

    /// Sends `envelope` and closes the connection after `after`, whether a response arrived or not.
    async fn send_and_hang_up(
        &self,
        envelope: &MessageEnvelope,
        at: i64,
        after: Duration,
    ) -> anyhow::Result<SendResult> {
        let _permit = self.connections.acquire().await?;
        let started = Instant::now();
        let sending = self.client.send(&envelope.connection, envelope.endpoint, at, &envelope.body);
        let sent = timeout(after, sending).await.unwrap_or(Ok(Err(DeliveryFailure::NoAnswer)))?;
        Ok((sent, started.elapsed()))
    }

    /// Sends an authorisation request. `due` is the time at which it should have been sent, if that
    /// was earlier.
    ///
    /// # Errors
    /// When the message cannot be signed.
    pub(super) async fn request_authorisation(
        &self,
        envelope: &MessageEnvelope,
        mode: DeliveryMode,
        at: i64,
        due: Option<Instant>,
    ) -> anyhow::Result<AuthorisationExchange> {
        let broken_off = match mode {
            DeliveryMode::BrokenOff(after) => Some(Duration::from_millis(after)),
            DeliveryMode::Plain
            | DeliveryMode::Again
            | DeliveryMode::Twice
            | DeliveryMode::AnswerLost
            | DeliveryMode::Late(_)
            | DeliveryMode::AgainLater(_)
            | DeliveryMode::Never => None,
        };
        let mut again = Vec::new();
        let (sent, took) = if let Some(after) = broken_off {
            self.send_and_hang_up(envelope, at, after).await?
        } else if mode == DeliveryMode::Twice {
            let (one, other) = tokio::join!(self.send(envelope, at), self.send(envelope, at));
            again.push(other?.0.ok());
            one?
        } else {
            self.send(envelope, at).await?
        };
        // Measured from the due time, so that a slow response does not hide the delay of the next
        // request (coordinated omission).
        let latency = due.filter(|_| broken_off.is_none()).map_or(took, |due| due.elapsed());
        if mode == DeliveryMode::Again {
            again.push(self.send(envelope, at).await?.0.ok());
        }
        Ok(AuthorisationExchange {
            is_answer_received: !matches!(
                mode,
                DeliveryMode::AnswerLost | DeliveryMode::BrokenOff(_)
            ) && sent.is_ok(),
            is_unreached: matches!(sent, Err(DeliveryFailure::NotReached)),
            reply: sent.ok(),
            again,
            latency,
            took,
        })
    }

    /// Sends an event until it is stored, as issuers do.
    ///
    /// # Errors
    /// When the gateway does not store it for two minutes.
    pub(super) async fn send_event(
        &self,
        envelope: &MessageEnvelope,
        mode: DeliveryMode,
        sign_at: impl Fn() -> i64,
    ) -> anyhow::Result<EventDelivery> {
        if mode == DeliveryMode::Twice {
            let (one, other) = tokio::join!(
                self.send_event_once(envelope, &sign_at),
                self.send_event_once(envelope, &sign_at)
            );
            other?;
            return one;
        }
        let stored = self.send_event_once(envelope, &sign_at).await?;
        if mode == DeliveryMode::Again {
            self.send_event_once(envelope, &sign_at).await?;
        }
        Ok(stored)
    }

    async fn send_event_once(
        &self,
        envelope: &MessageEnvelope,
        sign_at: &impl Fn() -> i64,
    ) -> anyhow::Result<EventDelivery> {
        let started = Instant::now();
        let mut delay = Duration::from_millis(5);
        for tries in 1.. {
            let (sent, latency) = self.send(envelope, sign_at()).await?;
            match sent {
                Ok(reply) if reply.status == 200 => {
                    return Ok(EventDelivery { tries, latency, refused: None });
                }
                Ok(reply) if reply.status < 500 => {
                    return Ok(EventDelivery { tries, latency, refused: Some(reply) });
                }
                Ok(_) | Err(_) => {}
            }
            if started.elapsed() > RETRY_TIME_MAX {
                bail!("an event was not stored for {} seconds", RETRY_TIME_MAX.as_secs());
            }
            sleep(delay).await;
            delay = (delay * 2).min(RETRY_DELAY_MAX);
        }
        None.context("it was sent at least once")
    }
}
