//! Several backups of one cluster, read as one.

use std::io::Read;

use super::{BackupError, BackupReader};
use crate::{MergeError, Merged, Row, State, merge};

/// Reads data files side by side: each row once, in ascending order, with what all of them together hold of it.
#[derive(Debug)]
pub struct MergedBackups<R> {
    readers: Vec<BackupReader<R>>,
    /// The next row of each.
    heads: Vec<Option<(Row, State)>>,
}

impl<R: Read> MergedBackups<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// What is wrong with the first record of one of them.
    pub fn new(mut readers: Vec<BackupReader<R>>) -> Result<Self, BackupError> {
        let heads = readers.iter_mut().map(BackupReader::next).collect::<Result<_, _>>()?;
        Ok(Self { readers, heads })
    }

    /// The next row, and what is held of it, or why that cannot be told: two of the backups contradict each other. `None`
    /// at the end.
    ///
    /// # Errors
    /// What is wrong with a record.
    #[expect(
        clippy::should_implement_trait,
        clippy::type_complexity,
        reason = "an error ends it: it is no iterator"
    )]
    pub fn next(&mut self) -> Result<Option<(Row, Result<State, MergeError>)>, BackupError> {
        let Some(least) = self.heads.iter().flatten().map(|(row, _)| row).min().cloned() else {
            return Ok(None);
        };
        let mut joined: Result<Option<State>, MergeError> = Ok(None);
        for (reader, head) in self.readers.iter_mut().zip(&mut self.heads) {
            let Some((_, state)) = head.take_if(|(row, _)| *row == least) else { continue };
            // What an acceptor has promised says nothing of what the key holds.
            joined = joined.and_then(|held| join(held, state.as_message()).map(Some));
            *head = reader.next()?;
        }
        let Some(state) = joined.transpose() else { return Ok(None) };
        Ok(Some((least, state)))
    }

    /// Bytes read so far of all of them.
    pub fn bytes(&self) -> u64 {
        self.readers.iter().map(BackupReader::bytes).sum()
    }
}

fn join(held: Option<State>, incoming: State) -> Result<State, MergeError> {
    Ok(match (merge(held.as_ref(), &incoming)?, held) {
        (Merged::Joined(joined), _) => joined,
        (Merged::Held, Some(held)) => held,
        (Merged::Held | Merged::Incoming, _) => incoming,
    })
}
