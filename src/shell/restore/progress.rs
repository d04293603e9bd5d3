//! How far a restore has come, in a file beside the backup.

#![expect(clippy::disallowed_methods, reason = "the progress is a file")]

use std::{fs, io, path::PathBuf};

use quorate_ring::ClusterId;
use quorate_storage::Row;
use serde::{Deserialize, Serialize};

/// The progress of one restore. That of other backups, into another cluster or another table has none.
#[derive(Debug)]
pub(super) struct ProgressFile {
    pub(super) path: PathBuf,
    pub(super) of: Of,
}

/// What is restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Of {
    pub(super) backups: Vec<u64>,
    pub(super) cluster: ClusterId,
    pub(super) table: Option<String>,
    pub(super) into: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    of: Of,
    /// Every row before it was restored or set aside.
    next: Row,
}

impl ProgressFile {
    /// Where an interrupted restore goes on; none if there was none, or of something else.
    pub(super) fn read(&self) -> Result<Option<Row>, String> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        let saved: Option<Saved> = serde_json::from_slice(&text).ok();
        Ok(saved.filter(|saved| saved.of == self.of).map(|saved| saved.next))
    }

    /// Every row before `next` was restored or set aside.
    pub(super) fn save(&self, next: &Row) -> Result<(), String> {
        let saved = Saved { of: self.of.clone(), next: next.clone() };
        let text = serde_json::to_vec(&saved).map_err(|error| error.to_string())?;
        let beside = self.path.with_added_extension("new");
        // Whoever is interrupted here finds the earlier one.
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|error| self.failed(&error))
    }

    /// The restore is whole.
    pub(super) fn remove(&self) {
        // One that stays is of what is restored already: to go on with it changes nothing.
        let _ = fs::remove_file(&self.path);
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("the progress file {}: {error}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{TableId, Token};

    use super::*;

    #[test]
    fn only_the_same_restore_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let progress = |backup, cluster, table: Option<&str>| ProgressFile {
            path: dir.path().join("2026.1.progress"),
            of: Of {
                backups: vec![backup],
                cluster: ClusterId(cluster),
                table: table.map(str::to_owned),
                into: None,
            },
        };
        let place = Row::new(Token(-7), TableId(3), vec![0, 255]);
        assert_eq!(progress(1, 1, None).read(), Ok(None));
        progress(1, 1, None).save(&place).expect("saved");
        assert_eq!(progress(1, 1, None).read(), Ok(Some(place)));
        for other in [progress(2, 1, None), progress(1, 2, None), progress(1, 1, Some("t"))] {
            assert_eq!(other.read(), Ok(None));
        }
        progress(1, 1, None).remove();
        assert_eq!(progress(1, 1, None).read(), Ok(None));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}
