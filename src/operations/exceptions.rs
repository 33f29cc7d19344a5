//! Exceptions: what the ledger could not explain, with its cause and age.

use jiff::Timestamp;
use serde_json::json;

use super::text_table::TextTable;
use crate::domain::id::{ExceptionId, ProgrammeId};
use crate::domain::purchase::Purchase;
use crate::domain::purchase::finding::about;
use crate::domain::purchase::hold::CONFIRMATION_TIMEOUT;
use crate::store::{ExceptionRow, Store, StoreError};

/// The exceptions that an operator must resolve, oldest first, at most `most`.
///
/// Unconfirmed approvals are looked up here and never stored, because they end as soon as the
/// issuer confirms them.
pub async fn list(
    store: &Store,
    now: Timestamp,
    most: u32,
) -> Result<Vec<ExceptionRow>, StoreError> {
    let mut exceptions = store.exceptions(most).await?;
    let overdue = now.checked_sub(CONFIRMATION_TIMEOUT).unwrap_or(now);
    for (programme, _) in store.programmes().await? {
        let open = store.purchases_to_review(&programme, Timestamp::MIN, Timestamp::MAX, most);
        let open = open.await?;
        let is_overdue = |p: &&Purchase| {
            p.is_unconfirmed() && p.last_activity_at().is_some_and(|at| at <= overdue)
        };
        let unconfirmed = open.iter().filter(is_overdue);
        exceptions.extend(unconfirmed.map(|purchase| unconfirmed_row(&programme, purchase)));
    }
    exceptions.sort_by_key(|exception| exception.noted_at);
    exceptions.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(exceptions)
}

fn unconfirmed_row(programme: &ProgrammeId, purchase: &Purchase) -> ExceptionRow {
    ExceptionRow {
        programme_id: programme.clone(),
        exception_id: ExceptionId::new(purchase.id.uuid()),
        budget_id: purchase.budget.clone(),
        kind: "not_confirmed".to_owned(),
        subject: about(purchase),
        detail: "we approved it, and the issuer has not said what became of it".to_owned(),
        noted_at: purchase.last_activity_at().unwrap_or(Timestamp::UNIX_EPOCH),
        about: Some(about(purchase)),
    }
}

/// The list as a text table, oldest first. Empty if there are no exceptions.
pub fn text(exceptions: &[ExceptionRow], now: Timestamp) -> String {
    if exceptions.is_empty() {
        return String::new();
    }
    let heading = ["age", "programme", "person", "cause", "about", "detail"];
    let mut table = TextTable::new(&heading, heading.len());
    for exception in exceptions {
        table.add(vec![
            age(exception.noted_at, now),
            exception.programme_id.to_string(),
            exception.budget_id.to_string(),
            exception.kind.clone(),
            exception.subject.clone(),
            exception.detail.clone(),
        ]);
    }
    table.to_string()
}

/// The list as JSON. Ages are in seconds.
pub fn to_json(exceptions: &[ExceptionRow], now: Timestamp) -> serde_json::Value {
    let body = |exception: &ExceptionRow| {
        json!({
            "exception": exception.exception_id.to_string(),
            "programme": exception.programme_id.to_string(),
            "person": exception.budget_id.to_string(),
            "cause": exception.kind,
            "about": exception.subject,
            "detail": exception.detail,
            "noted_at": exception.noted_at.to_string(),
            "age_s": now.duration_since(exception.noted_at).as_secs().max(0),
        })
    };
    json!({ "exceptions": exceptions.iter().map(body).collect::<Vec<_>>() })
}

/// The age in its largest unit only: `3 d`, `5 h`, `12 min`.
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
