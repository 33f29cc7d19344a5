//! The report of a run: counts, latencies, steps and broken expectations.
//!
//! This file and `differences.rs` refer to each other: a report contains the [`Differences`] of its
//! run, and these are written with [`ResponseOutcome`] and [`money()`], so that all parts of a
//! report write outcomes and amounts alike.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::{currency, differences::Differences};

/// A point in time with its local date and time of day, as the stories show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoryTime {
    /// Unix seconds.
    pub unix: i64,
    /// Local date, "Monday 23 November".
    pub day: String,
    /// Local time of day, "08:30".
    pub time: String,
}

/// The kind of a message. The variants are serialised by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Purchase,
    PurchaseAsked,
    Raised,
    Confirmed,
    Lowered,
    GivenBack,
    Captured,
    Closed,
    /// The issuer raised the hold without an authorisation request.
    RaisedUnasked,
    Expired,
    /// The issuer declined without an authorisation request.
    RefusedByIssuer,
    ChargedUnasked,
    Refunded,
    DeliveredAgain,
    AskedFor,
    SaidYes,
    SaidNo,
    Appealed,
    LookedAt,
    Frozen,
    Unfrozen,
}

impl MessageKind {
    /// Whether the message was an authorisation request.
    pub fn is_question(self) -> bool {
        matches!(self, Self::Purchase | Self::PurchaseAsked | Self::Raised)
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Purchase => "purchase",
            Self::PurchaseAsked => "asked again",
            Self::Raised => "increment",
            Self::Confirmed => "confirmed",
            Self::Lowered => "lowered",
            Self::GivenBack => "given back",
            Self::Captured => "captured",
            Self::Closed => "closed",
            Self::RaisedUnasked => "raised unasked",
            Self::Expired => "expired",
            Self::RefusedByIssuer => "refused by them",
            Self::ChargedUnasked => "charged unasked",
            Self::Refunded => "refunded",
            Self::DeliveredAgain => "delivered again",
            Self::AskedFor => "asked for",
            Self::SaidYes => "yes",
            Self::SaidNo => "not this time",
            Self::Appealed => "appealed",
            Self::LookedAt => "yes after all",
            Self::Frozen => "card stopped",
            Self::Unfrozen => "card works",
        })
    }
}

/// The gateway's response to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseOutcome {
    Approved,
    /// Approved for this smaller amount, in minor units.
    Partial(i64),
    NotPaid,
    /// The event was accepted.
    Stored,
    /// There was no response that the issuer could use.
    Unusable,
}

impl ResponseOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Partial(_) => "partial",
            Self::NotPaid => "not paid",
            Self::Stored => "stored",
            Self::Unusable => "unusable",
        }
    }
}

