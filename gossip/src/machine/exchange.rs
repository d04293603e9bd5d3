//! Exchanging: comparing everything with somebody, cheaply if nothing differs.
//!
//! Digest, buckets, heads, delta: each step narrows the difference down, and each message is complete in itself, so a
//! lost one costs nothing but this exchange. The digests are a two-level hash tree over the members; the heads and deltas
//! are Scuttlebutt's (van Renesse et al. 2008).

use std::collections::BTreeSet;

use quorate_ring::{Instant, NodeId};

use super::Gossip;
use crate::{
    codec::{STREAM_BYTES_MAX, encode},
    effect::Sink,
    life::{Claim, Life, MemberState},
    members::{Member, bucket_of},
    message::{BUCKETS, EntrySet, Head, Message, News},
    rumors::Topic,
    timers::Timer,
};

/// The most claims and entries of a delta that are passed on as news.
pub(super) const NEWS_IN_DELTA_MAX: usize = 64;
/// Peers tried at a time by a node that knows nobody.
const JOIN_FANOUT: usize = 3;

/// What the other side of an exchange lacks, and what this side does.
#[derive(Default)]
struct Difference {
    news: Vec<News>,
    sets: Vec<EntrySet>,
    wants: Vec<Head>,
}

impl Gossip {
    pub(super) fn exchange(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.timers.set(now + self.config.exchange_interval, Timer::Exchange);
        let is_alive = |claim: &Claim| claim.state == MemberState::Alive;
        for to in self.members.pick(1, &mut self.random, is_alive) {
            self.send_digest(to, sink);
        }
    }

    /// Tries somebody who is dead here, or was never heard of: they may be back, or behind a partition that has healed.
    pub(super) fn reconnect(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.timers.set(now + self.config.reconnect_interval, Timer::Reconnect);
        let count = if self.members.active() == 1 { JOIN_FANOUT } else { 1 };
        let mut tried = BTreeSet::new();
        for _ in 0..count.min(self.absent.len()) {
            let at = self.random.below(self.absent.len());
            tried.extend(self.absent.iter().nth(at).copied());
        }
        tried.into_iter().for_each(|to| self.send_digest(to, sink));
    }

    /// Compares everything with somebody who can be reached and is held to be gone: each packet tells of its sender's life.
    /// Whoever was never heard of is met by the usual turns; where a large cluster begins everybody would greet everybody.
    pub(super) fn greet(&mut self, node: NodeId, sink: &mut dyn Sink) {
        let is_gone = matches!(self.state(node), Some(MemberState::Dead | MemberState::Left));
        if node != self.own && is_gone && !self.forgotten.contains(&node) && !self.is_leaving() {
            self.send_digest(node, sink);
        }
    }

    fn send_digest(&mut self, to: NodeId, sink: &mut dyn Sink) {
        self.send(to, Message::Digest { root: self.members.root_hash() }, sink);
    }

    pub(super) fn receive_digest(&mut self, from: NodeId, root: u64, sink: &mut dyn Sink) {
        if root != self.members.root_hash() {
            let hashes = Box::new(self.members.bucket_hashes());
            self.send(from, Message::Buckets { hashes }, sink);
        }
    }

    pub(super) fn receive_buckets(&mut self, from: NodeId, hashes: &[u64; BUCKETS], sink: &mut dyn Sink) {
        let own = self.members.bucket_hashes();
        let mut differing: Vec<Vec<Head>> = vec![Vec::new(); BUCKETS];
        for member in self.members.iter() {
            let bucket = bucket_of(member.claim.node);
            if own[bucket] != hashes[bucket] {
                differing[bucket].push(member.head());
            }
        }
        let (mut buckets, mut heads) = (0, Vec::new());
        for bucket in (0..BUCKETS).filter(|bucket| own[*bucket] != hashes[*bucket]) {
            if !heads.is_empty()
                && (heads.len() + differing[bucket].len()) * HEAD_BYTES_MAX > STREAM_BYTES_MAX / 2
            {
                self.send_heads(from, std::mem::take(&mut buckets), std::mem::take(&mut heads), sink);
            }
            buckets |= 1 << bucket;
            heads.append(&mut differing[bucket]);
        }
        if buckets != 0 {
            self.send_heads(from, buckets, heads, sink);
        }
    }

    fn send_heads(&self, to: NodeId, buckets: u32, mut heads: Vec<Head>, sink: &mut dyn Sink) {
        heads.sort_unstable_by_key(|head| head.claim.node);
        self.emit(to, encode(&self.packet(Message::Heads { buckets, heads }, Vec::new())), sink);
    }

