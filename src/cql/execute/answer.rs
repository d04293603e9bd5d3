//! What comes back of a statement.

use bytes::Bytes;

use crate::client::{ComparedAndSet, Read, Scan, TableDefinition, Written};

/// What comes back of a statement. A program that knows what it asked for takes it out with one of the methods.
///
/// ```
/// # #[cfg(feature = "mock")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use quorate::client::TableKind;
/// # let client = quorate::client::Mock::new().client();
/// # client.create_table("carts").await?;
/// # client.create_table("locks").kind(TableKind::Cas).await?;
/// let insert = client.prepare("INSERT INTO carts (key, value) VALUES (?, ?)")?;
/// let written = insert.execute(("alice", "2 apples")).await?.written()?;
/// println!("on {:?}", written.receipt().answered);
/// insert.execute(("bob", "a pear")).await?;
///
/// let several = client.execute("SELECT * FROM carts WHERE key IN (?, ?)", ("alice", "bob")).await?;
/// for (key, read) in several.reads()? {
///     println!("{key:?}: {:?} in the context {}", read.values(), read.context());
/// }
///
/// let mut all = client.execute("SELECT * FROM carts LIMIT 100", ()).await?.scan()?;
/// while let Some(row) = all.next().await? {
///     println!("{:?}: {:?}", row.key(), row.values());
/// }
///
/// let lock = "INSERT INTO locks (key, value) VALUES (?, ?) IF NOT EXISTS";
/// let mine = client.execute(lock, ("nightly job", "worker 7")).await?.compared()?;
/// assert!(mine.is_applied());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "mock"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Of a `SELECT` that names keys: each key once, in the order written, and what was read of it, whichever columns the
    /// statement selects. A key that holds nothing is there, too, with no values.
    Reads(Vec<(Bytes, Read)>),
    /// Of a `SELECT` of all keys: nothing is read before rows or pages are taken.
    Scan(Box<Scan>),
    /// Of an `INSERT`, `UPDATE` or `DELETE`.
    Written(Written),
    /// Of one with a condition, which was met or not.
    Compared(ComparedAndSet),
    /// Of `CREATE TABLE` and `ALTER TABLE`: the table as it is now. With `IF NOT EXISTS` that may be another one than was asked
    /// for. Of `DESCRIBE TABLE` as well.
    Table(Box<TableDefinition>),
    /// Of `DESCRIBE TABLES`: all tables, in the order of their names.
    Tables(Vec<TableDefinition>),
    /// Of `DROP TABLE` and `TRUNCATE`: it is done.
    Done,
}

/// The statement is answered by something else than what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the statement is answered by {found}, not by {wanted}")]
pub struct OtherAnswer {
    wanted: &'static str,
    found: String,
}

impl Answer {
    /// What was read of the one key that a `SELECT` names.
    ///
    /// # Errors
    /// [`OtherAnswer`], as of a `SELECT` of several keys.
    pub fn read(self) -> Result<Read, OtherAnswer> {
        match self {
            Self::Reads(mut reads) if reads.len() == 1 => Ok(reads.remove(0).1),
            other => Err(other.instead_of("the read of one key")),
        }
    }

    /// The keys that a `SELECT` names and what was read of each, in the order written.
    ///
    /// # Errors
    /// [`OtherAnswer`].
    pub fn reads(self) -> Result<Vec<(Bytes, Read)>, OtherAnswer> {
        match self {
            Self::Reads(reads) => Ok(reads),
            other => Err(other.instead_of("reads of keys")),
        }
    }

    /// The scan of a `SELECT` that names no keys.
    ///
    /// # Errors
    /// [`OtherAnswer`].
    pub fn scan(self) -> Result<Scan, OtherAnswer> {
        match self {
            Self::Scan(scan) => Ok(*scan),
            other => Err(other.instead_of("a scan")),
        }
    }

    /// How a write or a delete without a condition came about.
    ///
    /// # Errors
    /// [`OtherAnswer`].
    pub fn written(self) -> Result<Written, OtherAnswer> {
        match self {
            Self::Written(written) => Ok(written),
            other => Err(other.instead_of("a write without a condition")),
        }
    }

    /// What became of a write or a delete with a condition.
    ///
    /// # Errors
    /// [`OtherAnswer`].
    pub fn compared(self) -> Result<ComparedAndSet, OtherAnswer> {
        match self {
            Self::Compared(compared) => Ok(compared),
            other => Err(other.instead_of("a write with a condition")),
        }
    }

    /// The table that was created, altered or described.
    ///
    /// # Errors
    /// [`OtherAnswer`].
    pub fn table(self) -> Result<TableDefinition, OtherAnswer> {
        match self {
            Self::Table(table) => Ok(*table),
            other => Err(other.instead_of("a table's definition")),
        }
    }

    fn instead_of(&self, wanted: &'static str) -> OtherAnswer {
        let found = match self {
            Self::Reads(reads) => match reads.len() {
                1 => "the read of one key".to_owned(),
                keys => format!("reads of {keys} keys"),
            },
            Self::Scan(_) => "a scan".to_owned(),
            Self::Written(_) => "a write without a condition".to_owned(),
            Self::Compared(_) => "a write with a condition".to_owned(),
            Self::Table(_) => "a table's definition".to_owned(),
            Self::Tables(_) => "the definitions of all tables".to_owned(),
            Self::Done => "nothing but that it is done".to_owned(),
        };
        OtherAnswer { wanted, found }
    }
}
