//! Scenes as transcripts: `transcripts/*.txt` hold commands, each with what follows from it.
//!
//! `UPDATE_TRANSCRIPTS=1` writes them anew; look at the difference.

use std::{fmt::Write as _, fs, path::Path};

use quorate_ring::{Consistency, NodeId, TableKind};

use super::world::{World, first_life, founded, founding, light};
use crate::membership::map::{Change, ChangeId, NewTable, TableOptions};

#[test]
#[expect(clippy::disallowed_methods, reason = "transcripts are files beside this one")]
fn scenes_play_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/membership/map/tests/transcripts");
    let mut differ = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let written = fs::read_to_string(&path).unwrap();
        let played = play(&written).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&path, &played).unwrap();
        } else if played != written {
            differ.push(format!("{}:\n{played}", path.display()));
        }
    }
    assert!(differ.is_empty(), "scenes that play otherwise:\n{}", differ.join("\n"));
}

fn play(written: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut scene = None;
    for line in written.lines().filter(|line| line.starts_with(['#', '>'])) {
        let _ = writeln!(out, "{line}");
        let Some(command) = line.strip_prefix("> ") else {
            continue;
        };
        let words: Vec<_> = command.split_whitespace().collect();
        if let ["founders" | "nodes", count] = words[..] {
            let first = founding(count.parse().map_err(|_| "how many?")?);
            let map = if words[0] == "nodes" { founded(&first) } else { first };
            let mut world = World::new(&map, None)?;
            world.letters.clear();
            world.trace = Some(Vec::new());
            scene = Some(Scene { world, asked: Vec::new() });
        }
        let scene = scene.as_mut().ok_or("the first command is `nodes N` or `founders N`")?;
        scene.command(&words)?;
        for line in scene.world.trace.as_mut().map(std::mem::take).unwrap_or_default() {
            let _ = writeln!(out, "  {line}");
        }
    }
    Ok(out)
}

struct Scene {
    world: World,
    /// Changes by the words that asked for them.
    asked: Vec<(String, ChangeId)>,
}

impl Scene {
    fn command(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["founders", _] => Ok(()),
            ["nodes", _] => {
                // They have met, and serve.
                let ids: Vec<_> = self.world.nodes.keys().copied().collect();
                for id in &ids {
                    self.world.act(*id, |keeper, effects| keeper.ask(effects))?;
                }
                self.among(&ids)?;
                self.world.trace = Some(Vec::new());
                Ok(())
            }
            ["start", id] => self.world.start(node(id)?),
            ["crash", id] => {
                self.world.crash(node(id)?);
                Ok(())
            }
            ["wipe", id] => {
                self.world.wipe(node(id)?);
                Ok(())
            }
            ["resume", id] => self.world.act(node(id)?, |keeper, effects| keeper.resume(effects)),
            ["ask", id] => self.world.act(node(id)?, |keeper, effects| keeper.ask(effects)),
            ["expire", id, what @ ..] => {
                let change = self.change_id(what).ok_or("nobody asked for that")?;
                self.world.act(node(id)?, |keeper, effects| keeper.expire(change, effects))
            }
            ["among", ids @ ..] => {
                let ids = ids.iter().map(|id| node(id)).collect::<Result<Vec<_>, _>>()?;
                self.among(&ids)
            }
            ["lose"] => {
                self.world.letters.clear();
                Ok(())
            }
            ["deliver", from, to] => {
                let (from, to) = (node(from)?, node(to)?);
                let at = self.world.letters.iter().position(|letter| (letter.from, letter.to) == (from, to));
                let letter = self.world.letters.remove(at.ok_or("no such letter")?);
                self.world.deliver(letter)
            }
            ["sync", id] => self.sync(node(id)?),
            ["show"] => {
                self.show();
                Ok(())
            }
            [id, what @ ..] => self.ask(node(id)?, what),
            [] => Err("an empty command".to_owned()),
        }
    }

    fn change_id(&self, what: &[&str]) -> Option<ChangeId> {
        let words = what.join(" ");
        self.asked.iter().find(|(known, _)| *known == words).map(|(_, id)| *id)
    }

    /// The same words, said again, ask for the same change.
    fn ask(&mut self, at: NodeId, what: &[&str]) -> Result<(), String> {
        let options =
            TableOptions { read_consistency: Consistency::Quorum, write_consistency: Consistency::Quorum };
        let change = match what {
            ["creates", name] | ["creates", name, "too"] => Change::CreateTable(NewTable {
                name: (*name).to_owned(),
                kind: TableKind::Siblings,
                replication: 1,
                options,
            }),
            ["drops", name] => Change::DropTable { name: (*name).to_owned() },
            ["truncates", name] => Change::TruncateTable { name: (*name).to_owned() },
            ["joins", id] => Change::Join { node: light(node(id)?.0), incarnation: first_life(node(id)?) },
            ["removes", id] => Change::Remove { node: node(id)? },
            _ => return Err(format!("what is '{}'?", what.join(" "))),
        };
        let id = match self.change_id(what) {
            Some(id) => id,
            None => {
                let id = self.world.change_id(at);
                self.asked.push((what.join(" "), id));
                id
            }
        };
        self.world.propose(at, id, &change)
    }

    fn sync(&mut self, id: NodeId) -> Result<(), String> {
        while self.world.has_unsynced(id) {
            self.world.sync(id)?;
        }
        Ok(())
    }

    /// These nodes talk, and use their disks, until they have no more to say to each other.
    fn among(&mut self, ids: &[NodeId]) -> Result<(), String> {
        loop {
            for id in ids {
                self.sync(*id)?;
            }
            let inside =
                |letter: &super::world::Letter| ids.contains(&letter.from) && ids.contains(&letter.to);
            let Some(at) = self.world.letters.iter().position(inside) else {
                return Ok(());
            };
            let letter = self.world.letters.remove(at);
            self.world.deliver(letter)?;
        }
    }

    fn show(&mut self) {
        let mut lines = Vec::new();
        for (id, node) in &self.world.nodes {
            let Some(keeper) = &node.keeper else {
                lines.push(format!("{id}: down"));
                continue;
            };
            let tables: Vec<_> = keeper.newest().tables().map(|t| format!("{}={}", t.name, t.id.0)).collect();
            let serves = if keeper.serves() { "serves" } else { "does not serve" };
            let members: Vec<_> = keeper.newest().members().map(|member| member.to_string()).collect();
            lines.push(format!(
                "{id}: {} of {}, tables [{}], {:?}, {serves}",
                keeper.newest().epoch(),
                members.join(" "),
                tables.join(" "),
                keeper.standing(),
            ));
        }
        self.world.trace.as_mut().expect("scenes are traced").extend(lines);
    }
}

fn node(word: &str) -> Result<NodeId, String> {
    word.strip_prefix('n')
        .and_then(|n| n.parse().ok())
        .map(NodeId)
        .ok_or_else(|| format!("'{word}' is no node"))
}
