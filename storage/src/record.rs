//! The on-disk form of a key's state.
//!
//! Inside the envelope, integers big-endian, the content of a register (kind 1) is
//!
//! ```text
//! 0..8     the tag's clock reading
//! 8..16    the tag's actor
//! 16       flags: bit 0, a tombstone; bit 1, the value expires; the others are zero
//! 17..25   only with bit 1: the first clock reading at which it is absent
//! ..       the value; nothing for a tombstone
//! ```
//!
//! and of siblings (kind 2)
//!
//! ```text
//! 0..4     how many actors the version vector has; for each, by actor:
//!            actor (8 bytes), the greatest clock reading seen of it (8 bytes)
//! ..+4     how many siblings; for each, by dot:
//!            length of what follows (4 bytes), then as a register
//! ```
//!
//! and of a `cas` key (kind 3)
//!
//! ```text
//! 0..16    the ballot promised: clock reading, actor
//! 16       flags: bit 0, what follows is a copy that has no vote; the others are zero
//! 17..     nothing if nothing was accepted, else: the ballot accepted (16 bytes), the write whose
//!          content was replaced (16 bytes), then as a register
//! ```
//!
//! What an acceptor has promised is its own affair: digests are over what follows the flags.

mod cursor;

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::{Actor, Hlc, Tag};
use xxhash_rust::xxh3::Xxh3;

use self::cursor::Cursor;
use crate::{
    Accepted, Acceptor, Content, RecordError, Register, Sibling, Siblings, State, VersionVector,
    envelope::{self, HEADER_BYTES},
};

const KIND_REGISTER: u8 = 1;
const KIND_SIBLINGS: u8 = 2;
const KIND_CAS: u8 = 3;

const FLAG_TOMBSTONE: u8 = 1;
const FLAG_EXPIRES: u8 = 2;
/// Of a `cas` key.
const FLAG_COPY: u8 = 1;

/// Bytes of a write before its value, an expiry included.
const WRITE_HEAD_BYTES_MAX: usize = 25;
/// Bytes of a `cas` key before what it has accepted.
const PROMISE_BYTES: usize = 17;
/// Bytes of what was accepted before the write.
const PROPOSAL_BYTES: usize = 32;

/// The record of `state`, to be stored under the storage key `key`.
pub fn encode(key: &[u8], state: &State) -> Bytes {
    let (kind, capacity) = match state {
        State::Register(_) => (KIND_REGISTER, WRITE_HEAD_BYTES_MAX),
        State::Siblings(siblings) => {
            let framing =
                16 * siblings.vector().len() + (WRITE_HEAD_BYTES_MAX + 4) * siblings.siblings().len();
            (KIND_SIBLINGS, 8 + framing)
        }
        State::Cas(_) => (KIND_CAS, PROMISE_BYTES + PROPOSAL_BYTES + WRITE_HEAD_BYTES_MAX),
    };
    envelope::seal(key, kind, capacity + state.bytes_len(), |bytes: &mut BytesMut| put_state(bytes, state))
}

/// The state in the record found under the storage key `key`. Its values share the memory of `bytes`.
///
/// # Errors
///
/// Says what is wrong with the bytes. No input panics.
pub fn decode(key: &[u8], bytes: Bytes) -> Result<State, RecordError> {
    let (kind, _) = envelope::open(key, &bytes)?;
    let mut content = Cursor::new(bytes.slice(HEADER_BYTES..), HEADER_BYTES);
    match kind {
        KIND_REGISTER => {
            let (tag, content) = parse_write(content)?;
            Ok(State::Register(Register { tag, content }))
        }
        KIND_SIBLINGS => {
            let vector = parse_vector(&mut content)?;
            let count = content.take_u32()?;
            let mut siblings = Vec::new();
            for _ in 0..count {
                let bytes = content.take_u32()? as usize;
                let (dot, content) = parse_write(content.take(bytes)?)?;
                siblings.push(Sibling { dot, content });
            }
            content.finish()?;
            let siblings = Siblings::try_from((vector, siblings));
            Ok(State::Siblings(siblings.map_err(|why| RecordError::Malformed(why.to_string()))?))
        }
        KIND_CAS => parse_acceptor(content).map(State::Cas),
        kind => Err(RecordError::UnknownKind(kind)),
    }
}

/// See [`State::digest`]: the kind and the content as they stand on disk, without the place.
pub(crate) fn digest(state: &State) -> u128 {
    let mut hasher = Xxh3::new();
    match state {
        State::Register(register) => {
            hasher.update(&[KIND_REGISTER]);
            let mut head = BytesMut::with_capacity(WRITE_HEAD_BYTES_MAX);
            put_write_head(&mut head, register.tag, &register.content);
            hasher.update(&head);
            hasher.update(register.content.value().map_or(&[], |value| value));
        }
        State::Siblings(_) => {
            let mut content = BytesMut::new();
            put_state(&mut content, state);
            hasher.update(&[KIND_SIBLINGS]);
            hasher.update(&content);
        }
        State::Cas(acceptor) => {
            hasher.update(&[KIND_CAS]);
            if let Some(accepted) = acceptor.accepted() {
                let mut head = BytesMut::with_capacity(PROPOSAL_BYTES + WRITE_HEAD_BYTES_MAX);
                put_proposal_head(&mut head, accepted);
                hasher.update(&head);
                hasher.update(accepted.content.value().map_or(&[], |value| value));
            }
        }
    }
    hasher.digest128()
}

