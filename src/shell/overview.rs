//! The cluster at a glance: a verdict, which failures it still bears, and problems only.

mod members;

use std::{collections::BTreeSet, fmt};

use quorate_ring::{Epoch, NodeId, Ring, RingError, Table};

use self::members::{Row, Screen};
use crate::{
    cql::render::{Cell, Format, Grid},
    units::rounded_bytes_text,
    wire::{NodeStatus, NodesDescribed, Verdict},
};

/// How the cluster is.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    cluster_name: String,
    /// Who was asked.
    asked: NodeId,
    epoch: Epoch,
    nodes: usize,
    up: usize,
    tables: usize,
    /// How many more nodes may fail, whichever they are: of the replicas that tables have, or would have if there is none.
    may_fail: usize,
    /// How many replicas of each key that is judged by where there is no table.
    usual: u8,
    has_quorums: bool,
    racks: Vec<String>,
    /// How many seconds ago replicas that are up had all been seen to hold the same, if every node that is up said.
    agreed_s_ago: Option<u64>,
    verdict: &'static str,
    problems: Vec<String>,
    members: Vec<Row>,
}

impl Overview {
    /// Judges what one node has said.
    ///
    /// # Errors
    /// If the cluster's layout makes no ring: the node is of another version.
    pub fn new(described: &NodesDescribed, tables: &[Table]) -> Result<Self, RingError> {
        let NodesDescribed { cluster, nodes } = described;
        let ring = Ring::new(cluster.layout.clone())?;
        // Who recovers counts for nothing where it does.
        let useless: BTreeSet<_> =
            nodes.iter().filter(|node| !is_whole(node)).map(|node| node.node).collect();
        let mut judge = Judge { ring: &ring, nodes, problems: Vec::new(), troubled: BTreeSet::new() };
        judge.members(cluster.epoch);
        let has_quorums = judge.tables(tables, &useless);
        let Judge { problems, troubled, .. } = judge;
        let usual = usual_replication(&ring);
        let mut replications: BTreeSet<_> = tables.iter().map(|table| table.replication).collect();
        if replications.is_empty() {
            replications.insert(usual);
        }
        let may_fail = replications.iter().map(|n| ring.endurance(*n, &useless).nodes).min();
        let racks = replications.iter().map(|n| ring.endurance(*n, &useless).racks);
        let racks =
            racks.reduce(|all, of_one| all.into_iter().filter(|rack| of_one.contains(rack)).collect());
        Ok(Self {
            cluster_name: cluster.cluster_name.clone(),
            asked: cluster.node,
            epoch: cluster.epoch,
            nodes: nodes.len(),
            up: nodes.iter().filter(|node| is_up(node)).count(),
            tables: tables.len(),
            may_fail: may_fail.unwrap_or_default(),
            usual,
            has_quorums,
            racks: racks.unwrap_or_default(),
            agreed_s_ago: agreed_s_ago(nodes).filter(|_| !tables.is_empty()),
            verdict: match (has_quorums, problems.is_empty()) {
                (false, _) => "failing",
                (true, false) => "degraded",
                (true, true) => "well",
            },
            problems,
            members: members::rows(&ring, nodes, &troubled),
        })
    }

