//! Connections: how many, how slow they may be, and how they end.
//!
//! `axum::serve` sets no limits, so the few lines around hyper's own server stand here. A request
//! line with its headers has 2 seconds from its first byte; a connection may rest for a minute
//! between requests, because an issuer that must connect anew for a card loses time. Which gives way
//! when there are too many says [`ConnectionTable`].

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
use super::timeout_stream::{
    RequestProgress, TimeoutStream, TrackedRequestBody, TrackedResponseBody,
};

/// How long a connection may rest between requests.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// The longest head of a request. Others are answered 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How much of an answer the system takes before its peer has taken some.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// How many connections wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long open requests may take once the server stops; more than any issuer waits.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failure to accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// A listener at work.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ServerHandle {
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

/// Listens at `address` and serves `router`, all of it in `runtime`.
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

/// A listener whose connections keep little in the system: it would take megabytes for each of them
/// that reads nothing, and filling these takes the time of others.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart need not wait for the connections of before to be forgotten.
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

/// The next connection, with its place; none when it got none.
async fn accept_into_slot(
    listener: &TcpListener,
    table: &Arc<ConnectionTable>,
) -> Option<(TcpStream, ConnectionSlot)> {
    let (stream, peer) = match listener.accept().await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Mostly for want of file handles: whoever keeps one for nothing gives it back.
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

/// Returns when it is time to stop.
async fn shutdown_requested(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|is_stopping| *is_stopping).await.ok();
}

async fn serve(
    stream: TcpStream,
    slot: ConnectionSlot,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small: waiting to fill a packet would only make them late.
    stream.set_nodelay(true).ok();
    let progress = RequestProgress::new(slot);
    let stream = TimeoutStream::new(stream, Arc::clone(&progress));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        progress.advance();
        let progress = Arc::clone(&progress);
        let request = request.map(|body| TrackedRequestBody::new(body, Arc::clone(&progress)));
        let response = router.call(request);
        async move {
            let response = response.await;
            progress.advance();
            response.map(|response| response.map(|body| TrackedResponseBody::new(body, progress)))
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
            // First: what has arrived already is read before the connection is told to go.
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
