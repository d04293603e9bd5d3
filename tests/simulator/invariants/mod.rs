//! What must hold, one file per invariant, and the facts that they share.
//!
//! | file | when | what |
//! |---|---|---|
//! | `acknowledged` | each step | what QUORUM or ALL acknowledged is durable on some member of every read quorum |
//! | `contents` | each step | one tag names one content (rule V4) |
//! | `own_writes` | each reply | a session at ONE reads its own writes |
//! | `sessions` | end | a session at QUORUM and ALL never goes back |
//! | `tables` | each step, end | a table name has one definition, on all founders or on none |
//! | `linearizable` | end | QUORUM and ALL are linearizable per key |
//! | `converged` | end | replicas agree once everybody was asked |

mod acknowledged;
mod contents;
mod converged;
mod linearizable;
mod own_writes;
mod sessions;
mod tables;

use quorate::{
    node::ClientId,
    ring::{Hlc, Ring, Table, TableId, TableKind, Tag, token_of},
    storage::{MetaWrite, Row, TableRecord, TableStage, Write},
    wire::{ClientMessage, Failure, Outcome},
};

use self::{
    acknowledged::Acknowledged, contents::Contents, linearizable::History, own_writes::OwnWrites,
    sessions::Sessions, tables::Tables,
};
use crate::{
    options::Options,
    workload::{Reply, Request, What, from_bytes},
    world::{Disk, Process},
};

/// Knows everything, and judges.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) keys: Vec<Key>,
    pub(crate) tables: Tables,
    own_writes: OwnWrites,
    sessions: Sessions,
    data_table: Table,
    /// The invariant that broke first.
    pub(crate) failure: Option<String>,
    last_value: u64,
    /// Histories that the checker could not decide within its limits.
    pub(crate) undecided: u64,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) row: Row,
    /// Used at QUORUM and ALL only, and so linearizable.
    pub(crate) strict: bool,
    /// Places of its nodes in the world, in preference order.
    pub(crate) replicas: Vec<usize>,
    pub(crate) acknowledged: Acknowledged,
    contents: Contents,
    history: History,
}

impl Key {
    fn new(table: &Table, name: String, strict: bool, ring: &Ring) -> Self {
        let token = token_of(name.as_bytes());
        let replicas: Vec<_> =
            ring.replicas(token, table.replication).iter().map(|id| id.0 as usize - 1).collect();
        Self {
            row: Row::new(token, table.id, name),
            strict,
            acknowledged: Acknowledged::new(replicas.len()),
            replicas,
            contents: Contents::default(),
            history: History::default(),
        }
    }

    /// The place of a node among the replicas.
    pub(crate) fn place(&self, node: usize) -> Option<usize> {
        self.replicas.iter().position(|replica| *replica == node)
    }

    /// Whether some replica's record was damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.acknowledged.is_damaged()
    }
}

impl Oracle {
    pub(crate) fn new(options: &Options, ring: &Ring) -> Self {
        let data_table = Table::new(TableId(7), "data", TableKind::Register, options.replication);
        let strict = (0..options.strict_keys).map(|n| (format!("strict{n}"), true));
        let one = (0..options.one_keys).map(|n| (format!("one{n}"), false));
        let keys =
            strict.chain(one).map(|(name, strict)| Key::new(&data_table, name, strict, ring)).collect();
        Self {
            keys,
            tables: Tables::default(),
            own_writes: OwnWrites::default(),
            sessions: Sessions::default(),
            data_table,
            failure: None,
            last_value: 0,
            undecided: 0,
        }
    }

    /// What is on every disk before anything happens: the table that the workload uses.
    pub(crate) fn provisioned(&self) -> Vec<Write> {
        let attempt = Tag { hlc: Hlc::ZERO, actor: quorate::ring::Actor(0) };
        let record = TableRecord { table: self.data_table.clone(), stage: TableStage::Committed { attempt } };
        vec![Write::Meta(MetaWrite::PutTable(record))]
    }

    /// A value that nobody has written yet.
    pub(crate) fn fresh_value(&mut self) -> u64 {
        self.last_value += 1;
        self.last_value
    }

    /// Records what broke, if nothing broke before.
    pub(crate) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    /// Something became durable under `row` on `node`.
    pub(crate) fn durable(&mut self, node: usize, row: &Row, disk: &Disk) {
        let found = self.keys.iter().position(|key| key.row.key == row.key && key.row.table == row.table);
        if let Some(key) = found {
            self.look(node, key, disk);
        }
    }

    /// The disk of `node` may have changed: a crash, another disk.
    pub(crate) fn recheck(&mut self, node: usize, disk: &Disk) {
        (0..self.keys.len()).for_each(|key| self.look(node, key, disk));
    }

    /// A record of `node` was damaged.
    pub(crate) fn damaged(&mut self, node: usize, key: usize) {
        if let Some(place) = self.keys[key].place(node) {
            self.keys[key].acknowledged.damaged(place);
        }
    }

