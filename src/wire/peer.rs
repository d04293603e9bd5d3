//! What nodes say to each other.

use bytes::Bytes;
use quorate_ring::{Epoch, Hlc, Incarnation, NodeId, TableId, Tag, TokenRange, WallMicros};
use quorate_storage::{Life, Row, State, Version};
use serde::{Deserialize, Serialize};

use super::{
    Compare, CompareKeys, Compared, Delete, FetchPage, KeysCompared, MapAccept, MapAccepted, MapDecided,
    MapFetch, MapFetched, MapInstalled, MapOutbid, MapPrepare, MapPromised, PageFetched, Put, RequestError,
    Written, frame::messages,
};

/// How much of a key's state a coordinator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// The whole state.
    State,
    /// Its version and digest (rules Q5, Q7).
    Digest,
    /// Its version alone (rule Q4, round 1).
    Version,
}

/// Ask a replica for a key's durable state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// How much of it.
    pub want: Want,
}

/// What a replica holds of a key; `None` where it holds nothing, not even a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The whole state.
    State(Option<State>),
    /// Version and digest.
    Digest(Option<(Version, u128)>),
    /// Version alone.
    Version(Option<Version>),
}

/// The answer to [`Fetch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// What was wanted.
    pub answer: Answer,
    /// What the replica's clock shows, durably so, if a value of the state expires: whether it has depends on
    /// the clocks of a quorum (rule D1).
    pub clock: Option<Hlc>,
}

/// Merge a state into what the replica holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// The whole state.
    pub state: State,
    /// Whether the answer is to carry what is then held, if that is more (rule Q5).
    pub report: bool,
    /// Whether new writes of the key should wait a little, because readers cannot agree (rule Q5).
    pub defer: bool,
    /// Whether the state is a new write, named by the sender's clock: refused if that is ahead (rule V2).
    pub fresh: bool,
}

/// The answer to [`Store`]: the state, or one that covers it, is durable (rule S1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The greatest tag that the replica now holds.
    pub held: Tag,
    /// What it now holds, if that is more than it was sent and the sender wanted to know.
    pub more: Option<State>,
}

/// A client's write, from a node that cannot mint for its key to one that can (rule V5). Forwarded once: the
/// receiver carries it out or refuses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forward {
    /// A value.
    Put(Put),
    /// A tombstone.
    Delete(Delete),
}

/// The answer to [`Forward`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// What the client is to hear.
    pub result: Result<Written, RequestError>,
}

/// Keep a state for a replica that is down, in its place (rule Q2: sloppy and ANY writes only). Answered by
/// [`Stored`] once the hint is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepHint {
    /// The replica.
    pub owner: NodeId,
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// The whole state.
    pub state: State,
}

/// Let the clock pass a reading, durably: an expiry that some replicas have passed and others not (rule D1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// The reading.
    pub to: Hlc,
}

/// The answer to [`Advance`]: the clock will never again show less, whatever becomes of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    /// The reading.
    pub to: Hlc,
}

/// The replica did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub refusal: PeerRefusal,
}

/// Why a replica refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PeerRefusal {
    /// It knows another cluster map (rules M3, M5).
    #[error("knows epoch {known}")]
    WrongEpoch {
        /// The one it knows.
        known: Epoch,
    },
    /// The key is not its own.
    #[error("is no replica of the key")]
    WrongOwner,
    /// There is no such table, as far as it knows: it may have been dropped or truncated.
    #[error("knows no such table")]
    UnknownTable,
    /// It does not know the newest cluster map and could not get it in time (rule M1).
    #[error("does not know the newest cluster map")]
    Behind,
    /// It lost its state and has not recovered it yet (rule R7).
    #[error("is recovering its state")]
    Recovering,
    /// The tag is further ahead than a working clock can be (rule V2).
    #[error("refuses a version from a clock that is ahead: at most {limit} is accepted")]
    ClockAhead {
        /// The last reading that it accepts.
        limit: Hlc,
    },
    /// Its key is of a `cas` table, and it has promised itself to a later round (rule C1): it took nothing.
    #[error("has promised itself to the later round {promised}")]
    Outbid {
        /// That round.
        promised: Tag,
        /// The round whose proposal it accepted last; none for no round.
        accepted: Option<Tag>,
    },
    /// It has no room for more work (rule Q11).
    #[error("is overloaded")]
    Overloaded,
    /// Its record is damaged, or two writes claim one tag (rules S3, V4).
    #[error("holds a damaged record: {0}")]
    Damaged(String),
    /// Its disk failed (rule S2).
    #[error("cannot use its disk: {0}")]
    Disk(String),
    /// Its disk is full: nothing was stored (rule S5).
    #[error("has no room on its disk")]
    Full,
}

