//! The person's own pot settings: held-back money, savings goals and transfers between pots. The
//! person changes them alone and with immediate effect.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::id::PotId;
use crate::domain::money::Money;
use crate::domain::pot::PotPlan;

/// The longest cooling time for taking back held money, in days.
pub const COOLING_DAYS_MAX: u32 = 365;

/// How long after its cooling time a request to take money back can be confirmed.
const CONFIRMATION_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The person's settings for one pot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PersonalPotSettings {
    pub held_back: Option<HoldBack>,
    /// Present if the pot is one of the person's own.
    pub goal: Option<SavingsGoal>,
}

impl PersonalPotSettings {
    /// The amount held back on `date`, if any.
    pub fn held_back_on(&self, date: Date) -> Option<Money> {
        let held = self.held_back.as_ref().filter(|held| held.is_active_on(date));
        held.map(|held| held.amount)
    }
}

/// Money that the person excludes from spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldBack {
    pub amount: Money,
    /// The local day from which the money is available again; `None` until the person takes it
    /// back.
    pub until: Option<Date>,
    /// The cooling time that the person chose: days between the request to take the money back and
    /// its confirmation.
    pub cooling_days: u32,
    /// When the person requested the money back.
    pub asked_at: Option<Timestamp>,
}

/// Why an amount cannot be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HoldBackError {
    #[error("say how much: it is nothing")]
    Nothing,
    #[error("the day must be after today")]
    NotLater,
    #[error("{COOLING_DAYS_MAX} days are the most")]
    TooLong,
    #[error("you chose to wait before this gets less: take it back first")]
    Cooling,
    #[error("nothing is held back")]
    NothingHeld,
}

/// The result of a request to take held money back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldBackRelease {
    Free,
    /// The cooling time runs until this moment. The person must then confirm, because nothing takes
    /// effect without an action.
    CoolingOff(HoldBack, Timestamp),
}

impl HoldBack {
    /// Holds `amount` back from `today` on and replaces `known`, the current hold-back.
    ///
    /// # Errors
    ///
    /// The amount is not positive, `until` is not after `today`, `cooling_days` exceeds
    /// [`COOLING_DAYS_MAX`], or ([`HoldBackError::Cooling`]) money would become available sooner
    /// than the current cooling time allows.
    pub fn new(
        amount: Money,
        until: Option<Date>,
        cooling_days: u32,
        known: Option<&Self>,
        today: Date,
    ) -> Result<Self, HoldBackError> {
        if !amount.is_positive() {
            return Err(HoldBackError::Nothing);
        }
        if until.is_some_and(|until| until <= today) {
            return Err(HoldBackError::NotLater);
        }
        if cooling_days > COOLING_DAYS_MAX {
            return Err(HoldBackError::TooLong);
        }
        let new = Self { amount, until, cooling_days, asked_at: None };
        let known = known.filter(|known| known.is_active_on(today) && known.cooling_days > 0);
        if known.is_some_and(|known| new.frees_more_than(known)) {
            return Err(HoldBackError::Cooling);
        }
        Ok(new)
    }

    /// Whether the amount is held back on the local day `date`.
    pub fn is_active_on(&self, date: Date) -> bool {
        self.until.is_none_or(|until| date < until)
    }

    fn frees_more_than(&self, other: &Self) -> bool {
        let is_sooner = match (self.until, other.until) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(own), Some(others)) => own < others,
        };
        is_sooner
            || self.amount.minor() < other.amount.minor()
            || self.cooling_days < other.cooling_days
    }

    /// Requests the money back at `at`, or confirms such a request. The confirmation must come
    /// within a week after the cooling time, because a request that stays valid for longer would
    /// make the cooling time ineffective.
    pub fn take_back(&self, at: Timestamp) -> HoldBackRelease {
        let cooling = SignedDuration::from_hours(i64::from(self.cooling_days).saturating_mul(24));
        let ends = |asked_at: Timestamp| asked_at.checked_add(cooling).unwrap_or(Timestamp::MAX);
        let is_alive = |asked_at: &Timestamp| {
            at < ends(*asked_at).checked_add(CONFIRMATION_WINDOW).unwrap_or(Timestamp::MAX)
        };
        let asked_at = self.asked_at.filter(is_alive).unwrap_or(at);
        let from = ends(asked_at);
        if at >= from {
            HoldBackRelease::Free
        } else {
            HoldBackRelease::CoolingOff(Self { asked_at: Some(asked_at), ..self.clone() }, from)
        }
    }
}

