//! The history of one budget: purchases, decisions and postings. It is read backwards from the head
//! of the budget's chain, so that a page costs the same however long the chain is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::domain::id::{
    BudgetId, ConnectionId, DecisionId, IssuerReference, PersonId, PostingId, ProgrammeId,
    PurchaseId, PurchaseReference, WorkerId,
};
use crate::domain::people::person::PersonState;
use crate::domain::people::role::BudgetFilter;
use crate::domain::purchase::Purchase;
use crate::ledger::posting::{JOURNAL, PostingKind, Transfer, read_transfer};
use crate::ledger::record::decision::{DECISION, RecordedDecision, read_decision};
use crate::ledger::record::event::ISSUER_EVENT;
use crate::ledger::record::purchase::{HOLD, PURCHASE, read_hold, read_purchase};
use crate::ledger::record::row::{RowReader, Table, Value, columns, text_value};
use crate::store::report::reports;
use crate::store::sql::batch::{names, read_row};
use crate::store::{PersonRow, ReferenceKey, StoreError, Tx};

static LINK: Table = Table {
    name: "posting",
    columns: columns![
        Key "posting_id", Text "kind", Text "subject", Text "purchase_id", Number "posted_at",
    ],
};
static FIRST_LINK: Table = Table { name: "first_link", columns: columns![Key "posting_id"] };
static VERSION: Table = Table { name: "budget", columns: columns![Number "agreement_version"] };
static PERSON: Table = Table {
    name: "person",
    columns: columns![Key "person_id", Text "name", Text "worker_id", Text "state"],
};

/// The key of a purchase: programme, connection, the issuer's own identifier.
pub type PurchaseReferenceKey = (ProgrammeId, ConnectionId, PurchaseReference);

/// Walks a chain backwards: from the posting before `$3`, or from the head if `$3` is null, to the
/// first link older than `$4`, which is included.
const CHAIN_CTE: &str = "WITH RECURSIVE link AS ( \
       SELECT p.programme_id, p.posting_id, p.previous_id, p.kind, p.subject, p.purchase_id, \
       p.posted_at FROM posting p WHERE p.programme_id = $1 AND p.posting_id = COALESCE( \
         (SELECT c.previous_id FROM posting c WHERE c.programme_id = $1 AND c.budget_id = $2 \
          AND c.posting_id = $3), \
         (SELECT b.head_posting FROM budget b WHERE b.programme_id = $1 AND b.budget_id = $2 \
          AND CAST($3 AS TEXT) IS NULL)) \
     UNION ALL \
       SELECT p.programme_id, p.posting_id, p.previous_id, p.kind, p.subject, p.purchase_id, \
       p.posted_at FROM link l JOIN posting p ON p.programme_id = l.programme_id \
       AND p.posting_id = l.previous_id WHERE l.posted_at >= $4) ";

/// A link of a budget's chain: one posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    pub posting: PostingId,
    pub kind: PostingKind,
    /// The key of the record that it books.
    pub subject: String,
    /// The purchase that it changed, if any.
    pub purchase: Option<PurchaseId>,
    pub posted_at: Timestamp,
}

impl ChainLink {
    /// The decision that it books; `None` if it books anything else.
    pub fn decision(&self) -> Option<DecisionId> {
        if self.kind == PostingKind::Decision { self.subject.parse().ok() } else { None }
    }
}

impl Tx {
    /// Up to `most` links of a budget's chain before the posting `before`, or from the head, the
    /// newest first.
    pub async fn links_before(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<PostingId>,
        most: u32,
    ) -> Result<Vec<ChainLink>, StoreError> {
        self.walk_chain(programme, budget, before, Timestamp::MIN, most).await
    }

