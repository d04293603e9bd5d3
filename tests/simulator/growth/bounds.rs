//! What must not grow with a cluster, how far the rest may, and why.

use std::collections::BTreeSet;

use quorate_gossip::Config;

use super::{Cluster, REPLICATION, Window};
use crate::{rings, world::traffic::Purpose};

/// What goes beyond its bound in one of these clusters, the smallest of which comes first.
pub(super) fn beyond(cluster: &Cluster, clusters: &[Cluster]) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(smallest) = clusters.first() {
        wrong.extend(dearer("by way of a replica", &cluster.replicas, &smallest.replicas, 0.0));
    }
    // The smallest cluster in which a node may be no replica. A forwarded write brings a receipt along.
    if let (Some(others), Some(smallest)) = (&cluster.others, clusters.iter().find_map(|c| c.others.as_ref()))
    {
        wrong.extend(dearer("by way of another node", others, smallest, LONGER_IDS_BYTES));
    }
    wrong.extend([&cluster.replicas, &cluster.idle].into_iter().flat_map(timers));
    wrong.extend(background(&cluster.idle));
    wrong
}

/// Requests that cost more than those of the smallest cluster. Of what nodes say to each other for one, `ids_bytes` more are ids
/// of nodes.
fn dearer(way: &str, window: &Window, smallest: &Window, ids_bytes: f64) -> Vec<String> {
    let of = |window: &Window| {
        let (nodes, clients) = (window.traffic.messages(Purpose::Request), window.traffic.clients);
        [nodes.count, nodes.bytes, window.traffic.steps(Purpose::Request), clients.count, clients.bytes]
            .map(|amount| window.per_request(amount))
    };
    let ([messages, bytes, steps, with_client, client_bytes], least) = (of(window), of(smallest));
    let bounds = [
        ("messages between nodes", messages, least[0] * MARGIN),
        ("bytes between nodes", bytes, least[1] * MARGIN + ids_bytes),
        ("steps of nodes", steps, least[2] * MARGIN),
        ("messages with its client", with_client, least[3]),
        ("bytes with its client", client_bytes, least[4] * MARGIN + LONGER_IDS_BYTES),
    ];
    exceeded(&bounds).map(|why| format!("a request {way} has {why}")).collect()
}

/// Timers beyond those of gossip, one for each comparison, and a few for each request: for an answer that is late, and for
/// whoever has not confirmed a write by its deadline. Most of these are taken back in time, or come together.
fn timers(window: &Window) -> Vec<String> {
    let rate = |amount| window.per_node_and_second(amount);
    let compared = window.traffic.messages(Purpose::Repair).count;
    let most = TIMERS_OF_GOSSIP + rate(compared) + TIMERS * rate(window.requests);
    let bounds = [("timers", rate(window.traffic.steps(Purpose::Timer)), most)];
    exceeded(&bounds).map(|why| format!("each node and second has {why}")).collect()
}

/// What nodes do without requests beyond what they are meant to do. Some of the bounds grow with the cluster.
fn background(window: &Window) -> Vec<String> {
    let rate = |purpose| {
        let flow = window.traffic.messages(purpose);
        [flow.count, flow.bytes].map(|amount| window.per_node_and_second(amount))
    };
    let nodes = f64::from(window.nodes);
    let [gossip, gossip_bytes] = rate(Purpose::Gossip);
    let [compared, compared_bytes] = rate(Purpose::Repair);
    let [standings, standing_bytes] = rate(Purpose::Standing);
    let rest = window.per_node_and_second(window.rest().count);

    let (gossip_max, changes, passes) = gossip_of(nodes);
    // One question and one answer for each two that share ranges: at first with each node that joins more, and in the end as
    // many as a node's tokens have neighbours, some hundreds.
    let (peers, branches) = shared(window.nodes);
    let compared_max = peers / COMPARED_EVERY_S * EDGES;
    let branches_max = branches / 2.0 / COMPARED_EVERY_S * EDGES;
    // Every node asks every other one, and answers it: of more than a hundred each more seldom.
    let standings_max = 2.0 * ((nodes - 1.0) / ASKED_EVERY_S).min(ASKED_A_SECOND) * EDGES;
    let bounds = [
        ("messages of gossip", gossip, gossip_max),
        ("bytes of gossip", gossip_bytes, gossip_max * DATAGRAM_BYTES + changes * passes * VITALS_BYTES),
        ("messages of comparisons", compared, compared_max),
        ("bytes of comparisons", compared_bytes, compared_max * FRAME_BYTES + branches_max * BRANCH_BYTES),
        ("messages of standings", standings, standings_max),
        ("bytes of standings", standing_bytes, standings_max * FRAME_BYTES),
        ("other messages", rest, 0.0),
    ];
    let mut wrong: Vec<_> =
        exceeded(&bounds).map(|why| format!("without requests each node and second has {why}")).collect();
    // Every node hears of each change at least once. Otherwise there was none, and the cost of gossip was not measured.
    let heard_min = gossip * DATAGRAM_BYTES + changes * VITALS_BYTES;
    if gossip_bytes < heard_min {
        wrong.push(format!(
            "{gossip_bytes:.0} bytes of gossip bring no news to all nodes, {heard_min:.0} would"
        ));
    }
    wrong
}

