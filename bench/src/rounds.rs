//! The rounds: every server in turn, each in a fresh process on a fresh database.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sayso::platform::clock::Clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::databases::{Databases, Kind};
use crate::load::{Pace, Seen, send};
use crate::machine::{Ours, Stretch};
use crate::pgbench::Pgbench;
use crate::questions::{Questions, Spread};
use crate::serve::Way;

/// What is run, in this order in every round.
pub(crate) const SUBJECTS: [Subject; 7] = [
    Subject::new("ceiling", Way::Ceiling, None),
    Subject::new("naive sqlite", Way::Naive, Some(Kind::Sqlite)),
    Subject::new("sayso sqlite", Way::Product, Some(Kind::Sqlite)),
    Subject::new("naive postgres", Way::Naive, Some(Kind::Postgres)),
    Subject::new("sayso postgres", Way::Product, Some(Kind::Postgres)),
    Subject::of_few("few sqlite", Kind::Sqlite),
    Subject::of_few("few postgres", Kind::Postgres),
];

/// The open loop's rate, well below the knee.
const OPEN_PER_SECOND: u32 = 500;
/// More requests than any of our servers can answer in a second; the ceiling gets the same ones
/// again and again.
const MOST_PER_SECOND: u64 = 25_000;
const REPEATED: usize = 4096;

/// A server that is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) kind: Option<Kind>,
    town: Town,
}

/// For whom a server decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Town {
    /// The people that the bench was asked for.
    Asked,
    /// Fewer people without a past, to compare with.
    Few,
}

impl Subject {
    const fn new(name: &'static str, way: Way, kind: Option<Kind>) -> Self {
        Self { name, way, kind, town: Town::Asked }
    }

    const fn of_few(name: &'static str, kind: Kind) -> Self {
        Self { name, way: Way::Product, kind: Some(kind), town: Town::Few }
    }

    /// The kinds of load that it gets.
    fn modes(&self) -> &'static [Mode] {
        match self.town {
            Town::Asked => Mode::of(self.way),
            Town::Few => &[Mode::Spread256],
        }
    }
}

/// The populations that are measured.
#[derive(Debug)]
pub(crate) struct Towns {
    pub(crate) asked: Databases,
    pub(crate) few: Option<Databases>,
}

impl Towns {
    /// Removes what was made on the PostgreSQL server; files go by themselves.
    pub(crate) async fn remove(self) -> Result<()> {
        self.asked.remove().await?;
        if let Some(few) = self.few {
            few.remove().await?;
        }
        Ok(())
    }

    const fn of(&self, subject: &Subject) -> Option<&Databases> {
        match subject.town {
            Town::Asked => Some(&self.asked),
            Town::Few => self.few.as_ref(),
        }
    }
}

/// How a server is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Spread64,
    Spread256,
    Hot256,
    Open,
}

impl Mode {
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

    fn of(way: Way) -> &'static [Self] {
        match way {
            Way::Ceiling => &[Self::Spread64, Self::Spread256, Self::Open],
            Way::Naive => &[Self::Spread64, Self::Spread256],
            Way::Product => &[Self::Spread64, Self::Spread256, Self::Hot256, Self::Open],
        }
    }
}

/// How much is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: u32,
    /// How long each stretch of load lasts.
    pub(crate) time: Duration,
    /// Other than the product's default.
    pub(crate) committers: Option<usize>,
}

/// What is left out.
#[derive(Debug)]
pub(crate) struct Only {
    /// Only the servers whose name contains this.
    pub(crate) subject: Option<String>,
    /// Only the kinds of load whose name contains this.
    pub(crate) load: Option<String>,
}

fn names(only: Option<&String>, name: &str) -> bool {
    only.is_none_or(|part| name.contains(part))
}

/// One stretch of load on one server.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) round: u32,
    pub(crate) subject: &'static str,
    pub(crate) mode: Mode,
    pub(crate) seen: Seen,
    pub(crate) stretch: Stretch,
    pub(crate) memory_kib: u64,
}

