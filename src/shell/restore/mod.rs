//! Restoring backups: each value becomes a new write.
//!
//! Several backups of one cluster are read side by side, and what they hold of a key is merged as replicas merge it: what
//! one of them has and what another one lacks come together, and what was deleted or overwritten on one of them is not brought
//! back by another. Then the key's values are written over what the cluster holds of it. Doing it twice, or again after it was
//! interrupted, ends in the same, but for what others wrote in between.
//!
//! How far it has come stands in a file, beside the backup by default, as with COPY .. FROM.

mod key;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    time::Duration,
};

use indicatif::ProgressBar;
use quorate_ring::{ClusterId, Consistency, Table, TableId};
use quorate_storage::{MergeError, Row, State};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, yield_now};

use self::key::{KeyRestore, Live, Restored};
use super::{Console, ShellError, clock, copy::progress_bar, progress_file::ProgressFile, rejects::Rejects};
use crate::{
    client::{Client, TableHandle},
    cql::render::{Cell, Grid},
};

pub use source::BackupSet;

/// How backups are restored.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Only this table.
    pub table: Option<String>,
    /// Into the table of this name; only with one table.
    pub into: Option<String>,
    /// The level of each write.
    pub consistency: Consistency,
    /// Keys that are written at a time, at least 1.
    pub in_flight: usize,
    /// After so many rejected keys it gives up.
    pub errors_max: u64,
    /// Leave keys alone that hold a value.
    pub skip_existing: bool,
    /// Go on where an interrupted restore had come to.
    pub resume: bool,
    /// Where it is kept how far it has come, if not beside the first backup.
    pub progress: Option<PathBuf>,
}

/// Restores `backups` with new writes, creating tables that are missing, and says what became of each table's keys. Keys
/// that cannot be written go with the reason into a file beside that of the progress.
///
/// # Errors
/// [`ShellError::RestoreRejected`] if there were such keys; a table of another kind is in the way, or a table cannot be
/// created; a backup cannot be read any more. Nothing was done yet if the progress cannot be kept, or is to be gone on with
/// and is not known.
pub async fn restore(
    client: &Client,
    backups: &BackupSet,
    options: &RestoreOptions,
    console: &Console,
) -> Result<(), ShellError> {
    let tables = chosen(backups, options)?;
    let cluster = client.cluster_info().await?;
    let members = cluster.layout.members.len();
    let of = Scope {
        backups: backups.digests(),
        cluster: quorate_ring::Ring::new(cluster.layout).map_err(io::Error::other)?.cluster_id(),
        table: options.table.clone(),
        into: options.into.clone(),
    };
    let path = options.progress.clone().unwrap_or_else(|| backups.beside("progress"));
    let progress = ProgressFile::new(path, of);
    let from = go_on(&progress, options, console)?;
    let mut run = Run {
        targets: targets(client, tables, options, members, console).await?,
        options,
        rejects: Rejects::new(progress.rejects(), &["table", "key", "reason"], from.is_some()),
        in_flight: JoinSet::new(),
        open: BTreeSet::new(),
    };
    let stopped = run.go_through(backups, from, &progress).await?;
    if !stopped {
        progress.remove();
    }
    console.data(&run.grid())?;
    let restored = run.targets.values().map(|target| target.counts.keys).sum();
    let (rejected, rejects) = run.rejects.finish()?;
    if rejected > 0 {
        return Err(ShellError::RestoreRejected { restored, rejected, stopped, rejects });
    }
    Ok(())
}

/// The tables that are wanted, by name.
fn chosen(backups: &BackupSet, options: &RestoreOptions) -> Result<BTreeMap<String, Table>, ShellError> {
    let mut tables = backups.tables();
    let Some(wanted) = &options.table else { return Ok(tables) };
    let names: Vec<_> = tables.keys().cloned().collect();
    tables.retain(|name, _| name == wanted);
    if tables.is_empty() {
        let reason = format!("there is no table '{wanted}' in it: it has {}", names.join(", "));
        return Err(ShellError::File { file: "backup".to_owned(), reason });
    }
    Ok(tables)
}

