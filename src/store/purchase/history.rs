//! The history of one budget: purchases, decisions and postings. It is read backwards from the head
//! of the budget's chain, so that a page costs the same however long the chain is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{
    BudgetId, ConnectionId, DecisionId, IssuerReference, PersonId, PostingId, ProgrammeId,
    PurchaseId, PurchaseReference, WorkerId,
};
use crate::domain::people::role::BudgetFilter;
use crate::domain::purchase::Purchase;
use crate::ledger::posting::{JournalRow, PostingKind, Transfer};
use crate::ledger::record::column::ColumnValue;
use crate::ledger::record::decision::{DecisionRow, RecordedDecision};
use crate::ledger::record::event::IssuerEventRow;
use crate::ledger::record::purchase::{HoldRow, PurchaseRow};
use crate::ledger::record::row::{CorruptRow, text_value};
use crate::ledger::record::table::{Record, record};
use crate::store::purchase::books::reference_keys;
use crate::store::report::reports;
use crate::store::sql::batch::Rows;
use crate::store::sql::record::{Argument, select_sql};
use crate::store::{PersonSummary, ReferenceKey, StoreError, Tx};

record! {
    /// A link of a budget's chain: one posting.
    pub struct ChainLink in "posting" key(posting_id) {
        pub posting_id: PostingId,
        pub kind: PostingKind,
        /// The key of the record that it books.
        pub subject: String,
        /// The purchase that it changed, if any.
        pub purchase_id: Option<PurchaseId>,
        pub posted_at: Timestamp,
    }
}

record! {
    /// A posting that began a purchase with another identifier.
    struct FirstLink in "first_link" key(posting_id) {
        posting_id: PostingId,
    }
}

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
        self.fetch_all(walk_chain(), &[programme, budget, &before, &since, &most]).await
    }

    /// Those of `postings` that began a purchase whose identifier differs from that of its first
    /// posting. Only purchases from before migration 4 have such identifiers.
    pub async fn first_links(
        &mut self,
        programme: &ProgrammeId,
        postings: &[PostingId],
    ) -> Result<BTreeSet<PostingId>, StoreError> {
        let keys = id_keys(programme, postings);
        let statements = Arc::clone(&self.statements);
        let links = statements.first_links.fetch_records(self.connection(), &keys).await?;
        Ok(links.into_iter().map(|link: FirstLink| link.posting_id).collect())
    }

    /// The transfers of each of `postings`.
    pub async fn transfers_of(
        &mut self,
        programme: &ProgrammeId,
        postings: &[PostingId],
    ) -> Result<BTreeMap<PostingId, Vec<Transfer>>, StoreError> {
        let keys = id_keys(programme, postings);
        let statements = Arc::clone(&self.statements);
        let rows: Vec<JournalRow> =
            statements.transfers.fetch_records(self.connection(), &keys).await?;
        let mut found: BTreeMap<PostingId, Vec<_>> = BTreeMap::new();
        for row in rows {
            found.entry(row.posting_id).or_default().push(row.transfer()?);
        }
        Ok(found)
    }

    /// All decisions about `purchases`, of any budget, the oldest first.
    pub async fn decisions_of_purchases(
        &mut self,
        purchases: &[PurchaseReferenceKey],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let key = |(programme, connection, purchase): &PurchaseReferenceKey| {
            let (first, end) = purchase.request_range();
            vec![text_value(programme), text_value(connection), first.into(), end.into()]
        };
        let keys: Vec<_> = purchases.iter().map(key).collect();
        let statements = Arc::clone(&self.statements);
        let rows: Vec<DecisionRow> =
            statements.decisions_of_purchases.fetch_records(self.connection(), &keys).await?;
        let mut decisions = Vec::new();
        for row in rows {
            let decision = row.decision()?;
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
        let keys = reference_keys(names);
        let statements = Arc::clone(&self.statements);
        let rows = statements.purchases.fetch_records(self.connection(), &keys).await?;
        let mut purchases = purchases_of(rows)?;
        self.add_holds(programme, &mut purchases).await?;
        Ok(purchases)
    }

    /// The texts of those issuer events of `keys` that exist and are not erased.
    pub async fn event_texts(
        &mut self,
        keys: &[(ProgrammeId, ConnectionId, IssuerReference)],
    ) -> Result<BTreeMap<ReferenceKey, String>, StoreError> {
        let keys = reference_keys(keys);
        let statements = Arc::clone(&self.statements);
        let events = statements.events.fetch_records(self.connection(), &keys).await?;
        let text = |event: IssuerEventRow| {
            let reference = event.reference.to_string();
            Some(((event.programme_id, event.connection_id, reference), event.body.0?))
        };
        Ok(events.into_iter().filter_map(text).collect())
    }

    /// The purchases found by `id`, which is our identifier or the issuer's, with their holds.
    pub async fn find_purchases(
        &mut self,
        id: &str,
    ) -> Result<Vec<(ProgrammeId, Purchase)>, StoreError> {
        let mut rows: Vec<PurchaseRow> = self.fetch_all(PURCHASE_BY_ID, &[&id]).await?;
        if let Ok(reference) = id.parse::<PurchaseReference>() {
            let keys: Vec<_> = self.connections().await?;
            let key = |(programme, connection)| (programme, connection, &reference);
            let keys = reference_keys(&keys.into_iter().map(key).collect::<Vec<_>>());
            let statements = Arc::clone(&self.statements);
            rows.extend(statements.purchases.fetch_records(self.connection(), &keys).await?);
        }
        let mut found = Vec::new();
        for row in rows {
            let programme = row.programme_id.clone();
            let mut purchase = [row.purchase()?];
            self.add_holds(&programme, &mut purchase).await?;
            let [purchase] = purchase;
            found.push((programme, purchase));
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
        let head = None::<PostingId>;
        let ids = self.fetch_scalars(changed_since(), &[programme, budget, &head, &since]).await?;
        self.purchases_by_id(programme, &ids).await
    }

    /// Those of the purchases `ids` that exist, with their holds, in no particular order.
    pub async fn purchases_by_id(
        &mut self,
        programme: &ProgrammeId,
        ids: &[PurchaseId],
    ) -> Result<Vec<Purchase>, StoreError> {
        let rows = self.records_by_id(programme, "purchase_id", ids).await?;
        let mut purchases = purchases_of(rows)?;
        self.add_holds(programme, &mut purchases).await?;
        Ok(purchases)
    }

    /// Those of the decisions `ids` that exist, in no particular order.
    pub async fn decisions_by_id(
        &mut self,
        programme: &ProgrammeId,
        ids: &[DecisionId],
    ) -> Result<Vec<RecordedDecision>, StoreError> {
        let rows = self.records_by_id(programme, "decision_id", ids).await?;
        Ok(rows.into_iter().map(DecisionRow::decision).collect::<Result<_, _>>()?)
    }

    /// The rows of a programme with one of `ids` in `column`.
    async fn records_by_id<R: Record, I: ColumnValue + Sync>(
        &mut self,
        programme: &ProgrammeId,
        column: &str,
        ids: &[I],
    ) -> Result<Vec<R>, StoreError> {
        let mut records = Vec::new();
        for part in ids.chunks(IDS_MAX) {
            let mut arguments: Vec<&dyn Argument> = vec![programme];
            for id in part {
                arguments.push(id);
            }
            records.extend(self.fetch_all(by_ids(column, part.len()), &arguments).await?);
        }
        Ok(records)
    }

    async fn add_holds(
        &mut self,
        programme: &ProgrammeId,
        purchases: &mut [Purchase],
    ) -> Result<(), StoreError> {
        let ids: Vec<_> = purchases.iter().map(|purchase| purchase.id).collect();
        let keys = id_keys(programme, &ids);
        let statements = Arc::clone(&self.statements);
        let mut holds: BTreeMap<PurchaseId, Vec<_>> = BTreeMap::new();
        let rows: Vec<HoldRow> = statements.holds.fetch_records(self.connection(), &keys).await?;
        for hold in rows {
            holds.entry(hold.purchase_id).or_default().push(hold.into());
        }
        for purchase in purchases {
            purchase.holds = holds.remove(&purchase.id).unwrap_or_default();
        }
        Ok(())
    }

    /// Up to `most` people of a programme whose budgets match the filter `whose`, in order, after
    /// the person `after`.
    pub async fn people_after(
        &mut self,
        programme: &ProgrammeId,
        whose: &BudgetFilter,
        after: Option<&PersonId>,
        most: u32,
    ) -> Result<Vec<PersonSummary>, StoreError> {
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
            "WHERE programme_id = $1 AND person_id > $2{condition} ORDER BY person_id LIMIT $3"
        );
        let after = after.map(ToString::to_string).unwrap_or_default();
        let mut arguments: Vec<&dyn Argument> = vec![programme, &after, &most];
        for name in &names {
            arguments.push(name);
        }
        self.fetch_all(sql, &arguments).await
    }
}

