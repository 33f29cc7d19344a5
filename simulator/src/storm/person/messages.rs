//! Messages: what each move of the script sends, made from the issuer's records.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;

use super::PersonRunner;
use crate::{
    books::Books,
    client::GatewayEndpoint,
    issuers::{
        issuer_record::{AmountShare, IssuerMessage, IssuerRecord, MessageContent},
        stripe::{self, AuthorisationLink, StripeAuthorisation, StripeStatus},
    },
    oracle::AuthorisationRequest,
    programme::{CardState, Connection},
    report::MessageKind,
    storm::{
        plan::{DeliveryMode, PurchaseLife, RequestAmount, StormAction, StormMove},
        possible_books::MessageEffect,
        transport::MessageEnvelope,
    },
};

/// A message that is ready to be sent.
pub(super) struct OutgoingMessage {
    pub(super) life: usize,
    pub(super) kind: MessageKind,
    pub(super) amount_minor: i64,
    pub(super) mode: DeliveryMode,
    pub(super) envelope: MessageEnvelope,
    pub(super) effect: Option<MessageEffect>,
}

impl PersonRunner {
    /// Makes the message of a move; `None` when it is impossible, as a capture after a decline, or
    /// is not sent now.
    pub(super) fn make(&mut self, planned: &StormMove) -> anyhow::Result<Option<OutgoingMessage>> {
        let at = self.shared.now();
        self.open_issuer_record(planned.life, at)?;
        if let StormAction::Ask(amount) = planned.act {
            return self.make_authorisation(planned, amount, at);
        }
        let id = self.next_id("ipi");
        let issuer_record =
            self.issuer_records.get_mut(&planned.life).context("a life without its file")?;
        let message = match planned.act {
            StormAction::Ask(_) => None,
            StormAction::Refuse(amount) => issuer_record.refuse(amount, at),
            StormAction::Confirm => issuer_record.confirm(at),
            StormAction::Lower(less) => issuer_record.lower(less, at),
            StormAction::Finalise(total) => issuer_record.finalise(total, at),
            StormAction::Reverse => issuer_record.reverse(at),
            StormAction::Revive(amount) => issuer_record.revive(amount, at),
            StormAction::Expire => issuer_record.expire(at),
            StormAction::Close => issuer_record.close(at),
            StormAction::Capture(share) => issuer_record.capture(&id, share, at),
            StormAction::Force(amount) => {
                Some(issuer_record.force(&id, amount, AuthorisationLink::Linked, at))
            }
            StormAction::ForceUnlinked(amount) => {
                Some(issuer_record.force(&id, amount, AuthorisationLink::Unlinked, at))
            }
            StormAction::Refund(share) => {
                issuer_record.refund(&id, share, AuthorisationLink::Linked, at)
            }
            StormAction::RefundUnlinked(amount) => {
                Some(issuer_record.refund_unlinked(&id, amount, at))
            }
            StormAction::RefundAtAnotherRate(more) => {
                issuer_record.refund_at_another_rate(&id, more, at)
            }
            StormAction::StandIn(amount) => {
                issuer_record.stand_in(amount, at);
                return Ok(None);
            }
            StormAction::RefundMislinked(named) => {
                return self.make_mislinked_refund(planned, named, &id, at);
            }
        };
        let Some(message) = message else {
            let is_of_past = self.life(planned.life)?.past.is_some();
            if is_of_past && matches!(planned.act, StormAction::Refund(_)) {
                self.shared.note("money back for what was not paid this time");
            }
            return Ok(None);
        };
        let mut outgoing = self.event(planned.life, message, planned.mode)?;
        match planned.mode {
            DeliveryMode::Never => {
                self.shared.note("an event that is never told");
                return Ok(None);
            }
            DeliveryMode::Late(moves) => {
                self.shared.note("an event that is told late");
                outgoing.mode = DeliveryMode::Plain;
                self.deferred.push((self.moves_made + moves, outgoing));
                return Ok(None);
            }
            DeliveryMode::AgainLater(moves) => {
                self.shared.note("an event that is told again later");
                let (envelope, kind) = (outgoing.envelope.clone(), MessageKind::DeliveredAgain);
                let again = OutgoingMessage {
                    kind,
                    mode: DeliveryMode::Plain,
                    envelope,
                    effect: None,
                    ..outgoing
                };
                self.deferred.push((self.moves_made + moves, again));
            }
            DeliveryMode::Again | DeliveryMode::Twice => {
                self.shared.note("an event that is told twice");
            }
            DeliveryMode::Plain | DeliveryMode::AnswerLost | DeliveryMode::BrokenOff(_) => {}
        }
        Ok(Some(outgoing))
    }

