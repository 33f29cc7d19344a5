//! One budget's book, and what messages change in it.

use super::LifecycleError;
use super::change::{ChangeCause, PurchaseChange};
use super::links::Link;
use super::shape::Shape;
use crate::domain::card::CardState;
use crate::domain::id::PotId;
use crate::domain::money::{Money, MoneyError};
use crate::domain::pot::{PotPart, Source, drain};
use crate::domain::purchase::dispute::DisputeReport;
use crate::domain::purchase::presentment::{
    Change, Direction, EventBody, HoldChange, Presentment, StandingReport,
};
use crate::domain::purchase::{IssuerWord, Purchase};
use crate::domain::shop::merchant::{Kinds, Mcc};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, Cause, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::{captured, disputed, refunded, settled};
use crate::ledger::record::event::{EventState, ISSUER_EVENT, presentment_digest};
use crate::ledger::record::row::Digest;
use crate::platform::ids::NewIds;
use crate::programme::directory::Programme;
use crate::store::Additions;

/// One budget's locked book, and what booking in it needs.
pub(super) struct LifecycleContext<'a> {
    pub(super) book: &'a mut Book,
    pub(super) programme: &'a Programme,
    pub(super) ids: &'a NewIds,
}

impl LifecycleContext<'_> {
    /// A purchase that nobody told us of before begins with the message that names it; one that
    /// was only declined so far counts from the message on that holds or claims something.
    pub(super) fn add_purchase(&mut self, shape: &Shape<'_>) {
        if self.is_in_other_currency(shape) {
            return;
        }
        let key = shape.key();
        let Some(begun) = shape.new_purchase(self.book, self.programme) else { return };
        match self.book.purchases.get_mut(&key) {
            Some(known) if known.is_untouched() => {
                known.begin_anew(begun.counted, begun.margin.percent());
            }
            Some(_) => {}
            None => drop(self.book.purchases.insert(key, begun)),
        }
    }

    pub(super) fn is_in_other_currency(&self, shape: &Shape<'_>) -> bool {
        shape.currency().is_some_and(|currency| currency != self.book.currency)
    }

    /// Books one message that is not in the books yet.
    pub(super) fn book(
        &mut self,
        shape: &Shape<'_>,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let event = shape.event;
        if self.is_in_other_currency(shape) {
            // The books of a budget have one currency; a message in another is kept for a person.
            additions.note(self.message_note(shape, "other_currency", String::new()));
            if shape.state == EventState::Booked {
                additions.events.push(event.row(EventState::Kept));
            }
            return Ok(());
        }
        let row = event.row(shape.state);
        let digest = Digest::of_row(&ISSUER_EVENT, &row);
        if shape.state == EventState::Booked {
            additions.events.push(row);
        }
        let before = self.book.purchases.get(&shape.key()).cloned();
        match &event.event.body {
            EventBody::Standing(report) => self.stand(shape, report, digest)?,
            EventBody::HoldChange(report) => self.change_hold(shape, report, digest)?,
            EventBody::Presentment(presentment) => {
                self.present(shape, presentment, digest, additions)?;
            }
            EventBody::Dispute(report) => self.dispute(shape, report, digest)?,
            EventBody::Unclear { .. } | EventBody::Other => {}
        }
        self.conclude(shape, before.as_ref(), additions)
    }

    /// Compares the purchase before and after the message.
    fn conclude(
        &self,
        shape: &Shape<'_>,
        before: Option<&Purchase>,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let after = self.book.purchases.get(&shape.key());
        let Some((before, after)) = before.zip(after) else { return Ok(()) };
        let change = PurchaseChange {
            before,
            after,
            cause: ChangeCause::Message(shape.event),
            at: shape.booked_at,
        };
        self.note_findings(&change, additions)?;
        self.note_answers(&change, shape, additions);
        self.note_presentment(&change, shape, additions);
        self.note_dispute(&change, shape, additions);
        let refused = self.refused(shape, before);
        self.tell(&change, &refused, additions)?;
        Ok(())
    }

    /// A snapshot: what it says is held.
    fn stand(
        &mut self,
        shape: &Shape<'_>,
        report: &StandingReport,
        record: Digest,
    ) -> Result<(), LifecycleError> {
        let word = IssuerWord { standing: report.standing, position: report.position.clone() };
        self.settle(shape, record, |purchase| {
            purchase.hear(word);
            Ok(())
        })
    }

    fn change_hold(
        &mut self,
        shape: &Shape<'_>,
        report: &HoldChange,
        record: Digest,
    ) -> Result<(), LifecycleError> {
        let change = report.change;
        self.settle(shape, record, |purchase| {
            match change {
                Change::Raised { by } => purchase.raised = purchase.raised.checked_add(by)?,
                Change::Lowered { by } => purchase.lowered = purchase.lowered.checked_add(by)?,
            }
            Ok(())
        })
    }

    /// A capture that names this purchase was booked elsewhere, because it does not fit: nothing is
    /// held for it here. `shape` has a posting of its own.
    pub(super) fn lose_capture(
        &mut self,
        shape: &Shape<'_>,
        amount: Money,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let key = shape.key();
        let Some(before) = self.book.purchases.get(&key).cloned() else { return Ok(()) };
        let record = Digest::of_row(&ISSUER_EVENT, &shape.event.row(shape.state));
        let cause = self.cause(shape, PostingKind::Standing, record);
        self.book.change(&key, cause, |purchase, pots| {
            purchase.captured_elsewhere = purchase.captured_elsewhere.checked_add(amount)?;
            settled(purchase, pots, &[])
        })?;
        self.conclude(shape, Some(&before), additions)
    }

    /// A dispute: its money is brought to where the dispute now says that it is.
    fn dispute(
        &mut self,
        shape: &Shape<'_>,
        report: &DisputeReport,
        record: Digest,
    ) -> Result<(), LifecycleError> {
        let cause = self.cause(shape, PostingKind::Dispute, record);
        let others = self.pots_for(&shape.key(), &cause);
        self.book.change(&shape.key(), cause, |purchase, pots| {
            purchase.hear_dispute(report);
            disputed(purchase, pots, &others)
        })?;
        Ok(())
    }

    fn cause(&self, shape: &Shape<'_>, kind: PostingKind, record: Digest) -> Cause {
        let event = shape.event;
        let is_presentment = matches!(kind, PostingKind::Capture | PostingKind::Refund);
        let claim = shape.presentment().filter(|_| is_presentment);
        let reference = claim.map_or(&event.event.reference, |claim| &claim.reference);
        Cause {
            posting: shape.posting,
            kind,
            subject: format!("{}/{reference}", event.connection),
            record,
            moment: Moment::new(shape.booked_at, self.programme.zone()),
        }
    }

    /// Takes over what a message says about a hold, and holds what is then to be held.
    fn settle(
        &mut self,
        shape: &Shape<'_>,
        record: Digest,
        hear: impl FnOnce(&mut Purchase) -> Result<(), MoneyError>,
    ) -> Result<(), LifecycleError> {
        let cause = self.cause(shape, PostingKind::Standing, record);
        let key = shape.key();
        let sources = self.sources(&key, &cause);
        let other_kind = self.other_kind(shape);
        self.book.change(&key, cause, |purchase, pots| {
            shape.tell_currency(purchase);
            remember_kind(purchase, other_kind);
            hear(purchase)?;
            let parts = parts(purchase, &sources)?;
            settled(purchase, pots, &parts)
        })?;
        Ok(())
    }

    fn present(
        &mut self,
        shape: &Shape<'_>,
        presentment: &Presentment,
        event: Digest,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let key = shape.key();
        let Some(purchase) = self.book.purchases.get(&key) else { return Ok(()) };
        let row = shape.event.presentment_row(presentment, purchase);
        let record = presentment_digest(event, &row);
        additions.presentments.push(row);
        let kind = match presentment.direction {
            Direction::Capture => PostingKind::Capture,
            Direction::Refund => PostingKind::Refund,
        };
        let cause = self.cause(shape, kind, record);
        let others = self.pots_for(&key, &cause);
        let (other_kind, card) = (self.other_kind(shape), self.card_state(shape));
        let Presentment { direction, amount, releases, .. } = presentment;
        self.book.change(&key, cause, |purchase, pots| {
            shape.tell_currency(purchase);
            if let Some(releases) = releases {
                purchase.lowered = purchase.lowered.checked_add(*releases)?;
            }
            if let Some(theirs) = presentment.about.merchant_amount {
                purchase.add_merchant_amount(*direction, theirs)?;
            }
            match direction {
                Direction::Capture => {
                    // Of a claim that does not fit, its link is the news.
                    remember_kind(purchase, other_kind.filter(|_| shape.link == Link::Fits));
                    purchase.remember_capture(*amount);
                    let anomalies = &mut purchase.anomalies;
                    anomalies.is_declined |= shape.is_declined;
                    anomalies.is_unlinked |= shape.link == Link::None;
                    anomalies.is_moved |= shape.link == Link::Misfit;
                    let stopped = card.filter(|state| state.is_stopped());
                    anomalies.stopped_card =
                        anomalies.stopped_card.into_iter().chain(stopped).min();
                    captured(purchase, pots, *amount, &others)
                }
                Direction::Refund => {
                    purchase.anomalies.is_moved |= shape.link == Link::Misfit;
                    refunded(purchase, pots, *amount)
                }
            }
        })?;
        Ok(())
    }

    /// The state of the card that the message names; none for a card of nobody's.
    fn card_state(&self, shape: &Shape<'_>) -> Option<CardState> {
        let card = self.book.card(&shape.event.connection, &shape.about?.card)?;
        Some(card.standing.at(shape.booked_at))
    }

    /// The kind of shop that the message names, if it counts as something else than the purchase.
    fn other_kind(&self, shape: &Shape<'_>) -> Option<Mcc> {
        let purchase = self.book.purchases.get(&shape.key())?;
        let mcc = shape.about?.merchant.mcc()?;
        let is_known = purchase.counted.mcc.is_some();
        let category = self.programme.rules.category_of(Some(mcc));
        (is_known && *category != purchase.counted.category).then_some(mcc)
    }

    /// The pots that may pay for this purchase, in the order in which they drain.
    fn pots_for(&self, key: &PurchaseKey, cause: &Cause) -> Vec<PotId> {
        self.sources(key, cause).into_iter().map(|source| source.pot).collect()
    }

    /// What the budget's pots have left for this purchase, in the order in which they drain.
    fn sources(&self, key: &PurchaseKey, cause: &Cause) -> Vec<Source> {
        let Some(owner) = &self.book.owner else { return Vec::new() };
        let Some(purchase) = self.book.purchases.get(key) else { return Vec::new() };
        let streams = &self.programme.settings.streams;
        let counted = &purchase.counted;
        let also = self.programme.rules.kinds_of(counted.mcc).also;
        let kinds = Kinds { category: &counted.category, also };
        let order = owner.agreement.drain_order(streams, kinds, cause.moment.date);
        let left = |pot| self.book.pots.left(pot, self.book.currency);
        // A claim is owed: pots of the person's own come last, whether they pay now or not.
        let pots = &self.book.pots.0;
        let own = pots.iter().filter(|(_, balance)| {
            let goal = balance.own.goal.as_ref();
            goal.is_some_and(|goal| order.iter().any(|plan| plan.id == goal.of))
        });
        let ids = order.iter().map(|plan| &plan.id).chain(own.map(|(id, _)| id));
        ids.map(|id| Source { pot: id.clone(), available: left(id) }).collect()
    }
}

fn remember_kind(purchase: &mut Purchase, other: Option<Mcc>) {
    let known = purchase.anomalies.other_kind;
    purchase.anomalies.other_kind = known.into_iter().chain(other).min();
}

/// What is missing from the hold, split over `sources`.
fn parts(purchase: &Purchase, sources: &[Source]) -> Result<Vec<PotPart>, MoneyError> {
    let missing = purchase.wanted_hold()?.saturating_sub(purchase.held()?)?;
    drain(missing, sources)
}
