//! The `quorate` program from outside: what it prints where, and the exit codes that scripts rely on.

#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "a test of the program writes its files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod conditions;
mod copy;
#[allow(dead_code, reason = "the tests of clusters use all of it")]
#[path = "../cluster/nodes.rs"]
mod nodes;
mod pty;
mod readme;
mod startup;
mod terminal;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

#[test]
fn a_demo_prints_the_value_and_nothing_else() {
    let done = quorate(Path::new("."), &["demo", "-e", &format!("{CREATE} {INSERT} {SELECT}")]);
    assert_eq!(outcome(&done), (0, "b\n", ""));
}

#[test]
fn a_demo_keeps_its_data_and_takes_statements_from_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let done = quorate(dir.path(), &["demo", "--data", "d", "-e", &format!("{CREATE} {INSERT}")]);
    assert_eq!(outcome(&done), (0, "", ""));

    let mut child = command(dir.path(), &["demo", "--data", "d", "--output", "jsonl"]).spawn().unwrap();
    let script = "-- what was kept\nSELECT *\n  FROM t WHERE key IN ('a', 'absent');\nDELETE FROM t WHERE key = 'a';\n\
                  SELECT * FROM t WHERE key = 'a'";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(outcome(&done), (0, "{\"key\":\"a\",\"value\":\"b\"}\n", ""));

    let done = quorate(dir.path(), &["demo", "--data", "d", "--nodes", "2", "-e", "HELP"]);
    assert_eq!(done.status.code(), Some(3));
}

#[test]
fn the_first_error_ends_a_script_with_its_place() {
    let script = format!("{CREATE} {INSERT}\n{SELECT};\nSELECT value\n  FORM t; {SELECT}");
    let done = quorate(Path::new("."), &["demo", "-e", &script]);
    let (code, out, error) = outcome(&done);
    assert_eq!((code, out), (2, "b\n"), "what came before the error is done");
    assert_eq!(
        error,
        "error: syntax error: expected FROM, found 'FORM' at line 4, column 3:\n      FORM t; \
         SELECT value FROM t WHERE key = 'a'\n      ^^^^\ndid you mean FROM?\n"
    );
}

#[test]
fn failures_say_what_became_of_the_statement() {
    let failures = [
        ("CREATE TABLE s (key TEXT PRIMARY KEY, value BLOB) WITH replication = 2", "(not applied)"),
        ("SELECT * FROM nothing WHERE key = 'a'", "unknown table 'nothing'"),
        ("INSERT INTO t (key, value) VALUES ('', 'x')", "(not applied)"),
        ("SELECT * FROM t WHERE key = 'a' USING CONSISTENCY ANY", "ANY"),
        ("UPDATE t SET value = 'x' WHERE key = 'a' IF value = 'b'", "conditions are for cas tables only"),
        (
            "INSERT INTO t (key, value) VALUES ('a', 'x') USING TIMESTAMP 5",
            "not supported yet: USING TIMESTAMP",
        ),
        ("UPDATE t SET value = 'x' WHERE key = 'a' WITH CONTEXT '00'", "only siblings tables take a context"),
        ("INSERT INTO t (key, value) VALUES ('a', 'x') USING W = 2", "(not applied)"),
        (
            "CREATE TABLE u (key TEXT PRIMARY KEY, value BLOB) WITH read_consistency = 2 AND kind = 'register'",
            "level 2 does not fit a table of 1 replicas",
        ),
        (CREATE, "exists already (not applied)"),
    ];
    for (statement, says) in failures {
        let done = quorate(Path::new("."), &["demo", "--nodes", "1", "-e", &format!("{CREATE} {statement}")]);
        let (code, out, error) = outcome(&done);
        assert_eq!((code, out), (2, ""), "{statement}");
        assert!(error.contains(says), "{statement}: {error}");
    }
}

