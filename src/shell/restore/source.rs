//! The backups that are restored: verified first, then read as one.

#![expect(clippy::disallowed_methods, reason = "backups are files")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use quorate_ring::Table;
use quorate_storage::{BackupError, BackupManifest, BackupReader, MergedBackups};

use crate::{
    cql::render::{Cell, Grid},
    shell::{Console, ShellError, copy::progress_bar},
};

/// Backups of one cluster, each of them whole and sound.
#[derive(Debug)]
pub struct BackupSet {
    parts: Vec<(PathBuf, BackupManifest)>,
}

/// What they are read from.
pub(super) type Rows = MergedBackups<BufReader<File>>;

impl BackupSet {
    /// Verifies the backups in `directories`, at least one: all of each is read.
    ///
    /// # Errors
    /// [`ShellError::File`] for one that is unfinished, damaged, of a later format or of another cluster than the first.
    pub fn verify(directories: &[PathBuf]) -> Result<Self, ShellError> {
        let mut parts: Vec<(PathBuf, BackupManifest)> = Vec::new();
        for directory in directories {
            let fail = |error: BackupError| failed(directory, &error);
            let manifest = manifest(directory).map_err(fail)?;
            if let Some((_, first)) = parts.first().filter(|(_, first)| first.cluster != manifest.cluster) {
                let why = format!(
                    "it is of cluster '{}' ({}), the first one of '{}' ({}): restore them one after the other",
                    manifest.cluster_name, manifest.cluster, first.cluster_name, first.cluster
                );
                return Err(failed(directory, &why));
            }
            verify_data(directory, &manifest).map_err(fail)?;
            parts.push((directory.clone(), manifest));
        }
        Ok(Self { parts })
    }

    /// What is in them: a row for each table of each.
    pub fn grid(&self) -> Grid {
        let mut grid = Grid::new(&[
            "backup",
            "cluster",
            "node",
            "taken_us",
            "table",
            "kind",
            "replication",
            "records",
            "whole",
        ]);
        for (directory, manifest) in &self.parts {
            for table in &manifest.tables {
                grid.push(vec![
                    Cell::Text(directory.display().to_string()),
                    Cell::Text(manifest.cluster_name.clone()),
                    Cell::Text(manifest.node_name.clone()),
                    Cell::Number(manifest.taken_us),
                    Cell::Text(table.table.name.clone()),
                    Cell::Text(table.table.kind.to_string()),
                    Cell::Number(table.table.replication.into()),
                    Cell::Number(table.records),
                    Cell::Flag(table.whole),
                ]);
            }
        }
        grid
    }

    /// The tables by name. One that was truncated, or dropped and created anew, between two of the backups has another id
    /// in the later: that is the table then.
    pub(super) fn tables(&self) -> BTreeMap<String, Table> {
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        for table in self.parts.iter().flat_map(|(_, manifest)| &manifest.tables).map(|table| &table.table) {
            let known = tables.entry(table.name.clone()).or_insert_with(|| table.clone());
            if known.id < table.id {
                *known = table.clone();
            }
        }
        tables
    }

    /// Says what may be missing, of one table if only that is wanted.
    pub fn warn(&self, table: Option<&str>, console: &Console) {
        let is_wanted = |name: &str| table.is_none_or(|wanted| wanted == name);
        for (directory, manifest) in &self.parts {
            let shown = directory.display();
            if manifest.damaged > 0 {
                console.warn(format_args!(
                    "{shown}: {} records were damaged on the node's disk, and are not in it",
                    manifest.damaged
                ));
            }
            for table in manifest.tables.iter().filter(|table| !table.whole && is_wanted(&table.table.name)) {
                let name = &table.table.name;
                console.warn(format_args!(
                    "{shown}: the node was getting keys of '{name}' back, which are not in it"
                ));
            }
        }
        let ids: BTreeSet<_> = self.parts.iter().map(|(_, manifest)| manifest.node).collect();
        let members = self.parts.iter().map(|(_, manifest)| manifest.nodes).max().unwrap_or_default();
        for table in self.tables().values().filter(|table| is_wanted(&table.name)) {
            if let Some(what) = missing(members, ids.len() as u64, table) {
                console.warn(what);
            }
        }
    }

