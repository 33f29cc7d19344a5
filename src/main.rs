//! The program `sayso`: reads the command line, does what it says, ends with its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sayso::app::commands::{Cli, run};

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await.into()
}
