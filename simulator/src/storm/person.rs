//! Runs one person's script, concurrently with everybody else's.
//!
//! A person's messages are sent one after another, except for those that are concurrent on purpose.
//! So the expected answers are known, regardless of how many people there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    SharedState,
    plan::{DeliveryMode, PersonScript, PurchaseLife, RequestAmount, StormAction, StormMove},
    possible_books::{MessageEffect, PossibleBooks, ReceivedAnswer},
    transport::MessageEnvelope,
};
use crate::{
    answers::StripeResponse,
    books::Books,
    client::{GatewayEndpoint, GatewayReply},
    differences::Difference,
    issuers::{
        issuer_record::{AmountShare, IssuerMessage, IssuerRecord, MessageContent},
        stripe::{self, AuthorisationLink, RequestOutcome, StripeAuthorisation, StripeStatus},
    },
    oracle::{AuthorisationRequest, ExpectedDecision},
    programme::{CardState, Connection},
    report::{MessageKind, ResponseOutcome, money},
};

/// Limit on the person's concurrent messages.
const AT_ONCE_MAX: usize = 3;
/// First number of the purchases made for unlinked captures and refunds, which no plan numbers.
const FIRST_UNLINKED_NUMBER: usize = 1 << 40;

/// A person's script, the issuer's records of their purchases, and their possible books.
pub(super) struct PersonRunner {
    shared: Arc<SharedState>,
    script: PersonScript,
    name: String,
    possible_books: PossibleBooks,
    /// By life.
    issuer_records: BTreeMap<usize, IssuerRecord>,
    /// Deferred events with the count of moves after which they are sent.
    deferred: Vec<(usize, DeferredMessage)>,
    moves_made: usize,
    messages: usize,
    last_unlinked_number: usize,
}

/// A message that is ready to be sent.
struct OutgoingMessage {
    life: usize,
    kind: MessageKind,
    amount_minor: i64,
    mode: DeliveryMode,
    envelope: MessageEnvelope,
    effect: Option<MessageEffect>,
}

/// A deferred event. Without an effect it repeats one that was sent before.
type DeferredMessage = OutgoingMessage;

/// The result of one message.
struct DeliveryResult {
    answer: ResponseOutcome,
    reason: Option<String>,
    /// Whether the issuer received the response; if not, it decides by itself.
    is_answer_received: bool,
    latency: Duration,
    broken: Vec<String>,
}

impl PersonRunner {
    pub(super) fn new(shared: Arc<SharedState>, script: PersonScript) -> anyhow::Result<Self> {
        let programme = &shared.programme;
        let person = programme.people.get(script.person).context("a script without its person")?;
        let books = Books::open_for(programme, std::slice::from_ref(person))?;
        Ok(Self {
            name: person.id.clone(),
            possible_books: PossibleBooks::new(books),
            issuer_records: BTreeMap::new(),
            deferred: Vec::new(),
            moves_made: 0,
            messages: 0,
            last_unlinked_number: FIRST_UNLINKED_NUMBER,
            shared,
            script,
        })
    }

    pub(super) fn person(&self) -> usize {
        self.script.person
    }

    pub(super) fn into_possible_books(self) -> PossibleBooks {
        self.possible_books
    }

    /// Executes all moves up to `slot`. The last slot also sends all deferred events.
    pub(super) async fn run_until(&mut self, slot: usize) -> anyhow::Result<()> {
        while let Some(planned) = self.next(slot) {
            self.shared.wait_for_turn(self.turn(&planned)).await;
            self.deliver_late(false).await?;
            let mut outgoing = Vec::new();
            let mut lives = BTreeSet::new();
            let mut open = Some(planned);
            while let Some(planned) = open.take() {
                let is_with_next = planned.is_with_next;
                lives.insert(planned.life);
                self.moves_made += 1;
                outgoing.extend(self.make(&planned)?);
                if is_with_next && outgoing.len() < AT_ONCE_MAX {
                    let next = self.next(slot);
                    open = next.filter(|next| !lives.contains(&next.life));
                }
            }
            self.send(outgoing).await?;
        }
        if slot + 1 >= super::plan::SLOTS {
            self.deliver_late(true).await?;
        }
        Ok(())
    }

    fn next(&self, slot: usize) -> Option<StormMove> {
        self.script.moves.get(self.moves_made).filter(|planned| planned.slot <= slot).cloned()
    }

    /// The turn of the purchase that begins with this move; `None` if none begins.
    fn turn(&self, planned: &StormMove) -> Option<usize> {
        let is_new = !self.issuer_records.contains_key(&planned.life);
        self.script.lives.get(planned.life).filter(|_| is_new).map(|life| life.turn)
    }

