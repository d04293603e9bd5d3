//! The directory that a run writes to: only what an earlier run has left there is ever removed.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::cluster::{make_dir, write};

/// An empty directory with the harness's mark in it, and its full path. What is there already goes only if it has the
/// mark of an earlier run.
pub(crate) fn fresh_dir(path: &Path) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let mark = path.join(MARK);
    if path.exists() {
        let is_ours = std::fs::read_to_string(&mark).is_ok_and(|text| text == MARK_TEXT);
        if !is_ours && path.read_dir()?.next().is_some() {
            let problem =
                "holds what no run of quorate-jepsen has left there: name another --out, or remove it";
            return Err(format!("{} {problem}", path.display()).into());
        }
        std::fs::remove_dir_all(path)?;
    }
    make_dir(path)?;
    write(&mark, MARK_TEXT)?;
    Ok(path.canonicalize()?)
}

/// The file that marks a directory as one that may be removed.
const MARK: &str = ".quorate-jepsen";
const MARK_TEXT: &str = "quorate-jepsen run wrote this directory, and may replace it.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_has_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fresh_dir(&out).unwrap();
        write(&out.join("results.json"), "{}").unwrap();
        fresh_dir(&out).unwrap();
        assert!(!out.join("results.json").exists() && out.join(MARK).exists());

        for (file, text) in [("thesis.txt", ""), (MARK, "some other mark"), ("nodes", "")] {
            let others = tempfile::tempdir().unwrap();
            write(&others.path().join(file), text).unwrap();
            let refusal = fresh_dir(others.path()).unwrap_err().to_string();
            assert!(refusal.contains("name another --out"), "{refusal}");
            assert!(others.path().join(file).exists());
        }
        assert!(fresh_dir(tempfile::tempdir().unwrap().path()).is_ok(), "an empty one is free");
    }
}
