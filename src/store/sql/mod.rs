//! SQL for two databases: connections, statements, batches of rows.

pub(super) mod batch;
pub(super) mod combined_query;
pub(super) mod combined_writes;
pub(super) mod migrations;
pub(super) mod pools;
pub(super) mod query_plans;
pub(super) mod record;
pub(super) mod statements;
