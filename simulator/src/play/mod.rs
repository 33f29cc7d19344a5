//! Plays a plan: judges each move by the books, sends it, and compares the answer.

mod ask;
mod people;
mod tell;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::{
    answers::Told,
    balances,
    books::Books,
    client::Client,
    issuers::{
        file::{File, Message},
        stripe::{Authorisation, Status},
    },
    programme::{Connection, Programme},
    report::{Answer, Kind, Moment, Report, Step, money},
    stories::{Act, Cast, Move, Plan, Planned},
};
use people::Named;
pub use people::{SignIn, Token};

/// What is to be played, and against whom.
#[derive(Debug)]
pub struct Play {
    /// The gateway's address, `http://127.0.0.1:8080`.
    pub gateway: String,
    /// The text of the programme file that a fresh gateway has applied.
    pub programme: String,
    /// The same seed plays the same steps.
    pub seed: u64,
    /// Signs the programme's people in; without it, only shops and the issuer play.
    pub sign_in: Option<SignIn>,
}

/// Moves the story's clock; called with unix seconds before each message is signed and sent.
pub type SetTime = Box<dyn Fn(i64) + Send + Sync>;

/// Whose time the gateway lives in.
pub enum Clock {
    /// The gateway's clock is ours to move.
    Story(SetTime),
    /// The gateway's clock is the world's: messages are signed now, and story times only shown.
    Real,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Story(_) => "Story",
            Self::Real => "Real",
        })
    }
}

impl Clock {
    /// Unix seconds of the real clock; none when a story's is in use.
    pub(crate) fn now(&self) -> Option<i64> {
        match self {
            Self::Story(_) => None,
            Self::Real => Some(now()),
        }
    }

    pub(crate) fn reach(&self, story: i64) -> i64 {
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
pub struct Outcome {
    report: Report,
    books: Books,
}

impl Outcome {
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What must be true of every pot now.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Compares every balance with what `sayso balances --output json` printed.
    ///
    /// # Errors
    /// When `json` is not such a document. Differences are noted in the report instead.
    pub fn compare_balances(&mut self, json: &str) -> anyhow::Result<()> {
        balances::compare(&self.books, json, &mut self.report)
    }

    /// Notes that balances could not be compared, which is a failure of the play.
    pub fn balances_unknown(&mut self, why: &str) {
        self.report.break_play(format!("balances could not be compared: {why}"));
    }
}

/// Plays every story, one message after the other, and sends each step as it is answered.
///
/// `steps` must be read while the play runs; a dropped receiver is fine.
///
/// # Errors
/// When the programme cannot be played, or the gateway cannot be reached. Wrong answers are no
/// error: they are in the report.
pub async fn play(
    wanted: &Play,
    clock: Clock,
    steps: mpsc::Sender<Step>,
) -> anyhow::Result<Outcome> {
    let programme = Programme::read(&wanted.programme)?;
    let cast = if wanted.sign_in.is_some() { Cast::WithPeople } else { Cast::Shops };
    let plan = Plan::new(&programme, wanted.seed, cast)?;
    carry_out(wanted, &programme, &plan, clock, steps).await
}

/// As [`play`], but a year of everyday purchases of everybody in the programme, in which nothing goes
/// wrong. The report says how many of them were inside the agreement, and how many of those were not
/// paid.
///
/// # Errors
/// As [`play`].
pub async fn year(
    wanted: &Play,
    clock: Clock,
    steps: mpsc::Sender<Step>,
) -> anyhow::Result<Outcome> {
    let programme = Programme::read(&wanted.programme)?;
    let plan = Plan::year(&programme, wanted.seed)?;
    carry_out(wanted, &programme, &plan, clock, steps).await
}

async fn carry_out(
    wanted: &Play,
    programme: &Programme,
    plan: &Plan,
    clock: Clock,
    steps: mpsc::Sender<Step>,
) -> anyhow::Result<Outcome> {
    let mut player = Player::new(wanted, programme, clock)?;
    for planned in &plan.moves {
        let purchase = plan.purchases.get(planned.number).context("a move without its purchase")?;
        if let Some(step) = player.make(planned, purchase).await? {
            let _ = steps.send(step).await; // nobody has to listen
        }
    }
    Ok(Outcome { report: player.report, books: player.books })
}

struct Player<'a> {
    seed: u64,
    sign_in: Option<&'a SignIn>,
    programme: &'a Programme,
    clock: Clock,
    client: Client,
    books: Books,
    report: Report,
    /// What the issuer knows, by purchase number.
    played: BTreeMap<usize, Played>,
    messages: usize,
}

/// One purchase: the issuer's file of it, and what was sent last.
struct Played {
    file: File,
    /// Made when a closing message overtook its capture.
    waiting: Option<Message>,
    last_request: Option<Sent>,
    last_event: Option<Sent>,
    named: Named,
}

/// A message as it was sent.
#[derive(Clone)]
struct Sent {
    body: String,
    amount_minor: i64,
    reply: Option<String>,
}

/// What one message came to, before it becomes a step.
struct Came {
    kind: Kind,
    amount_minor: i64,
    answer: Answer,
    told: Option<Told>,
    latency: Duration,
    note: String,
    broken: Vec<String>,
}

impl<'a> Player<'a> {
    fn new(play: &'a Play, programme: &'a Programme, clock: Clock) -> anyhow::Result<Self> {
        let deadlines = programme.connections.iter().map(|connection| connection.deadline_ms);
        let deadline = Duration::from_millis(deadlines.min().unwrap_or(2000));
        Ok(Self {
            seed: play.seed,
            sign_in: play.sign_in.as_ref(),
            programme,
            clock,
            client: Client::new(&play.gateway)?,
            books: Books::open(programme)?,
            report: Report::new(play.seed, deadline)?,
            played: BTreeMap::new(),
            messages: 0,
        })
    }

