//! Opens the books of budgets: locks the budgets first, then reads their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::agreement::Agreement;
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, IssuerReference, ProgrammeId, PurchaseReference,
};
use crate::domain::money::Currency;
use crate::domain::money::limit::CounterKey;
use crate::domain::people::person::PersonState;
use crate::domain::purchase::Purchase;
use crate::ledger::book::{Book, BudgetOwner, Card, PurchaseKey};
use crate::ledger::posting::ChainHead;
use crate::ledger::record::decision::{DECISION, RecordedDecision, read_decision};
use crate::ledger::record::event::{ISSUER_EVENT, PRESENTMENT};
use crate::ledger::record::purchase::{HOLD, PURCHASE, read_hold, read_purchase};
use crate::ledger::record::row::{Digest, RowReader, Table, Value, columns, text_value};
use crate::ledger::record::uses::open_at_from_text;
use crate::platform::crash;
use crate::store::agreement::agreements::{AgreementCache, AgreementKey};
use crate::store::card::cards::read_card_status;
use crate::store::pot::counters::read_counter;
use crate::store::pot::pots::read_pot;
use crate::store::sql::batch::{BatchStatement, Rows};
use crate::store::sql::statements::{
    BUDGET_VIEW, CARD_BUDGET, CARD_VIEW, COUNTER, PERMISSION, PROGRAMME_VIEW, WITHDRAWAL,
};
use crate::store::{Dialect, StoreError, Tx};

/// The key of a message or a purchase: programme, connection, the issuer's own identifier.
pub type ReferenceKey = (ProgrammeId, ConnectionId, String);

/// A presentment that has been booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPresentment {
    pub direction: String,
    pub currency: String,
    pub amount_minor: i64,
    /// The text of the issuer event that reported it; `None` after erasure.
    pub text: Option<String>,
}

/// A card with its budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardBudget {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub token: CardToken,
    pub budget: BudgetId,
}

/// A budget to open, with the purchases to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRequest {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub purchases: BTreeSet<(ConnectionId, PurchaseReference)>,
}

/// Further rows to read in the same statement as the books, which saves statements of their own.
#[derive(Debug, Default)]
pub struct PrefetchKeys {
    /// Authorisation requests that may already have a recorded decision.
    pub questions: Vec<(ProgrammeId, ConnectionId, IssuerReference)>,
    /// Counters that the decision will need, unless the agreement has changed meanwhile.
    pub counters: Vec<(ProgrammeId, BudgetId, CounterKey)>,
}

/// A book, with the state of its rows in the database.
#[derive(Debug)]
pub struct OpenBook {
    pub book: Book,
    /// The version of the programme's settings that applies to this budget; `None` if none is in
    /// force.
    pub settings_version: Option<u32>,
    /// The counters already queried, whether or not they exist.
    fetched_counters: BTreeSet<CounterKey>,
    pub(in crate::store) existing: ExistingRows,
}

/// The rows of a book that exist in the database. They are updated; all others are inserted.
#[derive(Debug, Default)]
pub(in crate::store) struct ExistingRows {
    /// Each with the number of its stored holds, which are its first ones: holds are only appended.
    pub(in crate::store) purchases: BTreeMap<PurchaseKey, usize>,
    pub(in crate::store) counters: BTreeSet<CounterKey>,
}

static BUDGET_TABLE: Table = Table { name: "budget", columns: BUDGET_VIEW };
static PROGRAMME_TABLE: Table = Table { name: "programme", columns: PROGRAMME_VIEW };
static CARD_TABLE: Table = Table { name: "card", columns: CARD_VIEW };
static CARD_BUDGET_TABLE: Table = Table { name: "card", columns: CARD_BUDGET };

/// The books of locked budgets.
#[derive(Debug, Default)]
pub struct Books {
    pub open: BTreeMap<(ProgrammeId, BudgetId), OpenBook>,
    /// The budgets of the requested purchases that exist.
    pub owners: BTreeMap<(ProgrammeId, ConnectionId, PurchaseReference), BudgetId>,
    /// The requested references that have a recorded decision.
    pub answered: Vec<(ProgrammeId, ConnectionId, IssuerReference)>,
}

