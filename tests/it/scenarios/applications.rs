//! Files applied while purchases go on: only differences are applied, one person at a time, and a
//! file is applied completely or not at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sayso::domain::id::BudgetId;
use sayso::programme::apply::{ApplyReport, apply};
use sayso::store::Tx;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, timeout};

use super::gateway::{GatewayProcess, count, lasting, prepare, prove};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{DEMO, Purchase, RULES, World, patient, purchase};

on_both_databases!(
    an_unchanged_file_waits_for_nobody,
    a_change_of_one_person_waits_for_nobody_else,
    no_decision_mixes_two_versions_of_a_file,
    a_long_file_of_another_process_starves_no_authorisation,
    a_file_that_broke_off_is_finished_at_the_next_start,
    a_file_that_broke_off_is_finished_before_the_next_one,
);

const SOON: Duration = Duration::from_secs(10);

async fn applied(world: &World, file: &str) -> ApplyReport {
    let done = apply(world.app.store(), world.app.ids(), world.now(), file, RULES);
    timeout(SOON, done).await.expect("it waits for a lock").unwrap()
}

/// Takes the locks that a decision about Dee takes.
async fn hold_dee(world: &World) -> Tx {
    let mut tx = world.app.store().begin().await.unwrap();
    let (programme, dee) = ("riverside".parse().unwrap(), BudgetId::of(&"dee".parse().unwrap()));
    tx.lock_budget(&programme, &dee).await.unwrap();
    tx
}

async fn an_unchanged_file_waits_for_nobody(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let held = hold_dee(&world).await;
    let done = applied(&world, &patient(DEMO)).await;
    assert_eq!((done.version, done.changed, done.agreements, done.loads), (1, 0, 0, 0));
    drop(held);
    world.check().await;
}

/// SQLite has a single write lock, so a change takes its turn between two decisions there.
async fn a_change_of_one_person_waits_for_nobody_else(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let renamed = patient(DEMO).replace("name = \"Femi\"", "name = \"Femi A\"");
    let held = match world.database.kind {
        DatabaseKind::Postgres => Some(hold_dee(&world).await),
        DatabaseKind::Sqlite => None,
    };
    let done = applied(&world, &renamed).await;
    assert_eq!((done.version, done.changed), (1, 1));
    drop(held);
    let names = world.database.rows("SELECT name FROM person WHERE person_id = 'femi'").await;
    assert_eq!(names[0][0], "Femi A");
    world.check().await;
}

/// Many people with money on the start list.
fn many(people: usize, margin: u32, week: u32) -> String {
    let (settings, _) = DEMO.split_once("\n# -----").unwrap();
    let settings = settings
        .replace(
            "country = \"GB\"\n",
            &format!("country = \"GB\"\nexchange_margin_percent = {margin}\n"),
        )
        .replace("amount = \"40.00\"", &format!("amount = \"{week}.00\""));
    let person = |number: usize| {
        format!(
            "\n[[person]]\nid = \"person{number}\"\nname = \"Person {number}\"\n\
             worker = \"amina\"\n\
             \n[[person.card]]\nconnection = \"riverside-stripe\"\ntoken = \"ic_1Many{number}\"\n\
             last_four = \"0000\"\nstate = \"active\"\n\
             \n[[person.pot]]\nid = \"week\"\nname = \"week\"\nstream = \"homes\"\n\
             allocated = \"1000.00\"\nloads = [{{ id = \"start\", amount = \"1000.00\" }}]\n"
        )
    };
    let people: String = (0..people).map(person).collect();
    patient(&format!("{settings}\n{people}"))
}

fn of_person(number: usize, reference: &str) -> Purchase {
    Purchase { card: format!("ic_1Many{number}"), ..purchase(reference, 1) }
}

/// The versions of the settings and of the list that decisions used.
async fn versions(database: &TestDatabase) -> BTreeSet<(u64, u64)> {
    let rows = database.rows("SELECT facts FROM decision").await;
    let version = |row: &Vec<String>| {
        let facts: serde_json::Value = serde_json::from_str(&row[0]).unwrap();
        (
            facts["programme_version"].as_u64().unwrap(),
            facts["holder"]["agreement"].as_u64().unwrap(),
        )
    };
    rows.iter().map(version).collect()
}

