//! How far something long has come, in a file beside what it reads: after an interruption it goes on there.

#![expect(clippy::disallowed_methods, reason = "the progress is a file")]

use std::{fmt::Display, fs, io::ErrorKind, path::PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

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

    /// Where interrupted work goes on; none if there was none, or another one. A file that is something else is refused: it
    /// would be written over.
    pub(super) fn read<P: DeserializeOwned>(&self) -> Result<Option<P>, ShellError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        // A machine that lost its power may have left an empty one.
        if !text.is_empty() && serde_json::from_slice::<Saved<Value, Value>>(&text).is_err() {
            return Err(
                self.failed("it does not say how far something has come: name another file, or remove it")
            );
        }
        let saved: Option<Saved<T, P>> = serde_json::from_slice(&text).ok();
        Ok(saved.filter(|saved| saved.of == self.of).map(|saved| saved.place))
    }

    /// Where `what` goes on that is to go on; `otherwise` says what can be done if it is not known.
    pub(super) fn known<P: DeserializeOwned>(&self, what: &str, otherwise: &str) -> Result<P, ShellError> {
        let why = if self.path.exists() { "this is about another one" } else { "there is no such file" };
        let unknown =
            || self.failed(format_args!("nothing is known of an earlier {what}, {why}: {otherwise}"));
        self.read()?.ok_or_else(unknown)
    }

    /// Makes sure, before anything is done, that it can be said how far that has come; `otherwise` says what can be done.
    pub(super) fn try_out(&self, otherwise: &str) -> Result<(), ShellError> {
        let beside = self.beside();
        fs::write(&beside, "").and_then(|()| fs::remove_file(&beside)).map_err(|error| {
            self.failed(format_args!(
                "nothing was done, for it cannot be kept here how far that has come: {error}; {otherwise}"
            ))
        })
    }

    /// What was set aside lies beside it: `x.rejects.csv` beside `x.progress`.
    pub(super) fn rejects(&self) -> PathBuf {
        let is_usual = self.path.extension().is_some_and(|extension| extension == "progress");
        let of = if is_usual { self.path.with_extension("") } else { self.path.clone() };
        of.with_added_extension("rejects.csv")
    }

    /// Everything before `place` is done, or was set aside.
    pub(super) fn save<P: Serialize>(&self, place: &P) -> Result<(), ShellError> {
        let saved = Saved { of: self.of.clone(), place };
        let text = serde_json::to_vec(&saved).map_err(|error| self.failed(error))?;
        let beside = self.beside();
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

    /// What becomes the next one.
    fn beside(&self) -> PathBuf {
        self.path.with_added_extension("new")
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
        let unknown = |of: &str| progress(of).known::<u64>("copy", "begin").expect_err("unknown").to_string();
        assert!(unknown("other").ends_with("of an earlier copy, this is about another one: begin"));
        assert_eq!(progress("one").known::<u64>("copy", "begin").expect("known"), 7);
        fs::write(&path, "").expect("written");
        assert_eq!(place("one"), None);
        fs::write(&path, "somebody's data").expect("written");
        assert!(progress("one").read::<u64>().is_err(), "it would be written over");
        progress("one").remove();
        assert!(unknown("one").ends_with("of an earlier copy, there is no such file: begin"));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
        fs::create_dir(&path).expect("made");
        let failed = progress("one").read::<u64>().expect_err("a directory is no file");
        assert!(failed.to_string().contains("2026.1.progress"), "{failed}");
    }

    #[test]
    fn it_is_tried_out_without_a_trace() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.csv.progress");
        let progress = ProgressFile::new(path.clone(), 1);
        progress.save(&7_u64).expect("saved");
        progress.try_out("begin").expect("it can be written");
        assert_eq!(progress.read::<u64>().expect("it can be read"), Some(7));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 1);
        let nowhere = ProgressFile::new(dir.path().join("missing/x.progress"), 1);
        let error = nowhere.try_out("elsewhere").expect_err("no such directory").to_string();
        assert!(
            error.contains("missing/x.progress: nothing was done") && error.ends_with("elsewhere"),
            "{error}"
        );
        assert_eq!(progress.rejects(), dir.path().join("x.csv.rejects.csv"));
        assert_eq!(ProgressFile::new("a.b".into(), 1).rejects(), PathBuf::from("a.b.rejects.csv"));
    }
}