/// One of the person's own pots, within an agreed pot whose settings all apply to it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavingsGoal {
    /// The agreed pot that contains it.
    pub of: PotId,
    pub name: String,
    /// The target amount, if the person sets one.
    pub sum: Option<Money>,
    /// Whether it pays for purchases, before the agreed pot that contains it. Off until the person
    /// chooses it.
    pub pays: bool,
    pub is_closed: bool,
}

/// One side of a transfer: a pot, and the plan of the agreed pot that it is or that contains it.
#[derive(Debug, Clone, Copy)]
pub struct TransferEnd<'a> {
    pub pot: &'a PotId,
    pub plan: &'a PotPlan,
    pub is_closed: bool,
}

/// A checked transfer between two pots of one person and one stream. [`Self::new`] is the only
/// constructor, so money never moves between funders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PotTransfer {
    from: PotId,
    to: PotId,
    amount: Money,
}

/// Why a transfer is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PotTransferError {
    #[error("that is the same pot")]
    SamePot,
    #[error("say how much: it is nothing")]
    Nothing,
    #[error("{0} is there to be moved now")]
    TooMuch(Money),
    #[error("one is {0}'s money and the other is {1}'s: they stay apart")]
    OtherStream(crate::domain::id::StreamId, crate::domain::id::StreamId),
    #[error("the two pots were agreed for different things")]
    DifferentPurpose,
    #[error("that pot is closed")]
    Closed,
}

impl PotTransfer {
    /// Checks a transfer of `amount`; `spendable` is what can be spent from the first pot.
    ///
    /// # Errors
    ///
    /// [`PotTransferError::DifferentPurpose`] if the pots differ in categories or emergency use,
    /// because the person must not loosen alone what both sides agreed; so every transfer can also
    /// be reversed. The other errors name a wrong pot or amount.
    pub fn new(
        from: TransferEnd<'_>,
        to: TransferEnd<'_>,
        amount: Money,
        spendable: Money,
    ) -> Result<Self, PotTransferError> {
        if from.pot == to.pot {
            return Err(PotTransferError::SamePot);
        }
        if from.plan.stream != to.plan.stream {
            let (from, to) = (from.plan.stream.clone(), to.plan.stream.clone());
            return Err(PotTransferError::OtherStream(from, to));
        }
        if from.plan.only != to.plan.only || from.plan.emergency != to.plan.emergency {
            return Err(PotTransferError::DifferentPurpose);
        }
        if to.is_closed {
            return Err(PotTransferError::Closed);
        }
        if !amount.is_positive() {
            return Err(PotTransferError::Nothing);
        }
        if amount.currency() != spendable.currency() || amount.minor() > spendable.minor() {
            return Err(PotTransferError::TooMuch(spendable));
        }
        Ok(Self { from: from.pot.clone(), to: to.pot.clone(), amount })
    }

    /// The pot that the money leaves.
    pub const fn from(&self) -> &PotId {
        &self.from
    }

    /// The pot that receives the money.
    pub const fn to(&self) -> &PotId {
        &self.to
    }

