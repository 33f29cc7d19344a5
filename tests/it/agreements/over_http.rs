//! Agreements over the JSON API, with real tokens.

use serde_json::json;

use sayso::domain::agreement::TermAnswer;
use sayso::domain::agreement::proposal::ConsentAnswer;
use sayso::domain::id::ActId;
use sayso::merchant_rules::BUILT_IN_GUIDE;

use sayso::store::ActRow;

use super::fixture::{AgreementFixture, at_a_phone_shop, budget, category, riverside, term, with};
use crate::support::TestDatabase;
use crate::world::purchase;

on_both_databases!(
    proposed_agreed_and_paid_over_the_api,
    a_guide_is_read_where_a_list_is,
    more_help_is_chosen_and_given_back,
    drafts_and_own_wishes_are_read_by_whom_they_concern,
    a_shop_named_by_a_purchase_is_a_look_at_it,
);

async fn proposed_agreed_and_paid_over_the_api(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let session = json!({"how": "in_person", "place": "the hostel", "minutes": 20});
    let change = json!({
        "version": 1,
        "set": [{
            "on": "category:phone",
            "answer": "yes",
            "limits": [{"per": "purchase", "amount": 50_00}],
            "reason": "You need a phone that works.",
            "review_on": "2027-05-01",
        }],
        "remove": ["category:driving"],
        "words": "You told me your phone broke.",
        "in_parts": true,
        "session": session,
    });
    let stale = json!({"version": 2, "words": "x", "session": session, "partial": true});
    assert_eq!(fixture.post("amina", "/proposals", stale).await.status, 409);
    let proposed = fixture.post("amina", "/proposals", change).await;
    assert_eq!((proposed.status, &proposed.json()["waits_for"]), (201, &json!(["person"])));
    let id = proposed.json()["proposal"].as_str().unwrap().to_owned();
    let shown = fixture.get("dee", &format!("/proposals/{id}")).await;
    assert_eq!(
        (&shown["state"], &shown["words"]),
        (&json!("open"), &json!("You told me your phone broke."))
    );
    assert_eq!(
        shown["lines"][1],
        json!({
            "part": "category:phone",
            "about": "Phone, internet and TV",
            "now": "Ask first",
            "new": "Yes, up to £50 each time",
            "way": "more",
            "way_words": "more",
        })
    );
    let yes = json!({"say": "yes", "parts": ["category:phone"], "session": session});
    let agreed = fixture.post("dee", &format!("/proposals/{id}/answer"), yes).await;
    assert_eq!((agreed.status, &agreed.json()["version"]), (200, &json!(2)), "{agreed:?}");
    assert!(fixture.world.authorise(&at_a_phone_shop("A", 50_00)).await.is_approved());
    let all = fixture.get("amina", "/proposals").await;
    assert_eq!(all["data"][0]["said"][0]["side"], "person");
    let changes = fixture.get("dee", "/agreement/changes").await;
    assert_eq!(changes["lines"].as_array().unwrap().len(), 1);
    assert_eq!(fixture.get("amina", "/restrictions").await["count"], 8);

    let pause = json!({
        "reason": "Someone has your PIN.",
        "talk": "talk_00000000000000000000000000000001",
        "until": "2026-11-23T12:00:00Z",
    });
    assert_eq!(fixture.post("amina", "/pauses", pause.clone()).await.status, 422, "talk first");
    let talk = json!({
        "concern": "Someone watched her type her PIN.",
        "wants": "That nobody takes her money.",
        "consent": "She rang us herself, and agreed.",
        "options": "A new card comes in five days, which is too slow.",
        "next_step": "We go to the bank together.",
    });
    let talk = fixture.post("amina", "/talks", talk).await.json()["talk"].clone();
    assert_eq!(fixture.get("dee", "/talks").await["data"][0]["talk"], talk);
    let mut pause = pause;
    pause["talk"] = talk;
    let paused = fixture.post("amina", "/pauses", pause).await;
    assert_eq!(paused.status, 201, "{paused:?}");
    assert_eq!(fixture.world.authorise(&purchase("B", 1_00)).await.reason(), "frozen_staff");
    let id = paused.json()["pause"].as_str().unwrap().to_owned();
    let lifted = fixture.post("ruth", &format!("/pauses/{id}/lift"), json!({})).await;
    assert_eq!(lifted.status, 200, "{lifted:?}");
    assert!(fixture.world.authorise(&purchase("C", 1_00)).await.is_approved());
    fixture.world.check().await;
}

