//! The repository tests itself: floors, file and function growth, and what the top level may hold.
//!
//! The compiler knows crates; within the root package only this test keeps the arrows pointing down.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its source tree has failed")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Rooms of the root package by floor; a room may use its own floor and those below.
const FLOORS: &[(u8, &[&str])] = &[
    (2, &["wire", "node", "coordinator", "replica", "membership", "recovery", "handoff", "repair"]),
    (3, &["transport", "runtime", "tls"]),
    (4, &["client", "cql", "shell", "bin", "certs", "config", "cli"]),
];

/// Words that no pure floor says in code.
const IMPURE: &[&str] = &[
    "tokio::",
    "quinn::",
    "fjall::",
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "HashMap",
    "HashSet",
    "rand::rng",
];

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let Some(floor) = room_of(&file).and_then(floor_of) else {
            continue;
        };
        for (number, line) in code_lines(&file) {
            for word in line.split("crate::").skip(1) {
                let mut rooms =
                    word.trim_start_matches('{').split(|c: char| !c.is_alphanumeric() && c != '_');
                if let Some(above) = rooms.next().and_then(floor_of).filter(|other| *other > floor) {
                    wrong.push(format!(
                        "{}:{number}: floor {floor} uses floor {above}: {line}",
                        file.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn pure_floors_stay_pure() {
    let mut wrong = Vec::new();
    let pure_rooms = FLOORS[0].1.iter().map(|room| format!("src/{room}"));
    for root in pure_rooms.chain(["ring/src", "gossip/src", "storage/src"].map(String::from)) {
        for file in rust_files(&root) {
            if file.to_string_lossy().contains("storage/src/engine/") {
                continue; // the fjall engine holds the files: the one driver below its floor
            }
            for (number, line) in code_lines(&file) {
                for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word} in: {line}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "clocks, files, threads or hash order on a pure floor:\n{}", wrong.join("\n"));
}

#[test]
fn crates_know_only_those_below() {
    let allowed =
        BTreeMap::from([("ring", &[][..]), ("gossip", &["quorate-ring"]), ("storage", &["quorate-ring"])]);
    for (member, allowed) in allowed {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        let edges = manifest.lines().filter(|l| l.starts_with("quorate") && l.contains("workspace"));
        for edge in edges {
            let name = edge.split(['.', ' ']).next().unwrap();
            assert!(allowed.contains(&name), "{member} must not depend on {name}");
        }
    }
}

#[test]
fn files_stay_small() {
    let mut wrong = Vec::new();
    for file in all_rust_files() {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        let has_reason =
            text.lines().take_while(|l| l.starts_with("//!")).any(|l| l.contains("Long because"));
        if lines > FILE_LINES_MAX && !has_reason {
            wrong.push(format!("{}: {lines} lines", file.display()));
        }
    }
    let rule = "split it, or say `Long because ...` in its module doc";
    assert!(wrong.is_empty(), "files above {FILE_LINES_MAX} lines ({rule}):\n{}", wrong.join("\n"));
}

#[test]
fn functions_stay_small() {
    let mut wrong = Vec::new();
    for file in all_rust_files() {
        let text = fs::read_to_string(&file).unwrap();
        for (name, line, length) in functions(&text) {
            if length > FUNCTION_LINES_MAX {
                wrong.push(format!("{}:{line}: fn {name} has {length} lines", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "functions above {FUNCTION_LINES_MAX} lines:\n{}", wrong.join("\n"));
}

#[test]
fn the_top_level_holds_what_it_should() {
    const ALLOWED: &[&str] = &[
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "LICENSE",
        "clippy.toml",
        "rustfmt.toml",
        "src",
        "ring",
        "gossip",
        "storage",
        "tests",
        "jepsen",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || ALLOWED.contains(&name.as_str()),
            "'{name}' has no place at the top level"
        );
    }
}

#[test]
fn the_scanner_finds_functions() {
    let text = "trait T {\n    fn none();\n}\nimpl A {\n    fn one() {\n        1;\n    }\n\n    pub fn two(\n    ) -> u8\n    {\n        2\n    }\n}\n";
    assert_eq!(functions(text), [("one".to_owned(), 5, 3), ("two".to_owned(), 9, 5)]);
}

/// Name, first line and number of lines of each function that rustfmt laid out: its end is the first
/// closing brace at its own indentation.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<_> = line.split_whitespace().collect();
        let Some(fn_at) = words.iter().position(|word| *word == "fn") else {
            continue;
        };
        let is_prefix = |w: &&str| ["pub", "const", "async"].contains(w) || w.starts_with("pub(");
        if !words[..fn_at].iter().all(is_prefix) || fn_at + 1 >= words.len() {
            continue;
        }
        if line.ends_with(';') {
            continue; // a trait's, without a body
        }
        let closing = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[at..].iter().position(|l| *l == closing) {
            let name = words[fn_at + 1].split(['(', '<']).next().unwrap_or_default();
            found.push((name.to_owned(), at + 1, length + 1));
        }
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

fn floor_of(room: impl AsRef<str>) -> Option<u8> {
    FLOORS.iter().find(|(_, rooms)| rooms.contains(&room.as_ref())).map(|(floor, _)| *floor)
}

/// Lines of code with their numbers: no comments, and nothing from the file's `#[cfg(test)]` on.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    if file.ends_with("tests.rs") || file.components().any(|c| c.as_os_str() == "tests") {
        return Vec::new();
    }
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(number, line)| (number, line.split("//").next().unwrap_or_default().to_owned()))
        .collect()
}

fn all_rust_files() -> Vec<PathBuf> {
    ["src", "ring", "gossip", "storage", "jepsen", "tests"].iter().flat_map(|dir| rust_files(dir)).collect()
}

fn rust_files(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(dir)];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = fs::read_dir(dir) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
