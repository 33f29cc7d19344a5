//! Sayso: a prepaid-card budget gateway for spending that the person controls.

pub mod domain;
pub mod programme;
