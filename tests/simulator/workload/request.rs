//! One request: what is asked, and what came back.

use std::num::NonZeroU8;

use bytes::{BufMut, Bytes, BytesMut};
use quorate::{
    membership::map::ChangeId,
    ring::{Consistency, Epoch, TableKind},
    storage::Version,
    wire::{
        AlterTable, ChangeName, ClientMessage, CompareAndSet, Condition, CreateTable, Delete, DropTable,
        Failure, Get, Outcome, Put, RequestError, TruncateTable,
    },
};

use super::{Context, Memory, PageRequest};
use crate::{
    invariants::{Beside, Clocks, Oracle},
    options::{MS, Options},
    random::Random,
};

/// A request under way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) what: What,
    /// On the checkers' clock.
    pub(crate) invoked: u64,
    /// What clients had been told of the key when it was made.
    pub(crate) told: Option<Version>,
    /// What clocks showed when it was made.
    pub(crate) before: Clocks,
    /// Both for each key, if it concerns many.
    pub(crate) beside: Beside,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// `last` when nobody writes any more.
    Get {
        key: usize,
        level: Consistency,
        monotone: bool,
        last: bool,
    },
    Put {
        key: usize,
        level: Consistency,
        value: u64,
        bytes: usize,
        context: Option<Context>,
        ttl_ms: Option<u64>,
        sloppy: bool,
    },
    Delete {
        key: usize,
        level: Consistency,
        context: Option<Context>,
        sloppy: bool,
    },
    /// Writes `value`, none for a delete, if the key holds `condition`, none for nothing.
    Swap {
        key: usize,
        level: Consistency,
        condition: Option<u64>,
        value: Option<u64>,
    },
    Scan(PageRequest),
    Table {
        change: ChangeName,
        what: TableChange,
    },
}

/// What is to become of a table.
#[derive(Clone, Debug)]
pub(crate) enum TableChange {
    Create(String, TableKind),
    Alter(String, Consistency),
    Drop(String),
    Truncate(String),
}

impl TableChange {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Create(name, _) | Self::Alter(name, _) | Self::Drop(name) | Self::Truncate(name) => name,
        }
    }

    /// Whether what is in the table is gone afterwards.
    pub(crate) fn ends_a_table(&self) -> bool {
        matches!(self, Self::Drop(_) | Self::Truncate(_))
    }
}

