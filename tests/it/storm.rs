//! Storms of the simulator against a whole gateway: purchases of many people at once, with every
//! answer and every balance checked against the simulator's books.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use sayso::operations::balances::Balances;
use sayso::platform::clock::Clock as GatewayClock;
use simulator::recorded::Format;
use simulator::storm::{RecordedFile, StormConfig, StormOutcome, storm};
use simulator::{ClockMode, population};
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
    a_past_as_it_is_kept_is_asked_about_again,
);

fn a_storm(gateway: String, programme: &str, purchases: usize) -> StormConfig {
    StormConfig {
        gateway,
        programme: programme.to_owned(),
        seed: 1,
        purchases,
        connections: 16,
        rate: None,
        recorded: None,
        allows_outages: false,
    }
}

/// On the story's clock, which passes local midnights that are not midnights in UTC.
async fn a_storm_of_days_leaves_every_answer_and_every_balance_right(database: TestDatabase) {
    let programme = patient(&population::populate(population::TEMPLATE, 24, 2).unwrap());
    // The storm begins at midnight, and a permission is given when its file is applied.
    let world = World::open_at(database, &programme, "2026-11-22T08:00:00Z").await;
    let clock_control = world.clock_control();
    let clock = ClockMode::Story(Box::new(move |unix| {
        clock_control.set(Timestamp::from_second(unix).unwrap());
    }));
    let mut outcome = storm(&a_storm(world.url(""), &programme, 500), clock).await.unwrap();
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    outcome.compare_balances(&balances.to_json().to_string()).unwrap();
    let report = outcome.report();
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
    let past = RecordedFile {
        text: rows.join("\n").replace("DEE", DEE),
        format: Format::Csv,
        skips_bad: false,
    };
    let wanted = StormConfig { recorded: Some(past), ..a_storm(world.url(""), &programme, 0) };
    let clock_control = world.clock_control();
    let clock = ClockMode::Story(Box::new(move |unix| {
        clock_control.set(Timestamp::from_second(unix).unwrap());
    }));
    let mut outcome = storm(&wanted, clock).await.unwrap();
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    outcome.compare_balances(&balances.to_json().to_string()).unwrap();
    let report = outcome.report();
    assert!(report.is_clean(), "{}", report.to_text());
    let told = report.differences.to_text();
    let kind = "1  was approved, is not paid category_off: £8.00 together";
    assert_eq!(report.differences.count(), 1, "{told}");
    assert!(told.contains(kind) && told.contains("line 3: £8.00 at Bottles, and more"), "{told}");
    world.check().await;
}

/// A person with every field that a programme file can have.
const EVERYTHING: &str = r#"
[[stream]]
id = "over"
name = "Over"
funder = "Somebody"
ends_on = 2020-01-01

[[stream]]
id = "first"
name = "First"
funder = "Somebody"
drains_first = true

[[person]]
id = "all"
name = "All"
worker = "amina"

[[person.card]]
connection = "riverside-stripe"
token = "ic_1All"
last_four = "0100"

[[person.card]]
connection = "riverside-stripe"
token = "ic_1Fresh"
last_four = "0101"
state = "not_started"

[[person.card]]
connection = "riverside-stripe"
token = "ic_1Frozen"
last_four = "0102"
state = "frozen_by_person"

[[person.card]]
connection = "riverside-stripe"
token = "ic_1Stopped"
last_four = "0103"
state = "frozen_by_staff"

[[person.card]]
connection = "riverside-stripe"
token = "ic_1Expired"
last_four = "0104"
state = "expired"

[[person.pot]]
id = "over"
name = "over"
stream = "over"
allocated = "500"
loads = [{ id = "start", amount = "500" }]

[[person.pot]]
id = "stages"
name = "stages"
stream = "homes"
allocated = "100.00"
release = { amount = "20.00", every = "month", from = 2026-01-31, at_once = "5.5" }
loads = [{ id = "start", amount = "30.00" }]

