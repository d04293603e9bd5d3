//! What nodes say to each other.

use quorate_ring::NodeId;

use crate::{
    entry::Entry,
    life::{Claim, Life, Refutation},
};

/// Members are compared in this many groups, by node id.
pub const BUCKETS: usize = 32;
/// The most accusers that a claim names.
pub const ACCUSERS_MAX: usize = 6;

/// A message with what every message says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender's life.
    pub life: Life,
    /// The sender's refutation in that life.
    pub refutation: Refutation,
    /// Whether the sender is saying goodbye.
    pub is_leaving: bool,
    /// What it is about.
    pub message: Message,
    /// Claims and entries that the receiver may not know: piggybacked news, or part of a [`Message::Delta`].
    pub news: Vec<News>,
}

/// The purpose of a packet. Each is complete in itself: no session is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Are you there? Answered by [`Message::Ack`].
    Ping {
        /// Comes back with the answer.
        sequence: u32,
    },
    /// I am here.
    Ack {
        /// Of the ping.
        sequence: u32,
    },
    /// Ping somebody for me. Answered by [`Message::Relayed`] or [`Message::Nack`].
    PingRequest {
        /// Comes back with the answer.
        sequence: u32,
        /// Whom.
        target: NodeId,
    },
    /// The target of your request answered me.
    Relayed {
        /// Of the request.
        sequence: u32,
        /// The target's life.
        life: Life,
        /// The target's refutation in that life.
        refutation: Refutation,
    },
    /// The target of your request did not answer me in time; I am well, so it is not you.
    Nack {
        /// Of the request.
        sequence: u32,
    },
    /// Nothing but the news.
    News,
    /// A digest of all that the sender holds. Answered by [`Message::Buckets`] if the receiver's differs.
    Digest {
        /// Over all members.
        root: u64,
    },
    /// The digest of each bucket. Answered by [`Message::Heads`] for those that differ.
    Buckets {
        /// By bucket.
        hashes: Box<[u64; BUCKETS]>,
    },
    /// What the sender holds of every member in some buckets. Answered by a [`Message::Delta`].
    Heads {
        /// The buckets, as bits.
        buckets: u32,
        /// Everything the sender holds in them, by ascending node.
        heads: Vec<Head>,
    },
    /// What the receiver lacks: claims in the packet's news, and entries. Answered by another if something is wanted.
    Delta {
        /// Entries by ascending node.
        sets: Vec<EntrySet>,
        /// Of whom the receiver has more than the sender, and what the sender holds of them; by ascending node.
        wants: Vec<Head>,
    },
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A claim about a member.
    Claim {
        /// The claim.
        claim: Claim,
        /// Who got no answer from it, for a claim of suspicion: at most [`ACCUSERS_MAX`], ascending.
        accusers: Vec<NodeId>,
    },
    /// A fact about a node.
    Entry(Entry),
}

/// How much somebody holds of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is claimed of it.
    pub claim: Claim,
    /// The life of the entries held.
    pub facts_life: Life,
    /// All entries of that life up to this number are held, or newer ones in their place.
    pub watermark: u64,
}

/// Entries of one node and one life. Who holds everything up to `base` and takes these holds everything up to `up_to`
/// (Scuttlebutt's rule that deltas leave no gap).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrySet {
    /// Whose.
    pub node: NodeId,
    /// Of which life.
    pub life: Life,
    /// Where the set starts.
    pub base: u64,
    /// Where it ends.
    pub up_to: u64,
    /// All of `node` and `life`, by ascending number.
    pub entries: Vec<Entry>,
}
