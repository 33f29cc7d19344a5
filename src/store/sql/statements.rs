//! Every statement of the hot path, rendered once per database when the store is opened.

use crate::ledger::posting::{JournalRow, PostingRow};
use crate::ledger::record::agreement::{AgreementRow, TermRow};
use crate::ledger::record::decision::DecisionRow;
use crate::ledger::record::event::{IssuerEventRow, PresentmentRow};
use crate::ledger::record::purchase::{HoldRow, PurchaseRow};
use crate::ledger::record::row::{Column, Table, columns};
use crate::ledger::record::table::Record as _;
use crate::store::Dialect;
use crate::store::card::budget_cache::CardBudget;
use crate::store::pot::counters::CounterRow;
use crate::store::pot::permissions::PermissionRow;
use crate::store::pot::pots::{PotBalancesRow, PotRow};
use crate::store::purchase::books::{BudgetCardRow, OwnedBudgetRow, SettingsVersionRow};
use crate::store::purchase::close::{ExceptionRow, HeadUpdate, ParkedEvent, ResolvedException};
use crate::store::purchase::messages::{MessageRow, MessageThreadQuery};
use crate::store::purchase::withdrawals::WithdrawalRow;
use crate::store::sql::batch::{BatchStatement, names};
use crate::store::sql::combined_query::{CombinedQuery, SubQuery};
use crate::store::sql::combined_writes::CombinedWrites;
use crate::store::sql::record::select_sql;

const PROGRAMME_KEY: &[Column] = columns![Key "programme_id"];
const BUDGET_KEY: &[Column] = columns![Key "programme_id", Key "budget_id"];
const REFERENCE_KEY: &[Column] = columns![Key "programme_id", Key "connection_id", Key "reference"];
const AGREEMENT_KEY: &[Column] = columns![Key "programme_id", Key "budget_id", Number "version"];
const PURCHASE_KEY: &[Column] = columns![Key "programme_id", Key "purchase_id"];
const POSTING_KEY: &[Column] = columns![Key "programme_id", Key "posting_id"];
/// The key range of one purchase's decisions: references from the first (included) to the end
/// (excluded).
const PURCHASE_DECISIONS_KEY: &[Column] = columns![
    Key "programme_id", Key "connection_id", Text "first_reference", Text "end_reference",
];
const COUNTER_KEY: &[Column] = columns![
    Key "programme_id", Key "budget_id", Key "scope", Key "period", Key "first_day",
];

/// The statements of decisions and events.
#[derive(Debug)]
pub(in crate::store) struct Statements {
    pub(in crate::store) dialect: Dialect,
    pub(in crate::store) combined_writes: CombinedWrites,
    pub(in crate::store) card_budgets: BatchStatement,
    pub(in crate::store) lock_budgets: BatchStatement,
    /// Budgets, cards, pots, permissions, keys of recorded decisions, keys of known purchases,
    /// counters, programmes.
    pub(in crate::store) books: CombinedQuery,
    pub(in crate::store) pots: BatchStatement,
    /// Agreements, and their terms.
    pub(in crate::store) agreements: CombinedQuery,
    pub(in crate::store) decisions: BatchStatement,
    /// All decisions of a purchase.
    pub(in crate::store) decisions_of_purchases: BatchStatement,
    pub(in crate::store) first_links: BatchStatement,
    pub(in crate::store) transfers: BatchStatement,
    pub(in crate::store) message_threads: BatchStatement,
    pub(in crate::store) withdrawals: BatchStatement,
    pub(in crate::store) purchases: BatchStatement,
    pub(in crate::store) holds: BatchStatement,
    pub(in crate::store) counters: BatchStatement,
    pub(in crate::store) events: BatchStatement,
    pub(in crate::store) presentments: BatchStatement,
    pub(in crate::store) insert_decisions: BatchStatement,
    pub(in crate::store) insert_withdrawals: BatchStatement,
    pub(in crate::store) insert_events: BatchStatement,
    pub(in crate::store) insert_presentments: BatchStatement,
    pub(in crate::store) insert_postings: BatchStatement,
    pub(in crate::store) insert_journal: BatchStatement,
    pub(in crate::store) insert_messages: BatchStatement,
    pub(in crate::store) insert_exceptions: BatchStatement,
    pub(in crate::store) delete_exceptions: BatchStatement,
    pub(in crate::store) resolve_exceptions: BatchStatement,
    pub(in crate::store) insert_parked: BatchStatement,
    pub(in crate::store) delete_parked: BatchStatement,
    pub(in crate::store) parked: BatchStatement,
    pub(in crate::store) insert_purchases: BatchStatement,
    pub(in crate::store) insert_holds: BatchStatement,
    pub(in crate::store) insert_counters: BatchStatement,
    pub(in crate::store) update_purchases: BatchStatement,
    pub(in crate::store) update_holds: BatchStatement,
    pub(in crate::store) update_counters: BatchStatement,
    pub(in crate::store) update_pots: BatchStatement,
    pub(in crate::store) update_permissions: BatchStatement,
    pub(in crate::store) update_heads: BatchStatement,
}

