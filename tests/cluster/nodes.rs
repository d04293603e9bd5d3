//! Node processes with their own directories, certificates and logs; killed when the test ends, however it ends.

#![expect(clippy::disallowed_methods, reason = "this starts processes and waits for them")]

use std::{
    fmt::Write,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use quorate::transport::Identity;
use tempfile::TempDir;

pub(crate) struct Nodes {
    dir: TempDir,
    ports: Vec<u16>,
    /// Where others reach them.
    advertised: Vec<String>,
    /// Whether nodes show faults that a test wants of them.
    pub(crate) has_faults: bool,
    /// Whether nodes say where each request goes.
    pub(crate) follows_requests: bool,
    /// The rack of each node; none if there are none.
    pub(crate) racks: Vec<&'static str>,
    processes: Vec<Option<Child>>,
}

impl Nodes {
    /// Makes certificates and configurations, and starts `count` nodes.
    pub(crate) fn start(count: usize) -> Self {
        Self::start_in(tempfile::tempdir().expect("a directory"), count, "")
    }

    /// The same in `dir`, with `settings` in each configuration, where `{node}` is the node's name.
    pub(crate) fn start_in(dir: TempDir, count: usize, settings: &str) -> Self {
        let mut nodes = Self::prepare(dir, count);
        let advertised = nodes.listen().iter().map(SocketAddr::to_string).collect();
        nodes.begin(advertised, settings);
        nodes
    }

    /// Nodes that have ports, and are started by [`Nodes::begin`].
    pub(crate) fn prepare(dir: TempDir, count: usize) -> Self {
        let ports = free_ports(count);
        Self {
            dir,
            ports,
            advertised: Vec::new(),
            has_faults: false,
            follows_requests: false,
            racks: Vec::new(),
            processes: (0..count).map(|_| None).collect(),
        }
    }

    /// Starts nodes that others reach at `advertised`.
    pub(crate) fn begin(&mut self, advertised: Vec<String>, settings: &str) {
        self.configure(advertised, settings);
        for node in 0..self.ports.len() {
            self.restart(node);
        }
    }

    /// Makes certificates and configurations of nodes that others reach at `advertised`.
    pub(crate) fn configure(&mut self, advertised: Vec<String>, settings: &str) {
        self.advertised = advertised;
        self.quorate(&["certs", "init", "certs"]);
        self.quorate(&["certs", "client", "certs", "client"]);
        for node in 0..self.ports.len() {
            self.quorate(&["certs", "node", "certs", &name(node)]);
            let configuration = self.configuration(node) + &settings.replace("{node}", &name(node));
            fs::write(self.path(&format!("{}.toml", name(node))), configuration).expect("written");
        }
    }

    /// Where the nodes listen.
    pub(crate) fn listen(&self) -> Vec<SocketAddr> {
        self.ports.iter().map(|port| (Ipv4Addr::LOCALHOST, *port).into()).collect()
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        let mut process = self.processes[node].take().expect("the node runs");
        process.kill().expect("killed");
        process.wait().expect("gone");
    }

    /// Whether a node that was started has ended by itself.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn has_ended(&mut self, node: usize) -> bool {
        let process = self.processes[node].as_mut().expect("the node was started");
        process.try_wait().expect("a child").is_some()
    }

    /// Waits until a node that was told to stop has ended well.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn end_in_order(&mut self, node: usize) {
        let status = self.processes[node].take().map(|mut process| process.wait().expect("it ends"));
        assert!(status.is_some_and(|status| status.success()), "its log:\n{}", self.log(node));
    }

    /// Ends a node as an operator does.
    #[allow(dead_code, reason = "not everybody asks")]
    pub(crate) fn end(&mut self, node: usize) {
        self.signal(node, "TERM");
        self.end_in_order(node);
    }

    /// Sends a signal, by its name, to a node that runs.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn signal(&self, node: usize, signal: &str) {
        let pid = self.processes[node].as_ref().expect("the node runs").id().to_string();
        let done = Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill runs");
        assert!(done.success(), "kill -{signal} of {}", name(node));
    }

    /// Sets a node's wall clock so far off.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn set_clock(&self, node: usize, offset_us: i64) {
        let fresh = self.path("faults.new");
        fs::write(&fresh, format!("clock_offset_us {offset_us}\n")).expect("written");
        fs::rename(fresh, self.path(&format!("{}.faults", name(node)))).expect("renamed");
    }

    /// Deletes the data directory of a node that does not run: its disk is lost.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn wipe(&self, node: usize) {
        assert!(self.processes[node].is_none(), "the node is down");
        fs::remove_dir_all(self.path(&name(node))).expect("deleted");
    }

    /// Starts a node and waits until it says that it listens.
    pub(crate) fn restart(&mut self, node: usize) {
        let command = self.serve_command(node);
        self.restart_by(command, node);
    }

    /// The same by `command`.
    pub(crate) fn restart_by(&mut self, mut command: Command, node: usize) {
        let log = File::options().create(true).append(true).open(self.path(&format!("{}.log", name(node))));
        if self.has_faults {
            command.env("QUORATE_TEST_FAULTS", format!("{}.faults", name(node)));
        }
        if self.follows_requests {
            command.env("QUORATE_LOG", "info,quorate::requests=debug");
        }
        let mut process =
            command.stdout(Stdio::piped()).stderr(log.expect("a log")).spawn().expect("a node starts");
        let output = process.stdout.take().expect("it was piped");
        self.processes[node] = Some(process);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert!(line.starts_with("listening"), "{} says '{line}'; its log:\n{}", name(node), self.log(node));
    }

    /// What starts a node.
    pub(crate) fn serve_command(&self, node: usize) -> Command {
        self.command(&["serve", "--config", &format!("{}.toml", name(node))])
    }

    /// Ends all nodes and checks that they end well.
    pub(crate) fn stop(mut self) {
        for node in 0..self.processes.len() {
            let Some(mut process) = self.processes[node].take() else {
                continue;
            };
            let pid = process.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
            let status = process.wait().expect("it ends");
            assert!(status.success(), "{} ended with {status}; its log:\n{}", name(node), self.log(node));
        }
    }

    /// A shell on the cluster that carries out `statements`.
    pub(crate) fn shell(&self, statements: &str) -> Child {
        let connect = self.addresses().join(",");
        let mut command =
            self.command(&["shell", "--connect", &connect, "--certs", "certs", "-e", statements]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell")
    }

    /// What `quorate admin QUESTION` prints when `node` is asked.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn admin(&self, question: &str, node: usize) -> String {
        let done = self.admin_output(question, node);
        assert!(done.status.success(), "{question}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// The same, whether or not it ends well.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn admin_output(&self, question: &str, node: usize) -> Output {
        let connect = self.addresses().swap_remove(node);
        let mut arguments = vec!["admin"];
        arguments.extend(question.split_whitespace());
        arguments.extend(["--connect", &connect, "--certs", "certs", "--output", "table"]);
        self.command(&arguments).output().expect("quorate runs")
    }

    /// What `quorate` does with `arguments`, given the cluster.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("QUORATE_CONNECT", self.addresses().join(",")).env("QUORATE_CERTS", "certs");
        command.stdin(Stdio::null()).output().expect("quorate runs")
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.advertised.clone()
    }

    pub(crate) fn identity(&self) -> Identity {
        let file = |name: &str| self.path("certs").join(name);
        Identity::from_pem_files(&file("ca.crt"), &file("client.crt"), &file("client.key"))
            .expect("an identity")
    }

    /// Resident memory of each node that runs, in KiB.
    #[allow(dead_code, reason = "the bench asks, the tests do not")]
    pub(crate) fn resident_kib(&self) -> Vec<u64> {
        self.running().map(|pid| proc_file(pid, "status")).map(|text| number_after(&text, "VmRSS:")).collect()
    }

    /// CPU time that the running nodes have used, in microseconds.
    #[allow(dead_code, reason = "the bench asks, the tests do not")]
    pub(crate) fn cpu_micros(&self) -> u64 {
        self.running().map(cpu_micros_of).sum()
    }

    fn running(&self) -> impl Iterator<Item = u32> {
        self.processes.iter().flatten().map(Child::id)
    }

    fn configuration(&self, node: usize) -> String {
        let rack = |n: usize| self.racks.get(n).map_or_else(String::new, |rack| format!("@{rack}"));
        let founder = |(n, address)| format!("\"{}={address}{}\"", name(n), rack(n));
        let founders: Vec<_> = (0..).zip(self.addresses()).map(founder).collect();
        let name = name(node);
        let mut text = String::new();
        let _ = writeln!(text, "cluster = \"test\"\nnode = \"{name}\"\ndata_dir = \"{name}\"");
        let _ = writeln!(text, "founders = [{}]", founders.join(", "));
        let _ = writeln!(text, "listen = \"127.0.0.1:{}\"", self.ports[node]);
        let _ = writeln!(
            text,
            "tls = {{ ca = \"certs/ca.crt\", cert = \"certs/{name}.crt\", key = \"certs/{name}.key\" }}"
        );
        text
    }

    fn quorate(&self, arguments: &[&str]) {
        let done = self.command(arguments).output().expect("quorate runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a node answers over HTTP, with headers; `None` if nobody listens.
    #[allow(dead_code, reason = "not everybody asks")]
    pub(crate) fn http(&self, node: usize, request: &str) -> Option<String> {
        http(self.listen()[node], request)
    }

    /// A node's data directory.
    #[allow(dead_code, reason = "the tests ask, the bench does not")]
    pub(crate) fn data_dir(&self, node: usize) -> PathBuf {
        self.path(&name(node))
    }

    /// What a node has said so far.
    pub(crate) fn log(&self, node: usize) -> String {
        fs::read_to_string(self.path(&format!("{}.log", name(node)))).unwrap_or_default()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What who listens at an address answers over HTTP, with headers; `None` if nobody does.
#[allow(dead_code, reason = "not everybody asks")]
pub(crate) fn http(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Ports on loopback that nobody has, below those that the kernel gives to whoever wants any: one of these may be taken by
/// a connection of a node that has started before the node that is to have it has.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let mut held = Vec::new();
    for _ in 0..1_000 {
        if held.len() == count {
            break;
        }
        let port = rand::random_range(10_000..32_000);
        let address = (Ipv4Addr::LOCALHOST, port);
        if let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
            held.push((port, udp, tcp));
        }
    }
    assert_eq!(held.len(), count, "no free ports on loopback");
    held.into_iter().map(|(port, ..)| port).collect()
}

/// CPU time that a process has used, in microseconds.
#[allow(dead_code, reason = "the bench asks, the tests do not")]
pub(crate) fn cpu_micros_of(pid: u32) -> u64 {
    let stat = proc_file(pid, "stat");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Fields 14 and 15 of stat(5), counted from behind the name; a tick is a hundredth of a second.
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    ticks * 10_000
}

fn proc_file(pid: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{name}")).expect("Linux tells")
}

fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split(label).nth(1).expect("the label is there");
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

fn name(node: usize) -> String {
    format!("n{}", node + 1)
}
