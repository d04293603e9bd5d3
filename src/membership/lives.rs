//! Which process of each member this node has met last, and which lives of its directory were lost before.
//!
//! What a member acknowledged it may have forgotten with its disk (rule R7), and a directory that was replaced by
//! an older copy of itself has forgotten without knowing it (rule V3). Both are found out by comparing what a
//! member says of itself with what is remembered of it here, durably, *before* its connection is used:
//!
//! - another incarnation: the old one's acknowledgements are void, in every operation that is under way;
//! - the same incarnation and a start that was heard of before, from another process: the directory is a copy.
//!   So is a directory of an incarnation that was lost before.
//!
//! What this does not find: a copy that is restored where no member that met a later process can be reached
//! before it has done harm, and one that was made since the last start: its next start is one that nobody has
//! heard of. Backups are restored into a fresh directory, never over a node's own.

use std::collections::BTreeMap;

use quorate_ring::{Incarnation, NodeId};
use quorate_storage::{Life, PeerRecord};

/// What is remembered of the other members' lives, and this node's own.
#[derive(Clone, Debug)]
pub struct Lives {
    own: Life,
    members: BTreeMap<NodeId, PeerRecord>,
    /// Whether any of them lost its state once.
    any_lost: bool,
    /// Whether this node lost its own state once: of losses before that it knows nothing.
    is_late: bool,
}

/// What a peer that says who it is turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The process that was met last.
    Known,
    /// A later process. This is to be durable before anything else.
    Later {
        /// What is to be remembered.
        record: PeerRecord,
        /// Whether it lost the state that the last one had.
        replaced: bool,
    },
    /// An earlier process than this one, or one on an older copy of its directory.
    RolledBack {
        /// The last process that was met.
        known: Life,
    },
}

impl Lives {
    /// What a process that is `own` finds in its directory.
    pub fn new(own: Life, records: Vec<PeerRecord>) -> Self {
        let any_lost = records.iter().any(|record| !record.retired.is_empty());
        Self {
            own,
            members: records.into_iter().map(|record| (record.node, record)).collect(),
            any_lost,
            is_late: false,
        }
    }

    /// This process.
    pub fn own(&self) -> Life {
        self.own
    }

    /// Judges a peer that says it is `life`. Nothing is remembered yet.
    pub fn meet(&self, peer: NodeId, life: Life) -> Meeting {
        let Some(known) = self.members.get(&peer) else {
            let retired = if self.is_late { vec![UNKNOWN] } else { Vec::new() };
            let record = PeerRecord { node: peer, life, heard: None, retired };
            return Meeting::Later { record, replaced: false };
        };
        if known.life == life && known.heard.is_none() {
            return Meeting::Known;
        }
        let same = known.life.incarnation == life.incarnation;
        if known.retired.contains(&life.incarnation)
            || (same && known.life != life && known.life.starts >= life.starts)
        {
            return Meeting::RolledBack { known: known.life };
        }
        Meeting::Later { record: succeeded(known, life), replaced: !same }
    }

    /// Remembers what is durable, or will be.
    pub fn remember(&mut self, record: PeerRecord) {
        self.any_lost |= !record.retired.is_empty();
        self.members.insert(record.node, record);
    }

    /// Another member has met `peer` as `incarnation`. What is to be remembered, if that is news. Incarnations
    /// have no order, so it may be later than the one that this node has met, or earlier: the peer itself has
    /// to be met again, and whatever it acknowledged is void until then.
    pub fn hear(&mut self, peer: NodeId, incarnation: Incarnation) -> Option<PeerRecord> {
        let known = self.members.get_mut(&peer)?;
        let is_news = known.life.incarnation != incarnation
            && known.heard != Some(incarnation)
            && !known.retired.contains(&incarnation);
        if !is_news {
            return None;
        }
        retire(known, known.heard);
        known.heard = Some(incarnation);
        self.any_lost = true;
        Some(known.clone())
    }

    /// Those of `nodes` that lost their state once, with their present lives.
    pub fn after_loss(&self, nodes: &[NodeId]) -> Vec<(NodeId, Incarnation)> {
        if !self.any_lost {
            return Vec::new();
        }
        let records = nodes.iter().filter_map(|node| self.members.get(node));
        let lost = records.filter(|record| !record.retired.is_empty());
        lost.map(|record| (record.node, record.life.incarnation)).collect()
    }

    /// This node lost its own state, and with it what it knew of the losses of others: whoever has none on
    /// record may have had one. What is to be remembered.
    pub fn forget_nothing(&mut self) -> Vec<PeerRecord> {
        (self.any_lost, self.is_late) = (true, true);
        let unsure = self.members.values_mut().filter(|record| record.retired.is_empty());
        unsure
            .map(|record| {
                record.retired.push(UNKNOWN);
                record.clone()
            })
            .collect()
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        for record in self.members.values() {
            assert!(!record.retired.contains(&record.life.incarnation), "a life is lost or present");
            assert!(record.heard != Some(record.life.incarnation), "nothing is in doubt");
            assert!(record.retired.len() <= PeerRecord::RETIRED_MAX);
        }
    }
}

fn succeeded(known: &PeerRecord, life: Life) -> PeerRecord {
    let mut record = known.clone();
    let earlier =
        [Some(known.life.incarnation), known.heard.filter(|heard| *heard != known.life.incarnation)];
    for incarnation in earlier.into_iter().filter(|earlier| *earlier != Some(life.incarnation)) {
        retire(&mut record, incarnation);
    }
    PeerRecord { life, heard: None, ..record }
}

