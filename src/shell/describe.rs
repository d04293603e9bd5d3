//! DESCRIBE: tables and the cluster as grids.

use quorate_ring::Table;

use crate::{
    cql::render::{Cell, Grid},
    wire::ClusterInfo,
};

/// One row for each table.
pub fn tables(tables: &[Table]) -> Grid {
    let mut grid =
        Grid::new(&["table", "kind", "replication", "read_consistency", "write_consistency", "id"]);
    for table in tables {
        grid.push(vec![
            Cell::Text(table.name.clone()),
            Cell::Text(table.kind.to_string()),
            Cell::Number(u64::from(table.replication)),
            Cell::Text(table.read_consistency.to_string()),
            Cell::Text(table.write_consistency.to_string()),
            Cell::Text(table.id.to_string()),
        ]);
    }
    grid
}

/// One row for each member.
pub(super) fn cluster(info: &ClusterInfo) -> Grid {
    let mut grid = Grid::new(&["node", "name", "address", "rack", "tokens", "state"]);
    for member in &info.layout.members {
        let state = if info.up.contains(&member.id) { "up" } else { "down" };
        grid.push(vec![
            Cell::Text(member.id.to_string()),
            Cell::Text(member.name.clone()),
            Cell::Text(member.address.clone()),
            Cell::Text(member.rack.clone()),
            Cell::Number(member.tokens.len() as u64),
            Cell::Text(state.to_owned()),
        ]);
    }
    grid
}

/// What stands above the members.
pub(super) fn headline(info: &ClusterInfo) -> String {
    let ClusterInfo { cluster_name, epoch, layout, node, up, .. } = info;
    format!(
        "cluster '{cluster_name}' ({}) at {epoch}: {} of {} nodes up, as {node} sees it",
        layout.cluster,
        up.len(),
        layout.members.len(),
    )
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Epoch, Founder, NodeId, Ring};

    use super::*;
    use crate::wire::PROTOCOL_VERSION;

    /// The layout's epoch stays what it was when a member came or went last; tables come and go all the time.
    #[test]
    fn the_headline_says_which_map_the_node_goes_by() {
        let founders = ["n1", "n2"].map(|name| Founder::new(name, format!("{name}:7000")));
        let layout = Ring::found("shop", &founders).unwrap().layout().clone();
        assert!(layout.epoch < Epoch(4));
        let info = ClusterInfo {
            protocol: PROTOCOL_VERSION,
            cluster_name: "shop".to_owned(),
            node: NodeId(1),
            epoch: Epoch(4),
            layout,
            up: vec![NodeId(1)],
            value_bytes_max: 1,
        };
        let said = headline(&info);
        assert!(said.ends_with(" at e4: 1 of 2 nodes up, as n1 sees it"), "{said}");
    }
}
