//! What nodes say of their hints, comparisons and records, and what each replica holds of a key, as grids.

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate_ring::{NodeId, Ring, Table};

use crate::{
    client::{FromEach, Scope},
    cql::render::{Cell, Grid},
    wire::{Agreed, HealingDescribed, Held, HeldVersion, HintsFor, ReplicaRead},
};

/// One row for each node that keeps hints, and each that it keeps them for.
pub fn hints(answers: &FromEach<HealingDescribed>) -> Grid {
    let mut grid = Grid::new(&["node", "target", "hints", "bytes", "oldest_s"]);
    for described in answers.values().flatten() {
        for HintsFor { target, hints, bytes, oldest_ms } in &described.hints {
            grid.push(vec![
                Cell::Text(described.node.to_string()),
                Cell::Text(target.to_string()),
                Cell::Number(*hints),
                Cell::Size(*bytes),
                seconds(*oldest_ms),
            ]);
        }
    }
    grid
}

/// One row for each node, each of its peers, each table and each set of nodes that hold keys of it together: when the two
/// were last seen to hold the same.
pub fn agreements(answers: &FromEach<HealingDescribed>, tables: &[Table], scope: &Scope) -> Grid {
    let mut grid = Grid::new(&["node", "peer", "table", "range", "agreed_s_ago"]);
    for described in answers.values().flatten() {
        for agreed in &described.agreements {
            let Agreed { peer, table, replicas, ago_ms } = agreed;
            let Some(table) = tables.iter().find(|one| one.id == *table) else {
                continue;
            };
            if !scope.covers(agreed) {
                continue;
            }
            grid.push(vec![
                Cell::Text(described.node.to_string()),
                Cell::Text(peer.to_string()),
                Cell::Text(table.name.clone()),
                Cell::Text(list(replicas)),
                seconds(*ago_ms),
            ]);
        }
    }
    grid
}

/// One row for each node: how far it is with verifying its records.
pub fn scrub(answers: &FromEach<HealingDescribed>) -> Grid {
    let mut grid = Grid::new(&[
        "node",
        "rounds",
        "round_percent",
        "records",
        "bytes",
        "damaged",
        "being_restored",
        "digest_cells_unknown",
    ]);
    for HealingDescribed { node, scrub, quarantined, cells_unknown, .. } in answers.values().flatten() {
        grid.push(vec![
            Cell::Text(node.to_string()),
            Cell::Number(scrub.rounds),
            Cell::Number(u64::from(scrub.cell) * 100 / u64::from(scrub.cells.max(1))),
            Cell::Number(scrub.records),
            Cell::Size(scrub.bytes),
            Cell::Number(scrub.damaged),
            Cell::Number(*quarantined),
            Cell::Number(*cells_unknown),
        ]);
    }
    grid
}

/// One row for each replica of a key and each version that it holds, in the order in which replicas are preferred.
pub fn key(ring: &Ring, table: &Table, key: &Bytes, answers: &FromEach<ReplicaRead>) -> Grid {
    let columns = ["node", "name", "holds", "value", "writetime", "expires", "version", "seen"];
    let mut grid = Grid::new(&columns);
    for node in ring.replicas_of_key(key, table.replication) {
        let name = ring.member(*node).map_or(Cell::Null, |member| Cell::Text(member.name.clone()));
        let mut row = |holds: &str, version: Option<&HeldVersion>, seen: Cell| {
            let time = |micros: Option<u64>| micros.map_or(Cell::Null, Cell::Number);
            grid.push(vec![
                Cell::Text(node.to_string()),
                name.clone(),
                Cell::Text(holds.to_owned()),
                version.and_then(|version| version.value.clone()).map_or(Cell::Null, Cell::Bytes),
                time(version.map(|version| version.tag.hlc.wall().0)),
                time(version.and_then(|version| version.expires).map(|expires| expires.wall().0)),
                version.map_or(Cell::Null, |version| Cell::Text(version.tag.to_string())),
                seen,
            ]);
        };
        let read = match answers.get(node) {
            Some(Ok(read)) => read,
            Some(Err(_)) | None => {
                row("no answer", None, Cell::Null);
                continue;
            }
        };
        let beside = if read.counts { "" } else { ", not counted: it recovers" };
        match &read.held {
            Held::Absent => row(&format!("nothing{beside}"), None, Cell::Null),
            Held::Damaged(why) => row(&format!("a damaged record: {why}{beside}"), None, Cell::Null),
            Held::Record { seen, versions } => {
                let seen = Cell::List(seen.iter().map(ToString::to_string).collect());
                if versions.is_empty() {
                    row(&format!("no version{beside}"), None, seen.clone());
                }
                for version in versions {
                    let what = if version.value.is_some() { "a value" } else { "a delete" };
                    row(&format!("{what}{beside}"), Some(version), seen.clone());
                }
            }
        }
    }
    grid
}

