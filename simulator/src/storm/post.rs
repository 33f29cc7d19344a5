//! How messages travel: once, twice, with a lost answer, over a connection that breaks off.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::plan::Way;
use crate::{
    client::{Client, Door, Lost, Reply},
    programme::Connection,
};

/// How long an event is sent again and again before the storm is called off.
const PATIENCE: Duration = Duration::from_mins(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The storm's side of the wire, shared by everybody in it.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    /// As many messages are on their way at once as there are connections.
    connections: Semaphore,
}

/// One message to one of the gateway's addresses.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) connection: Arc<Connection>,
    pub(super) door: Door,
    pub(super) body: String,
}

/// What came back of one message, and how long that took.
type Sent = (Result<Reply, Lost>, Duration);

/// What came back of a question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) reply: Option<Reply>,
    /// Whether the issuer heard it.
    pub(super) is_heard: bool,
    /// The answers to the same question, sent once more.
    pub(super) again: Vec<Option<Reply>>,
    /// From when the question was meant to be sent.
    pub(super) latency: Duration,
    /// From when it was sent: what the issuer's deadline is about.
    pub(super) took: Duration,
    /// Whether the gateway could not be reached at all.
    pub(super) is_unreached: bool,
}

/// What came back of an event.
#[derive(Debug)]
pub(super) struct Stored {
    /// How often it was sent before it was stored, without the copies that were meant.
    pub(super) tries: usize,
    pub(super) latency: Duration,
    /// The answer that refuses it, if that is what happened.
    pub(super) refused: Option<Reply>,
}

impl Post {
    pub(super) fn new(gateway: &str, connections: usize) -> anyhow::Result<Self> {
        Ok(Self { client: Client::new(gateway)?, connections: Semaphore::new(connections.max(1)) })
    }

    /// Sends `letter` once.
    async fn send(&self, letter: &Letter, at: i64) -> anyhow::Result<Sent> {
        let _permit = self.connections.acquire().await?;
        let started = Instant::now();
        let sent = self.client.send(&letter.connection, letter.door, at, &letter.body).await?;
        Ok((sent, started.elapsed()))
    }

    /// Sends `letter`, and hangs up after a while, whether an answer came or not.
    async fn send_and_hang_up(
        &self,
        letter: &Letter,
        at: i64,
        after: Duration,
    ) -> anyhow::Result<Sent> {
        let _permit = self.connections.acquire().await?;
        let started = Instant::now();
        let sending = self.client.send(&letter.connection, letter.door, at, &letter.body);
        let sent = timeout(after, sending).await.unwrap_or(Ok(Err(Lost::NoAnswer)))?;
        Ok((sent, started.elapsed()))
    }

    /// Asks a question; `due` is when it was meant to be sent, if that was earlier.
    ///
    /// # Errors
    /// When the message cannot even be signed.
    pub(super) async fn ask(
        &self,
        letter: &Letter,
        way: Way,
        at: i64,
        due: Option<Instant>,
    ) -> anyhow::Result<Asked> {
        let broken_off = match way {
            Way::BrokenOff(after) => Some(Duration::from_millis(after)),
            Way::Plain
            | Way::Again
            | Way::Twice
            | Way::AnswerLost
            | Way::Late(_)
            | Way::AgainLater(_)
            | Way::Never => None,
        };
        let mut again = Vec::new();
        let (sent, took) = if let Some(after) = broken_off {
            self.send_and_hang_up(letter, at, after).await?
        } else if way == Way::Twice {
            let (one, other) = tokio::join!(self.send(letter, at), self.send(letter, at));
            again.push(other?.0.ok());
            one?
        } else {
            self.send(letter, at).await?
        };
        // Measured from when it was meant to be sent, so that a slow answer does not hide the next.
        let latency = due.filter(|_| broken_off.is_none()).map_or(took, |due| due.elapsed());
        if way == Way::Again {
            again.push(self.send(letter, at).await?.0.ok());
        }
        Ok(Asked {
            is_heard: !matches!(way, Way::AnswerLost | Way::BrokenOff(_)) && sent.is_ok(),
            is_unreached: matches!(sent, Err(Lost::NotReached)),
            reply: sent.ok(),
            again,
            latency,
            took,
        })
    }

    /// Tells an event until it is stored, as issuers do.
    ///
    /// # Errors
    /// When the gateway does not store it for minutes.
    pub(super) async fn tell(
        &self,
        letter: &Letter,
        way: Way,
        sign_at: impl Fn() -> i64,
    ) -> anyhow::Result<Stored> {
        if way == Way::Twice {
            let (one, other) =
                tokio::join!(self.tell_once(letter, &sign_at), self.tell_once(letter, &sign_at));
            other?;
            return one;
        }
        let stored = self.tell_once(letter, &sign_at).await?;
        if way == Way::Again {
            self.tell_once(letter, &sign_at).await?;
        }
        Ok(stored)
    }

    async fn tell_once(
        &self,
        letter: &Letter,
        sign_at: &impl Fn() -> i64,
    ) -> anyhow::Result<Stored> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(5);
        for tries in 1.. {
            let (sent, latency) = self.send(letter, sign_at()).await?;
            match sent {
                Ok(reply) if reply.status == 200 => {
                    return Ok(Stored { tries, latency, refused: None });
                }
                Ok(reply) if reply.status < 500 => {
                    return Ok(Stored { tries, latency, refused: Some(reply) });
                }
                Ok(_) | Err(_) => {}
            }
            if started.elapsed() > PATIENCE {
                bail!("an event was not stored for {} seconds", PATIENCE.as_secs());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        None.context("it was sent at least once")
    }
}
