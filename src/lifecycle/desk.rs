//! One budget's book, and what messages change in it.

use std::collections::BTreeSet;

use super::LifecycleError;
use super::shape::Shape;
use crate::domain::dispute::DisputeReport;
use crate::domain::id::{ExceptionId, PostingId, PotId};
use crate::domain::merchant::Kinds;
use crate::domain::money::{Money, MoneyError};
use crate::domain::period::Moment;
use crate::domain::pot::{PotPart, Source, drain};
use crate::domain::presentment::{Change, Direction, EventBody, Presentment, Standing};
use crate::domain::presentment::{HoldChange, StandingReport};
use crate::domain::purchase::{IssuerWord, Purchase};
use crate::ids::NewIds;
use crate::ledger::book::{Book, Cause, PurchaseKey};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::{captured, disputed, refunded, settled};
use crate::programme::directory::Programme;
use crate::record::event::{EventState, ISSUER_EVENT, presentment_digest};
use crate::record::row::Digest;
use crate::store::{Additions, Note, ReferenceKey};

/// One budget's book, and what booking in it needs.
pub(super) struct Desk<'a> {
    pub(super) book: &'a mut Book,
    pub(super) programme: &'a Programme,
    pub(super) ids: &'a NewIds,
}

impl Desk<'_> {
    /// A purchase that nobody told us of before begins with the message that names it; one that
    /// was only refused so far counts from the message on that holds or claims something.
    pub(super) fn add_purchase(&mut self, shape: &Shape<'_>) {
        if self.is_in_other_currency(shape) {
            return;
        }
        let key = shape.key();
        let Some(begun) = shape.new_purchase(self.book, self.programme, self.ids) else { return };
        match self.book.purchases.get_mut(&key) {
            Some(known) if known.is_untouched() => {
                known.begin_anew(begun.counted, begun.margin.percent());
            }
            Some(_) => {}
            None => drop(self.book.purchases.insert(key, begun)),
        }
    }

    fn is_in_other_currency(&self, shape: &Shape<'_>) -> bool {
        shape.currency().is_some_and(|currency| currency != self.book.currency)
    }

    /// Books one message. `booked` are the presentments that are in the books already.
    pub(super) fn book(
        &mut self,
        shape: &Shape<'_>,
        booked: &mut BTreeSet<ReferenceKey>,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let event = shape.event;
        if let Some(presentment) = shape.presentment() {
            let reference = presentment.reference.to_string();
            let place = (event.programme.clone(), event.connection.clone(), reference);
            if !booked.insert(place) {
                additions.events.push(event.row(EventState::Kept));
                return Ok(());
            }
        }
        if self.is_in_other_currency(shape) {
            // The books of a budget have one currency; a message in another is kept for a person.
            additions.notes.push(self.note(shape, "other_currency"));
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
        match &event.event.body {
            EventBody::Standing(report) => self.stand(shape, report, digest, additions),
            EventBody::HoldChange(report) => self.change_hold(shape, report, digest),
            EventBody::Presentment(presentment) => {
                self.present(shape, presentment, digest, additions)
            }
            EventBody::Dispute(report) => self.dispute(shape, report, digest),
            EventBody::Unclear { .. } | EventBody::Other => Ok(()),
        }
    }

    /// A snapshot: what it says is held, and whether somebody should look at it.
    fn stand(
        &mut self,
        shape: &Shape<'_>,
        report: &StandingReport,
        record: Digest,
        additions: &mut Additions,
    ) -> Result<(), LifecycleError> {
        let key = shape.key();
        let heard = self.answers_heard(&key);
        let was_strange = self.is_reversed_and_claimed(&key);
        let word = IssuerWord { standing: report.standing, position: report.position.clone() };
        self.settle(shape, record, |purchase| {
            purchase.hear(word);
            Ok(())
        })?;
        if let Some(reason) = report.without_us
            && self.answers_heard(&key) > heard
        {
            let mut note = self.note(shape, "decided_without_us");
            note.detail = format!("{}: {reason}, {}", note.detail, report.standing.word());
            additions.notes.push(note);
        }
        if self.is_uncovered(&key)? {
            additions.notes.push(self.note(shape, "hold_above_money"));
        }
        if !was_strange && self.is_reversed_and_claimed(&key) {
            additions.notes.push(self.note(shape, "reversed_and_claimed"));
        }
        Ok(())
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

    /// A dispute: its money is brought to where the dispute now says that it is.
    pub(super) fn dispute(
        &mut self,
        shape: &Shape<'_>,
        report: &DisputeReport,
        record: Digest,
    ) -> Result<(), LifecycleError> {
        let cause = self.cause(shape, PostingKind::Dispute, record);
        let others: Vec<_> = self.pots_for(shape, &cause);
        self.book.change(&shape.key(), cause, |purchase, pots| {
            purchase.hear_dispute(report);
            disputed(purchase, pots, &others)
        })?;
        Ok(())
    }

    fn cause(&self, shape: &Shape<'_>, kind: PostingKind, record: Digest) -> Cause {
        let event = shape.event;
        let reference = shape.presentment().map_or(&event.event.reference, |p| &p.reference);
        Cause {
            posting: PostingId::new(self.ids.next(event.received_at)),
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
        let sources = self.sources(shape, &cause);
        self.book.change(&shape.key(), cause, |purchase, pots| {
            shape.tell_currency(purchase);
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
        let exposure_before = purchase.exposure;
        let was_strange = self.is_reversed_and_claimed(&key);
        let row = shape.event.presentment_row(presentment, purchase);
        let record = presentment_digest(event, &row);
        additions.presentments.push(row);
        let kind = match presentment.direction {
            Direction::Capture => PostingKind::Capture,
            Direction::Refund => PostingKind::Refund,
        };
        let cause = self.cause(shape, kind, record);
        let others = self.pots_for(shape, &cause);
        let Presentment { direction, amount, releases, .. } = presentment;
        self.book.change(&key, cause, |purchase, pots| {
            shape.tell_currency(purchase);
            if let Some(releases) = releases {
                purchase.lowered = purchase.lowered.checked_add(*releases)?;
            }
            match direction {
                Direction::Capture => captured(purchase, pots, *amount, &others),
                Direction::Refund => refunded(purchase, pots, *amount),
            }
        })?;
        self.note_presentment(shape, *direction, exposure_before, additions);
        if !was_strange && self.is_reversed_and_claimed(&key) {
            additions.notes.push(self.note(shape, "reversed_and_claimed"));
        }
        Ok(())
    }

    /// The pots that may pay for this purchase, in the order in which they drain.
    fn pots_for(&self, shape: &Shape<'_>, cause: &Cause) -> Vec<PotId> {
        self.sources(shape, cause).into_iter().map(|source| source.pot).collect()
    }

    /// What the budget's pots have left for this purchase, in the order in which they drain.
    fn sources(&self, shape: &Shape<'_>, cause: &Cause) -> Vec<Source> {
        let Some(owner) = &self.book.owner else { return Vec::new() };
        let Some(purchase) = self.book.purchases.get(&shape.key()) else { return Vec::new() };
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

    /// How many answers the issuer had given when it made the latest snapshot that we know.
    fn answers_heard(&self, key: &PurchaseKey) -> u32 {
        let word = self.book.purchases.get(key).and_then(|purchase| purchase.word.as_ref());
        word.map_or(0, |word| word.position.answers)
    }

    /// A shop that gave a purchase up and claims all of it the same. To claim a part and give the
    /// rest up is usual.
    fn is_reversed_and_claimed(&self, key: &PurchaseKey) -> bool {
        self.book.purchases.get(key).is_some_and(|purchase| {
            let standing = purchase.word.as_ref().map(|word| word.standing);
            let promised = purchase.promised().map_or(0, Money::minor);
            standing == Some(Standing::Reversed)
                && purchase.captured.is_positive()
                && purchase.captured.minor() >= promised
        })
    }

    /// Whether the pots lack money for what is asked. For a margin they may.
    fn is_uncovered(&self, key: &PurchaseKey) -> Result<bool, MoneyError> {
        let Some(purchase) = self.book.purchases.get(key) else { return Ok(false) };
        let missing = purchase.asked_hold()?.saturating_sub(purchase.held()?)?;
        Ok(missing.is_positive())
    }

    /// Writes down what somebody should look at after a presentment.
    fn note_presentment(
        &self,
        shape: &Shape<'_>,
        direction: Direction,
        exposure_before: Money,
        additions: &mut Additions,
    ) {
        let Some(purchase) = self.book.purchases.get(&shape.key()) else { return };
        if self.book.budget.is_house() {
            additions.notes.push(self.note(shape, "unknown_card"));
        }
        match direction {
            Direction::Capture => {
                if purchase.promises.is_empty() && purchase.word.is_none() {
                    additions.notes.push(self.note(shape, "capture_without_question"));
                }
                if purchase.exposure.minor() > exposure_before.minor() {
                    additions.notes.push(self.note(shape, "capture_above_money"));
                }
            }
            Direction::Refund => {
                if purchase.suspense.is_positive() {
                    additions.notes.push(self.note(shape, "refund_without_purchase"));
                }
            }
        }
    }

    pub(super) fn note(&self, shape: &Shape<'_>, kind: &'static str) -> Note {
        let event = shape.event;
        Note {
            id: ExceptionId::new(self.ids.next(event.received_at)),
            programme: event.programme.clone(),
            budget: self.book.budget.clone(),
            kind,
            subject: format!("{}/{}", event.connection, event.event.reference),
            detail: format!("purchase {}", shape.purchase),
            noted_at: event.received_at,
        }
    }
}

/// What is missing from the hold, split over `sources`.
fn parts(purchase: &Purchase, sources: &[Source]) -> Result<Vec<PotPart>, MoneyError> {
    let missing = purchase.wanted_hold()?.saturating_sub(purchase.held()?)?;
    drain(missing, sources)
}