#[test]
fn a_table_keeps_the_levels_of_requests_that_name_none() {
    let statements = "CREATE TABLE u (key TEXT PRIMARY KEY, value TEXT) WITH kind = 'register' \
                      AND read_consistency = 'ONE' AND write_consistency = 'ALL';
                      DESCRIBE TABLE u;
                      CONSISTENCY TWO; TRACING ON;
                      INSERT INTO u (key, value) VALUES ('a', 'b');
                      CONSISTENCY DEFAULT;
                      INSERT INTO u (key, value) VALUES ('a', 'b');
                      SELECT value FROM u WHERE key = 'a';
                      SELECT value FROM u WHERE key = 'a' USING R = 3;
                      INSERT INTO u (key, value) VALUES ('a', 'c') USING W = 2;
                      SELECT value FROM u WHERE key = 'a' USING CONSISTENCY THREE";
    let done = quorate(Path::new("."), &["demo", "-e", statements]);
    let (code, out, error) = outcome(&done);
    assert_eq!(code, 0, "{error}");
    let described = "u\tregister\t3\tONE\tALL\t";
    assert!(out.starts_with(described) && out.ends_with("\nb\nb\nc\n"), "no word of CONSISTENCY: {out}");
    let traces: Vec<_> = error.lines().filter_map(|line| line.strip_prefix("'a': ")).collect();
    let levels: Vec<_> = traces.iter().filter_map(|trace| trace.split([' ', ',']).nth(1)).collect();
    assert_eq!(levels, ["TWO", "ALL", "ONE", "3", "2", "THREE"], "{error}");
    assert!(error.contains(" ms  agreed (coordinator)\n"), "{error}");
    let write = error.split("'a': ").nth(1).unwrap_or_default();
    assert!(write.contains(" 2 rounds,") && write.matches(" ms  agreed").count() >= 2, "{write}");
    assert!(error.contains("\n  replica   latency  part\n") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn tables_are_altered_truncated_and_dropped() {
    let statements = format!(
        "{CREATE} {INSERT} ALTER TABLE t WITH write_consistency = 'ALL'; DESCRIBE TABLE t; {SELECT}; \
         TRUNCATE t; {SELECT}; {INSERT} {SELECT}; DROP TABLE t; DESCRIBE TABLES; {SELECT}"
    );
    let done = quorate(Path::new("."), &["demo", "-e", &statements]);
    let (code, out, error) = outcome(&done);
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("t\tregister\t1\tQUORUM\tALL\t"), "{out}");
    assert_eq!(
        lines[1..],
        ["b", "b"],
        "one value before TRUNCATE, one written after it, no table after DROP"
    );
    assert!(code == 2 && error.contains("unknown table 't'"), "{error}");
}

#[test]
fn concurrent_writes_stay_until_one_replaces_them() {
    let dir = tempfile::tempdir().unwrap();
    // Each run is a session of its own, and a new process of every node.
    let run = |format: &str, statement: &str| {
        let done = quorate(dir.path(), &["demo", "--data", "d", "--output", format, "-e", statement]);
        let (code, out, error) = outcome(&done);
        (code, out.to_owned(), error.to_owned())
    };
    let done = |statement: &str| assert_eq!(run("raw", statement), (0, String::new(), String::new()));
    done(
        "CREATE TABLE carts (key TEXT PRIMARY KEY, value TEXT); INSERT INTO carts (key, value) VALUES ('a', 'bread')",
    );
    let (_, seen, _) = run("raw", "SELECT CONTEXT(value) FROM carts WHERE key = 'a'");
    let seen = seen.trim();
    done(&format!("INSERT INTO carts (key, value) VALUES ('a', 'milk') WITH CONTEXT '{seen}'"));
    done(&format!(
        "UPDATE carts SET value = 'eggs' WHERE key = 'a' USING CONSISTENCY ALL WITH CONTEXT '{seen}'"
    ));

    let select = "SELECT value FROM carts WHERE key = 'a'";
    let (code, rows, note) = run("raw", select);
    let mut values: Vec<_> = rows.lines().collect();
    values.sort_unstable();
    assert_eq!((code, values), (0, vec!["eggs", "milk"]), "neither replaced the other, both replaced bread");
    let (says, resolution) = note.split_once('\n').unwrap();
    assert_eq!(says, "'a' has 2 concurrent values; write the one that replaces them with");
    let context = resolution.split('\'').nth(5).unwrap();
    assert_eq!(
        resolution,
        format!("  UPDATE carts SET value = '..' WHERE key = 'a' WITH CONTEXT '{context}';\n")
    );

    let (_, json, note) = run("jsonl", select);
    let row: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((row["values"].as_array().unwrap().len(), &row["context"]), (2, &context.into()));
    assert_eq!(note, "", "a program has the context beside the values");
    let (_, csv, _) = run("csv", select);
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "value,context"));
    assert!(lines[1..].iter().all(|line| line.ends_with(&format!(",{context}"))), "{csv}");

    done(&resolution.replace("..", "milk and eggs"));
    assert_eq!(run("raw", select), (0, "milk and eggs\n".to_owned(), String::new()));
    done(&format!("DELETE FROM carts WHERE key = 'a' WITH CONTEXT '{context}'"));
    assert_eq!(run("raw", select).1, "milk and eggs\n", "the delete removes what its context has seen");
    done("DELETE FROM carts WHERE key = 'a'");
    assert_eq!(run("json", select), (0, "[]\n".to_owned(), String::new()));

    let (code, _, error) = run("raw", &format!("DELETE FROM carts WHERE key = 'b' WITH CONTEXT '{context}'"));
    assert_eq!(code, 2);
    assert!(error.contains("of another key (not applied): read the key again"), "{error}");
}

