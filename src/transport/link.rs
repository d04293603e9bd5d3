//! How the connections to peers do.

use std::{cell::RefCell, collections::BTreeMap};

use quinn::ConnectionStats;
use quorate_ring::{Duration, NodeId};

/// How the connection to a peer does, and what all of the process's connections to it have done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// The peer.
    pub(crate) peer: NodeId,
    /// The round trip on the open connection, smoothed.
    pub(crate) round_trip: Duration,
    /// Bytes that wait for the peer to read them.
    pub(crate) waiting_bytes: usize,
    /// On this connection and on those before it.
    pub(crate) packets: Packets,
}

/// QUIC packets on the way to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packets {
    /// That were sent.
    pub(crate) sent: u64,
    /// That were taken for lost, and their contents sent again.
    pub(crate) lost: u64,
    /// How often losses slowed the sender down.
    pub(crate) congestion_events: u64,
}

/// What connections that are closed have done.
#[derive(Debug, Default)]
pub(super) struct Closed(RefCell<BTreeMap<NodeId, Packets>>);

impl Packets {
    fn of(stats: &ConnectionStats) -> Self {
        let path = &stats.path;
        Self { sent: path.sent_packets, lost: path.lost_packets, congestion_events: path.congestion_events }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            congestion_events: self.congestion_events + other.congestion_events,
        }
    }
}

impl Closed {
    /// A connection to `peer` is of no use any more.
    pub(super) fn add(&self, peer: NodeId, stats: &ConnectionStats) {
        let mut closed = self.0.borrow_mut();
        let before = closed.entry(peer).or_default();
        *before = before.plus(Packets::of(stats));
    }

    /// How an open connection does, with what those before it have done.
    pub(super) fn link(&self, peer: NodeId, stats: &ConnectionStats, waiting_bytes: usize) -> Link {
        let before = self.0.borrow().get(&peer).copied().unwrap_or_default();
        let packets = before.plus(Packets::of(stats));
        Link { peer, round_trip: stats.path.rtt, waiting_bytes, packets }
    }
}
