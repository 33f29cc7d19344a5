//! A database that lacks committed rows: advice for the operator, and the record of an accepted
//! loss.

use jiff::Timestamp;

use crate::domain::id::{BudgetId, ExceptionId};
use crate::platform::ids::NewIds;
use crate::store::{ExceptionRow, MarkStatus, PendingWrites, Store, StoreError};

/// What is wrong, and what to do; empty if no row is lost.
pub fn advice(mark_status: &MarkStatus) -> String {
    let wrong = match mark_status {
        MarkStatus::Behind(marked) => format!(
            "the database lacks posting {} of {}, which was committed: its write-ahead log was \
             damaged, or an older copy was put back",
            marked.posting, marked.programme
        ),
        MarkStatus::Unreadable(why) => {
            format!("the mark beside the database cannot be read: {why}")
        }
        MarkStatus::NotKept | MarkStatus::Empty | MarkStatus::InSync(_) => return String::new(),
    };
    format!(
        "{wrong}. Nothing is approved until you decide. If a newer copy exists, put it back. If \
         not, keep serving, have the issuer send its events since that time again (they are booked \
         meanwhile), compare sayso balances with the issuer, and then run sayso doctor \
         --accept-loss"
    )
}

/// Accepts the rows that the database has, and adds an exception to each programme. Does nothing if
/// no row is lost.
pub async fn accept(store: &Store, ids: &NewIds, now: Timestamp) -> Result<(), StoreError> {
    let mark_status = store.compare_mark().await?;
    if !mark_status.has_lost_rows() {
        return Ok(());
    }
    let note = |programme_id| ExceptionRow {
        programme_id,
        exception_id: ExceptionId::new(ids.next(now)),
        budget_id: BudgetId::house(),
        kind: "loss_accepted".to_owned(),
        subject: match &mark_status {
            MarkStatus::Behind(marked) => marked.posting.to_string(),
            MarkStatus::NotKept
            | MarkStatus::Empty
            | MarkStatus::InSync(_)
            | MarkStatus::Unreadable(_) => String::new(),
        },
        detail: "the database lacked what was committed, up to this posting".to_owned(),
        noted_at: now,
        about: Some(String::new()),
    };
    let programmes = store.programmes().await?;
    let notes = programmes.into_iter().map(|(programme, _)| note(programme)).collect();
    let mut tx = store.begin().await?;
    tx.close_books(&[], &PendingWrites { new_exceptions: notes, ..PendingWrites::default() })
        .await?;
    tx.commit().await?;
    store.accept_loss().await
}