    /// Where the first one is: what is kept of a restore lies beside it.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let first = self.parts.first().map_or(Path::new("backup"), |(directory, _)| directory);
        // A directory may be named with a slash behind it, or as `.`.
        let whole = fs::canonicalize(first).unwrap_or_else(|_| first.to_owned());
        let name = whole.file_name().unwrap_or_default().to_string_lossy();
        whole.with_file_name(format!("{name}.{suffix}"))
    }

    /// What tells these backups from others.
    pub(super) fn digests(&self) -> Vec<u64> {
        self.parts.iter().map(|(_, manifest)| manifest.data.digest).collect()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.iter().map(|(_, manifest)| manifest.data.bytes).sum()
    }

    /// Begins to read them.
    pub(super) fn read(&self) -> Result<Rows, ShellError> {
        let open = |(directory, _): &(PathBuf, BackupManifest)| {
            reader(directory).map_err(|error| failed(directory, &error))
        };
        let readers = self.parts.iter().map(open).collect::<Result<_, _>>()?;
        Rows::new(readers).map_err(|error| self.failed(&error))
    }

    /// An error of reading them, which were sound a moment ago.
    pub(super) fn failed(&self, error: &BackupError) -> ShellError {
        let names: Vec<_> = self.parts.iter().map(|(directory, _)| directory.display().to_string()).collect();
        ShellError::File { file: names.join(", "), reason: error.to_string() }
    }
}

/// What backups of `nodes` of `members` nodes may lack of a table, if anything.
fn missing(members: u64, nodes: u64, table: &Table) -> Option<String> {
    let (name, replicas) = (&table.name, u64::from(table.replication).min(members));
    let for_each_key = members - replicas + 1;
    let for_each_write = members - replicas / 2;
    if nodes < for_each_key {
        return Some(format!(
            "keys of '{name}' may be missing: each has {replicas} replicas on {members} nodes, and these are backups of {nodes}; \
             those of {for_each_key} have all keys"
        ));
    }
    (nodes < for_each_write).then(|| {
        format!(
            "'{name}' is as {} had it, without what was still to reach {}: backups of {for_each_write} nodes have every \
             write that QUORUM had acknowledged",
            if nodes == 1 { "one node" } else { "some nodes" },
            if nodes == 1 { "it" } else { "them" },
        )
    })
}

fn manifest(directory: &Path) -> Result<BackupManifest, BackupError> {
    match fs::read(directory.join("manifest")) {
        Ok(bytes) => BackupManifest::decode(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => {
            Err(BackupError::Unfinished)
        }
        Err(error) => Err(BackupError::Io(error.to_string())),
    }
}

fn reader(directory: &Path) -> Result<BackupReader<BufReader<File>>, BackupError> {
    let file =
        File::open(directory.join("data")).map_err(|error| BackupError::Io(format!("its data: {error}")))?;
    BackupReader::new(BufReader::with_capacity(1 << 18, file))
}

fn verify_data(directory: &Path, manifest: &BackupManifest) -> Result<(), BackupError> {
    let bar = progress_bar(manifest.data.bytes, 0);
    bar.set_message("verified");
    let mut reader = reader(directory)?;
    while reader.next()?.is_some() {
        bar.set_position(reader.bytes());
    }
    bar.finish_and_clear();
    let (expected, found) = (manifest.data, reader.data());
    if found == expected { Ok(()) } else { Err(BackupError::Differs { expected, found }) }
}

fn failed(directory: &Path, why: &impl ToString) -> ShellError {
    ShellError::File { file: directory.display().to_string(), reason: why.to_string() }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{TableId, TableKind};

    use super::*;

    #[test]
    fn it_is_known_what_backups_of_some_nodes_may_lack() {
        let lacks = |members, nodes, replication| {
            let table = Table::new(TableId(1), "t", TableKind::Register, replication);
            missing(members, nodes, &table).map(|what| what.starts_with("keys"))
        };
        assert_eq!([1, 2, 3].map(|nodes| lacks(3, nodes, 3)), [Some(false), None, None]);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|nodes| lacks(5, nodes, 3)),
            [Some(true), Some(true), Some(false), None, None]
        );
        assert_eq!(lacks(1, 1, 1), None);
        assert_eq!([1, 2].map(|nodes| lacks(2, nodes, 1)), [Some(true), None]);
    }
}
