//! The client SDK: what a program uses to read and write.
//!
//! [`Client`] finds the cluster through any of its nodes and then talks to the replicas of each key directly,
//! over one connection per node. It is cheap to clone and works on every kind of tokio runtime.
//!
//! # Connect
//!
//! A client needs a node or two to find the cluster through, and a certificate of the cluster's authority. It learns the
//! other nodes by itself, and keeps up with those that come and go.
//!
//! ```no_run
//! use quorate::client::{Client, Identity};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::from_pem_files("ca.crt".as_ref(), "client.crt".as_ref(), "client.key".as_ref())?;
//! let client = Client::builder().contact_points(["10.0.0.1:7000", "10.0.0.2:7000"]).tls(identity).build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A request about a key goes to a replica of it that is connected and answers. In a cluster that spans racks, or zones
//! of a cloud, a client that says in [which of them](ClientBuilder::local_rack) it is asks the replica there, for as long
//! as that one is well.
//!
//! ```no_run
//! # async fn example(identity: quorate::client::Identity) -> Result<(), Box<dyn std::error::Error>> {
//! # use quorate::client::Client;
//! let client = Client::builder().contact_points(["10.0.0.1:7000"]).tls(identity).local_rack("west").build().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Read and write
//!
//! Keys and values are bytes. A request is set up by its options and sent when it is awaited; each has a deadline, 5 s
//! unless a [profile](Profile) or the call itself says otherwise.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = quorate::client::Mock::new().client();
//! use std::time::Duration;
//!
//! client.create_table("sessions").await?;
//! let sessions = client.table("sessions").await?;
//! sessions.put("alice", "logged in").ttl(Duration::from_secs(3600)).await?;
//! let read = sessions.get("alice").timeout(Duration::from_millis(500)).await?;
//! assert_eq!(read.value()?.map(|value| &value[..]), Some(&b"logged in"[..]));
//! sessions.delete("alice").await?;
//!
//! for (key, written) in sessions.put_many([("bob", "1"), ("eve", "2")]).await {
//!     println!("{key:?} is on {:?}", written?.receipt().answered);
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! # Levels
//!
//! How many of a key's replicas must answer is for each request to say, or for its table. [`Consistency::Quorum`], the
//! default, is linearizable: a read sees every write that was acknowledged before it began, whichever nodes fail
//! meanwhile. [`Consistency::One`] is quicker, goes on with a single replica, and promises neither. What many requests
//! have in common, levels, timeouts, retries and hedging, is said once in a [`Profile`].
//!
//! # Siblings and contexts
//!
//! A `siblings` table, the usual kind, keeps values that were written side by side, so that none is lost, until somebody
//! merges them: [`Read::values`] gives all of them, and a write that carries the [`Read::context`] replaces
//! exactly what was read. [`TableHandle::update`] does it all. A `register` table keeps the value written last. A `cas` table
//! has one value, too, and writes that depend on it: see [below](#compare-and-set).
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = quorate::client::Mock::new().client();
//! # client.create_table("carts").await?;
//! # let carts = client.table("carts").await?;
//! let empty = carts.get("alice").await?;
//! carts.put("alice", "apples").context(empty.context()).await?;
//! carts.put("alice", "pears").context(empty.context()).await?; // by someone who has not seen the apples
//!
//! let both = carts.get("alice").await?;
//! assert!(both.is_conflicted());
//! let merged = both.values().join(&b", "[..]);
//! carts.put("alice", merged).context(both.context()).await?;
//!
//! // The same in one step, and again with newer values should somebody else be quicker.
//! carts.update("alice", |carts| [carts.concat(), b", plums".to_vec()].concat()).await?;
//! assert_eq!(carts.get("alice").await?.values(), ["apples, pears, plums"]);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! Where two values always come to one in the same way, a [resolver](Resolve) says how, in
//! [reads](Read::resolved) and [updates](TableHandle::update_with).
//!
//! # Compare and set
//!
//! In a `cas` table a write may say what the key is to hold before, for [locks](TableHandle::compare_and_set) and for
//! [counters](TypedTable::update): of those who want the same at once, one gets it, whichever nodes they ask and whichever fail
//! meanwhile. A condition that is not met is an answer, not an error.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = quorate::client::Mock::new().client();
//! use quorate::client::{Expected, TableKind};
//!
//! client.create_table("locks").kind(TableKind::Cas).await?;
//! let locks = client.table("locks").await?;
//! let compared = locks.compare_and_set("job", Expected::Absent, "mine").await?;
//! match (compared.is_applied(), compared.found()) {
//!     (true, _) => println!("we have it"),
//!     (false, holder) => println!("{holder:?} has it"),
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! Every write of a `cas` table, a plain [`put`](TableHandle::put) as well, is a round among the key's replicas, which takes
//! them twice to their disks. It needs QUORUM or more, and values there do not expire.
//!
//! # Outcomes and retries
//!
//! Every error says what is known of the write: it was [not applied](Outcome::NotApplied) and never will be, or that is
//! [unknown](Outcome::Unknown), because the answer did not come. Nothing is guessed. The client tries again by itself where
//! that does no harm, and within the deadline, as its [policy](RetryPolicy) says; a write whose outcome is unknown it never
//! repeats, unless it is marked [idempotent](Put::idempotent), and a [compare-and-set](CompareAndSet) never. What to do then only
//! the program knows:
//!
//! ```no_run
//! # async fn example(accounts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
//! use quorate::client::Outcome;
//!
//! match accounts.put("alice", "10").await {
//!     Ok(written) => println!("on {:?}", written.receipt().answered),
//!     Err(error) if error.outcome() == Outcome::NotApplied => println!("nothing happened: {error}"),
//!     Err(error) => println!("it may be there, or be there later; read it: {error}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Errors, like answers, have a [receipt](WriteError::receipt) if the request came to the key's replicas: which of them answered,
//! which did not, and why each failed. The [id](WriteError::request_id) of the attempt leads to the lines of the nodes' logs.
//!
//! # Scans
//!
//! [`TableHandle::scan`] reads a whole table, page by page, in the order of the keys' tokens. A [`Cursor`] is a place in
//! it that can be kept as text, for another process to go on from. The rows come one by one, in pages, or as a
//! [stream](Scan::into_stream) for what is made of streams.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = quorate::client::Mock::new().client();
//! # client.create_table("carts").await?;
//! # let carts = client.table("carts").await?;
//! # carts.put_many([("alice", "1"), ("bob", "2"), ("eve", "3")]).await;
//! use quorate::client::Cursor;
//!
//! let mut scan = carts.scan().limit(2);
//! while let Some(row) = scan.next().await? {
//!     println!("{:?}: {:?}", row.key(), row.values());
//! }
//! let bookmark = scan.cursor().expect("there is more").to_string();
//!
//! let mut rest = carts.scan().after(bookmark.parse::<Cursor>()?); // later, anywhere
//! assert!(rest.next().await?.is_some() && rest.next().await?.is_none());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! # Statements
//!
//! What the shell's language says can be said by a program, too: [`Client::execute`] carries out the text of a statement, with
//! [values](crate::cql::Parameters) in the place of `?` and `:name`, and gives an [answer](crate::cql::Answer). It is the same
//! requests in other words: levels, timeouts, outcomes and receipts are as everywhere. A statement that is carried out often is
//! [prepared](Client::prepare), which parses it once.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = quorate::client::Mock::new().client();
//! client.execute("CREATE TABLE IF NOT EXISTS carts (key TEXT PRIMARY KEY, value TEXT)", ()).await?;
//! let insert = client.prepare("INSERT INTO carts (key, value) VALUES (?, ?) USING TTL 3600")?;
//! for (key, value) in [("alice", "2 apples"), ("bob", "a pear")] {
//!     insert.execute((key, value)).await?;
//! }
//!
//! let read = client.execute("SELECT * FROM carts WHERE key = :key", [("key", "alice")]).await?.read()?;
//! let replace = "UPDATE carts SET value = ? WHERE key = ? WITH CONTEXT ?";
//! client.execute(replace, ("3 apples", "alice", read.context())).await?;
//!
//! let mut all = client.execute("SELECT * FROM carts USING CONSISTENCY ONE", ()).await?.scan()?;
//! while let Some(row) = all.next().await? {
//!     println!("{:?}: {:?}", row.key(), row.values());
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! Values are never parsed, so nothing that stands in one is taken for a part of the statement. A text that is no statement, a
//! value too many or too few, and commands of the shell are [refused](crate::cql::ExecuteError) before anything is sent.
//!
//! # Typed values
//!
//! [`TableHandle::typed`] gives the same table with values of a type that serde knows in the place of bytes.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = quorate::client::Mock::new().client();
//! # client.create_table("carts").await?;
//! use std::collections::BTreeSet;
//! use quorate::client::Union;
//!
//! let carts = client.table("carts").await?.typed::<BTreeSet<String>>();
//! carts.put("alice", &BTreeSet::from(["apples".to_owned()])).await?;
//! let add = |cart: Option<BTreeSet<_>>| {
//!     let mut cart = cart.unwrap_or_default();
//!     cart.insert("pears".to_owned());
//!     cart
//! };
//! carts.update_with("alice", Union, add).await?;
//! assert_eq!(carts.get("alice").await?.value()?.map(|cart| cart.len()), Some(2));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! # Metrics
//!
//! An [`Observer`] hears of each request and of each attempt as it ends: operation, table, level, node, latency, outcome.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mock = quorate::client::Mock::new();
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
//! use quorate::client::{Client, Ended, Observer};
//!
//! #[derive(Debug, Default)]
//! struct Requests {
//!     ended: AtomicU64,
//!     failed: AtomicU64,
//! }
//!
//! impl Observer for Requests {
//!     fn request(&self, ended: &Ended<'_>) {
//!         self.ended.fetch_add(1, Relaxed);
//!         self.failed.fetch_add(u64::from(ended.cause.is_some()), Relaxed);
//!     }
//! }
//!
//! let requests = Arc::new(Requests::default());
//! let client = Client::builder().observer(requests.clone()).build_mock(&mock); // or .build().await?
//! client.create_table("carts").await?;
//! assert_eq!((requests.ended.load(Relaxed), requests.failed.load(Relaxed)), (1, 0));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! # Testing
//!
//! With the feature `mock` there is `Mock`: a cluster in memory whose clients are of the type [`Client`], with contexts,
//! levels and scans as they are in a cluster, a clock that the test moves, and failures that it orders. It is meant for
//! `[dev-dependencies]`.
//!
//! ```
//! # #[cfg(feature = "mock")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use quorate::client::{Fault, Mock, Outcome};
//!
//! let mock = Mock::new();
//! let client = mock.client(); // what the code under test is given
//! client.create_table("sessions").await?;
//! let sessions = client.table("sessions").await?;
//! sessions.put("alice", "logged in").ttl(Duration::from_secs(60)).await?;
//! mock.advance(Duration::from_secs(61));
//! assert!(sessions.get("alice").await?.values().is_empty());
//!
//! mock.fail_next_write(Fault::UnknownApplied);
//! assert_eq!(sessions.put("alice", "again").await.unwrap_err().outcome(), Outcome::Unknown);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "mock"))]
//! # fn main() {}
//! ```
//!
//! # Cancellation
//!
//! Every future may be dropped at any time, as by a timeout or `select!`: its place in the queue is free at once, an answer
//! that comes later is ignored, and no other request notices. A write that was dropped after it was sent may be
//! applied, as one whose outcome is unknown.