    pub(super) fn receive_heads(
        &mut self,
        now: Instant,
        from: NodeId,
        buckets: u32,
        heads: &[Head],
        sink: &mut dyn Sink,
    ) {
        if let Ok(at) = heads.binary_search_by_key(&self.own, |head| head.claim.node) {
            self.defend_head(now, &heads[at], sink);
        }
        let mut difference = Difference::default();
        let mut listed = BTreeSet::new();
        for head in heads {
            listed.insert(head.claim.node);
            self.compare(head, &mut difference);
        }
        let is_unlisted = |member: &&Member| {
            let node = member.claim.node;
            buckets & 1 << bucket_of(node) != 0 && !listed.contains(&node)
        };
        for member in self.members.iter().filter(is_unlisted) {
            self.compare(&nothing_of(member.claim.node), &mut difference);
        }
        self.send_difference(from, difference, sink);
    }

    pub(super) fn receive_delta(
        &mut self,
        now: Instant,
        from: NodeId,
        sets: Vec<EntrySet>,
        wants: &[Head],
        is_news: bool,
        sink: &mut dyn Sink,
    ) {
        for EntrySet { node, life, base, up_to, entries } in sets {
            self.hear_life(now, node, life, is_news, sink);
            for entry in entries {
                self.hear_entry(now, entry, is_news, sink);
            }
            if node != self.own {
                self.members.edit(node, &mut self.random, |member| member.facts.vouch(life, base, up_to));
            }
        }
        let mut difference = Difference::default();
        for want in wants {
            self.compare(want, &mut difference);
        }
        difference.wants.clear(); // one answer to an answer is enough
        self.send_difference(from, difference, sink);
    }

    /// Somebody holds more of this node than it ever made: in an earlier process, before its clock stepped back.
    fn defend_head(&mut self, now: Instant, head: &Head, sink: &mut dyn Sink) {
        self.hear_claim(now, head.claim, &[], true, sink);
        let own = self.own_member().head();
        if (head.facts_life, head.watermark) > (own.claim.life, own.watermark) {
            self.raise_life(now, head.facts_life, sink);
        }
    }

    /// Adds what differs between the other side's head and what is held here.
    fn compare(&self, theirs: &Head, difference: &mut Difference) {
        let node = theirs.claim.node;
        let Some(member) = self.members.find(node) else {
            if !self.forgotten.contains(&node) {
                difference.wants.push(nothing_of(node));
            }
            return;
        };
        let ours = member.head();
        if ours.claim.precedence() > theirs.claim.precedence() {
            difference.news.extend(self.news_about(Topic::Claim(node)));
        }
        difference.sets.extend(member.facts.beyond(node, theirs.facts_life, theirs.watermark));
        let lacks_claim = theirs.claim.precedence() > ours.claim.precedence();
        let lacks_facts = (theirs.facts_life, theirs.watermark) > (ours.facts_life, ours.watermark);
        if (lacks_claim || lacks_facts) && node != self.own {
            difference.wants.push(ours);
        }
    }

    /// Sends a difference in as few deltas as their size allows; none if there is none.
    fn send_difference(&self, to: NodeId, difference: Difference, sink: &mut dyn Sink) {
        let mut rest = difference;
        rest.sets.sort_unstable_by_key(|set| set.node);
        rest.wants.sort_unstable_by_key(|want| want.claim.node);
        while !(rest.news.is_empty() && rest.sets.is_empty() && rest.wants.is_empty()) {
            let mut room = STREAM_BYTES_MAX - PACKET_BYTES_MAX;
            let news = take_fitting(&mut rest.news, &mut room, |_| NEWS_BYTES_MAX);
            let wants = take_fitting(&mut rest.wants, &mut room, |_| HEAD_BYTES_MAX);
            let sets = take_fitting(&mut rest.sets, &mut room, set_bytes);
            self.emit(to, encode(&self.packet(Message::Delta { sets, wants }, news)), sink);
        }
    }
}

/// A packet's header and the counts of a delta, at most.
const PACKET_BYTES_MAX: usize = 64;
/// A claim with its accusers, at most.
const NEWS_BYTES_MAX: usize = 64;
/// A head, at most.
const HEAD_BYTES_MAX: usize = 48;

/// An upper bound on the bytes of a set.
fn set_bytes(set: &EntrySet) -> usize {
    let entries = set.entries.iter().map(|entry| 16 + entry.key.subject.len() + entry.value.len());
    48 + entries.sum::<usize>()
}

/// Takes items from the front while there is room for them.
fn take_fitting<T>(items: &mut Vec<T>, room: &mut usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let fitting = items.iter().take_while(|item| {
        let left = room.checked_sub(bytes(item));
        *room = left.unwrap_or(*room);
        left.is_some()
    });
    let count = fitting.count();
    items.drain(..count).collect()
}

/// The head of somebody who has not heard of a node.
fn nothing_of(node: NodeId) -> Head {
    Head { claim: Claim::alive(node, Life(0), 0), facts_life: Life(0), watermark: 0 }
}
