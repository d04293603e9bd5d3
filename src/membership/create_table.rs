//! Creating a table on all founders or on none.
//!
//! The coordinator asks every founder to hold the table ready. Once all have said so, durably, it decides, and
//! makes its decision durable before it tells anyone. Nobody else decides: a founder that a crash or a lost
//! message left in doubt asks the coordinator (see `doubt`), and a coordinator that finds its own attempt
//! undecided when it starts has not told anyone, and refuses it.
//!
//! So a table is born with every founder present. A founder that hears of a table which it never held ready has
//! lost its directory since: it takes the table on as one to be recovered (see `adopt`, and rule R7).

mod adopt;
mod doubt;

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{Consistency, Duration, Hlc, Instant, NodeId, Table, TableId, TableKind, Tag, token_of};
use quorate_storage::{TableRecord, TableStage, WriteError};

use super::{
    attempt::{Attempt, Next, Phase},
    catalog::{attempt_of, write_table},
};
use crate::{
    coordinator::{answer, refuse},
    node::{ClientId, DiskResult, Effect, Timers, Turn},
    wire::{
        AbortTable, ClientMessage, CommitTable, CreateTable, Failure, Frame, Header, PeerMessage,
        PrepareTable, RequestError, RequestId, TableCreated, TableStanding, TableStatus,
    },
};

/// The creation of tables on this node, as coordinator and as founder.
#[derive(Debug, Default)]
pub struct CreateTables {
    /// Attempts that this process makes, by their name.
    attempts: BTreeMap<Tag, Attempt>,
    /// Records on their way to the disk, with the peers to be told.
    writing: BTreeMap<Tag, (TableRecord, Vec<(NodeId, Header)>)>,
    /// Founders that know nothing better of attempts whose coordinator lost its state.
    doubts: BTreeMap<Tag, BTreeSet<NodeId>>,
    timers: Timers<Alarm>,
    attempts_made: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Deadline(Tag),
    /// A table is served from memory because the disk had no room: try again.
    Rewrite(Tag),
    Inquire,
}

impl CreateTables {
    /// A client wants a table.
    pub fn create(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header, create: CreateTable) {
        let attempt = self.next_attempt(turn);
        let table = match self.checked(turn, attempt, create) {
            Ok(table) => table,
            Err(failure) => return refuse(turn, client, header, RequestError::not_applied(failure)),
        };
        let deadline = header.deadline.min(turn.now.mono + turn.config.request_timeout_max);
        let header = Header { deadline, ..header };
        let founders: BTreeSet<_> = turn.ring.members().iter().map(|m| m.id).collect();
        self.tell(turn, &PrepareTable { attempt, table: table.clone() }.into());
        let (coordinator, lives) = (turn.config.node, turn.lives.known());
        self.write(turn, attempt, &table, TableStage::Prepared { attempt, coordinator, lives });
        #[cfg(feature = "mutants")]
        let missing_max = match turn.config.mutant {
            Some(crate::node::Mutant::TableByMajority) => (founders.len() - 1) / 2,
            _ => 0,
        };
        let attempt_made = Attempt {
            client,
            header,
            table,
            phase: Phase::Preparing(founders),
            #[cfg(feature = "mutants")]
            missing_max,
        };
        self.attempts.insert(attempt, attempt_made);
        self.timers.set(deadline, Alarm::Deadline(attempt));
    }

    /// A peer's message about a table.
    pub fn handle(&mut self, turn: &mut Turn<'_>, from: NodeId, header: Header, message: PeerMessage) {
        match message {
            PeerMessage::PrepareTable(PrepareTable { attempt, table }) => {
                self.prepare(turn, from, header, attempt, table);
            }
            PeerMessage::CommitTable(CommitTable { attempt }) => {
                self.settle(turn, from, header, attempt, TableStage::Committed { attempt });
            }
            PeerMessage::AbortTable(AbortTable { attempt }) => {
                self.settle(turn, from, header, attempt, TableStage::Refused { attempt });
            }
            PeerMessage::InquireTable(inquiry) => self.inquired(turn, from, header, &inquiry),
            PeerMessage::TableStatus(TableStatus { attempt, standing }) => {
                self.heard(turn, from, attempt, standing);
            }
            _ => {}
        }
    }

