//! Writes what a file changes about a person, in a short transaction that locks no other budget.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::list::{FiledProposal, ListChange, list_change, parties_to, propose};
use super::pace::give_way;
use super::plan::ApplyPlan;
use super::{ApplyError, ApplyReport, PendingProposal};
use crate::domain::card::pause::Pause;
use crate::domain::id::{BudgetId, PostingId, PotId, ProgrammeId};
use crate::domain::money::Money;
use crate::ledger::book::{Book, LedgerError, PostingCause, PotBalance};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::load_transfers;
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::Record as _;
use crate::platform::ids::NewIds;
use crate::programme::file::{FiledCard, Load, Person};
use crate::programme::file_messages::FileMessages;
use crate::programme::filed_state::{card_status, permission, person_row};
use crate::programme::version::start_version;
use crate::store::{
    AgreementCache, ApplicationRow, BookRequest, CardRow, LoadRow, PendingWrites, PotRow, Store,
    StoreError, Tx,
};

/// How many times a transaction is tried before its transient error is returned.
const ATTEMPTS: usize = 5;

/// Result of one transaction.
#[derive(Default)]
struct BatchOutcome {
    agreements: usize,
    loads: usize,
    waiting: Vec<PendingProposal>,
    left: Vec<String>,
}

/// Updates `people` in one transaction, and pauses after it. Returns `false` if another process has
/// finished the application.
pub(super) async fn change(
    store: &Store,
    ids: &NewIds,
    plan: &ApplyPlan<'_>,
    application: &ApplicationRow,
    people: &[&Person],
    applied: &mut ApplyReport,
) -> Result<bool, ApplyError> {
    let mut attempt = 1_usize;
    let outcome = loop {
        match try_change(store, ids, plan, application, people).await {
            Err(ApplyError::Store(error)) if error.is_transient() && attempt < ATTEMPTS => {
                attempt = attempt.saturating_add(1);
            }
            outcome => break outcome?,
        }
    };
    let Some(outcome) = outcome else { return Ok(false) };
    applied.agreements = applied.agreements.saturating_add(outcome.agreements);
    applied.loads = applied.loads.saturating_add(outcome.loads);
    applied.waiting.extend(outcome.waiting);
    applied.left.extend(outcome.left);
    Ok(true)
}

async fn try_change(
    store: &Store,
    ids: &NewIds,
    plan: &ApplyPlan<'_>,
    application: &ApplicationRow,
    people: &[&Person],
) -> Result<Option<BatchOutcome>, ApplyError> {
    let mut tx = store.begin().await?;
    let began = Instant::now();
    if !tx.lock_application(&application.programme_id, &application.application_id).await? {
        return Ok(None);
    }
    let mut outcome = BatchOutcome::default();
    for person in people {
        let change = PersonChange { ids, plan, person, budget: BudgetId::of(&person.id) };
        change.write(&mut tx, application.version, &mut outcome).await?;
    }
    tx.commit().await?;
    give_way(store, began.elapsed()).await;
    Ok(Some(outcome))
}

struct PersonChange<'a> {
    ids: &'a NewIds,
    plan: &'a ApplyPlan<'a>,
    person: &'a Person,
    budget: BudgetId,
}

