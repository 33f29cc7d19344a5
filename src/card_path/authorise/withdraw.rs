//! Taking an approval back whose answer came too late: the issuer was told no.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::answers::{key, key_of};
use super::{AuthoriseError, Question, budgets, reference_text, wanted};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::{MessageId, PostingId};
use crate::domain::people::recipient::Recipient;
use crate::domain::purchase::finding::decided_without_us;
use crate::domain::purchase::presentment::Standing;
use crate::domain::purchase::{PromiseState, Purchase};
use crate::domain::time::period::Moment;
use crate::ledger::book::{Book, Cause};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::settled;
use crate::ledger::record::decision::{Outcome, RecordedDecision};
use crate::ledger::record::particulars::Particulars;
use crate::ledger::record::row::{Digest, shown};
use crate::messages::words::{Situation, Words};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, Programme};
use crate::store::{Additions, NewMessage, Settled, Tx, WITHDRAWAL, exception_id};

/// Gives back what the approvals of `late` hold, and writes that they were withdrawn beside the
/// unchanged decisions. Repeats of the question are then answered as our fault.
///
/// What was declined, never recorded or withdrawn before is left as it is. Budgets are locked
/// before decisions are looked for: a commit that was in doubt has ended when the lock is had.
pub async fn withdraw(
    tx: &mut Tx,
    directory: &Directory,
    ids: &NewIds,
    now: Timestamp,
    late: &[Question],
) -> Result<(), AuthoriseError> {
    let keys: BTreeSet<_> = late.iter().map(|question| key(&question.request)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let budgets = budgets(tx, directory, late).await?;
    let mut books = tx.open_books(&wanted(late, &budgets), directory.agreements()).await?;
    let decisions = tx.recorded_decisions(&keys).await?;
    let withdrawn = tx.withdrawn(&keys).await?;
    let programmes = directory.settings_of(&books).await?;
    let mut counters = Vec::new();
    for decision in &decisions {
        let Some(open) = books.get_mut(&decision.programme, &decision.budget) else { continue };
        let key = (decision.connection.clone(), decision.purchase.clone());
        let purchase = open.book.purchases.get(&key);
        let Some((purchase, owner)) = purchase.zip(open.book.owner.as_ref()) else { continue };
        for counter in purchase.counted.counters(&owner.agreement) {
            counters.push((decision.programme.clone(), decision.budget.clone(), counter));
        }
    }
    tx.load_counters(&counters, &mut books).await?;
    let mut additions = Additions::default();
    for decision in &decisions {
        let place = (
            decision.programme.clone(),
            decision.connection.clone(),
            decision.reference.to_string(),
        );
        // A later asking that nobody heard takes back nothing of what the first one was told.
        let is_its_own = late.iter().any(|question| {
            key(&question.request) == key_of(decision) && question.arrived_at == decision.decided_at
        });
        if withdrawn.contains(&place) || !is_hold(&decision.outcome) || !is_its_own {
            continue;
        }
        let Some(open) = books.get_mut(&decision.programme, &decision.budget) else { continue };
        let Some(programme) = programmes.of(open) else { continue };
        let moment = Moment::new(now, programme.zone());
        let row = vec![
            shown(&decision.programme),
            shown(&decision.connection),
            shown(&decision.reference),
            shown(&decision.budget),
            now.into(),
        ];
        let cause = Cause {
            posting: PostingId::new(ids.next(now)),
            kind: PostingKind::Withdrawal,
            subject: reference_text(&decision.connection, &decision.reference),
            record: Digest::of_row(&WITHDRAWAL, &row),
            moment,
        };
        let sequence = decision.request().map(|request| request.sequence);
        let key = (decision.connection.clone(), decision.purchase.clone());
        // Once the issuer has told its answer, that message has informed the person, or it was paid.
        let known = open.book.purchases.get(&key);
        let is_told = known.is_some_and(|purchase| is_told(purchase, sequence));
        if let (Some(purchase), Some(sequence)) = (known.filter(|p| is_declined(p)), sequence) {
            additions.settled.push(settled_answer(decision, purchase, sequence, now));
        }
        open.book.change(&key, cause, |purchase, pots| {
            take_back(purchase, sequence);
            settled(purchase, pots, &[])
        })?;
        if !is_told && open.book.owner.is_some() {
            additions.messages.push(taken_back(&open.book, programme, decision, (ids, now)));
        }
        additions.withdrawals.push(row);
    }
    tx.close_books(&books.all(), &additions).await?;
    Ok(())
}

/// Whether the issuer has told how that question was answered.
fn is_told(purchase: &Purchase, sequence: Option<u32>) -> bool {
    let knows = |answers: u32| sequence.is_some_and(|sequence| answers > sequence);
    let is_answered = purchase.word.as_ref().is_some_and(|word| knows(word.position.answers));
    is_answered || is_declined(purchase)
}

fn is_declined(purchase: &Purchase) -> bool {
    purchase.word.as_ref().is_some_and(|word| word.standing == Standing::Declined)
}

/// Settles the exception about an answer that was not ours: with the withdrawal both answers are a
/// decline.
fn settled_answer(
    decision: &RecordedDecision,
    purchase: &Purchase,
    sequence: u32,
    at: Timestamp,
) -> Settled {
    let (kind, about) = decided_without_us(purchase, sequence);
    Settled {
        id: exception_id(&decision.programme, kind, &about),
        programme: decision.programme.clone(),
        by: reference_text(&decision.connection, &decision.reference),
        at,
    }
}

/// What the person hears: it was not paid, and that is our fault.
fn taken_back(
    book: &Book,
    programme: &Programme,
    decision: &RecordedDecision,
    (ids, now): (&NewIds, Timestamp),
) -> NewMessage {
    let pot_names = BTreeMap::new();
    let situation = Situation::bare(decision.asked, programme.zone(), &pot_names);
    NewMessage {
        id: MessageId::new(ids.next(now)),
        programme: book.programme.clone(),
        budget: book.budget.clone(),
        kind: "taken_back",
        subject: decision.id.to_string(),
        body: Words::english().text_message(&DeclineReason::OurFault, &situation),
        created_at: now,
        recipient: Recipient::Person,
        facts: Particulars::default()
            .text("decision", decision.id.to_string())
            .money("amount", decision.asked)
            .reason(&DeclineReason::OurFault)
            .to_text(),
        matter: None,
        due_at: None,
    }
}

const fn is_hold(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Approved(amount) if amount.is_positive())
}

fn take_back(purchase: &mut Purchase, sequence: Option<u32>) {
    for promise in &mut purchase.promises {
        if Some(promise.sequence) == sequence {
            promise.state = PromiseState::Withdrawn;
        }
    }
}
