//! SQL for two databases: connections, statements, batches of rows.

pub(super) mod batch;
pub(super) mod inquiry;
pub(super) mod plans;
pub(super) mod pools;
pub(super) mod statements;
pub(super) mod writing;
