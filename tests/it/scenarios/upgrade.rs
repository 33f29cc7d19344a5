//! A database of the version before refunds freed limits: it verifies unchanged, and continues by
//! the current rules.

use sayso::app::gateway::App;
use sayso::platform::clock::Clock;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::caller::Caller;
use crate::support::{TABLES, TestDatabase};
use crate::world::{RULES, purchase};

on_both_databases!(refunds_from_before_stay_as_they_were_counted);

const SHOPS: &str = include_str!("../../../merchant-rules/shops.toml");

/// A purchase of 20.00, of which 8.00 were refunded.
const REFUNDED: &str = "iauth_14Ef2E9EqydfkOMOiLonlbNf";

async fn insert_all(database: &TestDatabase) {
    let text = include_str!("../../fixtures/before_the_whole_story.json");
    // The column of the secrets was renamed when they were sealed.
    insert_rows(database, text, |column| column.replace("secret", "sealed")).await;
    // There was no sealing key then.
    database.rows("DELETE FROM sealing_key").await;
}

/// Inserts the rows of `text`, table by table; `called` maps old column names to current ones.
pub(crate) async fn insert_rows(
    database: &TestDatabase,
    text: &str,
    called: impl Fn(&str) -> String,
) {
    let tables: Value = serde_json::from_str(text).unwrap();
    let tables = tables.as_object().unwrap();
    let order: Vec<_> = TABLES.into_iter().filter(|table| tables.contains_key(*table)).collect();
    assert_eq!(tables.len(), order.len(), "a table is left out");
    let mut connection = database.connect().await;
    for table in order {
        let columns = tables[table]["columns"].as_array().unwrap();
        let names: Vec<_> = columns.iter().map(|name| called(name.as_str().unwrap())).collect();
        for row in tables[table]["rows"].as_array().unwrap() {
            let row = row.as_array().unwrap();
            // Nulls are omitted, because their type is not known.
            let said: Vec<_> =
                names.iter().zip(row).filter(|(_, value)| !value.is_null()).collect();
            let places: Vec<_> = (1..=said.len()).map(|place| format!("${place}")).collect();
            let names: Vec<_> = said.iter().map(|(name, _)| name.as_str()).collect();
            let sql = format!(
                "INSERT INTO {table} ({}) VALUES ({})",
                names.join(", "),
                places.join(", ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (_, value) in said {
                query = match value {
                    Value::Number(number) => query.bind(number.as_i64().unwrap()),
                    Value::String(text) if text == "RULES" => query.bind(RULES.to_owned()),
                    Value::String(text) if text == "SHOPS" => query.bind(SHOPS.to_owned()),
                    Value::String(text) => query.bind(text.clone()),
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                        panic!("{table}: {value}")
                    }
                };
            }
            query.execute(&mut connection).await.unwrap();
        }
    }
    connection.close().await.unwrap();
}

async fn start(database: &TestDatabase, clock: &Clock) -> App {
    App::start(database.settings(clock)).await.unwrap()
}

async fn counter(database: &TestDatabase) -> Vec<Vec<String>> {
    let sql = "SELECT CAST(amount_minor AS TEXT), CAST(purchases AS TEXT) FROM counter";
    database.rows(sql).await
}

async fn refunds_from_before_stay_as_they_were_counted(database: TestDatabase) {
    let (clock, _hand) = Clock::manual("2026-11-30T12:00:00Z".parse().unwrap());
    start(&database, &clock).await.stop().await;
    insert_all(&database).await;
    let app = start(&database, &clock).await;
    let proof = || async { sayso::operations::verify(app.store(), None).await.unwrap() };
    assert!(proof().await.is_clean(), "{}", proof().await.to_text());
    assert_eq!(counter(&database).await, [["4500", "4"]], "what came back did not count then");

    // A further refund frees its own amount of the limits, and no more.
    let mut refund = purchase("Before", 20_00).refunded(clock.now(), "now", 5_00);
    refund["data"]["object"]["authorization"] = json!(REFUNDED);
    refund["data"]["object"]["card"] = json!("ic_1ReplayDee0000000001");
    Caller::new(app.address(), clock.clone()).send_event(&refund).await;
    assert_eq!(counter(&database).await, [["4000", "4"]]);
    let back = "SELECT extra FROM purchase WHERE refunded_minor = 1300";
    assert_eq!(database.rows(back).await, [[r#"{"limit_back":500}"#]]);
    assert!(proof().await.is_clean(), "{}", proof().await.to_text());

    // Limits cannot have been freed by more than was refunded.
    let mut connection = database.connect().await;
    let more = r#"UPDATE purchase SET extra = '{"limit_back":1301}' WHERE refunded_minor = 1300"#;
    sqlx::query(more).execute(&mut connection).await.unwrap();
    let found = proof().await;
    assert!(found.findings.iter().any(|finding| finding.what.contains("limits got")), "{found:?}");
    app.stop().await;
}
