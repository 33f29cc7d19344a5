//! Opening the books of budgets: lock first, then read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agreements::{AgreementKey, Agreements};
use super::batch::Batch;
use super::statements::{
    BUDGET_VIEW, CARD_BUDGET, CARD_VIEW, COUNTER, PERMISSION, POT, WITHDRAWAL,
};
use super::{StoreError, Tx};
use crate::crash;
use crate::domain::agreement::Agreement;
use crate::domain::card::CardState;
use crate::domain::id::{
    BudgetId, CardToken, ConnectionId, IssuerReference, PotId, ProgrammeId, PurchaseReference,
};
use crate::domain::limit::{Committed, CounterKey};
use crate::domain::money::Currency;
use crate::domain::period::Period;
use crate::domain::permission::Permission;
use crate::domain::person::PersonState;
use crate::ledger::book::{Book, Card, Owner, PotBalance};
use crate::ledger::posting::Head;
use crate::record::decision::{DECISION, RecordedDecision, read_decision};
use crate::record::event::{ISSUER_EVENT, PRESENTMENT};
use crate::record::purchase::{HOLD, PURCHASE, read_hold, read_purchase};
use crate::record::row::{Digest, Reader, Table, Value, columns, shown};

/// A key of a message or purchase: programme, connection, the issuer's own identifier.
pub type ReferenceKey = (ProgrammeId, ConnectionId, String);

/// Whose card it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardBudget {
    pub programme: ProgrammeId,
    pub connection: ConnectionId,
    pub token: CardToken,
    pub budget: BudgetId,
}

/// A budget to open, with the purchases that will be needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookWanted {
    pub programme: ProgrammeId,
    pub budget: BudgetId,
    pub purchases: BTreeSet<(ConnectionId, PurchaseReference)>,
}

/// A book with the version of the programme's settings that is in force.
#[derive(Debug)]
pub struct OpenBook {
    pub book: Book,
    pub programme_version: u32,
}

static BUDGET_TABLE: Table = Table { name: "budget", columns: BUDGET_VIEW };
static CARD_TABLE: Table = Table { name: "card", columns: CARD_VIEW };
static CARD_BUDGET_TABLE: Table = Table { name: "card", columns: CARD_BUDGET };

/// Locked budgets.
#[derive(Debug, Default)]
pub struct Books {
    pub open: BTreeMap<(ProgrammeId, BudgetId), OpenBook>,
    /// Purchases that were wanted, but belong to a budget that was not.
    pub elsewhere: BTreeSet<(ProgrammeId, ConnectionId, PurchaseReference)>,
}

impl Books {
    /// The book of `budget`, if it is open.
    pub fn get_mut(&mut self, programme: &ProgrammeId, budget: &BudgetId) -> Option<&mut OpenBook> {
        self.open.get_mut(&(programme.clone(), budget.clone()))
    }

    /// The programmes of the open books, with the versions of their settings in force.
    pub fn versions(&self) -> BTreeMap<ProgrammeId, u32> {
        let version = |open: &OpenBook| (open.book.programme.clone(), open.programme_version);
        self.open.values().map(version).collect()
    }

    /// Every open book.
    pub fn all(&self) -> Vec<&Book> {
        self.open.values().map(|open| &open.book).collect()
    }
}

/// A budget's row, with its person's.
#[derive(Debug)]
struct BudgetRow {
    programme: ProgrammeId,
    budget: BudgetId,
    currency: Currency,
    head: Head,
    programme_version: u32,
    /// Name, worker, state, and the version of the agreement in force. None for the house.
    owner: Option<(String, String, PersonState, u32)>,
}

impl BudgetRow {
    fn read(row: &[Value]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(&BUDGET_TABLE, row);
        let programme = reader.parsed()?;
        let budget = reader.parsed()?;
        let currency = reader.parsed()?;
        let agreement: Option<u32> = reader.optional(Reader::small)?;
        let head = Head {
            seq: reader.number()?,
            posting: reader.optional(Reader::parsed)?,
            hash: reader.parsed::<Digest>()?,
        };
        let programme_version = reader.small()?;
        let name = reader.optional(Reader::text)?.map(str::to_owned);
        let worker = reader.optional(Reader::text)?.map(str::to_owned);
        let state = reader.optional(|r| r.word(PersonState::from_word))?;
        let owner = match (name, worker, state, agreement) {
            (Some(name), Some(worker), Some(state), Some(version)) => {
                Some((name, worker, state, version))
            }
            (_, _, _, _) => None,
        };
        Ok(Self { programme, budget, currency, head, programme_version, owner })
    }

