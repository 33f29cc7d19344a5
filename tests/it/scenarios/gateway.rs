//! `sayso serve` as a separate process, to be killed, starved and restarted.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sayso::platform::clock::Clock;
use sayso::platform::ids::NewIds;
use sayso::programme::apply::apply;
use sayso::store::Store;
use sqlx::Connection as _;
use tempfile::TempDir;

use crate::caller::Caller;
use crate::support::TestDatabase;
use crate::world::{RULES, patient};

/// A gateway process on the real clock. Killed on drop.
pub(crate) struct GatewayProcess {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl GatewayProcess {
    /// Runs `sayso serve` and waits until it is ready.
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        let gateway = Self::spawn(database, Command::new(env!("CARGO_BIN_EXE_sayso")));
        gateway.caller().wait_until_ready(true).await;
        gateway
    }

    /// Like [`Self::start`], but it aborts when it reaches `place` for the `times`-th time.
    pub(crate) async fn start_to_crash(database: &TestDatabase, place: &str, times: u32) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sayso"));
        command.env(sayso::platform::crash::CRASH_AT_VARIABLE, format!("{place}:{times}"));
        let gateway = Self::spawn(database, command);
        gateway.caller().wait_until_ready(true).await;
        gateway
    }

    /// Runs `command`, which is `sayso` or executes it, with `serve` as its last arguments.
    pub(crate) fn spawn(database: &TestDatabase, command: Command) -> Self {
        Self::spawn_logging_to(database, command, Stdio::null())
    }

    /// Like [`Self::spawn`], with a log pipe that nobody reads, so that it fills up.
    pub(crate) fn spawn_with_unread_log(database: &TestDatabase, command: Command) -> Self {
        Self::spawn_logging_to(database, command, Stdio::piped())
    }

    fn spawn_logging_to(database: &TestDatabase, command: Command, log: Stdio) -> Self {
        // The port was free a moment ago, and so most likely still is.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let process = serve(database, command, log, address, &folder);
        Self { process, address, folder }
    }

    /// Kills the process while it works, and runs `sayso serve` again at the same address a moment
    /// later.
    pub(crate) async fn restart(&mut self, database: &TestDatabase) {
        self.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let command = Command::new(env!("CARGO_BIN_EXE_sayso"));
        self.process = serve(database, command, Stdio::null(), self.address, &self.folder);
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resident memory of the process. Unit: kilobytes.
    pub(crate) fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn wait_until_exited(&mut self) {
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(15), "it is still alive");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.address, Clock::system())
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn serve(
    database: &TestDatabase,
    mut command: Command,
    log: Stdio,
    address: SocketAddr,
    folder: &TempDir,
) -> Child {
    database.give_key(&mut command);
    command
        .args(["--database", &database.url, "serve", "--listen", &address.to_string()])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// `file` with the ends of its streams moved far into the future, for the real clock.
pub(crate) fn lasting(file: &str) -> String {
    file.replace("= 2027-", "= 2099-").replace("= 2026-12-", "= 2099-12-")
}

/// Applies `file`, made [`lasting`].
pub(crate) async fn prepare(database: &TestDatabase, file: &str) -> Store {
    let store = database.store().await;
    let file = lasting(&patient(file));
    apply(&store, &NewIds::default(), Clock::system().now(), &file, RULES).await.unwrap();
    store
}

pub(crate) async fn prove(store: &Store) {
    let proof = sayso::operations::verify(store, None).await.unwrap();
    assert!(proof.is_clean(), "{}", proof.to_text());
}

/// The hold of each approval in minor units, by the issuer's reference and the gateway's decision.
pub(crate) async fn held_by_approval(database: &TestDatabase) -> BTreeMap<(String, String), i64> {
    let sql = "SELECT d.purchase_reference, d.decision_id, CAST(SUM(h.held_minor) AS TEXT) \
               FROM decision d JOIN purchase p ON p.programme_id = d.programme_id \
               AND p.connection_id = d.connection_id AND p.reference = d.purchase_reference \
               JOIN hold h ON h.programme_id = p.programme_id AND h.purchase_id = p.purchase_id \
               WHERE d.outcome = 'approved' GROUP BY d.purchase_reference, d.decision_id";
    let held = |row: Vec<String>| {
        let [reference, decision, held] = row.try_into().unwrap();
        ((reference, decision), held.parse().unwrap())
    };
    database.rows(sql).await.into_iter().map(held).collect()
}

pub(crate) async fn count(database: &TestDatabase, sql: &str) -> i64 {
    let mut connection = database.connect().await;
    let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {sql}"));
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}
