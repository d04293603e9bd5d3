//! Help while a statement is typed, line by line: completion, colours, and what may come next.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use rustyline::{
    Context, Helper, Result,
    completion::{Completer, Pair},
    highlight::{CmdKind, Highlighter},
    hint::{Hinter, HistoryHinter},
    validate::Validator,
};

use super::file_names::files;
use crate::cql::{Class, Expected, Span, expected, highlights, open_text, width};

/// Names of tables, as they were heard of last.
pub(super) type TableNames = Arc<Mutex<Vec<String>>>;

/// What the line editor asks.
pub(super) struct Assistant {
    tables: TableNames,
    /// The lines before the one that is typed, if that goes on with a statement.
    begun: String,
    /// Without colours a hint could not be told from what was typed.
    has_color: bool,
    history: HistoryHinter,
    /// The line that was asked about last and the hint behind it: it stays on the screen when the line is given up.
    hinted: Mutex<Option<(String, String)>>,
}

impl Assistant {
    pub(super) fn new(tables: TableNames, has_color: bool) -> Self {
        let (begun, history) = (String::new(), HistoryHinter::new());
        Self { tables, begun, has_color, history, hinted: Mutex::default() }
    }

    /// What is typed next goes on after these lines.
    pub(super) fn goes_on_after(&mut self, begun: &str) {
        begun.clone_into(&mut self.begun);
    }

    /// What takes the hint off a screen of so many `columns`, after a line behind `prompt` was given up: the cursor stands below
    /// both.
    pub(super) fn erased_hint(&self, prompt: &str, columns: usize) -> Option<String> {
        let (line, hint) = self.hinted.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let last =
            line.rsplit_once('\n').map_or_else(|| format!("{prompt}{line}"), |(_, last)| last.to_owned());
        let (from, to) = (width(&last), width(&last) + width(&hint));
        let (up, column) = (to / columns - from / columns + 1, from % columns + 1);
        Some(format!("\u{1b}[{up}A\u{1b}[{column}G\u{1b}[J\n"))
    }

    fn hint_behind(&self, line: &str, pos: usize, ctx: &Context<'_>) -> Option<String> {
        if !self.has_color || pos < line.len() || line.trim().is_empty() {
            return None;
        }
        // Statements of the history begin where a statement does.
        let earlier = if self.begun.is_empty() { self.history.hint(line, pos, ctx) } else { None };
        earlier.or_else(|| self.what_must_follow(&format!("{}{line}", self.begun)))
    }

    /// What `begun` may become after `before`, but for the names of files.
    fn candidates(&self, before: &str, begun: &str) -> Vec<(Expected, String)> {
        let mut found = Vec::new();
        for one in expected(before) {
            match one {
                Expected::Level(level) if begun.starts_with('\'') => {
                    found.push((one, format!("'{}'", cased(level, begun))));
                }
                Expected::Word(word) | Expected::Function(word) | Expected::Level(word) => {
                    found.push((one, cased(word, begun)));
                }
                Expected::Name(name) => found.push((one, name.to_ascii_lowercase())),
                Expected::Text(text) => found.push((one, format!("'{text}'"))),
                Expected::Table => {
                    let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
                    found.extend(tables.iter().map(|table| (one, table.clone())));
                }
                Expected::Symbol(_) | Expected::File | Expected::NewTable => {}
            }
        }
        let fits = |word: &str| word.get(..begun.len()).is_some_and(|head| head.eq_ignore_ascii_case(begun));
        found.retain(|(_, word)| fits(word));
        found
    }

    /// What must follow `typed`, as far as there is no choice.
    fn what_must_follow(&self, typed: &str) -> Option<String> {
        let mut line = typed.to_owned();
        let (before, begun) = typed.split_at(word_begins(typed));
        if !begun.is_empty() {
            let [(_, only)] = &self.candidates(before, begun)[..] else { return None };
            line = before.to_owned() + only;
        }
        for _ in 0..WORDS_MAX {
            let next = match &expected(&line)[..] {
                [Expected::Word(word)] => cased(word, ""),
                [Expected::Name(name)] => name.to_ascii_lowercase(),
                [Expected::Symbol(symbol)] => symbol.to_string(),
                _ => break,
            };
            let joins =
                line.ends_with(|c: char| c.is_whitespace() || c == '(') || matches!(&*next, ")" | "," | ";");
            line += if joins { "" } else { " " };
            line += &next;
        }
        // The beginning may have been written in another case.
        line.get(typed.len()..).filter(|rest| !rest.is_empty()).map(str::to_owned)
    }
}

