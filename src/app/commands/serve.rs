//! `sayso serve`: runs the gateway until it is stopped.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    CommandError, CommonArgs, ExitStatus, exit_status_of, logs, prepare_folder, with_causes,
};
use crate::app::gateway::{App, AppSettings, GatewayError};
use crate::platform::clock::Clock;

/// How often a round of upkeep runs.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
/// Enough for three full connection tables and the database, with a reserve.
const OPEN_FILES_WANTED: u64 = 8192;

pub(super) async fn serve(
    common: &CommonArgs,
    listen: Option<String>,
) -> Result<ExitStatus, CommandError> {
    let config = common.config(listen)?;
    logs::start(&config.log.value)?;
    prepare_folder(&config)?;
    if let Some(handles) = raise_open_file_limit() {
        tracing::debug!(handles, "files and connections that may be open");
    }
    let mut settings =
        AppSettings::new(config.listen.value, config.database_url.value, Clock::system());
    settings.issuer_listen = config.issuer_listen.map(|setting| setting.value);
    settings.operations_listen = config.operations_listen.map(|setting| setting.value);
    settings.proxies = config.proxies.value;
    settings.committers = config.committers.value;
    settings.token_issuer = config.token_issuer.value;
    settings.key = config.key.value;
    settings.upkeep_every = Some(UPKEEP_EVERY);
    let cannot = |error| CommandError::new(format!("signals cannot be heard: {error}"));
    let mut terminated = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(cannot)?;
    let app = App::start(settings).await.map_err(|error| {
        let status = match &error {
            GatewayError::Store(error) => exit_status_of(error),
            GatewayError::Directory(_) => ExitStatus::TryLater,
            GatewayError::Listen { .. } | GatewayError::Threads(_) => ExitStatus::NotInOrder,
        };
        CommandError { status, text: with_causes(&error) }
    })?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    tracing::info!("told to stop");
    app.stop().await;
    Ok(ExitStatus::Done)
}

/// Raises the limit of open files towards [`OPEN_FILES_WANTED`], so that client connections never
/// use up the file descriptors that the database needs. Most systems give a process 1,024 by
/// default.
fn raise_open_file_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(OPEN_FILES_WANTED, |most| most.min(OPEN_FILES_WANTED));
    if current? < wanted {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).ok()?;
    }
    getrlimit(Resource::Nofile).current
}
