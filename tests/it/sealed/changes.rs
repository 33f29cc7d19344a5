//! Key changes: complete or without effect, also when the process dies meanwhile.

use std::fs;
use std::path::PathBuf;

use sayso::platform::config::KeySource;
use sayso::store::SealingKeyStatus;
use tempfile::TempDir;

use super::rows::everything_in;
use crate::commands::{CommandOutput, sayso};
use crate::support::TestDatabase;
use crate::world::{DEMO, World, purchase};

on_both_databases!(
    a_gateway_at_work_goes_on_while_the_key_is_changed,
    two_that_begin_at_the_same_time_agree_on_one_key,
);

/// A programme and its tokens in a database of their own, created by the command line.
struct TestInstallation(TempDir);

impl TestInstallation {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("demo.toml"), DEMO).unwrap();
        assert_eq!(place.run(&["programme", "apply", "demo.toml"]).code, Some(0));
        assert_eq!(place.token().code, Some(0));
        place
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with(&[], arguments)
    }

    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> CommandOutput {
        sayso(self.0.path(), variables, arguments)
    }

    fn token(&self) -> CommandOutput {
        self.run(&["token", "--programme", "riverside", "--member", "dee"])
    }

    fn data(&self, name: &str) -> PathBuf {
        self.0.path().join(".local/share/sayso").join(name)
    }

    fn key(&self) -> String {
        fs::read_to_string(self.data("sayso.db.key")).unwrap()
    }

    /// Whether `sayso doctor` is content, and the secrets can be read and written.
    fn is_good(&self) -> bool {
        let doctor = self.run(&["doctor"]);
        let shown = self.run(&["programme", "show"]);
        fs::write(self.0.path().join("shown.toml"), shown.out).unwrap();
        let applied = self.run(&["programme", "apply", "shown.toml"]);
        doctor.code == Some(0)
            && doctor.out.contains("live secrets: 2")
            && applied.code == Some(0)
            && self.token().code == Some(0)
    }
}

#[test]
fn the_key_is_changed_and_the_old_one_opens_nothing() {
    let place = TestInstallation::new();
    let old = place.key();
    let changed = place.run(&["keys", "reseal"]);
    assert_eq!(changed.code, Some(0), "{}", changed.talk);
    assert_ne!(place.key(), old);
    assert!(place.is_good());
    assert!(!place.data("sayso.db.key.next").exists());
    let given = place.run_with(&[("SAYSO_KEY", old.trim())], &["doctor"]);
    assert_eq!(given.code, Some(1));
    assert!(
        given.out.contains("BAD  key") && given.out.contains("SAYSO_KEY has the key"),
        "{}",
        given.out
    );
    // From a key file to another one, and from there to a key given in the environment.
    let elsewhere = place.0.path().join("elsewhere.key");
    let named = elsewhere.to_str().unwrap();
    assert_eq!(place.run(&["keys", "reseal", "--new-key-file", named]).code, Some(0));
    assert_eq!(place.token().code, Some(78), "the key beside the database is not the one");
    let key = fs::read_to_string(&elsewhere).unwrap();
    let variables = [("SAYSO_KEY", key.trim())];
    let token = ["token", "--programme", "riverside", "--member", "dee"];
    assert_eq!(place.run_with(&variables, &token).code, Some(0));
    let no_file = place.run_with(&variables, &["keys", "reseal"]);
    assert_eq!(no_file.code, Some(78));
    assert!(no_file.talk.contains("--new-key-file"), "{}", no_file.talk);
    let back = place.data("sayso.db.key");
    let back = ["keys", "reseal", "--new-key-file", back.to_str().unwrap()];
    assert_eq!(place.run_with(&variables, &back).code, Some(0));
    assert!(place.is_good());
}

#[test]
fn a_change_of_the_key_that_dies_on_the_way_is_finished_or_undone() {
    for at in ["key_written", "committing", "resealed"] {
        let place = TestInstallation::new();
        let old = place.key();
        let died = place.run_with(&[("SAYSO_CRASH_AT", at)], &["keys", "reseal"]);
        assert_eq!(died.code, None, "{at}: {}", died.talk);
        assert_eq!(place.token().code, Some(0), "{at}: whoever needs the key finishes the change");
        assert!(place.is_good(), "{at}");
        let is_changed = place.key() != old;
        assert_eq!(is_changed, at == "resealed", "{at}");
        assert_eq!(place.run(&["keys", "reseal"]).code, Some(0), "{at}");
        assert!(place.is_good(), "{at}");
    }
}

