//! Authentication by bearer token.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;

use super::Api;
use crate::people::members::Principal;
use crate::people::tokens::{TokenRejection, VerifiedToken};
use crate::web::problem::ApiError;

/// A verified bearer token, whose account existed and was active at that moment. The permissions of
/// the account are read again in the transaction that needs them.
#[derive(Debug, Clone)]
pub(super) struct VerifiedBearer(pub(super) VerifiedToken);

impl<S: Send + Sync> FromRequestParts<S> for VerifiedBearer
where
    Api: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let api = Api::from_ref(state);
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(ApiError::NotSignedIn)?;
        if values.next().is_some() {
            return Err(ApiError::InvalidToken(TokenRejection::NoToken));
        }
        let text = value.to_str().map_err(|_| ApiError::NotSignedIn)?;
        let (scheme, token) = text.split_once(' ').ok_or(ApiError::NotSignedIn)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ApiError::NotSignedIn);
        }
        let bearer = api.tokens.verify(token.trim_matches(' '), api.clock.now()).await?;
        let VerifiedToken { programme, member, token, .. } = &bearer;
        match api.store.may_sign_in(programme, member, token).await? {
            Some(true) => Ok(Self(bearer)),
            Some(false) | None => Err(ApiError::InvalidToken(TokenRejection::Ended)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal
where
    Api: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let VerifiedBearer(bearer) = VerifiedBearer::from_request_parts(parts, state).await?;
        let at = Api::from_ref(state).clock.now();
        Ok(Self { programme: bearer.programme, member: bearer.member, at })
    }
}
