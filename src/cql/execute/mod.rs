//! Statements of programs: text and parameters in, answers out.

mod answer;
mod error;
mod prepare;

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;

use super::{
    AlterTable, Describe, DropTable, NewTable, Parameters, Plan, Reading, SessionLevel, Statement, Writing,
    plan,
};
use crate::{
    client::{self, Client, Delete, Failure, Found, Get, GetMany, Profile, Put, Scan, TableHandle},
    wire::Outcome,
};

pub use self::{
    answer::{Answer, OtherAnswer},
    error::ExecuteError,
    prepare::{PrepareError, Prepared},
};

/// A statement about to be carried out: set options, then await.
///
/// What a statement says itself, as in `USING CONSISTENCY ONE`, wins over what it is told here, and that over the client's
/// profile and the table's own levels.
///
/// ```
/// # #[cfg(feature = "mock")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = quorate::client::Mock::new().client();
/// # client.create_table("carts").await?;
/// use std::time::Duration;
/// use quorate::client::{Consistency, Profile};
///
/// let quick = Profile::new().read_consistency(Consistency::One).timeout(Duration::from_millis(200));
/// let read = client.execute("SELECT * FROM carts WHERE key = ?", ("alice",)).profile(&quick).await?.read()?;
/// assert_eq!(read.receipt().consistency, Consistency::One);
///
/// let all = "SELECT * FROM carts WHERE key = ? USING CONSISTENCY ALL";
/// let read = client.execute(all, ("alice",)).profile(&quick).await?.read()?;
/// assert_eq!(read.receipt().consistency, Consistency::All);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "mock"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Execute {
    client: Client,
    plan: Result<Plan, ExecuteError>,
    timeout: Option<Duration>,
    idempotent: Option<bool>,
    profile: Profile,
}

impl Client {
    /// Carries a statement out: see [`Execute`] for options, [`Parameters`] for what may stand for `?` and `:name`, and
    /// [`Answer`] for what comes back.
    ///
    /// ```
    /// # #[cfg(feature = "mock")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = quorate::client::Mock::new().client();
    /// client.execute("CREATE TABLE carts (key TEXT PRIMARY KEY, value TEXT)", ()).await?;
    /// client.execute("UPDATE carts SET value = ? WHERE key = ?", ("2 apples", "alice")).await?;
    ///
    /// let read = client.execute("SELECT value FROM carts WHERE key = :key", [("key", "alice")]).await?.read()?;
    /// assert_eq!(read.value()?.map(|value| &value[..]), Some(&b"2 apples"[..]));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "mock"))]
    /// # fn main() {}
    /// ```
    ///
    /// The text is parsed each time; [`prepare`](Self::prepare) does it once. What is wrong with the text or its parameters is an
    /// error before anything is sent.
    pub fn execute(&self, text: &str, parameters: impl Into<Parameters>) -> Execute {
        match self.prepare(text) {
            Ok(prepared) => prepared.execute(parameters),
            Err(error) => Execute::new(self.clone(), Err(error.into())),
        }
    }
}

impl Execute {
    fn new(client: Client, plan: Result<Plan, ExecuteError>) -> Self {
        Self { client, plan, timeout: None, idempotent: None, profile: Profile::new() }
    }

    fn of(client: Client, statement: &Statement, parameters: &Parameters) -> Self {
        Self::new(client, plan(statement, SessionLevel::Default, parameters).map_err(ExecuteError::from))
    }

    /// How long it may take, retries included: of a `SELECT` of several keys all of them together, of a scan each page.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Goes by `profile` in what neither the statement nor its options say.
    pub fn profile(mut self, profile: &Profile) -> Self {
        self.profile = profile.clone();
        self
    }

    /// Says of a write that doing it twice is as good as once: see [`Put::idempotent`]. One with a condition is never repeated.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    async fn send(self) -> Result<Answer, ExecuteError> {
        let Self { client, plan, timeout, idempotent, mut profile } = self;
        if let Some(timeout) = timeout {
            profile = profile.timeout(timeout);
        }
        if let Some(idempotent) = idempotent {
            profile = profile.idempotent(idempotent);
        }
        let find = async |name: &str| client.known_table(name, &profile).await;
        let table = async |name: &str| find(name).await.map(Found::in_time);
        Ok(match plan? {
            Plan::Get { table: name, keys, options, columns: _ } => {
                Answer::Reads(read(&table(&name).await?, keys, options).await?)
            }
            Plan::Scan { table: name, limit, options, columns: _ } => {
                // Each page has all of the time.
                let scan = options.scan(&find(&name).await?.table);
                Answer::Scan(Box::new(limit.into_iter().fold(scan, Scan::limit)))
            }
            Plan::Put { table: name, key, value, options } => {
                Answer::Written(options.put(&table(&name).await?, key, value).await?)
            }
            Plan::Delete { table: name, key, options } => {
                Answer::Written(options.delete(&table(&name).await?, key).await?)
            }
            Plan::CompareAndSet { table: name, key, expected, new, consistency } => {
                let compare = table(&name).await?.compare_and_set(key, expected, new);
                Answer::Compared(match consistency {
                    Some(consistency) => compare.consistency(consistency).await?,
                    None => compare.await?,
                })
            }
            Plan::CreateTable(wanted) => create(&client, &wanted, &profile).await?,
            Plan::Session(command) => change(&client, command, &profile).await?,
        })
    }
}

