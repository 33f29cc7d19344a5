//! Programmes and connections in memory, which every issuer message needs before it is decided.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::file::{Connection, FileProblems, Settings, parse_settings};
use crate::domain::agreement::{Agreement, Scope};
use crate::domain::decision::authorisation::{AuthorisationRequest, ProgrammeFacts};
use crate::domain::id::{ConnectionId, ProgrammeId, WorkerId};
use crate::domain::money::limit::CountingAttributes;
use crate::domain::money::stream::Stream;
use crate::domain::shop::merchant::{Category, Merchant, MerchantRules};
use crate::domain::shop::table::ShopKind;
use crate::domain::time::period::Moment;
use crate::issuers::Issuer;
use crate::merchant_rules;
use crate::merchant_rules::{RulesError, RulesTexts};
use crate::store::{AgreementCache, Books, CardOwnerCache, OpenBook, SecretRow, Store, StoreError};

/// One version of a programme's settings. Immutable.
#[derive(Debug)]
pub struct Programme {
    pub version: u32,
    pub settings: Settings,
    pub rules: MerchantRules,
    streams: Arc<Vec<Stream>>,
}

impl Programme {
    /// The programme's part of the facts of a decision.
    pub fn facts(&self) -> ProgrammeFacts {
        ProgrammeFacts {
            version: self.version,
            state: self.settings.state,
            currency: self.settings.currency,
            home: self.settings.home.clone(),
            streams: Arc::clone(&self.streams),
        }
    }

    /// How `request` counts under `agreement` if it is a new purchase. It counts on the day on
    /// which the issuer says that it was bought, if [`Moment::day_of`] accepts that day.
    pub fn counted(
        &self,
        request: &AuthorisationRequest,
        agreement: Option<&Agreement>,
        moment: Moment,
    ) -> CountingAttributes {
        let kinds = self.rules.kinds_of(request.merchant.mcc());
        let (shop, mcc) = (self.rules.shops().identify(&request.merchant), request.merchant.mcc());
        let matched = agreement.and_then(|agreement| agreement.matched(mcc, &shop, kinds));
        let scope = matched.map_or(Scope::EverythingElse, |term| term.scope().clone());
        let on = moment.day_of(request.bought_at, self.zone());
        CountingAttributes::new(request, shop, on, kinds.category, &self.settings.home, scope)
    }

    /// Whether `merchant` is an app shop, whose bills come from abroad wherever the buyer is.
    pub fn is_app_bill(&self, merchant: &Merchant) -> bool {
        let shop = self.rules.shops().recognise(merchant);
        shop.is_some_and(|shop| shop.kind == ShopKind::Apps)
    }

    pub const fn zone(&self) -> &TimeZone {
        &self.settings.zone
    }

    /// The worker's name; empty if the worker is unknown.
    pub fn worker_name(&self, worker: &WorkerId) -> &str {
        let workers = &self.settings.workers;
        workers.iter().find(|known| known.id == *worker).map_or("", |known| &known.name)
    }

    /// The category's name; its slug if the rules do not name it.
    pub fn category_name<'a>(&'a self, category: &'a Category) -> &'a str {
        self.rules.name(category).unwrap_or(category.as_str())
    }
}

/// A connection, with all that is needed to check and answer its messages.
#[derive(Debug, Clone)]
pub struct LiveConnection {
    pub programme: ProgrammeId,
    pub id: ConnectionId,
    pub issuer: Issuer,
    secrets: Vec<LiveSecret>,
    /// Secrets that cannot verify a signature. They are ignored, and do not affect the other
    /// secrets.
    pub unusable: Vec<UnusableSecret>,
    pub api_version: String,
    /// Our own time limit for a response; shorter than the issuer's.
    pub answer_within: Duration,
}

/// A secret, and the instant at which it expires.
#[derive(Debug, Clone)]
struct LiveSecret {
    secret: SecretString,
    until: Option<Timestamp>,
}

/// A secret that cannot verify a signature, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableSecret {
    pub name: String,
    pub why: String,
}

impl LiveConnection {
    fn new(programme: &ProgrammeId, connection: &Connection) -> Self {
        Self {
            programme: programme.clone(),
            id: connection.id.clone(),
            issuer: connection.issuer,
            secrets: Vec::new(),
            unusable: Vec::new(),
            api_version: connection.api_version.clone().unwrap_or_default(),
            answer_within: Duration::from_millis(connection.answer_within_ms.into()),
        }
    }

