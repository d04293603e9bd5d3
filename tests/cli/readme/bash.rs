//! A bash that a person might type the README's commands into.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::super::nodes::free_ports;

/// It is in a directory of its own and at the head of a process group, to which all that it starts belongs. That group is
/// killed when it is dropped; if this process is killed instead, bash sees the end of its input and kills the group itself.
pub(super) struct Bash {
    dir: TempDir,
    /// In place of those that the README has.
    ports: Vec<u16>,
    process: Child,
    input: ChildStdin,
    /// The exit code of each command.
    codes: Receiver<String>,
    commands: usize,
}

/// What became of a command.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) error: String,
    /// What failed within it, with its exit code.
    failed: String,
}

impl Bash {
    pub(super) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-s"]).current_dir(&dir).process_group(0);
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUORATE_"))
        {
            command.env_remove(name);
        }
        command.env("BUILT", env!("CARGO_BIN_EXE_quorate")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, codes) = channel();
        // It ends with bash, whose output nobody else has.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|code| sender.send(code)));
        input.write_all(PRELUDE.as_bytes()).unwrap();
        Self { dir, ports: free_ports(PORTS.len()), process, input, codes, commands: 0 }
    }

    /// A file or a directory beside which commands are carried out.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn writes(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What a command does that does well, given `input`.
    pub(super) fn types_with(&mut self, text: &str, input: &str) -> Done {
        let done = self.tries(text, input);
        assert!(done.code == 0 && done.failed.is_empty(), "{text}\n{done:#?}");
        done
    }

    /// What a command prints that does well.
    pub(super) fn types(&mut self, text: &str) -> String {
        self.types_with(text, "").out
    }

    /// What becomes of a command.
    pub(super) fn tries(&mut self, text: &str, input: &str) -> Done {
        self.commands += 1;
        let name = |what: &str| format!(".{}.{what}", self.commands);
        let (script, given, out, error, failed) =
            (name("sh"), name("in"), name("out"), name("err"), name("failed"));
        self.writes(&script, &self.here(text));
        self.writes(&given, &self.here(input));
        self.writes(&failed, "");
        writeln!(self.input, "FAILED={failed}\nsource ./{script} < {given} > {out} 2> {error}\necho $?")
            .unwrap();
        let code = self.codes.recv_timeout(PATIENCE);
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        let Ok(code) = code else { panic!("no end of {text}\n{}{}", read(&out), read(&error)) };
        Done { code: code.parse().unwrap(), out: read(&out), error: read(&error), failed: read(&failed) }
    }

    /// Types a command until it does well.
    pub(super) fn waits_for(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let done = self.tries(text, "");
            if done.code == 0 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{text}\n{done:#?}");
        }
    }

    /// What the README says, with this machine's addresses and a directory that a test may write to.
    fn here(&self, text: &str) -> String {
        let places = PORTS.iter().zip(&self.ports);
        let text = places.fold(text.to_owned(), |text, (theirs, ours)| {
            text.replace(&format!("127.0.0.1:{theirs}"), &format!("127.0.0.1:{ours}"))
        });
        text.replace("/safe/", &format!("{}/", self.path("safe").display()))
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        // Before it is waited for: until then nobody else can have its number.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

/// The ports that the README's nodes have.
const PORTS: [u16; 3] = [7001, 7002, 7003];
const PATIENCE: Duration = Duration::from_secs(120);
/// What is built takes the place of what cargo would build. Each command that fails is told of, within scripts and loops, too.
const PRELUDE: &str = r#"
trap 'kill -KILL 0' EXIT
set -o errtrace
trap 'echo "exit code $?: $BASH_COMMAND" >> "$FAILED"' ERR
cargo() {
    case "$*" in
        "test --workspace") return 0 ;;
        "run --release -- "*) shift 3 ;;
        "run --release -q -- "*) shift 4 ;;
        *) echo "not what the README is known to ask of cargo: $*" >&2; return 101 ;;
    esac
    "$BUILT" "$@"
}
"#;
