//! `cas`: an acceptor that never goes back on a promise, and what is copied from several.

use std::cmp::Ordering;

use quorate_ring::Tag;

use super::{MergeError, Merged};
use crate::{Accepted, Acceptor, State};

/// What the acceptor that is `held` makes of a message: of a proposer that asks for its promise ([`Acceptor::promising`]),
/// or a proposal ([`Acceptor::accepting`]), from its proposer or from anybody who passes it on. Every way into the table
/// ends here: the proposer's store, hints, repair (rule C1). A proposal that was passed on is the proposer's own message,
/// late or doubled, and acceptors bear both.
///
/// # Errors
///
/// [`MergeError::Outbid`] if it has promised a later round: nobody may take that for an acknowledgement, whatever it has
/// accepted since. [`MergeError::EqualTagDifferentBytes`] if one ballot has two proposals.
pub(super) fn accept(held: &Acceptor, incoming: &Acceptor) -> Result<Merged, MergeError> {
    let ballot = incoming.accepted().map_or(incoming.promised(), |accepted| accepted.ballot);
    check_bytes(held, incoming)?;
    if ballot < held.promised() {
        let accepted = held.accepted().map(|accepted| accepted.ballot);
        return Err(MergeError::Outbid { promised: held.promised(), accepted });
    }
    match (held.accepted(), incoming.accepted()) {
        (_, None) if ballot == held.promised() => Ok(Merged::Held),
        (accepted, None) => {
            let accepted = accepted.cloned();
            let promising = Acceptor::try_from((ballot, accepted, held.is_copy()));
            Ok(Merged::Joined(State::Cas(promising.expect("a promise above what was accepted"))))
        }
        (Some(accepted), Some(proposal)) if accepted == proposal && ballot == held.promised() => {
            Ok(Merged::Held)
        }
        (_, Some(proposal)) => Ok(Merged::Joined(State::Cas(Acceptor::accepting(proposal.clone())))),
    }
}

/// What two acceptors know together, for a replica that copies from several what it has lost (rule C5): the later promise,
/// and the proposal of the later round. Where the promise is the later one, the copy has no vote for the proposal. *Why:
/// X promises ballot 7 to a proposer, and loses its disk. It copies ballot 6 from Z, which is alone in having accepted it.
/// If X and Z were then a quorum that holds ballot 6, it would be answered to a reader, although the proposer of ballot 7,
/// with X's promise, has built on what came before it.* That X took ballot 6 from its proposer after the loss, before it
/// heard of ballot 7, makes no difference, nor a later promise that it has given since. To lose a vote does no harm.
pub(super) fn join(held: &Acceptor, incoming: &Acceptor) -> Result<Merged, MergeError> {
    check_bytes(held, incoming)?;
    let of = |acceptor: &Acceptor| acceptor.accepted().map(|accepted| accepted.ballot);
    let later = if of(incoming) > of(held) { incoming } else { held };
    let joined = copy(held.promised().max(incoming.promised()), later.accepted().cloned());
    Ok(match () {
        () if joined == *held => Merged::Held,
        () if joined == *incoming => Merged::Incoming,
        () => Merged::Joined(State::Cas(joined)),
    })
}

/// What a replica keeps of another one's promise and proposal.
pub(super) fn copy(promised: Tag, accepted: Option<Accepted>) -> Acceptor {
    let is_copy = accepted.as_ref().is_some_and(|accepted| accepted.ballot < promised);
    Acceptor::try_from((promised, accepted, is_copy)).expect("ballots of sound acceptors")
}

