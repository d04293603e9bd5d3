//! What nodes say of their hints, comparisons and records, and what each replica holds of a key, as grids.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use bytes::Bytes;
use quorate_ring::{NodeId, Ring, Table};

use super::answer::term;
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

/// One row for each two nodes, each table and each set of nodes that hold keys of it together, the longest ago first: when
/// the two were last seen to hold the same, by whichever of them has seen it.
pub fn agreements(answers: &FromEach<HealingDescribed>, tables: &[Table], scope: &Scope) -> Grid {
    let mut pairs = BTreeMap::new();
    for described in answers.values().flatten() {
        for agreed in described.agreements.iter().flatten().filter(|agreed| scope.covers(agreed)) {
            let Agreed { peer, table, replicas, ago_ms } = agreed;
            let pair = (described.node.min(*peer), described.node.max(*peer), *table, replicas);
            let ago = pairs.entry(pair).or_insert(u64::MAX);
            *ago = (*ago).min(ago_ms.unwrap_or(u64::MAX));
        }
    }
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    pairs.sort_by_key(|(_, ago)| Reverse(*ago));
    let mut grid = Grid::new(&["node", "peer", "table", "range", "agreed_s_ago"]);
    for ((node, peer, table, replicas), ago) in pairs {
        let Some(table) = tables.iter().find(|one| one.id == table) else {
            continue;
        };
        grid.push(vec![
            Cell::Text(node.to_string()),
            Cell::Text(peer.to_string()),
            Cell::Text(table.name.clone()),
            Cell::Text(list(replicas)),
            seconds(Some(ago).filter(|ago| *ago < u64::MAX)),
        ]);
    }
    grid
}

