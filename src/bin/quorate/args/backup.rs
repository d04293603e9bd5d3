//! What backups and restores can be told.

use std::path::PathBuf;

use clap::Args;

use quorate::{ring::Consistency, units::parse_bytes};

use super::Cluster;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// What to call it; it lies in the directory of that name under `backups` in the node's data directory
    pub(crate) name: String,
    /// The node's name, or its id as in `n2`; several with commas. By default the node that --connect leads to
    #[arg(long, value_delimiter = ',', value_name = "NODE,..", conflicts_with = "all")]
    pub(crate) node: Vec<String>,
    /// Have every node write one, each of what it holds itself
    #[arg(long)]
    pub(crate) all: bool,
    /// How many bytes a second each node writes at most, as in `100MiB`; by default 32MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) rate: Option<u64>,
    /// Begin, and do not wait until it is done; asked again under the same name the node says how far it is
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Directories of backups; those of several nodes of one cluster are merged key by key
    #[arg(required = true, value_name = "DIR")]
    pub(crate) directories: Vec<PathBuf>,
    /// Only this table
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// Into the table of this name
    #[arg(long, value_name = "TABLE", requires = "table")]
    pub(crate) into: Option<String>,
    /// Leave keys alone that hold a value
    #[arg(long)]
    pub(crate) skip_existing: bool,
    /// The level of each write: QUORUM or ALL
    #[arg(long, value_name = "LEVEL", default_value = "QUORUM")]
    pub(crate) consistency: Consistency,
    /// Keys that are written at a time
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) inflight: u16,
    /// Give up after so many keys that could not be written
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_errors: u64,
    /// Go on where an interrupted restore had come to
    #[arg(long)]
    pub(crate) resume: bool,
    /// Keep how far it has come in this file, and beside it the keys that could not be written: by default both lie beside the
    /// first DIR, and it may not be possible to write there
    #[arg(long, value_name = "FILE")]
    pub(crate) progress: Option<PathBuf>,
    /// Verify the backups and say what is in them, and write nothing
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
}
