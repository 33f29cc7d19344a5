//! `sayso serve`: the gateway, until it is told to stop.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Common, Ending, Failure, logs, prepare_folder, with_causes};
use crate::app::{App, AppSettings, StartError};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::StoreError;

/// How often what nobody asks for is looked after.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn serve(common: &Common, listen: Option<String>) -> Result<Ending, Failure> {
    let config = common.config(listen)?;
    logs::start(&config.log.value)?;
    prepare_folder(&config)?;
    let Config { listen, database_url, committers, token_issuer, key, data_folder: _, log: _ } =
        config;
    let mut settings = AppSettings::new(listen.value, database_url.value, Clock::system());
    settings.committers = committers.value;
    settings.token_issuer = token_issuer.value;
    settings.key = key.value;
    settings.upkeep_every = Some(UPKEEP_EVERY);
    let cannot = |error| Failure::new(format!("signals cannot be heard: {error}"));
    let mut terminated = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(cannot)?;
    let app = App::start(settings).await.map_err(|error| {
        let ending = match &error {
            StartError::Store(StoreError::Key(_)) => Ending::Settings,
            StartError::Store(_) | StartError::Directory(_) => Ending::TryLater,
            StartError::Listen { .. } => Ending::NotInOrder,
        };
        Failure { ending, text: with_causes(&error) }
    })?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    tracing::info!("told to stop");
    app.stop().await;
    Ok(Ending::Done)
}
