//! Sayso: a prepaid-card budget gateway for spending that the person controls.

pub mod app;
pub mod card_path;
pub mod domain;
pub mod finance;
pub mod issuers;
pub mod ledger;
pub mod merchant_rules;
pub mod messages;
pub mod operations;
pub mod people;
pub mod platform;
pub mod programme;
pub mod store;
pub mod web;

/// jemalloc, because a batch allocates thousands of small values on one thread and frees them on
/// another. The C library's allocator spent a quarter of the gateway's time on them.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