/// What of a record's content tells one state from another: all of it but an acceptor's promise. Nothing, if it holds
/// nothing but that.
pub(crate) fn compared(kind: u8, content: &[u8]) -> &[u8] {
    if kind == KIND_CAS { content.get(PROMISE_BYTES..).unwrap_or(&[]) } else { content }
}

fn put_state(bytes: &mut BytesMut, state: &State) {
    match state {
        State::Register(register) => put_write(bytes, register.tag, &register.content),
        State::Siblings(siblings) => {
            bytes.put_u32(siblings.vector().len() as u32);
            for dot in siblings.vector().entries() {
                bytes.put_u64(dot.actor.0);
                bytes.put_u64(dot.hlc.0);
            }
            bytes.put_u32(siblings.siblings().len() as u32);
            for sibling in siblings.siblings() {
                let start = bytes.len();
                bytes.put_u32(0);
                put_write(bytes, sibling.dot, &sibling.content);
                let length = (bytes.len() - start - 4) as u32;
                bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        State::Cas(acceptor) => {
            put_tag(bytes, acceptor.promised());
            bytes.put_u8(if acceptor.is_copy() { FLAG_COPY } else { 0 });
            if let Some(accepted) = acceptor.accepted() {
                put_proposal_head(bytes, accepted);
                bytes.put_slice(accepted.content.value().map_or(&[], |value| value));
            }
        }
    }
}

fn put_proposal_head(bytes: &mut BytesMut, accepted: &Accepted) {
    put_tag(bytes, accepted.ballot);
    put_tag(bytes, accepted.replaced);
    put_write_head(bytes, accepted.write, &accepted.content);
}

fn put_write(bytes: &mut BytesMut, tag: Tag, content: &Content) {
    put_write_head(bytes, tag, content);
    bytes.put_slice(content.value().map_or(&[], |value| value));
}

fn put_tag(bytes: &mut BytesMut, tag: Tag) {
    bytes.put_u64(tag.hlc.0);
    bytes.put_u64(tag.actor.0);
}

fn put_write_head(bytes: &mut BytesMut, tag: Tag, content: &Content) {
    put_tag(bytes, tag);
    match content {
        Content::Value(_) => bytes.put_u8(0),
        Content::Tombstone => bytes.put_u8(FLAG_TOMBSTONE),
        Content::Expiring { expires, .. } => {
            bytes.put_u8(FLAG_EXPIRES);
            bytes.put_u64(expires.0);
        }
    }
}

fn parse_acceptor(mut bytes: Cursor) -> Result<Acceptor, RecordError> {
    let promised = parse_tag(&mut bytes)?;
    let copied = match bytes.take_u8()? {
        0 => false,
        FLAG_COPY => true,
        flags => return Err(RecordError::Malformed(format!("unknown flags {flags:#04x}"))),
    };
    let mut accepted = None;
    if !bytes.is_empty() {
        let (ballot, replaced) = (parse_tag(&mut bytes)?, parse_tag(&mut bytes)?);
        let (write, content) = parse_write(bytes)?;
        accepted = Some(Accepted { ballot, write, replaced, content });
    }
    Acceptor::try_from((promised, accepted, copied)).map_err(|why| RecordError::Malformed(why.to_string()))
}

fn parse_tag(bytes: &mut Cursor) -> Result<Tag, RecordError> {
    let (hlc, actor) = (bytes.take_u64()?, bytes.take_u64()?);
    Ok(Tag { hlc: Hlc(hlc), actor: Actor(actor) })
}

/// One write, which is all of `bytes`.
fn parse_write(mut bytes: Cursor) -> Result<(Tag, Content), RecordError> {
    let tag = parse_tag(&mut bytes)?;
    let content = match bytes.take_u8()? {
        0 => Content::Value(bytes.rest()),
        FLAG_EXPIRES => Content::Expiring { expires: Hlc(bytes.take_u64()?), value: bytes.rest() },
        FLAG_TOMBSTONE if bytes.is_empty() => Content::Tombstone,
        FLAG_TOMBSTONE => return Err(RecordError::Malformed("a tombstone with a value".into())),
        flags => return Err(RecordError::Malformed(format!("unknown flags {flags:#04x}"))),
    };
    Ok((tag, content))
}

fn parse_vector(bytes: &mut Cursor) -> Result<VersionVector, RecordError> {
    let count = bytes.take_u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let (actor, hlc) = (bytes.take_u64()?, bytes.take_u64()?);
        entries.push((Actor(actor), Hlc(hlc)));
    }
    VersionVector::try_from(entries).map_err(|why| RecordError::Malformed(why.to_string()))
}

#[cfg(test)]
mod tests;
