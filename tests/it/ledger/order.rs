//! Messages about one purchase may arrive in any order, and any number of times.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use sayso::domain::money::Money;
use sayso::domain::money::limit::{CounterKey, LimitUsage};
use sayso::domain::purchase::dispute::{DisputeFunds, DisputeOutcome};
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::ledger::book::PotBalance;

use super::{BookFixture, DISPUTES, closed, open, report, word};
use crate::values::gbp;

/// A message that may be repeated; its number identifies it.
#[derive(Debug, Clone)]
struct LedgerMessage {
    number: u32,
    body: LedgerMessageBody,
}

#[derive(Debug, Clone)]
enum LedgerMessageBody {
    /// Approval of the request of this sequence number.
    Approval(u32, i64),
    /// Snapshot: status, time in seconds, number of responses.
    Snapshot(AuthorisationStatus, i64, u32),
    Capture(i64),
    Refund(i64),
    /// The merchant prices in another currency.
    OtherCurrency,
    /// Dispute: status, amount, time in seconds.
    Dispute((DisputeOutcome, Option<DisputeFunds>), i64, i64),
}

fn any_snapshot() -> impl Strategy<Value = LedgerMessageBody> {
    let over = [
        closed(20_00),
        AuthorisationStatus::Reversed,
        AuthorisationStatus::Expired,
        AuthorisationStatus::Declined,
    ];
    let status = prop_oneof![
        3 => (0..=60_00_i64).prop_map(|minor| open(gbp(minor))),
        1 => select(over.to_vec()),
    ];
    (status, 0..3_i64, 0..4_u32)
        .prop_map(|(s, at, answers)| LedgerMessageBody::Snapshot(s, at, answers))
}

/// Up to three requests, and messages of the issuer about them.
fn any_messages() -> impl Strategy<Value = Vec<LedgerMessage>> {
    let approvals = vec(1..=30_00_i64, 0..=3).prop_map(|amounts| {
        let approval = |(sequence, minor): (u32, i64)| LedgerMessageBody::Approval(sequence, minor);
        (0..).zip(amounts).map(approval).collect::<Vec<_>>()
    });
    let others = vec(
        prop_oneof![
            any_snapshot(),
            (1..=40_00_i64).prop_map(LedgerMessageBody::Capture),
            (1..=40_00_i64).prop_map(LedgerMessageBody::Refund),
            Just(LedgerMessageBody::OtherCurrency),
            (select(DISPUTES.to_vec()), 1..=40_00_i64, 0..3_i64)
                .prop_map(|(stands, minor, at)| LedgerMessageBody::Dispute(stands, minor, at)),
        ],
        0..8,
    );
    (approvals, others).prop_map(|(approvals, others)| {
        let bodies = approvals.into_iter().chain(others);
        (0..).zip(bodies).map(|(number, body)| LedgerMessage { number, body }).collect()
    })
}

/// The messages in two orders: the original one, and a shuffled one with repetitions.
fn two_orders() -> impl Strategy<Value = (Vec<LedgerMessage>, Vec<LedgerMessage>)> {
    any_messages().prop_flat_map(|messages| {
        let repeats = proptest::sample::subsequence(messages.clone(), 0..=messages.len());
        let shuffled = repeats.prop_flat_map({
            let messages = messages.clone();
            move |repeats| Just([messages.clone(), repeats].concat()).prop_shuffle()
        });
        (Just(messages), shuffled)
    })
}

fn play(pots: &[(&str, i64)], messages: &[LedgerMessage]) -> BookFixture {
    let mut fixture = BookFixture::new(pots);
    fixture.add("a");
    let mut known = BTreeSet::new();
    for message in messages {
        // The store recognises repeated requests, events and presentments by their references.
        if !known.insert(message.number) {
            continue;
        }
        match &message.body {
            LedgerMessageBody::Approval(sequence, minor) => fixture.approve("a", *sequence, *minor),
            LedgerMessageBody::Snapshot(status, at, answers) => {
                fixture.hear("a", word(*status, *at, *answers, &format!("evt_{}", message.number)))
            }
            LedgerMessageBody::Capture(minor) => fixture.capture("a", *minor),
            LedgerMessageBody::Refund(minor) => fixture.refund("a", *minor),
            LedgerMessageBody::OtherCurrency => fixture.apply_merchant_currency("a"),
            LedgerMessageBody::Dispute(stands, minor, at) => fixture
                .dispute("a", &report(*stands, *minor, *at, &format!("evt_{}", message.number))),
        };
    }
    fixture
}

/// Target, held, captured, refunded, exposure, suspense, disputed and recovered; and held, spent
/// and left of all pots.
fn totals(fixture: &BookFixture) -> ([i64; 8], [i64; 3]) {
    let a = fixture.purchase("a");
    let (wanted, held) = (a.target_hold().unwrap(), a.held().unwrap());
    let (captured, refunded) = (a.captured, a.refunded);
    let (exposure, suspense) = (a.exposure, a.suspense);
    let (disputed, recovered) = (a.disputed, a.recovered);
    let purchase = [wanted, held, captured, refunded, exposure, suspense, disputed, recovered];
    let pots = fixture.book.pots.0.values();
    let sum =
        |part: fn(&PotBalance) -> Money| pots.clone().map(|balance| part(balance).minor()).sum();
    (purchase.map(Money::minor), [sum(|b| b.held), sum(|b| b.spent), sum(|b| b.left)])
}

/// The counters that are not zero; a counter at zero is equivalent to none.
fn counted(fixture: &BookFixture) -> Vec<(&CounterKey, &LimitUsage)> {
    let nothing = LimitUsage::nothing(gbp(0));
    fixture.book.counters.iter().filter(|(_, used)| **used != nothing).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// With or without enough money, the result depends on the set of messages, and not on their
    /// order.
    #[test]
    fn scenario_11_any_order_of_the_same_messages_ends_the_same(
        (first, second) in two_orders(),
        pots in prop_oneof![Just([200_00, 200_00]), [0..=40_00_i64, 0..=40_00_i64]],
    ) {
        let pots = [("pets", pots[0]), ("week", pots[1])];
        let gives_back = |message: &LedgerMessage| {
            matches!(
                message.body,
                LedgerMessageBody::Refund(_) | LedgerMessageBody::Dispute(..)
            )
        };
        let has_refund = first.iter().any(gives_back);
        let (first, second) = (play(&pots, &first), play(&pots, &second));
        prop_assert_eq!(totals(&first), totals(&second));
        prop_assert_eq!(counted(&first), counted(&second));
        // A refund between two captures may distribute the money over the pots differently.
        for id in ["pets", "week"].iter().filter(|_| !has_refund) {
            prop_assert_eq!(first.figures(id), second.figures(id), "{}", id);
        }
    }
}