impl Books {
    pub fn get(&self, programme: &ProgrammeId, budget: &BudgetId) -> Option<&OpenBook> {
        self.open.get(&(programme.clone(), budget.clone()))
    }

    pub fn get_mut(&mut self, programme: &ProgrammeId, budget: &BudgetId) -> Option<&mut OpenBook> {
        self.open.get_mut(&(programme.clone(), budget.clone()))
    }

    /// The version of the settings by which `budget` is decided, if its book is open.
    pub fn settings_version(&self, programme: &ProgrammeId, budget: &BudgetId) -> Option<u32> {
        self.get(programme, budget)?.settings_version
    }

    pub fn all(&self) -> Vec<&OpenBook> {
        self.open.values().collect()
    }

    /// Raises the settings version of all open books of `programme` to at least `version`. Never
    /// lowers it, because a file being applied may have raised single budgets already.
    fn put_settings_in_force(&mut self, programme: &ProgrammeId, version: u32) {
        for open in self.open.values_mut().filter(|open| open.book.programme == *programme) {
            open.settings_version = open.settings_version.max(Some(version));
        }
    }

    fn mark_counters_fetched(&mut self, counters: &[(ProgrammeId, BudgetId, CounterKey)]) {
        for (programme, budget, key) in counters {
            if let Some(open) = self.open.get_mut(&(programme.clone(), budget.clone())) {
                open.fetched_counters.insert(key.clone());
            }
        }
    }

    fn add_counter(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let counter = read_counter(row)?;
        let Some(open) = self.open.get_mut(&counter.budget) else { return Ok(()) };
        let used = counter.used(open.book.currency);
        open.existing.counters.insert(counter.key.clone());
        open.book.counters.insert(counter.key, used);
        Ok(())
    }

    fn add_card(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let mut reader = RowReader::new(&CARD_TABLE, row);
        let key = (reader.parsed()?, reader.parsed()?);
        let card = Card {
            connection: reader.parsed()?,
            token: reader.parsed()?,
            last_four: reader.text()?.to_owned(),
            standing: read_card_status(&mut reader)?,
        };
        let owner = self.open.get_mut(&key).and_then(|open| open.book.owner.as_mut());
        if let Some(owner) = owner {
            owner.cards.push(card);
        }
        Ok(())
    }

    fn add_pot(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let (key, pot, balance) = read_pot(row)?;
        if let Some(open) = self.open.get_mut(&key) {
            open.book.pots.0.insert(pot, balance);
        }
        Ok(())
    }

    fn add_permission(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let mut reader = RowReader::new(&PERMISSION, row);
        let key = (reader.parsed()?, reader.parsed()?);
        let id = reader.parsed()?;
        let scope = reader.parsed()?;
        let currency: Currency = reader.parsed()?;
        let permission = Permission {
            id,
            scope,
            cap: reader.money(currency)?,
            uses_left: reader.integer()?,
            given_at: reader.instant()?,
            ends_at: reader.instant()?,
            giver: reader.word(Grantor::from_word)?,
            uses: read_uses(&mut reader, currency)?,
        };
        if let Some(open) = self.open.get_mut(&key) {
            open.book.permissions.push(permission);
            open.book.permissions.sort_by(|one, other| one.precedence().cmp(&other.precedence()));
        }
        Ok(())
    }
}

/// Reads the usage of a permission; `None` if it was granted before usage was recorded.
fn read_uses(
    reader: &mut RowReader<'_>,
    currency: Currency,
) -> Result<Option<PermissionUsage>, StoreError> {
    let open = reader.optional(|r| r.money(currency))?;
    let captured = reader.optional(RowReader::integer)?;
    let open_at = reader.optional(|r| r.word(open_at_from_text))?;
    let usage = |((open, captured), open_at)| PermissionUsage { open, open_at, captured };
    Ok(open.zip(captured).zip(open_at).map(usage))
}

