//! Carries statements out.

use std::{io, time::Duration};

use bytes::Bytes;
use quorate_ring::{Consistency, Table};

use super::{
    Answer, Console, ShellError,
    answer::{self, resolution, term},
    clock::now,
    copy, copy_to, describe,
    help::help,
    pager, scan, script,
    trace::{failure_trace, not_read, receipt_table},
    wait,
};
use crate::{
    client::{CatalogError, ChangeTableError, Client, Expected, New, Profile, TableHandle, WriteError},
    cql::{
        AlterTable, Column, Describe, DropTable, NewTable, Paging, Parameters, Plan, Reading, SessionLevel,
        Statement, Writing, plan,
    },
    wire::{Failure, Outcome, Receipt},
};

mod settings;
mod under_way;

pub(super) use under_way::UnderWay;

/// A person's or a script's conversation with a cluster: the client, and what commands have set.
#[derive(Debug)]
pub struct Session {
    client: Client,
    console: Console,
    level: SessionLevel,
    tracing: bool,
    timing: bool,
    /// How long a person was waited for, while the statement under way was carried out.
    thought: Duration,
    paging: Paging,
    under_way: UnderWay,
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

impl Session {
    /// Begins at each table's own levels with tracing off.
    pub fn new(client: Client, console: Console) -> Self {
        Self {
            client,
            console,
            level: SessionLevel::Default,
            tracing: false,
            timing: false,
            thought: Duration::ZERO,
            paging: Paging::Screen,
            under_way: UnderWay::NoWrite,
            depth: 0,
        }
    }

    /// The level of statements that name none.
    pub fn level(&self) -> SessionLevel {
        self.level
    }

    /// Where answers go.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What is left under way if nobody waits for the statement any more.
    pub(super) fn under_way(&self) -> UnderWay {
        self.under_way
    }

    /// The client, for what is asked beside statements.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Carries one statement out and prints its answer.
    ///
    /// # Errors
    /// See [`ShellError`]; those of writes say what became of them.
    pub async fn execute(&mut self, statement: Statement) -> Result<Flow, ShellError> {
        let (begun, is_timed) = (now(), self.timing && settings::is_timed(&statement));
        self.thought = Duration::ZERO;
        self.under_way = UnderWay::of(&statement);
        let result = self.carry_out(statement).await;
        self.under_way = UnderWay::NoWrite;
        if is_timed {
            let took = begun.elapsed().saturating_sub(self.thought);
            self.console.note(format_args!("time: {:.1} ms", took.as_secs_f64() * 1e3));
        }
        result
    }

    async fn carry_out(&mut self, statement: Statement) -> Result<Flow, ShellError> {
        match plan(&statement, self.level, &Parameters::none())? {
            Plan::CreateTable(wanted) => self.create_table(wanted).await?,
            Plan::Put { table, key, value, options } => self.put(&table, key, value, options).await?,
            Plan::Delete { table, key, options } => self.delete(&table, key, options).await?,
            Plan::CompareAndSet { table, key, expected, new, consistency } => {
                self.compare_and_set(&table, key, (expected, new), consistency).await?;
            }
            Plan::Get { table, keys, columns, options } => {
                self.select(&table, &keys, &columns, options).await?;
            }
            Plan::Scan { table, columns, limit, options } => {
                let handle = self.table(&table).await?;
                let wish = scan::Wish { columns, limit, options, paging: self.paging, tracing: self.tracing };
                self.thought = scan::select_all(&handle, &wish, &self.console).await?;
            }
            Plan::Session(command) => return self.command(command).await,
        }
        Ok(Flow::Continue)
    }

    async fn command(&mut self, command: Statement) -> Result<Flow, ShellError> {
        match command {
            Statement::CopyFrom(request) => {
                let table = self.table(&request.table).await?;
                copy::copy_from(&table, &request, self.level, &self.console).await?;
            }
            Statement::CopyTo(request) => {
                let table = self.table(&request.table).await?;
                copy_to::copy_to(&table, &request, self.level, &self.console).await?;
            }
            Statement::AlterTable(alter) => self.alter_table(alter).await?,
            Statement::DropTable(DropTable { name, if_exists }) => self.drop_table(&name, if_exists).await?,
            Statement::Truncate(name) => {
                self.client.truncate_table(&name).await?;
                self.console.confirm(format_args!("table {name} truncated"));
            }
            setting @ (Statement::Consistency(_)
            | Statement::Tracing(_)
            | Statement::Expand(_)
            | Statement::Timing(_)
            | Statement::Paging(_)) => self.set(setting),
            Statement::Describe(what) => self.describe(what).await?,
            Statement::Source(file) => return self.source(&file).await,
            Statement::Wait(wait) => {
                return wait::wait(&self.client, wait, &self.console).await.map(|()| Flow::Continue);
            }
            Statement::Help(word) => {
                self.thought = pager::tell(&help(word), self.paging, &self.console).await?;
            }
            Statement::Exit => return Ok(Flow::Exit),
            other => return Err(ShellError::Cql(format!("not supported here: {other}"))),
        }
        Ok(Flow::Continue)
    }