    /// Sends the deferred events that are due, or all of them if `is_over`.
    async fn deliver_late(&mut self, is_over: bool) -> anyhow::Result<()> {
        let moves_made = self.moves_made;
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.deferred)
            .into_iter()
            .partition(|(at, _)| is_over || *at <= moves_made);
        self.deferred = later;
        for (_, delivery) in due {
            self.send(vec![delivery]).await?;
        }
        Ok(())
    }

    /// Makes the message of a move; `None` when it is impossible, as a capture after a decline, or
    /// is not sent now.
    fn make(&mut self, planned: &StormMove) -> anyhow::Result<Option<OutgoingMessage>> {
        let at = self.shared.now();
        self.issuer_record(planned.life, at)?;
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

    fn event(
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

    /// Sends messages concurrently, and checks the responses against the books.
    async fn send(&mut self, outgoing: Vec<OutgoingMessage>) -> anyhow::Result<()> {
        if outgoing.is_empty() {
            return Ok(());
        }
        if outgoing.len() > 1 {
            self.shared.note("messages sent at once");
        }
        let before = self.shared.now();
        let shared = Arc::clone(&self.shared);
        let due = outgoing.iter().filter_map(|outgoing| {
            let is_new = outgoing.kind == MessageKind::Purchase;
            self.script.lives.get(outgoing.life).filter(|_| is_new).and_then(|l| shared.due(l.turn))
        });
        let due = due.min();
        let result = deliver(&shared, &outgoing, before, due).await?;
        let times = self.times(before, self.shared.now());
        let mut effects = Vec::new();
        for (outgoing, result) in outgoing.iter().zip(&result) {
            let received = ReceivedAnswer { answer: result.answer, reason: result.reason.clone() };
            effects.extend(outgoing.effect.clone().map(|effect| match effect {
                MessageEffect::AuthorisationRequested { request, sequence, .. } => {
                    let received = (result.answer != ResponseOutcome::Unusable).then_some(received);
                    MessageEffect::AuthorisationRequested { request, sequence, received }
                }
                told @ MessageEffect::EventReported { .. } => told,
            }));
        }
        let taken = self.possible_books.take(&effects, &times);
        self.report(&outgoing, &result, taken.err());
        for (outgoing, result) in outgoing.into_iter().zip(result) {
            if outgoing.envelope.endpoint == GatewayEndpoint::Authorisations {
                self.compare_with_past(&outgoing, &result);
                self.record_answer(&outgoing, &result).await?;
            }
        }
        Ok(())
    }

    /// Compares the answer with the recorded outcome of a recorded purchase.
    fn compare_with_past(&self, outgoing: &OutgoingMessage, result: &DeliveryResult) {
        let Some(life) = self.script.lives.get(outgoing.life) else { return };
        let Some(past) = life.past else { return };
        let is_approved = result.answer.approved_minor(outgoing.amount_minor) > 0;
        if result.answer != ResponseOutcome::Unusable && is_approved != past.was_approved {
            self.shared.differ(&Difference {
                line: past.line,
                shop: life.shop.name,
                amount_minor: outgoing.amount_minor,
                currency: &self.shared.programme.currency,
                was_approved: past.was_approved,
                answer: result.answer,
                reason: result.reason.as_deref(),
            });
        }
    }

    /// Records the response in the issuer's record. Without a usable response the issuer decides by
    /// itself and reports that.
    async fn record_answer(
        &mut self,
        outgoing: &OutgoingMessage,
        result: &DeliveryResult,
    ) -> anyhow::Result<()> {
        let at = self.shared.now();
        let approves = self.life(outgoing.life)?.approves_without_us;
        let issuer_record =
            self.issuer_records.get_mut(&outgoing.life).context("a life without its file")?;
        let asked = outgoing.amount_minor;
        match result.answer {
            ResponseOutcome::Approved | ResponseOutcome::Partial(_)
                if result.is_answer_received =>
            {
                issuer_record.answer(
                    asked,
                    result.answer.approved_minor(asked),
                    RequestOutcome::Approved,
                    at,
                );
                return Ok(());
            }
            ResponseOutcome::NotPaid
                if result.is_answer_received && result.reason.as_deref() != Some("our_fault") =>
            {
                issuer_record.answer(asked, 0, RequestOutcome::Declined, at);
                return Ok(());
            }
            ResponseOutcome::Unusable if result.is_answer_received => {
                issuer_record.answer(asked, 0, RequestOutcome::Declined, at);
            }
            ResponseOutcome::Approved
            | ResponseOutcome::Partial(_)
            | ResponseOutcome::NotPaid
            | ResponseOutcome::Stored
            | ResponseOutcome::Unusable => {
                let stood_in = if approves {
                    (asked, RequestOutcome::StoodIn)
                } else {
                    (0, RequestOutcome::Timeout)
                };
                issuer_record.answer(asked, stood_in.0, stood_in.1, at);
            }
        }
        if let Some(message) = issuer_record.confirm(at) {
            let told = self.event(outgoing.life, message, DeliveryMode::Plain)?;
            Box::pin(self.send(vec![told])).await?;
        }
        Ok(())
    }

    fn report(
        &self,
        outgoing: &[OutgoingMessage],
        result: &[DeliveryResult],
        expected: Option<Vec<ExpectedDecision>>,
    ) {
        let mut what = Vec::new();
        for (outgoing, result) in outgoing.iter().zip(result) {
            let reason = result.reason.as_deref();
            self.shared.count(outgoing.kind, result.answer, reason, result.latency);
            for broken in &result.broken {
                what.push(format!("{}: {broken}", self.describe(outgoing)));
            }
        }
        if let Some(expected) = expected {
            let asked: Vec<_> = outgoing
                .iter()
                .zip(result)
                .map(|(outgoing, result)| {
                    let reason = result.reason.as_deref().unwrap_or_default();
                    let answer = describe_answer(result.answer);
                    format!("{} was answered {answer} {reason}", self.describe(outgoing))
                })
                .collect();
            what.push(format!(
                "no order explains it: {}; expected {}",
                asked.join(", and "),
                expected.iter().map(describe).collect::<Vec<_>>().join(", and ")
            ));
        }
        for what in what {
            self.shared.fail_step(format!("{}, move {}: {what}", self.name, self.moves_made));
        }
    }

    fn describe(&self, outgoing: &OutgoingMessage) -> String {
        let life = self.script.lives.get(outgoing.life);
        let authorisation = self
            .issuer_records
            .get(&outgoing.life)
            .map(|issuer_record| issuer_record.authorisation.id.as_str());
        let part = life.filter(|life| life.is_amount_controllable).map_or("", |_| " or part of it");
        format!(
            "{} of {}{part} at {} ({}, {})",
            outgoing.kind,
            money(outgoing.amount_minor, &self.shared.programme.currency),
            life.map_or("", |life| life.shop.name),
            life.map_or("", |life| life.story),
            authorisation.unwrap_or_default(),
        )
    }

    /// The times at which the gateway may have read its clock, one for each local minute.
    fn times(&self, before: i64, after: i64) -> Vec<i64> {
        let minute = |at: i64| {
            self.possible_books.one().map(|books| books.local(at).strftime("%F %H:%M").to_string())
        };
        if before == after || minute(before) == minute(after) {
            vec![before]
        } else {
            vec![before, after]
        }
    }

    fn most_of_balance(&self, life: &PurchaseLife) -> i64 {
        let today = |books: &Books| books.local(self.shared.now()).date();
        let parts = self
            .possible_books
            .one()
            .map(|books| books.cover(0, life.shop, i64::MAX, today(books)));
        let all: i64 = parts.iter().flatten().map(|(_, part)| part).sum();
        (all * 6 / 10).max(1)
    }

    fn life(&self, life: usize) -> anyhow::Result<&PurchaseLife> {
        self.script.lives.get(life).context("a move without its life")
    }

    fn connection(&self, life: &PurchaseLife) -> anyhow::Result<Arc<Connection>> {
        let name = &life.card.connection;
        let connection = self.shared.connections.get(name);
        connection.cloned().with_context(|| format!("no connection {name}"))
    }

    fn issuer_record(&mut self, life: usize, at: i64) -> anyhow::Result<()> {
        if self.issuer_records.contains_key(&life) {
            return Ok(());
        }
        let planned = self.life(life)?.clone();
        if planned.foreign_currency.is_some() {
            self.possible_books.mark_foreign(planned.number);
        }
        self.possible_books.set_fee(planned.number, planned.fee_minor);
        let mut issuer_record = IssuerRecord::new(StripeAuthorisation {
            id: format!("iauth_1Sim{:X}n{:07}", self.shared.seed, planned.number),
            card: planned.card.token.clone(),
            last_four: planned.card.last_four.clone(),
            cardholder: planned.card.token.replacen("ic_", "ich_", 1),
            shop: planned.shop,
            currency: self.shared.programme.currency.to_ascii_lowercase(),
            created: at,
            is_amount_controllable: planned.is_amount_controllable,
            fee_minor: planned.fee_minor,
            foreign_currency: planned.foreign_currency,
            history: Vec::new(),
            amount_minor: 0,
            status: StripeStatus::Pending,
            transactions: Vec::new(),
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

/// Delivers all messages concurrently.
async fn deliver(
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
    let mut broken = Vec::new();
    if outgoing.envelope.endpoint == GatewayEndpoint::Events {
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
        let answer = if stored.refused.is_some() {
            ResponseOutcome::Unusable
        } else {
            ResponseOutcome::Stored
        };
        return Ok(DeliveryResult {
            answer,
            reason: None,
            is_answer_received: true,
            latency: stored.latency,
            broken,
        });
    }
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

/// Formats an answer like [`describe`] formats an expected decision, so that the two are
/// comparable.
fn describe_answer(answer: ResponseOutcome) -> String {
    match answer {
        ResponseOutcome::Partial(part) => format!("approved for {part}"),
        ResponseOutcome::Approved
        | ResponseOutcome::NotPaid
        | ResponseOutcome::Stored
        | ResponseOutcome::Unusable => answer.to_string(),
    }
}

fn describe(expected: &ExpectedDecision) -> String {
    match expected {
        ExpectedDecision::Approve => "approved".to_owned(),
        ExpectedDecision::Part(part) => format!("approved for {part}"),
        ExpectedDecision::Decline(reasons) => {
            format!("not paid: {}", reasons.iter().copied().collect::<Vec<_>>().join(" or "))
        }
    }
}
