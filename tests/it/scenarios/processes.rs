//! Real processes: killed, concurrent, with files applied meanwhile, and with clients that
//! disconnect.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sayso::programme::apply::{ApplyError, apply};
use tokio::sync::Semaphore;

use super::gateway::{GatewayProcess, count, held_by_approval, prepare, prove};
use crate::caller::{Caller, authorise_concurrently, wait_until};
use crate::programme_text::ProgrammeText;
use crate::support::{DatabaseKind, TestDatabase, is_in_ci, project};
use crate::world::{
    CONNECTION, DEE, DEMO, Purchase, RULES, SECRET, TestResponse, World, dee_on_start_list,
    patient, purchase,
};

on_both_databases!(
    scenario_51_no_decision_goes_by_an_agreement_that_has_ended,
    scenario_52_no_card_pays_after_it_was_frozen,
    scenario_65_killed_at_any_moment_it_answers_the_same_again,
    scenario_68_money_for_one_pays_for_one,
    clients_that_go_away_leave_nothing_open,
);

/// A seeded random number generator.
struct SeededRandom(u64);

impl SeededRandom {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The issuer's record: each request with its response, if one arrived.
type IssuerLog = Vec<(Purchase, Option<TestResponse>)>;

/// Four tills, each sending purchases one after another until the gateway stops responding.
async fn shop_until_it_dies(caller: &Caller, round: u64) -> IssuerLog {
    let mut tills = Vec::new();
    for till in 0..4 {
        let caller = caller.clone();
        tills.push(tokio::spawn(async move {
            let mut asked = Vec::new();
            for number in 0..12 {
                let bought = purchase(&format!("R{round}T{till}N{number}"), 1);
                let answer = caller.try_authorise(&bought).await.ok();
                let is_dead = answer.is_none();
                asked.push((bought, answer));
                if is_dead {
                    break;
                }
            }
            asked
        }));
    }
    let mut asked = Vec::new();
    for till in tills {
        asked.extend(till.await.unwrap());
    }
    asked
}

async fn scenario_65_killed_at_any_moment_it_answers_the_same_again(database: TestDatabase) {
    const ROUNDS: u64 = 30;

    let store = prepare(&database, DEMO).await;
    let mut random = SeededRandom(65);
    let mut gateway = GatewayProcess::start(&database).await;
    let (mut unanswered, mut all) = (0, 0);
    let mut approved = 0;
    let mut held = BTreeMap::new();
    for round in 0..ROUNDS {
        let caller = gateway.caller();
        let shopping = tokio::spawn(async move { shop_until_it_dies(&caller, round).await });
        tokio::time::sleep(Duration::from_millis(3 + random.below(60))).await;
        gateway.kill();
        let asked = shopping.await.unwrap();
        gateway = GatewayProcess::start(&database).await;
        // Checked before any retry, because a retry would decide a lost hold again.
        check_held(&held, &held_by_approval(&database).await, &asked);

        let again = asked.iter().map(|(bought, _)| (gateway.caller(), bought.clone()));
        let mut told = Vec::new();
        for ((bought, first), (answer, _)) in asked.iter().zip(authorise_concurrently(again).await)
        {
            all += 1;
            assert!(answer.is_approved(), "{bought:?}: {answer:?}");
            approved += 1;
            told.push((bought.id.clone(), answer.decision()));
            match first {
                Some(first) => assert_eq!(answer, *first),
                None => unanswered += 1,
            }
        }
        held = held_by_approval(&database).await;
        check_retried(&held, &told);
    }
    assert!(unanswered >= ROUNDS, "it was killed while it worked: {unanswered} of {all}");
    let answered = u64::try_from(all).unwrap() - unanswered;
    assert!(answered >= ROUNDS, "it answered before it was killed: {unanswered} of {all}");
    assert_eq!(count(&database, "decision WHERE true").await, all);
    assert_eq!(count(&database, "hold WHERE held_minor = 1").await, approved);
    assert_eq!(count(&database, "hold WHERE true").await, approved);
    gateway.kill();
    assert_eq!(held_by_approval(&database).await, held, "the last kill changed nothing");
    prove(&store).await;
    store.close().await;
}

/// Checks that each approval that a retry was told holds its penny, whether it was decided before
/// the kill or after.
fn check_retried(held: &BTreeMap<(String, String), i64>, told: &[(String, String)]) {
    for approval in told {
        assert_eq!(held.get(approval), Some(&1), "{approval:?} was told by a retry");
    }
}

/// Checks that the holds `after` a kill are all of `before`, one for every approval received since,
/// and beyond those only holds of unanswered requests.
fn check_held(
    before: &BTreeMap<(String, String), i64>,
    after: &BTreeMap<(String, String), i64>,
    asked: &IssuerLog,
) {
    for (approval, held) in before {
        assert_eq!(after.get(approval), Some(held), "{approval:?}");
    }
    let mut open = after.clone();
    open.retain(|approval, _| !before.contains_key(approval));
    for (bought, answer) in asked.iter().filter_map(|(bought, a)| Some((bought, a.as_ref()?))) {
        let approval = (bought.id.clone(), answer.decision());
        assert_eq!(open.remove(&approval), Some(1), "{approval:?} was heard and is not held");
    }
    let unheard: Vec<_> = asked.iter().filter(|(_, answer)| answer.is_none()).collect();
    for ((reference, _), held) in open {
        let is_unheard = unheard.iter().any(|(bought, _)| bought.id == reference);
        assert!(is_unheard && held == 1, "{reference} was never asked, and {held} is held");
    }
}

/// `count` people with much money and without limits.
fn people_with_money(count: usize) -> String {
    let mut text = ProgrammeText::demo_settings();
    for number in 0..count {
        text.person(&format!("person{number}"), &format!("Person {number}"))
            .card(&format!("ic_1Race{number}"), "0000")
            .pot("week", "homes", "1000000000.00");
    }
    text.as_str().to_owned()
}

/// Each purchase costs more than half of what is left, so that the money covers one of two.
async fn scenario_68_money_for_one_pays_for_one(database: TestDatabase) {
    const PEOPLE: usize = 300;
    const ROUNDS: usize = 34;

    let store = prepare(&database, &people_with_money(PEOPLE)).await;
    let mut gateways = vec![GatewayProcess::start(&database).await];
    if database.kind == DatabaseKind::Postgres {
        gateways.push(GatewayProcess::start(&database).await);
    }
    let (here, there) = (gateways[0].caller(), gateways[gateways.len() - 1].caller());
    let places = Arc::new(Semaphore::new(50));
    let mut racing = Vec::new();
    for person in 0..PEOPLE {
        let (here, there, places) = (here.clone(), there.clone(), Arc::clone(&places));
        racing.push(tokio::spawn(async move {
            let _place = places.acquire().await.unwrap();
            let mut left = 1_000_000_000_00;
            for round in 0..ROUNDS {
                let amount = left / 2 + 1;
                let buy = |side: &str| Purchase {
                    card: format!("ic_1Race{person}"),
                    ..purchase(&format!("P{person}R{round}{side}"), amount)
                };
                let race = [(here.clone(), buy("Here")), (there.clone(), buy("There"))];
                let answers = authorise_concurrently(race).await;
                let paid: Vec<_> = answers.iter().map(|(answer, _)| answer.is_approved()).collect();
                assert!(paid[0] != paid[1], "person {person}, round {round}: {answers:?}");
                let lost = &answers[usize::from(paid[0])].0;
                assert!(lost.reason().contains("money"), "{lost:?}");
                left -= amount;
            }
            left
        }));
    }
    let mut left = 0;
    for race in racing {
        left += race.await.unwrap();
    }
    let rounds = i64::try_from(PEOPLE * ROUNDS).unwrap();
    assert_eq!(count(&database, "decision WHERE outcome = 'approved'").await, rounds);
    assert_eq!(count(&database, "decision WHERE outcome = 'declined'").await, rounds);
    let all = database.rows("SELECT CAST(SUM(left_minor) AS TEXT) FROM pot").await;
    assert_eq!(all[0][0], left.to_string());
    drop(gateways);
    prove(&store).await;
    store.close().await;
}

/// Applies two files in turn while Dee's card is used. Returns Dee's chain: each decision with the
/// version of the agreement that it used, and each new agreement.
async fn shop_while_files_change(world: &World, first: &str, other: &str) -> Vec<BudgetPosting> {
    let is_done = Arc::new(AtomicBool::new(false));
    let mut tills = Vec::new();
    for till in 0..4 {
        let (caller, is_done) = (world.caller(), Arc::clone(&is_done));
        tills.push(tokio::spawn(async move {
            let mut number = 0;
            while !is_done.load(Ordering::SeqCst) {
                number += 1;
                caller.authorise(&purchase(&format!("T{till}N{number}"), 1)).await;
            }
        }));
    }
    for round in 0..24 {
        let file = patient(if round % 2 == 0 { other } else { first });
        loop {
            let store = world.app.store();
            match apply(store, world.app.ids(), world.now(), &file, RULES).await {
                Ok(applied) => break assert_eq!(applied.agreements, 1, "round {round}"),
                // Transient: the command line would ask to try again.
                Err(ApplyError::Store(error)) if error.is_transient() => {}
                Err(error) => panic!("{error}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    is_done.store(true, Ordering::SeqCst);
    for till in tills {
        till.await.unwrap();
    }
    chain_of_dee(world).await
}

/// A posting that is relevant here.
#[derive(Debug)]
enum BudgetPosting {
    Agreement { version: u64 },
    Decision { version: u64, card: String, is_approved: bool },
}

async fn chain_of_dee(world: &World) -> Vec<BudgetPosting> {
    let mut connection = world.database.connect().await;
    let decisions: Vec<(String, String, String)> =
        sqlx::query_as("SELECT decision_id, facts, outcome FROM decision")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let decisions: BTreeMap<_, _> =
        decisions.into_iter().map(|(id, facts, outcome)| (id, (facts, outcome))).collect();
    let postings: Vec<(String, String)> = sqlx::query_as(
        "SELECT kind, subject FROM posting WHERE budget_id = 'dee' \
         AND kind IN ('agreement', 'decision') ORDER BY seq",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let link = |(kind, subject): (String, String)| {
        if kind == "agreement" {
            return BudgetPosting::Agreement { version: subject.parse().unwrap() };
        }
        let (facts, outcome) = &decisions[&subject];
        let facts: serde_json::Value = serde_json::from_str(facts).unwrap();
        BudgetPosting::Decision {
            version: facts["holder"]["agreement"].as_u64().unwrap(),
            card: facts["holder"]["card"].as_str().unwrap().to_owned(),
            is_approved: outcome == "approved",
        }
    };
    postings.into_iter().map(link).collect()
}

async fn scenario_51_no_decision_goes_by_an_agreement_that_has_ended(database: TestDatabase) {
    let first = dee_on_start_list();
    let no_food = first.replace(
        "[[start.term]]",
        "[[start.term]]\non = { category = \"food\" }\nanswer = \"no\"\n\
         reason = \"A test.\"\nreview_on = 2027-02-16\n\n[[start.term]]",
    );
    assert_ne!(no_food, first);
    let world = World::open_with(database, &patient(&first)).await;
    let mut in_force = 0;
    let mut seen = [0, 0];
    for link in shop_while_files_change(&world, &first, &no_food).await {
        match link {
            BudgetPosting::Agreement { version } => in_force = version,
            BudgetPosting::Decision { version, is_approved, .. } => {
                assert_eq!(version, in_force, "a decision by an agreement that was not in force");
                // Odd versions allow food, even ones do not.
                assert_eq!(is_approved, version % 2 == 1, "under version {version}");
                seen[usize::from(is_approved)] += 1;
            }
        }
    }
    assert_eq!(in_force, 25);
    assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
    world.check().await;
}

/// The file that blocks the card also changes the start list, so that the chain shows when it took
/// effect.
async fn scenario_52_no_card_pays_after_it_was_frozen(database: TestDatabase) {
    let card = format!("token = \"{DEE}\"\nlast_four = \"5678\"\nstate = \"active\"");
    let first = dee_on_start_list();
    let frozen = first
        .replace(&card, &card.replace("active", "not_started"))
        .replace("Until you and", "The card is stopped. Until you and");
    assert!(frozen.contains("not_started") && frozen.contains("is stopped"));
    let world = World::open_with(database, &patient(&first)).await;
    let mut is_frozen = false;
    let mut seen = [0, 0];
    for link in shop_while_files_change(&world, &first, &frozen).await {
        match link {
            BudgetPosting::Agreement { version } => is_frozen = version % 2 == 0,
            BudgetPosting::Decision { card, is_approved, version } => {
                assert_eq!(is_approved, !is_frozen, "under version {version}, card {card}");
                assert_eq!(card == "active", is_approved);
                seen[usize::from(is_approved)] += 1;
            }
        }
    }
    assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
    world.check().await;
}

async fn clients_that_go_away_leave_nothing_open(database: TestDatabase) {
    const CLIENTS: usize = 300;

    let world = World::open_with(database, &patient(DEMO)).await;
    let mut random = SeededRandom(300);
    let purchases: Vec<_> =
        (0..CLIENTS).map(|number| purchase(&format!("Gone{number}"), 10)).collect();
    let mut leaving = Vec::new();
    for bought in &purchases {
        // Each has its own client, so that its connection closes with it.
        let (caller, bought) = (world.caller(), bought.clone());
        let patience = Duration::from_micros(200 + random.below(3_000));
        leaving.push(tokio::spawn(async move {
            let asked = tokio::time::timeout(patience, caller.try_authorise(&bought)).await;
            u32::from(asked.is_err())
        }));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut gone = 0;
    for left in leaving {
        gone += left.await.unwrap();
    }
    assert!(gone > 100, "only {gone} went away");

    wait_until(async || world.caller().counted("sayso_queue_depth").await == 0).await;
    // Requests without a client were not decided, and are decided by the retry; those decided
    // without a client are withdrawn, and stay so.
    let mut approved = 0;
    for some in purchases.chunks(30) {
        let again = some.iter().map(|bought| (world.caller(), bought.clone()));
        for (answer, _) in authorise_concurrently(again).await {
            assert!(answer.is_approved() || answer.reason() == "our_fault", "{answer:?}");
            approved += i64::from(answer.is_approved());
        }
    }
    let all = i64::try_from(CLIENTS).unwrap();
    assert_eq!(world.count("decision", "true").await, all);
    assert_eq!(world.count("withdrawal", "true").await, all - approved);
    assert_eq!(world.figure("dee", "held").await, approved * 10);
    if world.database.kind == DatabaseKind::Postgres {
        let open = "datname = current_database() AND state LIKE 'idle in transaction%'";
        wait_until(async || world.count("pg_stat_activity", open).await == 0).await;
    }
    // The file or the row can be locked at once: no transaction is left open.
    super::faults::BudgetLock::take(&world.database, "dee").await.release().await;
    assert!(world.authorise(&purchase("After", 1_00)).await.is_approved());
    world.check().await;
}

/// Stripe's own library makes the signature; it is fetched by `npm ci --prefix tests/node`.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
async fn a_question_that_stripes_own_library_signed_is_answered() {
    let folder = project().join("tests/node");
    if !folder.join("node_modules/stripe").exists() && !is_in_ci() {
        eprintln!("not run: npm ci --prefix tests/node fetches Stripe's library");
        return;
    }
    let world = World::open(TestDatabase::sqlite()).await;
    let body = purchase("Node", 12_50).request(world.now()).to_string();
    let sign = |body: &str| {
        let mut node = Command::new("node")
            .arg(folder.join("sign.mjs"))
            .args([SECRET, &world.now().as_second().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        node.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let done = node.wait_with_output().unwrap();
        assert!(done.status.success());
        String::from_utf8(done.stdout).unwrap()
    };
    let path = format!("/issuers/{CONNECTION}/authorisations");
    let signature = sign(&body);
    assert!(world.post_signed(&path, &body, &signature).await.is_approved());
    let other = body.replace("1250", "1251");
    assert_eq!(world.post_signed(&path, &other, &signature).await.status, 401);
    let event = purchase("Node", 12_50).captured(world.now(), "c", 12_50).to_string();
    let path = format!("/issuers/{CONNECTION}/events");
    assert_eq!(world.post_signed(&path, &event, &sign(&event)).await.status, 200);
    assert_eq!(world.figure("dee", "spent").await, 12_50);
    world.check().await;
}
