//! Every statement of the hot path, spelled once per database when the store is opened.

use super::Dialect;
use super::batch::{Batch, names};
use crate::ledger::posting::{JOURNAL, POSTING};
use crate::record::agreement::{AGREEMENT, TERM};
use crate::record::decision::DECISION;
use crate::record::event::{ISSUER_EVENT, PRESENTMENT};
use crate::record::purchase::{HOLD, PURCHASE};
use crate::record::row::{Column, Table, columns};

/// What a budget's row and its neighbours say, as one row.
pub(super) const BUDGET_VIEW: &[Column] = columns![
    Key "programme_id", Key "budget_id", Text "currency", Number "agreement_version",
    Number "head_seq", Text "head_posting", Text "head_hash", Number "programme_version",
    Text "name", Text "worker_id", Text "state",
];
pub(super) const CARD_VIEW: &[Column] = columns![
    Key "programme_id", Text "budget_id", Key "connection_id", Key "token", Text "last_four",
    Text "state",
];
pub(super) const CARD_BUDGET: &[Column] =
    columns![Key "programme_id", Key "connection_id", Key "token", Text "budget_id"];
/// The balances of a pot.
pub const POT: Table = Table {
    name: "pot",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "pot_id", Text "stream_id", Text "currency",
        Number "allocated_minor", Number "loaded_minor", Number "held_minor",
        Number "spent_minor", Number "left_minor",
    ],
};
/// What has been used of one scope in one period.
pub const COUNTER: Table = Table {
    name: "counter",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "scope", Key "period", Key "first_day",
        Number "amount_minor", Number "purchases",
    ],
};
/// One-off OKs.
pub(crate) const PERMISSION: Table = Table {
    name: "permission",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "permission_id", Text "scope", Text "currency",
        Number "cap_minor", Number "uses_left", Number "given_at", Number "ends_at",
    ],
};
/// Approvals that were taken back.
pub const WITHDRAWAL: Table = Table {
    name: "withdrawal",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "budget_id",
        Number "withdrawn_at",
    ],
};
pub(crate) const MESSAGE: Table = Table {
    name: "message",
    columns: columns![
        Key "programme_id", Key "message_id", Text "budget_id", Text "kind", Text "subject",
        Text "body", Number "created_at",
    ],
};
pub(crate) const EXCEPTION: Table = Table {
    name: "exception",
    columns: columns![
        Key "programme_id", Key "exception_id", Text "budget_id", Text "kind", Text "subject",
        Text "detail", Number "noted_at",
    ],
};

/// Messages that wait for the claim that they are about.
pub(super) const PARKED: Table = Table {
    name: "parked",
    columns: columns![
        Key "programme_id", Key "connection_id", Key "reference", Text "exception_id",
    ],
};

const BUDGET_KEY: &[Column] = columns![Key "programme_id", Key "budget_id"];
const REFERENCE_KEY: &[Column] = columns![Key "programme_id", Key "connection_id", Key "reference"];
const AGREEMENT_KEY: &[Column] = columns![Key "programme_id", Key "budget_id", Number "version"];
const PURCHASE_KEY: &[Column] = columns![Key "programme_id", Key "purchase_id"];
const COUNTER_KEY: &[Column] = columns![
    Key "programme_id", Key "budget_id", Key "scope", Key "period", Key "first_day",
];
const EXCEPTION_KEY: &[Column] = columns![Key "programme_id", Key "exception_id"];
const HEAD_MOVE: &[Column] = columns![
    Key "programme_id", Key "budget_id", Number "old_seq", Number "head_seq",
    Text "head_posting", Text "head_hash",
];

/// The statements of decisions and events.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) dialect: Dialect,
    pub(super) card_budgets: Batch,
    pub(super) lock_budgets: Batch,
    pub(super) budgets: Batch,
    pub(super) cards: Batch,
    pub(super) pots: Batch,
    pub(super) permissions: Batch,
    pub(super) agreements: Batch,
    pub(super) terms: Batch,
    pub(super) decisions: Batch,
    pub(super) withdrawals: Batch,
    pub(super) purchases: Batch,
    pub(super) holds: Batch,
    pub(super) counters: Batch,
    pub(super) events: Batch,
    pub(super) presentments: Batch,
    pub(super) insert_decisions: Batch,
    pub(super) insert_withdrawals: Batch,
    pub(super) insert_events: Batch,
    pub(super) insert_presentments: Batch,
    pub(super) insert_postings: Batch,
    pub(super) insert_journal: Batch,
    pub(super) insert_messages: Batch,
    pub(super) insert_exceptions: Batch,
    pub(super) delete_exceptions: Batch,
    pub(super) insert_parked: Batch,
    pub(super) delete_parked: Batch,
    pub(super) parked: Batch,
    pub(super) upsert_purchases: Batch,
    pub(super) upsert_holds: Batch,
    pub(super) upsert_counters: Batch,
    pub(super) update_pots: Batch,
    pub(super) update_permissions: Batch,
    pub(super) move_heads: Batch,
}

