//! How far something long has come, in a file beside what it reads: after an interruption it goes on there.

#![expect(clippy::disallowed_methods, reason = "the progress is a file")]

use std::{fmt::Display, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::ShellError;

/// The progress of one piece of work; `T` tells it from others, which have none here.
#[derive(Debug)]
pub(super) struct ProgressFile<T> {
    path: PathBuf,
    of: T,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<T, P> {
    of: T,
    /// Everything before it is done, or was set aside.
    place: P,
}

impl<T: Serialize + DeserializeOwned + Clone + PartialEq> ProgressFile<T> {
    /// That of the work `of` in the file at `path`, which need not be there.
    pub(super) fn new(path: PathBuf, of: T) -> Self {
        Self { path, of }
    }

    /// Where interrupted work goes on; none if there was none, or another one.
    pub(super) fn read<P: DeserializeOwned>(&self) -> Result<Option<P>, ShellError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let saved: Option<Saved<T, P>> = serde_json::from_slice(&text).ok();
        Ok(saved.filter(|saved| saved.of == self.of).map(|saved| saved.place))
    }

    /// Everything before `place` is done, or was set aside.
    pub(super) fn save<P: Serialize>(&self, place: &P) -> Result<(), ShellError> {
        let saved = Saved { of: self.of.clone(), place };
        let text = serde_json::to_vec(&saved).map_err(|error| self.failed(error))?;
        let beside = self.path.with_added_extension("new");
        // Whoever is interrupted here finds the earlier one.
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|error| self.failed(error))
    }

    /// The work is whole.
    pub(super) fn remove(&self) {
        // One that stays is of what is done already: to go on with it changes nothing.
        let _ = fs::remove_file(&self.path);
    }

    fn failed(&self, error: impl Display) -> ShellError {
        ShellError::File { file: self.path.display().to_string(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_work_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("2026.1.progress");
        let progress = |of: &str| ProgressFile::new(path.clone(), of.to_owned());
        let place = |of: &str| progress(of).read::<u64>().expect("it can be read");
        assert_eq!(place("one"), None);
        progress("one").save(&7_u64).expect("saved");
        assert_eq!((place("one"), place("other")), (Some(7), None));
        fs::write(&path, "no progress").expect("written");
        assert_eq!(place("one"), None);
        progress("one").remove();
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
        fs::create_dir(&path).expect("made");
        let failed = progress("one").read::<u64>().expect_err("a directory is no file");
        assert!(failed.to_string().contains("2026.1.progress"), "{failed}");
    }
}