/// A lookup statement: its name, its SQL text, and the columns of each set of rows that is passed.
type LookupStatement<'a> = (&'static str, &'a str, Vec<&'static [Column]>);

impl Statements {
    /// All lookup statements of the hot path, for [`crate::store::QueryPlan`].
    pub(in crate::store) fn lookup_statements(&self) -> Vec<LookupStatement<'_>> {
        fn batch<'s>(name: &'static str, batch: &'s BatchStatement) -> LookupStatement<'s> {
            (name, batch.sql(), vec![batch.columns()])
        }
        fn combined_query<'s>(
            name: &'static str,
            combined_query: &'s CombinedQuery,
        ) -> LookupStatement<'s> {
            (name, combined_query.sql(), combined_query.key_sets().to_vec())
        }
        vec![
            batch("card_budgets", &self.card_budgets),
            batch("lock_budgets", &self.lock_budgets),
            combined_query("books", &self.books),
            combined_query("agreements", &self.agreements),
            batch("pots", &self.pots),
            batch("decisions", &self.decisions),
            batch("decisions_of_purchases", &self.decisions_of_purchases),
            batch("first_links", &self.first_links),
            batch("transfers", &self.transfers),
            batch("message_threads", &self.message_threads),
            batch("withdrawals", &self.withdrawals),
            batch("purchases", &self.purchases),
            batch("holds", &self.holds),
            batch("counters", &self.counters),
            batch("events", &self.events),
            batch("presentments", &self.presentments),
            batch("update_purchases", &self.update_purchases),
            batch("update_holds", &self.update_holds),
            batch("update_counters", &self.update_counters),
            batch("update_pots", &self.update_pots),
            batch("update_permissions", &self.update_permissions),
            batch("move_heads", &self.update_heads),
        ]
    }

    pub(in crate::store) fn new(dialect: Dialect) -> Self {
        let batch = |columns, template: &str| BatchStatement::new(dialect, columns, template);
        let by_reference =
            |table: &'static Table| batch(REFERENCE_KEY, &by_reference(table.name, table.columns));
        Self {
            dialect,
            combined_writes: CombinedWrites::default(),
            card_budgets: batch(REFERENCE_KEY, &select_sql(CardBudget::TABLE, CARD_BUDGETS)),
            lock_budgets: batch(BUDGET_KEY, LOCK_BUDGETS),
            books: CombinedQuery::new(dialect, BOOK_KEYS, books()),
            pots: batch(BUDGET_KEY, &of_budget(PotRow::TABLE)),
            agreements: CombinedQuery::new(dialect, &[AGREEMENT_KEY], agreements()),
            decisions: by_reference(DecisionRow::TABLE),
            decisions_of_purchases: batch(PURCHASE_DECISIONS_KEY, &decisions_of_purchases()),
            first_links: batch(POSTING_KEY, FIRST_LINKS),
            transfers: batch(POSTING_KEY, &transfers()),
            message_threads: batch(MessageThreadQuery::TABLE.columns, MESSAGE_THREADS),
            withdrawals: by_reference(WithdrawalRow::TABLE),
            purchases: by_reference(PurchaseRow::TABLE),
            holds: batch(PURCHASE_KEY, &holds()),
            counters: batch(COUNTER_KEY, &counters()),
            events: by_reference(IssuerEventRow::TABLE),
            presentments: by_reference(PresentmentRow::TABLE),
            insert_decisions: BatchStatement::insert(dialect, DecisionRow::TABLE),
            insert_withdrawals: BatchStatement::insert(dialect, WithdrawalRow::TABLE),
            insert_events: BatchStatement::insert(dialect, IssuerEventRow::TABLE),
            insert_presentments: BatchStatement::insert(dialect, PresentmentRow::TABLE),
            insert_postings: BatchStatement::insert(dialect, PostingRow::TABLE),
            insert_journal: BatchStatement::insert(dialect, JournalRow::TABLE),
            insert_messages: BatchStatement::insert(dialect, MessageRow::TABLE),
            insert_exceptions: batch(ExceptionRow::TABLE.columns, &upsert_exceptions()),
            resolve_exceptions: batch(ResolvedException::TABLE.columns, RESOLVE_EXCEPTIONS),
            delete_exceptions: batch(ParkedEvent::TABLE.columns, DELETE_EXCEPTIONS),
            insert_parked: BatchStatement::insert(dialect, ParkedEvent::TABLE),
            delete_parked: batch(ParkedEvent::TABLE.columns, DELETE_PARKED),
            parked: batch(REFERENCE_KEY, LOCK_PARKED),
            insert_purchases: BatchStatement::insert(dialect, PurchaseRow::TABLE),
            insert_holds: BatchStatement::insert(dialect, HoldRow::TABLE),
            insert_counters: BatchStatement::insert(dialect, CounterRow::TABLE),
            update_purchases: BatchStatement::update(dialect, PurchaseRow::TABLE),
            update_holds: BatchStatement::update(dialect, HoldRow::TABLE),
            update_counters: BatchStatement::update(dialect, CounterRow::TABLE),
            update_pots: BatchStatement::update(dialect, PotBalancesRow::TABLE),
            update_permissions: batch(PermissionRow::TABLE.columns, UPDATE_PERMISSIONS),
            update_heads: batch(HeadUpdate::TABLE.columns, UPDATE_HEADS),
        }
    }
}

