//! Purchases: our approvals, the issuer's messages, and the amounts held and captured.

pub mod decline_thread;
pub mod dispute;
pub mod excess;
pub mod finding;
pub mod hold;
pub mod issuer_decline;
pub mod notice;
pub mod position;
pub mod presentment;
pub mod state;

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::card::CardState;
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, IssuerReference, PermissionId, PurchaseId, PurchaseReference,
};
use crate::domain::money::limit::CountingAttributes;
use crate::domain::money::margin::{Margin, MarginPercent};
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::pot::PotPart;
use crate::domain::purchase::dispute::{Dispute, DisputeReport};
use crate::domain::purchase::hold::Hold;
use crate::domain::purchase::position::{MessageKind, MessagePosition, MessageRank};
use crate::domain::purchase::presentment::{AuthorisationStatus, PresentmentDirection};
use crate::domain::shop::merchant::Mcc;

/// A purchase, from its first authorisation request or issuer event to its last.
///
/// The amount to hold is a function of the *set* of messages about it, never of their order of
/// arrival: see [`Purchase::target_hold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    pub id: PurchaseId,
    pub budget: BudgetId,
    pub connection: ConnectionId,
    pub reference: PurchaseReference,
    pub card: CardToken,
    pub currency: Currency,
    pub counted: CountingAttributes,
    pub place: MerchantDescriptor,
    /// The exchange rate margin, held beyond the requested amount.
    pub margin: Margin,
    /// Our approvals, by the sequence number of their request.
    pub increments: Vec<ApprovedIncrement>,
    /// The latest snapshot, if the issuer sends snapshots.
    pub snapshot: Option<IssuerSnapshot>,
    /// The sum of the issuer's approvals, if it sends changes instead of snapshots.
    pub raised: Money,
    /// The sum of the issuer's releases, if it sends changes instead of snapshots.
    pub lowered: Money,
    /// Everything captured so far, from any account.
    pub captured: Money,
    /// Everything refunded so far, to any account.
    pub refunded: Money,
    /// The shares of the pots, in drain order.
    pub holds: Vec<Hold>,
    /// Captured beyond what the pots had; the programme owes it.
    pub exposure: Money,
    /// Refunded beyond what was captured; kept in the suspense account until finance has checked
    /// it.
    pub suspense: Money,
    pub disputes: Vec<Dispute>,
    /// Credited for disputes that are not won; kept in the disputed account until they end.
    pub disputed: Money,
    /// Credited for disputes that were won; booked like a refund.
    pub recovered: Money,
    /// When the hold expires if no further message arrives; `None` if nothing is held.
    pub expires_at: Option<Timestamp>,
    /// The part of [`Purchase::given_back`] that was credited to limits. Lower than that if a
    /// refund was booked before refunds were credited to limits.
    pub limit_back: Money,
    /// Captures that named this purchase but did not fit it and were booked elsewhere. The claimed
    /// total of a closed authorisation includes them.
    pub captured_elsewhere: Money,
    /// Refunded beyond what was captured because the exchange rate changed; credited to the pot
    /// that paid.
    pub exchange: Option<PotPart>,
    /// Captures and refunds in the merchant's currency; `None` until a message states an amount in
    /// another currency than the card's.
    pub merchant_sums: Option<MerchantSums>,
    /// The largest total that any snapshot of the open authorisation had.
    pub most_held: Money,
    pub anomalies: CaptureAnomalies,
}

/// Captured and refunded amounts in the merchant's own currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MerchantSums {
    pub captured: Money,
    pub refunded: Money,
}

/// Anomalies of captures. Values only accumulate, and do not depend on the order of messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureAnomalies {
    /// A capture names no authorisation.
    pub is_unlinked: bool,
    /// A capture or refund names another purchase that it does not fit.
    pub is_moved: bool,
    /// A request about it was declined, by us or according to the issuer.
    pub is_declined: bool,
    /// The state of the card at a capture, if it was stopped; of several the lowest.
    pub stopped_card: Option<CardState>,
    /// An MCC of another category than the purchase began with; of several the lowest.
    pub other_kind: Option<Mcc>,
    /// The two largest captures, the larger one first.
    pub largest_captures: Vec<Money>,
}

/// The merchant's printed name. The text may be erased later; its digest stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantDescriptor {
    pub name: Option<String>,
    /// SHA-256 of the name in hex.
    pub digest: String,
}

impl MerchantDescriptor {
    pub fn new(name: &str) -> Self {
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        Self { name: Some(name.to_owned()), digest }
    }
}

