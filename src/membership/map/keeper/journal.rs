//! What is on its way to the disk, and who is told when it is there.

use std::{collections::VecDeque, sync::Arc};

use quorate_ring::NodeId;

use super::{MapMessage, MapTicket};
use crate::membership::map::ClusterMap;

/// Messages, and to whom.
pub(super) type Answers = Vec<(NodeId, MapMessage)>;

/// Writes under way, in the order in which they become durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    last: u64,
    writes: VecDeque<Write>,
    is_behind: bool,
}

#[derive(Clone, Debug)]
struct Write {
    ticket: MapTicket,
    map: Arc<ClusterMap>,
    answers: Answers,
}

impl Journal {
    /// A record with this map is about to be written.
    pub(super) fn write(&mut self, map: Arc<ClusterMap>) -> MapTicket {
        self.last += 1;
        let ticket = MapTicket(self.last);
        self.writes.push_back(Write { ticket, map, answers: Vec::new() });
        self.is_behind = false;
        ticket
    }

    /// Keeps an answer until what is being written is durable; gives it back if nothing is.
    pub(super) fn hold(&mut self, to: NodeId, answer: MapMessage) -> Option<(NodeId, MapMessage)> {
        match self.writes.back_mut() {
            Some(write) => {
                write.answers.push((to, answer));
                None
            }
            None => Some((to, answer)),
        }
    }

    /// A record is durable: its map, and the answers that waited for it and for earlier ones.
    pub(super) fn durable(&mut self, ticket: MapTicket) -> Option<(Arc<ClusterMap>, Answers)> {
        let mut done = None;
        while let Some(write) = self.writes.pop_front_if(|write| write.ticket <= ticket) {
            let (map, answers) = done.get_or_insert_with(|| (write.map.clone(), Vec::new()));
            *map = write.map;
            answers.extend(write.answers);
        }
        done
    }

    /// A record could not be written: its answers are never sent.
    pub(super) fn failed(&mut self, ticket: MapTicket) {
        self.writes.retain(|write| write.ticket != ticket);
        self.is_behind = true;
    }

    /// Whether the last record was not written, and none was since.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }
}
