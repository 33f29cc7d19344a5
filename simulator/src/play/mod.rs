//! Executes a plan: computes the expected answer of each move, sends it, and compares the answer.

mod authorisation;
mod event;
mod people;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{
    answers::StripeResponse,
    balances,
    books::Books,
    client::Client,
    issuers::{
        issuer_record::{IssuerMessage, IssuerRecord},
        stripe::StripeAuthorisation,
    },
    programme::{Connection, Programme},
    report::{MessageKind, PlayStep, ResponseOutcome, SimulationReport, StoryTime, money},
    stories::{Participants, PlannedPurchase, StoryAction, StoryMove, StoryPlan},
};
use people::GatewayReferences;
pub use people::{SignIn, TokenFuture};

/// Configuration of a play.
#[derive(Debug)]
pub struct PlayConfig {
    /// The gateway's address, `http://127.0.0.1:8080`.
    pub gateway: String,
    /// The text of the programme file that a fresh gateway has applied.
    pub programme: String,
    /// Seed of the plan: the same seed plays the same steps.
    pub seed: u64,
    /// Signs the programme's people in. Without it the play has no moves of people.
    pub sign_in: Option<SignIn>,
}

/// Sets the story's clock. Called with Unix seconds before each message is signed and sent.
pub type SetTime = Box<dyn Fn(i64) + Send + Sync>;

/// The clock that the gateway runs on.
pub enum ClockMode {
    /// The gateway's clock follows the story.
    Story(SetTime),
    /// The gateway runs on the real clock: messages are signed with the current time, and story
    /// times are for display only.
    Real,
}

impl fmt::Debug for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Story(_) => "Story",
            Self::Real => "Real",
        })
    }
}

impl ClockMode {
    /// Unix seconds of the real clock; `None` in [`ClockMode::Story`].
    pub(crate) fn now(&self) -> Option<i64> {
        match self {
            Self::Story(_) => None,
            Self::Real => Some(now()),
        }
    }