#[test]
fn functions_tell_when_a_value_was_written_and_until_when_it_stays() {
    let now_us = || {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since_epoch.as_micros()).unwrap()
    };
    let select = "SELECT WRITETIME(value), TTL(value), VERSION(value), value FROM t WHERE key = 'a'";
    let before = now_us();
    let done =
        quorate(Path::new("."), &["demo", "--output", "jsonl", "-e", &format!("{CREATE} {INSERT} {select}")]);
    let (code, out, error) = outcome(&done);
    assert_eq!(code, 0, "{error}");
    let row: serde_json::Value = serde_json::from_str(out).unwrap();
    let written = row["writetime(value)"].as_u64().unwrap();
    assert!((before - 1_000..=now_us()).contains(&written), "{written} is within the test");
    assert_eq!(row["value"], "b");
    assert!(row["ttl(value)"].is_null());
    assert!(row["version(value)"].as_str().unwrap().contains('@'), "{out}");
}

#[test]
fn a_demo_takes_statements_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.cql"), format!("{CREATE}\n{INSERT}\n{SELECT}")).unwrap();
    assert_eq!(outcome(&quorate(dir.path(), &["demo", "-f", "a.cql"])), (0, "b\n", ""));
    assert_eq!(quorate(dir.path(), &["demo", "-f", "b.cql"]).status.code(), Some(3));
}

#[test]
fn copy_writes_good_rows_and_sets_bad_ones_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = "value;key\n".to_owned();
    (0..500).for_each(|i| rows += &format!("v{i};k{i}\n"));
    fs::write(dir.path().join("rows.csv"), rows + "lonely\nlast;k0\n").unwrap();
    let copy = "COPY t FROM 'rows.csv' WITH header = true AND delimiter = ';'";
    let done = quorate(dir.path(), &["demo", "--data", "d", "-e", &format!("{CREATE} {copy}")]);
    let (code, out, error) = outcome(&done);
    assert_eq!((code, out), (2, ""));
    assert!(error.contains("COPY wrote 501 rows and rejected 1: see rows.csv.rejects.csv"), "{error}");
    let rejects = fs::read_to_string(dir.path().join("rows.csv.rejects.csv")).unwrap();
    assert_eq!(rejects, "line,key,value,reason\n502,lonely,,1 column instead of 2\n");

    let select = "SELECT value FROM t WHERE key IN ('k0', 'k1', 'k499')";
    let done = quorate(dir.path(), &["demo", "--data", "d", "-e", select]);
    assert_eq!(outcome(&done), (0, "last\nv1\nv499\n", ""), "of rows with one key the last one stays");
}

