//! What the books could not explain, with its cause and its age.

use jiff::Timestamp;
use serde_json::json;

use super::table::TextTable;
use crate::store::ExceptionRow;

/// The list for people, oldest first. Empty if there is nothing to look at.
pub fn text(exceptions: &[ExceptionRow], now: Timestamp) -> String {
    if exceptions.is_empty() {
        return String::new();
    }
    let heading = ["age", "programme", "person", "cause", "about", "detail"];
    let mut table = TextTable::new(&heading, heading.len());
    for exception in exceptions {
        table.add(vec![
            age(exception.noted_at, now),
            exception.programme.to_string(),
            exception.budget.to_string(),
            exception.kind.clone(),
            exception.subject.clone(),
            exception.detail.clone(),
        ]);
    }
    table.to_string()
}

/// The list for machines.
pub fn to_json(exceptions: &[ExceptionRow], now: Timestamp) -> serde_json::Value {
    let body = |exception: &ExceptionRow| {
        json!({
            "exception": exception.id.to_string(),
            "programme": exception.programme.to_string(),
            "person": exception.budget.to_string(),
            "cause": exception.kind,
            "about": exception.subject,
            "detail": exception.detail,
            "noted_at": exception.noted_at.to_string(),
            "age_s": now.duration_since(exception.noted_at).as_secs().max(0),
        })
    };
    json!({ "exceptions": exceptions.iter().map(body).collect::<Vec<_>>() })
}

/// The largest unit only: `3 d`, `5 h`, `12 min`.
fn age(noted_at: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(noted_at).as_mins().max(0);
    match (minutes / (24 * 60), minutes / 60) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h"),
        (days, _) => format!("{days} d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let noted_at: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        for (now, expected) in [
            ("2026-11-23T09:00:00Z", "0 min"),
            ("2026-11-23T10:59:59Z", "59 min"),
            ("2026-11-24T09:00:00Z", "23 h"),
            ("2026-11-26T10:00:00Z", "3 d"),
        ] {
            assert_eq!(age(noted_at, now.parse().unwrap()), expected);
        }
    }
}
