//! Frames as they travel.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use quorate::{
    node::Effect,
    ring::Instant,
    wire::{self, Frame, Message, PeerMessage, RequestId},
};

use super::World;

/// States and hints of which a copy was sent, by sender and receiver.
///
/// Coordinators send each once, and connections deliver it once: a refusal says that nothing was taken (rule Q10). A refusal
/// of one copy, when the other one is taken, says it of something that no connection does. So it is lost, and states sent
/// twice still show that storing one again changes nothing.
#[derive(Debug, Default)]
pub(super) struct Copies(BTreeSet<(usize, usize, RequestId)>);

impl World {
    /// Sends a frame of a node to another one.
    pub(super) fn send(&mut self, from: usize, to: usize, frame: &Frame<PeerMessage>, now: Instant) {
        let id = frame.header.id;
        if matches!(frame.message, PeerMessage::Refused(_)) && self.copies.0.contains(&(to, from, id)) {
            return;
        }
        let bytes = encoded(frame, now);
        self.traffic.frame(frame, bytes.len());
        // A forwarded request that came twice would be carried out twice.
        let once = matches!(frame.message, PeerMessage::Forward(_));
        let doubled = self.network.send(self.now, (from, to), bytes, once, &mut self.agenda);
        if doubled && matches!(frame.message, PeerMessage::Store(_) | PeerMessage::KeepHint(_)) {
            self.copies.0.insert((from, to, id));
        }
    }
}

/// A frame as it travels.
pub(crate) fn encoded<M: Message>(frame: &Frame<M>, now: Instant) -> Bytes {
    let mut bytes = BytesMut::with_capacity(160);
    wire::encode(frame, now, &mut bytes);
    bytes.freeze()
}

/// A frame that has travelled.
pub(crate) fn decoded<M: Message>(bytes: Bytes, now: Instant) -> Result<Frame<M>, String> {
    let mut buffer = BytesMut::from(bytes);
    let whole = wire::split(&mut buffer, FRAME_BYTES_MAX).map_err(|error| error.to_string())?;
    let whole = whole.filter(|_| buffer.is_empty()).ok_or("it is not one whole frame")?;
    wire::decode(&whole, now).map_err(|error| error.to_string())
}

const FRAME_BYTES_MAX: usize = wire::frame_bytes_max(wire::VALUE_BYTES_MAX);

/// Effects keep their order among those of one destination; destinations may go in any order.
pub(super) fn destination(effect: &Effect) -> u64 {
    match effect {
        Effect::ToPeer { peer, .. } => 2 + u64::from(peer.0),
        Effect::Disk(_) => 1,
        _ => 0,
    }
}