/// One ballot names one proposal (rule V4).
fn check_bytes(held: &Acceptor, incoming: &Acceptor) -> Result<(), MergeError> {
    let (Some(held), Some(incoming)) = (held.accepted(), incoming.accepted()) else {
        return Ok(());
    };
    match held.ballot.cmp(&incoming.ballot) {
        Ordering::Equal if held != incoming => Err(MergeError::EqualTagDifferentBytes(held.ballot)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_ring::{Actor, Hlc};

    use super::*;
    use crate::{Content, arbitrary::acceptors};

    fn ballot(hlc: u64) -> Tag {
        Tag { hlc: Hlc(hlc), actor: Actor(1) }
    }

    fn proposal(hlc: u64) -> Accepted {
        let content = Content::Value(hlc.to_string().into());
        Accepted { ballot: ballot(hlc), write: ballot(hlc), replaced: crate::cas::NONE, content }
    }

    fn acceptor(promised: u64, accepted: Option<u64>) -> Acceptor {
        Acceptor::try_from((ballot(promised), accepted.map(proposal), false)).unwrap()
    }

    fn joined(merged: Result<Merged, MergeError>) -> Acceptor {
        match merged {
            Ok(Merged::Joined(State::Cas(acceptor))) => acceptor,
            other => panic!("{other:?} is no new acceptor"),
        }
    }

    #[test]
    fn a_promise_keeps_what_was_accepted_and_shuts_out_what_is_earlier() {
        let held = acceptor(5, Some(3));
        let promising = |hlc| Acceptor::promising(ballot(hlc));
        assert_eq!(joined(accept(&held, &promising(7))), acceptor(7, Some(3)));
        assert_eq!(accept(&held, &promising(5)), Ok(Merged::Held));
        let outbid = Err(MergeError::Outbid { promised: ballot(5), accepted: Some(ballot(3)) });
        assert_eq!(accept(&held, &promising(4)), outbid);
        assert_eq!(accept(&held, &Acceptor::accepting(proposal(4))), outbid);
    }

    #[test]
    fn a_proposal_is_accepted_from_its_promise_on_and_acknowledged_again_only_until_the_next() {
        let message = Acceptor::accepting(proposal(5));
        assert_eq!(joined(accept(&acceptor(5, Some(3)), &message)), acceptor(5, Some(5)));
        assert_eq!(joined(accept(&acceptor(4, None), &message)), acceptor(5, Some(5)));
        assert_eq!(accept(&acceptor(5, Some(5)), &message), Ok(Merged::Held));
        // It has accepted it, but has promised since to count as if it had not: rule C1.
        let outbid = |accepted| {
            let accepted = Some(ballot(accepted));
            Err(MergeError::Outbid { promised: ballot(6), accepted })
        };
        assert_eq!(accept(&acceptor(6, Some(5)), &message), outbid(5));
        assert_eq!(accept(&acceptor(6, Some(6)), &message), outbid(6));
    }

    #[test]
    fn one_ballot_with_two_proposals_is_an_alarm_under_whatever_promise() {
        let other = Accepted { content: Content::Tombstone, ..proposal(5) };
        let conflict = Err(MergeError::EqualTagDifferentBytes(ballot(5)));
        assert_eq!(accept(&acceptor(9, Some(5)), &Acceptor::accepting(other.clone())), conflict);
        assert_eq!(join(&acceptor(9, Some(5)), &Acceptor::accepting(other)), conflict);
    }

    #[test]
    fn a_copy_has_a_vote_only_where_no_later_promise_is_known() {
        let copied = |held: &[Acceptor]| {
            held.iter().fold(None::<State>, |known, one| {
                let one = State::Cas(one.clone());
                match crate::copy(known.as_ref(), &one).unwrap() {
                    Merged::Incoming => Some(one),
                    Merged::Joined(joined) => Some(joined),
                    Merged::Held => known,
                }
            })
        };
        let is_vote = |held: &[Acceptor]| copied(held).unwrap().is_vote();
        assert!(is_vote(&[acceptor(6, Some(6)), acceptor(5, Some(5))]));
        assert!(
            !is_vote(&[acceptor(7, Some(6))]),
            "whose promise it was has its own vote, which is not copied"
        );
        assert!(!is_vote(&[acceptor(6, Some(6)), acceptor(7, Some(5))]));
        assert!(!is_vote(&[acceptor(7, Some(5)), acceptor(6, Some(6))]));
        // A vote of its own, given before the copy tells of a later promise, counts no more: even under one later still.
        for own in [acceptor(6, Some(6)), acceptor(9, Some(6))] {
            assert!(!is_vote(&[own.clone(), acceptor(7, Some(5))]), "{own:?}");
            let known =
                crate::merge(Some(&State::Cas(own.clone())), &State::Cas(acceptor(7, Some(5)))).unwrap();
            assert!(matches!(known, Merged::Joined(State::Cas(joined)) if joined.is_copy()), "{own:?}");
        }
        // It is told, and an accepted proposal is a vote again.
        let copy = copied(&[acceptor(7, Some(6))]).unwrap();
        assert_eq!(copy.values().next().unwrap(), "6");
        let again = crate::admit(Some(&copy), &State::Cas(Acceptor::accepting(proposal(8)))).unwrap();
        assert_eq!(again, Merged::Joined(State::Cas(acceptor(8, Some(8)))));
        let late = crate::admit(Some(&copy), &State::Cas(Acceptor::accepting(proposal(6))));
        let (promised, accepted) = (ballot(7), Some(ballot(6)));
        assert_eq!(late, Err(MergeError::Outbid { promised, accepted }));
    }

    proptest! {
        /// Whatever comes in whatever order, a promise is never gone back on, and what is held is what was accepted last.
        #[test]
        fn an_acceptor_never_goes_back(messages in proptest::collection::vec(acceptors(), 1..12)) {
            let mut held: Option<State> = None;
            for message in messages.iter().map(Acceptor::as_message) {
                let incoming = State::Cas(message.clone());
                let before = held.as_ref().map_or(crate::cas::NONE, State::tag);
                match crate::admit(held.as_ref(), &incoming) {
                    Ok(Merged::Incoming) => held = Some(incoming),
                    Ok(Merged::Joined(joined)) => held = Some(joined),
                    Ok(Merged::Held) => prop_assert_eq!(before, message.promised()),
                    Err(error) => {
                        let is_that = matches!(error, MergeError::Outbid { promised, .. } if promised == before);
                        prop_assert!(is_that, "{}", error);
                        prop_assert!(message.promised() < before);
                        continue;
                    }
                }
                let now = held.as_ref().unwrap();
                prop_assert!(now.tag() >= before && now.tag() == message.promised());
                if let Some(proposal) = message.accepted() {
                    prop_assert_eq!(now.version(), crate::Version::Tag(proposal.ballot));
                }
            }
        }

        #[test]
        fn copies_of_several_know_the_same_in_any_order(states in proptest::collection::vec(acceptors(), 1..6)) {
            let copied = |states: &mut dyn Iterator<Item = &Acceptor>| {
                states.fold(None::<State>, |known, one| {
                    match crate::copy(known.as_ref(), &State::Cas(one.clone())).unwrap() {
                        Merged::Incoming => Some(State::Cas(one.clone())),
                        Merged::Joined(joined) => Some(joined),
                        Merged::Held => known,
                    }
                })
            };
            let forward = copied(&mut states.iter());
            prop_assert_eq!(&forward, &copied(&mut states.iter().rev()));
            prop_assert_eq!(&forward, &copied(&mut states.iter().chain(states.iter())));
        }
    }
}
