//! Responses within the deadline, whatever the database does, and without leftover holds.

use std::time::Duration;

use sqlx::Executor as _;

use super::faults::{BudgetLock, FaultyProxy, slow_down, speed_up};
use crate::caller::{Caller, authorise_concurrently, wait_until};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{
    ANA, APPROVED, AuthorisationState, DEE, DEMO, FEMI, Purchase, TestResponse, World, purchase,
};

on_both_databases!(
    scenario_05_a_retry_waits_for_the_first_and_hears_the_same,
    scenario_05_a_retry_behind_a_lock_is_answered_in_time,
    scenario_07_an_approval_that_nobody_heard_is_withdrawn,
    scenario_07_a_repeat_that_heard_an_approval_keeps_it,
    scenario_43_the_day_is_that_of_the_arrival,
    a_locked_database_is_our_fault_in_time,
    a_slow_database_is_our_fault_in_time,
);

/// The issuer's deadline. The gateway answers within 1.3 seconds; the rest is for a machine with
/// two busy cores.
const IN_TIME: Duration = Duration::from_secs(2);

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Whether nothing was decided, or the decision is withdrawn.
fn is_our_fault(answer: &TestResponse) -> bool {
    !answer.is_approved() && answer.reason() == "our_fault"
}

async fn scenario_05_a_retry_waits_for_the_first_and_hears_the_same(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Waits", 12_50);
    let lock = BudgetLock::take(&world.database, "dee").await;
    let mut asking = Vec::new();
    for _ in 0..3 {
        let (caller, bought) = (world.caller(), bought.clone());
        asking.push(tokio::spawn(async move { caller.authorise(&bought).await }));
        pause(50).await;
    }
    pause(100).await;
    lock.release().await;
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap());
    }
    assert!(answers[0].is_approved(), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.count("decision", "true").await, 1);
    assert_eq!(world.figure("dee", "held").await, 12_50);
    world.check().await;
}

async fn scenario_05_a_retry_behind_a_lock_is_answered_in_time(database: TestDatabase) {
    let world = World::open(database).await;
    let bought = purchase("Waits", 12_50);
    let lock = BudgetLock::take(&world.database, "dee").await;
    let twice = [(world.caller(), bought.clone()), (world.caller(), bought.clone())];
    for (answer, took) in authorise_concurrently(twice).await {
        assert!(is_our_fault(&answer) && answer.decision().is_empty(), "{answer:?}");
        assert!(took < IN_TIME, "{took:?}");
    }
    // The gateway has given up by now, and holds no lock.
    pause(500).await;
    lock.release().await;
    assert_eq!(world.count("decision", "true").await, 0, "what was never recorded is no decision");
    world.caller().wait_until_ready(true).await;
    assert!(world.authorise(&bought).await.is_approved());
    assert_eq!(world.figure("dee", "held").await, 12_50);
    world.check().await;
}

/// A gateway with a short deadline, so that a moderately slow database suffices.
fn in_a_hurry() -> String {
    DEMO.replace("answer_within_ms = 1300", "answer_within_ms = 500")
}