    /// Adds a stored secret. It is checked again, because an earlier build may have stored an
    /// invalid one.
    fn add(&mut self, row: &SecretRow) {
        let why = match &row.secret {
            None => {
                "it cannot be opened: it was not sealed with the key, or was changed".to_owned()
            }
            Some(secret) => match self.issuer.check_secret(secret) {
                Ok(()) => {
                    let (secret, until) = (secret.clone(), row.live_until);
                    return self.secrets.push(LiveSecret { secret, until });
                }
                Err(error) => error.to_string(),
            },
        };
        self.unusable.push(UnusableSecret { name: row.name.clone(), why });
    }

    /// Every secret that is valid at `now`. A secret expires on time even while the database is
    /// unreachable and the directory cannot be refreshed.
    pub fn secrets_at(&self, now: Timestamp) -> Vec<SecretString> {
        let live = self.secrets.iter().filter(|s| s.until.is_none_or(|until| now < until));
        live.map(|s| s.secret.clone()).collect()
    }
}

/// Why a programme cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there is no programme {0}")]
    NoSuchProgramme(ProgrammeId),
    #[error("the stored settings of programme {programme} cannot be read: {problems}")]
    Settings { programme: ProgrammeId, problems: FileProblems },
    #[error("the stored merchant rules of programme {programme} cannot be read: {problems}")]
    Rules { programme: ProgrammeId, problems: RulesError },
}

/// The settings under which a set of open budgets is decided: usually one version, but budgets of
/// one programme can differ while a file is being applied.
#[derive(Debug)]
pub struct SettingsInForce(Vec<Arc<Programme>>);

impl SettingsInForce {
    /// The settings under which the open book is decided.
    pub fn of(&self, open: &OpenBook) -> Option<&Arc<Programme>> {
        let version = open.settings_version?;
        let is_it = |known: &&Arc<Programme>| {
            known.version == version && known.settings.id == open.book.programme
        };
        self.0.iter().find(is_it)
    }
}

/// A cache of programmes by version and of connections by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Store,
    cache: Arc<DirectoryCache>,
}

#[derive(Debug, Default)]
struct DirectoryCache {
    programmes: Mutex<BTreeMap<(ProgrammeId, u32), Arc<Programme>>>,
    connections: RwLock<ConnectionSnapshot>,
    agreements: AgreementCache,
    owners: CardOwnerCache,
    /// Number of refreshes that have begun.
    refreshes_begun: AtomicU64,
}

/// The connections read by one refresh.
#[derive(Debug, Default)]
struct ConnectionSnapshot {
    /// Number of the refresh that read it; a later one is not overwritten.
    refresh: u64,
    connections: BTreeMap<ConnectionId, Arc<LiveConnection>>,
}

impl Directory {
    /// An empty directory over `store`. It knows no connection before [`Directory::refresh`].
    pub fn new(store: Store) -> Self {
        Self { store, cache: Arc::default() }
    }

    /// The same directory for API calls: it reads through the store's API connections, so that no
    /// authorisation waits for it.
    #[must_use]
    pub fn for_api(&self) -> Self {
        Self { store: self.store.for_api(), cache: Arc::clone(&self.cache) }
    }

    /// The cached agreements.
    pub fn agreements(&self) -> &AgreementCache {
        &self.cache.agreements
    }

    /// The cached owners of cards.
    pub fn owners(&self) -> &CardOwnerCache {
        &self.cache.owners
    }

    /// The latest cached version of a programme's settings, usually the one in force.
    pub fn latest(&self, programme: &ProgrammeId) -> Option<Arc<Programme>> {
        let known = self.cache.programmes.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |version| (programme.clone(), version);
        known.range(of(0)..=of(u32::MAX)).next_back().map(|(_, programme)| Arc::clone(programme))
    }

    /// The connection called `name`.
    pub fn connection(&self, name: &ConnectionId) -> Option<Arc<LiveConnection>> {
        let snapshot = self.cache.connections.read().unwrap_or_else(PoisonError::into_inner);
        snapshot.connections.get(name).map(Arc::clone)
    }