    /// In a word: `well`, `degraded` or `failing`.
    pub fn verdict(&self) -> &'static str {
        self.verdict
    }

    /// One row with all of it; the members only where a row can hold a list of them.
    pub fn grid(&self, format: Format) -> Grid {
        let mut columns = vec![
            "verdict",
            "cluster",
            "asked",
            "epoch",
            "nodes",
            "up",
            "tables",
            "may_fail",
            "racks_may_fail",
            "agreed_s_ago",
            "problems",
        ];
        let mut row = vec![
            Cell::Text(self.verdict.to_owned()),
            Cell::Text(self.cluster_name.clone()),
            Cell::Text(self.asked.to_string()),
            Cell::Number(self.epoch.0),
            Cell::Number(self.nodes as u64),
            Cell::Number(self.up as u64),
            Cell::Number(self.tables as u64),
            Cell::Number(self.may_fail as u64),
            Cell::List(self.racks.clone()),
            self.agreed_s_ago.map_or(Cell::Null, Cell::Number),
            Cell::List(self.problems.clone()),
        ];
        if format.is_json() {
            columns.push("members");
            row.push(Cell::Rows(members::grid(&self.members)));
        }
        let mut grid = Grid::new(&columns);
        grid.push(row);
        grid
    }
}

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster_name, verdict, up, nodes, epoch, asked, tables, .. } = self;
        write!(
            f,
            "cluster '{cluster_name}' is {verdict}: {up} of {nodes} nodes up, {}",
            plural(*tables, "table")
        )?;
        let usual = plural(self.usual.into(), "replica");
        match (tables, self.may_fail) {
            (0, 0) => writeln!(f, "; with {usual} of each key no node may fail")?,
            (0, more) => writeln!(f, "; with {usual} of each key any {} may fail", plural(more, "node"))?,
            _ if !self.has_quorums => writeln!(f, "; some keys have no quorum")?,
            (_, 0) => writeln!(f, "; one more failure can cost keys their quorum")?,
            (_, more) => writeln!(f, "; any {} may fail", plural(more, "node"))?,
        }
        if !self.racks.is_empty() {
            writeln!(f, "racks that may fail as a whole: {}", self.racks.join(", "))?;
        }
        for problem in self.problems.iter().take(PROBLEMS_SHOWN_MAX) {
            writeln!(f, "- {problem}")?;
        }
        if let more @ 1.. = self.problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
            writeln!(f, "- and {more} more: `--output json` has all of them")?;
        }
        write!(f, "as {asked} sees it at {epoch}")?;
        if let Some(ago) = self.agreed_s_ago {
            write!(f, "; replicas that are up held the same {ago} s ago")?;
        }
        Screen(&self.members).fmt(f)
    }
}

/// Collects what is wrong.
struct Judge<'a> {
    ring: &'a Ring,
    nodes: &'a [NodeStatus],
    problems: Vec<String>,
    /// Whom they are about.
    troubled: BTreeSet<NodeId>,
}

