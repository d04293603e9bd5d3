//! Scenes: small scripts with their recorded output, so that a change of behaviour is a readable diff.
//!
//! A transcript is a text file. A line that starts with `> ` is a command; the lines below it are what happened.
//!
//! | command | does |
//! |---|---|
//! | `> nodes N replication R [hints] [fresh] [gossip]` | starts a cluster, with or without hints and gossip, and waits until all are connected; comes first. A fresh one has neither tables nor a map yet |
//! | `> n1 get K LEVEL`, `put K V LEVEL`, `delete K LEVEL` | a client of n1 asks; 250 ms to answer |
//! | `> n1 scan ROWS LEVEL`, `... after c3` | a client of n1 asks for a page of the table, behind that of c3's answer |
//! | ... `over c3`, `for MS`, `monotone`, `sloppy` | the same with the context of c3's answer, with a TTL, and so on |
//! | `> siblings`, `> registers` | the table that requests concern from now on; at first that of registers |
//! | `> table 3` | the same by its id |
//! | `> n1 create T`, `drop T`, `truncate T` | a client of n1 creates, drops or truncates a table |
//! | `> wait MS` | lets time pass |
//! | `> cut n1 n2`, `> join n1 n2` | blocks both directions, or frees them |
//! | `> crash n2`, `> start n2`, `> wipe n2` | ends a process, starts it, ends it and replaces its disk |
//! | `> pause n2 MS` | stops a process for so long |
//! | `> clock n2 MS` | sets a wall clock so far from the right time, ahead or (negative) behind |
//! | `> slow n2 F`, `> full n2`, `> room n2` | a disk takes F times as long, is full, has room again |
//! | `> rot n2 K` | flips a bit of a record |
//! | `> state K` | what each replica holds durably |

use std::fmt::Write as _;

use bytes::Bytes;
use quorate::{
    node::ClientId,
    ring::{Consistency, Duration, Epoch, Instant, TableId, TableKind, token_of},
    storage::Row,
    wire::{
        ChangeName, ClientMessage, CreateTable, Delete, DropTable, Frame, Get, Header, Put, RequestId, Scan,
        TruncateTable,
    },
};

use crate::{
    invariants::{REGISTERS, SIBLINGS},
    options::{Gossip, MS, Options, SECOND},
    render,
    world::{Event, World, encoded},
};

/// Every scene: its name and its transcript.
pub(crate) const SCENES: &[(&str, &str)] = &[
    ("quorum_write", include_str!("transcripts/quorum_write.txt")),
    ("read_repair", include_str!("transcripts/read_repair.txt")),
    ("hinted_handoff", include_str!("transcripts/hinted_handoff.txt")),
    ("unavailable", include_str!("transcripts/unavailable.txt")),
    ("timeout_unknown", include_str!("transcripts/timeout_unknown.txt")),
    ("hedge", include_str!("transcripts/hedge.txt")),
    ("create_table_crash", include_str!("transcripts/create_table_crash.txt")),
    ("create_table_full_disk", include_str!("transcripts/create_table_full_disk.txt")),
    ("create_table_no_room", include_str!("transcripts/create_table_no_room.txt")),
    ("founding", include_str!("transcripts/founding.txt")),
    ("truncate", include_str!("transcripts/truncate.txt")),
    ("drop_table_behind", include_str!("transcripts/drop_table_behind.txt")),
    ("lost_disk", include_str!("transcripts/lost_disk.txt")),
    ("create_table_race", include_str!("transcripts/create_table_race.txt")),
    ("concurrent_writes", include_str!("transcripts/concurrent_writes.txt")),
    ("own_write_slow_disk", include_str!("transcripts/own_write_slow_disk.txt")),
    ("siblings_blind_writes", include_str!("transcripts/siblings_blind_writes.txt")),
    ("siblings_context", include_str!("transcripts/siblings_context.txt")),
    ("siblings_two_puts_in_flight", include_str!("transcripts/siblings_two_puts_in_flight.txt")),
    ("expiry_idle_clocks", include_str!("transcripts/expiry_idle_clocks.txt")),
    ("expiry_beside_older", include_str!("transcripts/expiry_beside_older.txt")),
    ("clock_ahead", include_str!("transcripts/clock_ahead.txt")),
    ("clock_ahead_at_one", include_str!("transcripts/clock_ahead_at_one.txt")),
    ("damaged_own_write", include_str!("transcripts/damaged_own_write.txt")),
    ("clocks_ahead_together", include_str!("transcripts/clocks_ahead_together.txt")),
    ("damaged_only_copy", include_str!("transcripts/damaged_only_copy.txt")),
    ("damaged_record", include_str!("transcripts/damaged_record.txt")),
    ("full_disks", include_str!("transcripts/full_disks.txt")),
    ("scan", include_str!("transcripts/scan.txt")),
    ("stopped_node", include_str!("transcripts/stopped_node.txt")),
    ("forwarded_write", include_str!("transcripts/forwarded_write.txt")),
];

