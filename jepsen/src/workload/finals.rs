//! What is left when everything is whole again: every key, read from every replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate::client::{Client, Consistency, Read, TableHandle};
use quorate_jepsen::history::{EventKind, Process, Value};

use super::Workload;
use super::client::value_of;
use crate::cluster::{Cluster, node_name};
use crate::record::{Happening, Recorder, Seen};
use crate::run::open_table;

/// What nodes held of one key, by their names.
pub(crate) type Held = Vec<(String, Value)>;

/// What was read of each key at the end, with the node that it was read from.
#[derive(Default)]
pub(crate) struct Finals {
    /// What each replica held by itself once everything was healed and before anybody read, as far as it told.
    pub(crate) before: BTreeMap<String, Held>,
    /// What each replica held at last, by key.
    pub(crate) values: BTreeMap<String, Held>,
    /// What did not become whole again in time.
    pub(crate) problems: Vec<String>,
}

/// Who reads at the end.
pub(crate) struct Readers {
    /// Sees all nodes.
    all: TableHandle,
    /// Each sees one node.
    each: Vec<TableHandle>,
}

impl Readers {
    /// Readers with addresses of their own, from `first` on.
    pub(crate) async fn connect(cluster: &Cluster, table: &str, first: usize) -> std::io::Result<Self> {
        let open = async |client: Client| open_table(&client, table).await;
        let all = open(cluster.client(first, None).await?).await?;
        let mut each = Vec::new();
        for node in 0..cluster.len() {
            each.push(open(cluster.client(first + 1 + node, Some(node)).await?).await?);
        }
        Ok(Self { all, each })
    }
}

/// Reads every key from each replica by itself, while nothing has repaired it yet. Then every key at the workload's level as one more client, `process`, until each was answered; then until all of
/// its `replication` replicas agree; then from each replica.
pub(crate) async fn read_finals(
    workload: Workload,
    recorder: &Arc<Recorder>,
    readers: &Readers,
    keys: &[String],
    process: u64,
    replication: usize,
) -> Finals {
    let mut finals =
        Finals { before: read_before(workload, recorder, readers, keys).await, ..Finals::default() };
    let give_up = recorder.elapsed() + WHOLE_WITHIN;
    for key in keys {
        let reader = Reader { workload, recorder, give_up, key };
        if let Err(problem) = reader.as_a_client(&readers.all, process).await {
            finals
                .problems
                .push(format!("{key}: no read was answered after everything was healed: {problem}"));
        }
        if let Err(problem) = reader.until_whole(&readers.all).await {
            finals
                .problems
                .push(format!("{key}: the replicas do not agree after everything was healed: {problem}"));
        }
        let (values, mut problems) = reader.read_each(&readers.each).await;
        finals.problems.append(&mut problems);
        if values.len() < replication {
            let told = values.len();
            finals
                .problems
                .push(format!("{key}: {told} of {replication} replicas told what they hold at the end"));
        }
        finals.values.insert(key.clone(), values);
    }
    finals
}

/// What each replica holds by itself. A node that has no answers for a while is passed over: that is no promise.
async fn read_before(
    workload: Workload,
    recorder: &Arc<Recorder>,
    readers: &Readers,
    keys: &[String],
) -> BTreeMap<String, Held> {
    let mut before: BTreeMap<String, Held> = BTreeMap::new();
    for (node, table) in readers.each.iter().enumerate() {
        let give_up = recorder.elapsed() + ANSWERS_WITHIN;
        for key in keys {
            let reader = Reader { workload, recorder, give_up, key };
            let value = loop {
                let value = reader.read_own(table).await;
                let Err(problem) = value else { break value.unwrap_or_default() };
                if reader.is_in_time(problem).await.is_err() {
                    break None;
                }
            };
            if let Some(value) = value {
                reader.record(node, REPLICA_READ, &value);
                before.entry(key.clone()).or_default().push((node_name(node), value));
            }
        }
    }
    before
}

