//! The compared servers, each in its own process: the same HTTP stack, with three ways to answer.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use jiff::Timestamp;
use sayso::app::gateway::{App, AppSettings};
use sayso::card_path::authorise::{ReceivedAuthorisation, authorise};
use sayso::domain::decision::authorisation::AuthorisationRequest;
use sayso::issuers::{AuthorisationResponse, Issuer, Origin, SignedMessage, Verdict};
use sayso::platform::clock::Clock;
use sayso::platform::ids::NewIds;
use sayso::programme::directory::Directory;
use sayso::store::{PoolSizes, Store, StoreError};
use sayso::web::{ConnectionLimits, listen};
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;

use crate::population::{self, CONNECTION, PROGRAMME, SECRET};

/// How a server answers an authorisation request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ServerVariant {
    /// Verifies, decodes and approves without a database: the limit of HTTP and signatures alone.
    Ceiling,
    /// One database transaction per authorisation request.
    Naive,
    /// The product itself.
    Product,
}

/// How often the naive server tries a transaction that loses lock conflicts.
const NAIVE_TRIES: u32 = 20;
const NAIVE_WRITERS: u32 = 16;

/// Serves until stdin is closed. Prints its address when it is ready.
pub(crate) async fn serve(
    variant: ServerVariant,
    url: Option<&str>,
    committers: Option<usize>,
) -> Result<()> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let backend = match (variant, url) {
        (ServerVariant::Ceiling, _) => Backend::Nothing,
        (ServerVariant::Naive, Some(url)) => Backend::naive(url).await?,
        (ServerVariant::Product, Some(url)) => {
            let mut settings = AppSettings::new(any_port, url.into(), Clock::system());
            settings.committers = committers.unwrap_or(settings.committers);
            settings.key = population::key();
            let app = App::start(settings).await?;
            return serve_until_stdin_closes(app.address()).await;
        }
        (ServerVariant::Naive | ServerVariant::Product, None) => bail!("this way needs --database"),
    };
    let server = Arc::new(ServerState {
        clock: Clock::system(),
        issuer_connection: IssuerConnection::new()?,
        backend,
    });
    let router = Router::new()
        .route("/issuers/{connection}/authorisations", post(answer))
        .with_state(server);
    let listening =
        listen(any_port, router, ConnectionLimits::default(), &Handle::current()).await?;
    serve_until_stdin_closes(listening.address()).await
}

/// Prints the address, and waits until stdin is closed, which means that the benchmark has ended.
async fn serve_until_stdin_closes(address: SocketAddr) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{address}")?;
    stdout.flush()?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

#[derive(Debug)]
struct ServerState {
    clock: Clock,
    issuer_connection: IssuerConnection,
    backend: Backend,
}

/// The connection's origin and secrets.
#[derive(Debug)]
struct IssuerConnection {
    origin: Origin,
    secrets: Vec<SecretString>,
}

#[derive(Debug)]
enum Backend {
    Nothing,
    Naive { store: Store, directory: Directory, ids: NewIds },
}

impl IssuerConnection {
    fn new() -> Result<Self> {
        let origin = Origin { programme: PROGRAMME.parse()?, connection: CONNECTION.parse()? };
        Ok(Self { origin, secrets: vec![SECRET.into()] })
    }
}

async fn answer(
    State(server): State<Arc<ServerState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = server.clock.now();
    let Some(request) = server.read(&headers, &body, now) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(response) = server.backend.response(request, now).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let reply = Issuer::Stripe.encode(&response, "2026-10-28.endive");
    ([(header::CONTENT_TYPE, "application/json")], reply.body).into_response()
}

impl ServerState {
    fn read(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Option<AuthorisationRequest> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let message = SignedMessage { headers: &headers, body };
        Issuer::Stripe.verify(&self.issuer_connection.secrets, &message, now).ok()?;
        Issuer::Stripe.decode_authorisation(&self.issuer_connection.origin, body).ok()
    }
}

impl Backend {
    async fn naive(url: &str) -> Result<Self> {
        let connections = PoolSizes { writers: NAIVE_WRITERS, ..PoolSizes::default() };
        let store = Store::open(url, connections).await?;
        Ok(Self::Naive { directory: Directory::new(store.clone()), store, ids: NewIds::default() })
    }

    async fn response(
        &self,
        request: AuthorisationRequest,
        now: Timestamp,
    ) -> Option<AuthorisationResponse> {
        match self {
            Self::Nothing => {
                let amount = request.amount;
                let verdict = Verdict::Approved { amount, asked: amount };
                Some(AuthorisationResponse { decision: None, verdict })
            }
            Self::Naive { store, directory, ids } => {
                let requests =
                    [ReceivedAuthorisation { request: Arc::new(request), arrived_at: now }];
                for _ in 0..NAIVE_TRIES {
                    if let Ok(response) =
                        authorise_in_own_transaction(store, directory, ids, &requests).await
                    {
                        return response;
                    }
                }
                None
            }
        }
    }
}

/// Decides one authorisation request in its own transaction.
async fn authorise_in_own_transaction(
    store: &Store,
    directory: &Directory,
    ids: &NewIds,
    requests: &[ReceivedAuthorisation; 1],
) -> Result<Option<AuthorisationResponse>, StoreError> {
    let mut tx = store.begin().await?;
    let Ok(answers) = authorise(&mut tx, directory, ids, requests).await else {
        return Err(StoreError::Contended("a question on its own"));
    };
    tx.commit().await?;
    Ok(answers.first().map(|outcome| outcome.response))
}
