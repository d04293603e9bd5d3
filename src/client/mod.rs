//! The client SDK: what a program uses to read and write.
//!
//! [`Client`] finds the cluster through any of its nodes and then talks to the replicas of each key directly,
//! over one connection per node. It is cheap to clone and works on every kind of tokio runtime. Every call has
//! a deadline and may be cancelled by dropping its future. Every error says whether a write was
//! [applied, not applied, or unknown](Outcome).
//!
//! ```no_run
//! use quorate::client::{Client, Consistency, Identity};
//! # fn merge(values: &[bytes::Bytes]) -> Vec<u8> { values.concat() }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::from_pem_files("ca.crt".as_ref(), "client.crt".as_ref(), "client.key".as_ref())?;
//! let client = Client::builder().contact_points(["127.0.0.1:7000"]).tls(identity).build().await?;
//! let carts = client.table("carts").await?;
//!
//! let read = carts.get("alice").consistency(Consistency::Quorum).await?;
//! let merged = merge(read.values());
//! carts.put("alice", merged).context(read.context()).await?;
//!
//! carts.update("alice", merge).await?; // the same in one line
//! # Ok(())
//! # }
//! ```

mod backend;
mod backoff;
mod backup;
mod budget;
mod builder;
mod catalog;
mod change;
mod codec;
mod connection;
mod drain;
mod errors;
mod healing;
mod many;
#[cfg(feature = "mock")]
mod mock;
mod node;
mod nodes;
mod observer;
mod operation;
mod pending;
mod policy;
mod profile;
mod reply;
mod resolve;
mod routing;
mod scan;
mod session;
mod table;
mod typed;
mod update;
mod view;

pub use builder::ClientBuilder;
pub use catalog::CreateTable;
pub use change::AlterTable;
pub use codec::{Codec, CodecError, DecodeError, MessagePack};
pub use errors::{
    BuildError, CatalogError, Cause, ChangeTableError, CreateTableError, ReadError, UpdateError, WriteError,
};
pub use healing::{FromEach, Scope, Waiting};
pub use many::{GetMany, PutMany};
#[cfg(feature = "mock")]
pub use mock::{Fault, Mock};
pub use observer::{Ended, Observer, Operation};
pub use operation::{Delete, Get, Put};
pub use policy::{DefaultRetries, FailedAttempt, Nature, NoRetries, Retry, RetryPolicy};
pub use profile::Profile;
pub use quorate_ring::{Consistency, Table as TableDefinition, TableKind};
pub use reply::{ConcurrentValues, Context, MalformedContext, Read, Written};
pub use resolve::{Latest, Resolve, Union};
pub use scan::{Cursor, MalformedCursor, Scan, ScanPage, ScannedRow};
pub use session::Client;
pub use table::TableHandle;
pub use typed::{TypedRead, TypedRow, TypedTable, ValueError};
pub use update::Update;
pub use view::{Raw, Typed, View};

pub use crate::{
    transport::{Identity, IdentityError},
    wire::{
        About, Agreed, BackupDescribed, BackupStage, BackupStatus, ClusterInfo, Draining, Failure,
        HealingDescribed, Held, HeldVersion, HintsFor, NodeStatus, NodesDescribed, Outcome, Part, Progress,
        Receipt, ReplicaRead, ReplicaReport, Scrubbing, Verdict, VersionedValue, Vitals,
    },
};