/// One row for each node: how far it is with verifying its records. Where it is on the circle is no measure of a round
/// that began elsewhere.
pub fn scrub(answers: &FromEach<HealingDescribed>) -> Grid {
    let mut grid = Grid::new(&[
        "node",
        "rounds",
        "at_percent",
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

/// One row for each replica of a key and each version that it holds, in the order in which replicas are preferred, each
/// with the key's token. Why a record is damaged is for people, and no part of it.
pub fn key(ring: &Ring, table: &Table, key: &Bytes, answers: &FromEach<ReplicaRead>) -> Grid {
    let mut grid = Grid::new(&[
        "place",
        "node",
        "name",
        "holds",
        "counts",
        "value",
        "writetime_us",
        "expires_us",
        "version",
        "seen",
        "token",
    ]);
    let token = quorate_ring::token_of(key).to_string();
    for (place, node) in (1..).zip(ring.replicas_of_key(key, table.replication)) {
        let name = ring.member(*node).map_or(Cell::Null, |member| Cell::Text(member.name.clone()));
        let answer = answers.get(node);
        let counts = match answer {
            Some(Ok(read)) => Cell::Flag(read.counts),
            _ => Cell::Null,
        };
        let mut row = |holds: &str, version: Option<&HeldVersion>, seen: Cell| {
            let time = |micros: Option<u64>| micros.map_or(Cell::Null, Cell::Number);
            grid.push(vec![
                Cell::Number(place),
                Cell::Text(node.to_string()),
                name.clone(),
                Cell::Text(holds.to_owned()),
                counts.clone(),
                version.and_then(|version| version.value.clone()).map_or(Cell::Null, Cell::Bytes),
                time(version.map(|version| version.tag.hlc.wall().0)),
                time(version.and_then(|version| version.expires).map(|expires| expires.wall().0)),
                version.map_or(Cell::Null, |version| Cell::Text(version.tag.to_string())),
                seen,
                Cell::Text(token.clone()),
            ]);
        };
        let held = match answer {
            Some(Ok(read)) => &read.held,
            Some(Err(error)) => {
                let what = if error.failure().is_some() { "error" } else { "no_answer" };
                row(what, None, Cell::Null);
                continue;
            }
            None => {
                row("no_answer", None, Cell::Null);
                continue;
            }
        };
        match held {
            Held::Absent => row("nothing", None, Cell::Null),
            Held::Damaged(_) => row("damaged", None, Cell::Null),
            Held::Record { seen, versions } => {
                let seen = Cell::List(seen.iter().map(ToString::to_string).collect());
                if versions.is_empty() {
                    row("no_version", None, seen.clone());
                }
                for version in versions {
                    let what = if version.value.is_some() { "value" } else { "delete" };
                    row(what, Some(version), seen.clone());
                }
            }
        }
    }
    grid
}

/// What a person wants to know first of [`key`]; [`key_headline`] says the rest.
pub fn key_in_short(all: &Grid) -> Grid {
    all.only(&["node", "holds", "counts", "value", "expires_us", "version"])
}

/// Where a key lies, for people: above what its replicas hold.
pub fn key_headline(ring: &Ring, table: &Table, key: &Bytes) -> String {
    let name = |node: &NodeId| match ring.member(*node).filter(|member| member.name != node.to_string()) {
        Some(member) => format!("{node} ({})", member.name),
        None => node.to_string(),
    };
    let replicas: Vec<_> = ring.replicas_of_key(key, table.replication).iter().map(name).collect();
    let token = quorate_ring::token_of(key);
    format!("{} in {}: token {token}, on {}", term(key), table.name, replicas.join(", "))
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
    use crate::{
        cql::render::Format,
        wire::{Outcome, Scrubbing},
    };

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
            lines[0].starts_with(&format!("1\t{first}\tdb{}\tvalue\ttrue\tmilk\t0\t\t{tag}", first.0)),
            "{shown}"
        );
        assert!(lines[1].starts_with(&format!("1\t{first}\tdb{}\tdelete\ttrue\t\t0", first.0)), "{shown}");
        assert!(lines[2].starts_with(&format!("2\t{second}\tdb{}\tnothing\tfalse\t", second.0)), "{shown}");
        let short = key_in_short(&key(&ring, &table, &bytes, &both));
        assert!(short.table_width() <= 80, "{} columns", short.table_width());
        assert!(!raw(&short).contains(&quorate_ring::token_of(&bytes).to_string()), "once, above");
        let head = key_headline(&ring, &table, &bytes);
        assert!(head.starts_with("'alice' in t: token ") && head.contains(&format!("{first} (db")), "{head}");
        let empty = Held::Record { seen: vec![tag], versions: Vec::new() };
        let empty = ReplicaRead { node: *first, counts: true, held: empty };
        let held = Held::Damaged("its checksum is another".to_owned());
        let damaged = ReplicaRead { node: *second, counts: false, held };
        let both = BTreeMap::from([(*first, Ok(empty)), (*second, Ok(damaged))]);
        let shown = raw(&key(&ring, &table, &bytes, &both));
        assert!(shown.contains(&format!("db{}\tno_version\ttrue\t\t\t\t\t{tag}\t", first.0)), "{shown}");
        assert!(shown.contains(&format!("db{}\tdamaged\tfalse\t\t\t\t\t\t", second.0)), "{shown}");
        let silent =
            || Err(crate::client::CatalogError::TimedOut { outcome: Outcome::NotApplied, request_id: None });
        let none = BTreeMap::from([(*first, silent()), (*second, silent())]);
        let shown = raw(&key(&ring, &table, &bytes, &none));
        assert_eq!(shown.matches("no_answer").count(), 2, "{shown}");
        let shown = raw(&key(&ring, &table, &bytes, &BTreeMap::new()));
        assert_eq!(shown.matches("no_answer").count(), 2, "who was not asked has not answered: {shown}");
    }

    #[test]
    fn a_pair_stands_once_with_what_either_has_seen() {
        let said = |node: u32, peer: u32, ago_ms| {
            let replicas = vec![NodeId(1), NodeId(2)];
            let agreed = Agreed { peer: NodeId(peer), table: TableId(1), replicas, ago_ms };
            let described = HealingDescribed {
                node: NodeId(node),
                hints: Vec::new(),
                hints_under_way: 0,
                agreements: Some(vec![agreed]),
                given: 0,
                cells_unknown: 0,
                scrub: Scrubbing::default(),
                quarantined: 0,
            };
            (NodeId(node), Ok(described))
        };
        let both = [said(1, 2, None), said(2, 1, Some(3_500))].into();
        assert_eq!(raw(&agreements(&both, &[table()], &Scope::default())), "n1\tn2\tt\tn1,n2\t3\n");
        let neither = [said(1, 2, None), said(2, 1, None)].into();
        assert_eq!(raw(&agreements(&neither, &[table()], &Scope::default())), "n1\tn2\tt\tn1,n2\t\n");
    }

    #[test]
    fn ranges_are_lists_of_nodes() {
        assert_eq!(parse_range("n3, n1"), Ok(BTreeSet::from([NodeId(1), NodeId(3)])));
        assert!(parse_range("n1,x").is_err());
    }
}