impl Statements {
    pub(super) fn new(dialect: Dialect) -> Self {
        let batch = |columns, template: &str| Batch::new(dialect, columns, template);
        let by_reference = |table: &'static Table| batch(REFERENCE_KEY, &by_reference(table));
        let of_budget = |table: &'static Table| batch(BUDGET_KEY, &of_budget(table));
        Self {
            dialect,
            card_budgets: batch(REFERENCE_KEY, CARD_BUDGETS),
            lock_budgets: batch(BUDGET_KEY, LOCK_BUDGETS),
            budgets: batch(BUDGET_KEY, BUDGETS),
            cards: batch(BUDGET_KEY, CARDS),
            pots: of_budget(&POT),
            permissions: of_budget(&PERMISSION),
            agreements: batch(AGREEMENT_KEY, &of_version(&AGREEMENT)),
            terms: batch(AGREEMENT_KEY, &format!("{} ORDER BY t.position", of_version(&TERM))),
            decisions: by_reference(&DECISION),
            withdrawals: by_reference(&WITHDRAWAL),
            purchases: by_reference(&PURCHASE),
            holds: batch(PURCHASE_KEY, &holds()),
            counters: batch(COUNTER_KEY, &counters()),
            events: by_reference(&ISSUER_EVENT),
            presentments: by_reference(&PRESENTMENT),
            insert_decisions: Batch::insert(dialect, &DECISION),
            insert_withdrawals: Batch::insert(dialect, &WITHDRAWAL),
            insert_events: Batch::insert(dialect, &ISSUER_EVENT),
            insert_presentments: Batch::insert(dialect, &PRESENTMENT),
            insert_postings: Batch::insert(dialect, &POSTING),
            insert_journal: Batch::insert(dialect, &JOURNAL),
            insert_messages: Batch::insert(dialect, &MESSAGE),
            insert_exceptions: Batch::insert(dialect, &EXCEPTION),
            delete_exceptions: batch(EXCEPTION_KEY, DELETE_EXCEPTIONS),
            insert_parked: Batch::insert(dialect, &PARKED),
            delete_parked: batch(PARKED.columns, DELETE_PARKED),
            parked: batch(REFERENCE_KEY, LOCK_PARKED),
            // Two purchases of one name, begun in two budgets at once: the second must not win.
            upsert_purchases: Batch::upsert(dialect, &PURCHASE)
                .only_if_same(&PURCHASE, "purchase_id"),
            upsert_holds: Batch::upsert(dialect, &HOLD),
            upsert_counters: Batch::upsert(dialect, &COUNTER),
            update_pots: batch(POT.columns, UPDATE_POTS),
            update_permissions: batch(PERMISSION.columns, UPDATE_PERMISSIONS),
            move_heads: batch(HEAD_MOVE, MOVE_HEADS),
        }
    }
}

const CARD_BUDGETS: &str = "\
    SELECT b.programme_id, b.connection_id, b.token, b.budget_id FROM {rows} \
    {find card b: b.programme_id = r.programme_id AND b.connection_id = r.connection_id \
    AND b.token = r.reference}";

/// Locks first, in one order everywhere, in a statement of its own: on PostgreSQL a join inside
/// the locking statement would return rows as they were before the lock was had.
const LOCK_BUDGETS: &str = "\
    SELECT b.programme_id, b.budget_id FROM {rows} \
    JOIN budget b ON b.programme_id = r.programme_id AND b.budget_id = r.budget_id \
    ORDER BY b.programme_id, b.budget_id{lock}";

