//! Storms of the simulator against a whole gateway: purchases of many people at once, with every
//! answer and every balance checked against the simulator's books.

use std::process::{Command, Output};
use std::time::Duration;

use simulator::recorded::Format;
use simulator::storm::{RecordedFile, StormConfig, StormOutcome, storm};
use simulator::{ClockMode, population};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::scenarios::gateway::GatewayProcess;
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

/// A storm on the story's clock, in which every answer and every balance is right.
async fn clean_storm(world: &World, config: &StormConfig) -> StormOutcome {
    let mut outcome = storm(config, world.story_clock()).await.unwrap();
    outcome.compare_balances(&world.all_balances().await.to_string()).unwrap();
    assert!(outcome.report().is_clean(), "{}", outcome.report().to_text());
    outcome
}

/// As [`clean_storm`], of recorded purchases.
async fn clean_replay(world: &World, past: RecordedFile, programme: &str) -> StormOutcome {
    let config = StormConfig { recorded: Some(past), ..a_storm(world.url(""), programme, 0) };
    clean_storm(world, &config).await
}

/// On the story's clock, which passes local midnights that are not midnights in UTC.
async fn a_storm_of_days_leaves_every_answer_and_every_balance_right(database: TestDatabase) {
    let programme = patient(&population::populate(population::TEMPLATE, 24, 2).unwrap());
    // The storm begins at midnight, and a permission is given when its file is applied.
    let world = World::open_at(database, &programme, "2026-11-22T08:00:00Z").await;
    let outcome = clean_storm(&world, &a_storm(world.url(""), &programme, 500)).await;
    let report = outcome.report();
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
    let outcome = clean_replay(&world, past, &programme).await;
    let report = outcome.report();
    let told = report.differences.to_text();
    let kind = "1  was approved, is not paid category_off: £8.00 together";
    assert_eq!(report.differences.count(), 1, "{told}");
    assert!(told.contains(kind) && told.contains("line 3: £8.00 at Bottles, and more"), "{told}");
    world.check().await;
}

/// Streams and people that with those of the demo have every field (see `file_fields`).
const EVERYTHING: &str = include_str!("every_field.toml");

/// Recorded purchases as offices export them, of people with every field. The books of the
/// simulator and of the gateway agree on every answer and every penny.
async fn a_past_as_it_is_kept_is_asked_about_again(database: TestDatabase) {
    let programme = patient(&format!("{DEMO}\n{EVERYTHING}"));
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
    let outcome = clean_replay(&world, past, &programme).await;
    let report = outcome.report();
    let text = report.to_text();
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
    let mut gateway = GatewayProcess::start(&database).await;
    let wanted = StormConfig {
        allows_outages: true,
        // Slow enough to last beyond the last kill, on any machine.
        rate: Some(60),
        ..a_storm(format!("http://{}", gateway.address()), &programme, 300)
    };
    let raging: JoinHandle<anyhow::Result<StormOutcome>> =
        tokio::spawn(async move { storm(&wanted, ClockMode::Real).await });
    for _ in 0..KILLS {
        sleep(Duration::from_millis(1100)).await;
        assert!(!raging.is_finished(), "the storm was over before the last kill");
        gateway.restart(&database).await;
    }
    let mut outcome = raging.await.unwrap().unwrap();
    let balances = sayso(&database, &["balances", "--output", "json"]);
    outcome.compare_balances(&String::from_utf8(balances.stdout).unwrap()).unwrap();
    let report = outcome.report();
    assert!(report.is_clean(), "{}", report.to_text());
    drop(gateway);
    sayso(&database, &["verify"]);
}
