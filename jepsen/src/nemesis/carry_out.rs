//! Faults put into a running cluster, and taken out again.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use super::plan::{Fault, Nemesis, Parties, everywhere};
use super::sync_failure::SyncFailure;
use crate::cluster::link::Shapes;
use crate::cluster::{Cluster, SYNC_FAILURE};

/// A fault that is in the cluster.
pub(crate) struct Strike {
    pub(super) nemesis: &'static str,
    fault: Fault,
    /// What has to be done again and again while it lasts.
    running: Option<Running>,
    /// What becomes of a node whose sync fails.
    pub(super) sync_failure: Option<SyncFailure>,
}

/// Work that goes on until this is dropped.
struct Running {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
        // One that panicked is over, too; its thread has said why.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Puts a fault in.
pub(crate) fn strike(
    cluster: &Arc<Cluster>,
    parties: Parties,
    nemesis: Nemesis,
    fault: Fault,
) -> io::Result<Strike> {
    let name = nemesis.name();
    let (mut running, mut sync_failure) = (None, None);
    match &fault {
        Fault::Partition(partition) => cluster.set_network(name, partition.shapes())?,
        Fault::Packets(shape) => cluster.set_network(name, everywhere(*shape, parties))?,
        Fault::Kill(nodes) => nodes.iter().for_each(|node| cluster.process(*node).down()),
        Fault::Pause(nodes) => nodes.iter().for_each(|node| cluster.process(*node).pause()),
        Fault::Clock(offsets) => set_clocks(cluster, offsets, 1)?,
        Fault::Strobe(offsets, every) => {
            let (cluster, offsets, mut round) = (cluster.clone(), offsets.clone(), 0);
            running = Some(repeat(*every, move || {
                round = 1 - round;
                // A file that cannot be written leaves the clock where it is.
                let _ = set_clocks(&cluster, &offsets, round);
            })?);
        }
        Fault::Storm => running = Some(storm(cluster)?),
        Fault::DiskFull(nodes) => set_each(cluster, name, nodes, "disk_full")?,
        Fault::Fsync { node, is_on_disk } => {
            let mut process = cluster.process(*node);
            sync_failure = Some(SyncFailure::of(*node, &process));
            let fault = if *is_on_disk { "sync_fails_on_disk" } else { "sync_fails" };
            process.set_faults(SYNC_FAILURE, fault.to_owned())?;
        }
        Fault::Wipe(node) => {
            let mut process = cluster.process(*node);
            process.down();
            if let Err(error) = process.wipe() {
                // A fault that failed does not go on.
                process.up()?;
                return Err(error);
            }
        }
        Fault::Rollback(node) => {
            let mut process = cluster.process(*node);
            process.down();
            let backed_up = process.back_up();
            process.up()?;
            backed_up?;
        }
        Fault::Slow(node) => {
            let (cluster, node) = (cluster.clone(), *node);
            running = Some(repeat(SLOW_RUNS, move || {
                cluster.process(node).pause();
                sleep(SLOW_STANDS);
                cluster.process(node).resume();
            })?);
        }
    }
    Ok(Strike { nemesis: name, fault, running, sync_failure })
}

/// Takes a fault out.
pub(crate) fn heal(cluster: &Arc<Cluster>, strike: Strike) -> io::Result<()> {
    drop(strike.running);
    match &strike.fault {
        Fault::Partition(_) | Fault::Packets(_) => cluster.set_network(strike.nemesis, Shapes::new()),
        Fault::Kill(nodes) => nodes.iter().try_for_each(|node| cluster.process(*node).up()),
        Fault::Pause(nodes) => {
            nodes.iter().for_each(|node| cluster.process(*node).resume());
            Ok(())
        }
        Fault::Clock(offsets) | Fault::Strobe(offsets, _) => set_clocks(cluster, offsets, 0),
        Fault::DiskFull(nodes) => set_each(cluster, strike.nemesis, nodes, ""),
        Fault::Fsync { node, .. } => {
            let mut process = cluster.process(*node);
            if strike.sync_failure.is_some_and(|failure| failure.is_pending(&process)) {
                process.down();
                return process.up();
            }
            // Its disk works again in its next life, unless some other fault wants it down.
            process.start()
        }
        Fault::Wipe(node) => cluster.process(*node).up(),
        Fault::Rollback(node) => {
            let mut process = cluster.process(*node);
            process.down();
            let restored = process.restore();
            process.up()?;
            restored
        }
        Fault::Slow(_) | Fault::Storm => Ok(()),
    }
}

impl Nemesis {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Nemesis::None => "none",
            Nemesis::Partition => "partition",
            Nemesis::Kill => "kill",
            Nemesis::Pause => "pause",
            Nemesis::Clock => "clock",
            Nemesis::Packet => "packet",
            Nemesis::DiskFull => "disk-full",
            Nemesis::Fsync => SYNC_FAILURE,
            Nemesis::Wipe => "wipe",
            Nemesis::Rollback => "rollback",
            Nemesis::Slow => "slow",
        }
    }

    /// Whether it does more to datagrams than let none through.
    pub(crate) fn shapes_packets(self) -> bool {
        self == Nemesis::Packet
    }
}

fn set_clocks(cluster: &Cluster, offsets: &[(usize, i64)], times: i64) -> io::Result<()> {
    offsets.iter().try_for_each(|(node, offset)| {
        let fault = format!("clock_offset_us {}", offset * times);
        cluster.process(*node).set_faults(Nemesis::Clock.name(), fault)
    })
}

fn set_each(cluster: &Cluster, nemesis: &'static str, nodes: &[usize], fault: &str) -> io::Result<()> {
    nodes.iter().try_for_each(|node| cluster.process(*node).set_faults(nemesis, fault.to_owned()))
}

/// Floods the sockets of all nodes with datagrams that make no sense, some of which look like QUIC's.
fn storm(cluster: &Cluster) -> io::Result<Running> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let targets = cluster.targets().to_vec();
    let mut round = 0_u64;
    repeat(Duration::from_millis(5), move || {
        for target in &targets {
            for _ in 0..STORM_DATAGRAMS {
                round = round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let mut datagram = [0; 1_200];
                datagram.chunks_mut(8).zip(round..).for_each(|(chunk, n)| {
                    chunk.copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
                });
                let length = 21 + (round >> 33) as usize % (datagram.len() - 21);
                // What does not fit into a socket is lost, as rubbish may be.
                let _ = socket.send_to(&datagram[..length], target);
            }
        }
    })
}

/// Does something every so often until it is told to stop, at once for the first time.
fn repeat(every: Duration, mut work: impl FnMut() + Send + 'static) -> io::Result<Running> {
    let done = Arc::new(AtomicBool::new(false));
    let told = done.clone();
    let thread = std::thread::Builder::new().name("nemesis".to_owned()).spawn(move || {
        while !told.load(Relaxed) {
            work();
            sleep(every);
        }
    })?;
    Ok(Running { done, thread: Some(thread) })
}

#[expect(clippy::disallowed_methods, reason = "a nemesis works in real time")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// A slow node runs for so long,
const SLOW_RUNS: Duration = Duration::from_millis(15);
/// and then stands still for so long.
const SLOW_STANDS: Duration = Duration::from_millis(60);
/// To each node every 5 ms.
const STORM_DATAGRAMS: usize = 25;
