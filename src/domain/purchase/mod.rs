//! One purchase: what we promised, what the issuer says, and what it holds and has cost.
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

/// A purchase, from its first question or message to its last.
///
/// What it should hold is a function of the *set* of what was said about it, never of the order
/// in which that was heard: see [`Purchase::target_hold`].
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
    /// What is held beyond what is asked.
    pub margin: Margin,
    /// What we approved, by the number of the question.
    pub increments: Vec<ApprovedIncrement>,
    /// The issuer's latest snapshot, if it sends snapshots.
    pub snapshot: Option<IssuerSnapshot>,
    /// What the issuer says it approved, if it sends changes and not snapshots.
    pub raised: Money,
    /// What the issuer says it gave back, if it sends changes and not snapshots.
    pub lowered: Money,
    /// Everything captured so far, whoever paid for it.
    pub captured: Money,
    /// Everything refunded so far, wherever it went.
    pub refunded: Money,
    /// The parts in the pots, in the order in which they were drained.
    pub holds: Vec<Hold>,
    /// Captured beyond what the pots had: what the programme owes.
    pub exposure: Money,
    /// Given back beyond what was captured: kept aside until somebody has looked.
    pub suspense: Money,
    pub disputes: Vec<Dispute>,
    /// Credited for disputes that are not won: kept aside until they end.
    pub disputed: Money,
    /// Credited for disputes that were won: given back like a refund.
    pub recovered: Money,
    /// When what is held is given back if nobody speaks of it; none when nothing is held.
    pub expires_at: Option<Timestamp>,
    /// What came back and limits got back. Below what came back where a refund was booked before
    /// limits followed refunds.
    pub limit_back: Money,
    /// Captures that named this purchase and were booked elsewhere, because they do not fit it: what
    /// a closed authorisation claims includes them.
    pub captured_elsewhere: Money,
    /// What came back beyond what was captured because the exchange rate had changed: it is in the
    /// pot that paid.
    pub exchange: Option<PotPart>,
    /// Captures and refunds in the merchant's own currency; none as long as no message told any.
    pub merchant_sums: Option<MerchantSums>,
    /// The largest total that a snapshot of an open authorisation showed.
    pub most_held: Money,
    pub anomalies: CaptureAnomalies,
}

/// What was captured and refunded in the merchant's own currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MerchantSums {
    pub captured: Money,
    pub refunded: Money,
}

/// What was unusual about captures. Facts only accumulate, and in any order to the same value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaptureAnomalies {
    /// Its capture names no authorisation.
    pub is_unlinked: bool,
    /// Its capture or refund names another purchase, which it does not fit.
    pub is_moved: bool,
    /// A question about it was declined, by us or as the issuer tells.
    pub is_declined: bool,
    /// The state of the card when something was captured, if nobody could pay with it.
    pub stopped_card: Option<CardState>,
    /// Another kind of shop than the purchase began with; of several the lowest code.
    pub other_kind: Option<Mcc>,
    /// The two largest captures, the larger one first.
    pub largest_captures: Vec<Money>,
}

/// The shop's name as the issuer sent it. The name may be erased later; its digest stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantDescriptor {
    pub name: Option<String>,
    /// SHA-256 of the name, in hex.
    pub digest: String,
}

impl MerchantDescriptor {
    /// The place called `name`.
    pub fn new(name: &str) -> Self {
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        Self { name: Some(name.to_owned()), digest }
    }
}

/// One approval of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovedIncrement {
    /// The number of the question: 0 for the first.
    pub sequence: u32,
    pub amount: Money,
    /// The permission that it used up.
    pub permission: Option<PermissionId>,
    pub state: IncrementState,
}

/// Whether a promise still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncrementState {
    Kept,
    /// Our answer came too late and the issuer was told no: the hold was given back.
    Withdrawn,
}

/// The issuer's latest snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSnapshot {
    pub standing: AuthorisationStatus,
    pub position: MessagePosition,
}

impl IssuerSnapshot {
    fn rank(&self) -> MessageRank {
        self.standing.rank(&self.position)
    }
}