async fn a_guide_is_read_where_a_list_is(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let world = &fixture.world;
    let starter = world.get_as("dee", "/v1/guide").await.json();
    assert_eq!((&starter["version"], &starter["written_with"]), (&json!(1), &json!([])));
    assert_eq!(world.get_as("dee", "/v1/guide?version=1").await.status, 404, "nobody published it");
    let content = BUILT_IN_GUIDE
        .replace("authors = []", "authors = [\"People with a budget\", \"The outreach team\"]")
        .replace("id = \"debts\"", "id = \"what-you-owe\"");
    let publish = async |who: &str, with: &[&str]| {
        world.post_as(who, "/v1/guide", &json!({"content": content, "written_with": with})).await
    };
    assert_eq!(publish("ruth", &[]).await.status, 422, "written without them");
    assert_eq!(publish("amina", &["People with a budget"]).await.status, 403);
    assert_eq!(publish("ruth", &["People with a budget"]).await.status, 201);
    let guide = world.get_as("dee", "/v1/guide").await.json();
    assert_eq!(guide["written_with"], json!(["People with a budget"]));
    assert_eq!(world.get_as("amina", "/v1/guide?version=1").await.json(), guide);
    let banks = fixture.in_force("dee").await.list();
    let banks = with(&banks, term(category("banks"), TermAnswer::Ask));
    let proposed = fixture.propose("amina", "dee", banks).await.unwrap();
    fixture.answer("dee", "dee", proposed.proposal, ConsentAnswer::Yes).await.unwrap();
    let terms = fixture.get("dee", "/agreement").await["terms"].as_array().unwrap().clone();
    let line = terms.iter().find(|term| term["on"] == "category:banks").unwrap();
    assert_eq!(line["guide"], json!(["what-you-owe"]));
    fixture.world.check().await;
}

async fn more_help_is_chosen_and_given_back(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let session = json!({"how": "own_phone", "place": "at home", "minutes": 1});
    let together = json!({
        "help": "together", "above": 20_00, "cooling_days": 2, "review_on": "2027-03-01",
        "words": "I want a second look.", "session": session,
    });
    for (who, status) in [("amina", 403), ("dee", 200)] {
        assert_eq!(fixture.post(who, "/help", together.clone()).await.status, status, "{who}");
    }
    assert_eq!(fixture.world.authorise(&purchase("Dear", 20_01)).await.reason(), "over_purchase");
    assert!(fixture.world.authorise(&purchase("Fine", 20_00)).await.is_approved());
    let nothing = json!({"help": "together", "above": 0, "cooling_days": 0,
        "review_on": "2027-03-01", "words": "x", "session": session});
    assert_eq!(fixture.post("dee", "/help", nothing).await.status, 422);
    let alone = json!({"help": "alone", "words": "I can do it.", "session": session});
    let wish = fixture.post("dee", "/help", alone).await;
    assert_eq!((wish.status, &wish.json()["next"]), (200, &json!("cools")), "{wish:?}");
    assert_eq!(fixture.world.authorise(&purchase("Still", 20_01)).await.reason(), "over_purchase");
    fixture.world.check().await;
}

