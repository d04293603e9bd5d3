//! One core by itself: what it does with words of others, by the message.

use proptest::{collection::vec, prelude::*};
use quorate_ring::Duration;

use super::*;
use crate::{
    codec::{encode, tests::any_packet},
    life::Refutation,
    message::Head,
};

const OWN: NodeId = NodeId(1);

struct Rig {
    gossip: Gossip,
    now: Instant,
    effects: Vec<Effect>,
}

impl Rig {
    fn new() -> Self {
        let gossip = Gossip::new(Config::lan(), OWN, Life(1_000), 7, [], Instant::ZERO);
        Self { gossip: gossip.expect("a preset"), now: Instant::ZERO, effects: Vec::new() }
    }

    /// With members 2 to `last`, which are in their first life.
    fn with_members(last: u32) -> Self {
        let mut rig = Self::new();
        (2..=last).for_each(|node| rig.hear(node, Message::News, vec![]));
        rig.effects.clear();
        rig
    }

    fn hear(&mut self, from: u32, message: Message, news: Vec<News>) {
        let packet = Packet { life: Life(1), refutation: 0, is_leaving: false, message, news };
        self.hear_packet(from, &packet);
    }

    fn hear_packet(&mut self, from: u32, packet: &Packet) {
        let bytes = encode(packet);
        let input = Input::Datagram { from: NodeId(from), bytes: &bytes };
        self.gossip.handle(self.now, input, &mut self.effects).expect("a packet");
        self.gossip.validate();
    }

    /// Ticks at every timer for a while; nobody answers.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.gossip.next_timer().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.tick();
        }
        self.now = end;
    }

    fn tick(&mut self) {
        self.gossip.handle(self.now, Input::Tick, &mut self.effects).expect("no bytes");
        self.gossip.validate();
    }

    fn events(&mut self) -> Vec<Event> {
        let events = self.effects.iter().filter_map(|effect| match effect {
            Effect::Event(event) => Some(event.clone()),
            _ => None,
        });
        events.collect()
    }

    fn sent(&self) -> Vec<(NodeId, Packet)> {
        let sent = self.effects.iter().filter_map(|effect| match effect {
            Effect::Datagram { to, bytes } | Effect::Stream { to, bytes } => Some((*to, decode(bytes).ok()?)),
            Effect::Event(_) => None,
        });
        sent.collect()
    }

    fn state(&self, node: u32) -> Option<MemberState> {
        self.gossip.state(NodeId(node))
    }
}

fn news(node: u32, life: u64, refutation: Refutation, state: MemberState) -> News {
    News::Claim {
        claim: Claim { node: NodeId(node), life: Life(life), refutation, state },
        accusers: Vec::new(),
    }
}

#[test]
fn a_ping_is_answered_with_its_number() {
    let mut rig = Rig::with_members(2);
    rig.hear(2, Message::Ping { sequence: 77 }, vec![]);
    let (to, packet) = rig.sent().pop().expect("an answer");
    assert_eq!((to, packet.message), (NodeId(2), Message::Ack { sequence: 77 }));
    assert_eq!(packet.life, Life(1_000));
}

#[test]
fn an_accusation_is_refuted_in_the_answer() {
    let mut rig = Rig::with_members(2);
    let accusation = vec![news(1, 1_000, 0, MemberState::Suspect)];
    rig.hear(2, Message::Ping { sequence: 1 }, accusation.clone());
    assert_eq!(rig.sent().pop().map(|(_, packet)| packet.refutation), Some(1));
    assert_eq!(rig.gossip.health_score(), 1, "a suspected node is careful");
    rig.hear(2, Message::News, accusation);
    assert_eq!(rig.gossip.own_claim().refutation, 1, "an old accusation is refuted already");
    rig.hear(2, Message::News, vec![news(1, 1_000, 5, MemberState::Dead)]);
    assert_eq!(rig.gossip.own_claim().refutation, 6);
}

#[test]
fn refutations_that_run_out_are_followed_by_a_new_life() {
    let mut rig = Rig::with_members(2);
    rig.hear(2, Message::News, vec![news(1, 1_000, crate::life::REFUTATION_MAX, MemberState::Suspect)]);
    assert_eq!(rig.gossip.own_claim(), Claim::alive(OWN, Life(1_001), 0));
}

