//! What programs read: every command's JSON has the fields that `src/shell/OUTPUT.md` lists, of the types it says, and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Output,
};

use serde_json::Value;

use super::*;

#[tokio::test]
async fn every_field_that_is_printed_is_on_the_page_and_the_other_way_round() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let registers = create_table(&client, "r").await;
    client.create_table("s").await.expect("a table of kind siblings");
    let siblings = client.table("s").await.expect("the table");
    for table in [&registers, &siblings] {
        put(table, "k", "stays", Consistency::All).await;
        table.put("k", "goes").ttl(Duration::from_secs(3_600)).await.expect("written");
    }
    let mut page = Page::read();
    for (section, command) in QUESTIONS.iter().filter(|(section, _)| *section != BACKUP) {
        // What gossip brings takes some seconds to come.
        page.until_told(section, || rows(&nodes.run(&json(command)), 0)).await;
    }
    for row in rows(&nodes.run(&json(&["admin", "backup", "nightly", "--all"])), 0) {
        page.hold(BACKUP, &row);
    }
    assert_eq!(page.untold(BACKUP), ["error"]);
    for (section, command) in QUESTIONS {
        // The name of a backup is taken once.
        let command: Vec<_> =
            command.iter().map(|word| if *word == "nightly" { "weekly" } else { word }).collect();
        page.hold_order(section, &nodes, &command);
    }
    page.hold_the_members(&nodes);
    page.hold_those_of_conditions(&nodes);
    page.hold_those_of_restores(&nodes);
    page.hold_those_of_benches(&nodes);
    selected_fields_stand_alone(&nodes);
    writes_are_named_by_the_time_they_were_made(&nodes);

    let _ = checked(&nodes);
    nodes.kill(2);
    put(&registers, "k", "missed", Consistency::Quorum).await;
    page.until_told("quorate admin hints", || rows(&nodes.run(&json(&["admin", "hints"])), 2)).await;
    for (section, command, code) in QUESTIONS_WITH_ONE_DOWN {
        for row in rows(&nodes.run(&json(command)), *code) {
            page.hold(section, &row);
        }
    }
    assert_eq!(page.untold(BACKUP), [""; 0]);
    page.hold_those_of_a_bench_in_vain(&nodes);
    page.hold_those_of_drains(&mut nodes);
    assert_eq!(checked(&nodes), "failing", "one of three is left");
    let unasked: Vec<_> = page.sections.keys().filter(|section| !page.asked.contains(*section)).collect();
    assert!(unasked.is_empty(), "nothing was held against {unasked:?}");
    nodes.stop();
}

/// As of metrics. What is asked for, SELECT's functions and a weight have the names that they have there.
#[test]
fn names_have_their_units() {
    for (section, fields) in Page::read().sections {
        for Field { name, unit, .. } in fields.iter().filter(|_| !section.starts_with("SELECT")) {
            let endings: &[&str] = match &**unit {
                "" => continue,
                "s" => &["_s", "_s_ago", "seconds"],
                "ms" => &["_ms"],
                "us since 1970" => &["_us"],
                "us per operation" => &["_us_per_op"],
                "per s" => &["_per_s"],
                "bytes" => &["bytes"],
                "MB" => &["_mb"],
                "%" => &["_percent", "weight"],
                "‰" => &["_permille"],
                other => panic!("{section}: {name} has a unit of its own: {other}"),
            };
            assert!(endings.iter().any(|ending| name.ends_with(ending)), "{section}: {name} is in {unit}");
        }
    }
}

/// The page, and what was held against it.
struct Page {
    sections: BTreeMap<String, Vec<Field>>,
    asked: BTreeSet<String>,
    /// Fields that were seen with a value.
    told: BTreeSet<(String, String)>,
}

/// A line of the page.
#[derive(Clone)]
struct Field {
    name: String,
    kind: String,
    unit: String,
    /// When it is null; empty if it never is.
    null: String,
}

