//! Signals: patterns that may be worth a talk with the person.
//!
//! They are computed on reading, from what is recorded anyway. They are not stored, and no decision
//! depends on one. No signal shows in what kind of shop anything was bought.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::domain::card::safety::Custody;
use crate::domain::money::Money;
use crate::domain::stored_enum::stored_enum;
use crate::domain::time::period::Period;

/// Distinct declines in one local week that raise [`Signal::NotPaid`]. Retries count as one.
const DECLINE_SIGNAL_THRESHOLD: usize = 4;
/// Cash requests, paid or not, within [`CASH_SIGNAL_WINDOW`] that raise [`Signal::CashPressed`],
/// because somebody may be pressing the person. Two may be a retry at one cash machine.
const CASH_SIGNAL_THRESHOLD: usize = 3;
const CASH_SIGNAL_WINDOW: SignedDuration = SignedDuration::from_hours(2);
/// How many earlier weeks the current week is compared with.
const WEEKS_BEFORE: i64 = 4;
/// How many of those weeks need a paid purchase; with fewer there is no pattern to compare with.
const WEEKS_WITH_PURCHASES: usize = 3;
/// Days without a request that raise [`Signal::NotUsed`]: a failing of the programme, not of the
/// person.
const NOT_USED_DAYS: i64 = 30;

stored_enum!(
    /// What kind of signal it is.
    SignalKind {
        NotPaid => "not_paid",
        CashPressed => "cash_pressed",
        UnlikeBefore => "unlike_before",
        NotUsed => "not_used",
        CardElsewhere => "card_elsewhere",
    }
);

/// A pattern that may be worth a talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// This local week has `times` distinct declines: the list may not fit.
    NotPaid { times: usize },
    /// Cash was requested `times` times within two hours.
    CashPressed { times: usize },
    /// This week's spending is more than twice that of the highest earlier week.
    UnlikeBefore { this_week: Money, most_before: Money },
    /// The card had no request for `days` days, although there is money.
    NotUsed { days: i64 },
    /// Somebody else has held the card since `since`, and the custody review is due.
    CardElsewhere { since: Timestamp },
}

/// A decided authorisation request, with the local day on which it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseAttempt {
    pub at: Timestamp,
    pub on: Date,
    pub is_cash: bool,
    /// The approved amount; none for a decline.
    pub paid: Option<Money>,
    /// The thread of a decline, and for how long after its first decline a retry belongs to it;
    /// none for an approval.
    pub thread: Option<(String, SignedDuration)>,
}

/// What is recorded about the last weeks of one person.
#[derive(Debug, Clone, Copy)]
pub struct SignalInput<'a> {
    pub today: Date,
    /// The attempts since [`signal_window_start`], in any order; only the newest if there are too
    /// many.
    pub attempts: &'a [PurchaseAttempt],
    /// Whether `attempts` is complete.
    pub is_all: bool,
    /// Whether anything was booked before [`unused_window_start`]; false for a new budget.
    pub was_there: bool,
    pub has_money: bool,
    pub custody: Option<&'a Custody>,
}

impl Signal {
    /// What kind of signal it is.
    pub const fn kind(&self) -> SignalKind {
        match self {
            Self::NotPaid { .. } => SignalKind::NotPaid,
            Self::CashPressed { .. } => SignalKind::CashPressed,
            Self::UnlikeBefore { .. } => SignalKind::UnlikeBefore,
            Self::NotUsed { .. } => SignalKind::NotUsed,
            Self::CardElsewhere { .. } => SignalKind::CardElsewhere,
        }
    }
}

/// The first local day that signals read.
pub fn signal_window_start(today: Date) -> Date {
    let weeks = Period::Week.first_day(today).checked_sub(WEEKS_BEFORE.weeks());
    weeks.unwrap_or(Date::MIN).min(unused_window_start(today))
}

/// The first day of the window in which a card without any request raises [`Signal::NotUsed`].
pub fn unused_window_start(today: Date) -> Date {
    today.checked_sub(NOT_USED_DAYS.days()).unwrap_or(Date::MIN)
}

/// The signals that `input` raises.
pub fn signals(input: &SignalInput<'_>) -> Vec<Signal> {
    let found = [
        not_paid(input),
        cash_pressed(input),
        unlike_before(input),
        not_used(input),
        card_elsewhere(input),
    ];
    found.into_iter().flatten().collect()
}

