//! A database of the version before secrets were sealed, migrated to this one.

use std::fs;

use sayso::app::gateway::App;
use sayso::platform::clock::Clock;
use sayso::programme::apply::apply;
use sayso::programme::show::show;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _};

use super::rows::{PRIVATE, everything_in};
use crate::caller::Caller;
use crate::scenarios::upgrade::insert_rows;
use crate::support::{DatabaseKind, TestDatabase, project};
use crate::world::{RULES, SECRET, purchase};

on_both_databases!(an_older_database_migrates_seals_its_secrets_and_verifies);

/// The id of the key that signed tokens then.
const SIGNED: &str = "e8Y2YrV141EsI02URga9chkn1KYMNmuFici4_1dvQqo";
/// A replaced secret: no row contains it, but the database file does.
const REPLACED: &str = "whsec_replaced_0123456789abcdef01234567";
/// Too short: earlier versions accepted it in the file, and then rejected every message.
const TOO_SHORT: &str = "whsec_0123456789";

/// Creates the schema of that version.
async fn migrate_to_4(database: &TestDatabase) {
    let kind = match database.kind {
        DatabaseKind::Sqlite => "sqlite",
        DatabaseKind::Postgres => "postgres",
    };
    let then = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(project().join("migrations").join(kind)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name < "0005" {
            fs::copy(&path, then.path().join(name)).unwrap();
        }
    }
    let mut connection = database.connect().await;
    if database.kind == DatabaseKind::Sqlite {
        connection.execute("PRAGMA journal_mode = WAL").await.unwrap();
    }
    Migrator::new(then.path()).await.unwrap().run(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn an_older_database_migrates_seals_its_secrets_and_verifies(database: TestDatabase) {
    migrate_to_4(&database).await;
    let text = include_str!("../../fixtures/before_secrets_were_sealed.json");
    insert_rows(&database, text, str::to_owned).await;
    let mut connection = database.connect().await;
    for sql in [
        format!(
            "INSERT INTO connection_secret (programme_id, connection_id, name, secret) \
             VALUES ('riverside', 'riverside-stripe', 'a-replaced', '{REPLACED}')"
        ),
        "DELETE FROM connection_secret WHERE name = 'a-replaced'".to_owned(),
        format!(
            "INSERT INTO connection_secret (programme_id, connection_id, name, secret) \
             VALUES ('riverside', 'riverside-stripe', 'a-short', '{TOO_SHORT}')"
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    let before = everything_in(&database).await;
    for secret in [SECRET, TOO_SHORT, PRIVATE] {
        assert!(before.contains(secret), "{secret} is not where it is looked for");
    }
    let is_file = database.kind == DatabaseKind::Sqlite;
    assert_eq!(before.contains(REPLACED), is_file, "what was deleted is still in a file");

    let (clock, _hand) = Clock::manual("2026-11-30T12:00:00Z".parse().unwrap());
    let app = App::start(database.settings(&clock)).await.unwrap();
    let after = everything_in(&database).await;
    for secret in [SECRET, REPLACED, TOO_SHORT, PRIVATE, "whsec_"] {
        assert!(!after.contains(secret), "{secret} can still be read");
    }
    assert!(after.contains("sealed:1:"));
    let key = "SELECT remains FROM sealing_key";
    assert_eq!(database.rows(key).await, [["none"]]);

    // The issuer's messages are still authenticated, although one stored secret is unusable.
    let caller = Caller::new(app.address(), clock.clone());
    assert!(caller.authorise(&purchase("After", 1_00)).await.is_approved());
    let live = app.directory().connection(&"riverside-stripe".parse().unwrap()).unwrap();
    assert_eq!((live.secrets_at(clock.now()).len(), live.unusable.len()), (2, 1));
    assert_eq!(live.unusable[0].name, "a-short");
    assert!(live.unusable[0].why.contains("shorter than 24"), "{:?}", live.unusable);
    // Applying the file reports it.
    let riverside = "riverside".parse().unwrap();
    let shown = show(app.store(), &riverside).await.unwrap().unwrap();
    let refused = apply(app.store(), app.ids(), clock.now(), &shown, RULES).await.unwrap_err();
    let refused = refused.to_string();
    let named = "connection riverside-stripe, secret a-short: the stored one is of no use";
    assert!(refused.contains(named) && refused.contains("shorter than 24"), "{refused}");
    // The token key is still valid.
    let (programme, dee) = ("riverside".parse().unwrap(), "dee".parse().unwrap());
    let issued = app.tokens().issue(app.ids(), &programme, &dee, clock.now()).await.unwrap();
    assert_eq!(app.tokens().verify(&issued.text, clock.now()).await.unwrap().member, dee);
    let current = app.tokens().keys(clock.now()).await.unwrap();
    assert!(current.iter().any(|key| key.id == SIGNED), "{current:?}");

    let proof = sayso::operations::verify(app.store(), None).await.unwrap();
    assert!(proof.is_clean(), "{}", proof.to_text());
    assert_eq!(proof.counts.of("decision"), 4);
    app.stop().await;
    // A second start changes nothing.
    let sealed = "SELECT sealed FROM connection_secret ORDER BY name";
    let rows = database.rows(sealed).await;
    App::start(database.settings(&clock)).await.unwrap().stop().await;
    assert_eq!(database.rows(sealed).await, rows);
    connection.close().await.unwrap();
}
