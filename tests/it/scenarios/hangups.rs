//! Connections that close before the response: the client's, or the one to the database.

use std::time::Duration;

use sayso::app::gateway::{App, AppSettings};
use sqlx::{AssertSqlSafe, Executor as _};

use super::faults::{BudgetLock, FaultyProxy, slow_down, speed_up};
use crate::caller::{Caller, wait_until};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{APPROVED, AuthorisationState, DEMO, FEMI, Purchase, World, patient, purchase};

on_both_databases!(
    scenario_07_what_was_decided_for_nobody_is_withdrawn_and_the_issuer_settles_it,
    scenario_07_what_nobody_waits_for_is_never_decided,
    scenario_07_a_retry_after_a_hang_up_hears_the_approval,
    scenario_07_a_repeat_that_nobody_heard_takes_nothing_back,
    scenario_07_one_that_cannot_be_withdrawn_stops_no_other,
    scenario_07_the_issuers_word_before_the_withdrawal_is_told_once,
);

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Sends an authorisation request, and closes the connection after `milliseconds`.
async fn authorise_and_hang_up(caller: Caller, bought: &Purchase, milliseconds: u64) {
    let patience = Duration::from_millis(milliseconds);
    let asked = tokio::time::timeout(patience, caller.try_authorise(bought)).await;
    assert!(asked.is_err(), "it was answered: {asked:?}");
}

async fn scenario_07_what_was_decided_for_nobody_is_withdrawn_and_the_issuer_settles_it(
    database: TestDatabase,
) {
    let world = World::open_with(database, &patient(DEMO)).await;
    slow_down(&world.database, "%Slow%", Duration::from_millis(600)).await;
    let both = [purchase("SlowNo", 12_50), purchase("SlowYes", 7_00)];
    for (number, bought) in (1..).zip(&both) {
        authorise_and_hang_up(world.caller(), bought, 200).await;
        wait_until(async || world.count("withdrawal", "true").await == number).await;
    }
    assert_eq!(world.count("decision", "outcome = 'approved'").await, 2);
    assert_eq!(world.figure("dee", "held").await, 0);
    // A retry gets the recorded response, always the same.
    let again = world.authorise(&both[0]).await;
    assert_eq!(again.reason(), "our_fault");
    assert_eq!(world.authorise(&both[0]).await, again);
    // The issuer has decided by itself, and reports how.
    let declined = AuthorisationState { approved: false, reason: "webhook_timeout", ..APPROVED };
    world.send_event(&both[0].snapshot("created", world.now(), &declined)).await;
    let approved = AuthorisationState { reason: "webhook_timeout", amount: 7_00, ..APPROVED };
    world.send_event(&both[1].snapshot("created", world.now(), &approved)).await;
    assert_eq!(world.figure("dee", "held").await, 7_00);
    world.check().await;
}

async fn scenario_07_what_nobody_waits_for_is_never_decided(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let lock = BudgetLock::take(&world.database, "dee").await;
    // The first request keeps the lane busy; the second one is still queued when its client hangs
    // up.
    let (caller, first) = (world.caller(), purchase("First", 1_00));
    let asking = tokio::spawn(async move { caller.authorise(&first).await });
    pause(50).await;
    authorise_and_hang_up(world.caller(), &purchase("Gone", 1_00), 100).await;
    pause(50).await;
    lock.release().await;
    assert!(asking.await.unwrap().is_approved());
    wait_until(async || world.caller().counted("sayso_queue_depth").await == 0).await;
    assert_eq!(world.count("decision", "true").await, 1);
    assert!(world.caller().counted("sayso_our_fault_total{why=\"client_gone\"}").await >= 1);
    assert!(world.authorise(&purchase("Gone", 1_00)).await.is_approved(), "a retry is a first try");
    world.check().await;
}

/// The retry is queued while the first request commits without a client.
async fn scenario_07_a_retry_after_a_hang_up_hears_the_approval(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    slow_down(&world.database, "%Slow%", Duration::from_millis(800)).await;
    let bought = purchase("Slow", 1_00);
    authorise_and_hang_up(world.caller(), &bought, 200).await;
    let answer = world.authorise(&bought).await;
    assert!(answer.is_approved(), "{answer:?}");
    pause(500).await;
    assert_eq!(world.count("withdrawal", "true").await, 0);
    assert_eq!(world.authorise(&bought).await, answer);
    assert_eq!(world.figure("dee", "held").await, 1_00);
    speed_up(&world.database).await;
    world.check().await;
}

