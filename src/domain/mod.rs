//! What is true about people, money and cards.
//!
//! No I/O, no clock, no serialisation: a value of the domain is right by construction, and
//! [`decide::decide`] is a pure function over such values.

#![warn(clippy::arithmetic_side_effects)]

pub mod agreement;
pub mod appeal;
pub mod ask;
pub mod ask_clock;
pub mod authorisation;
pub mod card;
pub mod change;
pub mod decide;
pub mod dispute;
pub mod excess;
pub mod finding;
pub mod history;
pub mod hold;
pub mod home;
pub mod id;
pub mod limit;
pub mod margin;
pub mod merchant;
pub mod money;
pub mod own_pot;
pub mod pause;
pub mod period;
pub mod permission;
pub mod person;
pub mod position;
pub mod pot;
pub mod presentment;
mod printed;
pub mod proposal;
pub mod purchase;
pub mod reason;
pub mod reason_code;
pub mod recipient;
pub mod release;
pub mod role;
pub mod safety;
pub mod shop;
pub mod shop_table;
pub mod signal;
pub mod stream;
pub mod working_time;
