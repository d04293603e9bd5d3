//! Scenes of the protocol: small scripts with their recorded output, so that a change of behaviour is a readable diff.
//!
//! `RECORD_TRANSCRIPTS=1 cargo test -p quorate-gossip --test transcripts` records them anew. A line that starts with
//! `> ` is a command, one with `#` a remark; the lines below a command are what happened, with milliseconds since it.
//!
//! | command | does |
//! |---|---|
//! | `> nodes N` | N nodes that know each other and are at rest; comes first |
//! | `> start n2 knows n1,n3` | starts a process that knows these ids |
//! | `> crash n2`, `> leave n2`, `> pause n2 MS` | ends a process, lets it say goodbye, stops it for a while |
//! | `> cut n1 n2`, `> mend n1 n2` | blocks both directions between two nodes, or frees them |
//! | `> set n1 SUBJECT VALUE` | a node sets an entry of its own |
//! | `> show n1 n2`, `> hide` | from now on shows messages between any of these nodes, or none |
//! | `> wait MS` | lets time pass |
//! | `> state` | what each running node holds |

mod world;

use std::{cell::RefCell, collections::BTreeSet, fmt::Write as _, path::PathBuf, rc::Rc};

use quorate_gossip::{Claim, Config, Entry, Event, MemberState, Message, News, decode};
use quorate_ring::NodeId;

use self::world::{MS, SECOND, Sight, World};

const SCENES: &[&str] = &[
    "join",
    "direct_probe",
    "indirect_probe",
    "suspicion_to_death",
    "suspicion_refuted",
    "paused_node_returns",
    "restart",
    "leave",
    "entry_change",
    "delta",
];

