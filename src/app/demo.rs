//! The complete system on one machine: a fresh database, the demo programme, the gateway, and the
//! simulator, which plays some days of signed issuer messages over real HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use simulator::{MessageKind, PlayConfig, PlayOutcome, PlayStep, ResponseOutcome, SignIn};
use tokio::sync::mpsc;

use crate::app::gateway::{App, AppSettings};
use crate::domain::id::SealId;
use crate::finance::seal;
use crate::merchant_rules;
use crate::operations::balances::Balances;
use crate::operations::explain::{Explanation, explain};
use crate::operations::verify;
use crate::platform::clock::{Clock, ClockControl};
use crate::platform::config::KeySource;
use crate::programme::apply::apply;

/// The programme's file of the demo.
pub const PROGRAMME: &str = include_str!("../../merchant-rules/demo.toml");
/// When the programme is set up: the Sunday before the first day that is played.
const SET_UP_AT: &str = "2026-11-22T12:00:00Z";
/// Maximum number of played steps that wait to be printed.
const STEPS_AHEAD: usize = 1024;

/// The settings of the demo.
#[derive(Debug, Clone)]
pub struct DemoSettings {
    pub listen: SocketAddr,
    /// An empty database. `None` creates an SQLite file in the temporary folder.
    pub database_url: Option<String>,
    /// The key that secrets are sealed with. `None` for the default source.
    pub key: Option<KeySource>,
    pub seed: u64,
}

/// The result of the demo.
#[derive(Debug)]
pub struct DemoRun {
    pub app: App,
    pub database_url: String,
    /// Whether every response, every balance and the ledger were correct.
    pub is_clean: bool,
}

/// Plays the demo, and passes each line of its output to `print`.
pub async fn run(settings: DemoSettings, mut print: impl FnMut(String)) -> anyhow::Result<DemoRun> {
    let database_url = match settings.database_url {
        Some(url) => url,
        None => fresh_file()?,
    };
    let start: Timestamp = SET_UP_AT.parse().context("the demo's first day")?;
    let (clock, clock_control) = Clock::manual(start);
    let address = settings.listen;
    let mut running = AppSettings::new(address, database_url.as_str().into(), clock);
    running.key = settings.key.unwrap_or(running.key);
    let app = App::start(running).await?;
    let rules = merchant_rules::BUILT_IN_CATEGORIES;
    apply(app.store(), app.ids(), app.clock().now(), PROGRAMME, rules).await?;
    app.directory().refresh(app.clock().now()).await?;

    print(format!("seed {}, database {database_url}", settings.seed));
    print(format!("gateway http://{}, three people, one card company\n", app.address()));
    let mut outcome = play(&app, clock_control, settings.seed, &mut print).await?;
    let balances = Balances::read(app.store(), app.directory()).await?;
    outcome.compare_balances(&balances.to_json().to_string())?;
    print(format!("\n{balances}"));
    print(outcome.report().to_text());
    let is_verified = prove(&app, &mut print).await?;
    let is_clean = is_verified && outcome.report().is_clean();
    Ok(DemoRun { app, database_url, is_clean })
}

/// Runs the simulator, and prints each step as it happens.
async fn play(
    app: &App,
    clock_control: ClockControl,
    seed: u64,
    print: &mut impl FnMut(String),
) -> anyhow::Result<PlayOutcome> {
    let play = PlayConfig {
        gateway: format!("http://{}", app.address()),
        programme: PROGRAMME.to_owned(),
        seed,
        sign_in: Some(sign_in(app).await?),
    };
    let set_time = Box::new(move |unix: i64| {
        if let Ok(at) = Timestamp::from_second(unix) {
            clock_control.set(at);
        }
    });
    let (sender, mut steps) = mpsc::channel(STEPS_AHEAD);
    let playing = tokio::spawn(async move {
        simulator::play(&play, simulator::ClockMode::Story(set_time), sender).await
    });
    let mut day = String::new();
    let mut refused = None;
    while let Some(step) = steps.recv().await {
        if step.at.day != day {
            day.clone_from(&step.at.day);
            print(day.clone());
        }
        if refused.is_none() && step.answer == ResponseOutcome::NotPaid {
            refused = Some(step.reference.clone());
        }
        if is_shown(&step) {
            print(line(app, &step).await?);
        }
    }
    if let Some(reference) = refused {
        print(format!("\nAsk why again: sayso explain {reference} --database (as above)"));
    }
    playing.await?
}

/// Issues tokens to the simulator, so that each person acts with their own account.
pub async fn sign_in(app: &App) -> anyhow::Result<SignIn> {
    let programmes = app.store().programmes().await?;
    let (programme, _) = programmes.into_iter().next().context("no programme was applied")?;
    let (tokens, ids, clock) = (app.tokens().clone(), app.ids().clone(), app.clock().clone());
    Ok(SignIn::new(move |member| {
        let (tokens, ids, programme) = (tokens.clone(), ids.clone(), programme.clone());
        let now = clock.now();
        Box::pin(async move {
            let issued = tokens.issue(&ids, &programme, &member.parse()?, now).await?;
            Ok(issued.text)
        })
    }))
}

/// Whether a step is printed: a purchase, or money that moves after it. The issuer's confirmation
/// of our decision is not printed, unless it was unexpected.
fn is_shown(step: &PlayStep) -> bool {
    !step.expected_ok || !matches!(step.kind, MessageKind::Confirmed | MessageKind::Closed)
}

/// One step as a line: time of day, person, place, amount, answer, reason, milliseconds.
async fn line(app: &App, step: &PlayStep) -> anyhow::Result<String> {
    let amount = simulator::report::money(step.amount_minor, &step.currency);
    let milliseconds = step.latency.as_micros().div_ceil(100);
    let (whole, tenth) = (milliseconds / 10, milliseconds % 10);
    let (answer, why) = match &step.decision {
        Some(id) if step.kind.is_question() => (step.answer.to_string(), why(app, id).await?),
        _ => (step.kind.to_string(), step.note.clone()),
    };
    let mark = if step.expected_ok { ' ' } else { '!' };
    Ok(format!(
        "{mark} {}  {:<5} {:<24} {amount:>9}  {answer:<15} {whole:>3}.{tenth} ms  {why}",
        step.at.time, step.person, step.place
    ))
}

/// The person's text for a decision; empty if there is no such decision.
async fn why(app: &App, decision: &str) -> anyhow::Result<String> {
    let explanations = explain(app.store(), app.directory(), decision).await?;
    let said = |e: &Explanation| e.person_text.clone();
    Ok(explanations.first().map(said).unwrap_or_default())
}

/// Seals and verifies the ledger.
async fn prove(app: &App, print: &mut impl FnMut(String)) -> anyhow::Result<bool> {
    for (programme, _) in app.store().programmes().await? {
        let id = SealId::new(app.ids().next(app.clock().now()));
        seal(app.store(), &programme, id, app.clock().now()).await?;
    }
    let proof = verify(app.store(), None).await?;
    print(proof.to_text());
    Ok(proof.is_clean())
}

/// The URL of a new SQLite file in the temporary folder.
fn fresh_file() -> anyhow::Result<String> {
    let folder: PathBuf = tempfile::Builder::new().prefix("sayso-demo-").tempdir()?.keep();
    Ok(format!("sqlite:{}", folder.join("demo.db").display()))
}
