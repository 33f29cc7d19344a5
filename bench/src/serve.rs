//! The servers that are compared, each in a process of its own: one stack, three ways to answer.

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
use sayso::card_path::authorise::{Question, authorise};
use sayso::card_path::issuers::{Issuer, Origin, SignedMessage, Told, Verdict};
use sayso::domain::decision::authorisation::AuthorisationRequest;
use sayso::platform::clock::Clock;
use sayso::platform::ids::NewIds;
use sayso::programme::directory::Directory;
use sayso::store::{Connections, Store, StoreError};
use sayso::web::{Limits, listen};
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;

use crate::population::{self, CONNECTION, PROGRAMME, SECRET};

/// What a server does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// Checks, reads and answers. No database: what HTTP and signatures alone allow.
    Ceiling,
    /// One database transaction for each question.
    Naive,
    /// The product itself.
    Product,
}

/// How often the naive way runs a transaction again for which somebody else was first.
const NAIVE_TRIES: u32 = 20;
const NAIVE_WRITERS: u32 = 16;

/// Serves until its input ends. Prints its address when it is ready.
pub(crate) async fn serve(way: Way, url: Option<&str>, committers: Option<usize>) -> Result<()> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let back = match (way, url) {
        (Way::Ceiling, _) => Back::Nothing,
        (Way::Naive, Some(url)) => Back::naive(url).await?,
        (Way::Product, Some(url)) => {
            let mut settings = AppSettings::new(any_port, url.into(), Clock::system());
            settings.committers = committers.unwrap_or(settings.committers);
            settings.key = population::key();
            let app = App::start(settings).await?;
            return until_left_alone(app.address()).await;
        }
        (Way::Naive | Way::Product, None) => bail!("this way needs --database"),
    };
    let server = Arc::new(Server { clock: Clock::system(), keys: Keys::new()?, back });
    let router = Router::new()
        .route("/issuers/{connection}/authorisations", post(answer))
        .with_state(server);
    let listening = listen(any_port, router, Limits::default(), &Handle::current()).await?;
    until_left_alone(listening.address()).await
}

/// Prints the address, and waits for the end of the input: the bench has gone.
async fn until_left_alone(address: SocketAddr) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{address}")?;
    stdout.flush()?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

#[derive(Debug)]
struct Server {
    clock: Clock,
    keys: Keys,
    back: Back,
}

/// What is known of the connection.
#[derive(Debug)]
struct Keys {
    origin: Origin,
    secrets: Vec<SecretString>,
}

#[derive(Debug)]
enum Back {
    Nothing,
    Naive { store: Store, directory: Directory, ids: NewIds },
}

impl Keys {
    fn new() -> Result<Self> {
        let origin = Origin { programme: PROGRAMME.parse()?, connection: CONNECTION.parse()? };
        Ok(Self { origin, secrets: vec![SECRET.into()] })
    }
}

async fn answer(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    let now = server.clock.now();
    let Some(request) = server.read(&headers, &body, now) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(told) = server.back.told(request, now).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let reply = Issuer::Stripe.encode(&told, "2026-10-28.endive");
    ([(header::CONTENT_TYPE, "application/json")], reply.body).into_response()
}

impl Server {
    fn read(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Option<AuthorisationRequest> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let message = SignedMessage { headers: &headers, body };
        Issuer::Stripe.verify(&self.keys.secrets, &message, now).ok()?;
        Issuer::Stripe.decode_authorisation(&self.keys.origin, body).ok()
    }
}

impl Back {
    async fn naive(url: &str) -> Result<Self> {
        let connections = Connections { writers: NAIVE_WRITERS, ..Connections::default() };
        let store = Store::open(url, connections).await?;
        Ok(Self::Naive { directory: Directory::new(store.clone()), store, ids: NewIds::default() })
    }

    async fn told(&self, request: AuthorisationRequest, now: Timestamp) -> Option<Told> {
        match self {
            Self::Nothing => {
                let amount = request.amount;
                let verdict = Verdict::Approved { amount, asked: amount };
                Some(Told { decision: None, verdict })
            }
            Self::Naive { store, directory, ids } => {
                let questions = [Question { request: Arc::new(request), arrived_at: now }];
                for _ in 0..NAIVE_TRIES {
                    if let Ok(told) = alone(store, directory, ids, &questions).await {
                        return told;
                    }
                }
                None
            }
        }
    }
}

/// One question in a transaction of its own.
async fn alone(
    store: &Store,
    directory: &Directory,
    ids: &NewIds,
    questions: &[Question; 1],
) -> Result<Option<Told>, StoreError> {
    let mut tx = store.begin().await?;
    let Ok(answers) = authorise(&mut tx, directory, ids, questions).await else {
        return Err(StoreError::Contended("a question on its own"));
    };
    tx.commit().await?;
    Ok(answers.first().map(|answered| answered.told))
}