    /// A record reached the disk, or did not.
    pub fn disk_done(&mut self, turn: &mut Turn<'_>, record: TableRecord, result: DiskResult) {
        let attempt = attempt_of(&record);
        let is_latest = self.writing.get(&attempt).is_none_or(|(latest, _)| *latest == record);
        let waiters = if is_latest { self.writing.remove(&attempt).map(|(_, w)| w) } else { None };
        match result {
            DiskResult::Written(Ok(_)) => {
                turn.catalog.put(record.clone());
                let standing = standing_of(&record);
                for (peer, header) in waiters.unwrap_or_default() {
                    reply(turn, peer, header, attempt, standing.clone());
                }
                self.own_record_durable(turn, &record);
            }
            DiskResult::Written(Err(WriteError::Engine(why))) if why.is_fatal() => {
                turn.effects.push(Effect::Halt(why.to_string()));
            }
            failed => {
                // Not held ready, and the coordinator may know. Any other answer must be durable first.
                if matches!(record.stage, TableStage::Prepared { .. }) {
                    for (peer, header) in waiters.unwrap_or_default() {
                        let standing = TableStanding::Refused("its disk has no room".to_owned());
                        reply(turn, peer, header, attempt, standing);
                    }
                }
                if matches!(record.stage, TableStage::Committed { .. }) {
                    self.timers.set(turn.now.mono + INQUIRE_EVERY, Alarm::Rewrite(attempt));
                }
                self.own_disk_failed(turn, attempt, &failed);
            }
        }
        self.watch_doubts(turn);
    }

    /// A peer is lost.
    pub fn peer_down(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let attempts: Vec<_> = self.attempts.keys().copied().collect();
        for attempt in attempts {
            self.judge(turn, attempt, |a| a.failed(peer, format!("the connection to {peer} was lost")));
        }
        self.doubts.values_mut().for_each(|ready| {
            ready.remove(&peer);
        });
    }

    /// A peer is back: it may settle a doubt.
    pub fn peer_up(&mut self, turn: &mut Turn<'_>) {
        self.inquire(turn);
    }

