//! The rounds: every server in turn, each in a fresh process with a fresh database.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sayso::platform::clock::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::databases::{DatabaseKind, Databases};
use crate::load::{LoadResult, Pace, send};
use crate::machine::{CpuUsage, MeasuredProcesses};
use crate::pgbench::Pgbench;
use crate::request_factory::{CardSpread, RequestFactory};
use crate::serve::ServerVariant;

/// The measured servers, in the order of every round.
pub(crate) const SUBJECTS: [BenchSubject; 7] = [
    BenchSubject::new("ceiling", ServerVariant::Ceiling, None),
    BenchSubject::new("naive sqlite", ServerVariant::Naive, Some(DatabaseKind::Sqlite)),
    BenchSubject::new("sayso sqlite", ServerVariant::Product, Some(DatabaseKind::Sqlite)),
    BenchSubject::new("naive postgres", ServerVariant::Naive, Some(DatabaseKind::Postgres)),
    BenchSubject::new("sayso postgres", ServerVariant::Product, Some(DatabaseKind::Postgres)),
    BenchSubject::of_few("few sqlite", DatabaseKind::Sqlite),
    BenchSubject::of_few("few postgres", DatabaseKind::Postgres),
];

/// The request rate of the open loop, well below saturation.
const OPEN_PER_SECOND: u32 = 500;
/// More requests than any of our servers answers in a second. The ceiling instead gets
/// [`REPEATED`] requests again and again.
const MOST_PER_SECOND: u64 = 25_000;
const REPEATED: usize = 4096;

/// A measured server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BenchSubject {
    pub(crate) name: &'static str,
    pub(crate) variant: ServerVariant,
    pub(crate) kind: Option<DatabaseKind>,
    population_choice: PopulationChoice,
}

/// The population whose purchases a server decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PopulationChoice {
    /// The people requested on the command line.
    Requested,
    /// Fewer people without a history, for comparison.
    Few,
}

impl BenchSubject {
    const fn new(name: &'static str, variant: ServerVariant, kind: Option<DatabaseKind>) -> Self {
        Self { name, variant, kind, population_choice: PopulationChoice::Requested }
    }

    const fn of_few(name: &'static str, kind: DatabaseKind) -> Self {
        Self {
            name,
            variant: ServerVariant::Product,
            kind: Some(kind),
            population_choice: PopulationChoice::Few,
        }
    }

    /// The kinds of load that the server is measured with.
    fn modes(&self) -> &'static [LoadMode] {
        match self.population_choice {
            PopulationChoice::Requested => LoadMode::of(self.variant),
            PopulationChoice::Few => &[LoadMode::Spread256],
        }
    }
}

/// The measured populations.
#[derive(Debug)]
pub(crate) struct Populations {
    pub(crate) requested: Databases,
    pub(crate) few: Option<Databases>,
}

impl Populations {
    /// Drops what was created on the PostgreSQL server. Files are deleted with their folder.
    pub(crate) async fn remove(self) -> Result<()> {
        self.requested.remove().await?;
        if let Some(few) = self.few {
            few.remove().await?;
        }
        Ok(())
    }

    const fn of(&self, subject: &BenchSubject) -> Option<&Databases> {
        match subject.population_choice {
            PopulationChoice::Requested => Some(&self.requested),
            PopulationChoice::Few => self.few.as_ref(),
        }
    }
}

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoadMode {
    Spread64,
    Spread256,
    Hot256,
    Open,
}

impl LoadMode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Spread64 => "64 connections",
            Self::Spread256 => "256 connections",
            Self::Hot256 => "256, one budget",
            Self::Open => "500/s open loop",
        }
    }

    const fn connections(self) -> usize {
        match self {
            Self::Spread64 | Self::Open => 64,
            Self::Spread256 | Self::Hot256 => 256,
        }
    }

    fn of(variant: ServerVariant) -> &'static [Self] {
        match variant {
            ServerVariant::Ceiling => &[Self::Spread64, Self::Spread256, Self::Open],
            ServerVariant::Naive => &[Self::Spread64, Self::Spread256],
            ServerVariant::Product => &[Self::Spread64, Self::Spread256, Self::Hot256, Self::Open],
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunSettings {
    pub(crate) rounds: u32,
    /// Duration of each stretch of load.
    pub(crate) time: Duration,
    /// The number of committers, if it is not the product's default.
    pub(crate) committers: Option<usize>,
}

/// Which servers and loads are measured.
#[derive(Debug)]
pub(crate) struct RunFilter {
    /// Only the servers whose name contains this.
    pub(crate) subject: Option<String>,
    /// Only the kinds of load whose name contains this.
    pub(crate) load: Option<String>,
}

fn matches_filter(run_filter: Option<&String>, name: &str) -> bool {
    run_filter.is_none_or(|part| name.contains(part))
}

/// One stretch of load on one server.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) round: u32,
    pub(crate) subject: &'static str,
    pub(crate) mode: LoadMode,
    pub(crate) load_result: LoadResult,
    pub(crate) cpu_usage: CpuUsage,
    pub(crate) memory_kib: u64,
}

