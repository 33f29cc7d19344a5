//! Which connections are open, and which gives way when there are too many.
//!
//! A connection whose request has arrived whole is in nobody's way until its answer has left: it
//! never gives way. All others stand in a line. First those that have never asked anything, the
//! oldest first; then those that rest after an answer, the longest rest first. So what costs an
//! attacker nothing, to connect and to say nothing, wins nothing; and an issuer that asks now and
//! then keeps its connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many connections one address serves at once.
const OPEN_MOST: usize = 1024;
/// How many of them may be of one peer: whatever it does, the other half is for others.
const OPEN_OF_A_PEER_MOST: usize = 512;

/// How many connections may be open, and of whom.
#[derive(Debug, Clone)]
pub struct Limits {
    pub open_most: usize,
    pub open_of_a_peer_most: usize,
    /// Whoever connects from here speaks for many: a proxy, which has limits of its own.
    pub proxies: Vec<IpAddr>,
}

impl Default for Limits {
    /// A proxy on the same machine is trusted: whoever runs there could do worse.
    fn default() -> Self {
        Self {
            open_most: OPEN_MOST,
            open_of_a_peer_most: OPEN_OF_A_PEER_MOST,
            proxies: vec![
                IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ],
        }
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    seats: BTreeMap<u64, Standing>,
    /// Those without a complete request, in the order in which they give way.
    line: BTreeSet<(Turn, u64)>,
    peers: BTreeMap<IpAddr, usize>,
    /// Counts what happens: a later moment is a greater number.
    moment: u64,
}

/// When a connection gives way: before those with a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    has_asked: bool,
    since: u64,
}

#[derive(Debug)]
struct Standing {
    turn: Turn,
    /// The peer that it counts for; none for a proxy.
    peer: Option<IpAddr>,
    cut: Arc<Notify>,
}

/// Why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Every open connection has a request that is being answered: one of them will end.
    AllBusy,
    /// So has every connection of this peer, which has as many as it may.
    PeerBusy,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a connection of `peer`. If there is none, one that has not asked gives way: one of
    /// the same peer if that has too many.
    pub(super) fn seat(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, NoPlace> {
        let peer = peer.to_canonical();
        let peer = (!self.limits.proxies.contains(&peer)).then(|| network_of(peer));
        let mut taken = self.taken();
        if let Some(peer) = peer {
            let open = taken.peers.get(&peer).copied().unwrap_or_default();
            if open >= self.limits.open_of_a_peer_most && !taken.give_way(Some(peer)) {
                return Err(NoPlace::PeerBusy);
            }
        }
        if taken.seats.len() >= self.limits.open_most && !taken.give_way(None) {
            return Err(NoPlace::AllBusy);
        }
        let id = taken.next_moment();
        let (turn, cut) = (Turn { has_asked: false, since: id }, Arc::new(Notify::new()));
        if let Some(peer) = peer {
            let open = taken.peers.entry(peer).or_default();
            *open = open.saturating_add(1);
        }
        taken.line.insert((turn, id));
        taken.seats.insert(id, Standing { turn, peer, cut: Arc::clone(&cut) });
        drop(taken);
        Ok(Seat { places: Arc::clone(self), id, cut })
    }

    /// Makes the first in line give way, whatever is free; whether there was one.
    pub(super) fn give_way(&self) -> bool {
        self.taken().give_way(None)
    }

    /// Waits until a place may have become free since the last time.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn next_moment(&mut self) -> u64 {
        self.moment = self.moment.saturating_add(1);
        self.moment
    }

    fn give_way(&mut self, peer: Option<IpAddr>) -> bool {
        let is_theirs = |id: &u64| {
            peer.is_none() || self.seats.get(id).is_some_and(|standing| standing.peer == peer)
        };
        let first = self.line.iter().map(|(_, id)| *id).find(|id| is_theirs(id));
        let Some(standing) = first.and_then(|id| self.remove(id)) else { return false };
        standing.cut.notify_one();
        true
    }

    fn remove(&mut self, id: u64) -> Option<Standing> {
        let standing = self.seats.remove(&id)?;
        self.line.remove(&(standing.turn, id));
        if let Some(peer) = standing.peer
            && let Some(open) = self.peers.get_mut(&peer)
        {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.peers.remove(&peer);
            }
        }
        Some(standing)
    }
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    places: Arc<Places>,
    id: u64,
    cut: Arc<Notify>,
}

