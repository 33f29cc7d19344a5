//! The fields of a programme file that the books model. An unknown field may change what is paid.

use toml::{Table, Value};

/// Each table by its path in the file, with its known fields.
const KNOWN_FIELDS: [(&str, &[&str]); 21] = [
    (
        "",
        &[
            "programme",
            "hours",
            "asks",
            "worker",
            "connection",
            "stream",
            "shop",
            "start",
            "person",
            "member",
            "duty",
        ],
    ),
    (
        "programme",
        &[
            "id",
            "name",
            "time_zone",
            "currency",
            "country",
            "exchange_margin_percent",
            "home_countries",
            "unknown_country",
            "manager_above",
            "paused",
        ],
    ),
    ("hours", &["days", "from", "to"]),
    (
        "asks",
        &[
            "answer_hours",
            "silence_up_to",
            "fuel_food_up_to",
            "interim_up_to",
            "interim_week_up_to",
            "worker_up_to",
            "duty_up_to",
        ],
    ),
    ("worker", &["id", "name", "phone"]),
    ("connection", &["name", "issuer", "api_version", "deadline_ms", "answer_within_ms", "secret"]),
    ("connection.secret", &["name", "value", "until"]),
    ("stream", &["id", "name", "funder", "never", "ends_on", "drains_first"]),
    ("shop", &["name", "kind", "prints", "never", "codes", "not_codes", "network_ids"]),
    ("start", &["term"]),
    ("start.term", TERM_FIELDS),
    ("start.term.limits", LIMIT_FIELDS),
    (
        "person",
        &["id", "name", "worker", "phone", "state", "card", "pot", "agreement", "permission"],
    ),
    ("person.card", &["connection", "token", "last_four", "state"]),
    ("person.pot", &["id", "name", "stream", "allocated", "emergency", "only", "release", "loads"]),
    ("person.pot.release", &["at_once", "amount", "every", "from"]),
    ("person.pot.loads", &["id", "amount"]),
    ("person.agreement", &["agreed_on", "agreed_by", "how", "partial", "term"]),
    ("person.agreement.term", TERM_FIELDS),
    ("person.agreement.term.limits", LIMIT_FIELDS),
    ("person.permission", &["id", "on", "up_to", "uses", "from", "ends"]),
];
const TERM_FIELDS: &[&str] =
    &["on", "hours", "answer", "limits", "decides", "own_block", "reason", "review_on"];
const LIMIT_FIELDS: &[&str] = &["per", "amount", "count"];
/// Tables that do not affect what is paid.
const IRRELEVANT_TABLES: [&str; 2] = ["member", "duty"];
/// Fields that are parsed as a whole, so their contents are not checked here.
const OPAQUE_FIELDS: [&str; 3] = ["on", "hours", "own_block"];

/// Fields with an amount, which the file writes as text in major units.
const AMOUNT_FIELDS: [&str; 4] = ["amount", "allocated", "up_to", "at_once"];

/// A note for every field of `file` that the books do not know, once for each path.
pub fn unknown_fields(file: &Table) -> Vec<String> {
    let mut notes = Vec::new();
    collect_unknown("", file, &mut notes);
    notes.sort();
    notes.dedup();
    notes
}

fn collect_unknown(place: &str, table: &Table, notes: &mut Vec<String>) {
    let Some((_, known)) = KNOWN_FIELDS.iter().find(|(known, _)| *known == place) else { return };
    for (key, value) in table {
        let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        if !known.contains(&key.as_str()) {
            let what = "is a field that these books do not know: what it changes is not expected";
            notes.push(format!("{inner} {what}"));
        } else if !IRRELEVANT_TABLES.contains(&inner.as_str()) && !is_opaque(&inner, key) {
            match value {
                Value::Table(table) => collect_unknown(&inner, table, notes),
                Value::Array(items) => {
                    let tables = items.iter().filter_map(Value::as_table);
                    tables.for_each(|table| collect_unknown(&inner, table, notes));
                }
                Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_) => {}
            }
        }
    }
}

fn is_opaque(place: &str, key: &str) -> bool {
    place != "hours" && OPAQUE_FIELDS.contains(&key)
}

/// Replaces every amount by its value in minor units of the currency `code`.
///
/// # Errors
/// The first value that is not an amount.
pub(super) fn in_minor_units(value: &mut Value, code: &str) -> anyhow::Result<()> {
    match value {
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                if let (true, Value::String(text)) =
                    (AMOUNT_FIELDS.contains(&key.as_str()), &*value)
                {
                    let minor = crate::currency::parse_major(text, code);
                    let what = || anyhow::anyhow!("{key}: {text:?} is not an amount of {code}");
                    *value = Value::Integer(minor.ok_or_else(what)?);
                } else {
                    in_minor_units(value, code)?;
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| in_minor_units(item, code)),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_) => Ok(()),
    }
}