async fn scenario_07_an_approval_that_nobody_heard_is_withdrawn(database: TestDatabase) {
    let world = World::open_with(database, &in_a_hurry()).await;
    slow_down(&world.database, "%Slow%", Duration::from_secs(1)).await;
    let slow = [purchase("SlowNo", 12_50), purchase("SlowYes", 7_00)];
    for (number, bought) in (1..).zip(&slow) {
        let (answer, took) = world.caller().authorise_timed(bought).await;
        assert!(is_our_fault(&answer) && answer.decision().is_empty(), "{answer:?}");
        assert!(took < Duration::from_millis(500 + 300), "{took:?}");
        wait_until(async || world.count("withdrawal", "true").await == number).await;
    }
    assert_eq!(world.count("decision", "outcome = 'approved'").await, 2, "recorded, and unchanged");
    assert_eq!(world.figure("dee", "held").await, 0);
    let fault = "body LIKE '%This was our fault.%'";
    assert_eq!(world.count("message", fault).await, 2, "each is told, with the withdrawal");
    let repeats = [world.authorise(&slow[0]).await, world.authorise(&slow[1]).await];
    for (repeat, bought) in repeats.iter().zip(&slow) {
        assert!(is_our_fault(repeat) && !repeat.decision().is_empty(), "{repeat:?}");
        assert_eq!(world.authorise(bought).await, *repeat);
    }
    // The issuer's snapshot settles it: one was declined, the other approved by its own rules.
    let declined = AuthorisationState { approved: false, reason: "webhook_timeout", ..APPROVED };
    world.send_event(&slow[0].snapshot("created", world.now(), &declined)).await;
    let approved = AuthorisationState { reason: "webhook_timeout", amount: 7_00, ..APPROVED };
    world.send_event(&slow[1].snapshot("created", world.now(), &approved)).await;
    assert_eq!(world.figure("dee", "held").await, 7_00);
    world.prove().await;
    world.send_event(&slow[1].captured(world.now(), "c", 7_00)).await;
    world.send_event(&slow[1].over(world.now(), "closed")).await;
    assert_eq!(world.count("message", fault).await, 2, "the issuer's word for it is no news");
    assert_eq!(world.count("message", "kind = 'kept-without-us'").await, 1);
    assert_eq!(world.count("message", "true").await, 3);
    assert_eq!(world.figure("dee", "held").await, 0);
    assert_eq!(world.figure("dee", "spent").await, 7_00);
    world.check().await;
}

/// The first request timed out, but its retry in the same batch was approved: that approval must
/// stand.
async fn scenario_07_a_repeat_that_heard_an_approval_keeps_it(database: TestDatabase) {
    let file = DEMO.replace("answer_within_ms = 1300", "answer_within_ms = 1000");
    let world = World::open_with(database, &file).await;
    slow_down(&world.database, "%Slow%", Duration::from_millis(600)).await;
    for round in 0..3 {
        let (other, bought) =
            (purchase(&format!("SlowFirst{round}"), 1_00), purchase(&format!("Slow{round}"), 1_00));
        // Another request keeps the lane busy while these two queue, so that they share a batch.
        // Its commit returns between their deadlines.
        let mut asking = Vec::new();
        for (bought, wait) in [(other, 100), (bought.clone(), 400), (bought.clone(), 0)] {
            let caller = world.caller();
            asking.push(tokio::spawn(async move { caller.authorise(&bought).await }));
            pause(wait).await;
        }
        let mut answers = Vec::new();
        for asked in asking {
            answers.push(asked.await.unwrap());
        }
        pause(1000).await;
        let again = world.authorise(&bought).await;
        let was_told_yes = answers[1..].iter().any(TestResponse::is_approved);
        if was_told_yes {
            assert!(again.is_approved(), "{answers:?}, then {again:?}");
        } else if was_withdrawn(&world, &bought).await {
            assert!(!again.is_approved(), "{answers:?}, then {again:?}");
        }
        // Otherwise both were rejected at once as too late, and nothing was recorded.
    }
    speed_up(&world.database).await;
    world.check().await;
}

async fn was_withdrawn(world: &World, bought: &Purchase) -> bool {
    let condition = format!("reference LIKE '{}%'", bought.id);
    world.count("withdrawal", &condition).await > 0
}

async fn scenario_43_the_day_is_that_of_the_arrival(database: TestDatabase) {
    let world = World::open(database).await;
    world.set_time("2026-11-23T23:59:59.9Z");
    let lock = BudgetLock::take(&world.database, "ana").await;
    let before = Purchase { card: ANA.to_owned(), ..purchase("Before", 5_00) };
    let (caller, asked) = (world.caller(), before.clone());
    let asking = tokio::spawn(async move { caller.authorise(&asked).await });
    pause(300).await;
    world.set_time("2026-11-24T00:00:00.1Z");
    pause(250).await;
    lock.release().await;
    let answer = asking.await.unwrap();
    // Ana's card may not be used from 23:00 to 06:00; Dee's may.
    assert_eq!(answer.reason(), "hours", "{answer:?}");
    let mut connection = world.database.connect().await;
    let facts: String =
        sqlx::query_scalar("SELECT facts FROM decision").fetch_one(&mut connection).await.unwrap();
    assert!(facts.contains("2026-11-23"), "{facts}");
    assert!(!facts.contains("2026-11-24"), "{facts}");
    drop(connection);

    // Femi may spend 30.00 a day on food: 20.00 count on Monday, so 30.00 are left for Tuesday.
    world.set_time("2026-11-23T23:59:59.9Z");
    let lock = BudgetLock::take(&world.database, "femi").await;
    let monday = Purchase { card: FEMI.to_owned(), ..purchase("Monday", 20_00) };
    let (caller, asked) = (world.caller(), monday.clone());
    let asking = tokio::spawn(async move { caller.authorise(&asked).await });
    pause(300).await;
    world.set_time("2026-11-24T00:00:00.1Z");
    pause(250).await;
    lock.release().await;
    assert!(asking.await.unwrap().is_approved());
    let tuesday = Purchase { card: FEMI.to_owned(), ..purchase("Tuesday", 30_00) };
    let answer = world.authorise(&tuesday).await;
    assert!(answer.is_approved(), "{answer:?}");
    let first_days = "first_day = '2026-11-23' AND amount_minor = 2000";
    assert_eq!(world.count("counter", &format!("period = 'day' AND {first_days}")).await, 1);
    world.check().await;
}