/// The key sets of the `books` query: budgets, authorisation requests, purchases, counters,
/// programmes.
const BOOK_KEYS: &[&[Column]] =
    &[BUDGET_KEY, REFERENCE_KEY, REFERENCE_KEY, COUNTER_KEY, PROGRAMME_KEY];

/// The parts of the `books` query. Decisions and purchases are read by key only, because nearly all
/// authorisation requests are new, and on PostgreSQL every row is as wide as the widest part.
fn books() -> Vec<SubQuery> {
    let subquery = |key_set, columns, template: String| SubQuery { key_set, columns, template };
    vec![
        subquery(0, OwnedBudgetRow::TABLE.columns, BUDGETS.to_owned()),
        subquery(0, BudgetCardRow::TABLE.columns, of_budget(BudgetCardRow::TABLE)),
        subquery(0, PotRow::TABLE.columns, of_budget(PotRow::TABLE)),
        subquery(0, PermissionRow::TABLE.columns, of_budget(PermissionRow::TABLE)),
        subquery(1, REFERENCE_KEY, by_reference("decision", REFERENCE_KEY)),
        subquery(2, REFERENCE_KEY, by_reference("purchase", REFERENCE_KEY)),
        subquery(3, CounterRow::TABLE.columns, counters()),
        subquery(4, SettingsVersionRow::TABLE.columns, PROGRAMMES.to_owned()),
    ]
}

fn agreements() -> Vec<SubQuery> {
    let subquery = |table: &'static Table| SubQuery {
        key_set: 0,
        columns: table.columns,
        template: of_version(table),
    };
    vec![subquery(AgreementRow::TABLE), subquery(TermRow::TABLE)]
}

const CARD_BUDGETS: &str = "\
    SELECT {columns b} FROM {rows} {find card b: b.programme_id = r.programme_id \
    AND b.connection_id = r.connection_id AND b.token = r.reference}";

const LOCK_BUDGETS: &str = "\
    SELECT b.budget_id FROM {rows} \
    JOIN budget b ON b.programme_id = r.programme_id AND b.budget_id = r.budget_id \
    ORDER BY b.programme_id, b.budget_id{lock}";

const BUDGETS: &str = "\
    SELECT b.programme_id, b.budget_id, b.currency, b.agreement_version, b.head_seq, \
    b.head_posting, b.head_hash, b.settings_version, n.name, n.worker_id, n.state FROM {rows} \
    {find budget b: b.programme_id = r.programme_id AND b.budget_id = r.budget_id} \
    LEFT JOIN person n ON n.programme_id = b.programme_id AND n.person_id = b.budget_id";

/// A part of its own, not a join with [`BUDGETS`], because a join would look up the same few
/// programmes once per budget.
const PROGRAMMES: &str = "\
    SELECT p.programme_id, p.version FROM {rows} \
    {find programme p: p.programme_id = r.programme_id}";

const UPDATE_PERMISSIONS: &str = "\
    UPDATE permission SET uses_left = r.uses_left, open_minor = r.open_minor, \
    captured_count = r.captured_count, open_at = r.open_at \
    {from permission: permission.programme_id = r.programme_id \
    AND permission.budget_id = r.budget_id AND permission.permission_id = r.permission_id}";

