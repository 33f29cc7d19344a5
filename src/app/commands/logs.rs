//! Logging to stderr: text on a terminal, JSON otherwise.
//!
//! A reader that is too slow, or a full disk, must not delay a purchase. Lines therefore go through
//! a bounded queue to their own thread, and are dropped when the queue is full.

use std::io::{self, IsTerminal as _, Write};
use std::panic;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::CommandError;

/// Maximum number of lines in the queue.
const QUEUE_CAPACITY: usize = 1024;

/// Starts logging with the given filter, such as `info` or `sayso=debug`.
pub(super) fn start(filter: &str) -> Result<(), CommandError> {
    let filter = filter
        .parse::<Targets>()
        .map_err(|error| CommandError::new(format!("SAYSO_LOG cannot be understood: {error}")))?;
    let (queue, waiting) = sync_channel(QUEUE_CAPACITY);
    let cannot = |error| CommandError::new(format!("logging cannot be started: {error}"));
    thread::Builder::new().name("log".to_owned()).spawn(|| write_out(waiting)).map_err(cannot)?;
    let lines = fmt::layer().with_writer(move || LogLine::to(&queue));
    let filtered = tracing_subscriber::registry().with(filter);
    let started = if io::stderr().is_terminal() {
        filtered.with(lines).try_init()
    } else {
        filtered.with(lines.json()).try_init()
    };
    started.map_err(|error| CommandError::new(format!("logging cannot be started: {error}")))?;
    // Only the location of a panic is logged, because its message may contain personal data.
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "something here broke");
    }));
    Ok(())
}

/// One line, which is queued when this value is dropped.
struct LogLine {
    text: Vec<u8>,
    queue: SyncSender<Vec<u8>>,
}

impl LogLine {
    fn to(queue: &SyncSender<Vec<u8>>) -> Self {
        Self { text: Vec::new(), queue: queue.clone() }
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        if self.queue.try_send(std::mem::take(&mut self.text)).is_err() {
            metrics::counter!("sayso_log_lines_lost_total").increment(1);
        }
    }
}

/// Writes the queued lines in order, until the process ends.
#[expect(clippy::needless_pass_by_value, reason = "the end of the queue lives in the thread")]
fn write_out(lines: Receiver<Vec<u8>>) {
    for line in &lines {
        // A line that cannot be written is dropped, as it is when the queue is full.
        io::stderr().write_all(&line).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_makes_nobody_wait() {
        let (queue, lines) = sync_channel(2);
        for number in 0..5 {
            writeln!(LogLine::to(&queue), "line {number}").unwrap();
        }
        drop(queue);
        assert_eq!(lines.iter().count(), 2);
    }
}
