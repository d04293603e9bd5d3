//! A mock's `cas` tables. Nobody else takes part in a round: each write is one that was accepted at once.

use quorate_ring::{Actor, Consistency, Hlc, NodeId, TableKind, Tag};
use quorate_storage::{Accepted, Acceptor, Content, Seen, State};

use super::{
    Failure,
    catalog::Catalog,
    data::{Data, Place, check_size, place},
};
use crate::wire::{CompareAndSet, ComparedAndSet, Condition};

impl Data {
    pub(super) fn compare_and_set(
        &mut self,
        catalog: &Catalog,
        node: NodeId,
        request: CompareAndSet,
    ) -> Result<ComparedAndSet, Failure> {
        let CompareAndSet { table, key, condition, value, consistency } = request;
        let wanted = if let Condition::Value(wanted) = &condition { Some(wanted) } else { None };
        value.iter().chain(wanted).try_for_each(check_size)?;
        let place = place(catalog, table, key, consistency, Consistency::required_writes)?;
        if place.table.kind != TableKind::Cas {
            return Err(Failure::BadRequest(CAS_ONLY.to_owned()));
        }
        check_level(&place)?;
        let state = self.state(&place.row)?;
        let held = self.values(state.as_ref()).pop();
        if !condition.is_met_by(held.as_ref().map(|held| &held.value)) {
            let receipt = place.receipt(catalog, node, state.as_ref().map(State::tag));
            return Ok(ComparedAndSet { applied: false, found: held, receipt });
        }
        let tag = self.tick()?;
        self.store(&place, tag, Seen::Durable, value.map_or(Content::Tombstone, Content::Value))?;
        let receipt = place.receipt(catalog, node, Some(tag));
        Ok(ComparedAndSet { applied: true, found: None, receipt })
    }
}

/// What a key of a `cas` table holds after the write `tag`.
pub(super) fn chosen(tag: Tag, content: Content) -> State {
    // What it took the place of tells something to a proposer that was outbid, and there is none.
    let replaced = Tag { hlc: Hlc::ZERO, actor: Actor(0) };
    State::Cas(Acceptor::accepting(Accepted { ballot: tag, write: tag, replaced, content }))
}

/// Rounds are decided by quorums, whatever a client settles for (rule C1).
pub(super) fn check_level(place: &Place<'_>) -> Result<(), Failure> {
    if place.required > usize::from(place.table.replication) / 2 {
        return Ok(());
    }
    Err(Failure::BadRequest("cas tables are written at QUORUM or above".to_owned()))
}

const CAS_ONLY: &str =
    "conditions are for cas tables only: of others no quorum decides what a key holds at a time";
