//! What happens between a node and its peers: connections, and what arrives on them.

use quorate_ring::{Incarnation, NodeId, Now, Tag};
use quorate_storage::{Life, PeerRecord, RecoveryRecord};

use super::{DiskResult, Effect, Effects, Node, held::HeldFrame};
use crate::{
    coordinator::{ReplicaAnswer, Step},
    handoff::{Handoff, Taken},
    membership::{Arrival, News, remember, send_standing},
    repair::Repair,
    wire::{
        AfterLoss, Frame, HeldAnswer, PageFetched, PeerMessage, PeerRefusal, Refused, RequestId, RolledBack,
        Standing,
    },
};

impl Node {
    /// A connection to a peer has opened. Nothing that the peer says is listened to before what it said of
    /// itself is durable here, and before what an earlier life of it acknowledged is void.
    pub(super) fn peer_open(&mut self, now: Now, peer: NodeId, life: Life, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        match self.arrivals.open(turn, peer, life) {
            Arrival::Up => self.peer_up(now, peer, effects),
            Arrival::Pending { replaced: true } => self.coordinator.peer_replaced(turn, peer),
            Arrival::Pending { replaced: false } | Arrival::Refused => {}
        }
    }

    /// What is remembered of a peer is durable, or not.
    pub(super) fn peer_remembered(
        &mut self,
        now: Now,
        record: &PeerRecord,
        result: DiskResult,
        effects: &mut Effects,
    ) {
        let turn = &mut self.surroundings.turn(now, effects);
        match self.arrivals.disk_done(turn, record, result) {
            Ok(Some(held)) => {
                self.peer_up(now, record.node, effects);
                for frame in held {
                    self.peer(now, record.node, frame, effects);
                }
            }
            Ok(None) => {}
            Err(halt) => effects.push(Effect::Halt(halt)),
        }
    }

    /// A connection is lost, or not to be used any more.
    pub(super) fn peer_down(&mut self, now: Now, peer: NodeId, effects: &mut Effects) {
        self.surroundings.up.remove(peer);
        self.arrivals.lost(peer);
        self.standings.peer_down(peer);
        self.clock_offsets.peer_down(peer);
        self.held.peer_down(peer);
        let turn = &mut self.surroundings.turn(now, effects);
        self.coordinator.peer_down(turn, peer);
        self.handoff.peer_down(peer);
        self.recovery.peer_down(turn, peer);
        self.repair.peer_down(peer);
    }