[[person.pot]]
id = "later"
name = "later"
stream = "homes"
allocated = "500.00"
release = { amount = "20.00", every = "day", from = 2098-01-01, at_once = "10.00" }
loads = [{ id = "start", amount = "200.00" }]

[[person.pot]]
id = "first"
name = "first"
stream = "first"
allocated = "30.00"
loads = [{ id = "start", amount = "30.00" }]

[person.agreement]
agreed_on = 2026-11-16
agreed_by = ["All", "Amina"]
how = "For a test."

[[person.agreement.term]]
on = { code = "5812" }
answer = "ask"
reason = "Talked about."
review_on = 2099-01-01

[[person.agreement.term]]
on = { category = "alcohol" }
answer = "no"
own_block = { cooling_days = 7 }
reason = "Their own."
review_on = 2099-01-01

[[person.agreement.term]]
on = "hours"
hours = { from = "22:00", to = "21:59" }
answer = "no"
reason = "Over midnight."
review_on = 2099-01-01

[[person.agreement.term]]
on = "abroad"
answer = "no"
reason = "At home."
review_on = 2099-01-01

[[person.agreement.term]]
on = { category = "unsorted" }
answer = "ask"
reason = "Nobody knows."
review_on = 2099-01-01

[[person.agreement.term]]
on = "everything_else"
answer = "yes"

[[person.permission]]
on = { code = "5812" }
up_to = "9.00"
uses = 2
from = 2026-01-01T00:00:00Z
ends = 2099-01-01T00:00:00Z

[[person.permission]]
on = { category = "alcohol" }
up_to = "6.00"
uses = 1
from = 2026-01-01T00:00:00Z
ends = 2099-01-01T00:00:00Z

[[person]]
id = "gone"
name = "Gone"
worker = "amina"
state = "ended"

[[person.card]]
connection = "riverside-stripe"
token = "ic_1Gone"
last_four = "0200"

[[person.pot]]
id = "week"
name = "your week"
stream = "homes"
allocated = "100.00"
loads = [{ id = "start", amount = "100.00" }]
"#;

/// Recorded purchases as offices export them, of people with every field. The books of the
/// simulator and of the gateway agree on every answer and every penny.
async fn a_past_as_it_is_kept_is_asked_about_again(database: TestDatabase) {
    let programme = patient(&format!("{DEMO}{EVERYTHING}"));
    // A permission is given when its file is applied, and a block of one's own cools from then.
    let world = World::open_at(database, &programme, "2026-10-20T08:00:00Z").await;
    let rows = "\u{feff}Time;Card;Amount;Currency;MCC;Merchant;Result;Country;Online\r\n\
        02/11/2026 09:00;ic_1All;£8,50;gbp;5812;Café;Approved;UK;no\r\n\
        02/11/2026 09:05;ic_1All;9,50;GBP;5812;Café;Declined;Great Britain;no\r\n\
        02/11/2026 09:10;ic_1All;4,00;GBP;5812;Café;Approved;;no\r\n\
        02/11/2026 09:15;ic_1All;1,00;GBP;5812;Café;Declined;gb;no\r\n\
        02/11/2026 09:20;ic_1All;6,00;GBP;5921;Bottles;Approved;GB;no\r\n\
        02/11/2026 09:25;ic_1All;2,00;GBP;9700;Nobody knows;Declined;GB;no\r\n\
        02/11/2026 09:30;ic_1All;2,00;GBP;5411;Grocer;Declined;France;no\r\n\
        02/11/2026 09:35;ic_1All;21,50;GBP;742;Vets;Approved;GB;yes\r\n\
        02/11/2026 09:40;ic_1All;-20,00;GBP;742;VETS;;GB;yes\r\n\
        02/11/2026 09:45;ic_1All;(3,33);GBP;5411;Grocer;;GB;no\r\n\
        02/11/2026 09:50;ic_1All;100,00;GBP;5411;Grocer;Declined;GB;no\r\n\
        13/11/2026;ic_1Fresh;1;GBP;5411;Grocer;Declined;;\r\n\
        13/11/2026;ic_1Frozen;1;GBP;5411;Grocer;Declined;;\r\n\
        13/11/2026;ic_1Stopped;1;GBP;5411;Grocer;Declined;;\r\n\
        13/11/2026;ic_1Expired;1;GBP;5411;Grocer;Declined;;\r\n\
        13/11/2026;ic_1Gone;1;GBP;5411;Grocer;Declined;;\r\n\
        13/11/2026;ic_1All;ten;GBP;5411;Grocer;Declined;;\r\n";
    let past = RecordedFile { text: rows.to_owned(), format: Format::Csv, skips_bad: true };
    let wanted = StormConfig { recorded: Some(past), ..a_storm(world.url(""), &programme, 0) };
    let clock_control = world.clock_control();
    let clock = ClockMode::Story(Box::new(move |unix| {
        clock_control.set(Timestamp::from_second(unix).unwrap());
    }));
    let mut outcome = storm(&wanted, clock).await.unwrap();
    let balances = Balances::read(world.app.store(), world.app.directory()).await.unwrap();
    outcome.compare_balances(&balances.to_json().to_string()).unwrap();
    let report = outcome.report();
    let text = report.to_text();
    assert!(report.is_clean(), "{text}");
    assert_eq!(report.differences.count(), 0, "{text}");
    assert_eq!(report.skipped, 1);
    assert!(report.left_out[0].starts_with("column amount: this is no amount"), "{text}");
    let reasons = [
        "ok_small",
        "ok_used",
        "unsorted",
        "abroad_off",
        "not_yet",
        "not_started",
        "frozen_self",
        "frozen_staff",
        "expired",
        "ended",
    ];
    for reason in reasons {
        assert_eq!(report.reasons().get(reason), Some(&1), "{reason}: {text}");
    }
    assert!(text.contains("2 refunds: 1 of an earlier purchase"), "{text}");
    assert!(text.contains("read in the programme's, Europe/London"), "{text}");
    world.check().await;
}

