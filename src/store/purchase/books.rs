//! Opens the books of budgets: locks the budgets first, then reads their rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::agreement::Agreement;
use crate::domain::ask::permission::Permission;
use crate::domain::card::{CardState, CardStatus};
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, IssuerReference, PostingId, ProgrammeId, PurchaseReference,
};
use crate::domain::money::Currency;
use crate::domain::money::limit::CounterKey;
use crate::domain::people::person::PersonState;
use crate::domain::purchase::Purchase;
use crate::ledger::book::{Book, BudgetOwner, Card, PurchaseKey};
use crate::ledger::posting::ChainHead;
use crate::ledger::record::decision::{DecisionRow, RecordedDecision, read_decision};
use crate::ledger::record::event::{IssuerEventRow, PresentmentRow};
use crate::ledger::record::purchase::{HoldRow, PurchaseRow, read_purchase};
use crate::ledger::record::row::{Digest, RowReader, Table, Value, columns, text_value};
use crate::ledger::record::table::{Record as _, record};
use crate::platform::crash;
use crate::store::agreement::agreements::{AgreementCache, AgreementKey};
use crate::store::pot::counters::CounterRow;
use crate::store::pot::permissions::PermissionRow;
use crate::store::pot::pots::PotRow;
use crate::store::sql::batch::{BatchStatement, Rows};
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

/// A budget to open, with the purchases to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRequest {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub purchases: BTreeSet<(ConnectionId, PurchaseReference)>,
}

impl BookRequest {
    /// The book without any purchases.
    pub fn without_purchases(programme: &ProgrammeId, budget: &BudgetId) -> Self {
        let (programme, budget) = (programme.clone(), budget.clone());
        Self { programme, budget, purchases: BTreeSet::new() }
    }
}

/// Further rows to read in the same statement as the books, which saves statements of their own.
#[derive(Debug, Default)]
pub struct PrefetchKeys {
    /// Authorisation requests that may already have a recorded decision.
    pub requests: Vec<(ProgrammeId, ConnectionId, IssuerReference)>,
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

record! {
    /// A budget joined with its person, whose columns are null for the house budget.
    pub(in crate::store) struct OwnedBudgetRow in "budget" key(programme_id, budget_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        currency: Currency,
        agreement_version: Option<u32>,
        head_seq: i64,
        head_posting: Option<PostingId>,
        head_hash: Digest,
        /// The settings version that a file being applied has put in force for this budget before
        /// the rest of its programme.
        settings_version: Option<u32>,
        name: Option<String>,
        worker_id: Option<String>,
        state: Option<PersonState>,
    }
}

record! {
    /// What a decision reads of a card.
    pub(in crate::store) struct BudgetCardRow in "card" key(programme_id, connection_id, token) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        connection_id: ConnectionId,
        token: CardToken,
        last_four: String,
        state: CardState,
        state_until: Option<Timestamp>,
        state_after: Option<CardState>,
    }
}

record! {
    /// The version of the settings in force.
    pub(in crate::store) struct SettingsVersionRow in "programme" key(programme_id) {
        pub(in crate::store) programme_id: ProgrammeId,
        pub(in crate::store) version: u32,
    }
}

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
        let row = CounterRow::from_row(row)?;
        let owner = (row.programme_id.clone(), row.budget_id.clone());
        let Some(open) = self.open.get_mut(&owner) else { return Ok(()) };
        let (key, used) = row.counter(open.book.currency);
        open.existing.counters.insert(key.clone());
        open.book.counters.insert(key, used);
        Ok(())
    }

    fn add_card(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let row = BudgetCardRow::from_row(row)?;
        let key = (row.programme_id, row.budget_id);
        let card = Card {
            connection: row.connection_id,
            token: row.token,
            last_four: row.last_four,
            status: CardStatus { state: row.state, then: row.state_until.zip(row.state_after) },
        };
        let owner = self.open.get_mut(&key).and_then(|open| open.book.owner.as_mut());
        if let Some(owner) = owner {
            owner.cards.push(card);
        }
        Ok(())
    }

    fn add_pot(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let row = PotRow::from_row(row)?;
        let balance = row.balance()?;
        if let Some(open) = self.open.get_mut(&(row.programme_id, row.budget_id)) {
            open.book.pots.0.insert(row.pot_id, balance);
        }
        Ok(())
    }

    fn add_permission(&mut self, row: &[Value]) -> Result<(), StoreError> {
        let row = PermissionRow::from_row(row)?;
        let key = (row.programme_id.clone(), row.budget_id.clone());
        let permission = Permission::from(row);
        if let Some(open) = self.open.get_mut(&key) {
            open.book.permissions.push(permission);
            open.book.permissions.sort_by(|one, other| one.precedence().cmp(&other.precedence()));
        }
        Ok(())
    }
}

