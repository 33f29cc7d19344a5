//! More load than the gateway can process, slow databases, and a full disk.

use std::process::Command;
use std::time::{Duration, Instant};

use sayso::platform::ids::NewIds;
use sayso::programme::apply::apply;
use sqlx::Executor as _;
use tokio::task::JoinSet;

use super::faults::{FaultyProxy, slow_down, speed_up};
use super::gateway::{GatewayProcess, count, prepare, prove};
use crate::caller::{Caller, authorise_concurrently, wait_until};
use crate::support::TestDatabase;
use crate::world::{
    ANA, DEE, DEMO, FEMI, MONDAY_MORNING, Purchase, RULES, TestResponse, World, patient, purchase,
};

on_both_databases!(
    scenario_73_events_and_questions_each_have_their_turn,
    scenario_73_twelve_days_of_events_keep_no_question_waiting,
    scenario_72_a_flood_takes_no_more_memory_than_the_queues_have,
    a_question_that_cannot_be_in_time_is_answered_at_once,
);

/// No response may take longer, whatever the database does.
const LATEST: Duration = Duration::from_millis(1500);

/// A gateway with a shorter deadline, to leave more of [`LATEST`] to a busy machine.
fn early() -> String {
    DEMO.replace("answer_within_ms = 1300", "answer_within_ms = 900")
}

const CARDS: [&str; 3] = [DEE, FEMI, ANA];

fn bought(name: &str, number: usize) -> Purchase {
    let card = CARDS[number % CARDS.len()].to_owned();
    Purchase { card, ..purchase(&format!("{name}{number}"), 1) }
}

fn is_our_fault(answer: &TestResponse) -> bool {
    !answer.is_approved() && answer.reason() == "our_fault"
}

/// Tills that send one request after another, until they are dropped.
fn busy_tills(caller: &Caller, tills: usize) -> JoinSet<()> {
    let mut busy = JoinSet::new();
    for till in 0..tills {
        let caller = caller.clone();
        busy.spawn(async move {
            for number in 0.. {
                caller.authorise(&bought(&format!("T{till}N"), number)).await;
            }
        });
    }
    busy
}

async fn scenario_73_events_and_questions_each_have_their_turn(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let caller = world.caller();
    let mut busy = busy_tills(&caller, 100);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for number in 0..5 {
        let told = Instant::now();
        world.send_event(&bought("Event", number).captured(world.now(), "c", 1)).await;
        let took = told.elapsed();
        assert!(took < Duration::from_secs(3), "event {number} waited for {took:?}");
    }
    busy.shutdown().await;
    wait_until(async || world.caller().counted("sayso_queue_depth").await == 0).await;
    assert_eq!(world.count("presentment", "true").await, 5);
    world.check().await;
}

