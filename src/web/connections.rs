//! The open connections, and which one is evicted when there are too many.
//!
//! A connection whose request has arrived completely is not evicted before its response is sent,
//! unless its peer does not read the response. All others are evicted in this order: first those
//! that have never sent a complete request or do not read, the oldest first; then idle ones, the
//! longest idle first. So an attacker gains nothing by opening connections and neither sending nor
//! reading, and an issuer that sends a request now and then keeps its connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Maximum number of connections of one listener.
const CONNECTIONS_MAX: usize = 1024;
/// Maximum number of connections of one peer, so that the other half is left for other peers.
const CONNECTIONS_PER_PEER_MAX: usize = 512;

/// Limits on the open connections of one listener.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    pub connections_max: usize,
    pub connections_per_peer_max: usize,
    /// Peers without a per-peer limit: a proxy speaks for many clients and has limits of its own.
    pub proxies: Vec<IpAddr>,
}

impl Default for ConnectionLimits {
    /// Trusts a proxy on the same machine, because an attacker there could do worse.
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_peer_max: CONNECTIONS_PER_PEER_MAX,
            proxies: vec![
                IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ],
        }
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    limits: ConnectionLimits,
    state: Mutex<TableState>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct TableState {
    connections: BTreeMap<u64, OpenConnection>,
    /// Connections without a complete request, in the order of eviction.
    eviction_order: BTreeSet<(EvictionRank, u64)>,
    peer_counts: BTreeMap<IpAddr, usize>,
    /// Logical clock: a later event has a greater number.
    sequence: u64,
}

/// The order of eviction: the lowest rank is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct EvictionRank {
    /// Whether the peer has sent a complete request and reads its responses.
    is_in_use: bool,
    since: u64,
}

#[derive(Debug)]
struct OpenConnection {
    rank: EvictionRank,
    /// The peer whose limit it counts towards; `None` for a proxy.
    peer: Option<IpAddr>,
    evict: Arc<Notify>,
}

/// Why a connection gets no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotUnavailable {
    /// Every open connection has a request in progress. One of them will end.
    AllBusy,
    /// The peer has its maximum of connections, and each has a request in progress.
    PeerBusy,
}

impl ConnectionTable {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default(), freed: Notify::new() })
    }

    /// Acquires a slot for a connection of `peer`. If the peer is at its limit, this evicts another
    /// connection of the same peer; if the table is full, any connection without a request in
    /// progress.
    ///
    /// # Errors
    ///
    /// [`SlotUnavailable`] when every connection that could be evicted has a request in progress.
    pub(super) fn acquire(
        self: &Arc<Self>,
        peer: IpAddr,
    ) -> Result<ConnectionSlot, SlotUnavailable> {
        let peer = peer.to_canonical();
        let peer = (!self.limits.proxies.contains(&peer)).then(|| peer_network(peer));
        let mut state = self.state();
        if let Some(peer) = peer {
            let open = state.peer_counts.get(&peer).copied().unwrap_or_default();
            if open >= self.limits.connections_per_peer_max && !state.evict_first(Some(peer)) {
                return Err(SlotUnavailable::PeerBusy);
            }
        }
        if state.connections.len() >= self.limits.connections_max && !state.evict_first(None) {
            return Err(SlotUnavailable::AllBusy);
        }
        let id = state.next_sequence();
        let (rank, evict) = (EvictionRank { is_in_use: false, since: id }, Arc::new(Notify::new()));
        if let Some(peer) = peer {
            let open = state.peer_counts.entry(peer).or_default();
            *open = open.saturating_add(1);
        }
        state.eviction_order.insert((rank, id));
        state.connections.insert(id, OpenConnection { rank, peer, evict: Arc::clone(&evict) });
        drop(state);
        Ok(ConnectionSlot { table: Arc::clone(self), id, evict })
    }

    /// Evicts the first connection in the order of eviction, even if slots are free. False if there
    /// is none.
    pub(super) fn evict_first(&self) -> bool {
        self.state().evict_first(None)
    }

    /// Waits until a slot may have become free since the last call.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, TableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TableState {
    fn next_sequence(&mut self) -> u64 {
        self.sequence = self.sequence.saturating_add(1);
        self.sequence
    }

    fn evict_first(&mut self, peer: Option<IpAddr>) -> bool {
        let is_theirs = |id: &u64| {
            peer.is_none()
                || self.connections.get(id).is_some_and(|connection| connection.peer == peer)
        };
        let first = self.eviction_order.iter().map(|(_, id)| *id).find(|id| is_theirs(id));
        let Some(connection) = first.and_then(|id| self.remove(id)) else { return false };
        connection.evict.notify_one();
        true
    }

    fn remove(&mut self, id: u64) -> Option<OpenConnection> {
        let connection = self.connections.remove(&id)?;
        self.eviction_order.remove(&(connection.rank, id));
        if let Some(peer) = connection.peer
            && let Some(open) = self.peer_counts.get_mut(&peer)
        {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.peer_counts.remove(&peer);
            }
        }
        Some(connection)
    }
}

