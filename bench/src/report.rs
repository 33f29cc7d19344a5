//! Medians, ratios, and whether the goals are reached.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::TICKS_PER_SECOND;
use crate::pgbench::Pgbench;
use crate::population::Population;
use crate::rounds::{LoadMode, Measurement, Rounds};

/// If others use more than this percentage of the machine, no goal is judged.
const OTHERS_MOST_PERCENT: u64 = 15;

/// The whole report.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    people: u32,
    postings: u32,
    rounds: u32,
    figures: Vec<MedianFigures>,
    pgbench: Option<PgbenchMedians>,
    measures: Vec<GoalResult>,
    /// The highest percentage of the machine that others used in any stretch of load.
    others_percent_most: u64,
    conclusive: bool,
}

/// One server under one kind of load: medians over the rounds.
#[derive(Debug, Serialize)]
struct MedianFigures {
    subject: &'static str,
    mode: &'static str,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    most_ms: f64,
    /// CPU time of server and database per response, in microseconds.
    cpu_us: f64,
    memory_mb: f64,
    not_approved: u64,
    others_percent: u64,
}

/// What `pgbench` reached: medians over the rounds.
#[derive(Debug, Serialize)]
struct PgbenchMedians {
    simple_update: f64,
    one_statement: f64,
}

impl PgbenchMedians {
    fn of(rounds: &[Pgbench]) -> Option<Self> {
        Some(Self {
            simple_update: median(rounds.iter().map(|p| p.simple_update).collect())?,
            one_statement: median(rounds.iter().map(|p| p.one_statement).collect())?,
        })
    }
}

/// A goal, and the measured value.
#[derive(Debug, Serialize)]
struct GoalResult {
    name: &'static str,
    value: f64,
    goal: f64,
    later: f64,
    /// `at least` or `at most`.
    bound: &'static str,
    /// `None` if others used too much of the machine.
    is_reached: Option<bool>,
}

type FigureFn = fn(&Measurement) -> f64;

/// All measurements of one run.
struct RunMeasurements<'a>(&'a [Measurement]);

impl RunMeasurements<'_> {
    fn of(&self, subject: &str, mode: LoadMode) -> impl Iterator<Item = &Measurement> {
        self.0.iter().filter(move |m| m.subject == subject && m.mode == mode)
    }

    fn median(&self, subject: &str, mode: LoadMode, figure: FigureFn) -> Option<f64> {
        median(self.of(subject, mode).map(figure).collect())
    }

    /// The median of each round's ratio, so that differences between rounds cancel out.
    fn ratio(
        &self,
        above: (&str, LoadMode),
        below: (&str, LoadMode),
        figure: FigureFn,
    ) -> Option<f64> {
        self.compare(above, below, figure, |above, below| above / below)
    }

    fn compare(
        &self,
        above: (&str, LoadMode),
        below: (&str, LoadMode),
        figure: FigureFn,
        how: fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let of_round = |m: &Measurement| {
            let other = self.of(below.0, below.1).find(|other| other.round == m.round)?;
            Some(how(figure(m), figure(other)))
        };
        median(self.of(above.0, above.1).filter_map(of_round).collect())
    }
}

impl BenchReport {
    pub(crate) fn new(population: Population, seen: &Rounds) -> Self {
        let measured = &seen.measured;
        let others = measured.iter().map(|m| m.cpu_usage.others_percent).max().unwrap_or(0);
        let conclusive = others <= OTHERS_MOST_PERCENT;
        let run = RunMeasurements(measured);
        Self {
            people: population.people,
            postings: population.postings,
            rounds: measured.iter().map(|m| m.round).max().unwrap_or(0),
            figures: figures(&run),
            pgbench: PgbenchMedians::of(&seen.pgbench),
            measures: measures(&run, &seen.pgbench, conclusive),
            others_percent_most: others,
            conclusive,
        }
    }