/// The number of concurrent purchases.
const CROWD: usize = 24;

/// Concurrent purchases of three people: more than one batch for every lane.
fn crowd(caller: &Caller, name: &str) -> Vec<(Caller, Purchase)> {
    let cards = [DEE, FEMI, ANA];
    let buy = |number: usize| {
        let bought = purchase(&format!("{name}{number}"), 10);
        (caller.clone(), Purchase { card: cards[number % 3].to_owned(), ..bought })
    };
    (0..CROWD).map(buy).collect()
}

/// Sends waves of requests during an outage. All responses must be our fault, and within the
/// deadline.
async fn endure(caller: &Caller, name: &str, waves: usize) {
    let mut asking = Vec::new();
    for wave in 0..waves {
        asking.push(tokio::spawn(authorise_concurrently(crowd(caller, &format!("{name}{wave}x")))));
        pause(400).await;
    }
    for asked in asking {
        for (answer, took) in asked.await.unwrap() {
            assert!(is_our_fault(&answer), "{answer:?}");
            assert!(took < IN_TIME, "{took:?}");
        }
    }
}

/// Asserts the state after the database has recovered.
async fn is_well_again(world: World) {
    let caller = world.caller();
    caller.wait_until_ready(true).await;
    assert_eq!(caller.counted("sayso_queue_depth").await, 0);
    let held = async |person| world.figure(person, "held").await;
    wait_until(async || held("dee").await + held("femi").await + held("ana").await == 0).await;
    for (answer, took) in authorise_concurrently(crowd(&caller, "After")).await {
        assert!(answer.is_approved(), "{answer:?}");
        assert!(took < IN_TIME, "{took:?}");
    }
    // Approvals that were committed during the recovery without reaching the issuer are withdrawn.
    wait_until(async || held("dee").await == 8 * 10).await;
    world.check().await;
}

async fn our_faults(caller: &Caller) -> u64 {
    let by = |why| caller.counted_our_fault(why);
    let mut all = 0;
    for why in ["not_recorded", "too_late", "queue_full", "no_time", "breaker_open"] {
        all += by(why).await;
    }
    all
}

impl Caller {
    async fn counted_our_fault(&self, why: &str) -> u64 {
        self.counted(&format!("sayso_our_fault_total{{why=\"{why}\"}}")).await
    }
}

async fn a_locked_database_is_our_fault_in_time(database: TestDatabase) {
    let world = World::open(database).await;
    let caller = world.caller();
    let mut locks = vec![BudgetLock::take(&world.database, "dee").await];
    if world.database.kind == DatabaseKind::Postgres {
        // One locked budget affects no other one, and does not change the readiness.
        let others = crowd(&caller, "Others").into_iter().filter(|(_, bought)| bought.card != DEE);
        for (answer, _) in authorise_concurrently(others).await {
            assert!(answer.is_approved(), "{answer:?}");
        }
        assert!(caller.is_ready().await);
        for card in [FEMI, ANA] {
            for number in 0..CROWD {
                let bought = purchase(&format!("Others{number}"), 10);
                let bought = Purchase { card: card.to_owned(), ..bought };
                if [DEE, FEMI, ANA][number % 3] == card {
                    world.send_event(&bought.over(world.now(), "reversed")).await;
                }
            }
        }
        locks.push(BudgetLock::take(&world.database, "femi").await);
        locks.push(BudgetLock::take(&world.database, "ana").await);
    }
    let counted = our_faults(&caller).await;
    let is_sqlite = world.database.kind == DatabaseKind::Sqlite;
    let watching = caller.clone();
    let watch = tokio::spawn(async move {
        if is_sqlite {
            watching.wait_until_ready(false).await;
        }
    });
    endure(&caller, "Locked", 4).await;
    watch.await.unwrap();
    assert_eq!(our_faults(&caller).await - counted, 4 * 24);
    // The gateway has given up by now, and holds no lock.
    pause(500).await;
    for lock in locks {
        lock.release().await;
    }
    assert_eq!(world.count("decision", "purchase_reference LIKE '%Locked%'").await, 0);
    is_well_again(world).await;
}

