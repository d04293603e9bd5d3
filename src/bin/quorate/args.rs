//! What the program can be told.

mod backup;
mod examples;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use clap::{Arg, Args, Parser, Subcommand, builder::EnumValueParser};

use quorate::{
    client::Context,
    config::Overrides,
    cql::render::Format,
    ring::{Consistency, NodeId, TableKind},
    shell::parse_range,
    units::parse_duration,
};

use self::examples::*;
use crate::bench::{Choice, Workload};

pub(crate) use backup::{Backup, Restore};

/// A leaderless key-value store: every node is a peer, QUORUM is linearizable
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How to print data: a table on a terminal by default, else raw (tab-separated)
    #[arg(long, global = true, value_enum, value_name = "FORMAT", display_order = LAST)]
    pub(crate) output: Option<Format>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a cluster of real nodes in this process and talk to it
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Demo),
    /// Talk to a cluster in its CQL-like language
    #[command(after_help = SHELL_EXAMPLES)]
    Shell(Shell),
    /// Read a key
    #[command(after_help = GET_EXAMPLES)]
    Get(Get),
    /// Write a key
    #[command(after_help = PUT_EXAMPLES)]
    Put(Put),
    /// Delete a key
    #[command(after_help = DEL_EXAMPLES)]
    Del(Del),
    /// Look at the cluster: who is up in whose eyes, and what it still bears
    #[command(subcommand, after_help = ADMIN_EXAMPLES)]
    Admin(Admin),
    /// Put a load on a cluster, and measure what it does
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Bench),
    /// Restore backups: each value becomes a new write
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Run a node
    #[command(after_help = SERVE_EXAMPLES, arg = no_output())]
    Serve(Serve),
    /// Check and print configurations
    #[command(subcommand, after_help = CONFIG_EXAMPLES, arg = no_output())]
    Config(Config),
    /// Make the certificates that nodes and clients prove themselves with
    #[command(subcommand, after_help = CERTS_EXAMPLES, arg = no_output())]
    Certs(Certs),
    /// Print what a shell needs to complete commands
    #[command(after_help = COMPLETIONS_EXAMPLES, arg = no_output())]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command
    #[command(after_help = MAN_EXAMPLES, arg = no_output())]
    Man(Pages),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) nodes: usize,
    /// Keep the data in this directory, and find it there again
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    #[command(flatten)]
    pub(crate) source: Source,
}

/// Where statements come from, if not from a terminal or standard input.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Carry these statements out and exit
    #[arg(short, long, value_name = "STATEMENTS", conflicts_with = "file")]
    pub(crate) execute: Option<String>,
    /// Carry out the statements of this file and exit
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// How to reach a cluster.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// Nodes to connect to; one that is up suffices
    #[arg(
        long,
        env = "QUORATE_CONNECT",
        value_delimiter = ',',
        value_name = "HOST:PORT,..",
        default_value = "127.0.0.1:7000",
        help_heading = CLUSTER
    )]
    pub(crate) connect: Vec<String>,
    #[command(flatten)]
    pub(crate) files: CertificateFiles,
}

