//! A cluster is backed up while it is written to, lost as a whole, and restored into another one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::*;

/// On several threads, so that writes go on while a program is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_under_writes_comes_back_in_another_cluster() {
    let kept = tempfile::tempdir().expect("a directory");
    let nodes = Nodes::start(3);
    let client = nodes.client().await;
    let registers = create_table(&client, "r").await;
    let siblings = create_siblings(&client, "s").await;
    let expected = fill(&registers, &siblings).await;

    // Two of three nodes hold every write that QUORUM had acknowledged, whoever missed what.
    let writer = Writer::start(registers.clone());
    writer.until(20).await;
    let before = writer.acknowledged();
    let done =
        nodes.run(&["admin", "backup", "nightly", "--node", "n1,n2", "--rate", "1MiB", "--output", "jsonl"]);
    assert_eq!(done.status.code(), Some(0), "{}", error(&done));
    let begun = writer.stop().await;
    assert!(begun > before, "writes went on while it was written");
    assert_eq!(text(&done.stdout).matches("\"stage\":\"done\"").count(), 2, "{}", text(&done.stdout));
    let again = nodes.run(&["admin", "backup", "nightly", "--node", "n2"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(error(&again).contains("there is a backup 'nightly' already"), "{}", error(&again));
    assert_eq!(nodes.run(&["admin", "backup", "../x"]).status.code(), Some(2), "a name leads nowhere else");
    assert!(nodes.log(0).contains("backup done"), "{}", nodes.log(0));
    let metrics = nodes.http(0, "GET /metrics").expect("metrics");
    assert!(metrics.contains("quorate_backups_total{outcome=\"done\"} 1"), "{metrics}");
    let backups = [0, 1].map(|node| keep(&nodes.data_dir(node).join("backups/nightly"), kept.path(), node));
    nodes.stop();

    // What was to expire meanwhile has.
    while now_ms() < expected.expired_at_ms {
        tokio::time::sleep(PAUSE).await;
    }
    let nodes = Nodes::start(3);
    let client = nodes.client().await;
    create_table(&client, "unrelated").await;
    let [one, other] = backups.each_ref().map(|path| path.to_str().expect("text"));
    let restored = nodes.run(&["restore", one, other, "--output", "jsonl"]);
    assert_eq!(restored.status.code(), Some(0), "{}", error(&restored));
    assert!(error(&restored).is_empty(), "nothing is missing: {}", error(&restored));
    let said = text(&restored.stdout);
    let of_siblings =
        r#"{"deleted":1,"existing":0,"expired":1,"into":"s","keys":21,"rejected":0,"table":"s","values":41}"#;
    assert!(said.lines().any(|line| line == of_siblings), "{said}");
    let (registers, siblings) = (client.table("r").await.expect("r"), client.table("s").await.expect("s"));
    expected.check(&registers, &siblings).await;
    check_writer(&registers, before, begun).await;

    // Once more, over what was changed meanwhile: with --skip-existing that stays, without it does not.
    put(&registers, "k0", "changed", Consistency::Quorum).await;
    put(&siblings, "k0", "changed", Consistency::Quorum).await;
    let skipped = nodes.run(&["restore", one, other, "--skip-existing"]);
    assert_eq!(skipped.status.code(), Some(0), "{}", error(&skipped));
    assert_eq!(values(&registers, "k0").await, ["changed"]);
    assert_eq!(values(&siblings, "k0").await, ["changed"]);
    assert_eq!(nodes.run(&["restore", one, other]).status.code(), Some(0));
    expected.check(&registers, &siblings).await;
    refuse_what_is_not_whole(&nodes, &backups[0]);
    nodes.stop();
}

/// The others are backed up, the one that is down is named with the reason, and what is said to help does.
#[tokio::test]
async fn a_node_that_is_down_keeps_no_other_from_its_backup() {
    let mut nodes = Nodes::start(3);
    let table = create_table(&nodes.client().await, "t").await;
    put(&table, "k", "v", Consistency::All).await;
    nodes.kill(1);
    let done = nodes.run(&["admin", "backup", "nightly", "--all", "--output", "json"]);
    assert_eq!(done.status.code(), Some(2), "{}", error(&done));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&done.stdout).expect("an array");
    let told = |field: &str| rows.iter().map(|row| row[field].to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(told("name"), r#""n1" "n2" "n3""#);
    assert_eq!(told("stage"), r#""done" "not_begun" "done""#);
    assert!(rows[1]["directory"].is_null() && rows[1]["error"].is_string(), "{rows:?}");
    for said in ["no whole backup 'nightly' on 1 of 3 nodes:", "n2, not_begun: no node can be reached"] {
        assert!(error(&done).contains(said), "{said}: {}", error(&done));
    }
    let table = nodes.run(&["admin", "backup", "weekly", "--all", "--output", "table"]);
    assert!(text(&table.stdout).contains("not_begun"), "{}", text(&table.stdout));
    for node in [0, 2] {
        let backup = nodes.data_dir(node).join("backups/nightly");
        let check = nodes.run(&["restore", backup.to_str().expect("text"), "--check"]);
        assert_eq!(check.status.code(), Some(0), "{}", error(&check));
    }

    nodes.restart(1);
    let advice = "admin backup nightly --node n2";
    assert!(error(&done).contains(&format!("`quorate {advice}`")), "{}", error(&done));
    let done = nodes.run(&advice.split(' ').collect::<Vec<_>>());
    assert_eq!(done.status.code(), Some(0), "{}", error(&done));
    nodes.stop();
}

/// Rows that cannot be written are set aside, and a restore that gave up goes on where it was.
#[tokio::test]
async fn a_restore_that_gave_up_goes_on() {
    let kept = tempfile::tempdir().expect("a directory");
    let nodes = Nodes::start(1);
    let table = create_table(&nodes.client().await, "t").await;
    let mut expected = Rows::new();
    for n in 0..60 {
        let (key, value) = (format!("k{n}"), format!("v{n}"));
        put(&table, &key, &value, Consistency::Quorum).await;
        expected.insert(key, value);
    }
    put(&table, "long", &"x".repeat(50_000), Consistency::Quorum).await;
    assert_eq!(nodes.run(&["admin", "backup", "b"]).status.code(), Some(0));
    let backup = keep(&nodes.data_dir(0).join("backups/b"), kept.path(), 0);
    nodes.stop();

    let dir = tempfile::tempdir().expect("a directory");
    let nodes = Nodes::start_in(dir, 1, "value_bytes_max = \"16KiB\"\n");
    let client = nodes.client().await;
    create_table(&client, "unrelated").await;
    let backup = backup.to_str().expect("text");
    let restore = |more: &[&str]| {
        nodes.run(&[&["restore", backup, "--table", "t", "--into", "u", "--inflight", "1"], more].concat())
    };
    let gave_up = restore(&["--max-errors", "1"]);
    assert_eq!(gave_up.status.code(), Some(2));
    assert!(error(&gave_up).contains("1 rejected, then it gave up"), "{}", error(&gave_up));
    let rejects = fs::read_to_string(format!("{backup}.rejects.csv")).expect("rejects");
    assert!(rejects.starts_with("table,key,reason\nt,long,") && rejects.lines().count() == 2, "{rejects}");
    assert!(Path::new(&format!("{backup}.progress")).exists());
    let went_on = restore(&["--resume"]);
    assert_eq!(went_on.status.code(), Some(0), "{}", error(&went_on));
    assert!(error(&went_on).contains("the restore goes on at token"), "{}", error(&went_on));
    assert!(!Path::new(&format!("{backup}.progress")).exists());
    // The same elsewhere.
    let progress = kept.path().join("elsewhere.progress");
    let elsewhere = ["--progress", progress.to_str().expect("text")];
    assert_eq!(restore(&[&elsewhere[..], &["--max-errors", "1"]].concat()).status.code(), Some(2));
    assert!(progress.exists() && kept.path().join("elsewhere.rejects.csv").exists());
    assert!(!Path::new(&format!("{backup}.progress")).exists());
    assert_eq!(restore(&[&elsewhere[..], &["--resume"]].concat()).status.code(), Some(0));
    assert!(!progress.exists());
    assert_scans(&client.table("u").await.expect("u"), &expected).await;
    nodes.stop();
}

/// Where nothing can be written beside the backup, and where nothing is known of an earlier restore, nothing is done.
#[tokio::test]
async fn a_restore_says_beforehand_that_it_cannot_go_on_or_not_keep_how_far_it_is() {
    let (kept, elsewhere) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let nodes = Nodes::start(1);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    for key in ["a", "b", "c"] {
        put(&table, key, "v", Consistency::Quorum).await;
    }
    assert_eq!(nodes.run(&["admin", "backup", "b"]).status.code(), Some(0));
    let backup = keep(&nodes.data_dir(0).join("backups/b"), kept.path(), 0);
    let backup = backup.to_str().expect("text");
    let restore = |more: &[&str]| {
        nodes.run(&[&["restore", backup, "--table", "t", "--into", "u", "--inflight", "1"], more].concat())
    };
    let refused = |more: &[&str], why: &str| {
        let done = restore(more);
        assert!(done.status.code() == Some(2) && error(&done).contains(why), "{why}: {}", error(&done));
        let tables = nodes.run(&["admin", "tables"]);
        assert!(!text(&tables.stdout).contains("\nu\t"), "no table was made: {}", text(&tables.stdout));
    };
    refused(&["--resume"], "nothing is known of an earlier restore of this");
    // Permissions do not stop a test that runs as root: a directory in the file's place does.
    fs::create_dir(format!("{backup}.progress.new")).expect("made");
    refused(&[], "nothing was done, for it cannot be kept here how far that has come");
    refused(&[], "--progress FILE keeps it elsewhere");
    let mine = elsewhere.path().join("mine");
    fs::write(&mine, "data").expect("written");
    let mine = mine.to_str().expect("text");
    refused(&["--progress", mine], "name another file");
    assert_eq!(fs::read(mine).expect("it is there"), b"data");

    let progress = elsewhere.path().join("r.progress");
    let progress = ["--progress", progress.to_str().expect("text")];
    let done = restore(&progress);
    assert_eq!(done.status.code(), Some(0), "{}", error(&done));
    let expected = ["a", "b", "c"].map(|key| (key.to_owned(), "v".to_owned())).into();
    assert_scans(&client.table("u").await.expect("u"), &expected).await;
    let again = restore(&[&progress[..], &["--resume"]].concat());
    assert!(error(&again).contains("there is no such file"), "it is over: {}", error(&again));
    nodes.stop();
}

/// What two tables held when they were backed up.
struct Expected {
    registers: Rows,
    expired_at_ms: u128,
}

/// Registers, pairs of siblings, deleted keys, and keys that expire soon and late, in both tables.
async fn fill(registers: &TableHandle, siblings: &TableHandle) -> Expected {
    let mut expected = Rows::new();
    for n in 0..KEYS {
        let (key, value) = (format!("k{n}"), format!("v{n} {}", "x".repeat(n * 40)));
        put(registers, &key, &value, Consistency::Quorum).await;
        expected.insert(key, value);
    }
    for n in 0..20 {
        let key = format!("k{n}");
        let context = read(siblings, &key, Consistency::Quorum).await.context();
        for value in ["left", "right"] {
            let written = siblings.put(key.clone(), value).context(&context).await;
            written.expect("written in a context");
        }
    }
    for table in [registers, siblings] {
        put(table, "deleted", "x", Consistency::Quorum).await;
        table.delete("deleted").idempotent(true).await.expect("deleted");
        table.put("soon", "x").ttl(Duration::from_secs(2)).await.expect("written");
        table.put("late", "x").ttl(Duration::from_secs(3_600)).await.expect("written");
    }
    expected.insert("late".to_owned(), "x".to_owned());
    Expected { registers: expected, expired_at_ms: now_ms() + 3_000 }
}

impl Expected {
    async fn check(&self, registers: &TableHandle, siblings: &TableHandle) {
        assert_holds(registers, &self.registers, Consistency::Quorum).await;
        for n in 0..20 {
            assert_eq!(values(siblings, &format!("k{n}")).await, ["left", "right"]);
        }
        for table in [registers, siblings] {
            for gone in ["deleted", "soon"] {
                assert!(values(table, gone).await.is_empty(), "{gone}");
            }
            let late = read(table, "late", Consistency::Quorum).await;
            let expires = late.versions()[0].expires.expect("it has a time").wall().0 / 1_000;
            let left = u128::from(expires).saturating_sub(now_ms());
            assert!((3_000_000..=3_600_000).contains(&left), "{left} ms are left");
        }
    }
}

/// What was acknowledged before the backup began is there, and what began after its end is not.
async fn check_writer(table: &TableHandle, before: u32, begun: u32) {
    for n in 0..before {
        assert_eq!(values(table, &format!("w{n}")).await, ["x"], "w{n} of {before}");
    }
    assert!(values(table, &format!("w{begun}")).await.is_empty(), "w{begun} was written later");
}

fn refuse_what_is_not_whole(nodes: &Nodes, backup: &Path) {
    let path = backup.to_str().expect("text");
    let refused = |why: &str| {
        let done = nodes.run(&["restore", path, "--table", "r", "--into", "never"]);
        assert!(done.status.code() == Some(2) && error(&done).contains(why), "{why}: {}", error(&done));
    };
    let kind = nodes.run(&["restore", path, "--table", "r", "--into", "s"]);
    assert!(
        error(&kind).contains("it is of kind 'siblings', its backup of kind 'register'"),
        "{}",
        error(&kind)
    );
    assert_eq!(nodes.run(&["restore", path, "--check"]).status.code(), Some(0));
    let data = fs::read(backup.join("data")).expect("data");
    let mut bent = data.clone();
    bent[data.len() / 2] ^= 1;
    fs::write(backup.join("data"), bent).expect("written");
    refused("damaged");
    fs::write(backup.join("data"), &data[..data.len() - 1]).expect("written");
    refused("is cut off");
    fs::write(backup.join("data"), &data).expect("written");
    fs::remove_file(backup.join("manifest")).expect("removed");
    refused("it was never finished");
    let tables = nodes.run(&["admin", "tables"]);
    assert!(!text(&tables.stdout).contains("never"), "nothing was done before everything was verified");
}

/// Somebody who writes one key after the other.
struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<u32>,
}

impl Writer {
    fn start(table: TableHandle) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (told, count) = (stop.clone(), acknowledged.clone());
        let task = tokio::spawn(async move {
            let mut n = 0;
            while !told.load(SeqCst) {
                put(&table, &format!("w{n}"), "x", Consistency::Quorum).await;
                n += 1;
                count.store(n, SeqCst);
            }
            n
        });
        Self { stop, acknowledged, task }
    }

    fn acknowledged(&self) -> u32 {
        self.acknowledged.load(SeqCst)
    }

    async fn until(&self, count: u32) {
        let start = Instant::now();
        while self.acknowledged() < count {
            assert!(start.elapsed() < Duration::from_secs(60), "writes are not acknowledged");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// How many it has begun.
    async fn stop(self) -> u32 {
        self.stop.store(true, SeqCst);
        self.task.await.expect("it ends")
    }
}

async fn create_siblings(client: &Client, name: &str) -> TableHandle {
    client.create_table(name).await.expect("created");
    client.table(name).await.expect("the table")
}

/// The values of a key, sorted.
async fn values(table: &TableHandle, key: &str) -> Vec<String> {
    let read = read(table, key, Consistency::Quorum).await;
    let mut values: Vec<_> = read.values().iter().map(|value| text(value).to_owned()).collect();
    values.sort_unstable();
    values
}

/// A copy of a backup, as an operator takes it away.
fn keep(backup: &Path, dir: &Path, node: usize) -> PathBuf {
    let copy = dir.join(format!("n{}", node + 1));
    fs::create_dir(&copy).expect("made");
    for file in ["data", "manifest"] {
        fs::copy(backup.join(file), copy.join(file)).expect("copied");
    }
    copy
}

fn error(done: &Output) -> &str {
    text(&done.stderr)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

const KEYS: usize = 300;
