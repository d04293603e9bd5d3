use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::moves;

/// Small clusters of every shape: a few racks of any size, mixed weights, grown and shrunk or just founded.
fn ring() -> impl Strategy<Value = Ring> {
    let shape = prop::collection::vec((0..4_u8, prop_oneof![Just(100), 1..=40_u16]), 1..9);
    let changes = prop::collection::vec((any::<bool>(), 0..4_u8, any::<prop::sample::Index>()), 0..4);
    (shape, changes).prop_map(|(shape, changes)| {
        let founders: Vec<_> =
            shape.iter().enumerate().map(|(i, &(rack, weight))| node(i, rack, weight)).collect();
        let ring = Ring::found("c", &founders).unwrap();
        changes.iter().enumerate().fold(ring, |ring, (i, (join, rack, which))| match join {
            false if ring.members().len() > 1 => ring.without_member(which.get(ring.members()).id).unwrap(),
            _ => ring.with_member(node(100 + i, *rack, 20)).unwrap(),
        })
    })
}

fn node(number: usize, rack: u8, weight: u16) -> Founder {
    let founder = Founder::new(format!("node{number}"), format!("host{number}:7000"));
    founder.in_rack(format!("r{rack}")).with_weight(weight)
}

fn equal(count: usize, racks: usize) -> Vec<Founder> {
    (0..count).map(|i| node(i, (i % racks) as u8, 100)).collect()
}

/// The slow twin of `replicas`, from the definition: all distinct nodes clockwise; how many of each one's rack
/// come before it is its round; the first `n` by round.
fn replicas_slowly(ring: &Ring, token: Token, n: u8) -> Vec<NodeId> {
    let rack = |id| &ring.member(id).unwrap().rack;
    let mut rounds: Vec<(usize, NodeId)> = Vec::new();
    for id in nodes_clockwise(ring, token) {
        let round = rounds.iter().filter(|&&(_, other)| rack(other) == rack(id)).count();
        rounds.push((round, id));
    }
    rounds.sort_by_key(|&(round, _)| round);
    rounds.into_iter().map(|(_, id)| id).take(usize::from(n)).collect()
}

fn nodes_clockwise(ring: &Ring, token: Token) -> Vec<NodeId> {
    let tokens =
        ring.members().iter().flat_map(|m| m.tokens.iter().map(|&end| (token.distance_to(end), m.id)));
    let mut met = BTreeSet::new();
    tokens.collect::<BTreeSet<_>>().into_iter().map(|(_, id)| id).filter(|&id| met.insert(id)).collect()
}

/// Tokens of keys, and tokens at and beside those of nodes.
fn tokens(ring: &Ring, seeds: &[u64]) -> Vec<Token> {
    let at = |seed: u64| {
        let member = &ring.members()[seed as usize % ring.members().len()];
        member.tokens[seed as usize % member.tokens.len()]
    };
    let beside = seeds.iter().flat_map(|&seed| [at(seed), at(seed).advance(1), at(seed).advance(u64::MAX)]);
    beside.chain(seeds.iter().map(|&seed| Token(seed as i64))).chain([Token::MIN, Token::MAX]).collect()
}

/// Each member's share of all replicas under factor `n`, over its share by weight.
fn relative_shares(ring: &Ring, n: u8) -> Vec<f64> {
    let weights: f64 = ring.members().iter().map(|m| f64::from(m.weight)).sum();
    let copies = usize::from(n).min(ring.members().len()) as f64;
    let share = |m: &Member| ring.ranges_of(m.id, n).iter().map(|range| range.fraction()).sum::<f64>();
    ring.members().iter().map(|m| share(m) * weights / (copies * f64::from(m.weight))).collect()
}

