//! What operators read of a cluster.

use quorate_ring::{Consistency, Founder, TableId, TableKind};

use super::*;
use crate::wire::{ClusterInfo, PROTOCOL_VERSION, Progress, Vitals};

fn cluster(count: u32) -> NodesDescribed {
    let founders: Vec<_> =
        (1..=count).map(|n| Founder::new(format!("db{n}"), format!("host{n}:7000"))).collect();
    let layout = Ring::found("shop", &founders).unwrap().layout().clone();
    let up = layout.members.iter().map(|member| member.id).collect();
    let status = |member: &quorate_ring::Member| NodeStatus {
        node: member.id,
        verdict: Verdict::Alive,
        connected: true,
        about: None,
        progress: Some(Progress { epoch: Epoch(4), serves: true, recovering: 0 }),
        unreachable: Some(Vec::new()),
        vitals: Some(Vitals { agreed_ago_s: Some(8), disk_free: 1 << 40, ..Vitals::default() }),
    };
    let nodes = layout.members.iter().map(status).collect();
    let cluster = ClusterInfo {
        protocol: PROTOCOL_VERSION,
        cluster_name: "shop".to_owned(),
        node: NodeId(1),
        epoch: Epoch(4),
        layout,
        up,
        value_bytes_max: 1,
    };
    NodesDescribed { cluster, nodes }
}

fn table(replication: u8) -> Table {
    Table {
        id: TableId(1),
        name: format!("t{replication}"),
        kind: TableKind::Siblings,
        replication,
        read_consistency: Consistency::Quorum,
        write_consistency: Consistency::Quorum,
    }
}

fn shown(described: &NodesDescribed, tables: &[Table]) -> String {
    Overview::new(described, tables).unwrap().to_string()
}

#[test]
fn a_cluster_without_problems_fits_two_lines_and_its_members() {
    assert_eq!(
        shown(&cluster(3), &[table(2), table(3)]),
        "cluster 'shop' is well: 3 of 3 nodes up, 2 tables; one more failure can cost keys their quorum\n\
         as n1 sees it at e4; replicas that are up held the same 8 s ago\n\
         \n  node  name  state  requests/s  hints  disk free\
         \n  n1    db1   up              0      0    1.0 TiB\
         \n  n2    db2   up              0      0    1.0 TiB\
         \n  n3    db3   up              0      0    1.0 TiB"
    );
}

#[test]
fn the_members_of_a_large_cluster_are_those_that_are_not_well() {
    let mut described = cluster(100);
    let shown_of = |described: &NodesDescribed| {
        let shown = shown(described, &[table(3)]);
        assert!(shown.lines().count() <= 30, "more than a screen: {shown}");
        assert!(shown.lines().filter(|line| line.starts_with("  ")).all(|line| line.chars().count() <= 80));
        shown
    };
    let members = |shown: &str| shown.split("held the same 8 s ago\n").nth(1).unwrap().to_owned();
    assert_eq!(members(&shown_of(&described)), "  100 of 100 nodes are well and not shown");
    (described.nodes[6].verdict, described.nodes[6].connected) = (Verdict::Left, false);
    described.nodes[7].progress = Some(Progress { epoch: Epoch(3), serves: true, recovering: 0 });
    described.nodes[8].vitals = None;
    assert_eq!(
        shown_of(&described).split("sees it at e4\n").nth(1),
        Some(
            "\n  node  name  state    epoch  requests/s  hints  disk free\
             \n  n7    db14  stopped      4           0      0    1.0 TiB\
             \n  n8    db15  up           3           0      0    1.0 TiB\
             \n  98 of 100 nodes are well and not shown"
        )
    );
    for node in &mut described.nodes[..60] {
        (node.verdict, node.connected) = (Verdict::Dead, false);
        node.vitals = None;
    }
    let many = shown_of(&described);
    assert!(many.contains("\n- and "), "{many}");
    assert!(many.contains("\n  n1    db1    down"), "{many}");
    assert!(
        many.ends_with("\n  48 more that are not well are not shown; 40 of 100 nodes are well"),
        "{many}"
    );
}

#[test]
fn programs_get_every_member() {
    let mut described = cluster(20);
    described.nodes[1].vitals = None;
    let overview = Overview::new(&described, &[table(3)]).unwrap();
    let mut out = Vec::new();
    overview.grid(Format::Json).write(Format::Json, &mut out).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let members = told[0]["members"].as_array().unwrap();
    assert_eq!(
        (members.len(), &members[1]["name"], &members[1]["hints"]),
        (20, &"db10".into(), &serde_json::Value::Null)
    );
    let mut out = Vec::new();
    overview.grid(Format::Csv).write(Format::Csv, &mut out).unwrap();
    assert!(!String::from_utf8(out).unwrap().contains("members"), "a line has no room for them");
}

#[test]
fn one_node_down_is_named_with_what_it_costs() {
    let mut described = cluster(3);
    (described.nodes[2].verdict, described.nodes[2].connected) = (Verdict::Dead, false);
    described.nodes[0].unreachable = Some(vec![NodeId(3)]);
    if let Some(vitals) = &mut described.nodes[1].vitals {
        vitals.hints = 1;
    }
    assert_eq!(
        shown(&described, &[table(3)]),
        "cluster 'shop' is degraded: 2 of 3 nodes up, 1 table; one more failure can cost keys their quorum\n\
         - n2 (db2) keeps 1 hint for nodes that missed writes\n\
         - n3 (db3) is down: it answers neither the node that was asked nor its helpers\n\
         - the next failure among n1 (db1), n2 (db2) costs quorums in tables of 3 replicas: t3\n\
         as n1 sees it at e4; replicas that are up held the same 8 s ago\n\
         \n  node  name  state  requests/s  hints  disk free\
         \n  n1    db1   up              0      0    1.0 TiB\
         \n  n2    db2   up              0      1    1.0 TiB\
         \n  n3    db3   down            0      0    1.0 TiB"
    );
}

