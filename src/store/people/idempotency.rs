//! Idempotency keys and recorded responses: a retry with the same key gets the same response, byte
//! for byte.

use jiff::Timestamp;

use crate::domain::id::{MemberId, ProgrammeId};
use crate::ledger::record::row::Digest;
use crate::ledger::record::table::record;
use crate::store::sql::record::OnConflict;
use crate::store::{Store, StoreError, Tx};

/// The status of a request that is claimed but has no response yet.
const CLAIMED: u16 = 0;

record! {
    /// A claimed request and, once it is answered, its response.
    struct AnsweredRequestRow in "answered_request" key(programme_id, member_id, request_key) {
        programme_id: ProgrammeId,
        member_id: MemberId,
        request_key: String,
        digest: Digest,
        status: u16,
        body: String,
        answered_at: Timestamp,
    }
}

record! {
    /// The response to a request.
    struct ResponseRow in "answered_request" key(programme_id, member_id, request_key) {
        programme_id: ProgrammeId,
        member_id: MemberId,
        request_key: String,
        status: u16,
        body: String,
    }
}

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
        Ok(!self.fetch_scalars::<String>(sql, &[&before, &now]).await?.is_empty())
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
        self.execute(sql, &[&before, &most]).await
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
        let up_to = most.saturating_add(1);
        let count = self.fetch_scalar(sql, &[programme, member, &since, &up_to]).await?;
        Ok(count.unwrap_or(u32::MAX))
    }

    /// Claims the idempotency key of a request. Must be called before any lock is taken, because it
    /// may wait for a concurrent transaction with the same key.
    pub async fn claim_idempotency_key(
        &mut self,
        request: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<IdempotencyClaim, StoreError> {
        let IdempotencyKey { programme, member, key, digest } = request;
        let row = AnsweredRequestRow {
            programme_id: programme.clone(),
            member_id: member.clone(),
            request_key: key.clone(),
            digest: *digest,
            status: CLAIMED,
            body: String::new(),
            answered_at: now,
        };
        match self.put(&[row], OnConflict::Keep).await {
            Ok(1) => return Ok(IdempotencyClaim::New),
            Ok(_) => {}
            // The other transaction still holds the row.
            Err(error) if error.is_lock_timeout() => return Ok(IdempotencyClaim::InProgress),
            Err(error) => return Err(error),
        }
        let sql = "WHERE programme_id = $1 AND member_id = $2 AND request_key = $3";
        let row: Option<AnsweredRequestRow> =
            self.fetch_optional(sql, &[programme, member, key]).await?;
        let row = row.ok_or(StoreError::Contended("answered_request"))?;
        if row.digest != *digest {
            return Ok(IdempotencyClaim::Mismatch);
        }
        Ok(IdempotencyClaim::Answered { status: row.status, body: row.body })
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
        let IdempotencyKey { programme, member, key, digest: _ } = request;
        let row = ResponseRow {
            programme_id: programme.clone(),
            member_id: member.clone(),
            request_key: key.clone(),
            status,
            body: body.to_owned(),
        };
        self.update(&row, &[("status", &CLAIMED)]).await
    }
}
