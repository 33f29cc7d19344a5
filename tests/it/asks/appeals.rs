//! Appeals against a refused ask.

use jiff::ToSpan as _;
use sayso::domain::ask::appeal::{AppealState, InterimMeasure};
use sayso::domain::ask::{AskRefusalReason, AskReply, AskState};
use sayso::domain::people::role::Role;
use sayso::people::members::UseCaseError;

use super::town::{AskFixture, NOT_NOW, YES, handset, parking};
use crate::support::TestDatabase;
use crate::world::{Purchase, purchase};

on_both_databases!(
    somebody_else_looks_and_a_changed_no_pays,
    essentials_are_a_small_yes_until_somebody_has_looked,
    whoever_decided_does_not_look_again,
    a_late_look_is_told_again_and_never_becomes_a_no,
    a_yes_for_now_comes_once,
    what_came_with_the_money_is_no_yes_for_now,
);

async fn somebody_else_looks_and_a_changed_no_pays(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused_parking("First", 6_00).await;
    let ask = town.ask().await;
    assert!(
        matches!(town.appeal("dee", ask.id).await, Err(UseCaseError::Conflict(_))),
        "no no yet"
    );
    town.answer("amina", ask.id, NOT_NOW).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    assert_eq!((appeal.interim, appeal.permission), (InterimMeasure::AsItWas, None), "it can wait");
    assert_eq!(appeal.answer_by, "2026-11-26T09:30:00Z".parse().unwrap());
    assert_eq!(town.appeal("dee", ask.id).await.unwrap(), appeal, "asked twice, looked at once");
    assert_eq!(town.world.authorise(&parking("Second", 6_00)).await.reason(), "category_ask");
    let changed = town.look("ruth", appeal.id, None).await.unwrap();
    assert_eq!(changed.state, AppealState::Changed);
    assert_eq!(town.look("ruth", appeal.id, None).await.unwrap(), changed, "sent twice");
    assert!(town.world.authorise(&parking("Third", 6_00)).await.is_approved());
    assert_eq!(town.now(ask.id).await.state, AskState::NotThisTime, "what was said stays said");
    let told = town.told().await;
    assert!(told.iter().any(|(_, _, body)| body.starts_with("We were wrong. It is yes now")));
    town.world.check().await;
}

async fn essentials_are_a_small_yes_until_somebody_has_looked(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, NOT_NOW).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    assert_eq!(appeal.interim, InterimMeasure::YesForNow);
    assert_eq!(appeal.answer_by, "2026-11-24T00:00:00Z".parse().unwrap(), "the same day");
    assert_eq!(town.world.authorise(&handset("Large")).await.reason(), "ok_small");
    let small = Purchase { amount: 20_00, ..handset("Small") };
    assert!(town.world.authorise(&small).await.is_approved());

    town.look("ruth", appeal.id, Some("The ombudsman, 020 7946 0333.")).await.unwrap();
    // Another appeal is rejected: the interim permission ends with that.
    town.world.authorise(&handset("Second")).await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, NOT_NOW).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    assert!(town.look("ruth", appeal.id, Some(" ")).await.is_err(), "a next step is named");
    let kept = town.look("ruth", appeal.id, Some("The ombudsman, 020 7946 0333.")).await.unwrap();
    assert_eq!(kept.state, AppealState::Kept);
    let more = Purchase { id: "iauth_1More".to_owned(), ..small };
    assert_eq!(town.world.authorise(&more).await.reason(), "ok_over");
    assert!(matches!(town.take_back_appeal(appeal.id).await, Err(UseCaseError::Conflict(_))));
    town.world.check().await;
}