    fn agreement(&self) -> Option<AgreementKey> {
        let (_, _, _, version) = self.owner.as_ref()?;
        Some((self.programme.clone(), self.budget.clone(), *version))
    }

    fn open(self, agreements: &BTreeMap<AgreementKey, Arc<Agreement>>) -> OpenBook {
        let agreement = self.agreement().and_then(|key| agreements.get(&key).map(Arc::clone));
        let mut book = Book::new(self.programme, self.budget, self.currency, self.head);
        book.owner = self.owner.zip(agreement).map(|((name, worker, state, _), agreement)| Owner {
            name,
            worker,
            state,
            agreement,
            cards: Vec::new(),
        });
        OpenBook { book, programme_version: self.programme_version }
    }
}

impl Tx {
    /// Whose cards these are. Takes no lock: a card never changes hands.
    pub async fn card_budgets(
        &mut self,
        cards: &[(ProgrammeId, ConnectionId, CardToken)],
    ) -> Result<Vec<CardBudget>, StoreError> {
        let keys: Vec<_> =
            cards.iter().map(|(p, c, t)| vec![shown(p), shown(c), shown(t)]).collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements.card_budgets.fetch(self.connection(), &keys, CARD_BUDGET).await?;
        rows.iter().map(|row| read_card_budget(row)).collect()
    }

    /// Locks the budgets that are `wanted`, in the order of their keys, and reads their books.
    ///
    /// A budget that does not exist is missing from the answer.
    pub async fn open_books(
        &mut self,
        wanted: &[BookWanted],
        agreements: &Agreements,
    ) -> Result<Books, StoreError> {
        let mut keys: Vec<_> = wanted.iter().map(|w| (&w.programme, &w.budget)).collect();
        keys.sort();
        keys.dedup();
        let keys: Vec<_> = keys.into_iter().map(|(p, b)| vec![shown(p), shown(b)]).collect();
        let statements = Arc::clone(&self.statements);
        let key_columns = columns![Key "programme_id", Key "budget_id"];
        statements.lock_budgets.fetch(self.connection(), &keys, key_columns).await?;
        crash::reach("locked");
        let mut books = Books::default();
        let rows = statements.budgets.fetch(self.connection(), &keys, BUDGET_VIEW).await?;
        let rows = rows.iter().map(|row| BudgetRow::read(row)).collect::<Result<Vec<_>, _>>()?;
        let in_force = self.agreements_in_force(&rows, agreements).await?;
        for row in rows {
            let open = row.open(&in_force);
            books.open.insert((open.book.programme.clone(), open.book.budget.clone()), open);
        }
        self.read_cards(&keys, &mut books).await?;
        self.read_pots(&keys, &mut books).await?;
        self.read_permissions(&keys, &mut books).await?;
        self.read_purchases(wanted, &mut books).await?;
        Ok(books)
    }

