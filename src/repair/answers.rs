//! The other side of a comparison. It keeps nothing between two questions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use quorate_ring::{NodeId, TokenRange};
use quorate_storage::{DigestAnswer, DigestQuery, DigestWork, Page, Row};

use super::{
    ANSWERING_MAX, EVERY, PATIENCE, Repair, RepairTicket, digest_answer, digests, disk, row,
    session::{BRANCHES_MAX, KEYS_BYTES_MAX},
    sets::{ReplicaSet, parts},
};
use crate::{
    node::{DiskOperation, DiskResult, Effect, Scan, Turn},
    wire::{
        Branch, Compare, CompareKeys, Compared, Comparison, Frame, Header, KeysCompared, PeerMessage,
        PeerRefusal, Refused,
    },
};

/// A peer's question about digests, while the disk looks them up.
#[derive(Clone, Debug)]
pub struct CompareErrand {
    peer: NodeId,
    header: Header,
    /// Each branch, and in how many parts it is looked up; none if it cannot be.
    branches: Vec<(Branch, usize)>,
}

/// A peer's question about keys, while the disk reads them.
#[derive(Clone, Debug)]
pub struct KeysErrand {
    peer: NodeId,
    header: Header,
    compare: CompareKeys,
}

pub(super) fn compare(
    repair: &mut Repair,
    turn: &mut Turn<'_>,
    peer: NodeId,
    header: Header,
    compare: Compare,
) {
    let Compare { slicing, branches } = compare;
    if let Some(refusal) =
        refusal(repair, turn, header).or((branches.len() > BRANCHES_MAX).then_some(PeerRefusal::Overloaded))
    {
        return answer(turn, peer, header, Refused { refusal }.into());
    }
    // The peer drives the comparison of the two: this side need not begin another one beside it.
    repair.due.put_off(peer, turn.now.mono + PATIENCE);
    let fits = slicing == repair.sets.slicing().fingerprint() && repair.sets.fit(turn.ring);
    let mut queries = Vec::new();
    let branches = branches.into_iter().map(|branch| {
        let before = queries.len();
        if fits {
            queries.extend(queries_of(repair, turn, peer, &branch));
        }
        (branch, queries.len() - before)
    });
    let errand = CompareErrand { peer, header, branches: branches.collect() };
    repair.answering += 1;
    digests(turn, RepairTicket::Compare(Box::new(errand)), DigestWork::Compare(queries));
}

pub(super) fn refuse_for_now(turn: &mut Turn<'_>, peer: NodeId, header: Header) {
    answer(turn, peer, header, Refused { refusal: PeerRefusal::Overloaded }.into());
}

/// What is to be looked up for a branch: each of its parts. Nothing if the two do not share it, or one of them recovers.
fn queries_of(repair: &mut Repair, turn: &Turn<'_>, peer: NodeId, branch: &Branch) -> Vec<DigestQuery> {
    let Some(table) = turn.catalog.table(branch.table) else {
        return Vec::new();
    };
    let sets = repair.sets.of(turn.ring, table.replication);
    let Some(set) = sets.get(peer, branch.set) else {
        return Vec::new();
    };
    let ends = branch.at.checked_add(branch.span);
    let is_inside = branch.span > 0 && ends.is_some_and(|end| end <= set.len());
    let serves = |node| turn.up.serves_all(node, table.id, &set.ranges);
    if !is_inside || !serves(turn.config.node) || !serves(peer) {
        return Vec::new();
    }
    let part = |(at, span)| DigestQuery { table: table.id, cells: set.cells(at, span) };
    parts(branch.at, branch.span).map(part).collect()
}

pub(super) fn digests_read(
    repair: &mut Repair,
    turn: &mut Turn<'_>,
    errand: CompareErrand,
    result: DiskResult,
) {
    repair.answering -= 1;
    let CompareErrand { peer, header, branches } = errand;
    let Some(DigestAnswer::Compared(own)) = digest_answer(result) else {
        return answer(turn, peer, header, Refused { refusal: PeerRefusal::Overloaded }.into());
    };
    let mut own = own.into_iter();
    let (mut comparisons, mut all_same, mut is_unknown) = (Vec::with_capacity(branches.len()), true, false);
    for (branch, count) in branches {
        let parts: Option<Vec<u64>> = own.by_ref().take(count).collect();
        is_unknown |= parts.is_none();
        let comparison = match parts.filter(|parts| !parts.is_empty()) {
            None => Comparison::Unknown,
            Some(parts) if parts.iter().fold(0, |sum, part| sum ^ part) == branch.digest => Comparison::Same,
            Some(_) if branch.span == 1 => Comparison::Differs(Vec::new()),
            Some(parts) => Comparison::Differs(parts),
        };
        let is_root = is_whole(repair, turn, peer, &branch);
        if comparison == Comparison::Same && is_root {
            repair.agreements.found_by_peer(peer, branch.table, branch.set, turn.now.mono);
        }
        all_same &= comparison == Comparison::Same && is_root;
        comparisons.push(comparison);
    }
    if is_unknown {
        repair.upkeep.rebuild(turn.now.mono);
    }
    // The pair has just been compared: this side need not begin.
    if all_same {
        repair.due.put_off(peer, turn.now.mono + EVERY / 2 * 3);
    }
    answer(turn, peer, header, Compared { comparisons }.into());
}