/// What a client proves itself with.
#[derive(Debug, Args)]
pub(crate) struct CertificateFiles {
    /// Directory of ca.crt, client.crt and client.key
    #[arg(long, env = "QUORATE_CERTS", value_name = "DIR", default_value = "certs", help_heading = CLUSTER)]
    pub(crate) certs: PathBuf,
    /// Certificate of the cluster's authority, if not in --certs
    #[arg(long, env = "QUORATE_CA", value_name = "FILE", help_heading = CLUSTER)]
    pub(crate) ca: Option<PathBuf>,
    /// The client's certificate, if not in --certs
    #[arg(long, env = "QUORATE_CERT", value_name = "FILE", requires = "private_key", help_heading = CLUSTER)]
    pub(crate) cert: Option<PathBuf>,
    /// The client's private key, if not in --certs
    #[arg(long = "key", env = "QUORATE_KEY", value_name = "FILE", requires = "cert", help_heading = CLUSTER)]
    pub(crate) private_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Request {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// How many replicas: ONE, TWO, THREE, QUORUM, ALL, ANY or a number; by default the table's level
    #[arg(long, value_name = "LEVEL")]
    pub(crate) consistency: Option<Consistency>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The table
    pub(crate) table: String,
    /// The key; 0x.. for bytes
    pub(crate) key: String,
    /// Settle for a read that never goes backward instead of a linearizable one
    #[arg(long)]
    pub(crate) monotone: bool,
    #[command(flatten)]
    pub(crate) request: Request,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    /// The table
    pub(crate) table: String,
    /// The key; 0x.. for bytes
    pub(crate) key: String,
    /// The value; `-` reads it from standard input
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: String,
    /// The context of the read whose values this write replaces (tables of kind 'siblings')
    #[arg(long, value_name = "TOKEN")]
    pub(crate) context: Option<Context>,
    /// How long the value stays, as in `500ms`, `1h` or `30d`; by default for good (not in tables of kind 'cas')
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    #[arg(conflicts_with_all = ["if_value", "if_present", "if_absent"])]
    pub(crate) ttl: Option<Duration>,
    /// Let other nodes stand in for replicas that are down (tables of kind 'siblings')
    #[arg(long)]
    pub(crate) sloppy: bool,
    /// Write only if the key holds nothing (tables of kind 'cas')
    #[arg(long, conflicts_with_all = ["if_value", "if_present", "context", "sloppy"])]
    pub(crate) if_absent: bool,
    #[command(flatten)]
    pub(crate) condition: Condition,
    #[command(flatten)]
    pub(crate) request: Request,
}

#[derive(Debug, Args)]
pub(crate) struct Del {
    /// The table
    pub(crate) table: String,
    /// The key; 0x.. for bytes
    pub(crate) key: String,
    /// The context of the read whose values this delete removes (tables of kind 'siblings')
    #[arg(long, value_name = "TOKEN")]
    pub(crate) context: Option<Context>,
    /// Let other nodes stand in for replicas that are down (tables of kind 'siblings')
    #[arg(long)]
    pub(crate) sloppy: bool,
    #[command(flatten)]
    pub(crate) condition: Condition,
    #[command(flatten)]
    pub(crate) request: Request,
}

/// What the key is to hold for it to be changed.
#[derive(Debug, Args)]
pub(crate) struct Condition {
    /// Only if the key holds this value; 0x.. for bytes. If not, the exit code is 2 (tables of kind 'cas')
    #[arg(long = "if", value_name = "VALUE", allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["if_present", "context", "sloppy"])]
    pub(crate) if_value: Option<String>,
    /// Only if the key holds some value (tables of kind 'cas')
    #[arg(long, conflicts_with_all = ["context", "sloppy"])]
    pub(crate) if_present: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Pages {
    /// The command, as in `admin repair`; the whole program without one
    pub(crate) command: Vec<String>,
    /// Write the pages of all commands to this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// One screen: how the cluster is, how many failures it still bears, and problems only
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Every node: what it says of itself, whom it cannot reach, and what the node asked holds of it
    #[command(after_help = NODES_EXAMPLES)]
    Nodes(Wide),
    /// Every node's share of the keys, beside what its weight entitles it to
    #[command(after_help = RING_EXAMPLES)]
    Ring(Cluster),
    /// Every table with its options
    #[command(after_help = TABLES_EXAMPLES)]
    Tables(Cluster),
    /// What nodes keep for those that missed writes
    #[command(after_help = HINTS_EXAMPLES)]
    Hints(Cluster),
    /// When each two replicas were last seen to hold the same; with --now they compare at once
    #[command(after_help = REPAIR_EXAMPLES)]
    Repair(Repair),
    /// How far each node is with verifying its records
    #[command(after_help = SCRUB_EXAMPLES)]
    Scrub(Scrub),
    /// What each replica holds of a key, side by side
    #[command(after_help = KEY_EXAMPLES)]
    Key(Key),
    /// Have nodes write a backup of what they hold, each on its own disk
    #[command(after_help = BACKUP_EXAMPLES)]
    Backup(Backup),
    /// Have a node stop in order, and wait until it has: clients go to the others and lose nothing
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(Drain),
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// End with exit code 2 if the cluster is degraded, and 4 if it is failing
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Wide {
    /// All columns for people, too, as other formats have them
    #[arg(long)]
    pub(crate) wide: bool,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Only this table
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Only the keys that these nodes hold together, as in `n1,n2,n3`
    #[arg(long, value_name = "NODES", value_parser = parse_range)]
    pub(crate) range: Option<BTreeSet<NodeId>>,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Scrub {
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Have all nodes begin at once, without their usual pauses, and wait until they are done
    #[arg(long)]
    pub(crate) now: bool,
    /// How long to wait, as in `30s` or `5m`; by default for as long as it takes
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "now")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    /// The table
    pub(crate) table: String,
    /// The key; 0x.. for bytes
    pub(crate) key: String,
    /// All columns for people, too, as other formats have them
    #[arg(long)]
    pub(crate) wide: bool,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// The node's name, or its id as in `n2`
    pub(crate) node: String,
    /// Do not wait until it has stopped
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait until it has stopped, as in `30s`; by default for as long as it takes
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "no_wait")]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What the clients do
    #[arg(long, value_enum, value_name = "WORKLOAD", default_value_t = Workload::Mixed)]
    pub(crate) workload: Workload,
    /// The kind of the table: siblings, register or cas
    #[arg(long, value_name = "KIND", default_value_t = TableKind::Siblings)]
    pub(crate) table_kind: TableKind,
    /// How many replicas of reads and writes: ONE, TWO, THREE, QUORUM, ALL or a number
    #[arg(long, value_name = "LEVEL", default_value_t = Consistency::Quorum)]
    pub(crate) consistency: Consistency,
    /// Bytes of a value, at least 24
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(crate) value_size: usize,
    /// How many keys there are, each of 16 bytes
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keys: u64,
    /// How keys are chosen; by default as the workload says
    #[arg(long, value_enum, value_name = "CHOICE")]
    pub(crate) choice: Option<Choice>,
    /// How many clients ask, each as soon as it has its answer
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// How many operations begin each second, whatever becomes of those before, instead of such clients
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "clients")]
    pub(crate) rate: Option<f64>,
    /// For how long it is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// For how long it runs before that
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_duration)]
    pub(crate) warm_up: Duration,
    /// Let writes carry the context of the write before, and so go round once (tables of kind 'siblings')
    #[arg(long)]
    pub(crate) with_context: bool,
    /// The table, made if there is none
    #[arg(long, value_name = "TABLE", default_value = "bench")]
    pub(crate) table: String,
    /// Do not write every key first: an earlier run has
    #[arg(long)]
    pub(crate) skip_load: bool,
    /// What random choices begin with; by default another one each time
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "output")]
    pub(crate) json: bool,
    /// Draw latency over time, throughput over time and the distribution of latency
    #[arg(long, value_name = "SVG")]
    pub(crate) plot: Option<PathBuf>,
    /// Nodes of a running cluster; by default three processes are started in a temporary directory
    #[arg(long, value_delimiter = ',', value_name = "HOST:PORT,..", help_heading = CLUSTER)]
    pub(crate) connect: Vec<String>,
    #[command(flatten)]
    pub(crate) files: CertificateFiles,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file; flags and the environment win over it
    #[arg(long, env = "QUORATE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Find mistakes in a configuration file, each with its line and what to do
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Print what would run, every setting included
    #[command(after_help = PRINT_EXAMPLES)]
    Print {
        /// What would run: file, environment and flags together. Nothing else is printed, so it need not be said
        #[arg(long)]
        effective: bool,
        #[command(flatten)]
        node: Box<Serve>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Certs {
    /// Make the cluster's authority: ca.crt and ca.key
    #[command(after_help = INIT_EXAMPLES)]
    Init {
        /// The directory, made if missing
        dir: PathBuf,
    },
    /// Make a node's certificate, signed by the authority in the directory
    #[command(after_help = NODE_EXAMPLES)]
    Node {
        /// The authority's directory
        dir: PathBuf,
        /// The node's name, as in the founders' list
        name: String,
        /// A further DNS name or IP address that it is valid for; may be given several times
        #[arg(long = "host", value_name = "HOST")]
        hosts: Vec<String>,
    },
    /// Make a client's certificate, signed by the authority in the directory
    #[command(after_help = CLIENT_EXAMPLES)]
    Client {
        /// The authority's directory
        dir: PathBuf,
        /// The client's name; the shell looks for `client`
        name: String,
    },
}

/// In place of `--output` where no data is printed: taken, for scripts that give it to every command, and not told of.
fn no_output() -> Arg {
    let nothing = "Nothing is printed here that has a format";
    Arg::new("output")
        .long("output")
        .help(nothing)
        .value_parser(EnumValueParser::<Format>::new())
        .global(true)
        .hide(true)
}

const CLUSTER: &str = "Cluster";
/// What a command takes itself comes first; --help and --version come after this.
const LAST: usize = 900;

#[cfg(test)]
mod tests;