    /// The agreements in force of `budgets`: those that are not in memory are read together.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when one is missing: nothing may be decided without it.
    async fn agreements_in_force(
        &mut self,
        budgets: &[BudgetRow],
        agreements: &Agreements,
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
            agreements.keep(key.clone(), Arc::clone(&agreement));
            missing.remove(&key);
            in_force.insert(key, agreement);
        }
        if missing.is_empty() { Ok(in_force) } else { Err(StoreError::Contended("agreement")) }
    }

    async fn read_cards(
        &mut self,
        keys: &[Vec<Value>],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        for row in statements.cards.fetch(self.connection(), keys, CARD_VIEW).await? {
            let mut reader = Reader::new(&CARD_TABLE, &row);
            let key = (reader.parsed()?, reader.parsed()?);
            let card = Card {
                connection: reader.parsed()?,
                token: reader.parsed()?,
                last_four: reader.text()?.to_owned(),
                state: reader.word(CardState::from_word)?,
            };
            let owner = books.open.get_mut(&key).and_then(|open| open.book.owner.as_mut());
            if let Some(owner) = owner {
                owner.cards.push(card);
            }
        }
        Ok(())
    }

    async fn read_pots(
        &mut self,
        keys: &[Vec<Value>],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        for row in statements.pots.fetch(self.connection(), keys, POT.columns).await? {
            let (key, pot, balance) = read_pot(&row)?;
            if let Some(open) = books.open.get_mut(&key) {
                open.book.pots.0.insert(pot, balance);
            }
        }
        Ok(())
    }

    async fn read_permissions(
        &mut self,
        keys: &[Vec<Value>],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let statements = Arc::clone(&self.statements);
        let rows = statements.permissions.fetch(self.connection(), keys, PERMISSION.columns);
        for row in rows.await? {
            let mut reader = Reader::new(&PERMISSION, &row);
            let key = (reader.parsed()?, reader.parsed()?);
            let id = reader.parsed()?;
            let scope = reader.parsed()?;
            let currency: Currency = reader.parsed()?;
            let permission = Permission {
                id,
                scope,
                cap: reader.money(currency)?,
                uses_left: reader.small()?,
                given_at: reader.instant()?,
                ends_at: reader.instant()?,
            };
            if let Some(open) = books.open.get_mut(&key) {
                open.book.permissions.push(permission);
                open.book
                    .permissions
                    .sort_by_key(|permission| (permission.given_at, permission.id));
            }
        }
        Ok(())
    }

    async fn read_purchases(
        &mut self,
        wanted: &[BookWanted],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let keys: Vec<_> = wanted
            .iter()
            .flat_map(|w| w.purchases.iter().map(move |(c, r)| (&w.programme, c, r)))
            .map(|(p, c, r)| vec![shown(p), shown(c), shown(r)])
            .collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements.purchases.fetch(self.connection(), &keys, PURCHASE.columns).await?;
        let mut places = BTreeMap::new();
        let mut hold_keys = Vec::new();
        for row in &rows {
            let purchase = read_purchase(row)?;
            let programme: ProgrammeId = Reader::new(&PURCHASE, row).parsed()?;
            let key = (programme.clone(), purchase.budget.clone());
            let own = (purchase.connection.clone(), purchase.reference.clone());
            hold_keys.push(vec![shown(&programme), shown(purchase.id)]);
            places.insert(purchase.id, (key.clone(), own.clone()));
            match books.open.get_mut(&key) {
                Some(open) => {
                    open.book.purchases.insert(own, purchase);
                }
                None => {
                    books.elsewhere.insert((key.0, own.0, own.1));
                }
            }
        }
        let rows = statements.holds.fetch(self.connection(), &hold_keys, HOLD.columns).await?;
        for row in &rows {
            let (id, hold) = read_hold(row)?;
            let Some((key, own)) = places.get(&id) else { continue };
            let open = books.open.get_mut(key);
            if let Some(purchase) = open.and_then(|open| open.book.purchases.get_mut(own)) {
                purchase.holds.push(hold);
            }
        }
        Ok(())
    }

    /// Reads the counters with `keys` into their books, as far as they exist.
    pub async fn load_counters(
        &mut self,
        keys: &[(ProgrammeId, BudgetId, CounterKey)],
        books: &mut Books,
    ) -> Result<(), StoreError> {
        let row = |(programme, budget, key): &(ProgrammeId, BudgetId, CounterKey)| {
            let period = key.period.word().into();
            vec![shown(programme), shown(budget), shown(&key.scope), period, shown(key.first_day)]
        };
        let mut rows: Vec<_> = keys.iter().collect();
        rows.sort();
        rows.dedup();
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        let statements = Arc::clone(&self.statements);
        for row in statements.counters.fetch(self.connection(), &rows, COUNTER.columns).await? {
            let mut reader = Reader::new(&COUNTER, &row);
            let place = (reader.parsed()?, reader.parsed()?);
            let key = CounterKey {
                scope: reader.parsed()?,
                period: reader.word(Period::from_word)?,
                first_day: reader.date()?,
            };
            if let Some(open) = books.open.get_mut(&place) {
                let amount = reader.money(open.book.currency)?;
                let used = Committed { amount, purchases: reader.small()? };
                open.book.counters.insert(key, used);
            }
        }
        Ok(())
    }

    /// The decisions that are recorded under `keys`. Read after the budgets are locked.
    pub async fn recorded_decisions(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.decisions, keys, &DECISION).await?;
        rows.iter().map(|row| Ok(read_decision(row)?)).collect()
    }

    /// Which of `keys` were withdrawn.
    pub async fn withdrawn(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeSet<ReferenceKey>, StoreError> {
        self.known_references(|s| &s.withdrawals, keys, &WITHDRAWAL).await
    }

    /// Which of `keys` are messages that were stored before.
    pub async fn known_events(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeSet<ReferenceKey>, StoreError> {
        self.known_references(|s| &s.events, keys, &ISSUER_EVENT).await
    }

    /// Which of `keys` are presentments that were booked before.
    pub async fn known_presentments(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeSet<ReferenceKey>, StoreError> {
        self.known_references(|s| &s.presentments, keys, &PRESENTMENT).await
    }

    /// Which purchases these claims belong to, and whose they are, as far as they are known.
    pub async fn purchases_of_claims(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<
        BTreeMap<(ProgrammeId, ConnectionId, IssuerReference), (BudgetId, PurchaseReference)>,
        StoreError,
    > {
        let rows = self.rows_by_reference(|s| &s.presentments, keys, &PRESENTMENT).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = Reader::new(&PRESENTMENT, row);
            let claim = (reader.parsed()?, reader.parsed()?, reader.parsed()?);
            reader.skip(); // the message
            let budget = reader.parsed()?;
            reader.skip(); // the purchase's own identifier
            Ok((claim, (budget, reader.parsed()?)))
        };
        rows.iter().map(read).collect()
    }

    /// Whose purchases these are, as far as they are known: found without a lock, because a
    /// purchase never changes hands.
    pub async fn purchase_budgets(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, PurchaseReference)],
    ) -> Result<BTreeMap<ReferenceKey, BudgetId>, StoreError> {
        let rows = self.rows_by_reference(|s| &s.purchases, keys, &PURCHASE).await?;
        let read = |row: &Vec<Value>| {
            let programme: ProgrammeId = Reader::new(&PURCHASE, row).parsed()?;
            let purchase = read_purchase(row)?;
            let reference = purchase.reference.to_string();
            Ok(((programme, purchase.connection, reference), purchase.budget))
        };
        rows.iter().map(read).collect()
    }

    async fn known_references<R: std::fmt::Display>(
        &mut self,
        batch: impl for<'s> Fn(&'s super::Statements) -> &'s Batch,
        keys: &[(ProgrammeId, ConnectionId, R)],
        table: &'static Table,
    ) -> Result<BTreeSet<ReferenceKey>, StoreError> {
        let rows = self.rows_by_reference(batch, keys, table).await?;
        let read = |row: &Vec<Value>| {
            let mut reader = Reader::new(table, row);
            Ok((reader.parsed()?, reader.parsed()?, reader.text()?.to_owned()))
        };
        rows.iter().map(read).collect()
    }

    async fn rows_by_reference<R: std::fmt::Display>(
        &mut self,
        batch: impl for<'s> Fn(&'s super::Statements) -> &'s Batch,
        keys: &[(ProgrammeId, ConnectionId, R)],
        table: &Table,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let keys: Vec<_> =
            keys.iter().map(|(p, c, r)| vec![shown(p), shown(c), shown(r)]).collect();
        let statements = Arc::clone(&self.statements);
        batch(&statements).fetch(self.connection(), &keys, table.columns).await
    }
}

