//! Secrets at rest: sealed with a key that the database does not contain, in files of their user
//! only.

mod changes;
mod files;
mod older;
mod refused;
mod rows;
