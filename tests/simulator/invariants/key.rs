//! What is known of one key.

use quorate::{
    node::ClientId,
    ring::{Actor, Ring, Table, TableKind, Tag, token_of},
    storage::{Row, State, Version, VersionVector},
    wire::{ClientMessage, Got, Receipt, Written},
};

use super::{
    acknowledged::{self, Acknowledged, shown_vector},
    agreed::Held,
    causality::Causality,
    contents::Contents,
    expiry::{Clocks, Expiry},
    heard::Heard,
    linearizable::History,
    linearizable_siblings::SiblingsHistory,
    one_order::OneOrder,
    real_time,
    superseded::{Intent, Superseded},
};
use crate::{
    options::KeyOptions,
    workload::{context_vector, from_bytes},
    world::Disk,
};

/// What is known of a key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) row: Row,
    pub(crate) table_name: String,
    /// Somebody has asked for the table to be dropped or truncated.
    pub(crate) may_be_gone: bool,
    /// When a client was told that it is, on the checkers' clock.
    pub(crate) gone_at: Option<u64>,
    pub(crate) options: KeyOptions,
    /// Places of its nodes in the world, in preference order.
    pub(crate) replicas: Vec<usize>,
    /// The same in the order of their places.
    pub(super) replica_set: Vec<usize>,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) held: Held,
    /// At any level.
    pub(crate) acknowledged_writes: Vec<Tag>,
    /// When a node that may have held some of it lost its disk last, on the checkers' clock.
    disk_lost_at: u64,
    pub(crate) expiry: Expiry,
    heard: Heard,
    contents: Contents,
    causality: Causality,
    superseded: Superseded,
    one_order: OneOrder,
    registers: History,
    siblings: SiblingsHistory,
    /// Requests at QUORUM and ALL, and how many of them were acknowledged.
    counts: (u64, u64),
}

/// A request that has ended: who asked, and when on the checkers' clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) client: ClientId,
    pub(crate) invoked: u64,
    pub(crate) now: u64,
    /// What clients had been told of the key when it began.
    pub(crate) told: Option<&'a Version>,
    pub(crate) before: &'a Clocks,
    pub(crate) clocks: &'a Clocks,
}

impl Key {
    pub(crate) fn new(table: &Table, name: String, options: KeyOptions, ring: &Ring) -> Self {
        let token = token_of(name.as_bytes());
        let replicas: Vec<_> =
            ring.replicas(token, table.replication).iter().map(|id| id.0 as usize - 1).collect();
        let mut replica_set = replicas.clone();
        replica_set.sort_unstable();
        Self {
            row: Row::new(token, table.id, name),
            table_name: table.name.clone(),
            may_be_gone: false,
            gone_at: None,
            options,
            acknowledged: Acknowledged::new(replicas.len()),
            held: Held::new(replicas.len()),
            replicas,
            replica_set,
            acknowledged_writes: Vec::new(),
            disk_lost_at: 0,
            expiry: Expiry::default(),
            heard: Heard::default(),
            contents: Contents::default(),
            causality: Causality::default(),
            superseded: Superseded::default(),
            one_order: OneOrder::default(),
            registers: History::default(),
            siblings: SiblingsHistory::default(),
            counts: (0, 0),
        }
    }

    /// Whether its values stand side by side.
    pub(crate) fn has_siblings(&self) -> bool {
        self.options.kind == TableKind::Siblings
    }

    /// The nodes that hold it.
    pub(crate) fn replicas(&self) -> &[usize] {
        &self.replicas
    }

    /// The place of a node among the replicas.
    pub(crate) fn place(&self, node: usize) -> Option<usize> {
        self.replicas.iter().position(|replica| *replica == node)
    }

