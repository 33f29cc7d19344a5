//! How the databases look rows up among so many people.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use sayso::store::{Connections, Store};

use crate::databases::{Databases, Kind};

/// The plans of the hot statements on the populated databases, for people.
///
/// # Errors
///
/// When one of them would walk through more than the rows of its keys.
pub(crate) async fn explain(databases: &Databases) -> Result<String> {
    let mut text = String::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let store = Store::connect(&databases.populated(kind), Connections::default()).await?;
        for plan in store.plans().await? {
            let walk = plan.walk(store.dialect());
            ensure!(walk.is_none(), "{} would walk on {kind:?}: {walk:?}", plan.statement);
            let _ = writeln!(text, "{kind:?}, {}", plan.statement);
            for step in &plan.steps {
                let _ = writeln!(text, "    {step}");
            }
        }
        store.close().await;
    }
    Ok(text)
}
