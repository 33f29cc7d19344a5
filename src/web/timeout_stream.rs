//! A stream that fails when its peer is too slow, and what tells whether a request is under way.

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

/// From the first byte of a request to the end of its headers.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer may stand still.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer it may take for each byte that does leave: 16 KiB in a second.
const TIME_PER_BYTE: Duration = Duration::from_micros(61);

/// How far the requests of one connection are.
#[derive(Debug)]
pub(super) struct RequestProgress {
    slot: ConnectionSlot,
    /// Counts the beginnings and ends of requests: even while none is being answered.
    phase: AtomicUsize,
    /// Whether an answer has been handed over whole, and is on its way.
    is_flushing: AtomicBool,
}

impl RequestProgress {
    pub(super) fn new(slot: ConnectionSlot) -> Arc<Self> {
        Arc::new(Self { slot, phase: AtomicUsize::new(0), is_flushing: AtomicBool::new(false) })
    }

    pub(super) const fn slot(&self) -> &ConnectionSlot {
        &self.slot
    }

    /// The head of a request is there, or its answer is made.
    pub(super) fn advance(&self) {
        self.phase.fetch_add(1, Ordering::Relaxed);
    }

    fn phase(&self) -> usize {
        self.phase.load(Ordering::Relaxed)
    }
}

/// A stream that fails when the head of a request takes too long from its first byte, or when an
/// answer is not taken.
///
/// hyper's own timeout starts when the request before it was answered, and so cannot tell a slow
/// head from a connection that rests.
#[derive(Debug)]
pub(super) struct TimeoutStream {
    stream: TcpStream,
    progress: Arc<RequestProgress>,
    /// When the head that is arriving must be whole, and the phase in which it began to arrive.
    head_deadline: Option<(usize, Pin<Box<Sleep>>)>,
    /// When what waits to be written must have left.
    write_deadline: Option<Pin<Box<Sleep>>>,
}

impl TimeoutStream {
    pub(super) fn new(stream: TcpStream, progress: Arc<RequestProgress>) -> Self {
        Self { stream, progress, head_deadline: None, write_deadline: None }
    }

    /// Looks at a write: one that waits is given a time, and what leaves prolongs it a little, so
    /// that nobody holds an answer up by taking it byte by byte.
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
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => {
                let write_deadline =
                    self.write_deadline.get_or_insert_with(|| sleep_for(WRITE_STALL_TIMEOUT));
                ready!(write_deadline.as_mut().poll(cx));
                // What waits in the system would be kept for minutes after a polite end.
                self.stream.set_zero_linger().ok();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            failed @ Poll::Ready(Err(_)) => failed,
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

    /// hyper comes here when it has nothing more to write.
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

/// The body of a request, which says when it has arrived whole.
#[derive(Debug)]
pub(super) struct TrackedRequestBody<B> {
    body: B,
    progress: Arc<RequestProgress>,
}

impl<B: HttpBody> TrackedRequestBody<B> {
    pub(super) fn new(body: B, progress: Arc<RequestProgress>) -> Self {
        if body.is_end_stream() {
            progress.slot.mark_busy();
        }
        Self { body, progress }
    }
}

impl<B: HttpBody + Unpin> HttpBody for TrackedRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.progress.slot.mark_busy();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, which says when it has been handed over whole.
#[derive(Debug)]
pub(super) struct TrackedResponseBody<B> {
    body: B,
    progress: Arc<RequestProgress>,
}

impl<B> TrackedResponseBody<B> {
    pub(super) const fn new(body: B, progress: Arc<RequestProgress>) -> Self {
        Self { body, progress }
    }
}

impl<B: HttpBody + Unpin> HttpBody for TrackedResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// hyper lets go of a body when its last byte waits to be written.
impl<B> Drop for TrackedResponseBody<B> {
    fn drop(&mut self) {
        self.progress.is_flushing.store(true, Ordering::Relaxed);
    }
}
