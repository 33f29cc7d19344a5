//! Builds and runs the gateway: store, directory, committer, listeners and background tasks.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::card_path::committer::{Committer, CommitterSettings};
use crate::finance::DailySeals;
use crate::operations::health::Readiness;
use crate::operations::metrics;
use crate::operations::upkeep::{Upkeep, UpkeepReport};
use crate::people::tokens;
use crate::people::tokens::TokenService;
use crate::platform::clock::Clock;
use crate::platform::config::{KeySource, default_key_source};
use crate::platform::ids::NewIds;
use crate::programme::apply;
use crate::programme::directory::{Directory, DirectoryError};
use crate::store::{PoolSizes, Store, StoreError};
use crate::web;
use crate::web::{ApiRuntime, AppState, AppStateParts, ConnectionLimits, RouteGroup, ServerHandle};

/// How often connections and their secrets are refreshed.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Time limit of a refresh, after which fresh database connections are used.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit of one round of upkeep.
const UPKEEP_TIMEOUT: Duration = Duration::from_mins(5);
/// Time limit of each final step of a shutdown, because without the database a step may never end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of authorisation requests in one database transaction.
const BATCH_MAX: usize = 256;
/// Maximum number of authorisation requests, and of events, queued per lane. Any further request is
/// declined at once, as our fault.
const QUEUE_MAX: usize = 4096;

/// The settings of one gateway process.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// Address of everything that has no separate address. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// Separate address for issuers.
    pub issuer_listen: Option<SocketAddr>,
    /// Separate address for operations.
    pub operations_listen: Option<SocketAddr>,
    /// Proxies, which are exempt from the limit of connections per peer.
    pub proxies: Vec<IpAddr>,
    pub database_url: SecretString,
    /// The system's clock for a gateway; a manual one for a demo or a test.
    pub clock: Clock,
    pub ids: NewIds,
    /// Number of parallel committers on PostgreSQL. SQLite has one.
    pub committers: usize,
    pub connections: PoolSizes,
    /// How often a round of upkeep runs. `None` if only [`App::upkeep`] runs it.
    pub upkeep_every: Option<Duration>,
    /// The `iss` claim of our tokens.
    pub token_issuer: String,
    /// The source of the key that secrets in the database are sealed with.
    pub key: KeySource,
}

impl AppSettings {
    /// Settings with the default sizes.
    pub fn new(listen: SocketAddr, database_url: SecretString, clock: Clock) -> Self {
        Self {
            listen,
            key: default_key_source(database_url.expose_secret()),
            issuer_listen: None,
            operations_listen: None,
            proxies: ConnectionLimits::default().proxies,
            database_url,
            clock,
            ids: NewIds::default(),
            committers: CommitterSettings::default().committers,
            connections: PoolSizes::default(),
            upkeep_every: None,
            token_issuer: tokens::ISSUER.to_owned(),
        }
    }
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    #[error("the programmes cannot be read")]
    Directory(#[from] DirectoryError),
    #[error("cannot listen at {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        error: io::Error,
    },
    #[error("no thread can be started")]
    Threads(#[source] io::Error),
}

/// A running gateway.
#[derive(Debug)]
pub struct App {
    store: Store,
    directory: Directory,
    committer: Committer,
    clock: Clock,
    ids: NewIds,
    readiness: Readiness,
    tokens: TokenService,
    listeners: Listeners,
    stopping: watch::Sender<bool>,
    refresh_task: JoinHandle<()>,
    upkeep_task: Option<JoinHandle<()>>,
}

impl App {
    /// Opens the store, applies missing migrations, finishes interrupted applications of files, and
    /// listens.
    pub async fn start(settings: AppSettings) -> Result<Self, GatewayError> {
        let AppSettings {
            listen,
            issuer_listen,
            operations_listen,
            proxies,
            database_url,
            clock,
            ids,
            committers,
            connections,
            upkeep_every,
            token_issuer,
            key,
        } = settings;
        metrics::start();
        let api_runtime = ApiRuntime::start().map_err(GatewayError::Threads)?;
        let store = Store::open(database_url.expose_secret(), connections).await?;
        store.use_key(&key).await?;
        if store.has_lost_rows() {
            tracing::error!(
                "the database lacks what was committed; nothing is approved: see doctor"
            );
        }
        // An interrupted application is finished first, because a half-applied file must not last.
        // A failure does not stop the start, because authorisation requests cannot wait.
        if let Err(error) = apply::finish(&store, &ids, clock.now()).await {
            tracing::error!(%error, "a file that broke off could not be applied");
        }
        let directory = Directory::new(store.clone());
        directory.refresh(clock.now()).await?;
        let readiness = Readiness::default();
        readiness.mark_refreshed();
        let settings = CommitterSettings { committers, batch_max: BATCH_MAX, queue_max: QUEUE_MAX };
        let committer = Committer::start(&store, &directory, &clock, &ids, settings);
        let tokens = TokenService::new(store.for_api(), &token_issuer);
        let state = AppState::new(AppStateParts {
            directory: directory.clone(),
            committer: committer.clone(),
            clock: clock.clone(),
            readiness: readiness.clone(),
            store: store.clone(),
            ids: ids.clone(),
            tokens: tokens.clone(),
            api_runtime,
        });
        let listeners = match Listeners::open(
            &state,
            listen,
            issuer_listen,
            operations_listen,
            proxies,
        )
        .await
        {
            Ok(listeners) => listeners,
            Err(error) => {
                committer.stop().await;
                store.close().await;
                return Err(error);
            }
        };
        let (stopping, is_stopping) = watch::channel(false);
        let task = run_refresh_loop(
            store.clone(),
            directory.clone(),
            clock.clone(),
            readiness.clone(),
            is_stopping.clone(),
        );
        let refresh_task = tokio::spawn(task);
        let upkeep = Upkeep::new(store.clone(), directory.clone(), clock.clone(), ids.clone());
        let seals = DailySeals::new(store.clone(), directory.clone(), clock.clone(), ids.clone());
        let upkeep_task = upkeep_every.map(|every| {
            tokio::spawn(run_upkeep_loop(upkeep, seals, store.clone(), every, is_stopping))
        });
        Ok(Self {
            store,
            directory,
            committer,
            clock,
            ids,
            readiness,
            tokens,
            listeners,
            stopping,
            refresh_task,
            upkeep_task,
        })
    }

