//! The `sayso` program: parses the command line, runs the command and returns its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sayso::app::commands::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await.into()
}
