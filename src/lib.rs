//! Sayso: a prepaid-card budget gateway for spending that the person controls.

pub mod agreements;
pub mod app;
pub mod asks;
pub mod authorise;
pub mod cards;
pub mod clock;
pub mod commands;
pub mod committer;
pub mod config;
pub mod crash;
pub mod demo;
pub mod domain;
pub mod encryption;
pub mod helping;
pub mod http;
pub mod ids;
pub mod issuers;
pub mod ledger;
pub mod lifecycle;
pub mod members;
pub mod ops;
pub mod pots;
pub mod programme;
pub mod record;
pub mod rules;
pub mod store;
pub mod tokens;
pub mod upkeep;
pub mod wire;
pub mod words;

/// A batch makes thousands of small values on one thread and lets them go on another: the C
/// library's allocator spent a quarter of the gateway's time on them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