    /// Above zero.
    pub const fn amount(&self) -> Money {
        self.amount
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = Date::constant(2026, 11, 23);

    fn gbp(minor: i64) -> Money {
        Money::from_minor(minor, "GBP".parse().unwrap())
    }

    fn held(minor: i64, until: Option<Date>, days: u32) -> HoldBack {
        HoldBack::new(gbp(minor), until, days, None, TODAY).unwrap()
    }

    #[test]
    fn what_is_held_back_is_there_again_on_its_day() {
        let until = date(2026, 12, 24);
        let christmas = held(20_00, Some(until), 0);
        let own = PersonalPotSettings { held_back: Some(christmas), goal: None };
        assert_eq!(own.held_back_on(until.yesterday().unwrap()), Some(gbp(20_00)));
        assert_eq!(own.held_back_on(until), None);
        assert_eq!(
            HoldBack::new(gbp(1), Some(TODAY), 0, None, TODAY),
            Err(HoldBackError::NotLater)
        );
    }

    #[test]
    fn more_is_held_back_at_once_and_less_only_as_was_chosen() {
        let later = Some(date(2026, 12, 24));
        for (known, amount, until, days, expected) in [
            (held(20_00, later, 7), 30_00, later, 7, None),
            (held(20_00, later, 7), 20_00, None, 9, None),
            (held(20_00, later, 7), 19_99, later, 7, Some(HoldBackError::Cooling)),
            (held(20_00, None, 7), 20_00, later, 7, Some(HoldBackError::Cooling)),
            (held(20_00, later, 7), 30_00, later, 6, Some(HoldBackError::Cooling)),
            (held(20_00, later, 7), 20_00, Some(date(2026, 12, 25)), 7, None),
            (
                held(20_00, later, 7),
                20_00,
                Some(date(2026, 12, 23)),
                7,
                Some(HoldBackError::Cooling),
            ),
            (held(20_00, later, 0), 1, Some(date(2026, 11, 24)), 0, None),
        ] {
            let made = HoldBack::new(gbp(amount), until, days, Some(&known), TODAY);
            assert_eq!(made.err(), expected, "{known:?}");
        }
    }

    #[test]
    fn a_wish_to_have_it_back_waits_as_long_as_was_chosen_and_is_said_again() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(
            held(20_00, None, 0).take_back(at("2026-11-23T10:00:00Z")),
            HoldBackRelease::Free
        );
        let slow = held(20_00, None, 2);
        let HoldBackRelease::CoolingOff(asked, from) = slow.take_back(at("2026-11-23T10:00:00Z"))
        else {
            panic!("it cools");
        };
        assert_eq!(from, at("2026-11-25T10:00:00Z"));
        let again = asked.take_back(at("2026-11-25T09:59:59Z"));
        assert_eq!(
            again,
            HoldBackRelease::CoolingOff(asked.clone(), from),
            "the wait does not begin anew"
        );
        assert!(asked.is_active_on(date(2027, 6, 1)), "silence takes nothing back");
        assert_eq!(asked.take_back(from), HoldBackRelease::Free);
        assert_eq!(asked.take_back(at("2026-12-02T09:59:59Z")), HoldBackRelease::Free);
        let late = at("2026-12-02T10:00:00Z");
        let HoldBackRelease::CoolingOff(anew, _) = asked.take_back(late) else {
            panic!("a week after the cooling time the request counts no more");
        };
        assert_eq!(anew.asked_at, Some(late));
    }

    fn plan(id: &str, stream: &str) -> PotPlan {
        PotPlan {
            id: id.parse().unwrap(),
            stream: stream.parse().unwrap(),
            name: id.to_owned(),
            only: None,
            emergency: false,
            release: None,
        }
    }

    fn end<'a>(pot: &'a PotId, plan: &'a PotPlan) -> TransferEnd<'a> {
        TransferEnd { pot, plan, is_closed: false }
    }

    #[test]
    fn money_moves_between_pots_of_one_stream_for_the_same_things() {
        let (week, gift) = (plan("week", "homes"), plan("gift", "gift"));
        let pets =
            PotPlan { only: Some(["pets".parse().unwrap()].into()), ..plan("pets", "homes") };
        let trip: PotId = "own-1".parse().unwrap();
        let (own, from) = (end(&trip, &week), end(&week.id, &week));
        let to = |to, amount| PotTransfer::new(from, to, gbp(amount), gbp(5_00));
        let moved = to(own, 5_00).unwrap();
        assert_eq!((moved.from(), moved.to(), moved.amount()), (&week.id, &trip, gbp(5_00)));
        assert_eq!(to(own, 5_01), Err(PotTransferError::TooMuch(gbp(5_00))));
        assert_eq!(to(own, 0), Err(PotTransferError::Nothing));
        assert_eq!(to(from, 1), Err(PotTransferError::SamePot));
        assert_eq!(to(TransferEnd { is_closed: true, ..own }, 1), Err(PotTransferError::Closed));
        assert_eq!(to(end(&pets.id, &pets), 1), Err(PotTransferError::DifferentPurpose));
        let across =
            PotTransferError::OtherStream("homes".parse().unwrap(), "gift".parse().unwrap());
        assert_eq!(to(end(&gift.id, &gift), 1), Err(across));
    }
}
