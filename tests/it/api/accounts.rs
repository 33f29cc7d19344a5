//! Accounts: which capabilities take effect at once, and which end at once.

use jiff::ToSpan as _;
use sayso::domain::id::{LookId, MemberId, ProgrammeId};
use sayso::store::LookRow;
use serde_json::json;

use crate::support::TestDatabase;
use crate::world::{World, purchase};

on_both_databases!(
    a_card_that_its_person_froze_pays_nothing_until_they_unfreeze_it,
    a_revoked_token_counts_no_more,
    a_look_is_kept_with_its_reason,
);

fn riverside() -> ProgrammeId {
    "riverside".parse().unwrap()
}

async fn a_card_that_its_person_froze_pays_nothing_until_they_unfreeze_it(database: TestDatabase) {
    let world = World::open(database).await;
    assert_eq!(world.get_as("dee", "/v1/me").await.status, 200);
    assert!(world.authorise(&purchase("Before", 1_00)).await.is_approved());
    let path = "/v1/people/dee/freeze";
    for (who, status) in [("femi", 404), ("amina", 403), ("dee", 200)] {
        assert_eq!(world.post_as(who, path, &json!({})).await.status, status, "{who}");
    }
    assert_eq!(world.authorise(&purchase("Frozen", 1_00)).await.reason(), "frozen_self");
    assert_eq!(world.post_as("dee", "/v1/people/dee/unfreeze", &json!({})).await.status, 200);
    assert!(world.authorise(&purchase("After", 1_00)).await.is_approved());
    world.check().await;
}

async fn a_revoked_token_counts_no_more(database: TestDatabase) {
    let world = World::open(database).await;
    let member: MemberId = "dee".parse().unwrap();
    let (now, tokens) = (world.now(), world.app.tokens());
    let issued = tokens.issue(world.app.ids(), &riverside(), &member, now).await.unwrap();
    let me =
        async || world.call(reqwest::Method::GET, "/v1/me", &issued.text, None, None).await.status;
    assert_eq!(me().await, 200);
    let mut tx = world.app.store().begin().await.unwrap();
    let ends = now.checked_add(10.minutes()).unwrap();
    tx.revoke_token(&riverside(), &issued.token, ends, now).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(me().await, 401);
}

async fn a_look_is_kept_with_its_reason(database: TestDatabase) {
    let world = World::open(database).await;
    let look = LookRow {
        programme_id: riverside(),
        budget_id: "dee".parse().unwrap(),
        look_id: LookId::new(world.app.ids().next(world.now())),
        member_id: "amina".parse().unwrap(),
        what: "purchase".to_owned(),
        reason: "Dee asked about it.".to_owned(),
        looked_at: world.now(),
    };
    let mut tx = world.app.store().begin().await.unwrap();
    tx.add_looks(std::slice::from_ref(&look)).await.unwrap();
    tx.commit().await.unwrap();
    let kept = world.app.store().looks(&riverside(), &look.budget_id, None, 10).await.unwrap();
    assert_eq!(kept, [look]);
}
