//! A programme with many people: one is applied from a file, the others are copies of their rows.

use anyhow::{Context as _, Result, bail};
use sayso::clock::Clock;
use sayso::config::KeyPlace;
use sayso::ids::NewIds;
use sayso::programme::apply::apply;
use sayso::store::{Connections, Store};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

/// The name of the issuer's connection, and of its programme.
pub(crate) const CONNECTION: &str = "bench-stripe";
pub(crate) const PROGRAMME: &str = "bench";
/// Made up, as every name here.
pub(crate) const SECRET: &str = "whsec_bench_realtime_0123456789abcdef";

/// The key that the bench's secrets are sealed with: the same for all its processes.
pub(crate) fn key() -> KeyPlace {
    KeyPlace::Given("bench+bench+bench+bench+bench+bench+bench+0=".into())
}

/// How many people there are, and how long their past is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Population {
    pub(crate) people: u32,
    /// In the journal, of all people together.
    pub(crate) postings: u32,
}

/// Applies the programme's file to the empty database at `url`, and makes a whole population of the
/// one person that is in it.
pub(crate) async fn populate(url: &str, population: Population) -> Result<()> {
    let people = population.people;
    let store = Store::open(url, Connections::default()).await?;
    store.use_key(&key()).await?;
    let rules = include_str!("../../merchant-rules/categories.toml");
    let file = programme_file();
    apply(&store, &NewIds::default(), Clock::system().now(), &file, rules).await?;
    store.close().await;
    let mut connection = AnyConnection::connect(url).await?;
    for statement in copies(people).into_iter().chain(pasts(population)) {
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

/// The token of the card of person `number`, as wide as the one in the message's template.
pub(crate) fn card_token(number: u32) -> String {
    format!("ic_1B{number:018}")
}

/// Statements that copy person 0 with everything that a decision reads. The copies' chains go on
/// from where person 0's ends: no decision looks back.
fn copies(people: u32) -> Vec<String> {
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) ",
        people.saturating_sub(1)
    );
    let of = |table: &str, columns: &str, key: &str| {
        format!(
            "{numbers} INSERT INTO {table} SELECT {columns} FROM n, {table} t \
             WHERE t.{key} = 'p0' AND i < {people}"
        )
    };
    vec![
        of(
            "budget",
            "t.programme_id, 'p' || i, t.currency, t.agreement_version, t.head_seq, \
             t.head_posting, t.head_hash",
            "budget_id",
        ),
        of("person", "t.programme_id, 'p' || i, t.name, t.worker_id, t.state, t.plan", "person_id"),
        of(
            "card",
            "t.programme_id, t.connection_id, \
             'ic_1B' || substr('000000000000000000' || i, length('' || i) + 1), 'p' || i, \
             t.last_four, t.state, t.state_until, t.state_after",
            "budget_id",
        ),
        of(
            "agreement",
            "t.programme_id, 'p' || i, t.version, t.agreed_on, t.agreed_by, t.how, t.partial, \
             t.pots, t.started_at",
            "budget_id",
        ),
        of(
            "term",
            "t.programme_id, 'p' || i, t.version, t.position, t.scope, t.answer, t.limits, \
             t.hours, t.decides, t.reason, t.review_on, t.cooling_days",
            "budget_id",
        ),
        of(
            "pot",
            "t.programme_id, 'p' || i, t.pot_id, t.stream_id, t.currency, t.allocated_minor, \
             t.loaded_minor, t.held_minor, t.spent_minor, t.left_minor, t.moved_minor, t.own",
            "budget_id",
        ),
    ]
}

