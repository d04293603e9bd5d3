//! Getting back what a lost disk held (rule R7).
//!
//! A node whose data directory is fresh, although it is a member of a cluster that holds data, has acknowledged
//! writes that it has forgotten. Every promise at QUORUM counts on them: with N = 3 a write that {A, C} hold is
//! found by the readers {B, C} only if C has it. So until C has it again, C is no replica.
//!
//! # When a table is to be recovered
//!
//! The cluster map names the life of every member's directory (rule M1). A fresh directory is a life that it does not name:
//! the node is mute until the others have decided a map that does. The first such map divides the tables. Those that
//! it holds may have been written while an earlier life of the node was a replica: they are to be recovered. Those
//! that come after it cannot have been, because a slot is decided after the map before it. Table ids rise, so one
//! number tells the two apart, and it is written down in one record with the map itself: no crash comes between them.
//! The founders' first lives are named by a map without tables, so the first start of a cluster waits for nothing. What has
//! been recovered since is on record table by table; a crash in the middle goes on with the ranges that are left.
//!
//! Until a range is recovered this node, for that range, answers no fetch and no pull, acknowledges no store (it
//! keeps what it is sent) and mints nothing. It coordinates as a node that is no replica would. Peers are told
//! which ranges these are, so that requests that need this replica are refused at once.
//!
//! # When a range is recovered
//!
//! Once the durable states of N-Q+1 *other* replicas, none of which is recovering the range itself, have been
//! merged into this node's disk, durably. A write that was acknowledged by a quorum, this node's earlier life
//! included, is held by at least Q-1 of the N-1 others, so at most N-Q of them lack it: one of the N-Q+1 has it.
//! It follows that the range has as many holders of every acknowledged write afterwards as it had before the
//! loss. With N = 1 there is nobody to ask: that is said loudly, and the node serves what it has.
//!
//! Writes that are under way meanwhile may be missed by every pull. They do no harm, as long as nobody counts
//! this node among their holders: this life acknowledged none of them. An earlier one may have:
//!
//! 1. Coordinator D sends w to A, B and C. C stores it and says so.
//! 2. C loses its disk, comes back, and recovers from A and B, which w has not reached yet.
//! 3. B stores w and says so. D counts C and B: acknowledged. The readers {A, C} know nothing of w.
//!
//! So acknowledgements of a lost life are disowned. D does so when C comes back to it
//! ([`Coordinator::peer_replaced`](crate::coordinator::Coordinator::peer_replaced)), before it takes anything else
//! from C. But D may be cut off from C all the while. Then it hears it from B: one of those whose word makes up
//! the quorum beside C is one of those that C recovered from, because Q-1 and N-Q+1 of the N-1 others have one
//! in common. If that one held w before it was pulled, C has w. If not, it learned of C's new life before it
//! stored w, durably, because a connection is not used before; and its answer says so
//! ([`AfterLoss`](crate::wire::AfterLoss)). Reads at QUORUM add up answers in the same way and are treated the same.
//!
//! A record that is damaged at a source is skipped, with an alarm there, and the source does not count for that key
//! (rule S3): if too few others are left, the key's token alone stays unrecovered.
//!
//! # How
//!
//! [`Recovery`] pulls one page of a range at a time from a source, has its states merged like any store, and asks
//! for the next page when they are durable: its own disk sets the pace. [`Sources`] is the arithmetic, `source` the
//! other side. More disks lost at a time than N-Q leave ranges that nobody can vouch for: they stay unrecovered,
//! with an alarm, until more replicas are back.

mod pull;
mod recover;
mod refetch;
mod source;
mod sources;

pub use recover::{Recovery, RecoveryTicket};
pub use source::{Source, SourceErrand};
pub use sources::Sources;