/// One request that we approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovedIncrement {
    /// The sequence number of the request: 0 for the first.
    pub sequence: u32,
    pub amount: Money,
    /// The permission that the approval used.
    pub permission: Option<PermissionId>,
    pub state: IncrementState,
}

/// Whether an approval still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncrementState {
    Kept,
    /// The issuer did not receive the approval in time and declined; the hold was released.
    Withdrawn,
}

/// The issuer's latest snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSnapshot {
    pub status: AuthorisationStatus,
    pub position: MessagePosition,
}

impl IssuerSnapshot {
    fn rank(&self) -> MessageRank {
        self.status.rank(&self.position)
    }
}

/// The values that are fixed when a purchase is first recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPurchase {
    pub id: PurchaseId,
    pub budget: BudgetId,
    pub connection: ConnectionId,
    pub reference: PurchaseReference,
    pub card: CardToken,
    pub currency: Currency,
    pub counted: CountingAttributes,
    pub place: MerchantDescriptor,
    pub margin: MarginPercent,
}

impl Purchase {
    /// A purchase without any message or approval yet.
    pub fn begin(new: NewPurchase) -> Self {
        let nothing = Money::zero(new.currency);
        Self {
            id: new.id,
            budget: new.budget,
            connection: new.connection,
            reference: new.reference,
            card: new.card,
            currency: new.currency,
            counted: new.counted,
            place: new.place,
            margin: Margin::agreed(new.margin),
            increments: Vec::new(),
            snapshot: None,
            raised: nothing,
            lowered: nothing,
            captured: nothing,
            refunded: nothing,
            holds: Vec::new(),
            exposure: nothing,
            suspense: nothing,
            disputes: Vec::new(),
            disputed: nothing,
            recovered: nothing,
            expires_at: None,
            limit_back: nothing,
            captured_elsewhere: nothing,
            exchange: None,
            merchant_sums: None,
            most_held: nothing,
            anomalies: CaptureAnomalies::default(),
        }
    }

    /// The amount to hold now for captures to come: the requested hold, plus the margin unless the
    /// requested hold is zero.
    ///
    /// The margin is that of the whole estimate, and captures reduce the sum of both, so that
    /// enough is left for the rest after a partial capture. The final amount claimed by the
    /// merchant is exact and has no margin.
    pub fn target_hold(&self) -> Result<Money, MoneyError> {
        let asked = self.requested_hold()?;
        if asked.is_zero() {
            return Ok(asked);
        }
        asked.checked_add(self.margin.on(self.estimate()?)?)
    }

    /// The amount to hold for captures to come, without the margin.
    ///
    /// * The issuer's latest snapshot covers all requests that it includes.
    /// * Our approvals that the snapshot does not include yet are added.
    /// * Captures are subtracted, as long as the issuer reports an open or closed total.
    /// * Without a snapshot: what was approved, less what was released. Our approval and the
    ///   issuer's message may describe the same amount, in either order, so the larger sum counts.
    pub fn requested_hold(&self) -> Result<Money, MoneyError> {
        if let Some(snapshot) = &self.snapshot {
            let unknown = self.approved_from(snapshot.position.answers)?;
            let total = match snapshot.status {
                AuthorisationStatus::Open { total } => total,
                AuthorisationStatus::Closed { claimed } => {
                    claimed.saturating_sub(self.captured_elsewhere)?
                }
                AuthorisationStatus::Reversed
                | AuthorisationStatus::Expired
                | AuthorisationStatus::Declined => return Ok(unknown),
            };
            return total.checked_add(unknown)?.saturating_sub(self.captured);
        }
        self.approved()?.saturating_sub(self.captured)
    }

    /// What was approved less what was released, for issuers without snapshots.
    fn approved(&self) -> Result<Money, MoneyError> {
        let approved = self.approved_total()?.minor().max(self.raised.minor());
        Money::from_minor(approved, self.currency).saturating_sub(self.lowered)
    }

    /// The part of the total, captures included, that may still change with the exchange rate
    /// because it is not finally claimed.
    fn estimate(&self) -> Result<Money, MoneyError> {
        let Some(snapshot) = &self.snapshot else { return self.approved() };
        let unknown = self.approved_from(snapshot.position.answers)?;
        match snapshot.status {
            AuthorisationStatus::Open { total } => total.checked_add(unknown),
            AuthorisationStatus::Closed { .. }
            | AuthorisationStatus::Reversed
            | AuthorisationStatus::Expired
            | AuthorisationStatus::Declined => Ok(unknown),
        }
    }