fn max(shares: &[f64]) -> f64 {
    shares.iter().copied().fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn replicas_agree_with_their_definition(ring in ring(), n in 1..=15_u8, seeds: [u64; 4]) {
        for token in tokens(&ring, &seeds) {
            prop_assert_eq!(ring.replicas(token, n), replicas_slowly(&ring, token, n));
        }
    }

    #[test]
    fn every_key_has_n_distinct_replicas_in_as_many_racks_as_possible(
        ring in ring(), n in 1..=15_u8, key: Vec<u8>,
    ) {
        let replicas = ring.replicas_of_key(&key, n);
        let distinct: BTreeSet<_> = replicas.iter().collect();
        prop_assert_eq!(replicas.len(), usize::from(n).min(ring.members().len()));
        prop_assert_eq!(distinct.len(), replicas.len());

        let racks = |ids: &mut dyn Iterator<Item = NodeId>| {
            ids.map(|id| ring.member(id).unwrap().rack.clone()).collect::<BTreeSet<_>>().len()
        };
        let all = racks(&mut ring.members().iter().map(|member| member.id));
        prop_assert_eq!(racks(&mut replicas.iter().copied()), all.min(replicas.len()));
    }

    #[test]
    fn a_list_is_the_head_of_every_longer_one(ring in ring(), n in 1..15_u8, token: i64) {
        prop_assert!(ring.replicas(Token(token), n + 1).starts_with(ring.replicas(Token(token), n)));
    }

    #[test]
    fn fallbacks_are_the_other_nodes_clockwise(ring in ring(), n in 1..=15_u8, token: i64) {
        let list = ring.preference_list(Token(token), n);
        prop_assert_eq!(list.primaries(), ring.replicas(Token(token), n));
        let others = nodes_clockwise(&ring, Token(token)).into_iter().filter(|id| !list.primaries().contains(id));
        prop_assert_eq!(list.fallbacks().collect::<Vec<_>>(), others.collect::<Vec<_>>());
        prop_assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), ring.members().len());
    }

    #[test]
    fn ranges_of_and_replica_sets_tell_the_same(ring in ring(), n in 1..=5_u8, seeds: [u64; 4]) {
        let sets = ring.replica_sets(n);
        prop_assert_eq!(sets.values().flatten().map(|range| range.width()).sum::<u128>(), TokenRange::FULL.width());
        for token in tokens(&ring, &seeds) {
            let held = |ranges: &[TokenRange]| ranges.iter().any(|range| range.contains(token));
            for member in ring.members() {
                let replicates = ring.replicas(token, n).contains(&member.id);
                prop_assert_eq!(held(&ring.ranges_of(member.id, n)), replicates);
            }
            let set: Vec<_> = ring.replicas(token, n).iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            prop_assert!(held(&sets[&set]));
        }
        for member in ring.members() {
            let mut own = sets.clone();
            own.retain(|set, _| set.contains(&member.id));
            prop_assert_eq!(ring.replica_sets_of(member.id, n), own);
        }
    }

    /// The rule that keeps movement least: what a join moves goes to the newcomer, and what a leave moves was
    /// the leaver's.
    #[test]
    fn nothing_moves_between_members_that_stay(ring in ring(), rack in 0..5_u8, n in 1..=5_u8, who: prop::sample::Index) {
        let joined = ring.with_member(node(999, rack, 30)).unwrap();
        let newcomer = joined.member_by_name("node999").unwrap().id;
        for change in moves(&ring, &joined, n) {
            prop_assert_eq!(change.gained_by, [newcomer]);
        }
        prop_assert!(joined.members()[..ring.members().len()] == *ring.members());

        if ring.members().len() > 1 {
            let leaver = who.get(ring.members()).id;
            for change in moves(&ring, &ring.without_member(leaver).unwrap(), n) {
                prop_assert_eq!(change.lost_by, [leaver]);
            }
        }
    }

    #[test]
    fn a_join_and_its_leave_cancel_out(ring in ring(), rack in 0..5_u8) {
        let joined = ring.with_member(node(999, rack, 30)).unwrap();
        let newcomer = joined.member_by_name("node999").unwrap().id;
        let left = joined.without_member(newcomer).unwrap();
        prop_assert_eq!(left.members(), ring.members());
        prop_assert_eq!(left.epoch().0, ring.epoch().0 + 2);
        let again = left.with_member(node(999, rack, 30)).unwrap();
        prop_assert!(again.member_by_name("node999").unwrap().id > newcomer, "ids are never given out twice");
    }

    #[test]
    fn founding_depends_on_the_set_of_founders_alone(mut founders in Just(equal(7, 3)).prop_shuffle()) {
        let ring = Ring::found("c", &equal(7, 3)).unwrap();
        founders[0].address = "elsewhere:7000".to_owned();
        let other = Ring::found("c", &founders).unwrap();
        prop_assert_eq!(other.cluster_id(), ring.cluster_id());
        prop_assert!(other.members().iter().zip(ring.members()).all(|(a, b)| (a.id, &a.tokens) == (b.id, &b.tokens)));
    }
}