/// What a purchase begins with: everything that is fixed when it is first heard of.
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
    /// A purchase of which nothing has been said yet.
    pub fn begin(beginning: NewPurchase) -> Self {
        let NewPurchase {
            id,
            budget,
            connection,
            reference,
            card,
            currency,
            counted,
            place,
            margin,
        } = beginning;
        let nothing = Money::zero(currency);
        Self {
            id,
            budget,
            connection,
            reference,
            card,
            currency,
            counted,
            place,
            margin: Margin::agreed(margin),
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

    /// What should be held now for captures that are still to come: what is asked, and the margin as
    /// long as anything is asked.
    ///
    /// The margin is one of all that is asked, and captures come out of both: a claim of a part
    /// leaves enough for the rest. What the merchant has finally claimed is exact, and has none.
    pub fn target_hold(&self) -> Result<Money, MoneyError> {
        let asked = self.requested_hold()?;
        if asked.is_zero() {
            return Ok(asked);
        }
        asked.checked_add(self.margin.on(self.estimate()?)?)
    }

    /// What is asked to be held for captures that are still to come.
    ///
    /// * The issuer's latest snapshot is true for all questions it knows of.
    /// * Promises that the snapshot does not know of yet are added.
    /// * Captures come out of both, as long as the issuer says what it holds or was claimed.
    /// * Without a snapshot: what was approved, less what was given back. Both sides may tell of an
    ///   approval, our promise and the issuer's message, in either order: the larger sum counts.
    pub fn requested_hold(&self) -> Result<Money, MoneyError> {
        if let Some(word) = &self.snapshot {
            let unknown = self.approved_from(word.position.answers)?;
            let total = match word.standing {
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

    /// What was approved, less what was given back, as far as nobody sends snapshots.
    fn approved(&self) -> Result<Money, MoneyError> {
        let approved_total = self.approved_total()?;
        let approved =
            if approved_total.minor() > self.raised.minor() { approved_total } else { self.raised };
        approved.saturating_sub(self.lowered)
    }

    /// All that is asked and not yet finally claimed, captures included: what may cost more or less
    /// at another exchange rate.
    fn estimate(&self) -> Result<Money, MoneyError> {
        let Some(word) = &self.snapshot else { return self.approved() };
        let unknown = self.approved_from(word.position.answers)?;
        match word.standing {
            AuthorisationStatus::Open { total } => total.checked_add(unknown),
            AuthorisationStatus::Closed { .. }
            | AuthorisationStatus::Reversed
            | AuthorisationStatus::Expired
            | AuthorisationStatus::Declined => Ok(unknown),
        }
    }

    /// What would be held beyond what is asked if `increment` were kept too.
    pub fn margin_including(mut self, increment: ApprovedIncrement) -> Result<Money, MoneyError> {
        self.increments.push(increment);
        self.target_hold()?.checked_sub(self.requested_hold()?)
    }

    /// What is held beyond what is asked, by pot: the pot that was drained last comes first.
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

    /// Everything that we approved and have not withdrawn.
    pub fn approved_total(&self) -> Result<Money, MoneyError> {
        self.approved_from(0)
    }

    /// The sum of kept promises from question number `sequence` on.
    fn approved_from(&self, sequence: u32) -> Result<Money, MoneyError> {
        let kept =
            |p: &&ApprovedIncrement| p.sequence >= sequence && p.state == IncrementState::Kept;
        Money::sum(self.currency, self.increments.iter().filter(kept).map(|p| p.amount))
    }

    /// What is held now, over all pots.
    pub fn held(&self) -> Result<Money, MoneyError> {
        Money::sum(self.currency, self.holds.iter().map(|hold| hold.held))
    }

    /// What is held or captured, without the margin and whatever came back: a purchase of which
    /// something is committed counts as one.
    pub fn committed(&self) -> Result<Money, MoneyError> {
        self.held()?.least(self.requested_hold()?)?.checked_add(self.captured)
    }

    /// What counts towards limits: what is committed, without what came back.
    pub fn counted_amount(&self) -> Result<Money, MoneyError> {
        self.committed()?.checked_sub(self.limit_back)
    }

    /// What of the captured money came back, by refunds and by disputes that were won.
    pub fn given_back(&self) -> Result<Money, MoneyError> {
        self.refunded.checked_add(self.recovered)?.least(self.captured)
    }

    /// Gives limits what came back since that was `before`.
    pub fn credit_limits(&mut self, before: Money) -> Result<(), MoneyError> {
        let back = self.limit_back.checked_add(self.given_back()?)?;
        self.limit_back = back.saturating_sub(before)?;
        Ok(())
    }

    /// What came back beyond what was captured, as far as the programme's margin explains it by
    /// another exchange rate.
    ///
    /// Nothing if the merchant gave more back in its own currency than it had taken, or if a dispute
    /// gave some of it back: that is in the card's currency, and no rate makes it more.
    pub fn exchange_difference(&self) -> Result<Money, MoneyError> {
        let nothing = Money::zero(self.currency);
        let is_too_much = |sums: MerchantSums| sums.refunded.minor() > sums.captured.minor();
        let is_recovered = self.recovered.is_positive();
        if is_recovered || self.merchant_sums.is_some_and(is_too_much) || self.captured.is_zero() {
            return Ok(nothing);
        }
        self.refunded.saturating_sub(self.captured)?.least(self.margin.on(self.captured)?)
    }

    /// The permissions that it uses: those of the promises that stand, while anything is committed.
    pub fn permissions(&self) -> Result<BTreeSet<PermissionId>, MoneyError> {
        if !self.committed()?.is_positive() {
            return Ok(BTreeSet::new());
        }
        let kept =
            self.increments.iter().filter(|increment| increment.state == IncrementState::Kept);
        Ok(kept.filter_map(|increment| increment.permission).collect())
    }

    /// A message tells the merchant's own currency.
    pub fn apply_merchant_currency(&mut self, theirs: Currency) {
        self.margin.apply_currency(theirs, self.currency);
    }

    /// Takes over a snapshot unless a later one is known.
    pub fn apply_snapshot(&mut self, word: IssuerSnapshot) {
        if let AuthorisationStatus::Open { total } = word.standing
            && total.minor() > self.most_held.minor()
        {
            self.most_held = total;
        }
        self.anomalies.is_declined |= word.standing == AuthorisationStatus::Declined;
        if self.snapshot.as_ref().is_none_or(|known| known.rank() < word.rank()) {
            self.snapshot = Some(word);
        }
    }

    /// Remembers a capture of `amount` among the largest.
    pub fn record_capture(&mut self, amount: Money) {
        let largest = &mut self.anomalies.largest_captures;
        largest.push(amount);
        largest.sort_by_key(|known| std::cmp::Reverse(known.minor()));
        largest.truncate(2);
    }

    /// Adds what a presentment is in the merchant's own currency.
    pub fn add_merchant_amount(
        &mut self,
        direction: PresentmentDirection,
        amount: Money,
    ) -> Result<(), MoneyError> {
        let nothing = Money::zero(amount.currency());
        let known =
            self.merchant_sums.unwrap_or(MerchantSums { captured: nothing, refunded: nothing });
        // What comes in several currencies has no sum.
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

    /// Whether our own clock ended it, and no issuer has spoken since.
    pub fn is_expired_by_us(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|word| word.position.reference == IssuerReference::own())
    }

    /// Takes over what is new in a message about a dispute.
    pub fn apply_dispute(&mut self, report: &DisputeReport) {
        match self.disputes.iter_mut().find(|known| known.reference == report.reference) {
            Some(known) => known.apply_report(report),
            None => self.disputes.push(Dispute::begin(report)),
        }
        // Their order is their own, not that of the messages.
        self.disputes.sort_by(|one, other| one.reference.cmp(&other.reference));
    }

    /// What must be kept aside of disputed money.
    pub fn provisional_credit(&self) -> Result<Money, MoneyError> {
        dispute::provisional(&self.disputes, self.currency)
    }

    /// What disputes have brought back for good.
    pub fn recovered_credit(&self) -> Result<Money, MoneyError> {
        dispute::recovered(&self.disputes, self.currency)
    }

    /// Somebody spoke of it at `at`: what it holds lives on from then.
    pub fn extend_expiry(&mut self, at: Timestamp) -> Result<(), MoneyError> {
        let lives = hold::lifetime(self.counted.mcc);
        let ends = at.checked_add(lives).unwrap_or(Timestamp::MAX);
        self.expires_at = if self.held()?.is_positive() {
            // Never sooner than it was: clocks differ.
            Some(self.expires_at.map_or(ends, |known| known.max(ends)))
        } else {
            None
        };
        Ok(())
    }

    /// Whether our own clock says that nobody will claim what is held.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Our own clock's word that it is over.
    ///
    /// Its place is right behind the last thing that we know the issuer to have said: whatever the
    /// issuer said after that wins, however late it reaches us.
    pub fn expire(&mut self) {
        let known = self.snapshot.as_ref().map(|word| &word.position);
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
        self.snapshot = Some(IssuerSnapshot { standing: AuthorisationStatus::Expired, position });
    }

    /// It begins anew: what was approved before, and given back, has used nothing.
    pub fn restart(&mut self, counted: CountingAttributes, margin: MarginPercent) {
        self.counted = counted;
        self.margin = self.margin.with_percent(margin);
        for increment in &mut self.increments {
            increment.permission = None;
        }
    }

    /// Whether nothing was ever held or paid for it.
    pub fn is_untouched(&self) -> bool {
        self.holds.is_empty() && self.captured.is_zero()
    }

    /// When somebody last spoke of it; none when nothing is held.
    pub fn last_activity_at(&self) -> Option<Timestamp> {
        self.expires_at?.checked_sub(hold::lifetime(self.counted.mcc)).ok()
    }

    /// Whether we promised something that the issuer has not spoken of.
    pub fn is_unconfirmed(&self) -> bool {
        let heard = self.snapshot.as_ref().map_or(0, |word| word.position.answers);
        let kept = |p: &ApprovedIncrement| p.state == IncrementState::Kept && p.sequence >= heard;
        !self.raised.is_positive() && self.increments.iter().any(kept)
    }
}
