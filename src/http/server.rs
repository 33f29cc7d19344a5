//! Connections: how many, how slow they may be, and how they end.
//!
//! `axum::serve` sets no limits, so the few lines around hyper's own server stand here. A request
//! line with its headers has 2 seconds from its first byte; a connection may rest for a minute
//! between requests, because an issuer that must connect anew for a card loses time.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How many connections are open at once. More wait to be accepted.
const CONNECTIONS_MOST: usize = 1024;
/// From the first byte of a request to the end of its headers.
const HEAD_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection may rest between requests.
const REST_AT_MOST: Duration = Duration::from_mins(1);
/// How long open requests may take once the server stops; more than any issuer waits.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// After a failure to accept, mostly for want of file handles.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A listener at work.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, and returns when the open requests have been answered.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("the listener ended badly");
        }
    }
}

/// Listens at `address` and serves `router`.
pub async fn listen(address: SocketAddr, router: Router) -> io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(accept(listener, router, stopping));
    Ok(Listening { address, stop, task })
}

async fn accept(listener: TcpListener, router: Router, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = told(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                open.spawn(async move {
                    serve(stream, router, stopping).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
    drop(listener);
    let finish = async { while open.join_next().await.is_some() {} };
    if timeout(FINISH_WITHIN, finish).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
}

/// Returns when it is time to stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|is_stopping| *is_stopping).await.ok();
}

async fn serve(stream: TcpStream, router: Router, mut stopping: watch::Receiver<bool>) {
    // Answers are small: waiting to fill a packet would only make them late.
    stream.set_nodelay(true).ok();
    let phase = Arc::new(AtomicUsize::new(0));
    let stream = Guarded { stream, phase: Arc::clone(&phase), head_by: None };
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        phase.fetch_add(1, Ordering::Relaxed);
        let (answer, phase) = (router.call(request), Arc::clone(&phase));
        async move {
            let answer = answer.await;
            phase.fetch_add(1, Ordering::Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REST_AT_MOST)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// A stream that fails when the head of a request takes too long from its first byte.
///
/// hyper's own timeout starts when the request before it was answered, and so cannot tell a slow
/// head from a connection that rests.
struct Guarded {
    stream: TcpStream,
    /// Counts the beginnings and ends of requests: even while none is being answered.
    phase: Arc<AtomicUsize>,
    /// When the head that is arriving must be whole, and the phase in which it began to arrive.
    head_by: Option<(usize, Pin<Box<Sleep>>)>,
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.phase.load(Ordering::Relaxed);
        self.head_by.take_if(|(began, _)| *began != phase);
        if let Some((_, head_by)) = &mut self.head_by
            && head_by.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if phase.is_multiple_of(2) && self.head_by.is_none() {
            let by = Instant::now().checked_add(HEAD_WITHIN).unwrap_or_else(Instant::now);
            self.head_by = Some((phase, Box::pin(sleep_until(by))));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
