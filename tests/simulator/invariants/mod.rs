//! What must hold, one file per invariant, and the facts that they share.
//!
//! | file | when | what |
//! |---|---|---|
//! | `acknowledged` | each step | what QUORUM or ALL acknowledged is durable on some member of every read quorum, and whoever counted holds it |
//! | `contents` | each step | one tag names one content (rule V4) |
//! | `causality` | each step | siblings are the writes seen that no other write seen has superseded (rule V5) |
//! | `superseded` | each write | a write of siblings supersedes what its writer had seen, no more and no less (rule Q4) |
//! | `real_time` | each reply | at QUORUM and ALL a request counts with all that anybody was told before |
//! | `one_order` | each reply | reads of siblings at QUORUM and ALL have seen one more than the other (rule Q5) |
//! | `expiry` | each reply | what expires is neither gone too early nor there too late, and never comes back (rule D1) |
//! | `heard` | each reply | a read has heard of as many replicas as its level names, and what they acknowledged is in it (rule Q1) |
//! | `own_writes` | each reply | a session at ONE reads its own writes |
//! | `scanned` | each page | a page has every key between its places once, and its rows are as good as reads |
//! | `sessions` | end | a session at QUORUM and ALL never goes back |
//! | `tables` | each step, end | one cluster map per epoch, and every acknowledged change of a table in it |
//! | `linearizable`, `linearizable_siblings` | end | QUORUM and ALL are linearizable per key |
//! | `agreed` | each comparison | what either of two replicas held when it began the other one holds when it ends (rule A3) |
//! | `alive` | end | everybody is connected to everybody, and gossip calls everybody alive |
//! | `converged` | end | replicas agree once everybody was asked, and know every acknowledged write |

mod acknowledged;
mod agreed;
pub(crate) mod alive;
mod causality;
mod changes;
mod contents;
mod converged;
mod data;
mod expiry;
mod heard;
mod key;
mod linearizable;
mod linearizable_siblings;
mod one_order;
mod own_writes;
mod real_time;
mod scanned;
mod sessions;
mod superseded;
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate::{
    membership::map::{Change, ChangeId, ClusterMap, NewTable, TableOptions},
    node::ClientId,
    ring::{Actor, Consistency, Incarnation, NodeId, Ring, Table, TableId, TableKind},
    storage::{Row, State, Version},
    wire::{ClientMessage, Outcome},
};

use self::agreed::ReplicaSets;
pub(crate) use self::{
    agreed::Agreement,
    data::{CAS, REGISTERS, SIBLINGS, table_of},
    expiry::Clocks,
    key::Key,
    tables::OnDisk,
};
use self::{
    changes::Changes, key::Ended, own_writes::OwnWrites, sessions::Sessions, superseded::Intent,
    tables::Tables,
};
use crate::{
    options::{KeyOptions, Options},
    workload::{Reply, Request, What, change_id, from_bytes},
    world::{Disk, Minted, Process},
};

/// For each key, what clients had been told of it, and what clocks showed.
pub(crate) type Beside = Vec<(Option<Version>, Clocks)>;

/// Knows everything, and judges.
#[derive(Debug)]
pub(crate) struct Oracle {
    /// In nanoseconds.
    pub(crate) now: u64,
    /// The places of the nodes that hold keys together, by replication.
    replica_sets: BTreeMap<usize, ReplicaSets>,
    pub(crate) keys: Vec<Key>,
    /// Which keys nodes hold together.
    keys_of: BTreeMap<Vec<usize>, Vec<usize>>,
    pub(crate) tables: Tables,
    changes: Changes,
    own_writes: OwnWrites,
    sessions: Sessions,
    data_tables: Vec<Table>,
    /// Those of processes.
    pub(crate) actors: BTreeSet<Actor>,
    /// Nodes of which a record was ever damaged.
    pub(crate) were_damaged: BTreeSet<usize>,
    /// The invariant that broke first.
    pub(crate) failure: Option<String>,
    last_value: u64,
    /// Histories that the checker could not decide within its limits.
    pub(crate) undecided: u64,
    /// How many rounds each read of siblings at QUORUM and ALL took, whether or not replicas agreed in the end.
    pub(crate) rounds: Vec<u8>,
}

