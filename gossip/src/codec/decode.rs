//! From bytes to packets.

use std::sync::Arc;

use quorate_ring::NodeId;
use thiserror::Error;

use super::{FORMAT_VERSION, LEAVING, STREAM_BYTES_MAX, kind, reader::Reader, tag};
use crate::{
    entry::{self, ENTRIES_PER_NODE_MAX, Entry, EntryKey, VALUE_BYTES_MAX, Version},
    life::{Claim, Life, MemberState, REFUTATION_MAX},
    message::{ACCUSERS_MAX, BUCKETS, EntrySet, Head, Message, News, Packet},
};

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than any packet has.
    #[error("longer than {STREAM_BYTES_MAX} bytes")]
    Long,
    /// They end in the middle of something.
    #[error("cut short")]
    Short,
    /// Of another format version.
    #[error("format version {0}, not {FORMAT_VERSION}")]
    FormatVersion(u8),
    /// A kind that this version does not know.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// A number out of its bounds, or not in its shortest form.
    #[error("a number out of bounds")]
    Number,
    /// A list longer than allowed, or in the wrong order.
    #[error("a list out of bounds or out of order")]
    List,
    /// A subject or value that is too long, or a subject that is not UTF-8.
    #[error("a subject or value out of bounds")]
    Entry,
}

/// Reads a packet. The work and the memory are at most proportional to the length of `bytes`.
///
/// # Errors
/// Whatever the bytes are, at worst a [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Packet, DecodeError> {
    if bytes.len() > STREAM_BYTES_MAX {
        return Err(DecodeError::Long);
    }
    let mut reader = Reader::new(bytes);
    let version = reader.byte()?;
    if version != FORMAT_VERSION {
        return Err(DecodeError::FormatVersion(version));
    }
    let kind = reader.byte()?;
    let life = life(&mut reader)?;
    let refutation = reader.number_u32(REFUTATION_MAX)?;
    let message = message(&mut reader, kind & !LEAVING)?;
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push(news(&mut reader)?);
    }
    Ok(Packet { life, refutation, is_leaving: kind & LEAVING != 0, message, news: found })
}

fn message(reader: &mut Reader<'_>, kind: u8) -> Result<Message, DecodeError> {
    Ok(match kind {
        kind::PING => Message::Ping { sequence: sequence(reader)? },
        kind::ACK => Message::Ack { sequence: sequence(reader)? },
        kind::PING_REQUEST => Message::PingRequest { sequence: sequence(reader)?, target: node(reader)? },
        kind::RELAYED => Message::Relayed {
            sequence: sequence(reader)?,
            life: life(reader)?,
            refutation: reader.number_u32(REFUTATION_MAX)?,
        },
        kind::NACK => Message::Nack { sequence: sequence(reader)? },
        kind::NEWS => Message::News,
        kind::DIGEST => Message::Digest { root: reader.word()? },
        kind::BUCKETS => {
            let mut hashes = Box::new([0; BUCKETS]);
            for hash in hashes.iter_mut() {
                *hash = reader.word()?;
            }
            Message::Buckets { hashes }
        }
        kind::HEADS => {
            let mut buckets = [0; 4];
            buckets.copy_from_slice(reader.bytes(4)?);
            Message::Heads { buckets: u32::from_le_bytes(buckets), heads: heads(reader)? }
        }
        kind::DELTA => Message::Delta { sets: list(reader, set, |set| set.node)?, wants: heads(reader)? },
        other => return Err(DecodeError::Kind(other)),
    })
}

fn news(reader: &mut Reader<'_>) -> Result<News, DecodeError> {
    let tag = reader.byte()?;
    if tag == tag::ENTRY {
        let (node, life) = (node(reader)?, life(reader)?);
        return Ok(News::Entry(entry(reader, node, life)?));
    }
    let claim = claim(reader, tag)?;
    let mut accusers = Vec::new();
    if claim.state == MemberState::Suspect {
        let count = usize::from(reader.byte()?);
        if count > ACCUSERS_MAX {
            return Err(DecodeError::List);
        }
        for _ in 0..count {
            accusers.push(node(reader)?);
        }
        if !accusers.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::List);
        }
    }
    Ok(News::Claim { claim, accusers })
}

fn claim(reader: &mut Reader<'_>, tag: u8) -> Result<Claim, DecodeError> {
    let state = match tag {
        tag::ALIVE => MemberState::Alive,
        tag::SUSPECT => MemberState::Suspect,
        tag::DEAD => MemberState::Dead,
        tag::LEFT => MemberState::Left,
        other => return Err(DecodeError::Kind(other)),
    };
    let (node, life) = (node(reader)?, life(reader)?);
    Ok(Claim { node, life, refutation: reader.number_u32(REFUTATION_MAX)?, state })
}

fn head(reader: &mut Reader<'_>) -> Result<Head, DecodeError> {
    let tag = reader.byte()?;
    let claim = claim(reader, tag)?;
    Ok(Head { claim, facts_life: life(reader)?, watermark: reader.number(u64::MAX)? })
}

fn set(reader: &mut Reader<'_>) -> Result<EntrySet, DecodeError> {
    let (node, life) = (node(reader)?, life(reader)?);
    let (base, up_to) = (reader.number(u64::MAX)?, reader.number(u64::MAX)?);
    let count = reader.number(ENTRIES_PER_NODE_MAX as u64)?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        entries.push(entry(reader, node, life)?);
    }
    if base > up_to || !entries.is_sorted_by(|a, b| a.version < b.version) {
        return Err(DecodeError::List);
    }
    Ok(EntrySet { node, life, base, up_to, entries })
}

fn entry(reader: &mut Reader<'_>, node: NodeId, life: Life) -> Result<Entry, DecodeError> {
    let number = reader.number(u64::MAX)?;
    let length = usize::from(reader.byte()?);
    let subject = std::str::from_utf8(reader.bytes(length)?).map_err(|_| DecodeError::Entry)?;
    let length = reader.number(VALUE_BYTES_MAX as u64)? as usize;
    let value = reader.bytes(length)?;
    if number == 0 || entry::check(subject, value).is_err() {
        return Err(DecodeError::Entry);
    }
    let key = EntryKey { node, subject: Arc::from(subject) };
    Ok(Entry { key, version: Version { life, number }, value: Arc::from(value) })
}

fn heads(reader: &mut Reader<'_>) -> Result<Vec<Head>, DecodeError> {
    list(reader, head, |head| head.claim.node)
}

/// A count and as many items, by ascending node: what is said of many costs its receiver no more than one look at each.
fn list<T>(
    reader: &mut Reader<'_>,
    item: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    node: impl Fn(&T) -> NodeId,
) -> Result<Vec<T>, DecodeError> {
    // An item takes a byte at least, so a count above what is left is wrong.
    let count = reader.number(reader.left() as u64)?;
    let items: Vec<T> = (0..count).map(|_| item(reader)).collect::<Result<_, _>>()?;
    if !items.is_sorted_by(|a, b| node(a) < node(b)) {
        return Err(DecodeError::List);
    }
    Ok(items)
}

fn sequence(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    reader.number_u32(u32::MAX)
}

fn node(reader: &mut Reader<'_>) -> Result<NodeId, DecodeError> {
    reader.number_u32(u32::MAX).map(NodeId)
}

fn life(reader: &mut Reader<'_>) -> Result<Life, DecodeError> {
    reader.number(Life::MAX.0).map(Life)
}
