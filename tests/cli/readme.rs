//! What the README says to type to have a cluster and use it, typed as it stands there: a command that does not do what is said of
//! it fails the test. Left to people are the evening's transcript, the program in Rust, the benches, and the tests themselves.

mod bash;
mod text;

use std::fs;

use quorate::cql::parse_one;
use serde_json::Value;

use self::{
    bash::Bash,
    text::{Readme, Typed, blocks, rows, script, spans, typed},
};

#[test]
fn a_demo_prints_what_the_readme_says() {
    let (readme, mut bash) = (Readme::read(), Bash::start());
    let section = readme.section("Two commands");
    bash.types(script(section));
    let sessions = typed(section, "$ ");
    assert_eq!(sessions.len(), blocks(section).len() - 1);
    for Typed { text, answer } in sessions {
        assert_eq!(bash.types(&text).trim_end(), answer, "{text}");
    }
}

#[test]
fn a_cluster_does_what_the_readme_says() {
    let (readme, mut bash) = (Readme::read(), Bash::start());
    three_processes(readme.section("Three real processes"), &mut bash);
    siblings_are_shown(readme.section("The language"), &mut bash);
    statements(readme.section("The language"), &mut bash);
    one_shots(readme.section("The language"), &mut bash);
    backups(readme.section("Backups"), &mut bash);
    admin(readme.section("Who is up, and what the cluster still bears"), &mut bash);
}

/// The script ends in a shell, into which goes what the section's session has after its prompts.
fn three_processes(section: &str, bash: &mut Bash) {
    let packages = fs::read_to_string(PACKAGES).unwrap();
    bash.writes(PACKAGES, &packages);
    let statements: Vec<_> = typed(section, PROMPT).into_iter().map(|typed| typed.text).collect();
    assert!(statements.len() >= 5, "{statements:?}");
    let done = bash.types_with(script(section), &statements.join("\n"));
    let key = statements[2].split('\'').nth(1).expect("a key that is read, and deleted in the end");
    let row = packages.lines().find_map(|row| row.strip_prefix(&format!("{key},"))).expect("a package");
    assert!(done.out.lines().any(|line| line == row), "{row}: {done:#?}");
    assert_eq!(bash.types(&format!("quorate get packages {key}")), "");

    let mut commands = spans(section);
    commands.retain(|span| span.starts_with("quorate ") && !span.starts_with("quorate admin drain"));
    assert!(commands.len() >= 3, "{commands:?}");
    for command in commands {
        assert_ne!(bash.types(&command), "", "{command}");
    }
}

/// The values of the README's session are there to be shown.
fn siblings_are_shown(section: &str, bash: &mut Bash) {
    let [create, select] = &typed(section, PROMPT)[..] else { panic!("two statements") };
    bash.types(&shell(&create.text));
    two_values(bash);
    let done = bash.types_with(&format!("{} --output table", shell(&select.text)), "");
    let (table, rest) = select.answer.split_once("\n2 rows\n").expect("rows");
    let lines = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        // Which of the two was written first is not said.
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&done.out), lines(table));
    let before_context = rest.split("CONTEXT '").next().unwrap();
    assert!(done.error.starts_with(before_context), "{} is not {rest}", done.error);
}

/// Writes two values that know nothing of each other; says what replaces both.
fn two_values(bash: &mut Bash) -> String {
    bash.types("quorate put carts alice water");
    let seen = context(bash, "carts", "alice");
    bash.types(&format!("quorate put carts alice milk --context {seen}"));
    bash.types(&format!("quorate put carts alice eggs --context {seen}"));
    context(bash, "carts", "alice")
}

/// The statements of each row of the table, and its clauses behind a statement that takes them.
fn statements(section: &str, bash: &mut Bash) {
    let mut carried_out = 0;
    for (first, second) in rows(section) {
        let is_statement = |span: &String| {
            let mut words = span.split(' ');
            let begins =
                words.next().is_some_and(|word| word.chars().all(|c| c == '.' || c.is_ascii_uppercase()));
            begins && (words.next().is_some() || first.contains(&format!("`{span}`")))
        };
        let row: Vec<_> = [first, second].into_iter().flat_map(spans).filter(is_statement).collect();
        let kind = if second.contains("`cas` tables") { "cas" } else { "siblings" };
        let mut setup = "DROP TABLE IF EXISTS t;".to_owned();
        if !row[0].starts_with("CREATE TABLE t ") {
            setup += &format!("CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH kind = '{kind}';");
            setup += "INSERT INTO t (key, value) VALUES ('a', 'b');";
        }
        bash.types(&shell(&setup));
        bash.writes("f.cql", "SELECT value FROM t WHERE key = 'a';");
        for span in row {
            let statement = whole(&span.replace("PAGING n", "PAGING 10"));
            let statement = match statement.contains("01b4..") {
                true => statement.replace("01b4..", &context(bash, "t", "a")),
                false => statement,
            };
            if statement.starts_with("COPY t FROM 'f.csv' WITH header = true AND delimiter = ';'") {
                bash.writes("f.csv", "key;value\na;b\n");
            }
            bash.types(&shell(&statement));
            carried_out += 1;
        }
    }
    assert!(carried_out >= 35, "{carried_out} statements are found");
}