    /// Ends attempts past their deadline and asks about doubts.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(alarm) = self.timers.pop_due(turn.now.mono) {
            match alarm {
                Alarm::Deadline(attempt) => self.judge(turn, attempt, Attempt::timed_out),
                Alarm::Rewrite(attempt) => self.rewrite(turn, attempt),
                Alarm::Inquire => {
                    self.inquire(turn);
                    self.watch_doubts(turn);
                }
            }
        }
    }

    /// When [`CreateTables::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether an attempt is under way.
    pub fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Sees to it that doubts, such as those that a crash left, are asked about.
    pub fn watch_doubts(&mut self, turn: &mut Turn<'_>) {
        let has_doubts = turn.catalog.in_doubt().any(|attempt| !self.attempts.contains_key(&attempt));
        if has_doubts && self.timers.next().is_none() {
            self.timers.set(turn.now.mono + INQUIRE_EVERY, Alarm::Inquire);
        }
    }

    fn next_attempt(&mut self, turn: &Turn<'_>) -> Tag {
        self.attempts_made += 1;
        let hlc = Hlc(Hlc::from_wall(turn.now.wall).0 + self.attempts_made);
        Tag { hlc, actor: turn.config.actor }
    }

    fn checked(&self, turn: &Turn<'_>, attempt: Tag, create: CreateTable) -> Result<Table, Failure> {
        let CreateTable { name, kind, replication, read_consistency, write_consistency } = create;
        let nodes = turn.ring.members().len();
        if !Table::is_valid_name(&name) {
            let why = "a table name has 1 to 64 of a-z, 0-9 and _, and does not start with a digit";
            return Err(Failure::BadRequest(format!("'{name}': {why}")));
        }
        if kind == TableKind::Cas {
            return Err(Failure::Unsupported(format!("tables of kind '{kind}'")));
        }
        let replication = replication.unwrap_or(nodes.min(REPLICATION_DEFAULT) as u8);
        if replication == 0 || usize::from(replication) > nodes || replication > Table::REPLICATION_MAX {
            let most = nodes.min(usize::from(Table::REPLICATION_MAX));
            return Err(Failure::BadRequest(format!(
                "replication = {replication}: 1 to {most} are possible here"
            )));
        }
        let id = table_id(&name, attempt);
        let table = Table { id, name, kind, replication, read_consistency, write_consistency };
        check_levels(&table)?;
        if let Some(rival) = self.rival_of(turn, &table) {
            return Err(match rival.stage {
                TableStage::Committed { .. } => Failure::TableExists { name: table.name },
                _ => not_created(table.name, "another creation of it is under way: try again"),
            });
        }
        let is_down = |id: &NodeId| !turn.up.contains(*id);
        let down: Vec<_> =
            turn.ring.members().iter().filter(|m| is_down(&m.id)).map(|m| m.name.as_str()).collect();
        if down.is_empty() {
            Ok(table)
        } else {
            Err(not_created(
                table.name,
                &format!("all founders must be up, and these are down: {}", down.join(", ")),
            ))
        }
    }

    fn rival_of<'a>(&'a self, turn: &'a Turn<'_>, table: &Table) -> Option<&'a TableRecord> {
        let takes_place = |r: &&TableRecord| {
            !matches!(r.stage, TableStage::Refused { .. })
                && (r.table.name == table.name || r.table.id == table.id)
        };
        self.writing.values().map(|(record, _)| record).find(takes_place).or(turn.catalog.rival_of(table))
    }

    fn prepare(&mut self, turn: &mut Turn<'_>, from: NodeId, header: Header, attempt: Tag, table: Table) {
        if let Some((_, waiters)) = self.writing.get_mut(&attempt) {
            return waiters.push((from, header));
        }
        let standing = match (turn.catalog.record_of(attempt), self.rival_of(turn, &table)) {
            (Some(record), _) => standing_of(record),
            (None, Some(rival)) => {
                TableStanding::Refused(format!("table '{}' is there already", rival.table.name))
            }
            (None, None) => {
                let lives = turn.lives.known();
                self.write(turn, attempt, &table, TableStage::Prepared { attempt, coordinator: from, lives });
                return self.wait_for_write(attempt, from, header);
            }
        };
        reply(turn, from, header, attempt, standing);
    }

    /// The coordinator has decided. A founder that has not heard of the attempt has nothing to settle: if it held
    /// the table ready before it lost its state, it will be told of it.
    fn settle(&mut self, turn: &mut Turn<'_>, from: NodeId, header: Header, attempt: Tag, stage: TableStage) {
        let writing = self.writing.get(&attempt).map(|(record, _)| record);
        let Some(record) = writing.or(turn.catalog.record_of(attempt)).cloned() else {
            return reply(turn, from, header, attempt, TableStanding::Unknown);
        };
        if matches!(record.stage, TableStage::Prepared { .. }) {
            self.write(turn, attempt, &record.table, stage);
            self.wait_for_write(attempt, from, header);
        } else {
            reply(turn, from, header, attempt, standing_of(&record));
        }
    }

    /// A founder says how an attempt stands with it.
    fn heard(&mut self, turn: &mut Turn<'_>, from: NodeId, attempt: Tag, standing: TableStanding) {
        if self.attempts.contains_key(&attempt) {
            return self.judge(turn, attempt, |a| match standing {
                TableStanding::Prepared => a.agreed(from),
                TableStanding::Committed | TableStanding::Unknown => a.told(from),
                TableStanding::Refused(why) => a.failed(from, format!("{from} refused: {why}")),
                TableStanding::Deciding => Next::Wait,
            });
        }
        self.heard_in_doubt(turn, from, attempt, standing);
    }

    /// Makes a table durable that is served from memory.
    fn rewrite(&mut self, turn: &mut Turn<'_>, attempt: Tag) {
        let record = turn.catalog.record_of(attempt).cloned();
        if let Some(record) = record.filter(|r| matches!(r.stage, TableStage::Committed { .. })) {
            self.write(turn, attempt, &record.table, record.stage);
        }
    }

    /// Lets an event happen to an attempt, and does what follows.
    fn judge(&mut self, turn: &mut Turn<'_>, attempt: Tag, event: impl FnOnce(&mut Attempt) -> Next) {
        let Some(state) = self.attempts.get_mut(&attempt) else {
            return;
        };
        let table = state.table.clone();
        match event(state) {
            Next::Wait => {}
            Next::Decide => {
                state.phase = Phase::Deciding;
                self.write(turn, attempt, &table, TableStage::Committed { attempt });
            }
            Next::Refuse(reason) => {
                state.phase = Phase::Refusing(reason);
                self.write(turn, attempt, &table, TableStage::Refused { attempt });
            }
            Next::Done => self.finish(turn, attempt, Ok(TableCreated { table }.into())),
        }
    }

    fn own_record_durable(&mut self, turn: &mut Turn<'_>, record: &TableRecord) {
        let attempt = attempt_of(record);
        let own = turn.config.node;
        let Some(state) = self.attempts.get_mut(&attempt) else {
            return;
        };
        match (&state.phase, &record.stage) {
            (Phase::Preparing(_), TableStage::Prepared { .. }) => {
                self.judge(turn, attempt, |a| a.agreed(own))
            }
            (Phase::Deciding, TableStage::Committed { .. }) => {
                state.phase = Phase::Telling(turn.peers().chain([own]).collect());
                // The deadline may have passed while the disk was busy: then nobody is waited for.
                self.timers.set(state.header.deadline.max(turn.now.mono), Alarm::Deadline(attempt));
                self.tell(turn, &CommitTable { attempt }.into());
                for gone in
                    turn.peers().filter(|peer| !turn.up.contains(*peer)).chain([own]).collect::<Vec<_>>()
                {
                    self.judge(turn, attempt, |a| a.told(gone));
                }
            }
            (Phase::Refusing(reason), TableStage::Refused { .. }) => {
                let failure = not_created(state.table.name.clone(), reason);
                self.tell(turn, &AbortTable { attempt }.into());
                self.finish(turn, attempt, Err(RequestError::not_applied(failure)));
            }
            _ => {}
        }
    }

    /// This node could not write. What it did not hold ready durably, no founder will ever serve; what it
    /// could not decide stays in doubt and is settled when there is room again.
    fn own_disk_failed(&mut self, turn: &mut Turn<'_>, attempt: Tag, failed: &DiskResult) {
        let Some(state) = self.attempts.get(&attempt) else {
            return;
        };
        let failure = not_created(state.table.name.clone(), &format!("this node cannot write: {failed:?}"));
        let error = match state.phase {
            Phase::Preparing(_) => {
                self.tell(turn, &AbortTable { attempt }.into());
                RequestError::not_applied(failure)
            }
            _ => RequestError::unknown(failure),
        };
        self.finish(turn, attempt, Err(error));
    }

    fn finish(&mut self, turn: &mut Turn<'_>, attempt: Tag, end: Result<ClientMessage, RequestError>) {
        if let Some(state) = self.attempts.remove(&attempt) {
            self.timers.cancel(state.header.deadline, Alarm::Deadline(attempt));
            answer(turn, state.client, state.header, end.unwrap_or_else(ClientMessage::RequestError));
        }
    }

    fn write(&mut self, turn: &mut Turn<'_>, attempt: Tag, table: &Table, stage: TableStage) {
        let record = TableRecord { table: table.clone(), stage };
        let (latest, _) = self.writing.entry(attempt).or_insert_with(|| (record.clone(), Vec::new()));
        *latest = record.clone();
        write_table(record, turn.effects);
    }

    fn wait_for_write(&mut self, attempt: Tag, peer: NodeId, header: Header) {
        if let Some((_, waiters)) = self.writing.get_mut(&attempt) {
            waiters.push((peer, header));
        }
    }

    fn tell(&self, turn: &mut Turn<'_>, message: &PeerMessage) {
        let header = Header {
            id: RequestId(0),
            epoch: turn.ring.epoch(),
            deadline: turn.now.mono + turn.config.request_timeout_max,
        };
        for peer in turn.peers().collect::<Vec<_>>() {
            turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message: message.clone() } });
        }
    }
}