async fn drafts_and_own_wishes_are_read_by_whom_they_concern(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let session = json!({"how": "own_phone", "place": "at home", "minutes": 1});
    let draft = json!({"version": 1, "words": "She could cook.", "partial": true,
        "session": session});
    let drafted = fixture.post("helen", "/drafts", draft).await;
    let draft = drafted.json()["proposal"].as_str().unwrap().to_owned();
    let helped = json!({"help": "together", "above": 20_00, "cooling_days": 2,
        "review_on": "2027-03-01", "words": "I drink.", "session": session});
    assert_eq!(fixture.post("dee", "/help", helped).await.status, 200);
    let alone = json!({"help": "alone", "words": "I drink less.", "session": session});
    let wish = fixture.post("dee", "/help", alone).await;
    let wish = wish.json()["proposal"].as_str().unwrap().to_owned();
    // As an earlier version recorded it.
    let act = ActRow {
        programme_id: riverside(),
        budget_id: budget("dee"),
        act_id: ActId::new(fixture.world.app.ids().next(fixture.now())),
        member_id: "helen".parse().unwrap(),
        kind: "list_drafted".to_owned(),
        subject: draft.clone(),
        detail: "She could cook.".to_owned(),
        acted_at: fixture.now(),
    };
    let mut tx = fixture.store().begin().await.unwrap();
    tx.add_acts(&[act]).await.unwrap();
    tx.commit().await.unwrap();
    for who in ["ruth", "amina"] {
        let acts = fixture.get(who, "/timeline").await.to_string();
        assert!(!acts.contains("cook") && !acts.contains("drink"), "{who}: {acts}");
    }
    for (who, sees_draft, words) in [
        ("helen", true, ""),
        ("dee", true, "I drink less."),
        ("amina", true, ""),
        ("ruth", true, ""),
        ("paul", false, ""),
    ] {
        let all = fixture.get(who, "/proposals").await["data"].as_array().unwrap().clone();
        let ids: Vec<_> = all.iter().map(|one| one["proposal"].as_str().unwrap()).collect();
        assert_eq!(ids.contains(&draft.as_str()), sees_draft, "{who}: {ids:?}");
        let one = all.iter().find(|one| one["proposal"] == wish.as_str()).unwrap();
        assert_eq!(one["words"], words, "{who}");
        let path = format!("/v1/people/dee/proposals/{wish}");
        assert_eq!(fixture.world.get_as(who, &path).await.json()["words"], words, "{who}");
        let path = format!("/v1/people/dee/proposals/{draft}");
        let status = if sees_draft { 200 } else { 404 };
        assert_eq!(fixture.world.get_as(who, &path).await.status, status, "{who}");
    }
    // It is no more theirs to read once its author has taken it back.
    let taken_back =
        fixture.post("helen", &format!("/proposals/{draft}/withdraw"), json!({})).await;
    assert_eq!(taken_back.status, 200, "{taken_back:?}");
    for (who, status) in [("helen", 200), ("dee", 200), ("amina", 200), ("paul", 404)] {
        let path = format!("/v1/people/dee/proposals/{draft}");
        assert_eq!(fixture.world.get_as(who, &path).await.status, status, "{who}");
        let all = fixture.get(who, "/proposals").await.to_string();
        assert_eq!(all.contains("She could cook."), status == 200, "{who}: {all}");
    }
    let no = json!({"say": "no", "words": "I drink too much.", "session": session});
    let refused = fixture.post("dee", &format!("/proposals/{wish}/answer"), no).await;
    assert_eq!(refused.status, 200, "{refused:?}");
    let acts = fixture.get("amina", "/timeline").await.to_string();
    assert!(acts.contains("list_refused") && !acts.contains("drink"), "{acts}");
    fixture.world.check().await;
}

async fn a_shop_named_by_a_purchase_is_a_look_at_it(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let bought = fixture.world.authorise(&purchase("A", 1_00)).await;
    assert!(bought.is_approved());
    let shops = fixture.get("dee", "/shops").await;
    let id = shops["shops"][0]["bought"].as_str().unwrap().to_owned();
    let change = json!({
        "version": 1,
        "set": [{"bought": id, "answer": "yes"}],
        "words": "You asked me to.",
        "session": {"how": "own_page", "place": "the office", "minutes": 5},
    });
    for (who, path, looks) in
        [("dee", "/proposals", 0), ("amina", "/drafts", 1), ("amina", "/proposals", 2)]
    {
        let sent = fixture.post(who, path, change.clone()).await;
        assert_eq!(sent.status, 201, "{who} {path}: {sent:?}");
        let kept = "reason = 'You asked me to.' AND member_id = 'amina'";
        assert_eq!(fixture.world.count("look", kept).await, looks, "{who} {path}");
        if path == "/proposals" {
            let id = sent.json()["proposal"].as_str().unwrap().to_owned();
            fixture.post(who, &format!("/proposals/{id}/withdraw"), json!({})).await;
        }
    }
    fixture.world.check().await;
}
