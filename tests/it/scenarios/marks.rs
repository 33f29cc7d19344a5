//! An SQLite database that has lost committed transactions.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::gateway::{GatewayProcess, count, prepare, prove};
use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, TestResponse, World, purchase};

fn file(database: &TestDatabase, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", database.url.strip_prefix("sqlite:").unwrap()))
}

/// Exit code and output of `sayso doctor`.
fn doctor(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String) {
    run(database, &[&["doctor"], arguments].concat())
}

/// Exit code and output of `sayso verify`.
fn verify(database: &TestDatabase) -> (Option<i32>, String) {
    run(database, &["verify"])
}

fn run(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_sayso"))
        .args(["--database", &database.url])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

fn is_our_fault(answer: &TestResponse) -> bool {
    !answer.is_approved() && answer.reason() == "our_fault"
}

/// Makes purchases, and kills the gateway so that its write-ahead log remains.
async fn shop(database: &TestDatabase, name: &str) -> Vec<(Purchase, TestResponse)> {
    let mut gateway = GatewayProcess::start(database).await;
    let mut told = Vec::new();
    for number in 0..20 {
        let bought = purchase(&format!("{name}{number}"), 1_00);
        let answer = gateway.caller().authorise(&bought).await;
        assert!(answer.is_approved(), "{answer:?}");
        told.push((bought, answer));
    }
    gateway.kill();
    told
}

/// Asserts that the gateway declines everything with a reason and books the issuer's events, until
/// the loss is accepted.
async fn is_made_up_for(database: &TestDatabase, told: &[(Purchase, TestResponse)]) {
    let mut gateway = GatewayProcess::spawn(database, Command::new(env!("CARGO_BIN_EXE_sayso")));
    let caller = gateway.caller();
    caller.wait_until_alive().await;
    assert!(!caller.is_ready().await);
    let (new, known) = (purchase("New", 1_00), &told[0]);
    for bought in [&new, &known.0] {
        assert!(
            is_our_fault(&caller.authorise(bought).await),
            "even a repeat may have been settled since"
        );
    }
    let (code, said) = doctor(database, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("BAD  mark") && said.contains("--accept-loss"), "{said}");

    let verified = verify(database);
    assert_eq!(verified.0, Some(1));
    for words in
        ["the ledger is NOT proved: 1 found", "mark riverside/", "an older copy was put back"]
    {
        assert!(verified.1.contains(words), "{words} is not in: {}", verified.1);
    }

    // The issuer's events restore the approved holds.
    for (bought, _) in told {
        caller.send_event(&bought.created(caller.clock.now(), 1_00)).await;
    }
    assert!(is_our_fault(&caller.authorise(&new).await), "newer rows make up for no older ones");
    gateway.kill();
    let mut gateway = GatewayProcess::spawn(database, Command::new(env!("CARGO_BIN_EXE_sayso")));
    let caller = gateway.caller();
    caller.wait_until_alive().await;
    assert!(!caller.is_ready().await, "a restart makes up for nothing either");

    let (code, said) = doctor(database, &["--accept-loss"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verify(database);
    assert_eq!(code, Some(0), "{said}");
    caller.wait_until_ready(true).await;
    let holds = i64::try_from(told.len()).unwrap();
    assert_eq!(count(database, "hold WHERE held_minor = 100").await, holds);
    assert!(caller.authorise(&new).await.is_approved());
    assert_eq!(count(database, "exception WHERE kind = 'loss_accepted'").await, 1);
    gateway.kill();
    let mut gateway = GatewayProcess::start(database).await;
    gateway.kill();
}

#[tokio::test]
async fn scenario_66_a_damaged_log_is_noticed_and_nothing_is_approved() {
    let database = TestDatabase::sqlite();
    prepare(&database, DEMO).await.close().await;
    let told = shop(&database, "Torn").await;
    let log = fs::read(file(&database, "-wal")).unwrap();
    assert!(log.len() > 100_000, "{}", log.len());
    fs::write(file(&database, "-wal"), &log[..log.len() * 6 / 10]).unwrap();
    is_made_up_for(&database, &told).await;
    let store = prepare(&database, DEMO).await;
    prove(&store).await;
    store.close().await;
}

#[tokio::test]
async fn scenario_67_an_older_copy_is_noticed_and_nothing_is_approved() {
    let database = TestDatabase::sqlite();
    prepare(&database, DEMO).await.close().await;
    let copy = fs::read(file(&database, "")).unwrap();
    let told = shop(&database, "Newer").await;
    // Restoring a copy includes removing the newer log.
    for ending in ["-wal", "-shm"] {
        fs::remove_file(file(&database, ending)).unwrap();
    }
    fs::write(file(&database, ""), copy).unwrap();
    is_made_up_for(&database, &told).await;
    let store = prepare(&database, DEMO).await;
    prove(&store).await;
    store.close().await;
}

/// A crash between a commit and its mark, and a lost or older mark, are no loss of data.
#[tokio::test]
async fn scenario_67_a_mark_that_is_behind_or_missing_stops_nothing() {
    let database = TestDatabase::sqlite();
    prepare(&database, DEMO).await.close().await;
    let older = fs::read(file(&database, ".mark")).unwrap();
    shop(&database, "First").await;
    fs::write(file(&database, ".mark"), older).unwrap();
    shop(&database, "Second").await;
    fs::remove_file(file(&database, ".mark")).unwrap();
    shop(&database, "Third").await;
    assert_eq!(doctor(&database, &[]).0, Some(0));
    fs::write(file(&database, ".mark"), "what is this").unwrap();
    let (code, said) = doctor(&database, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be read"), "{said}");
    let world = World::open(database).await;
    assert!(is_our_fault(&world.authorise(&purchase("Unknown", 1)).await));
    world.app.store().accept_loss().await.unwrap();
    assert!(world.authorise(&purchase("Known", 1)).await.is_approved());
    world.check().await;
}
