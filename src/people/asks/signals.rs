//! Safety signals, computed on request from the newest links of the person's chain. They are not
//! stored.

use jiff::Timestamp;

use crate::domain::decision::authorisation::PurchaseKind;
use crate::domain::id::PersonId;
use crate::domain::people::role::Capability;
use crate::domain::people::signal::{
    PurchaseAttempt, Signal, SignalInput, signal_window_start, signals, unused_window_start,
};
use crate::domain::purchase::decline_thread::{DeclineThread, shop_of};
use crate::ledger::record::decision::{DecisionOutcome, RecordedDecision};
use crate::people::members::{Principal, UseCaseContext, UseCaseError};
use crate::programme::directory::Programme;
use crate::store::{ChainLink, Tx};

/// The most links of a chain that are read: more than ten a day for five weeks.
const CHAIN_LINKS_MAX: u32 = 500;

/// The signals that may be worth a talk with the person. Read-only: no purchase is declined because
/// of them.
pub async fn safety_signals(
    tx: &mut Tx,
    context: UseCaseContext<'_>,
    principal: &Principal,
    person: &PersonId,
) -> Result<Vec<Signal>, UseCaseError> {
    let access = principal.admit_to_read(tx, Capability::SeeTimeline, person).await?;
    let programme = context.directory.latest_or_load(&access.programme).await?;
    let (zone, budget) = (programme.zone(), &access.budget);
    let today = zone.to_datetime(principal.at).date();
    let begins = |date: jiff::civil::Date| {
        date.to_zoned(zone.clone()).map_or(Timestamp::MIN, |midnight| midnight.timestamp())
    };
    let since = begins(signal_window_start(today));
    let links = tx.links_since(&access.programme, budget, since, CHAIN_LINKS_MAX).await?;
    let unused_window_start = begins(unused_window_start(today));
    let ids: Vec<_> = links.iter().filter_map(ChainLink::decision).collect();
    let decisions = tx.decisions_by_id(&access.programme, &ids).await?;
    let attempts: Vec<_> = decisions.iter().map(|decision| attempt(decision, &programme)).collect();
    let pots = tx.pots_of(&access.programme, budget).await?;
    let custody = tx.custody(&access.programme, budget).await?;
    let is_all = u32::try_from(links.len()).is_ok_and(|count| count < CHAIN_LINKS_MAX);
    Ok(signals(&SignalInput {
        today,
        attempts: &attempts,
        is_all,
        was_there: links.iter().any(|link| link.posted_at < unused_window_start),
        has_money: pots.values().any(|pot| pot.left.is_positive()),
        custody: custody.as_ref(),
    }))
}

fn attempt(decision: &RecordedDecision, programme: &Programme) -> PurchaseAttempt {
    let zone = programme.zone();
    let request = decision.request();
    let is_cash = |kind| kind == PurchaseKind::Cash;
    let thread = match (&decision.outcome, &request) {
        (DecisionOutcome::Declined(codes), Some(request)) => {
            let reason = codes.first().map_or("", |code| code.as_str());
            let identity = programme.rules.shops().identify(&request.merchant);
            let shop = shop_of(&identity, request.merchant.mcc());
            let thread = DeclineThread::of(request, &shop, reason);
            Some((thread.thread_key(), thread.within()))
        }
        (DecisionOutcome::Declined(_) | DecisionOutcome::Approved(_), _) => None,
    };
    PurchaseAttempt {
        at: decision.decided_at,
        on: zone.to_datetime(decision.decided_at).date(),
        thread,
        is_cash: request.is_some_and(|r| is_cash(r.kind) || r.cash_back.is_positive()),
        paid: match decision.outcome {
            DecisionOutcome::Approved(amount) => Some(amount),
            DecisionOutcome::Declined(_) => None,
        },
    }
}
