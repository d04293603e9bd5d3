//! How far a COPY .. FROM has come, in a file beside the CSV file.

#![expect(clippy::disallowed_methods, reason = "the progress is a file")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

use super::copy::Options;
use crate::cql::CopyFrom;

/// Where a row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    /// From the start of the file, in bytes.
    pub(super) byte: u64,
    /// Its line, from 1.
    pub(super) line: u64,
}

impl Place {
    pub(super) fn of(position: &csv::Position) -> Self {
        Self { byte: position.byte(), line: position.line() }
    }
}

/// The progress of one copy. Another table, another way to read the file, or another file of its name has none.
#[derive(Debug)]
pub(super) struct ProgressFile {
    path: PathBuf,
    of: Of,
}

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Of {
    table: String,
    header: bool,
    delimiter: u8,
    file_bytes: u64,
    /// Since 1970.
    file_modified_ns: u64,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    of: Of,
    /// Every row before it was written or set aside.
    place: Place,
}

impl ProgressFile {
    /// That of what `request` asks for.
    pub(super) fn new(request: &CopyFrom, options: &Options) -> io::Result<Self> {
        let metadata = fs::metadata(&request.file)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let of = Of {
            table: request.table.clone(),
            header: options.header,
            delimiter: options.delimiter,
            file_bytes: metadata.len(),
            file_modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
        };
        Ok(Self { path: PathBuf::from(format!("{}.progress", request.file)), of })
    }

    /// Where an interrupted copy goes on; none if there was none, or of something else.
    pub(super) fn read(&self) -> Result<Option<Place>, String> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        let saved: Option<Saved> = serde_json::from_slice(&text).ok();
        Ok(saved.filter(|saved| saved.of == self.of).map(|saved| saved.place))
    }

    /// Every row before `place` was written or set aside.
    pub(super) fn save(&self, place: Place) -> Result<(), String> {
        let saved = Saved { of: self.of.clone(), place };
        let text = serde_json::to_vec(&saved).map_err(|error| error.to_string())?;
        let beside = self.path.with_extension("progress.new");
        // Whoever is interrupted here finds the earlier one.
        fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|error| self.failed(&error))
    }

    /// The copy is whole.
    pub(super) fn remove(&self) {
        // One that stays is of a file that is copied already: to go on with it changes nothing.
        let _ = fs::remove_file(&self.path);
    }

    fn failed(&self, error: &io::Error) -> String {
        let name = Path::file_name(&self.path).unwrap_or_default().to_string_lossy();
        format!("its progress file {name}: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_copy_of_the_same_file_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("x.csv").to_string_lossy().into_owned();
        fs::write(&file, "a,1\nb,2\n").expect("written");
        let request =
            |table: &str| CopyFrom { table: table.to_owned(), file: file.clone(), options: Vec::new() };
        let options = Options::new(&[]);
        let progress = |table: &str| ProgressFile::new(&request(table), &options).expect("a file");
        assert_eq!(progress("t").read(), Ok(None));
        let place = Place { byte: 4, line: 2 };
        progress("t").save(place).expect("saved");
        assert_eq!(progress("t").read(), Ok(Some(place)));
        assert_eq!(progress("other").read(), Ok(None));
        fs::write(&file, "a,1\nb,2\nc,3\n").expect("written");
        assert_eq!(progress("t").read(), Ok(None), "another file has come in its place");
        progress("t").remove();
        assert!(!progress("t").path.exists());
        fs::write(progress("t").path, "no progress").expect("written");
        assert_eq!(progress("t").read(), Ok(None));
    }
}