async fn a_slow_database_is_our_fault_in_time(database: TestDatabase) {
    let world = World::open(database).await;
    let caller = world.caller();
    slow_down(&world.database, "%Slow%", Duration::from_millis(2500)).await;
    let counted = our_faults(&caller).await;
    let watching = caller.clone();
    let watch = tokio::spawn(async move { watching.wait_until_ready(false).await });
    // One request of each person keeps each lane busy.
    let three = crowd(&caller, "Slow").into_iter().take(3);
    for (answer, took) in authorise_concurrently(three).await {
        assert!(is_our_fault(&answer), "{answer:?}");
        assert!(took < IN_TIME, "{took:?}");
    }
    watch.await.unwrap();
    assert_eq!(our_faults(&caller).await - counted, 3);
    speed_up_when_idle(&world).await;
    is_well_again(world).await;
}

/// Restores the speed once the gateway is ready, because dropping a trigger waits for the
/// transactions that use its table.
async fn speed_up_when_idle(world: &World) {
    let caller = world.caller();
    caller.wait_until_ready(true).await;
    speed_up(&world.database).await;
}

#[tokio::test]
async fn a_database_that_is_gone_is_our_fault_in_time() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let proxy = FaultyProxy::to(&database).await;
    let url = proxy.url.clone();
    let world = World::open_through(database, &url, DEMO).await;
    let caller = world.caller();
    for _ in 0..2 {
        let counted = our_faults(&caller).await;
        proxy.cut();
        let watching = caller.clone();
        let watch = tokio::spawn(async move { watching.wait_until_ready(false).await });
        endure(&caller, "Gone", 6).await;
        watch.await.unwrap();
        assert_eq!(world.get("/livez").await.status, 200, "a restart would not help");
        assert_eq!(our_faults(&caller).await - counted, 6 * 24);
        proxy.mend();
        caller.wait_until_ready(true).await;
    }
    is_well_again(world).await;
}

#[tokio::test]
async fn scenario_09_a_commit_that_was_not_confirmed_is_looked_up() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let proxy = FaultyProxy::to(&database).await;
    let url = proxy.url.clone();
    let world = World::open_through(database, &url, DEMO).await;
    for round in 1..=5 {
        let bought = purchase(&format!("Lost{round}"), 1_00);
        proxy.lose_next_commit();
        let answer = world.authorise(&bought).await;
        assert!(answer.is_approved(), "{answer:?}");
        assert_eq!(world.authorise(&bought).await, answer);
        assert_eq!(world.count("decision", "true").await, round);
        assert_eq!(world.figure("dee", "held").await, round * 1_00);
    }
    proxy.lose_next_commit();
    world.send_event(&purchase("Lost1", 1_00).captured(world.now(), "c", 1_00)).await;
    assert_eq!(world.figure("dee", "spent").await, 1_00);
    world.check().await;
}

#[tokio::test]
async fn scenario_09_a_commit_that_nobody_can_look_up_is_withdrawn_later() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let proxy = FaultyProxy::to(&database).await;
    let url = proxy.url.clone();
    let world = World::open_through(database, &url, DEMO).await;
    let bought = purchase("Lost", 12_50);
    proxy.lose_next_commit_and_cut();
    let (answer, took) = world.caller().authorise_timed(&bought).await;
    assert!(is_our_fault(&answer) && took < IN_TIME, "{answer:?} {took:?}");
    assert_eq!(world.count("decision", "outcome = 'approved'").await, 1, "it had gone through");
    let repeat = world.authorise(&bought).await;
    assert!(is_our_fault(&repeat), "{repeat:?}");
    proxy.mend();
    wait_until(async || world.count("withdrawal", "true").await == 1).await;
    assert_eq!(world.figure("dee", "held").await, 0);
    let repeat = world.authorise(&bought).await;
    assert!(is_our_fault(&repeat) && !repeat.decision().is_empty(), "{repeat:?}");
    world.check().await;
}