mod backend;
mod backoff;
mod backup;
mod budget;
mod builder;
mod catalog;
mod change;
mod codec;
mod compare;
mod connection;
mod drain;
mod errors;
mod healing;
mod known;
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
mod stream;
mod table;
mod typed;
mod update;
mod view;

pub use builder::ClientBuilder;
pub use catalog::CreateTable;
pub use change::AlterTable;
pub use codec::{Codec, CodecError, DecodeError, MessagePack};
pub use compare::{CompareAndSet, ComparedAndSet, Expected, New, TypedComparedAndSet};
pub use errors::{
    BuildError, CatalogError, Cause, ChangeTableError, CreateTableError, ReadError, UpdateError, WriteError,
};
pub use healing::{FromEach, Scope, Waiting};
pub(crate) use known::Found;
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
pub use stream::ScanStream;
pub use table::TableHandle;
pub use typed::{TypedRead, TypedRow, TypedTable, ValueError};
pub use update::Update;
pub use view::{Raw, Typed, View};

pub use crate::{
    transport::{Identity, IdentityError},
    wire::{
        About, Agreed, BackupDescribed, BackupStage, BackupStatus, ClusterInfo, Draining, Failure,
        HealingDescribed, Held, HeldVersion, HintsFor, NodeStatus, NodesDescribed, OperationId, Outcome,
        Part, Progress, Receipt, ReplicaRead, ReplicaReport, RequestId, Scrubbing, Verdict, VersionedValue,
        Vitals,
    },
};
