//! Verifies tokens: exactly one form and one algorithm are accepted, and every claim is checked.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;

use super::keys::{TokenKey, is_thumbprint};
use super::{Claims, LEEWAY, LIFETIME, TOKEN_TYPE, VerifiedToken};

/// The longest accepted token, in bytes. Ours have about 500.
const BYTES_MAX: usize = 2048;

/// Why a token is rejected. Only for the log: its sender does not learn the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRejection {
    #[error("it is not a token")]
    NoToken,
    /// Another `alg` or `typ`, or a parameter that we never write, such as a key or the URL of one.
    #[error("its header is not one of ours")]
    Header,
    #[error("it names no key of ours")]
    UnknownKey,
    #[error("its signature does not fit")]
    Signature,
    #[error("its key had been retired when it was made")]
    Retired,
    /// A claim is missing, malformed, or for another issuer or audience.
    #[error("its claims are not those of our tokens")]
    Claims,
    #[error("it does not count yet, or not any more")]
    Time,
    #[error("it was revoked, or its account has ended")]
    Ended,
}

/// Exactly the parameters of our headers; others, such as a key or the URL of one, are rejected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoseHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// A token whose header is parsed and whose signature is not verified.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'t> {
    text: &'t str,
    key_id: String,
}

impl<'t> UnverifiedToken<'t> {
    /// Parses and checks the header.
    pub(super) fn parse(text: &'t str) -> Result<Self, TokenRejection> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, _, _] = *parts.as_slice() else { return Err(TokenRejection::NoToken) };
        if text.len() > BYTES_MAX {
            return Err(TokenRejection::NoToken);
        }
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenRejection::NoToken)?;
        let header: JoseHeader =
            serde_json::from_slice(&header).map_err(|_| TokenRejection::Header)?;
        if header.alg != "EdDSA" || header.typ != TOKEN_TYPE {
            return Err(TokenRejection::Header);
        }
        if !is_thumbprint(&header.kid) {
            return Err(TokenRejection::UnknownKey);
        }
        Ok(Self { text, key_id: header.kid })
    }

    /// The key id (`kid`) of the header.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The claims, after the signature by `key` is verified. The token may have expired.
    pub(super) fn claims(
        &self,
        key: &TokenKey,
        issuer: &str,
        audience: &str,
    ) -> Result<Claims, TokenRejection> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // `verify` checks the times against `now`, and `Claims` checks the types.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        let decoding_key = key.decoding_key().map_err(|_| TokenRejection::UnknownKey)?;
        let claims: Claims = decode(self.text, &decoding_key, &validation)
            .map_err(|error| {
                let is_forged = matches!(error.kind(), ErrorKind::InvalidSignature);
                if is_forged { TokenRejection::Signature } else { TokenRejection::Claims }
            })?
            .claims;
        if claims.iss != issuer || claims.aud != audience || claims.jti.is_empty() {
            return Err(TokenRejection::Claims);
        }
        Ok(claims)
    }

    /// Verifies the signature by `key`, the claims, and the times at `now`.
    pub(super) fn verify(
        &self,
        key: &TokenKey,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenRejection> {
        let claims = self.claims(key, issuer, audience)?;
        let instant = |second| Timestamp::from_second(second).map_err(|_| TokenRejection::Claims);
        let (made, from, until) =
            (instant(claims.iat)?, instant(claims.nbf)?, instant(claims.exp)?);
        let lifetime = until.duration_since(made);
        if !lifetime.is_positive() || lifetime > LIFETIME {
            return Err(TokenRejection::Claims);
        }
        if !key.could_sign_at(made) {
            return Err(TokenRejection::Retired);
        }
        let is_early = |moment: Timestamp| moment.duration_since(now) > LEEWAY;
        let is_late = now.duration_since(until) >= LEEWAY;
        if is_early(made) || is_early(from) || is_late {
            return Err(TokenRejection::Time);
        }
        Ok(VerifiedToken {
            programme: claims.programme.parse().map_err(|_| TokenRejection::Claims)?,
            member: claims.sub.parse().map_err(|_| TokenRejection::Claims)?,
            token: claims.jti,
            expires_at: until,
        })
    }
}
