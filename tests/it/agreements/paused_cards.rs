//! A pause concerns the person's money: it covers every card that they have or get. Every account
//! that may lift a mistaken pause lifts it in the same way.

use jiff::ToSpan as _;
use serde_json::{Value, json};

use super::fixture::{AgreementFixture, peopled};
use crate::support::TestDatabase;
use crate::world::{DEMO, Purchase, patient, purchase};

on_both_databases!(
    a_card_that_comes_during_a_pause_is_paused_too,
    a_file_that_changes_a_card_ends_no_pause,
    a_second_look_lifts_a_pause_for_every_card,
    a_second_look_that_keeps_a_pause_lifts_nothing,
    a_second_look_leaves_the_persons_own_freeze,
);

const SECOND: &str = "ic_1DemoDee00000000002";

/// The file with a new card in place of Dee's first one.
fn replaced(file: &str) -> String {
    let new = format!(
        "[[person.card]]\nconnection = \"riverside-stripe\"\ntoken = \"{SECOND}\"\n\
         last_four = \"4243\"\nstate = \"active\"\n\n"
    );
    let first = file.find("[[person.card]]").unwrap();
    let old = file.replacen("state = \"active\"", "state = \"replaced\"", 1);
    format!("{}{new}{}", &old[..first], &old[first..])
}

fn with_the_second(name: &str) -> Purchase {
    Purchase { card: SECOND.to_owned(), ..purchase(name, 1_00) }
}

impl AgreementFixture {
    /// Amina pauses Dee's cards for `hours`. Returns the pause's id.
    async fn paused(&self, hours: i64) -> String {
        let pause = json!({
            "reason": "Someone has your PIN.",
            "talk": self.talk("dee").await.to_string(),
            "until": self.now().checked_add(hours.hours()).unwrap().to_string(),
        });
        let paused = self.post("amina", "/pauses", pause).await;
        assert_eq!(paused.status, 201, "{paused:?}");
        paused.json()["pause"].as_str().unwrap().to_owned()
    }

    /// Dee appeals against a pause, and Ruth decides the appeal.
    async fn looked_at(&self, pause: &str, outcome: Value) {
        let appeal = self.post("dee", "/appeals", json!({"about": format!("pause:{pause}")})).await;
        assert_eq!(appeal.status, 201, "{appeal:?}");
        let id = appeal.json()["appeal"].as_str().unwrap().to_owned();
        let own = self.post("amina", &format!("/appeals/{id}/outcome"), outcome.clone()).await;
        assert_eq!(own.status, 403, "whoever paused does not look again: {own:?}");
        let looked = self.post("ruth", &format!("/appeals/{id}/outcome"), outcome).await;
        assert_eq!(looked.status, 200, "{looked:?}");
    }
}

async fn a_card_that_comes_during_a_pause_is_paused_too(database: TestDatabase) {
    let file = patient(DEMO);
    let fixture = AgreementFixture::open_with(database, &file).await;
    fixture.paused(5).await;
    fixture.world.apply(&peopled(&replaced(&file))).await;
    assert_eq!(fixture.world.authorise(&with_the_second("During")).await.reason(), "frozen_staff");
    fixture.world.advance_clock(4.hours().minutes(59).seconds(59));
    assert_eq!(fixture.world.authorise(&with_the_second("Last")).await.reason(), "frozen_staff");
    fixture.world.advance_clock(1.second());
    assert!(fixture.world.authorise(&with_the_second("After")).await.is_approved());
    fixture.world.check().await;
}

async fn a_file_that_changes_a_card_ends_no_pause(database: TestDatabase) {
    let file = patient(DEMO);
    let fixture = AgreementFixture::open_with(database, &file).await;
    fixture.paused(2).await;
    let stopped = file.replacen("state = \"active\"", "state = \"not_started\"", 1);
    fixture.world.apply(&peopled(&stopped)).await;
    assert_eq!(fixture.world.authorise(&purchase("During", 1_00)).await.reason(), "frozen_staff");
    fixture.world.advance_clock(2.hours());
    assert_eq!(fixture.world.authorise(&purchase("After", 1_00)).await.reason(), "not_started");
    fixture.world.check().await;
}

async fn a_second_look_lifts_a_pause_for_every_card(database: TestDatabase) {
    let file = patient(DEMO);
    let fixture = AgreementFixture::open_with(database, &file).await;
    let pause = fixture.paused(5).await;
    fixture.world.apply(&peopled(&replaced(&file))).await;
    assert_eq!(fixture.world.authorise(&with_the_second("During")).await.reason(), "frozen_staff");
    let changed = json!({"outcome": "changed", "words": "Nobody has the PIN."});
    fixture.looked_at(&pause, changed).await;
    assert!(fixture.world.authorise(&with_the_second("Lifted")).await.is_approved());
    let again = fixture.post("ruth", &format!("/pauses/{pause}/lift"), json!({})).await;
    assert_eq!(again.status, 409, "it is over: {again:?}");
    let shown = fixture.world.get_as("dee", "/v1/people/dee/pauses").await.json();
    assert_eq!(shown["pauses"][0]["lifted_at"], fixture.now().to_string());
    fixture.world.check().await;
}

async fn a_second_look_that_keeps_a_pause_lifts_nothing(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let pause = fixture.paused(5).await;
    let kept = json!({
        "outcome": "kept",
        "words": "Somebody used the PIN today.",
        "next_step": "The ombudsman, 020 7946 0333.",
    });
    fixture.looked_at(&pause, kept).await;
    assert_eq!(fixture.world.authorise(&purchase("Kept", 1_00)).await.reason(), "frozen_staff");
    fixture.world.advance_clock(5.hours());
    assert!(fixture.world.authorise(&purchase("After", 1_00)).await.is_approved());
    fixture.world.check().await;
}

async fn a_second_look_leaves_the_persons_own_freeze(database: TestDatabase) {
    let fixture = AgreementFixture::open(database).await;
    let pause = fixture.paused(5).await;
    assert_eq!(fixture.post("dee", "/freeze", json!({})).await.status, 200);
    let changed = json!({"outcome": "changed", "words": "Nobody has the PIN."});
    fixture.looked_at(&pause, changed).await;
    assert_eq!(fixture.world.authorise(&purchase("Own", 1_00)).await.reason(), "frozen_self");
    fixture.world.check().await;
}