fn reply(turn: &mut Turn<'_>, peer: NodeId, header: Header, attempt: Tag, standing: TableStanding) {
    let message = TableStatus { attempt, standing }.into();
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

fn standing_of(record: &TableRecord) -> TableStanding {
    match record.stage {
        TableStage::Prepared { .. } => TableStanding::Prepared,
        TableStage::Committed { .. } | TableStage::Recovering { .. } => TableStanding::Committed,
        TableStage::Refused { .. } => TableStanding::Refused("it was given up".to_owned()),
    }
}

/// Ids are drawn from name and attempt; a founder that has the id in use already refuses.
fn table_id(name: &str, attempt: Tag) -> TableId {
    let text = format!("{name} {attempt}");
    TableId(token_of(text.as_bytes()).0 as u32)
}

/// Refuses default levels that no request could reach.
fn check_levels(table: &Table) -> Result<(), Failure> {
    let reads = table.read_consistency.required_reads(table.replication);
    let writes = table.write_consistency.required_writes(table.replication);
    reads.and(writes).map_err(|why| Failure::BadRequest(why.to_string()))?;
    if table.write_consistency == Consistency::Any && table.kind != TableKind::Siblings {
        return Err(Failure::BadRequest("ANY is for siblings tables only (rule Q2): use ONE".to_owned()));
    }
    Ok(())
}

fn not_created(name: String, reason: &str) -> Failure {
    Failure::TableNotCreated { name, reason: reason.to_owned() }
}

const REPLICATION_DEFAULT: usize = 3;
const INQUIRE_EVERY: Duration = Duration::from_millis(500);