#[test]
fn a_scan_prints_every_key_once() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..1_200).map(|i| format!("k{i},v{i}\n")).collect();
    fs::write(dir.path().join("rows.csv"), rows).unwrap();
    let script = format!("{CREATE} COPY t FROM 'rows.csv'; PAGING 10; SELECT * FROM t USING CONSISTENCY ALL");
    let done = quorate(dir.path(), &["demo", "--data", "d", "-e", &script]);
    let (code, out, error) = outcome(&done);
    assert_eq!(code, 0, "{error}");
    let mut lines: Vec<_> = out.lines().map(str::to_owned).collect();
    assert_eq!(
        lines[0].split_once('\t').map(|(key, value)| (&key[1..], &value[1..])).map(|(k, v)| k == v),
        Some(true)
    );
    lines.sort_unstable();
    let mut expected: Vec<_> = (0..1_200).map(|i| format!("k{i}\tv{i}")).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);

    let shell = |select: &str, format: &str| {
        let done = quorate(dir.path(), &["demo", "--data", "d", "--output", format, "-e", select]);
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, out) = shell("SELECT key FROM t LIMIT 7", "json");
    let keys: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!((code, keys.len()), (Some(0), 7));
    let (code, out) = shell("SELECT value FROM t LIMIT 600", "csv");
    assert_eq!((code, out.lines().count()), (Some(0), 601), "one header");
    assert_eq!(shell("TRUNCATE t; SELECT * FROM t", "raw"), (Some(0), String::new()));
}

/// What COPY .. TO writes COPY .. FROM makes the same of, whatever bytes there are.
#[test]
fn a_table_survives_the_way_out_and_in() {
    let dir = tempfile::tempdir().unwrap();
    let other = CREATE.replace("TABLE t", "TABLE other");
    let script = format!(
        "{CREATE} {other}
         INSERT INTO t (key, value) VALUES ('plain', 'text, with \"quotes\" and; more');
         INSERT INTO t (key, value) VALUES ('two
lines', 0x0d0a00ff22);
         INSERT INTO t (key, value) VALUES (0xfffe, '');
         COPY t TO 'out.csv' WITH header = true AND delimiter = ';';
         COPY other FROM 'out.csv' WITH header = true AND delimiter = ';';
         COPY other TO 'again.csv' WITH header = true AND delimiter = ';';
         SELECT value FROM other WHERE key = 'two
lines'"
    );
    let done = quorate(dir.path(), &["demo", "-e", &script]);
    let (code, out, error) = outcome(&done);
    assert_eq!((code, out), (0, "0x0d0a00ff22\n"), "{error}");
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert_eq!(read("out.csv"), read("again.csv"), "the same rows in the same order");
    assert_eq!(read("out.csv").iter().filter(|byte| **byte == b'\n').count(), 6);
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, ["again.csv", "out.csv"], "nothing is left beside");
    let done = quorate(dir.path(), &["demo", "-e", &format!("{CREATE} COPY t TO 'missing/out.csv'")]);
    assert_eq!(done.status.code(), Some(2));
}

/// A copy that gave up goes on behind what it has done.
#[test]
fn an_interrupted_copy_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let row = |i: u32| if i == 300 { format!("lonely{i}\n") } else { format!("k{i},v{i}\n") };
    fs::write(dir.path().join("rows.csv"), (0..500).map(row).collect::<String>()).unwrap();
    let script = format!("{CREATE} COPY t FROM 'rows.csv' WITH maxerrors = 1");
    let done = quorate(dir.path(), &["demo", "--data", "d", "-e", &script]);
    let error = outcome(&done).2;
    assert!(error.contains("COPY wrote 300 rows and rejected 1, then gave up"), "{error}");
    assert!(dir.path().join("rows.csv.progress").exists());

    let copy = "COPY t FROM 'rows.csv' WITH resume = true; SELECT key FROM t";
    let done = quorate(dir.path(), &["demo", "--data", "d", "-e", copy]);
    let (code, out, error) = outcome(&done);
    assert_eq!((code, out.lines().count()), (0, 499), "{error}");
    assert!(error.contains("COPY goes on at line 302") && error.contains("COPY wrote 199 rows"), "{error}");
    assert!(!dir.path().join("rows.csv.progress").exists());
    let rejects = fs::read_to_string(dir.path().join("rows.csv.rejects.csv")).unwrap();
    assert_eq!(rejects, "line,key,value,reason\n301,lonely300,,1 column instead of 2\n");
}