/// Reads whose card it is.
pub(super) fn read_card_budget(row: &[Value]) -> Result<CardBudget, StoreError> {
    let mut reader = Reader::new(&CARD_BUDGET_TABLE, row);
    Ok(CardBudget {
        programme: reader.parsed()?,
        connection: reader.parsed()?,
        token: reader.parsed()?,
        budget: reader.parsed()?,
    })
}

/// Reads a pot's row.
pub(super) fn read_pot(
    row: &[Value],
) -> Result<((ProgrammeId, BudgetId), PotId, PotBalance), StoreError> {
    let mut reader = Reader::new(&POT, row);
    let key = (reader.parsed()?, reader.parsed()?);
    let pot = reader.parsed()?;
    let stream = reader.parsed()?;
    let currency: Currency = reader.parsed()?;
    let balance = PotBalance {
        stream,
        allocated: reader.money(currency)?,
        loaded: reader.money(currency)?,
        held: reader.money(currency)?,
        spent: reader.money(currency)?,
        left: reader.money(currency)?,
    };
    Ok((key, pot, balance))
}

/// The row of a pot's balances.
pub(super) fn pot_row(
    programme: &ProgrammeId,
    budget: &BudgetId,
    pot: &PotId,
    balance: &PotBalance,
) -> Vec<Value> {
    vec![
        shown(programme),
        shown(budget),
        shown(pot),
        shown(&balance.stream),
        balance.allocated.currency().code().into(),
        balance.allocated.into(),
        balance.loaded.into(),
        balance.held.into(),
        balance.spent.into(),
        balance.left.into(),
    ]
}
