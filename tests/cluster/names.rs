//! Nodes whose peers have names, and a name service that does not answer.

use std::{
    fs,
    net::UdpSocket,
    process::Command,
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use super::*;

#[test]
fn a_node_that_is_told_to_stop_does_not_wait_for_the_name_service() {
    let Some(service) = SilentNames::start() else {
        return;
    };
    let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 3);
    let mut advertised: Vec<_> = nodes.listen().iter().map(ToString::to_string).collect();
    for (peer, address) in advertised.iter_mut().enumerate().skip(1) {
        *address = format!("n{}.quorate.test:7000", peer + 1);
    }
    nodes.configure(advertised, "");
    let command = service.hide(&nodes.serve_command(0));
    nodes.restart_by(command, 0);
    service.asked.recv_timeout(DEADLINE).unwrap_or_else(|e| panic!("{e}: {}", nodes.log(0)));

    nodes.signal(0, "TERM");
    let told = Instant::now();
    while !nodes.has_ended(0) {
        assert!(told.elapsed() < DEADLINE, "it goes on; its log:\n{}", nodes.log(0));
        thread::sleep(Duration::from_millis(20));
    }
    nodes.end_in_order(0);
    let log = nodes.log(0);
    assert!(log.contains("stopped"), "{log}");
}

/// For one step. The name service is waited for much longer than that.
const DEADLINE: Duration = Duration::from_secs(30);

/// A name service that takes questions and answers none.
struct SilentNames {
    /// Says so of each question.
    asked: Receiver<()>,
    /// What the C library is to know of name services.
    configuration: tempfile::TempDir,
}

impl SilentNames {
    const ADDRESS: &str = "127.0.53.7";

    /// `None`, with the reason printed, if this process may not have one.
    fn start() -> Option<Self> {
        let mounts = Command::new("unshare").args(["--mount", "test", "-e", "/etc/resolv.conf"]).status();
        let (Ok(socket), Ok(true)) =
            (UdpSocket::bind((Self::ADDRESS, 53)), mounts.map(|status| status.success()))
        else {
            let said = b"skipped: a name service on port 53, or a mount namespace, is not to be had here\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), said);
            return None;
        };
        let configuration = tempfile::tempdir().expect("a directory");
        let resolv = format!("nameserver {}\noptions timeout:30 attempts:5\n", Self::ADDRESS);
        for (file, text) in [("resolv.conf", resolv.as_str()), ("nsswitch.conf", "hosts: dns\n")] {
            fs::write(configuration.path().join(file), text).expect("written");
        }
        let (says, asked) = mpsc::channel();
        thread::spawn(move || while socket.recv(&mut [0; 512]).is_ok() && says.send(()).is_ok() {});
        Some(Self { asked, configuration })
    }

    /// The same command where this is the only name service.
    fn hide(&self, command: &Command) -> Command {
        let mut hidden = Command::new("unshare");
        let script = r#"for file in "$0"/*; do
            usual=/etc/${file##*/}
            [ ! -e "$usual" ] || mount --bind "$file" "$usual" || exit
        done
        exec "$@""#;
        hidden.args(["--mount", "sh", "-c", script]).arg(self.configuration.path());
        hidden.arg(command.get_program()).args(command.get_args());
        hidden.current_dir(command.get_current_dir().expect("nodes have one"));
        hidden
    }
}
