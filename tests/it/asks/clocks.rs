//! An ask never lapses: it escalates without anybody acting.

use jiff::{Span, ToSpan as _};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sayso::domain::ask::{Ask, AskReply, AskState, EscalationStep, OPEN_ASKS_MAX};

use super::town::{AskFixture, NOT_NOW, YES, handset, is_open, latest, parking};
use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, patient, purchase};

on_both_databases!(
    an_ask_that_nobody_answers_steps_up_and_everybody_is_told,
    essentials_are_answered_the_same_day,
    a_worker_who_is_away_is_not_waited_for,
    silence_is_a_yes_below_the_programmes_sum_and_never_a_no,
    silence_lifts_no_block_of_ones_own,
    two_gateways_step_up_once,
    one_bad_row_stops_no_other,
    no_ask_is_beyond_its_clock,
);

async fn an_ask_that_nobody_answers_steps_up_and_everybody_is_told(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.on_duty("omar", 100, None).await;
    town.world.set_time("2026-11-23T12:06:00Z");
    town.refused_parking("First", 3_00).await;
    let ask = town.ask().await;
    assert_eq!(ask.answer_by, "2026-11-23T15:06:00Z".parse().unwrap());
    assert_eq!(ask.decide_by, "2026-11-26T12:06:00Z".parse().unwrap());
    town.world.set_time("2026-11-23T15:05:59Z");
    assert_eq!(town.world.upkeep().await.stepped_up, 0);
    town.world.set_time("2026-11-23T15:06:00Z");
    assert_eq!(town.world.upkeep().await.stepped_up, 1);
    assert_eq!(town.world.upkeep().await.stepped_up, 0, "once");
    let late = town.now(ask.id).await;
    assert_eq!(late.step, EscalationStep::Cover);
    assert_eq!(late.answer_by, "2026-11-24T09:06:00Z".parse().unwrap());
    town.world.set_time("2026-11-24T09:06:00Z");
    town.world.upkeep().await;
    let late = town.now(ask.id).await;
    assert_eq!((late.step, late.answer_by), (EscalationStep::Manager, ask.decide_by));
    town.world.set_time("2026-11-26T12:06:00Z");
    town.world.upkeep().await;
    let late = town.now(ask.id).await;
    assert_eq!(
        (late.state, late.step),
        (AskState::Sent, EscalationStep::Manager),
        "never a no by silence"
    );
    let told = town.told().await;
    let told: Vec<_> = told.iter().map(|(to, kind, _)| (to.as_str(), kind.as_str())).collect();
    let expected = [
        ("person", "ask-late"),
        ("duty", "worker-late-ask"),
        ("worker", "worker-missed"),
        ("person", "ask-late"),
        ("manager", "worker-late-ask"),
        ("worker", "worker-missed"),
        ("person", "ask-late-again"),
        ("manager", "worker-late-ask"),
        ("worker", "worker-missed"),
    ];
    assert_eq!(told[3..], expected);
    town.answer("amina", ask.id, YES).await;
    assert!(
        town.world.authorise(&parking("Second", 3_00)).await.is_approved(),
        "late is better than never"
    );
    town.world.check().await;
}

async fn essentials_are_answered_the_same_day(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.on_duty("omar", 100, None).await;
    for (asked, step, answer_by) in [
        ("2026-11-23T12:00:00Z", EscalationStep::Worker, "2026-11-23T15:00:00Z"),
        ("2026-11-23T17:00:00Z", EscalationStep::Worker, "2026-11-23T18:00:00Z"),
        ("2026-11-23T20:00:00Z", EscalationStep::Cover, "2026-11-23T21:00:00Z"),
        ("2026-11-23T23:50:00Z", EscalationStep::Cover, "2026-11-24T00:00:00Z"),
    ] {
        town.world.set_time(asked);
        town.refused(&asked.replace(':', "")).await;
        let ask = town.ask().await;
        assert_eq!((ask.step, ask.answer_by), (step, answer_by.parse().unwrap()), "{asked}");
        town.take_back(ask.id).await.unwrap();
    }
    town.world.check().await;
}