    /// The report as a text table.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} people with {} postings, medians of {} rounds; latencies in ms, CPU of server and \
             database\n\n\
             {:<15} {:<16} {:>8} {:>7} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7}\n",
            self.people,
            self.postings,
            self.rounds,
            "",
            "",
            "req/s",
            "p50",
            "p99",
            "p99.9",
            "most",
            "CPU us",
            "RSS MB",
            "not ok",
            "others"
        );
        for f in &self.figures {
            let _ = writeln!(
                text,
                "{:<15} {:<16} {:>8.0} {:>7.1} {:>7.1} {:>7.1} {:>7.1} {:>8.0} {:>7.0} {:>7} \
                 {:>6}%",
                f.subject,
                f.mode,
                f.per_second,
                f.p50_ms,
                f.p99_ms,
                f.p999_ms,
                f.most_ms,
                f.cpu_us,
                f.memory_mb,
                f.not_approved,
                f.others_percent
            );
        }
        if let Some(plain) = &self.pgbench {
            let _ = writeln!(
                text,
                "{:<32} {:>8.0}\n{:<32} {:>8.0}",
                "pgbench simple-update",
                plain.simple_update,
                "pgbench one-statement decision",
                plain.one_statement
            );
        }
        let _ = writeln!(text, "\n{:<52} {:>7} {:>17} {:>7}", "", "is", "goal", "later");
        for m in &self.measures {
            let verdict = match m.is_reached {
                Some(true) => "reached",
                Some(false) => "missed",
                None => "no conclusion",
            };
            let _ = writeln!(
                text,
                "{:<52} {:>7.2} {:>9} {:>7.2} {:>7.2}  {verdict}",
                m.name, m.value, m.bound, m.goal, m.later
            );
        }
        if !self.conclusive {
            let _ = writeln!(
                text,
                "\nOthers used up to {} % of the machine: nothing can be concluded. Run it again \
                 when it is quiet (at most {OTHERS_MOST_PERCENT} %).",
                self.others_percent_most
            );
        }
        text
    }
}

fn figures(run: &RunMeasurements<'_>) -> Vec<MedianFigures> {
    let mut seen = Vec::new();
    for m in run.0 {
        if !seen.contains(&(m.subject, m.mode)) {
            seen.push((m.subject, m.mode));
        }
    }
    let figures = |(subject, mode): (&'static str, LoadMode)| {
        let median = |figure: FigureFn| run.median(subject, mode, figure);
        Some(MedianFigures {
            subject,
            mode: mode.name(),
            per_second: median(per_second)?,
            p50_ms: median(|m| quantile_ms(m, 0.5))?,
            p99_ms: median(|m| quantile_ms(m, 0.99))?,
            p999_ms: median(|m| quantile_ms(m, 0.999))?,
            most_ms: median(|m| quantile_ms(m, 1.0))?,
            cpu_us: median(cpu_us)?,
            memory_mb: median(|m| float(m.memory_kib) / 1024.0)?,
            not_approved: run.of(subject, mode).map(|m| m.load_result.others).sum(),
            others_percent: run.of(subject, mode).map(|m| m.cpu_usage.others_percent).max()?,
        })
    };
    seen.into_iter().filter_map(figures).collect()
}

