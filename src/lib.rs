//! Sayso: a prepaid-card budget gateway for spending that the person controls.

pub mod app;
pub mod authorise;
pub mod cards;
pub mod clock;
pub mod commands;
pub mod committer;
pub mod config;
pub mod crash;
pub mod demo;
pub mod domain;
pub mod helping;
pub mod http;
pub mod ids;
pub mod issuers;
pub mod ledger;
pub mod lifecycle;
pub mod members;
pub mod ops;
pub mod programme;
pub mod record;
pub mod rules;
pub mod store;
pub mod tokens;
pub mod upkeep;
pub mod wire;
pub mod words;
