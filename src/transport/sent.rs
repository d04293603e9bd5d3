//! Bytes that peers were sent, by what they were sent for.

use metrics::{Counter, counter};
use quorate_ring::NodeId;

use crate::{
    handoff::Handoff,
    repair::Repair,
    wire::{Frame, PeerMessage},
};

/// Counters of what one peer was sent: frames as they are encoded, before encryption and without what QUIC adds.
pub(crate) struct Sent {
    requests: Counter,
    handoff: Counter,
    repair: Counter,
    recovery: Counter,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sent")
    }
}

impl Sent {
    pub(super) fn to(peer: NodeId) -> Self {
        let of = |work| counter!("quorate_peer_sent_bytes_total", "peer" => peer.to_string(), "work" => work);
        Self {
            requests: of("requests"),
            handoff: of("handoff"),
            repair: of("repair"),
            recovery: of("recovery"),
        }
    }

    /// So many bytes are on their way. An answer counts for what was asked for.
    pub(super) fn count(&self, frame: &Frame<PeerMessage>, bytes: usize) {
        let id = frame.header.id;
        let counter = match frame.message {
            PeerMessage::Pull(_) | PeerMessage::Pulled(_) => &self.recovery,
            _ if Repair::is_own(id) => &self.repair,
            _ if Handoff::is_own(id) => &self.handoff,
            _ => &self.requests,
        };
        counter.increment(bytes as u64);
    }
}
