//! One budget's book, and how events change it.

use super::change::{ChangeCause, PurchaseChange};
use super::purchase_message::{MatchStatus, PurchaseMessage};
use crate::card_path::error::CardPathError;
use crate::domain::card::CardState;
use crate::domain::id::PotId;
use crate::domain::money::{Money, MoneyError};
use crate::domain::pot::{FundingSource, PotPart, drain};
use crate::domain::purchase::dispute::DisputeReport;
use crate::domain::purchase::presentment::{
    AuthorisationSnapshot, EventBody, HoldAdjustment, HoldChange, Presentment, PresentmentDirection,
};
use crate::domain::purchase::{IssuerSnapshot, Purchase};
use crate::domain::shop::merchant::{Mcc, ShopCategories};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, PostingCause, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::{
    capture_transfers, dispute_transfers, hold_transfers, refund_transfers,
};
use crate::ledger::record::event::{EventState, IssuerEventRow, presentment_digest};
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::Record as _;
use crate::platform::ids::NewIds;
use crate::programme::directory::Programme;
use crate::store::PendingWrites;

/// The locked book of one budget, and what booking in it needs.
pub(super) struct LifecycleContext<'a> {
    pub(super) book: &'a mut Book,
    pub(super) programme: &'a Programme,
    pub(super) ids: &'a NewIds,
}

