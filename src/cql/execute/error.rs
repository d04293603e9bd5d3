//! Why a statement failed, and what became of it.

use bytes::Bytes;

use super::PrepareError;
use crate::{
    client::{CatalogError, ChangeTableError, CreateTableError, ReadError, WriteError},
    cql::{PlanError, Term},
    wire::{Failure, Outcome, Receipt, RequestId},
};

/// Why a statement failed, and what became of it.
///
/// ```
/// # #[cfg(feature = "mock")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mock = quorate::client::Mock::new();
/// # let client = mock.client();
/// # client.create_table("carts").await?;
/// # mock.fail_next_write(quorate::client::Fault::UnknownApplied);
/// use quorate::client::Outcome;
///
/// match client.execute("UPDATE carts SET value = ? WHERE key = ?", ("2 apples", "alice")).await {
///     Ok(_) => println!("it is there"),
///     Err(error) if error.outcome() == Outcome::NotApplied => println!("nothing happened: {error}"),
///     Err(error) => println!("it may be there, or be there later; read it: {error}"),
/// }
///
/// let error = client.execute("UPDATE carts SET value = ? WHERE key = ?", ("2 apples",)).await.unwrap_err();
/// assert_eq!(error.to_string(), "the statement's parameter 2 has no value: 1 given");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "mock"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The text is no statement that a program can carry out: nothing was sent.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A parameter has no value, or a value no parameter: nothing was sent.
    #[error(transparent)]
    Parameters(#[from] PlanError),
    /// The table could not be looked up, or tables not be listed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A key was not read.
    #[error("{} was not read: {error}", named(key))]
    Read {
        /// The key.
        key: Bytes,
        /// Why.
        error: Box<ReadError>,
    },
    /// A key was not written or deleted, or may not have been.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A table was not created, or may not have been.
    #[error(transparent)]
    CreateTable(#[from] CreateTableError),
    /// A table was not altered, dropped or truncated, or may not have been.
    #[error(transparent)]
    ChangeTable(#[from] ChangeTableError),
}

impl ExecuteError {
    /// What is known of the statement's effect (rule Q10).
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Prepare(_) | Self::Parameters(_) | Self::Catalog(_) | Self::Read { .. } => {
                Outcome::NotApplied
            }
            Self::Write(error) => error.outcome(),
            Self::CreateTable(error) => error.outcome(),
            Self::ChangeTable(error) => error.outcome(),
        }
    }

    /// What the node said, if it was a node that failed the request.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Prepare(_) | Self::Parameters(_) => None,
            Self::Catalog(error) => error.failure(),
            Self::Read { error, .. } => error.failure(),
            Self::Write(error) => error.failure(),
            Self::CreateTable(error) => error.failure(),
            Self::ChangeTable(error) => error.failure(),
        }
    }

    /// How far the last attempt came with the key's replicas: see [`WriteError::receipt`].
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Prepare(_) | Self::Parameters(_) => None,
            Self::Catalog(error) => error.receipt(),
            Self::Read { error, .. } => error.receipt(),
            Self::Write(error) => error.receipt(),
            Self::CreateTable(error) => error.receipt(),
            Self::ChangeTable(error) => error.receipt(),
        }
    }

    /// What the last attempt is called in logs: see [`WriteError::request_id`].
    pub fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::Prepare(_) | Self::Parameters(_) => None,
            Self::Catalog(error) => error.request_id(),
            Self::Read { error, .. } => error.request_id(),
            Self::Write(error) => error.request_id(),
            Self::CreateTable(error) => error.request_id(),
            Self::ChangeTable(error) => error.request_id(),
        }
    }
}

/// A key in a message.
fn named(key: &[u8]) -> String {
    match key.len() {
        0..=SHOWN_BYTES_MAX => Term::of(key).to_string(),
        bytes => format!("a key of {bytes} bytes"),
    }
}

const SHOWN_BYTES_MAX: usize = 100;