impl Oracle {
    pub(crate) fn new(options: &Options, ring: &Ring) -> Self {
        let mut data_tables = vec![
            Table::new(REGISTERS, "data", TableKind::Register, options.replication),
            Table::new(SIBLINGS, "baskets", TableKind::Siblings, options.replication),
        ];
        if options.has_cas() {
            data_tables.push(Table::new(CAS, "locks", TableKind::Cas, options.replication));
        }
        let mut oracle = Self {
            now: 0,
            replica_sets: BTreeMap::new(),
            keys: Vec::new(),
            keys_of: BTreeMap::new(),
            tables: Tables::default(),
            changes: Changes::default(),
            own_writes: OwnWrites::default(),
            sessions: Sessions::default(),
            data_tables,
            actors: BTreeSet::new(),
            were_damaged: BTreeSet::new(),
            failure: None,
            last_value: 0,
            undecided: 0,
            rounds: Vec::new(),
        };
        options.keys.keys.iter().for_each(|key| oracle.add_key(*key, ring));
        oracle
    }

    fn add_key(&mut self, options: KeyOptions, ring: &Ring) {
        let alike = self.keys.iter().filter(|key| key.options.strict == options.strict).count();
        let name = format!("{}{alike}", if options.strict { "strict" } else { "one" });
        let table = self.data_tables.iter().find(|table| table.id == table_of(options.kind));
        let key = Key::new(table.expect("a run has the tables of its keys"), name, options, ring);
        self.keys_of.entry(key.replica_set.clone()).or_default().push(self.keys.len());
        self.keys.push(key);
    }