#[tokio::test]
async fn scenario_09_killed_connections_lose_and_double_nothing() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let world = World::open(database).await;
    let mut killer = world.database.connect().await;
    let killing = tokio::spawn(async move {
        for _ in 0..10 {
            let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                        WHERE datname = current_database() AND pid <> pg_backend_pid()";
            killer.execute(kill).await.unwrap();
            pause(300).await;
        }
    });
    let mut told = Vec::new();
    let mut wave = 0;
    while !killing.is_finished() {
        let asked = crowd(&world.caller(), &format!("Killed{wave}x"));
        let purchases: Vec<_> = asked.iter().map(|(_, bought)| bought.clone()).collect();
        let answers = authorise_concurrently(asked).await;
        told.extend(purchases.into_iter().zip(answers));
        wave += 1;
    }
    killing.await.unwrap();
    world.caller().wait_until_ready(true).await;
    let approved: Vec<_> = told.iter().filter(|(_, (answer, _))| answer.is_approved()).collect();
    assert!(approved.len() * 2 > told.len(), "{} of {}", approved.len(), told.len());
    // Every approval that was received is held exactly once, and nothing else is held.
    let all = async || {
        let people = ["dee", "femi", "ana"].map(|person| world.figure(person, "held"));
        let [dee, femi, ana] = people;
        dee.await + femi.await + ana.await
    };
    let expected = i64::try_from(approved.len()).unwrap() * 10;
    wait_until(async || all().await <= expected).await;
    assert_eq!(all().await, expected);
    for (bought, (answer, _)) in &approved {
        assert_eq!(world.authorise(bought).await, *answer);
    }
    let holds = world.count("hold", "held_minor > 0").await;
    assert_eq!(holds * 10, expected);
    world.check().await;
}

/// Makes the database fail the next `times` inserts of a decision with the SQLSTATE `code`.
async fn refuse_with(world: &World, code: &str, times: i64) {
    let mut connection = world.database.connect().await;
    // A sequence keeps its value when its transaction is rolled back.
    let statements = [
        "CREATE SEQUENCE IF NOT EXISTS attempt".to_owned(),
        "ALTER SEQUENCE attempt RESTART".to_owned(),
        format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('attempt') <= {times} THEN RAISE EXCEPTION 'forced' \
             USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$"
        ),
        "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON decision FOR EACH ROW \
         EXECUTE FUNCTION refuse()"
            .to_owned(),
    ];
    for statement in statements {
        connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
}

async fn attempts(world: &World) -> i64 {
    let mut connection = world.database.connect().await;
    sqlx::query_scalar("SELECT last_value FROM attempt").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn scenario_63_a_conflict_is_tried_again_twice_and_no_more() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let world = World::open(database).await;
    let caller = world.caller();
    for code in ["40001", "40P01", "55P03", "57P01"] {
        let counted = caller.counted("sayso_retries_total").await;
        refuse_with(&world, code, 2).await;
        let answer = world.authorise(&purchase(&format!("Twice{code}"), 1_00)).await;
        assert!(answer.is_approved(), "{code}: {answer:?}");
        assert_eq!(caller.counted("sayso_retries_total").await - counted, 2);

        let counted = our_faults(&caller).await;
        refuse_with(&world, code, 3).await;
        let (answer, took) =
            caller.authorise_timed(&purchase(&format!("Thrice{code}"), 1_00)).await;
        assert!(is_our_fault(&answer), "never told as a want of money: {answer:?}");
        assert!(took < IN_TIME, "{took:?}");
        assert_eq!(attempts(&world).await, 3);
        assert_eq!(our_faults(&caller).await - counted, 1);
    }
    assert_eq!(world.figure("dee", "held").await, 4 * 1_00);
    world.check().await;
}
