//! The domain: people, money, cards and the rules about them.
//!
//! No I/O, no clock, no serialisation. A value is validated when it is built, and
//! [`decision::decide::decide`] is a pure function over such values.

#![warn(clippy::arithmetic_side_effects)]

pub mod agreement;
pub mod ask;
pub mod card;
pub mod decision;
pub mod id;
pub mod money;
pub mod people;
pub mod pot;
pub mod purchase;
pub mod shop;
pub(crate) mod stored_enum;
pub mod time;
