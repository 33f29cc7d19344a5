//! The figure that most teams know: `pgbench`, PostgreSQL's own benchmark, without HTTP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Transactions per second, with the best of several numbers of clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pgbench {
    /// `pgbench --builtin=simple-update`.
    pub(crate) simple_update: f64,
    /// An authorisation without rules in one statement: a unique reference, a sufficient budget,
    /// two entries.
    pub(crate) one_statement: f64,
}

const CLIENTS: [u32; 3] = [8, 16, 32];
const SCALE: &str = "20";

const SCHEMA: &str = "\
    DROP TABLE IF EXISTS plain_entry, plain_answer, plain_budget;
    CREATE TABLE plain_budget (id BIGINT PRIMARY KEY, left_minor BIGINT NOT NULL
        CHECK (left_minor >= 0)) WITH (fillfactor = 70);
    CREATE TABLE plain_answer (reference TEXT PRIMARY KEY, budget BIGINT, amount BIGINT);
    CREATE TABLE plain_entry (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, budget BIGINT,
        reference TEXT, amount BIGINT);
    INSERT INTO plain_budget SELECT i, 900000000 FROM generate_series(1, 10000) i;";

const AUTHORISATION: &str = "\
\\set budget random(1, 10000)
\\set one random(1, 1000000000)
\\set other random(1, 1000000000)
WITH once AS (INSERT INTO plain_answer VALUES ('iauth_' || :one || '_' || :other, :budget, 1250)
    ON CONFLICT DO NOTHING RETURNING reference),
held AS (UPDATE plain_budget SET left_minor = left_minor - 1250
    WHERE id = :budget AND left_minor >= 1250 AND EXISTS (SELECT 1 FROM once) RETURNING id)
INSERT INTO plain_entry (budget, reference, amount)
    SELECT held.id, once.reference, sign * 1250 FROM held, once, (VALUES (1), (-1)) AS v(sign);
";

impl Pgbench {
    /// Runs both in the database at `url`. `None` if `pgbench` is not installed.
    pub(crate) async fn run(url: &str, time: Duration, folder: &Path) -> Result<Option<Self>> {
        let Some(program) = find() else { return Ok(None) };
        let schema = folder.join("schema.sql");
        let script = folder.join("authorisation.sql");
        std::fs::write(&schema, SCHEMA)?;
        std::fs::write(&script, AUTHORISATION)?;
        let psql = program.with_file_name("psql");
        stdout_of(Command::new(psql).args(["--quiet", "--file"]).arg(&schema).arg(url)).await?;
        stdout_of(Command::new(&program).args(["--initialize", "--quiet", "--scale", SCALE, url]))
            .await?;
        let script = format!("--file={}", script.display());
        Ok(Some(Self {
            simple_update: best(&program, "--builtin=simple-update", url, time).await?,
            one_statement: best(&program, &script, url, time).await?,
        }))
    }
}

async fn best(program: &Path, what: &str, url: &str, time: Duration) -> Result<f64> {
    let mut best = 0.0_f64;
    for clients in CLIENTS {
        let seconds = time.as_secs().max(1).to_string();
        let clients = clients.to_string();
        let mut command = Command::new(program);
        command.args([what, "--no-vacuum", "--protocol=prepared", "--jobs=2"]);
        command.args(["--client", &clients, "--time", &seconds, url]);
        best = best.max(rate(&stdout_of(&mut command).await?)?);
    }
    Ok(best)
}

/// Runs `command` to its end and returns what it printed.
async fn stdout_of(command: &mut Command) -> Result<String> {
    let output = command.kill_on_drop(true).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "a program of PostgreSQL failed: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn rate(report: &str) -> Result<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("pgbench told no tps")?.parse()?)
}

/// The newest `pgbench` in Debian's folders of PostgreSQL, else the one on the path.
fn find() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten();
    let installed = folders.flatten().map(|folder| folder.path().join("bin/pgbench"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).map(|f| f.join("pgbench")).collect();
    let mut found: Vec<_> = installed.filter(|program| program.is_file()).collect();
    found.sort();
    found.pop().or_else(|| on_path.into_iter().find(|program| program.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_the_report() {
        let report = "latency average = 1.8 ms\ntps = 4387.250000 (without initial connection)\n";
        assert!((rate(report).unwrap() - 4387.25).abs() < f64::EPSILON);
        assert!(rate("nothing").is_err());
    }
}