    /// Up to `most` links of a budget's chain back to `since`, and the one before them if there is
    /// one, the newest first.
    pub async fn links_since(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<ChainLink>, StoreError> {
        self.walk_chain(programme, budget, None, since, most).await
    }

    async fn walk_chain(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<PostingId>,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<ChainLink>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(walk_chain()))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(before.map(|id| id.to_string()))
            .bind(since.as_microsecond())
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read_link).collect()
    }

    /// Those of `postings` that began a purchase whose identifier differs from that of its first
    /// posting. Only purchases from before migration 4 have such identifiers.
    pub async fn first_links(
        &mut self,
        programme: &ProgrammeId,
        postings: &[PostingId],
    ) -> Result<BTreeSet<PostingId>, StoreError> {
        let keys: Vec<_> =
            postings.iter().map(|id| vec![text_value(programme), text_value(id)]).collect();
        let statements = Arc::clone(&self.statements);
        let rows =
            statements.first_links.fetch(self.connection(), &keys, FIRST_LINK.columns).await?;
        rows.iter().map(|row| Ok(RowReader::new(&FIRST_LINK, row).parsed()?)).collect()
    }

    /// The transfers of each of `postings`.
    pub async fn transfers_of(
        &mut self,
        programme: &ProgrammeId,
        postings: &[PostingId],
    ) -> Result<BTreeMap<PostingId, Vec<Transfer>>, StoreError> {
        let keys: Vec<_> =
            postings.iter().map(|id| vec![text_value(programme), text_value(id)]).collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements.transfers.fetch(self.connection(), &keys, JOURNAL.columns).await?;
        let mut found: BTreeMap<PostingId, Vec<_>> = BTreeMap::new();
        for row in &rows {
            let (posting, transfer) = read_transfer(row)?;
            if let Ok(posting) = posting.parse() {
                found.entry(posting).or_default().push(transfer);
            }
        }
        Ok(found)
    }

    /// All decisions about `purchases`, of any budget, the oldest first.
    pub async fn decisions_of_purchases(
        &mut self,
        purchases: &[PurchaseReferenceKey],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let key = |(programme, connection, purchase): &PurchaseReferenceKey| {
            let (first, end) = purchase.questions();
            vec![text_value(programme), text_value(connection), first.into(), end.into()]
        };
        let keys: Vec<_> = purchases.iter().map(key).collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements
            .decisions_of_purchases
            .fetch(self.connection(), &keys, DECISION.columns)
            .await?;
        let mut decisions = Vec::new();
        for row in &rows {
            let decision = read_decision(row)?;
            let RecordedDecision { programme, connection, purchase, .. } = &decision;
            let name = (programme.clone(), connection.clone(), purchase.clone());
            // The key range of purchase `a` also contains the decisions of a purchase `a/b`.
            if purchases.contains(&name) {
                decisions.push(decision);
            }
        }
        decisions.sort_by_key(|decision| (decision.decided_at, decision.id));
        Ok(decisions)
    }

    /// Those of the purchases `names` that exist, with their holds.
    pub async fn purchases_by_reference(
        &mut self,
        programme: &ProgrammeId,
        names: &[PurchaseReferenceKey],
    ) -> Result<Vec<Purchase>, StoreError> {
        let key = |(programme, connection, reference): &PurchaseReferenceKey| {
            vec![text_value(programme), text_value(connection), text_value(reference)]
        };
        let keys: Vec<_> = names.iter().map(key).collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements.purchases.fetch(self.connection(), &keys, PURCHASE.columns).await?;
        let purchases: Result<Vec<_>, _> = rows.iter().map(|row| read_purchase(row)).collect();
        let mut purchases = purchases?;
        self.add_holds(programme, &mut purchases).await?;
        Ok(purchases)
    }

    /// The texts of those issuer events of `keys` that exist and are not erased.
    pub async fn event_texts(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeMap<ReferenceKey, String>, StoreError> {
        let key = |(programme, connection, reference): &(_, _, _)| {
            vec![text_value(programme), text_value(connection), text_value(reference)]
        };
        let keys: Vec<_> = keys.iter().map(key).collect();
        let statements = Arc::clone(&self.statements);
        let rows = statements.events.fetch(self.connection(), &keys, ISSUER_EVENT.columns).await?;
        let mut texts = BTreeMap::new();
        for row in &rows {
            let mut reader = RowReader::new(&ISSUER_EVENT, row);
            let key: ReferenceKey = (reader.parsed()?, reader.parsed()?, reader.text()?.to_owned());
            if let Some(Value::Text(text)) = ISSUER_EVENT.value(row, "body") {
                texts.insert(key, text.clone());
            }
        }
        Ok(texts)
    }

    /// The purchases found by `id`, which is our identifier or the issuer's, with their holds.
    pub async fn find_purchases(
        &mut self,
        id: &str,
    ) -> Result<Vec<(ProgrammeId, Purchase)>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(purchase_by_id_sql())).bind(id.to_owned());
        let mut rows = Vec::new();
        for row in &query.fetch_all(self.connection()).await? {
            rows.push(read_row(row, PURCHASE.columns)?);
        }
        if let Ok(reference) = id.parse::<PurchaseReference>() {
            let keys: Vec<_> = self.connections().await?;
            let key = |(programme, connection): &(ProgrammeId, ConnectionId)| {
                vec![text_value(programme), text_value(connection), text_value(&reference)]
            };
            let keys: Vec<_> = keys.iter().map(key).collect();
            let statements = Arc::clone(&self.statements);
            let columns = PURCHASE.columns;
            rows.extend(statements.purchases.fetch(self.connection(), &keys, columns).await?);
        }
        let mut found = Vec::new();
        for row in &rows {
            let programme: ProgrammeId = RowReader::new(&PURCHASE, row).parsed()?;
            let mut purchases = vec![read_purchase(row)?];
            self.add_holds(&programme, &mut purchases).await?;
            found.extend(purchases.into_iter().map(|purchase| (programme.clone(), purchase)));
        }
        Ok(found)
    }

    /// The purchases of a budget with a posting at `since` or later, with their holds, in no
    /// particular order.
    pub async fn purchases_since(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        since: Timestamp,
    ) -> Result<Vec<Purchase>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(changed_since()))
            .bind(programme.to_string())
            .bind(budget.to_string())
            .bind(None::<String>)
            .bind(since.as_microsecond())
            .fetch_all(self.connection())
            .await?;
        let mut ids = Vec::new();
        for row in &rows {
            let row = read_row(row, columns![Key "purchase_id"])?;
            ids.push(RowReader::new(&PURCHASE, &row).parsed()?);
        }
        self.purchases_by_id(programme, &ids).await
    }

    /// Those of the purchases `ids` that exist, with their holds, in no particular order.
    pub async fn purchases_by_id(
        &mut self,
        programme: &ProgrammeId,
        ids: &[PurchaseId],
    ) -> Result<Vec<Purchase>, StoreError> {
        let mut purchases = Vec::new();
        for part in ids.chunks(IDS_MAX) {
            let rows = self.rows_by_id(programme, &PURCHASE, "purchase_id", part).await?;
            for row in &rows {
                purchases.push(read_purchase(row)?);
            }
        }
        self.add_holds(programme, &mut purchases).await?;
        Ok(purchases)
    }

    /// Those of the decisions `ids` that exist, in no particular order.
    pub async fn decisions_by_id(
        &mut self,
        programme: &ProgrammeId,
        ids: &[DecisionId],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let mut decisions = Vec::new();
        for part in ids.chunks(IDS_MAX) {
            for row in self.rows_by_id(programme, &DECISION, "decision_id", part).await? {
                decisions.push(read_decision(&row)?);
            }
        }
        Ok(decisions)
    }

    async fn rows_by_id<I: std::fmt::Display>(
        &mut self,
        programme: &ProgrammeId,
        table: &Table,
        column: &str,
        ids: &[I],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = select_by_ids_sql(table, column, ids.len());
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(programme.to_string());
        for id in ids {
            query = query.bind(id.to_string());
        }
        let rows = query.fetch_all(self.connection()).await?;
        rows.iter().map(|row| read_row(row, table.columns)).collect()
    }

    async fn add_holds(
        &mut self,
        programme: &ProgrammeId,
        purchases: &mut [Purchase],
    ) -> Result<(), StoreError> {
        let keys: Vec<_> =
            purchases.iter().map(|p| vec![text_value(programme), text_value(p.id)]).collect();
        let statements = Arc::clone(&self.statements);
        let mut holds: BTreeMap<PurchaseId, Vec<_>> = BTreeMap::new();
        for row in statements.holds.fetch(self.connection(), &keys, HOLD.columns).await? {
            let (id, part) = read_hold(&row)?;
            holds.entry(id).or_default().push(part);
        }
        for purchase in purchases {
            purchase.holds = holds.remove(&purchase.id).unwrap_or_default();
        }
        Ok(())
    }

    /// The version of a budget's agreement in force; `None` before the first one starts.
    pub async fn version_in_force(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
    ) -> Result<Option<u32>, StoreError> {
        let sql = "SELECT agreement_version FROM budget WHERE programme_id = $1 AND budget_id = $2";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(budget.to_string())
            .fetch_optional(self.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = read_row(&row, VERSION.columns)?;
        Ok(RowReader::new(&VERSION, &row).optional(RowReader::integer)?)
    }

    /// Up to `most` people of a programme whose budgets match the filter `whose`, in order, after
    /// the person `after`. Their `plan` is left empty.
    pub async fn people_after(
        &mut self,
        programme: &ProgrammeId,
        whose: &BudgetFilter,
        after: Option<&PersonId>,
        most: u32,
    ) -> Result<Vec<PersonRow>, StoreError> {
        let (condition, names) = match whose {
            BudgetFilter::NoBudgets => return Ok(Vec::new()),
            BudgetFilter::OnePerson(person) => {
                (" AND person_id = $4".to_owned(), vec![person.as_str()])
            }
            BudgetFilter::Caseloads(workers) if workers.is_empty() => return Ok(Vec::new()),
            BudgetFilter::Caseloads(workers) => {
                let places: Vec<_> = (4..).take(workers.len()).map(|n| format!("${n}")).collect();
                let names = workers.iter().map(WorkerId::as_str).collect();
                (format!(" AND worker_id IN ({})", places.join(", ")), names)
            }
            BudgetFilter::AllBudgets => (String::new(), Vec::new()),
        };
        let sql = format!(
            "SELECT person_id, name, worker_id, state FROM person \
             WHERE programme_id = $1 AND person_id > $2{condition} ORDER BY person_id LIMIT $3"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(programme.to_string())
            .bind(after.map(ToString::to_string).unwrap_or_default())
            .bind(i64::from(most));
        for name in names {
            query = query.bind(name.to_owned());
        }
        let rows = query.fetch_all(self.connection()).await?;
        let read = |row: &AnyRow| {
            let row = read_row(row, PERSON.columns)?;
            let mut reader = RowReader::new(&PERSON, &row);
            Ok(PersonRow {
                budget: reader.parsed()?,
                name: reader.text()?.to_owned(),
                worker: reader.text()?.to_owned(),
                state: reader.word(PersonState::from_word)?,
                plan: String::new(),
            })
        };
        rows.iter().map(read).collect()
    }
}

/// Selects links of a chain, the newest first.
fn walk_chain() -> String {
    format!(
        "{CHAIN_CTE} SELECT posting_id, kind, subject, purchase_id, posted_at FROM link LIMIT $5"
    )
}

/// Selects the purchases with a posting at an instant or later.
fn changed_since() -> String {
    format!(
        "{CHAIN_CTE} SELECT DISTINCT purchase_id FROM link \
         WHERE purchase_id IS NOT NULL AND posted_at >= $4"
    )
}

/// Selects rows of a programme by identifier. `programme_id || ''` matches no index, so the planner
/// can only use the one by identifier.
fn select_by_ids_sql(table: &Table, column: &str, many: usize) -> String {
    let places: Vec<_> = (2..).take(many).map(|place| format!("${place}")).collect();
    format!(
        "SELECT {} FROM {} WHERE programme_id || '' = $1 AND {column} IN ({})",
        names(table.columns, ""),
        table.name,
        places.join(", ")
    )
}

/// Selects a purchase by our identifier, in any programme.
fn purchase_by_id_sql() -> String {
    format!("SELECT {} FROM purchase WHERE purchase_id = $1", names(PURCHASE.columns, ""))
}

/// The lookup statements of lists and explanations, each with values for planning it.
pub(in crate::store) fn lookup_statements() -> Vec<(&'static str, String, &'static [&'static str])>
{
    vec![
        ("links", walk_chain(), &["''", "''", "''", "0", "1"]),
        ("changed_since", changed_since(), &["''", "''", "''", "0"]),
        ("decisions_with", select_by_ids_sql(&DECISION, "decision_id", 1), &["''", "''"]),
        ("purchases_with", select_by_ids_sql(&PURCHASE, "purchase_id", 1), &["''", "''"]),
        ("decision_called", reports::decision_by_id_sql(), &["''"]),
        ("purchase_called", purchase_by_id_sql(), &["''"]),
        ("messages_about", reports::messages_about(), &["''", "''", "''", "''", "''"]),
    ]
}

fn read_link(row: &AnyRow) -> Result<ChainLink, StoreError> {
    let row = read_row(row, LINK.columns)?;
    let mut reader = RowReader::new(&LINK, &row);
    Ok(ChainLink {
        posting: reader.parsed()?,
        kind: reader.word(PostingKind::from_word)?,
        subject: reader.text()?.to_owned(),
        purchase: reader.optional(RowReader::parsed)?,
        posted_at: reader.instant()?,
    })
}

/// The maximum number of identifiers in one statement.
const IDS_MAX: usize = 200;
