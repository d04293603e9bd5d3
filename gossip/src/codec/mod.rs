//! Packets as bytes.
//!
//! Integers are LEB128 varints in their shortest form, hashes 8 bytes little-endian. A packet is
//! `version, kind | leaving << 7, life, refutation, body, news until the end`; `PROTOCOL.md` has the whole layout.
//! Exactly one byte string stands for a packet: whatever decodes encodes to the same bytes again.

mod decode;
mod encode;
mod reader;

pub use decode::{DecodeError, decode};
pub use encode::encode;
pub(crate) use encode::{put_news, put_packet_without_news};

#[cfg(test)]
pub(crate) mod tests;

/// The first byte of every packet.
pub const FORMAT_VERSION: u8 = 1;
/// The longest datagram. A QUIC packet of 1,200 bytes, the least that every path carries, has room for it.
pub const DATAGRAM_BYTES_MAX: usize = 1_100;
/// The longest stream.
pub const STREAM_BYTES_MAX: usize = 64 << 10;

const LEAVING: u8 = 0x80;

/// Kinds of packets.
mod kind {
    pub(super) const PING: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const PING_REQUEST: u8 = 3;
    pub(super) const RELAYED: u8 = 4;
    pub(super) const NACK: u8 = 5;
    pub(super) const NEWS: u8 = 6;
    pub(super) const DIGEST: u8 = 7;
    pub(super) const BUCKETS: u8 = 8;
    pub(super) const HEADS: u8 = 9;
    pub(super) const DELTA: u8 = 10;
}

/// Kinds of news; a claim's is its state.
mod tag {
    pub(super) const ALIVE: u8 = 0;
    pub(super) const SUSPECT: u8 = 1;
    pub(super) const DEAD: u8 = 2;
    pub(super) const LEFT: u8 = 3;
    pub(super) const ENTRY: u8 = 4;
}