    /// A refund that the issuer links to another purchase.
    fn make_mislinked_refund(
        &mut self,
        planned: &StormMove,
        named: usize,
        id: &str,
        at: i64,
    ) -> anyhow::Result<Option<OutgoingMessage>> {
        let number = self.life(named)?.number;
        let issuer_record =
            self.issuer_records.get(&planned.life).context("a life without its file")?;
        let message = issuer_record.refund(id, AmountShare::Half, AuthorisationLink::Linked, at);
        let theirs = self.issuer_records.get(&named).filter(|_| self.possible_books.know(number));
        let Some((mut message, theirs)) = message.zip(theirs) else { return Ok(None) };
        let guessed = Value::String(theirs.authorisation.id.clone());
        if let Some(link) = message.object.get_mut("authorization") {
            *link = guessed;
        }
        self.shared.note("money back that names another purchase");
        let mut outgoing = self.event(planned.life, message, planned.mode)?;
        if let Some(MessageEffect::EventReported { number: on, .. }) = &mut outgoing.effect {
            *on = number;
        }
        Ok(Some(outgoing))
    }

    /// An authorisation request; `None` when the purchase is over.
    fn make_authorisation(
        &mut self,
        planned: &StormMove,
        amount: RequestAmount,
        at: i64,
    ) -> anyhow::Result<Option<OutgoingMessage>> {
        let life = self.life(planned.life)?.clone();
        let amount_minor = match amount {
            RequestAmount::Exactly(amount) => amount,
            RequestAmount::MostOfBalance => self.most_of_balance(&life),
        };
        let id = self.next_id("evt");
        let connection = self.connection(&life)?;
        let issuer_record =
            self.issuer_records.get(&planned.life).context("a life without its file")?;
        let authorisation = &issuer_record.authorisation;
        let sequence = authorisation.history.len();
        let is_first = sequence == 0;
        if !is_first && !issuer_record.is_open() && authorisation.status != StripeStatus::Reversed {
            return Ok(None);
        }
        match planned.mode {
            DeliveryMode::Again | DeliveryMode::Twice => {
                self.shared.note("a question that is asked twice");
            }
            DeliveryMode::AnswerLost => self.shared.note("an answer that gets lost"),
            DeliveryMode::BrokenOff(_) => self.shared.note("a connection that breaks off"),
            DeliveryMode::Plain
            | DeliveryMode::Late(_)
            | DeliveryMode::AgainLater(_)
            | DeliveryMode::Never => {}
        }
        let object = authorisation.request(amount_minor);
        let name = "issuing_authorization.request";
        let body = stripe::event(&id, name, &connection.api_version, at, &object, None).to_string();
        let request = AuthorisationRequest {
            number: life.number,
            person: (life.card.state != CardState::Unknown).then_some(0),
            card: life.card.state,
            shop: life.shop,
            amount_minor,
            is_amount_controllable: life.is_amount_controllable,
            fee_minor: life.fee_minor,
            is_foreign: life.foreign_currency.is_some(),
            bought_at: authorisation.created,
        };
        Ok(Some(OutgoingMessage {
            life: planned.life,
            kind: if is_first { MessageKind::Purchase } else { MessageKind::Raised },
            amount_minor,
            mode: planned.mode,
            envelope: MessageEnvelope {
                connection,
                endpoint: GatewayEndpoint::Authorisations,
                body,
            },
            effect: Some(MessageEffect::AuthorisationRequested {
                request,
                sequence,
                received: None,
            }),
        }))
    }