    /// The map that every disk holds before anything happens: the founders' lives and the tables that the workload
    /// uses.
    pub(crate) fn found(&self, ring: &Arc<Ring>) -> Arc<ClusterMap> {
        let lives = ring.members().iter().map(|member| (member.id, first_life(member.id))).collect();
        let founding = ClusterMap::founding_on(Arc::clone(ring)).expect("few founders");
        let options =
            TableOptions { read_consistency: Consistency::Quorum, write_consistency: Consistency::Quorum };
        let tables = self.data_tables.iter().map(|table| {
            let Table { name, kind, replication, .. } = table.clone();
            Change::CreateTable(NewTable { name, kind, replication, options })
        });
        let changes = [Change::Found { lives }].into_iter().chain(tables);
        let map = changes.fold(founding, |map, change| {
            let id = ChangeId { since: map.epoch(), number: map.epoch().0 };
            map.apply(id, &change).expect("these changes fit")
        });
        Arc::new(map)
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

    /// A client makes a request of a key. Answers what clients had been told of the key by then.
    pub(crate) fn asked(
        &mut self,
        client: ClientId,
        invoked: u64,
        what: &What,
        clocks: Clocks,
    ) -> (Option<Version>, Clocks) {
        if let What::Table { change, what } = what {
            self.tables.asked(change_id(*change));
            if what.ends_a_table() {
                let asked = self.changes.asked(change_id(*change), what.name(), &mut self.keys);
                self.changes.under_way.insert((client, invoked), asked);
            }
        }
        let Some(at) = what.key() else {
            return (None, clocks);
        };
        let key = &mut self.keys[at];
        let told = key.told().cloned();
        if let What::Put { value, context, ttl_ms, .. } = what {
            let context = context.as_ref().map(|context| context.vector.clone());
            let intent = Intent { context, told: told.clone() };
            key.asked(client, invoked, *value, ttl_ms.is_some(), intent);
        }
        (told, key.expiry.known(clocks))
    }

    /// What is known of every key when a page is asked for; nothing for other requests.
    pub(crate) fn beside(&self, what: &What, clocks: Clocks) -> Beside {
        let keys = self.keys.iter().filter(|_| matches!(what, What::Scan(_)));
        keys.map(|key| (key.told().cloned(), key.expiry.known(clocks))).collect()
    }

    /// The commit step of `node` makes a write, which is not durable yet.
    pub(crate) fn minted(&mut self, node: usize, minted: Minted) {
        let Some(at) = self.find(&minted.row) else {
            return;
        };
        let value = minted.content.value().and_then(from_bytes);
        if let Err(why) = self.keys[at].minted(node, minted.dot, minted.seen, value) {
            self.fail(format!("{why} (key {:?}, n{} mints)", minted.row.key, node + 1));
        }
    }

    /// A node sends a state, or keeps it for another.
    pub(crate) fn sent(&mut self, row: (TableId, &bytes::Bytes), state: &State) {
        let is_row = |key: &Key| key.row.key == *row.1 && key.row.table == row.0;
        let Some(at) = self.keys.iter().position(is_row) else {
            return;
        };
        let Self { keys, actors, .. } = self;
        if let Err(why) = keys[at].sent(state, |actor| actors.contains(&actor)) {
            self.fail(format!("{why} (key {:?}, a fallback mints)", row.1));
        }
    }

    /// Something became durable under `row` on `node`.
    pub(crate) fn durable(&mut self, node: usize, row: &Row, disk: &Disk) {
        if let Some(key) = self.find(row) {
            self.look(node, key, disk);
        }
    }

    /// The disk of `node` may have changed: a crash, another disk, a table recovered.
    pub(crate) fn recheck(&mut self, node: usize, disk: &Disk) {
        let on_disk = OnDisk::read(&disk.engine);
        for at in 0..self.keys.len() {
            let key = &mut self.keys[at];
            if let Some(place) = key.place(node) {
                key.acknowledged.lost(place, on_disk.has_lost(key.row.table, key.row.token));
                self.look(node, at, disk);
            }
        }
    }

    /// `node` has another disk than before; `clocks_borne` unless clocks are, or were, further apart than they may be.
    pub(crate) fn replaced(&mut self, node: usize, now: u64, clocks_borne: bool) {
        for key in &mut self.keys {
            if !clocks_borne && key.place(node).is_some() {
                key.clock_lost(now);
            }
            key.disk_lost(key.place(node), now);
            key.place(node).into_iter().for_each(|place| key.held.lost(place, self.now));
        }
        self.own_writes.disk_lost(quorate::ring::NodeId(node as u32 + 1));
    }

    /// A record of `node` was damaged.
    pub(crate) fn damaged(&mut self, node: usize, key: usize) {
        if let Some(place) = self.keys[key].place(node) {
            self.were_damaged.insert(node);
            self.keys[key].damaged(place);
        }
    }

    /// What other replicas hold took the place of a damaged record of `node`.
    pub(crate) fn restored(&mut self, node: usize, row: &Row, disk: &Disk, now: u64) {
        let Some(at) = self.find(row) else {
            return;
        };
        let place = self.keys[at].place(node);
        self.keys[at].disk_lost(place, now);
        place.into_iter().for_each(|place| self.keys[at].held.lost(place, self.now));
        self.own_writes.disk_lost(quorate::ring::NodeId(node as u32 + 1));
        self.look(node, at, disk);
    }

    /// Whether a record of `node` was ever damaged. Its node may be told so after the record was restored.
    pub(crate) fn was_damaged(&self, node: usize) -> bool {
        self.were_damaged.contains(&node)
    }

    /// Whether a record of `node` is damaged.
    pub(crate) fn is_damaged(&self, node: usize) -> bool {
        self.keys.iter().any(|key| key.place(node).is_some_and(|place| key.acknowledged.is_damaged_at(place)))
    }

    /// A node says that it and a peer have agreed. Of damaged records digests say what they were.
    pub(crate) fn agreed(&mut self, agreement: Agreement, ring: &Ring) {
        let (a, b) = agreement.nodes;
        let table = self.keys.iter().find(|key| key.row.table == agreement.table);
        let Some(replication) = table.map(|key| key.replicas.len()) else {
            return;
        };
        if self.were_damaged.contains(&a) || self.were_damaged.contains(&b) {
            return;
        }
        let sets = self.replica_sets.entry(replication);
        let sets = sets.or_insert_with(|| ReplicaSets::of(ring, replication as u8));
        let Some(replicas) = agreement.replicas(sets) else {
            return self.fail(format!("agreed: n{} and n{} share no such set: {agreement:?}", a + 1, b + 1));
        };
        let keys = self.keys_of.get(replicas).into_iter().flatten().map(|at| &self.keys[*at]);
        let mut keys = keys.filter(|key| !key.may_be_gone);
        if let Err(why) = keys.try_for_each(|key| agreement.check(key)) {
            self.fail(why);
        }
    }

    fn find(&self, row: &Row) -> Option<usize> {
        self.keys.iter().position(|key| key.row.key == row.key && key.row.table == row.table)
    }

    fn look(&mut self, node: usize, at: usize, disk: &Disk) {
        let key = &mut self.keys[at];
        let Some(place) = key.place(node) else {
            return;
        };
        if let Err(why) = key.look(place, disk, self.now) {
            let why = format!("{why} (key {:?}, after a write or crash of n{})", key.row.key, node + 1);
            self.fail(why);
        }
    }

    /// A client hears what became of its request.
    pub(crate) fn replied(
        &mut self,
        client: ClientId,
        ring: &Ring,
        request: &Request,
        reply: &Reply,
        (now, clocks): (u64, &Clocks),
    ) -> Result<(), String> {
        if let Some(key) = request.what.key() {
            self.changes.judge(&self.keys[key], request, reply)?;
        }
        let Request { invoked, told, before, .. } = request;
        let told = told.as_ref();
        let ended = Ended { client, invoked: *invoked, now, told, before, clocks };
        let verdict = match &request.what {
            What::Get { monotone: false, .. } if reply.settled_for_less() => {
                Err("one order: a read settled for less than its client had asked for".to_owned())
            }
            What::Get { key, last, .. } => self.read(&ended, *key, *last, reply),
            What::Put { key, .. } | What::Delete { key, .. } | What::Swap { key, .. } => {
                self.written(&ended, *key, &request.what, reply)
            }
            What::Scan(page) => match reply.answer() {
                Some(ClientMessage::Scanned(scanned)) => self.scanned(&ended, page, scanned, &request.beside),
                _ => Ok(()),
            },
            What::Table { .. } => self.changed(client, ring, request, (reply, now)),
        };
        match request.what.key() {
            Some(at) => verdict.map_err(|why| {
                let key = &self.keys[at].row.key;
                format!("{why} (key {key:?}, answer to c{})", client.0)
            }),
            None => verdict,
        }
    }

    /// A client hears what became of a change of a table.
    fn changed(
        &mut self,
        client: ClientId,
        ring: &Ring,
        request: &Request,
        (reply, now): (&Reply, u64),
    ) -> Result<(), String> {
        let What::Table { change, what } = &request.what else {
            return Ok(());
        };
        self.tables.ended(change_id(*change), reply.outcome());
        if let Some(asked) = self.changes.under_way.remove(&(client, request.invoked)) {
            self.changes.ended(what.name(), &asked, reply, now, &mut self.keys);
        }
        let table = match reply.answer() {
            Some(ClientMessage::TableCreated(created)) => Some(&created.table),
            Some(ClientMessage::TableChanged(changed)) => changed.table.as_ref(),
            _ => None,
        };
        if let Some(table) = table.filter(|table| !self.keys.iter().any(|key| key.row.table == table.id)) {
            let name = format!("in {}", table.id);
            let options = KeyOptions { kind: table.kind, strict: true, expires: false };
            let mut key = Key::new(table, name, options, ring);
            key.may_be_gone = self.changes.may_have_ended(&table.name, request.invoked);
            self.keys.push(key);
        }
        Ok(())
    }

    fn read(&mut self, ended: &Ended<'_>, at: usize, last: bool, reply: &Reply) -> Result<(), String> {
        if self.keys[at].has_siblings() && self.keys[at].options.strict {
            self.rounds.extend(reply.rounds());
        }
        let Some(ClientMessage::Got(got)) = reply.answer() else {
            return Ok(());
        };
        let key = &mut self.keys[at];
        let version = key.read(ended, got, last)?;
        key.check_heard(ended, &got.receipt, version.as_ref())?;
        if !key.options.strict {
            return self.own_writes.read(ended.client, at, &got.receipt, version.as_ref());
        }
        if !key.has_siblings() {
            let Ended { client, invoked, now, .. } = *ended;
            self.sessions.read(client, at, invoked, now, got.receipt.tag);
        }
        Ok(())
    }

    fn written(&mut self, ended: &Ended<'_>, at: usize, what: &What, reply: &Reply) -> Result<(), String> {
        let key = &mut self.keys[at];
        let context = what.context().map(|context| &context.vector);
        let written = match (what, reply.answer()) {
            (What::Swap { condition, value, .. }, answer) => {
                match key.swapped(ended, (*condition, *value), answer, reply.outcome())? {
                    Some(written) => written,
                    None => return Ok(()),
                }
            }
            (_, Some(ClientMessage::Written(written))) => {
                key.ended(ended, what.value(), context, reply.outcome());
                written.clone()
            }
            _ => {
                key.ended(ended, what.value(), context, reply.outcome());
                return Ok(());
            }
        };
        let written = &written;
        debug_assert_eq!(reply.outcome(), Outcome::Applied);
        key.acknowledge(ended, context, what.is_sloppy(), written)?;
        if !key.options.strict {
            self.own_writes.wrote(ended.client, at, &written.receipt);
        } else if !key.has_siblings() {
            let Ended { client, invoked, now, .. } = *ended;
            self.sessions.wrote(client, at, invoked, now, written.receipt.tag);
        }
        Ok(())
    }

    /// Requests at QUORUM and ALL, and how many of them were acknowledged.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let counts = self.keys.iter().map(Key::counts);
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    }

