//! Shops as people mean them, whatever their tills print.

mod lists;
mod named;
mod oks;
mod printed;
mod two_kinds;