#[test]
fn a_value_with_a_ttl_goes_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let shell = |statements: &str| {
        let done = quorate(dir.path(), &["shell", "--connect", &node.address, "-e", statements]);
        let (code, out, error) = outcome(&done);
        assert_eq!((code, error), (0, ""), "{statements}");
        out.to_owned()
    };
    for (table, kind) in [("s", "siblings"), ("r", "register")] {
        shell(&format!(
            "CREATE TABLE {table} (key TEXT PRIMARY KEY, value TEXT) WITH kind = '{kind}' AND replication = 1"
        ));
        shell(&format!("INSERT INTO {table} (key, value) VALUES ('stays', 'x') USING TTL 3600"));
        shell(&format!("INSERT INTO {table} (key, value) VALUES ('goes', 'x') USING TTL '700ms'"));
        let left = shell(&format!("SELECT TTL(value) FROM {table} WHERE key = 'stays'"));
        assert!((3_000..=3_600).contains(&left.trim().parse::<u64>().unwrap()), "{left} s are left");
        let start = Instant::now();
        while shell(&format!("SELECT key FROM {table} WHERE key IN ('goes', 'stays')")) != "stays\n" {
            assert!(start.elapsed() < Duration::from_secs(60), "a value outlives its TTL in {kind} tables");
        }
        shell(&format!("UPDATE {table} SET value = 'y' WHERE key = 'stays'"));
        let left = shell(&format!("SELECT value, TTL(value) FROM {table} WHERE key = 'stays'"));
        assert_eq!(left, "y\t\n", "a write without a TTL stays");
    }
}

#[test]
fn a_node_serves_shells_and_one_shot_commands() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| quorate(dir.path(), arguments);
    let node = Node::start(dir.path());
    let address = node.address.clone();
    let at = |arguments: &[&str]| run(&[arguments, &["--connect", &address]].concat());
    assert_eq!(outcome(&at(&["shell", "-e", CREATE])), (0, "", ""));
    assert_eq!(outcome(&at(&["put", "t", "k", "0x00ff"])), (0, "", ""));
    assert_eq!(outcome(&at(&["get", "t", "k"])), (0, "0x00ff\n", ""));
    assert_eq!(outcome(&at(&["put", "t", "0x6b", "two words", "--consistency", "ALL"])), (0, "", ""));
    assert_eq!(outcome(&at(&["get", "t", "k", "--consistency", "one"])), (0, "two words\n", ""));
    assert_eq!(outcome(&at(&["del", "t", "k"])), (0, "", ""));
    assert_eq!(outcome(&at(&["get", "t", "k"])), (0, "", ""), "an absent key has no rows");
    assert_eq!(outcome(&at(&["get", "t", "k", "--output", "json"])), (0, "[]\n", ""));
    one_shots_resolve_concurrent_values(&at);
    assert_eq!(at(&["get", "nothing", "k"]).status.code(), Some(2));
    for misspelt in
        [&["get", "tt", "k"][..], &["put", "tt", "k", "v"], &["del", "tt", "k"], &["admin", "key", "tt", "k"]]
    {
        let says = "error: unknown table 'tt'; did you mean t?\n";
        assert_eq!(outcome(&at(misspelt)), (2, "", says), "{misspelt:?}");
    }
    assert_eq!(at(&["get", "t", "k", "--consistency", "most"]).status.code(), Some(3));
    node.stop();
    assert_eq!(at(&["get", "t", "k"]).status.code(), Some(1));
}

