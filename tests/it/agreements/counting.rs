//! Removing a term does not reset what its limit has counted.

use sayso::domain::agreement::Scope;
use sayso::domain::agreement::change::List;
use sayso::domain::agreement::proposal::{ConsentAnswer, ConsentSide};
use sayso::domain::shop::ShopKey;
use sayso::people::agreements::ProposalStage;

use super::fixture::{AgreementFixture, category, weekly, with, without};
use crate::support::TestDatabase;
use crate::world::{demo_with_manager_above, purchase};

on_both_databases!(
    a_limit_that_was_used_up_is_not_begun_anew_alone,
    a_manager_joins_whatever_line_frees_the_sum,
);

/// "Everything else" does not include what the food term has counted, so removing the food term
/// would allow the same sum twice in one week. That needs two people.
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

/// Without its term the shop falls under one of several others. The sum that the loosest of them
/// allows decides whether a manager must consent.
async fn a_manager_joins_whatever_line_frees_the_sum(database: TestDatabase) {
    // Without a cooling-off period, so that the list changes at once.
    let file = demo_with_manager_above("100.00")
        .replace("decides = \"person\"\nown_block = { cooling_days = 7 }\n", "");
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

/// Dee and Amina agree on `list`; the manager consents where needed.
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
