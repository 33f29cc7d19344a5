//! What is true about people, money and cards. Pure: no clock, no I/O, no serialisation.

pub mod merchant;