/// Selects links of a chain, the newest first.
fn walk_chain() -> String {
    format!("{CHAIN_CTE} SELECT {{columns}} FROM link LIMIT $5")
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
fn by_ids(column: &str, many: usize) -> String {
    let places: Vec<_> = (2..).take(many).map(|place| format!("${place}")).collect();
    format!("WHERE programme_id || '' = $1 AND {column} IN ({})", places.join(", "))
}

/// Selects a purchase by our identifier, in any programme.
const PURCHASE_BY_ID: &str = "WHERE purchase_id = $1";

/// The lookup statements of lists and explanations, each with values for planning it.
pub(in crate::store) fn lookup_statements() -> Vec<(&'static str, String, &'static [&'static str])>
{
    let (decisions, purchases) = (DecisionRow::TABLE, PurchaseRow::TABLE);
    vec![
        ("links", select_sql(ChainLink::TABLE, &walk_chain()), &["''", "''", "''", "0", "1"]),
        ("changed_since", changed_since(), &["''", "''", "''", "0"]),
        ("decisions_with", select_sql(decisions, &by_ids("decision_id", 1)), &["''", "''"]),
        ("purchases_with", select_sql(purchases, &by_ids("purchase_id", 1)), &["''", "''"]),
        ("decision_called", reports::decision_by_id_sql(), &["''"]),
        ("purchase_called", select_sql(purchases, PURCHASE_BY_ID), &["''"]),
        ("messages_about", reports::messages_about(), &["''", "''", "''", "''", "''"]),
    ]
}

/// The purchases of `rows`, without their holds.
pub(in crate::store) fn purchases_of(rows: Vec<PurchaseRow>) -> Result<Vec<Purchase>, CorruptRow> {
    rows.into_iter().map(PurchaseRow::purchase).collect()
}

/// The keys of the rows `ids` of a programme.
fn id_keys<I: std::fmt::Display>(programme: &ProgrammeId, ids: &[I]) -> Rows {
    ids.iter().map(|id| vec![text_value(programme), text_value(id)]).collect()
}

/// The maximum number of identifiers in one statement.
const IDS_MAX: usize = 200;
