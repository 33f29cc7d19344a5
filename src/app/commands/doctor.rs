//! `sayso doctor`: checks everything that the gateway needs. Shows where settings come from, and
//! never their values.

use std::fmt;
use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    CommandError, CommonArgs, ExitStatus, OutputFormat, json, prepare_folder, result, with_causes,
};
use crate::domain::id::ConnectionId;
use crate::operations::loss;
use crate::platform::clock::Clock;
use crate::platform::config::{Config, KeySource, Setting, SettingSource, database_file};
use crate::platform::ids::NewIds;
use crate::programme::directory::{Directory, DirectoryError, UnusableSecret};
use crate::store::{
    ExposedPath, MarkStatus, PoolSizes, SealingKeyStatus, Store, StoreError, database_files,
    exposed_paths,
};

/// The result of one check.
struct CheckResult {
    about: String,
    what: Result<String, String>,
}

struct CheckResults(Vec<CheckResult>);

impl CheckResults {
    fn good(&mut self, about: impl Into<String>, what: impl Into<String>) {
        self.0.push(CheckResult { about: about.into(), what: Ok(what.into()) });
    }

    fn bad(&mut self, about: impl Into<String>, what: impl Into<String>) {
        self.0.push(CheckResult { about: about.into(), what: Err(what.into()) });
    }

    fn is_good(&self) -> bool {
        self.0.iter().all(|finding| finding.what.is_ok())
    }

    fn to_json(&self) -> serde_json::Value {
        let body = |CheckResult { about, what }: &CheckResult| {
            let (is_good, what) = match what {
                Ok(what) => (true, what),
                Err(what) => (false, what),
            };
            json!({ "about": about, "good": is_good, "finding": what })
        };
        json!({ "good": self.is_good(), "findings": self.0.iter().map(body).collect::<Vec<_>>() })
    }
}

impl fmt::Display for CheckResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for CheckResult { about, what } in &self.0 {
            match what {
                Ok(what) => writeln!(f, "ok   {about}: {what}")?,
                Err(what) => writeln!(f, "BAD  {about}: {what}")?,
            }
        }
        Ok(())
    }
}

pub(super) async fn doctor(
    common: &CommonArgs,
    accept_loss: bool,
) -> Result<ExitStatus, CommandError> {
    let config = common.config(None)?;
    let mut findings = CheckResults(Vec::new());
    settings(&mut findings, &config);
    let now = Clock::system().now();
    clock(&mut findings, now);
    prepare_folder(&config)?;
    let url = config.database_url.value.expose_secret();
    match Store::open(url, PoolSizes { writers: 1, readers: 1 }).await {
        Ok(store) => {
            if accept_loss && let Err(error) = loss::accept(&store, &NewIds::default(), now).await {
                findings.bad("loss", with_causes(&error));
            }
            mark(&mut findings, &store).await;
            key(&mut findings, &store, &config.key.value).await;
            database(&mut findings, &store, now).await;
            store.close().await;
        }
        Err(error) => findings.bad("database", with_causes(&error)),
    }
    files(&mut findings, &config);
    match common.output {
        OutputFormat::Json => json(&findings.to_json())?,
        OutputFormat::Text => result(&findings)?,
    }
    Ok(if findings.is_good() { ExitStatus::Done } else { ExitStatus::NotInOrder })
}

fn settings(findings: &mut CheckResults, config: &Config) {
    let Config {
        listen,
        issuer_listen,
        operations_listen,
        proxies,
        database_url,
        data_folder: _,
        committers,
        token_issuer,
        key,
        log,
    } = config;
    let shared = SettingSource::Default;
    let own = |setting: &Option<Setting<SocketAddr>>| {
        setting.as_ref().map_or(shared.clone(), |setting| setting.source.clone())
    };
    for (name, source) in [
        ("listen", &listen.source),
        ("issuer_listen", &own(issuer_listen)),
        ("operations_listen", &own(operations_listen)),
        ("trusted_proxies", &proxies.source),
        ("database_url", &database_url.source),
        ("committers", &committers.source),
        ("token issuer", &token_issuer.source),
        ("key", &key.source),
        ("log", &log.source),
    ] {
        findings.good(format!("setting {name}"), format!("from {source}"));
    }
}

