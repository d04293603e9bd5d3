//! Statements and commands that write if a key holds what is expected.

use std::{fs, path::Path};

use super::{Node, outcome, pty::Terminal, quorate};

const CREATE: &str = "CREATE TABLE locks (key TEXT PRIMARY KEY, value BLOB) WITH kind = 'cas';";
/// Applied, found something else, applied, found nothing, found something that is no text.
const STATEMENTS: &str = "\
    INSERT INTO locks (key, value) VALUES ('job', 'free') IF NOT EXISTS;
    UPDATE locks SET value = 'me' WHERE key = 'job' IF value = 'taken';
    UPDATE locks SET value = 0x00ff WHERE key = 'job' IF value = 'free' USING CONSISTENCY ALL;
    DELETE FROM locks WHERE key = 'other' IF EXISTS;
    INSERT INTO locks (key, value) VALUES ('job', 'late') USING W = 2 IF NOT EXISTS;";

fn demo(statements: &str, options: &[&str]) -> (i32, String, String) {
    let script = format!("{CREATE} {statements}");
    let done = quorate(Path::new("."), &[&["demo", "-e", &script], options].concat());
    let (code, out, error) = outcome(&done);
    (code, out.to_owned(), error.to_owned())
}

#[test]
fn a_condition_that_is_not_met_is_an_answer_in_every_format() {
    let (code, raw, error) = demo(STATEMENTS, &[]);
    assert_eq!((code, &*error), (0, ""));
    assert_eq!(raw, "true\t\nfalse\tfree\ntrue\t\nfalse\t\nfalse\t0x00ff\n");

    let lines = "{\"applied\":true,\"value\":null}\n{\"applied\":false,\"value\":\"free\"}\n\
                 {\"applied\":true,\"value\":null}\n{\"applied\":false,\"value\":null}\n\
                 {\"applied\":false,\"value\":\"0x00ff\"}\n";
    assert_eq!(demo(STATEMENTS, &["--output", "jsonl"]), (0, lines.to_owned(), String::new()));

    let (_, table, _) = demo(STATEMENTS, &["--output", "table"]);
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with('│')).collect();
    let shown = ["│ applied │", "│ true    │", "│ applied ┆ value │", "│ false   ┆ free  │"];
    assert_eq!(rows[..4], shown, "what was applied found nothing else");
    assert_eq!(rows[6..8], ["│ applied ┆ value │", "│ false   ┆ null  │"]);

    let (_, csv, _) = demo("DELETE FROM locks WHERE key = 'job' IF EXISTS", &["--output", "csv"]);
    assert_eq!(csv, "applied,value\nfalse,\n");
    let (_, json, _) = demo("DELETE FROM locks WHERE key = 'job' IF EXISTS", &["--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, serde_json::json!([{"applied": false, "value": null}]));
}

#[test]
fn a_trace_tells_of_the_round_of_a_condition() {
    let statements = "TRACING ON; INSERT INTO locks (key, value) VALUES ('job', 'a') IF NOT EXISTS;
                      UPDATE locks SET value = 'c' WHERE key = 'job' IF value = 'b'";
    let (code, out, error) = demo(statements, &[]);
    assert_eq!((code, &*out), (0, "true\t\nfalse\ta\n"), "{error}");
    let traces: Vec<_> = error.lines().filter(|line| line.starts_with("'job': level QUORUM, ")).collect();
    assert_eq!(traces.len(), 2, "{error}");
    assert!(traces[0].contains(" 2 rounds, version ") && !traces[0].contains("version none"), "{error}");
    assert!(error.contains(" ms  agreed (coordinator)\n"), "{error}");
}

#[test]
fn statements_that_a_cas_table_does_not_take_say_why() {
    let put = "INSERT INTO locks (key, value) VALUES ('a', 'b')";
    let update = "UPDATE locks SET value = 'c' WHERE key = 'a'";
    for (statement, says) in [
        (format!("{put} USING CONSISTENCY ONE"), "cas tables are written at QUORUM or above (not applied)"),
        (format!("{put} USING TTL 60"), "values of cas tables do not expire"),
        (format!("{update} WITH CONTEXT '00'"), "only siblings tables take a context: use IF (not applied)"),
        (
            format!("{update} IF EXISTS USING W = 1"),
            "cas tables are written at QUORUM or above (not applied)",
        ),
        (format!("{update} IF EXISTS USING TTL 60"), "TTL does not go with IF at line 1"),
        (
            "CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB);
             UPDATE t SET value = 'b' WHERE key = 'a' IF EXISTS"
                .to_owned(),
            "conditions are for cas tables only",
        ),
    ] {
        let (code, out, error) = demo(&statement, &[]);
        assert_eq!((code, &*out), (2, ""), "{statement}");
        assert!(error.contains(says), "{statement}: {error}");
    }
}

#[test]
fn one_shot_commands_end_with_code_2_if_they_were_not_applied() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    let at = |arguments: &[&str]| quorate(dir.path(), &[arguments, &["--connect", &node.address]].concat());
    let says = |what: &str| (2, "", format!("error: the key holds {what} (not applied)\n"));
    let ends = |arguments: &[&str], code: i32, out: &str, error: &str| {
        let done = at(arguments);
        assert_eq!(outcome(&done), (code, out, error), "{arguments:?}");
    };
    let refused = |arguments: &[&str], what: &str| {
        let (code, out, error) = says(what);
        ends(arguments, code, out, &error);
    };
    assert!(at(&["shell", "-e", CREATE]).status.success());
    refused(&["put", "locks", "job", "a", "--if-present"], "nothing");
    ends(&["put", "locks", "job", "a", "--if-absent"], 0, "", "");
    refused(&["put", "locks", "job", "b", "--if-absent"], "'a'");
    refused(&["put", "locks", "job", "b", "--if", "c"], "'a'");
    ends(&["put", "locks", "job", "0x00ff", "--if", "a", "--consistency", "ALL"], 0, "", "");
    refused(&["del", "locks", "job", "--if", "a"], "0x00ff");
    ends(&["put", "locks", "job", "-", "--if", "0x00ff"], 0, "", "");
    ends(&["get", "locks", "job"], 0, "\n", "");
    ends(&["del", "locks", "job", "--if-present"], 0, "", "");
    refused(&["del", "locks", "job", "--if-present"], "nothing");
    ends(&["get", "locks", "job"], 0, "", "");
    for contradiction in [
        &["put", "locks", "k", "v", "--if-absent", "--if-present"][..],
        &["put", "locks", "k", "v", "--if", "a", "--if-absent"],
        &["put", "locks", "k", "v", "--if", "a", "--ttl", "1h"],
        &["put", "locks", "k", "v", "--if-absent", "--sloppy"],
        &["del", "locks", "k", "--if-present", "--context", "00"],
        &["del", "locks", "k", "--if-absent"],
    ] {
        assert_eq!(at(contradiction).status.code(), Some(3), "{contradiction:?}");
    }
    node.stop();
}

