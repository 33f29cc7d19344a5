//! The composition root: the gateway's process, its command line, its demonstration.

pub mod commands;
pub mod demo;
pub mod gateway;