/// Messages per node and second, at most; what is new a second; and how often each node passes that on, at most. How often a
/// node probes, compares and tells does not depend on how many there are. What is new are the vitals of all nodes, five a
/// second or fewer however many there are (`vitals_every` in `membership::detector`), and each node passes each of them on
/// some more often the more nodes there are, with their logarithm: whoever hears of it must not die out before all have.
fn gossip_of(nodes: f64) -> (f64, f64, f64) {
    let config = Config::lan();
    let a_second = |interval: quorate::ring::Duration| 1e3 / interval.as_millis() as f64;
    let probes = 2.0 * a_second(config.probe_interval);
    let exchanges = 3.0 * a_second(config.exchange_interval);
    let tellings = config.spread_fanout as f64 * a_second(config.spread_interval);
    let changes = (nodes / 5.0).min(5.0);
    let passes = 3.0 + f64::from(config.transmissions_per_bit) * nodes.log2().ceil();
    (probes + exchanges + tellings, changes, passes)
}

/// With how many others a node shares ranges, on average, and in how many sets of replicas with each of them, both tables
/// counted.
fn shared(nodes: u32) -> (f64, f64) {
    let sets = rings::of(nodes).replica_sets(REPLICATION);
    let pairs = sets.keys().flat_map(|set| set.iter().flat_map(|a| set.iter().map(move |b| (*a, *b))));
    let pairs: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
    let branches = 2.0 * pairs.len() as f64;
    let peers = pairs.into_iter().collect::<BTreeSet<_>>().len() as f64;
    (peers / f64::from(nodes), branches / f64::from(nodes))
}

fn exceeded(bounds: &[(&'static str, f64, f64)]) -> impl Iterator<Item = String> {
    let beyond = bounds.iter().filter(|(_, amount, most)| amount > most);
    beyond.map(|(what, amount, most)| format!("{amount:.3} {what}, at most {most:.3} are meant to be"))
}

/// The same requests meet the same replicas. By chance, though, one more of them may meet another one half done, and take a
/// round more: of two thousand a few do.
const MARGIN: f64 = 1.01;
/// For each request.
const TIMERS: f64 = 2.0;
/// Ten tellings and probes a second, and as many again for what is not answered at once.
const TIMERS_OF_GOSSIP: f64 = 20.0;
/// A receipt names nodes ten times or so, and beyond 127 nodes an id takes a byte more, beyond 255 two.
const LONGER_IDS_BYTES: f64 = 20.0;
/// Rounds begin and end within the time that is looked at.
const EDGES: f64 = 1.05;
/// `EVERY` in `repair`.
const COMPARED_EVERY_S: f64 = 10.0;
/// `ASK_EVERY` in `node::clock_offsets`.
const ASKED_EVERY_S: f64 = 10.0;
/// At `ASK_EVERY_PER_PEER` there.
const ASKED_A_SECOND: f64 = 10.0;
/// A frame with nothing in it but numbers.
const FRAME_BYTES: f64 = 45.0;
/// A branch in a question, and in its answer.
const BRANCH_BYTES: f64 = 32.0;
/// A datagram without news.
const DATAGRAM_BYTES: f64 = 20.0;
/// The vitals of a node, in a datagram.
const VITALS_BYTES: f64 = 45.0;
