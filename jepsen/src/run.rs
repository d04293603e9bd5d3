//! `quorate-jepsen run`: real processes, faults, and a verdict.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clap::Args;
use quorate::client::{Client, TableHandle};
use quorate_jepsen::history::{EventKind, Process, Value};

use crate::check::{parse_size, parse_timeout};
use crate::cluster::{Cluster, NetKind, Plan};
use crate::fresh_dir::fresh_dir;
use crate::judge::{Caps, Finding, judge};
use crate::nemesis::{Nemesis, Parties, Planned, STOPPED_ITSELF, Siege, plan};
use crate::outcome::Outcome;
use crate::record::{Entry, Recorder};
use crate::report::{self, Report};
use crate::stop::{Signals, Stop};
use crate::workload::{Crew, Finals, Readers, Shift, Workload, read_finals, work};

/// Run a cluster of real processes under faults, and judge what its clients saw.
///
/// Everything goes to the directory of `--out`: the history in EDN and JSON, one EDN file for each key in `keys`, what
/// each replica held at the end in `final-reads.json`, `results.json`, `timeline.html`, `latency.svg`, `rate.svg`, and
/// logs and data of the nodes in `nodes`. The last line printed is `valid`, `not valid` or `unknown`, and the exit code
/// is 0, 1 or 2. SIGINT, SIGTERM and SIGHUP end a run, its nodes and its namespaces.
#[derive(Args, Clone, Debug)]
#[command(
    args_override_self = true,
    after_help = "Examples:
  quorate-jepsen run --workload register --nemesis partition,kill,pause,clock --time 60s
  quorate-jepsen run --workload one --nemesis partition        # must be found not valid"
)]
pub(crate) struct Run {
    /// What clients do.
    #[arg(long, value_enum)]
    workload: Workload,
    /// What goes wrong; several with commas between them happen at once, but `wipe` and `rollback`: both lose a disk.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "none")]
    nemesis: Vec<Nemesis>,
    /// How many nodes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(3..=7))]
    nodes: u16,
    /// How long clients work and things go wrong, such as `20s` or `5m`.
    #[arg(long, default_value = "60s", value_parser = parse_timeout)]
    time: Duration,
    /// Client processes for each key.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(5..=20))]
    concurrency: u16,
    /// Keys that are worked on at a time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    keys: u16,
    /// Operations on a key before its clients go on to the next.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    key_operations: u32,
    /// Operations a second, of all clients together.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Decides which faults strike when, and what clients ask for; at random if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Where results go: a directory that is new, empty, or an earlier run's, which is replaced.
    #[arg(long, default_value = "quorate-jepsen-out")]
    out: PathBuf,
    /// How the harness gets between the nodes.
    #[arg(long, value_enum, default_value = "relay")]
    net: NetKind,
    /// The `quorate` program; by default the one beside this program.
    #[arg(long)]
    quorate: Option<PathBuf>,
    /// Give the search for all keys up after this time.
    #[arg(long, default_value = "120s", value_parser = parse_timeout)]
    check_timeout: Duration,
    /// Give searches up when all together hold this much.
    #[arg(long, default_value = "1GiB", value_parser = parse_size)]
    check_memory: usize,
}