/// Checks the clock, because a machine that lost its time starts in 1970, where no signature is
/// fresh.
fn clock(findings: &mut CheckResults, now: Timestamp) {
    let released = date(2026, 1, 1).to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    match released {
        Ok(released) if now < released => {
            findings.bad("clock", format!("it says {now}, which is before this program was made"));
        }
        Ok(_) | Err(_) => findings.good("clock", format!("it says {now}; compare it with another")),
    }
}

async fn database(findings: &mut CheckResults, store: &Store, now: Timestamp) {
    match store.ping().await {
        Ok(()) => findings.good("database", "it answers, and its migrations are current"),
        Err(error) => return findings.bad("database", with_causes(&error)),
    }
    let directory = Directory::new(store.clone());
    let programmes = match store.programmes().await {
        Ok(programmes) => programmes,
        Err(error) => return findings.bad("programmes", with_causes(&error)),
    };
    match directory.refresh(now).await {
        Ok(()) => {}
        // The check of the key reports what is wrong with it.
        Err(DirectoryError::Store(StoreError::Key(_))) => return,
        Err(error) => return findings.bad("programmes", with_causes(&error)),
    }
    if programmes.is_empty() {
        findings.good("programmes", "there is none yet: sayso programme apply FILE");
    }
    for (programme, version) in programmes {
        match directory.version(&programme, version).await {
            Ok(settings) => {
                findings.good(format!("programme {programme}"), format!("at version {version}"));
                for connection in &settings.settings.connections {
                    secrets(findings, &directory, &connection.id, now);
                }
            }
            Err(error) => findings.bad(format!("programme {programme}"), with_causes(&error)),
        }
    }
}

/// Checks that the database has everything that was committed to it.
async fn mark(findings: &mut CheckResults, store: &Store) {
    match store.compare_mark().await {
        Ok(MarkStatus::NotKept) => {}
        Ok(MarkStatus::Empty) => findings.good("mark", "nothing was committed yet"),
        Ok(MarkStatus::InSync(_)) => findings.good("mark", "the database has what was committed"),
        Ok(mark_status @ (MarkStatus::Behind(_) | MarkStatus::Unreadable(_))) => {
            findings.bad("mark", loss::advice(&mark_status));
        }
        Err(error) => findings.bad("mark", with_causes(&error)),
    }
}

/// Checks that the secrets in the database are sealed, and that their key is available.
async fn key(findings: &mut CheckResults, store: &Store, place: &KeySource) {
    match store.find_key(place).await {
        Ok(SealingKeyStatus::NotSealed) => {
            findings.good("key", "sayso serve makes it, and seals secrets");
        }
        Ok(SealingKeyStatus::Active { key, has_plaintext_remains: false }) => {
            findings.good("key", format!("secrets are sealed with the key {key}"));
        }
        Ok(SealingKeyStatus::Active { has_plaintext_remains: true, .. }) => findings.bad(
            "key",
            "the files of the database may hold secrets as they were before they were sealed: \
             start sayso serve when nothing else uses the database, with room on the disk for one \
             more of it",
        ),
        Err(error) => findings.bad("key", with_causes(&error)),
    }
}

/// Checks that no other user can read the private files.
fn files(findings: &mut CheckResults, config: &Config) {
    let database = database_file(config.database_url.value.expose_secret());
    let key = match &config.key.value {
        KeySource::File(file) => Some(file.clone()),
        KeySource::Given(_) | KeySource::Nowhere => None,
    };
    let paths = database.as_deref().map(database_files).unwrap_or_default();
    let paths = paths.into_iter().chain(key).chain(config.data_folder.clone());
    let open = exposed_paths(paths);
    for ExposedPath { path, mode, wanted } in &open {
        let path = path.display();
        let text = format!("others can get at it (mode {mode:o}): chmod {wanted:o} {path}");
        findings.bad(format!("file {path}"), text);
    }
    if open.is_empty() {
        findings.good("files", "only their user can read them");
    }
}

fn secrets(
    findings: &mut CheckResults,
    directory: &Directory,
    connection: &ConnectionId,
    now: Timestamp,
) {
    let about = format!("connection {connection}");
    let Some(live) = directory.connection(connection) else {
        return findings.bad(about, "its issuer is not one that this program understands");
    };
    for UnusableSecret { name, why } in &live.unusable {
        findings.bad(format!("{about}, secret {name}"), format!("it counts for nothing: {why}"));
    }
    match live.secrets_at(now).len() {
        0 => findings.bad(about, "it has no live secret, so every message is refused"),
        count => findings.good(about, format!("live secrets: {count}")),
    }
}