fn is_whole(repair: &mut Repair, turn: &Turn<'_>, peer: NodeId, branch: &Branch) -> bool {
    let Some(table) = turn.catalog.table(branch.table) else {
        return false;
    };
    let sets = repair.sets.of(turn.ring, table.replication);
    let whole = sets.get(peer, branch.set).map(ReplicaSet::len);
    branch.at == 0 && whole == Some(branch.span)
}

pub(super) fn compare_keys(
    repair: &mut Repair,
    turn: &mut Turn<'_>,
    peer: NodeId,
    header: Header,
    compare: CompareKeys,
) {
    let refusal = refusal(repair, turn, header).or_else(|| refusal_of_keys(repair, turn, peer, &compare));
    if let Some(refusal) = refusal {
        return answer(turn, peer, header, Refused { refusal }.into());
    }
    let CompareKeys { table, ranges, after, .. } = compare.clone();
    repair.answering += 1;
    let scan = Scan { table, ranges, after, bytes_max: KEYS_BYTES_MAX };
    let errand = KeysErrand { peer, header, compare };
    disk(turn, RepairTicket::Keys(Box::new(errand)), DiskOperation::Hashes(scan));
}

fn refusal_of_keys(
    repair: &Repair,
    turn: &Turn<'_>,
    peer: NodeId,
    compare: &CompareKeys,
) -> Option<PeerRefusal> {
    let Some(table) = turn.catalog.table(compare.table) else {
        return Some(PeerRefusal::UnknownTable);
    };
    let is_shared = |range: &TokenRange| {
        let replicas = turn.ring.replicas(range.end, table.replication);
        replicas.contains(&turn.config.node) && replicas.contains(&peer)
    };
    if !compare.ranges.iter().all(is_shared) {
        return Some(PeerRefusal::WrongOwner);
    }
    if !turn.up.serves_all(turn.config.node, table.id, &compare.ranges) {
        return Some(PeerRefusal::Recovering);
    }
    let backlog = repair.giving.get(&peer).map_or(0, super::Giving::len);
    (backlog > BACKLOG_MAX).then_some(PeerRefusal::Overloaded)
}

pub(super) fn keys_read(repair: &mut Repair, turn: &mut Turn<'_>, errand: KeysErrand, result: DiskResult) {
    repair.answering -= 1;
    let KeysErrand { peer, header, compare } = errand;
    let DiskResult::Hashed(Ok(page)) = result else {
        return answer(turn, peer, header, Refused { refusal: PeerRefusal::Overloaded }.into());
    };
    #[cfg(feature = "mutants")]
    if turn.config.mutant == Some(crate::node::Mutant::RepairAbsenceWins) {
        delete_what_the_peer_lacks(turn, &compare, &page);
    }
    let table = compare.table;
    turn.damaged.extend(page.damaged.iter().map(|key| row(table, key.clone())));
    let unknown = page.damaged.len() as u32;
    let Difference { wanted, to_give, next } = differ(compare, page);
    let given = to_give.len() as u32;
    answer(turn, peer, header, KeysCompared { wanted, given, unknown, next }.into());
    repair.queue(turn, peer, to_give);
}

#[cfg(feature = "mutants")]
fn delete_what_the_peer_lacks(turn: &mut Turn<'_>, compare: &CompareKeys, page: &Page<u64>) {
    use quorate_storage::{Content, Register, State, Write};
    let is_register =
        turn.catalog.table(compare.table).is_some_and(|t| t.kind == quorate_ring::TableKind::Register);
    let lacks = |key: &&Bytes| !compare.keys.iter().any(|(other, _)| other == *key);
    let whole = compare.until.is_none() && page.next.is_none() && is_register;
    for key in page.states.iter().map(|(key, _)| key).filter(lacks).filter(|_| whole) {
        if let Some(tag) = turn.clock.mint(turn.now, None, turn.effects) {
            let state = State::Register(Register { tag, content: Content::Tombstone });
            let write = Write::store(row(compare.table, key.clone()), state);
            disk(turn, RepairTicket::Mistake, DiskOperation::Write(write));
        }
    }
}