    /// The margin to hold if `increment` were approved too.
    pub fn margin_including(mut self, increment: ApprovedIncrement) -> Result<Money, MoneyError> {
        self.increments.push(increment);
        self.target_hold()?.checked_sub(self.requested_hold()?)
    }

    /// The margin held now, by pot: the pot drained last comes first.
    pub fn margin_parts(&self) -> Result<Vec<PotPart>, MoneyError> {
        let mut margin = self.held()?.saturating_sub(self.requested_hold()?)?;
        let mut parts = Vec::new();
        for hold in self.holds.iter().rev() {
            let amount = margin.least(hold.held)?;
            if amount.is_positive() {
                parts.push(PotPart { pot: hold.pot.clone(), amount });
                margin = margin.checked_sub(amount)?;
            }
        }
        Ok(parts)
    }

    /// The sum of our approvals that were not withdrawn.
    pub fn approved_total(&self) -> Result<Money, MoneyError> {
        self.approved_from(0)
    }

    /// The sum of approvals that stand, from sequence number `sequence` on.
    fn approved_from(&self, sequence: u32) -> Result<Money, MoneyError> {
        let kept =
            |p: &&ApprovedIncrement| p.sequence >= sequence && p.state == IncrementState::Kept;
        Money::sum(self.currency, self.increments.iter().filter(kept).map(|p| p.amount))
    }

    /// The amount held now, over all pots.
    pub fn held(&self) -> Result<Money, MoneyError> {
        Money::sum(self.currency, self.holds.iter().map(|hold| hold.held))
    }

    /// The amount held or captured, without the margin and regardless of refunds. Above zero, the
    /// purchase counts as one in limits on the number of purchases.
    pub fn committed(&self) -> Result<Money, MoneyError> {
        self.held()?.least(self.requested_hold()?)?.checked_add(self.captured)
    }

    /// The amount that counts towards limits: what is committed, less what was credited to limits.
    pub fn counted_amount(&self) -> Result<Money, MoneyError> {
        self.committed()?.checked_sub(self.limit_back)
    }

    /// The captured amount that came back by refunds and won disputes.
    pub fn given_back(&self) -> Result<Money, MoneyError> {
        self.refunded.checked_add(self.recovered)?.least(self.captured)
    }

    /// Credits to limits what has come back since [`Self::given_back`] was `before`.
    pub fn credit_limits(&mut self, before: Money) -> Result<(), MoneyError> {
        let back = self.limit_back.checked_add(self.given_back()?)?;
        self.limit_back = back.saturating_sub(before)?;
        Ok(())
    }

    /// The amount refunded beyond captures, as far as the programme's margin explains it by another
    /// exchange rate.
    ///
    /// Zero if the merchant refunded more in its own currency than it captured, or if a dispute
    /// recovered some of it, because that credit is in the card's currency and no exchange rate
    /// increases it.
    pub fn exchange_difference(&self) -> Result<Money, MoneyError> {
        let is_too_much = |sums: MerchantSums| sums.refunded.minor() > sums.captured.minor();
        if self.recovered.is_positive() || self.merchant_sums.is_some_and(is_too_much) {
            return Ok(Money::zero(self.currency));
        }
        self.refunded.saturating_sub(self.captured)?.least(self.margin.on(self.captured)?)
    }

    /// The permissions in use: those of the approvals that stand, while anything is committed.
    pub fn permissions(&self) -> Result<BTreeSet<PermissionId>, MoneyError> {
        if !self.committed()?.is_positive() {
            return Ok(BTreeSet::new());
        }
        let kept =
            self.increments.iter().filter(|increment| increment.state == IncrementState::Kept);
        Ok(kept.filter_map(|increment| increment.permission).collect())
    }

    /// Applies the merchant's currency from a message.
    pub fn apply_merchant_currency(&mut self, theirs: Currency) {
        self.margin.apply_currency(theirs, self.currency);
    }

    /// Applies a snapshot unless one with the same rank or a later one is known.
    pub fn apply_snapshot(&mut self, snapshot: IssuerSnapshot) {
        if let AuthorisationStatus::Open { total } = snapshot.status {
            let most = self.most_held.minor().max(total.minor());
            self.most_held = Money::from_minor(most, self.currency);
        }
        self.anomalies.is_declined |= snapshot.status == AuthorisationStatus::Declined;
        if self.snapshot.as_ref().is_none_or(|known| known.rank() < snapshot.rank()) {
            self.snapshot = Some(snapshot);
        }
    }

    /// Keeps `amount` if it is among the two largest captures.
    pub fn record_capture(&mut self, amount: Money) {
        let largest = &mut self.anomalies.largest_captures;
        largest.push(amount);
        largest.sort_by_key(|known| std::cmp::Reverse(known.minor()));
        largest.truncate(2);
    }