/// Where the word begins that `typed` ends in: a text in quotes is one.
fn word_begins(typed: &str) -> usize {
    let after = |at: usize| at + typed[at..].chars().next().map_or(1, char::len_utf8);
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    open_text(typed).unwrap_or_else(|| typed.rfind(|c| !is_part(c)).map_or(0, after))
}

/// A keyword as it is usually written, or as it was begun.
fn cased(word: &str, begun: &str) -> String {
    let is_plain = matches!(word, "TRUE" | "FALSE");
    let is_small = |begun: &str| begun.contains(char::is_lowercase) && !begun.contains(char::is_uppercase);
    if is_small(begun) || (begun.is_empty() && is_plain) {
        word.to_ascii_lowercase()
    } else {
        word.to_owned()
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let typed = format!("{}{}", self.begun, &line[..pos]);
        let Some(begins) = word_begins(&typed).checked_sub(self.begun.len()) else {
            // It begins in an earlier line, which stays as it is.
            return Ok((pos, Vec::new()));
        };
        let (before, begun) = typed.split_at(self.begun.len() + begins);
        let mut candidates = self.candidates(before, begun);
        if (begun.is_empty() || begun.starts_with('\'')) && expected(before).contains(&Expected::File) {
            candidates.extend(files(begun).into_iter().map(|name| (Expected::File, name)));
        }
        let is_closed = line[pos..].starts_with('\'');
        let is_followed = line[pos..].starts_with(|c: char| c.is_whitespace() || "(),;=".contains(c));
        // After a text or a bracket a word stands apart, though nothing of it was typed yet.
        let stands_apart =
            begins < pos || line[..begins].ends_with(|c: char| c.is_whitespace() || "(,=".contains(c));
        let apart = if stands_apart || begins == 0 { "" } else { " " };
        let pair = |(expected, word): (Expected, String)| {
            let is_open = word.starts_with('\'') && !word.ends_with('\'');
            let after = match expected {
                _ if is_followed || is_closed || is_open => "",
                Expected::Function(_) => "(value)",
                // A symbol follows most of them.
                Expected::Name(_) => "",
                _ => " ",
            };
            let closed = if is_closed { word.strip_suffix('\'').unwrap_or(&word) } else { &word };
            Pair { replacement: format!("{apart}{closed}{after}"), display: word }
        };
        Ok((begins, candidates.into_iter().map(pair).collect()))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, ctx: &Context<'_>) -> Option<String> {
        let hint = self.hint_behind(line, pos, ctx);
        *self.hinted.lock().unwrap_or_else(PoisonError::into_inner) =
            hint.clone().map(|hint| (line.to_owned(), hint));
        hint
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.has_color {
            return Cow::Borrowed(line);
        }
        let whole = format!("{}{line}", self.begun);
        let (mut out, mut end) = (String::with_capacity(line.len() * 2), self.begun.len());
        for highlight in highlights(&whole) {
            let start = highlight.span.start.max(self.begun.len());
            let span = Span { start, ..highlight.span };
            if span.start < end || span.end <= span.start {
                continue;
            }
            let color = match highlight.class {
                Class::Keyword => BOLD_BLUE,
                Class::Text => GREEN,
                Class::Number => CYAN,
                Class::Comment => DIM,
            };
            out.extend([&whole[end..span.start], color, &whole[span.start..span.end], PLAIN]);
            end = span.end;
        }
        out.push_str(&whole[end..]);
        Cow::Owned(out)
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("{DIM}{hint}{PLAIN}"))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.has_color && kind != CmdKind::MoveCursor
    }
}

/// Every line is taken as it is: whoever reads lines sees what is still open.
impl Validator for Assistant {}

impl Helper for Assistant {}

/// Words of a hint.
const WORDS_MAX: usize = 16;
const BOLD_BLUE: &str = "\u{1b}[1;34m";
const GREEN: &str = "\u{1b}[32m";
const CYAN: &str = "\u{1b}[36m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "there are files to be found")]
mod tests {
    use std::fs;

    use super::*;