    /// Reads the connections and the secrets that are valid at `now`.
    ///
    /// A secret that was replaced is invalid after the next refresh.
    pub async fn refresh(&self, now: Timestamp) -> Result<(), DirectoryError> {
        // A slow refresh must not overwrite the result of one that began later. It takes no lock,
        // because a refresh that never ends would block all others.
        let refresh = self.cache.refreshes_begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let mut connections: BTreeMap<ConnectionId, LiveConnection> = BTreeMap::new();
        // Programmes first, so that the secrets of every programme found here are already
        // committed.
        let programmes = self.store.programmes().await?;
        let secrets = self.store.secrets(now).await?;
        for (programme, version) in programmes {
            let settings = self.version(&programme, version).await?;
            for connection in &settings.settings.connections {
                let mut live = LiveConnection::new(&programme, connection);
                for row in secrets.iter().filter(|row| row.connection == connection.id) {
                    live.add(row);
                }
                connections.insert(connection.id.clone(), live);
            }
        }
        let connections = connections.into_iter().map(|(id, live)| (id, Arc::new(live))).collect();
        let mut snapshot = self.cache.connections.write().unwrap_or_else(PoisonError::into_inner);
        if snapshot.refresh < refresh {
            log_unusable_secrets(&connections, &snapshot.connections);
            *snapshot = ConnectionSnapshot { refresh, connections };
        }
        Ok(())
    }

    /// The latest cached settings of a programme, or the ones in force if none are cached. The
    /// cached ones may be a moment old: use them for names and texts. Decisions read the version in
    /// force.
    pub async fn latest_or_load(
        &self,
        programme: &ProgrammeId,
    ) -> Result<Arc<Programme>, DirectoryError> {
        match self.latest(programme) {
            Some(latest) => Ok(latest),
            None => self.in_force(programme).await,
        }
    }

    /// Loads the settings of a programme in force.
    pub async fn in_force(
        &self,
        programme: &ProgrammeId,
    ) -> Result<Arc<Programme>, DirectoryError> {
        self.load(programme, None).await
    }

    /// One version of a programme's settings. Cached without expiry, because a version never
    /// changes.
    pub async fn version(
        &self,
        programme: &ProgrammeId,
        version: u32,
    ) -> Result<Arc<Programme>, DirectoryError> {
        let key = (programme.clone(), version);
        let known = {
            let programmes = self.cache.programmes.lock().unwrap_or_else(PoisonError::into_inner);
            programmes.get(&key).map(Arc::clone)
        };
        match known {
            Some(programme) => Ok(programme),
            None => self.load(programme, Some(version)).await,
        }
    }

    /// The settings under which the open `books` are decided.
    pub async fn settings_of(&self, books: &Books) -> Result<SettingsInForce, DirectoryError> {
        let mut known = SettingsInForce(Vec::new());
        for open in books.open.values() {
            let Some(version) = open.settings_version else { continue };
            if known.of(open).is_none() {
                known.0.push(self.version(&open.book.programme, version).await?);
            }
        }
        Ok(known)
    }

    async fn load(
        &self,
        id: &ProgrammeId,
        version: Option<u32>,
    ) -> Result<Arc<Programme>, DirectoryError> {
        let row = self.store.programme(id, version).await?;
        let row = row.ok_or_else(|| DirectoryError::NoSuchProgramme(id.clone()))?;
        let settings = parse_settings(&row.settings, &|_: &Category| true)
            .map_err(|problems| DirectoryError::Settings { programme: id.clone(), problems })?;
        let texts = RulesTexts { categories: &row.rules, shops: row.shops.as_deref() };
        let rules = merchant_rules::read(texts, &settings.shops)
            .map_err(|problems| DirectoryError::Rules { programme: id.clone(), problems })?;
        let streams = Arc::new(settings.streams.clone());
        let programme = Arc::new(Programme { version: row.version, settings, rules, streams });
        let mut programmes = self.cache.programmes.lock().unwrap_or_else(PoisonError::into_inner);
        programmes.insert((id.clone(), row.version), Arc::clone(&programme));
        Ok(programme)
    }
}

/// Logs each invalid secret once, when it first appears.
fn log_unusable_secrets(
    now: &BTreeMap<ConnectionId, Arc<LiveConnection>>,
    before: &BTreeMap<ConnectionId, Arc<LiveConnection>>,
) {
    for (connection, live) in now {
        let known = before.get(connection).map(|live| &live.unusable);
        for secret in &live.unusable {
            if !known.is_some_and(|known| known.contains(secret)) {
                let UnusableSecret { name, why } = secret;
                tracing::error!(%connection, secret = name, why, "a secret counts for nothing");
            }
        }
    }
}
