//! Names of files, as far as they were typed.

use std::{fs, io, path::Path};

/// The files and directories that `begun`, a text that is not closed yet, may become: as texts, closed unless they are
/// directories, in their order. Hidden ones only if they are begun as such.
pub(super) fn files(begun: &str) -> Vec<String> {
    let path = begun.trim_start_matches('\'').replace("''", "'");
    let (directory, name) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
    let mut found = Vec::new();
    // Where nothing can be read there is nothing to offer.
    for entry in entries(directory).unwrap_or_default() {
        let is_wanted = entry.starts_with(name) && (name.starts_with('.') || !entry.starts_with('.'));
        if is_wanted {
            let path = format!("{directory}{entry}");
            let end = if Path::new(&path).is_dir() { "/" } else { "'" };
            found.push(format!("'{}{end}", path.replace('\'', "''")));
        }
    }
    found.sort_unstable();
    found
}

/// The names in a directory, but for those that are no text.
fn entries(directory: &str) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(if directory.is_empty() { "." } else { directory })?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "there are files to be found")]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_begin_of_their_names() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("carts")).expect("made");
        for name in ["carts.csv", "it's.csv", ".hidden", "carts/more.csv"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        let at = dir.path().to_str().expect("text");
        let found = |begun: &str| -> Vec<String> {
            let found = files(&format!("'{at}/{begun}"));
            found.into_iter().map(|name| name.replace(at, "")).collect()
        };
        assert_eq!(found("ca"), ["'/carts.csv'", "'/carts/"]);
        assert_eq!(found("carts/"), ["'/carts/more.csv'"]);
        assert_eq!(found("it''"), ["'/it''s.csv'"]);
        assert_eq!(found("").len(), 3);
        assert_eq!(found(".h"), ["'/.hidden'"]);
        assert_eq!((found("x"), files("'/no/such/")), (Vec::new(), Vec::new()));
    }
}
