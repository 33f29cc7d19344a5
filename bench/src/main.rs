//! The benchmark: compares the gateway with a handler without a database, and with one transaction
//! per authorisation request, in one run on one machine. `tests/bench` starts it.

#![expect(clippy::float_arithmetic, reason = "statistics; no money is counted here")]

mod databases;
mod load;
mod machine;
mod pgbench;
mod plans;
mod population;
mod report;
mod request_factory;
mod rounds;
mod serve;

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};

use databases::Databases;
use population::Population;
use report::BenchReport;
use rounds::{Populations, RunFilter, RunSettings};
use serve::ServerVariant;

/// Measures Sayso against a handler without a database, and against one transaction per
/// authorisation request.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Shorter stretches and fewer people: shows that everything works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// How many people the programme has [default: 10000, with --quick 2000].
    #[arg(long)]
    people: Option<u32>,
    /// Number of postings in the history of all people together.
    #[arg(long, default_value_t = 0)]
    postings: u32,
    /// Also measures this many people without a history, in alternation, and compares.
    #[arg(long)]
    beside: Option<u32>,
    /// Prints the query plans of the hot statements, and fails if one scans more than its rows.
    #[arg(long)]
    explain: bool,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long each stretch of load lasts [default: 3, with --quick 0.7].
    #[arg(long)]
    seconds: Option<f64>,
    /// Only the servers whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Only the kinds of load whose name contains this.
    #[arg(long)]
    load: Option<String>,
    /// Number of committers on PostgreSQL [default: the product's own].
    #[arg(long)]
    committers: Option<usize>,
    #[arg(long, default_value = "text")]
    output: Output,
    /// URL of the PostgreSQL server on which databases are created.
    #[arg(long, env = "TEST_POSTGRES_URL", hide_env_values = true)]
    postgres: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one of the measured servers.
    #[command(hide = true)]
    Serve {
        way: ServerVariant,
        #[arg(long)]
        database: Option<String>,
        #[arg(long)]
        committers: Option<usize>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Serve { way, database, committers }) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve::serve(*way, database.as_deref(), *committers))
        }
        None => {
            // One thread, because the load shares the machine with the server.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(bench(&arguments))
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
async fn bench(arguments: &Arguments) -> Result<()> {
    let people = arguments.people.unwrap_or(if arguments.quick { 2_000 } else { 10_000 }).max(1);
    let seconds = arguments.seconds.unwrap_or(if arguments.quick { 0.7 } else { 3.0 });
    let time = Duration::try_from_secs_f64(seconds)?;
    let committers = arguments.committers;
    let settings = RunSettings { rounds: arguments.rounds.max(1), time, committers };
    let server = arguments.postgres.as_deref().context("no PostgreSQL server is named")?;
    let population = Population { people, postings: arguments.postings };
    let only = RunFilter { subject: arguments.only.clone(), load: arguments.load.clone() };
    let requested = Databases::new("bench", server, population).await?;
    let few = match arguments.beside {
        Some(people) => {
            let few = Population { people: people.max(1), postings: 0 };
            Some(Databases::new("bench_few", server, few).await?)
        }
        None => None,
    };
    let plans =
        if arguments.explain { plans::explain(&requested).await } else { Ok(String::new()) };
    let populations = Populations { requested, few };
    let seen = rounds::run(&populations, settings, &only).await;
    populations.remove().await?;
    if matches!(arguments.output, Output::Text) {
        print!("{}", plans?);
    }
    let report = BenchReport::new(population, &seen?);
    match arguments.output {
        Output::Text => print!("{}", report.table()),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(())
}
