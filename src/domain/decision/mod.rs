//! The decision on an authorisation request: its inputs, its rules and its reasons.

pub mod authorisation;
pub mod decide;
pub mod largest_payment;
pub mod reason;
pub mod reason_code;
