//! The servers that are compared, each in a process of its own: one stack, three ways to answer.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use jiff::Timestamp;
use sayso::authorise::{Question, authorise};
use sayso::clock::Clock;
use sayso::committer::{Committer, CommitterSettings};
use sayso::domain::authorisation::AuthorisationRequest;
use sayso::domain::reason_code::ReasonCode;
use sayso::ids::NewIds;
use sayso::issuers::{Issuer, Origin, SignedMessage, Told, Verdict};
use sayso::programme::directory::Directory;
use sayso::store::{Connections, Store, StoreError};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::population::{CONNECTION, PROGRAMME, SECRET};

/// What a server does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// Checks, reads and answers. No database: what HTTP and signatures alone allow.
    Ceiling,
    /// One database transaction for each question.
    Naive,
    /// As the product does it.
    Product,
}

/// How often the naive way runs a transaction again for which somebody else was first.
const NAIVE_TRIES: u32 = 20;
const NAIVE_WRITERS: u32 = 16;

/// Serves until it is killed. Prints its address when it is ready.
pub(crate) async fn serve(way: Way, url: Option<&str>) -> Result<()> {
    let server = Arc::new(Server {
        clock: Clock::system(),
        keys: Keys::new()?,
        back: back(way, url).await?,
    });
    let router = Router::new()
        .route("/issuers/{connection}/authorisations", post(answer))
        .with_state(server);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn back(way: Way, url: Option<&str>) -> Result<Back> {
    if way == Way::Ceiling {
        return Ok(Back::Nothing);
    }
    let url = url.context("this way needs --database")?;
    let writers = Connections::default().writers;
    let writers = if way == Way::Naive { NAIVE_WRITERS } else { writers };
    let store = Store::open(url, Connections { writers, ..Connections::default() }).await?;
    let directory = Directory::new(store.clone());
    let (clock, ids) = (Clock::system(), NewIds::default());
    directory.refresh(clock.now()).await?;
    if way == Way::Naive {
        return Ok(Back::Naive { store, directory, ids });
    }
    let settings = CommitterSettings::default();
    Ok(Back::Product(Committer::start(&store, &directory, &clock, &ids, settings)))
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
    Product(Committer),
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
    async fn told(&self, request: AuthorisationRequest, now: Timestamp) -> Option<Told> {
        match self {
            Self::Nothing => {
                let (amount, asked) = (request.amount, request.amount);
                let verdict = if request.card.as_str().is_empty() {
                    Verdict::NotPaid { reason: ReasonCode::OurFault }
                } else {
                    Verdict::Approved { amount, asked }
                };
                Some(Told { decision: None, verdict })
            }
            Self::Naive { store, directory, ids } => {
                let questions = [Question { request, arrived_at: now }];
                for _ in 0..NAIVE_TRIES {
                    if let Ok(told) = alone(store, directory, ids, &questions).await {
                        return told;
                    }
                }
                None
            }
            Self::Product(committer) => {
                let deadline = tokio::time::Instant::now().checked_add(Duration::from_millis(1300));
                Some(committer.authorise(request, now, deadline?).await)
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