const BUDGETS: &str = "\
    SELECT b.programme_id, b.budget_id, b.currency, b.agreement_version, b.head_seq, \
    b.head_posting, b.head_hash, p.version, n.name, n.worker_id, n.state FROM {rows} \
    {find budget b: b.programme_id = r.programme_id AND b.budget_id = r.budget_id} \
    JOIN programme p ON p.programme_id = b.programme_id \
    LEFT JOIN person n ON n.programme_id = b.programme_id AND n.person_id = b.budget_id";

const CARDS: &str = "\
    SELECT c.programme_id, c.budget_id, c.connection_id, c.token, c.last_four, c.state \
    FROM {rows} {find card c: c.programme_id = r.programme_id AND c.budget_id = r.budget_id}";

const UPDATE_POTS: &str = "\
    UPDATE pot SET loaded_minor = r.loaded_minor, held_minor = r.held_minor, \
    spent_minor = r.spent_minor, left_minor = r.left_minor FROM {rows} \
    WHERE pot.programme_id = r.programme_id AND pot.budget_id = r.budget_id \
    AND pot.pot_id = r.pot_id";

const UPDATE_PERMISSIONS: &str = "\
    UPDATE permission SET uses_left = r.uses_left FROM {rows} \
    WHERE permission.programme_id = r.programme_id AND permission.budget_id = r.budget_id \
    AND permission.permission_id = r.permission_id";

const DELETE_EXCEPTIONS: &str = "\
    DELETE FROM exception WHERE (programme_id, exception_id) IN \
    (SELECT r.programme_id, r.exception_id FROM {rows})";

/// Whoever books a parked message locks it first.
const LOCK_PARKED: &str = "\
    SELECT b.programme_id, b.connection_id, b.reference, b.exception_id FROM {rows} \
    JOIN parked b ON b.programme_id = r.programme_id AND b.connection_id = r.connection_id \
    AND b.reference = r.reference ORDER BY 1, 2, 3{lock}";

const DELETE_PARKED: &str = "\
    DELETE FROM parked WHERE (programme_id, connection_id, reference) IN \
    (SELECT r.programme_id, r.connection_id, r.reference FROM {rows})";

/// The chain grows from the head that was read, or not at all.
const MOVE_HEADS: &str = "\
    UPDATE budget SET head_seq = r.head_seq, head_posting = r.head_posting, \
    head_hash = r.head_hash FROM {rows} \
    WHERE budget.programme_id = r.programme_id AND budget.budget_id = r.budget_id \
    AND budget.head_seq = r.old_seq";

fn by_reference(table: &Table) -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find {} t: t.programme_id = r.programme_id \
         AND t.connection_id = r.connection_id AND t.reference = r.reference}}",
        names(table.columns, "t."),
        table.name
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
        names(HOLD.columns, "t.")
    )
}

fn counters() -> String {
    format!(
        "SELECT {} FROM {{rows}} {{find counter t: t.programme_id = r.programme_id \
         AND t.budget_id = r.budget_id AND t.scope = r.scope AND t.period = r.period \
         AND t.first_day = r.first_day}}",
        names(COUNTER.columns, "t.")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Connections, Store};

    /// What a decision reads is bounded, whether there are ten people or a million: rows are
    /// looked up by a key that says more than the programme. SQLite plans without figures, so the
    /// plans on empty tables are the plans for ever.
    #[tokio::test]
    async fn no_statement_walks_through_a_programme() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sayso.db").display());
        let store = Store::open(&url, Connections::default()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let s = Statements::new(Dialect::Sqlite);
        let looking = [
            &s.card_budgets,
            &s.lock_budgets,
            &s.budgets,
            &s.cards,
            &s.pots,
            &s.permissions,
            &s.agreements,
            &s.terms,
            &s.decisions,
            &s.withdrawals,
            &s.purchases,
            &s.holds,
            &s.counters,
            &s.events,
            &s.presentments,
            &s.update_pots,
            &s.update_permissions,
            &s.move_heads,
        ];
        for batch in looking {
            for step in batch.plan(tx.connection()).await.unwrap() {
                let is_by_key = step.starts_with("SEARCH") && step.contains("=? AND ");
                let is_of_programme = step.starts_with("SEARCH p ");
                let is_sorting = step.starts_with("USE TEMP B-TREE");
                let is_argument = step.starts_with("SCAN jsonb_each");
                assert!(is_by_key || is_of_programme || is_sorting || is_argument, "{step}");
            }
        }
    }
}
