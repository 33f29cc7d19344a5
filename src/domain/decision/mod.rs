//! The decision: what an issuer asks, what is known then, the answer and its reason.

pub mod authorisation;
pub mod decide;
pub mod reason;
pub mod reason_code;