/// The results of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) measured: Vec<Measurement>,
    /// One result per round, if `pgbench` is installed.
    pub(crate) pgbench: Vec<Pgbench>,
}

/// Runs all rounds.
pub(crate) async fn run(
    populations: &Populations,
    settings: RunSettings,
    run_filter: &RunFilter,
) -> Result<Rounds> {
    let mut request_factory = RequestFactory::new()?;
    let mut rounds = Rounds::default();
    for round in 1..=settings.rounds {
        for subject in
            SUBJECTS.iter().filter(|s| matches_filter(run_filter.subject.as_ref(), s.name))
        {
            let Some(databases) = populations.of(subject) else { continue };
            eprintln_progress(round, settings.rounds, subject.name);
            let url = match subject.kind {
                Some(kind) => Some(databases.fresh_copy(kind).await?),
                None => None,
            };
            let server =
                ServerProcess::start(subject.variant, url.as_deref(), settings.committers).await?;
            let postmaster =
                databases.postmaster.filter(|_| subject.kind == Some(DatabaseKind::Postgres));
            let processes = MeasuredProcesses { server: server.id()?, postmaster };
            let people = databases.population.people;
            let mut bench = LoadedServer {
                subject,
                settings,
                people,
                round,
                processes,
                address: server.address,
            };
            bench.warm_up(&mut request_factory).await?;
            let modes = subject.modes().iter();
            for mode in modes.filter(|mode| matches_filter(run_filter.load.as_ref(), mode.name())) {
                rounds.measured.push(bench.measure(*mode, &mut request_factory).await?);
            }
            server.stop().await?;
        }
        if run_filter.subject.is_none() && run_filter.load.is_none() {
            eprintln_progress(round, settings.rounds, "pgbench");
            rounds.pgbench.extend(populations.requested.pgbench(settings.time).await?);
        }
    }
    Ok(rounds)
}

#[expect(clippy::print_stderr, reason = "the bench takes minutes and says where it is")]
fn eprintln_progress(round: u32, rounds: u32, name: &str) {
    eprintln!("round {round} of {rounds}: {name}");
}

/// A running server and its load.
struct LoadedServer<'a> {
    subject: &'a BenchSubject,
    settings: RunSettings,
    people: u32,
    round: u32,
    processes: MeasuredProcesses,
    address: SocketAddr,
}

impl LoadedServer<'_> {
    async fn warm_up(&mut self, request_factory: &mut RequestFactory) -> Result<()> {
        let time = self.settings.time.checked_div(3).unwrap_or_default();
        self.send(LoadMode::Spread64, time, request_factory).await?;
        Ok(())
    }

    async fn measure(
        &mut self,
        mode: LoadMode,
        request_factory: &mut RequestFactory,
    ) -> Result<Measurement> {
        let (load_result, cpu_usage) = self.send(mode, self.settings.time, request_factory).await?;
        Ok(Measurement {
            round: self.round,
            subject: self.subject.name,
            mode,
            load_result,
            cpu_usage,
            memory_kib: self.processes.memory_kib()?,
        })
    }

    async fn send(
        &mut self,
        mode: LoadMode,
        time: Duration,
        request_factory: &mut RequestFactory,
    ) -> Result<(LoadResult, CpuUsage)> {
        let spread =
            if mode == LoadMode::Hot256 { CardSpread::Hot } else { CardSpread::Over(self.people) };
        let pace = if mode == LoadMode::Open {
            Pace::Open { per_second: OPEN_PER_SECOND }
        } else {
            Pace::Closed
        };
        let repeats = self.subject.variant == ServerVariant::Ceiling;
        let count = if repeats { REPEATED } else { most(time)? };
        let requests = request_factory.make(count, spread, Clock::system().now());
        let before = self.processes.cpu_ticks()?;
        let load_result =
            send(self.address, requests, repeats, pace, mode.connections(), time).await?;
        Ok((load_result, self.processes.cpu_ticks()?.since(before)))
    }
}

fn most(time: Duration) -> Result<usize> {
    let millis = u64::try_from(time.as_millis())?;
    Ok(usize::try_from(MOST_PER_SECOND.saturating_mul(millis) / 1000)?)
}

/// A server's process. It ends when this value is dropped. If the benchmark is killed, it ends
/// because its stdin is closed.
#[derive(Debug)]
struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    async fn start(
        variant: ServerVariant,
        url: Option<&str>,
        committers: Option<usize>,
    ) -> Result<Self> {
        let variant =
            clap::ValueEnum::to_possible_value(&variant).context("a way without a name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", variant.get_name()]);
        if let Some(url) = url {
            command.args(["--database", url]);
        }
        if let Some(committers) = committers {
            command.args(["--committers", &committers.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let address = line.context("the server did not start")?.parse()?;
        Ok(Self { child, address })
    }

    fn id(&self) -> Result<u32> {
        self.child.id().context("the server has ended")
    }

    async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}
