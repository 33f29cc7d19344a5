//! What a file changes about one person, in a short transaction that holds no lock but theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::list::{Filing, ListChange, list_change, parties_to, propose};
use super::plan::ApplyPlan;
use super::{Applied, ApplyError, Waiting};
use crate::domain::card::pause::Pause;
use crate::domain::id::{BudgetId, PostingId, PotId, ProgrammeId};
use crate::domain::money::Money;
use crate::ledger::book::{Book, Cause, LedgerError, PotBalance};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::loaded;
use crate::ledger::record::own_pot::own_pot_text;
use crate::ledger::record::row::{Digest, Value, shown};
use crate::platform::ids::NewIds;
use crate::programme::added::money_added;
use crate::programme::file::{Card, Load, Person};
use crate::programme::listed::{permission, person_row, standing_of};
use crate::programme::version::start_version;
use crate::store::{
    Additions, Agreements, ApplicationRow, BookWanted, CardRow, LOAD, Store, StoreError, Tx,
    pot_plan_digest,
};

/// How often a person's transaction is tried when others are in its way.
const ATTEMPTS: usize = 5;

/// What came of some people's transaction.
#[derive(Default)]
struct BatchOutcome {
    agreements: usize,
    loads: usize,
    waiting: Vec<Waiting>,
    left: Vec<String>,
}

/// Changes `people` in one transaction. Says no when somebody else has finished the application.
pub(super) async fn change(
    store: &Store,
    ids: &NewIds,
    plan: &ApplyPlan<'_>,
    application: &ApplicationRow,
    people: &[&Person],
    applied: &mut Applied,
) -> Result<bool, ApplyError> {
    let mut attempt = 1_usize;
    let done = loop {
        match try_change(store, ids, plan, application, people).await {
            Err(ApplyError::Store(error)) if error.is_transient() && attempt < ATTEMPTS => {
                attempt = attempt.saturating_add(1);
            }
            done => break done?,
        }
    };
    let Some(done) = done else { return Ok(false) };
    applied.agreements = applied.agreements.saturating_add(done.agreements);
    applied.loads = applied.loads.saturating_add(done.loads);
    applied.waiting.extend(done.waiting);
    applied.left.extend(done.left);
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
    if !tx.hold_application(&application.programme, &application.id).await? {
        return Ok(None);
    }
    let mut done = BatchOutcome::default();
    for person in people {
        let change = PersonChange { ids, plan, person, budget: BudgetId::of(&person.id) };
        change.write(&mut tx, application.version, &mut done).await?;
    }
    tx.commit().await?;
    Ok(Some(done))
}

/// One person's change.
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
        done: &mut BatchOutcome,
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
        let wanted = BookWanted {
            programme: programme.clone(),
            budget: budget.clone(),
            purchases: BTreeSet::new(),
        };
        let mut books = tx.open_books(&[wanted], &Agreements::default()).await?;
        let Some(open) = books.get_mut(programme, budget) else {
            return Err(StoreError::Contended("budget").into());
        };
        let book = &mut open.book;
        self.post_pots(book, &before)?;
        let mut additions = Additions::default();
        let is_whole = self.change_list(tx, book, &mut additions, done).await?;
        let added = self.post_loads(tx, book, done).await?;
        // Somebody who is new here hears of their money from a person.
        if self.plan.is_known(budget) && added.is_positive() {
            let told = money_added(self.ids, self.plan.now, programme, budget, added);
            additions.messages.push(told);
        }
        self.put_cards(tx).await?;
        tx.put_settings_version(programme, budget, version).await?;
        if is_whole {
            tx.put_people(programme, &[person_row(self.person)]).await?;
        }
        tx.close_books(&books.all(), &additions).await?;
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
            let permission = permission(self.programme(), &self.budget, draft, shops);
            tx.add_permission(self.programme(), &self.budget, &permission).await?;
        }
        Ok(())
    }

    /// Starts a first list, or what the programme alone says, and puts every other change forward.
    /// Says whether all of the file's change was possible.
    async fn change_list(
        &self,
        tx: &mut Tx,
        book: &mut Book,
        additions: &mut Additions,
        done: &mut BatchOutcome,
    ) -> Result<bool, ApplyError> {
        let mut leave = |why: String| {
            done.left.push(format!("person {}: {why}", self.budget));
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
            done.agreements = done.agreements.saturating_add(1);
        }
        if let Some((now, next, parties)) = proposed {
            let Self { plan, ids, person, .. } = *self;
            let filing = Filing { plan, ids, person, parties };
            done.waiting.push(propose(tx, &filing, &now, next, additions).await?);
        }
        Ok(true)
    }

    async fn put_cards(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (programme, now) = (self.programme(), self.plan.now);
        let before = self.plan.before(&self.budget).map(|(person, _)| person);
        let known = tx.cards_of(programme, &self.budget).await?;
        let pauses = tx.pauses_of(programme, &self.budget).await?;
        let paused_until = pauses.iter().map(Pause::over_at).max();
        let card = |card: &Card| {
            let known =
                known.iter().find(|c| c.connection == card.connection && c.token == card.token);
            CardRow {
                connection: card.connection.clone(),
                token: card.token.clone(),
                budget: self.budget.clone(),
                last_four: card.last_four.clone(),
                standing: standing_of(card, known.map(|card| card.standing), before)
                    .under(paused_until, now),
            }
        };
        let cards: Vec<_> = self.person.cards.iter().map(card).collect();
        tx.put_cards(programme, &cards).await
    }

    fn cause(&self, kind: PostingKind, subject: String, record: Digest) -> Cause {
        Cause {
            posting: PostingId::new(self.ids.next(self.plan.now)),
            kind,
            subject,
            record,
            moment: self.plan.moment(),
        }
    }

    /// Links a posting for every pot that is new or has another sum allocated.
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
            let (stream, allocated) = (pot.plan.stream.as_str(), pot.allocated);
            let own = known.and_then(|known| own_pot_text(&known.own));
            let digest = pot_plan_digest(&book.programme, &book.budget, id, stream, allocated, own);
            book.post(self.cause(PostingKind::Pot, id.to_string(), digest), Vec::new())?;
        }
        Ok(())
    }

    /// Posts every load that was not posted before; says how much that is together.
    async fn post_loads(
        &self,
        tx: &mut Tx,
        book: &mut Book,
        done: &mut BatchOutcome,
    ) -> Result<Money, ApplyError> {
        let mut added = Money::zero(self.plan.settings().currency);
        for pot in &self.person.pots {
            for load in &pot.loads {
                let id = &pot.plan.id;
                let posted = tx.load_amount(&book.programme, &book.budget, id, &load.id).await?;
                if posted.is_none() {
                    self.post_load(tx, book, id, load).await?;
                    done.loads = done.loads.saturating_add(1);
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
        let row: Vec<Value> = vec![
            shown(&book.programme),
            shown(&book.budget),
            shown(pot),
            shown(&load.id),
            load.amount.currency().code().into(),
            load.amount.into(),
            self.plan.now.into(),
        ];
        let digest = Digest::of_row(&LOAD, &row);
        let cause = self.cause(PostingKind::Load, format!("{pot}/{}", load.id), digest);
        let stream = book.pots.0.get(pot).map(|balance| balance.stream.clone());
        let stream = stream.ok_or_else(|| LedgerError::NoSuchPot(pot.clone()))?;
        book.post(cause, loaded(&stream, pot, load.amount))?;
        tx.add_load(row).await?;
        Ok(())
    }
}
