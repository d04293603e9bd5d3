//! What fjall's errors mean for the node.

use std::{io, io::ErrorKind, path::Path};

use fjall::{Error, LsmError};

use super::EngineError;

/// A failed commit. What the disk then holds is unknown (rule S2), but for a disk that ran full: no sync has
/// failed, and the torn batch is cut off at the next open.
pub(super) fn of_commit(error: &Error) -> EngineError {
    match error {
        Error::Poisoned => EngineError::Stopped("an earlier write failed, maybe in the background".into()),
        Error::Io(io) if is_full(io) => {
            EngineError::Stopped(format!("the disk ran full within a batch: {io}"))
        }
        error => of_read(error),
    }
}

/// A failed read. An error of the system's may pass; anything else is in the files.
pub(super) fn of_read(error: &Error) -> EngineError {
    match system_error(error) {
        Some(io) if is_damage(io) => EngineError::Damaged(io.to_string()),
        Some(io) => EngineError::Io(io.to_string()),
        None => EngineError::Damaged(error.to_string()),
    }
}

/// A failed open. Files that are missing, or there when they should not be, are damage too.
pub(super) fn of_open(path: &Path, error: &Error) -> EngineError {
    let describe = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let is_lost =
        |io: &io::Error| is_damage(io) || matches!(io.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists);
    match (error, system_error(error)) {
        (Error::Locked, _) => EngineError::Locked(path.display().to_string()),
        (Error::InvalidVersion(_) | Error::Storage(LsmError::InvalidVersion(_)), _) => {
            EngineError::Refused(describe(error))
        }
        (_, Some(io)) if !is_lost(io) => EngineError::Io(describe(io)),
        _ => EngineError::Lost(describe(error)),
    }
}

fn system_error(error: &Error) -> Option<&io::Error> {
    match error {
        Error::Io(io) | Error::Storage(LsmError::Io(io)) => Some(io),
        _ => None,
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What counts as lost is taken from the node and fetched from peers; what passes must not be.
    #[test]
    fn only_damage_counts_as_lost() {
        let io = |kind| Error::Io(io::Error::from(kind));
        let open = |error: &Error| of_open(Path::new("db"), error);
        for kind in [ErrorKind::UnexpectedEof, ErrorKind::InvalidData, ErrorKind::NotFound] {
            assert!(matches!(open(&io(kind)), EngineError::Lost(_)), "{kind}");
        }
        for kind in [ErrorKind::PermissionDenied, ErrorKind::StorageFull, ErrorKind::OutOfMemory] {
            assert!(matches!(open(&io(kind)), EngineError::Io(_)), "{kind}");
        }
        assert!(matches!(open(&Error::Unrecoverable), EngineError::Lost(_)));
        assert!(matches!(open(&Error::Storage(LsmError::Unrecoverable)), EngineError::Lost(_)));
        assert!(matches!(open(&Error::InvalidVersion(None)), EngineError::Refused(_)));
        assert!(matches!(open(&Error::Locked), EngineError::Locked(_)));

        assert!(matches!(of_read(&io(ErrorKind::PermissionDenied)), EngineError::Io(_)));
        assert!(matches!(of_read(&Error::Storage(LsmError::InvalidTrailer)), EngineError::Damaged(_)));

        assert!(matches!(of_commit(&io(ErrorKind::Other)), EngineError::Io(_)));
        assert!(matches!(of_commit(&io(ErrorKind::StorageFull)), EngineError::Stopped(_)));
        assert!(matches!(of_commit(&Error::Poisoned), EngineError::Stopped(_)));
    }
}