impl Page {
    fn read() -> Self {
        let (mut sections, mut titles) = (BTreeMap::<_, Vec<Field>>::new(), Vec::new());
        for line in include_str!("../../src/shell/OUTPUT.md").lines() {
            if let Some(title) = line.strip_prefix("##") {
                let title = title.trim_start_matches('#').trim().replace('`', "");
                titles = title.split(", ").map(str::to_owned).collect();
            } else if line.starts_with("| `") {
                let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
                let [name, kind, unit, null, _meaning] = cells[..] else { panic!("five cells: {line}") };
                let [kind, unit, null] = [kind, unit, null].map(str::to_owned);
                let field = Field { name: name.trim_matches('`').to_owned(), kind, unit, null };
                for title in &titles {
                    sections.entry(title.clone()).or_default().push(field.clone());
                }
            }
        }
        Self { sections, asked: BTreeSet::new(), told: BTreeSet::new() }
    }

    /// Holds what `ask` brings against a section until each of its fields had a value.
    async fn until_told(&mut self, section: &str, ask: impl Fn() -> Vec<Value>) {
        for _ in 0..ATTEMPTS {
            ask().iter().for_each(|row| self.hold(section, row));
            if self.untold(section).is_empty() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{section}: no answer tells {:?}", self.untold(section));
    }

    /// An object has the fields of its section, each of its type, and null only where the page says so.
    fn hold(&mut self, section: &str, row: &Value) {
        let fields = self.sections.get(section).unwrap_or_else(|| panic!("the page does not know {section}"));
        let known: BTreeSet<_> = fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names(row), known, "{section}: what was printed, and what the page has");
        self.asked.insert(section.to_owned());
        for Field { name, kind, null, .. } in fields {
            let value = &row[name];
            assert!(is_of(kind, !null.is_empty(), value), "{section}: {name} is {value}, not {kind}");
            let elements = value.as_array().filter(|elements| !elements.is_empty());
            if elements.map_or(!value.is_null(), |elements| elements.iter().any(|one| !one.is_null())) {
                self.told.insert((section.to_owned(), name.clone()));
            }
        }
    }

    /// Fields that were only ever null.
    fn untold(&self, section: &str) -> Vec<&str> {
        let is_told = |name: &str| self.told.contains(&(section.to_owned(), name.to_owned()));
        let fields = self.sections.get(section).into_iter().flatten();
        let can_be_told = fields.filter(|Field { name, null, .. }| {
            let is_elsewhere = null.contains("Linux") && !cfg!(target_os = "linux");
            // A test cannot wait for minutes.
            let is_late = name == "oldest_s";
            !null.starts_with("always") && !is_elsewhere && !is_late
        });
        can_be_told.map(|field| &*field.name).filter(|name| !is_told(name)).collect()
    }

