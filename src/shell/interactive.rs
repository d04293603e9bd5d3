//! The shell for a person: prompt, line editing, history.

#![expect(
    clippy::disallowed_methods,
    reason = "the history is a file, and tables are asked for while a person types"
)]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use console::Term;
use rustyline::{CompletionType, Config, Editor, error::ReadlineError, history::FileHistory};
use tokio::task::JoinHandle;

use super::{
    Flow, Session, ShellError,
    console::stdout_has_color,
    editor::{Assistant, TableNames},
    script::run_chunk,
    session::UnderWay,
};
use crate::cql::{Open, SessionLevel, left_open};

/// Reads statements from the terminal until EXIT or the end of input. Errors are shown and forgotten; Ctrl-C
/// gives up the statement that is being written or carried out.
///
/// # Errors
/// Those of the terminal.
pub async fn run_interactive(session: &mut Session) -> Result<(), ShellError> {
    let tables = TableNames::default();
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_STATEMENTS)
        .map_err(terminal)?
        .build();
    let mut editor = Editor::<Assistant, FileHistory>::with_config(config).map_err(terminal)?;
    editor.set_helper(Some(Assistant::new(TableNames::clone(&tables), stdout_has_color())));
    let history = history_file();
    if let Some(file) = &history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    session.console().note("HELP lists the statements, EXIT leaves.");
    let mut chunk = String::new();
    loop {
        let learning = learn_tables(session, &tables);
        let prompt = prompt(session.level(), left_open(&chunk));
        if let Some(assistant) = editor.helper_mut() {
            assistant.goes_on_after(&chunk);
        }
        let reading = tokio::task::spawn_blocking(move || (editor.readline(&prompt), prompt, editor));
        let (line, prompt, back) = reading.await.map_err(io::Error::other)?;
        editor = back;
        // An answer that is late would be older than the next one.
        learning.abort();
        match line {
            Ok(line) => {
                chunk.push_str(&line);
                if left_open(&chunk).is_some() {
                    chunk.push('\n');
                    continue;
                }
                let chunk = std::mem::take(&mut chunk);
                remember(&mut editor, history.as_deref(), chunk.trim());
                if leaves(&chunk) || carry_out(session, &chunk).await == Flow::Exit {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {
                chunk.clear();
                let columns = usize::from(Term::stdout().size().1).max(1);
                let erased = editor.helper().and_then(|assistant| assistant.erased_hint(&prompt, columns));
                session.console().redraw(&erased.unwrap_or_default());
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(terminal(error)),
        }
    }
    Ok(())
}

/// Adds a statement to the history at once: the terminal may be closed any time, and other shells add theirs. One that cannot
/// be kept is no reason to stop.
fn remember(editor: &mut Editor<Assistant, FileHistory>, file: Option<&Path>, statement: &str) {
    if !statement.is_empty() && editor.add_history_entry(statement).is_ok_and(|is_new| is_new) {
        let _ = file.map(|file| editor.append_history(file));
    }
}

/// What stands before a line: the level of statements that name none, or what the lines before have left open.
fn prompt(level: SessionLevel, open: Option<Open>) -> String {
    let first = format!("quorate:{}> ", level.to_string().to_lowercase());
    let goes_on = match open {
        None => return first,
        Some(Open::Statement) => "-> ",
        Some(Open::Text) => "'> ",
        Some(Open::Comment) => "*> ",
    };
    format!("{goes_on:>width$}", width = first.len())
}

/// Whether that is how one leaves another shell. EXIT and QUIT are statements.
fn leaves(chunk: &str) -> bool {
    let typed = chunk.trim().trim_end_matches(';').trim_end();
    LEAVING.iter().any(|word| word.eq_ignore_ascii_case(typed))
}

async fn carry_out(session: &mut Session, chunk: &str) -> Flow {
    let result = tokio::select! {
        result = run_chunk(session, chunk, 1) => result,
        _ = tokio::signal::ctrl_c() => {
            let (console, under_way) = (*session.console(), session.under_way());
            match under_way {
                UnderWay::NoWrite => console.note(under_way.given_up()),
                UnderWay::Write | UnderWay::CopyFrom => console.warn(under_way.given_up()),
            }
            return Flow::Continue;
        }
    };
    result.unwrap_or_else(|error| {
        session.console().error(error);
        Flow::Continue
    })
}

/// Asks for the names of tables while a statement is typed. Those that were heard of last do until then, and if nobody
/// answers.
fn learn_tables(session: &Session, names: &TableNames) -> JoinHandle<()> {
    let (client, names) = (session.client().clone(), TableNames::clone(names));
    tokio::spawn(async move {
        if let Ok(tables) = client.tables().await {
            let heard = tables.into_iter().map(|table| table.name).collect();
            *names.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        }
    })
}

/// `$XDG_STATE_HOME/quorate/history`, by default below `~/.local/state`; its directory is made.
fn history_file() -> Option<PathBuf> {
    let path = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")))?;
    let dir = state.join("quorate");
    fs::create_dir_all(&dir).ok()?;
    Some(dir.join("history"))
}

fn terminal(error: ReadlineError) -> ShellError {
    ShellError::Console(io::Error::other(format!("terminal: {error}")))
}

const HISTORY_STATEMENTS: usize = 1_000;
const LEAVING: &[&str] = &["\\q", ":q", "q", ".exit", ".quit", "exit()", "quit()", "bye", "logout"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::{Statement, is_complete, parse_one};

    #[test]
    fn a_prompt_says_what_is_open() {
        let prompts = [None, Some(Open::Statement), Some(Open::Text), Some(Open::Comment)]
            .map(|open| prompt(SessionLevel::Default, open));
        assert_eq!(
            prompts,
            ["quorate:default> ", "              -> ", "              '> ", "              *> "]
        );
    }

    #[test]
    fn what_leaves_leaves_at_once() {
        for typed in LEAVING {
            assert!(
                leaves(typed) && leaves(&format!(" {};\n", typed.to_uppercase())) && is_complete(typed),
                "{typed}"
            );
            assert!(parse_one(typed).is_err(), "{typed} is no statement");
        }
        for typed in ["exit", "QUIT", "quit;"] {
            assert!(is_complete(typed), "{typed}");
            assert_eq!(parse_one(typed), Ok(Statement::Exit), "{typed}");
        }
        assert!(!leaves("") && !leaves(";") && !leaves("SELECT 'q';"));
    }
}
