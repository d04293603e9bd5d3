//! `quorate-jepsen run`: real processes, faults, and a verdict.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use clap::Args;
use quorate::client::{Client, TableHandle};
use quorate_jepsen::history::{EventKind, Process, Value};

use crate::check::{parse_size, parse_timeout};
use crate::cluster::{Cluster, NetKind, Plan, make_dir};
use crate::judge::{Caps, Finding, judge};
use crate::nemesis::{Nemesis, Parties, Planned, Siege, plan};
use crate::record::{Entry, Recorder};
use crate::report::{self, Report};
use crate::workload::{Crew, Finals, Readers, Shift, Workload, read_finals, work};

/// Run a cluster of real processes under faults, and judge what its clients saw.
///
/// Everything goes to the directory of `--out`: the history in EDN and JSON, one EDN file for each key in `keys`,
/// `results.json`, `timeline.html`, `latency.svg`, `rate.svg`, and logs and data of the nodes in `nodes`. The last
/// line printed is `valid`, `not valid` or `unknown`, and the exit code is 0, 1 or 2.
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
    /// What goes wrong; several with commas between them happen at once.
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
    /// Where results go; what an earlier run left there is replaced.
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
    /// Give a search up when it holds this much.
    #[arg(long, default_value = "1GiB", value_parser = parse_size)]
    check_memory: usize,
}

/// What came of it.
pub(crate) struct Outcome {
    findings: Vec<Finding>,
    problems: Vec<String>,
    /// Why the history would prove nothing.
    untested: Option<String>,
    operations: usize,
    acknowledged: usize,
    out: PathBuf,
    seed: u64,
}

/// The three verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overall {
    Valid,
    Invalid,
    Unknown,
}

type Failure = Box<dyn Error + Send + Sync>;

impl Run {
    /// Runs and judges.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        if let Some(obstacle) = self.workload.obstacle() {
            return Err(format!("--workload {}: {obstacle}", self.workload.name()).into());
        }
        if let (NetKind::Netns, Some(nemesis)) = (self.net, self.nemesis.iter().find(|n| n.shapes_packets()))
        {
            return Err(format!(
                "--net netns can cut links, and no more: {} needs --net relay",
                nemesis.name()
            )
            .into());
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = self.test(is_over.clone()) => outcome,
                told = told_to_stop() => Err(told),
            }
        });
        is_over.store(true, Relaxed);
        // Whoever still holds the cluster lets go of it, and it goes with all its processes and namespaces.
        runtime.shutdown_timeout(FAREWELL);
        outcome
    }

    async fn test(&self, is_over: Arc<AtomicBool>) -> Result<Outcome, Failure> {
        let seed = self.seed.unwrap_or_else(rand::random);
        let out = fresh_dir(&self.out)?;
        let parties = self.parties();
        let cluster_plan = Plan {
            quorate: self.program()?,
            dir: out.join("nodes"),
            nodes: parties.nodes,
            net: self.net,
            seed,
        };
        let cluster = Arc::new(Cluster::start(&cluster_plan).await?);
        create_table(&cluster, self.workload, parties).await?;
        let shifts = self.shifts(&cluster, parties).await?;
        let readers = Readers::connect(&cluster, TABLE, parties.clients + 1).await?;
        let planned = plan(&self.nemesis, parties, self.time, seed);

        let recorder = Arc::new(Recorder::start());
        let siege =
            Siege { cluster: cluster.clone(), recorder: recorder.clone(), parties, time: self.time, is_over };
        let mut problems = self.storm_and_work(siege, planned, shifts, seed).await?;
        let keys: Vec<String> = keys(&recorder.entries());
        let mut finals =
            read_finals(self.workload, &recorder, &readers, &keys, LAST_PROCESS, parties.replication).await;
        problems.append(&mut finals.problems);
        problems.extend(stop(&cluster).await?);
        self.conclude(&recorder.entries(), &finals, problems, &cluster, out, seed)
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
        finals: &Finals,
        problems: Vec<String>,
        cluster: &Cluster,
        out: PathBuf,
        seed: u64,
    ) -> Result<Outcome, Failure> {
        report::write_histories(&out, entries)?;
        let caps = Caps { time: self.check_timeout, memory_bytes: self.check_memory };
        let findings = judge(self.workload, entries, &finals.values, caps)?;
        let report = Report::new(entries, usize::from(self.concurrency) * usize::from(self.keys));
        let (operations, acknowledged) = report.counts();
        // The last reads are not what the clients got.
        let is_told = |entry: &&Entry| {
            let event = &entry.event;
            matches!(event.process, Process::Client(process) if process < LAST_PROCESS)
                && event.kind == EventKind::Ok
        };
        let told: BTreeSet<&str> = entries.iter().filter(is_told).map(|entry| &*entry.event.f).collect();
        let has_begun = |nemesis: &&Nemesis| {
            let begin = format!("start-{}", nemesis.name());
            **nemesis == Nemesis::None || entries.iter().any(|entry| entry.event.f == begin)
        };
        let idle = self.nemesis.iter().find(|nemesis| !has_begun(nemesis)).map(|nemesis| nemesis.name());
        let untested = match (told.len(), idle) {
            (0 | 1, _) => Some("no client wrote, or none read".to_owned()),
            (_, Some(nemesis)) => Some(format!("no fault of {nemesis} fitted into the time")),
            _ => None,
        };
        let outcome = Outcome { findings, problems, untested, operations, acknowledged, out, seed };
        report.write(&outcome.out, &outcome.results(self, cluster, &report))?;
        Ok(outcome)
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
        })
    }
}

