//! `sayso demo`: the complete system on one machine.

use std::net::SocketAddr;

use secrecy::ExposeSecret as _;

use super::{CommandError, CommonArgs, ExitStatus, result};
use crate::app::demo::{DemoRun, DemoSettings, run};

pub(super) async fn demo(
    common: &CommonArgs,
    exit: bool,
    listen: SocketAddr,
    seed: u64,
) -> Result<ExitStatus, CommandError> {
    let database_url = common.database.as_ref().map(|url| url.expose_secret().to_owned());
    let key = match &database_url {
        Some(_) => Some(common.config(None)?.key.value),
        None => None,
    };
    let settings = DemoSettings { listen, database_url, key, seed };
    let print = |line: String| {
        // The demo continues when the reader of its output has closed the pipe.
        result(format_args!("{line}\n")).ok();
    };
    let demo =
        run(settings, print).await.map_err(|error| CommandError::new(format!("{error:#}")))?;
    let DemoRun { app, database_url, is_clean } = demo;
    if !exit {
        result(usage_hints(&app.address(), &database_url))?;
        tokio::signal::ctrl_c().await.map_err(|error| CommandError::of(&error))?;
    }
    app.stop().await;
    Ok(if is_clean { ExitStatus::Done } else { ExitStatus::NotInOrder })
}

fn usage_hints(address: &SocketAddr, database_url: &str) -> String {
    format!(
        "\nStill serving. Press Ctrl-C to end. Where to look:\n  \
         http://{address}/readyz and http://{address}/metrics\n  \
         sayso explain <decision or iauth_…> --database {database_url}\n  \
         sayso balances --database {database_url}\n  \
         sayso verify   --database {database_url}\n"
    )
}
