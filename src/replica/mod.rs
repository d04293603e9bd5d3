//! What a node does as an owner of keys: it stores and fetches for coordinators, and refuses what is
//! not its own. Answers leave only when the disk is done (rule S1).
//!
//! What a replica acknowledges adds up to a quorum with what others acknowledged. One of those may have lost its
//! disk since, and recovered from this replica before this replica held what it now acknowledges: the two
//! must not be added up. A coordinator that is cut off from the other one knows nothing of it, so this replica's
//! answer says what it knows ([`AfterLoss`]; rule R7).

mod cache;
mod conflicts;
mod deferral;
mod pages;
mod room;
mod shown;

use quorate_ring::{NodeId, Table, Tag, token_of};
use quorate_storage::{MergeError, ReadError, Row, State, StoreTerms, Write, WriteError, Written};

pub use self::{
    cache::StateCache,
    conflicts::Conflicts,
    deferral::Deferrals,
    pages::{PageErrand, read_own_page},
    shown::shown_with,
};
use self::{room::Room, shown::AwaitingReservation};

use crate::{
    node::{Alarm, DiskOperation, DiskRequest, DiskResult, Effect, Observation, Ticket, Turn},
    wire::{
        AfterLoss, Answer, Fetch, Fetched, Frame, Header, HeldAnswer, PeerMessage, PeerRefusal, Refused,
        Store, Stored, Want,
    },
};

/// This node as a replica.
#[derive(Debug, Default)]
pub struct Replica {
    /// Requests of peers that wait for the disk or the clock.
    room: Room,
    /// Pages of peers that wait for the disk.
    pages: usize,
    /// Those that wait for the clock.
    awaiting_reservation: Vec<AwaitingReservation>,
}

/// What the disk is to tell a peer.
#[derive(Clone, Debug)]
pub struct Errand {
    /// Who asked.
    pub peer: NodeId,
    /// The request's id and deadline.
    pub header: Header,
    /// Which key.
    pub row: Row,
    /// What a read is to give; none if it is a store.
    pub want: Option<Want>,
}

impl Replica {
    /// A coordinator asks what this replica holds.
    pub fn fetch(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, fetch: Fetch) {
        let Fetch { table, key, want } = fetch;
        let row = Row { token: token_of(&key), table, key };
        let errand = Errand { peer, header, row, want: Some(want) };
        if !self.admit(turn, &errand, None) {
            return;
        }
        if let Some(state) = turn.cache.get(&errand.row).cloned() {
            let message = Fetched { answer: Answer::State(state), clock: None }.into();
            return tell(turn, errand, message);
        }
        turn.cache.asks(&errand.row);
        let operation = DiskOperation::Read(errand.row.clone());
        self.hand_over(turn, errand, operation);
    }

    /// A coordinator sends a state to be kept.
    pub fn store(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, store: Store) {
        let Store { table, key, state, report, defer, fresh } = store;
        let row = Row { token: token_of(&key), table, key };
        let deferred = defer.then(|| row.clone());
        let tag = state.tag();
        let kind = state.kind();
        let horizon = turn.clock.horizon_for_peers(turn.now, fresh);
        let operation =
            store_operation(row.clone(), state, StoreTerms { horizon, report, ..StoreTerms::default() });
        let errand = Errand { peer, header, row, want: None };
        if self.admit(turn, &errand, Some(kind)) {
            #[cfg(feature = "mutants")]
            if turn.config.mutant == Some(crate::node::Mutant::CachedBeforeDurable)
                && let DiskOperation::Write(Write::Store { state, .. }) = &operation
            {
                turn.cache.asks(&errand.row);
                turn.cache.read(&errand.row, Some(Some(state.clone())));
            }
            self.hand_over(turn, errand, operation);
            turn.clock.observe_stored(turn.now, tag.hlc);
            deferred.iter().for_each(|row| turn.deferrals.defer(turn.now.mono, row));
        }
    }

    /// The disk is done with an errand: the peer hears of it, unless the deadline has passed.
    pub fn disk_done(&mut self, turn: &mut Turn<'_>, errand: Errand, result: DiskResult) {
        self.room.leave(errand.peer);
        if errand.want.is_some() {
            was_read(turn, &errand.row, &result);
        }
        match outcome(turn, &errand.row, result) {
            Err(halt) => turn.effects.push(Effect::Halt(halt)),
            Ok(message) if errand.header.deadline > turn.now.mono => tell(turn, errand, message),
            Ok(_) => turn.effects.push(Effect::Observe(Observation::Expired)),
        }
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self, replica_requests_max: usize) {
        self.room.validate(replica_requests_max);
        assert!(self.awaiting_reservation.len() <= self.room.waiting());
    }

