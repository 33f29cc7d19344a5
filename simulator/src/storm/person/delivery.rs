//! Deliveries: messages that are sent at once, and the result of each.

use std::time::{Duration, Instant};

use super::messages::OutgoingMessage;
use crate::{
    answers::StripeResponse,
    client::{GatewayEndpoint, GatewayReply},
    report::ResponseOutcome,
    storm::{SharedState, plan::DeliveryMode},
};

/// The result of one message.
pub(super) struct DeliveryResult {
    pub(super) answer: ResponseOutcome,
    pub(super) reason: Option<String>,
    /// Whether the issuer received the response; if not, it decides by itself.
    pub(super) is_answer_received: bool,
    pub(super) latency: Duration,
    pub(super) broken: Vec<String>,
}

/// Delivers all messages concurrently.
pub(super) async fn deliver(
    shared: &SharedState,
    outgoing: &[OutgoingMessage],
    at: i64,
    due: Option<Instant>,
) -> anyhow::Result<Vec<DeliveryResult>> {
    match outgoing {
        [one] => Ok(vec![deliver_one(shared, one, at, due).await?]),
        [one, other] => {
            let (one, other) = tokio::join!(
                deliver_one(shared, one, at, due),
                deliver_one(shared, other, at, due)
            );
            Ok(vec![one?, other?])
        }
        [one, other, third] => {
            let (one, other, third) = tokio::join!(
                deliver_one(shared, one, at, due),
                deliver_one(shared, other, at, due),
                deliver_one(shared, third, at, due)
            );
            Ok(vec![one?, other?, third?])
        }
        _ => anyhow::bail!("{} messages at once", outgoing.len()),
    }
}

async fn deliver_one(
    shared: &SharedState,
    outgoing: &OutgoingMessage,
    at: i64,
    due: Option<Instant>,
) -> anyhow::Result<DeliveryResult> {
    match outgoing.envelope.endpoint {
        GatewayEndpoint::Events => deliver_event(shared, outgoing).await,
        GatewayEndpoint::Authorisations => request_authorisation(shared, outgoing, at, due).await,
    }
}

async fn deliver_event(
    shared: &SharedState,
    outgoing: &OutgoingMessage,
) -> anyhow::Result<DeliveryResult> {
    let mut broken = Vec::new();
    let stored =
        shared.transport.send_event(&outgoing.envelope, outgoing.mode, || shared.now()).await?;
    if stored.tries > 1 {
        shared.note("an event that was sent until it was stored");
        if !shared.allows_outages {
            broken.push(format!("it was stored only when it was sent {} times", stored.tries));
        }
    }
    if let Some(GatewayReply { status, body, .. }) = &stored.refused {
        broken.push(format!("the event was answered {status}: {body}"));
    }
    let answer =
        if stored.refused.is_some() { ResponseOutcome::Unusable } else { ResponseOutcome::Stored };
    Ok(DeliveryResult {
        answer,
        reason: None,
        is_answer_received: true,
        latency: stored.latency,
        broken,
    })
}

async fn request_authorisation(
    shared: &SharedState,
    outgoing: &OutgoingMessage,
    at: i64,
    due: Option<Instant>,
) -> anyhow::Result<DeliveryResult> {
    let mut broken = Vec::new();
    let asked =
        shared.transport.request_authorisation(&outgoing.envelope, outgoing.mode, at, due).await?;
    let connection = &outgoing.envelope.connection;
    let is_lost = asked.reply.is_none();
    let told = match &asked.reply {
        Some(reply) => StripeResponse::read(connection, Some(reply), &mut broken),
        None => None,
    };
    let is_our_fault = told.as_ref().is_some_and(|told| told.reason() == Some("our_fault"));
    for again in asked.again.iter().flatten() {
        let first = asked.reply.as_ref().map(|reply| reply.body.as_str());
        if first.is_some_and(|first| first != again.body) && !is_our_fault && !is_fault(again) {
            broken.push(format!(
                "the same question was answered {}, and {}",
                first.unwrap_or_default(),
                again.body
            ));
        }
    }
    if is_lost && !matches!(outgoing.mode, DeliveryMode::BrokenOff(_)) {
        let what = if asked.is_unreached { "it could not be reached" } else { "no answer came" };
        shared.note(what);
        if !shared.allows_outages {
            broken.push(what.to_owned());
        }
    }
    if is_our_fault {
        shared.note("an answer of our fault");
        if !shared.allows_outages {
            broken.push("it could not decide in time".to_owned());
        }
    }
    if let Some(told) = told.as_ref().filter(|told| told.decision().is_none() && !is_our_fault) {
        broken.push(format!("the answer does not name its decision: {told:?}"));
    }
    let deadline = Duration::from_millis(connection.deadline_ms);
    let is_late = !is_lost && asked.took > deadline;
    if is_late && !shared.allows_outages {
        broken.push(format!("answered after {} ms", asked.took.as_millis()));
    }
    let answer = match &told {
        Some(told) if !is_our_fault => {
            told.answer(outgoing.amount_minor, &shared.programme.currency)
        }
        Some(_) | None => ResponseOutcome::Unusable,
    };
    let reason = told.as_ref().and_then(StripeResponse::reason).map(str::to_owned);
    let is_answer_received = asked.is_answer_received && !is_late;
    Ok(DeliveryResult { answer, reason, is_answer_received, latency: asked.latency, broken })
}

fn is_fault(reply: &GatewayReply) -> bool {
    reply.status != 200 || reply.body.contains("our_fault")
}
