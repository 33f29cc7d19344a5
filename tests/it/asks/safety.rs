//! Safety without spying.

use sayso::asks;
use sayso::domain::ask::{NoReason, Reply};
use sayso::domain::id::TalkId;
use sayso::domain::safety::{Holder, Talk};
use sayso::members::ActError;

use super::town::{Town, dee};
use crate::support::TestDatabase;

on_both_databases!(
    the_quiet_word_tells_duty_and_nobody_else,
    a_card_that_is_elsewhere_is_looked_at_again,
    a_no_for_safety_rests_on_a_talk,
);

async fn the_quiet_word_tells_duty_and_nobody_else(database: TestDatabase) {
    let town = Town::open(database).await;
    let store = town.world.app.store();
    let mut tx = store.begin().await.unwrap();
    let acting = town.acting("dee");
    asks::choose_quiet_word(&mut tx, town.desk(), &acting, &dee(), "Bus 23?").await.unwrap();
    tx.commit().await.unwrap();
    let mut replies = Vec::new();
    for text in ["bus 24", "BUS 23"] {
        let mut tx = store.begin().await.unwrap();
        let reply = asks::hear(&mut tx, town.desk(), &acting, &dee(), text).await.unwrap();
        tx.commit().await.unwrap();
        replies.push(reply);
    }
    assert_eq!(replies[0], replies[1], "nobody who looks on can tell");
    let told = town.told().await;
    let told: Vec<_> = told.iter().map(|(to, kind, _)| (to.as_str(), kind.as_str())).collect();
    assert_eq!(told, [("duty", "worker-quiet-word")]);
    assert_eq!(town.acts().await, []);
    let stored = town.world.database.rows("SELECT digest FROM quiet_word").await;
    assert!(!stored[0][0].contains("bus"));
    assert!(town.world.ask(&crate::world::purchase("After", 1_00)).await.is_approved());
    town.world.check().await;
}

async fn a_card_that_is_elsewhere_is_looked_at_again(database: TestDatabase) {
    let town = Town::open(database).await;
    let store = town.world.app.store();
    for (holder, review_on) in
        [(Holder::KeptSafe, Some(jiff::civil::date(2026, 12, 7))), (Holder::Person, None)]
    {
        let mut tx = store.begin().await.unwrap();
        let acting = town.acting("dee");
        let custody =
            asks::hand_card(&mut tx, town.desk(), &acting, &dee(), holder, "The office").await;
        tx.commit().await.unwrap();
        let custody = custody.unwrap();
        assert_eq!(custody.review_on, review_on);
        let (programme, budget) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
        assert_eq!(store.custody(&programme, &budget).await.unwrap(), Some(custody));
    }
    let mut tx = store.begin().await.unwrap();
    let (desk, acting) = (town.desk(), town.acting("amina"));
    let others = asks::hand_card(&mut tx, desk, &acting, &dee(), Holder::KeptSafe, "Me").await;
    assert!(matches!(others, Err(ActError::NotAllowed(_))), "{others:?}");
    drop(tx);
    town.world.check().await;
}

async fn a_no_for_safety_rests_on_a_talk(database: TestDatabase) {
    let town = Town::open(database).await;
    town.refused("First").await;
    let ask = town.ask().await;
    let no = Reply::NotThisTime(NoReason::Safety);
    let refused = town.try_answer("amina", ask.id, no.clone()).await;
    assert!(matches!(refused, Err(ActError::Invalid { field: "reason", .. })), "{refused:?}");
    let mut talk = Talk {
        id: TalkId::new(uuid::Uuid::nil()),
        by: "amina".parse().unwrap(),
        concern: "Somebody waits for Dee at the shop.".to_owned(),
        wants: String::new(),
        consent: "She understood, and agreed.".to_owned(),
        options: "Going together tomorrow.".to_owned(),
        next_step: "We talk again on Friday.".to_owned(),
        at: town.world.now(),
    };
    for wants in ["", "To choose the day herself."] {
        talk.wants = wants.to_owned();
        let mut tx = town.world.app.store().begin().await.unwrap();
        let (desk, acting) = (town.desk(), town.acting("amina"));
        let written = asks::talk(&mut tx, desk, &acting, &dee(), &talk).await;
        assert_eq!(written.is_ok(), !wants.is_empty(), "what the person wants is written down");
        tx.commit().await.unwrap();
    }
    town.answer("amina", ask.id, no).await;
    town.world.check().await;
}
