use proptest::prelude::*;
use quorate_ring::Actor;

use super::*;

fn ballot(round: u64, proposer: u64) -> Ballot {
    Ballot { round, proposer: Actor(proposer) }
}

fn prepared<V: Clone>(
    proposer: &mut Proposer<u8, V>,
    acceptors: &mut [Acceptor<V>],
    ask: &[u8],
) -> Option<V> {
    let mut found = None;
    for &at in ask {
        let reported = acceptors[usize::from(at)].prepare(proposer.ballot()).unwrap();
        if let Progress::Prepared { found: latest } = proposer.promised(at, reported) {
            found = latest;
        }
    }
    found
}

#[test]
fn a_later_proposer_finishes_what_an_earlier_one_began() {
    let mut acceptors = vec![Acceptor::default(); 3];
    let mut first = Proposer::new(ballot(1, 1), Electorate::majority(0..3));
    assert_eq!(prepared(&mut first, &mut acceptors, &[0, 1]), None);
    let proposal = first.propose("first");
    acceptors[1].accept(proposal).unwrap();

    let mut second = Proposer::new(ballot(1, 2), Electorate::majority(0..3));
    assert_eq!(prepared(&mut second, &mut acceptors, &[1, 2]), Some("first"));
    let proposal = second.propose("first");
    acceptors[2].accept(proposal.clone()).unwrap();
    assert_eq!(second.accepted(2), Progress::Wait);
    assert_eq!(second.accepted(2), Progress::Wait, "one acceptor counts once");
    acceptors[1].accept(proposal).unwrap();
    assert_eq!(second.accepted(1), Progress::Chosen("first"));
    assert_eq!(acceptors[1].promised(), ballot(1, 2));
}

#[test]
fn a_promise_shuts_earlier_ballots_out() {
    let mut acceptor = Acceptor::default();
    assert_eq!(acceptor.prepare(ballot(2, 1)), Ok(None));
    assert_eq!(acceptor.prepare(ballot(2, 1)), Ok(None), "asked twice it says the same");
    let outbid = Outbid { promised: ballot(2, 1) };
    assert_eq!(acceptor.prepare(ballot(1, 9)), Err(outbid));
    assert_eq!(acceptor.accept(Proposal { ballot: ballot(1, 9), value: 'x' }), Err(outbid));
    assert_eq!(acceptor.accepted(), None);
    acceptor.accept(Proposal { ballot: ballot(3, 1), value: 'y' }).unwrap();
    assert_eq!(acceptor.promised(), ballot(3, 1), "an accept is a promise, too");
}

#[test]
fn a_ballot_is_lost_when_no_quorum_is_left() {
    let mut proposer: Proposer<u8, ()> = Proposer::new(ballot(1, 1), Electorate::majority(0..3));
    assert_eq!(proposer.outbid(0, ballot(4, 2)), Progress::Wait);
    assert_eq!(proposer.outbid(7, ballot(9, 2)), Progress::Wait, "a stranger has no vote");
    assert_eq!(proposer.votes().silent().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(proposer.outbid(1, ballot(3, 2)), Progress::Lost { rival: ballot(9, 2) });
    assert_eq!(proposer.promised(2, None), Progress::Wait, "over is over");
}

#[test]
fn unanimity_waits_for_all() {
    let mut votes = Votes::new(Electorate::unanimity(0..3));
    votes.aye(0);
    votes.aye(1);
    assert_eq!(votes.verdict(), Verdict::Open);
    votes.no(2);
    assert_eq!(votes.verdict(), Verdict::Lost);
}

/// An attempt, and what it sent to be accepted.
type Running = (Proposer<u8, u64>, Option<Proposal<u64>>);

/// One step of the register below.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// Proposer `who` starts over.
    Prepare(usize),
    /// Acceptor `at` hears the present message of `who`, who hears its answer.
    Deliver(usize, u8),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        1 => (0..3_usize).prop_map(Move::Prepare),
        9 => ((0..3_usize), (0..5_u8)).prop_map(|(who, at)| Move::Deliver(who, at)),
    ];
    prop::collection::vec(one, 0..200)
}

proptest! {
    /// A counter kept as a register of a `cas` table keeps it (rule C1): the chosen value is the found one plus
    /// one. No two increments are acknowledged with one value, and one that began after another had been
    /// acknowledged has the greater.
    #[test]
    fn a_register_changes_what_it_finds(moves in moves()) {
        let mut acceptors = vec![Acceptor::default(); 5];
        let mut seen = [Ballot::ZERO; 3];
        let mut running: Vec<Option<Running>> = vec![None; 3];
        let mut acknowledged = Vec::new();
        let mut known_at_start = [0; 3];
        for step in moves {
            match step {
                Move::Prepare(who) => {
                    seen[who] = seen[who].above(Actor(who as u64));
                    known_at_start[who] = acknowledged.iter().max().copied().unwrap_or(0);
                    running[who] = Some((Proposer::new(seen[who], Electorate::majority(0..5)), None));
                }
                Move::Deliver(who, at) => {
                    let Some((proposer, proposal)) = &mut running[who] else { continue };
                    let acceptor = &mut acceptors[usize::from(at)];
                    let progress = match proposal {
                        None => acceptor.prepare(proposer.ballot()).map(|found| proposer.promised(at, found)),
                        Some(sent) => acceptor.accept(sent.clone()).map(|()| proposer.accepted(at)),
                    };
                    match progress.unwrap_or_else(|outbid| proposer.outbid(at, outbid.promised)) {
                        Progress::Wait => {}
                        Progress::Prepared { found } => {
                            *proposal = Some(proposer.propose(found.unwrap_or(0) + 1));
                        }
                        Progress::Chosen(value) => {
                            prop_assert!(value > known_at_start[who], "an increment was forgotten");
                            prop_assert!(!acknowledged.contains(&value), "two increments became one");
                            acknowledged.push(value);
                            running[who] = None;
                        }
                        Progress::Lost { rival } => {
                            seen[who] = seen[who].max(rival);
                            running[who] = None;
                        }
                    }
                }
            }
        }
    }
}
