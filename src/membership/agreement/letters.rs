//! The keeper's messages as frames, and back.

use std::sync::Arc;

use bytes::Bytes;
use quorate_ring::NodeId;

use super::Agreement;
use crate::{
    membership::map::{ClusterMap, Fork, MapError, MapMessage, Vote},
    node::{Alarm, Effect, Turn},
    wire::{
        Frame, Header, MapAccept, MapAccepted, MapDecided, MapFetch, MapFetched, MapInstalled, MapOutbid,
        MapPrepare, MapPromised, Parent, PeerMessage, RequestId,
    },
};

/// A ballot that waits for the map after which its slot comes.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) header: Header,
    pub(super) message: PeerMessage,
}

impl Agreement {
    /// Sends a message. An answer to a question bears the question's id.
    pub(super) fn send(&self, turn: &mut Turn<'_>, to: NodeId, message: MapMessage, question: RequestId) {
        let id = if matches!(message, MapMessage::Fetched { .. }) { question } else { RequestId(0) };
        self.send_as(turn, to, message, id);
    }

    /// Sends a message under an id.
    pub(super) fn send_as(&self, turn: &mut Turn<'_>, to: NodeId, message: MapMessage, id: RequestId) {
        let parent = |map: &ClusterMap| match self.keeper.installed_on(map.epoch()).any(|node| node == to) {
            true => Parent::Named(map.name()),
            false => Parent::Whole(map.encode()),
        };
        let message = match message {
            MapMessage::Prepare { parent: map, ballot } => MapPrepare { parent: parent(&map), ballot }.into(),
            MapMessage::Promised { slot, ballot, incarnation, accepted } => {
                let accepted = accepted.map(|vote| (vote.ballot, vote.value.encode()));
                MapPromised { slot, ballot, incarnation, accepted }.into()
            }
            MapMessage::Accept { parent: map, vote } => {
                let Vote { ballot, value } = vote;
                MapAccept { parent: parent(&map), ballot, map: value.encode() }.into()
            }
            MapMessage::Accepted { slot, ballot, incarnation } => {
                MapAccepted { slot, ballot, incarnation }.into()
            }
            MapMessage::Outbid { slot, ballot, incarnation, promised } => {
                MapOutbid { slot, ballot, incarnation, promised }.into()
            }
            MapMessage::Decided { map } => MapDecided { map: map.encode() }.into(),
            MapMessage::Fetch { asker, known, incarnation } => MapFetch { asker, known, incarnation }.into(),
            MapMessage::Fetched { asker, map, epoch, incarnation } => {
                MapFetched { asker, map: map.map(|map| map.encode()), epoch, incarnation }.into()
            }
            MapMessage::Installed { epoch, incarnation } => MapInstalled { epoch, incarnation }.into(),
        };
        let deadline = turn.now.mono + turn.config.request_timeout_max;
        let header = Header { id, epoch: turn.epoch, deadline };
        turn.effects.push(Effect::ToPeer { peer: to, frame: Frame { header, message } });
    }

    /// Lets a peer's message happen to the keeper.
    pub(super) fn take(&mut self, turn: &mut Turn<'_>, from: NodeId, header: Header, message: PeerMessage) {
        let opened = match self.opened(turn, from, header, message) {
            Ok(Some(opened)) => opened,
            Ok(None) => return self.carry_out(turn),
            Err(error) => {
                let alarm = Alarm::BadMap { node: from, reason: error.to_string() };
                return turn.effects.push(Effect::Alarm(alarm));
            }
        };
        let answers = matches!(opened, MapMessage::Fetched { .. });
        let told = match &opened {
            MapMessage::Fetched { epoch, .. } => *epoch,
            _ => quorate_ring::Epoch(0),
        };
        self.keeper.handle(from, opened, &mut self.todo);
        if answers {
            self.asked.remove(&from);
            self.heard_for_listing(header.id, from, told);
        }
        self.carry_out_for(turn, header.id);
    }

    /// A frame as a message; `None` if the map that it names is not the newest one here.
    fn opened(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        header: Header,
        message: PeerMessage,
    ) -> Result<Option<MapMessage>, MapError> {
        let again = match &message {
            PeerMessage::MapPrepare(MapPrepare { parent: Parent::Named(_), .. })
            | PeerMessage::MapAccept(MapAccept { parent: Parent::Named(_), .. }) => Some(message.clone()),
            _ => None,
        };
        let opened = match message {
            PeerMessage::MapPrepare(MapPrepare { parent, ballot }) => {
                let parent = self.parent(turn, from, header, parent, again)?;
                parent.map(|parent| MapMessage::Prepare { parent, ballot })
            }
            PeerMessage::MapAccept(MapAccept { parent, ballot, map }) => {
                let value = self.decoded(&map)?;
                let parent = self.parent(turn, from, header, parent, again)?;
                parent.map(|parent| MapMessage::Accept { parent, vote: Vote { ballot, value } })
            }
            PeerMessage::MapPromised(MapPromised { slot, ballot, incarnation, accepted }) => {
                let accepted = match accepted {
                    Some((ballot, map)) => Some(Vote { ballot, value: self.decoded(&map)? }),
                    None => None,
                };
                Some(MapMessage::Promised { slot, ballot, incarnation, accepted })
            }
            PeerMessage::MapAccepted(MapAccepted { slot, ballot, incarnation }) => {
                Some(MapMessage::Accepted { slot, ballot, incarnation })
            }
            PeerMessage::MapOutbid(MapOutbid { slot, ballot, incarnation, promised }) => {
                Some(MapMessage::Outbid { slot, ballot, incarnation, promised })
            }
            PeerMessage::MapDecided(MapDecided { map }) => {
                Some(MapMessage::Decided { map: self.decoded(&map)? })
            }
            PeerMessage::MapFetch(MapFetch { asker, known, incarnation }) => {
                Some(MapMessage::Fetch { asker, known, incarnation })
            }
            PeerMessage::MapFetched(MapFetched { asker, map, epoch, incarnation }) => {
                let map = map.map(|map| self.decoded(&map)).transpose()?;
                Some(MapMessage::Fetched { asker, map, epoch, incarnation })
            }
            PeerMessage::MapInstalled(MapInstalled { epoch, incarnation }) => {
                Some(MapMessage::Installed { epoch, incarnation })
            }
            _ => None,
        };
        Ok(opened)
    }

    /// The map that a ballot goes by. One that is older than the newest here is answered with that; one that is
    /// newer is fetched, and the ballot waits for it.
    fn parent(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        header: Header,
        parent: Parent,
        again: Option<PeerMessage>,
    ) -> Result<Option<Arc<ClusterMap>>, MapError> {
        let name = match parent {
            Parent::Whole(map) => return Ok(Some(self.decoded(&map)?)),
            Parent::Named(name) => name,
        };
        let ours = self.keeper.newest().name();
        if name == ours {
            return Ok(Some(self.keeper.newest().clone()));
        }
        if name.epoch < ours.epoch {
            let map = self.keeper.newest().clone();
            self.send(turn, from, MapMessage::Decided { map }, RequestId(0));
        } else if name.epoch == ours.epoch {
            super::stop(turn, Fork { ours, theirs: name });
        } else if let Some(message) = again {
            self.parked.insert(from, Parked { header, message });
            self.keeper.hear_epoch(from, name.epoch, &mut self.todo);
        }
        Ok(None)
    }

    fn decoded(&self, bytes: &Bytes) -> Result<Arc<ClusterMap>, MapError> {
        match self.keeper.known_map(bytes) {
            Some(known) => Ok(known),
            None => ClusterMap::decode(bytes).map(Arc::new),
        }
    }
}