impl fmt::Display for ResponseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// One message and its response.
#[derive(Debug, Clone, Serialize)]
pub struct PlayStep {
    pub at: StoryTime,
    pub story: &'static str,
    /// The person's id; empty for a card that the programme never issued.
    pub person: String,
    pub place: String,
    /// Amount of the message in minor units, above zero.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    pub kind: MessageKind,
    pub answer: ResponseOutcome,
    /// The gateway's reason code of a decline.
    pub reason: Option<String>,
    /// The gateway's identifier of its decision.
    pub decision: Option<String>,
    /// The issuer's identifier of the authorisation (`iauth_…`).
    pub reference: String,
    #[serde(rename = "latency_us", serialize_with = "as_microseconds")]
    pub latency: Duration,
    /// Whether the response matches the books.
    pub expected_ok: bool,
    /// The pots that pay, or what was expected instead.
    pub note: String,
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenExpectation {
    /// Number of the step, counted from 1; `None` when no step is concerned, as for balances.
    pub step: Option<usize>,
    pub what: String,
}

#[derive(Debug)]
pub struct SimulationReport {
    pub seed: u64,
    pub steps: usize,
    pub broken: Vec<BrokenExpectation>,
    /// The number of balances that were compared; `None` before the comparison.
    pub balances_compared: Option<usize>,
    /// Authorisation requests that the agreement allows and the money covers.
    pub agreed: usize,
    /// How many of `agreed` were declined.
    pub agreed_not_paid: usize,
    /// The number of planned purchases of a storm; `None` for a play.
    pub purchases: Option<usize>,
    /// The duration of a storm; `None` for a play.
    pub took: Option<Duration>,
    /// Differences from the recorded outcomes of past purchases. They are not broken expectations.
    pub differences: Differences,
    /// The number of recorded rows that could not be parsed.
    pub skipped: usize,
    /// Why rows could not be parsed, one text for each kind of problem.
    pub left_out: Vec<String>,
    /// Assumptions about the recorded file and the programme file.
    pub notes: Vec<String>,
    /// The number of broken expectations beyond [`LISTED_MAX`].
    broken_not_listed: usize,
    /// How often each disturbance of the transport occurred.
    disturbances: BTreeMap<&'static str, usize>,
    answers: BTreeMap<&'static str, usize>,
    reasons: BTreeMap<String, usize>,
    deadline: Duration,
    /// Latencies of authorisation requests in microseconds.
    questions: Histogram<u64>,
    /// Latencies of events in microseconds.
    events: Histogram<u64>,
}

/// Latency quantiles of one kind of message, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub count: u64,
    pub p50_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// Limit on the broken expectations that are listed one by one.
const LISTED_MAX: usize = 200;
/// One minute in microseconds: longer than any message waits for its response.
const LATENCY_US_MAX: u64 = 60_000_000;

impl SimulationReport {
    pub(crate) fn new(seed: u64, deadline: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            seed,
            steps: 0,
            broken: Vec::new(),
            balances_compared: None,
            agreed: 0,
            agreed_not_paid: 0,
            purchases: None,
            took: None,
            differences: Differences::default(),
            skipped: 0,
            left_out: Vec::new(),
            notes: Vec::new(),
            broken_not_listed: 0,
            disturbances: BTreeMap::new(),
            answers: BTreeMap::new(),
            reasons: BTreeMap::new(),
            deadline,
            questions: Histogram::new_with_max(LATENCY_US_MAX, 3)?,
            events: Histogram::new_with_max(LATENCY_US_MAX, 3)?,
        })
    }

    pub(crate) fn add(&mut self, step: &PlayStep) {
        self.count(step.kind, step.answer, step.reason.as_deref(), step.latency);
    }

    /// Counts one message and its response.
    pub(crate) fn count(
        &mut self,
        kind: MessageKind,
        answer: ResponseOutcome,
        reason: Option<&str>,
        latency: Duration,
    ) {
        self.steps += 1;
        let latency = microseconds(latency);
        if kind.is_question() {
            *self.answers.entry(answer.label()).or_default() += 1;
            if let Some(reason) = reason {
                *self.reasons.entry(reason.to_owned()).or_default() += 1;
            }
            self.questions.saturating_record(latency);
        } else {
            self.events.saturating_record(latency);
        }
    }

    /// Counts an authorisation request that the books approve.
    pub(crate) fn count_agreed(&mut self, is_not_paid: bool) {
        self.agreed += 1;
        self.agreed_not_paid += usize::from(is_not_paid);
    }

    /// Counts one disturbance of the transport.
    pub(crate) fn note(&mut self, disturbance: &'static str) {
        *self.disturbances.entry(disturbance).or_default() += 1;
    }

    /// Records a broken expectation of the step that was added last.
    pub(crate) fn fail_step(&mut self, what: String) {
        self.push(BrokenExpectation { step: Some(self.steps), what });
    }

    /// Records a broken expectation that belongs to no step.
    pub fn fail_run(&mut self, what: String) {
        self.push(BrokenExpectation { step: None, what });
    }

    fn push(&mut self, broken: BrokenExpectation) {
        if self.broken.len() < LISTED_MAX {
            self.broken.push(broken);
        } else {
            self.broken_not_listed += 1;
        }
    }

    /// Whether every expectation has been met so far.
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }

    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The number of authorisation requests by answer.
    pub fn answers(&self) -> &BTreeMap<&'static str, usize> {
        &self.answers
    }

    /// The number of declined authorisation requests by reason.
    pub fn reasons(&self) -> &BTreeMap<String, usize> {
        &self.reasons
    }

    /// Latency of authorisation requests.
    pub fn question_latency(&self) -> Latency {
        latency(&self.questions)
    }

    /// Latency of issuer events.
    pub fn event_latency(&self) -> Latency {
        latency(&self.events)
    }

    /// The report as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "seed": self.seed,
            "steps": self.steps,
            "purchases": self.purchases,
            "took_ms": self.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            "agreed": self.agreed,
            "agreed_not_paid": self.agreed_not_paid,
            "answers": self.answers,
            "reasons": self.reasons,
            "disturbances": self.disturbances,
            "differences": self.differences.to_json(),
            "skipped": self.skipped,
            "left_out": self.left_out,
            "notes": self.notes,
            "deadline_ms": u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX),
            "question_latency": self.question_latency(),
            "event_latency": self.event_latency(),
            "balances_compared": self.balances_compared,
            "broken": self.broken,
            "broken_not_listed": self.broken_not_listed,
            "ok": self.is_clean(),
        })
    }

    /// The report as text.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} steps, seed {}\n", self.steps, self.seed);
        if let (Some(purchases), Some(took)) = (self.purchases, self.took) {
            let _ = writeln!(text, "{purchases} purchases in {:.1} s", took.as_secs_f64());
        }
        let list = |text: &mut String, name: &str, count: usize| {
            let _ = writeln!(text, "  {name:<16} {count:>5}");
        };
        text.push_str("\nAnswers\n");
        for (answer, count) in &self.answers {
            list(&mut text, answer, *count);
        }
        text.push_str("\nNot paid because\n");
        for (reason, count) in &self.reasons {
            list(&mut text, reason, *count);
        }
        if self.agreed > 0 {
            let _ = writeln!(
                text,
                "\nOf {} questions inside the agreement, {} were not paid",
                self.agreed, self.agreed_not_paid
            );
        }
        if !self.disturbances.is_empty() {
            text.push_str("\nWhat went wrong on the way\n");
        }
        for (disturbance, count) in &self.disturbances {
            let _ = writeln!(text, "  {disturbance:<44} {count:>6}");
        }
        if !self.notes.is_empty() {
            text.push_str("\nTaken for granted\n");
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        if self.skipped > 0 {
            let rows = count_with_noun(self.skipped, "row");
            let _ = writeln!(text, "\n{rows} could not be read and were left out");
        }
        for kind in &self.left_out {
            let _ = writeln!(text, "  {kind}");
        }
        text.push_str(&self.differences.to_text());
        let _ = writeln!(text, "\nTime to answer (deadline {} ms)", self.deadline.as_millis());
        for (name, latency) in
            [("questions", self.question_latency()), ("events", self.event_latency())]
        {
            let _ = writeln!(
                text,
                "  {name:<10} {:>5}   p50 {}   p95 {}   p99 {}   p99.9 {}   max {}",
                latency.count,
                milliseconds(latency.p50_us),
                milliseconds(latency.p95_us),
                milliseconds(latency.p99_us),
                milliseconds(latency.p999_us),
                milliseconds(latency.max_us),
            );
        }
        match self.balances_compared {
            Some(count) => {
                let _ = writeln!(text, "\n{count} balances compared with the simulator's books");
            }
            None => text.push_str("\nBalances were not compared\n"),
        }
        if self.broken.is_empty() {
            text.push_str("Every expectation was met.\n");
        } else {
            let count = self.broken.len() + self.broken_not_listed;
            let _ = writeln!(text, "\n{count} broken expectations");
            for broken in &self.broken {
                let step = broken.step.map_or("balances".to_owned(), |step| format!("step {step}"));
                let _ = writeln!(text, "  {step}: {}", broken.what);
            }
        }
        text
    }
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency {
        count: histogram.len(),
        p50_us: histogram.value_at_quantile(0.50),
        p95_us: histogram.value_at_quantile(0.95),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
    }
}

