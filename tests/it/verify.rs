//! `verify` is clean after a busy day, and detects every change of one row.

mod story;
mod tamper;

use sayso::domain::id::{ProgrammeId, SealId};
use sayso::finance::seal;
use sayso::operations::{VerificationReport, verify};
use sayso::store::Store;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use self::story::{PROGRAMME, Story, at};
use self::tamper::{Database, SeededRandom};
use crate::support::{DatabaseKind, TestDatabase};

on_both_databases!(
    a_busy_day_is_proved,
    erased_text_breaks_no_proof,
    every_changed_row_is_found,
    every_deleted_row_is_found,
    every_extra_row_is_found,
    seals_prove_what_was_there,
    two_programmes_are_proved_apart,
    the_database_itself_refuses,
);

async fn proof(store: &Store) -> VerificationReport {
    verify(store, None).await.unwrap()
}

async fn a_busy_day_is_proved(database: TestDatabase) {
    let story = Story::play(&database).await;
    let proof = proof(&story.store).await;
    assert_eq!(proof.findings, []);
    assert!(proof.is_clean());
    assert!(proof.to_text().ends_with("the ledger is proved\n"), "{}", proof.to_text());
    for (table, least) in [
        ("budget", 3),
        ("posting", 25),
        ("journal", 20),
        ("decision", 8),
        ("withdrawal", 1),
        ("issuer_event", 10),
        ("presentment", 6),
        ("purchase", 7),
        ("hold", 6),
        ("counter", 6),
        ("load", 4),
        ("agreement", 3),
        ("seal", 2),
    ] {
        assert!(proof.counts.of(table) >= least, "{table}: {:?}", proof.counts);
    }
    let json: serde_json::Value = serde_json::from_str(&proof.to_json()).unwrap();
    assert_eq!(json["proved"], true);
    assert_eq!(json["counts"]["budget"], 3);
}

async fn erased_text_breaks_no_proof(database: TestDatabase) {
    let story = Story::play(&database).await;
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    for sql in [
        "UPDATE decision SET merchant = NULL",
        "UPDATE purchase SET place = NULL",
        "UPDATE issuer_event SET body = NULL",
    ] {
        assert!(connection.execute(sql).await.unwrap().rows_affected() > 5);
    }
    assert_eq!(proof(&story.store).await.findings, []);
}

async fn every_changed_row_is_found(database: TestDatabase) {
    let story = Story::play(&database).await;
    let mut rows = Database::open(&database).await;
    let mut changes = rows.changes(SeededRandom(2026));
    let (mut found, mut refused) = (0, 0);
    while found < 200 {
        let change = changes.next().unwrap();
        if !rows.replace(&change.old, &change.new).await {
            refused += 1;
            continue;
        }
        let proof = proof(&story.store).await;
        assert!(
            proof.findings.iter().any(|finding| change.is_named_by(finding.table)),
            "{change:?} was not found; findings: {:#?}",
            proof.findings
        );
        assert!(!proof.is_clean() && proof.to_text().contains("NOT proved"));
        assert!(rows.replace(&change.new, &change.old).await, "put back");
        found += 1;
    }
    assert!(refused < 200, "{refused} refused: most changes must be possible");
    assert_eq!(proof(&story.store).await.findings, [], "all was put back");
}

async fn every_deleted_row_is_found(database: TestDatabase) {
    let story = Story::play(&database).await;
    let mut rows = Database::open(&database).await;
    let mut counters = 0;
    for row in rows.rows() {
        rows.delete(&row).await;
        let proof = proof(&story.store).await;
        let is_found = proof.findings.iter().any(|finding| row.is_named_by(finding.table));
        // A missing counter is not detected if it did not begin in its own period, nor is a missing
        // last seal: that needs a copy of the seal outside of the database.
        let may_be_missing = row.table.name == "counter" || row.is_last_seal();
        assert!(is_found || may_be_missing, "{row:?} was not missed: {:#?}", proof.findings);
        counters += usize::from(is_found && row.table.name == "counter");
        rows.insert(&row).await;
    }
    assert!(counters >= 4, "{counters} counters were missed");
    assert_eq!(proof(&story.store).await.findings, [], "all was put back");
}