/// A founding ring is agreed upon without a word being exchanged: releases must never compute another one.
#[test]
fn founding_rings_never_change() {
    let fingerprint = |ring: &Ring| {
        let words = ring.ranges(3).flat_map(|(range, replicas)| {
            [range.end.0].into_iter().chain(replicas.iter().map(|id| i64::from(id.0)))
        });
        token_of(&words.flat_map(i64::to_le_bytes).collect::<Vec<_>>())
    };
    let three = Ring::found("quorate", &equal(3, 1)).unwrap();
    let mut mixed = equal(20, 4);
    mixed[3].weight = 250;
    let mixed = Ring::found("quorate", &mixed).unwrap();
    let seen = [three, mixed].map(|ring| (ring.cluster_id().to_string(), fingerprint(&ring)));
    assert_eq!(
        seen,
        [
            ("3a3b2a6a87ce3e39".to_owned(), Token(7_258_517_495_854_100_788)),
            ("e857a9071a9aafa7".to_owned(), Token(2_652_357_169_784_464_616))
        ]
    );
}

#[test]
fn founding_rings_are_balanced() {
    for (count, racks) in [(3, 1), (4, 1), (5, 1), (12, 1), (12, 3), (60, 1), (60, 5)] {
        let ring = Ring::found("c", &equal(count, racks)).unwrap();
        assert!(ring.members().iter().all(|member| member.tokens.len() == Founder::TOKENS));
        assert!(max(&relative_shares(&ring, 1)) < 1.000_1, "{count} nodes, {racks} racks");
        assert!(max(&relative_shares(&ring, 3)) < 1.01, "{count} nodes, {racks} racks");
    }
}

#[test]
fn ownership_follows_weight() {
    let mut founders = equal(10, 1);
    founders[4].weight = 200;
    let ring = Ring::found("c", &founders).unwrap().with_member(node(99, 0, 50)).unwrap();
    assert_eq!(ring.member_by_name("node99").unwrap().tokens.len(), Founder::TOKENS / 2);
    assert!(max(&relative_shares(&ring, 1)) < 1.02, "{:?}", relative_shares(&ring, 1));
    assert!(max(&relative_shares(&ring, 3)) < 1.05, "{:?}", relative_shares(&ring, 3));
}

#[test]
fn joins_move_the_least_and_keep_the_balance() {
    let mut ring = Ring::found("c", &equal(3, 1)).unwrap();
    for number in 3..12 {
        let joined = ring.with_member(node(number, 0, 100)).unwrap();
        let size = joined.members().len() as f64;
        for n in [1, 3] {
            let changes = moves(&ring, &joined, n);
            let moved: f64 = changes.iter().map(|m| m.range.fraction() * m.gained_by.len() as f64).sum();
            assert!(moved * size / f64::from(n) < 1.01, "{size} nodes, N={n}: moved {moved}");
            assert!(max(&relative_shares(&joined, n)) < 1.02, "{size} nodes, N={n}");
        }
        ring = joined;
    }
}

#[test]
fn a_newcomer_in_a_rack_of_its_own_gets_its_share() {
    let ring = Ring::found("c", &equal(30, 2)).unwrap().with_member(node(99, 7, 100)).unwrap();
    let shares = relative_shares(&ring, 1);
    assert!(max(&shares) < 1.02 && shares[30] > 0.99, "{shares:?}");
}

