//! Spreading: news rides on every message, and travels on its own while it is young (SWIM, section 4.1).

use quorate_ring::{Instant, NodeId};

use super::Gossip;
use crate::{
    codec::{DATAGRAM_BYTES_MAX, put_news, put_packet_without_news},
    effect::{Effect, Event, Sink},
    entry::Entry,
    life::{Claim, Life, MemberState},
    message::{Message, News, Packet},
    rumors::Topic,
    timers::Timer,
};

/// A datagram with less room than this is full: hardly any news is shorter.
const ROOM_MIN: usize = 12;
/// News that did not fit before a datagram counts as full.
const MISFITS_MAX: usize = 8;
/// What a piece of news is told at least, however few members there are: one loss must not end it.
const TRANSMISSIONS_MIN: u32 = 3;

impl Gossip {
    /// Tells the news to a few members, and sets the time of the next telling if some is left.
    pub(super) fn spread(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.is_spreading = false;
        let mut audience = self.members.pick(self.config.spread_fanout, &mut self.random, |_| true);
        if self.is_leaving() {
            audience.extend(self.strangers(self.config.spread_fanout - audience.len()));
        }
        if audience.is_empty() {
            return; // the first member that appears starts it again
        }
        for to in audience {
            if self.rumors.is_empty() {
                return;
            }
            self.send(to, Message::News, sink);
        }
        self.arm_spread(now);
    }

    /// Up to `count` peers that were not heard of yet: they may have heard of this node all the same, or be told of it by others
    /// who have.
    fn strangers(&mut self, count: usize) -> Vec<NodeId> {
        let is_strange = |node: &NodeId| self.members.find(*node).is_none();
        let mut strangers: Vec<_> = self.absent.iter().copied().filter(is_strange).collect();
        self.random.shuffle(&mut strangers);
        strangers.truncate(count);
        strangers
    }

    /// Makes something news.
    pub(super) fn tell(&mut self, now: Instant, topic: Topic) {
        if !self.is_leaving() {
            self.rumors.add(topic);
            self.arm_spread(now);
        }
    }

    pub(super) fn arm_spread(&mut self, now: Instant) {
        if !self.is_spreading && !self.rumors.is_empty() {
            self.is_spreading = true;
            self.timers.set(now + self.config.spread_interval, Timer::Spread);
        }
    }

    /// An entry took the place of an older one, or of none.
    pub(super) fn replace_rumor(&mut self, now: Instant, node: NodeId, replaced: Option<u64>, number: u64) {
        if let Some(replaced) = replaced {
            self.rumors.remove(Topic::Entry(node, replaced));
        }
        self.tell(now, Topic::Entry(node, number));
    }

    /// Takes in an entry. An old one changes nothing.
    pub(super) fn hear_entry(&mut self, now: Instant, entry: Entry, is_news: bool, sink: &mut dyn Sink) {
        let (node, version) = (entry.key.node, entry.version);
        if node == self.own {
            let own = self.own_member().head();
            if (version.life, version.number) > (own.claim.life, own.watermark) {
                self.raise_life(now, version.life, sink);
            }
            return;
        }
        self.hear_life(now, node, version.life, is_news, sink);
        let Some(member) = self.members.find(node) else {
            return; // forgotten, or no room
        };
        let replaced = member.facts.about(&entry.key.subject).map(|held| held.version.number);
        let event = Event::EntryChanged(entry.clone());
        let merged = self.members.edit(node, &mut self.random, |member| member.facts.merge(entry));
        if merged == Some(true) {
            sink.push(Effect::Event(event));
            if is_news {
                self.replace_rumor(now, node, replaced, version.number);
            }
        }
    }

    /// Entries of a life say that there is such a life.
    pub(super) fn hear_life(
        &mut self,
        now: Instant,
        node: NodeId,
        life: Life,
        is_news: bool,
        sink: &mut dyn Sink,
    ) {
        if node != self.own && self.members.find(node).is_none_or(|member| member.claim.life < life) {
            self.hear_claim(now, Claim::alive(node, life, 0), &[], is_news, sink);
        }
    }

    /// A message with as much news as fits. The receiver hears first what is held against itself, if anything, so that
    /// it can object.
    pub(super) fn send(&mut self, to: NodeId, message: Message, sink: &mut dyn Sink) {
        let is_all_news = message == Message::News;
        let mut bytes = put_packet_without_news(&self.packet(message, Vec::new()));
        let bytes_without_news = bytes.len();
        if self.members.find(to).is_some_and(|member| member.state() != MemberState::Alive)
            && let Some(accusation) = self.news_about(Topic::Claim(to))
        {
            put_news(&mut bytes, &accusation);
        }
        let told = self.put_rumors(to, &mut bytes);
        let limit = self.config.transmissions_per_bit * bits(self.members.active()) + TRANSMISSIONS_MIN;
        told.into_iter().for_each(|topic| self.rumors.told(topic, limit));
        if bytes.len() > bytes_without_news || !is_all_news {
            self.emit(to, bytes, sink);
        }
    }

    /// Appends as much news as fits, and says which; what is out of date counts as told.
    fn put_rumors(&self, to: NodeId, bytes: &mut Vec<u8>) -> Vec<Topic> {
        let (mut told, mut misfits) = (Vec::new(), 0);
        for topic in self.rumors.by_urgency() {
            if bytes.len() + ROOM_MIN > DATAGRAM_BYTES_MAX || misfits > MISFITS_MAX {
                break;
            }
            let before = bytes.len();
            // Nobody needs to hear that it is well, and what else is said of the receiver is said already.
            let content = if topic == Topic::Claim(to) { None } else { self.news_about(topic) };
            if let Some(news) = content {
                put_news(bytes, &news);
            }
            if bytes.len() > DATAGRAM_BYTES_MAX {
                bytes.truncate(before);
                misfits += 1;
            } else {
                told.push(topic);
            }
        }
        told
    }

    /// Sends bytes the way that their length allows.
    pub(super) fn emit(&self, to: NodeId, bytes: Vec<u8>, sink: &mut dyn Sink) {
        sink.push(if bytes.len() <= DATAGRAM_BYTES_MAX {
            Effect::Datagram { to, bytes }
        } else {
            Effect::Stream { to, bytes }
        });
    }

    pub(super) fn packet(&self, message: Message, news: Vec<News>) -> Packet {
        let Claim { life, refutation, .. } = self.members.own();
        Packet { life, refutation, is_leaving: self.is_leaving(), message, news }
    }

    pub(super) fn news_about(&self, topic: Topic) -> Option<News> {
        match topic {
            Topic::Claim(node) => {
                let claim = self.members.find(node)?.claim;
                let accusers = self.suspicions.get(&node).map(|s| s.accusers().to_vec()).unwrap_or_default();
                Some(News::Claim { claim, accusers })
            }
            Topic::Entry(node, number) => {
                Some(News::Entry(self.members.find(node)?.facts.numbered(number)?.clone()))
            }
        }
    }
}

/// Binary digits of a number.
fn bits(number: usize) -> u32 {
    usize::BITS - number.leading_zeros()
}
