//! One request: what is asked, and what came back.

use bytes::{BufMut, Bytes, BytesMut};
use quorate::{
    ring::{Consistency, TableKind},
    wire::{ClientMessage, CreateTable, Delete, Get, Outcome, Put},
};

use crate::{invariants::Oracle, options::Options, random::Random};

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) what: What,
    /// On the checkers' clock.
    pub(crate) invoked: u64,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// `last` when nobody writes any more.
    Get {
        key: usize,
        level: Consistency,
        last: bool,
    },
    Put {
        key: usize,
        level: Consistency,
        value: u64,
        bytes: usize,
    },
    Delete {
        key: usize,
        level: Consistency,
    },
    CreateTable {
        name: String,
    },
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer(Box<ClientMessage>),
    /// The node was down: it has never seen the request.
    Refused,
    /// Nothing came back.
    None,
}

impl What {
    /// Draws a request of the usual kind.
    pub(crate) fn draw(random: &mut Random, options: &Options, oracle: &mut Oracle) -> Self {
        let key = random.index(oracle.keys.len());
        let level = match () {
            () if oracle.keys[key].strict => match random.chance(options.alls) {
                true => Consistency::All,
                false => Consistency::Quorum,
            },
            () if random.chance(200) => *random.pick(OTHER_LEVELS),
            () => Consistency::One,
        };
        if random.chance(options.reads) {
            Self::Get { key, level, last: false }
        } else if random.chance(options.deletes) {
            Self::Delete { key, level }
        } else {
            let bytes = if random.chance(50) { random.range(8, 2_000) as usize } else { 8 };
            Self::Put { key, level, value: oracle.fresh_value(), bytes }
        }
    }

    /// Draws the creation of a table.
    pub(crate) fn draw_table(random: &mut Random) -> Self {
        Self::CreateTable { name: if random.chance(700) { "raced" } else { "other" }.to_owned() }
    }

    /// Asks every replica that can answer.
    pub(crate) fn last_read(oracle: &Oracle, key: usize) -> Self {
        let level = if oracle.keys[key].is_damaged() { Consistency::Quorum } else { Consistency::All };
        Self::Get { key, level, last: true }
    }

    /// The same as a message.
    pub(crate) fn message(&self, oracle: &Oracle) -> ClientMessage {
        let row = |key: &usize| (oracle.keys[*key].row.table, oracle.keys[*key].row.key.clone());
        match self {
            Self::Get { key, level, .. } => {
                let (table, key) = row(key);
                Get::new(table, key, *level).into()
            }
            Self::Put { key, level, value, bytes } => {
                let (table, key) = row(key);
                Put::new(table, key, to_bytes(*value, *bytes), *level).into()
            }
            Self::Delete { key, level } => {
                let (table, key) = row(key);
                Delete::new(table, key, *level).into()
            }
            Self::CreateTable { name } => CreateTable::new(name.clone(), TableKind::Register).into(),
        }
    }
}

impl Reply {
    /// The node's answer, if there was one.
    pub(crate) fn answer(&self) -> Option<&ClientMessage> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Refused | Self::None => None,
        }
    }

    /// What is known of a write's effect.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self, self.answer()) {
            (_, Some(ClientMessage::RequestError(error))) => error.outcome,
            (_, Some(_)) => Outcome::Applied,
            (Self::Refused, None) => Outcome::NotApplied,
            (_, None) => Outcome::Unknown,
        }
    }

    /// Whether what was asked for was not given.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self.answer(), None | Some(ClientMessage::RequestError(_)))
    }
}

const OTHER_LEVELS: &[Consistency] =
    &[Consistency::Two, Consistency::Three, Consistency::Quorum, Consistency::All, Consistency::Any];

/// A value, padded to a length.
fn to_bytes(value: u64, bytes: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(bytes);
    out.put_u64(value);
    out.resize(bytes.max(8), 0);
    out.freeze()
}

/// The value in its bytes.
pub(crate) fn from_bytes(bytes: &Bytes) -> Option<u64> {
    bytes.first_chunk().map(|value| u64::from_be_bytes(*value))
}
