//! The composition root: the gateway's process, its command line and its demo.

pub mod commands;
pub mod demo;
pub mod gateway;