impl IntoFuture for Execute {
    type Output = Result<Answer, ExecuteError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Reads keys side by side. The first that fails, in their order, is the statement's failure.
async fn read(
    table: &TableHandle,
    mut keys: Vec<Bytes>,
    options: Reading,
) -> Result<Vec<(Bytes, client::Read)>, ExecuteError> {
    let reads = match keys.len() {
        1 => {
            let key = keys.remove(0);
            vec![(key.clone(), options.get(table, key).await)]
        }
        _ => options.get_many(table, keys).until(table.deadline()).await,
    };
    let named = |(key, read): (Bytes, _)| match read {
        Ok(read) => Ok((key, read)),
        Err(error) => Err(ExecuteError::Read { key, error: Box::new(error) }),
    };
    reads.into_iter().map(named).collect()
}

async fn create(client: &Client, wanted: &NewTable, profile: &Profile) -> Result<Answer, ExecuteError> {
    let mut request = wanted.request(client);
    if let Some(timeout) = profile.timeout {
        request = request.timeout(timeout);
    }
    match request.await {
        Ok(table) => Ok(Answer::Table(Box::new(table))),
        Err(error)
            if wanted.if_not_exists && matches!(error.failure(), Some(Failure::TableExists { .. })) =>
        {
            Ok(Answer::Table(Box::new(client.find_table_within(&wanted.name, profile.timeout).await?)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Changes a table, or describes some.
async fn change(client: &Client, command: Statement, profile: &Profile) -> Result<Answer, ExecuteError> {
    match command {
        Statement::AlterTable(alter) => {
            let mut request = alter.request(client);
            if let Some(timeout) = profile.timeout {
                request = request.timeout(timeout);
            }
            Ok(Answer::Table(Box::new(request.await?)))
        }
        Statement::DropTable(DropTable { name, if_exists }) => {
            match client.drop_table_within(name, profile.timeout).await {
                Err(error)
                    if if_exists
                        && error.outcome() == Outcome::NotApplied
                        && matches!(error.failure(), Some(Failure::UnknownTable { .. })) =>
                {
                    Ok(Answer::Done)
                }
                done => Ok(done.map(|()| Answer::Done)?),
            }
        }
        Statement::Truncate(name) => {
            client.truncate_table_within(name, profile.timeout).await?;
            Ok(Answer::Done)
        }
        Statement::Describe(Describe::Tables) => {
            Ok(Answer::Tables(client.tables_within(profile.timeout).await?))
        }
        Statement::Describe(Describe::Table(name)) => {
            Ok(Answer::Table(Box::new(client.find_table_within(&name, profile.timeout).await?)))
        }
        // Refused when it was prepared.
        other => Err(PrepareError::command(&other).into()),
    }
}

impl NewTable {
    /// The request that asks for it.
    pub(crate) fn request(&self, client: &Client) -> client::CreateTable {
        let mut request = client.create_table(&self.name).kind(self.kind);
        if let Some(replication) = self.replication {
            request = request.replication(replication);
        }
        if let Some(level) = self.read_consistency {
            request = request.read_consistency(level);
        }
        if let Some(level) = self.write_consistency {
            request = request.write_consistency(level);
        }
        request
    }
}

impl AlterTable {
    /// The request that asks for it.
    pub(crate) fn request(&self, client: &Client) -> client::AlterTable {
        let mut request = client.alter_table(&self.name);
        if let Some(level) = self.read_consistency {
            request = request.read_consistency(level);
        }
        if let Some(level) = self.write_consistency {
            request = request.write_consistency(level);
        }
        request
    }
}

impl Reading {
    /// The read of a key.
    pub(crate) fn get(self, table: &TableHandle, key: Bytes) -> Get {
        let get = self.consistency.into_iter().fold(table.get(key), Get::consistency);
        if self.monotone { get.monotone() } else { get }
    }

    /// The reads of many.
    pub(crate) fn get_many(self, table: &TableHandle, keys: Vec<Bytes>) -> GetMany {
        let get = self.consistency.into_iter().fold(table.get_many(keys), GetMany::consistency);
        if self.monotone { get.monotone() } else { get }
    }

    /// The reading of all.
    pub(crate) fn scan(self, table: &TableHandle) -> Scan {
        let scan = self.consistency.into_iter().fold(table.scan(), Scan::consistency);
        if self.monotone { scan.monotone() } else { scan }
    }
}

impl Writing {
    /// The write of a key.
    pub(crate) fn put(self, table: &TableHandle, key: Bytes, value: Bytes) -> Put {
        let Self { consistency, ttl, sloppy, context } = self;
        let put = table.put(key, value).sloppy(sloppy);
        let put = consistency.into_iter().fold(put, Put::consistency);
        let put = ttl.into_iter().fold(put, Put::ttl);
        context.into_iter().fold(put, Put::context)
    }

    /// The delete of a key.
    pub(crate) fn delete(self, table: &TableHandle, key: Bytes) -> Delete {
        let Self { consistency, sloppy, context, ttl: _ } = self;
        let delete = table.delete(key).sloppy(sloppy);
        let delete = consistency.into_iter().fold(delete, Delete::consistency);
        context.into_iter().fold(delete, Delete::context)
    }
}
