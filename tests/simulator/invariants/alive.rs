//! When every fault has been over for long, every node is connected to every other one, and gossip calls everybody alive:
//! whoever was suspected or called dead has objected, and all have heard of it.

use quorate::wire::Verdict;

use crate::world::{Process, id};

/// Whether every node holds every other one to be alive.
pub(crate) fn check(processes: &[Process]) -> Result<(), String> {
    for (number, node) in processes.iter().enumerate().filter_map(|(n, p)| Some((n, p.node.as_ref()?))) {
        let mut peers = (0..processes.len()).map(|peer| (id(peer), node.verdict(id(peer))));
        if let Some((peer, verdict)) = peers.find(|(_, verdict)| *verdict != Verdict::Alive) {
            return Err(format!("alive: all is well, and n{} holds {peer} to be {verdict:?}", number + 1));
        }
        let up = node.peers_up() + 1;
        if up != processes.len() {
            return Err(format!("alive: all is well, and n{} is connected to {up} nodes", number + 1));
        }
    }
    Ok(())
}
