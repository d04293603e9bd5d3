//! One node: its process, its files, and what can be done to it from outside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::patience::{ended_within, first_line};
use crate::stop::Stop;

/// A node of the cluster under test.
pub(crate) struct Process {
    name: String,
    dir: PathBuf,
    command: Vec<String>,
    child: Option<Child>,
    /// Ends every wait for it.
    stop: Stop,
    /// How long it may take to start, and to end.
    patience: Duration,
    /// How many faults want it down at the moment.
    downs: u32,
    /// How many faults want it paused at the moment.
    pauses: u32,
    /// How often it was started or killed.
    lives: Arc<AtomicU64>,
    /// The faults that it shows by itself, by the nemesis that wants them.
    faults: BTreeMap<&'static str, String>,
    /// How long its log was when its directory was replaced by an older copy that it has not given up since.
    older_since: Option<u64>,
}

impl Process {
    /// A node called `name` whose files are in `dir`; `command` runs it there. Nobody waits for it once `stop` is told.
    pub(crate) fn new(name: String, dir: PathBuf, command: Vec<String>, stop: Stop) -> Self {
        Self {
            name,
            dir,
            command,
            child: None,
            stop,
            patience: PATIENCE,
            downs: 0,
            pauses: 0,
            lives: Arc::default(),
            faults: BTreeMap::new(),
            older_since: None,
        }
    }

    /// A counter of its starts and deaths, for those who cannot wait for the process.
    pub(crate) fn lives(&self) -> Arc<AtomicU64> {
        self.lives.clone()
    }

    /// Where it keeps its data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join(format!("{}.data", self.name))
    }

    /// What it says.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// Starts it if it is down and no fault wants it so, and waits until it says that it listens. A sync that was to
    /// fail does so in one life only.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        if self.downs > 0 || self.child.is_some() {
            return Ok(());
        }
        self.set_faults(SYNC_FAILURE, String::new())?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.dir).env(FAULTS, self.faults_file());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        self.child = Some(child);
        self.lives.fetch_add(1, Relaxed);
        let line = match output {
            Some(output) => first_line(output, self.patience, &self.stop),
            None => Ok(String::new()),
        };
        let problem = match line {
            Ok(line) if line.starts_with("listening") => None,
            Ok(_) => Some("does not start".to_owned()),
            Err(error) => Some(format!("does not start: {error}")),
        };
        if let Some(problem) = problem {
            self.reap();
            return Err(io::Error::other(format!("{} {problem}; see {}", self.name, self.log().display())));
        }
        if self.pauses > 0 {
            self.signal(Signal::STOP);
        }
        Ok(())
    }

    /// Kills it with SIGKILL; it stays down until as many [`Process::up`].
    pub(crate) fn down(&mut self) {
        self.downs += 1;
        self.reap();
    }

    /// Starts it again unless another fault wants it down.
    pub(crate) fn up(&mut self) -> io::Result<()> {
        self.downs = self.downs.saturating_sub(1);
        self.start()
    }

    /// Stops it in its tracks; it stays so until as many [`Process::resume`].
    pub(crate) fn pause(&mut self) {
        self.pauses += 1;
        self.signal(Signal::STOP);
    }

    /// Lets it go on unless another fault wants it paused.
    pub(crate) fn resume(&mut self) {
        self.pauses = self.pauses.saturating_sub(1);
        if self.pauses == 0 {
            self.signal(Signal::CONT);
        }
    }

    /// Whether it runs, or would if it were not paused.
    pub(crate) fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Whether some fault wants it paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.pauses > 0
    }

    /// How it ended, if it did by itself since it was started; then it is down and may be started.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        Some(status)
    }

    /// Whether that is the end of a node that was told, once, that its directory is an older copy (rule V3).
    pub(crate) fn gives_up(&mut self, status: ExitStatus) -> bool {
        let Some(since) = self.older_since.filter(|_| status.code() == Some(1)) else {
            return false;
        };
        let is_told = self.log_from(since).is_ok_and(|log| log.contains(OLDER_COPY));
        if is_told {
            self.older_since = None;
        }
        is_told
    }

    /// How much it has said so far, in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        fs::metadata(self.log()).map_or(0, |log| log.len())
    }

    /// Whether its directory is an older copy and nobody has told it so yet.
    pub(crate) fn may_give_up(&self) -> bool {
        self.older_since.is_some()
    }

    /// What it has said since its log had `from` bytes.
    pub(crate) fn log_from(&self, from: u64) -> io::Result<String> {
        let mut log = File::options().read(true).open(self.log())?;
        log.seek(SeekFrom::Start(from))?;
        let mut said = Vec::new();
        log.read_to_end(&mut said)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    /// Tells it to stop and waits until it has; kills it if it takes too long.
    ///
    /// # Errors
    /// What is wrong with that, for people.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus, String> {
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let Some(child) = self.child.as_mut() else {
            return Err(format!("{} does not run at the end", self.name));
        };
        let ended = ended_within(child, self.patience, &self.stop);
        let log = self.log();
        match ended {
            Ok(Some(status)) => {
                self.child = None;
                Ok(status)
            }
            Ok(None) => {
                self.reap();
                let (name, log, patience) = (&self.name, log.display(), self.patience.as_secs_f64());
                Err(format!("{name} did not end within {patience} s after SIGTERM and was killed; see {log}"))
            }
            Err(error) => Err(format!("{}: {error}", self.name)),
        }
    }

    /// Sets the faults that the node shows by itself in the place of those that `nemesis` had set before.
    pub(crate) fn set_faults(&mut self, nemesis: &'static str, text: String) -> io::Result<()> {
        self.faults.insert(nemesis, text);
        let fresh = self.dir.join(format!("{}.faults.new", self.name));
        write(&fresh, self.faults.values().map(|line| format!("{line}\n")).collect::<String>())?;
        fs::rename(fresh, self.faults_file())
    }

    /// Deletes what it kept, if it has kept anything since it was deleted last.
    pub(crate) fn wipe(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.data_dir()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps a copy of what it has on its disk now.
    pub(crate) fn back_up(&self) -> io::Result<()> {
        let backup = self.backup();
        if backup.exists() {
            fs::remove_dir_all(&backup)?;
        }
        copy(&self.data_dir(), &backup)
    }

    /// Puts the copy in the place of what it has on its disk now.
    pub(crate) fn restore(&mut self) -> io::Result<()> {
        self.older_since = Some(self.log_bytes());
        self.wipe()?;
        copy(&self.backup(), &self.data_dir())
    }

    fn backup(&self) -> PathBuf {
        self.dir.join(format!("{}.backup", self.name))
    }

    fn faults_file(&self) -> PathBuf {
        self.dir.join(format!("{}.faults", self.name))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.as_ref().and_then(|child| Pid::from_raw(child.id() as i32)) {
            // The child is not reaped yet, so the id is still its own; one that has ended takes no signals.
            let _ = kill_process(pid, signal);
        }
    }

    fn reap(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.lives.fetch_add(1, Relaxed);
            let _ = child.kill();
            // Nothing outlives SIGKILL but a call that the kernel does not give up; that is not waited for.
            let _ = ended_within(&mut child, self.patience, &Stop::default());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reap();
    }
}