async fn whoever_decided_does_not_look_again(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    // A manager's account of the same human being as Amina, and one of Dee's.
    town.put("aminata", Role::Manager, |member| member.human = "amina".parse().unwrap()).await;
    town.put("deborah", Role::Manager, |member| member.human = "dee".parse().unwrap()).await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, NOT_NOW).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    for who in ["amina", "aminata", "deborah"] {
        let own = town.look(who, appeal.id, None).await;
        assert!(matches!(own, Err(UseCaseError::SeparationOfDuties(_))), "{who}: {own:?}");
    }
    // The database enforces this too.
    let mut connection = town.world.database.connect().await;
    let sql = "UPDATE appeal SET state = 'changed', answered_by = 'aminata', \
               answered_human = 'amina', answered_at = 1, answer_words = 'so'";
    assert!(sqlx::query(sql).execute(&mut connection).await.is_err());
    assert!(town.appeal("amina", ask.id).await.is_err(), "only Dee, or her advocate, asks for it");
    town.put("joan", Role::Advocate, |member| member.person = Some("dee".parse().unwrap())).await;
    assert_eq!(town.appeal("joan", ask.id).await.unwrap(), appeal);
    town.look("ruth", appeal.id, None).await.unwrap();
    town.world.check().await;
}

async fn a_late_look_is_told_again_and_never_becomes_a_no(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused_parking("First", 6_00).await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, NOT_NOW).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    town.world.advance_clock(72.hours());
    assert_eq!(town.world.upkeep().await.stepped_up, 1);
    assert_eq!(town.world.upkeep().await.stepped_up, 0);
    let told = town.told().await;
    let told: Vec<_> =
        told.iter().rev().take(3).map(|(to, kind, _)| (to.as_str(), kind.as_str())).collect();
    assert_eq!(
        told,
        [
            ("duty", "worker-appeal-late"),
            ("manager", "worker-appeal-late"),
            ("person", "appeal-late"),
        ]
    );
    assert_eq!(town.take_back_appeal(appeal.id).await.unwrap().state, AppealState::TakenBack);
    let again = town.appeal("dee", ask.id).await.unwrap();
    let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let all = town.world.app.store().appeals_of(&programme, &budget, None, 10).await.unwrap();
    let all: Vec<_> = all.iter().map(|appeal| appeal.id).collect();
    assert_eq!(all, [again.id, appeal.id], "and asked for again");
    town.world.check().await;
}

/// An interim permission is given once: a repeated appeal waits for its decision. An advocate may
/// withdraw an appeal that they opened.
async fn a_yes_for_now_comes_once(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, NOT_NOW).await;
    let first = town.appeal("dee", ask.id).await.unwrap();
    assert_eq!(first.interim, InterimMeasure::YesForNow);
    town.put("joan", Role::Advocate, |member| member.person = Some("dee".parse().unwrap())).await;
    let by_joan = town.take_back_appeal_as("joan", first.id).await;
    assert!(matches!(by_joan, Err(UseCaseError::NotAllowed(_))), "{by_joan:?}");
    town.take_back_appeal(first.id).await.unwrap();
    let again = town.appeal("joan", ask.id).await.unwrap();
    assert_eq!((again.interim, again.permission), (InterimMeasure::AsItWas, None));
    let small = Purchase { amount: 5_00, ..handset("Small") };
    assert!(!town.world.authorise(&small).await.is_approved());
    town.take_back_appeal(again.id).await.unwrap();
    let told = town.told().await;
    assert_eq!(told.iter().filter(|(_, kind, _)| kind == "worker-taken-back").count(), 4);
    town.world.check().await;
}

async fn what_came_with_the_money_is_no_yes_for_now(database: TestDatabase) {
    let town = AskFixture::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    town.answer("amina", ask.id, AskReply::NotThisTime(AskRefusalReason::Law)).await;
    let appeal = town.appeal("dee", ask.id).await.unwrap();
    assert_eq!(appeal.interim, InterimMeasure::AsItWas);
    // A grant of less than was asked refuses the rest, so it can be appealed against too.
    let pub_food = Purchase { mcc: "5921".into(), ..purchase("Beer", 8_00) };
    assert_eq!(town.world.authorise(&pub_food).await.reason(), "category_off");
    let ask = town.ask().await;
    assert!(town.appeal("dee", ask.id).await.is_err());
    town.answer("amina", ask.id, YES).await;
    assert!(town.appeal("dee", ask.id).await.is_err(), "a yes is no no");
    town.world.check().await;
}