#[test]
fn three_nodes_share_one_replica_set() {
    let ring = Ring::found("c", &equal(3, 1)).unwrap();
    let sets = ring.replica_sets(3);
    assert_eq!(sets.len(), 1);
    assert!(sets.values().all(|ranges| ranges.len() == 1 && ranges[0].is_full()));
}

#[test]
fn factors_out_of_bounds_are_brought_in() {
    let ring = Ring::found("c", &equal(20, 1)).unwrap();
    assert_eq!(ring.replicas(Token(0), 0), ring.replicas(Token(0), 1));
    assert_eq!(ring.replicas(Token(0), 255), ring.replicas(Token(0), 15));
}

#[test]
fn malformed_layouts_are_refused() {
    let good = Layout::found("c", &equal(3, 1)).unwrap();
    let refused = |spoil: &dyn Fn(&mut Layout)| {
        let mut layout = good.clone();
        spoil(&mut layout);
        Ring::new(layout).unwrap_err().to_string()
    };
    assert_eq!(refused(&|l| l.members.clear()), "a cluster needs at least one member");
    assert_eq!(
        refused(&|l| l.members.swap(0, 1)),
        "node id n2 is doubled, out of order or was never given out"
    );
    assert_eq!(
        refused(&|l| l.next_id = NodeId(3)),
        "node id n3 is doubled, out of order or was never given out"
    );
    let first = good.members[0].tokens[0];
    assert_eq!(refused(&|l| l.members[1].tokens = vec![first]), format!("token {first} has two owners"));
    for tokens in [vec![], vec![first, first], vec![Token(0); 1_501]] {
        let error = refused(&|l| l.members[1].tokens.clone_from(&tokens));
        assert_eq!(error, "node 'node1': its tokens are missing, too many or not in ascending order");
    }
}

#[test]
fn the_last_member_and_strangers_cannot_leave() {
    let ring = Ring::found("c", &equal(1, 1)).unwrap();
    assert_eq!(ring.without_member(NodeId(1)), Err(RingError::NoMembers));
    assert_eq!(ring.without_member(NodeId(2)), Err(RingError::UnknownMember(NodeId(2))));
    assert_eq!(ring.with_member(node(0, 0, 100)), Err(RingError::DuplicateName("node0".to_owned())));
}
/// Walking the circle until a rare rack is met would make a table cost the square of the tokens.
#[test]
fn a_rare_rack_is_reached_from_everywhere() {
    let mut founders = equal(1_000, 2);
    founders[0] = node(0, 7, 1);
    let ring = Ring::found("c", &founders).unwrap();
    let rare = ring.member_by_name("node0").unwrap().id;
    assert!(ring.ranges_of(rare, 3)[0].is_full());
    assert_eq!(ring.replicas(Token(5), 4), replicas_slowly(&ring, Token(5), 4));
}
#[test]
fn growing_rack_by_rack_keeps_the_balance() {
    let mut ring = Ring::found("c", &equal(3, 3)).unwrap();
    for number in 3..15 {
        ring = ring.with_member(node(number, (number % 3) as u8, 100)).unwrap();
        assert!(max(&relative_shares(&ring, 1)) < 1.02, "{} nodes", number + 1);
        if (number + 1) % 3 == 0 {
            assert!(max(&relative_shares(&ring, 3)) < 1.02, "{} nodes", number + 1);
        }
    }
}

#[test]
fn joins_heal_what_leaves_unbalance() {
    let mut ring = Ring::found("c", &equal(10, 1)).unwrap();
    for number in 10..20 {
        let oldest = ring.members()[0].id;
        ring = ring.without_member(oldest).unwrap().with_member(node(number, 0, 100)).unwrap();
        for n in [1, 3] {
            assert!(max(&relative_shares(&ring, n)) < 1.02, "after node {number}, N={n}");
        }
    }
}