/// Plays the commands of a transcript; what comes out is the transcript anew.
pub(crate) fn play(transcript: &str) -> Result<String, String> {
    let mut scene = None;
    let mut out = String::new();
    for line in transcript.lines().filter(|line| line.starts_with("> ") || line.starts_with('#')) {
        let _ = writeln!(out, "{line}");
        let Some(command) = line.strip_prefix("> ") else {
            continue;
        };
        let words: Vec<_> = command.split_whitespace().collect();
        let scene = match (&mut scene, words.as_slice()) {
            (_, ["nodes", nodes, "replication", replication, how @ ..]) => {
                scene.insert(Scene::new(parse(nodes)?, parse(replication)? as u8, how))
            }
            (Some(scene), words) => {
                scene.command(words)?;
                scene
            }
            (None, _) => return Err("the first command is `nodes N replication R`".to_owned()),
        };
        for line in scene.lines() {
            let _ = writeln!(out, "{line}");
        }
    }
    Ok(out)
}

/// A scene under way.
struct Scene {
    world: World,
    clients: u64,
    table: TableId,
    /// Tags in the order in which they appeared: they are shown by number.
    tags: Vec<String>,
}

impl Scene {
    fn new(nodes: u32, replication: u8, how: &[&str]) -> Self {
        let mut options = Options::calm(0, nodes, replication);
        options.hint_bytes_max = if how.contains(&"hints") { u64::MAX } else { 0 };
        // Scenes show what the disk does.
        options.state_cache_bytes = 0;
        options.founded = !how.contains(&"fresh");
        if how.contains(&"gossip") {
            options.gossip = Gossip::Lan;
            options.network.idle_timeout = 30 * SECOND;
        }
        let mut world = World::new(options);
        world.trace.verbose = true;
        (0..nodes as usize).for_each(|node| world.agenda.push(0, Event::Start(node)));
        let mut scene = Self { world, clients: 0, table: REGISTERS, tags: Vec::new() };
        if scene.world.options.founded {
            scene.wait(30);
            scene.world.trace.lines.clear();
        }
        scene
    }

