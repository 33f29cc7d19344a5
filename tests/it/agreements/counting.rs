//! What a limit has counted is not forgotten by taking its line away.

use sayso::domain::agreement::Scope;
use sayso::domain::agreement::change::List;
use sayso::domain::agreement::proposal::{ConsentAnswer, ConsentSide};
use sayso::domain::shop::ShopKey;
use sayso::people::agreements::ProposalStage;

use super::fixture::{AgreementFixture, category, weekly, with, without};
use crate::support::TestDatabase;
use crate::world::{DEMO, patient, purchase};

on_both_databases!(
    a_limit_that_was_used_up_is_not_begun_anew_alone,
    a_manager_joins_whatever_line_frees_the_sum,
);

/// "Everything else" counts nothing of what food has counted: so taking the line about food away
/// would pay the same sum twice in one week. It takes both.
async fn a_limit_that_was_used_up_is_not_begun_anew_alone(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let list = fixture.in_force("dee").await.list();
    let rest = with(&list, weekly(Scope::EverythingElse, 20_00));
    let list = with(&rest, weekly(category("food"), 20_00));
    agree(&fixture, &list).await;
    assert!(fixture.world.authorise(&purchase("Bread", 20_00)).await.is_approved());
    let food = category("food");
    let proposed = fixture.propose("dee", "dee", without(&list, &food)).await.unwrap();
    assert_eq!(proposed.next, ProposalStage::AwaitingConsent([ConsentSide::Worker].into()));
    let more = fixture.world.authorise(&purchase("More", 1_00)).await;
    assert_eq!(more.reason(), "over_period");
    fixture.world.check().await;
}

/// The line about a shop goes, and the shop falls under one of several others: what the loosest of
/// them frees is what counts.
async fn a_manager_joins_whatever_line_frees_the_sum(database: TestDatabase) {
    // Nobody has to wait before a block of their own is loosened.
    let file = patient(DEMO)
        .replace("decides = \"person\"\nown_block = { cooling_days = 7 }\n", "")
        .replace("country = \"GB\"", "country = \"GB\"\nmanager_above = \"100.00\"");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let list = fixture.in_force("dee").await.list();
    let shop = Scope::Shop(ShopKey::from_name("Lucky Horse").unwrap());
    let list = with(&list, weekly(shop.clone(), 50_00));
    let list = without(&list, &Scope::EverythingElse);
    agree(&fixture, &list).await;
    let proposed = fixture.propose("amina", "dee", without(&list, &shop)).await.unwrap();
    assert_eq!(
        proposed.next,
        ProposalStage::AwaitingConsent([ConsentSide::Person, ConsentSide::Manager].into())
    );
    fixture.world.check().await;
}

/// Dee and Amina make it the list; the manager says yes where theirs is needed.
async fn agree(fixture: &AgreementFixture, list: &List) {
    let proposed = fixture.propose("amina", "dee", list.clone()).await.unwrap();
    let ProposalStage::AwaitingConsent(sides) = proposed.next else {
        panic!("{:?}", proposed.next)
    };
    for side in sides {
        let member = if side == ConsentSide::Manager { "ruth" } else { "dee" };
        fixture.answer(member, "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    }
    assert_eq!(fixture.in_force("dee").await.list(), *list);
}
