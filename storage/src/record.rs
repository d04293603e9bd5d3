//! The on-disk form of a key's state.
//!
//! Inside the envelope, the content of a register (kind 1) is
//!
//! ```text
//! 0..8     the tag's clock reading (big-endian)
//! 8..16    the tag's actor (big-endian)
//! 16       flags: bit 0, a tombstone; the others are zero
//! 17..     the value; nothing for a tombstone
//! ```
//!
//! Kinds 2 (`siblings`) and 3 (`cas`) are set aside.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_ring::{Actor, Hlc, Tag};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    Content, RecordError, Register, State,
    envelope::{self, HEADER_BYTES},
};

const KIND_REGISTER: u8 = 1;

/// Bytes before the value of a register.
const REGISTER_HEAD_BYTES: usize = 17;

const FLAG_TOMBSTONE: u8 = 1;

/// The record of `state`, to be stored under the storage key `key`.
pub fn encode(key: &[u8], state: &State) -> Bytes {
    match state {
        State::Register(register) => {
            let value = register.content.value().map_or(&[][..], |value| value);
            envelope::seal(key, KIND_REGISTER, REGISTER_HEAD_BYTES + value.len(), |bytes: &mut BytesMut| {
                bytes.put_slice(&register_head(register));
                bytes.put_slice(value);
            })
        }
    }
}

/// The state in the record found under the storage key `key`. Its value shares the memory of `bytes`.
///
/// # Errors
///
/// Says what is wrong with the bytes. No input panics.
pub fn decode(key: &[u8], mut bytes: Bytes) -> Result<State, RecordError> {
    let (kind, content) = envelope::open(key, &bytes)?;
    match kind {
        KIND_REGISTER => {
            let (tag, tombstone) = parse_register_head(content)?;
            let content = if tombstone {
                Content::Tombstone
            } else {
                bytes.advance(HEADER_BYTES + REGISTER_HEAD_BYTES);
                Content::Value(bytes)
            };
            Ok(State::Register(Register { tag, content }))
        }
        kind => Err(RecordError::UnknownKind(kind)),
    }
}

/// The greatest tag in the record found under the storage key `key`, after the same checks as [`decode`].
///
/// # Errors
///
/// Those of [`decode`].
pub fn decode_tag(key: &[u8], bytes: &[u8]) -> Result<Tag, RecordError> {
    let (kind, content) = envelope::open(key, bytes)?;
    match kind {
        KIND_REGISTER => parse_register_head(content).map(|(tag, _)| tag),
        kind => Err(RecordError::UnknownKind(kind)),
    }
}

/// See [`State::digest`]: the kind and the content as they stand on disk, without the place.
pub(crate) fn digest(state: &State) -> u128 {
    let mut hasher = Xxh3::new();
    match state {
        State::Register(register) => {
            hasher.update(&[KIND_REGISTER]);
            hasher.update(&register_head(register));
            hasher.update(register.content.value().map_or(&[], |value| value));
        }
    }
    hasher.digest128()
}

fn register_head(register: &Register) -> [u8; REGISTER_HEAD_BYTES] {
    let mut head = [0; REGISTER_HEAD_BYTES];
    head[..8].copy_from_slice(&register.tag.hlc.0.to_be_bytes());
    head[8..16].copy_from_slice(&register.tag.actor.0.to_be_bytes());
    head[16] = match register.content {
        Content::Value(_) => 0,
        Content::Tombstone => FLAG_TOMBSTONE,
    };
    head
}

/// The tag, and whether the register is a tombstone.
fn parse_register_head(content: &[u8]) -> Result<(Tag, bool), RecordError> {
    let truncated = || RecordError::Truncated { len: HEADER_BYTES + content.len() };
    let (hlc, rest) = content.split_first_chunk::<8>().ok_or_else(truncated)?;
    let (actor, rest) = rest.split_first_chunk::<8>().ok_or_else(truncated)?;
    let (&flags, value) = rest.split_first().ok_or_else(truncated)?;
    let tag = Tag { hlc: Hlc(u64::from_be_bytes(*hlc)), actor: Actor(u64::from_be_bytes(*actor)) };
    match flags {
        0 => Ok((tag, false)),
        FLAG_TOMBSTONE if value.is_empty() => Ok((tag, true)),
        FLAG_TOMBSTONE => Err(RecordError::Malformed("a tombstone with a value".into())),
        flags => Err(RecordError::Malformed(format!("unknown flags {flags:#04x}"))),
    }
}

#[cfg(test)]
mod tests;
