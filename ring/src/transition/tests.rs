use proptest::prelude::*;

use super::*;
use crate::Founder;

fn founders(count: usize) -> Vec<Founder> {
    (0..count).map(|i| Founder::new(format!("n{i}"), format!("h{i}:1")).with_weight(20)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn moves_tell_every_token_apart(sizes in (1..9_usize, 1..9_usize), n in 1..=5_u8, tokens: [i64; 16]) {
        // Two unrelated rings are the hardest case: everything may change.
        let old = Ring::found("c", &founders(sizes.0)).unwrap();
        let new = Ring::found("c", &founders(sizes.1)).unwrap();
        let moves = moves(&old, &new, n);
        for token in tokens.map(Token) {
            let (before, after) = (old.replicas(token, n), new.replicas(token, n));
            let expected = (only_in(after, before), only_in(before, after));
            let mut here = moves.iter().filter(|m| m.range.contains(token));
            let found = here.next().map_or((vec![], vec![]), |m| (m.gained_by.clone(), m.lost_by.clone()));
            prop_assert_eq!(found, expected);
            prop_assert_eq!(here.next(), None, "ranges do not overlap");
        }
    }
}

#[test]
fn the_same_ring_moves_nothing() {
    let ring = Ring::found("c", &founders(5)).unwrap();
    assert_eq!(moves(&ring, &ring, 3), []);
}

#[test]
fn a_second_node_takes_the_whole_circle_as_a_replica() {
    let old = Ring::found("c", &founders(1)).unwrap();
    let new = old.with_member(Founder::new("x", "x:1")).unwrap();
    let moved = moves(&old, &new, 3);
    assert_eq!(moved.len(), 1);
    assert!(moved[0].range.is_full());
    assert_eq!((&*moved[0].gained_by, &*moved[0].lost_by), (&[NodeId(2)][..], &[][..]));
}
