//! Staged release over random purchases: the released money can be spent completely, and nothing
//! beyond it.

use std::sync::Arc;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use sayso::domain::pot::personal::{PotTransfer, SavingsGoal, TransferEnd};
use sayso::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use sayso::domain::pot::{PotFunds, PotPlan};
use sayso::ledger::book::PotBalance;
use sayso::ledger::posting::PostingKind;
use sayso::ledger::postings::pot_transfers;

use super::{BookFixture, closed, word};
use crate::values::{gbp, pot};

/// An event of one pot.
#[derive(Debug, Clone)]
enum Event {
    /// This many days pass.
    Pass(i64),
    Load(i64),
    /// A new purchase of this amount, approved if it can be spent.
    Ask(i64),
    /// Captures the whole hold of the purchase of this index, and refunds this amount.
    Take(usize, i64),
    /// Reverses the purchase of this index.
    Undo(usize),
    /// Moves this amount into a pot of the person's own if it can be spent, or back.
    Save(i64),
    Return(i64),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..20_i64).prop_map(Event::Pass),
        1 => (1..=30_00_i64).prop_map(Event::Load),
        4 => (1..=30_00_i64).prop_map(Event::Ask),
        2 => (0..8_usize, 0..=30_00_i64).prop_map(|(n, back)| Event::Take(n, back)),
        1 => (0..8_usize).prop_map(Event::Undo),
        2 => (1..=30_00_i64).prop_map(Event::Save),
        1 => (1..=30_00_i64).prop_map(Event::Return),
    ]
}

/// One pot with staged release, and the current day.
struct LifeFixture {
    fixture: BookFixture,
    plan: PotPlan,
    today: Date,
    bought: usize,
}

impl LifeFixture {
    fn new(release: ReleaseSchedule, loaded: i64) -> Self {
        let mut fixture = BookFixture::new(&[("week", loaded)]);
        let owner = fixture.book.owner.as_mut().unwrap();
        let agreement = Arc::make_mut(&mut owner.agreement);
        agreement.pots[0].release = Some(release);
        let plan = agreement.pots[0].clone();
        let mut own = PotBalance::empty("homes".parse().unwrap(), gbp(100_00));
        let goal = SavingsGoal {
            of: pot("week"),
            name: "Trip to my sister".to_owned(),
            sum: None,
            pays: false,
            is_closed: false,
        };
        own.own.goal = Some(goal);
        fixture.book.pots.0.insert(pot("own-1"), own);
        Self { fixture, plan, today: date(2026, 11, 23), bought: 0 }
    }

    fn in_pot(&self) -> PotFunds {
        let pots = self.fixture.book.in_pots(self.today).unwrap();
        assert_eq!(pots.len(), 1, "a pot of the person's own pays only when they say so");
        pots.into_values().next().unwrap()
    }

    fn own_left(&self) -> i64 {
        self.fixture.figures("own-1")[3]
    }

    /// Transfers money if it is possible.
    fn move_money(&mut self, [from, to]: [&str; 2], minor: i64, spendable: i64) {
        let (from, to) = (pot(from), pot(to));
        let end = |pot| TransferEnd { pot, plan: &self.plan, is_closed: false };
        let moving = PotTransfer::new(end(&from), end(&to), gbp(minor), gbp(spendable));
        assert_eq!(moving.is_ok(), 0 < minor && minor <= spendable);
        if let Ok(moving) = moving {
            let cause = self.fixture.cause(PostingKind::PotTransfer);
            self.fixture.book.post(cause, pot_transfers(&moving)).unwrap();
            self.fixture.check();
        }
    }

    fn spendable(&self) -> i64 {
        self.plan.spendable(&self.in_pot(), self.today).unwrap().minor()
    }

    fn name(number: usize) -> String {
        format!("purchase-{number}")
    }

    fn ask(&mut self, minor: i64) {
        if minor > 0 && minor <= self.spendable() {
            self.fixture.approve(&Self::name(self.bought), 0, minor);
            self.bought += 1;
        }
    }

    fn play(&mut self, number: usize, event: &Event) {
        let known = |n: &usize| n.checked_rem(self.bought).map(Self::name);
        match event {
            Event::Pass(days) => self.today = self.today.checked_add(days.days()).unwrap(),
            Event::Load(minor) => self.fixture.load("week", *minor),
            Event::Ask(minor) => self.ask(*minor),
            Event::Take(n, back) => {
                let Some(name) = known(n) else { return };
                let held = self.fixture.purchase(&name).held().unwrap().minor();
                if held > 0 {
                    self.fixture.capture(&name, held);
                    self.fixture.refund(&name, (*back).clamp(1, held));
                }
            }
            Event::Undo(n) => {
                let Some(name) = known(n) else { return };
                self.fixture.hear(&name, word(closed(0), 0, 1, &format!("evt_{number}")));
            }
            Event::Save(minor) => {
                self.move_money(["week", "own-1"], *minor, self.spendable());
            }
            Event::Return(minor) => self.move_money(["own-1", "week"], *minor, self.own_left()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The released money is never exceeded, and can be spent to the last penny, after any refunds
    /// and reversals.
    #[test]
    fn what_was_let_out_can_be_spent_and_nothing_else(
        at_once in 0..=10_00_i64,
        amount in 1..=20_00_i64,
        every in select(ReleaseInterval::ALL.to_vec()),
        loaded in 0..=90_00_i64,
        events in vec(any_event(), 1..25),
    ) {
        let from = date(2026, 11, 30);
        let release = ReleaseSchedule::new(gbp(at_once), gbp(amount), every, from).unwrap();
        let mut life = LifeFixture::new(release, loaded);
        for (number, event) in events.iter().enumerate() {
            life.play(number, event);
            let [week, own] = ["week", "own-1"].map(|id| life.fixture.figures(id));
            let [loaded, held, spent] = [0, 1, 2].map(|figure| week[figure] + own[figure]);
            let stages = stages_by_counting(every, from, life.today);
            let out = (at_once + amount * stages).min(loaded);
            prop_assert!(held + spent <= out, "{} held, {} spent, {} let out", held, spent, out);
            prop_assert_eq!(life.spendable() + life.own_left(), out - held - spent);
        }
        life.move_money(["own-1", "week"], life.own_left(), life.own_left());
        life.ask(life.spendable());
        prop_assert_eq!(life.spendable(), 0);
    }
}

#[test]
fn only_a_pot_with_staged_release_says_what_was_loaded() {
    let mut fixture = BookFixture::new(&[("pets", 40_00), ("week", 60_00)]);
    let from = date(2026, 11, 30);
    let release = ReleaseSchedule::new(gbp(0), gbp(20_00), ReleaseInterval::Week, from).unwrap();
    let owner = fixture.book.owner.as_mut().unwrap();
    Arc::make_mut(&mut owner.agreement).pots[1].release = Some(release);
    let pots = fixture.book.in_pots(from).unwrap();
    let figures = ["pets", "week"].map(|id| (pots[&pot(id)].left, pots[&pot(id)].loaded));
    assert_eq!(figures, [(gbp(40_00), None), (gbp(60_00), Some(gbp(60_00)))]);
}

/// The number of stages begun so far, counted day by day.
fn stages_by_counting(every: ReleaseInterval, from: Date, today: Date) -> i64 {
    let days = from.series(1.day()).take_while(|day| *day <= today);
    let begins = |day: &Date| match every {
        ReleaseInterval::Day => true,
        ReleaseInterval::Week => day.weekday() == from.weekday(),
        ReleaseInterval::Month => day.day() == from.day().min(day.days_in_month()),
    };
    days.filter(begins).count().try_into().unwrap()
}