impl Outcome {
    /// The verdict: what is wrong outweighs what is not known.
    pub(crate) fn overall(&self) -> Overall {
        if !self.problems.is_empty() || self.findings.iter().any(|finding| finding.verdict.is_invalid()) {
            Overall::Invalid
        } else if self.untested.is_some() || !self.findings.iter().all(|finding| finding.verdict.is_valid()) {
            Overall::Unknown
        } else {
            Overall::Valid
        }
    }

    fn results(&self, run: &Run, cluster: &Cluster, report: &Report) -> serde_json::Value {
        let findings: Vec<_> = self.findings.iter().map(Finding::to_json).collect();
        let mut results = serde_json::json!({
            "verdict": self.overall().to_string(),
            "valid": match self.overall() {
                Overall::Valid => serde_json::json!(true),
                Overall::Invalid => serde_json::json!(false),
                Overall::Unknown => serde_json::json!("unknown"),
            },
            "seed": self.seed,
            "options": run.describe(),
            "problems": self.problems,
            "rules": report::rules(&self.findings),
            "operations": report.statistics(),
            "faults": report.faults(),
            "keys": findings,
        });
        if let (Some((forwarded, lost)), Some(results)) = (cluster.datagrams(), results.as_object_mut()) {
            let datagrams = serde_json::json!({ "forwarded": forwarded, "lost": lost });
            results.insert("datagrams".to_owned(), datagrams);
        }
        results
    }
}

impl Overall {
    /// 0 if valid, 1 if not, 2 if unknown.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Overall::Valid => 0,
            Overall::Invalid => 1,
            Overall::Unknown => 2,
        })
    }
}

impl fmt::Display for Overall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Overall::Valid => "valid",
            Overall::Invalid => "not valid",
            Overall::Unknown => "unknown",
        })
    }
}

/// What was found, the verdict last.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            if let quorate_jepsen::checker::Verdict::Invalid(found) = &finding.verdict {
                writeln!(f, "key {} is not {}: {}", finding.key, finding.rule, found.reason)?;
                finding.window.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
            }
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "problem: {problem}"))?;
        self.untested.iter().try_for_each(|why| writeln!(f, "nothing is shown: {why}"))?;
        for (rule, counts) in report::counts_by_rule(&self.findings) {
            let [valid, invalid, unknown] = counts;
            writeln!(f, "{rule}: {valid} keys valid, {invalid} not valid, {unknown} unknown")?;
        }
        let Outcome { operations, acknowledged, seed, out, .. } = self;
        writeln!(
            f,
            "{operations} operations, {acknowledged} acknowledged; seed {seed}; see {}",
            out.display()
        )?;
        write!(f, "{}", self.overall())
    }
}

async fn told_to_stop() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    "stopped before the end".into()
}

/// An empty directory, and its full path.
fn fresh_dir(path: &Path) -> Result<PathBuf, Failure> {
    if path.exists() {
        let is_ours = path.join("nodes").exists() || path.read_dir()?.next().is_none();
        if !is_ours {
            return Err(format!("{} holds something else: name another --out", path.display()).into());
        }
        std::fs::remove_dir_all(path)?;
    }
    make_dir(path)?;
    Ok(path.canonicalize()?)
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
    client.table(TABLE).await.map_err(io::Error::other)
}

/// Every key that was worked on, in order.
fn keys(entries: &[Entry]) -> Vec<String> {
    let keys = entries.iter().filter_map(|entry| match &entry.event.key {
        Some(Value::Text(key)) => Some(key.clone()),
        _ => None,
    });
    keys.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Ends all nodes and tells which do not end well.
async fn stop(cluster: &Arc<Cluster>) -> Result<Vec<String>, Failure> {
    let cluster = cluster.clone();
    Ok(tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        for node in 0..cluster.len() {
            match cluster.process(node).stop() {
                Some(status) if status.success() => {}
                Some(status) => problems.push(format!("n{} ended with {status}", node + 1)),
                None => problems.push(format!("n{} does not run at the end", node + 1)),
            }
        }
        problems
    })
    .await?)
}

const TABLE: &str = "jepsen";
/// How long a run that was told to stop waits for what is under way.
const FAREWELL: Duration = Duration::from_secs(20);
/// The process that reads at the end: no client comes so far.
const LAST_PROCESS: u64 = 1_000_000_000;
