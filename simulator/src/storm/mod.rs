//! A storm: purchases of many people at once over a faulty transport, with books that still know
//! every expected answer.
//!
//! 1. `plan`, `lives`: who buys what and what happens to it, made from the seed alone;
//! 2. `person`: one task per person sends that person's messages in order and checks the answers;
//! 3. `transport`: duplicated, delayed and lost messages and responses;
//! 4. `possible_books`: all books that explain the answers so far, whatever their order was.
//!
//! `plan` and `lives` refer to each other: `plan` has `lives` choose a life for each purchase, and
//! the life appends its moves to the `ScriptBuilder` of `plan`. A life then reads from top to
//! bottom as one story, while slots, delivery and random numbers stay in the builder.

mod lives;
mod person;
mod plan;
mod possible_books;
mod transport;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::JoinSet;

use person::PersonRunner;
use plan::{SLOTS, StormPlan, TIMES_OF_DAY};
use possible_books::PossibleBooks;
use transport::Transport;

use crate::{
    balances,
    books::Books,
    differences::Difference,
    play::ClockMode,
    programme::{Connection, Programme},
    recorded::{self, Format},
    report::{MessageKind, ResponseOutcome, SimulationReport},
    stories,
};

/// Configuration of a storm.
#[derive(Debug, Clone)]
pub struct StormConfig {
    /// The gateway's address, `http://127.0.0.1:8080`.
    pub gateway: String,
    /// The text of the programme file that a fresh gateway has applied.
    pub programme: String,
    /// Seed of the plan: the same seed plans the same storm.
    pub seed: u64,
    pub purchases: usize,
    /// Limit on the messages in flight.
    pub connections: usize,
    /// Purchases that begin per second; `None` for as many as the connections carry.
    pub rate: Option<u32>,
    /// Recorded purchases to request again, in place of planned ones.
    pub recorded: Option<RecordedFile>,
    /// Whether the gateway may be down for a while, as when it is killed and restarted.
    pub allows_outages: bool,
}

/// A file of recorded purchases.
#[derive(Debug, Clone)]
pub struct RecordedFile {
    /// The contents of the file.
    pub text: String,
    pub format: Format,
    /// Skip rows that cannot be parsed, instead of failing before anything is sent.
    pub skips_bad: bool,
}

/// A finished storm.
#[derive(Debug)]
pub struct StormOutcome {
    report: SimulationReport,
    programme: Programme,
    /// Possible books by person.
    possible_books: BTreeMap<usize, PossibleBooks>,
}

impl StormOutcome {
    pub fn report(&self) -> &SimulationReport {
        &self.report
    }

    /// Compares every balance with the output of `sayso balances --output json`.
    ///
    /// # Errors
    /// When `json` is not such a document. Differences go to the report instead.
    pub fn compare_balances(&mut self, json: &str) -> anyhow::Result<()> {
        let mut books = Books::open_for(&self.programme, &[])?;
        for (index, person) in self.programme.people.iter().enumerate() {
            let fresh = Books::open_for(&self.programme, std::slice::from_ref(person))?;
            let fresh = PossibleBooks::new(fresh);
            let possible_books = self.possible_books.get(&index).unwrap_or(&fresh);
            let chosen = balances::best_matching(possible_books.all(), json)?;
            let chosen = chosen.context("a person without books")?;
            books.people.extend(chosen.people.iter().cloned());
            books.exposure_minor += chosen.exposure_minor;
            books.suspense_minor += chosen.suspense_minor;
        }
        balances::compare(&books, json, &mut self.report)
    }

    /// Records that the balances could not be compared, which fails the storm.
    pub fn balances_unknown(&mut self, why: &str) {
        self.report.fail_run(format!("balances could not be compared: {why}"));
    }
}

/// State that all tasks of a storm share.
struct SharedState {
    programme: Programme,
    connections: BTreeMap<String, Arc<Connection>>,
    seed: u64,
    clock: ClockMode,
    /// Time of the story's clock in Unix seconds.
    story: Mutex<i64>,
    transport: Transport,
    allows_outages: bool,
    started: Instant,
    rate: Option<u32>,
    report: Mutex<SimulationReport>,
}

impl SharedState {
    fn new(storm: &StormConfig, clock: ClockMode) -> anyhow::Result<Self> {
        let programme = Programme::read(&storm.programme)?;
        let connections = programme.connections.iter();
        let connections: BTreeMap<_, _> =
            connections.map(|c| (c.name.clone(), Arc::new(c.clone()))).collect();
        let deadlines = connections.values().map(|connection| connection.deadline_ms);
        let deadline = Duration::from_millis(deadlines.min().unwrap_or(2000));
        Ok(Self {
            connections,
            seed: storm.seed,
            story: Mutex::new(0),
            transport: Transport::new(&storm.gateway, storm.connections)?,
            allows_outages: storm.allows_outages,
            started: Instant::now(),
            rate: storm.rate.filter(|rate| *rate > 0),
            report: Mutex::new(SimulationReport::new(storm.seed, deadline)?),
            programme,
            clock,
        })
    }

