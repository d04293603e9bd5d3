//! Mistakes of a disk, for the mutants.

use quorate::{
    node::{DiskOperation, DiskRequest, DiskResult, Ticket},
    ring::Hlc,
    storage::{
        Acceptor, Engine, MemoryEngine, MetaWrite, ReadError, Row, Seen, Sibling, Siblings, Space, State,
        StoreTerms, VersionVector, Write, WriteResult, Written, decode,
    },
};

use crate::mutants::Mutant;

/// Whether a mutant's mistakes are made here.
pub(super) fn are_of(mutant: Mutant) -> bool {
    matches!(
        mutant,
        Mutant::MintsOnDurable
            | Mutant::SiblingDropped
            | Mutant::SupersededKept
            | Mutant::CasPromiseForgotten
            | Mutant::CasPassedOnBlindly
    )
}

/// The row that a write concerns.
pub(super) fn row(write: &Write) -> Option<&Row> {
    match write {
        Write::Store { row, .. } | Write::Mint { row, .. } => Some(row),
        _ => None,
    }
}

/// What a mistaken commit step does in place of a write, when `held` is durable.
pub(super) fn mistaken(mutant: Mutant, write: &Write, held: Option<&State>) -> Option<Write> {
    if let Write::Store { row, state: State::Cas(message), terms } = write {
        return mistaken_acceptor(mutant, (row, message, *terms), held);
    }
    let held = match held {
        Some(State::Siblings(held)) => Some(held),
        _ => None,
    };
    match (mutant, write) {
        (Mutant::MintsOnDurable, Write::Mint { row, dot, seen, content, .. }) => {
            let nothing = VersionVector::new();
            let seen = match seen {
                Seen::Context(context) => context,
                Seen::Durable => held.map_or(&nothing, Siblings::vector),
            };
            let above = held.and_then(|held| held.vector().greatest()).max(seen.greatest());
            let minted = match held {
                _ if above.is_some_and(|above| above.hlc >= dot.hlc) => return None,
                Some(held) => held.written(*dot, seen, content.clone()),
                None => Siblings::first(*dot, seen, content.clone()),
            };
            Some(Write::store(row.clone(), State::Siblings(minted)))
        }
        (Mutant::SiblingDropped, Write::Store { row, state: State::Siblings(state), .. }) => {
            let stored = with(held?, state, state.siblings().to_vec())?;
            Some(Write::store(row.clone(), stored))
        }
        (Mutant::SupersededKept, Write::Store { row, state: State::Siblings(state), .. }) => {
            let mut siblings = [held?.siblings(), state.siblings()].concat();
            siblings.sort_by_key(|sibling| sibling.dot);
            siblings.dedup_by_key(|sibling| sibling.dot);
            let stored = with(held?, state, siblings)?;
            Some(Write::store(row.clone(), stored))
        }
        _ => None,
    }
}

/// The same of a `cas` key.
fn mistaken_acceptor(
    mutant: Mutant,
    (row, message, terms): (&Row, &Acceptor, StoreTerms),
    held: Option<&State>,
) -> Option<Write> {
    let is_prepare = message.accepted().is_none();
    // What comes from a proposer is judged by its clock, or it wants to know what is held.
    let is_passed_on = !is_prepare && terms.horizon.lead.is_none() && !terms.copied;
    match mutant {
        Mutant::CasPromiseForgotten if is_prepare => match held {
            Some(held) if held.tag() >= message.promised() => None,
            Some(State::Cas(held)) => {
                Some(Write::store(row.clone(), State::Cas(Acceptor::accepting(held.accepted()?.clone()))))
            }
            _ => Some(Write::Meta(MetaWrite::HlcBound(Hlc::ZERO))),
        },
        Mutant::CasPassedOnBlindly if is_passed_on => {
            let (row, state) = (row.clone(), State::Cas(message.clone()));
            Some(Write::Store { row, state, terms: StoreTerms { blindly: true, ..terms } })
        }
        _ => None,
    }
}

/// What repair reads if nobody looks at checksums.
pub(super) fn given(engine: &MemoryEngine, request: &DiskRequest, result: DiskResult) -> DiskResult {
    match (&request.ticket, &request.operation, result) {
        (Ticket::Repair(_), DiskOperation::Hashes(_), DiskResult::Hashed(Ok(mut page))) => {
            let damaged = std::mem::take(&mut page.damaged);
            page.states.extend(damaged.into_iter().map(|key| (key, 1)));
            DiskResult::Hashed(Ok(page))
        }
        (Ticket::Repair(_), DiskOperation::Read(row), DiskResult::Read(Err(ReadError::Corrupt(why)))) => {
            let read = unverified(engine, row).map(Some).ok_or(ReadError::Corrupt(why));
            DiskResult::Read(read)
        }
        (_, _, result) => result,
    }
}

/// What the record of `row` says, with a checksum that fits.
fn unverified(engine: &MemoryEngine, row: &Row) -> Option<State> {
    let key = row.to_storage_key();
    let mut record = engine.get(Space::Data, &key).ok().flatten()?.to_vec();
    let (head, content) = record.split_at_mut_checked(6)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..2]);
    hasher.update(&(key.len() as u32).to_be_bytes());
    hasher.update(&key);
    hasher.update(content);
    head[2..].copy_from_slice(&hasher.finalize().to_be_bytes());
    decode(&key, record.into()).ok()
}

/// What a node hears of writes in whose place others were done.
pub(super) fn results(
    asked: &[Write],
    done: Option<&Vec<Write>>,
    results: Vec<WriteResult>,
) -> Vec<WriteResult> {
    let Some(done) = done else {
        return results;
    };
    let told = |asked: &Write, done: &Write, result| match (asked, done, result) {
        (Write::Mint { .. }, Write::Store { state, .. }, Ok(_)) => Ok(Written::Minted(state.clone())),
        (Write::Store { state: State::Cas(asked), .. }, done, Ok(_)) if asked.accepted().is_none() => {
            let more = match done {
                Write::Store { state: State::Cas(done), .. } => done.accepted().is_some().then_some(done),
                _ => None,
            };
            Ok(Written::Stored { held: asked.promised(), more: more.cloned().map(State::Cas) })
        }
        (_, _, result) => result,
    };
    let pairs = asked.iter().zip(done).zip(results);
    pairs.map(|((asked, done), result)| told(asked, done, result)).collect()
}

/// These siblings, having seen all that either state has.
fn with(held: &Siblings, state: &Siblings, siblings: Vec<Sibling>) -> Option<State> {
    let mut vector = held.vector().clone();
    vector.join(state.vector());
    Siblings::try_from((vector, siblings)).ok().map(State::Siblings)
}