/// A change as the map names it.
pub(crate) fn change_id(ChangeName { since, number }: ChangeName) -> ChangeId {
    ChangeId { since, number }
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
    pub(crate) fn draw(random: &mut Random, options: &Options, oracle: &mut Oracle, memory: &Memory) -> Self {
        let key = random.index(oracle.keys.len());
        let strict = oracle.keys[key].options.strict;
        let siblings = oracle.keys[key].has_siblings();
        let level = match () {
            () if strict => match random.chance(options.alls) {
                true => Consistency::All,
                false => Consistency::Quorum,
            },
            () if random.chance(200) => *random.pick(OTHER_LEVELS),
            () if siblings && random.chance(100) => Consistency::Count(*random.pick(COUNTS)),
            () => Consistency::One,
        };
        if random.chance(options.reads) {
            let monotone = siblings && random.chance(options.keys.monotone);
            return Self::Get { key, level, monotone, last: false };
        }
        let delete = random.chance(options.deletes);
        let cas = oracle.keys[key].options.kind == TableKind::Cas;
        if cas && random.chance(options.keys.conditions) {
            let condition = memory.expected(key, random);
            let value = (!delete).then(|| oracle.fresh_value());
            return Self::Swap { key, level, condition, value };
        }
        let context = match siblings && random.chance(options.keys.contexts) {
            true => {
                let stale = random.chance(options.keys.stale);
                memory.recall(key, random, stale)
            }
            false => None,
        };
        let sloppy = siblings && !strict && random.chance(options.keys.sloppy);
        if delete {
            return Self::Delete { key, level, context, sloppy };
        }
        // What a condition names is compared byte by byte.
        let bytes = if !cas && random.chance(50) { random.range(8, 2_000) as usize } else { 8 };
        let expires = oracle.keys[key].options.expires && random.chance(options.keys.expiring);
        let ttl_ms = expires.then(|| random.scale(1, (options.duration / MS).max(1)));
        Self::Put { key, level, value: oracle.fresh_value(), bytes, context, ttl_ms, sloppy }
    }

    /// Draws a change of a table, asked for by somebody who knows `since`.
    pub(crate) fn draw_table(random: &mut Random, options: &Options, since: Epoch) -> Self {
        let change = ChangeName { since, number: random.next() };
        let name = if random.chance(700) { "raced" } else { "other" }.to_owned();
        let kinds: Vec<_> = options.keys.keys.iter().map(|key| key.kind).collect();
        let registers = kinds.iter().all(|kind| *kind == TableKind::Register);
        let kind = if registers { TableKind::Register } else { *random.pick(&kinds) };
        let what = match random.below(10) {
            _ if random.chance(options.creations) => TableChange::Create(name, kind),
            0..=4 => TableChange::Drop(name),
            5..=7 => TableChange::Truncate(name),
            _ => TableChange::Alter(name, *random.pick(&[Consistency::One, Consistency::Quorum])),
        };
        Self::Table { change, what }
    }

    /// The key that it concerns.
    pub(crate) fn key(&self) -> Option<usize> {
        match self {
            Self::Get { key, .. }
            | Self::Put { key, .. }
            | Self::Delete { key, .. }
            | Self::Swap { key, .. } => Some(*key),
            Self::Scan(_) | Self::Table { .. } => None,
        }
    }

    /// What a write carries of what its client has seen.
    pub(crate) fn context(&self) -> Option<&Context> {
        match self {
            Self::Put { context, .. } | Self::Delete { context, .. } => context.as_ref(),
            Self::Get { .. } | Self::Swap { .. } | Self::Scan(_) | Self::Table { .. } => None,
        }
    }

    /// What a write writes; `None` for a delete.
    pub(crate) fn value(&self) -> Option<u64> {
        match self {
            Self::Put { value, .. } => Some(*value),
            Self::Swap { value, .. } => *value,
            _ => None,
        }
    }

    /// Whether fallbacks may count.
    pub(crate) fn is_sloppy(&self) -> bool {
        match self {
            Self::Put { level, sloppy, .. } | Self::Delete { level, sloppy, .. } => {
                *sloppy || *level == Consistency::Any
            }
            Self::Get { .. } | Self::Swap { .. } | Self::Scan(_) | Self::Table { .. } => false,
        }
    }

    /// Asks every replica that can answer.
    pub(crate) fn last_read(oracle: &Oracle, key: usize) -> Self {
        let level = if oracle.keys[key].is_damaged() { Consistency::Quorum } else { Consistency::All };
        Self::Get { key, level, monotone: false, last: true }
    }

    /// The same as a message.
    pub(crate) fn message(&self, oracle: &Oracle) -> ClientMessage {
        let row = |key: &usize| (oracle.keys[*key].row.table, oracle.keys[*key].row.key.clone());
        match self {
            Self::Get { key, level, monotone, .. } => {
                let (table, key) = row(key);
                Get { monotone: *monotone, ..Get::new(table, key, *level) }.into()
            }
            Self::Put { key, level, value, bytes, context, ttl_ms, sloppy } => {
                let (table, key) = row(key);
                let (context, ttl_ms) = (bytes_of(context), *ttl_ms);
                let put = Put::new(table, key, to_bytes(*value, *bytes), *level);
                Put { context, ttl_ms, sloppy: *sloppy, ..put }.into()
            }
            Self::Delete { key, level, context, sloppy } => {
                let (table, key) = row(key);
                let (context, sloppy) = (bytes_of(context), *sloppy);
                Delete { context, sloppy, ..Delete::new(table, key, *level) }.into()
            }
            Self::Swap { key, level, condition, value } => {
                let (table, key) = row(key);
                let bytes = |value: u64| to_bytes(value, 8);
                let condition = condition.map_or(Condition::Absent, |value| Condition::Value(bytes(value)));
                let (value, consistency) = (value.map(bytes), *level);
                CompareAndSet { table, key, condition, value, consistency }.into()
            }
            Self::Scan(page) => page.scan.clone().into(),
            Self::Table { change, what } => {
                let (change, name) = (*change, what.name().to_owned());
                match what {
                    TableChange::Create(_, kind) => CreateTable::new(change, name, *kind).into(),
                    TableChange::Alter(_, level) => {
                        let (read_consistency, write_consistency) = (Some(*level), None);
                        AlterTable { change, name, read_consistency, write_consistency }.into()
                    }
                    TableChange::Drop(_) => DropTable { change, name }.into(),
                    TableChange::Truncate(_) => TruncateTable { change, name }.into(),
                }
            }
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

    /// How many rounds a read took that was answered, or never came to an agreement.
    pub(crate) fn rounds(&self) -> Option<u8> {
        match self.answer()? {
            ClientMessage::Got(got) => Some(got.receipt.rounds),
            ClientMessage::RequestError(RequestError { failure: Failure::Contended { rounds }, .. }) => {
                Some(*rounds)
            }
            _ => None,
        }
    }

    /// Whether a read was answered with less than one order.
    pub(crate) fn settled_for_less(&self) -> bool {
        matches!(self.answer(), Some(ClientMessage::Got(got)) if got.receipt.monotone)
    }

    /// Whether what was asked for was not given.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self.answer(), None | Some(ClientMessage::RequestError(_)))
    }
}

const OTHER_LEVELS: &[Consistency] =
    &[Consistency::Two, Consistency::Three, Consistency::Quorum, Consistency::All, Consistency::Any];

const COUNTS: &[NonZeroU8] = &[
    NonZeroU8::MIN,
    NonZeroU8::MIN.saturating_add(1),
    NonZeroU8::MIN.saturating_add(2),
    NonZeroU8::MIN.saturating_add(3),
];

fn bytes_of(context: &Option<Context>) -> Option<Bytes> {
    context.as_ref().map(|context| context.bytes.clone())
}

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