#[test]
#[expect(clippy::disallowed_methods, reason = "a recorder reads and writes files")]
fn scenes_play_as_recorded() {
    let mut changed = Vec::new();
    for name in SCENES {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
        let recorded = std::fs::read_to_string(&path).expect("a transcript");
        let played = play(&recorded);
        if played == recorded {
            continue;
        }
        if std::env::var_os("RECORD_TRANSCRIPTS").is_some() {
            std::fs::write(&path, played).expect("a transcript can be written");
        } else {
            changed.push(format!("{name} plays otherwise than recorded:\n{played}"));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

/// Plays the commands of a transcript; what comes out is the transcript anew.
fn play(transcript: &str) -> String {
    let (mut out, mut scene) = (String::new(), None);
    for line in transcript.lines().filter(|line| line.starts_with("> ") || line.starts_with('#')) {
        let _ = writeln!(out, "{line}");
        let Some(command) = line.strip_prefix("> ") else { continue };
        let words: Vec<_> = command.split_whitespace().collect();
        let scene: &mut Scene = match words.as_slice() {
            ["nodes", count] => scene.insert(Scene::new(number(count) as u32)),
            words => {
                let scene = scene.as_mut().expect("the first command is `nodes N`");
                scene.command(words);
                scene
            }
        };
        for line in scene.lines.take() {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// A scene under way.
struct Scene {
    world: World,
    lines: Rc<RefCell<Vec<String>>>,
    shown: Rc<RefCell<BTreeSet<NodeId>>>,
    /// When the present command began.
    began: Rc<RefCell<u64>>,
}

impl Scene {
    fn new(nodes: u32) -> Self {
        let mut world = World::new(Config::lan(), nodes, 11);
        world.network.delay = (MS, MS);
        world.is_strict = true;
        let all: Vec<_> = world.ids().collect();
        all.iter().for_each(|node| world.start(*node, &all));
        world.run(10 * SECOND);
        let (lines, shown, began) =
            <(Rc<RefCell<Vec<_>>>, Rc<RefCell<BTreeSet<_>>>, Rc<RefCell<_>>)>::default();
        let mut scribe = Scribe {
            lines: Rc::clone(&lines),
            shown: Rc::clone(&shown),
            began: Rc::clone(&began),
            sequences: Vec::new(),
        };
        world.watcher = Some(Box::new(move |now, sight| scribe.see(now, sight)));
        Self { world, lines, shown, began }
    }

    fn command(&mut self, words: &[&str]) {
        *self.began.borrow_mut() = self.world.now;
        match words {
            ["start", id, "knows", peers] => {
                let peers: Vec<_> = peers.split(',').map(node).collect();
                self.world.start(node(id), &peers);
            }
            ["crash", id] => self.world.crash(node(id)),
            ["leave", id] => self.world.leave(node(id)),
            ["pause", id, millis] => self.world.pause(node(id), number(millis) * MS),
            ["cut", a, b] => {
                self.world.network.cut.extend([(node(a), node(b)), (node(b), node(a))]);
            }
            ["mend", a, b] => {
                self.world.network.cut.remove(&(node(a), node(b)));
                self.world.network.cut.remove(&(node(b), node(a)));
            }
            ["set", id, subject, value] => self.world.set(node(id), subject, value.as_bytes()),
            ["show", ids @ ..] => *self.shown.borrow_mut() = ids.iter().map(|id| node(id)).collect(),
            ["hide"] => self.shown.borrow_mut().clear(),
            ["wait", millis] => self.world.run(number(millis) * MS),
            ["state"] => self.state(),
            other => panic!("{other:?} is no command"),
        }
    }

    fn state(&mut self) {
        for node in self.world.ids() {
            let Some(gossip) = self.world.find(node) else {
                self.lines.borrow_mut().push(format!("{node} does not run"));
                continue;
            };
            let members: Vec<_> = gossip.members().map(|member| member.claim().to_string()).collect();
            let entries: Vec<_> = gossip.entries().map(render_entry).collect();
            let health = gossip.health_score();
            let line = format!("{node} (health {health}): {}", [members, entries].concat().join(", "));
            self.lines.borrow_mut().push(line);
        }
    }
}

/// Writes down what is to be seen.
struct Scribe {
    lines: Rc<RefCell<Vec<String>>>,
    shown: Rc<RefCell<BTreeSet<NodeId>>>,
    began: Rc<RefCell<u64>>,
    /// Sequence numbers in the order in which they appeared: they are shown by their place.
    sequences: Vec<u32>,
}

impl Scribe {
    fn see(&mut self, now: u64, sight: Sight<'_>) {
        let line = match sight {
            Sight::Told { node, event } => format!("{node} tells: {}", render_event(event)),
            Sight::Sent { from, to, bytes, is_lost, is_stream } => {
                let shown = self.shown.borrow();
                if !shown.contains(&from) || !shown.contains(&to) {
                    return;
                }
                drop(shown);
                let packet = decode(bytes).expect("nodes send packets");
                let news: Vec<_> = packet.news.iter().map(render_news).collect();
                let news = if news.is_empty() { String::new() } else { format!(" | {}", news.join("; ")) };
                let how = match (is_lost, is_stream) {
                    (true, _) => " (lost)",
                    (false, true) => " (stream)",
                    (false, false) => "",
                };
                format!("{from} -> {to} {}{news}{how}", self.render_message(&packet.message))
            }
        };
        let millis = (now - *self.began.borrow()) as f64 / MS as f64;
        self.lines.borrow_mut().push(format!("{millis:>7.1} {line}"));
    }

    fn render_message(&mut self, message: &Message) -> String {
        match message {
            Message::Ping { sequence } => format!("ping #{}", self.place(*sequence)),
            Message::Ack { sequence } => format!("ack #{}", self.place(*sequence)),
            Message::PingRequest { sequence, target } => {
                format!("ping {target} for me #{}", self.place(*sequence))
            }
            Message::Relayed { sequence, refutation, .. } => {
                format!("it answers me, r{refutation} #{}", self.place(*sequence))
            }
            Message::Nack { sequence } => format!("it does not answer me #{}", self.place(*sequence)),
            Message::News => "news".to_owned(),
            Message::Digest { .. } => "digest".to_owned(),
            Message::Buckets { .. } => "differs: buckets".to_owned(),
            Message::Heads { heads, .. } => format!("heads of {}", list(heads.iter().map(|h| h.claim.node))),
            Message::Delta { sets, wants } => {
                let wants = list(wants.iter().map(|head| head.claim.node));
                let entries: Vec<_> = sets.iter().flat_map(|set| &set.entries).map(render_entry).collect();
                format!("delta: entries [{}], wants [{wants}]", entries.join(", "))
            }
        }
    }

    fn place(&mut self, sequence: u32) -> usize {
        let known = self.sequences.iter().position(|known| *known == sequence);
        known.unwrap_or_else(|| {
            self.sequences.push(sequence);
            self.sequences.len() - 1
        }) + 1
    }
}

fn render_event(event: &Event) -> String {
    match event {
        Event::MemberUp { node, life } => format!("{node} is up in {life}"),
        Event::MemberSuspect { node, .. } => format!("{node} is suspect"),
        Event::MemberDown { node, .. } => format!("{node} is down"),
        Event::MemberLeft { node, .. } => format!("{node} has left"),
        Event::EntryChanged(entry) => render_entry(entry),
        Event::Refuted { refutation } => format!("I am well, r{refutation}"),
        Event::LifeRaised { life } => format!("my life is {life} now"),
        Event::WasLate { nanos } => format!("I was late by {} ms", nanos / MS),
        other => format!("{other:?}"),
    }
}

fn render_news(news: &News) -> String {
    match news {
        News::Claim { claim, accusers } if claim.state == MemberState::Suspect => {
            let Claim { node, refutation, .. } = claim;
            format!("{node} suspect r{refutation} by {}", list(accusers.iter().copied()))
        }
        News::Claim { claim, .. } => claim.to_string(),
        News::Entry(entry) => render_entry(entry),
    }
}

fn render_entry(entry: &Entry) -> String {
    let value = String::from_utf8_lossy(&entry.value);
    format!("{}.{} = {value} ({})", entry.key.node, entry.key.subject, entry.version)
}

fn list(nodes: impl Iterator<Item = NodeId>) -> String {
    nodes.map(|node| node.to_string()).collect::<Vec<_>>().join(",")
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("'{word}' is no number"))
}

fn node(word: &str) -> NodeId {
    NodeId(number(word.strip_prefix('n').unwrap_or_else(|| panic!("'{word}' is no node"))) as u32)
}