    fn assistant() -> Assistant {
        let tables = ["carts", "cats", "locks"].map(str::to_owned).to_vec();
        Assistant::new(Arc::new(Mutex::new(tables)), true)
    }

    fn completed(typed: &str) -> Vec<String> {
        let history = rustyline::history::MemHistory::new();
        let (begins, pairs) =
            assistant().complete(typed, typed.len(), &Context::new(&history)).expect("no terminal is asked");
        pairs.into_iter().map(|pair| typed[..begins].to_owned() + &pair.replacement).collect()
    }

    #[test]
    fn words_are_completed_in_the_case_they_are_begun_in() {
        assert_eq!(completed("SEL"), ["SELECT "]);
        assert_eq!(completed("sel"), ["select "]);
        assert_eq!(completed("INSERT INTO carts (k"), ["INSERT INTO carts (key"]);
        assert_eq!(completed("SELECT WR"), ["SELECT WRITETIME(value)"]);
        assert_eq!(
            completed("DELETE FROM t WHERE key = 'a' USING S"),
            ["DELETE FROM t WHERE key = 'a' USING SLOPPY "]
        );
    }

    #[test]
    fn tables_options_and_texts_are_completed_where_they_may_stand() {
        assert_eq!(completed("SELECT * FROM ca"), ["SELECT * FROM carts ", "SELECT * FROM cats "]);
        assert_eq!(completed("ca"), [""; 0]);
        let create = "CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB) WITH ";
        assert_eq!(completed(&format!("{create}rep")), [format!("{create}replication")]);
        let kinds = ["'siblings' ", "'register' ", "'cas' "].map(|kind| format!("{create}kind = {kind}"));
        assert_eq!(completed(&format!("{create}kind = ")), kinds);
        assert_eq!(completed("SELECT 'sel"), [""; 0]);
    }

    #[test]
    fn what_stands_in_quotes_is_completed_once_they_are_open() {
        let create = "CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB) WITH kind = '";
        assert_eq!(completed(&format!("{create}si")), [format!("{create}siblings' ")]);
        let alter = "ALTER TABLE carts WITH read_consistency = '";
        assert_eq!(completed(&format!("{alter}QU")), [format!("{alter}QUORUM' ")]);
        assert_eq!(completed(&format!("{alter}qu")), [format!("{alter}quorum' ")]);
        assert_eq!(completed("CONSISTENCY QU"), ["CONSISTENCY QUORUM "]);
        assert_eq!(completed("INSERT INTO carts (key, value) VALUES ('"), [""; 0], "nobody knows a new key");
        assert_eq!(completed("INSERT INTO carts (key, value) VALUES ('FROM ca"), [""; 0], "it is a text");
        let history = rustyline::history::MemHistory::new();
        let (_, pairs) = assistant().complete("CONSISTENCY 'AL'", 15, &Context::new(&history)).unwrap();
        assert_eq!(pairs[0].replacement, "'ALL", "there is a quote behind it");
    }

    #[test]
    fn files_are_completed_where_one_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["carts.csv", "schema.cql"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        fs::create_dir(dir.path().join("deep")).expect("made");
        let at = dir.path().to_str().expect("text");
        for statement in
            ["SOURCE '", "COPY carts FROM '", "COPY carts TO '", "COPY t FROM 'x' WITH progress = '"]
        {
            let typed = |name: &str| format!("{statement}{at}/{name}");
            assert_eq!(completed(&typed("s")), [typed("schema.cql' ")]);
            assert_eq!(completed(&typed("d")), [typed("deep/")], "it goes on in there");
            assert_eq!(completed(&typed("x")), [""; 0]);
        }
        assert_eq!(completed(&format!("SELECT '{at}/s")), [""; 0]);
        assert_eq!(
            assistant().what_must_follow(&format!("SOURCE '{at}/s")),
            None,
            "no disk is asked for a hint"
        );
    }

    #[test]
    fn a_word_after_a_text_or_a_bracket_stands_apart() {
        let select = "SELECT value FROM carts WHERE key = 'a'";
        assert_eq!(completed(select), [format!("{select} USING ")]);
        assert_eq!(assistant().what_must_follow(select), None, "it may end here");
        assert_eq!(assistant().what_must_follow("SELECT *").as_deref(), Some(" FROM"));
        assert_eq!(assistant().what_must_follow("SELECT WRITETIME(value)"), None, "a comma may follow");
        assert_eq!(assistant().what_must_follow("DROP TABLE carts -- "), None);
        let history = rustyline::history::MemHistory::new();
        let (_, pairs) = assistant().complete("SELECT WR(value)", 9, &Context::new(&history)).unwrap();
        assert_eq!(pairs[0].replacement, "WRITETIME");
    }

