//! Query plans of the hot path, to verify that its statements look rows up by index however many
//! people there are.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::store::card::cards;
use crate::store::people::inbox;
use crate::store::purchase::history;
use crate::store::sql::batch::arguments;
use crate::store::{Dialect, Store, StoreError, Tx};

/// The plan of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPlan {
    pub statement: &'static str,
    /// As the database prints them, with their indentation.
    pub steps: Vec<String>,
}

impl QueryPlan {
    /// The first step that scans instead of looking rows up by a key more selective than the
    /// programme; `None` if every step is a lookup.
    pub fn full_scan(&self, dialect: Dialect) -> Option<&str> {
        let next = self.steps.iter().skip(1).map(String::as_str).chain([""]);
        let mut steps = self.steps.iter().map(String::as_str).zip(next);
        let is_full_scan = match dialect {
            Dialect::Sqlite => |step: &str, _: &str| is_full_scan_sqlite(step),
            Dialect::Postgres => is_full_scan_postgres,
        };
        steps.find(|(step, next)| is_full_scan(step, next)).map(|(step, _)| step)
    }
}

fn is_full_scan_sqlite(step: &str) -> bool {
    let step = step.trim_start();
    let is_table = step.starts_with("SEARCH ") || step.starts_with("SCAN ");
    let is_by_key = step.contains("=? AND ");
    let is_of_programme = step.starts_with("SEARCH p ");
    let is_argument = step.starts_with("SCAN jsonb_each");
    // The common table expressions `q0`, `q1`… of a combined query.
    let is_cte = step.starts_with("SCAN q");
    // The recursive walk along a chain.
    let is_chain = ["SCAN link", "SCAN l"].contains(&step);
    let is_by_id = step.contains("_by_id (");
    let is_known = is_argument || is_cte || is_chain || is_by_id;
    is_table && !(is_by_key || is_of_programme || is_known)
}

/// An index scan without a condition reads the whole index, so it counts as a full scan.
fn is_full_scan_postgres(step: &str, next: &str) -> bool {
    let is_index = step.contains("Index Scan") || step.contains("Index Only Scan");
    let condition = next.trim_start().strip_prefix("Index Cond: ");
    let is_by_id = step.contains("_by_id ") && condition.is_some();
    let is_by_key = condition.is_some_and(|condition| condition.contains(" AND ")) || is_by_id;
    let is_of_programme = step.contains("programme_pkey") && condition.is_some();
    step.contains("Seq Scan")
        || step.contains("Bitmap")
        || (is_index && !is_by_key && !is_of_programme)
}

impl Store {
    /// The plans of all lookup statements of authorisations and issuer events, and of the queries
    /// over history and inboxes, on a writer connection with its planner settings.
    pub async fn plans(&self) -> Result<Vec<QueryPlan>, StoreError> {
        let mut tx = self.begin().await?;
        let mut plans = Vec::new();
        for (statement, sql, passed) in self.statements.lookup_statements() {
            // With empty arrays, because a connection caches a generic plan, which does not depend
            // on values.
            let arguments = passed.iter().map(|set| arguments(self.dialect, set)).sum();
            let empty = vec!["'{}'"; arguments];
            let steps = self.steps(&mut tx, sql, &empty).await?;
            plans.push(QueryPlan { statement, steps });
        }
        let others = history::lookup_statements().into_iter().chain(inbox::lookup_statements());
        for (statement, sql, values) in others.chain(cards::lookup_statements()) {
            let steps = self.steps(&mut tx, &sql, values).await?;
            plans.push(QueryPlan { statement, steps });
        }
        Ok(plans)
    }

    /// The plan of `sql`, with `values` as its arguments (PostgreSQL) or an empty JSON array for
    /// each of them (SQLite).
    async fn steps(
        &self,
        tx: &mut Tx,
        sql: &str,
        values: &[&str],
    ) -> Result<Vec<String>, StoreError> {
        match self.dialect {
            Dialect::Sqlite => {
                let mut query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
                for _ in values {
                    query = query.bind("[]");
                }
                let steps = query.fetch_all(tx.connection()).await?;
                Ok(steps.iter().map(|step| step.try_get("detail")).collect::<Result<_, _>>()?)
            }
            Dialect::Postgres => {
                let prepare = format!("PREPARE looking AS {sql}");
                tx.connection().execute(AssertSqlSafe(prepare)).await?;
                let explain = format!("EXPLAIN EXECUTE looking ({})", values.join(", "));
                let steps = tx.connection().fetch_all(AssertSqlSafe(explain)).await?;
                tx.connection().execute("DEALLOCATE looking").await?;
                Ok(steps.iter().map(|step| step.try_get(0)).collect::<Result<_, _>>()?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(steps: &[&str]) -> QueryPlan {
        let steps = steps.iter().map(|step| (*step).to_owned()).collect();
        QueryPlan { statement: "update_counters", steps }
    }

    /// The plan that PostgreSQL chose, and would have cached, for a table that was empty when it
    /// was analysed.
    #[test]
    fn an_index_that_is_read_from_end_to_end_is_a_walk() {
        let full_scan = plan(&[
            "Update on counter  (cost=0.14..8.48 rows=0 width=0)",
            "  ->  Nested Loop  (cost=0.14..8.48 rows=1 width=222)",
            "        Join Filter: ((counter.budget_id = r.budget_id) \
             AND (counter.scope = r.scope))",
            "        ->  Index Scan using counter_pkey on counter  (cost=0.12..8.14 rows=1)",
            "        ->  Function Scan on r  (cost=0.02..0.12 rows=10 width=376)",
        ]);
        assert!(
            full_scan
                .full_scan(Dialect::Postgres)
                .is_some_and(|step| step.contains("counter_pkey"))
        );
        let by_key = plan(&[
            "  ->  Index Scan using counter_pkey on counter  (cost=0.12..8.14 rows=1)",
            "        Index Cond: ((programme_id = r.programme_id) AND (scope = r.scope))",
        ]);
        assert_eq!(by_key.full_scan(Dialect::Postgres), None);
    }

    #[test]
    fn a_key_that_names_only_the_programme_is_a_walk() {
        let full_scan = plan(&["SEARCH pot USING PRIMARY KEY (programme_id=?)"]);
        assert!(full_scan.full_scan(Dialect::Sqlite).is_some());
        let by_key = plan(&["SEARCH pot USING PRIMARY KEY (programme_id=? AND budget_id=?)"]);
        assert_eq!(by_key.full_scan(Dialect::Sqlite), None);
    }
}