    /// Makes one move; none when there is nothing left to move, as after a refusal.
    async fn make(&mut self, planned: &Move, purchase: &Planned) -> anyhow::Result<Option<Step>> {
        let at = self.clock.reach(planned.at);
        self.played(planned.number, purchase, at);
        let came = match planned.act {
            Act::Ask(amount) => {
                Some(self.ask(planned.number, purchase, at, amount, Kind::Purchase).await?)
            }
            Act::Raise(amount) if self.is_open(planned.number) => {
                Some(self.ask(planned.number, purchase, at, amount, Kind::Raised).await?)
            }
            Act::Raise(_) => None,
            Act::Does(deed) => self.does(planned.number, purchase, deed, at).await?,
            Act::AskAgain => self.ask_again(planned.number, purchase, at).await?,
            Act::Confirm
            | Act::Lower(_)
            | Act::Reverse
            | Act::Capture(_)
            | Act::Close
            | Act::CloseAhead
            | Act::Force(_)
            | Act::Refund(_)
            | Act::RefundUnlinked(_)
            | Act::Repeat => self.tell(planned, purchase, at).await?,
        };
        Ok(came.map(|came| self.step(planned, purchase, came)))
    }

    fn played(&mut self, number: usize, purchase: &Planned, at: i64) -> &mut Played {
        let card = &purchase.card;
        self.played.entry(number).or_insert_with(|| Played {
            file: File::new(Authorisation {
                id: format!("iauth_1Sim{:X}n{number:04}", self.seed),
                card: card.token.clone(),
                last_four: card.last_four.clone(),
                cardholder: card.token.replacen("ic_", "ich_", 1),
                shop: purchase.shop,
                currency: self.programme.currency.to_ascii_lowercase(),
                created: at,
                is_amount_controllable: purchase.is_amount_controllable,
                fee_minor: 0,
                priced_in: None,
                history: Vec::new(),
                amount_minor: 0,
                status: Status::Pending,
                transactions: Vec::new(),
            }),
            waiting: None,
            last_request: None,
            last_event: None,
            named: Named::default(),
        })
    }

    fn is_open(&self, number: usize) -> bool {
        self.played.get(&number).is_some_and(|played| played.file.is_open())
    }

    fn connection(&self, purchase: &Planned) -> anyhow::Result<&'a Connection> {
        let name = &purchase.card.connection;
        self.programme.connection(name).with_context(|| format!("no connection {name}"))
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.messages += 1;
        format!("{prefix}_1Sim{:X}n{:05}", self.seed, self.messages)
    }

    /// Which pots pay, in words.
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

    fn step(&mut self, planned: &Move, purchase: &Planned, came: Came) -> Step {
        let local = self.books.local(planned.at);
        let person = purchase.person.and_then(|index| self.programme.people.get(index));
        let reason = came.told.as_ref().and_then(Told::reason);
        let decision = came.told.as_ref().and_then(Told::decision);
        let step = Step {
            at: Moment {
                unix: planned.at,
                day: local.strftime("%A %-d %B").to_string(),
                time: local.strftime("%H:%M").to_string(),
            },
            story: planned.story,
            person: person.map_or(String::new(), |person| person.id.clone()),
            place: purchase.shop.name.to_owned(),
            amount_minor: came.amount_minor,
            currency: self.books.currency.clone(),
            kind: came.kind,
            answer: came.answer,
            reason: reason.filter(|_| came.answer == Answer::NotPaid).map(str::to_owned),
            decision: decision.map(str::to_owned),
            reference: self
                .played
                .get(&planned.number)
                .map_or(String::new(), |played| played.file.authorisation.id.clone()),
            latency: came.latency,
            expected_ok: came.broken.is_empty(),
            note: if came.broken.is_empty() { came.note } else { came.broken.join("; ") },
        };
        self.report.add(&step);
        for broken in came.broken {
            let what = format!(
                "{} {} {}, {} at {} ({}): {broken}",
                step.at.day,
                step.at.time,
                step.person,
                step.kind,
                step.place,
                money(step.amount_minor, &step.currency)
            );
            self.report.break_step(what);
        }
        step
    }
}