    /// CSV has the columns of the page in its order, but no objects, and each value by itself.
    fn hold_order(&self, section: &str, nodes: &Nodes, command: &[&str]) {
        let done = nodes.run(&[command, &["--output", "csv"]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
        let fields = self.sections[section].iter().filter(|field| !field.kind.ends_with("object"));
        let column = |field: &Field| match &*field.name {
            "values" if section.starts_with("SELECT") => "value".to_owned(),
            name => name.to_owned(),
        };
        let columns: Vec<_> = fields.map(column).collect();
        let text = String::from_utf8_lossy(&done.stdout);
        assert_eq!(text.lines().next(), Some(&*columns.join(",")), "{section}");
    }

    /// Those of the status.
    fn hold_the_members(&mut self, nodes: &Nodes) {
        let status = rows(&nodes.run(&json(&["admin", "status"])), 0).remove(0);
        let members = status["members"].as_array().expect("a list");
        members.iter().for_each(|row| self.hold("In members", row));
        assert_eq!((members.len(), self.untold("In members")), (3, vec![]), "everything was told before");
    }

    /// One that is applied, and one that is not.
    fn hold_those_of_conditions(&mut self, nodes: &Nodes) {
        let section = "Statements with IF";
        let create = "CREATE TABLE c (key TEXT PRIMARY KEY, value BLOB) WITH kind = 'cas'";
        assert!(nodes.run(&["shell", "-e", create]).status.success());
        let insert = ["shell", "-e", "INSERT INTO c (key, value) VALUES ('k', 'v') IF NOT EXISTS"];
        for applied in [true, false] {
            let rows = rows(&nodes.run(&json(&insert)), 0);
            assert_eq!(rows[0]["applied"], applied);
            rows.iter().for_each(|row| self.hold(section, row));
        }
        assert_eq!(self.untold(section), [""; 0]);
        self.hold_order(section, nodes, &insert);
    }

    fn hold_those_of_restores(&mut self, nodes: &Nodes) {
        let backup = nodes.data_dir(0).join("backups/nightly");
        let backup = backup.to_str().expect("text");
        for (section, command) in [
            ("quorate restore --check", &["restore", backup, "--check"][..]),
            ("quorate restore", &["restore", backup, "--table", "r", "--into", "again"]),
        ] {
            rows(&nodes.run(&json(command)), 0).iter().for_each(|row| self.hold(section, row));
            assert_eq!(self.untold(section), [""; 0], "{section}");
            self.hold_order(section, nodes, command);
        }
    }

    /// One that is not waited for, which is begun, and one that is.
    fn hold_those_of_drains(&mut self, nodes: &mut Nodes) {
        let section = "quorate admin drain";
        let begun = rows(&nodes.run(&json(&["admin", "drain", "n2", "--no-wait"])), 0);
        assert_eq!((&begun[0]["state"], &begun[0]["took_ms"]), (&"draining".into(), &Value::Null));
        nodes.end_in_order(1);
        nodes.restart(1);
        let ended = rows(&nodes.run(&json(&["admin", "drain", "n2", "--timeout", "1m"])), 0);
        assert_eq!(ended[0]["state"], "stopped");
        begun.iter().chain(&ended).for_each(|row| self.hold(section, row));
        assert_eq!(self.untold(section), [""; 0]);
        nodes.end_in_order(1);
    }

    /// One on nodes of its own, of which all can be seen, and one on these, with a rate.
    fn hold_those_of_benches(&mut self, nodes: &Nodes) {
        let short = ["bench", "--keys", "50", "--seconds", "1", "--warm-up", "0s"];
        let connect = nodes.addresses().join(",");
        for more in [&["--clients", "4"][..], &["--connect", &connect, "--rate", "50"]] {
            let done = nodes.run(&[&short[..], more, &["--json"]].concat());
            assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
            let told: Value = serde_json::from_slice(&done.stdout).expect("an object");
            self.hold("quorate bench", &told);
            for (kind, operations) in told["operations"].as_object().expect("an object") {
                assert!(["reads", "writes"].contains(&&**kind), "{kind}");
                self.hold("In operations", operations);
            }
        }
        assert_eq!(self.untold("quorate bench"), [""; 0]);
        self.hold_order("quorate bench", nodes, &[&short[..], &["--connect", &connect]].concat());
    }

    /// Every operation fails: there are no latencies then, and each failure has its reason.
    fn hold_those_of_a_bench_in_vain(&mut self, nodes: &Nodes) {
        let connect = nodes.addresses().join(",");
        let arguments =
            "bench --json --skip-load --keys 5 --seconds 1 --warm-up 0s --rate 50 --consistency ALL";
        let words: Vec<_> = arguments.split(' ').chain(["--connect", &*connect]).collect();
        let done = nodes.run(&words);
        assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
        let told: Value = serde_json::from_slice(&done.stdout).expect("an object");
        self.hold("quorate bench", &told);
        assert!(told["p50_ms"].is_null() && told["uncorrected_p99_ms"].is_null(), "{told}");
        let kinds = told["errors_by_kind"].as_object().expect("an object");
        for kind in kinds.keys() {
            assert!(include_str!("../../src/shell/OUTPUT.md").contains(&format!("`{kind}`")), "{kind}");
        }
        let failed: Option<u64> = kinds.values().map(Value::as_u64).sum();
        assert!(failed > Some(0) && failed == told["errors"].as_u64(), "{told}");
    }
}

/// The verdict, which the exit code says, too, when it is asked to.
fn checked(nodes: &Nodes) -> String {
    let done = nodes.run(&json(&["admin", "status", "--check"]));
    let code = done.status.code().expect("an exit code");
    let verdict = rows(&done, code).remove(0)["verdict"].as_str().expect("text").to_owned();
    let expected = match &*verdict {
        "well" => 0,
        "degraded" => 2,
        _ => 4,
    };
    assert_eq!(code, expected, "{verdict}");
    assert_eq!(nodes.run(&["admin", "status"]).status.code(), Some(0), "it was not asked to");
    verdict
}

/// What was selected and nothing else, but for the context of siblings; and a line each is the same as an array.
fn selected_fields_stand_alone(nodes: &Nodes) {
    for (command, fields) in [
        (&["get", "r", "k"][..], &["value"][..]),
        (&["get", "s", "k"], &["context", "values"]),
        (&["shell", "-e", "SELECT * FROM r"], &["key", "value"]),
        (&["shell", "-e", "SELECT * FROM s"], &["context", "key", "values"]),
        (&["shell", "-e", "SELECT TTL(value) FROM s LIMIT 1"], &["context", "ttl(value)"]),
    ] {
        let array = rows(&nodes.run(&json(command)), 0);
        assert!(array.len() == 1 && names(&array[0]) == fields.iter().copied().collect(), "{array:?}");
        if command[0] == "get" {
            let line = nodes.run(&[command, &["--output", "jsonl"]].concat()).stdout;
            assert_eq!(serde_json::from_slice::<Value>(&line).expect("a line"), array[0]);
        }
    }
}

/// To the millisecond, as the page says.
fn writes_are_named_by_the_time_they_were_made(nodes: &Nodes) {
    for row in rows(&nodes.run(&json(&["admin", "key", "r", "k"])), 0) {
        let (version, us) = (row["version"].as_str().expect("text"), row["writetime_us"].as_u64());
        let ms = version.split('.').next().and_then(|ms| ms.parse::<u64>().ok());
        assert!(us.is_some() && us == ms.map(|ms| ms * 1_000), "{row}");
    }
}

fn is_of(kind: &str, may_be_null: bool, value: &Value) -> bool {
    match (kind.strip_prefix("list of "), value) {
        (Some(inner), Value::Array(elements)) => elements.iter().all(|one| is_of(inner, may_be_null, one)),
        (None, Value::Null) => may_be_null,
        (Some(_), _) => value.is_null() && may_be_null,
        (None, value) => match kind {
            "text" => value.is_string(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            other => panic!("the page has a type of its own: {other}"),
        },
    }
}

fn names(row: &Value) -> BTreeSet<&str> {
    row.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn json<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [command, &["--output", "json"]].concat()
}

/// What was printed by a command that ended with `code`.
fn rows(done: &Output, code: i32) -> Vec<Value> {
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{said}");
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("no array: {error}; {said}"))
}

/// Who asks once more is told that there is one: its questions cannot be repeated until all is told.
const BACKUP: &str = "quorate admin backup";

/// Each with the section that it belongs to.
const QUESTIONS: &[(&str, &[&str])] = &[
    ("quorate admin tables", &["admin", "tables"]),
    ("DESCRIBE TABLES", &["shell", "-e", "DESCRIBE TABLES"]),
    ("DESCRIBE TABLE", &["shell", "-e", "DESCRIBE TABLE r"]),
    ("DESCRIBE CLUSTER", &["shell", "-e", "DESCRIBE CLUSTER"]),
    ("quorate admin repair", &["admin", "repair", "--now"]),
    ("quorate admin scrub", &["admin", "scrub", "--now"]),
    ("quorate admin key", &["admin", "key", "r", "k"]),
    ("quorate admin ring", &["admin", "ring"]),
    ("quorate admin nodes", &["admin", "nodes"]),
    ("quorate admin status", &["admin", "status"]),
    (BACKUP, &["admin", "backup", "nightly", "--all"]),
    (
        "SELECT from a table of kind register or cas",
        &[
            "shell",
            "-e",
            "SELECT key, value, WRITETIME(value), TTL(value), VERSION(value), CONTEXT(value) FROM r",
        ],
    ),
    (
        "SELECT from a table of kind siblings",
        &[
            "shell",
            "-e",
            "SELECT key, value, WRITETIME(value), TTL(value), VERSION(value), CONTEXT(value) FROM s WHERE key = 'k'",
        ],
    ),
];

/// The same with the exit code, where a node that is down can be seen.
const QUESTIONS_WITH_ONE_DOWN: &[(&str, &[&str], i32)] = &[
    ("quorate admin key", &["admin", "key", "r", "k"], 2),
    ("quorate admin key", &["admin", "key", "s", "absent"], 2),
    ("quorate admin repair", &["admin", "repair"], 2),
    ("quorate admin scrub", &["admin", "scrub"], 2),
    (BACKUP, &["admin", "backup", "yearly", "--all"], 2),
    ("quorate admin nodes", &["admin", "nodes"], 0),
    ("quorate admin status", &["admin", "status"], 0),
    ("DESCRIBE CLUSTER", &["shell", "-e", "DESCRIBE CLUSTER"], 0),
];