/// Statements that give every copy a past: a chain of postings with a transfer each, from its first
/// link to the head that its budget names. Their hashes are those of person 0's last load, so the
/// ledger of a bench proves nothing; no decision looks at them.
fn pasts(population: Population) -> Vec<String> {
    let each = population.postings.checked_div(population.people).unwrap_or(0);
    if each == 0 {
        return Vec::new();
    }
    let people = population.people.saturating_sub(1);
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people}), \
         k(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM k WHERE seq < {each}) "
    );
    // As wide as real ones, and in the order in which they are written.
    let id = |seq: &str| {
        let number = format!("({seq} * {}0 + i)", population.people);
        format!(
            "'pst_019a0000' || substr('000000000000000000000000' || {number}, \
             length('' || {number}) + 1)"
        )
    };
    let each_text = each.to_string();
    let (own, before, last) = (id("k.seq"), id("(k.seq - 1)"), id(&each_text));
    vec![
        format!(
            "{numbers} INSERT INTO posting SELECT t.programme_id, {own}, 'p' || i, k.seq, t.kind, \
             t.subject, t.record_digest, t.purchase_id, t.purchase_digest, t.posted_at, \
             CASE WHEN k.seq = 1 THEN NULL ELSE {before} END, t.hash FROM k, n, posting t \
             JOIN budget b ON b.budget_id = 'p0' AND b.head_posting = t.posting_id"
        ),
        format!(
            "{numbers} INSERT INTO journal SELECT t.programme_id, {own}, t.line, 'p' || i, \
             t.from_account, t.to_account, t.currency, t.amount_minor FROM k, n, journal t \
             JOIN budget b ON b.budget_id = 'p0' AND b.head_posting = t.posting_id"
        ),
        format!(
            "{numbers} UPDATE budget SET head_seq = {each}, head_posting = {last} \
             FROM n WHERE budget.programme_id = '{PROGRAMME}' AND budget.budget_id = 'p' || i"
        ),
    ]
}

/// Two pots, three counters, and enough of everything that nothing is refused.
fn programme_file() -> String {
    let token = card_token(0);
    format!(
        r#"
[programme]
id = "{PROGRAMME}"
name = "Bench"
time_zone = "Europe/London"
currency = "GBP"
country = "GB"

[[worker]]
id = "amina"
name = "Amina"
phone = "020 7946 0000"

[[connection]]
name = "{CONNECTION}"
issuer = "stripe"
api_version = "2026-10-28.endive"
deadline_ms = 2000
answer_within_ms = 1300

[[connection.secret]]
name = "realtime-1"
value = "{SECRET}"

[[stream]]
id = "homes"
name = "Homes grant"
funder = "Riverside Council"
never = ["gambling"]
ends_on = 2199-12-31

[[start.term]]
on = "everything_else"
answer = "yes"

[[person]]
id = "p0"
name = "Ada"
worker = "amina"

[[person.card]]
connection = "{CONNECTION}"
token = "{token}"
last_four = "0000"
state = "active"

[[person.pot]]
id = "extra"
name = "extra"
stream = "homes"
allocated = "90000000.00"
only = ["pets"]
loads = [{{ id = "start", amount = "9000000.00" }}]

[[person.pot]]
id = "week"
name = "your week"
stream = "homes"
allocated = "90000000.00"
loads = [{{ id = "start", amount = "9000000.00" }}]

[person.agreement]
agreed_on = 2026-11-16
agreed_by = ["Ada", "Amina"]
how = "For a bench."
partial = false

[[person.agreement.term]]
on = {{ category = "food" }}
answer = "yes"
limits = [{{ per = "week", amount = "9000000.00" }}]
reason = "Counted."
review_on = 2199-02-16

[[person.agreement.term]]
on = "everything"
limits = [{{ per = "day", amount = "9000000.00" }}, {{ per = "month", amount = "9000000.00" }}]
reason = "Counted."
review_on = 2199-02-16

[[person.agreement.term]]
on = {{ category = "gadgets" }}
answer = "ask"
decides = "together"
reason = "Never met here."
review_on = 2199-02-16

[[person.agreement.term]]
on = "everything_else"
answer = "yes"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema grows, and the copies must grow with it.
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
