//! A programme with many people: one comes from a file, the others are copies of its rows.

use anyhow::{Context as _, Result, bail};
use sayso::platform::clock::Clock;
use sayso::platform::config::KeySource;
use sayso::platform::ids::NewIds;
use sayso::programme::apply::apply;
use sayso::store::{PoolSizes, Store};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

/// Two pots, three counters, and amounts so large that nothing is declined.
const PROGRAMME_FILE: &str = include_str!("../programme.toml");

/// The names of the issuer's connection and of its programme.
pub(crate) const CONNECTION: &str = "bench-stripe";
pub(crate) const PROGRAMME: &str = "bench";
/// Invented, as every name here.
pub(crate) const SECRET: &str = "whsec_bench_realtime_0123456789abcdef";

/// The key that secrets are sealed with, in every process of the benchmark.
pub(crate) fn key() -> KeySource {
    KeySource::Given("bench+bench+bench+bench+bench+bench+bench+0=".into())
}

/// The number of people, and the length of their history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Population {
    pub(crate) people: u32,
    /// Number of postings in the journal, of all people together.
    pub(crate) postings: u32,
}

/// Applies the programme's file to the empty database at `url`, and copies its one person until the
/// population is complete.
pub(crate) async fn populate(url: &str, population: Population) -> Result<()> {
    let people = population.people;
    let store = Store::open(url, PoolSizes::default()).await?;
    store.use_key(&key()).await?;
    let rules = include_str!("../../merchant-rules/categories.toml");
    apply(&store, &NewIds::default(), Clock::system().now(), PROGRAMME_FILE, rules).await?;
    store.close().await;
    let mut connection = AnyConnection::connect(url).await?;
    let mut statements = copies(&mut connection, people).await?;
    statements.extend(ledger_histories(&mut connection, population).await?);
    for statement in statements {
        connection.execute(AssertSqlSafe(statement)).await.context("cannot copy people")?;
    }
    let tidy = if url.starts_with("sqlite:") {
        "PRAGMA wal_checkpoint(TRUNCATE)"
    } else {
        "VACUUM ANALYZE"
    };
    connection.execute(tidy).await?;
    let counted = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM card");
    if counted.fetch_one(&mut connection).await? != i64::from(people) {
        bail!("the population is not complete");
    }
    connection.close().await?;
    Ok(())
}

/// The token of the card of person `number`, as long as the one in the message's template.
pub(crate) fn card_token(number: u32) -> String {
    format!("ic_1B{number:018}")
}

/// Statements that copy person 0 with everything that a decision reads. The copies continue at the
/// end of person 0's chain, because no decision reads earlier links.
async fn copies(connection: &mut AnyConnection, people: u32) -> Result<Vec<String>> {
    const NAME: &str = "'p' || i";
    let token = "'ic_1B' || substr('000000000000000000' || i, length('' || i) + 1)";
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) ",
        people.saturating_sub(1)
    );
    let mut statements = Vec::new();
    for (table, key) in [
        ("budget", "budget_id"),
        ("person", "person_id"),
        ("card", "budget_id"),
        ("agreement", "budget_id"),
        ("term", "budget_id"),
        ("pot", "budget_id"),
    ] {
        let copied = copied(connection, table, &[(key, NAME), ("token", token)]).await?;
        statements.push(format!(
            "{numbers} {copied} FROM n, {table} t WHERE t.{key} = 'p0' AND i < {people}"
        ));
    }
    Ok(statements)
}

/// Statements that give every copy a history: a chain of postings with one transfer each, from its
/// first link to the head in its budget. The hashes are copies of those of person 0's last load, so
/// the ledger cannot be verified; no decision reads them.
async fn ledger_histories(
    connection: &mut AnyConnection,
    population: Population,
) -> Result<Vec<String>> {
    let each = population.postings.checked_div(population.people).unwrap_or(0);
    if each == 0 {
        return Ok(Vec::new());
    }
    let people = population.people.saturating_sub(1);
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people}), \
         k(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM k WHERE seq < {each}) "
    );
    // As long as real identifiers, and in the order in which they are written.
    let id = |seq: &str| {
        let number = format!("({seq} * {}0 + i)", population.people);
        format!(
            "'pst_019a0000' || substr('000000000000000000000000' || {number}, \
             length('' || {number}) + 1)"
        )
    };
    let (own, before, last) = (id("k.seq"), id("(k.seq - 1)"), id(&each.to_string()));
    let previous = format!("CASE WHEN k.seq = 1 THEN NULL ELSE {before} END");
    let mut link = vec![("posting_id", own.as_str()), ("budget_id", "'p' || i")];
    let journal = copied(connection, "journal", &link).await?;
    link.extend([("seq", "k.seq"), ("previous_id", previous.as_str())]);
    let posting = copied(connection, "posting", &link).await?;
    let of_head = "JOIN budget b ON b.budget_id = 'p0' AND b.head_posting = t.posting_id";
    Ok(vec![
        format!("{numbers} {posting} FROM k, n, posting t {of_head}"),
        format!("{numbers} {journal} FROM k, n, journal t {of_head}"),
        format!(
            "{numbers} UPDATE budget SET head_seq = {each}, head_posting = {last} \
             FROM n WHERE budget.programme_id = '{PROGRAMME}' AND budget.budget_id = 'p' || i"
        ),
    ])
}

/// `INSERT INTO … SELECT …` of all current columns of `table` from its rows `t`. The columns in
/// `replaced` get an expression instead.
async fn copied(
    connection: &mut AnyConnection,
    table: &str,
    replaced: &[(&str, &str)],
) -> Result<String> {
    let sql = if connection.backend_name() == "SQLite" {
        "SELECT name FROM pragma_table_info($1) ORDER BY cid"
    } else {
        "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
    };
    let columns: Vec<String> =
        sqlx::query_scalar(sql).bind(table.to_owned()).fetch_all(connection).await?;
    let value = |column: &String| {
        let known = replaced.iter().find(|(name, _)| name == column);
        known.map_or_else(|| format!("t.{column}"), |(_, expression)| (*expression).to_owned())
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    Ok(format!("INSERT INTO {table} ({}) SELECT {}", columns.join(", "), values.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_names_that_requests_have() {
        for name in [PROGRAMME, CONNECTION, SECRET, &card_token(0)] {
            assert!(PROGRAMME_FILE.contains(&format!(" = \"{name}\"\n")), "{name}");
        }
    }

    /// The copies must follow every change of the schema.
    #[tokio::test]
    async fn a_population_with_a_past_is_made_in_the_schema_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("bench.db").display());
        populate(&url, Population { people: 4, postings: 20 }).await.unwrap();
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        for (table, count) in [("pot", 8), ("budget", 4)] {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE budget_id LIKE 'p%'");
            let counted = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
            assert_eq!(counted.fetch_one(&mut connection).await.unwrap(), count, "{table}");
        }
    }
}
