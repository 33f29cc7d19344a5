//! What is logged, and how: lines for people on a terminal, JSON otherwise.

use std::io::{self, IsTerminal as _};
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use super::Failure;

/// Starts logging to stderr what `filter` lets through, such as `info` or `sayso=debug`.
pub(super) fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::new(format!("SAYSO_LOG cannot be understood: {error}")))?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let started =
        if io::stderr().is_terminal() { lines.try_init() } else { lines.json().try_init() };
    started.map_err(|error| Failure::new(format!("logging cannot be started: {error}")))?;
    // What a panic says may be about a person: only its place is told.
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "something here broke");
    }));
    Ok(())
}