async fn a_worker_who_is_away_is_not_waited_for(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.on_duty("ben", 100, Some("amina")).await;
    town.refused("First").await;
    let ask = town.ask().await;
    assert_eq!(ask.step, EscalationStep::Cover);
    town.answer("ben", ask.id, YES).await;
    assert!(town.world.authorise(&handset("Second")).await.is_approved());
    town.world.check().await;
}

async fn silence_is_a_yes_below_the_programmes_sum_and_never_a_no(database: TestDatabase) {
    let rule = "[asks]\nsilence_up_to = \"5.00\"\n";
    let town = AskFixture::open_with(database, &patient(&DEMO.replacen("[asks]\n", rule, 1))).await;
    let mut asked = Vec::new();
    for (name, amount) in [("Small", 5_00), ("Large", 5_01)] {
        assert_eq!(town.world.authorise(&parking(name, amount)).await.reason(), "category_ask");
        asked.push(town.ask().await);
    }
    for _ in 0..80 {
        town.world.advance_clock(1.hour());
        town.world.upkeep().await;
    }
    let [small, large] = [town.now(asked[0].id).await, town.now(asked[1].id).await];
    assert_eq!(small.state, AskState::Yes);
    assert_eq!(small.answer.unwrap().by, None);
    assert_eq!((large.state, large.step), (AskState::Sent, EscalationStep::Manager));
    assert!(town.world.authorise(&parking("Again", 5_00)).await.is_approved());
    town.world.check().await;
}

async fn silence_lifts_no_block_of_ones_own(database: TestDatabase) {
    let rule = "[asks]\nsilence_up_to = \"50.00\"\n";
    let town = AskFixture::open_with(database, &patient(&DEMO.replacen("[asks]\n", rule, 1))).await;
    let beer = |id: &str| Purchase {
        mcc: "5921".into(),
        shop: "OFFLICENCE".to_owned(),
        ..purchase(id, 8_00)
    };
    assert_eq!(town.world.authorise(&beer("A")).await.reason(), "category_off");
    let own = town.ask().await;
    town.refused_parking("Park", 3_00).await;
    let other = town.ask().await;
    for _ in 0..80 {
        town.world.advance_clock(1.hour());
        town.world.upkeep().await;
    }
    assert_eq!(town.now(other.id).await.state, AskState::Yes);
    assert_eq!(town.now(own.id).await.state, AskState::Sent, "only a human being can say yes");
    assert_eq!(town.world.authorise(&beer("B")).await.reason(), "category_off");
    town.world.check().await;
}

async fn two_gateways_step_up_once(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let other = town.world.another().await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.world.advance_clock(5.hours());
    let (one, two) = tokio::join!(town.world.app.upkeep(), other.upkeep());
    let stepped_up = one.unwrap().stepped_up + two.unwrap().stepped_up;
    assert_eq!(stepped_up, 1);
    assert_eq!(town.now(ask.id).await.step, EscalationStep::Cover, "somebody is on duty");
    other.stop().await;
    town.world.check().await;
}

async fn one_bad_row_stops_no_other(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    let mut asked = Vec::new();
    for (name, amount) in [("First", 3_00), ("Second", 4_00)] {
        town.refused_parking(name, amount).await;
        asked.push(town.ask().await);
    }
    let mut connection = town.world.database.connect().await;
    let sql = format!("UPDATE ask SET scope = 'nonsense' WHERE ask_id = '{}'", asked[0].id);
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    town.world.advance_clock(5.hours());
    assert_eq!(town.world.upkeep().await.stepped_up, 1);
    assert_eq!(town.now(asked[1].id).await.step, EscalationStep::Cover);
    town.world.check().await;
}

