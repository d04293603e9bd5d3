//! COPY .. FROM that is to go on, or cannot keep how far it has come.

use std::fs;

use super::{CREATE, outcome, quorate};

#[test]
fn a_copy_of_which_nothing_is_known_does_not_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), "a,1\nb,2\n").unwrap();
    let script = format!("{CREATE} COPY t FROM 'rows.csv' WITH resume = true; SELECT * FROM t");
    let done = quorate(dir.path(), &["demo", "--nodes", "1", "-e", &script]);
    let (code, out, error) = outcome(&done);
    assert_eq!((code, out), (2, ""), "{error}");
    let says = "rows.csv.progress: nothing is known of an earlier COPY of this file as it is into this table";
    assert!(error.contains(says) && error.contains("without resume it begins"), "{error}");
}

#[test]
fn a_copy_from_where_nothing_can_be_written_keeps_its_progress_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), "a,1\nlonely\nb,2\n").unwrap();
    // Permissions do not stop a test that runs as root: a directory in the file's place does.
    fs::create_dir(dir.path().join("rows.csv.progress.new")).unwrap();
    let run = |statements: &str| {
        let done = quorate(dir.path(), &["demo", "--data", "d", "--nodes", "1", "-e", statements]);
        let (code, out, error) = outcome(&done);
        (code, out.to_owned(), error.to_owned())
    };
    let (code, out, error) = run(&format!("{CREATE} COPY t FROM 'rows.csv'; SELECT * FROM t"));
    assert_eq!((code, &*out), (2, ""), "{error}");
    assert!(
        error.contains("nothing was done") && error.contains("progress = 'FILE' keeps it elsewhere"),
        "{error}"
    );
    assert_eq!(run("SELECT * FROM t"), (0, String::new(), String::new()), "no row was written");

    let (code, _, error) = run("COPY t FROM 'rows.csv' WITH progress = 'p.progress' AND maxerrors = 1");
    assert_eq!(code, 2);
    assert!(error.contains("see p.rejects.csv"), "{error}");
    let (code, out, error) =
        run("COPY t FROM 'rows.csv' WITH progress = 'p.progress' AND resume = true; SELECT key FROM t");
    assert!(code == 0 && error.contains("COPY goes on at line 3"), "{error}");
    assert_eq!(out.lines().count(), 2);
    assert!(!dir.path().join("p.progress").exists());
}
