//! What travels between processes: frames with a fixed header and a msgpack body.
//!
//! Encoding and decoding are pure. Decoding any bytes ends in a message or a [`FrameError`], never in a
//! panic, and allocates nothing before a length was checked. See `FORMAT.md` beside this file.

mod backup;
mod client;
mod cursor;
mod frame;
mod handshake;
mod healing;
#[cfg(feature = "server")]
mod map;
mod nodes;
mod outcome;
#[cfg(feature = "server")]
mod page;
#[cfg(feature = "server")]
mod peer;
#[cfg(feature = "server")]
mod repair;
mod scan;

pub use backup::{BackUp, BackupDescribed, BackupStage, BackupStatus, DescribeBackup};
pub use client::{
    AlterTable, ChangeName, ClientMessage, ClusterInfo, CompareAndSet, ComparedAndSet, Condition,
    CreateTable, Delete, DescribeCluster, DropTable, Get, Got, ListTables, Put, TableChanged, TableCreated,
    Tables, TruncateTable, VersionedValue, Written,
};
pub use cursor::{cursor_token, decode_cursor, encode_cursor};
pub use frame::{Frame, FrameError, Header, Message, OperationId, RequestId, decode, encode, split};
pub use handshake::{ClientHello, HandshakeMessage, HandshakeRefusal, PeerHello, PeerWelcome, Refusal};
pub use healing::{
    Agreed, CompareNow, DescribeHealing, HealingDescribed, Held, HeldVersion, HintsFor, ReadReplica,
    ReplicaRead, ScrubNow, Scrubbing,
};
#[cfg(feature = "server")]
pub use map::{
    MapAccept, MapAccepted, MapDecided, MapFetch, MapFetched, MapInstalled, MapOutbid, MapPrepare,
    MapPromised, Parent,
};
pub use nodes::{
    About, DescribeNodes, Drain, Draining, NodeStatus, NodesDescribed, Progress, Verdict, Vitals,
};
pub use outcome::{Failure, Outcome, Part, Receipt, ReplicaReport, RequestError};
#[cfg(feature = "server")]
pub use page::{FetchPage, PageFetched};
#[cfg(feature = "server")]
pub use peer::{
    Advance, Advanced, AfterLoss, Answer, AskStanding, Fetch, Fetched, Forward, Forwarded, Gossip,
    HeldAnswer, KeepHint, PeerMessage, PeerRefusal, Pull, PullScope, Pulled, PulledPage, Refused, RolledBack,
    Standing, Store, Stored, Want,
};
#[cfg(feature = "server")]
pub use repair::{Branch, Compare, CompareKeys, Compared, Comparison, KeysCompared};
pub use scan::{Scan, Scanned, ScannedRow};

/// The version of frames, header and bodies together. Peers and clients of another version are refused
/// in the handshake.
pub const PROTOCOL_VERSION: u16 = 2;

/// The longest key, in bytes: 64 KiB less what storage puts in front of it.
pub const KEY_BYTES_MAX: usize = 65_519;

/// The longest value by default, in bytes.
pub const VALUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The longest frame, in bytes, that any sound peer sends when values may have `value_bytes_max` bytes.
pub const fn frame_bytes_max(value_bytes_max: usize) -> usize {
    value_bytes_max + KEY_BYTES_MAX + 64 * 1024
}

/// The longest frame, in bytes, that any sound client sends: a compare-and-set carries two values.
pub const fn request_frame_bytes_max(value_bytes_max: usize) -> usize {
    frame_bytes_max(value_bytes_max).saturating_add(value_bytes_max)
}

/// The longest frame, in bytes, that carries every concurrent value of a key (rule V6). New values are refused long
/// before, but merges of replicas lose nothing, and what they have made must still travel.
pub const fn state_frame_bytes_max(value_bytes_max: usize) -> usize {
    frame_bytes_max(value_bytes_max).saturating_mul(64)
}

#[cfg(test)]
mod tests;