fn counter_keys(keys: &[(ProgrammeId, BudgetId, CounterKey)]) -> Rows {
    let row = |(programme, budget, key): &(ProgrammeId, BudgetId, CounterKey)| {
        let period = key.period.word().into();
        vec![
            text_value(programme),
            text_value(budget),
            text_value(&key.scope),
            period,
            text_value(key.first_day),
        ]
    };
    let mut rows: Vec<_> = keys.iter().collect();
    rows.sort();
    rows.dedup();
    rows.into_iter().map(row).collect()
}

pub(in crate::store) fn reference_keys<R: std::fmt::Display>(
    keys: &[(ProgrammeId, ConnectionId, R)],
) -> Rows {
    keys.iter().map(|(p, c, r)| vec![text_value(p), text_value(c), text_value(r)]).collect()
}

/// A budget's row joined with the row of its person.
#[derive(Debug)]
struct BudgetRow {
    programme: ProgrammeId,
    budget: BudgetId,
    currency: Currency,
    head: ChainHead,
    /// The settings version that a file being applied has put in force for this budget before the
    /// rest of its programme.
    settings_version: Option<u32>,
    /// Name, worker, state, and the version of the agreement in force; `None` for the house budget.
    owner: Option<(String, String, PersonState, u32)>,
}

impl BudgetRow {
    fn read(row: &[Value]) -> Result<Self, StoreError> {
        let mut reader = RowReader::new(&BUDGET_TABLE, row);
        let programme = reader.parsed()?;
        let budget = reader.parsed()?;
        let currency = reader.parsed()?;
        let agreement: Option<u32> = reader.optional(RowReader::integer)?;
        let head = ChainHead {
            seq: reader.number()?,
            posting: reader.optional(RowReader::parsed)?,
            hash: reader.parsed::<Digest>()?,
        };
        let settings_version = reader.optional(RowReader::integer)?;
        let name = reader.optional(RowReader::text)?.map(str::to_owned);
        let worker = reader.optional(RowReader::text)?.map(str::to_owned);
        let state = reader.optional(|r| r.word(PersonState::from_word))?;
        let owner = match (name, worker, state, agreement) {
            (Some(name), Some(worker), Some(state), Some(version)) => {
                Some((name, worker, state, version))
            }
            (_, _, _, _) => None,
        };
        Ok(Self { programme, budget, currency, head, settings_version, owner })
    }

    fn agreement(&self) -> Option<AgreementKey> {
        let (_, _, _, version) = self.owner.as_ref()?;
        Some((self.programme.clone(), self.budget.clone(), *version))
    }

    fn open(self, agreements: &BTreeMap<AgreementKey, Arc<Agreement>>) -> OpenBook {
        let agreement = self.agreement().and_then(|key| agreements.get(&key).map(Arc::clone));
        let mut book = Book::new(self.programme, self.budget, self.currency, self.head);
        book.owner = self.owner.zip(agreement).map(|((name, worker, state, _), agreement)| {
            BudgetOwner { name, worker, state, agreement, cards: Vec::new() }
        });
        OpenBook {
            book,
            settings_version: self.settings_version,
            fetched_counters: BTreeSet::new(),
            existing: ExistingRows::default(),
        }
    }
}

impl Tx {
    /// Locks the `wanted` budgets in the order of their keys and reads their books.
    ///
    /// A budget that does not exist is missing from the result.
    pub async fn open_books(
        &mut self,
        wanted: &[BookRequest],
        agreements: &AgreementCache,
    ) -> Result<Books, StoreError> {
        self.open_books_prefetching(wanted, &PrefetchKeys::default(), agreements).await
    }