/// The slot of one connection; dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    table: Arc<ConnectionTable>,
    id: u64,
    evict: Arc<Notify>,
}

impl ConnectionSlot {
    /// Marks the request as completely received, so that the connection is not evicted before its
    /// response is sent. A connection that was evicted after its request had arrived, but before we
    /// read it, is registered again beyond the limit, up to twice `connections_max`.
    pub(super) fn mark_busy(&self) {
        let state = &mut *self.table.state();
        if let Some(connection) = state.connections.get(&self.id) {
            state.eviction_order.remove(&(connection.rank, self.id));
        } else if state.connections.len() < self.table.limits.connections_max.saturating_mul(2) {
            let rank = EvictionRank { is_in_use: true, since: self.id };
            let evict = Arc::clone(&self.evict);
            state.connections.insert(self.id, OpenConnection { rank, peer: None, evict });
        }
    }

    /// Marks the response as moving again. A connection that was evicted meanwhile stays so.
    pub(super) fn mark_resumed(&self) {
        let state = &mut *self.table.state();
        if let Some(connection) = state.connections.get(&self.id) {
            state.eviction_order.remove(&(connection.rank, self.id));
        }
    }

    /// Whether the table still counts the connection.
    pub(super) fn is_registered(&self) -> bool {
        self.table.state().connections.contains_key(&self.id)
    }

    /// Marks the response as sent: the connection is idle and may be evicted.
    pub(super) fn mark_idle(&self) {
        let mut state = self.table.state();
        let rank = EvictionRank { is_in_use: true, since: state.next_sequence() };
        self.mark_evictable(state, rank);
    }

    /// Marks the response as blocked, because the peer does not read it: the connection may be
    /// evicted until [`Self::mark_resumed`].
    pub(super) fn mark_stalled(&self) {
        let mut state = self.table.state();
        let rank = EvictionRank { is_in_use: false, since: state.next_sequence() };
        self.mark_evictable(state, rank);
    }

    fn mark_evictable(&self, mut state: MutexGuard<'_, TableState>, rank: EvictionRank) {
        if let Some(connection) = state.connections.get_mut(&self.id) {
            let before = std::mem::replace(&mut connection.rank, rank);
            state.eviction_order.remove(&(before, self.id));
            state.eviction_order.insert((rank, self.id));
            drop(state);
            self.table.freed.notify_one();
        }
    }

    /// Returns when the connection has been evicted.
    pub(super) async fn evicted(&self) {
        self.evict.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.table.state().remove(self.id);
        self.table.freed.notify_one();
    }
}