/// Finds the table for each one that is restored, and creates those that are missing once it is known that all of the others fit.
async fn targets(
    client: &Client,
    tables: BTreeMap<String, Table>,
    options: &RestoreOptions,
    members: usize,
    console: &Console,
) -> Result<BTreeMap<TableId, Target>, ShellError> {
    let existing = client.tables().await?;
    let name = |table: &Table| options.into.clone().unwrap_or_else(|| table.name.clone());
    let found = |name: &str| existing.iter().find(|table| table.name == name);
    for table in tables.values() {
        let name = name(table);
        if let Some(other) = found(&name).filter(|other| other.kind != table.kind) {
            let reason = format!("it is of kind '{}', its backup of kind '{}'", other.kind, table.kind);
            return Err(ShellError::File { file: format!("table '{name}'"), reason });
        }
    }
    let mut targets = BTreeMap::new();
    for table in tables.into_values() {
        let name = name(&table);
        if found(&name).is_none() {
            create(client, &table, &name, members, console).await?;
        }
        let handle = client.table(&name).await?;
        targets.insert(table.id, Target { table: table.name, name, handle, counts: Counts::default() });
    }
    Ok(targets)
}

async fn create(
    client: &Client,
    table: &Table,
    name: &str,
    members: usize,
    console: &Console,
) -> Result<(), ShellError> {
    let replication = table.replication.min(u8::try_from(members).unwrap_or(u8::MAX));
    if replication < table.replication {
        console.warn(format_args!(
            "table '{name}' gets {replication} replicas, not {}: there are no more nodes",
            table.replication
        ));
    }
    let create = client.create_table(name).kind(table.kind).replication(replication);
    let create = create.read_consistency(table.read_consistency).write_consistency(table.write_consistency);
    create.await.map(drop).map_err(ShellError::from)
}

/// Where an interrupted restore had come to, if it is to go on there.
fn go_on(
    progress: &ProgressFile<Scope>,
    options: &RestoreOptions,
    console: &Console,
) -> Result<Option<Row>, ShellError> {
    progress.try_out("--progress FILE keeps it elsewhere")?;
    if options.resume {
        let place: Row =
            progress.known("restore of this, or it has come to its end", "without --resume it begins")?;
        console.note(format_args!("the restore goes on at token {}", place.token));
        return Ok(Some(place));
    }
    if progress.read::<Row>()?.is_some() {
        console.note("an earlier restore of this was interrupted: --resume goes on where it had come to");
    }
    Ok(None)
}

/// What is restored, and where to: another restore goes on elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Scope {
    backups: Vec<u64>,
    cluster: ClusterId,
    table: Option<String>,
    into: Option<String>,
}

/// The first row that can come after `row`.
fn after(row: Row) -> Row {
    let key = [&row.key[..], &[0]].concat();
    Row { key: key.into(), ..row }
}

/// A table that keys are written to.
struct Target {
    /// What it was called.
    table: String,
    /// What it is called.
    name: String,
    handle: TableHandle,
    counts: Counts,
}

/// What became of the keys of a table.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    keys: u64,
    values: u64,
    existing: u64,
    deleted: u64,
    expired: u64,
    rejected: u64,
}

/// A restore under way.
struct Run<'o> {
    targets: BTreeMap<TableId, Target>,
    options: &'o RestoreOptions,
    rejects: Rejects,
    in_flight: JoinSet<Settled>,
    /// The rows in flight.
    open: BTreeSet<Row>,
}

/// A key whose writes have ended.
struct Settled {
    row: Row,
    values: u64,
    result: Result<Restored, String>,
}