#[test]
fn a_first_start_that_dies_on_the_way_is_begun_again() {
    for at in ["key_made", "committing"] {
        let place = TestInstallation(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("demo.toml"), DEMO).unwrap();
        let apply = ["programme", "apply", "demo.toml"];
        assert_eq!(place.run_with(&[("SAYSO_CRASH_AT", at)], &apply).code, None, "{at}");
        let key = place.key();
        assert_eq!(place.run(&apply).code, Some(0), "{at}");
        assert!(place.is_good(), "{at}");
        assert_eq!(place.key(), key, "{at}");
    }
}

#[test]
fn a_lost_key_is_told_and_what_it_sealed_can_be_written_anew() {
    let place = TestInstallation::new();
    fs::rename(place.data("sayso.db.key"), place.0.path().join("hidden")).unwrap();
    let serve = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(serve.code, Some(78), "{}", serve.talk);
    for words in ["is not there: put it back", "sayso keys reseal --lost"] {
        assert!(serve.talk.contains(words), "{}", serve.talk);
    }
    assert_eq!(place.run(&["programme", "apply", "demo.toml"]).code, Some(78));
    assert!(place.run(&["doctor"]).out.contains("BAD  key"));
    for needs_none in ["balances", "verify", "exceptions"] {
        assert_eq!(place.run(&[needs_none]).code, Some(0), "{needs_none}");
    }
    let lost = place.run(&["keys", "reseal", "--lost"]);
    assert_eq!(lost.code, Some(0), "{}", lost.talk);
    assert!(lost.talk.contains("with the secrets themselves"), "{}", lost.talk);
    let kept = DEMO.replace("whsec_demo_realtime_3f9c1f6f0d2b4c58", "(kept)");
    fs::write(place.0.path().join("kept.toml"), kept).unwrap();
    let refused = place.run(&["programme", "apply", "kept.toml"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.talk.contains("write the secret itself"), "{}", refused.talk);
    assert_eq!(place.run(&["programme", "apply", "demo.toml"]).code, Some(0));
    assert!(place.is_good());
    let needless = place.run(&["keys", "reseal", "--lost"]);
    assert_eq!(needless.code, Some(1), "what is there is not thrown away");
    assert!(place.is_good());
}

fn key_id(status: SealingKeyStatus) -> String {
    match status {
        SealingKeyStatus::Active { key, has_plaintext_remains: false } => key.to_string(),
        SealingKeyStatus::Active { has_plaintext_remains: true, .. }
        | SealingKeyStatus::NotSealed => panic!("not sealed"),
    }
}

async fn a_gateway_at_work_goes_on_while_the_key_is_changed(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let place = KeySource::File(file.clone());
    let world = World::open_with_key(database, place.clone()).await;
    world.token("dee").await;
    let store = world.database.bare_store().await;
    store.use_key(&place).await.unwrap();
    let before = key_id(store.find_key(&place).await.unwrap());
    let old = fs::read_to_string(&file).unwrap();
    let new = store.reseal(None).await.unwrap().to_string();
    assert_ne!(new, before);
    assert!(!everything_in(&world.database).await.contains(&format!("sealed:1:{before}")));
    // Cached secrets, reloaded secrets, and written ones.
    assert!(world.authorise(&purchase("Read", 1_00)).await.is_approved());
    world.app.directory().refresh(world.now()).await.unwrap();
    assert!(world.authorise(&purchase("Refreshed", 1_00)).await.is_approved());
    world.apply(DEMO).await;
    assert!(world.authorise(&purchase("Applied", 1_00)).await.is_approved());
    world.token("dee").await;
    let by_new = format!("sealed LIKE 'sealed:1:{new}:%'");
    assert_eq!(world.count("connection_secret", &by_new).await, 2);
    assert_eq!(world.count("token_key", &by_new).await, 2);

    // A gateway with only the old key continues with its cached secrets, reports the problem, and
    // seals nothing with the old key.
    fs::write(&file, &old).unwrap();
    store.reseal(Some(&folder.path().join("another"))).await.unwrap();
    let refused = world.app.directory().refresh(world.now()).await.unwrap_err();
    assert!(refused.to_string().contains("give the right one"), "{refused}");
    assert!(world.authorise(&purchase("Known", 1_00)).await.is_approved());
    assert!(world.try_apply(DEMO).await.is_err());
    store.close().await;
    world.check().await;
}

async fn two_that_begin_at_the_same_time_agree_on_one_key(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let stores = [database.bare_store().await, database.bare_store().await];
    let place = KeySource::File(folder.path().join("key"));
    let [one, two] = &stores;
    let (first, second) = tokio::join!(one.use_key(&place), two.use_key(&place));
    first.unwrap();
    second.unwrap();
    // Two keys in two places are ambiguous.
    let other = database.bare_store().await;
    let elsewhere = KeySource::File(folder.path().join("elsewhere"));
    let error = other.use_key(&elsewhere).await.unwrap_err().to_string();
    assert!(error.contains("is not there"), "{error}");
    for store in stores.iter().chain([&other]) {
        store.close().await;
    }
}
