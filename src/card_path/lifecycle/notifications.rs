//! Notifications to the person about a purchase, written in the same transaction as the event.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::BookingTask;
use super::change::PurchaseChange;
use super::context::LifecycleContext;
use super::purchase_message::PurchaseMessage;
use crate::domain::id::MessageId;
use crate::domain::money::MoneyError;
use crate::domain::people::recipient::Recipient;
use crate::domain::purchase::decline_thread::{DeclineThread, shop_of};
use crate::domain::purchase::issuer_decline::{IssuerDecline, IssuerDeclineReason};
use crate::domain::purchase::notice::{NoticeContext, PurchaseNotice, notices};
use crate::domain::purchase::presentment::{AuthorisationSnapshot, EventBody};
use crate::domain::purchase::{IncrementState, Purchase};
use crate::ledger::record::decision::DecisionOutcome;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::ledger::record::row::Digest;
use crate::messages::words::{PurchaseContext, Words};
use crate::store::{
    MessageThread, NewMessage, PendingWrites, PurchaseReferenceKey, StoreError, Tx,
};

/// Marks in `tasks` which of the requests that an issuer reports as declined we declined ourselves,
/// because the person was already notified of those. Reads nothing in the usual case that no
/// snapshot ends with a decline.
pub(super) async fn find_own_declines(
    tx: &mut Tx,
    tasks: &mut [BookingTask<'_>],
) -> Result<(), StoreError> {
    let is_refused = |task: &&BookingTask<'_>| {
        let report = snapshot_of(&task.message);
        report.is_some_and(|report| report.answers.last().is_some_and(|a| !a.is_approved))
    };
    let names: BTreeSet<_> = tasks.iter().filter(is_refused).map(purchase_name).collect();
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut declined: BTreeMap<PurchaseReferenceKey, BTreeSet<u32>> = BTreeMap::new();
    for answer in tx.decisions_of_purchases(&names).await? {
        let is_declined = matches!(answer.outcome, DecisionOutcome::Declined(_));
        if let Some(request) = answer.request().filter(|_| is_declined) {
            let name = (answer.programme, answer.connection, answer.purchase);
            declined.entry(name).or_default().insert(request.sequence);
        }
    }
    for task in tasks {
        if let Some(ours) = declined.get(&purchase_name(task)) {
            task.message.own_declines.clone_from(ours);
        }
    }
    Ok(())
}

fn snapshot_of<'a>(message: &PurchaseMessage<'a>) -> Option<&'a AuthorisationSnapshot> {
    match &message.event.event.body {
        EventBody::Snapshot(report) => Some(report),
        EventBody::HoldChange(_)
        | EventBody::Presentment(_)
        | EventBody::Dispute(_)
        | EventBody::Unclear { .. }
        | EventBody::Other => None,
    }
}

fn purchase_name(task: &BookingTask<'_>) -> PurchaseReferenceKey {
    let event = task.message.event;
    (event.programme.clone(), event.connection.clone(), task.message.purchase.clone())
}

