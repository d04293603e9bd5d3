//! Statements that are parsed once and carried out often.

use std::sync::Arc;

use super::Execute;
use crate::{
    client::Client,
    cql::{CqlError, Describe, Parameters, Statement, parse_one},
};

/// A statement that was parsed once, to be carried out often. Cheap to clone. [`Client::prepare`] gives one.
#[derive(Clone, Debug)]
pub struct Prepared {
    client: Client,
    statement: Arc<Statement>,
}

/// Why a text is no statement that a program can carry out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// It is no statement. The message has the line at fault, with carets beneath the place.
    #[error("{}", error.render(text, 1))]
    Malformed {
        /// What is wrong, and where.
        error: CqlError,
        /// The text.
        text: String,
    },
    /// It is a command of the shell.
    #[error("{command} is a command of the shell, not a statement of programs: {instead}")]
    Command {
        /// The command.
        command: String,
        /// What programs do instead.
        instead: &'static str,
    },
}

impl Client {
    /// Parses a statement, to be carried out often with other parameters. Nothing is sent for it: the table is looked up when
    /// the statement is first carried out, and again only after tables of the cluster were changed.
    ///
    /// ```
    /// # #[cfg(feature = "mock")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = quorate::client::Mock::new().client();
    /// # client.create_table("carts").await?;
    /// let cart = client.prepare("SELECT * FROM carts WHERE key = ?")?;
    /// let replace = client.prepare("UPDATE carts SET value = ? WHERE key = ? WITH CONTEXT ?")?;
    ///
    /// let read = cart.execute(("alice",)).await?.read()?;
    /// replace.execute(("2 apples", "alice", read.context())).await?;
    ///
    /// let error = client.prepare("SELCT * FROM carts").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "syntax error: no statement begins with 'SELCT' at line 1, column 1:
    ///     SELCT * FROM carts
    ///     ^^^^^
    /// did you mean SELECT?"
    /// );
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "mock"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub fn prepare(&self, text: &str) -> Result<Prepared, PrepareError> {
        let malformed = |error| PrepareError::Malformed { error, text: text.to_owned() };
        let statement = parse_one(text).map_err(malformed)?;
        match instead(&statement) {
            None => Ok(Prepared { client: self.clone(), statement: Arc::new(statement) }),
            Some(_) => Err(PrepareError::command(&statement)),
        }
    }
}

impl Prepared {
    /// Carries it out with these parameters: see [`Client::execute`].
    pub fn execute(&self, parameters: impl Into<Parameters>) -> Execute {
        Execute::of(self.client.clone(), &self.statement, &parameters.into())
    }

    /// The statement. It prints as text that parses back to it, with its clauses in an order of their own: of several `?` the
    /// same values may then belong to others, of named parameters they do not.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

impl PrepareError {
    pub(super) fn command(statement: &Statement) -> Self {
        let text = statement.to_string();
        let words = if matches!(statement, Statement::Describe(_)) { 2 } else { 1 };
        let command = text.split(' ').take(words).collect::<Vec<_>>().join(" ");
        Self::Command { command, instead: instead(statement).unwrap_or("it has none") }
    }

    /// What is wrong with the text, and where, if it is no statement.
    pub fn syntax(&self) -> Option<&CqlError> {
        match self {
            Self::Malformed { error, .. } => Some(error),
            Self::Command { .. } => None,
        }
    }
}

/// What programs do in the place of a command of the shell; none of statements.
fn instead(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::CreateTable(_)
        | Statement::AlterTable(_)
        | Statement::DropTable(_)
        | Statement::Truncate(_)
        | Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Select(_)
        | Statement::Delete(_)
        | Statement::Describe(Describe::Tables | Describe::Table(_)) => None,
        Statement::CopyFrom(_) => Some("they write many keys with `TableHandle::put_many`"),
        Statement::CopyTo(_) => Some("they read a table with SELECT or `TableHandle::scan`"),
        Statement::Consistency(_) => Some("a statement says USING CONSISTENCY, or goes by a profile"),
        Statement::Describe(Describe::Cluster) => Some("they ask `Client::cluster_info`"),
        Statement::Tracing(_) => Some("answers and errors have receipts"),
        Statement::Paging(_) => Some("they take the pages of a scan as they like"),
        Statement::Wait(_) => Some("they await `Client::wait_for_hints` or `Client::wait_for_convergence`"),
        Statement::Expand(_) | Statement::Timing(_) => Some("nothing is printed"),
        Statement::Source(_) => {
            Some("they carry out one statement after the other; `cql::Script` splits a text")
        }
        Statement::Help(_) => Some("the documentation of `quorate::client` lists what there is"),
        Statement::Exit => Some("a client ends when it is dropped"),
    }
}