fn budget_keys(wanted: &[BookRequest]) -> Rows {
    let keys: BTreeSet<_> = wanted.iter().map(|w| (&w.programme, &w.budget)).collect();
    keys.into_iter().map(|(p, b)| vec![text_value(p), text_value(b)]).collect()
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

impl OwnedBudgetRow {
    fn agreement(&self) -> Option<AgreementKey> {
        let version = self.agreement_version.filter(|_| self.name.is_some())?;
        Some((self.programme_id.clone(), self.budget_id.clone(), version))
    }

    fn open(self, agreements: &BTreeMap<AgreementKey, Arc<Agreement>>) -> OpenBook {
        let agreement = self.agreement().and_then(|key| agreements.get(&key).map(Arc::clone));
        let owner = (self.name, self.worker_id, self.state, agreement);
        let (seq, posting, hash) = (self.head_seq, self.head_posting, self.head_hash);
        let head = ChainHead { seq, posting, hash };
        let mut book = Book::new(self.programme_id, self.budget_id, self.currency, head);
        if let (Some(name), Some(worker), Some(state), Some(agreement)) = owner {
            book.owner = Some(BudgetOwner { name, worker, state, agreement, cards: Vec::new() });
        }
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
        self.lock_budgets(&budget_keys(wanted)).await?;
        self.read_books(wanted, prefetch, agreements).await
    }

    /// Reads the books of the `wanted` budgets without locking them, for a read-only transaction on
    /// a snapshot. They cannot be written back.
    pub async fn read_books(
        &mut self,
        wanted: &[BookRequest],
        prefetch: &PrefetchKeys,
        agreements: &AgreementCache,
    ) -> Result<Books, StoreError> {
        let keys = budget_keys(wanted);
        // Deduplicated, because the holds of a purchase that two budgets request would count twice.
        let purchases: BTreeSet<_> = wanted
            .iter()
            .flat_map(|w| w.purchases.iter().map(move |(c, r)| (&w.programme, c, r)))
            .collect();
        let purchases: Vec<_> = purchases
            .into_iter()
            .map(|(p, c, r)| vec![text_value(p), text_value(c), text_value(r)])
            .collect();
        let requests = reference_keys(&prefetch.requests);
        let programmes: BTreeSet<_> = wanted.iter().map(|w| &w.programme).collect();
        let programmes: Vec<_> = programmes.into_iter().map(|p| vec![text_value(p)]).collect();
        let statements = Arc::clone(&self.statements);
        let counters = counter_keys(&prefetch.counters);
        let sets: [&[_]; 5] = [&keys, &requests, &purchases, &counters, &programmes];
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
            let row = SettingsVersionRow::from_row(row)?;
            books.put_settings_in_force(&row.programme_id, row.version);
        }
        for row in &answered {
            let mut reader = RowReader::new(DecisionRow::TABLE, row);
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
        let rows =
            rows.iter().map(|row| OwnedBudgetRow::from_row(row)).collect::<Result<Vec<_>, _>>()?;
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
        budgets: &[OwnedBudgetRow],
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
        let rows =
            statements.purchases.fetch(self.connection(), keys, PurchaseRow::TABLE.columns).await?;
        let mut purchase_keys = BTreeMap::new();
        let mut hold_keys = Vec::new();
        for row in &rows {
            let purchase = read_purchase(row)?;
            let programme: ProgrammeId = RowReader::new(PurchaseRow::TABLE, row).parsed()?;
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
        let rows =
            statements.holds.fetch(self.connection(), &hold_keys, HoldRow::TABLE.columns).await?;
        for row in &rows {
            let hold = HoldRow::from_row(row)?;
            let Some((key, own)) = purchase_keys.get(&hold.purchase_id) else { continue };
            let Some(open) = books.open.get_mut(key) else { continue };
            let purchase = open.book.purchases.get_mut(own);
            if let Some((purchase, holds)) = purchase.zip(open.existing.purchases.get_mut(own)) {
                purchase.holds.push(hold.into());
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
        let columns = CounterRow::TABLE.columns;
        let found = statements.counters.fetch(self.connection(), &rows, columns).await?;
        books.mark_counters_fetched(&keys);
        found.iter().try_for_each(|row| books.add_counter(row))
    }

    /// The decisions recorded under `keys`. Must be called after the budgets are locked.
    pub async fn recorded_decisions(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.decisions, keys, DecisionRow::TABLE).await?;
        rows.iter().map(|row| Ok(read_decision(row)?)).collect()
    }

    /// The stored issuer events among `keys` with their texts; an erased text is `None`.
    pub async fn stored_events(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeMap<ReferenceKey, Option<String>>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.events, keys, IssuerEventRow::TABLE).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = RowReader::new(IssuerEventRow::TABLE, row);
            let key = (reader.parsed()?, reader.parsed()?, reader.text()?.to_owned());
            let text = match IssuerEventRow::TABLE.value(row, "body") {
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
        let rows = self.rows_by_reference(|s| &s.presentments, keys, PresentmentRow::TABLE).await?;
        let mut events = Vec::new();
        for row in &rows {
            let mut reader = RowReader::new(PresentmentRow::TABLE, row);
            let place = (reader.parsed()?, reader.parsed()?);
            reader.skip(); // the reference of the presentment
            events.push((place.0, place.1, reader.parsed()?));
        }
        let texts = self.stored_events(&events).await?;
        let mut stored = BTreeMap::new();
        for (row, (programme, connection, event)) in rows.iter().zip(events) {
            let event_key = (programme.clone(), connection.clone(), event.to_string());
            let reference = PresentmentRow::TABLE.text(row, "reference").to_owned();
            let known = StoredPresentment {
                direction: PresentmentRow::TABLE.text(row, "direction").to_owned(),
                currency: PresentmentRow::TABLE.text(row, "currency").to_owned(),
                amount_minor: PresentmentRow::TABLE.number(row, "amount_minor"),
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
        let rows = self.rows_by_reference(|s| &s.presentments, keys, PresentmentRow::TABLE).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = RowReader::new(PresentmentRow::TABLE, row);
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
        let rows = self.rows_by_reference(|s| &s.purchases, keys, PurchaseRow::TABLE).await?;
        let read = |row: &Vec<Value>| {
            let programme: ProgrammeId = RowReader::new(PurchaseRow::TABLE, row).parsed()?;
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