    async fn create_table(&mut self, wanted: NewTable) -> Result<(), ShellError> {
        let NewTable { name, replication, if_not_exists, .. } = &wanted;
        let table = match wanted.request(&self.client).await {
            Ok(table) => table,
            Err(error) if *if_not_exists && matches!(error.failure(), Some(Failure::TableExists { .. })) => {
                let table = self.table(name).await?.definition();
                if !is_as_wanted(&table, &wanted) {
                    self.console.warn(format_args!("table {name} exists with {}", properties(&table)));
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if replication.is_none() && table.replication < REPLICATION_DEFAULT {
            let n = table.replication;
            self.console
                .warn(format_args!("table {name} has replication {n}: the cluster has no more nodes"));
        }
        self.console.confirm(format_args!("table {name} created: {}", properties(&table)));
        Ok(())
    }

    async fn alter_table(&mut self, alter: AlterTable) -> Result<(), ShellError> {
        let (name, table) = (&alter.name, alter.request(&self.client).await?);
        self.console.confirm(format_args!("table {name} altered: {}", properties(&table)));
        Ok(())
    }

    async fn drop_table(&mut self, name: &str, if_exists: bool) -> Result<(), ShellError> {
        let is_missing = |error: &ChangeTableError| {
            error.outcome() == Outcome::NotApplied
                && matches!(error.failure(), Some(Failure::UnknownTable { .. }))
        };
        match self.client.drop_table(name).await {
            Ok(()) => self.console.confirm(format_args!("table {name} dropped")),
            Err(error) if if_exists && is_missing(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn put(
        &mut self,
        table: &str,
        key: Bytes,
        value: Bytes,
        options: Writing,
    ) -> Result<(), ShellError> {
        let put = options.put(&self.table(table).await?, key.clone(), value);
        let written = put.await.map_err(|error| self.not_written(table, &key, error))?;
        self.done("written", &key, written.receipt());
        Ok(())
    }

    async fn delete(&mut self, table: &str, key: Bytes, options: Writing) -> Result<(), ShellError> {
        let delete = options.delete(&self.table(table).await?, key.clone());
        let written = delete.await.map_err(|error| self.not_written(table, &key, error))?;
        self.done("deleted", &key, written.receipt());
        Ok(())
    }

    /// A condition that is not met is an answer like any other.
    async fn compare_and_set(
        &mut self,
        table: &str,
        key: Bytes,
        (expected, new): (Expected, New),
        consistency: Option<Consistency>,
    ) -> Result<(), ShellError> {
        let mut compare = self.table(table).await?.compare_and_set(key.clone(), expected, new);
        if let Some(consistency) = consistency {
            compare = compare.consistency(consistency);
        }
        let compared = compare.await.map_err(|error| self.not_written(table, &key, error))?;
        self.console.data(&answer::compared(&compared, self.console.format()))?;
        self.trace(&key, compared.receipt());
        Ok(())
    }

    async fn select(
        &mut self,
        name: &str,
        keys: &[Bytes],
        columns: &[Column],
        options: Reading,
    ) -> Result<(), ShellError> {
        let table = self.table(name).await?;
        let mut answer = Answer::new(name, table.definition().kind, columns, self.console.format());
        let mut receipts = Vec::new();
        // However many keys: the statement has its timeout once.
        for (key, read) in options.get_many(&table, keys.to_vec()).until(table.deadline()).await {
            let read = read.map_err(|error| not_read(&term(&key), self.tracing, error))?;
            answer.push(&key, &read);
            if self.tracing {
                receipts.push((key, read.receipt().clone()));
            }
        }
        let traces = receipts.iter().map(|(key, receipt)| receipt_table(&term(key).to_string(), receipt));
        let notes = answer.conflicts().iter().cloned().chain(traces);
        self.thought = pager::show(answer.grid(), notes, self.paging, &self.console).await?;
        Ok(())
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

    async fn table(&self, name: &str) -> Result<TableHandle, CatalogError> {
        self.client.known_table(name, &Profile::new()).await.map(|found| found.table)
    }

    fn done(&self, what: &str, key: &Bytes, receipt: &Receipt) {
        self.console.confirm(what);
        self.trace(key, receipt);
    }

    fn trace(&self, key: &Bytes, receipt: &Receipt) {
        if self.tracing {
            self.console.note(receipt_table(&term(key).to_string(), receipt));
        }
    }

    /// The error of a write, with the statement that makes room where there are too many siblings.
    fn not_written(&self, table: &str, key: &Bytes, error: WriteError) -> ShellError {
        let hint = error.context().map(|context| resolution(table, key, &context));
        let trace = || failure_trace(&term(key).to_string(), error.receipt(), error.request_id());
        let trace = self.tracing.then(trace).flatten();
        ShellError::Write { error, hint: hint.map(Box::from), trace: trace.map(Box::from) }
    }
}

/// Whether `table` is what was asked for.
fn is_as_wanted(table: &Table, wanted: &NewTable) -> bool {
    wanted.kind == table.kind
        && wanted.replication.is_none_or(|n| n == table.replication)
        && wanted.read_consistency.is_none_or(|level| level == table.read_consistency)
        && wanted.write_consistency.is_none_or(|level| level == table.write_consistency)
}

fn properties(table: &Table) -> String {
    let Table { kind, replication, read_consistency, write_consistency, .. } = table;
    format!(
        "kind '{kind}', replication {replication}, reads at {read_consistency}, writes at {write_consistency}"
    )
}

const DEPTH_MAX: usize = 16;
/// N of a table that names none, if the cluster has as many nodes.
const REPLICATION_DEFAULT: u8 = 3;