    /// A peer's request or answer.
    pub(super) fn peer(&mut self, now: Now, from: NodeId, frame: Frame<PeerMessage>, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        self.agreement.hear_epoch(turn, from, frame.header.epoch);
        let Some(HeldFrame::Peer(_, frame)) = self.hold(now, HeldFrame::Peer(from, frame), effects) else {
            return;
        };
        let Frame { header, message } = frame;
        let turn = &mut self.surroundings.turn(now, effects);
        match message {
            PeerMessage::Fetch(fetch) => self.replica.fetch(turn, from, header, fetch),
            PeerMessage::Store(store) => self.replica.store(turn, from, header, store),
            PeerMessage::FetchPage(fetch) => self.replica.fetch_page(turn, from, header, fetch),
            PeerMessage::PageFetched(fetched) => self.page_fetched(now, from, header.id, fetched, effects),
            PeerMessage::Stored(_) | PeerMessage::Refused(_) if Repair::is_own(header.id) => {
                self.was_given(now, from, header.id, &message, effects);
            }
            PeerMessage::Compare(_) if self.handoff.gives_much(from) => {
                Repair::refuse_for_now(turn, from, header);
            }
            PeerMessage::Compare(compare) => self.repair.compare(turn, from, header, compare),
            PeerMessage::Compared(compared) => self.repair.compared(turn, from, header.id, compared),
            PeerMessage::CompareKeys(compare) => self.repair.compare_keys(turn, from, header, compare),
            PeerMessage::KeysCompared(keys) => self.repair.keys_compared(turn, from, header.id, keys),
            PeerMessage::Stored(_) | PeerMessage::Refused(_) if Handoff::is_own(header.id) => {
                self.handoff.answered(turn, from, header.id, taken(&message));
            }
            PeerMessage::KeepHint(keep) => self.handoff.keep_for_peer(turn, from, header, keep),
            PeerMessage::Fetched(_)
            | PeerMessage::Stored(_)
            | PeerMessage::Advanced(_)
            | PeerMessage::Forwarded(_)
            | PeerMessage::Refused(_) => {
                let step = Step::from_request_id(header.id);
                self.answered(now, from, step, message, effects);
            }
            PeerMessage::AfterLoss(AfterLoss { lives, answer }) => {
                self.hear_of_losses(now, lives, effects);
                let message = match answer {
                    HeldAnswer::Fetched(fetched) => fetched.into(),
                    HeldAnswer::Stored(stored) => stored.into(),
                };
                self.peer(now, from, Frame { header, message }, effects);
            }
            PeerMessage::Forward(forward) => self.coordinator.forwarded(turn, from, header, forward),
            PeerMessage::Advance(advance) => self.replica.advance(turn, from, header, advance),
            PeerMessage::MapPrepare(_)
            | PeerMessage::MapPromised(_)
            | PeerMessage::MapAccept(_)
            | PeerMessage::MapAccepted(_)
            | PeerMessage::MapOutbid(_)
            | PeerMessage::MapDecided(_)
            | PeerMessage::MapFetch(_)
            | PeerMessage::MapFetched(_)
            | PeerMessage::MapInstalled(_) => self.agreement.handle(turn, from, header, message),
            PeerMessage::Gossip(gossip) => self.detector.stream(turn, from, &gossip.packet),
            PeerMessage::AskStanding(_) => send_standing(turn, from, header.id),
            PeerMessage::Standing(standing) => self.standing(now, from, header.id, standing, effects),
            PeerMessage::Pull(pull) => self.source.pull(turn, from, header, pull),
            PeerMessage::Pulled(pulled) => self.recovery.pulled(turn, from, header, pulled),
            PeerMessage::RolledBack(RolledBack { said, known }) => {
                if said == self.surroundings.lives.own() {
                    let starts = known.starts;
                    let why = format!("{from} remembers start {starts} of it, this is start {}", said.starts);
                    effects.push(Effect::Abandon(why));
                }
            }
        }
    }

    /// A peer has taken what repair gave it, or refused it.
    fn was_given(
        &mut self,
        now: Now,
        from: NodeId,
        id: RequestId,
        message: &PeerMessage,
        effects: &mut Effects,
    ) {
        let turn = &mut self.surroundings.turn(now, effects);
        let given = self.repair.answered(turn, from, id, matches!(message, PeerMessage::Stored(_)));
        if let Some((row, _)) = given.filter(|(_, given)| lacks(message, *given) && !self.draining) {
            self.coordinator.bring_together(turn, &row);
        }
    }

    /// A replica tells what it holds of a part of a table.
    fn page_fetched(
        &mut self,
        now: Now,
        from: NodeId,
        id: RequestId,
        mut fetched: PageFetched,
        effects: &mut Effects,
    ) {
        self.hear_of_losses(now, std::mem::take(&mut fetched.lives), effects);
        self.answered(now, from, Step::from_request_id(id), fetched.into(), effects);
    }

    /// A replica's word, a peer's or this node's own, on a request of this node's coordinator.
    pub(super) fn answered(
        &mut self,
        now: Now,
        from: NodeId,
        step: Step,
        message: PeerMessage,
        effects: &mut Effects,
    ) {
        let turn = &mut self.surroundings.turn(now, effects);
        let answer = match message {
            PeerMessage::Fetched(fetched) => ReplicaAnswer::Fetched(fetched),
            PeerMessage::Stored(stored) => ReplicaAnswer::Stored(stored),
            PeerMessage::Advanced(advanced) => ReplicaAnswer::Advanced(advanced),
            PeerMessage::Forwarded(forwarded) => ReplicaAnswer::Forwarded(Box::new(forwarded)),
            PeerMessage::PageFetched(fetched) => ReplicaAnswer::Page(Box::new(fetched)),
            PeerMessage::Refused(Refused { refusal }) => ReplicaAnswer::Failed(refusal.into()),
            _ => return,
        };
        self.coordinator.answered(turn, from, step, answer);
    }

