//! The database's own contents reveal nothing of the secrets.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sayso::app::gateway::App;
use sayso::platform::config::KeySource;
use sayso::store::StoreError;
use secrecy::ExposeSecret as _;

use crate::scenarios::gateway::{GatewayProcess, prepare};
use crate::support::{DatabaseKind, TestDatabase};
use crate::world::{DEMO, SECRET, World, purchase};

on_both_databases!(
    no_secret_can_be_read_from_the_database_alone,
    a_sealed_secret_counts_in_its_own_row_only,
    a_plain_secret_that_somebody_wrote_into_the_database_counts_for_nothing,
    another_key_or_none_is_told_with_what_to_do,
    nothing_that_is_logged_or_debugged_shows_a_secret,
);

/// A key that sealed nothing here.
pub(super) const OTHER_KEY: &str = "other+other+other+other+other+other+other+0=";

/// Every byte of an SQLite database's files; every row of a PostgreSQL database.
pub(super) async fn everything_in(database: &TestDatabase) -> String {
    let mut all = String::new();
    match database.kind {
        DatabaseKind::Sqlite => {
            for ending in ["", "-wal", "-shm", ".mark"] {
                let bytes = fs::read(file(database, ending)).unwrap_or_default();
                all.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        DatabaseKind::Postgres => {
            let tables = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
                          WHERE table_schema = 'public'";
            for table in database.rows(tables).await {
                let rows = format!("SELECT CAST(t AS TEXT) FROM {} t", table[0]);
                for row in database.rows(&rows).await {
                    all.push_str(&row[0]);
                }
            }
        }
    }
    all
}

pub(super) fn file(database: &TestDatabase, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", database.url.strip_prefix("sqlite:").unwrap()))
}

/// The prefix that all Ed25519 keys have in common in PEM form.
pub(super) const PRIVATE: &str = "MC4CAQAwBQYDK2VwBCIEI";

async fn no_secret_can_be_read_from_the_database_alone(database: TestDatabase) {
    let world = World::open(database).await;
    world.token("dee").await;
    assert!(world.authorise(&purchase("Bought", 1_00)).await.is_approved());
    let all = everything_in(&world.database).await;
    assert!(all.contains("sealed:1:"), "it was not looked at");
    for secret in [SECRET, "whsec_", PRIVATE, "PRIVATE KEY"] {
        assert!(!all.contains(secret), "{secret}");
    }
    let count = "sealed LIKE 'sealed:1:%'";
    assert_eq!(world.count("connection_secret", count).await, 2);
    assert_eq!(world.count("token_key", count).await, 2);
    world.check().await;
}

/// Copies the sealed text of one secret over that of another one.
async fn copy(world: &World, from: &str, to: &str) {
    let sql = format!(
        "UPDATE connection_secret SET sealed = (SELECT s.sealed FROM connection_secret s \
         WHERE s.name = '{from}') WHERE name = '{to}'"
    );
    world.database.rows(&sql).await;
    world.app.directory().refresh(world.now()).await.unwrap();
}

async fn a_sealed_secret_counts_in_its_own_row_only(database: TestDatabase) {
    let world = World::open(database).await;
    let ask = async |name: &str| world.authorise(&purchase(name, 1_00)).await.status;
    assert_eq!(ask("Before").await, 200);
    copy(&world, "realtime-1", "events-1").await;
    assert_eq!(ask("Copied").await, 200, "what was moved stands in no other's way");
    let live = world.app.directory().connection(&"riverside-stripe".parse().unwrap()).unwrap();
    let unusable: Vec<_> = live.unusable.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(unusable, ["events-1"]);
    copy(&world, "events-1", "realtime-1").await;
    assert_eq!(ask("Same").await, 200);
    world
        .database
        .rows("UPDATE connection_secret SET name = 'moved' WHERE name = 'realtime-1'")
        .await;
    world.app.directory().refresh(world.now()).await.unwrap();
    assert_eq!(ask("Renamed").await, 401, "under another name it opens nothing");
    // Applying the file restores it.
    world.apply(DEMO).await;
    assert_eq!(ask("Applied").await, 200);
    world.check().await;
}

async fn a_plain_secret_that_somebody_wrote_into_the_database_counts_for_nothing(
    database: TestDatabase,
) {
    const OWN: &str = "whsec_of_somebody_who_has_the_database_only";

    let world = World::open(database).await;
    let sql = format!("UPDATE connection_secret SET sealed = '{OWN}' WHERE name = 'events-1'");
    world.database.rows(&sql).await;
    let forged = async || {
        let body = purchase("Forged", 1_00).request(world.now()).to_string();
        let signature = crate::world::sign(OWN, world.now(), &body);
        let path = "/issuers/riverside-stripe/authorisations";
        world.post_signed(path, &body, &signature).await.status
    };
    world.app.directory().refresh(world.now()).await.unwrap();
    assert_eq!(forged().await, 401);
    let again = world.another().await;
    again.stop().await;
    let sealed = "SELECT sealed FROM connection_secret WHERE name = 'events-1'";
    assert_eq!(world.database.rows(sealed).await, [[OWN]], "a start does not seal what is new");
    assert!(world.authorise(&purchase("Own", 1_00)).await.is_approved());
}

async fn another_key_or_none_is_told_with_what_to_do(database: TestDatabase) {
    let world = World::open(database).await;
    let start = async |key: KeySource| {
        let mut settings = world.database.settings(&world.clock);
        settings.key = key;
        let error = App::start(settings).await.unwrap_err();
        let cause: &dyn std::error::Error = &error;
        cause.source().unwrap().to_string()
    };
    let wrong = start(KeySource::Given(OTHER_KEY.into())).await;
    for words in
        ["are sealed with the key", "SAYSO_KEY has the key", "give the right one", "--lost"]
    {
        assert!(wrong.contains(words), "{words} is not in: {wrong}");
    }
    assert!(!wrong.contains(OTHER_KEY), "{wrong}");
    let folder = tempfile::tempdir().unwrap();
    let gone = start(KeySource::File(folder.path().join("key"))).await;
    assert!(
        gone.contains("is not there: put it back") && gone.contains("SAYSO_KEY_FILE"),
        "{gone}"
    );
    assert!(!folder.path().join("key").exists(), "no key is made for what another one sealed");
    let none = start(KeySource::Nowhere).await;
    assert!(none.contains("set SAYSO_KEY_FILE"), "{none}");
    let bad = start(KeySource::Given("hunter2".into())).await;
    assert!(bad.contains("32 random bytes in base64") && !bad.contains("hunter2"), "{bad}");

    // Operations without secrets need no key.
    let store = world.database.bare_store().await;
    assert!(sayso::operations::verify(&store, None).await.unwrap().is_clean());
    let shown = sayso::programme::show::show(&store, &"riverside".parse().unwrap()).await.unwrap();
    assert!(shown.unwrap().contains("value = \"(kept)\""));
    assert!(matches!(store.secrets(world.now()).await, Err(StoreError::Key(_))));
    store.close().await;
}

async fn nothing_that_is_logged_or_debugged_shows_a_secret(database: TestDatabase) {
    let key = match database.key() {
        KeySource::Given(key) => key.expose_secret().to_owned(),
        KeySource::File(_) | KeySource::Nowhere => String::new(),
    };
    let store = prepare(&database, DEMO).await;
    let key = match database.key() {
        KeySource::File(file) => fs::read_to_string(file).unwrap().trim().to_owned(),
        KeySource::Given(_) | KeySource::Nowhere => key,
    };
    let keys = store.token_keys().await.unwrap();
    let secrets = store.secrets(jiff::Timestamp::MIN).await.unwrap();
    let debugged = format!("{store:?} {keys:?} {secrets:?} {:?}", database.key());

    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new("sh");
    let script = "log=$1; shift; exec \"$@\" 2>\"$log\"";
    command.args(["-c", script, "sh"]).arg(&log).arg(env!("CARGO_BIN_EXE_sayso"));
    command.env("SAYSO_LOG", "trace");
    let mut gateway = GatewayProcess::spawn(&database, command);
    let caller = gateway.caller();
    caller.wait_until_ready(true).await;
    assert!(caller.authorise(&purchase("Logged", 1_00)).await.is_approved());
    // An unusable one is logged by its name.
    database
        .rows("UPDATE connection_secret SET sealed = 'whsec_plain' WHERE name = 'events-1'")
        .await;
    crate::caller::wait_until(async || fs::read_to_string(&log).unwrap().contains("events-1"))
        .await;
    gateway.kill();
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("DEBUG") && logged.contains("counts for nothing"));
    let password = database.url.split(':').nth(2).and_then(|rest| rest.split('@').next());
    let told = [SECRET, "whsec_", PRIVATE, &key];
    for secret in
        told.into_iter().chain(password.filter(|_| database.kind == DatabaseKind::Postgres))
    {
        assert!(!logged.contains(secret), "{secret} is logged");
        assert!(!debugged.contains(secret), "{secret} is in {debugged}");
    }
    store.close().await;
}