struct Reader<'a> {
    workload: Workload,
    recorder: &'a Arc<Recorder>,
    give_up: Duration,
    key: &'a str,
}

impl Reader<'_> {
    async fn read(&self, table: &TableHandle, level: Consistency) -> Result<Read, String> {
        let read = table.get(Bytes::from(self.key.to_owned())).consistency(level).timeout(TIMEOUT).await;
        read.map_err(|error| error.to_string())
    }

    /// Reads until it is answered, as part of the history.
    async fn as_a_client(&self, table: &TableHandle, process: u64) -> Result<(), String> {
        let event = |kind, value, seen, error| Happening {
            kind,
            process: Process::Client(process),
            f: "read",
            key: Some(self.key),
            value,
            seen,
            error,
        };
        loop {
            self.recorder.record(event(EventKind::Invoke, Value::Nil, Seen::default(), None));
            let read = self.read(table, self.workload.level(self.key)).await;
            let told = read.and_then(|read| {
                let seen = Seen { tag: read.receipt().tag, ..Seen::default() };
                Ok((value_of(self.workload, &read)?, seen))
            });
            match told {
                Ok((value, seen)) => {
                    self.recorder.record(event(EventKind::Ok, value, seen, None));
                    return Ok(());
                }
                Err(problem) => {
                    self.recorder.record(event(
                        EventKind::Fail,
                        Value::Nil,
                        Seen::default(),
                        Some(problem.clone()),
                    ));
                    self.is_in_time(problem).await?;
                }
            }
        }
    }

    /// Reads at ALL until no replica had to be brought up to date.
    async fn until_whole(&self, table: &TableHandle) -> Result<(), String> {
        loop {
            let problem = match self.read(table, Consistency::All).await {
                Ok(read) if !read.receipt().repaired => return Ok(()),
                Ok(_) => "repaired again and again".to_owned(),
                Err(problem) => problem,
            };
            self.is_in_time(problem).await?;
        }
    }

    /// Reads from each node that is a replica, and what went wrong.
    async fn read_each(&self, tables: &[TableHandle]) -> (Held, Vec<String>) {
        let (mut values, mut problems) = (Held::new(), Vec::new());
        for (node, table) in tables.iter().enumerate() {
            let name = node_name(node);
            match self.read_own(table).await {
                Ok(None) => {}
                Ok(Some(value)) => {
                    self.record(node, FINAL_READ, &value);
                    values.push((name, value));
                }
                Err(problem) => problems.push(format!("{}: the last read from {name}: {problem}", self.key)),
            }
        }
        (values, problems)
    }

    /// Reads at ONE from the only node that `table` sees, from its own copy; nothing if it has none.
    async fn read_own(&self, table: &TableHandle) -> Result<Option<Value>, String> {
        let read = self.read(table, Consistency::One).await?;
        // The nearest replica is the coordinator itself if it is one.
        if !read.receipt().replicas.contains(&read.receipt().coordinator) {
            return Ok(None);
        }
        value_of(self.workload, &read).map(Some)
    }

    fn record(&self, node: usize, f: &str, value: &Value) {
        self.recorder.record(Happening {
            kind: EventKind::Info,
            process: Process::Named(node_name(node)),
            f,
            key: Some(self.key),
            value: value.clone(),
            seen: Seen::default(),
            error: None,
        });
    }

    #[expect(clippy::disallowed_methods, reason = "a cluster heals in real time")]
    async fn is_in_time(&self, problem: String) -> Result<(), String> {
        if self.recorder.elapsed() > self.give_up {
            return Err(problem);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// The event of what a replica held before anybody had read.
pub(crate) const REPLICA_READ: &str = "replica-read";
/// The event of what a replica held at last.
pub(crate) const FINAL_READ: &str = "final-read";
/// How long a node has in all to tell what it holds before the last reads.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a healed cluster has until every key can be read from all of its replicas.
const WHOLE_WITHIN: Duration = Duration::from_secs(40);
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
