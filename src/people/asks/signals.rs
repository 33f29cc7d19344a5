//! What may be worth a talk, read from the end of the person's chain when somebody looks.

use jiff::Timestamp;

use super::Desk;
use crate::domain::decision::authorisation::PurchaseKind;
use crate::domain::id::PersonId;
use crate::domain::people::role::Act;
use crate::domain::people::signal::{Seen, Signal, Tried, seen_from, signals, unused_from};
use crate::domain::purchase::matter::{Refusal, shop_of};
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::people::members::{ActError, Acting};
use crate::programme::directory::Programme;
use crate::store::{ChainLink, Tx};

/// The most links of a chain that are read: more than ten a day for five weeks.
const LINKS_MOST: u32 = 500;

/// What may be worth a talk with a person. Nothing is written, and nothing is stopped.
pub async fn worth_a_talk(
    tx: &mut Tx,
    desk: Desk<'_>,
    acting: &Acting,
    person: &PersonId,
) -> Result<Vec<Signal>, ActError> {
    let admitted = acting.see(tx, Act::SeeTimeline, person).await?;
    let programme = desk.directory.at_hand(&admitted.programme).await?;
    let (zone, budget) = (programme.zone(), &admitted.budget);
    let today = zone.to_datetime(acting.at).date();
    let begins = |date: jiff::civil::Date| {
        date.to_zoned(zone.clone()).map_or(Timestamp::MIN, |midnight| midnight.timestamp())
    };
    let since = begins(seen_from(today));
    let links = tx.links_since(&admitted.programme, budget, since, LINKS_MOST).await?;
    let unused_from = begins(unused_from(today));
    let ids: Vec<_> = links.iter().filter_map(ChainLink::decision).collect();
    let decisions = tx.decisions_with(&admitted.programme, &ids).await?;
    let tried: Vec<_> = decisions.iter().map(|decision| tried(decision, &programme)).collect();
    let pots = tx.pots_of(&admitted.programme, budget).await?;
    let custody = tx.custody(&admitted.programme, budget).await?;
    let is_all = u32::try_from(links.len()).is_ok_and(|count| count < LINKS_MOST);
    Ok(signals(&Seen {
        today,
        tried: &tried,
        is_all,
        was_there: links.iter().any(|link| link.posted_at < unused_from),
        has_money: pots.values().any(|pot| pot.left.is_positive()),
        custody: custody.as_ref(),
    }))
}

fn tried(decision: &RecordedDecision, programme: &Programme) -> Tried {
    let zone = programme.zone();
    let request = decision.request();
    let is_cash = |kind| kind == PurchaseKind::Cash;
    let matter = match (&decision.outcome, &request) {
        (Outcome::Declined(codes), Some(request)) => {
            let reason = codes.first().map_or("", |code| code.as_str());
            let identity = programme.rules.shops().identify(&request.merchant);
            let shop = shop_of(&identity, request.merchant.mcc());
            let refusal = Refusal::of(request, &shop, reason);
            Some((refusal.matter(), refusal.within()))
        }
        (Outcome::Declined(_) | Outcome::Approved(_), _) => None,
    };
    Tried {
        at: decision.decided_at,
        on: zone.to_datetime(decision.decided_at).date(),
        matter,
        is_cash: request.is_some_and(|r| is_cash(r.kind) || r.cash_back.is_positive()),
        paid: match decision.outcome {
            Outcome::Approved(amount) => Some(amount),
            Outcome::Declined(_) => None,
        },
    }
}