    /// Whether this node does the errand; if not, the peer hears why.
    fn admit(
        &mut self,
        turn: &mut Turn<'_>,
        errand: &Errand,
        stored_kind: Option<quorate_ring::TableKind>,
    ) -> bool {
        if errand.header.deadline <= turn.now.mono {
            turn.effects.push(Effect::Observe(Observation::Expired));
            return false;
        }
        let judged = self.judge(turn, errand, stored_kind);
        if let Err(refusal) = &judged {
            answer(turn, errand.peer, errand.header, Refused { refusal: refusal.clone() }.into());
        }
        judged.is_ok()
    }

    fn hand_over(&mut self, turn: &mut Turn<'_>, errand: Errand, operation: DiskOperation) {
        self.room.enter(errand.peer);
        let deadline = errand.header.deadline;
        let ticket = Ticket::Replica(Box::new(errand));
        turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline, operation }));
    }

    fn judge(
        &mut self,
        turn: &mut Turn<'_>,
        errand: &Errand,
        stored_kind: Option<quorate_ring::TableKind>,
    ) -> Result<(), PeerRefusal> {
        // Tables and settings raise the epoch and move no range (rule M3).
        if errand.header.epoch < turn.catalog.moved_at() {
            return Err(PeerRefusal::WrongEpoch { known: turn.epoch });
        }
        let table = turn.catalog.table(errand.row.table).ok_or(PeerRefusal::UnknownTable)?;
        if !owns(turn, table, &errand.row) {
            return Err(PeerRefusal::WrongOwner);
        }
        // What is sent to be kept is kept, and acknowledged once this node has recovered.
        if stored_kind.is_none() && !serves(turn, &errand.row) {
            return Err(PeerRefusal::Recovering);
        }
        if stored_kind.is_some_and(|kind| kind != table.kind) {
            return Err(PeerRefusal::Damaged("a state of another table kind was sent".to_owned()));
        }
        self.forget_expired(turn.now.mono);
        if !self.room.is_there_for(errand.peer, turn.config) {
            turn.effects.push(Effect::Observe(Observation::Overloaded));
            return Err(PeerRefusal::Overloaded);
        }
        Ok(())
    }
}

/// What a batch that is durable has changed.
pub fn changed(turn: &mut Turn<'_>, result: DiskResult) {
    let DiskResult::Changed(changes) = result else {
        return;
    };
    for (row, state) in changes {
        turn.conflicts.changed(&row, state.as_ref());
        match state.and_then(State::told) {
            Some(state) if !turn.quarantine.contains(&row) => turn.cache.update(row, state),
            _ => turn.cache.forget(&row),
        }
    }
}

/// What a read of `row` by the disk has found.
fn was_read(turn: &mut Turn<'_>, row: &Row, result: &DiskResult) {
    let found = match result {
        DiskResult::Read(Ok(state)) if !turn.quarantine.contains(row) => {
            Some(state.clone().and_then(State::told))
        }
        _ => None,
    };
    if let Some(Some(state)) = &found {
        turn.conflicts.read(row, state);
    }
    turn.cache.read(row, found);
}

/// What the disk is to do with a state for `row`, this node's own coordinator's or a peer's. Whoever hands it
/// to the disk lets the clock observe the state's tag before: a later mint exceeds it (rule V5).
pub fn store_operation(row: Row, state: State, terms: StoreTerms) -> DiskOperation {
    DiskOperation::Write(Write::Store { row, state, terms })
}

/// What this replica holds of `row`, for this node's own coordinator, if it is remembered.
pub fn recall(turn: &Turn<'_>, row: &Row, want: Want) -> Option<PeerMessage> {
    let state = turn.cache.get(row)?;
    Some(match want {
        Want::Version => version_of(state.as_ref()),
        Want::State | Want::Digest => {
            let message = Fetched { answer: Answer::State(state.clone()), clock: None }.into();
            unless_in_conflict(turn, row, Some(want), message)
        }
    })
}