/// The issuer received the first response, but not the one to its retry.
async fn scenario_07_a_repeat_that_nobody_heard_takes_nothing_back(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    let bought = purchase("Heard", 1_00);
    let answer = world.authorise(&bought).await;
    assert!(answer.is_approved());
    world.advance_clock(jiff::Span::new().seconds(1));
    let lock = BudgetLock::take(&world.database, "dee").await;
    authorise_and_hang_up(world.caller(), &bought, 100).await;
    lock.release().await;
    // The lane processes the next request after any withdrawal.
    assert!(world.authorise(&purchase("Next", 2_00)).await.is_approved());
    assert!(world.authorise(&purchase("Last", 4_00)).await.is_approved());
    assert_eq!(world.count("withdrawal", "true").await, 0);
    assert_eq!(world.figure("dee", "held").await, 7_00);
    assert_eq!(world.authorise(&bought).await, answer);
    world.check().await;
}

/// Makes the database reject every withdrawal whose reference contains `Culprit`.
async fn refuse_culprits(database: &TestDatabase) {
    let mut connection = database.connect().await;
    let statements: &[&str] = match database.kind {
        DatabaseKind::Sqlite => &["CREATE TRIGGER culprit BEFORE INSERT ON withdrawal \
                                   WHEN NEW.reference LIKE '%Culprit%' \
                                   BEGIN SELECT RAISE(ABORT, 'refused'); END"],
        DatabaseKind::Postgres => &[
            "CREATE FUNCTION culprit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'refused'; END $$",
            "CREATE TRIGGER culprit BEFORE INSERT ON withdrawal FOR EACH ROW \
             WHEN (NEW.reference LIKE '%Culprit%') EXECUTE FUNCTION culprit()",
        ],
    };
    for statement in statements {
        connection.execute(*statement).await.unwrap();
    }
}

async fn pardon_culprits(database: &TestDatabase) {
    let statement = match database.kind {
        DatabaseKind::Sqlite => "DROP TRIGGER culprit",
        DatabaseKind::Postgres => "DROP TRIGGER culprit ON withdrawal",
    };
    database.connect().await.execute(statement).await.unwrap();
}

async fn scenario_07_one_that_cannot_be_withdrawn_stops_no_other(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    refuse_culprits(&world.database).await;
    slow_down(&world.database, "%Slow%", Duration::from_secs(1)).await;
    let ask = |name: &str| {
        let (caller, bought) = (world.caller(), purchase(name, 1_00));
        tokio::spawn(async move { caller.authorise(&bought).await })
    };
    let first = ask("SlowFirst");
    pause(200).await;
    // They share the next batch, and their clients hang up while it is decided.
    let hanging_up = ["SlowA", "B", "Culprit", "D", "E"].map(ask);
    assert!(first.await.unwrap().is_approved());
    pause(300).await;
    for asked in hanging_up {
        asked.abort();
    }
    wait_until(async || world.count("withdrawal", "true").await == 4).await;
    let failed = "sayso_withdrawals_failed_total";
    wait_until(async || world.caller().counted(failed).await >= 1).await;
    assert_eq!(world.figure("dee", "held").await, 2_00, "the first, and the culprit");
    assert!(world.authorise(&purchase("After", 1_00)).await.is_approved());
    pardon_culprits(&world.database).await;
    wait_until(async || world.count("withdrawal", "true").await == 5).await;
    assert_eq!(world.figure("dee", "held").await, 2_00, "the first, and the last");
    world.check().await;
}

/// The issuer declined one after the timeout, and approved the other by its own rules. The
/// withdrawals are recorded later.
async fn scenario_07_the_issuers_word_before_the_withdrawal_is_told_once(database: TestDatabase) {
    let world = World::open_with(database, &patient(DEMO)).await;
    refuse_culprits(&world.database).await;
    slow_down(&world.database, "%Culprit%", Duration::from_secs(1)).await;
    let [refused, approved] = ["CulpritNo", "CulpritYes"].map(|name| purchase(name, 5_00));
    for bought in [&refused, &approved] {
        authorise_and_hang_up(world.caller(), bought, 300).await;
        let recorded = format!("reference LIKE '{}%'", bought.id);
        wait_until(async || world.count("decision", &recorded).await == 1).await;
    }
    let failed = "sayso_withdrawals_failed_total";
    wait_until(async || world.caller().counted(failed).await >= 1).await;
    let no = AuthorisationState {
        status: "closed",
        approved: false,
        reason: "webhook_declined",
        amount: 5_00,
        ..APPROVED
    };
    let yes = AuthorisationState { reason: "webhook_timeout", amount: 5_00, ..APPROVED };
    world.send_event(&refused.snapshot("created", world.now(), &no)).await;
    world.send_event(&approved.snapshot("created", world.now(), &yes)).await;
    let fault = "body LIKE '%This was our fault.%'";
    assert_eq!(world.count("message", fault).await, 1, "of the one that was refused");
    assert_eq!(world.exceptions().await, ["decided_without_us"; 2]);
    pardon_culprits(&world.database).await;
    wait_until(async || world.count("withdrawal", "true").await == 2).await;
    assert_eq!(world.count("message", fault).await, 1, "nobody is told twice, or told wrong");
    assert_eq!(world.figure("dee", "held").await, 5_00);
    assert_eq!(world.exceptions().await, ["decided_without_us"], "of the one that was approved");
    world.check().await;
}

