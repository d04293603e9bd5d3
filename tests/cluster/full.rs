//! Nodes on a disk that runs full (rule S5).

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use super::*;

#[tokio::test]
async fn a_full_disk_refuses_writes_serves_reads_and_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let dir = TempDir::new_in(&disk.path).expect("a directory");
    let mut nodes = Nodes::start_in(dir, 3, "disk_free_min = \"64MiB\"\n");
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    let mut expected = Rows::new();
    for n in 0..30 {
        let (key, value) = (format!("k{n}"), format!("v{n}"));
        put(&table, &key, &value, Consistency::All).await;
        expected.insert(key, value);
    }

    // Another program takes the room.
    let ballast = disk.path.join("ballast");
    fs::write(&ballast, vec![1; DISK_BYTES - (48 << 20)]).expect("room for it");
    assert!(refusals(&table, Outcome::NotApplied, ATTEMPTS).await, "no write is refused as not applied");
    for _ in 0..5 {
        assert!(refusals(&table, Outcome::NotApplied, 1).await, "a write is refused, but not definitely");
    }
    assert_holds(&table, &expected, Consistency::Quorum).await;
    assert_holds(&table, &expected, Consistency::All).await;

    // A node that starts on a full disk serves reads, too.
    nodes.kill(1);
    nodes.restart(1);
    assert_holds(&table, &expected, Consistency::Quorum).await;

    fs::remove_file(&ballast).expect("removed");
    for key in expected.keys().cloned().collect::<Vec<_>>() {
        put(&table, &key, "room again", Consistency::All).await;
        expected.insert(key, "room again".to_owned());
    }
    assert_holds(&table, &expected, Consistency::Quorum).await;
    let log = nodes.log(0);
    assert!(log.contains("the disk is full") && log.contains("the disk has room again"), "{log}");
    assert!(!log.contains("counts as lost"), "{log}");
    nodes.stop();
}

/// Whether a write is refused with `outcome`, within so many. None may be acknowledged.
async fn refusals(table: &TableHandle, outcome: Outcome, attempts: u32) -> bool {
    for n in 0..attempts {
        let refused = table.put(format!("new{n}"), "refused").timeout(Duration::from_secs(1)).await;
        if refused.expect_err("there is no room").outcome() == outcome {
            return true;
        }
    }
    false
}

const DISK_BYTES: usize = 320 << 20;

/// A file system of its own, unmounted when the test ends.
struct SmallDisk {
    path: PathBuf,
    _dir: TempDir,
}

impl SmallDisk {
    /// `None`, with the reason printed, if this process may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("disk");
        fs::create_dir(&path).expect("a directory");
        let size = format!("size={DISK_BYTES}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).output();
        match done {
            Ok(done) if done.status.success() => Some(Self { path, _dir: dir }),
            Ok(done) => skip(&String::from_utf8_lossy(&done.stderr)),
            Err(error) => skip(&error.to_string()),
        }
    }
}

/// Whoever reads the run should know: what is printed by macros is shown of tests that fail alone.
fn skip(reason: &str) -> Option<SmallDisk> {
    let said = format!("skipped: no small disk can be mounted here: {}\n", reason.trim());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
    None
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: processes that are being killed may still hold files in it.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