/// Deletes the exceptions of parked events.
const DELETE_EXCEPTIONS: &str = "\
    DELETE FROM exception WHERE (programme_id, exception_id) IN \
    (SELECT r.programme_id, r.exception_id FROM {rows})";

const RESOLVE_EXCEPTIONS: &str = "\
    UPDATE exception SET settled_at = r.settled_at, settled_by = r.settled_by \
    {from exception: exception.programme_id = r.programme_id \
    AND exception.exception_id = r.exception_id AND exception.settled_at IS NULL}";

/// Locks parked events, so that each is booked only once.
const LOCK_PARKED: &str = "\
    SELECT b.programme_id, b.connection_id, b.reference, b.claim, b.exception_id FROM {rows} \
    JOIN parked b ON b.programme_id = r.programme_id AND b.connection_id = r.connection_id \
    AND b.reference = r.reference ORDER BY 1, 2, 3{lock}";

const DELETE_PARKED: &str = "\
    DELETE FROM parked WHERE (programme_id, connection_id, reference) IN \
    (SELECT r.programme_id, r.connection_id, r.reference FROM {rows})";

/// Updates no row when the head is not the one that was read, because a chain only grows from its
/// head.
const UPDATE_HEADS: &str = "\
    UPDATE budget SET head_seq = r.head_seq, head_posting = r.head_posting, \
    head_hash = r.head_hash \
    {from budget: budget.programme_id = r.programme_id AND budget.budget_id = r.budget_id \
    AND budget.head_seq = r.old_seq}";

const FIRST_LINKS: &str = "\
    SELECT t.posting_id FROM {rows} \
    {find first_link t: t.programme_id = r.programme_id AND t.posting_id = r.posting_id}";

const MESSAGE_THREADS: &str = "\
    SELECT DISTINCT r.programme_id, r.budget_id, r.matter FROM {rows} \
    {find message t: t.programme_id = r.programme_id AND t.budget_id = r.budget_id \
    AND t.matter = r.matter AND t.created_at > r.since}";

/// Reads the decisions of a purchase as one key range, because adapters name an authorisation
/// request `{purchase}/{number}`.
fn decisions_of_purchases() -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find decision t: t.programme_id = r.programme_id \
         AND t.connection_id = r.connection_id AND t.reference >= r.first_reference \
         AND t.reference < r.end_reference}}",
        names(DecisionRow::TABLE.columns, "t.")
    )
}

fn transfers() -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find journal t: t.programme_id = r.programme_id \
         AND t.posting_id = r.posting_id}}",
        names(JournalRow::TABLE.columns, "t.")
    )
}

fn by_reference(table: &str, columns: &[Column]) -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find {table} t: t.programme_id = r.programme_id \
         AND t.connection_id = r.connection_id AND t.reference = r.reference}}",
        names(columns, "t."),
    )
}

fn of_budget(table: &Table) -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find {} t: t.programme_id = r.programme_id \
         AND t.budget_id = r.budget_id}}",
        names(table.columns, "t."),
        table.name
    )
}

fn of_version(table: &Table) -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find {} t: t.programme_id = r.programme_id \
         AND t.budget_id = r.budget_id AND t.version = r.version}}",
        names(table.columns, "t."),
        table.name
    )
}

fn holds() -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find hold t: t.programme_id = r.programme_id \
         AND t.purchase_id = r.purchase_id}} ORDER BY t.programme_id, t.purchase_id, t.position",
        names(HoldRow::TABLE.columns, "t.")
    )
}

/// An open exception is left unchanged; a resolved one is reopened.
fn upsert_exceptions() -> String {
    format!(
        "INSERT INTO exception ({}) SELECT {} FROM {{rows}} WHERE true \
         ON CONFLICT (programme_id, exception_id) DO UPDATE SET subject = excluded.subject, \
         detail = excluded.detail, noted_at = excluded.noted_at, settled_at = NULL, \
         settled_by = NULL WHERE exception.settled_at IS NOT NULL",
        names(ExceptionRow::TABLE.columns, ""),
        names(ExceptionRow::TABLE.columns, "r.")
    )
}

fn counters() -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find counter t: t.programme_id = r.programme_id \
         AND t.budget_id = r.budget_id AND t.scope = r.scope AND t.period = r.period \
         AND t.first_day = r.first_day}}",
        names(CounterRow::TABLE.columns, "t.")
    )
}