    /// As [`Tx::open_books`], and also reads everything that `prefetch` names.
    pub async fn open_books_prefetching(
        &mut self,
        wanted: &[BookRequest],
        prefetch: &PrefetchKeys,
        agreements: &AgreementCache,
    ) -> Result<Books, StoreError> {
        let keys: BTreeSet<_> = wanted.iter().map(|w| (&w.programme, &w.budget)).collect();
        let keys: Vec<_> =
            keys.into_iter().map(|(p, b)| vec![text_value(p), text_value(b)]).collect();
        self.lock_budgets(&keys).await?;
        // Deduplicated, because the holds of a purchase that two budgets request would count twice.
        let purchases: BTreeSet<_> = wanted
            .iter()
            .flat_map(|w| w.purchases.iter().map(move |(c, r)| (&w.programme, c, r)))
            .collect();
        let purchases: Vec<_> = purchases
            .into_iter()
            .map(|(p, c, r)| vec![text_value(p), text_value(c), text_value(r)])
            .collect();
        let questions = reference_keys(&prefetch.questions);
        let programmes: BTreeSet<_> = wanted.iter().map(|w| &w.programme).collect();
        let programmes: Vec<_> = programmes.into_iter().map(|p| vec![text_value(p)]).collect();
        let statements = Arc::clone(&self.statements);
        let counters = counter_keys(&prefetch.counters);
        let sets: [&[_]; 5] = [&keys, &questions, &purchases, &counters, &programmes];
        let found = statements.books.fetch(self.connection(), &sets).await?;
        let [budgets, cards, pots, permissions, answered, purchases, counters, programmes] =
            <[Rows; 8]>::try_from(found).map_err(|_| StoreError::Contended("books"))?;

        let mut books = self.books_of(&budgets, agreements).await?;
        books.mark_counters_fetched(&prefetch.counters);
        cards.iter().try_for_each(|row| books.add_card(row))?;
        pots.iter().try_for_each(|row| books.add_pot(row))?;
        permissions.iter().try_for_each(|row| books.add_permission(row))?;
        counters.iter().try_for_each(|row| books.add_counter(row))?;
        for row in &programmes {
            let mut reader = RowReader::new(&PROGRAMME_TABLE, row);
            books.put_settings_in_force(&reader.parsed()?, reader.integer()?);
        }
        for row in &answered {
            let mut reader = RowReader::new(&DECISION, row);
            books.answered.push((reader.parsed()?, reader.parsed()?, reader.parsed()?));
        }
        self.read_purchases(&purchases, &mut books).await?;
        Ok(books)
    }

    /// Locks one budget, for an operation that does not need its book.
    pub async fn lock_budget(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<(), StoreError> {
        self.lock_budgets(&[vec![text_value(programme), text_value(budget)]]).await
    }

    /// Locks budgets in the order of their keys, to avoid deadlocks, in a statement of its own,
    /// because PostgreSQL returns rows as of the start of a statement, before it waited for the
    /// lock. Does nothing on SQLite, where the transaction has locked the whole file.
    async fn lock_budgets(&mut self, keys: &[Vec<Value>]) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        if statements.dialect == Dialect::Postgres {
            let columns = columns![Key "budget_id"];
            statements.lock_budgets.fetch(self.connection(), keys, columns).await?;
        }
        crash::failpoint("locked");
        Ok(())
    }

    async fn books_of(
        &mut self,
        rows: &[Vec<Value>],
        agreements: &AgreementCache,
    ) -> Result<Books, StoreError> {
        let rows = rows.iter().map(|row| BudgetRow::read(row)).collect::<Result<Vec<_>, _>>()?;
        let in_force = self.agreements_in_force(&rows, agreements).await?;
        let mut books = Books::default();
        for row in rows {
            let open = row.open(&in_force);
            books.open.insert((open.book.programme.clone(), open.book.budget.clone()), open);
        }
        Ok(books)
    }