fn one_shots_resolve_concurrent_values(at: &impl Fn(&[&str]) -> Output) {
    let get_json = |key: &str| -> serde_json::Value {
        let done = at(&["get", "s", key, "--output", "jsonl", "--monotone"]);
        serde_json::from_str(outcome(&done).1).unwrap()
    };
    assert!(at(&["shell", "-e", "CREATE TABLE s (key TEXT PRIMARY KEY, value BLOB)"]).status.success());
    assert_eq!(outcome(&at(&["put", "s", "k", "zero", "--ttl", "1h", "--sloppy"])), (0, "", ""));
    let stale = get_json("k")["context"].as_str().unwrap().to_owned();
    assert!(at(&["put", "s", "k", "one", "--context", &stale]).status.success());
    assert!(at(&["put", "s", "k", "two", "--context", &stale]).status.success());
    let context = get_json("k")["context"].as_str().unwrap().to_owned();
    let done = at(&["get", "s", "k"]);
    let (code, out, error) = outcome(&done);
    assert_eq!((code, out.lines().count()), (0, 2), "{out}");
    let says = "2 concurrent values; write the one that replaces them with --context";
    assert_eq!(error, format!("{says} {context}\n"));
    assert!(at(&["put", "s", "k", "three", "--context", &context]).status.success());
    assert_eq!(outcome(&at(&["get", "s", "k"])), (0, "three\n", ""));
    assert!(at(&["del", "s", "k", "--context", &context, "--sloppy"]).status.success());
    assert_eq!(outcome(&at(&["get", "s", "k"])), (0, "three\n", ""), "deleted is what was seen");
    assert_eq!(at(&["put", "s", "k", "v", "--context", "zz"]).status.code(), Some(3));
    assert_eq!(at(&["put", "s", "k", "v", "--ttl", "5"]).status.code(), Some(3), "5 of what?");
}

#[test]
fn bad_usage_and_bad_configuration_are_code_3() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.toml"), "node = 5\n").unwrap();
    for arguments in [&["nonsense"][..], &["put", "t"], &["config", "check", "bad.toml"], &["get", "t", "k"]]
    {
        let done = quorate(dir.path(), arguments);
        let (code, out, error) = outcome(&done);
        assert_eq!((code, out), (3, ""), "{arguments:?}");
        assert!(!error.is_empty());
    }
    assert!(quorate(dir.path(), &["--help"]).status.success());
}

/// A node in a process of its own.
struct Node {
    process: Child,
    address: String,
}

impl Node {
    /// A cluster of one with its certificates, in `dir`.
    fn start(dir: &Path) -> Self {
        for arguments in [
            &["certs", "init", "certs"][..],
            &["certs", "node", "certs", "n1"],
            &["certs", "client", "certs", "client"],
        ] {
            assert!(quorate(dir, arguments).status.success(), "{arguments:?}");
        }
        // A port that was free a moment ago: a founder's address must be known before the node starts.
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "cluster = \"test\"\nfounders = [\"n1={free}\"]\nnode = \"n1\"\ndata_dir = \"data\"\n\
             tls = {{ ca = \"certs/ca.crt\", cert = \"certs/n1.crt\", key = \"certs/n1.key\" }}\n"
        );
        fs::write(dir.join("n1.toml"), config).unwrap();
        assert!(quorate(dir, &["config", "check", "n1.toml"]).status.success());
        let mut process =
            command(dir, &["serve", "--config", "n1.toml"]).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, format!("listening n1 {free}\n"));
        Self { process, address: free.to_string() }
    }

    /// Stops it as an operator does.
    fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success(), "a drained node exits in order");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have stopped already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn quorate(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).stdin(Stdio::null()).output().unwrap()
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.current_dir(dir).args(arguments);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUORATE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn outcome(done: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (done.status.code().unwrap_or(-1), text(&done.stdout), text(&done.stderr))
}

const CREATE: &str =
    "CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB) WITH kind = 'register' AND replication = 1;";
const INSERT: &str = "INSERT INTO t (key, value) VALUES ('a', 'b');";
const SELECT: &str = "SELECT value FROM t WHERE key = 'a'";