async fn no_decision_mixes_two_versions_of_a_file(database: TestDatabase) {
    const PEOPLE: usize = 40;

    let world = World::open_with(database, &many(PEOPLE, 0, 40)).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let mut tills = Vec::new();
    for till in 0..4 {
        let (caller, is_done) = (world.caller(), Arc::clone(&is_done));
        tills.push(tokio::spawn(async move {
            let mut number = till;
            while !is_done.load(Ordering::SeqCst) {
                number += 7;
                let bought = of_person(number % PEOPLE, &format!("T{till}N{number}"));
                let answer = caller.authorise(&bought).await;
                assert!(answer.is_approved(), "{answer:?}");
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let done = applied(&world, &many(PEOPLE, 5, 50)).await;
    assert_eq!((done.version, done.changed, done.agreements), (2, PEOPLE, PEOPLE));
    tokio::time::sleep(Duration::from_millis(100)).await;
    is_done.store(true, Ordering::SeqCst);
    for till in tills {
        till.await.unwrap();
    }
    assert_eq!(versions(&world.database).await, BTreeSet::from([(1, 1), (2, 2)]));
    world.check().await;
}

/// The process that applies `file`, which is written to `folder`.
fn apply_command(database: &TestDatabase, folder: &Path, file: &str) -> Command {
    let path = folder.join("programme.toml");
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sayso"));
    database.give_key(&mut command);
    command
        .args(["--database", &database.url, "programme", "apply"])
        .arg(&path)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

async fn a_long_file_of_another_process_starves_no_authorisation(database: TestDatabase) {
    const KNOWN: usize = 60;
    const NEW: usize = 150;
    const ASK_EVERY: Duration = Duration::from_millis(50);

    let store = prepare(&database, &many(KNOWN, 0, 40)).await;
    let mut gateway = GatewayProcess::start(&database).await;
    let folder = tempfile::tempdir().unwrap();
    let file = lasting(&many(KNOWN + NEW, 5, 50));
    let mut command = apply_command(&database, folder.path(), &file);
    let applying = spawn_blocking(move || command.output().unwrap());
    let (caller, mut answers, mut tick) = (gateway.caller(), JoinSet::new(), interval(ASK_EVERY));
    while !applying.is_finished() {
        tick.tick().await;
        let number = answers.len();
        let bought = of_person(number % KNOWN, &format!("During{number}"));
        let caller = caller.clone();
        answers.spawn(async move { caller.authorise_timed(&bought).await });
    }
    let ended = applying.await.unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    // On SQLite the pauses alone take longer than this.
    assert!(answers.len() > 5, "{} were asked", answers.len());
    for (answer, took) in answers.join_all().await {
        assert!(answer.is_approved(), "{answer:?} after {took:?}");
    }
    assert_eq!(half_way(&database).await, (60, "2".to_owned()));
    assert_eq!(count(&database, "person WHERE true").await, 210);
    gateway.kill();
    prove(&store).await;
    store.close().await;
}

/// Applies `file` in a process that is killed after `commits` commits.
fn apply_and_die(database: &TestDatabase, file: &str, commits: u32) {
    let folder = tempfile::tempdir().unwrap();
    let ended = apply_command(database, folder.path(), file)
        .env(sayso::platform::crash::CRASH_AT_VARIABLE, format!("committed:{commits}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), None, "it ended by itself: {said}");
}

/// The number of people with their second list, and the version of the settings in force for the
/// others.
async fn half_way(database: &TestDatabase) -> (i64, String) {
    let changed = count(database, "budget WHERE agreement_version = 2").await;
    let rows = database.rows("SELECT CAST(version AS TEXT) FROM programme").await;
    (changed, rows[0][0].clone())
}

async fn a_file_that_broke_off_is_finished_at_the_next_start(database: TestDatabase) {
    const PEOPLE: usize = 12;

    let store = prepare(&database, &many(PEOPLE, 0, 40)).await;
    apply_and_die(&database, &many(PEOPLE, 5, 50), 6);
    let (changed, in_force) = half_way(&database).await;
    assert!(0 < changed && changed < 12, "{changed}");
    assert_eq!(in_force, "1");
    let mut gateway = GatewayProcess::start(&database).await;
    assert_eq!(half_way(&database).await, (12, "2".to_owned()));
    assert_eq!(count(&database, "application WHERE true").await, 0);
    for number in 0..PEOPLE {
        let bought = of_person(number, &format!("After{number}"));
        assert!(gateway.caller().authorise(&bought).await.is_approved());
    }
    assert_eq!(versions(&database).await, BTreeSet::from([(2, 2)]));
    gateway.kill();
    prove(&store).await;
    store.close().await;
}

async fn a_file_that_broke_off_is_finished_before_the_next_one(database: TestDatabase) {
    const PEOPLE: usize = 6;

    let store = prepare(&database, &many(PEOPLE, 0, 40)).await;
    apply_and_die(&database, &many(PEOPLE, 5, 50), 4);
    assert_eq!(half_way(&database).await.1, "1");
    // Applying another file first completes the interrupted one.
    let ids = sayso::platform::ids::NewIds::default();
    let now = sayso::platform::clock::Clock::system().now();
    let third = many(PEOPLE, 5, 60);
    let done = apply(&store, &ids, now, &third, RULES).await.unwrap();
    assert_eq!((done.version, done.agreements), (3, PEOPLE));
    assert_eq!(count(&database, "agreement WHERE version = 2").await, 6);
    assert_eq!(count(&database, "budget WHERE agreement_version = 3").await, 6);
    let again = apply(&store, &ids, now, &third, RULES).await.unwrap();
    assert_eq!((again.version, again.changed), (3, 0));
    prove(&store).await;
    store.close().await;
}