    /// Adds the amount of a presentment in the merchant's own currency.
    pub fn add_merchant_amount(
        &mut self,
        direction: PresentmentDirection,
        amount: Money,
    ) -> Result<(), MoneyError> {
        let nothing = Money::zero(amount.currency());
        let known =
            self.merchant_sums.unwrap_or(MerchantSums { captured: nothing, refunded: nothing });
        // Amounts in several currencies have no sum; only the first foreign one is kept.
        if amount.currency() == self.currency || known.captured.currency() != amount.currency() {
            return Ok(());
        }
        let MerchantSums { captured, refunded } = known;
        self.merchant_sums = Some(match direction {
            PresentmentDirection::Capture => {
                MerchantSums { captured: captured.checked_add(amount)?, refunded }
            }
            PresentmentDirection::Refund => {
                MerchantSums { captured, refunded: refunded.checked_add(amount)? }
            }
        });
        Ok(())
    }

    /// Whether our own clock expired it, and no later issuer snapshot has arrived.
    pub fn is_expired_by_us(&self) -> bool {
        self.snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.position.reference == IssuerReference::own())
    }

    /// Applies what is new in a message about a dispute.
    pub fn apply_dispute(&mut self, report: &DisputeReport) {
        match self.disputes.iter_mut().find(|known| known.reference == report.reference) {
            Some(known) => known.apply_report(report),
            None => self.disputes.push(Dispute::begin(report)),
        }
        // Ordered by reference, so that the order does not depend on that of the messages.
        self.disputes.sort_by(|one, other| one.reference.cmp(&other.reference));
    }

    /// The amount to keep in the disputed account.
    pub fn provisional_credit(&self) -> Result<Money, MoneyError> {
        dispute::provisional(&self.disputes, self.currency)
    }

    /// The amount that won disputes have brought back.
    pub fn recovered_credit(&self) -> Result<Money, MoneyError> {
        dispute::recovered(&self.disputes, self.currency)
    }

    /// Extends the expiry because of a message at `at`; clears it if nothing is held.
    pub fn extend_expiry(&mut self, at: Timestamp) -> Result<(), MoneyError> {
        let lives = hold::lifetime(self.counted.mcc);
        let ends = at.checked_add(lives).unwrap_or(Timestamp::MAX);
        self.expires_at = if self.held()?.is_positive() {
            // Never shortened, because clocks differ.
            Some(self.expires_at.map_or(ends, |known| known.max(ends)))
        } else {
            None
        };
        Ok(())
    }

    /// Whether the hold has expired by our own clock.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Records the expiry by our own clock as a snapshot.
    ///
    /// It ranks directly after the issuer's last known message, so that a later message of the
    /// issuer wins, however late it arrives.
    pub fn expire(&mut self) {
        let known = self.snapshot.as_ref().map(|snapshot| &snapshot.position);
        let next_sequences =
            self.increments.iter().map(|increment| increment.sequence.saturating_add(1));
        let position = MessagePosition {
            at: known.map_or(Timestamp::UNIX_EPOCH, |known| known.at),
            kind: MessageKind::Updated,
            answers: next_sequences.chain(known.map(|known| known.answers)).max().unwrap_or(0),
            listed: known.map_or(0, |known| known.listed),
            over: 1,
            reference: IssuerReference::own(),
        };
        self.snapshot = Some(IssuerSnapshot { status: AuthorisationStatus::Expired, position });
    }

    /// Restarts a purchase of which nothing is committed: earlier approvals no longer use a
    /// permission.
    pub fn restart(&mut self, counted: CountingAttributes, margin: MarginPercent) {
        self.counted = counted;
        self.margin = self.margin.with_percent(margin);
        for increment in &mut self.increments {
            increment.permission = None;
        }
    }

    /// Whether nothing was ever held or captured.
    pub fn is_untouched(&self) -> bool {
        self.holds.is_empty() && self.captured.is_zero()
    }

    /// When the last message about it arrived; `None` if nothing is held.
    pub fn last_activity_at(&self) -> Option<Timestamp> {
        self.expires_at?.checked_sub(hold::lifetime(self.counted.mcc)).ok()
    }

    /// Whether the issuer has not confirmed one of our approvals.
    pub fn is_unconfirmed(&self) -> bool {
        let known = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.position.answers);
        let kept = |p: &ApprovedIncrement| p.state == IncrementState::Kept && p.sequence >= known;
        !self.raised.is_positive() && self.increments.iter().any(kept)
    }
}