impl LifecycleContext<'_> {
    /// Adds the purchase of an event if it is unknown. A known purchase for which nothing was ever
    /// held or captured restarts with the counting attributes and the margin of this event.
    pub(super) fn add_purchase(&mut self, message: &PurchaseMessage<'_>) {
        if self.is_in_other_currency(message) {
            return;
        }
        let key = message.key();
        let Some(begun) = message.new_purchase(self.book, self.programme) else { return };
        match self.book.purchases.get_mut(&key) {
            Some(known) if known.is_untouched() => {
                known.restart(begun.counted, begun.margin.percent());
            }
            Some(_) => {}
            None => drop(self.book.purchases.insert(key, begun)),
        }
    }

    pub(super) fn is_in_other_currency(&self, message: &PurchaseMessage<'_>) -> bool {
        message.currency().is_some_and(|currency| currency != self.book.currency)
    }

    /// Books one event that is not booked yet.
    pub(super) fn book(
        &mut self,
        message: &PurchaseMessage<'_>,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let event = message.event;
        if self.is_in_other_currency(message) {
            // A budget's book has one currency, so an event in another one is only stored.
            pending_writes.add_exception(self.message_note(
                message,
                "other_currency",
                String::new(),
            ));
            if message.state == EventState::Booked {
                pending_writes.events.push(event.row(EventState::StoredOnly));
            }
            return Ok(());
        }
        let row = event.row(message.state);
        let digest = Digest::of_row(IssuerEventRow::TABLE, &row);
        if message.state == EventState::Booked {
            pending_writes.events.push(row);
        }
        let before = self.book.purchases.get(&message.key()).cloned();
        match &event.event.body {
            EventBody::Snapshot(report) => self.apply_snapshot(message, report, digest)?,
            EventBody::HoldChange(report) => self.change_hold(message, report, digest)?,
            EventBody::Presentment(presentment) => {
                self.book_presentment(message, presentment, digest, pending_writes)?;
            }
            EventBody::Dispute(report) => self.book_dispute(message, report, digest)?,
            EventBody::Unclear { .. } | EventBody::Other => {}
        }
        self.record_change(message, before.as_ref(), pending_writes)
    }

    /// Derives exceptions and notifications from the change of the purchase.
    fn record_change(
        &self,
        message: &PurchaseMessage<'_>,
        before: Option<&Purchase>,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let after = self.book.purchases.get(&message.key());
        let Some((before, after)) = before.zip(after) else { return Ok(()) };
        let change = PurchaseChange {
            before,
            after,
            cause: ChangeCause::Message(message.event),
            at: message.booked_at,
        };
        self.note_findings(&change, pending_writes)?;
        self.note_answers(&change, message, pending_writes);
        self.note_presentment(&change, message, pending_writes);
        self.note_dispute(&change, message, pending_writes);
        let refused = self.issuer_declines(message, before);
        self.notify(&change, &refused, pending_writes)?;
        Ok(())
    }

    /// Applies a snapshot, and adjusts the hold to it.
    fn apply_snapshot(
        &mut self,
        message: &PurchaseMessage<'_>,
        report: &AuthorisationSnapshot,
        record: Digest,
    ) -> Result<(), CardPathError> {
        let snapshot = IssuerSnapshot { status: report.status, position: report.position.clone() };
        self.update_hold(message, record, |purchase| {
            purchase.apply_snapshot(snapshot);
            Ok(())
        })
    }

    fn change_hold(
        &mut self,
        message: &PurchaseMessage<'_>,
        report: &HoldChange,
        record: Digest,
    ) -> Result<(), CardPathError> {
        let change = report.change;
        self.update_hold(message, record, |purchase| {
            match change {
                HoldAdjustment::Raised { by } => {
                    purchase.raised = purchase.raised.checked_add(by)?;
                }
                HoldAdjustment::Lowered { by } => {
                    purchase.lowered = purchase.lowered.checked_add(by)?;
                }
            }
            Ok(())
        })
    }

    /// Releases what the purchase holds for a capture that names it but was booked elsewhere,
    /// because it does not fit. `message` must carry a posting id that no other posting has.
    pub(super) fn release_moved_capture(
        &mut self,
        message: &PurchaseMessage<'_>,
        amount: Money,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let key = message.key();
        let Some(before) = self.book.purchases.get(&key).cloned() else { return Ok(()) };
        let record = Digest::of_row(IssuerEventRow::TABLE, &message.event.row(message.state));
        let cause = self.cause(message, PostingKind::StatusUpdate, record);
        self.book.change(&key, cause, |purchase, pots| {
            purchase.captured_elsewhere = purchase.captured_elsewhere.checked_add(amount)?;
            hold_transfers(purchase, pots, &[])
        })?;
        self.record_change(message, Some(&before), pending_writes)
    }

    /// Applies a dispute, and moves its money to where the dispute now puts it.
    fn book_dispute(
        &mut self,
        message: &PurchaseMessage<'_>,
        report: &DisputeReport,
        record: Digest,
    ) -> Result<(), CardPathError> {
        let cause = self.cause(message, PostingKind::Dispute, record);
        let others = self.pots_for(&message.key(), &cause);
        self.book.change(&message.key(), cause, |purchase, pots| {
            purchase.apply_dispute(report);
            dispute_transfers(purchase, pots, &others)
        })?;
        Ok(())
    }

    fn cause(
        &self,
        message: &PurchaseMessage<'_>,
        kind: PostingKind,
        record: Digest,
    ) -> PostingCause {
        let event = message.event;
        let is_presentment = matches!(kind, PostingKind::Capture | PostingKind::Refund);
        let presentment = message.presentment().filter(|_| is_presentment);
        let reference = presentment.map_or(&event.event.reference, |found| &found.reference);
        PostingCause {
            posting: message.posting,
            kind,
            subject: format!("{}/{reference}", event.connection),
            record,
            moment: Moment::new(message.booked_at, self.programme.zone()),
        }
    }

    /// Applies what an event says about a hold, and adjusts the hold to the new target.
    fn update_hold(
        &mut self,
        message: &PurchaseMessage<'_>,
        record: Digest,
        apply: impl FnOnce(&mut Purchase) -> Result<(), MoneyError>,
    ) -> Result<(), CardPathError> {
        let cause = self.cause(message, PostingKind::StatusUpdate, record);
        let key = message.key();
        let sources = self.sources(&key, &cause);
        let other_kind = self.other_kind(message);
        self.book.change(&key, cause, |purchase, pots| {
            message.note_currency(purchase);
            remember_kind(purchase, other_kind);
            apply(purchase)?;
            let parts = parts(purchase, &sources)?;
            hold_transfers(purchase, pots, &parts)
        })?;
        Ok(())
    }

    fn book_presentment(
        &mut self,
        message: &PurchaseMessage<'_>,
        presentment: &Presentment,
        event: Digest,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), CardPathError> {
        let key = message.key();
        let Some(purchase) = self.book.purchases.get(&key) else { return Ok(()) };
        let row = message.event.presentment_row(presentment, purchase);
        let record = presentment_digest(event, &row);
        pending_writes.presentments.push(row);
        let kind = match presentment.direction {
            PresentmentDirection::Capture => PostingKind::Capture,
            PresentmentDirection::Refund => PostingKind::Refund,
        };
        let cause = self.cause(message, kind, record);
        let others = self.pots_for(&key, &cause);
        let (other_kind, card) = (self.other_kind(message), self.card_state(message));
        let Presentment { direction, amount, releases, .. } = presentment;
        self.book.change(&key, cause, |purchase, pots| {
            message.note_currency(purchase);
            if let Some(releases) = releases {
                purchase.lowered = purchase.lowered.checked_add(*releases)?;
            }
            if let Some(theirs) = presentment.about.merchant_amount {
                purchase.add_merchant_amount(*direction, theirs)?;
            }
            match direction {
                PresentmentDirection::Capture => {
                    // A capture that does not fit already has an exception for its link.
                    remember_kind(
                        purchase,
                        other_kind.filter(|_| message.match_status == MatchStatus::Matched),
                    );
                    purchase.record_capture(*amount);
                    let anomalies = &mut purchase.anomalies;
                    anomalies.is_declined |= message.is_declined;
                    anomalies.is_unlinked |= message.match_status == MatchStatus::Unlinked;
                    anomalies.is_moved |= message.match_status == MatchStatus::OwnPurchase;
                    let stopped = card.filter(|state| state.is_stopped());
                    anomalies.stopped_card =
                        anomalies.stopped_card.into_iter().chain(stopped).min();
                    capture_transfers(purchase, pots, *amount, &others)
                }
                PresentmentDirection::Refund => {
                    purchase.anomalies.is_moved |= message.match_status == MatchStatus::OwnPurchase;
                    refund_transfers(purchase, pots, *amount)
                }
            }
        })?;
        Ok(())
    }

    /// The state of the event's card; `None` for a card that no person holds.
    fn card_state(&self, message: &PurchaseMessage<'_>) -> Option<CardState> {
        let card = self.book.card(&message.event.connection, &message.about?.card)?;
        Some(card.status.at(message.booked_at))
    }

    /// The event's MCC, if its category differs from the known one of the purchase.
    fn other_kind(&self, message: &PurchaseMessage<'_>) -> Option<Mcc> {
        let purchase = self.book.purchases.get(&message.key())?;
        let mcc = message.about?.merchant.mcc()?;
        let is_known = purchase.counted.mcc.is_some();
        let category = self.programme.rules.category_of(Some(mcc));
        (is_known && *category != purchase.counted.category).then_some(mcc)
    }

    /// The pots that may pay for the purchase, in drain order.
    fn pots_for(&self, key: &PurchaseKey, cause: &PostingCause) -> Vec<PotId> {
        self.sources(key, cause).into_iter().map(|source| source.pot).collect()
    }

    /// What is left in the pots that may pay for the purchase, in drain order.
    fn sources(&self, key: &PurchaseKey, cause: &PostingCause) -> Vec<FundingSource> {
        let Some(owner) = &self.book.owner else { return Vec::new() };
        let Some(purchase) = self.book.purchases.get(key) else { return Vec::new() };
        let streams = &self.programme.settings.streams;
        let counted = &purchase.counted;
        let also = self.programme.rules.kinds_of(counted.mcc).also;
        let kinds = ShopCategories { category: &counted.category, also };
        let order = owner.agreement.drain_order(streams, kinds, cause.moment.date);
        let left = |pot| self.book.pots.left(pot, self.book.currency);
        // A capture must be paid: the person's own pots come last, whether they pay now or not.
        let pots = &self.book.pots.0;
        let own = pots.iter().filter(|(_, balance)| {
            let goal = balance.own.goal.as_ref();
            goal.is_some_and(|goal| order.iter().any(|plan| plan.id == goal.of))
        });
        let ids = order.iter().map(|plan| &plan.id).chain(own.map(|(id, _)| id));
        ids.map(|id| FundingSource { pot: id.clone(), available: left(id) }).collect()
    }
}

fn remember_kind(purchase: &mut Purchase, other: Option<Mcc>) {
    let known = purchase.anomalies.other_kind;
    purchase.anomalies.other_kind = known.into_iter().chain(other).min();
}

/// What is missing from the target hold, split over `sources`.
fn parts(purchase: &Purchase, sources: &[FundingSource]) -> Result<Vec<PotPart>, MoneyError> {
    let missing = purchase.target_hold()?.saturating_sub(purchase.held()?)?;
    drain(missing, sources)
}
