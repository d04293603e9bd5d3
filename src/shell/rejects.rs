//! What was not written, with the reason, in a file beside what it comes from.

use std::{fs::File, path::PathBuf};

use super::ShellError;

/// A CSV file of what was rejected, made when the first row is.
pub(super) struct Rejects {
    path: PathBuf,
    header: &'static [&'static str],
    /// Whether it goes on with the file of an interrupted run.
    appends: bool,
    file: Option<csv::Writer<File>>,
    count: u64,
}

impl Rejects {
    pub(super) fn new(path: PathBuf, header: &'static [&'static str], appends: bool) -> Self {
        Self { path, header, appends, file: None, count: 0 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds one: a field for each of the header.
    pub(super) fn write<const N: usize>(&mut self, row: [&[u8]; N]) -> Result<(), ShellError> {
        let fail = |error: &dyn std::fmt::Display| ShellError::File {
            file: self.path.display().to_string(),
            reason: error.to_string(),
        };
        self.count += 1;
        if self.file.is_none() {
            let mut options = File::options();
            options.create(true).write(true).append(self.appends).truncate(!self.appends);
            let file = options.open(&self.path).map_err(|error| fail(&error))?;
            let is_new = file.metadata().map_err(|error| fail(&error))?.len() == 0;
            let mut file = csv::Writer::from_writer(file);
            if is_new {
                file.write_record(self.header).map_err(|error| fail(&error))?;
            }
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.write_record(row);
        let (file, fail) = (self.path.display(), |error: csv::Error| error.to_string());
        written.map_err(|error| ShellError::File { file: file.to_string(), reason: fail(error) })
    }

    pub(super) fn flush(&mut self) -> Result<(), ShellError> {
        self.file.as_mut().map_or(Ok(()), csv::Writer::flush).map_err(ShellError::Console)
    }

    /// How many there were, and where they are.
    pub(super) fn finish(mut self) -> Result<(u64, String), ShellError> {
        self.flush()?;
        Ok((self.count, self.path.to_string_lossy().into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rejects_file_keeps_rows_and_reasons() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.rejects.csv");
        let header = &["line", "key", "reason"];
        for (appends, expected) in [
            (false, "line,key,reason\n7,k,no value\n"),
            (true, "line,key,reason\n7,k,no value\n7,k,no value\n"),
        ] {
            let mut rejects = Rejects::new(path.clone(), header, appends);
            rejects.write([b"7", b"k", b"no value"]).expect("written");
            assert_eq!(rejects.finish().expect("written"), (1, path.display().to_string()));
            #[expect(clippy::disallowed_methods, reason = "the file is looked at")]
            let text = std::fs::read(&path).expect("a file");
            assert_eq!(String::from_utf8(text).expect("text"), expected);
        }
    }
}
