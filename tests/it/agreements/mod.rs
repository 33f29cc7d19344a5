//! The life of an agreement, through the use cases, on both databases.

mod moves;
mod own;
mod village;
mod who;