    pub(crate) fn advance_to(&self, story: i64) -> i64 {
        match self {
            Self::Story(set) => {
                set(story);
                story
            }
            Self::Real => now(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a gateway on the real clock needs real signatures")]
fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A finished play.
#[derive(Debug)]
pub struct PlayOutcome {
    report: SimulationReport,
    books: Books,
}

impl PlayOutcome {
    pub fn report(&self) -> &SimulationReport {
        &self.report
    }

    /// The expected state of every pot at the end of the play.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Compares every balance with the output of `sayso balances --output json`.
    ///
    /// # Errors
    /// When `json` is not such a document. Differences go to the report instead.
    pub fn compare_balances(&mut self, json: &str) -> anyhow::Result<()> {
        balances::compare(&self.books, json, &mut self.report)
    }

    /// Records that the balances could not be compared, which fails the play.
    pub fn balances_unknown(&mut self, why: &str) {
        self.report.fail_run(format!("balances could not be compared: {why}"));
    }
}

/// Plays every story, one message after the other, and sends each step to `steps` as soon as it is
/// answered.
///
/// `steps` must be read while the play runs; dropping the receiver is fine.
///
/// # Errors
/// When the programme cannot be played, or the gateway cannot be reached. Wrong answers are not
/// errors: they are in the report.
pub async fn play(
    wanted: &PlayConfig,
    clock: ClockMode,
    steps: mpsc::Sender<PlayStep>,
) -> anyhow::Result<PlayOutcome> {
    let programme = Programme::read(&wanted.programme)?;
    let participants =
        if wanted.sign_in.is_some() { Participants::WithPeople } else { Participants::Shops };
    let plan = StoryPlan::new(&programme, wanted.seed, participants)?;
    execute_plan(wanted, &programme, &plan, clock, steps).await
}

/// Like [`play`], for a year of everyday purchases of everybody in the programme, without faults.
/// The report says how many purchases the agreement allowed, and how many of those were declined.
///
/// # Errors
/// As [`play`].
pub async fn year(
    wanted: &PlayConfig,
    clock: ClockMode,
    steps: mpsc::Sender<PlayStep>,
) -> anyhow::Result<PlayOutcome> {
    let programme = Programme::read(&wanted.programme)?;
    let plan = StoryPlan::year(&programme, wanted.seed)?;
    execute_plan(wanted, &programme, &plan, clock, steps).await
}

async fn execute_plan(
    wanted: &PlayConfig,
    programme: &Programme,
    plan: &StoryPlan,
    clock: ClockMode,
    steps: mpsc::Sender<PlayStep>,
) -> anyhow::Result<PlayOutcome> {
    let mut player = Player::new(wanted, programme, clock)?;
    for planned in &plan.moves {
        let purchase = plan.purchases.get(planned.number).context("a move without its purchase")?;
        if let Some(step) = player.execute(planned, purchase).await? {
            let _ = steps.send(step).await; // the receiver may be dropped
        }
    }
    Ok(PlayOutcome { report: player.report, books: player.books })
}

struct Player<'a> {
    seed: u64,
    sign_in: Option<&'a SignIn>,
    programme: &'a Programme,
    clock: ClockMode,
    client: Client,
    books: Books,
    report: SimulationReport,
    /// Purchases by number.
    played: BTreeMap<usize, PlayedPurchase>,
    messages: usize,
}

/// One purchase: the issuer's record of it, and the last messages sent about it.
struct PlayedPurchase {
    issuer_record: IssuerRecord,
    /// A capture that is sent after the closing event that it caused.
    waiting: Option<IssuerMessage>,
    last_request: Option<SentMessage>,
    last_event: Option<SentMessage>,
    references: GatewayReferences,
}

/// A message that was sent.
#[derive(Clone)]
struct SentMessage {
    body: String,
    amount_minor: i64,
    reply: Option<String>,
}

/// The result of one message, from which a step is made.
struct StepResult {
    kind: MessageKind,
    amount_minor: i64,
    answer: ResponseOutcome,
    response: Option<StripeResponse>,
    latency: Duration,
    note: String,
    broken: Vec<String>,
}

impl<'a> Player<'a> {
    fn new(
        play: &'a PlayConfig,
        programme: &'a Programme,
        clock: ClockMode,
    ) -> anyhow::Result<Self> {
        let deadlines = programme.connections.iter().map(|connection| connection.deadline_ms);
        let deadline = Duration::from_millis(deadlines.min().unwrap_or(2000));
        Ok(Self {
            seed: play.seed,
            sign_in: play.sign_in.as_ref(),
            programme,
            clock,
            client: Client::new(&play.gateway)?,
            books: Books::open(programme)?,
            report: SimulationReport::new(play.seed, deadline)?,
            played: BTreeMap::new(),
            messages: 0,
        })
    }

    /// Executes one move; `None` when it has no effect, as a capture after a decline.
    async fn execute(
        &mut self,
        planned: &StoryMove,
        purchase: &PlannedPurchase,
    ) -> anyhow::Result<Option<PlayStep>> {
        let at = self.clock.advance_to(planned.at);
        self.played(planned.number, purchase, at);
        let result = match planned.act {
            StoryAction::Ask(amount) => Some(
                self.request_authorisation(
                    planned.number,
                    purchase,
                    at,
                    amount,
                    MessageKind::Purchase,
                )
                .await?,
            ),
            StoryAction::Raise(amount) if self.is_open(planned.number) => Some(
                self.request_authorisation(
                    planned.number,
                    purchase,
                    at,
                    amount,
                    MessageKind::Raised,
                )
                .await?,
            ),
            StoryAction::Raise(_) => None,
            StoryAction::PersonActs(action) => {
                self.perform(planned.number, purchase, action, at).await?
            }
            StoryAction::AskAgain => {
                self.repeat_authorisation(planned.number, purchase, at).await?
            }
            StoryAction::Confirm
            | StoryAction::Lower(_)
            | StoryAction::Reverse
            | StoryAction::Capture(_)
            | StoryAction::Close
            | StoryAction::CloseAhead
            | StoryAction::Force(_)
            | StoryAction::Refund(_)
            | StoryAction::RefundUnlinked(_)
            | StoryAction::Repeat => self.send_event(planned, purchase, at).await?,
        };
        Ok(result.map(|result| self.step(planned, purchase, result)))
    }

    fn played(
        &mut self,
        number: usize,
        purchase: &PlannedPurchase,
        at: i64,
    ) -> &mut PlayedPurchase {
        self.played.entry(number).or_insert_with(|| {
            let id = format!("iauth_1Sim{:X}n{number:04}", self.seed);
            let (card, currency) = (&purchase.card, &self.programme.currency);
            PlayedPurchase {
                issuer_record: IssuerRecord::new(StripeAuthorisation {
                    is_amount_controllable: purchase.is_amount_controllable,
                    ..StripeAuthorisation::new(id, card, purchase.shop, currency, at)
                }),
                waiting: None,
                last_request: None,
                last_event: None,
                references: GatewayReferences::default(),
            }
        })
    }

    fn is_open(&self, number: usize) -> bool {
        self.played.get(&number).is_some_and(|played| played.issuer_record.is_open())
    }

    fn connection(&self, purchase: &PlannedPurchase) -> anyhow::Result<&'a Connection> {
        let name = &purchase.card.connection;
        self.programme.connection(name).with_context(|| format!("no connection {name}"))
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.messages += 1;
        format!("{prefix}_1Sim{:X}n{:05}", self.seed, self.messages)
    }

    /// The pots that pay, as text.
    fn pots(&self, number: usize) -> String {
        let parts = self.books.parts(number);
        if parts.len() < 2 {
            return parts.first().map_or(String::new(), |(pot, _)| format!("from {pot}"));
        }
        let parts = parts.iter().map(|(pot, amount_minor)| {
            format!("{} from {pot}", money(*amount_minor, &self.books.currency))
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    fn step(
        &mut self,
        planned: &StoryMove,
        purchase: &PlannedPurchase,
        result: StepResult,
    ) -> PlayStep {
        let local = self.books.local(planned.at);
        let person = purchase.person.and_then(|index| self.programme.people.get(index));
        let reason = result.response.as_ref().and_then(StripeResponse::reason);
        let decision = result.response.as_ref().and_then(StripeResponse::decision);
        let step = PlayStep {
            at: StoryTime {
                unix: planned.at,
                day: local.strftime("%A %-d %B").to_string(),
                time: local.strftime("%H:%M").to_string(),
            },
            story: planned.story,
            person: person.map_or(String::new(), |person| person.id.clone()),
            place: purchase.shop.name.to_owned(),
            amount_minor: result.amount_minor,
            currency: self.books.currency.clone(),
            kind: result.kind,
            answer: result.answer,
            reason: reason.filter(|_| result.answer == ResponseOutcome::NotPaid).map(str::to_owned),
            decision: decision.map(str::to_owned),
            reference: self
                .played
                .get(&planned.number)
                .map_or(String::new(), |played| played.issuer_record.authorisation.id.clone()),
            latency: result.latency,
            expected_ok: result.broken.is_empty(),
            note: if result.broken.is_empty() { result.note } else { result.broken.join("; ") },
        };
        self.report.add(&step);
        for broken in result.broken {
            let what = format!(
                "{} {} {}, {} at {} ({}): {broken}",
                step.at.day,
                step.at.time,
                step.person,
                step.kind,
                step.place,
                money(step.amount_minor, &step.currency)
            );
            self.report.fail_step(what);
        }
        step
    }
}
