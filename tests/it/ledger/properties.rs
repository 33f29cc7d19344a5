//! Random events about several purchases and two pots, with all invariants checked at every step.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use sayso::domain::purchase::dispute::{DisputeFunds, DisputeOutcome};
use sayso::domain::purchase::presentment::AuthorisationStatus;

use super::{BookFixture, DISPUTES, closed, open, permission, report, word};
use crate::values::gbp;

const PURCHASES: [&str; 3] = ["a", "cash", "early"];

#[derive(Debug, Clone)]
enum Event {
    /// Approval of this amount as far as the pots have it, with this permission.
    Approve(i64, Option<u128>),
    /// The response to this request was too late.
    Withdraw(u32),
    /// A snapshot, this many seconds later.
    Hear(AuthorisationStatus, i64, u32),
    HoldChange(i64),
    Capture(i64),
    Refund(i64),
    /// The merchant prices in another currency.
    OtherCurrency,
    /// Dispute: status, amount, and this many seconds later.
    Dispute((DisputeOutcome, Option<DisputeFunds>), i64, i64),
    /// The gateway's own clock expires overdue holds, this many days later.
    Expire(i64),
}

fn any_status() -> impl Strategy<Value = AuthorisationStatus> {
    prop_oneof![
        3 => (0..=60_00_i64).prop_map(|minor| open(gbp(minor))),
        1 => select(vec![
            closed(20_00),
            AuthorisationStatus::Reversed,
            AuthorisationStatus::Expired,
            AuthorisationStatus::Declined,
        ]),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..=40_00_i64, option::of(1..=2_u128)).prop_map(|(m, by)| Event::Approve(m, by)),
        1 => (0..4_u32).prop_map(Event::Withdraw),
        3 => (any_status(), 0..5_i64, 0..4_u32).prop_map(|(s, at, n)| Event::Hear(s, at, n)),
        1 => (-40_00..=40_00_i64).prop_map(Event::HoldChange),
        3 => (1..=40_00_i64).prop_map(Event::Capture),
        2 => (1..=40_00_i64).prop_map(Event::Refund),
        1 => Just(Event::OtherCurrency),
        2 => (select(DISPUTES.to_vec()), 1..=40_00_i64, 0..5_i64)
            .prop_map(|(stands, minor, at)| Event::Dispute(stands, minor, at)),
        1 => (0..20_i64).prop_map(Event::Expire),
    ]
}

fn play(fixture: &mut BookFixture, number: usize, name: &str, event: &Event) {
    let exposure_before = fixture.book.purchases.values().map(|p| p.exposure.minor()).sum::<i64>();
    match event {
        Event::Approve(minor, by) => {
            let left: i64 = fixture.sources().iter().map(|source| source.available.minor()).sum();
            let minor = left.min(*minor);
            fixture.add(name);
            let sequence = fixture.purchase(name).increments.len().try_into().unwrap();
            if minor > 0 {
                fixture.approve_by(name, sequence, minor, by.map(|number| permission(number).id));
            }
        }
        Event::Withdraw(sequence) => {
            fixture.withdraw(name, *sequence);
        }
        Event::Hear(status, at, answers) => {
            fixture.hear(name, word(*status, *at, *answers, &format!("evt_{number}")));
        }
        Event::HoldChange(by) => {
            fixture.hold_changed(name, *by);
        }
        Event::Capture(minor) => {
            fixture.capture(name, *minor);
        }
        Event::Refund(minor) => {
            fixture.refund(name, *minor);
        }
        Event::OtherCurrency => {
            fixture.apply_merchant_currency(name);
        }
        Event::Dispute(stands, minor, at) => {
            fixture.dispute(name, &report(*stands, *minor, *at, &format!("evt_{number}")));
        }
        Event::Expire(days) => fixture.expire(*days),
    }
    let exposure = fixture.book.purchases.values().map(|p| p.exposure.minor()).sum::<i64>();
    if exposure > exposure_before {
        let is_claim = matches!(event, Event::Capture(_) | Event::Dispute(..));
        assert!(is_claim, "only a claim costs what nobody has");
        let left: i64 = fixture.sources().iter().map(|source| source.available.minor()).sum();
        assert_eq!(
            (left, fixture.purchase(name).held().unwrap()),
            (0, gbp(0)),
            "the pots come first"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The invariants hold after every step, whatever the events and their order.
    #[test]
    fn the_books_are_true_after_any_events(
        first in 0..=60_00_i64,
        second in 0..=60_00_i64,
        events in vec((select(PURCHASES.as_slice()), any_event()), 1..25),
    ) {
        let mut fixture = BookFixture::new(&[("pets", first), ("week", second)]);
        fixture.book.permissions = vec![permission(1), permission(2)];
        for (number, (name, event)) in events.iter().enumerate() {
            play(&mut fixture, number, name, event);
        }
        // Without any further messages nothing stays held.
        fixture.expire(60);
        for purchase in fixture.book.purchases.values() {
            prop_assert_eq!(purchase.held().unwrap(), gbp(0));
            prop_assert_eq!(purchase.expires_at, None);
        }
        let held: i64 = ["pets", "week"].iter().map(|id| fixture.figures(id)[1]).sum();
        prop_assert_eq!(held, 0);
    }
}