/// As by a connection pooler that kills a connection within a transaction, after every statement.
#[tokio::test]
async fn scenario_71_a_connection_that_breaks_after_any_statement_costs_no_answer() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let proxy = FaultyProxy::to(&database).await;
    let url = proxy.url.clone();
    let world = World::open_through(database, &url, DEMO).await;
    let mut broken = 0;
    for passes in 0..40 {
        let bought = purchase(&format!("After{passes}"), 10);
        proxy.break_after(passes);
        let answer = world.authorise(&bought).await;
        let has_broken = proxy.has_broken();
        broken += i32::from(has_broken);
        assert!(answer.is_approved(), "after {passes}: {answer:?}");
        assert_eq!(world.authorise(&bought).await, answer);
        assert_eq!(world.count("decision", "true").await, passes + 1);
        proxy.break_after(passes);
        world.send_event_until_stored(&bought.captured(world.now(), "c", 10)).await;
        proxy.has_broken();
        world.send_event(&bought.over(world.now(), "closed")).await;
        assert_eq!(world.figures("dee").await[..2], [0, (passes + 1) * 10]);
        if !has_broken && passes > 5 {
            break;
        }
    }
    assert!(broken > 5, "a transaction has more statements than {broken}");
    world.check().await;
}

impl World {
    /// Sends an event until it is stored, as issuers do.
    async fn send_event_until_stored(&self, event: &serde_json::Value) {
        wait_until(async || self.send_event_body(&event.to_string()).await.status == 200).await;
    }
}

/// Two sessions lock two budgets in opposite orders, and PostgreSQL aborts one of them.
#[tokio::test]
async fn scenario_63_a_real_deadlock_is_no_reason_to_decline() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut other = database.connect().await;
    // The gateway must detect the deadlock first, and before its lock timeout.
    let name = "SELECT CAST(current_database() AS TEXT)";
    let name: String = sqlx::query_scalar(name).fetch_one(&mut other).await.unwrap();
    let setting = format!("ALTER DATABASE {name} SET deadlock_timeout = '150ms'");
    other.execute(AssertSqlSafe(setting)).await.unwrap();
    other.execute("SET deadlock_timeout = '20s'").await.unwrap();
    let world = World::open_with(database, &patient(DEMO)).await;
    // One lane, so that both requests share a transaction.
    let settings = world.database.settings(&world.clock);
    let app = App::start(AppSettings { committers: 1, ..settings }).await.unwrap();
    let caller = world.caller_of(&app);

    let ana = BudgetLock::take(&world.database, "ana").await;
    let ask = |card: &str, name: &str| {
        let bought = Purchase { card: card.to_owned(), ..purchase(name, 1_00) };
        let caller = caller.clone();
        tokio::spawn(async move { caller.authorise(&bought).await })
    };
    let first = ask(crate::world::ANA, "Ana");
    pause(100).await;
    let two = [ask(crate::world::DEE, "Dee"), ask(FEMI, "Femi")];
    pause(50).await;
    other.execute("BEGIN").await.unwrap();
    let lock = |person: &str| {
        AssertSqlSafe(format!("SELECT 1 FROM budget WHERE budget_id = '{person}' FOR UPDATE"))
    };
    other.execute(lock("femi")).await.unwrap();
    ana.release().await;
    // The gateway holds Dee's lock, and waits for Femi's.
    let waits = "wait_event_type = 'Lock' AND datname = current_database()";
    wait_until(async || world.count("pg_stat_activity", waits).await == 1).await;
    other.execute(lock("dee")).await.unwrap();
    pause(50).await;
    other.execute("ROLLBACK").await.unwrap();
    assert!(first.await.unwrap().is_approved());
    for asked in two {
        let answer = asked.await.unwrap();
        assert!(answer.is_approved(), "{answer:?}");
    }
    let seen = "datname = current_database() AND deadlocks > 0";
    wait_until(async || world.count("pg_stat_database", seen).await == 1).await;
    app.stop().await;
    world.check().await;
}