/// The next step of a script.
#[derive(Debug, Clone, Copy)]
enum Move {
    Buy(bool),
    Sleep(i64),
    Upkeep,
    Yes(usize),
    No(usize),
    Talk(usize, i64),
    PassOn(usize),
    TakeBack(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => any::<bool>().prop_map(Move::Buy),
        4 => (1..40 * 60_i64).prop_map(Move::Sleep),
        4 => Just(Move::Upkeep),
        1 => (0..3_usize).prop_map(Move::Yes),
        1 => (0..3_usize).prop_map(Move::No),
        1 => (0..3_usize, 1..100 * 60_i64).prop_map(|(which, by)| Move::Talk(which, by)),
        1 => (0..3_usize).prop_map(Move::PassOn),
        1 => (0..3_usize).prop_map(Move::TakeBack),
    ];
    proptest::collection::vec(one, 1..25)
}

/// Invariants after each round of upkeep: no open ask is past its deadline, each overdue one was
/// escalated or reminded of, none became a refusal by itself, and each refusal has a reason and an
/// author.
async fn no_ask_is_beyond_its_clock(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.on_duty("omar", 200, None).await;
    // The values come from a fixed seed: the same in every run.
    let mut runner = TestRunner::deterministic();
    let mut number = 0;
    for _ in 0..12 {
        let script = moves().new_tree(&mut runner).unwrap().current();
        for step in &script {
            number += 1;
            play(&town, *step, number).await;
        }
        town.world.upkeep().await;
        check(&town, &script).await;
        for ask in open_asks(&town).await {
            town.take_back(ask.id).await.unwrap();
        }
    }
    town.world.check().await;
}

async fn open_asks(town: &AskFixture) -> Vec<Ask> {
    let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let asks = town.world.app.store().asks_of(&programme, &budget, None, 1000).await.unwrap();
    asks.into_iter().filter(|ask| is_open(ask.state)).collect()
}

async fn play(town: &AskFixture, step: Move, number: usize) {
    let open = open_asks(town).await;
    let minutes = |minutes: i64| Span::new().minutes(minutes);
    match step {
        Move::Buy(is_essential) => {
            let name = format!("Play{number}");
            let bought = if is_essential { handset(&name) } else { parking(&name, 3_00) };
            town.world.authorise(&bought).await;
            town.try_authorise("dee", &latest(sayso::domain::ask::GrantScope::Place)).await.ok();
        }
        Move::Sleep(span) => town.world.advance_clock(minutes(span)),
        Move::Upkeep => {
            town.world.upkeep().await;
            check(town, &[step]).await;
        }
        Move::Yes(which) => drop(answer(town, &open, which, YES).await),
        Move::No(which) => drop(answer(town, &open, which, NOT_NOW).await),
        Move::Talk(which, by) => {
            let by = town.world.now() + jiff::SignedDuration::from_mins(by);
            answer(town, &open, which, AskReply::TalkFirst { by }).await;
        }
        Move::PassOn(which) => {
            if let Some(ask) = open.get(which) {
                town.pass_on("amina", ask.id).await.unwrap();
            }
        }
        Move::TakeBack(which) => {
            if let Some(ask) = open.get(which) {
                town.take_back(ask.id).await.unwrap();
            }
        }
    }
}

async fn answer(town: &AskFixture, open: &[Ask], which: usize, reply: AskReply) -> Option<Ask> {
    let ask = open.get(which)?;
    town.try_answer("amina", ask.id, reply).await.ok()
}

async fn check(town: &AskFixture, script: &[Move]) {
    let now = town.world.now();
    let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let asks = town.world.app.store().asks_of(&programme, &budget, None, 1000).await.unwrap();
    let waiting = asks.iter().filter(|ask| is_open(ask.state)).count();
    assert!(waiting <= OPEN_ASKS_MAX, "{script:?}: {waiting}");
    for ask in asks {
        if is_open(ask.state) {
            assert!(ask.answer_by > now, "{script:?}: {ask:?}");
            assert!(
                ask.answer_by <= ask.decide_by || ask.step == EscalationStep::Manager,
                "{script:?}: {ask:?}"
            );
        } else if ask.state != AskState::TakenBack {
            let answer = ask.answer.as_ref().unwrap();
            assert!(answer.by.is_some(), "no sum was set, so nobody's answer is none: {ask:?}");
            let has_reason = answer.reason.is_some();
            assert_eq!(has_reason, ask.state == AskState::NotThisTime, "{ask:?}");
        }
    }
}