    /// The agreements in force of `budgets`. Those that are not cached are read in one statement.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when one is missing, because nothing may be decided without it.
    async fn agreements_in_force(
        &mut self,
        budgets: &[BudgetRow],
        agreements: &AgreementCache,
    ) -> Result<BTreeMap<AgreementKey, Arc<Agreement>>, StoreError> {
        let mut in_force = BTreeMap::new();
        let mut missing = BTreeMap::new();
        for row in budgets {
            let Some(key) = row.agreement() else { continue };
            match agreements.get(&key) {
                Some(known) => drop(in_force.insert(key, known)),
                None => drop(missing.insert(key, row.currency)),
            }
        }
        for (key, agreement) in self.read_agreements(&missing).await? {
            agreements.insert(key.clone(), Arc::clone(&agreement));
            missing.remove(&key);
            in_force.insert(key, agreement);
        }
        if missing.is_empty() { Ok(in_force) } else { Err(StoreError::Contended("agreement")) }
    }

    /// Reads the purchases with `keys`, and their holds, into `books`.
    async fn read_purchases(
        &mut self,
        keys: &[Vec<Value>],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        let rows = statements.purchases.fetch(self.connection(), keys, PURCHASE.columns).await?;
        let mut purchase_keys = BTreeMap::new();
        let mut hold_keys = Vec::new();
        for row in &rows {
            let purchase = read_purchase(row)?;
            let programme: ProgrammeId = RowReader::new(&PURCHASE, row).parsed()?;
            let key = (programme.clone(), purchase.budget.clone());
            let own = (purchase.connection.clone(), purchase.reference.clone());
            hold_keys.push(vec![text_value(&programme), text_value(purchase.id)]);
            purchase_keys.insert(purchase.id, (key.clone(), own.clone()));
            let place = (programme, own.0.clone(), own.1.clone());
            books.owners.insert(place, purchase.budget.clone());
            if let Some(open) = books.open.get_mut(&key) {
                open.existing.purchases.insert(own.clone(), 0);
                open.book.purchases.insert(own, purchase);
            }
        }
        let rows = statements.holds.fetch(self.connection(), &hold_keys, HOLD.columns).await?;
        for row in &rows {
            let (id, hold) = read_hold(row)?;
            let Some((key, own)) = purchase_keys.get(&id) else { continue };
            let Some(open) = books.open.get_mut(key) else { continue };
            let purchase = open.book.purchases.get_mut(own);
            if let Some((purchase, holds)) = purchase.zip(open.existing.purchases.get_mut(own)) {
                purchase.holds.push(hold);
                *holds = purchase.holds.len();
            }
        }
        Ok(())
    }

    /// Reads those counters of `keys` into their books that exist and were not queried before.
    pub async fn load_counters(
        &mut self,
        keys: &[(ProgrammeId, BudgetId, CounterKey)],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let is_new = |(programme, budget, key): &&(ProgrammeId, BudgetId, CounterKey)| {
            let open = books.open.get(&(programme.clone(), budget.clone()));
            open.is_some_and(|open| !open.fetched_counters.contains(key))
        };
        let keys: Vec<_> = keys.iter().filter(is_new).cloned().collect();
        let statements = Arc::clone(&self.statements);
        let rows = counter_keys(&keys);
        let found = statements.counters.fetch(self.connection(), &rows, COUNTER.columns).await?;
        books.mark_counters_fetched(&keys);
        found.iter().try_for_each(|row| books.add_counter(row))
    }