    #[test]
    fn hints_go_on_as_far_as_there_is_no_choice() {
        let hint = |typed| assistant().what_must_follow(typed);
        assert_eq!(hint("CREATE TABLE carts ").as_deref(), Some("(key TEXT PRIMARY KEY, value"));
        assert_eq!(hint("DROP TABLE carts").as_deref(), Some(";"), "there is such a table");
        assert_eq!(hint("DROP TABLE ca"), None);
        assert_eq!(hint("SELECT * FROM carts WH").as_deref(), Some("ERE key"));
        assert_eq!(hint("INSERT I").as_deref(), Some("NTO"));
        assert_eq!(hint("SELECT * FROM carts "), None);
        assert_eq!(hint("CREATE TABLE "), None, "IF NOT EXISTS may follow, or a name");
        assert_eq!(hint("CREATE TABLE IF").as_deref(), Some(" NOT EXISTS"));
    }

    #[test]
    fn a_line_that_goes_on_is_helped_with_as_a_part_of_the_whole() {
        let after = |begun: &str| {
            let mut assistant = assistant();
            assistant.goes_on_after(begun);
            assistant
        };
        let history = rustyline::history::MemHistory::new();
        let completed = |begun: &str, typed: &str| {
            let context = Context::new(&history);
            let (begins, pairs) =
                after(begun).complete(typed, typed.len(), &context).expect("no terminal is asked");
            pairs.into_iter().map(|pair| typed[..begins].to_owned() + &pair.replacement).collect::<Vec<_>>()
        };
        assert_eq!(completed("SELECT *\n", "  FR"), ["  FROM "]);
        assert_eq!(completed("SELECT * FROM\n", "ca"), ["carts ", "cats "]);
        assert_eq!(completed("SOURCE 'a\n", "b"), [""; 0], "the text begins above");
        assert_eq!(after("SELECT *\n").what_must_follow("SELECT *\nFR").as_deref(), Some("OM"));
        let select = after("SELECT * FROM carts WHERE key = 'it''s\n");
        assert_eq!(select.highlight("é' USING", 0), "\u{1b}[32mé'\u{1b}[0m \u{1b}[1;34mUSING\u{1b}[0m");
    }

    #[test]
    fn a_hint_goes_with_the_line_that_is_given_up() {
        let history = rustyline::history::MemHistory::new();
        let (assistant, context) = (assistant(), Context::new(&history));
        let erased = |line: &str, columns: usize| {
            assistant.hint(line, line.len(), &context);
            assistant.erased_hint("> ", columns)
        };
        // The cursor is in the line below, the hint begins behind "> INSERT I".
        assert_eq!(erased("INSERT I", 80).as_deref(), Some("\u{1b}[1A\u{1b}[11G\u{1b}[J\n"));
        assert_eq!(erased("SELECT * FROM carts", 80), None, "there is none");
        // "NTO" takes a place in this line and two in the next.
        assert_eq!(erased("INSERT I", 11).as_deref(), Some("\u{1b}[2A\u{1b}[11G\u{1b}[J\n"));
        assert_eq!(erased("HELP;\nINSERT I", 80).as_deref(), Some("\u{1b}[1A\u{1b}[9G\u{1b}[J\n"));
        assert_eq!(assistant.erased_hint("> ", 80), None, "once");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let line = "SELECT value FROM t WHERE key = 'é' -- x";
        let shown = assistant().highlight(line, 0).into_owned();
        let plain =
            [BOLD_BLUE, GREEN, CYAN, DIM, PLAIN].iter().fold(shown.clone(), |text, c| text.replace(c, ""));
        assert_eq!(plain, line);
        assert!(shown.starts_with("\u{1b}[1;34mSELECT\u{1b}[0m "), "{shown}");
        assert!(shown.contains("\u{1b}[32m'é'\u{1b}[0m \u{1b}[2m-- x\u{1b}[0m"), "{shown}");
    }
}
