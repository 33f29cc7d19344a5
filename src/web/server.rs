//! The HTTP listener: connection limits, timeouts and graceful shutdown.
//!
//! `axum::serve` sets no limits, so this module drives hyper's HTTP/1 server itself. A request head
//! must be complete within 2 seconds of its first byte. A connection may stay idle for one minute
//! between requests, because an issuer that must reconnect for an authorisation request loses time.
//! When there are too many connections, [`ConnectionTable`] decides which one is evicted.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::connections::{ConnectionLimits, ConnectionSlot, ConnectionTable, SlotUnavailable};
use super::timeout_stream::{RequestProgress, TimeoutStream, TrackedBody};

/// How long a connection may stay idle between requests.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest request head in bytes. A longer one gets 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Send buffer of a socket in bytes: what the kernel takes of a response before the peer reads.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long open requests may take once shutdown begins; longer than any issuer waits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after a failure to accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// A running listener.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ServerHandle {
    /// The address that it is bound to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting and returns once the open requests are answered, or after
    /// `SHUTDOWN_TIMEOUT`.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("the listener ended badly");
        }
    }
}

/// Binds `address` and serves `router`; all of its tasks run in `runtime`.
///
/// # Errors
///
/// The error of the system when `address` cannot be bound.
pub async fn listen(
    address: SocketAddr,
    router: Router,
    limits: ConnectionLimits,
    runtime: &Handle,
) -> io::Result<ServerHandle> {
    let bound = runtime.spawn(async move { bind(address) }).await;
    let listener = bound.map_err(io::Error::other)??;
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let task = runtime.spawn(accept(listener, router, ConnectionTable::new(limits), stopping));
    Ok(ServerHandle { address, stop, task })
}

/// Binds a listener with a small send buffer per connection. The kernel's default would take
/// megabytes for each peer that does not read, and filling these buffers delays other connections.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart need not wait until the kernel has forgotten the previous connections.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(
    listener: TcpListener,
    router: Router,
    table: Arc<ConnectionTable>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = tokio::select! {
            next = accept_into_slot(&listener, &table) => next,
            () = shutdown_requested(&mut stopping) => break,
        };
        if let Some((stream, slot)) = next {
            connections.spawn(serve(stream, slot, router.clone(), stopping.clone()));
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(SHUTDOWN_TIMEOUT, finish).await.is_err() {
        tracing::warn!("some connections did not end in time and were cut");
    }
}

/// Accepts the next connection and acquires its slot. `None` when accepting fails, or when all
/// connections that the peer may have are busy.
async fn accept_into_slot(
    listener: &TcpListener,
    table: &Arc<ConnectionTable>,
) -> Option<(TcpStream, ConnectionSlot)> {
    let (stream, peer) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Usually file handles have run out; evicting a connection without an open request
            // frees one.
            table.evict_first();
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            return None;
        }
    };
    loop {
        match table.acquire(peer.ip()) {
            Ok(slot) => return Some((stream, slot)),
            Err(SlotUnavailable::PeerBusy) => return None,
            Err(SlotUnavailable::AllBusy) => table.freed().await,
        }
    }
}

/// Returns when shutdown is requested.
async fn shutdown_requested(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|is_stopping| *is_stopping).await.ok();
}

async fn serve(
    stream: TcpStream,
    slot: ConnectionSlot,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    // Responses are small, so waiting to fill a packet (Nagle) would only delay them.
    stream.set_nodelay(true).ok();
    let progress = RequestProgress::new(slot);
    let stream = TimeoutStream::new(stream, Arc::clone(&progress));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        progress.advance();
        let progress = Arc::clone(&progress);
        let request = request.map(|body| TrackedBody::of_request(body, Arc::clone(&progress)));
        let response = router.call(request);
        async move {
            let response = response.await;
            progress.advance();
            response.map(|response| response.map(|body| TrackedBody::of_response(body, progress)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = loop {
        tokio::select! {
            // Polls the connection first, so that a request that has already arrived is read before
            // an eviction or the shutdown takes effect.
            biased;
            result = connection.as_mut() => break result,
            () = progress.slot().evicted() => {
                if !progress.slot().is_registered() {
                    return;
                }
            }
            () = shutdown_requested(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                break connection.await;
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended badly");
    }
}