    /// The event for a message of the issuer's record.
    pub(super) fn event(
        &mut self,
        life: usize,
        message: IssuerMessage,
        mode: DeliveryMode,
    ) -> anyhow::Result<OutgoingMessage> {
        let id = self.next_id("evt");
        let planned = self.life(life)?;
        let (shop, state) = (planned.shop, planned.card.state);
        let connection = self.connection(planned)?;
        let number = planned.number;
        let authorised_at =
            self.issuer_records.get(&life).map(|issuer_record| issuer_record.authorisation.created);
        let own = self.next_unlinked_number();
        let (number, bought_at) = match message.content {
            MessageContent::Capture(AuthorisationLink::Unlinked, _)
            | MessageContent::Refund(AuthorisationLink::Unlinked, _) => (own, message.created),
            MessageContent::Capture(AuthorisationLink::Linked, _)
            | MessageContent::Refund(AuthorisationLink::Linked, _) => (number, message.created),
            MessageContent::AuthorisationSnapshot(_) => {
                (number, authorised_at.unwrap_or(message.created))
            }
        };
        let IssuerMessage { name, kind, amount_minor, created, object, previous, content } =
            message;
        let version = &connection.api_version;
        let body = stripe::event(&id, name, version, created, &object, previous.as_ref());
        let told =
            MessageEffect::EventReported { number, own, whose: (0, shop), content, bought_at };
        Ok(OutgoingMessage {
            life,
            kind,
            amount_minor,
            mode,
            envelope: MessageEnvelope {
                connection,
                endpoint: GatewayEndpoint::Events,
                body: body.to_string(),
            },
            effect: (state != CardState::Unknown).then_some(told),
        })
    }

    /// Most of the money that the person has for the shop.
    fn most_of_balance(&self, life: &PurchaseLife) -> i64 {
        let today = |books: &Books| books.local(self.shared.now()).date();
        let parts = self
            .possible_books
            .one()
            .map(|books| books.cover(0, life.shop, i64::MAX, today(books)));
        let all: i64 = parts.iter().flatten().map(|(_, part)| part).sum();
        (all * 6 / 10).max(1)
    }

    fn connection(&self, life: &PurchaseLife) -> anyhow::Result<Arc<Connection>> {
        let name = &life.card.connection;
        let connection = self.shared.connections.get(name);
        connection.cloned().with_context(|| format!("no connection {name}"))
    }

    /// Opens the issuer's record of the purchase, unless there is one.
    fn open_issuer_record(&mut self, life: usize, at: i64) -> anyhow::Result<()> {
        if self.issuer_records.contains_key(&life) {
            return Ok(());
        }
        let planned = self.life(life)?.clone();
        if planned.foreign_currency.is_some() {
            self.possible_books.mark_foreign(planned.number);
        }
        self.possible_books.set_fee(planned.number, planned.fee_minor);
        let id = format!("iauth_1Sim{:X}n{:07}", self.shared.seed, planned.number);
        let currency = &self.shared.programme.currency;
        let mut issuer_record = IssuerRecord::new(StripeAuthorisation {
            is_amount_controllable: planned.is_amount_controllable,
            fee_minor: planned.fee_minor,
            foreign_currency: planned.foreign_currency,
            ..StripeAuthorisation::new(id, &planned.card, planned.shop, currency, at)
        });
        issuer_record.reuses_timestamps = planned.reuses_timestamps;
        self.issuer_records.insert(life, issuer_record);
        Ok(())
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.messages += 1;
        // The digits are shuffled, so that the ids are not in order of time.
        let shuffled = self.messages * 617 % 1000;
        let (seed, person) = (self.shared.seed, self.script.person);
        format!("{prefix}_{shuffled:03}Sim{seed:X}p{person}n{:06}", self.messages)
    }

    fn next_unlinked_number(&mut self) -> usize {
        self.last_unlinked_number += 1;
        self.last_unlinked_number
    }
}