impl Seat {
    /// Its request has arrived whole: it gives way to nobody until it has been answered. One that was
    /// told to go, but had asked by then without our having read it, comes back beside the table; as
    /// many as it has places can.
    pub(super) fn has_asked(&self) {
        let taken = &mut *self.places.taken();
        if let Some(standing) = taken.seats.get(&self.id) {
            taken.line.remove(&(standing.turn, self.id));
        } else if taken.seats.len() < self.places.limits.open_most.saturating_mul(2) {
            let turn = Turn { has_asked: true, since: self.id };
            let cut = Arc::clone(&self.cut);
            taken.seats.insert(self.id, Standing { turn, peer: None, cut });
        }
    }

    /// Whether it has a place.
    pub(super) fn is_kept(&self) -> bool {
        self.places.taken().seats.contains_key(&self.id)
    }

    /// Its answer has left: it rests, and may give way.
    pub(super) fn rests(&self) {
        let mut taken = self.places.taken();
        let turn = Turn { has_asked: true, since: taken.next_moment() };
        if let Some(standing) = taken.seats.get_mut(&self.id) {
            let before = std::mem::replace(&mut standing.turn, turn);
            taken.line.remove(&(before, self.id));
            taken.line.insert((turn, self.id));
            drop(taken);
            self.places.freed.notify_one();
        }
    }

    /// Returns when it has to give way.
    pub(super) async fn must_go(&self) {
        self.cut.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.taken().remove(self.id);
        self.places.freed.notify_one();
    }
}

/// What counts as one peer: an IPv4 address, or the IPv6 network that one customer is given.
fn network_of(peer: IpAddr) -> IpAddr {
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

    fn places(open_most: usize, open_of_a_peer_most: usize) -> Arc<Places> {
        let proxies = vec!["10.0.0.1".parse().unwrap()];
        Places::new(Limits { open_most, open_of_a_peer_most, proxies })
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether a seat has been told to go.
    async fn is_gone(seat: &Seat) -> bool {
        let soon = std::time::Duration::from_millis(1);
        tokio::time::timeout(soon, seat.must_go()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_that_asks_nothing_gives_way_and_what_is_asked_never() {
        let places = places(3, 3);
        let here = peer("192.0.2.1");
        let [asks, rests, idle] = [(); 3].map(|()| places.seat(here).unwrap());
        asks.has_asked();
        rests.has_asked();
        rests.rests();
        // It is younger than the one that rests, but has never asked.
        let second = places.seat(here).unwrap();
        assert!(is_gone(&idle).await && !is_gone(&rests).await && !is_gone(&asks).await);
        second.has_asked();
        let third = places.seat(here).unwrap();
        assert!(is_gone(&rests).await);
        third.has_asked();
        assert_eq!(places.seat(peer("192.0.2.9")).unwrap_err(), NoPlace::AllBusy);
        // One that was told to go frees nothing a second time, but is heard if it has asked by then.
        assert!(!idle.is_kept());
        idle.has_asked();
        assert!(idle.is_kept());
        drop((idle, rests));
        assert_eq!(places.seat(peer("192.0.2.9")).unwrap_err(), NoPlace::AllBusy);
        asks.rests();
        places.freed().await;
        assert!(places.seat(here).is_ok() && is_gone(&asks).await);
        assert!(!is_gone(&second).await && !is_gone(&third).await);
    }

    #[tokio::test]
    async fn a_peer_takes_its_own_part_and_a_proxy_as_much_as_there_is() {
        let places = places(8, 2);
        let greedy = [(); 2].map(|()| places.seat(peer("192.0.2.1")).unwrap());
        let other = places.seat(peer("192.0.2.2")).unwrap();
        // The same peer by another way of writing it.
        let mapped = places.seat(peer("::ffff:192.0.2.1")).unwrap();
        assert!(is_gone(&greedy[0]).await && !is_gone(&other).await);
        greedy[1].has_asked();
        mapped.has_asked();
        assert_eq!(places.seat(peer("192.0.2.1")).unwrap_err(), NoPlace::PeerBusy);
        drop(mapped);
        assert!(places.seat(peer("192.0.2.1")).is_ok());
        let one = places.seat(peer("2001:db8:1:2::1")).unwrap();
        let two = places.seat(peer("2001:db8:1:2:ffff::1")).unwrap();
        let three = places.seat(peer("2001:db8:1:2::3")).unwrap();
        assert!(is_gone(&one).await && !is_gone(&two).await && !is_gone(&three).await);
        let proxy = [(); 5].map(|()| places.seat(peer("10.0.0.1")).unwrap());
        assert!(!is_gone(&proxy[0]).await && is_gone(&other).await, "the table itself is full");
    }
}
