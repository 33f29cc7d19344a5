//! Programmes and connections in memory: what every message needs before it is decided.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::file::{Connection, FileProblems, Settings, parse_settings};
use crate::card_path::issuers::Issuer;
use crate::domain::agreement::{Agreement, Scope};
use crate::domain::decision::authorisation::{AuthorisationRequest, ProgrammeFacts};
use crate::domain::id::{ConnectionId, ProgrammeId, WorkerId};
use crate::domain::money::limit::CountingAttributes;
use crate::domain::money::stream::Stream;
use crate::domain::shop::merchant::{Category, Merchant, MerchantRules};
use crate::domain::shop::table::ShopKind;
use crate::domain::time::period::Moment;
use crate::programme::rules;
use crate::programme::rules::{RulesError, RulesTexts};
use crate::store::{AgreementCache, Books, CardOwnerCache, OpenBook, SecretRow, Store, StoreError};

/// One version of a programme's settings. Never changes.
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

    /// What `request` counts as under `agreement`, if it is a new purchase: on the day on which the
    /// issuer says that it was bought.
    pub fn counted(
        &self,
        request: &AuthorisationRequest,
        agreement: Option<&Agreement>,
        moment: Moment,
    ) -> CountingAttributes {
        let kinds = self.rules.kinds_of(request.merchant.mcc());
        let shop = self.rules.shops().identify(&request.merchant);
        let matched = agreement.and_then(|agreement| agreement.matched(request, &shop, kinds));
        let scope = matched.map_or(Scope::EverythingElse, |term| term.scope().clone());
        let on = moment.day_of(request.bought_at, self.zone());
        CountingAttributes::new(request, shop, on, kinds.category, &self.settings.home, scope)
    }

    /// Whether `merchant` is an app shop, which sends its bills from another country whoever buys.
    pub fn is_app_bill(&self, merchant: &Merchant) -> bool {
        let shop = self.rules.shops().recognise(merchant);
        shop.is_some_and(|shop| shop.kind == ShopKind::Apps)
    }

    /// The programme's time zone.
    pub const fn zone(&self) -> &TimeZone {
        &self.settings.zone
    }

    /// What the worker is called.
    pub fn worker_name(&self, worker: &WorkerId) -> &str {
        let workers = &self.settings.workers;
        workers.iter().find(|known| known.id == *worker).map_or("", |known| &known.name)
    }

    /// What the category is called.
    pub fn category_name<'a>(&'a self, category: &'a Category) -> &'a str {
        self.rules.name(category).unwrap_or(category.as_str())
    }
}

/// A connection as messages need it.
#[derive(Debug, Clone)]
pub struct LiveConnection {
    pub programme: ProgrammeId,
    pub id: ConnectionId,
    pub issuer: Issuer,
    secrets: Vec<LiveSecret>,
    /// Those that can sign nothing: they count for nothing, and stand in no other's way.
    pub unusable: Vec<UnusableSecret>,
    pub api_version: String,
    /// What we give ourselves; less than what the issuer gives us.
    pub answer_within: Duration,
}

/// A secret, and when it stops to count.
#[derive(Debug, Clone)]
struct LiveSecret {
    secret: SecretString,
    until: Option<Timestamp>,
}

/// A secret that no message can be signed with, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableSecret {
    pub name: String,
    pub why: String,
}

impl LiveConnection {
    fn new(programme: &ProgrammeId, connection: &Connection, issuer: Issuer) -> Self {
        Self {
            programme: programme.clone(),
            id: connection.id.clone(),
            issuer,
            secrets: Vec::new(),
            unusable: Vec::new(),
            api_version: connection.api_version.clone().unwrap_or_default(),
            answer_within: Duration::from_millis(connection.answer_within_ms.into()),
        }
    }

    /// Takes a secret as it is stored. An earlier build may have stored one that is none.
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

    /// Every secret that is live at `now`. One that ends does so to the second, also while the
    /// database is away and nothing can be read anew.
    pub fn secrets_at(&self, now: Timestamp) -> Vec<SecretString> {
        let live = self.secrets.iter().filter(|s| s.until.is_none_or(|until| now < until));
        live.map(|s| s.secret.clone()).collect()
    }
}