/// All that the verdict comes from.
struct Judged {
    findings: Vec<Finding>,
    problems: Vec<String>,
    finals: Finals,
    network: serde_json::Value,
    /// The process that read at the end.
    last_process: u64,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Run {
    /// Runs and judges.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal.into());
        }
        let stop = Stop::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            let (mut signals, told) = (Signals::take()?, stop.clone());
            // A task of its own: the test blocks its thread while nodes start.
            let signal = runtime.spawn(async move {
                signals.come().await;
                told.tell();
            });
            tokio::select! {
                outcome = self.test(&stop) => outcome,
                _ = signal => Err(Stop::REASON.into()),
            }
        });
        stop.tell();
        // Whoever still holds the cluster lets go of it, and it goes with all its processes and namespaces.
        runtime.shutdown_timeout(FAREWELL);
        outcome
    }

    /// Why this cannot be run.
    fn refusal(&self) -> Option<String> {
        let has = |nemesis| self.nemesis.contains(&nemesis);
        let shaper = self.nemesis.iter().find(|nemesis| nemesis.shapes_packets());
        if let (NetKind::Netns, Some(nemesis)) = (self.net, shaper) {
            return Some(format!(
                "--net netns can cut links, and no more: {} needs --net relay",
                nemesis.name()
            ));
        }
        (has(Nemesis::Wipe) && has(Nemesis::Rollback)).then(|| {
            "--nemesis wipe,rollback: both take what the same node has on its disk, and the one would undo the other; \
             run them one after the other"
                .to_owned()
        })
    }

    async fn test(&self, stop: &Stop) -> Result<Outcome, Failure> {
        let seed = self.seed.unwrap_or_else(rand::random);
        let out = fresh_dir(&self.out)?;
        let parties = self.parties();
        let cluster_plan = Plan {
            quorate: self.program()?,
            dir: out.join("nodes"),
            nodes: parties.nodes,
            net: self.net,
            seed,
            stop: stop.clone(),
        };
        let cluster = Arc::new(Cluster::start(&cluster_plan).await?);
        create_table(&cluster, self.workload, parties).await?;
        let shifts = self.shifts(&cluster, parties).await?;
        let readers = Readers::connect(&cluster, TABLE, parties.clients + 1).await?;
        let planned = plan(&self.nemesis, parties, self.time, seed);

        let recorder = Arc::new(Recorder::start());
        let siege = Siege {
            cluster: cluster.clone(),
            recorder: recorder.clone(),
            parties,
            time: self.time,
            stop: stop.clone(),
        };
        let mut problems = self.storm_and_work(siege, planned, shifts, seed).await?;
        let keys: Vec<String> = keys(&recorder.entries());
        let last_process = last_process(&recorder.entries()) + 1;
        let mut finals =
            read_finals(self.workload, &recorder, &readers, &keys, last_process, parties.replication).await;
        problems.append(&mut finals.problems);
        problems.extend(end_all(&cluster).await?);
        let network = describe_network(&cluster);
        // Nobody else has it by now: namespaces go before the judging begins.
        drop(cluster);
        let caps = Caps { time: self.check_timeout, memory_bytes: self.check_memory, stop: stop.clone() };
        let findings = judge(self.workload, &recorder.entries(), &finals.values, caps)?;
        if stop.is_told() {
            return Err(Stop::REASON.into());
        }
        let verdict = Judged { findings, problems, finals, network, last_process };
        self.conclude(&recorder.entries(), verdict, out, seed)
    }

    /// Lets the clients work while things go wrong; what went wrong beyond that.
    async fn storm_and_work(
        &self,
        siege: Siege,
        planned: Vec<Planned>,
        shifts: Vec<Shift>,
        seed: u64,
    ) -> Result<Vec<String>, Failure> {
        let crew = Arc::new(Crew {
            workload: self.workload,
            cluster: siege.cluster.clone(),
            recorder: siege.recorder.clone(),
            time: self.time,
            pace: Duration::from_secs_f64(shifts.len() as f64 / f64::from(self.rate)),
            clients: shifts.len(),
            concurrency: usize::from(self.concurrency),
            key_operations: self.key_operations.into(),
            begun: (0..self.keys).map(|_| AtomicU64::new(0)).collect(),
            seed,
        });
        let siege = tokio::task::spawn_blocking(move || siege.lay(planned));
        let mut clients = tokio::task::JoinSet::new();
        for shift in shifts {
            clients.spawn(work(crew.clone(), shift));
        }
        while let Some(client) = clients.join_next().await {
            client?;
        }
        Ok(siege.await?)
    }

    fn conclude(
        &self,
        entries: &[Entry],
        judged: Judged,
        out: PathBuf,
        seed: u64,
    ) -> Result<Outcome, Failure> {
        let Judged { findings, problems, finals, network, last_process } = judged;
        report::write_histories(&out, self.workload, entries, &finals)?;
        let clients = usize::from(self.concurrency) * usize::from(self.keys);
        let report = Report::new(entries, clients, last_process);
        let (operations, acknowledged) = report.counts();
        let untested = self.untested(entries, last_process);
        let standing = report::standing(&finals);
        let outcome = Outcome { findings, problems, untested, standing, operations, acknowledged, out, seed };
        report.write(&outcome.out, &outcome.results(self.describe(), network, &report))?;
        Ok(outcome)
    }

    /// Why a history would prove nothing, whatever the checkers say.
    fn untested(&self, entries: &[Entry], last_process: u64) -> Option<String> {
        // The last reads are not what the clients got.
        let is_told = |entry: &&Entry| {
            let event = &entry.event;
            matches!(event.process, Process::Client(process) if process < last_process)
                && event.kind == EventKind::Ok
        };
        let told: BTreeSet<&str> = entries.iter().filter(is_told).map(|entry| &*entry.event.f).collect();
        if told.len() < 2 {
            return Some("no client wrote, or none read".to_owned());
        }
        let has = |f: &str| entries.iter().any(|entry| entry.event.f == f);
        self.nemesis.iter().find_map(|nemesis| match nemesis {
            Nemesis::None => None,
            _ if !has(&format!("start-{}", nemesis.name())) => {
                Some(format!("no fault of {} fitted into the time", nemesis.name()))
            }
            Nemesis::Fsync if !has(STOPPED_ITSELF) => Some("no node had a sync that failed".to_owned()),
            _ => None,
        })
    }

    fn parties(&self) -> Parties {
        let clients = usize::from(self.concurrency) * usize::from(self.keys);
        let nodes = usize::from(self.nodes);
        Parties { nodes, clients, replication: nodes.min(3) }
    }

    fn program(&self) -> Result<PathBuf, Failure> {
        let beside = || Ok::<_, io::Error>(std::env::current_exe()?.with_file_name("quorate"));
        let program = self.quorate.clone().map_or_else(beside, Ok)?;
        program.canonicalize().map_err(|error| {
            let hint = "build it (`cargo build --workspace --bins`) or name it with --quorate";
            format!("{}: {error}: {hint}", program.display()).into()
        })
    }

    /// A client of its own for each process. Three of four see one node only, so that every node coordinates; the
    /// others find their way themselves.
    async fn shifts(&self, cluster: &Arc<Cluster>, parties: Parties) -> Result<Vec<Shift>, Failure> {
        let mut connecting = tokio::task::JoinSet::new();
        for client in 0..parties.clients {
            let within = client % usize::from(self.concurrency);
            let is_free = within % 4 == 3 && !self.workload.is_bound();
            let pin = (!is_free).then_some(within % parties.nodes);
            let cluster = cluster.clone();
            connecting.spawn(async move {
                let table = open(cluster.client(client, pin).await?).await?;
                Ok::<_, io::Error>(Shift { client, table, pin })
            });
        }
        let mut shifts = Vec::new();
        while let Some(shift) = connecting.join_next().await {
            shifts.push(shift??);
        }
        Ok(shifts)
    }

    fn describe(&self) -> serde_json::Value {
        let nemeses: Vec<&str> = self.nemesis.iter().map(|nemesis| nemesis.name()).collect();
        serde_json::json!({
            "workload": self.workload.name(),
            "nemesis": nemeses,
            "nodes": self.nodes,
            "time_s": self.time.as_secs_f64(),
            "concurrency": self.concurrency,
            "keys_at_a_time": self.keys,
            "key_operations": self.key_operations,
            "rate": self.rate,
            "net": format!("{:?}", self.net).to_lowercase(),
            "check_timeout_s": self.check_timeout.as_secs_f64(),
            "check_memory_bytes": self.check_memory,
        })
    }
}

