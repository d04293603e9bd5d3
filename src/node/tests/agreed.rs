//! What a node says of when it last held the same as others (rule A3).

use super::*;

#[test]
fn who_reaches_nobody_does_not_claim_to_agree_with_anybody() {
    let mut node = node();
    for peer in [2, 3] {
        handle(&mut node, Input::PeerDown(NodeId(peer)));
    }
    let Node { surroundings, repair, .. } = &mut node;
    let mut effects = Effects::default();
    assert_eq!(repair.agreed_ago(&surroundings.turn(NOW, &mut effects)), None);
}

#[test]
fn no_more_ages_are_told_than_were_asked_for_and_how_many_are_not_is_said() {
    let mut node = node();
    let tables = node.surroundings.catalog.tables().count();
    let pairs = 2 * tables;
    let ages = node.agreement_ages(NOW, pairs).expect("its digests are those of the ring");
    let of_table: Vec<_> = ages.by_table.kept.iter().map(|((peer, _), age)| (*peer, *age)).collect();
    let of_each = |peer| vec![(NodeId(peer), None); tables];
    assert_eq!(of_table, [of_each(2), of_each(3)].concat(), "nobody was compared with yet");
    let of_range = ages.by_range.kept.iter().map(|((.., replicas), _)| replicas.clone());
    assert_eq!(of_range.collect::<Vec<_>>(), vec![vec![NodeId(1), NodeId(2), NodeId(3)]; pairs]);
    assert_eq!((ages.by_table.left_out, ages.by_range.left_out), (0, 0));
    let ages = node.agreement_ages(NOW, 1).expect("its digests are those of the ring");
    assert_eq!((ages.by_table.kept.len(), ages.by_table.left_out), (1, pairs - 1));
    assert_eq!((ages.by_range.kept.len(), ages.by_range.left_out), (1, pairs - 1));
}