async fn scenario_73_twelve_days_of_events_keep_no_question_waiting(database: TestDatabase) {
    const TELLERS: usize = 200;
    const EACH: usize = 25;

    let store = prepare(&database, DEMO).await;
    let gateway = GatewayProcess::start(&database).await;
    let caller = gateway.caller();
    let mut telling = JoinSet::new();
    for teller in 0..TELLERS {
        let caller = caller.clone();
        telling.spawn(async move {
            for number in 0..EACH {
                let event = bought(&format!("E{teller}N"), number);
                caller.send_event(&event.captured(caller.clock.now(), "c", 1)).await;
            }
        });
    }
    let mut took = Vec::new();
    while !telling.is_empty() {
        while telling.try_join_next().is_some() {}
        let (answer, time) = caller.authorise_timed(&bought("Asked", took.len())).await;
        assert!(!is_our_fault(&answer), "{answer:?} after {time:?}");
        took.push(time);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort();
    let (half, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    assert!(took.len() > 20, "{} questions", took.len());
    assert!(half < LATEST && slowest < 2 * LATEST, "p50 {half:?}, slowest {slowest:?}");
    let told = i64::try_from(TELLERS * EACH).unwrap();
    assert_eq!(count(&database, "presentment WHERE true").await, told);
    drop(gateway);
    prove(&store).await;
    store.close().await;
}

async fn scenario_72_a_flood_takes_no_more_memory_than_the_queues_have(database: TestDatabase) {
    const CONCURRENT_REQUESTS: usize = 600;
    const MOST_KB: u64 = 150_000;

    let store = prepare(&database, DEMO).await;
    let mut gateway = GatewayProcess::start(&database).await;
    slow_down(&database, "%Slow%", Duration::from_millis(700)).await;
    let before = gateway.memory_kb();
    let mut told = Vec::new();
    for wave in 0..3 {
        let caller = gateway.caller();
        let flood = (0..CONCURRENT_REQUESTS).map(|number| {
            let name = if number % 200 == 0 { "Slow" } else { "Flood" };
            (caller.clone(), bought(&format!("{name}{wave}x"), number))
        });
        let flood: Vec<_> = flood.collect();
        let answers = authorise_concurrently(flood.clone()).await;
        told.extend(flood.into_iter().map(|(_, bought)| bought).zip(answers));
    }
    let after = gateway.memory_kb();
    assert!(after < before + MOST_KB, "{before} KB, then {after} KB");
    // Killed as by the kernel when memory runs out.
    gateway.kill();
    speed_up(&database).await;
    let gateway = GatewayProcess::start(&database).await;
    for some in told.chunks(200) {
        let again = some.iter().filter(|(_, (answer, _))| answer.is_approved());
        let again: Vec<_> = again.map(|(bought, (answer, _))| (bought, answer)).collect();
        let asked = again.iter().map(|(bought, _)| (gateway.caller(), (*bought).clone()));
        for ((_, first), (answer, _)) in again.iter().zip(authorise_concurrently(asked).await) {
            assert_eq!(answer, **first);
        }
    }
    drop(gateway);
    prove(&store).await;
    store.close().await;
}

async fn a_question_that_cannot_be_in_time_is_answered_at_once(database: TestDatabase) {
    let world = World::open(database).await;
    let caller = world.caller();
    slow_down(&world.database, "%Slow%", Duration::from_secs(3)).await;
    // One on every lane.
    let three = (0..3).map(|number| (caller.clone(), bought("Slow", number)));
    let slow = tokio::spawn(authorise_concurrently(three.collect::<Vec<_>>()));
    tokio::time::sleep(Duration::from_millis(1400)).await;
    let hopeless = (10..16).map(|number| (caller.clone(), bought("Hopeless", number)));
    for (answer, took) in authorise_concurrently(hopeless).await {
        assert!(is_our_fault(&answer), "{answer:?}");
        assert!(took < Duration::from_millis(600), "it need not have waited: {took:?}");
    }
    assert!(caller.counted("sayso_our_fault_total{why=\"no_time\"}").await >= 6);
    slow.await.unwrap();
    caller.wait_until_ready(true).await;
    speed_up(&world.database).await;
    wait_until(async || world.authorise(&purchase("After", 1)).await.is_approved()).await;
    world.check().await;
}

/// Sends waves of requests during an outage. Every response must be our fault, and in time.
async fn endure(caller: &Caller, name: &str, waves: usize) {
    let mut asking = Vec::new();
    for wave in 0..waves {
        let crowd =
            (0..24).map(|number| (caller.clone(), bought(&format!("{name}{wave}x"), number)));
        asking.push(tokio::spawn(authorise_concurrently(crowd.collect::<Vec<_>>())));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    for asked in asking {
        for (answer, took) in asked.await.unwrap() {
            assert!(is_our_fault(&answer), "{answer:?}");
            assert!(took < LATEST, "{took:?}");
        }
    }
}

async fn world_behind_proxy() -> Option<(FaultyProxy, World)> {
    let database = TestDatabase::postgres().await?;
    // As in production, the file is applied by another process, so the gateway has only its first
    // connection open.
    let store = database.store().await;
    let now = MONDAY_MORNING.parse().unwrap();
    apply(&store, &NewIds::default(), now, &early(), RULES).await.unwrap();
    store.close().await;
    let proxy = FaultyProxy::to(&database).await;
    let url = proxy.url.clone();
    Some((proxy, World::open_through(database, &url, &early()).await))
}

async fn assert_recovers(world: World) {
    let caller = world.caller();
    caller.wait_until_ready(true).await;
    assert_eq!(caller.counted("sayso_queue_depth").await, 0);
    assert_eq!(caller.counted("sayso_breaker_state").await, 0);
    for number in 0..6 {
        let answer = world.authorise(&bought("After", number)).await;
        assert!(answer.is_approved(), "{answer:?}");
    }
    wait_until(async || world.count("hold", "held_minor > 0").await == 6).await;
    world.check().await;
}

#[tokio::test]
async fn scenario_58_a_database_that_is_gone_is_spared_and_found_again() {
    let Some((proxy, world)) = world_behind_proxy().await else { return };
    let caller = world.caller();
    assert!(world.authorise(&purchase("Before", 1)).await.is_approved());
    world.send_event(&purchase("Before", 1).over(world.now(), "reversed")).await;
    proxy.cut();
    endure(&caller, "Gone", 4).await;
    assert_eq!(caller.counted("sayso_breaker_state").await, 2);
    let spared = "sayso_our_fault_total{why=\"breaker_open\"}";
    let before = caller.counted(spared).await;
    for (answer, took) in
        authorise_concurrently((0..6).map(|n| (caller.clone(), bought("Spared", n)))).await
    {
        assert!(is_our_fault(&answer) && took < Duration::from_millis(500), "{took:?}");
    }
    assert_eq!(caller.counted(spared).await - before, 6);
    assert_eq!(world.get("/livez").await.status, 200);
    assert!(!caller.is_ready().await);
    proxy.mend();
    assert_recovers(world).await;
}

#[tokio::test]
async fn scenario_58_a_database_that_vanished_without_a_word_is_left_behind() {
    let Some((proxy, world)) = world_behind_proxy().await else { return };
    let caller = world.caller();
    proxy.fall_silent_after(8);
    // Longer than a lane waits for one transaction.
    endure(&caller, "Silent", 40).await;
    assert!(!caller.is_ready().await);
    proxy.speak_again();
    assert_recovers(world).await;
}

#[tokio::test]
async fn a_stop_ends_although_the_database_is_away() {
    for is_silent in [false, true] {
        let Some((proxy, world)) = world_behind_proxy().await else { return };
        let lost = purchase("Lost", 1);
        proxy.lose_next_commit_and_cut();
        assert!(is_our_fault(&world.authorise(&lost).await));
        if is_silent {
            proxy.mend();
            proxy.fall_silent();
            assert!(is_our_fault(&world.authorise(&purchase("Silent", 1)).await));
        }
        let begun = Instant::now();
        let World { app, database: _database, .. } = world;
        app.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn scenario_59_a_database_that_is_slow_piles_nothing_up() {
    let Some((proxy, world)) = world_behind_proxy().await else { return };
    let caller = world.caller();
    proxy.delay(Duration::from_millis(800));
    endure(&caller, "Slow", 12).await;
    let turned_away = caller.counted("sayso_our_fault_total{why=\"no_time\"}").await;
    assert!(turned_away > 100, "{turned_away}");
    let queued = caller.counted("sayso_queue_depth").await;
    assert!(queued < 48, "of twelve crowds, {queued} still wait");
    endure(&caller, "Slower", 12).await;
    let later = caller.counted("sayso_queue_depth").await;
    assert!(later <= queued, "twelve crowds later {later} wait, not {queued}");
    proxy.delay(Duration::ZERO);
    // The lanes become healthy again, one after the other.
    for number in 0..6 {
        let bought = bought("Soon", number);
        wait_until(async || world.authorise(&bought).await.is_approved()).await;
        // An issuer retries an event until it is stored.
        let reversed = bought.over(world.now(), "reversed").to_string();
        wait_until(async || world.send_event_body(&reversed).await.status == 200).await;
    }
    assert_recovers(world).await;
}

#[tokio::test]
async fn scenario_62_a_database_whose_disk_is_full_approves_nothing() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let world = World::open_with(database, &early()).await;
    let caller = world.caller();
    let mut connection = world.database.connect().await;
    for statement in [
        "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER disk_full BEFORE INSERT ON posting EXECUTE FUNCTION disk_full()",
    ] {
        connection.execute(statement).await.unwrap();
    }
    endure(&caller, "Full", 4).await;
    let event = purchase("Full", 1).captured(world.now(), "c", 1).to_string();
    assert_ne!(world.send_event_body(&event).await.status, 200, "the issuer must send it again");
    connection.execute("DROP TRIGGER disk_full ON posting").await.unwrap();
    assert_recovers(world).await;
}

/// A file size limit stands for a full disk. The log is a pipe that nobody reads, which fills up
/// soon.
#[tokio::test]
async fn scenario_62_a_full_disk_approves_nothing_and_a_full_log_stops_nothing() {
    let database = TestDatabase::sqlite();
    let store = prepare(&database, DEMO).await;
    // The limit is in blocks of 512 bytes: the existing files and a little more.
    let script = "trap '' XFSZ; ulimit -f 3000; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_sayso")]);
    command.env("SAYSO_LOG", "trace");
    let mut gateway = GatewayProcess::spawn_with_unread_log(&database, command);
    let caller = gateway.caller();
    caller.wait_until_ready(true).await;
    let mut told = Vec::new();
    let mut faults = 0;
    for number in 0..2000 {
        let bought = bought("Full", number);
        let (answer, took) = caller.authorise_timed(&bought).await;
        assert!(took < Duration::from_secs(15), "{took:?}");
        faults += usize::from(is_our_fault(&answer));
        told.push((bought, answer));
        if faults == 10 {
            break;
        }
    }
    assert!(faults == 10 && told.len() > 20, "{faults} of {}", told.len());
    gateway.kill();
    let mut gateway = GatewayProcess::start(&database).await;
    for (bought, first) in told.iter().filter(|(_, answer)| answer.is_approved()) {
        assert_eq!(gateway.caller().authorise(bought).await, *first);
    }
    let approved = told.iter().filter(|(_, answer)| answer.is_approved()).count();
    assert_eq!(
        count(&database, "hold WHERE held_minor > 0").await,
        i64::try_from(approved).unwrap()
    );
    gateway.kill();
    prove(&store).await;
    store.close().await;
}