impl Judge<'_> {
    fn members(&mut self, epoch: Epoch) {
        let newest = self.nodes.iter().filter_map(|node| Some(node.progress.as_ref()?.epoch)).max();
        let newest = newest.unwrap_or(epoch).max(epoch);
        let down: Vec<_> = self.nodes.iter().filter(|node| !is_up(node)).map(|node| node.node).collect();
        for node in self.nodes {
            let name = self.name(node.node);
            if let Some(why) = absence(node) {
                self.problems.push(format!("{name} {why}"));
                self.troubled.insert(node.node);
                continue;
            }
            let before = self.problems.len();
            let cut: Vec<_> =
                node.unreachable.iter().flatten().filter(|peer| !down.contains(peer)).copied().collect();
            if !cut.is_empty() {
                self.problems.push(format!("{name} cannot reach {}", self.names(&cut)));
            }
            self.progress(node, &name, newest);
            if self.problems.len() > before {
                self.troubled.insert(node.node);
            }
        }
        let versions: BTreeSet<_> =
            self.nodes.iter().filter_map(|node| Some(&node.about.as_ref()?.version)).collect();
        if versions.len() > 1 {
            let versions: Vec<_> = versions.into_iter().map(String::as_str).collect();
            self.problems.push(format!("nodes run different versions: {}", versions.join(", ")));
        }
    }

    fn progress(&mut self, node: &NodeStatus, name: &str, newest: Epoch) {
        if let Some(progress) = &node.progress {
            if !progress.serves {
                self.problems
                    .push(format!("{name} does not act as a member yet: it asks for the cluster map"));
            }
            if progress.recovering > 0 {
                let tables = plural(progress.recovering as usize, "table");
                self.problems.push(format!("{name} recovers {tables} from its peers after losing its disk"));
            }
            if progress.epoch < newest {
                self.problems.push(format!("{name} goes by {}, the newest is {newest}", progress.epoch));
            }
        }
        if let Some(vitals) = &node.vitals {
            if vitals.hints > 0 {
                let hints = plural(vitals.hints as usize, "hint");
                self.problems.push(format!("{name} keeps {hints} for nodes that missed writes"));
            }
            if let Some(ago) = vitals.agreed_ago_s.filter(|ago| *ago > AGREED_AGO_LONG_S) {
                let minutes = ago / 60;
                self.problems.push(format!(
                    "{name} was not seen to hold the same as its peers for {minutes} min: `quorate admin repair` shows which; \
                     they differ, or a key is written without pause"
                ));
            }
            if vitals.disk_free < DISK_FREE_LOW {
                let free = rounded_bytes_text(vitals.disk_free);
                self.problems
                    .push(format!("{name} has {free} free on its disk: writes are refused when it is full"));
            }
        }
    }

    /// Whether every key of every table has a quorum.
    fn tables(&mut self, tables: &[Table], useless: &BTreeSet<NodeId>) -> bool {
        let replications: BTreeSet<_> = tables.iter().map(|table| table.replication).collect();
        let mut has_quorums = true;
        for n in replications {
            let endurance = self.ring.endurance(n, useless);
            let names = tables.iter().filter(|table| table.replication == n).map(|table| table.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            if endurance.without_quorum > 0.0 {
                has_quorums = false;
                let percent = (endurance.without_quorum * 100.0).round().max(1.0);
                self.problems.push(format!(
                    "{percent} % of the keys have no quorum in tables of {n} replicas: {names}"
                ));
            } else if !endurance.critical.is_empty() && !useless.is_empty() {
                let critical = self.names(&endurance.critical);
                self.problems.push(format!(
                    "the next failure among {critical} costs quorums in tables of {n} replicas: {names}"
                ));
            }
        }
        let (members, up) = (self.nodes.len(), self.nodes.iter().filter(|node| is_up(node)).count());
        if up <= members / 2 {
            self.problems.push("half of the nodes or more are not up: tables cannot be changed".to_owned());
        }
        has_quorums
    }

    /// Of many the first ones.
    fn names(&self, nodes: &[NodeId]) -> String {
        let names: Vec<_> = nodes.iter().take(NAMES_SHOWN_MAX).map(|node| self.name(*node)).collect();
        match nodes.len() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    fn name(&self, node: NodeId) -> String {
        let member = self.ring.member(node).filter(|member| member.name != node.to_string());
        member.map_or_else(|| node.to_string(), |member| format!("{node} ({})", member.name))
    }
}

/// One row for each node: what it says of itself, and what the node that was asked holds of it.
pub fn nodes(described: &NodesDescribed) -> Grid {
    let columns = [
        "node",
        "name",
        "address",
        "rack",
        "state",
        "epoch",
        "cannot_reach",
        "requests_per_s",
        "hints",
        "agreed_s_ago",
        "disk_used_bytes",
        "disk_free_bytes",
        "incarnation",
        "starts",
        "version",
    ];
    let mut grid = Grid::new(&columns);
    for node in &described.nodes {
        let member = described.cluster.layout.members.iter().find(|member| member.id == node.node);
        let (about, progress, vitals) = (node.about.as_ref(), node.progress.as_ref(), node.vitals.as_ref());
        let text = |text: Option<&String>| text.map_or(Cell::Null, |text| Cell::Text(text.clone()));
        let number = |number: Option<u64>| number.map_or(Cell::Null, Cell::Number);
        let size = |size: Option<u64>| size.map_or(Cell::Null, Cell::Size);
        grid.push(vec![
            Cell::Text(node.node.to_string()),
            text(member.map(|member| &member.name)),
            text(member.map(|member| &member.address)),
            text(member.map(|member| &member.rack)),
            Cell::Text(state(node).to_owned()),
            number(progress.map(|progress| progress.epoch.0)),
            node.unreachable
                .as_ref()
                .map_or(Cell::Null, |nodes| Cell::List(nodes.iter().map(NodeId::to_string).collect())),
            number(vitals.map(|vitals| vitals.requests_per_s)),
            number(vitals.map(|vitals| vitals.hints)),
            number(vitals.and_then(|vitals| vitals.agreed_ago_s)),
            size(vitals.map(|vitals| vitals.disk_used)),
            size(vitals.map(|vitals| vitals.disk_free)),
            about.map_or(Cell::Null, |about| Cell::Text(about.incarnation.to_string())),
            number(about.map(|about| about.starts)),
            text(about.map(|about| &about.version)),
        ]);
    }
    grid
}

/// What a person wants to know first of [`nodes`]: it fits 80 columns as a rule.
pub fn nodes_in_short(described: &NodesDescribed) -> Grid {
    nodes(described).only(&[
        "node",
        "name",
        "address",
        "rack",
        "state",
        "cannot_reach",
        "hints",
        "disk_free_bytes",
    ])
}

/// One row for each node: its tokens, and its share of the keys' replicas beside what its weight entitles it to, in
/// thousandths of all replicas.
///
/// # Errors
/// If the cluster's layout makes no ring: the node is of another version.
pub fn ring(described: &NodesDescribed, tables: &[Table]) -> Result<Grid, RingError> {
    let ring = Ring::new(described.cluster.layout.clone())?;
    let usual = usual_replication(&ring);
    let replications: BTreeSet<_> = tables.iter().map(|table| table.replication).chain([usual]).collect();
    let weights: u64 = ring.members().iter().map(|member| u64::from(member.weight)).sum();
    let mut grid = Grid::new(&[
        "node",
        "name",
        "rack",
        "weight",
        "tokens",
        "replication",
        "share_permille",
        "fair_permille",
    ]);
    for n in replications {
        let sets: Vec<_> = ring.ranges(n).collect();
        for member in ring.members() {
            let held = sets.iter().filter(|(_, replicas)| replicas.contains(&member.id));
            let share: f64 = held.map(|(range, _)| range.fraction()).sum::<f64>() / f64::from(n);
            grid.push(vec![
                Cell::Text(member.id.to_string()),
                Cell::Text(member.name.clone()),
                Cell::Text(member.rack.clone()),
                Cell::Number(u64::from(member.weight)),
                Cell::Number(member.tokens.len() as u64),
                Cell::Number(u64::from(n)),
                Cell::Number((share * 1_000.0).round() as u64),
                Cell::Number(u64::from(member.weight) * 1_000 / weights.max(1)),
            ]);
        }
    }
    Ok(grid)
}

fn agreed_s_ago(nodes: &[NodeStatus]) -> Option<u64> {
    let mut ages = nodes.iter().filter(|node| is_up(node)).map(|node| node.vitals.as_ref()?.agreed_ago_s);
    ages.try_fold(0, |oldest, age| Some(oldest.max(age?)))
}

/// What tables have that ask for nothing.
fn usual_replication(ring: &Ring) -> u8 {
    ring.members().len().min(usize::from(DEFAULT_REPLICATION)) as u8
}

/// Whether it can be counted on. To a process that was killed there is a connection until it has been silent for too long.
fn is_up(node: &NodeStatus) -> bool {
    node.connected && matches!(node.verdict, Verdict::Alive | Verdict::Unheard)
}

/// Whether it counts as a replica for all that it holds.
fn is_whole(node: &NodeStatus) -> bool {
    is_up(node) && node.progress.as_ref().is_none_or(|progress| progress.serves && progress.recovering == 0)
}

/// In a word.
fn state(node: &NodeStatus) -> &'static str {
    match (node.verdict, node.connected) {
        (Verdict::Suspect, _) => "suspect",
        (Verdict::Dead, _) => "down",
        (Verdict::Left, true) => "stopping",
        (_, true) => "up",
        (Verdict::Alive, false) => "unreachable",
        (Verdict::Left, false) => "stopped",
        (Verdict::Unheard, false) => "unheard",
    }
}

