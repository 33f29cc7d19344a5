//! CPU time and memory from `/proc`, of the measured processes and of the whole machine.

use std::fs;

use anyhow::{Context as _, Result};

/// Clock ticks per second: the same on every Linux that Rust runs on.
pub(crate) const TICKS_PER_SECOND: u64 = 100;

/// The processes whose CPU time is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasuredProcesses {
    pub(crate) server: u32,
    /// The PostgreSQL server in use, if it is on this machine.
    pub(crate) postmaster: Option<u32>,
}

/// CPU time used so far, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    server: u64,
    database: u64,
    load: u64,
    busy: u64,
    all: u64,
}

/// CPU time used in a stretch of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuUsage {
    /// Ticks of the server and its database.
    pub(crate) served: u64,
    /// Percentage of the machine's CPU time that was neither ours nor idle.
    pub(crate) others_percent: u64,
}

impl MeasuredProcesses {
    /// The CPU time used so far.
    pub(crate) fn cpu_ticks(self) -> Result<CpuTicks> {
        let (busy, all) = machine()?;
        Ok(CpuTicks {
            server: own_ticks(&stat(self.server)?)?,
            database: self.postmaster.map_or(Ok(0), tree_ticks)?,
            load: own_ticks(&stat(std::process::id())?)?,
            busy,
            all,
        })
    }

    /// The server's current memory, in KiB.
    pub(crate) fn memory_kib(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.context("no VmRSS")?.parse().context("VmRSS is no number")
    }
}

impl CpuTicks {
    /// The CPU time used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> CpuUsage {
        let served = self
            .server
            .saturating_sub(earlier.server)
            .saturating_add(self.database.saturating_sub(earlier.database));
        let ours = served.saturating_add(self.load.saturating_sub(earlier.load));
        let busy = self.busy.saturating_sub(earlier.busy);
        let all = self.all.saturating_sub(earlier.all).max(1);
        let others = busy.saturating_sub(ours).saturating_mul(100);
        CpuUsage { served, others_percent: others.checked_div(all).unwrap_or(0) }
    }
}

/// The parent of `process`; for a PostgreSQL backend, the postmaster.
pub(crate) fn parent(process: u32) -> Option<u32> {
    field(&stat(process).ok()?, 4).ok()?.try_into().ok()
}

fn stat(process: u32) -> Result<String> {
    let path = format!("/proc/{process}/stat");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// Field `number` of a line of `/proc/PID/stat`, from 1 as in proc(5). Field 2 may contain spaces.
fn field(stat: &str, number: usize) -> Result<u64> {
    let (_, rest) = stat.rsplit_once(')').context("not a stat line")?;
    let text = number.checked_sub(3).and_then(|index| rest.split_whitespace().nth(index));
    Ok(text.context("a short stat line")?.parse::<i64>()?.try_into()?)
}

fn sum(stat: &str, fields: &[usize]) -> Result<u64> {
    fields.iter().map(|number| field(stat, *number)).sum()
}

fn own_ticks(stat: &str) -> Result<u64> {
    sum(stat, &[14, 15])
}

/// The ticks of a process, of its live children, and of the children that it has waited for.
fn tree_ticks(process: u32) -> Result<u64> {
    let mut ticks = sum(&stat(process)?, &[14, 15, 16, 17])?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // The process may have ended since the folder was read.
        let Ok(stat) = stat(child) else { continue };
        if field(&stat, 4).is_ok_and(|parent| parent == u64::from(process)) {
            ticks = ticks.saturating_add(own_ticks(&stat)?);
        }
    }
    Ok(ticks)
}

/// The busy ticks and all ticks of the machine. Time stolen by other machines counts as busy.
fn machine() -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let numbers: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = *numbers else {
        anyhow::bail!("/proc/stat is not as proc(5) describes it");
    };
    let busy: u64 = [user, nice, system, irq, softirq, steal].iter().sum();
    Ok((busy, busy.saturating_add(idle).saturating_add(iowait)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194304 1 0 0 0 11 12 13 14 20 0";
        assert_eq!(field(stat, 4).unwrap(), 3);
        assert_eq!((own_ticks(stat).unwrap(), sum(stat, &[16, 17]).unwrap()), (23, 27));
    }
}
