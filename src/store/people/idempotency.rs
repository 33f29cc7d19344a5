//! Idempotency keys and recorded responses: a retry with the same key gets the same response, byte
//! for byte.

use jiff::Timestamp;

use crate::domain::id::{MemberId, ProgrammeId};
use crate::ledger::record::row::{Digest, RowReader, Table, columns, text_value};
use crate::store::sql::batch::{BatchStatement, read_row};
use crate::store::{Store, StoreError, Tx};

static ANSWERED: Table = Table {
    name: "answered_request",
    columns: columns![
        Key "programme_id", Key "member_id", Key "request_key", Text "digest", Number "status",
        Text "body", Number "answered_at",
    ],
};
static ANSWER: Table = Table {
    name: "answered_request",
    columns: columns![Text "digest", Number "status", Text "body"],
};

/// The idempotency key of a request, chosen by the client and scoped to its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub programme: ProgrammeId,
    pub member: MemberId,
    pub key: String,
    /// The digest of the whole request.
    pub digest: Digest,
}

/// The result of claiming an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyClaim {
    /// The key is new: this transaction must answer the request and record the response.
    New,
    /// The request was answered before, with this HTTP status and body.
    Answered { status: u16, body: String },
    /// The key was used for a different request.
    Mismatch,
    /// Another transaction is answering the request. This one must be rolled back, because its
    /// insert has failed.
    InProgress,
}

impl Store {
    /// Whether there are recorded responses from before `before`, or revoked tokens that expired
    /// before `now`.
    pub async fn has_expired_rows(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT request_key FROM answered_request WHERE answered_at < $1 \
                   UNION ALL SELECT token_id FROM revoked_token WHERE expires_at < $2 LIMIT 1";
        let query = sqlx::query(sql).bind(before.as_microsecond()).bind(now.as_microsecond());
        Ok(query.fetch_optional(&self.readers()).await?.is_some())
    }
}

impl Tx {
    /// Deletes up to `most` recorded responses from before `before`, the oldest first; returns the
    /// number deleted.
    pub async fn purge_requests(
        &mut self,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        let sql = "DELETE FROM answered_request \
                   WHERE (programme_id, member_id, request_key) IN ( \
                   SELECT programme_id, member_id, request_key FROM answered_request \
                   WHERE answered_at < $1 ORDER BY answered_at LIMIT $2)";
        let done = sqlx::query(sql)
            .bind(before.as_microsecond())
            .bind(i64::from(most))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }

    /// The number of responses recorded for an account after `since`, counted up to `most` + 1. A
    /// request claimed in this transaction is not counted, because it has no response yet.
    pub async fn requests_since(
        &mut self,
        programme: &ProgrammeId,
        member: &MemberId,
        since: Timestamp,
        most: u32,
    ) -> Result<u32, StoreError> {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM (SELECT 1 FROM answered_request \
                   WHERE programme_id = $1 AND member_id = $2 AND answered_at > $3 \
                   AND status <> 0 LIMIT $4) counted";
        let count: i64 = sqlx::query_scalar(sql)
            .bind(programme.to_string())
            .bind(member.to_string())
            .bind(since.as_microsecond())
            .bind(i64::from(most).saturating_add(1))
            .fetch_one(self.connection())
            .await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Claims the idempotency key of a request. Must be called before any lock is taken, because it
    /// may wait for a concurrent transaction with the same key.
    pub async fn claim_idempotency_key(
        &mut self,
        request: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<IdempotencyClaim, StoreError> {
        let IdempotencyKey { programme, member, key, digest } = request;
        let row = vec![
            text_value(programme),
            text_value(member),
            key.as_str().into(),
            (*digest).into(),
            0_i64.into(),
            "".into(),
            now.into(),
        ];
        let claim = BatchStatement::insert_missing(self.statements.dialect, &ANSWERED);
        match claim.execute(self.connection(), &[row]).await {
            Ok(1) => return Ok(IdempotencyClaim::New),
            Ok(_) => {}
            // The other transaction still holds the row.
            Err(error) if error.is_lock_timeout() => return Ok(IdempotencyClaim::InProgress),
            Err(error) => return Err(error),
        }
        let sql = "SELECT digest, status, body FROM answered_request \
                   WHERE programme_id = $1 AND member_id = $2 AND request_key = $3";
        let row = sqlx::query(sql)
            .bind(programme.to_string())
            .bind(member.to_string())
            .bind(key.clone())
            .fetch_optional(self.connection())
            .await?;
        let row = row.ok_or(StoreError::Contended("answered_request"))?;
        let row = read_row(&row, ANSWER.columns)?;
        let mut reader = RowReader::new(&ANSWER, &row);
        if reader.parsed::<Digest>()? != *digest {
            return Ok(IdempotencyClaim::Mismatch);
        }
        Ok(IdempotencyClaim::Answered {
            status: reader.integer()?,
            body: reader.text()?.to_owned(),
        })
    }

    /// Records the response to a request claimed in this transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when the request is not claimed or has a response already.
    pub async fn record_response(
        &mut self,
        request: &IdempotencyKey,
        status: u16,
        body: &str,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE answered_request SET status = $4, body = $5 \
                   WHERE programme_id = $1 AND member_id = $2 AND request_key = $3 \
                   AND status = 0";
        let kept = sqlx::query(sql)
            .bind(request.programme.to_string())
            .bind(request.member.to_string())
            .bind(request.key.clone())
            .bind(i64::from(status))
            .bind(body.to_owned())
            .execute(self.connection())
            .await?;
        let is_kept = kept.rows_affected() == 1;
        if is_kept { Ok(()) } else { Err(StoreError::Contended("answered_request")) }
    }
}