    /// Ranges of a table are recovered, durably so.
    pub(super) fn recovered(&mut self, now: Now, record: RecoveryRecord, effects: &mut Effects) {
        let whole = record.left.is_empty();
        self.surroundings.catalog.recovered(record);
        let (own, left) = (self.surroundings.config.node, self.surroundings.catalog.left());
        self.surroundings.up.recovers(own, left);
        let turn = &mut self.surroundings.turn(now, effects);
        self.recovery.look(turn);
        if whole {
            self.standings.publish(turn);
            self.detector.refresh(turn);
        }
    }

    fn peer_up(&mut self, now: Now, peer: NodeId, effects: &mut Effects) {
        self.surroundings.up.insert(peer, now.mono);
        self.surroundings.up.set_suspected(peer, self.detector.doubts(peer));
        let turn = &mut self.surroundings.turn(now, effects);
        self.agreement.peer_up(turn, peer);
        self.handoff.peer_up(turn, peer);
        self.repair.peer_up(turn, peer);
        self.standings.peer_up(turn, peer);
        self.clock_offsets.peer_up(now, peer);
        self.recovery.look(turn);
        self.detector.reached(turn, peer);
    }

    /// A replica tells, with its answer, of members that it has met in another life.
    fn hear_of_losses(&mut self, now: Now, lives: Vec<(NodeId, Incarnation)>, effects: &mut Effects) {
        for (peer, incarnation) in lives {
            if let Some(record) = self.surroundings.lives.hear(peer, incarnation) {
                self.peer_lost_state(now, &record, effects);
            }
        }
    }

    /// Another replica has met a peer in another life. The connection to the peer, if there is one, may be to an
    /// earlier one: the next one will tell.
    fn peer_lost_state(&mut self, now: Now, record: &PeerRecord, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        remember(turn, record);
        self.coordinator.peer_replaced(turn, record.node);
        self.peer_down(now, record.node, effects);
        effects.push(Effect::Disconnect(record.node));
    }

    /// Does what gossip's verdicts and facts ask for. To be called after every event.
    pub(super) fn follow_gossip(&mut self, now: Now, effects: &mut Effects) {
        let suspicion = self.surroundings.config.gossip.suspicion_min;
        for news in self.detector.take_news() {
            match news {
                News::Alive(peer) => self.surroundings.up.set_suspected(peer, false),
                News::Suspect(peer) => self.surroundings.up.set_suspected(peer, true),
                // One that has just connected was alive then: the verdict is on an earlier process of it.
                News::Dead(peer) if self.surroundings.up.is_older(peer, now.mono, suspicion) => {
                    effects.push(Effect::Disconnect(peer));
                }
                News::Dead(_) => {}
                News::Epoch(peer, epoch) => {
                    self.agreement.hear_epoch(&mut self.surroundings.turn(now, effects), peer, epoch);
                }
            }
        }
    }

    /// A peer says how far it has come, and what its clock shows.
    fn standing(&mut self, now: Now, from: NodeId, id: RequestId, standing: Standing, effects: &mut Effects) {
        let Standing { serves, recovering, wall } = standing;
        self.clock_offsets.heard(now, from, id, wall);
        self.surroundings.up.acts_as_member(from, serves);
        self.surroundings.up.recovers(from, recovering);
        let turn = &mut self.surroundings.turn(now, effects);
        self.standings.heard(turn, from);
        self.recovery.look(turn);
    }
}

/// What the answer says of a hint. Who has promised a later round of a `cas` key never takes the proposal of an earlier one: it
/// hears of the later ones, or is brought together with the others by repair.
fn taken(message: &PeerMessage) -> Taken {
    match message {
        PeerMessage::Stored(_) | PeerMessage::Refused(Refused { refusal: PeerRefusal::Outbid { .. } }) => {
            Taken::Yes
        }
        PeerMessage::Refused(Refused { refusal: PeerRefusal::Damaged(_) }) => Taken::Contradicted,
        _ => Taken::NotNow,
    }
}

/// Whether a replica of a `cas` key has promised a later round than that of what it was given (rule C1), and has nothing as new
/// all the same: the later round has come to nothing yet.
fn lacks(message: &PeerMessage, given: Tag) -> bool {
    matches!(message, PeerMessage::Refused(Refused { refusal: PeerRefusal::Outbid { accepted, .. } })
        if *accepted < Some(given))
}
