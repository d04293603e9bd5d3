//! How an engine fails.

/// Why an engine did not do what it was asked.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The disk failed. After a failed commit what its files show need not be what the disk holds: nothing
    /// may be acknowledged, the node goes down, and its state counts as lost (rule S2).
    #[error("the disk failed: {0}")]
    Io(String),
    /// No room: nothing of the batch was written, reads go on (rule S5).
    #[error("the disk is full")]
    Full,
    /// The engine takes no further writes until it is opened again: it failed in the background, or the disk
    /// ran full within a batch. Everything acknowledged is durable; the batch may be.
    #[error("the storage engine has stopped: {0}")]
    Stopped(String),
    /// What was read is not what was written; nobody knows how much else is (rule S3).
    #[error("the files are damaged: {0}")]
    Damaged(String),
    /// At an open: files are damaged, or writes that were promised are missing. The directory counts as lost
    /// (rule S4). Nothing was changed.
    #[error("what the data directory held is lost: {0}")]
    Lost(String),
    /// The files would not open, for a reason that is not in them: a setting out of range, or a newer format.
    /// Nothing is lost.
    #[error("the data directory would not open: {0}")]
    Refused(String),
    /// Another process holds the data directory. Nothing is lost.
    #[error("the data directory is in use by another process: {0}")]
    Locked(String),
}

impl EngineError {
    /// Whether the node must go down (rule S2): everything but a full disk.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Full)
    }
}