/// What the disk's result means to this node's own coordinator; see [`outcome`].
pub fn own_outcome(
    turn: &mut Turn<'_>,
    row: &Row,
    want: Option<Want>,
    result: DiskResult,
) -> Result<PeerMessage, String> {
    if want.is_some() {
        was_read(turn, row, &result);
    }
    match (want, result) {
        (Some(Want::Version), DiskResult::Read(Ok(state))) => {
            Ok(version_of(state.and_then(State::told).as_ref()))
        }
        (want, result) => {
            let message = outcome(turn, row, result)?;
            Ok(unless_in_conflict(turn, row, want, message))
        }
    }
}

/// What may be told of a key to whoever serves clients by it: no content that is in question (rule V4).
fn unless_in_conflict(turn: &Turn<'_>, row: &Row, want: Option<Want>, message: PeerMessage) -> PeerMessage {
    let told = match &message {
        PeerMessage::Fetched(Fetched { answer: Answer::State(state), .. }) if want != Some(Want::Version) => {
            state.as_ref()
        }
        PeerMessage::Stored(Stored { more, .. }) => more.as_ref(),
        _ => None,
    };
    match told.and_then(|state| turn.conflicts.within(row, state)) {
        Some(tag) => refused(in_conflict(tag)),
        None => message,
    }
}

/// The refusal of a key whose version `tag` is known with two contents.
pub fn in_conflict(tag: Tag) -> PeerRefusal {
    PeerRefusal::Damaged(MergeError::EqualTagDifferentBytes(tag).to_string())
}

/// What the disk's result means to whoever asked, this node's own coordinator or a peer's: a message, or
/// `Err` with the reason why this node must stop (rule S2).
pub fn outcome(turn: &mut Turn<'_>, row: &Row, result: DiskResult) -> Result<PeerMessage, String> {
    let message = match result {
        DiskResult::Read(Ok(state)) => {
            Fetched { answer: Answer::State(state.and_then(State::told)), clock: None }.into()
        }
        DiskResult::Written(Ok(Written::Stored { held, more } | Written::Covered { held, more })) => {
            Stored { held, more }.into()
        }
        DiskResult::Written(Ok(
            Written::Minted(_)
            | Written::Hints(_)
            | Written::Quarantined(_)
            | Written::Sound
            | Written::Digest(_)
            | Written::Meta,
        ))
        | DiskResult::Hints(_) => unasked("a write of another sort was reported for a store"),
        DiskResult::Scanned(_)
        | DiskResult::Hashed(_)
        | DiskResult::Measured(_)
        | DiskResult::Backup(_)
        | DiskResult::Changed(_) => unasked("something else was read for a key"),
        DiskResult::Expired => {
            turn.effects.push(Effect::Observe(Observation::Expired));
            refused(PeerRefusal::Overloaded)
        }
        DiskResult::Read(Err(error)) => read_failed(turn, row, error)?,
        DiskResult::Written(Err(error)) => write_failed(turn, row, error)?,
    };
    Ok(message)
}

fn read_failed(turn: &mut Turn<'_>, row: &Row, error: ReadError) -> Result<PeerMessage, String> {
    match error {
        ReadError::Corrupt(why) => {
            let reason = why.to_string();
            damaged(turn, row, &reason);
            turn.damaged.push(row.clone());
            Ok(refused(PeerRefusal::Damaged(reason)))
        }
        ReadError::Engine(why) if why.is_fatal() => Err(why.to_string()),
        why => Ok(refused(PeerRefusal::Disk(why.to_string()))),
    }
}

fn write_failed(turn: &mut Turn<'_>, row: &Row, error: WriteError) -> Result<PeerMessage, String> {
    let reason = error.to_string();
    match error {
        WriteError::Engine(why) if why.is_fatal() => return Err(reason),
        WriteError::Engine(_) => return Ok(refused(PeerRefusal::Full)),
        WriteError::TagAhead { limit, .. } => return Ok(refused(PeerRefusal::ClockAhead { limit })),
        #[cfg(feature = "mutants")]
        WriteError::Merge(MergeError::Outbid { promised, .. })
            if turn.config.mutant == Some(crate::node::Mutant::CasAcksOlder) =>
        {
            return Ok(Stored { held: promised, more: None }.into());
        }
        WriteError::Merge(MergeError::Outbid { promised, accepted }) => {
            return Ok(refused(PeerRefusal::Outbid { promised, accepted }));
        }
        WriteError::Merge(MergeError::EqualTagDifferentBytes(tag)) => found_conflict(turn, row, tag),
        WriteError::Corrupt(_) => {
            damaged(turn, row, &reason);
            turn.damaged.push(row.clone());
        }
        _ => damaged(turn, row, &reason),
    }
    Ok(refused(PeerRefusal::Damaged(reason)))
}