    /// The address for people, and for everything without a separate address.
    pub const fn address(&self) -> SocketAddr {
        self.listeners.people.address()
    }

    /// The address for issuers.
    pub fn issuer_address(&self) -> SocketAddr {
        self.listeners.issuers.as_ref().map_or(self.address(), ServerHandle::address)
    }

    /// The address for operations.
    pub fn operations_address(&self) -> SocketAddr {
        self.listeners.operations.as_ref().map_or(self.address(), ServerHandle::address)
    }

    /// The cached programmes and connections.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The clock of the whole process.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The source of new identifiers.
    pub const fn ids(&self) -> &NewIds {
        &self.ids
    }

    /// Issues and checks tokens.
    pub const fn tokens(&self) -> &TokenService {
        &self.tokens
    }

    /// Runs one round of upkeep now.
    pub async fn upkeep(&self) -> Result<UpkeepReport, StoreError> {
        let (store, directory) = (self.store.clone(), self.directory.clone());
        Upkeep::new(store, directory, self.clock.clone(), self.ids.clone()).round().await
    }

    /// Stops without losing anything: clears readiness, accepts no more connections, answers open
    /// requests, commits what is queued, and closes the database. Takes about ten seconds at most,
    /// even if the database is unreachable.
    pub async fn stop(self) {
        self.readiness.mark_stopping();
        self.listeners.close().await;
        self.committer.stop().await;
        self.stopping.send_replace(true);
        for task in [Some(self.refresh_task), self.upkeep_task].into_iter().flatten() {
            if timeout(SHUTDOWN_TIMEOUT, task).await.is_err() {
                tracing::warn!("a task in the background did not end in time");
            }
        }
        if timeout(SHUTDOWN_TIMEOUT, self.store.close()).await.is_err() {
            tracing::warn!("the database did not let go in time");
        }
        tracing::info!("stopped");
    }
}

/// The listeners, each with a connection table of its own.
#[derive(Debug)]
struct Listeners {
    people: ServerHandle,
    issuers: Option<ServerHandle>,
    operations: Option<ServerHandle>,
}

impl Listeners {
    async fn open(
        state: &AppState,
        people: SocketAddr,
        issuers: Option<SocketAddr>,
        operations: Option<SocketAddr>,
        proxies: Vec<IpAddr>,
    ) -> Result<Self, GatewayError> {
        let limits = ConnectionLimits { proxies, ..ConnectionLimits::default() };
        let open = async |address: SocketAddr, groups: &[RouteGroup]| {
            let (router, limits) = (web::router(state.clone(), groups), limits.clone());
            // The issuers' listener runs on the main runtime and all others on the API's, so that
            // issuers with a separate address share no thread with the API.
            let is_issuers = groups.contains(&RouteGroup::Issuers);
            let here = Handle::current();
            let runtime = if is_issuers { &here } else { state.api_runtime.handle() };
            let listening = web::listen(address, router, limits, runtime).await;
            let listening = listening.map_err(|error| GatewayError::Listen { address, error })?;
            tracing::info!(address = %listening.address(), parts = ?groups, "listening");
            Ok::<_, GatewayError>(listening)
        };
        let own = |part, address: Option<SocketAddr>| address.map(|address| (part, address));
        let own = [own(RouteGroup::Issuers, issuers), own(RouteGroup::Operations, operations)];
        let has_own = |part: &RouteGroup| own.iter().flatten().any(|(own, _)| own == part);
        let shared: Vec<_> =
            RouteGroup::ALL.iter().copied().filter(|part| !has_own(part)).collect();
        let apart = async |address: Option<SocketAddr>, part| match address {
            Some(address) => open(address, &[part]).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            people: open(people, &shared).await?,
            issuers: apart(issuers, RouteGroup::Issuers).await?,
            operations: apart(operations, RouteGroup::Operations).await?,
        })
    }

