//! News waiting to be passed on.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use quorate_ring::NodeId;

/// What a piece of news is about. Its content is looked up when it is told, so it is always the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// What is claimed of a member.
    Claim(NodeId),
    /// The entry of a node with this number.
    Entry(NodeId, u64),
}

/// The most pieces of news that wait.
pub(crate) const RUMORS_MAX: usize = 4_096;

/// Tellings so far, then the latest first: the order in which news is told (SWIM, section 4.1).
type Place = (u32, Reverse<u64>);

/// News by urgency: what was told least goes first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rumors {
    queue: BTreeSet<(Place, Topic)>,
    places: BTreeMap<Topic, Place>,
    arrivals: u64,
}

impl Rumors {
    /// Adds news, or starts it anew. Beyond the bound the most told is dropped: exchanges bring it later.
    pub(crate) fn add(&mut self, topic: Topic) {
        self.remove(topic);
        self.arrivals += 1;
        self.insert(topic, (0, Reverse(self.arrivals)));
        if self.queue.len() > RUMORS_MAX
            && let Some((_, dropped)) = self.queue.pop_last()
        {
            self.places.remove(&dropped);
        }
    }

    pub(crate) fn remove(&mut self, topic: Topic) {
        if let Some(place) = self.places.remove(&topic) {
            self.queue.remove(&(place, topic));
        }
    }

    /// Forgets all that is about one node.
    pub(crate) fn remove_node(&mut self, node: NodeId) {
        self.remove(Topic::Claim(node));
        let entries = Topic::Entry(node, 0)..=Topic::Entry(node, u64::MAX);
        let topics: Vec<_> = self.places.range(entries).map(|(topic, _)| *topic).collect();
        topics.into_iter().for_each(|topic| self.remove(topic));
    }

    /// The most urgent first.
    pub(crate) fn by_urgency(&self) -> impl Iterator<Item = Topic> + '_ {
        self.queue.iter().map(|(_, topic)| *topic)
    }

    /// Counts a telling; at `limit` the news is no news any more.
    pub(crate) fn told(&mut self, topic: Topic, limit: u32) {
        if let Some((count, arrival)) = self.places.remove(&topic) {
            self.queue.remove(&((count, arrival), topic));
            if count + 1 < limit {
                self.insert(topic, (count + 1, arrival));
            }
        }
    }

    fn insert(&mut self, topic: Topic, place: Place) {
        self.queue.insert((place, topic));
        self.places.insert(topic, place);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn validate(&self) {
        assert!(self.queue.len() <= RUMORS_MAX);
        assert_eq!(self.queue.len(), self.places.len());
        assert!(self.queue.iter().all(|(place, topic)| self.places.get(topic) == Some(place)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(node: u32) -> Topic {
        Topic::Claim(NodeId(node))
    }

    #[test]
    fn the_least_told_goes_first_then_the_latest() {
        let mut rumors = Rumors::default();
        [1, 2, 3].into_iter().for_each(|node| rumors.add(claim(node)));
        rumors.told(claim(3), 5);
        let order: Vec<_> = rumors.by_urgency().collect();
        assert_eq!(order, [claim(2), claim(1), claim(3)]);
        rumors.add(claim(3));
        assert_eq!(rumors.by_urgency().next(), Some(claim(3)));
        rumors.validate();
    }

    #[test]
    fn news_is_told_a_bounded_number_of_times() {
        let mut rumors = Rumors::default();
        rumors.add(claim(1));
        for told in 0..4 {
            assert!(!rumors.is_empty(), "gone after {told}");
            rumors.told(claim(1), 4);
        }
        assert!(rumors.is_empty());
        rumors.validate();
    }

    #[test]
    fn there_is_a_bound_on_news() {
        let mut rumors = Rumors::default();
        rumors.add(claim(0));
        rumors.told(claim(0), 9);
        (1..=RUMORS_MAX as u32).for_each(|node| rumors.add(claim(node)));
        assert_eq!(rumors.by_urgency().filter(|topic| *topic == claim(0)).count(), 0);
        rumors.validate();
    }

    #[test]
    fn a_node_is_forgotten_with_all_its_entries() {
        let mut rumors = Rumors::default();
        [Topic::Entry(NodeId(1), 1), claim(1), Topic::Entry(NodeId(1), u64::MAX), claim(2)]
            .into_iter()
            .for_each(|topic| rumors.add(topic));
        rumors.remove_node(NodeId(1));
        assert_eq!(rumors.by_urgency().collect::<Vec<_>>(), [claim(2)]);
        rumors.validate();
    }
}