    fn command(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["wait", millis] => self.wait(parse(millis)?.into()),
            ["cut", a, b] => self.directions(a, b, |from, to| Event::Block { from, to })?,
            ["join", a, b] => self.directions(a, b, |from, to| Event::Unblock { from, to })?,
            ["crash", node] => self.world.crash(number(node)?, u64::MAX),
            ["pause", node, millis] => {
                let end = self.world.now + u64::from(parse(millis)?) * MS;
                self.world.pause(number(node)?, end);
            }
            ["start", node] => self.world.start(number(node)?),
            ["wipe", node] => self.world.replace_disk(number(node)?, u64::MAX, None),
            ["slow", node, factor] => {
                self.world.processes[number(node)?].disk.slowness = u64::from(parse(factor)?);
            }
            ["siblings"] => self.table = SIBLINGS,
            ["registers"] => self.table = REGISTERS,
            ["table", id] => self.table = TableId(parse(id)?),
            ["clock", node, millis] => {
                let millis: i64 = millis.parse().map_err(|_| format!("'{millis}' is no number"))?;
                let now = self.world.now;
                let clock = &mut self.world.processes[number(node)?].clock;
                clock.set_right(now);
                clock.jump(now, millis * 1_000);
            }
            ["rot", node, key] => {
                let (node, row) =
                    (number(node)?, Row::new(token_of(key.as_bytes()), self.table, (*key).to_owned()));
                self.world.processes[node].disk.flip_bit(&row);
                self.world.oracle.were_damaged.insert(node);
            }
            ["full", node] => self.world.processes[number(node)?].disk.engine.set_full(true),
            ["room", node] => self.world.processes[number(node)?].disk.engine.set_full(false),
            ["state", key] => self.state(key),
            [node, request @ ..] => self.ask(number(node)?, request)?,
            [] => {}
        }
        Ok(())
    }

    fn wait(&mut self, millis: u64) {
        let end = self.world.now + millis * MS;
        self.world.run_until(end, |_| false);
        self.world.now = end;
    }

    fn directions(&mut self, a: &str, b: &str, event: fn(usize, usize) -> Event) -> Result<(), String> {
        let (a, b) = (number(a)?, number(b)?);
        self.world.agenda.push(self.world.now, event(a, b));
        self.world.agenda.push(self.world.now, event(b, a));
        self.wait(0);
        Ok(())
    }

    fn ask(&mut self, node: usize, request: &[&str]) -> Result<(), String> {
        let table = self.table;
        let message: ClientMessage = match request {
            ["get", key, level, how @ ..] => {
                let monotone = how.contains(&"monotone");
                Get { monotone, ..Get::new(table, bytes(key), consistency(level)?) }.into()
            }
            ["put", key, value, level, how @ ..] => {
                let put = Put::new(table, bytes(key), bytes(value), consistency(level)?);
                let (context, sloppy) = (self.answer_of("over", how)?, how.contains(&"sloppy"));
                let ttl_ms = after("for", how).map(parse).transpose()?.map(u64::from);
                Put { context, ttl_ms, sloppy, ..put }.into()
            }
            ["delete", key, level, how @ ..] => {
                let (context, sloppy) = (self.answer_of("over", how)?, how.contains(&"sloppy"));
                Delete { context, sloppy, ..Delete::new(table, bytes(key), consistency(level)?) }.into()
            }
            ["scan", rows, level, how @ ..] => {
                let after = self.answer_of("after", how)?;
                Scan { after, ..Scan::new(table, parse(rows)?, consistency(level)?) }.into()
            }
            ["create", name] => CreateTable::new(self.change(), *name, TableKind::Register).into(),
            ["drop", name] => DropTable { change: self.change(), name: (*name).to_owned() }.into(),
            ["truncate", name] => TruncateTable { change: self.change(), name: (*name).to_owned() }.into(),
            other => return Err(format!("{other:?} is no request")),
        };
        self.clients += 1;
        let client = ClientId(self.clients);
        let now = Instant(self.world.now);
        let deadline = now + Duration::from_millis(250);
        let frame =
            Frame { header: Header { id: RequestId(1), epoch: self.world.told_epoch, deadline }, message };
        let event = Event::Request { node, client, bytes: encoded(&frame, now) };
        self.world.agenda.push(self.world.now, event);
        Ok(())
    }

    fn change(&self) -> ChangeName {
        ChangeName { since: Epoch(1), number: 1_000 + self.clients }
    }

    /// The context, or cursor, of an earlier answer that a request carries.
    fn answer_of(&self, word: &str, how: &[&str]) -> Result<Option<Bytes>, String> {
        let Some(client) = after(word, how) else {
            return Ok(None);
        };
        let number = client.strip_prefix('c').and_then(|number| number.parse().ok());
        let context = number.and_then(|number| self.world.trace.contexts.get(&number));
        context.cloned().map(Some).ok_or(format!("{client} was given no context"))
    }

    fn state(&mut self, key: &str) {
        let row = Row::new(token_of(key.as_bytes()), self.table, key.to_owned());
        for (node, process) in self.world.processes.iter().enumerate() {
            let held = match process.disk.durable(&row) {
                Ok(Some(state)) => render::state(&state),
                Ok(None) => "nothing".to_owned(),
                Err(why) => why.to_string(),
            };
            self.world.trace.lines.push(format!("n{} holds {held}", node + 1));
        }
    }

    /// What happened since the last call.
    fn lines(&mut self) -> Vec<String> {
        if let Some(failure) = self.world.oracle.failure.take() {
            self.world.trace.lines.push(failure);
        }
        let lines = std::mem::take(&mut self.world.trace.lines);
        lines.into_iter().map(|line| format!("  {}", self.with_short_tags(&line))).collect()
    }

    fn with_short_tags(&mut self, line: &str) -> String {
        let mut words = Vec::new();
        for word in line.split(' ') {
            match word.strip_prefix('@') {
                Some(tag) => {
                    let known = self.tags.iter().position(|known| known == tag).unwrap_or_else(|| {
                        self.tags.push(tag.to_owned());
                        self.tags.len() - 1
                    });
                    words.push(format!("@{}", known + 1));
                }
                None => words.push(word.to_owned()),
            }
        }
        words.join(" ")
    }
}

/// The word after `name`.
fn after<'a>(name: &str, words: &[&'a str]) -> Option<&'a str> {
    words.iter().skip_while(|word| **word != name).nth(1).copied()
}

fn parse(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("'{word}' is not a number"))
}

fn number(node: &str) -> Result<usize, String> {
    let number: usize =
        node.strip_prefix('n').and_then(|n| n.parse().ok()).ok_or(format!("'{node}' is no node"))?;
    number.checked_sub(1).ok_or("nodes count from n1".to_owned())
}

fn bytes(word: &str) -> Bytes {
    Bytes::copy_from_slice(word.as_bytes())
}

fn consistency(word: &str) -> Result<Consistency, String> {
    match word {
        "ONE" => Ok(Consistency::One),
        "QUORUM" => Ok(Consistency::Quorum),
        "ALL" => Ok(Consistency::All),
        "ANY" => Ok(Consistency::Any),
        _ => Err(format!("'{word}' is no level")),
    }
}
