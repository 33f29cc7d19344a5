//! Writing requests: one transaction each, executed once per idempotency key.

use axum::extract::{FromRef, FromRequest, FromRequestParts as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Api;
use super::extract::{ApiJson, ApiPath, ApiQuery, NoParameters, RequestFingerprint};
use crate::people::members::{Principal, UseCaseError};
use crate::store::{IdempotencyClaim, IdempotencyKey, Tx};
use crate::web::problem::ApiError;

/// How many times a transaction is attempted that fails transiently, for example with a lock
/// conflict.
const ATTEMPTS_MAX: u32 = 4;
/// Maximum number of requests with an idempotency key that one account may make in 24 hours. It
/// bounds everything that an account can create, even where no other limit exists. A staff member
/// who answers somebody every minute of a working day stays below it.
const DAILY_ACTIONS_MAX: u32 = 1_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A write that an account requests. It may be executed several times, and is committed once.
///
/// ```text
/// struct Freeze { person: PersonId }
///
/// impl ApiAction for Freeze {
///     async fn run(
///         &self,
///         ActionContext { tx, api, principal }: ActionContext<'_>,
///     ) -> ActionResult {
///         let card = freeze(tx, api.context(), principal, &self.person).await?;
///         Ok(ApiResponse::ok(&CardBody::from(card)))
///     }
/// }
/// ```
pub(super) trait ApiAction: Send + Sync + 'static {
    /// Executes the action in `tx`: locks the budget first, checks the permission, writes. It must
    /// not commit.
    fn run(&self, context: ActionContext<'_>) -> impl Future<Output = ActionResult> + Send;
}

/// What an action works with.
pub(super) struct ActionContext<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) api: &'t Api,
    pub(super) principal: &'t Principal,
}

pub(super) type ActionResult = Result<ApiResponse, UseCaseError>;

/// The response of a completed action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiResponse {
    status: StatusCode,
    body: String,
}

impl ApiResponse {
    /// 200, with the resource as it is now.
    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::with(StatusCode::OK, body)
    }

    /// 201, with the new resource.
    pub(super) fn created(body: &impl Serialize) -> Self {
        Self::with(StatusCode::CREATED, body)
    }

    fn with(status: StatusCode, body: &impl Serialize) -> Self {
        // Cannot fail: our bodies are structs of texts and numbers.
        Self { status, body: serde_json::to_string(body).unwrap_or_default() }
    }

    fn recorded(status: u16, body: String) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body }
    }

    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// A POST: its sender, its path parameters and its JSON body. It has no query.
#[derive(Debug)]
pub(super) struct ApiPost<P, B> {
    pub(super) caller: Caller,
    pub(super) path: P,
    pub(super) body: B,
}

impl<S, P, B> FromRequest<S> for ApiPost<P, B>
where
    S: Send + Sync,
    P: DeserializeOwned + Send,
    B: DeserializeOwned,
    Api: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let principal = Principal::from_request_parts(&mut parts, state).await?;
        let ApiPath(path) = ApiPath::from_request_parts(&mut parts, state).await?;
        ApiQuery::<NoParameters>::from_request_parts(&mut parts, state).await?;
        let request = Request::from_parts(parts, body);
        let ApiJson { key, body } = ApiJson::from_request(request, state).await?;
        Ok(Self { caller: Caller { api: Api::from_ref(state), principal, key }, path, body })
    }
}

/// The sender of a POST, with its idempotency key.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) api: Api,
    pub(super) principal: Principal,
    key: RequestFingerprint,
}

impl Caller {
    /// Executes `action` once per idempotency key: a repeated request gets the recorded response.
    /// The response is recorded in the transaction of the action. A failure is not recorded,
    /// because it changed nothing.
    pub(super) async fn perform(self, action: impl ApiAction) -> Result<Response, ApiError> {
        let Self { api, principal, key } = self;
        let request = IdempotencyKey {
            programme: principal.programme.clone(),
            member: principal.member.clone(),
            key: key.text,
            digest: key.digest,
        };
        run(&api, principal, Some(request), action).await
    }
}

/// Executes `action` without an idempotency key, because repeating it changes nothing.
pub(super) async fn perform_idempotent(
    api: &Api,
    principal: Principal,
    action: impl ApiAction,
) -> Result<Response, ApiError> {
    run(api, principal, None, action).await
}

async fn run(
    api: &Api,
    principal: Principal,
    request: Option<IdempotencyKey>,
    action: impl ApiAction,
) -> Result<Response, ApiError> {
    let own = api.clone();
    let response = api
        .write(async move { run_with_retries(&own, &principal, request.as_ref(), &action).await });
    response.await.map(ApiResponse::into_response)
}

async fn run_with_retries(
    api: &Api,
    principal: &Principal,
    request: Option<&IdempotencyKey>,
    action: &impl ApiAction,
) -> Result<ApiResponse, ApiError> {
    let mut attempts: u32 = 1;
    loop {
        match attempt(api, principal, request, action).await {
            // Retries a commit in doubt only with an idempotency key, which shows whether it went
            // through.
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
    principal: &Principal,
    request: Option<&IdempotencyKey>,
    action: &impl ApiAction,
) -> Result<ApiResponse, ApiError> {
    let mut tx = api.store.begin().await?;
    if let Some(request) = request {
        match tx.claim_idempotency_key(request, principal.at).await? {
            IdempotencyClaim::New => {
                let since = principal.at.checked_sub(DAY).unwrap_or(Timestamp::MIN);
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
    let response = action.run(ActionContext { tx: &mut tx, api, principal }).await?;
    if let Some(request) = request {
        tx.record_response(request, response.status.as_u16(), &response.body).await?;
    }
    tx.commit().await?;
    Ok(response)
}
