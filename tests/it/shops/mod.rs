//! Shops by identity, regardless of their descriptors.

mod claims;
mod lists;
mod named;
mod oks;
mod printed;
mod two_kinds;
