//! Weak secrets: a file that contains one is rejected, and the error names it.

use sayso::programme::apply::ApplyError;
use sayso::programme::show::show;

use crate::support::TestDatabase;
use crate::world::{DEMO, SECRET, World, purchase};

on_both_databases!(
    every_secret_that_is_applied_verifies_and_every_other_one_is_refused_by_name,
    a_kept_secret_that_cannot_be_opened_is_refused_by_name,
);

const OF_EVENTS: &str = "whsec_demo_events_8a41d7e6b95340c2";

async fn refusal(world: &World, file: &str) -> String {
    match world.try_apply(file).await.unwrap_err() {
        ApplyError::File(problems) => problems.to_string(),
        ApplyError::Refused(refusals) => refusals.join("\n"),
        ApplyError::Rules(_)
        | ApplyError::Another(_)
        | ApplyError::Store(_)
        | ApplyError::Ledger(_) => panic!("something else"),
    }
}

/// The demo without its secrets, from the first one to the streams.
fn without_secrets() -> String {
    let begin = DEMO.find("[[connection.secret]]").unwrap();
    let end = DEMO.find("# Whose money").unwrap();
    format!("{}{}", &DEMO[..begin], &DEMO[end..])
}

async fn every_secret_that_is_applied_verifies_and_every_other_one_is_refused_by_name(
    database: TestDatabase,
) {
    let world = World::open(database).await;
    let cases = [
        ("whsec_0123456789abcdef0", "shorter than 24 characters"),
        ("0123456789abcdef0123456789abcdef", "does not begin with whsec_"),
        ("sk_live_0123456789abcdef012345678", "does not begin with whsec_"),
        ("whsec_0123456789abc def0123456789", "such as a space"),
        ("whsec_0123456789abcdéf0123456789", "such as a space"),
        ("", "value is empty"),
    ];
    for (value, why) in cases {
        let told = refusal(&world, &DEMO.replace(OF_EVENTS, value)).await;
        assert_eq!(told.lines().count(), 1, "{told}");
        for words in ["connection \"riverside-stripe\", secret \"events-1\"", why] {
            assert!(told.contains(words), "{value:?}: {told}");
        }
        assert!(value.is_empty() || !told.contains(value), "{told}");
    }
    let told = refusal(&world, &without_secrets()).await;
    assert!(told.contains("connection \"riverside-stripe\": it has no secret"), "{told}");
    let ended = DEMO.replace("\"events-1\"", "\"events-1\"\nuntil = 2026-11-23T08:00:00Z");
    let ended = ended.replace("\"realtime-1\"", "\"realtime-1\"\nuntil = 2026-11-22T00:00:00Z");
    let told = refusal(&world, &ended).await;
    assert!(told.contains("connection riverside-stripe: no secret of it counts"), "{told}");
    // One that is still valid suffices.
    world.apply(&ended.replace("2026-11-23T08:00:00Z", "2026-11-23T08:00:01Z")).await;

    // Every accepted secret authenticates messages.
    for value in ["whsec_0123456789abcdef01", "whsec_Zm9v+/==_-aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        world.apply(&DEMO.replace(SECRET, value)).await;
        let body = purchase(value, 1_00).request(world.now()).to_string();
        let signature = crate::world::sign(value, world.now(), &body);
        let path = "/issuers/riverside-stripe/authorisations";
        assert_eq!(world.post_signed(path, &body, &signature).await.status, 200, "{value}");
    }
    world.check().await;
}

async fn a_kept_secret_that_cannot_be_opened_is_refused_by_name(database: TestDatabase) {
    let world = World::open(database).await;
    let shown = show(world.app.store(), &"riverside".parse().unwrap()).await.unwrap().unwrap();
    world.database.rows("UPDATE connection_secret SET sealed = '?' WHERE name = 'events-1'").await;
    let told = refusal(&world, &shown).await;
    assert!(
        told.contains("connection riverside-stripe, secret events-1: the stored one"),
        "{told}"
    );
    assert!(told.contains("write the secret itself"), "{told}");
    assert!(!told.contains("realtime-1"), "{told}");
    world.apply(DEMO).await;
    world.apply(&shown).await;
    assert!(world.authorise(&purchase("After", 1_00)).await.is_approved());
}