#[test]
fn a_life_left_behind_by_an_earlier_process_is_exceeded() {
    let mut rig = Rig::with_members(2);
    rig.gossip.set_own(rig.now, "rack", b"r1").expect("within bounds");
    rig.hear(2, Message::News, vec![news(1, 5_000, 3, MemberState::Alive)]);
    assert_eq!(rig.gossip.own_claim(), Claim::alive(OWN, Life(5_001), 0));
    let entry = rig.gossip.entry(OWN, "rack").expect("the entry is kept");
    assert_eq!(entry.version, Version { life: Life(5_001), number: 1 });
    assert_eq!(rig.events(), [Event::LifeRaised { life: Life(5_001) }]);
    let head = Head { claim: rig.gossip.own_claim(), facts_life: Life(5_001), watermark: 9 };
    rig.hear(2, Message::Heads { buckets: 2, heads: vec![head] }, vec![]);
    assert_eq!(rig.gossip.own_claim().life, Life(5_002), "entries of its life that it never made");
}

#[test]
fn the_last_life_there_is_does_no_harm() {
    let mut rig = Rig::with_members(2);
    rig.hear(2, Message::News, vec![news(1, Life::MAX.0, 0, MemberState::Dead)]);
    assert_eq!(rig.gossip.own_claim().life, Life::MAX);
    rig.hear(2, Message::News, vec![news(1, Life::MAX.0, 9, MemberState::Alive)]);
    rig.wait(Duration::from_secs(1));
}

#[test]
fn a_death_that_others_report_is_a_suspicion_first() {
    let mut rig = Rig::with_members(4);
    rig.hear(2, Message::News, vec![news(3, 1, 0, MemberState::Dead)]);
    assert_eq!(rig.state(3), Some(MemberState::Suspect));
    rig.effects.clear();
    rig.wait(Duration::from_millis(2_400));
    assert_eq!(rig.state(3), Some(MemberState::Suspect));
    // Its own objection ends it.
    let packet =
        Packet { life: Life(1), refutation: 1, is_leaving: false, message: Message::News, news: vec![] };
    rig.hear_packet(3, &packet);
    assert_eq!(rig.state(3), Some(MemberState::Alive));
    assert!(rig.events().contains(&Event::MemberUp { node: NodeId(3), life: Life(1) }));
}

#[test]
fn news_ends_even_if_the_only_other_member_is_its_subject() {
    let mut rig = Rig::with_members(2);
    rig.effects.clear();
    rig.wait(Duration::from_millis(299));
    let messages = rig.sent().into_iter().filter(|(_, packet)| packet.message == Message::News);
    assert!(messages.clone().all(|(_, packet)| !packet.news.is_empty()), "nothing to say");
    for _ in 0..20 {
        rig.hear(2, Message::Ping { sequence: 1 }, vec![]);
    }
    assert!(rig.gossip.rumors.is_empty());
}

#[test]
fn the_last_call_carries_the_accusation() {
    let mut rig = Rig::with_members(2);
    rig.hear(2, Message::News, vec![news(3, 1, 0, MemberState::Suspect)]);
    while rig.state(3) == Some(MemberState::Suspect) {
        rig.effects.retain(|effect| matches!(effect, Effect::Datagram { .. }));
        rig.wait(Duration::from_millis(10));
    }
    assert_eq!(rig.state(3), Some(MemberState::Dead));
    let calls = rig.sent().into_iter().filter(|(to, packet)| {
        let accuses = |news: &News| matches!(news, News::Claim { claim, .. } if claim.node == NodeId(3) && claim.state == MemberState::Suspect);
        *to == NodeId(3) && matches!(packet.message, Message::Ping { .. }) && packet.news.iter().any(accuses)
    });
    assert!(calls.count() >= 1);
}

#[test]
fn a_process_that_was_stopped_accuses_nobody() {
    let mut rig = Rig::with_members(4);
    rig.hear(2, Message::News, vec![news(3, 1, 0, MemberState::Suspect)]);
    rig.wait(Duration::from_millis(250)); // probes are under way
    rig.effects.clear();
    rig.now = rig.now + Duration::from_secs(30);
    rig.tick();
    assert!(matches!(rig.events().as_slice(), [Event::WasLate { .. }]), "{:?}", rig.events());
    assert_eq!(rig.gossip.health_score(), Config::lan().health_max);
    assert!(rig.gossip.probes.len() <= 1, "only the probe that begins now");
    rig.wait(Duration::from_millis(2_000));
    let accused =
        rig.events().iter().any(|e| matches!(e, Event::MemberDown { .. } | Event::MemberSuspect { .. }));
    assert!(!accused, "{:?}", rig.events());
}

