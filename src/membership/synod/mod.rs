//! A single-decree synod: how a majority chooses one value, once (Lamport, "The Part-Time Parliament", 1998;
//! "Paxos Made Simple", 2001).
//!
//! It knows no map, no network and no disk. The cluster map runs one synod per epoch (rule M1) and finishes the
//! value that it finds. (A key of a `cas` table goes by the same two phases for ever, with other means: its acceptors are
//! records among others in the commit step, and its proposers requests among others; see `coordinator`.) Two halves:
//!
//! - [`Acceptor`] answers *prepare* and *accept*. What it answers must be durable first (rule C2): whoever calls
//!   it writes it down, then sends the answer. *Why: an acceptor that forgets a promise lets two proposers through.
//!   P prepares ballot 1 at A and B; Q prepares ballot 2 at B and C, finds nothing, and has its value accepted by
//!   B and C: chosen. B restarts without its promise and takes P's accept: A and B, chosen as well.*
//! - [`Proposer`] counts the answers to one ballot. Between the two phases it says what was found, and its caller
//!   says what to propose. *Why what was found binds: it may have been chosen already, by a majority of which
//!   this ballot met a single acceptor.*
//!
//! Ballots are made unique by the [`Actor`](quorate_ring::Actor) of the process, so a proposer keeps nothing on
//! disk. When to try again after a lost ballot is the caller's affair: a random while later (rule C4).

mod acceptor;
mod ballot;
mod electorate;
mod proposer;

pub use acceptor::{Acceptor, Outbid, Proposal};
pub use ballot::Ballot;
pub use electorate::{Electorate, Verdict, Votes};
pub use proposer::{Progress, Proposer};

#[cfg(test)]
mod tests;
