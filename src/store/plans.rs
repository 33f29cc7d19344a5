//! How the database would run the statements of the hot path: for those who want to see that a
//! decision looks rows up by their keys, however many people there are.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::{Dialect, Store, StoreError};

/// The plan of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub statement: &'static str,
    /// As the database words them, indentation and all.
    pub steps: Vec<String>,
}

impl Plan {
    /// The first step that does not look up rows by a key that says more than the programme; none
    /// if all do.
    pub fn walk(&self, dialect: Dialect) -> Option<&str> {
        let is_walk = match dialect {
            Dialect::Sqlite => |step: &str| {
                let step = step.trim_start();
                let is_by_key = step.contains("=? AND ");
                let is_of_programme = step.starts_with("SEARCH p ");
                let is_argument = step.starts_with("SCAN jsonb_each");
                let is_answer = step.starts_with("SCAN q");
                let is_table = step.starts_with("SEARCH ") || step.starts_with("SCAN ");
                is_table && !(is_by_key || is_of_programme || is_argument || is_answer)
            },
            Dialect::Postgres => |step: &str| {
                let is_by_key = |condition: &str| condition.contains(" AND ");
                let condition = step.trim_start().strip_prefix("Index Cond: ");
                // The programme's own row, and nothing else, is found by its programme.
                let is_of_programme = step.contains("(p.programme_id =")
                    || step.contains("(programme_id = b.programme_id)");
                step.contains("Seq Scan")
                    || condition.is_some_and(|c| !is_by_key(c) && !is_of_programme)
            },
        };
        self.steps.iter().map(String::as_str).find(|step| is_walk(step))
    }
}

impl Store {
    /// The plans of the statements that look rows up in the path of a decision or an event, as a
    /// connection that decides would have them.
    pub async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        let mut tx = self.begin().await?;
        let mut plans = Vec::new();
        for (statement, sql, passed) in self.statements.looking() {
            let steps = match self.dialect {
                Dialect::Sqlite => {
                    let mut query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
                    for _ in passed {
                        query = query.bind("[]");
                    }
                    let steps = query.fetch_all(tx.connection()).await?;
                    steps.iter().map(|step| step.try_get("detail")).collect::<Result<_, _>>()?
                }
                Dialect::Postgres => {
                    // What a connection keeps is a plan without values: so it is asked for one.
                    let prepare = format!("PREPARE looking AS {sql}");
                    tx.connection().execute(AssertSqlSafe(prepare)).await?;
                    let arguments: Vec<_> = passed.iter().flat_map(|set| set.iter()).collect();
                    let nothing = vec!["'{}'"; arguments.len()].join(", ");
                    let explain = format!("EXPLAIN EXECUTE looking ({nothing})");
                    let steps = tx.connection().fetch_all(AssertSqlSafe(explain)).await?;
                    tx.connection().execute("DEALLOCATE looking").await?;
                    steps.iter().map(|step| step.try_get(0)).collect::<Result<_, _>>()?
                }
            };
            plans.push(Plan { statement, steps });
        }
        Ok(plans)
    }
}