    /// The gateway's time in Unix seconds.
    fn now(&self) -> i64 {
        self.clock.now().unwrap_or_else(|| *lock(&self.story))
    }

    /// Sets the story's clock to the time of `slot`.
    fn advance_to(&self, slot: usize) -> anyhow::Result<()> {
        let at = slot_time(&self.programme, slot)?;
        *lock(&self.story) = at;
        self.clock.advance_to(at);
        Ok(())
    }

    /// When the purchase with that turn is to begin; `None` without a rate.
    fn due(&self, turn: usize) -> Option<Instant> {
        let after = after_turns(turn, self.rate?);
        self.started.checked_add(after)
    }

    async fn wait_for_turn(&self, turn: Option<usize>) {
        if let Some(due) = turn.and_then(|turn| self.due(turn)) {
            tokio::time::sleep_until(due.into()).await;
        }
    }

    fn differ(&self, difference: &Difference<'_>) {
        lock(&self.report).differences.add(difference);
    }

    fn note(&self, what: &'static str) {
        lock(&self.report).note(what);
    }

    fn count(
        &self,
        kind: MessageKind,
        answer: ResponseOutcome,
        reason: Option<&str>,
        latency: Duration,
    ) {
        lock(&self.report).count(kind, answer, reason, latency);
    }

    fn fail_step(&self, what: String) {
        lock(&self.report).fail_step(what);
    }
}

/// The delay of a turn after the start, at `rate` purchases per second.
fn after_turns(turn: usize, rate: u32) -> Duration {
    let nanoseconds = u128::from(u64::try_from(turn).unwrap_or(u64::MAX)) * 1_000_000_000;
    let nanoseconds = nanoseconds / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time of `slot` on the story's clock, in Unix seconds.
fn slot_time(programme: &Programme, slot: usize) -> anyhow::Result<i64> {
    let days = i64::try_from(slot / TIMES_OF_DAY.len())?;
    let (hour, minute) = TIMES_OF_DAY.get(slot % TIMES_OF_DAY.len()).copied().unwrap_or_default();
    let day = stories::STORY_DAY.checked_add(jiff::Span::new().days(days))?;
    let local = day.at(hour, minute, 0, 0).to_zoned(programme.zone.clone())?;
    Ok(local.timestamp().as_second())
}

/// Runs a storm, and returns once every message has been answered.
///
/// On a story's clock a storm spans some days. The clock advances when everybody has finished a
/// slot. On the real clock the storm runs as fast as the gateway answers, or at the given rate.
///
/// # Errors
/// When the programme cannot be played, or an event is not stored for two minutes. Wrong answers
/// are not errors: they are in the report.
pub async fn storm(wanted: &StormConfig, clock: ClockMode) -> anyhow::Result<StormOutcome> {
    let is_story = matches!(clock, ClockMode::Story(_));
    let shared = Arc::new(SharedState::new(wanted, clock)?);
    let plan = plan(wanted, &shared)?;
    let runners = plan.scripts.into_iter().map(|s| PersonRunner::new(Arc::clone(&shared), s));
    let mut runners = runners.collect::<anyhow::Result<Vec<_>>>()?;
    let slots = if is_story { 0..SLOTS } else { SLOTS - 1..SLOTS };
    for slot in slots {
        if is_story {
            shared.advance_to(slot)?;
        }
        let mut living = JoinSet::new();
        for mut runner in runners.drain(..) {
            living.spawn(async move { runner.run_until(slot).await.map(|()| runner) });
        }
        while let Some(lived) = living.join_next().await {
            runners.push(lived??);
        }
    }
    let possible_books =
        runners.into_iter().map(|s| (s.person(), s.into_possible_books())).collect();
    let shared = Arc::into_inner(shared).context("somebody is still in the storm")?;
    let mut report = shared.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.took = Some(shared.started.elapsed());
    Ok(StormOutcome { report, programme: shared.programme, possible_books })
}

/// Makes the plan. Reports skipped rows and assumptions.
fn plan(wanted: &StormConfig, shared: &SharedState) -> anyhow::Result<StormPlan> {
    let programme = &shared.programme;
    let mut report = lock(&shared.report);
    report.notes.extend(programme.notes.iter().cloned());
    let plan = if let Some(past) = &wanted.recorded {
        let past = recorded::read(&past.text, past.format, programme, past.skips_bad)?;
        report.skipped = past.skipped;
        report.left_out = past.left_out;
        report.notes.extend(past.notes);
        StormPlan::of_past(past.rows)
    } else {
        StormPlan::new(programme, wanted.seed, wanted.purchases)?
    };
    report.purchases = Some(plan.purchases);
    Ok(plan)
}
