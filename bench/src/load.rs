//! Generates load: keep-alive connections that send prepared requests and read the responses.
//!
//! HTTP/1.1 is written by hand to save CPU time, because the load shares the machine with the
//! server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::request_factory::RequestBytes;

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each connection sends the next request when it has the response to the last one.
    Closed,
    /// At a fixed rate, independent of the responses. Latency counts from the planned instant.
    Open { per_second: u32 },
}

/// The result of one stretch of load.
#[derive(Debug)]
pub(crate) struct LoadResult {
    pub(crate) elapsed: Duration,
    /// In microseconds.
    pub(crate) latency: Histogram<u32>,
    pub(crate) approved: u64,
    /// All other responses: declined, refused or failed.
    pub(crate) others: u64,
}

#[derive(Debug)]
struct LoadPlan {
    requests: Vec<RequestBytes>,
    next: AtomicUsize,
    /// Whether the requests may be sent more than once.
    repeats: bool,
    pace: Pace,
    start: Instant,
    end: Instant,
}

impl LoadPlan {
    /// The next request, and when to send it. `None` when the time or the requests are used up.
    fn next(&self) -> Option<(&RequestBytes, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.pace {
            Pace::Closed => Instant::now(),
            Pace::Open { per_second } => {
                let number = u32::try_from(number).ok()?;
                let since = Duration::from_secs(1).checked_div(per_second)?.checked_mul(number)?;
                self.start.checked_add(since)?
            }
        };
        if due >= self.end {
            return None;
        }
        let index = if self.repeats { number.checked_rem(self.requests.len())? } else { number };
        Some((self.requests.get(index)?, due))
    }
}

/// Sends `requests` over `connections` for `time`, or until the requests are used up.
pub(crate) async fn send(
    server: SocketAddr,
    requests: Vec<RequestBytes>,
    repeats: bool,
    pace: Pace,
    connections: usize,
    time: Duration,
) -> Result<LoadResult> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(server).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let start = Instant::now();
    let end = start.checked_add(time).context("too long")?;
    let next = AtomicUsize::new(0);
    let plan = Arc::new(LoadPlan { requests, next, repeats, pace, start, end });
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(converse(stream, Arc::clone(&plan)));
    }
    let mut load_result =
        LoadResult { elapsed: time, latency: histogram()?, approved: 0, others: 0 };
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        load_result.latency.add(&one.latency)?;
        load_result.approved = load_result.approved.saturating_add(one.approved);
        load_result.others = load_result.others.saturating_add(one.others);
    }
    load_result.elapsed = start.elapsed();
    Ok(load_result)
}

async fn converse(mut stream: TcpStream, plan: Arc<LoadPlan>) -> Result<LoadResult> {
    let mut load_result =
        LoadResult { elapsed: Duration::ZERO, latency: histogram()?, approved: 0, others: 0 };
    let mut buffer = vec![0; 8192];
    while let Some((request, due)) = plan.next() {
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        stream.write_all(request).await?;
        let is_approved = read_answer(&mut stream, &mut buffer).await?;
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        load_result.latency.saturating_record(micros);
        let count = if is_approved { &mut load_result.approved } else { &mut load_result.others };
        *count = count.saturating_add(1);
    }
    Ok(load_result)
}

/// Reads one response. Returns whether the purchase was approved.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<bool> {
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).filter(|room| !room.is_empty());
        let count = stream.read(room.context("the answer is too long")?).await?;
        ensure!(count > 0, "the server hung up");
        filled = filled.saturating_add(count);
        let text = str::from_utf8(buffer.get(..filled).unwrap_or_default())?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if body.len() >= body_length(head)? {
            return Ok(head.starts_with("HTTP/1.1 200") && body.starts_with(r#"{"approved":true"#));
        }
    }
}

fn body_length(head: &str) -> Result<usize> {
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(value.trim().parse()?);
        }
    }
    bail!("an answer without a length: {head}");
}

fn histogram() -> Result<Histogram<u32>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}