/// The nodes that hold keys together, as [`agreements`] prints them: `n1,n2,n3`, in any order.
///
/// # Errors
/// What is wrong with it.
pub fn parse_range(text: &str) -> Result<BTreeSet<NodeId>, String> {
    let node = |word: &str| {
        let number = word.trim().strip_prefix('n').and_then(|number| number.parse().ok());
        number.map(NodeId).ok_or_else(|| format!("'{word}' is no node's id, like n1"))
    };
    text.split(',').map(node).collect()
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

fn seconds(millis: Option<u64>) -> Cell {
    millis.map_or(Cell::Null, |millis| Cell::Number(millis / 1_000))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quorate_ring::{Actor, Consistency, Founder, Hlc, TableId, TableKind, Tag};

    use super::*;
    use crate::cql::render::Format;

    fn table() -> Table {
        Table {
            id: TableId(1),
            name: "t".to_owned(),
            kind: TableKind::Register,
            replication: 2,
            read_consistency: Consistency::Quorum,
            write_consistency: Consistency::Quorum,
        }
    }

    fn raw(grid: &Grid) -> String {
        let mut out = Vec::new();
        grid.write(Format::Raw, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_key_stands_once_for_each_replica_and_version_in_order_of_preference() {
        let founders: Vec<_> =
            (1..=3).map(|n| Founder::new(format!("db{n}"), format!("127.0.0.1:{n}"))).collect();
        let ring = Ring::found("test", &founders).unwrap();
        let (table, bytes) = (table(), Bytes::from_static(b"alice"));
        let [first, second] = ring.replicas_of_key(&bytes, 2) else { panic!("two replicas") };
        let tag = Tag { hlc: Hlc::ZERO, actor: Actor(7) };
        let version = |value: Option<&'static [u8]>| HeldVersion {
            tag,
            value: value.map(Bytes::from_static),
            expires: None,
        };
        let versions = vec![version(Some(b"milk")), version(None)];
        let held = Held::Record { seen: vec![tag], versions };
        let one = ReplicaRead { node: *first, counts: true, held };
        let other = ReplicaRead { node: *second, counts: false, held: Held::Absent };
        let both = BTreeMap::from([(*first, Ok(one)), (*second, Ok(other))]);
        let shown = raw(&key(&ring, &table, &bytes, &both));
        let lines: Vec<_> = shown.lines().collect();
        assert!(
            lines[0].starts_with(&format!("{first}\tdb{}\ta value\tmilk\t0\t\t{tag}", first.0)),
            "{shown}"
        );
        assert!(lines[1].starts_with(&format!("{first}\tdb{}\ta delete\t\t0", first.0)), "{shown}");
        assert!(lines[2].contains("nothing, not counted: it recovers"), "{shown}");
        let shown = raw(&key(&ring, &table, &bytes, &BTreeMap::new()));
        assert_eq!(shown.matches("no answer").count(), 2, "{shown}");
    }

    #[test]
    fn ranges_are_lists_of_nodes() {
        assert_eq!(parse_range("n3, n1"), Ok(BTreeSet::from([NodeId(1), NodeId(3)])));
        assert!(parse_range("n1,x").is_err());
    }
}