impl PersonChange<'_> {
    const fn programme(&self) -> &ProgrammeId {
        &self.plan.parsed.file.settings.id
    }

    async fn write(
        &self,
        tx: &mut Tx,
        version: u32,
        outcome: &mut BatchOutcome,
    ) -> Result<(), ApplyError> {
        let (programme, budget) = (self.programme(), &self.budget);
        let currency = self.plan.settings().currency;
        if self.plan.is_known(budget) {
            tx.lock_budget(programme, budget).await?;
        } else {
            tx.add_budgets(programme, std::slice::from_ref(budget), currency).await?;
        }
        let before = tx.pots_of(programme, budget).await?;
        self.put_pots(tx, &before).await?;
        let wanted = BookRequest::without_purchases(programme, budget);
        let mut books = tx.open_books(&[wanted], &AgreementCache::default()).await?;
        let Some(open) = books.get_mut(programme, budget) else {
            return Err(StoreError::Contended("budget").into());
        };
        let book = &mut open.book;
        self.post_pots(book, &before)?;
        let mut pending_writes = PendingWrites::default();
        let is_whole = self.change_list(tx, book, &mut pending_writes, outcome).await?;
        let added = self.post_loads(tx, book, outcome).await?;
        // New people get no message, because a human tells them about their first money.
        if self.plan.is_known(budget) && added.is_positive() {
            let (now, settings) = (self.plan.now, self.plan.settings());
            let writer = FileMessages { ids: self.ids, now, settings };
            let notification = writer.money_added(budget, added);
            pending_writes.messages.push(notification);
        }
        self.put_cards(tx).await?;
        tx.put_settings_version(programme, budget, version).await?;
        if is_whole {
            tx.put_people(&[person_row(programme, self.person)]).await?;
        }
        tx.close_books(&books.all(), &pending_writes).await?;
        Ok(())
    }

    async fn put_pots(
        &self,
        tx: &mut Tx,
        before: &BTreeMap<PotId, PotBalance>,
    ) -> Result<(), StoreError> {
        for pot in &self.person.pots {
            let known = before.get(&pot.plan.id);
            if known.is_none_or(|known| known.allocated != pot.allocated) {
                let empty = PotBalance::empty(pot.plan.stream.clone(), pot.allocated);
                tx.put_pot(self.programme(), &self.budget, &pot.plan.id, &empty).await?;
            }
        }
        for draft in &self.person.permissions {
            let shops = self.plan.parsed.rules.shops();
            let now = self.plan.now;
            let permission = permission(self.programme(), &self.budget, draft, shops, now);
            tx.add_permission(self.programme(), &self.budget, &permission).await?;
        }
        Ok(())
    }

    /// Starts what needs no consent, and proposes the rest. Returns `false` if the file's change is
    /// not possible now; the reason is then in [`BatchOutcome::left`].
    async fn change_list(
        &self,
        tx: &mut Tx,
        book: &mut Book,
        pending_writes: &mut PendingWrites,
        outcome: &mut BatchOutcome,
    ) -> Result<bool, ApplyError> {
        let mut leave = |why: String| {
            outcome.left.push(format!("person {}: {why}", self.budget));
            Ok(false)
        };
        let ListChange { start, propose: next } =
            match list_change(self.plan, self.person, book.agreement()) {
                Ok(change) => change,
                Err(why) => return leave(why),
            };
        let now = start.clone().or_else(|| book.agreement().cloned());
        let proposed = match now.zip(next) {
            Some((now, next)) => match parties_to(tx, self.plan, self.person, &now, &next).await? {
                Ok(parties) => Some((now, next, parties)),
                Err(why) => return leave(why),
            },
            None => None,
        };
        if let Some(agreement) = start {
            let (rules, moment) = (&self.plan.parsed.rules, self.plan.moment());
            start_version(tx, book, &agreement, None, rules, self.ids, moment).await?;
            outcome.agreements = outcome.agreements.saturating_add(1);
        }
        if let Some((now, next, parties)) = proposed {
            let Self { plan, ids, person, .. } = *self;
            let filed = FiledProposal { plan, ids, person, parties };
            outcome.waiting.push(propose(tx, &filed, &now, next, pending_writes).await?);
        }
        Ok(true)
    }

    async fn put_cards(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (programme, now) = (self.programme(), self.plan.now);
        let before = self.plan.before(&self.budget).map(|(person, _)| person);
        let known = tx.card_rows(programme, &self.budget).await?;
        let pauses = tx.pauses_of(programme, &self.budget).await?;
        let paused_until = pauses.iter().map(Pause::over_at).max();
        let card = |card: &FiledCard| {
            let is_same =
                |row: &&CardRow| row.connection_id == card.connection && row.token == card.token;
            let known = known.iter().find(is_same).map(CardRow::status);
            let status = card_status(card, known, before).under(paused_until, now);
            card.row(programme, &self.budget, status)
        };
        let cards: Vec<_> = self.person.cards.iter().map(card).collect();
        tx.put_cards(&cards).await
    }

    fn cause(&self, kind: PostingKind, subject: String, record: Digest) -> PostingCause {
        PostingCause {
            posting: PostingId::new(self.ids.next(self.plan.now)),
            kind,
            subject,
            record,
            moment: self.plan.moment(),
        }
    }

    /// Posts every pot that is new or whose allocation changed.
    fn post_pots(
        &self,
        book: &mut Book,
        before: &BTreeMap<PotId, PotBalance>,
    ) -> Result<(), LedgerError> {
        for pot in &self.person.pots {
            let id = &pot.plan.id;
            let known = before.get(id);
            if known.is_some_and(|known| known.allocated == pot.allocated) {
                continue;
            }
            let empty = PotBalance::empty(pot.plan.stream.clone(), pot.allocated);
            let own = known.map(|known| known.own.clone()).unwrap_or_default();
            let row = PotRow::new(&book.programme, &book.budget, id, &PotBalance { own, ..empty });
            let digest = row.plan_digest();
            book.post(self.cause(PostingKind::Pot, id.to_string(), digest), Vec::new())?;
        }
        Ok(())
    }

    /// Posts every load that was not posted before, and returns their sum.
    async fn post_loads(
        &self,
        tx: &mut Tx,
        book: &mut Book,
        outcome: &mut BatchOutcome,
    ) -> Result<Money, ApplyError> {
        let mut added = Money::zero(self.plan.settings().currency);
        for pot in &self.person.pots {
            for load in &pot.loads {
                let id = &pot.plan.id;
                let posted = tx.load_amount(&book.programme, &book.budget, id, &load.id).await?;
                if posted.is_none() {
                    self.post_load(tx, book, id, load).await?;
                    outcome.loads = outcome.loads.saturating_add(1);
                    added = added.checked_add(load.amount).map_err(LedgerError::from)?;
                }
            }
        }
        Ok(added)
    }

    async fn post_load(
        &self,
        tx: &mut Tx,
        book: &mut Book,
        pot: &PotId,
        load: &Load,
    ) -> Result<(), ApplyError> {
        let posted = LoadRow {
            programme_id: book.programme.clone(),
            budget_id: book.budget.clone(),
            pot_id: pot.clone(),
            load_id: load.id.clone(),
            currency: load.amount.currency(),
            amount_minor: load.amount.minor(),
            loaded_at: self.plan.now,
        };
        let digest = Digest::of_row(LoadRow::TABLE, &posted.row());
        let cause = self.cause(PostingKind::Load, format!("{pot}/{}", load.id), digest);
        let stream = book.pots.0.get(pot).map(|balance| balance.stream.clone());
        let stream = stream.ok_or_else(|| LedgerError::NoSuchPot(pot.clone()))?;
        book.post(cause, load_transfers(&stream, pot, load.amount))?;
        tx.add_load(posted).await?;
        Ok(())
    }
}