/// Both write as clients do.
#[test]
fn rows_are_copied_and_backups_restored_into_a_cas_table() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..200).map(|n| format!("k{n},{n}\n")).collect();
    fs::write(dir.path().join("rows.csv"), &rows).unwrap();
    let node = Node::start(dir.path());
    let at = |arguments: &[&str]| quorate(dir.path(), &[arguments, &["--connect", &node.address]].concat());
    let shell = |statements: &str| {
        let done = at(&["shell", "-e", statements]);
        let (code, out, error) = outcome(&done);
        assert_eq!(code, 0, "{statements}: {error}");
        out.to_owned()
    };
    shell(&format!("{CREATE} COPY locks FROM 'rows.csv'; DELETE FROM locks WHERE key = 'k7'"));
    assert_eq!(shell("UPDATE locks SET value = 'x' WHERE key = 'k1' IF value = '1'"), "true\t\n");
    assert!(at(&["admin", "backup", "nightly", "--all"]).status.success());

    shell(
        "UPDATE locks SET value = 'later' WHERE key = 'k1' IF value = 'x'; DELETE FROM locks WHERE key = 'k2'",
    );
    let done = at(&["restore", "data/backups/nightly", "--output", "jsonl"]);
    let (code, out, error) = outcome(&done);
    assert_eq!(code, 0, "{error}");
    let told: serde_json::Value = serde_json::from_str(out).unwrap();
    assert_eq!((&told["keys"], &told["deleted"], &told["rejected"]), (&199.into(), &1.into(), &0.into()));
    shell("COPY locks TO 'out.csv'");
    let mut found: Vec<_> =
        fs::read_to_string(dir.path().join("out.csv")).unwrap().lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = rows.lines().filter(|row| *row != "k7,7").map(str::to_owned).collect();
    expected[1] = "k1,x".to_owned();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "what was there when it was backed up");

    let done = at(&["restore", "data/backups/nightly", "--into", "again", "--table", "locks"]);
    assert_eq!(done.status.code(), Some(0), "{}", outcome(&done).2);
    assert_eq!(shell("SELECT value FROM again WHERE key = 'k1'"), "x\n");
    let described = shell("DESCRIBE TABLE again");
    assert!(described.starts_with("again\tcas\t1\t"), "{described}");
    let done = at(&["admin", "key", "again", "k1"]);
    assert!(outcome(&done).1.starts_with("1\tn1\tn1\tvalue\ttrue\tx\t"), "{done:?}");
    node.stop();
}

#[test]
fn a_person_sees_who_has_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table locks created: kind 'cas', ");
    terminal.asks("INSERT INTO locks (key, value) VALUES ('job', 'ann') IF NOT EXISTS;\r", "│ true    │");
    // After the key's text IF is what may follow; Tab writes it out.
    terminal.types("UPDATE locks SET value = 'bob' WHERE key = 'job' I\tva\t= 'free';\r");
    terminal.shows("│ applied ┆ value │");
    terminal.asks("", "│ false   ┆ ann   │");
    terminal.types("EXIT\r");
    terminal.ends();
}
