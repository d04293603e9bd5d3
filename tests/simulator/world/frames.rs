//! Frames as they travel.

use bytes::{Bytes, BytesMut};
use quorate::{
    node::Effect,
    ring::Instant,
    wire::{self, Frame, Message},
};

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