/// A gateway on the real clock that is killed and restarted as a new process.
struct KillableGateway<'a> {
    database: &'a TestDatabase,
    address: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl<'a> KillableGateway<'a> {
    async fn start(database: &'a TestDatabase) -> Self {
        // The port was free a moment ago, and so most likely still is.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let process = serve(database, address, &folder);
        let mortal = Self { database, address, process, folder };
        mortal.caller().wait_until_ready(true).await;
        mortal
    }

    fn caller(&self) -> Caller {
        Caller::new(self.address, GatewayClock::system())
    }

    /// Kills the process while it works, and restarts it a moment later.
    async fn die_and_rise(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        sleep(Duration::from_millis(100)).await;
        self.process = serve(self.database, self.address, &self.folder);
    }
}

impl Drop for KillableGateway<'_> {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn serve(database: &TestDatabase, address: SocketAddr, folder: &TempDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sayso"));
    database.give_key(&mut command);
    command
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
    database.give_key(&mut command);
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
    let mut gateway = KillableGateway::start(&database).await;
    let wanted = StormConfig {
        allows_outages: true,
        // Slow enough to last beyond the last kill, on any machine.
        rate: Some(60),
        ..a_storm(format!("http://{}", gateway.address), &programme, 300)
    };
    let raging: JoinHandle<anyhow::Result<StormOutcome>> =
        tokio::spawn(async move { storm(&wanted, ClockMode::Real).await });
    for _ in 0..KILLS {
        sleep(Duration::from_millis(1100)).await;
        assert!(!raging.is_finished(), "the storm was over before the last kill");
        gateway.die_and_rise().await;
    }
    let mut outcome = raging.await.unwrap().unwrap();
    let balances = sayso(&database, &["balances", "--output", "json"]);
    outcome.compare_balances(&String::from_utf8(balances.stdout).unwrap()).unwrap();
    let report = outcome.report();
    assert!(report.is_clean(), "{}", report.to_text());
    drop(gateway);
    sayso(&database, &["verify"]);
}