/// Asks how far the receiver has come since it started, and what its wall clock shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskStanding {}

/// How far the sender has come since it started. The answer to [`AskStanding`], the first word on a connection, and
/// news for every peer when something has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it acts as a member: the cluster map names its life, and it has asked for the newest one (rule M1).
    pub serves: bool,
    /// The tables that it is recovering, and of each the ranges that it does not serve yet (rule R7).
    pub recovering: Vec<(TableId, Vec<TokenRange>)>,
    /// What its wall clock shows (rule V2).
    pub wall: WallMicros,
}

/// Asks another replica for its durable states of a table (rules R7, S3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The table.
    pub table: TableId,
    /// Which of its states.
    pub scope: PullScope,
}

/// What is pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullScope {
    /// One key.
    Key(Bytes),
    /// A page of ranges that both hold.
    Ranges {
        /// The ranges, in the order in which they are read.
        ranges: Vec<TokenRange>,
        /// The last place seen by the page before, of whichever table; `None` for the first page.
        after: Option<Row>,
    },
}

/// The answer to [`Pull`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// The page, or why there is none.
    pub result: Result<PulledPage, PeerRefusal>,
}

/// Durable states of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulledPage {
    /// Keys and their states.
    pub states: Vec<(Bytes, State)>,
    /// Keys whose records are damaged at the sender, which has no say about them (rule S3).
    pub damaged: Vec<Bytes>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<Row>,
    /// What the sender's clock shows, durably so (rule D1).
    pub clock: Hlc,
}

/// What gossip has to say that does not fit a datagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gossip {
    /// In gossip's own encoding.
    pub packet: Bytes,
}

/// The sender knows of a later process of the receiver than the one that it talks to: the receiver's directory
/// was replaced by an older copy of itself, and counts as lost (rule V3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// What the receiver said of itself.
    pub said: Life,
    /// What the sender remembers.
    pub known: Life,
}

/// The answer of a replica that knows members which have lost their state: what these acknowledged before is
/// not to be added to this answer (rule R7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterLoss {
    /// Other replicas of the key that lost their state, and the life of each that the sender knows.
    pub lives: Vec<(NodeId, Incarnation)>,
    /// The answer.
    pub answer: HeldAnswer,
}

/// An answer that says what is held durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldAnswer {
    /// To a read.
    Fetched(Fetched),
    /// To a write.
    Stored(Stored),
}

messages! {
    /// Requests between nodes and their answers.
    pub enum PeerMessage {
        /// Read at a replica.
        0x10 => Fetch,
        /// Write at a replica.
        0x11 => Store,
        /// Compare what records add up to.
        0x12 => Compare,
        /// Compare keys.
        0x13 => CompareKeys,
        /// Read a page at a replica.
        0x14 => FetchPage,
        /// A client's write for a replica to carry out.
        0x16 => Forward,
        /// Move the clock.
        0x17 => Advance,
        /// A hint to be kept.
        0x18 => KeepHint,
        /// Ask how far a node has come.
        0x19 => AskStanding,
        /// Recover states.
        0x1a => Pull,
        /// Give the directory up.
        0x1b => RolledBack,
        /// The next cluster map, first step.
        0x1c => MapPrepare,
        /// The next cluster map, second step.
        0x1d => MapAccept,
        /// Ask for the cluster map.
        0x1e => MapFetch,
        /// The cluster map has changed.
        0x1f => MapDecided,
        /// Answer to a read.
        0x20 => Fetched,
        /// Answer to a write.
        0x21 => Stored,
        /// What records add up to.
        0x22 => Compared,
        /// Answer to a forwarded write.
        0x23 => Forwarded,
        /// The clock has moved.
        0x24 => Advanced,
        /// How far a node has come.
        0x25 => Standing,
        /// States to recover.
        0x26 => Pulled,
        /// Answer of a replica that knows of losses.
        0x27 => AfterLoss,
        /// A ballot of the next cluster map has a promise.
        0x28 => MapPromised,
        /// The next cluster map is accepted.
        0x29 => MapAccepted,
        /// A ballot of the next cluster map came too late.
        0x2a => MapOutbid,
        /// The cluster map that was asked for.
        0x2b => MapFetched,
        /// The cluster map is in use.
        0x2c => MapInstalled,
        /// Gossip.
        0x2d => Gossip,
        /// Which keys differ.
        0x2e => KeysCompared,
        /// No.
        0x2f => Refused,
        /// Answer to a read of a page.
        0x30 => PageFetched,
    }
}