impl LifecycleContext<'_> {
    /// Adds the messages about a change: to the owner of the budget and, where needed, to the staff
    /// on duty. None for a card that no person holds.
    pub(super) fn notify(
        &self,
        change: &PurchaseChange<'_>,
        refused: &[IssuerDecline],
        pending_writes: &mut PendingWrites,
    ) -> Result<(), MoneyError> {
        let PurchaseChange { before, after, at, .. } = *change;
        let Some(owner) = self.book.owner.as_ref().filter(|_| before != after) else {
            return Ok(());
        };
        let card = self.book.card(&after.connection, &after.card);
        let is_card_stopped = card.is_some_and(|card| card.status.at(at).is_stopped());
        let pot_names = BTreeMap::new();
        let zone = self.programme.zone();
        let purchase_context = PurchaseContext {
            person_name: &owner.name,
            ..PurchaseContext::bare(after.captured, zone, &pot_names)
        };
        let words = Words::english();
        for notice in notices(before, after, NoticeContext { refused, is_card_stopped })? {
            let body = words.notice(&notice, &purchase_context);
            let thread = message_thread(&notice, after, at);
            let message = self.new_message(change, &notice, (Recipient::Person, body));
            pending_writes.messages.push(NewMessage { thread, ..message });
            if notice.is_for_duty() {
                let body = words.stopped_card_paid();
                pending_writes.messages.push(self.new_message(
                    change,
                    &notice,
                    (Recipient::Duty, body),
                ));
            }
        }
        Ok(())
    }

    fn new_message(
        &self,
        change: &PurchaseChange<'_>,
        notice: &PurchaseNotice,
        (recipient, body): (Recipient, String),
    ) -> NewMessage {
        NewMessage {
            id: MessageId::new(self.ids.next(change.at)),
            programme: self.book.programme.clone(),
            budget: self.book.budget.clone(),
            kind: notice.kind(),
            subject: change.after.id.to_string(),
            body,
            created_at: change.at,
            recipient,
            facts: facts(notice, change.after),
            thread: None,
            due_at: None,
        }
    }

    /// The requests that the issuer declined by itself and that are new: those after the last
    /// approval, and not reported before.
    pub(super) fn issuer_declines(
        &self,
        message: &PurchaseMessage<'_>,
        before: &Purchase,
    ) -> Vec<IssuerDecline> {
        let Some(report) = snapshot_of(message) else { return Vec::new() };
        let connections = &self.programme.settings.connections;
        let known = connections.iter().find(|known| known.id == message.event.connection);
        let Some(issuer) = known.map(|known| known.issuer) else {
            return Vec::new();
        };
        let known_answers = before.snapshot.as_ref().map_or(0, |last| last.position.answers);
        let mut refused = Vec::new();
        for (sequence, answer) in (0_u32..).zip(&report.answers) {
            if answer.is_approved {
                refused.clear();
                continue;
            }
            let increment =
                before.increments.iter().find(|increment| increment.sequence == sequence);
            let is_withdrawn = increment.is_some_and(|p| p.state == IncrementState::Withdrawn);
            let is_ours = is_withdrawn || message.own_declines.contains(&sequence);
            if sequence >= known_answers && !is_ours {
                // A decline of ours without a record was sent because of our own fault.
                let why = issuer.decline_reason(answer.reason.as_deref());
                let why = why.unwrap_or(IssuerDeclineReason::OurFault);
                let was_approved_by_us = increment.is_some();
                refused.push(IssuerDecline { asked: answer.amount, why, was_approved_by_us });
            }
        }
        refused
    }
}

fn facts(notice: &PurchaseNotice, purchase: &Purchase) -> String {
    let (amount, other) = notice.amounts();
    let facts = MessageParameters::default()
        .text("purchase", purchase.id.to_string())
        .text("connection", purchase.connection.as_str())
        .text("reference", purchase.reference.as_str())
        .money("amount", amount);
    let facts = match other {
        Some(other) => facts.money("other", other),
        None => facts,
    };
    let why = notice.refused().map(|refused| refused.why.word());
    facts.optional("why", why).to_text()
}

/// Repeated declines by the issuer share one thread, as our own declines do.
fn message_thread(
    notice: &PurchaseNotice,
    purchase: &Purchase,
    at: Timestamp,
) -> Option<MessageThread> {
    let refused = notice.refused()?;
    let counted = &purchase.counted;
    let thread = DeclineThread {
        card: &purchase.card,
        shop: &shop_of(&counted.shop, counted.mcc),
        reason: &format!("issuer:{}", refused.why.word()),
        presence: counted.presence,
        amount: refused.asked,
    };
    let digest = Digest::of_text(&thread.thread_key());
    Some(MessageThread { digest, since: thread.since(at) })
}
