//! Carries statements out.

use std::{collections::BTreeMap, io};

use bytes::Bytes;
use quorate_ring::{Consistency, TableKind};
use tokio::task::JoinSet;

use super::{Console, copy, describe, help::HELP, script};
use crate::{
    client::{CatalogError, Client, CreateTableError, Read, ReadError, TableHandle, WriteError},
    cql::{
        Describe, Parameters, Plan, PlanError, Projection, Statement, plan,
        render::{Cell, Grid, bytes_text},
    },
    wire::{Failure, Receipt},
};

/// A person's or a script's conversation with a cluster: the client, and what commands have set.
#[derive(Debug)]
pub struct Session {
    client: Client,
    console: Console,
    consistency: Consistency,
    tracing: bool,
    tables: BTreeMap<String, TableHandle>,
    /// SOURCE within SOURCE.
    depth: usize,
}

/// What follows a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next one.
    Continue,
    /// The end: EXIT.
    Exit,
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// The text is no statement; the message shows where.
    #[error("{0}")]
    Cql(String),
    /// Parameters are for programs.
    #[error("{0}: write the value itself, parameters are for programs")]
    Plan(#[from] PlanError),
    /// A read failed.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A write failed.
    #[error("{0}")]
    Write(#[from] WriteError),
    /// A table was not created.
    #[error("{error}{}", hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default())]
    CreateTable {
        /// Why.
        error: CreateTableError,
        /// What to do.
        hint: Option<String>,
    },
    /// A question about tables or the cluster failed.
    #[error("{0}")]
    Catalog(#[from] CatalogError),
    /// A file cannot be used.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// COPY did not write every row.
    #[error("COPY wrote {written} rows and rejected {rejected}{}: see {rejects}", if *stopped { ", then gave up" } else { "" })]
    CopyRejected {
        /// Rows written.
        written: u64,
        /// Rows not written, or not for certain.
        rejected: u64,
        /// It gave up at `maxerrors`.
        stopped: bool,
        /// Where they are, with reasons.
        rejects: String,
    },
    /// Standard output or input is gone.
    #[error("{0}")]
    Console(#[from] io::Error),
}

impl Session {
    /// Begins at QUORUM with tracing off.
    pub fn new(client: Client, console: Console) -> Self {
        let (consistency, tables) = (Consistency::default(), BTreeMap::new());
        Self { client, console, consistency, tracing: false, tables, depth: 0 }
    }

    /// The level of statements that name none.
    pub fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// Where answers go.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Carries one statement out and prints its answer.
    ///
    /// # Errors
    /// See [`ShellError`]; those of writes say what became of them.
    pub async fn execute(&mut self, statement: Statement) -> Result<Flow, ShellError> {
        match plan(statement, self.consistency, &Parameters::none())? {
            Plan::CreateTable { name, kind, replication, if_not_exists } => {
                self.create_table(name, kind, replication, if_not_exists).await?;
            }
            Plan::Put { table, key, value, consistency } => {
                let written = self.table(&table).await?.put(key, value).consistency(consistency).await?;
                self.done("written", written.receipt());
            }
            Plan::Delete { table, key, consistency } => {
                let written = self.table(&table).await?.delete(key).consistency(consistency).await?;
                self.done("deleted", written.receipt());
            }
            Plan::Get { table, keys, projection, consistency } => {
                let table = self.table(&table).await?;
                self.select(&table, &keys, projection, consistency).await?;
            }
            Plan::Session(command) => return self.command(command).await,
        }
        Ok(Flow::Continue)
    }

    async fn command(&mut self, command: Statement) -> Result<Flow, ShellError> {
        match command {
            Statement::CopyFrom(request) => {
                let table = self.table(&request.table).await?;
                copy::copy_from(&table, &request, self.consistency, &self.console).await?;
            }
            Statement::Consistency(level) => {
                self.consistency = level.unwrap_or(self.consistency);
                self.console.note(format_args!("consistency {}", self.consistency));
            }
            Statement::Tracing(on) => {
                self.tracing = on.unwrap_or(self.tracing);
                self.console.note(format_args!("tracing {}", if self.tracing { "on" } else { "off" }));
            }
            Statement::Describe(what) => self.describe(what).await?,
            Statement::Source(file) => return self.source(&file).await,
            Statement::Help => self.console.text(HELP)?,
            Statement::Exit => return Ok(Flow::Exit),
            other => return Err(ShellError::Cql(format!("not supported here: {other}"))),
        }
        Ok(Flow::Continue)
    }

    async fn create_table(
        &mut self,
        name: String,
        kind: TableKind,
        replication: Option<u8>,
        if_not_exists: bool,
    ) -> Result<(), ShellError> {
        let mut request = self.client.create_table(name.clone()).kind(kind);
        if let Some(replication) = replication {
            request = request.replication(replication);
        }
        let table = match request.await {
            Ok(table) => table,
            Err(error) if if_not_exists && matches!(error.failure(), Some(Failure::TableExists { .. })) => {
                let table = self.table(&name).await?.definition();
                if table.kind != kind
                    || replication.is_some_and(|replication| replication != table.replication)
                {
                    let (kind, replication) = (table.kind, table.replication);
                    self.console.warn(format_args!(
                        "table {name} exists with kind '{kind}' and replication {replication}"
                    ));
                }
                return Ok(());
            }
            Err(error) => {
                let unsupported =
                    matches!(error.failure(), Some(Failure::Unsupported(_))) && kind != TableKind::Register;
                let hint = unsupported.then(|| {
                    format!(
                        "tables of kind 'register' work: CREATE TABLE {name} (key TEXT PRIMARY KEY, value BLOB) \
                         WITH kind = 'register'"
                    )
                });
                return Err(ShellError::CreateTable { error, hint });
            }
        };
        if replication.is_none() && table.replication < REPLICATION_DEFAULT {
            let n = table.replication;
            self.console
                .warn(format_args!("table {name} has replication {n}: the cluster has no more nodes"));
        }
        self.console.confirm(format_args!(
            "table {name} created: kind '{}', replication {}",
            table.kind, table.replication
        ));
        Ok(())
    }

    async fn select(
        &self,
        table: &TableHandle,
        keys: &[Bytes],
        projection: Projection,
        consistency: Consistency,
    ) -> Result<(), ShellError> {
        let mut grid = Grid::new(match projection {
            Projection::Key => &["key"],
            Projection::Value => &["value"],
            Projection::KeyValue => &["key", "value"],
            Projection::ValueKey => &["value", "key"],
        });
        for keys in keys.chunks(READS_AT_ONCE) {
            for (key, read) in keys.iter().zip(read_all(table, keys, consistency).await?) {
                for value in read.values() {
                    let (key, value) = (Cell::Bytes(key.clone()), Cell::Bytes(value.clone()));
                    grid.push(match projection {
                        Projection::Key => vec![key],
                        Projection::Value => vec![value],
                        Projection::KeyValue => vec![key, value],
                        Projection::ValueKey => vec![value, key],
                    });
                }
                if read.values().len() > 1 {
                    let (key, count, context) = (bytes_text(key), read.values().len(), read.context());
                    self.console
                        .note(format_args!("key '{key}' has {count} concurrent values; context {context}"));
                }
                self.trace(read.receipt());
            }
        }
        Ok(self.console.data(&grid)?)
    }

    async fn describe(&mut self, what: Describe) -> Result<(), ShellError> {
        match what {
            Describe::Tables => self.console.data(&describe::tables(&self.client.tables().await?))?,
            Describe::Table(name) => {
                // Not the handle of an earlier statement: what is described is what is there now.
                let table = self.client.table(&name).await?;
                self.console.data(&describe::tables(&[table.definition()]))?;
            }
            Describe::Cluster => {
                let info = self.client.cluster_info().await?;
                self.console.note(describe::headline(&info));
                self.console.data(&describe::cluster(&info))?;
            }
        }
        Ok(())
    }

    async fn source(&mut self, file: &str) -> Result<Flow, ShellError> {
        let fail = |reason| ShellError::File { file: file.to_owned(), reason };
        if self.depth >= DEPTH_MAX {
            return Err(fail(format!("SOURCE within SOURCE goes {DEPTH_MAX} files deep")));
        }
        let source = tokio::task::spawn_blocking({
            let file = file.to_owned();
            move || script::read_file(&file)
        });
        let source = source.await.map_err(io::Error::other)?.map_err(|error| fail(error.to_string()))?;
        self.depth += 1;
        let result = Box::pin(script::run_source(self, &source)).await;
        self.depth -= 1;
        // EXIT in a file ends the file.
        result.map(|_| Flow::Continue).map_err(|error| match error {
            ShellError::Cql(reason) => fail(reason),
            other => other,
        })
    }

    async fn table(&mut self, name: &str) -> Result<TableHandle, CatalogError> {
        if let Some(table) = self.tables.get(name) {
            return Ok(table.clone());
        }
        let table = self.client.table(name).await?;
        self.tables.insert(name.to_owned(), table.clone());
        Ok(table)
    }

    fn done(&self, what: &str, receipt: &Receipt) {
        self.console.confirm(what);
        self.trace(receipt);
    }

    fn trace(&self, receipt: &Receipt) {
        if self.tracing {
            self.console.note(receipt_text(receipt));
        }
    }
}

/// A receipt on one line.
pub fn receipt_text(receipt: &Receipt) -> String {
    let Receipt { coordinator, epoch, consistency, replicas, answered, tag, repaired, .. } = receipt;
    let nodes =
        |ids: &[quorate_ring::NodeId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!(
        "receipt: {consistency} by {coordinator} at {epoch}; replicas {}; answered {}; version {}{}",
        nodes(replicas),
        nodes(answered),
        tag.map_or_else(|| "none".to_owned(), |tag| tag.to_string()),
        if *repaired { "; repaired" } else { "" },
    )
}

/// Reads keys side by side and gives the answers in their order.
async fn read_all(
    table: &TableHandle,
    keys: &[Bytes],
    consistency: Consistency,
) -> Result<Vec<Read>, ShellError> {
    let mut reads = JoinSet::new();
    for (index, key) in keys.iter().enumerate() {
        let get = table.get(key.clone()).consistency(consistency);
        reads.spawn(async move { (index, get.await) });
    }
    let mut answers = Vec::with_capacity(keys.len());
    while let Some(answer) = reads.join_next().await {
        let (index, read) = answer.map_err(io::Error::other)?;
        answers.push((index, read?));
    }
    answers.sort_unstable_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, read)| read).collect())
}

const READS_AT_ONCE: usize = 64;
const DEPTH_MAX: usize = 16;
/// N of a table that names none, if the cluster has as many nodes.
const REPLICATION_DEFAULT: u8 = 3;
