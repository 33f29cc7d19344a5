//! One purchase: what we promised, what the issuer says, and what it holds and has cost.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::hold::Hold;
use super::id::{BudgetId, CardToken, ConnectionId, PermissionId, PurchaseId, PurchaseReference};
use super::limit::Counted;
use super::money::{Currency, Money, MoneyError};
use super::presentment::{Position, Standing};

/// A purchase, from its first question or message to its last.
///
/// What it should hold is a function of the *set* of what was said about it, never of the order
/// in which that was heard: see [`Purchase::wanted_hold`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    pub id: PurchaseId,
    pub budget: BudgetId,
    pub connection: ConnectionId,
    pub reference: PurchaseReference,
    pub card: CardToken,
    pub currency: Currency,
    pub counted: Counted,
    pub place: Place,
    /// What we approved, by the number of the question.
    pub promises: Vec<Promise>,
    /// The issuer's latest snapshot, if it sends snapshots.
    pub word: Option<IssuerWord>,
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
    /// Refunded beyond what was captured: kept aside until somebody has looked.
    pub suspense: Money,
}

/// The shop's name as the issuer sent it. The name may be erased later; its digest stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub name: Option<String>,
    /// SHA-256 of the name, in hex.
    pub digest: String,
}

impl Place {
    /// The place called `name`.
    pub fn new(name: &str) -> Self {
        let digest = hex::encode(Sha256::digest(name.as_bytes()));
        Self { name: Some(name.to_owned()), digest }
    }
}

/// One approval of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The number of the question: 0 for the first.
    pub sequence: u32,
    pub amount: Money,
    /// The permission that it used up.
    pub permission: Option<PermissionId>,
    pub state: PromiseState,
}

/// Whether a promise still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromiseState {
    Kept,
    /// Our answer came too late and the issuer was told no: the hold was given back.
    Withdrawn,
}

/// The issuer's latest snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerWord {
    pub standing: Standing,
    pub position: Position,
}

/// What a purchase begins with: everything that is fixed when it is first heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    pub id: PurchaseId,
    pub budget: BudgetId,
    pub connection: ConnectionId,
    pub reference: PurchaseReference,
    pub card: CardToken,
    pub currency: Currency,
    pub counted: Counted,
    pub place: Place,
}

impl Purchase {
    /// A purchase of which nothing has been said yet.
    pub fn begin(beginning: Beginning) -> Self {
        let Beginning { id, budget, connection, reference, card, currency, counted, place } =
            beginning;
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
            promises: Vec::new(),
            word: None,
            raised: nothing,
            lowered: nothing,
            captured: nothing,
            refunded: nothing,
            holds: Vec::new(),
            exposure: nothing,
            suspense: nothing,
        }
    }

    /// What should be held now for captures that are still to come.
    ///
    /// * The issuer's latest snapshot is true for all questions it knows of.
    /// * Promises that the snapshot does not know of yet are added.
    /// * Captures come out of both, as long as the issuer says what it holds or was claimed.
    /// * Without a snapshot: what was approved, less what was given back. Both sides may tell of an
    ///   approval, our promise and the issuer's message, in either order: the larger sum counts.
    pub fn wanted_hold(&self) -> Result<Money, MoneyError> {
        if let Some(word) = &self.word {
            let unknown = self.promised_from(word.position.answers)?;
            return match word.standing.total() {
                Some(total) => total.checked_add(unknown)?.saturating_sub(self.captured),
                None => Ok(unknown),
            };
        }
        let promised = self.promised_from(0)?;
        let approved = if promised.minor() > self.raised.minor() { promised } else { self.raised };
        approved.saturating_sub(self.lowered)?.saturating_sub(self.captured)
    }

    /// The sum of kept promises from question number `sequence` on.
    fn promised_from(&self, sequence: u32) -> Result<Money, MoneyError> {
        let kept = |p: &&Promise| p.sequence >= sequence && p.state == PromiseState::Kept;
        Money::sum(self.currency, self.promises.iter().filter(kept).map(|p| p.amount))
    }

    /// What is held now, over all pots.
    pub fn held(&self) -> Result<Money, MoneyError> {
        Money::sum(self.currency, self.holds.iter().map(|hold| hold.held))
    }

    /// What counts towards limits: held or captured. A refund does not give a limit back.
    pub fn committed(&self) -> Result<Money, MoneyError> {
        self.held()?.checked_add(self.captured)
    }

    /// The permissions that it uses: those of the promises that stand, while anything is committed.
    pub fn permissions(&self) -> Result<BTreeSet<PermissionId>, MoneyError> {
        if !self.committed()?.is_positive() {
            return Ok(BTreeSet::new());
        }
        let kept = self.promises.iter().filter(|promise| promise.state == PromiseState::Kept);
        Ok(kept.filter_map(|promise| promise.permission).collect())
    }

    /// Takes over a snapshot unless a later one is known. Says whether anything changed.
    pub fn hear(&mut self, word: IssuerWord) -> bool {
        let is_newer = self.word.as_ref().is_none_or(|known| known.position < word.position);
        if is_newer {
            self.word = Some(word);
        }
        is_newer
    }
}