/// What counts as one peer: an IPv4 address, or an IPv6 /64 network, because one customer is given
/// at least that.
fn peer_network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(connections_max: usize, connections_per_peer_max: usize) -> Arc<ConnectionTable> {
        let proxies = vec!["10.0.0.1".parse().unwrap()];
        ConnectionTable::new(ConnectionLimits {
            connections_max,
            connections_per_peer_max,
            proxies,
        })
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn is_evicted(slot: &ConnectionSlot) -> bool {
        let soon = std::time::Duration::from_millis(1);
        tokio::time::timeout(soon, slot.evicted()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_is_evicted_and_a_busy_one_never() {
        let table = table(3, 3);
        let here = peer("192.0.2.1");
        let [busy, resting, idle] = [(); 3].map(|()| table.acquire(here).unwrap());
        busy.mark_busy();
        resting.mark_busy();
        resting.mark_idle();
        // Younger than `resting`, but it has never sent a request.
        let second = table.acquire(here).unwrap();
        assert!(is_evicted(&idle).await && !is_evicted(&resting).await && !is_evicted(&busy).await);
        second.mark_busy();
        let third = table.acquire(here).unwrap();
        assert!(is_evicted(&resting).await);
        third.mark_busy();
        assert_eq!(table.acquire(peer("192.0.2.9")).unwrap_err(), SlotUnavailable::AllBusy);
        // An evicted connection frees no second slot, but is registered again if its request has
        // arrived.
        assert!(!idle.is_registered());
        idle.mark_busy();
        assert!(idle.is_registered());
        drop((idle, resting));
        assert_eq!(table.acquire(peer("192.0.2.9")).unwrap_err(), SlotUnavailable::AllBusy);
        busy.mark_idle();
        table.freed().await;
        assert!(table.acquire(here).is_ok() && is_evicted(&busy).await);
        assert!(!is_evicted(&second).await && !is_evicted(&third).await);
    }

    #[tokio::test]
    async fn a_response_that_nobody_reads_is_evicted_until_it_moves_again() {
        let table = table(3, 3);
        let here = peer("192.0.2.1");
        let [idle, stalled, resumed] = [(); 3].map(|()| table.acquire(here).unwrap());
        for slot in [&idle, &stalled, &resumed] {
            slot.mark_busy();
        }
        idle.mark_idle();
        stalled.mark_stalled();
        resumed.mark_stalled();
        resumed.mark_resumed();
        let fourth = table.acquire(here).unwrap();
        assert!(is_evicted(&stalled).await && !is_evicted(&idle).await);
        stalled.mark_resumed();
        assert!(!stalled.is_registered(), "it was evicted before it moved");
        fourth.mark_busy();
        let fifth = table.acquire(here).unwrap();
        fifth.mark_busy();
        assert!(is_evicted(&idle).await && !is_evicted(&resumed).await);
        assert_eq!(table.acquire(here).unwrap_err(), SlotUnavailable::PeerBusy);
    }

    #[tokio::test]
    async fn a_peer_has_a_limit_and_a_proxy_has_none() {
        let table = table(8, 2);
        let greedy = [(); 2].map(|()| table.acquire(peer("192.0.2.1")).unwrap());
        let other = table.acquire(peer("192.0.2.2")).unwrap();
        // The same peer, as an IPv4-mapped IPv6 address.
        let mapped = table.acquire(peer("::ffff:192.0.2.1")).unwrap();
        assert!(is_evicted(&greedy[0]).await && !is_evicted(&other).await);
        greedy[1].mark_busy();
        mapped.mark_busy();
        assert_eq!(table.acquire(peer("192.0.2.1")).unwrap_err(), SlotUnavailable::PeerBusy);
        drop(mapped);
        assert!(table.acquire(peer("192.0.2.1")).is_ok());
        let one = table.acquire(peer("2001:db8:1:2::1")).unwrap();
        let two = table.acquire(peer("2001:db8:1:2:ffff::1")).unwrap();
        let three = table.acquire(peer("2001:db8:1:2::3")).unwrap();
        assert!(is_evicted(&one).await && !is_evicted(&two).await && !is_evicted(&three).await);
        let proxy = [(); 5].map(|()| table.acquire(peer("10.0.0.1")).unwrap());
        assert!(
            !is_evicted(&proxy[0]).await && is_evicted(&other).await,
            "the table itself is full"
        );
    }
}
