//! What one person bought, and what holds for them: read from the end of their chain backwards, so
//! that a page costs the same after a year.

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
    columns: columns![Key "posting_id", Text "kind", Text "subject", Text "purchase_id", Number "posted_at"],
};
static FIRST_LINK: Table = Table { name: "first_link", columns: columns![Key "posting_id"] };
static VERSION: Table = Table { name: "budget", columns: columns![Number "agreement_version"] };
static PERSON: Table = Table {
    name: "person",
    columns: columns![Key "person_id", Text "name", Text "worker_id", Text "state"],
};

/// A purchase by the issuer's own identifier.
pub type PurchaseReferenceKey = (ProgrammeId, ConnectionId, PurchaseReference);

/// Where walking begins: behind a link that was seen, or at the head of the chain.
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

/// A link of a budget's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    pub posting: PostingId,
    pub kind: PostingKind,
    /// What it books, by its own key.
    pub subject: String,
    /// The purchase that it changed, if it changed one.
    pub purchase: Option<PurchaseId>,
    pub posted_at: Timestamp,
}

impl ChainLink {
    /// The question that it answers; none of anything else.
    pub fn decision(&self) -> Option<DecisionId> {
        if self.kind == PostingKind::Decision { self.subject.parse().ok() } else { None }
    }
}

impl Tx {
    /// Links of a budget's chain, the newest first: those before `before`, if it is named.
    pub async fn links_before(
        &mut self,
        programme: &ProgrammeId,
        budget: &BudgetId,
        before: Option<PostingId>,
        most: u32,
    ) -> Result<Vec<ChainLink>, StoreError> {
        self.walk_chain(programme, budget, before, Timestamp::MIN, most).await
    }

    /// The links of a budget's chain back to `since`, of every kind, the newest first; and the one
    /// before, if there is one.
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

    /// Which of `postings` began a purchase from before purchases were named by their posting.
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

    /// The transfers of each of `postings`, in their order.
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

    /// Our answers to all questions about these purchases, whoever's they were; the oldest first.
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
        let mut answers = Vec::new();
        for row in &rows {
            let answer = read_decision(row)?;
            let name =
                (answer.programme.clone(), answer.connection.clone(), answer.purchase.clone());
            // A purchase may be called as another one's question.
            if purchases.contains(&name) {
                answers.push(answer);
            }
        }
        answers.sort_by_key(|answer| (answer.decided_at, answer.id));
        Ok(answers)
    }

    /// The purchases with the issuers' own identifiers, as far as they are known, with their holds.
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

    /// The texts of issuers' messages, as far as they are kept and not erased.
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

    /// The purchases that `id` names: by our identifier, or by the issuer's.
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

    /// The purchases of a budget that something was said about at `since` or later, without their
    /// holds' order: for summing them up.
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

    /// The purchases with these identifiers, with their holds.
    pub async fn purchases_by_id(
        &mut self,
        programme: &ProgrammeId,
        ids: &[PurchaseId],
    ) -> Result<Vec<Purchase>, StoreError> {
        let mut purchases = Vec::new();
        for part in ids.chunks(MAX_IDS) {
            let rows = self.rows_by_id(programme, &PURCHASE, "purchase_id", part).await?;
            for row in &rows {
                purchases.push(read_purchase(row)?);
            }
        }
        self.add_holds(programme, &mut purchases).await?;
        Ok(purchases)
    }

    /// The decisions with these identifiers.
    pub async fn decisions_by_id(
        &mut self,
        programme: &ProgrammeId,
        ids: &[DecisionId],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let mut decisions = Vec::new();
        for part in ids.chunks(MAX_IDS) {
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

    /// The version of a budget's agreement that is in force.
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

    /// People of a programme, in order, after `after`: those whose budgets are `whose`.
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

/// Links of a chain, the newest first.
fn walk_chain() -> String {
    format!(
        "{CHAIN_CTE} SELECT posting_id, kind, subject, purchase_id, posted_at FROM link LIMIT $5"
    )
}

/// The purchases that something was said about since an instant.
fn changed_since() -> String {
    format!(
        "{CHAIN_CTE} SELECT DISTINCT purchase_id FROM link \
         WHERE purchase_id IS NOT NULL AND posted_at >= $4"
    )
}

/// No index serves `programme_id || ''`: so that only the one by identifier can be taken.
fn select_by_ids_sql(table: &Table, column: &str, many: usize) -> String {
    let places: Vec<_> = (2..).take(many).map(|place| format!("${place}")).collect();
    format!(
        "SELECT {} FROM {} WHERE programme_id || '' = $1 AND {column} IN ({})",
        names(table.columns, ""),
        table.name,
        places.join(", ")
    )
}

/// By our identifier, in whichever programme.
fn purchase_by_id_sql() -> String {
    format!("SELECT {} FROM purchase WHERE purchase_id = $1", names(PURCHASE.columns, ""))
}

/// The statements of lists and explanations, each with values to plan it with.
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

/// The most identifiers of one statement.
const MAX_IDS: usize = 200;
