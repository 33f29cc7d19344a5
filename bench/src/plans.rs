//! The query plans of the hot statements with a large population.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use sayso::store::{PoolSizes, Store};

use crate::databases::{DatabaseKind, Databases};

/// The query plans of the hot statements on the populated databases, as text.
///
/// # Errors
///
/// If a statement would scan more rows than those of its keys.
pub(crate) async fn explain(databases: &Databases) -> Result<String> {
    let mut text = String::new();
    for kind in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let store = Store::connect(&databases.populated(kind), PoolSizes::default()).await?;
        for plan in store.plans().await? {
            let full_scan = plan.full_scan(store.dialect());
            ensure!(
                full_scan.is_none(),
                "{} would walk on {kind:?}: {full_scan:?}",
                plan.statement
            );
            let _ = writeln!(text, "{kind:?}, {}", plan.statement);
            for step in &plan.steps {
                let _ = writeln!(text, "    {step}");
            }
        }
        store.close().await;
    }
    Ok(text)
}
