//! Three nodes of our own, each a process, in a temporary directory.

#![expect(clippy::disallowed_methods, reason = "this starts processes, whose configurations are files")]

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use quorate::{certs, client::Identity};
use tempfile::TempDir;

use crate::Failure;

/// Running nodes; killed, and their directory removed, when dropped.
#[derive(Debug)]
pub(super) struct Nodes {
    processes: Vec<Child>,
    dir: TempDir,
    addresses: Vec<String>,
}

impl Nodes {
    /// Makes certificates and configurations, and starts three nodes on ports of the system's choice.
    pub(super) fn start() -> Result<Self, Failure> {
        let begun = || -> Result<Self, Failure> {
            let dir = tempfile::Builder::new().prefix("quorate-bench-").tempdir().map_err(Failure::start)?;
            // Held until the last one is chosen, so that they differ.
            let sockets = NAMES.map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
            let mut addresses = Vec::new();
            for socket in &sockets {
                let socket = socket.as_ref().map_err(Failure::start)?;
                addresses.push(socket.local_addr().map_err(Failure::start)?.to_string());
            }
            Ok(Self { processes: Vec::new(), dir, addresses })
        };
        let mut nodes = begun()?;
        let certificates = nodes.certificates();
        certs::init(&certificates).map_err(Failure::start)?;
        certs::client(&certificates, "client").map_err(Failure::start)?;
        for name in NAMES {
            certs::node(&certificates, name, &[]).map_err(Failure::start)?;
        }
        for number in 0..NAMES.len() {
            nodes.start_one(number).map_err(|error| nodes.explained(number, &error))?;
        }
        Ok(nodes)
    }

    /// Where they listen.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// What a client needs to connect.
    pub(super) fn identity(&self) -> Result<Identity, Failure> {
        let file = |name: &str| self.certificates().join(name);
        Identity::from_pem_files(&file("ca.crt"), &file("client.crt"), &file("client.key"))
            .map_err(Failure::start)
    }

    /// Their process ids.
    pub(super) fn processes(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }

    fn start_one(&mut self, number: usize) -> io::Result<()> {
        let (name, dir) = (NAMES[number], self.dir.path());
        let founders: Vec<_> = NAMES
            .iter()
            .zip(&self.addresses)
            .map(|(name, address)| format!("\"{name}={address}\""))
            .collect();
        let configuration = format!(
            "cluster = \"bench\"\nnode = \"{name}\"\ndata_dir = \"{name}\"\nlisten = \"{}\"\nfounders = [{}]\n\
             tls = {{ ca = \"certs/ca.crt\", cert = \"certs/{name}.crt\", key = \"certs/{name}.key\" }}\n",
            self.addresses[number],
            founders.join(", ")
        );
        fs::write(dir.join(format!("{name}.toml")), configuration)?;
        let mut process = Command::new(env::current_exe()?)
            .args(["serve", "--config", &format!("{name}.toml")])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(self.log(number))?)
            .spawn()?;
        let output = process.stdout.take();
        self.processes.push(process);
        // It says where it listens once it does, and nothing if it ends.
        let mut line = String::new();
        output.map(|output| BufReader::new(output).read_line(&mut line)).transpose()?;
        if line.is_empty() { Err(io::Error::other("it ended at once")) } else { Ok(()) }
    }

    fn explained(&self, number: usize, error: &io::Error) -> Failure {
        let log = fs::read_to_string(self.log(number)).unwrap_or_default();
        Failure::start(format_args!("node {} did not start: {error}\n{}", NAMES[number], log.trim_end()))
    }

    fn certificates(&self) -> PathBuf {
        self.dir.path().join("certs")
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("{}.log", NAMES[number]))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended already is waited for all the same.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// CPU time that a process has used, in microseconds; none where nobody tells.
pub(super) fn cpu_micros(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).ok()?;
    // proc_pid_stat(5): utime and stime are fields 14 and 15, counted from behind the name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().ok());
    Some((ticks.next()?? + ticks.next()??) * MICROS_PER_TICK)
}

/// Its resident memory, in bytes.
pub(super) fn resident_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

const NAMES: [&str; 3] = ["n1", "n2", "n3"];
/// What Linux shows programs is in hundredths of a second, however often its own clock ticks.
const MICROS_PER_TICK: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_can_be_measured() {
        let own = std::process::id();
        assert!(resident_bytes(own).is_some_and(|bytes| bytes > 1 << 20));
        let before = cpu_micros(own).unwrap();
        let mut sum = 0_u64;
        while cpu_micros(own).unwrap() < before + 20_000 {
            sum = std::hint::black_box(sum.wrapping_mul(3) + 1);
        }
        assert_eq!(cpu_micros(u32::MAX), None, "nobody has this id");
    }
}