    /// The decisions recorded under `keys`. Must be called after the budgets are locked.
    pub async fn recorded_decisions(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.decisions, keys, &DECISION).await?;
        rows.iter().map(|row| Ok(read_decision(row)?)).collect()
    }

    /// Those of `keys` whose approval was withdrawn.
    pub async fn withdrawn(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeSet<ReferenceKey>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.withdrawals, keys, &WITHDRAWAL).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = RowReader::new(&WITHDRAWAL, row);
            Ok((reader.parsed()?, reader.parsed()?, reader.text()?.to_owned()))
        };
        rows.iter().map(read).collect()
    }

    /// The stored issuer events among `keys` with their texts; an erased text is `None`.
    pub async fn stored_events(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeMap<ReferenceKey, Option<String>>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.events, keys, &ISSUER_EVENT).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = RowReader::new(&ISSUER_EVENT, row);
            let key = (reader.parsed()?, reader.parsed()?, reader.text()?.to_owned());
            let text = match ISSUER_EVENT.value(row, "body") {
                Some(Value::Text(text)) => Some(text.clone()),
                Some(Value::Number(_) | Value::Null) | None => None,
            };
            Ok((key, text))
        };
        rows.iter().map(read).collect()
    }

    /// The booked presentments among `keys`, with the issuer events that reported them.
    pub async fn stored_presentments(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeMap<ReferenceKey, StoredPresentment>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.presentments, keys, &PRESENTMENT).await?;
        let mut events = Vec::new();
        for row in &rows {
            let mut reader = RowReader::new(&PRESENTMENT, row);
            let place = (reader.parsed()?, reader.parsed()?);
            reader.skip(); // the reference of the presentment
            events.push((place.0, place.1, reader.parsed()?));
        }
        let texts = self.stored_events(&events).await?;
        let mut stored = BTreeMap::new();
        for (row, (programme, connection, event)) in rows.iter().zip(events) {
            let event_key = (programme.clone(), connection.clone(), event.to_string());
            let reference = PRESENTMENT.text(row, "reference").to_owned();
            let known = StoredPresentment {
                direction: PRESENTMENT.text(row, "direction").to_owned(),
                currency: PRESENTMENT.text(row, "currency").to_owned(),
                amount_minor: PRESENTMENT.number(row, "amount_minor"),
                text: texts.get(&event_key).cloned().flatten(),
            };
            stored.insert((programme, connection, reference), known);
        }
        Ok(stored)
    }

    /// The budget and the purchase of each booked presentment among `keys`.
    pub async fn purchases_of_presentments(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<
        BTreeMap<(ProgrammeId, ConnectionId, IssuerReference), (BudgetId, PurchaseReference)>,
        StoreError,
    > {
        let rows = self.rows_by_reference(|s| &s.presentments, keys, &PRESENTMENT).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = RowReader::new(&PRESENTMENT, row);
            let claim = (reader.parsed()?, reader.parsed()?, reader.parsed()?);
            reader.skip(); // the issuer event
            let budget = reader.parsed()?;
            reader.skip(); // our identifier of the purchase
            Ok((claim, (budget, reader.parsed()?)))
        };
        rows.iter().map(read).collect()
    }

    /// The purchases of `keys` that exist, without their holds and without a lock. Their budget and
    /// merchant never change, so these may be used without one.
    pub async fn known_purchases(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, PurchaseReference)],
    ) -> Result<BTreeMap<ReferenceKey, Purchase>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.purchases, keys, &PURCHASE).await?;
        let read = |row: &Vec<Value>| {
            let programme: ProgrammeId = RowReader::new(&PURCHASE, row).parsed()?;
            let purchase = read_purchase(row)?;
            let reference = purchase.reference.to_string();
            Ok(((programme, purchase.connection.clone(), reference), purchase))
        };
        rows.iter().map(read).collect()
    }

    async fn rows_by_reference<R: std::fmt::Display>(
        &mut self,
        batch: impl for<'s> Fn(&'s crate::store::Statements) -> &'s BatchStatement,
        keys: &[(ProgrammeId, ConnectionId, R)],
        table: &Table,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let keys = reference_keys(keys);
        let statements = Arc::clone(&self.statements);
        batch(&statements).fetch(self.connection(), &keys, table.columns).await
    }
}

/// Reads a card with its budget.
pub(in crate::store) fn read_card_budget(row: &[Value]) -> Result<CardBudget, StoreError> {
    let mut reader = RowReader::new(&CARD_BUDGET_TABLE, row);
    Ok(CardBudget {
        programme: reader.parsed()?,
        connection: reader.parsed()?,
        token: reader.parsed()?,
        budget: reader.parsed()?,
    })
}
