//! Assigns each recorded refund to its purchase.

use super::{RecordedOutcome, RecordedPurchase};
use crate::report::count_with_noun;

/// Assigns every refund to the latest earlier purchase of the same person at the same shop that has
/// the amount left to refund. Returns a summary, `None` without refunds.
pub(super) fn link(rows: &mut [RecordedPurchase]) -> Option<String> {
    let mut rest: Vec<i64> = rows.iter().map(paid_minor).collect();
    let (mut linked, mut all) = (0, 0);
    for place in 0..rows.len() {
        let Some(refund) = rows.get(place) else { continue };
        if !matches!(refund.outcome, RecordedOutcome::Refunded(_)) {
            continue;
        }
        all += 1;
        let amount = refund.amount_minor;
        let before = rows.iter().zip(&rest).enumerate().take(place).rev();
        let mut fitting = before.filter(|(_, (row, rest))| {
            let is_theirs = row.person == refund.person && row.shop.is_same_as(refund.shop);
            is_theirs && **rest >= amount && amount > 0
        });
        let of = fitting.next().map(|(place, _)| place);
        if let Some(rest) = of.and_then(|place| rest.get_mut(place)) {
            *rest -= amount;
            linked += 1;
        }
        if let Some(refund) = rows.get_mut(place) {
            refund.outcome = RecordedOutcome::Refunded(of);
        }
    }
    (all > 0).then(|| {
        let refunds = count_with_noun(all, "refund");
        format!(
            "{refunds}: {linked} of an earlier purchase at the same shop, {} of none",
            all - linked
        )
    })
}

fn paid_minor(row: &RecordedPurchase) -> i64 {
    match row.outcome {
        RecordedOutcome::Approved => row.amount_minor,
        RecordedOutcome::Declined | RecordedOutcome::Refunded(_) => 0,
    }
}
