//! What changes on a node with the cluster map.

use std::sync::Arc;

use quorate_ring::{Instant, Now, TableId};
use quorate_storage::Write;

#[cfg(feature = "mutants")]
use super::Mutant;
use super::{Alarm, DiskOperation, DiskRequest, Effect, Effects, Node, Ticket};
use crate::membership::{CatalogNews, map::ClusterMap, remember};

impl Node {
    /// Goes by the newest map that is durable here, and acts as a member as soon as that is allowed (rule M1). To be
    /// called after every event.
    pub(super) fn follow_map(&mut self, now: Now, effects: &mut Effects) {
        let news = self.agreement.news();
        let serves = self.agreement.keeper().serves();
        let has_changed = serves != self.surroundings.serves;
        if news.is_some() || has_changed {
            self.go_by(now, news, serves, effects);
        }
        self.agreement.conclude(&mut self.surroundings.turn(now, effects));
    }

    fn go_by(&mut self, now: Now, news: Option<Arc<ClusterMap>>, serves: bool, effects: &mut Effects) {
        let has_changed = serves != self.surroundings.serves;
        self.surroundings.serves = serves;
        let recovers = news.is_some_and(|map| self.install(now, &map, effects));
        let turn = &mut self.surroundings.turn(now, effects);
        self.detector.refresh(turn);
        if has_changed || recovers {
            self.standings.publish(turn);
        }
        self.recovery.look(turn);
        if serves {
            self.release(now, effects);
        }
    }

    /// Judges requests by `map` from now on. True if what is to be recovered has changed.
    fn install(&mut self, now: Now, map: &Arc<ClusterMap>, effects: &mut Effects) -> bool {
        let surroundings = &mut self.surroundings;
        // Where no range has moved the founders' list stands: this process may know them under other addresses.
        if map.ring().epoch() > surroundings.ring.epoch() {
            surroundings.ring = Arc::clone(map.ring());
        }
        let (own, named_at) = (surroundings.config.node, self.agreement.keeper().named_at());
        let before = surroundings.catalog.left();
        let news = surroundings.catalog.install(map, &surroundings.ring, own, named_at);
        #[cfg(feature = "mutants")]
        if surroundings.config.mutant == Some(Mutant::NoRecovery) {
            surroundings.catalog.forget_recovery();
        }
        let left = surroundings.catalog.left();
        let has_changed = left != before;
        surroundings.up.recovers(own, left);
        let turn = &mut surroundings.turn(now, effects);
        let CatalogNews { writes, lost } = news;
        for write in writes {
            let operation = DiskOperation::Write(Write::Meta(write));
            let request = DiskRequest { ticket: Ticket::Catalog, deadline: Instant::NEVER, operation };
            turn.effects.push(Effect::Disk(request));
        }
        for table in lost {
            turn.effects.push(Effect::Alarm(Alarm::DataLost { table: table.name.clone() }));
        }
        // An earlier life of this node may have known of losses of others.
        if named_at.is_some_and(|named_at| named_at > TableId(1)) {
            for record in turn.lives.forget_nothing() {
                remember(turn, &record);
            }
        }
        has_changed
    }
}