    /// Accepts no more connections, and returns when the open requests have been answered.
    async fn close(self) {
        let close = async |listening: Option<ServerHandle>| {
            if let Some(listening) = listening {
                listening.stop().await;
            }
        };
        tokio::join!(self.people.stop(), close(self.issuers), close(self.operations));
    }
}

/// Refreshes the connections every second, so that new secrets are soon valid and revoked ones soon
/// invalid. While the database is unreachable, the cached connections stay.
async fn run_refresh_loop(
    store: Store,
    directory: Directory,
    clock: Clock,
    readiness: Readiness,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = interval(REFRESH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        // A stop cancels only the wait for the tick; a running statement always completes.
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return,
        }
        let result = refresh_with_timeout(&directory, clock.now(), &store).await;
        sync_and_check_mark(&store).await;
        match result {
            Ok(()) => {
                readiness.mark_refreshed();
                if is_failing {
                    tracing::info!("connections can be read again");
                }
                is_failing = false;
            }
            Err(error) => {
                if !is_failing {
                    let cause: &dyn std::error::Error = &error;
                    tracing::error!(cause, "connections could not be read; the known ones stay");
                }
                is_failing = true;
            }
        }
        metrics::run_upkeep();
    }
}

/// Runs rounds of upkeep. Each round has its own task, which is never cancelled. The loop stops
/// waiting for it after [`UPKEEP_TIMEOUT`], because two rounds at once do no harm.
async fn run_upkeep_loop(
    mut upkeep: Upkeep,
    mut seals: DailySeals,
    store: Store,
    every: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return,
        }
        let mut own = (upkeep.clone(), seals.clone());
        let round = tokio::spawn(async move {
            let result = match own.0.round().await {
                Ok(_) => own.1.round().await,
                Err(error) => Err(error),
            };
            (own, result)
        });
        match timeout(UPKEEP_TIMEOUT, round).await {
            Ok(Ok((done, Ok(())))) => (upkeep, seals) = done,
            Ok(Ok((_, Err(error)))) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(cause, "upkeep is left for the next round");
            }
            Ok(Err(_)) => tracing::error!("a round of upkeep ended badly"),
            Err(_) => {
                tracing::error!("a round of upkeep is not waited for any more");
                store.renew_connections();
            }
        }
    }
}

/// Refreshes the connections in a task of its own, which is never cancelled, and waits for it with
/// a time limit, because a peer that vanished silently would block until the network gives up.
async fn refresh_with_timeout(
    directory: &Directory,
    now: Timestamp,
    store: &Store,
) -> Result<(), DirectoryError> {
    let directory = directory.clone();
    let reading = tokio::spawn(async move { directory.refresh(now).await });
    if let Ok(Ok(result)) = timeout(REFRESH_TIMEOUT, reading).await {
        return result;
    }
    store.renew_connections();
    Err(StoreError::TimedOut { is_in_doubt: false }.into())
}

/// Writes the database's mark to disk, and checks whether an operator has accepted a loss.
async fn sync_and_check_mark(store: &Store) {
    if store.has_lost_rows() {
        match store.compare_mark().await {
            Ok(mark_status) if mark_status.has_lost_rows() => {}
            Ok(_) => tracing::warn!("the loss was accepted; purchases can be approved again"),
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(cause, "the database cannot be compared with its mark");
            }
        }
    }
    store.sync_mark().await;
}