fn this_week<'a>(input: &SignalInput<'a>) -> impl Iterator<Item = &'a PurchaseAttempt> {
    let monday = Period::Week.first_day(input.today);
    input.attempts.iter().filter(move |attempt| attempt.on >= monday)
}

fn not_paid(input: &SignalInput<'_>) -> Option<Signal> {
    let declines = this_week(input).filter(|attempt| attempt.paid.is_none());
    let times = count_distinct(declines.collect());
    (times >= DECLINE_SIGNAL_THRESHOLD).then_some(Signal::NotPaid { times })
}

/// Counts the distinct declines. Retries in one thread count once, from its first decline and for
/// as long as [`PurchaseAttempt::thread`] says.
fn count_distinct(mut declines: Vec<&PurchaseAttempt>) -> usize {
    declines.sort_by_key(|attempt| attempt.at);
    let mut first_declines: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut count = 0_usize;
    for attempt in declines {
        let known = attempt.thread.as_ref().is_some_and(|(thread, within)| {
            let first = first_declines.get(thread.as_str());
            first.is_some_and(|first| attempt.at.duration_since(*first) < *within)
        });
        if let Some((thread, _)) = attempt.thread.as_ref().filter(|_| !known) {
            first_declines.insert(thread, attempt.at);
        }
        count = count.saturating_add(usize::from(!known));
    }
    count
}

fn cash_pressed(input: &SignalInput<'_>) -> Option<Signal> {
    let mut cash: Vec<_> = this_week(input).filter(|t| t.is_cash).map(|t| t.at).collect();
    cash.sort_unstable();
    let within = |from: &Timestamp| {
        let near =
            cash.iter().filter(|at| *at >= from && at.duration_since(*from) <= CASH_SIGNAL_WINDOW);
        near.count()
    };
    let times = cash.iter().map(within).max().unwrap_or_default();
    (times >= CASH_SIGNAL_THRESHOLD).then_some(Signal::CashPressed { times })
}

fn unlike_before(input: &SignalInput<'_>) -> Option<Signal> {
    let monday = Period::Week.first_day(input.today);
    let week = |back: i64| {
        let first = monday.checked_sub(back.weeks()).unwrap_or(Date::MIN);
        let is_in = |attempt: &&PurchaseAttempt| Period::Week.first_day(attempt.on) == first;
        let mut paid = input.attempts.iter().filter(is_in).filter_map(|attempt| attempt.paid);
        let one = paid.next()?;
        paid.try_fold(one, |sum, more| sum.checked_add(more).ok())
    };
    let before: Vec<_> = (1..=WEEKS_BEFORE).filter_map(week).collect();
    let most_before = before.iter().copied().max_by_key(|sum| sum.minor())?;
    let this_week = week(0)?;
    let is_unlike = input.is_all
        && before.len() >= WEEKS_WITH_PURCHASES
        && this_week.minor() > most_before.minor().saturating_mul(2);
    is_unlike.then_some(Signal::UnlikeBefore { this_week, most_before })
}

fn not_used(input: &SignalInput<'_>) -> Option<Signal> {
    let from = unused_window_start(input.today);
    let is_used = input.attempts.iter().any(|attempt| attempt.on >= from);
    let is_unused = !is_used && input.was_there && input.has_money;
    is_unused.then_some(Signal::NotUsed { days: NOT_USED_DAYS })
}