/// Nodes that have just been started may not have met yet, and no table is created until they have.
#[expect(clippy::disallowed_methods, reason = "a cluster forms in real time")]
async fn create_table(cluster: &Cluster, workload: Workload, parties: Parties) -> Result<(), Failure> {
    let client = cluster.client(parties.clients, None).await?;
    let mut last = String::new();
    for _ in 0..100 {
        let table = client.create_table(TABLE).kind(workload.table_kind());
        match table.replication(parties.replication as u8).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
        if client.table(TABLE).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(format!("no table: {last}").into())
}

async fn open(client: Client) -> io::Result<TableHandle> {
    open_table(&client, TABLE).await
}

/// Opens a table that exists. A node that has just been started and has met no majority yet lists what it knows by itself,
/// which may be nothing.
#[expect(clippy::disallowed_methods, reason = "a cluster forms in real time")]
pub(crate) async fn open_table(client: &Client, table: &str) -> io::Result<TableHandle> {
    for _ in 0..100 {
        if let Ok(table) = client.table(table).await {
            return Ok(table);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.table(table).await.map_err(io::Error::other)
}

/// Every key that was worked on, in order.
fn keys(entries: &[Entry]) -> Vec<String> {
    let keys = entries.iter().filter_map(|entry| match &entry.event.key {
        Some(Value::Text(key)) => Some(key.clone()),
        _ => None,
    });
    keys.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The greatest number that a client process had.
fn last_process(entries: &[Entry]) -> u64 {
    let number = |entry: &Entry| match entry.event.process {
        Process::Client(number) => Some(number),
        Process::Named(_) => None,
    };
    entries.iter().filter_map(number).max().unwrap_or(0)
}

fn describe_network(cluster: &Cluster) -> serde_json::Value {
    let datagrams = cluster
        .datagrams()
        .map(|(forwarded, lost)| serde_json::json!({ "forwarded": forwarded, "lost": lost }));
    serde_json::json!({ "dropped_by": cluster.drops(), "datagrams": datagrams })
}

/// Ends all nodes and tells which do not end well.
async fn end_all(cluster: &Arc<Cluster>) -> Result<Vec<String>, Failure> {
    let cluster = cluster.clone();
    Ok(tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        for node in 0..cluster.len() {
            match cluster.process(node).stop() {
                Ok(status) if status.success() => {}
                Ok(status) => problems.push(format!("n{} ended with {status}", node + 1)),
                Err(problem) => problems.push(problem),
            }
        }
        problems
    })
    .await?)
}

const TABLE: &str = "jepsen";
/// How long a run that was told to stop waits for what is under way.
const FAREWELL: Duration = Duration::from_secs(20);
#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        run: Run,
    }

    fn refusal(arguments: &str) -> Option<String> {
        let arguments = ["run"].into_iter().chain(arguments.split(' '));
        Arguments::try_parse_from(arguments).expect("they are options").run.refusal()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (arguments, reason) in [
            ("--workload register --net netns --nemesis kill,packet", "needs --net relay"),
            ("--workload register --nemesis wipe,kill,rollback", "one after the other"),
        ] {
            let refusal = refusal(arguments).unwrap_or_default();
            assert!(refusal.contains(reason), "{arguments}: {refusal}");
        }
        assert_eq!(refusal("--workload register --nemesis wipe,fsync,kill"), None);
    }
}
