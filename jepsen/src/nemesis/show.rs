//! Faults as people read them.

use std::collections::BTreeMap;
use std::fmt;

use super::partition::{Partition, PartitionKind};
use super::plan::Fault;
use crate::cluster::link::{End, Shape};
use crate::cluster::node_name;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Partition(partition) => partition.fmt(f),
            Fault::Kill(nodes) => write!(f, "kill {}", names(nodes)),
            Fault::Pause(nodes) => write!(f, "pause {}", names(nodes)),
            Fault::Clock(offsets) => write!(f, "clocks off: {}", clocks(offsets)),
            Fault::Strobe(offsets, every) => {
                write!(f, "clocks strobe every {} ms: {}", every.as_millis(), clocks(offsets))
            }
            Fault::Packets(shape) => shape.fmt(f),
            Fault::Storm => write!(f, "storm of rubbish"),
            Fault::DiskFull(nodes) => write!(f, "disk full: {}", names(nodes)),
            Fault::Fsync { node, is_on_disk } => {
                let batch = if *is_on_disk { "on the disk all the same" } else { "lost" };
                write!(f, "sync fails: {}, what was to be synced is {batch}", node_name(*node))
            }
            Fault::Wipe(node) => write!(f, "disk emptied: {}", node_name(*node)),
            Fault::Rollback(node) => write!(f, "disk rolled back at the end: {}", node_name(*node)),
            Fault::Slow(node) => write!(f, "slow: {}", node_name(*node)),
        }
    }
}

/// Who does not hear whom.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            PartitionKind::Halves => "halves",
            PartitionKind::IsolateOne => "one alone",
            PartitionKind::MajoritiesRing => "ring of majorities",
            PartitionKind::Bridge => "bridge",
            PartitionKind::OneWay => "one way",
            PartitionKind::ClientsOnly => return write!(f, "clients cut from some nodes"),
        })?;
        let mut deaf: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for pair in &self.cuts {
            if let (End::Node(from), End::Node(to)) = pair {
                deaf.entry(*to).or_default().push(*from);
            }
        }
        for (at, (to, from)) in deaf.iter().enumerate() {
            let lead = if at == 0 { ": " } else { ", " };
            write!(f, "{lead}{} hears not {}", node_name(*to), names(from))?;
        }
        Ok(())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { cut, loss, delay, jitter, duplicate, reorder, bytes_per_second } = self;
        let percent = |part: &f64| (part * 100.0).round();
        let mut parts = Vec::new();
        if *cut {
            parts.push("nothing comes through".to_owned());
        }
        if *loss > 0.0 {
            parts.push(format!("{} % lost", percent(loss)));
        }
        if !delay.is_zero() || !jitter.is_zero() {
            parts.push(format!("{} to {} ms late", delay.as_millis(), (*delay + *jitter).as_millis()));
        }
        if *duplicate > 0.0 {
            parts.push(format!("{} % twice", percent(duplicate)));
        }
        if *reorder > 0.0 {
            parts.push(format!("{} % overtaken", percent(reorder)));
        }
        if let Some(rate) = bytes_per_second {
            parts.push(format!("{} kB/s", rate / 1_000));
        }
        write!(f, "packets {}", parts.join(", "))
    }
}

fn names(nodes: &[usize]) -> String {
    nodes.iter().map(|node| node_name(*node)).collect::<Vec<_>>().join(" ")
}

fn clocks(offsets: &[(usize, i64)]) -> String {
    let clock = |(node, offset): &(usize, i64)| format!("{} {:+} ms", node_name(*node), offset / 1_000);
    offsets.iter().map(clock).collect::<Vec<_>>().join(", ")
}
