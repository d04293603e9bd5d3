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