fn card_elsewhere(input: &SignalInput<'_>) -> Option<Signal> {
    let custody = input.custody.filter(|custody| custody.is_due(input.today))?;
    Some(Signal::CardElsewhere { since: custody.since })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    const NOTHING: SignalInput<'static> = SignalInput {
        // A Wednesday.
        today: date(2026, 11, 25),
        attempts: &[],
        is_all: true,
        was_there: true,
        has_money: false,
        custody: None,
    };

    fn gbp(minor: i64) -> Money {
        Money::from_minor(minor, "GBP".parse().unwrap())
    }

    fn attempt(on: Date, minute: i8, is_cash: bool, paid: Option<i64>) -> PurchaseAttempt {
        let at = on.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let at = at.checked_add(i64::from(minute).minutes()).unwrap();
        PurchaseAttempt { at, on, is_cash, paid: paid.map(gbp), thread: None }
    }

    fn found(attempts: &[PurchaseAttempt]) -> Vec<SignalKind> {
        signals(&SignalInput { attempts, ..NOTHING }).iter().map(Signal::kind).collect()
    }

    #[test]
    fn four_of_one_local_week_that_were_not_paid_are_many() {
        let not_paid = |on| attempt(on, 0, false, None);
        let monday = date(2026, 11, 23);
        let mut week = vec![not_paid(monday); 3];
        week.push(not_paid(date(2026, 11, 22)));
        assert_eq!(found(&week), [], "the fourth was last week");
        week.push(attempt(monday, 0, false, Some(1)));
        assert_eq!(found(&week), [], "the fifth was paid");
        week.push(not_paid(date(2026, 11, 25)));
        assert_eq!(found(&week), [SignalKind::NotPaid]);
    }

    #[test]
    fn a_shop_that_tries_again_within_a_day_is_one_thread() {
        let day = SignedDuration::from_hours(24);
        let on = date(2026, 11, 24);
        let again = |minute, shop: &str| PurchaseAttempt {
            thread: Some((shop.to_owned(), day)),
            ..attempt(on, minute, false, None)
        };
        let night: Vec<_> = (0..8).map(|n| again(n, "a")).collect();
        assert_eq!(found(&night), [], "eight tries of one shop");
        let shops: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|shop| again(0, shop)).collect();
        assert_eq!(found(&shops), [SignalKind::NotPaid], "four shops");
        // A retry after a day or more counts as another decline.
        let days: Vec<_> = (0..4)
            .map(|n| {
                let at = night[0].at.checked_add(day * n).unwrap();
                PurchaseAttempt { at, ..night[0].clone() }
            })
            .collect();
        assert_eq!(found(&days), [SignalKind::NotPaid]);
    }

    #[test]
    fn cash_three_times_in_a_short_while_is_pressed() {
        let on = date(2026, 11, 24);
        let cash = |minute| attempt(on, minute, true, Some(10_00));
        assert_eq!(found(&[cash(0), cash(10)]), []);
        assert_eq!(found(&[cash(0), cash(60), cash(121)]), [], "three, but not in a short while");
        assert_eq!(
            found(&[cash(0), attempt(on, 60, true, None), cash(120)]),
            [SignalKind::CashPressed]
        );
        assert_eq!(found(&[cash(0), cash(1), attempt(on, 2, false, Some(5_00))]), []);
    }

    #[test]
    fn a_week_is_unlike_those_before_when_it_is_more_than_twice_as_dear() {
        let paid = |on, sum| attempt(on, 0, false, Some(sum));
        let before = [
            paid(date(2026, 10, 28), 20_00),
            paid(date(2026, 11, 4), 15_00),
            paid(date(2026, 11, 5), 15_00),
            paid(date(2026, 11, 12), 10_00),
        ];
        let with = |this_week| [&before[..], &[paid(date(2026, 11, 24), this_week)]].concat();
        assert_eq!(found(&with(60_00)), []);
        let dear = with(60_01);
        assert_eq!(
            signals(&SignalInput { attempts: &dear, ..NOTHING }),
            [Signal::UnlikeBefore { this_week: gbp(60_01), most_before: gbp(30_00) }]
        );
        assert_eq!(signals(&SignalInput { attempts: &dear, is_all: false, ..NOTHING }), []);
        assert_eq!(found(&dear[1..3]), [], "there is no pattern yet");
    }

    #[test]
    fn a_card_that_nobody_uses_though_there_is_money_is_our_failing() {
        let input = SignalInput { has_money: true, ..NOTHING };
        assert_eq!(signals(&input), [Signal::NotUsed { days: 30 }]);
        for used in [
            SignalInput { has_money: false, ..input },
            SignalInput { was_there: false, ..input },
            SignalInput { attempts: &[attempt(date(2026, 10, 26), 0, false, None)], ..input },
        ] {
            assert_eq!(signals(&used), []);
        }
        let long_ago = [attempt(date(2026, 10, 25), 0, false, Some(1))];
        assert_eq!(signals(&SignalInput { attempts: &long_ago, ..input }).len(), 1);
    }
}