/// What stands for `..` in a statement, or before a clause.
fn whole(span: &str) -> String {
    let bodies = [
        ("INSERT .. ", "INSERT INTO t (key, value) VALUES ('a', 'b') "),
        ("UPDATE .. ", "UPDATE t SET value = 'b' WHERE key = 'a' "),
        ("DELETE .. ", "DELETE FROM t WHERE key = 'a' "),
    ];
    if let Some((dots, body)) = bodies.iter().find(|(dots, _)| span.starts_with(dots)) {
        return span.replacen(dots, body, 1);
    }
    let clause = span.trim_start_matches(".. ");
    if clause == span && !span.starts_with("USING ") {
        return span.to_owned();
    }
    let statements = ["UPDATE t SET value = 'b' WHERE key = 'a'", "SELECT * FROM t WHERE key = 'a'"];
    let mut taken = statements.map(|statement| format!("{statement} {clause}")).into_iter();
    // A context is not yet what it will be.
    let is_taken = |statement: &String| parse_one(&statement.replace("01b4..", "01b4")).is_ok();
    taken.find(is_taken).unwrap_or_else(|| panic!("no statement takes {clause}"))
}

/// What scripts need that need no language.
fn one_shots(section: &str, bash: &mut Bash) {
    bash.types(&shell("CREATE TABLE locks (key TEXT PRIMARY KEY, value TEXT) WITH kind = 'cas'"));
    let paragraph = section.split("\n\n").find(|text| text.starts_with("Scripts that need no language"));
    let commands = spans(paragraph.expect("a paragraph"));
    let [get, put, del, _cas, put_new, if_value, if_present, del_if] = &commands[..] else {
        panic!("{commands:?}")
    };
    let seen = two_values(bash);
    assert_eq!(bash.types(get).lines().count(), 2);
    bash.types(&put.replace("01b4..", &seen));
    assert_eq!(bash.types(get), "milk, eggs\n");
    bash.types(del);
    assert_eq!(bash.types(get), "");

    bash.types(put_new);
    let put_if = |condition| put_new.replace("--if-absent", condition);
    for (command, code) in
        [(put_new, 2), (&put_if(if_value), 2), (&put_if(if_present), 0), (del_if, 0), (del_if, 2)]
    {
        assert_eq!(bash.tries(command, "").code, code, "{command}");
    }
}

/// Backups of two nodes, restored into the cluster they are from.
fn backups(section: &str, bash: &mut Bash) {
    fs::create_dir(bash.path("safe")).unwrap();
    bash.types(&shell("INSERT INTO carts (key, value) VALUES ('bob', 'tea')"));
    bash.types(script(section));
    assert_eq!(bash.types("quorate get carts bob"), "tea\n");
    for node in ["n1", "n2", "n3"] {
        fs::remove_dir_all(bash.path(&format!("{node}/backups/nightly"))).unwrap();
    }
}

/// Each row of the table, with the flags that it tells of. Nodes are stopped last.
fn admin(section: &str, bash: &mut Bash) {
    bash.waits_for("quorate admin status --check");
    for Typed { text, .. } in typed(section, "$ ") {
        bash.types(&text);
    }
    let mut commands: Vec<Vec<String>> = Vec::new();
    for (first, second) in rows(section) {
        let row = first.trim_matches('`').replace(['[', ']'], "");
        let whole: Vec<_> =
            first.trim_matches('`').split(" [").map(|part| part.trim_end_matches(']')).collect();
        let mut variants = vec![whole[0].to_owned()];
        variants.extend((row != variants[0]).then_some(row));
        let flags = spans(second).into_iter().filter(|span| span.starts_with("--"));
        variants.extend(flags.map(|flag| format!("{} {flag}", whole[0])));
        commands.push(variants);
    }
    let drain = commands.pop().expect("rows");
    assert!(commands.len() == 9 && drain.len() == 3 && drain[0].contains("drain"), "{commands:?} {drain:?}");
    for command in commands.concat() {
        bash.types(&command);
        if !command.contains(" backup ") {
            let json = bash.types(&format!("{command} --output json"));
            assert!(serde_json::from_str::<Value>(&json).is_ok(), "{command}: {json}");
        }
    }
    // The row drains one node; another one is drained without waiting for it.
    bash.types(&drain[1]);
    bash.types(&drain[2].replace("n2", "n3"));
}

/// A shell that carries statements out.
fn shell(statements: &str) -> String {
    format!("quorate shell -e \"{statements}\"")
}

fn context(bash: &mut Bash, table: &str, key: &str) -> String {
    let read = bash.types(&format!("quorate get {table} {key} --output jsonl"));
    serde_json::from_str::<Value>(&read).unwrap()["context"].as_str().unwrap().to_owned()
}

const PROMPT: &str = "quorate:default> ";
const PACKAGES: &str = "tests/data/packages.csv";
