//! What nodes say to each other about the cluster map (rule M1). Maps travel as the membership writes them down:
//! whoever receives one checks it whole.

use bytes::Bytes;
use quorate_ring::{Actor, Epoch, Incarnation};
use serde::{Deserialize, Serialize};

use crate::membership::{map::MapName, synod::Ballot};

/// The decided map after which a slot comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// One that the receiver is known to have.
    Named(MapName),
    /// One that it may not have.
    Whole(Bytes),
}

/// Promise me this ballot in the slot after `parent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapPrepare {
    /// The map whose members decide.
    pub parent: Parent,
    /// The attempt.
    pub ballot: Ballot,
}

/// The answer to [`MapPrepare`]: promised, durably so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapPromised {
    /// The slot.
    pub slot: Epoch,
    /// The attempt.
    pub ballot: Ballot,
    /// The acceptor's life.
    pub incarnation: Incarnation,
    /// What it accepted under an earlier ballot. Not known to be decided.
    pub accepted: Option<(Ballot, Bytes)>,
}

/// Accept this map in the slot after `parent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapAccept {
    /// The map whose members decide.
    pub parent: Parent,
    /// The attempt.
    pub ballot: Ballot,
    /// The map that would follow.
    pub map: Bytes,
}

/// The answer to [`MapAccept`]: accepted, durably so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapAccepted {
    /// The slot.
    pub slot: Epoch,
    /// The attempt.
    pub ballot: Ballot,
    /// The acceptor's life.
    pub incarnation: Incarnation,
}

/// The answer to [`MapPrepare`] and [`MapAccept`]: a later ballot has my promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapOutbid {
    /// The slot.
    pub slot: Epoch,
    /// The attempt that is refused.
    pub ballot: Ballot,
    /// The acceptor's life.
    pub incarnation: Incarnation,
    /// The ballot that has its promise.
    pub promised: Ballot,
}

/// This map is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapDecided {
    /// The map.
    pub map: Bytes,
}

/// Which is the newest decided map that you know?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapFetch {
    /// The process that asks.
    pub asker: Actor,
    /// The epoch that it knows.
    pub known: Epoch,
    /// The asker's life.
    pub incarnation: Incarnation,
}

/// The answer to [`MapFetch`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapFetched {
    /// The process that asked.
    pub asker: Actor,
    /// The newest map; `None` if it is no newer than what the asker knows.
    pub map: Option<Bytes>,
    /// Its epoch.
    pub epoch: Epoch,
    /// The life of who answers.
    pub incarnation: Incarnation,
}

/// The answer to [`MapDecided`]: the map of this epoch is durable here, and requests are judged by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapInstalled {
    /// The epoch.
    pub epoch: Epoch,
    /// The life that has it.
    pub incarnation: Incarnation,
}