/// Why a node is not there: it need not be asked, and says nothing. One that is connected may be back from the dead.
pub fn gone(node: &NodeStatus) -> Option<&'static str> {
    match (node.verdict, node.connected) {
        (Verdict::Dead, false) => Some("is down"),
        (Verdict::Left, false) => Some("was stopped"),
        _ => None,
    }
}

/// Why a node is not all well, if it is not there at all, or hardly.
fn absence(node: &NodeStatus) -> Option<&'static str> {
    match (node.verdict, node.connected) {
        (Verdict::Suspect, _) => Some("does not answer, and is asked last until it does"),
        (Verdict::Dead, _) => Some("is down: it answers neither the node that was asked nor its helpers"),
        (Verdict::Left, true) => Some("stops, and takes no requests any more"),
        (_, true) => None,
        (Verdict::Alive, false) => {
            Some("cannot be reached from the node that was asked, though others reach it")
        }
        (Verdict::Left, false) => Some("was stopped"),
        (Verdict::Unheard, false) => Some("was never heard of since the node that was asked started"),
    }
}

fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

const DEFAULT_REPLICATION: u8 = 3;
const NAMES_SHOWN_MAX: usize = 8;
/// One screen.
const PROBLEMS_SHOWN_MAX: usize = 12;
/// Replicas compare every ten seconds.
const AGREED_AGO_LONG_S: u64 = 120;
/// Less than this is soon full.
const DISK_FREE_LOW: u64 = 2 << 30;

#[cfg(test)]
mod tests;