fn as_microseconds<S: Serializer>(latency: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(microseconds(*latency))
}

fn microseconds(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:02} ms", microseconds / 1000, microseconds % 1000 / 10)
}

/// Formats an amount in minor units: "£48.00", "EUR 48.00", "JPY 4800".
pub fn money(amount_minor: i64, currency: &str) -> String {
    let sign = if amount_minor < 0 { "-" } else { "" };
    let amount = amount_minor.unsigned_abs();
    let symbol = if currency == "GBP" { "£".to_owned() } else { format!("{currency} ") };
    let decimals = currency::decimals(currency);
    let unit = 10_u64.pow(decimals);
    if decimals == 0 {
        return format!("{sign}{symbol}{amount}");
    }
    let width = usize::try_from(decimals).unwrap_or_default();
    format!("{sign}{symbol}{}.{:0width$}", amount / unit, amount % unit)
}

/// The count with its noun: "1 row", "2 rows".
pub(crate) fn count_with_noun(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for PlayStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match self.answer {
            ResponseOutcome::Partial(part) => format!("approved {}", money(part, &self.currency)),
            ResponseOutcome::Approved
            | ResponseOutcome::NotPaid
            | ResponseOutcome::Stored
            | ResponseOutcome::Unusable => self.answer.to_string(),
        };
        write!(
            f,
            "{:<21} {}  {:<6} {:<24} {:>9}  {:<15} {answer:<15} {:>10}  {}{}{}",
            self.at.day,
            self.at.time,
            self.person,
            self.place,
            money(self.amount_minor, &self.currency),
            self.kind,
            milliseconds(microseconds(self.latency)),
            self.reason.as_deref().unwrap_or_default(),
            self.note,
            if self.expected_ok { "" } else { "  <-- not as expected" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_told_as_they_were() {
        let mut report = SimulationReport::new(1, Duration::from_secs(2)).unwrap();
        report.questions.saturating_record(5_000);
        report.questions.saturating_record(7_000);
        let latency = report.question_latency();
        assert!((4_990..=5_010).contains(&latency.p50_us), "{latency:?}");
        assert!((6_990..=7_010).contains(&latency.max_us), "{latency:?}");
    }
}
