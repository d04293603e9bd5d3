//! What of the README is to be typed.

use std::fs;

/// The README's text, from the root of the repository.
pub(super) struct Readme(String);

/// What stands between two fences.
pub(super) struct Block<'a> {
    /// What follows the first fence; nothing for a session.
    pub(super) language: &'a str,
    pub(super) text: &'a str,
}

/// What is typed after a prompt, and what is printed then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) answer: String,
}

impl Readme {
    pub(super) fn read() -> Self {
        Self(fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap())
    }

    /// The text below a heading of the second level.
    pub(super) fn section(&self, heading: &str) -> &str {
        let (_, rest) = self.0.split_once(&format!("\n## {heading}\n")).expect(heading);
        rest.split("\n## ").next().unwrap()
    }
}

/// The blocks of a section, in its order.
pub(super) fn blocks(section: &str) -> Vec<Block<'_>> {
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced
        .map(|block| block.split_once('\n').unwrap())
        .map(|(language, text)| Block { language, text })
        .collect()
}

/// The one block of a section that is a script.
pub(super) fn script(section: &str) -> &str {
    let mut scripts = blocks(section).into_iter().filter(|block| block.language == "sh");
    let (Some(script), None) = (scripts.next(), scripts.next()) else { panic!("one script: {section}") };
    script.text
}

/// What follows `prompt` at the beginning of lines of the section's sessions; it goes on in lines that are indented.
pub(super) fn typed(section: &str, prompt: &str) -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    for block in blocks(section).iter().filter(|block| block.language.is_empty()) {
        let mut is_open = false;
        for line in block.text.lines() {
            if let Some(text) = line.strip_prefix(prompt) {
                all.push(Typed { text: text.to_owned(), answer: String::new() });
                is_open = true;
            } else if let Some(Typed { text, answer }) = all.last_mut() {
                is_open &= line.starts_with(' ');
                let part = if is_open { text } else { answer };
                *part = format!("{part}\n{line}");
            }
        }
    }
    all.iter_mut().for_each(|typed| typed.answer = typed.answer.trim().to_owned());
    all
}

/// The cells of the section's tables, without those of headings.
pub(super) fn rows(section: &str) -> Vec<(&str, &str)> {
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    lines
        .map(|line| line.trim_matches('|').split_once(" | ").unwrap())
        .map(|(first, second)| (first.trim(), second.trim()))
        .collect()
}

/// What stands in backticks in running text, its lines joined.
pub(super) fn spans(text: &str) -> Vec<String> {
    let running: String = text.split("\n```").step_by(2).collect();
    let joined = running.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn what_is_to_be_typed_is_found_where_it_stands() {
    let section = "\nText `one\ntwo` and `three`.\n\n```sh\na\nb\n```\n\n```\n$ c\n  d\ne\n  f\n$ g\n```\n\n| `h` `i` | `j` |\n";
    assert_eq!(spans(section), ["one two", "three", "h", "i", "j"]);
    assert_eq!(script(section), "a\nb");
    let expected = [("c\n  d", "e\n  f"), ("g", "")];
    let expected = expected.map(|(text, answer)| Typed { text: text.to_owned(), answer: answer.to_owned() });
    assert_eq!(typed(section, "$ "), expected);
    assert_eq!(rows(section), [("`h` `i`", "`j`")]);
}
