//! The integration tests that need nothing but the pure rooms.

mod decide;
mod ledger;
mod values;