/// What this node holds of `row` under `tag` is not what it was sent under it (rule V4).
pub fn found_conflict(turn: &mut Turn<'_>, row: &Row, tag: Tag) {
    turn.conflicts.found(row, tag);
    let (table, key, node) = (row.table, row.key.clone(), turn.config.node);
    turn.effects.push(Effect::Alarm(Alarm::TagConflict { table, key, node, tag: Some(tag) }));
}

fn damaged(turn: &mut Turn<'_>, row: &Row, reason: &str) {
    turn.effects.push(Effect::Alarm(Alarm::DamagedRecord {
        table: row.table,
        key: row.key.clone(),
        node: turn.config.node,
        reason: reason.to_owned(),
    }));
}

/// A state of which a value expires goes with what the clock shows (rule D1).
fn with_clock(turn: &mut Turn<'_>, message: PeerMessage) -> PeerMessage {
    match message {
        PeerMessage::Fetched(Fetched { answer: Answer::State(state), .. }) => {
            let clock = shown_with(turn, state.as_ref());
            Fetched { answer: Answer::State(state), clock }.into()
        }
        message => message,
    }
}

/// A digest is made from the state that was read; what was not wanted does not travel.
fn narrowed(message: PeerMessage, want: Option<Want>) -> PeerMessage {
    match (message, want) {
        // A digest does not tell that it is none of a vote.
        (PeerMessage::Fetched(Fetched { answer: Answer::State(state), clock }), Some(Want::Digest))
            if state.as_ref().is_none_or(State::is_vote) =>
        {
            let digest = state.as_ref().map(|state: &State| (state.version(), state.digest()));
            Fetched { answer: Answer::Digest(digest), clock }.into()
        }
        (PeerMessage::Fetched(Fetched { answer: Answer::State(state), .. }), Some(Want::Version)) => {
            version_of(state.as_ref())
        }
        (message, _) => message,
    }
}

/// The answer to a question about the version alone.
fn version_of(state: Option<&State>) -> PeerMessage {
    Fetched { answer: Answer::Version(state.map(State::version)), clock: None }.into()
}

/// Tells the peer what this replica holds, as of now.
fn tell(turn: &mut Turn<'_>, errand: Errand, message: PeerMessage) {
    let message = unless_in_conflict(turn, &errand.row, errand.want, message);
    let message = with_clock(turn, message);
    let message = match narrowed(message, errand.want) {
        PeerMessage::Stored(_) if !serves(turn, &errand.row) => refused(PeerRefusal::Recovering),
        message => with_losses(turn, &errand.row, message),
    };
    answer(turn, errand.peer, errand.header, message);
}

/// Whether this node has what it acknowledged of the key (rule R7).
fn serves(turn: &Turn<'_>, row: &Row) -> bool {
    turn.up.serves(turn.config.node, row.table, row.token)
}

/// Adds to an answer what is known of other replicas' losses, if there are any.
fn with_losses(turn: &Turn<'_>, row: &Row, message: PeerMessage) -> PeerMessage {
    let table = turn.catalog.table(row.table);
    let replicas = table.map_or(&[][..], |table| turn.ring.replicas(row.token, table.replication));
    let lives = turn.lives.after_loss(replicas);
    match message {
        PeerMessage::Fetched(fetched) if !lives.is_empty() => {
            AfterLoss { lives, answer: HeldAnswer::Fetched(fetched) }.into()
        }
        PeerMessage::Stored(stored) if !lives.is_empty() => {
            AfterLoss { lives, answer: HeldAnswer::Stored(stored) }.into()
        }
        message => message,
    }
}

fn owns(turn: &Turn<'_>, table: &Table, row: &Row) -> bool {
    turn.ring.replicas(row.token, table.replication).contains(&turn.config.node)
}

fn answer(turn: &mut Turn<'_>, peer: NodeId, header: Header, message: PeerMessage) {
    let header = Header { epoch: turn.epoch, ..header };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

fn refused(refusal: PeerRefusal) -> PeerMessage {
    Refused { refusal }.into()
}

fn unasked(what: &str) -> PeerMessage {
    refused(PeerRefusal::Disk(what.to_owned()))
}