#[test]
fn who_left_is_not_probed_and_comes_back_in_a_new_life() {
    let mut rig = Rig::with_members(2);
    let goodbye =
        Packet { life: Life(1), refutation: 0, is_leaving: true, message: Message::News, news: vec![] };
    rig.hear_packet(2, &goodbye);
    assert_eq!(rig.events(), [Event::MemberLeft { node: NodeId(2), life: Life(1) }]);
    rig.effects.clear();
    rig.wait(Duration::from_secs(10));
    assert_eq!(rig.sent(), []);
    rig.hear(2, Message::News, vec![]);
    assert_eq!(rig.state(2), Some(MemberState::Left), "a late word of the same life");
    rig.hear_packet(2, &Packet { life: Life(2), is_leaving: false, ..goodbye });
    assert_eq!(rig.state(2), Some(MemberState::Alive));
}

#[test]
fn leaving_alone_takes_no_time() {
    let mut rig = Rig::new();
    rig.gossip.handle(rig.now, Input::Leave, &mut rig.effects).expect("no bytes");
    assert_eq!(rig.gossip.next_timer(), None);
    rig.gossip.validate();
}

/// Its process has just begun: its peers are connected, but not heard of.
#[test]
fn who_leaves_at_once_says_goodbye_to_its_peers() {
    let peers = [NodeId(2), NodeId(3)];
    let gossip = Gossip::new(Config::lan(), OWN, Life(1_000), 7, peers, Instant::ZERO).expect("a preset");
    let mut rig = Rig { gossip, now: Instant::ZERO, effects: Vec::new() };
    rig.gossip.handle(rig.now, Input::Leave, &mut rig.effects).expect("no bytes");
    rig.wait(Duration::from_secs(10));
    for peer in peers {
        let goodbyes = rig.sent().iter().filter(|(to, packet)| *to == peer && packet.is_leaving).count();
        assert!(goodbyes >= 2, "{peer} is told {goodbyes} times");
    }
    assert_eq!(rig.gossip.next_timer(), None);
    let mut peer = Rig::new();
    peer.hear_packet(7, &rig.sent()[0].1);
    assert_eq!(peer.state(7), Some(MemberState::Left), "it was never heard of before");
}

#[test]
fn a_forgotten_node_stays_forgotten() {
    let mut rig = Rig::with_members(3);
    rig.gossip.forget(NodeId(3));
    rig.effects.clear();
    rig.hear(3, Message::Ping { sequence: 1 }, vec![]);
    rig.hear(2, Message::News, vec![news(3, 9, 0, MemberState::Alive)]);
    assert_eq!((rig.state(3), rig.events(), rig.sent()), (None, vec![], vec![]));
}

#[test]
fn own_entries_keep_their_bounds() {
    let mut rig = Rig::new();
    let set = |rig: &mut Rig, subject: &str, value: &[u8]| rig.gossip.set_own(rig.now, subject, value);
    assert_eq!(set(&mut rig, "", b""), Err(EntryError::Subject(0)));
    assert_eq!(set(&mut rig, &"s".repeat(65), b""), Err(EntryError::Subject(65)));
    assert_eq!(set(&mut rig, "s", &[0; 513]), Err(EntryError::Value(513)));
    let first = set(&mut rig, "s0", b"a").expect("within bounds");
    assert_eq!(set(&mut rig, "s0", b"a"), Ok(first), "nothing changed");
    for subject in 1..ENTRIES_PER_NODE_MAX {
        set(&mut rig, &format!("s{subject}"), b"a").expect("within bounds");
    }
    assert_eq!(set(&mut rig, "one more", b"a"), Err(EntryError::TooMany));
    assert_eq!(set(&mut rig, "s0", b"b").map(|version| version.number), Ok(65));
}

