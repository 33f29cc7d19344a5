//! The command line of the simulator.
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
use clap::{Args, Parser, Subcommand, ValueEnum};
use simulator::{
    ClockMode, PlayConfig, SignIn, SimulationReport,
    programme::Programme,
    recorded::{self, Format},
    storm::{RecordedFile, StormConfig},
};
use tokio::sync::mpsc;

/// Plays a card issuer against a running gateway, and checks every answer with its own books.
#[derive(Debug, Parser)]
#[command(name = "sayso-simulator", version)]
struct Arguments {
    #[command(subcommand)]
    command: SimulatorCommand,
}

#[derive(Debug, Subcommand)]
enum SimulatorCommand {
    /// Plays a day of stories against a gateway that has applied FILE and nothing else.
    Play(TargetArguments),
    /// Sends many people's purchases at once, with everything that goes wrong on the way.
    Storm(StormArguments),
    /// Prints a programme of many people, to be applied before a storm.
    Population(PopulationArguments),
}

/// The gateway, the programme and the seed of a run.
#[derive(Debug, Clone, Args)]
struct TargetArguments {
    /// Where the gateway listens: scheme, host and port.
    #[arg(long, value_name = "URL")]
    gateway: String,
    /// The programme file that the gateway has applied.
    #[arg(long, value_name = "FILE")]
    programme: PathBuf,
    /// Seed of the plan: the same seed plans the same messages.
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

#[derive(Debug, Args)]
struct StormArguments {
    #[command(flatten)]
    target: TargetArguments,
    /// How many purchases to plan.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    purchases: usize,
    /// How many messages may be in flight at once.
    #[arg(long, default_value_t = 32, value_name = "N")]
    connections: usize,
    /// How many purchases begin each second [default: as many as the connections carry].
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Purchases of the programme's own past, .csv or .jsonl, instead of planned ones.
    #[arg(long, value_name = "FILE", conflicts_with = "purchases")]
    recorded: Option<PathBuf>,
    /// Leave out rows of that file that cannot be read, instead of stopping.
    #[arg(long, requires = "recorded")]
    skip_bad: bool,
    /// Expect the gateway to be down for a while: unanswered requests are no broken expectation,
    /// and events are sent until they are stored.
    #[arg(long)]
    outages: bool,
}

#[derive(Debug, Args)]
struct PopulationArguments {
    #[arg(long, default_value_t = 1000, value_name = "N")]
    people: usize,
    /// A programme file, whose people are copied in turn [default: one made for storms].
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// How many times the money of the template each person has.
    #[arg(long, default_value_t = 1, value_name = "N")]
    fill: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        SimulatorCommand::Play(target) => play(target).await,
        SimulatorCommand::Storm(arguments) => storm(arguments).await,
        SimulatorCommand::Population(arguments) => population(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sayso-simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(target: TargetArguments) -> anyhow::Result<ExitCode> {
    target.print_seed();
    target.print_unmodelled_fields()?;
    let programme = target.programme()?;
    let output = target.output;
    let (sender, mut steps) = mpsc::channel(64);
    let printer = tokio::spawn(async move {
        while let Some(step) = steps.recv().await {
            if output == Output::Text {
                println!("{step}");
            }
        }
    });
    let sign_in = Some(target.sign_in(&programme)?);
    let play =
        PlayConfig { gateway: target.gateway.clone(), programme, seed: target.seed, sign_in };
    let played = simulator::play(&play, ClockMode::Real, sender).await;
    printer.await?;
    let mut outcome = played?;
    let compared = target.balances().and_then(|json| outcome.compare_balances(&json));
    if let Err(error) = compared {
        outcome.balances_unknown(&format!("{error:#}"));
    }
    Ok(target.print(outcome.report()))
}

async fn storm(arguments: StormArguments) -> anyhow::Result<ExitCode> {
    let StormArguments { target, purchases, connections, rate, recorded, skip_bad, outages } =
        arguments;
    target.print_seed();
    target.print_unmodelled_fields()?;
    let recorded = recorded.map(|file| read_recorded_file(&file, skip_bad)).transpose()?;
    let storm = StormConfig {
        gateway: target.gateway.clone(),
        programme: target.programme()?,
        seed: target.seed,
        purchases,
        connections,
        rate,
        recorded,
        allows_outages: outages,
    };
    let mut outcome = simulator::storm::storm(&storm, ClockMode::Real).await?;
    let compared = target.balances().and_then(|json| outcome.compare_balances(&json));
    if let Err(error) = compared {
        outcome.balances_unknown(&format!("{error:#}"));
    }
    Ok(target.print(outcome.report()))
}

fn read_recorded_file(file: &Path, skips_bad: bool) -> anyhow::Result<RecordedFile> {
    let format = match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Format::Csv,
        Some("jsonl") => Format::JsonLines,
        _ => bail!("{} is neither .csv nor .jsonl", file.display()),
    };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = recorded::text(&bytes).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(RecordedFile { text, format, skips_bad })
}

fn population(arguments: &PopulationArguments) -> anyhow::Result<ExitCode> {
    let template = match &arguments.template {
        Some(file) => read(file)?,
        None => simulator::population::TEMPLATE.to_owned(),
    };
    let PopulationArguments { people, fill, template: _ } = *arguments;
    print!("{}", simulator::population::populate(&template, people, fill)?);
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

impl TargetArguments {
    fn print_seed(&self) {
        match self.output {
            Output::Text => println!("seed {}", self.seed),
            Output::Json => eprintln!("seed {}", self.seed),
        }
    }

    /// Prints the fields of the programme file that the books do not model, before anything is
    /// sent.
    fn print_unmodelled_fields(&self) -> anyhow::Result<()> {
        for note in Programme::read(&self.programme()?)?.notes {
            eprintln!("{note}");
        }
        Ok(())
    }

    fn programme(&self) -> anyhow::Result<String> {
        read(&self.programme)
    }

    /// The balances that the gateway prints.
    fn balances(&self) -> anyhow::Result<String> {
        self.run_sayso(&["balances", "--output", "json"])
    }

    /// Signs people in with tokens that the `sayso` command issues.
    fn sign_in(&self, programme: &str) -> anyhow::Result<SignIn> {
        let programme = Programme::read(programme)?.id;
        let target = self.clone();
        Ok(SignIn::new(move |member| {
            let arguments = ["token", "--programme", &programme, "--member", &member];
            let token = target.run_sayso(&arguments).map(|token| token.trim().to_owned());
            Box::pin(std::future::ready(token))
        }))
    }

    /// Runs the `sayso` command and returns its standard output.
    fn run_sayso(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let sayso = self.sayso.clone().map_or_else(default_sayso_path, Ok)?;
        let mut command = Command::new(&sayso);
        command.args(arguments);
        if let Some(database) = &self.database {
            command.args(["--database", database]);
        }
        let done = command.output().with_context(|| format!("cannot run {}", sayso.display()))?;
        let what = arguments.first().copied().unwrap_or_default();
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            bail!("{} {what} failed: {}", sayso.display(), said.trim());
        }
        String::from_utf8(done.stdout).with_context(|| format!("{what} printed no text"))
    }

    fn print(&self, report: &SimulationReport) -> ExitCode {
        match self.output {
            Output::Text => print!("\n{}", report.to_text()),
            Output::Json => println!("{}", report.to_json()),
        }
        if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn default_sayso_path() -> anyhow::Result<PathBuf> {
    let ours = std::env::current_exe().context("cannot find our own executable")?;
    Ok(ours.with_file_name(format!("sayso{}", std::env::consts::EXE_SUFFIX)))
}