impl Run<'_> {
    /// Restores everything from the place `from` on; whether it gave up.
    async fn go_through(
        &mut self,
        backups: &BackupSet,
        from: Option<Row>,
        progress: &ProgressFile<Scope>,
    ) -> Result<bool, ShellError> {
        let mut rows = backups.read()?;
        let bar = progress_bar(backups.bytes(), 0);
        let mut saved_at = clock::now();
        let (mut at, mut passed) = (from.clone(), 0_u64);
        while self.rejects.count() < self.options.errors_max {
            let Some((row, state)) = rows.next().map_err(|error| backups.failed(&error))? else {
                while self.settle_one().await? {}
                bar.finish_and_clear();
                return Ok(false);
            };
            passed += 1;
            if passed.is_multiple_of(YIELD_EVERY) {
                // Connections must live on while rows are passed over.
                yield_now().await;
            }
            if from.as_ref().is_some_and(|from| row < *from) {
                continue;
            }
            at = Some(row.clone());
            self.take(row, state).await?;
            self.show(&bar, rows.bytes());
            if saved_at.elapsed() >= SAVED_EVERY {
                saved_at = clock::now();
                self.save(progress, at.as_ref())?;
            }
        }
        while self.settle_one().await? {}
        bar.finish_and_clear();
        // All that was begun has ended: this row is not to be set aside once more.
        self.save(progress, at.map(after).as_ref())?;
        Ok(true)
    }

    async fn take(&mut self, row: Row, state: Result<State, MergeError>) -> Result<(), ShellError> {
        let Some(target) = self.targets.get_mut(&row.table) else { return Ok(()) };
        let state = match state {
            Ok(state) => state,
            Err(why) => return self.reject(&row, &format!("the backups contradict each other: {why}")),
        };
        let Live { values, expired } = Live::of(&state, clock::wall_now());
        target.counts.expired += expired;
        if values.is_empty() {
            target.counts.deleted += u64::from(expired == 0);
            return Ok(());
        }
        let restore = KeyRestore {
            table: target.handle.clone(),
            key: row.key.clone(),
            values,
            level: self.options.consistency,
            skip_existing: self.options.skip_existing,
        };
        while self.in_flight.len() >= self.options.in_flight {
            self.settle_one().await?;
        }
        self.open.insert(row.clone());
        self.in_flight.spawn(async move {
            let result = restore.run().await;
            Settled { row, values: restore.values.len() as u64, result }
        });
        Ok(())
    }

    /// Waits for one key; whether there was any.
    async fn settle_one(&mut self) -> Result<bool, ShellError> {
        let Some(settled) = self.in_flight.join_next().await else { return Ok(false) };
        let Settled { row, values, result } = settled.map_err(io::Error::other)?;
        self.open.remove(&row);
        match result {
            Ok(restored) => {
                if let Some(Target { counts, .. }) = self.targets.get_mut(&row.table) {
                    let written = u64::from(restored == Restored::Written);
                    counts.keys += written;
                    counts.values += written * values;
                    counts.existing += 1 - written;
                }
            }
            Err(reason) => self.reject(&row, &reason)?,
        }
        Ok(true)
    }

    fn reject(&mut self, row: &Row, reason: &str) -> Result<(), ShellError> {
        let Some(target) = self.targets.get_mut(&row.table) else { return Ok(()) };
        target.counts.rejected += 1;
        self.rejects.write([target.table.as_bytes(), &row.key, reason.as_bytes()])
    }

    /// Saves that all before the first row in flight, or else before `at`, is done.
    fn save(&mut self, progress: &ProgressFile<Scope>, at: Option<&Row>) -> Result<(), ShellError> {
        self.rejects.flush()?;
        let Some(place) = self.open.first().or(at) else { return Ok(()) };
        progress.save(place)
    }

    fn show(&self, bar: &ProgressBar, bytes: u64) {
        let keys: u64 = self.targets.values().map(|target| target.counts.keys).sum();
        if keys.is_multiple_of(SHOWN_EVERY) {
            bar.set_position(bytes);
            let per_second = keys as f64 / bar.elapsed().as_secs_f64();
            bar.set_message(format!(
                "{keys} keys, {per_second:.0} a second, {} rejected",
                self.rejects.count()
            ));
        }
    }

    fn grid(&self) -> Grid {
        let mut grid =
            Grid::new(&["table", "into", "keys", "values", "existing", "deleted", "expired", "rejected"]);
        for Target { table, name, counts, .. } in self.targets.values() {
            let Counts { keys, values, existing, deleted, expired, rejected } = *counts;
            let numbers = [keys, values, existing, deleted, expired, rejected].map(Cell::Number);
            let names = [table, name].map(|name| Cell::Text(name.clone()));
            grid.push(names.into_iter().chain(numbers).collect());
        }
        grid
    }
}

const SAVED_EVERY: Duration = Duration::from_secs(1);
const SHOWN_EVERY: u64 = 64;
const YIELD_EVERY: u64 = 256;

#[cfg(test)]
mod tests {
    use quorate_ring::Token;

    use super::*;

    #[test]
    fn nothing_comes_between_a_row_and_the_one_after_it() {
        let row = |key: &[u8]| Row::new(Token(-7), TableId(3), key.to_vec());
        let next = after(row(b"k"));
        assert!(row(b"k") < next && next == row(b"k\0"));
        assert!(next < row(b"k\0\0") && next < row(b"l"));
    }
}
