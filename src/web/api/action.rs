//! Doing something: one transaction, answered once for each key.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Api;
use super::extract::RequestFingerprint;
use crate::people::members::{Principal, UseCaseError};
use crate::store::{IdempotencyClaim, IdempotencyKey, Tx};
use crate::web::problem::ApiError;

/// How often a transaction that somebody else was in the way of is run.
const ATTEMPTS_MAX: u32 = 4;
/// How much one account does within a day, whatever it is: everything that can be made is bounded by
/// it, also what has no bound of its own. Somebody at a desk who answers somebody every minute stays
/// below.
const DAILY_ACTIONS_MAX: u32 = 1_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Something that an account does. It may be run several times, and is committed once.
///
/// ```text
/// struct Freeze { person: PersonId }
///
/// impl ApiAction for Freeze {
///     async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<ApiResponse, ActError> {
///         let admitted = freeze(tx, &context(api), acting, &self.person).await?;
///         ApiResponse::created(&Frozen { … })
///     }
/// }
/// ```
pub(super) trait ApiAction: Send + Sync + 'static {
    /// Does it in `tx`: locks the budget first, admits the account, writes. Commits nothing.
    fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Principal,
    ) -> impl Future<Output = Result<ApiResponse, UseCaseError>> + Send;
}

/// What the caller is told when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiResponse {
    status: StatusCode,
    body: String,
}

impl ApiResponse {
    /// It was done: 200, with how things stand now.
    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::with(StatusCode::OK, body)
    }

    /// Something new is there: 201.
    pub(super) fn created(body: &impl Serialize) -> Self {
        Self::with(StatusCode::CREATED, body)
    }

    fn with(status: StatusCode, body: &impl Serialize) -> Self {
        // Our own bodies are structs of texts and numbers, which always become JSON.
        Self { status, body: serde_json::to_string(body).unwrap_or_default() }
    }

    fn recorded(status: u16, body: String) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body }
    }

    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// Does `action` once for `key`: whoever sends the same request again gets the same answer. The
/// answer is kept in the transaction of the deed, and what failed is not kept: nothing was done.
pub(super) async fn perform(
    api: &Api,
    acting: Principal,
    key: RequestFingerprint,
    action: impl ApiAction,
) -> Result<Response, ApiError> {
    let request = IdempotencyKey {
        programme: acting.programme.clone(),
        member: acting.member.clone(),
        key: key.text,
        digest: key.digest,
    };
    run(api, acting, Some(request), action).await
}

/// Does `action`, which comes to the same however often it is done.
pub(super) async fn perform_idempotent(
    api: &Api,
    acting: Principal,
    action: impl ApiAction,
) -> Result<Response, ApiError> {
    run(api, acting, None, action).await
}

async fn run(
    api: &Api,
    acting: Principal,
    request: Option<IdempotencyKey>,
    action: impl ApiAction,
) -> Result<Response, ApiError> {
    let own = api.clone();
    let response =
        api.write(async move { run_with_retries(&own, &acting, request.as_ref(), &action).await });
    response.await.map(ApiResponse::into_response)
}

async fn run_with_retries(
    api: &Api,
    acting: &Principal,
    request: Option<&IdempotencyKey>,
    action: &impl ApiAction,
) -> Result<ApiResponse, ApiError> {
    let mut attempts: u32 = 1;
    loop {
        match attempt(api, acting, request, action).await {
            // Whether a commit that nobody confirmed went through, the key tells the next time.
            Err(ApiError::Unavailable(error))
                if error.is_transient()
                    && attempts < ATTEMPTS_MAX
                    && (request.is_some() || !error.is_in_doubt()) =>
            {
                attempts = attempts.saturating_add(1);
            }
            response => return response,
        }
    }
}

async fn attempt(
    api: &Api,
    acting: &Principal,
    request: Option<&IdempotencyKey>,
    action: &impl ApiAction,
) -> Result<ApiResponse, ApiError> {
    let mut tx = api.store.begin().await?;
    if let Some(request) = request {
        match tx.claim_idempotency_key(request, acting.at).await? {
            IdempotencyClaim::New => {
                let since = acting.at.checked_sub(DAY).unwrap_or(Timestamp::MIN);
                let (programme, member) = (&request.programme, &request.member);
                if tx.requests_since(programme, member, since, DAILY_ACTIONS_MAX).await?
                    >= DAILY_ACTIONS_MAX
                {
                    return Err(ApiError::DailyLimitReached);
                }
            }
            IdempotencyClaim::Answered { status, body } => {
                return Ok(ApiResponse::recorded(status, body));
            }
            IdempotencyClaim::Mismatch => return Err(ApiError::IdempotencyKeyReused),
            IdempotencyClaim::InProgress => return Err(ApiError::RequestInProgress),
        }
    }
    let response = action.run(&mut tx, api, acting).await?;
    if let Some(request) = request {
        tx.record_response(request, response.status.as_u16(), &response.body).await?;
    }
    tx.commit().await?;
    Ok(response)
}
