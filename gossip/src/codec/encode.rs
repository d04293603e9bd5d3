//! From packets to bytes.

use quorate_ring::NodeId;

use super::{FORMAT_VERSION, LEAVING, kind, tag};
use crate::{
    entry::Entry,
    life::{Claim, MemberState},
    message::{EntrySet, Head, Message, News, Packet},
};

/// The bytes of a packet. Whoever builds packets keeps to the bounds on their parts.
pub fn encode(packet: &Packet) -> Vec<u8> {
    let mut out = put_packet_without_news(packet);
    packet.news.iter().for_each(|news| put_news(&mut out, news));
    out
}

/// The bytes of a packet up to its news, which the caller may append with [`put_news`].
pub(crate) fn put_packet_without_news(packet: &Packet) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let leaving = if packet.is_leaving { LEAVING } else { 0 };
    out.extend([FORMAT_VERSION, kind_of(&packet.message) | leaving]);
    put_number(&mut out, packet.life.0);
    put_number(&mut out, packet.refutation.into());
    put_message(&mut out, &packet.message);
    out
}

fn kind_of(message: &Message) -> u8 {
    match message {
        Message::Ping { .. } => kind::PING,
        Message::Ack { .. } => kind::ACK,
        Message::PingRequest { .. } => kind::PING_REQUEST,
        Message::Relayed { .. } => kind::RELAYED,
        Message::Nack { .. } => kind::NACK,
        Message::News => kind::NEWS,
        Message::Digest { .. } => kind::DIGEST,
        Message::Buckets { .. } => kind::BUCKETS,
        Message::Heads { .. } => kind::HEADS,
        Message::Delta { .. } => kind::DELTA,
    }
}

fn put_message(out: &mut Vec<u8>, message: &Message) {
    match message {
        Message::Ping { sequence } | Message::Ack { sequence } | Message::Nack { sequence } => {
            put_number(out, (*sequence).into());
        }
        Message::PingRequest { sequence, target } => {
            put_number(out, (*sequence).into());
            put_node(out, *target);
        }
        Message::Relayed { sequence, life, refutation } => {
            put_number(out, (*sequence).into());
            put_number(out, life.0);
            put_number(out, (*refutation).into());
        }
        Message::News => {}
        Message::Digest { root } => out.extend(root.to_le_bytes()),
        Message::Buckets { hashes } => hashes.iter().for_each(|hash| out.extend(hash.to_le_bytes())),
        Message::Heads { buckets, heads } => {
            out.extend(buckets.to_le_bytes());
            put_heads(out, heads);
        }
        Message::Delta { sets, wants } => {
            put_number(out, sets.len() as u64);
            sets.iter().for_each(|set| put_set(out, set));
            put_heads(out, wants);
        }
    }
}

/// Appends a piece of news.
pub(crate) fn put_news(out: &mut Vec<u8>, news: &News) {
    match news {
        News::Claim { claim, accusers } => {
            put_claim(out, claim);
            if claim.state == MemberState::Suspect {
                out.push(accusers.len() as u8);
                accusers.iter().for_each(|accuser| put_node(out, *accuser));
            }
        }
        News::Entry(entry) => {
            out.push(tag::ENTRY);
            put_node(out, entry.key.node);
            put_number(out, entry.version.life.0);
            put_entry(out, entry);
        }
    }
}

fn put_claim(out: &mut Vec<u8>, claim: &Claim) {
    out.push(match claim.state {
        MemberState::Alive => tag::ALIVE,
        MemberState::Suspect => tag::SUSPECT,
        MemberState::Dead => tag::DEAD,
        MemberState::Left => tag::LEFT,
    });
    put_node(out, claim.node);
    put_number(out, claim.life.0);
    put_number(out, claim.refutation.into());
}

fn put_heads(out: &mut Vec<u8>, heads: &[Head]) {
    put_number(out, heads.len() as u64);
    for head in heads {
        put_claim(out, &head.claim);
        put_number(out, head.facts_life.0);
        put_number(out, head.watermark);
    }
}

fn put_set(out: &mut Vec<u8>, set: &EntrySet) {
    put_node(out, set.node);
    put_number(out, set.life.0);
    put_number(out, set.base);
    put_number(out, set.up_to);
    put_number(out, set.entries.len() as u64);
    set.entries.iter().for_each(|entry| put_entry(out, entry));
}

/// What is not said before: the node and the life of several entries stand in front of them.
fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_number(out, entry.version.number);
    out.push(entry.key.subject.len() as u8);
    out.extend(entry.key.subject.as_bytes());
    put_number(out, entry.value.len() as u64);
    out.extend(entry.value.iter());
}

fn put_node(out: &mut Vec<u8>, node: NodeId) {
    put_number(out, node.0.into());
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