#[test]
fn the_only_helper_is_asked_in_every_round() {
    let mut rig = Rig::with_members(3);
    rig.effects.clear();
    rig.wait(Duration::from_millis(2_000));
    let sent = rig.sent();
    let first = sent.iter().find_map(|(_, packet)| match packet.message {
        Message::Ping { sequence } => Some(sequence),
        _ => None,
    });
    let requests = sent.iter().filter(|(_, packet)| match packet.message {
        Message::PingRequest { sequence, .. } => Some(sequence) == first,
        _ => false,
    });
    assert_eq!(requests.count(), 2);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut rig = Rig::with_members(4);
    rig.wait(Duration::from_millis(350));
    let before = rig.gossip.probes.len();
    for from in 2..=4 {
        rig.hear(from, Message::Nack { sequence: 1 }, vec![]);
        rig.hear(from, Message::Ack { sequence: 1 }, vec![]);
        rig.hear(from, Message::Relayed { sequence: 1, life: Life(1), refutation: 0 }, vec![]);
    }
    assert_eq!(rig.gossip.probes.len(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever peers say, at any time, the state fits together and nothing known gets older.
    #[test]
    fn anything_may_be_said(said in vec((1..6_u32, any_packet(), 0..3_000_u64), 0..30)) {
        let mut rig = Rig::with_members(3);
        for (from, mut packet, millis) in said {
            if let Message::Heads { buckets, .. } = &mut packet.message {
                *buckets |= 0b111_1110; // among them those that there are
            }
            for news in &mut packet.news {
                match news {
                    News::Claim { claim, .. } => claim.node.0 %= 8,
                    News::Entry(entry) => entry.key.node.0 %= 8,
                }
            }
            let before: Vec<_> = rig.gossip.members().map(Member::claim).collect();
            rig.effects.clear();
            rig.hear_packet(from, &packet);
            rig.now = rig.now + Duration::from_millis(millis);
            rig.tick();
            for claim in before {
                let after = rig.gossip.members.find(claim.node).expect("nobody is forgotten by hearsay");
                prop_assert!(after.claim().precedence() >= claim.precedence());
            }
        }
    }

    /// Claims in any order, doubled or not, end in the same: the newest, for those that only their node makes.
    #[test]
    fn the_order_of_claims_does_not_matter(claims in vec((1..4_u64, 0..3_u32, any::<bool>()), 1..12), seed in any::<u64>()) {
        let claims: Vec<_> = claims.into_iter().map(|(life, refutation, left)| Claim {
            node: NodeId(9),
            life: Life(life),
            refutation,
            state: if left { MemberState::Left } else { MemberState::Alive },
        }).collect();
        let mut shuffled = [claims.clone(), claims.clone()].concat();
        Random::new(seed).shuffle(&mut shuffled);
        let mut rig = Rig::with_members(2);
        for claim in shuffled {
            rig.hear(2, Message::News, vec![News::Claim { claim, accusers: Vec::new() }]);
        }
        let newest = claims.iter().map(Claim::precedence).max();
        let held = rig.gossip.members.find(NodeId(9)).map(|member| member.claim().precedence());
        prop_assert_eq!(held, newest);
    }
}

/// Whoever comes back after a goodbye is met as soon as there is a way to it.
#[test]
fn who_is_held_to_be_gone_is_greeted_when_it_is_reached() {
    let mut rig = Rig::with_members(3);
    let goodbye = |life, is_leaving| Packet {
        life: Life(life),
        refutation: 0,
        is_leaving,
        message: Message::News,
        news: vec![],
    };
    rig.hear_packet(2, &goodbye(1, true));
    rig.effects.clear();
    let reached = |rig: &mut Rig, node: u32| {
        rig.gossip.handle(rig.now, Input::Reached(NodeId(node)), &mut rig.effects).expect("no bytes");
        std::mem::take(&mut rig.effects)
    };
    let is_greeting = |effects: &[Effect], whom: u32| {
        let [Effect::Datagram { to, bytes }] = effects else { return false };
        let packet = decode(bytes).expect("a packet");
        *to == NodeId(whom) && packet.life == Life(1_000) && matches!(packet.message, Message::Digest { .. })
    };
    assert_eq!(rig.gossip.state(NodeId(2)), Some(MemberState::Left));
    assert!(is_greeting(&reached(&mut rig, 2), 2), "it said goodbye in an earlier life");
    assert_eq!(reached(&mut rig, 9), [], "it was never heard of, and will be met by turns");
    assert_eq!(reached(&mut rig, 3), [], "it is alive, and known to be");
    rig.gossip.handle(rig.now, Input::Leave, &mut rig.effects).expect("no bytes");
    rig.effects.clear();
    assert_eq!(reached(&mut rig, 2), [], "whoever leaves makes no acquaintances");
    rig.hear_packet(2, &goodbye(2, false));
    assert_eq!(rig.gossip.state(NodeId(2)), Some(MemberState::Alive));
}