/// What is connected may have been killed a moment ago.
#[test]
fn who_is_in_doubt_is_not_counted_on() {
    for (verdict, state) in [(Verdict::Suspect, "does not answer"), (Verdict::Left, "stops")] {
        let mut described = cluster(3);
        described.nodes[0].verdict = verdict;
        let shown = shown(&described, &[table(3)]);
        let head = "cluster 'shop' is degraded: 2 of 3 nodes up, 1 table; one more failure can cost keys their quorum\n\
                    - n1 (db1) ";
        assert!(shown.starts_with(&format!("{head}{state}")), "{shown}");
    }
}

/// Its connection is there before gossip takes back what it has called the process before.
#[test]
fn only_who_is_known_to_be_gone_is_not_asked() {
    let mut status = cluster(1).nodes.remove(0);
    for (verdict, connected, expected) in [
        (Verdict::Dead, false, Some("is down")),
        (Verdict::Dead, true, None),
        (Verdict::Left, false, Some("was stopped")),
        (Verdict::Left, true, None),
        (Verdict::Suspect, false, None),
        (Verdict::Alive, false, None),
        (Verdict::Unheard, false, None),
    ] {
        (status.verdict, status.connected) = (verdict, connected);
        assert_eq!(gone(&status), expected, "{verdict:?}, {connected}");
    }
}

#[test]
fn what_may_fail_is_said_before_there_are_tables() {
    let head = |described: &NodesDescribed| shown(described, &[]).lines().next().unwrap().to_owned();
    let well =
        "cluster 'shop' is well: 3 of 3 nodes up, 0 tables; with 3 replicas of each key any 1 node may fail";
    assert_eq!(head(&cluster(3)), well);
    let alone =
        "cluster 'shop' is well: 1 of 1 nodes up, 0 tables; with 1 replica of each key no node may fail";
    assert_eq!(head(&cluster(1)), alone);
    let mut described = cluster(3);
    described.nodes[2].connected = false;
    let degraded =
        "cluster 'shop' is degraded: 2 of 3 nodes up, 0 tables; with 3 replicas of each key no node may fail";
    assert_eq!(head(&described), degraded);
}

#[test]
fn replicas_that_have_not_agreed_for_long_are_a_problem() {
    let mut described = cluster(3);
    if let Some(vitals) = &mut described.nodes[1].vitals {
        vitals.agreed_ago_s = Some(360);
    }
    let shown = shown(&described, &[table(3)]);
    assert!(shown.contains("- n2 (db2) was not seen to hold the same as its peers for 6 min"), "{shown}");
}

#[test]
fn nothing_is_said_of_agreement_before_everybody_has_said_it() {
    let mut described = cluster(3);
    if let Some(vitals) = &mut described.nodes[1].vitals {
        vitals.agreed_ago_s = None;
    }
    let shown = shown(&described, &[table(3)]);
    assert!(shown.contains("as n1 sees it at e4\n"), "{shown}");
}

#[test]
fn a_lost_quorum_is_the_verdict() {
    let mut described = cluster(3);
    for node in &mut described.nodes[1..] {
        (node.verdict, node.connected) = (Verdict::Dead, false);
    }
    let shown = shown(&described, &[table(3)]);
    assert!(
        shown.starts_with("cluster 'shop' is failing: 1 of 3 nodes up, 1 table; some keys have no quorum"),
        "{shown}"
    );
    assert!(shown.contains("100 % of the keys have no quorum in tables of 3 replicas: t3"), "{shown}");
    assert!(shown.contains("tables cannot be changed"), "{shown}");
}

#[test]
fn a_node_that_recovers_counts_for_nothing() {
    let mut described = cluster(3);
    described.nodes[2].progress = Some(Progress { epoch: Epoch(4), serves: true, recovering: 1 });
    let shown = shown(&described, &[table(3)]);
    let head =
        "cluster 'shop' is degraded: 3 of 3 nodes up, 1 table; one more failure can cost keys their quorum";
    assert!(shown.starts_with(head), "{shown}");
}

#[test]
fn a_cut_between_two_others_is_seen_through_their_eyes() {
    let mut described = cluster(3);
    described.nodes[1].unreachable = Some(vec![NodeId(3)]);
    described.nodes[2].progress = Some(Progress { epoch: Epoch(3), serves: false, recovering: 2 });
    let shown = shown(&described, &[]);
    for line in [
        "n2 (db2) cannot reach n3 (db3)",
        "n3 (db3) does not act as a member yet",
        "n3 (db3) recovers 2 tables",
        "n3 (db3) goes by e3, the newest is e4",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
}

#[test]
fn nodes_fit_a_terminal() {
    let mut described = cluster(3);
    for (node, member) in described.nodes.iter_mut().zip(&mut described.cluster.layout.members) {
        member.address = "192.168.100.10:7000".to_owned();
        node.vitals.as_mut().unwrap().hints = 99_999;
    }
    assert!(nodes(&described).table_width() > 150, "{}", nodes(&described).table_width());
    assert!(nodes_in_short(&described).table_width() <= 80, "{}", nodes_in_short(&described).table_width());
}

#[test]
fn shares_of_the_ring_add_up() {
    let grid = ring(&cluster(4), &[table(2)]).unwrap();
    assert_eq!(grid.len(), 8);
}
