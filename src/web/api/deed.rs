//! Doing something: one transaction, answered once for each key.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Api;
use super::asked::Key;
use crate::people::members::{ActError, Acting};
use crate::store::{Claim, RequestKey, Tx};
use crate::web::problem::ApiError;

/// How often a transaction that somebody else was in the way of is run.
const TRIES_MOST: u32 = 4;
/// How much one account does within a day, whatever it is: everything that can be made is bounded by
/// it, also what has no bound of its own. Somebody at a desk who answers somebody every minute stays
/// below.
const ACTS_MOST: u32 = 1_000;
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Something that an account does. It may be run several times, and is committed once.
///
/// ```text
/// struct Freeze { person: PersonId }
///
/// impl Deed for Freeze {
///     async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
///         let admitted = freeze(tx, &api.desk(), acting, &self.person).await?;
///         Done::created(&Frozen { … })
///     }
/// }
/// ```
pub(super) trait Deed: Send + Sync + 'static {
    /// Does it in `tx`: locks the budget first, admits the account, writes. Commits nothing.
    fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Acting,
    ) -> impl Future<Output = Result<Done, ActError>> + Send;
}

/// What the caller is told when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    status: StatusCode,
    body: String,
}

impl Done {
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

    fn answered(status: u16, body: String) -> Self {
        Self { status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body }
    }

    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// Does `deed` once for `key`: whoever sends the same request again gets the same answer. The
/// answer is kept in the transaction of the deed, and what failed is not kept: nothing was done.
pub(super) async fn act(
    api: &Api,
    acting: Acting,
    key: Key,
    deed: impl Deed,
) -> Result<Response, ApiError> {
    let request = RequestKey {
        programme: acting.programme.clone(),
        member: acting.member.clone(),
        key: key.text,
        digest: key.digest,
    };
    run(api, acting, Some(request), deed).await
}

/// Does `deed`, which comes to the same however often it is done.
pub(super) async fn act_again(
    api: &Api,
    acting: Acting,
    deed: impl Deed,
) -> Result<Response, ApiError> {
    run(api, acting, None, deed).await
}

async fn run(
    api: &Api,
    acting: Acting,
    request: Option<RequestKey>,
    deed: impl Deed,
) -> Result<Response, ApiError> {
    let own = api.clone();
    let done = api.write(async move { done(&own, &acting, request.as_ref(), &deed).await });
    done.await.map(Done::into_response)
}

async fn done(
    api: &Api,
    acting: &Acting,
    request: Option<&RequestKey>,
    deed: &impl Deed,
) -> Result<Done, ApiError> {
    let mut tries: u32 = 1;
    loop {
        match attempt(api, acting, request, deed).await {
            // Whether a commit that nobody confirmed went through, the key tells the next time.
            Err(ApiError::TryLater(error))
                if error.is_transient()
                    && tries < TRIES_MOST
                    && (request.is_some() || !error.is_in_doubt()) =>
            {
                tries = tries.saturating_add(1);
            }
            done => return done,
        }
    }
}

async fn attempt(
    api: &Api,
    acting: &Acting,
    request: Option<&RequestKey>,
    deed: &impl Deed,
) -> Result<Done, ApiError> {
    let mut tx = api.store.begin().await?;
    if let Some(request) = request {
        match tx.claim_request(request, acting.at).await? {
            Claim::New => {
                let since = acting.at.checked_sub(A_DAY).unwrap_or(Timestamp::MIN);
                let (programme, member) = (&request.programme, &request.member);
                if tx.requests_since(programme, member, since, ACTS_MOST).await? >= ACTS_MOST {
                    return Err(ApiError::Enough);
                }
            }
            Claim::Answered { status, body } => return Ok(Done::answered(status, body)),
            Claim::Other => return Err(ApiError::OtherContent),
            Claim::Running => return Err(ApiError::StillRunning),
        }
    }
    let done = deed.run(&mut tx, api, acting).await?;
    if let Some(request) = request {
        tx.answer_request(request, done.status.as_u16(), &done.body).await?;
    }
    tx.commit().await?;
    Ok(done)
}
