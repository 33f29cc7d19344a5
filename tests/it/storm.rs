//! Storms of the simulator against a whole gateway: many people's purchases at once, and books that
//! know what every answer and every balance must be.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use sayso::clock::Clock as GatewayClock;
use sayso::ops::balances::Balances;
use simulator::recorded::Format;
use simulator::storm::{Aftermath, Past, Storm, storm};
use simulator::{Clock, population};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::support::TestDatabase;
use crate::world::{DEE, DEMO, World, patient};

on_both_databases!(
    a_storm_of_days_leaves_every_answer_and_every_balance_right,
    a_gateway_that_is_killed_in_a_storm_loses_and_doubles_nothing,
    the_past_is_asked_about_again_and_differences_are_told,
);

fn a_storm(gateway: String, programme: &str, purchases: usize) -> Storm {
    Storm {
        gateway,
        programme: programme.to_owned(),
        seed: 1,
        purchases,
        connections: 16,
        rate: None,
        recorded: None,
        may_be_away: false,
    }
}

/// On a story's clock, which the storm moves over midnights that are none in UTC.
async fn a_storm_of_days_leaves_every_answer_and_every_balance_right(database: TestDatabase) {
    let programme = patient(&population::populate(population::TEMPLATE, 24, 2).unwrap());
    let world = World::open_with(database, &programme).await;
    let hand = world.hand();
    let clock = Clock::Story(Box::new(move |unix| hand.set(Timestamp::from_second(unix).unwrap())));
    let mut aftermath = storm(&a_storm(world.url(""), &programme, 500), clock).await.unwrap();
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    aftermath.compare_balances(&balances.to_json().to_string()).unwrap();
    let report = aftermath.report();
    assert!(report.is_clean(), "{}", report.to_text());
    assert!(report.answers().len() >= 3, "{}", report.to_text());
    world.check().await;
}

async fn the_past_is_asked_about_again_and_differences_are_told(database: TestDatabase) {
    let programme = patient(DEMO);
    let world = World::open_with(database, &programme).await;
    let rows = [
        "time,card,amount,currency,mcc,merchant,result",
        "2026-11-02T09:00:00Z,DEE,12.50,GBP,5411,Grocer,approved",
        "2026-11-02T10:00:00Z,DEE,8.00,GBP,5921,\"Bottles, and more\",approved",
        "2026-11-02T11:00:00Z,DEE,79.00,GBP,4812,Phones,declined",
    ];
    let past =
        Past { text: rows.join("\n").replace("DEE", DEE), format: Format::Csv, skips_bad: false };
    let wanted = Storm { recorded: Some(past), ..a_storm(world.url(""), &programme, 0) };
    let hand = world.hand();
    let clock = Clock::Story(Box::new(move |unix| hand.set(Timestamp::from_second(unix).unwrap())));
    let mut aftermath = storm(&wanted, clock).await.unwrap();
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    aftermath.compare_balances(&balances.to_json().to_string()).unwrap();
    let report = aftermath.report();
    assert!(report.is_clean(), "{}", report.to_text());
    let [difference] = report.differences.as_slice() else { panic!("{}", report.to_text()) };
    assert!(difference.starts_with("line 3: £8.00 at Bottles, and more was approved"));
    assert!(difference.ends_with("not paid now category_off"), "{difference}");
    world.check().await;
}

/// A gateway in processes of its own, one after the other, on the machine's clock.
struct Mortal<'a> {
    database: &'a TestDatabase,
    address: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl<'a> Mortal<'a> {
    async fn start(database: &'a TestDatabase) -> Self {
        // Free a moment ago, and so most likely still.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let process = serve(database, address, &folder);
        let mortal = Self { database, address, process, folder };
        mortal.caller().until_ready(true).await;
        mortal
    }

    fn caller(&self) -> Caller {
        Caller::new(self.address, GatewayClock::system())
    }

    /// Kills it while it works, and starts it again a moment later.
    async fn die_and_rise(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        sleep(Duration::from_millis(100)).await;
        self.process = serve(self.database, self.address, &self.folder);
    }
}

impl Drop for Mortal<'_> {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn serve(database: &TestDatabase, address: SocketAddr, folder: &TempDir) -> Child {
    Command::new(env!("CARGO_BIN_EXE_sayso"))
        .args(["--database", &database.url, "serve", "--listen", &address.to_string()])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn sayso(database: &TestDatabase, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sayso"));
    let done = command.args(["--database", &database.url]).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    done
}

async fn a_gateway_that_is_killed_in_a_storm_loses_and_doubles_nothing(database: TestDatabase) {
    const KILLS: usize = 3;

    let programme = population::populate(population::TEMPLATE, 24, 2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("programme.toml");
    std::fs::write(&file, &programme).unwrap();
    sayso(&database, &["programme", "apply", file.to_str().unwrap()]);
    let mut gateway = Mortal::start(&database).await;
    let wanted = Storm {
        may_be_away: true,
        // Slow enough to last until the last kill, on any machine.
        rate: Some(60),
        ..a_storm(format!("http://{}", gateway.address), &programme, 300)
    };
    let raging: JoinHandle<anyhow::Result<Aftermath>> =
        tokio::spawn(async move { storm(&wanted, Clock::Real).await });
    for _ in 0..KILLS {
        sleep(Duration::from_millis(1100)).await;
        assert!(!raging.is_finished(), "the storm was over before the last kill");
        gateway.die_and_rise().await;
    }
    let mut aftermath = raging.await.unwrap().unwrap();
    let balances = sayso(&database, &["balances", "--output", "json"]);
    aftermath.compare_balances(&String::from_utf8(balances.stdout).unwrap()).unwrap();
    let report = aftermath.report();
    assert!(report.is_clean(), "{}", report.to_text());
    drop(gateway);
    sayso(&database, &["verify"]);
}
