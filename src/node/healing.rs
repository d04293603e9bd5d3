//! What a node tells of what makes it whole: its hints, its comparisons, its scrub, and what it holds of one key. All of it
//! is for people and for who waits until replicas are equal; nothing here decides anything.

use std::sync::Arc;

use quorate_ring::{Table, Tag, token_of};
use quorate_storage::{Content, ReadError, Row, State, Version};

use super::{ClientId, DiskOperation, DiskRequest, DiskResult, Effect, Ticket, Turn};
use crate::{
    coordinator::{answer, refuse},
    handoff::Handoff,
    repair::Repair,
    wire::{
        ClientMessage, Failure, Header, HealingDescribed, Held, HeldVersion, ReadReplica, ReplicaRead,
        RequestError,
    },
};

/// A look at what this node holds of a key.
#[derive(Clone, Debug)]
pub struct Inspection {
    client: ClientId,
    header: Header,
    row: Row,
}

/// Begins what the question asks for, and says how this node stands.
pub(super) fn describe(
    turn: &mut Turn<'_>,
    repair: &mut Repair,
    handoff: &Handoff,
    question: &ClientMessage,
) -> HealingDescribed {
    let says_agreements = match question {
        ClientMessage::DescribeHealing(describe) => describe.agreements,
        ClientMessage::CompareNow(_) => {
            repair.compare_now(turn);
            true
        }
        _ => {
            repair.scrub_now(turn);
            false
        }
    };
    HealingDescribed {
        node: turn.config.node,
        hints: handoff.describe(turn),
        hints_under_way: handoff.under_way(),
        agreements: says_agreements.then(|| repair.agreements(turn)).flatten(),
        given: repair.given(),
        cells_unknown: repair.cells_unknown(),
        scrub: repair.scrubbing(),
        quarantined: turn.quarantine.len() as u64,
    }
}

/// Has the disk read what this node holds of a key.
pub(super) fn inspect(turn: &mut Turn<'_>, client: ClientId, header: Header, read: ReadReplica) {
    let ReadReplica { table, key } = read;
    if turn.catalog.table(table).is_none() {
        let failure = Failure::UnknownTable { name: table.to_string() };
        return refuse(turn, client, header, RequestError::not_applied(failure));
    }
    let row = Row { token: token_of(&key), table, key };
    let operation = DiskOperation::Read(row.clone());
    let ticket = Ticket::Inspect(Box::new(Inspection { client, header, row }));
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: header.deadline, operation }));
}

/// The disk has read it.
pub(super) fn inspected(turn: &mut Turn<'_>, inspection: Inspection, result: DiskResult) {
    let Inspection { client, header, row } = inspection;
    let is_in_conflict = matches!(&result, DiskResult::Read(Ok(Some(state)))
        if turn.conflicts.within(&row, state).is_some());
    let held = match result {
        DiskResult::Read(Ok(state)) => {
            state.and_then(State::told).map_or(Held::Absent, |state| record(&state))
        }
        DiskResult::Read(Err(ReadError::Corrupt(why))) => {
            turn.damaged.push(row.clone());
            Held::Damaged(why.to_string())
        }
        DiskResult::Read(Err(ReadError::Engine(why))) if why.is_fatal() => {
            return turn.effects.push(Effect::Halt(why.to_string()));
        }
        DiskResult::Read(Err(ReadError::Engine(why))) => {
            let failure =
                Failure::ReplicasFailed { required: 1, answered: 0, failed: 1, reason: why.to_string() };
            return refuse(turn, client, header, RequestError::not_applied(failure));
        }
        // Nobody waits for it any more.
        _ => return,
    };
    let own = turn.config.node;
    let is_replica = |table: &Arc<Table>| turn.ring.replicas(row.token, table.replication).contains(&own);
    let counts = turn.catalog.table(row.table).is_some_and(is_replica)
        && turn.up.serves(own, row.table, row.token)
        && !turn.quarantine.contains(&row)
        && !is_in_conflict
        && !matches!(held, Held::Damaged(_));
    answer(turn, client, header, ReplicaRead { node: own, counts, held }.into());
}

fn record(state: &State) -> Held {
    let seen = match state.version() {
        Version::Tag(tag) => vec![tag],
        Version::Vector(vector) => vector.entries().collect(),
    };
    let version = |(tag, content): (Tag, &Content)| HeldVersion {
        tag,
        value: content.value().cloned(),
        expires: content.expires(),
    };
    Held::Record { seen, versions: state.contents().map(version).collect() }
}
