//! The other side: a replica that gives its durable states to whoever recovers.

use bytes::Bytes;
use quorate_ring::{NodeId, Table, TableId, token_of};
use quorate_storage::{Page, ReadError, Row, State};

use crate::{
    node::{Alarm, DiskOperation, DiskRequest, DiskResult, Effect, Observation, Scan, Ticket, Turn},
    wire::{Frame, Header, PeerRefusal, Pull, PullScope, Pulled, PulledPage},
};

/// This node as a source.
#[derive(Debug, Default)]
pub struct Source {
    /// Pulls that wait for the disk.
    waiting: usize,
}

/// A pull that waits for the disk.
#[derive(Clone, Debug)]
pub struct SourceErrand {
    /// Who asked.
    pub peer: NodeId,
    /// The request's id and deadline.
    pub header: Header,
    /// Of which table.
    pub table: TableId,
    /// Which key, if it is one.
    pub key: Option<Bytes>,
}

impl Source {
    /// A peer asks for a page, or for one key.
    pub fn pull(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, pull: Pull) {
        if header.deadline <= turn.now.mono {
            return turn.effects.push(Effect::Observe(Observation::Expired));
        }
        if let Err(refusal) = self.admit(turn, peer, header, &pull) {
            return answer(turn, peer, header, Err(refusal));
        }
        let Pull { table, scope } = pull;
        let (operation, key) = match scope {
            PullScope::Key(key) => {
                let row = Row { token: token_of(&key), table, key: key.clone() };
                (DiskOperation::Read(row), Some(key))
            }
            PullScope::Ranges { ranges, after } => {
                let bytes_max = PAGE_BYTES_MAX.min(turn.config.value_bytes_max + PAGE_BYTES_MIN);
                (DiskOperation::Scan(Scan { table, ranges, after, bytes_max }), None)
            }
        };
        self.waiting += 1;
        let ticket = Ticket::Source(Box::new(SourceErrand { peer, header, table, key }));
        turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: header.deadline, operation }));
    }

    /// The disk is done: the peer gets what is there. `Err` if the node must stop.
    pub fn disk_done(
        &mut self,
        turn: &mut Turn<'_>,
        errand: SourceErrand,
        result: DiskResult,
    ) -> Result<(), String> {
        self.waiting -= 1;
        let SourceErrand { peer, header, table, key } = errand;
        let result = match (result, key) {
            (DiskResult::Scanned(Ok(page)), _) => Ok(page),
            (DiskResult::Read(Ok(state)), Some(key)) => Ok(one(key, state)),
            (DiskResult::Read(Err(ReadError::Corrupt(_))), Some(key)) => {
                Ok(Page { damaged: vec![key], ..Page::default() })
            }
            (DiskResult::Scanned(Err(why)) | DiskResult::Read(Err(ReadError::Engine(why))), _) => {
                if why.is_fatal() {
                    return Err(why.to_string());
                }
                Err(PeerRefusal::Disk(why.to_string()))
            }
            _ => Err(PeerRefusal::Overloaded),
        };
        let result = result.map(|page| {
            for key in &page.damaged {
                let reason = "found while a peer recovers".to_owned();
                turn.damaged.push(Row { token: token_of(key), table, key: key.clone() });
                let (key, node) = (key.clone(), turn.config.node);
                turn.effects.push(Effect::Alarm(Alarm::DamagedRecord { table, key, node, reason }));
            }
            let Page { states, damaged, next } = page;
            PulledPage { states, damaged, next, clock: turn.clock.present(turn.now) }
        });
        answer(turn, peer, header, result);
        Ok(())
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        assert!(self.waiting <= WAITING_MAX, "more pulls wait than were let in");
    }

    fn admit(
        &self,
        turn: &mut Turn<'_>,
        peer: NodeId,
        header: Header,
        pull: &Pull,
    ) -> Result<(), PeerRefusal> {
        if header.epoch < turn.catalog.moved_at() {
            return Err(PeerRefusal::WrongEpoch { known: turn.epoch });
        }
        let table = turn.catalog.table(pull.table).ok_or(PeerRefusal::UnknownTable)?;
        let own = turn.config.node;
        let (owns, serves) = match &pull.scope {
            PullScope::Key(key) => {
                let token = token_of(key);
                (shares(turn, table, token, peer), turn.up.serves(own, table.id, token))
            }
            PullScope::Ranges { ranges, .. } => (
                ranges.iter().all(|range| shares(turn, table, range.end, peer)),
                turn.up.serves_all(own, table.id, ranges),
            ),
        };
        if !owns {
            return Err(PeerRefusal::WrongOwner);
        }
        if !serves {
            return Err(PeerRefusal::Recovering);
        }
        if self.waiting >= WAITING_MAX {
            turn.effects.push(Effect::Observe(Observation::Overloaded));
            return Err(PeerRefusal::Overloaded);
        }
        Ok(())
    }
}

/// Whether this node and `peer` both are replicas of what lies at `token`.
fn shares(turn: &Turn<'_>, table: &Table, token: quorate_ring::Token, peer: NodeId) -> bool {
    let replicas = turn.ring.replicas(token, table.replication);
    replicas.contains(&turn.config.node) && replicas.contains(&peer)
}

fn one(key: Bytes, state: Option<State>) -> Page {
    Page { states: state.map(|state| (key, state)).into_iter().collect(), ..Page::default() }
}

fn answer(turn: &mut Turn<'_>, peer: NodeId, header: Header, result: Result<PulledPage, PeerRefusal>) {
    let header = Header { epoch: turn.epoch, ..header };
    let frame = Frame { header, message: Pulled { result }.into() };
    turn.effects.push(Effect::ToPeer { peer, frame });
}

/// Pulls that wait for the disk at a time; more are refused as overloaded.
const WAITING_MAX: usize = 32;
/// The longest page, in bytes, unless one record is longer.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// What any frame has room for beside the longest value.
const PAGE_BYTES_MIN: usize = 48 * 1024;
