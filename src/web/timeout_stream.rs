//! A TCP stream with timeouts for slow peers, and bodies that track the progress of a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::ConnectionSlot;

/// Maximum time from the first byte of a request to the end of its headers.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a blocked write may wait. Each byte written adds [`TIME_PER_BYTE`].
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Extends the write deadline for each byte written: the peer must read at least 16 KiB per second.
const TIME_PER_BYTE: Duration = Duration::from_micros(61);

/// The progress of the requests of one connection.
#[derive(Debug)]
pub(super) struct RequestProgress {
    slot: ConnectionSlot,
    /// Number of request heads read plus responses made: even while no request is being handled.
    phase: AtomicUsize,
    /// Whether a complete response has been handed to hyper and is not flushed yet.
    is_flushing: AtomicBool,
}

impl RequestProgress {
    pub(super) fn new(slot: ConnectionSlot) -> Arc<Self> {
        Arc::new(Self { slot, phase: AtomicUsize::new(0), is_flushing: AtomicBool::new(false) })
    }

    pub(super) const fn slot(&self) -> &ConnectionSlot {
        &self.slot
    }

    /// Called when a request head has been read, and again when its response has been made.
    pub(super) fn advance(&self) {
        self.phase.fetch_add(1, Ordering::Relaxed);
    }

    fn phase(&self) -> usize {
        self.phase.load(Ordering::Relaxed)
    }
}

/// A stream that fails with `TimedOut` when a request head takes too long from its first byte, or
/// when the peer does not read the response.
///
/// hyper's own header timeout starts when the previous response ends, so it cannot distinguish a
/// slow head from an idle connection.
#[derive(Debug)]
pub(super) struct TimeoutStream {
    stream: TcpStream,
    progress: Arc<RequestProgress>,
    /// Deadline of the request head that is arriving, with the phase in which it began to arrive.
    head_deadline: Option<(usize, Pin<Box<Sleep>>)>,
    /// Deadline of blocked writes; set by the first one and cleared by a flush.
    write_deadline: Option<Pin<Box<Sleep>>>,
    /// Whether a write is blocked, because the peer does not read.
    is_stalled: bool,
}

impl TimeoutStream {
    pub(super) fn new(stream: TcpStream, progress: Arc<RequestProgress>) -> Self {
        Self { stream, progress, head_deadline: None, write_deadline: None, is_stalled: false }
    }

    /// Applies the write deadline. The first blocked write sets it, and each byte written extends
    /// it a little, so that a peer cannot hold a response open by reading it byte by byte.
    fn limit_write_stall(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(write_deadline) = &mut self.write_deadline {
                    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                    let extended =
                        write_deadline.deadline().checked_add(TIME_PER_BYTE.saturating_mul(bytes));
                    write_deadline.as_mut().reset(extended.unwrap_or_else(Instant::now));
                    if std::mem::take(&mut self.is_stalled) {
                        self.progress.slot.mark_resumed();
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => {
                if !std::mem::replace(&mut self.is_stalled, true) {
                    self.progress.slot.mark_stalled();
                }
                let write_deadline =
                    self.write_deadline.get_or_insert_with(|| sleep_for(WRITE_STALL_TIMEOUT));
                ready!(write_deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            failed @ Poll::Ready(Err(_)) => failed,
        }
    }
}

impl Drop for TimeoutStream {
    fn drop(&mut self) {
        if self.is_stalled {
            // After a normal close the kernel would keep unsent data for minutes.
            self.stream.set_zero_linger().ok();
        }
    }
}

fn sleep_for(time: Duration) -> Pin<Box<Sleep>> {
    let now = Instant::now();
    Box::pin(sleep_until(now.checked_add(time).unwrap_or(now)))
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.progress.phase();
        self.head_deadline.take_if(|(began, _)| *began != phase);
        if let Some((_, head_deadline)) = &mut self.head_deadline
            && head_deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if phase.is_multiple_of(2) && self.head_deadline.is_none() {
            self.head_deadline = Some((phase, sleep_for(HEAD_TIMEOUT)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit_write_stall(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limit_write_stall(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has nothing more to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_deadline = None;
        if self.progress.is_flushing.swap(false, Ordering::Relaxed) {
            self.progress.slot.mark_idle();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// A body that reports its end to the progress of its connection.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    direction: Direction,
    progress: Arc<RequestProgress>,
}

impl<B> TrackedBody<B> {
    /// A response body, which reports when hyper has taken all of it.
    pub(super) const fn of_response(body: B, progress: Arc<RequestProgress>) -> Self {
        Self { body, direction: Direction::Response, progress }
    }
}

impl<B: HttpBody> TrackedBody<B> {
    /// A request body, which marks its connection as busy once it has arrived completely.
    pub(super) fn of_request(body: B, progress: Arc<RequestProgress>) -> Self {
        let request = Self { body, direction: Direction::Request, progress };
        request.report_arrival(request.body.is_end_stream());
        request
    }

    fn report_arrival(&self, is_complete: bool) {
        if is_complete && self.direction == Direction::Request {
            self.progress.slot.mark_busy();
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.report_arrival(frame.is_none() || self.body.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// hyper drops a body when its last byte is queued for writing.
impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        if self.direction == Direction::Response {
            self.progress.is_flushing.store(true, Ordering::Relaxed);
        }
    }
}