/// What all rounds saw.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) measured: Vec<Measured>,
    /// One for each round, where `pgbench` is installed.
    pub(crate) pgbench: Vec<Pgbench>,
}

/// Runs all rounds.
pub(crate) async fn run(towns: &Towns, extent: Extent, only: &Only) -> Result<Rounds> {
    let mut questions = Questions::new()?;
    let mut rounds = Rounds::default();
    for round in 1..=extent.rounds {
        for subject in SUBJECTS.iter().filter(|s| names(only.subject.as_ref(), s.name)) {
            let Some(databases) = towns.of(subject) else { continue };
            eprintln_progress(round, extent.rounds, subject.name);
            let url = match subject.kind {
                Some(kind) => Some(databases.fresh(kind).await?),
                None => None,
            };
            let server = Server::start(subject.way, url.as_deref(), extent.committers).await?;
            let postmaster = databases.postmaster.filter(|_| subject.kind == Some(Kind::Postgres));
            let ours = Ours { server: server.id()?, postmaster };
            let people = databases.population.people;
            let mut bench = Bench { subject, extent, people, round, ours, address: server.address };
            bench.warm_up(&mut questions).await?;
            let modes = subject.modes().iter();
            for mode in modes.filter(|mode| names(only.load.as_ref(), mode.name())) {
                rounds.measured.push(bench.measure(*mode, &mut questions).await?);
            }
            server.stop().await?;
        }
        if only.subject.is_none() && only.load.is_none() {
            eprintln_progress(round, extent.rounds, "pgbench");
            rounds.pgbench.extend(towns.asked.pgbench(extent.time).await?);
        }
    }
    Ok(rounds)
}

#[expect(clippy::print_stderr, reason = "the bench takes minutes and says where it is")]
fn eprintln_progress(round: u32, rounds: u32, name: &str) {
    eprintln!("round {round} of {rounds}: {name}");
}

/// One server under load.
struct Bench<'a> {
    subject: &'a Subject,
    extent: Extent,
    people: u32,
    round: u32,
    ours: Ours,
    address: SocketAddr,
}

impl Bench<'_> {
    async fn warm_up(&mut self, questions: &mut Questions) -> Result<()> {
        let time = self.extent.time.checked_div(3).unwrap_or_default();
        self.send(Mode::Spread64, time, questions).await?;
        Ok(())
    }

    async fn measure(&mut self, mode: Mode, questions: &mut Questions) -> Result<Measured> {
        let (seen, stretch) = self.send(mode, self.extent.time, questions).await?;
        Ok(Measured {
            round: self.round,
            subject: self.subject.name,
            mode,
            seen,
            stretch,
            memory_kib: self.ours.memory_kib()?,
        })
    }

    async fn send(
        &mut self,
        mode: Mode,
        time: Duration,
        questions: &mut Questions,
    ) -> Result<(Seen, Stretch)> {
        let spread = if mode == Mode::Hot256 { Spread::Hot } else { Spread::Over(self.people) };
        let pace = if mode == Mode::Open {
            Pace::Open { per_second: OPEN_PER_SECOND }
        } else {
            Pace::Closed
        };
        let repeats = self.subject.way == Way::Ceiling;
        let count = if repeats { REPEATED } else { most(time)? };
        let requests = questions.make(count, spread, Clock::system().now());
        let before = self.ours.used()?;
        let seen = send(self.address, requests, repeats, pace, mode.connections(), time).await?;
        Ok((seen, self.ours.used()?.since(before)))
    }
}

fn most(time: Duration) -> Result<usize> {
    let millis = u64::try_from(time.as_millis())?;
    Ok(usize::try_from(MOST_PER_SECOND.saturating_mul(millis) / 1000)?)
}

/// A server's process. It ends when this value goes, and also when this whole process is killed:
/// its input ends then.
#[derive(Debug)]
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    async fn start(way: Way, url: Option<&str>, committers: Option<usize>) -> Result<Self> {
        let way = clap::ValueEnum::to_possible_value(&way).context("a way without a name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", way.get_name()]);
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