async fn every_extra_row_is_found(database: TestDatabase) {
    let story = Story::play(&database).await;
    let mut rows = Database::open(&database).await;
    let mut tables = std::collections::BTreeSet::new();
    for row in rows.rows() {
        if !tables.insert(row.table.name) {
            continue;
        }
        let extra = row.with_another_key();
        rows.insert(&extra).await;
        let proof = proof(&story.store).await;
        let is_found = proof.findings.iter().any(|finding| extra.is_named_by(finding.table));
        assert!(is_found, "{extra:?} was not found: {:#?}", proof.findings);
        rows.delete(&extra).await;
    }
    assert_eq!(tables.len(), 15, "{tables:?}");
}

async fn seals_prove_what_was_there(database: TestDatabase) {
    let story = Story::play(&database).await;
    let programme: ProgrammeId = PROGRAMME.parse().unwrap();
    let third = SealId::new(uuid::Uuid::from_u128(3));
    let now = at("2026-12-01T00:00:00Z");
    let made = seal(&story.store, &programme, third, now).await.unwrap();
    assert_eq!(made.number, 3);
    assert_eq!(made.heads, [], "nothing has grown since the second seal");
    assert!(made.totals.starts_with("GBP loaded=320.00 held="), "{}", made.totals);
    assert_eq!(proof(&story.store).await.findings, []);

    // The database's owner can write a whole new chain, but it does not match a root that was kept
    // elsewhere.
    let mut rows = Database::open(&database).await;
    let seals: Vec<_> = rows.rows().into_iter().filter(|row| row.table.name == "seal").collect();
    rows.delete(&seals[0]).await;
    let broken = proof(&story.store).await;
    assert_eq!(broken.findings[0].table, "seal");
    assert!(broken.findings[0].what.contains("number 2 in place 1"), "{broken:?}");
}

async fn two_programmes_are_proved_apart(database: TestDatabase) {
    let story = Story::play(&database).await;
    story.apply_another("hillside").await;
    let hillside: ProgrammeId = "hillside".parse().unwrap();
    let first: ProgrammeId = PROGRAMME.parse().unwrap();
    let mut rows = Database::open(&database).await;
    let all = rows.rows();
    let load = all.iter().find(|row| row.table.name == "load" && row.is_of(PROGRAMME)).unwrap();
    rows.delete(load).await;
    assert!(verify(&story.store, Some(&hillside)).await.unwrap().is_clean());
    assert!(!verify(&story.store, Some(&first)).await.unwrap().is_clean());
    assert!(!proof(&story.store).await.is_clean());
}

async fn the_database_itself_refuses(database: TestDatabase) {
    let story = Story::play(&database).await;
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let pot = match database.kind {
        DatabaseKind::Sqlite => "a_pot_never_goes_below_nothing",
        DatabaseKind::Postgres => "pot",
    };
    for (sql, why) in [
        ("UPDATE posting SET subject = 'x'", "changed"),
        ("DELETE FROM posting", "deleted"),
        ("UPDATE journal SET amount_minor = 1", "changed"),
        ("DELETE FROM journal", "deleted"),
        ("UPDATE pot SET left_minor = -1, loaded_minor = held_minor + spent_minor - 1", pot),
        ("UPDATE pot SET spent_minor = spent_minor + 1", "a_pot_adds_up"),
        (
            "INSERT INTO decision SELECT programme_id, connection_id, reference, 'dec_2', \
             budget_id, purchase_reference, content, question, merchant, merchant_digest, facts, \
             outcome, reasons, currency, asked_minor, approved_minor, permission_id, decided_at \
             FROM decision",
            "decision",
        ),
        (
            "INSERT INTO journal SELECT programme_id, posting_id, line + 100, budget_id, \
             from_account, to_account, currency, 0 FROM journal",
            "a_transfer_moves_something",
        ),
        (
            "INSERT INTO journal SELECT programme_id, posting_id, line + 100, budget_id, \
             from_account, from_account, currency, amount_minor FROM journal",
            "a_transfer_moves_something",
        ),
    ] {
        let refused = connection.execute(sql).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{sql}: {refused}");
    }
    assert!(proof(&story.store).await.is_clean());
}
