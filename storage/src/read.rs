//! Reading a key back, with its checksum verified before anything is believed (rule S3).

use crate::{Engine, EngineError, RecordError, Row, Space, State, record};

/// Why a key could not be read.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is a record, but it is damaged: neither serve nor repair from it (rule S3).
    #[error(transparent)]
    Corrupt(#[from] RecordError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What `row` holds; `None` if nothing was ever stored there.
///
/// # Errors
///
/// See [`ReadError`].
pub fn read(engine: &dyn Engine, row: &Row) -> Result<Option<State>, ReadError> {
    let key = row.to_storage_key();
    let record = engine.get(Space::Data, &key)?;
    Ok(record.map(|bytes| record::decode(&key, bytes)).transpose()?)
}
