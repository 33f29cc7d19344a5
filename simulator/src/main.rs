//! The command line around a play.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks here, and only here"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand, ValueEnum};
use simulator::{Clock, Outcome, Play};
use tokio::sync::mpsc;

/// Plays a card issuer against a running gateway, and checks every answer with its own books.
#[derive(Debug, Parser)]
#[command(name = "sayso-simulator", version)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Plays a day of stories against a gateway that has applied FILE and nothing else.
    Play(PlayArguments),
}

#[derive(Debug, Parser)]
struct PlayArguments {
    /// Where the gateway listens: scheme, host and port.
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// The programme file that the gateway has applied.
    #[arg(long, value_name = "FILE")]
    programme: PathBuf,
    /// The same seed plays the same day.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// The gateway's own command, for its balances [default: `sayso` beside this executable].
    #[arg(long, value_name = "PATH")]
    sayso: Option<PathBuf>,
    /// Passed on to it: the database of the gateway.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let What::Play(arguments) = Arguments::parse().command;
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sayso-simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: PlayArguments) -> anyhow::Result<ExitCode> {
    let PlayArguments { gateway, programme, seed, output, sayso, database } = arguments;
    match output {
        Output::Text => println!("seed {seed}"),
        Output::Json => eprintln!("seed {seed}"),
    }
    let programme = std::fs::read_to_string(&programme)
        .with_context(|| format!("cannot read {}", programme.display()))?;
    let (sender, mut steps) = mpsc::channel(64);
    let printer = tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            if output == Output::Text {
                println!("{step}");
            }
        }
    });
    let played = simulator::play(&Play { gateway, programme, seed }, Clock::Real, sender).await;
    printer.await?;
    let mut outcome = played?;
    compare_balances(&mut outcome, sayso, database.as_deref());
    let report = outcome.report();
    match output {
        Output::Text => print!("\n{}", report.to_text()),
        Output::Json => println!("{}", report.to_json()),
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare_balances(outcome: &mut Outcome, sayso: Option<PathBuf>, database: Option<&str>) {
    let compared = sayso
        .map_or_else(beside_us, Ok)
        .and_then(|sayso| balances(&sayso, database))
        .and_then(|json| outcome.compare_balances(&json));
    if let Err(error) = compared {
        outcome.balances_unknown(&format!("{error:#}"));
    }
}

fn beside_us() -> anyhow::Result<PathBuf> {
    let ours = std::env::current_exe().context("cannot find our own executable")?;
    Ok(ours.with_file_name(format!("sayso{}", std::env::consts::EXE_SUFFIX)))
}

fn balances(sayso: &Path, database: Option<&str>) -> anyhow::Result<String> {
    let mut command = Command::new(sayso);
    command.args(["balances", "--output", "json"]);
    if let Some(database) = database {
        command.args(["--database", database]);
    }
    let done = command.output().with_context(|| format!("cannot run {}", sayso.display()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{} balances failed: {}", sayso.display(), said.trim());
    }
    String::from_utf8(done.stdout).context("its balances are not text")
}