/// How the keys of two replicas differ.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    /// What the asker has to give.
    wanted: Vec<Bytes>,
    /// What it lacks.
    to_give: Vec<Row>,
    /// Up to where both have looked.
    next: Option<Row>,
}

/// Compares what a peer holds with what this node holds, as far as both have looked. Of a key whose record is damaged
/// on either side nothing is known there, so nothing is said (rule S3); a key that one side lacks is given to it (A2).
fn differ(theirs: CompareKeys, own: Page<u64>) -> Difference {
    let CompareKeys { table, until, keys, damaged: their_damaged, .. } = theirs;
    let next = match (until, own.next) {
        (Some(theirs), Some(own)) => Some(theirs.min(own)),
        (theirs, own) => theirs.or(own),
    };
    let is_inside = |key: &Bytes| next.as_ref().is_none_or(|next| row(table, key.clone()) <= *next);
    let theirs: BTreeMap<_, _> = keys.into_iter().filter(|(key, _)| is_inside(key)).collect();
    let mine: BTreeMap<_, _> = own.states.into_iter().filter(|(key, _)| is_inside(key)).collect();
    let damaged: BTreeSet<_> = own.damaged.into_iter().chain(their_damaged).collect();
    let differs = |key: &&Bytes| theirs.get(*key) != mine.get(*key) && !damaged.contains(*key);
    let wanted = theirs.keys().filter(differs).cloned().collect();
    let to_give = mine.keys().filter(differs).map(|key| row(table, key.clone())).collect();
    Difference { wanted, to_give, next }
}

/// Why a peer's question is not even looked at.
fn refusal(repair: &Repair, turn: &Turn<'_>, header: Header) -> Option<PeerRefusal> {
    if header.epoch < turn.catalog.moved_at() {
        return Some(PeerRefusal::WrongEpoch { known: turn.epoch });
    }
    if !turn.serves {
        return Some(PeerRefusal::Behind);
    }
    (header.deadline <= turn.now.mono || repair.answering >= ANSWERING_MAX).then_some(PeerRefusal::Overloaded)
}

fn answer(turn: &mut Turn<'_>, peer: NodeId, header: Header, message: PeerMessage) {
    let header = Header { epoch: turn.epoch, ..header };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

/// States on their way to a peer beyond which it is not told of more.
const BACKLOG_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use quorate_ring::TableId;

    use super::*;

    fn key(n: u8) -> Bytes {
        vec![n].into()
    }

    /// The keys 0 to 9 in the order of their tokens.
    fn in_order() -> Vec<Bytes> {
        let mut keys: Vec<_> = (0..10).map(key).collect();
        keys.sort_by_key(|key| row(TableId(1), key.clone()));
        keys
    }

    fn compare(keys: Vec<(Bytes, u64)>, damaged: Vec<Bytes>, until: Option<Row>) -> CompareKeys {
        CompareKeys { table: TableId(1), ranges: vec![TokenRange::FULL], after: None, until, keys, damaged }
    }

    #[test]
    fn each_side_is_given_what_it_lacks_and_both_what_differs() {
        let theirs = compare(vec![(key(1), 5), (key(2), 5), (key(3), 5)], vec![key(6)], None);
        let states = vec![(key(2), 5), (key(3), 6), (key(4), 5), (key(6), 1)];
        let own = Page { states, damaged: vec![key(1)], next: None };
        let Difference { wanted, to_give, next } = differ(theirs, own);
        assert_eq!(wanted, [key(3)], "nothing is put over a damaged record");
        let mut given: Vec<_> = to_give.into_iter().map(|row| row.key).collect();
        given.sort();
        assert_eq!((given, next), (vec![key(3), key(4)], None));
    }

    #[test]
    fn nothing_is_said_of_what_one_side_has_not_looked_at() {
        let keys = in_order();
        let all: Vec<_> = keys.iter().map(|key| (key.clone(), 1)).collect();
        let place = |n: usize| Some(row(TableId(1), keys[n].clone()));
        for (their_end, own_end) in [(3, 6), (6, 3), (4, 4)] {
            let theirs = compare(all[..=their_end].to_vec(), Vec::new(), place(their_end));
            let own = Page { states: Vec::new(), damaged: Vec::new(), next: place(own_end) };
            let found = differ(theirs, own);
            let end = their_end.min(own_end);
            assert_eq!((found.wanted.len(), found.next), (end + 1, place(end)));
            let theirs = compare(Vec::new(), Vec::new(), place(their_end));
            let own = Page { states: all[..=own_end].to_vec(), damaged: Vec::new(), next: place(own_end) };
            assert_eq!(differ(theirs, own).to_give.len(), end + 1);
        }
    }
}
