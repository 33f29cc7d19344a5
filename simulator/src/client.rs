//! The HTTP client: signs, posts and measures latency.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::header;
use serde_json::Value;

use crate::{issuers::stripe, programme::Connection};

/// Far beyond any issuer's deadline, because a late answer is to be measured and reported, not cut
/// off.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    gateway: String,
}

/// The gateway endpoint that receives a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GatewayEndpoint {
    Authorisations,
    Events,
}

/// The gateway's reply, not yet parsed.
#[derive(Debug)]
pub(crate) struct GatewayReply {
    pub(crate) status: u16,
    pub(crate) api_version: Option<String>,
    pub(crate) body: String,
}

/// Why a message got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryFailure {
    /// The connection was refused, so the message was not sent.
    NotReached,
    /// The message was sent, but no reply arrived.
    NoAnswer,
}

impl Client {
    pub(crate) fn new(gateway: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .user_agent(stripe::USER_AGENT)
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { http, gateway: gateway.trim_end_matches('/').to_owned() })
    }

    /// Signs `body` with the timestamp `at` (Unix seconds) and posts it. Also returns the latency.
    ///
    /// # Errors
    /// When the gateway cannot be reached. A reply that is lost in transit is `Ok((None, _))`.
    pub(crate) async fn post(
        &self,
        connection: &Connection,
        endpoint: GatewayEndpoint,
        at: i64,
        body: &str,
    ) -> anyhow::Result<(Option<GatewayReply>, Duration)> {
        let started = Instant::now();
        match self.send(connection, endpoint, at, body).await? {
            Ok(reply) => Ok((Some(reply), started.elapsed())),
            Err(DeliveryFailure::NoAnswer) => Ok((None, started.elapsed())),
            Err(DeliveryFailure::NotReached) => {
                bail!("cannot reach the gateway at {}", self.gateway)
            }
        }
    }

    /// Posts an API request as an account. Returns the status and the body.
    ///
    /// # Errors
    /// When no reply arrives.
    pub(crate) async fn post_as_account(
        &self,
        request: ApiRequest<'_>,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}{}", self.gateway, request.path);
        let sent = self
            .http
            .post(&url)
            .bearer_auth(request.token)
            .header("idempotency-key", format!("\"{}\"", request.key))
            .json(request.body)
            .send()
            .await
            .with_context(|| format!("no answer from {url}"))?;
        let status = sent.status().as_u16();
        Ok((status, sent.json().await.unwrap_or_default()))
    }

    /// Signs `body` with the timestamp `at` (Unix seconds) and posts it.
    ///
    /// # Errors
    /// When the body cannot be signed. A failed delivery is the inner [`DeliveryFailure`].
    pub(crate) async fn send(
        &self,
        connection: &Connection,
        endpoint: GatewayEndpoint,
        at: i64,
        body: &str,
    ) -> anyhow::Result<Result<GatewayReply, DeliveryFailure>> {
        let (path, secret) = match endpoint {
            GatewayEndpoint::Authorisations => ("authorisations", connection.secret.first()),
            GatewayEndpoint::Events => ("events", connection.secret.last()),
        };
        let secret =
            secret.with_context(|| format!("connection {} has no secret", connection.name))?;
        let signature = stripe::signature(&secret.value, at, body)?;
        let url = format!("{}/issuers/{}/{path}", self.gateway, connection.name);
        let sent = self
            .http
            .post(&url)
            .header(header::CONTENT_TYPE, stripe::CONTENT_TYPE)
            .header(stripe::SIGNATURE_HEADER, signature)
            .body(body.to_owned())
            .send()
            .await;
        Ok(match sent {
            Ok(response) => read(response).await.ok_or(DeliveryFailure::NoAnswer),
            Err(error) if error.is_builder() => return Err(error.into()),
            Err(error) if error.is_connect() => Err(DeliveryFailure::NotReached),
            Err(_) => Err(DeliveryFailure::NoAnswer),
        })
    }
}

/// An API request that an account sends to the gateway.
pub(crate) struct ApiRequest<'a> {
    pub(crate) token: &'a str,
    /// The idempotency key.
    pub(crate) key: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a Value,
}

async fn read(response: reqwest::Response) -> Option<GatewayReply> {
    let status = response.status().as_u16();
    let version = response.headers().get("stripe-version").and_then(|value| value.to_str().ok());
    let api_version = version.map(str::to_owned);
    let body = response.text().await.ok()?;
    Some(GatewayReply { status, api_version, body })
}