    /// Whether a record of `node` was damaged.
    pub(crate) fn is_damaged(&self, node: usize) -> bool {
        self.keys.iter().any(|key| key.place(node).is_some_and(|place| key.acknowledged.is_damaged_at(place)))
    }

    fn look(&mut self, node: usize, at: usize, disk: &Disk) {
        let key = &mut self.keys[at];
        let Some(place) = key.place(node) else {
            return;
        };
        let Ok(state) = disk.durable(&key.row) else {
            return; // damaged, and known to be
        };
        key.acknowledged.holds(place, state.as_ref().map(|state| state.tag()));
        let verdict = match &state {
            Some(state) => key.contents.seen(state).and_then(|()| key.acknowledged.check()),
            None => key.acknowledged.check(),
        };
        if let Err(why) = verdict {
            let why = format!("{why} (key {:?}, after a write or crash of n{})", key.row.key, node + 1);
            self.fail(why);
        }
    }

    /// A client hears what became of its request.
    pub(crate) fn replied(
        &mut self,
        connection: ClientId,
        ring: &Ring,
        request: &Request,
        reply: &Reply,
        now: u64,
    ) -> Result<(), String> {
        if let Some(ClientMessage::RequestError(error)) = reply.answer()
            && let Failure::UnknownTable { name } = &error.failure
        {
            return Err(format!("a node does not know the table {name}, which is there"));
        }
        match &request.what {
            What::Get { key, last, .. } => self.read(connection, *key, (request.invoked, now), *last, reply),
            What::Put { key, value, .. } => {
                self.written(connection, *key, Some(*value), request.invoked, reply, now)
            }
            What::Delete { key, .. } => self.written(connection, *key, None, request.invoked, reply, now),
            What::CreateTable { .. } => {
                if let Some(ClientMessage::TableCreated(created)) = reply.answer() {
                    let name = format!("in {}", created.table.id);
                    self.keys.push(Key::new(&created.table, name, true, ring));
                    self.tables.acknowledged(&created.table)?;
                }
                Ok(())
            }
        }
    }

    fn read(
        &mut self,
        connection: ClientId,
        at: usize,
        (invoked, now): (u64, u64),
        last: bool,
        reply: &Reply,
    ) -> Result<(), String> {
        let Some(ClientMessage::Got(got)) = reply.answer() else {
            return Ok(());
        };
        let key = &mut self.keys[at];
        if got.values.len() > 1 {
            return Err("a register shows several values".to_owned());
        }
        let value = got
            .values
            .first()
            .map(|version| from_bytes(&version.value).ok_or("a value is cut off"))
            .transpose()?;
        if key.strict {
            key.history.read(connection, invoked, now, value);
            if last {
                key.history.left(value);
            }
            self.sessions.read(connection, at, invoked, now, got.receipt.tag);
            key.acknowledged.acknowledge(got.receipt.tag);
            key.acknowledged.check().map_err(|why| format!("{why} (key {:?}, read)", key.row.key))
        } else {
            self.own_writes.read(connection, at, &got.receipt)
        }
    }

    fn written(
        &mut self,
        connection: ClientId,
        at: usize,
        value: Option<u64>,
        invoked: u64,
        reply: &Reply,
        now: u64,
    ) -> Result<(), String> {
        let key = &mut self.keys[at];
        if key.strict {
            key.history.written(connection, invoked, now, value, reply.outcome());
        }
        let Some(ClientMessage::Written(written)) = reply.answer() else {
            return Ok(());
        };
        debug_assert_eq!(reply.outcome(), Outcome::Applied);
        if key.strict {
            self.sessions.wrote(connection, at, invoked, now, written.receipt.tag);
            key.acknowledged.acknowledge(written.receipt.tag);
            key.acknowledged.check().map_err(|why| format!("{why} (key {:?}, write)", key.row.key))
        } else {
            self.own_writes.wrote(connection, at, &written.receipt);
            Ok(())
        }
    }

    /// Requests at QUORUM and ALL, and how many of them were acknowledged.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let counts = self.keys.iter().map(|key| key.history.counts());
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    }

    /// Whether the replicas of every key agree.
    pub(crate) fn converged(&self, processes: &[Process]) -> Result<(), String> {
        self.keys.iter().try_for_each(|key| converged::check(key, processes))
    }

    /// Judges what can only be judged when all is over.
    pub(crate) fn judge(&mut self, processes: &[Process]) {
        let judged = |key: &Key| key.history.check().map_err(|why| format!("key {:?}: {why}", key.row.key));
        let verdict = self.keys.iter().try_fold(0, |open, key| judged(key).map(|ok| open + u64::from(!ok)));
        self.undecided = *verdict.as_ref().unwrap_or(&0);
        let verdict = verdict.and_then(|_| self.sessions.check()).and_then(|()| self.converged(processes));
        if let Err(why) = verdict.and_then(|()| self.tables.check(processes)) {
            self.fail(why);
        }
    }
}