    /// Whether some replica's record was damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.acknowledged.is_damaged()
    }

    /// Requests at QUORUM and ALL, and how many of them were acknowledged.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.counts
    }

    /// A client asks for a value to be written, knowing this much.
    pub(crate) fn asked(
        &mut self,
        client: ClientId,
        invoked: u64,
        value: u64,
        expires: bool,
        intent: Intent,
    ) {
        if expires && self.options.strict {
            self.registers.will_expire(client, invoked, value);
        }
        self.superseded.asked(value, intent);
    }

    /// What clients were told at levels that promise anything.
    pub(crate) fn told(&self) -> Option<&Version> {
        self.acknowledged.told().filter(|_| self.options.strict)
    }

    /// The commit step of `node` makes a write.
    pub(crate) fn minted(
        &mut self,
        node: usize,
        dot: Tag,
        seen: VersionVector,
        value: Option<u64>,
    ) -> Result<(), String> {
        if self.place(node).is_none() {
            return Err(format!("n{} mints {dot} and is no replica", node + 1));
        }
        self.superseded.minted(dot, value, &seen, &self.causality)?;
        self.causality.minted(dot, seen, value)
    }

    /// A node sends or keeps a state: perhaps a write that a fallback makes, under no process's usual actor (rule Q2).
    pub(crate) fn sent(&mut self, state: &State, is_usual: impl Fn(Actor) -> bool) -> Result<(), String> {
        let State::Siblings(siblings) = state else {
            return Ok(());
        };
        match self.causality.stand_in(siblings) {
            Some((dot, seen)) if !is_usual(dot.actor) && !self.options.strict => {
                let value = state.values().next().and_then(from_bytes);
                self.superseded.minted(dot, value, &seen, &self.causality)?;
                self.causality.minted(dot, seen, value)
            }
            _ => Ok(()),
        }
    }

    /// The disk of the replica at `place` may have changed.
    pub(crate) fn look(&mut self, place: usize, disk: &Disk, now: u64) -> Result<(), String> {
        let Ok(state) = disk.durable(&self.row) else {
            return Ok(()); // damaged, and known to be
        };
        let state = state.and_then(State::told);
        self.held.holds(place, now, state.as_ref().map(State::version));
        self.acknowledged.holds(place, state.as_ref().map(State::version));
        if let Some(state) = &state {
            self.contents.seen(state)?;
            self.causality.held(state)?;
        }
        self.check_acknowledged()
    }

    /// A read was answered: at QUORUM or ALL if the key is strict.
    pub(crate) fn read(
        &mut self,
        ended: &Ended<'_>,
        got: &Got,
        last: bool,
    ) -> Result<Option<Version>, String> {
        let (version, values) =
            if self.has_siblings() { self.siblings_read(got)? } else { self.register_read(ended, got)? };
        if !self.options.strict {
            return Ok(version);
        }
        real_time::read(ended.told, version.as_ref())?;
        if let Some(version) = &version {
            self.acknowledged.tell(version.clone());
        }
        if !got.receipt.monotone {
            self.strict_read(ended, version.as_ref(), values, last)?;
        }
        self.check_acknowledged()?;
        Ok(version)
    }

    fn strict_read(
        &mut self,
        ended: &Ended<'_>,
        version: Option<&Version>,
        values: Vec<u64>,
        last: bool,
    ) -> Result<(), String> {
        self.count(true);
        let Ended { client, invoked, now, .. } = *ended;
        if self.has_siblings() {
            self.siblings.read(client, invoked, now, values);
            return self.one_order.read(&acknowledged::vector(version));
        }
        let value = values.first().copied();
        self.registers.read(client, invoked, now, value);
        if last {
            self.registers.left(value);
        }
        Ok(())
    }

    /// A page at QUORUM or ALL passed its place and did not have it: it was absent.
    pub(crate) fn left_out(&mut self, ended: &Ended<'_>) -> Result<(), String> {
        if !self.options.strict || self.may_be_gone {
            return Ok(());
        }
        self.count(true);
        let Ended { client, invoked, now, .. } = *ended;
        if self.has_siblings() {
            self.siblings.read(client, invoked, now, Vec::new());
        } else {
            self.registers.read(client, invoked, now, None);
        }
        Ok(())
    }

    /// What a read of siblings had seen, and the values.
    fn siblings_read(&self, got: &Got) -> Result<(Option<Version>, Vec<u64>), String> {
        let vector = context_vector(&self.row, &got.context)?;
        let mut dots: Vec<_> = got.values.iter().map(|version| version.tag).collect();
        dots.sort_unstable();
        let mut expected: Vec<_> = self.causality.visible(&vector).collect();
        expected.sort_unstable();
        if dots != expected {
            let list = |dots: &[Tag]| dots.iter().map(Tag::to_string).collect::<Vec<_>>().join(" ");
            let (seen, shown, expected) = (shown_vector(&vector), list(&dots), list(&expected));
            return Err(format!("causality: a read that has seen {seen} shows [{shown}], not [{expected}]"));
        }
        if let Some(wrong) = got.values.iter().find(|value| !self.contents.is(value.tag, &value.value)) {
            return Err(format!("contents: a read shows something else under {}", wrong.tag));
        }
        let version = (!vector.is_empty()).then_some(Version::Vector(vector));
        Ok((version, self.numbers(got)?))
    }

    /// What a read of a register had seen, and the value.
    fn register_read(&mut self, ended: &Ended<'_>, got: &Got) -> Result<(Option<Version>, Vec<u64>), String> {
        if got.values.len() > 1 {
            return Err("a register shows several values".to_owned());
        }
        let tag = got.receipt.tag;
        if let Some((tag, expires)) = tag.and_then(|tag| Some((tag, self.contents.expires(tag)?)))
            && self.options.strict
        {
            self.expiry.read(tag, expires, got.values.is_empty(), ended.before, ended.clocks)?;
        }
        Ok((tag.map(Version::Tag), self.numbers(got)?))
    }

    fn numbers(&self, got: &Got) -> Result<Vec<u64>, String> {
        let number = |value: &quorate::wire::VersionedValue| from_bytes(&value.value);
        got.values.iter().map(|value| number(value).ok_or("a value is cut off".to_owned())).collect()
    }

    /// A write or delete ended.
    pub(crate) fn ended(
        &mut self,
        ended: &Ended<'_>,
        value: Option<u64>,
        context: Option<&VersionVector>,
        outcome: quorate::wire::Outcome,
    ) {
        if !self.options.strict {
            return;
        }
        self.count(outcome == quorate::wire::Outcome::Applied);
        let Ended { client, invoked, now, .. } = *ended;
        if self.has_siblings() {
            let context = context.map(|context| self.causality.values(context));
            self.siblings.written(client, (invoked, now), value, context, outcome);
        } else {
            self.registers.written(client, invoked, now, value, outcome);
        }
    }

    /// A write of a `cas` key that depended on what it held has ended: what is to be acknowledged of it, if it was made.
    pub(crate) fn swapped(
        &mut self,
        ended: &Ended<'_>,
        (old, new): (Option<u64>, Option<u64>),
        answer: Option<&ClientMessage>,
        outcome: quorate::wire::Outcome,
    ) -> Result<Option<Written>, String> {
        let Ended { client, invoked, now, .. } = *ended;
        let done = match answer {
            Some(ClientMessage::ComparedAndSet(done)) => done,
            _ => {
                self.count(false);
                self.registers.swapped(client, (invoked, now), (old, new), outcome);
                return Ok(None);
            }
        };
        if done.applied {
            self.count(true);
            self.registers.swapped(client, (invoked, now), (old, new), outcome);
            return Ok(Some(Written { context: bytes::Bytes::new(), receipt: done.receipt.clone() }));
        }
        // It tells what the key holds, as a read does.
        let got = Got {
            values: done.found.iter().cloned().collect(),
            context: bytes::Bytes::new(),
            receipt: done.receipt.clone(),
        };
        let found = done.found.as_ref().and_then(|found| from_bytes(&found.value));
        if found == old {
            return Err(format!("swapped: {old:?} was found, and was not taken for {old:?}"));
        }
        self.read(ended, &got, false).map(|_| None)
    }

    /// A write was acknowledged.
    pub(crate) fn acknowledge(
        &mut self,
        ended: &Ended<'_>,
        context: Option<&VersionVector>,
        sloppy: bool,
        written: &Written,
    ) -> Result<(), String> {
        let tag = written.receipt.tag.ok_or("a write has no tag")?;
        if self.options.strict || ended.invoked > self.disk_lost_at {
            self.acknowledged_writes.push(tag);
        }
        if !sloppy {
            self.check_counted(tag, &written.receipt)?;
        }
        let places = written.receipt.answered.iter().filter_map(|id| self.place(id.0 as usize - 1));
        let holders = places.filter(|place| self.acknowledged.is_durable_at(*place, tag)).collect();
        self.heard.wrote(ended.now, tag, holders);
        if self.has_siblings() {
            let told = ended.told.cloned();
            let seen = self.causality.acknowledged(tag).ok_or("a write was made by nobody")?.clone();
            Intent { context: context.cloned(), told }.check(tag, &seen, &self.causality)?;
        }
        if !self.options.strict {
            return Ok(());
        }
        real_time::wrote(ended.told, tag)?;
        let version = if self.has_siblings() {
            let mut vector = context_vector(&self.row, &written.context)?;
            vector.advance(tag);
            Version::Vector(vector)
        } else {
            Version::Tag(tag)
        };
        self.acknowledged.tell(version);
        self.check_acknowledged()
    }

    /// A node, the replica at `place` if it is one, has another disk. Below a quorum one copy may have been all
    /// there was of a write, or a hint on whichever node: what no other replica holds by now is excused.
    pub(crate) fn disk_lost(&mut self, place: Option<usize>, now: u64) {
        if let Some(place) = place {
            self.acknowledged.replaced(place);
            self.heard.lost(place);
        }
        if !self.options.strict {
            self.disk_lost_at = now;
            let acknowledged = &self.acknowledged;
            self.acknowledged_writes.retain(|tag| acknowledged.is_held_beside(place, *tag));
        }
    }

    /// A replica has lost its disk while clocks were further apart than is borne.
    pub(crate) fn clock_lost(&mut self, now: u64) {
        self.expiry.clock_lost();
        self.registers.clock_lost(now);
    }

    /// A replica's record is damaged.
    pub(crate) fn damaged(&mut self, place: usize) {
        self.acknowledged.damaged(place);
        self.heard.lost(place);
    }

    /// Whether a read heard of as many replicas as its level names.
    pub(crate) fn check_heard(
        &self,
        ended: &Ended<'_>,
        receipt: &Receipt,
        version: Option<&Version>,
    ) -> Result<(), String> {
        let replicas = self.replicas.len();
        self.heard.check((ended.invoked, version), receipt, replicas, |node| self.place(node))
    }

    /// Whether the replicas that counted hold what they are said to hold.
    fn check_counted(&self, tag: Tag, receipt: &Receipt) -> Result<(), String> {
        let replicas = self.replicas.len();
        let required = receipt.consistency.required_writes(replicas as u8);
        let required = required.map_err(|error| error.to_string())?;
        let places: Vec<_> = receipt.answered.iter().map(|id| self.place(id.0 as usize - 1)).collect();
        self.acknowledged.check_counted(tag, required, &places)
    }

    /// Nobody recovers what is in a table that is gone.
    fn check_acknowledged(&self) -> Result<(), String> {
        if self.may_be_gone { Ok(()) } else { self.acknowledged.check() }
    }

    /// Judges what can only be judged when all is over; `Ok(false)` if a checker gave up.
    pub(crate) fn judge(&self) -> Result<bool, String> {
        if self.has_siblings() { self.siblings.check() } else { self.registers.check() }
    }

    fn count(&mut self, acknowledged: bool) {
        self.counts = (self.counts.0 + 1, self.counts.1 + u64::from(acknowledged));
    }
}
