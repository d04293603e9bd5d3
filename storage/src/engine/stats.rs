//! What an engine uses.

/// What an engine uses. Figures are those of the moment, cheap to take, and may lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Resident bytes of the block cache.
    pub cache_bytes: u64,
    /// Resident bytes of writes that are durable in the journal, not yet in a table.
    pub write_buffer_bytes: u64,
    /// Bytes on disk, journals included.
    pub disk_bytes: u64,
    /// Bytes of journals that a restart has to replay.
    pub journal_bytes: u64,
    /// Bytes free on the file system; `u64::MAX` if it does not tell.
    pub free_bytes: u64,
    /// Write buffers that wait to be written out.
    pub flushes_waiting: u64,
    /// Compactions under way.
    pub compactions_running: u64,
    /// Compactions done since the engine was opened.
    pub compactions: u64,
}
