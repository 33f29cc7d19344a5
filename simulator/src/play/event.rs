//! Issuer events: made from the issuer's record, and booked before they are sent.

use super::{Player, SentMessage, StepResult};
use crate::{
    books::{PurchaseReference, PurchaseTimes},
    client::{GatewayEndpoint, GatewayReply},
    issuers::{
        issuer_record::{IssuerMessage, MessageContent},
        stripe::{self, AuthorisationLink},
    },
    report::{MessageKind, ResponseOutcome},
    stories::{AmountShare, PlannedPurchase, StoryAction, StoryMove},
};

impl Player<'_> {
    /// Sends an event; `None` when it cannot happen, as a capture after a decline.
    pub(super) async fn send_event(
        &mut self,
        planned: &StoryMove,
        purchase: &PlannedPurchase,
        at: i64,
    ) -> anyhow::Result<Option<StepResult>> {
        let connection = self.connection(purchase)?;
        let (kind, body, amount_minor) = if planned.act == StoryAction::Repeat {
            let last =
                self.played.get(&planned.number).and_then(|played| played.last_event.clone());
            let Some(last) = last else { return Ok(None) };
            (MessageKind::DeliveredAgain, last.body, last.amount_minor)
        } else {
            let Some(message) = self.compose(planned, purchase, at) else { return Ok(None) };
            let id = self.next_id("evt");
            self.record_in_books(&message, planned.number, purchase, at);
            let IssuerMessage { name, kind, amount_minor, created, object, previous, content: _ } =
                message;
            let version = &connection.api_version;
            let event = stripe::event(&id, name, version, created, &object, previous.as_ref());
            (kind, event.to_string(), amount_minor)
        };
        let (reply, latency) =
            self.client.post(connection, GatewayEndpoint::Events, at, &body).await?;
        if let Some(played) = self.played.get_mut(&planned.number) {
            played.last_event = Some(SentMessage { body, amount_minor, reply: None });
        }
        let (answer, broken) = stored(reply.as_ref());
        let note = String::new();
        Ok(Some(StepResult { kind, amount_minor, answer, response: None, latency, note, broken }))
    }

    fn compose(
        &mut self,
        planned: &StoryMove,
        purchase: &PlannedPurchase,
        at: i64,
    ) -> Option<IssuerMessage> {
        let number = planned.number;
        let id = self.next_id("ipi");
        let played = self.played(number, purchase, at);
        let issuer_record = &mut played.issuer_record;
        match planned.act {
            StoryAction::Confirm => issuer_record.confirm(at),
            StoryAction::Lower(less) => issuer_record.lower(less, at),
            StoryAction::Reverse => issuer_record.reverse(at),
            StoryAction::Close => issuer_record.close(at),
            StoryAction::CloseAhead => {
                played.waiting = issuer_record.capture(&id, AmountShare::All, at);
                issuer_record.close(at)
            }
            StoryAction::Capture(share) => {
                played.waiting.take().or_else(|| issuer_record.capture(&id, share, at))
            }
            StoryAction::Force(amount_minor) => {
                Some(issuer_record.force(&id, amount_minor, AuthorisationLink::Unlinked, at))
            }
            StoryAction::Refund(share) => {
                issuer_record.refund(&id, share, AuthorisationLink::Linked, at)
            }
            StoryAction::RefundUnlinked(amount_minor) => {
                Some(issuer_record.refund_unlinked(&id, amount_minor, at))
            }
            StoryAction::Ask(_)
            | StoryAction::AskAgain
            | StoryAction::Raise(_)
            | StoryAction::Repeat
            | StoryAction::PersonActs(_) => None,
        }
    }

    /// Books the event that is about to be sent.
    fn record_in_books(
        &mut self,
        message: &IssuerMessage,
        number: usize,
        purchase: &PlannedPurchase,
        at: i64,
    ) {
        let Some(person) = purchase.person else { return };
        let when = PurchaseTimes::at_once(at);
        let on = PurchaseReference { number, person, shop: purchase.shop, when };
        let bought_at = self.played(number, purchase, at).issuer_record.authorisation.created;
        match message.content {
            MessageContent::Capture(_, presentment) => self.books.capture(on, presentment),
            MessageContent::Refund(_, presentment) => self.books.refund(on, presentment),
            MessageContent::AuthorisationSnapshot(snapshot) => {
                let when = PurchaseTimes { bought_at, ..when };
                self.books.apply_snapshot(PurchaseReference { when, ..on }, snapshot);
            }
        }
    }
}

fn stored(reply: Option<&GatewayReply>) -> (ResponseOutcome, Vec<String>) {
    match reply {
        Some(reply) if reply.status == 200 => (ResponseOutcome::Stored, Vec::new()),
        Some(reply) => (
            ResponseOutcome::Unusable,
            vec![format!("the event was answered {}: {}", reply.status, reply.body)],
        ),
        None => (ResponseOutcome::Unusable, vec!["the event was not answered".to_owned()]),
    }
}
