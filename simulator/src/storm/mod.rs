//! A storm: many people's purchases at once, with everything that goes wrong on the way, and books
//! that know what every answer must be all the same.
//!
//! 1. `plan`, `lives`: who buys what and what happens to it, made from the seed alone;
//! 2. `person`: one task per person makes, sends and judges that person's messages in order;
//! 3. `post`: how messages travel, twice, late, with answers that get lost;
//! 4. `worlds`: the books that explain what was answered, in whatever order it happened.

mod lives;
mod person;
mod plan;
mod post;
mod worlds;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::JoinSet;

use person::Shopper;
use plan::{Plan, SLOTS, TIMES_OF_DAY};
use post::Post;
use worlds::Worlds;

use crate::{
    balances,
    books::Books,
    differences::Difference,
    play::Clock,
    programme::{Connection, Programme},
    recorded::{self, Format},
    report::{Answer, Kind, Report},
    stories,
};

/// What kind of storm, and against whom.
#[derive(Debug, Clone)]
pub struct Storm {
    /// The gateway's address, `http://127.0.0.1:8080`.
    pub gateway: String,
    /// The text of the programme file that a fresh gateway has applied.
    pub programme: String,
    /// The same seed plans the same storm.
    pub seed: u64,
    pub purchases: usize,
    /// How many messages are on their way at once, at most.
    pub connections: usize,
    /// How many purchases begin each second; none for as many as the connections carry.
    pub rate: Option<u32>,
    /// Purchases of the past, to be asked about instead of planned ones.
    pub recorded: Option<Past>,
    /// Whether the gateway may be away for a while, as when it is killed and started again.
    pub may_be_away: bool,
}

/// A file of recorded purchases.
#[derive(Debug, Clone)]
pub struct Past {
    /// What is in it.
    pub text: String,
    pub format: Format,
    /// Leave rows out that cannot be read, instead of stopping before anything is sent.
    pub skips_bad: bool,
}

/// A storm that is over.
#[derive(Debug)]
pub struct Aftermath {
    report: Report,
    programme: Programme,
    /// What may be true of each person's money.
    worlds: BTreeMap<usize, Worlds>,
}

impl Aftermath {
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Compares every balance with what `sayso balances --output json` printed.
    ///
    /// # Errors
    /// When `json` is not such a document. Differences are noted in the report instead.
    pub fn compare_balances(&mut self, json: &str) -> anyhow::Result<()> {
        let mut books = Books::open_for(&self.programme, &[])?;
        for (index, person) in self.programme.people.iter().enumerate() {
            let fresh = Books::open_for(&self.programme, std::slice::from_ref(person))?;
            let fresh = Worlds::new(fresh);
            let worlds = self.worlds.get(&index).unwrap_or(&fresh);
            let chosen = balances::likeliest(worlds.all(), json)?;
            let chosen = chosen.context("a person without books")?;
            books.people.extend(chosen.people.iter().cloned());
            books.exposure_minor += chosen.exposure_minor;
            books.suspense_minor += chosen.suspense_minor;
        }
        balances::compare(&books, json, &mut self.report)
    }

    /// Notes that balances could not be compared, which is a failure of the storm.
    pub fn balances_unknown(&mut self, why: &str) {
        self.report.break_play(format!("balances could not be compared: {why}"));
    }
}

/// What everybody in the storm shares.
struct Weather {
    programme: Programme,
    connections: BTreeMap<String, Arc<Connection>>,
    seed: u64,
    clock: Clock,
    /// Where a story's clock stands, in unix seconds.
    story: Mutex<i64>,
    post: Post,
    may_be_away: bool,
    started: Instant,
    rate: Option<u32>,
    report: Mutex<Report>,
}