/// What a node says that gives its directory up for an older copy.
const OLDER_COPY: &str = "is an older copy of itself";

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    make_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the harness keeps files")]
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[expect(clippy::disallowed_methods, reason = "the harness keeps files")]
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, text)
}

/// Whose fault a failing sync is, in [`Process::set_faults`].
pub(crate) const SYNC_FAILURE: &str = "fsync";
/// Long enough for any node on a machine that is busy, and short enough for a run to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Names the file of faults that a node shows by itself.
const FAULTS: &str = "QUORATE_TEST_FAULTS";

#[cfg(test)]
mod tests {
    use super::*;

    fn process(dir: &Path, script: &str) -> Process {
        let command = ["sh", "-c", script].map(String::from).to_vec();
        Process::new("n1".to_owned(), dir.to_owned(), command, Stop::default())
    }

    fn listener(dir: &Path) -> Process {
        process(dir, "echo listening; exec cat /dev/zero >/dev/null")
    }

    fn state(process: &Process) -> char {
        let pid = process.child.as_ref().expect("it runs").id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    }

    #[test]
    fn faults_that_overlap_keep_it_down_and_paused() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = listener(dir.path());
        process.start().unwrap();
        process.down();
        process.down();
        process.up().unwrap();
        assert!(process.child.is_none(), "one fault is left");
        process.up().unwrap();
        assert_eq!(process.lives().load(Relaxed), 3, "two starts and a death");
        process.pause();
        process.pause();
        process.resume();
        while state(&process) != 'T' {}
        process.resume();
        while state(&process) == 'T' {}
        assert!(process.ended().is_none());
        assert!(process.stop().is_ok());
        assert_eq!(process.stop().unwrap_err(), "n1 does not run at the end");
    }

    #[test]
    fn a_process_that_does_not_listen_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = process(dir.path(), "true");
        assert!(process.start().unwrap_err().to_string().contains("n1 does not start; see"));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_process_that_neither_listens_nor_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut silent = process(dir.path(), "exec sleep 60");
        silent.patience = Duration::from_millis(50);
        let problem = silent.start().unwrap_err().to_string();
        assert!(problem.contains("n1 does not start: it said nothing for 0.05 s"), "{problem}");
        assert!(!silent.is_up());

        let mut deaf = process(dir.path(), "trap '' TERM; echo listening; exec cat /dev/zero >/dev/null");
        deaf.start().unwrap();
        deaf.patience = Duration::from_millis(50);
        let problem = deaf.stop().unwrap_err();
        assert!(problem.contains("did not end within 0.05 s after SIGTERM and was killed"), "{problem}");
        assert!(!deaf.is_up());
    }

    #[test]
    fn nobody_waits_any_more_once_the_run_is_told_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let mut silent = process(dir.path(), "exec sleep 60");
        silent.stop.tell();
        assert!(silent.start().unwrap_err().to_string().contains("stopped before the end"));
        assert!(!silent.is_up());
    }

    #[test]
    fn a_sync_fails_in_one_life_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = listener(dir.path());
        process.start().unwrap();
        process.set_faults("clock", "clock_offset_us 5".to_owned()).unwrap();
        process.set_faults(SYNC_FAILURE, "sync_fails".to_owned()).unwrap();
        let faults = || fs::read_to_string(dir.path().join("n1.faults")).unwrap();
        assert!(faults().contains("sync_fails"));
        process.down();
        process.up().unwrap();
        assert_eq!(faults().trim(), "clock_offset_us 5");
    }

    #[test]
    fn a_disk_goes_back_to_its_copy() {
        let dir = tempfile::tempdir().unwrap();
        let mut process = listener(dir.path());
        let file = process.data_dir().join("db").join("journal");
        make_dir(file.parent().unwrap()).unwrap();
        write(&file, "old").unwrap();
        process.back_up().unwrap();
        write(&file, "new").unwrap();
        process.restore().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        process.wipe().unwrap();
        assert!(!process.data_dir().exists());
        process.wipe().expect("a node that was kept down since has nothing new");
    }
}