/// The project's goals, with the measured values.
fn measures(run: &RunMeasurements<'_>, pgbench: &[Pgbench], conclusive: bool) -> Vec<GoalResult> {
    const CEILING: &str = "ceiling";
    const SQLITE: &str = "sayso sqlite";
    const POSTGRES: &str = "sayso postgres";

    let (s64, s256, hot, open) =
        (LoadMode::Spread64, LoadMode::Spread256, LoadMode::Hot256, LoadMode::Open);
    let share = |subject, mode| run.ratio((subject, mode), (CEILING, mode), per_second);
    let naive = |subject, naive| run.ratio((subject, s256), (naive, s256), per_second);
    let hot_share = |subject| run.ratio((subject, hot), (subject, s256), per_second);
    let above = |subject, figure| {
        run.compare((subject, open), (CEILING, open), figure, |above, below| above - below)
    };
    let p99: FigureFn = |m| quantile_ms(m, 0.99);
    let p999: FigureFn = |m| quantile_ms(m, 0.999);
    let most: FigureFn = |m| quantile_ms(m, 1.0);
    let against = |figure: fn(&Pgbench) -> f64| {
        let rounds = (1..).zip(pgbench);
        let ratio = |(round, pgbench): (u32, &Pgbench)| {
            let ours = run.of(POSTGRES, s256).find(|m| m.round == round)?;
            Some(per_second(ours) / figure(pgbench))
        };
        median(rounds.filter_map(ratio).collect())
    };
    let few = |subject, few| run.ratio((subject, s256), (few, s256), per_second);
    let cpu = run.ratio((POSTGRES, s256), (CEILING, s256), cpu_us);
    let rows = [
        ("SQLite, share of the ceiling, 64", share(SQLITE, s64), AT_LEAST, 0.08, 0.23),
        ("SQLite, share of the ceiling, 256", share(SQLITE, s256), AT_LEAST, 0.15, 0.45),
        ("PostgreSQL, share of the ceiling, 256", share(POSTGRES, s256), AT_LEAST, 0.15, 0.33),
        ("SQLite, times the naive path, 256", naive(SQLITE, "naive sqlite"), AT_LEAST, 4.0, 10.0),
        (
            "PostgreSQL, times the naive path, 256",
            naive(POSTGRES, "naive postgres"),
            AT_LEAST,
            3.0,
            4.0,
        ),
        (
            "PostgreSQL, times pgbench simple-update, 256",
            against(|p| p.simple_update),
            AT_LEAST,
            1.5,
            3.0,
        ),
        (
            "PostgreSQL, times a one-statement decision, 256",
            against(|p| p.one_statement),
            AT_LEAST,
            0.8,
            1.5,
        ),
        ("SQLite, one hot budget against spread", hot_share(SQLITE), AT_LEAST, 0.8, 0.9),
        ("PostgreSQL, one hot budget against spread", hot_share(POSTGRES), AT_LEAST, 0.8, 0.9),
        ("PostgreSQL, CPU per decision, times the ceiling's", cpu, AT_MOST, 8.0, 3.5),
        ("SQLite, p99 at 500/s above the ceiling's, ms", above(SQLITE, p99), AT_MOST, 10.0, 5.0),
        (
            "PostgreSQL, p99 at 500/s above the ceiling's, ms",
            above(POSTGRES, p99),
            AT_MOST,
            10.0,
            5.0,
        ),
        ("SQLite, p99.9 at 500/s, ms", run.median(SQLITE, open, p999), AT_MOST, 25.0, 25.0),
        ("PostgreSQL, p99.9 at 500/s, ms", run.median(POSTGRES, open, p999), AT_MOST, 25.0, 25.0),
        ("SQLite, slowest at 500/s, ms", run.median(SQLITE, open, most), AT_MOST, 250.0, 250.0),
        (
            "PostgreSQL, slowest at 500/s, ms",
            run.median(POSTGRES, open, most),
            AT_MOST,
            250.0,
            250.0,
        ),
        ("SQLite, so many people against few", few(SQLITE, "few sqlite"), AT_LEAST, 0.3, 0.4),
        (
            "PostgreSQL, so many people against few",
            few(POSTGRES, "few postgres"),
            AT_LEAST,
            0.5,
            0.7,
        ),
        ("SQLite, memory, MB", memory(run, SQLITE), AT_MOST, 100.0, 100.0),
        ("PostgreSQL, memory, MB", memory(run, POSTGRES), AT_MOST, 40.0, 40.0),
    ];
    let measure = |(name, value, bound, goal, later): (_, Option<f64>, _, f64, f64)| {
        let value = value?;
        let is_reached = if bound == AT_LEAST { value >= goal } else { value <= goal };
        let is_reached = conclusive.then_some(is_reached);
        Some(GoalResult { name, value, goal, later, bound, is_reached })
    };
    rows.into_iter().filter_map(measure).collect()
}

const AT_LEAST: &str = "at least";
const AT_MOST: &str = "at most";

fn memory(run: &RunMeasurements<'_>, subject: &str) -> Option<f64> {
    run.median(subject, LoadMode::Open, |m| float(m.memory_kib) / 1024.0)
}

fn per_second(measured: &Measurement) -> f64 {
    float(answers(measured)) / measured.load_result.elapsed.as_secs_f64()
}

fn cpu_us(measured: &Measurement) -> f64 {
    let ticks = float(measured.cpu_usage.served);
    ticks * 1e6 / float(TICKS_PER_SECOND) / float(answers(measured).max(1))
}

const fn answers(measured: &Measurement) -> u64 {
    measured.load_result.approved.saturating_add(measured.load_result.others)
}

fn quantile_ms(measured: &Measurement, quantile: f64) -> f64 {
    float(measured.load_result.latency.value_at_quantile(quantile)) / 1000.0
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts far below 2^52")]
const fn float(count: u64) -> f64 {
    count as f64
}