    /// Writes that were acknowledged at any level.
    pub(crate) fn acknowledged_writes(&self) -> u64 {
        self.keys.iter().map(|key| key.acknowledged_writes.len() as u64).sum()
    }

    /// Whether the replicas of every key agree.
    pub(crate) fn converged(&self, processes: &[Process]) -> Result<(), String> {
        self.keys.iter().filter(|key| !key.may_be_gone).try_for_each(|key| converged::check(key, processes))
    }

    /// Whether nothing is left to be brought together or restored.
    pub(crate) fn is_settled(&self, processes: &[Process]) -> bool {
        !self.keys.iter().any(Key::is_damaged)
            && self.converged(processes).is_ok()
            && self.tables.check(processes).is_ok()
    }

    /// Whether what replicas keep of their records' digests is known and the same.
    pub(crate) fn digests_agree(&self, processes: &[Process]) -> Result<(), String> {
        let mut keys = self.keys.iter().filter(|key| !key.may_be_gone);
        if self.keys.iter().any(Key::is_damaged) {
            return Ok(());
        }
        keys.try_for_each(|key| converged::check_digests(key, processes))
    }

    /// Judges what can only be judged when all is over.
    pub(crate) fn judge(&mut self, processes: &[Process]) {
        let judged = |key: &Key| key.judge().map_err(|why| format!("key {:?}: {why}", key.row.key));
        let verdict = self.keys.iter().try_fold(0, |open, key| judged(key).map(|ok| open + u64::from(!ok)));
        self.undecided = *verdict.as_ref().unwrap_or(&0);
        let verdict = verdict.and_then(|_| self.sessions.check()).and_then(|()| self.converged(processes));
        if let Err(why) = verdict.and_then(|()| self.tables.check(processes)) {
            self.fail(why);
        }
    }
}

/// The life of a node's first disk.
pub(crate) fn first_life(node: NodeId) -> Incarnation {
    Incarnation(u64::from(node.0))
}