fn retire(record: &mut PeerRecord, incarnation: Option<Incarnation>) {
    record.retired.extend(incarnation);
    record.retired.drain(..record.retired.len().saturating_sub(PeerRecord::RETIRED_MAX));
}

/// Stands for a life that was lost before this node's own: no directory has it.
const UNKNOWN: Incarnation = Incarnation(0);

#[cfg(test)]
mod tests {
    use quorate_ring::Actor;

    use super::*;

    const PEER: NodeId = NodeId(2);

    fn life(incarnation: u64, starts: u64) -> Life {
        Life { incarnation: Incarnation(incarnation), starts, actor: Actor(incarnation * 100 + starts) }
    }

    /// Meets the lives in turn and remembers each that is a later one; what the last one is.
    fn met(said: &[Life]) -> (Lives, Meeting) {
        let mut lives = Lives::new(life(1, 1), Vec::new());
        let mut last = Meeting::Known;
        for said in said {
            last = lives.meet(PEER, *said);
            if let Meeting::Later { record, .. } = &last {
                lives.remember(record.clone());
            }
            lives.validate();
        }
        (lives, last)
    }

    fn is_replaced(said: &[Life]) -> bool {
        matches!(met(said).1, Meeting::Later { replaced: true, .. })
    }

    #[test]
    fn a_restart_is_no_loss() {
        assert!(!is_replaced(&[life(5, 1)]), "the first meeting");
        assert!(!is_replaced(&[life(5, 1), life(5, 2)]));
        assert_eq!(met(&[life(5, 2), life(5, 2)]).1, Meeting::Known, "the same process connects again");
        assert_eq!(met(&[life(5, 1), life(5, 4)]).0.after_loss(&[PEER]), []);
    }

    #[test]
    fn another_incarnation_is_a_loss() {
        assert!(is_replaced(&[life(5, 3), life(4, 1)]));
        let (lives, _) = met(&[life(5, 3), life(4, 1)]);
        assert_eq!(lives.after_loss(&[NodeId(1), PEER]), [(PEER, Incarnation(4))]);
    }

    #[test]
    fn a_copy_of_a_directory_is_found_out() {
        let rolled_back = |said: &[Life]| matches!(met(said).1, Meeting::RolledBack { .. });
        assert!(rolled_back(&[life(5, 3), life(5, 2)]), "an earlier start");
        let copy = Life { actor: Actor(77), ..life(5, 3) };
        assert!(rolled_back(&[life(5, 3), copy]), "the same start of another process");
        assert!(rolled_back(&[life(5, 3), life(4, 1), life(5, 4)]), "a lost incarnation");
    }

    #[test]
    fn hearsay_counts_once_and_only_if_it_is_newer() {
        let (mut lives, _) = met(&[life(5, 3)]);
        assert_eq!(lives.hear(NodeId(3), Incarnation(9)), None, "nothing is known of n3 that could be void");
        assert_eq!(lives.hear(PEER, Incarnation(5)), None);
        let news = lives.hear(PEER, Incarnation(6)).unwrap();
        assert_eq!((news.heard, news.retired), (Some(Incarnation(6)), vec![]));
        assert_eq!(lives.hear(PEER, Incarnation(6)), None);
        assert_eq!(lives.hear(PEER, Incarnation(5)), None, "someone who has not heard yet");
        assert!(matches!(lives.meet(PEER, life(6, 1)), Meeting::Later { replaced: true, .. }));
    }

    /// Whoever was met last may be later than what others speak of.
    #[test]
    fn the_peer_itself_tells_which_of_two_lives_is_the_later_one() {
        for present in [5, 6] {
            let (mut lives, _) = met(&[life(5, 3)]);
            lives.hear(PEER, Incarnation(6)).unwrap();
            let Meeting::Later { record, replaced } = lives.meet(PEER, life(present, 3)) else {
                panic!("it is news that it is neither in doubt nor lost");
            };
            assert_eq!(replaced, present == 6);
            lives.remember(record);
            lives.validate();
            assert_eq!(lives.meet(PEER, life(present, 3)), Meeting::Known);
            assert_eq!(lives.hear(PEER, Incarnation(11 - present)), None, "it is over");
            assert!(matches!(lives.meet(PEER, life(11 - present, 9)), Meeting::RolledBack { .. }));
        }
    }

    #[test]
    fn a_node_that_lost_its_own_memory_speaks_for_nobody() {
        let (mut lives, _) = met(&[life(5, 3)]);
        assert_eq!(lives.forget_nothing().len(), 1);
        assert_eq!(lives.forget_nothing(), []);
        assert_eq!(lives.after_loss(&[PEER]), [(PEER, Incarnation(5))]);
        let other = NodeId(3);
        let Meeting::Later { record, .. } = lives.meet(other, life(7, 1)) else { panic!("never met") };
        lives.remember(record);
        assert_eq!(lives.after_loss(&[other]), [(other, Incarnation(7))], "met after the loss");
    }

    #[test]
    fn the_memory_of_losses_is_bounded() {
        let said: Vec<_> = (1..200).map(|incarnation| life(incarnation, 1)).collect();
        let (lives, _) = met(&said);
        assert_eq!(lives.members[&PEER].retired.len(), PeerRecord::RETIRED_MAX);
        assert!(lives.members[&PEER].retired.contains(&Incarnation(198)));
    }
}
