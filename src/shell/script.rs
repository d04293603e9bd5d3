//! Statements from a text or from standard input: the first error ends them.

#![expect(clippy::disallowed_methods, reason = "the shell reads files of statements")]

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::Path,
};

use super::{Flow, Session, ShellError, unknown_table::pointed_out};
use crate::cql::{Script, is_complete};

/// Carries out the statements of `source`. Those before an error are done.
///
/// # Errors
/// The first one.
pub async fn run_source(session: &mut Session, source: &str) -> Result<Flow, ShellError> {
    let mut chunks = Chunks::default();
    for line in source.split_inclusive('\n') {
        if let Some((chunk, first_line)) = chunks.push(line)
            && run_chunk(session, &chunk, first_line).await? == Flow::Exit
        {
            return Ok(Flow::Exit);
        }
    }
    let (chunk, first_line) = chunks.rest();
    run_chunk(session, &chunk, first_line).await
}

/// Carries out statements from standard input as they come.
///
/// # Errors
/// The first one.
pub async fn run_input(session: &mut Session) -> Result<Flow, ShellError> {
    let mut chunks = Chunks::default();
    loop {
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|bytes| (bytes > 0).then_some(line))
        });
        let Some(line) = line.await.map_err(io::Error::other)?? else { break };
        if let Some((chunk, first_line)) = chunks.push(&line)
            && run_chunk(session, &chunk, first_line).await? == Flow::Exit
        {
            return Ok(Flow::Exit);
        }
    }
    let (chunk, first_line) = chunks.rest();
    run_chunk(session, &chunk, first_line).await
}

/// Carries out the statements of one chunk; `first_line` is where it begins in its file.
pub(super) async fn run_chunk(
    session: &mut Session,
    chunk: &str,
    first_line: usize,
) -> Result<Flow, ShellError> {
    for parsed in Script::new(chunk) {
        let (statement, span) = parsed.map_err(|error| ShellError::Cql(error.render(chunk, first_line)))?;
        match session.execute(statement).await {
            Ok(Flow::Continue) => {}
            Ok(Flow::Exit) => return Ok(Flow::Exit),
            Err(error) => return Err(pointed_out(error, session, (chunk, span), first_line).await),
        }
    }
    Ok(Flow::Continue)
}

/// The text of a file of statements.
///
/// # Errors
/// Those of reading; bytes that are not UTF-8 are one.
pub fn read_file(file: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Gathers lines until they make whole statements.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    gathered: String,
    /// Lines of earlier chunks.
    lines: usize,
}

impl Chunks {
    /// Adds a line; gives the chunk, and its first line's number, that it completes.
    pub(super) fn push(&mut self, line: &str) -> Option<(String, usize)> {
        self.gathered.push_str(line);
        is_complete(&self.gathered).then(|| self.rest())
    }

    /// What is left at the end.
    pub(super) fn rest(&mut self) -> (String, usize) {
        let chunk = std::mem::take(&mut self.gathered);
        let first_line = self.lines + 1;
        self.lines += chunk.matches('\n').count();
        (chunk, first_line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_end_where_statements_do_and_know_their_lines() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.push("HELP\n"), Some(("HELP\n".to_owned(), 1)));
        assert_eq!(chunks.push("SELECT *\n"), None);
        assert_eq!(chunks.push("FROM t;\n"), Some(("SELECT *\nFROM t;\n".to_owned(), 2)));
        assert_eq!(chunks.push("INSERT '"), None);
        assert_eq!(chunks.rest(), ("INSERT '".to_owned(), 4));
    }
}