/// Why a programme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("programme {0} is not here")]
    NoSuchProgramme(ProgrammeId),
    #[error("the stored settings of programme {programme} cannot be read: {problems}")]
    Settings { programme: ProgrammeId, problems: FileProblems },
    #[error("the stored merchant rules of programme {programme} cannot be read: {problems}")]
    Rules { programme: ProgrammeId, problems: RulesError },
}

/// The settings by which some budgets are decided: mostly one version. While a file is being applied,
/// budgets of one programme can differ.
#[derive(Debug)]
pub struct SettingsInForce(Vec<Arc<Programme>>);

impl SettingsInForce {
    /// The settings by which the open book is decided.
    pub fn of(&self, open: &OpenBook) -> Option<&Arc<Programme>> {
        let version = open.settings_version?;
        let is_it = |known: &&Arc<Programme>| {
            known.version == version && known.settings.id == open.book.programme
        };
        self.0.iter().find(is_it)
    }
}

/// Programmes by version, and connections by name. Cheap to clone.
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
    /// How many refreshes have begun.
    refreshes_begun: AtomicU64,
}

/// The connections of one refresh.
#[derive(Debug, Default)]
struct ConnectionSnapshot {
    /// The number of the refresh.
    refresh: u64,
    connections: BTreeMap<ConnectionId, Arc<LiveConnection>>,
}

impl Directory {
    /// A directory of what `store` holds. Knows no connection before [`Directory::refresh`].
    pub fn new(store: Store) -> Self {
        Self { store, cache: Arc::default() }
    }

    /// The same directory for whoever calls the API: what it has to read, it reads as they do.
    #[must_use]
    pub fn for_api(&self) -> Self {
        Self { store: self.store.for_api(), cache: Arc::clone(&self.cache) }
    }

    /// The agreements that are known.
    pub fn agreements(&self) -> &AgreementCache {
        &self.cache.agreements
    }

    /// Whose cards are whose, as far as it is known.
    pub fn owners(&self) -> &CardOwnerCache {
        &self.cache.owners
    }

    /// The latest version of a programme's settings that is known: most likely the one in force.
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

    /// Reads the connections and their secrets that are live at `now`.
    ///
    /// A secret that was replaced stops counting with the next refresh.
    pub async fn refresh(&self, now: Timestamp) -> Result<(), DirectoryError> {
        // A slow refresh must not put an older state over that of one which began later. No lock:
        // one that never ends would stop all others.
        let refresh = self.cache.refreshes_begun.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let mut connections: BTreeMap<ConnectionId, LiveConnection> = BTreeMap::new();
        // In this order: a programme that is found has its secrets by then.
        let programmes = self.store.programmes().await?;
        let secrets = self.store.secrets(now).await?;
        for (programme, version) in programmes {
            let settings = self.version(&programme, version).await?;
            for connection in &settings.settings.connections {
                let Ok(issuer) = connection.issuer.parse() else { continue };
                let mut live = LiveConnection::new(&programme, connection, issuer);
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

    /// The settings of a programme that are in memory: in force, or a moment ago. For names and
    /// words; what is decided reads the version that is in force.
    pub async fn latest_or_load(
        &self,
        programme: &ProgrammeId,
    ) -> Result<Arc<Programme>, DirectoryError> {
        match self.latest(programme) {
            Some(latest) => Ok(latest),
            None => self.in_force(programme).await,
        }
    }

    /// The settings of a programme in force.
    pub async fn in_force(
        &self,
        programme: &ProgrammeId,
    ) -> Result<Arc<Programme>, DirectoryError> {
        self.load(programme, None).await
    }

    /// One version of a programme's settings: kept in memory, because it never changes.
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

    /// The settings by which the open `books` are decided.
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
        let rules = rules::read(texts, &settings.shops)
            .map_err(|problems| DirectoryError::Rules { programme: id.clone(), problems })?;
        let streams = Arc::new(settings.streams.clone());
        let programme = Arc::new(Programme { version: row.version, settings, rules, streams });
        let mut programmes = self.cache.programmes.lock().unwrap_or_else(PoisonError::into_inner);
        programmes.insert((id.clone(), row.version), Arc::clone(&programme));
        Ok(programme)
    }
}

/// Says once which secrets count for nothing.
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