impl Weather {
    fn new(storm: &Storm, clock: Clock) -> anyhow::Result<Self> {
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
            post: Post::new(&storm.gateway, storm.connections)?,
            may_be_away: storm.may_be_away,
            started: Instant::now(),
            rate: storm.rate.filter(|rate| *rate > 0),
            report: Mutex::new(Report::new(storm.seed, deadline)?),
            programme,
            clock,
        })
    }

    /// Unix seconds, on the gateway's clock.
    fn now(&self) -> i64 {
        self.clock.now().unwrap_or_else(|| *lock(&self.story))
    }

    /// Moves a story's clock to the moment `slot`.
    fn reach(&self, slot: usize) -> anyhow::Result<()> {
        let at = moment(&self.programme, slot)?;
        *lock(&self.story) = at;
        self.clock.reach(at);
        Ok(())
    }

    /// When the purchase of that turn is meant to begin; none when there is no rate.
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

    fn count(&self, kind: Kind, answer: Answer, reason: Option<&str>, latency: Duration) {
        lock(&self.report).count(kind, answer, reason, latency);
    }

    fn break_step(&self, what: String) {
        lock(&self.report).break_step(what);
    }
}

/// How long after the beginning the purchase of that turn is due, at `rate` each second.
fn after_turns(turn: usize, rate: u32) -> Duration {
    let nanoseconds = u128::from(u64::try_from(turn).unwrap_or(u64::MAX)) * 1_000_000_000;
    let nanoseconds = nanoseconds / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The moment `slot` of a storm on a story's clock, in unix seconds.
fn moment(programme: &Programme, slot: usize) -> anyhow::Result<i64> {
    let days = i64::try_from(slot / TIMES_OF_DAY.len())?;
    let (hour, minute) = TIMES_OF_DAY.get(slot % TIMES_OF_DAY.len()).copied().unwrap_or_default();
    let day = stories::STORY_DAY.checked_add(jiff::Span::new().days(days))?;
    let local = day.at(hour, minute, 0, 0).to_zoned(programme.zone.clone())?;
    Ok(local.timestamp().as_second())
}

/// Lets the storm loose, and returns once every message of it has been answered.
///
/// On a story's clock it takes some days; the clock moves when everybody has done what they do at
/// one moment. On the real one it takes as long as it takes.
///
/// # Errors
/// When the programme cannot be played, or an event is not stored for minutes. Wrong answers are no
/// error: they are in the report.
pub async fn storm(wanted: &Storm, clock: Clock) -> anyhow::Result<Aftermath> {
    let is_story = matches!(clock, Clock::Story(_));
    let weather = Arc::new(Weather::new(wanted, clock)?);
    let plan = plan(wanted, &weather)?;
    let shoppers = plan.scripts.into_iter().map(|s| Shopper::new(Arc::clone(&weather), s));
    let mut shoppers = shoppers.collect::<anyhow::Result<Vec<_>>>()?;
    let slots = if is_story { 0..SLOTS } else { SLOTS - 1..SLOTS };
    for slot in slots {
        if is_story {
            weather.reach(slot)?;
        }
        let mut living = JoinSet::new();
        for mut shopper in shoppers.drain(..) {
            living.spawn(async move { shopper.live(slot).await.map(|()| shopper) });
        }
        while let Some(lived) = living.join_next().await {
            shoppers.push(lived??);
        }
    }
    let worlds = shoppers.into_iter().map(|s| (s.person(), s.into_worlds())).collect();
    let weather = Arc::into_inner(weather).context("somebody is still in the storm")?;
    let mut report = weather.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.took = Some(weather.started.elapsed());
    Ok(Aftermath { report, programme: weather.programme, worlds })
}

/// What is going to be tried; tells the report what of it could not be, or was taken for granted.
fn plan(wanted: &Storm, weather: &Weather) -> anyhow::Result<Plan> {
    let programme = &weather.programme;
    let mut report = lock(&weather.report);
    report.notes.extend(programme.notes.iter().cloned());
    let plan = if let Some(past) = &wanted.recorded {
        let past = recorded::read(&past.text, past.format, programme, past.skips_bad)?;
        report.skipped = past.skipped;
        report.left_out = past.left_out;
        report.notes.extend(past.notes);
        Plan::of_past(past.rows)
    } else {
        Plan::new(programme, wanted.seed, wanted.purchases)?
    };
    report.purchases = Some(plan.purchases);
    Ok(plan)
}
