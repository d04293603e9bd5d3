//! One attempt to create a table, as its coordinator sees it.

use std::collections::BTreeSet;

use quorate_ring::{NodeId, Table};

use crate::{node::ClientId, wire::Header};

/// An attempt under way on the node that was asked to create the table.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Who waits for the table.
    pub(super) client: ClientId,
    /// The client's request id, and the deadline.
    pub(super) header: Header,
    /// What is to be created.
    pub(super) table: Table,
    /// How far it has come.
    pub(super) phase: Phase,
    /// Founders that may be missing, by mistake.
    #[cfg(feature = "mutants")]
    pub(super) missing_max: usize,
}

/// How far an attempt has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Founders, this one included, that have not yet said that they hold the table ready.
    Preparing(BTreeSet<NodeId>),
    /// All hold it ready: the decision is on its way to this node's disk.
    Deciding,
    /// Decided. Founders that have not yet said that they serve it; those that cannot be told will learn
    /// of it by the first request for the table, or by asking.
    Telling(BTreeSet<NodeId>),
    /// Given up: the refusal is on its way to this node's disk, and the text to the client.
    Refusing(String),
}

/// What follows from an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing yet.
    Wait,
    /// Make the decision durable.
    Decide,
    /// Make the refusal durable, for this reason.
    Refuse(String),
    /// Tell the client that the table is there.
    Done,
}

impl Attempt {
    /// A founder holds the table ready, or serves it.
    pub(super) fn agreed(&mut self, founder: NodeId) -> Next {
        match &mut self.phase {
            Phase::Preparing(waiting) => {
                waiting.remove(&founder);
                #[cfg(feature = "mutants")]
                if waiting.len() <= self.missing_max {
                    return Next::Decide;
                }
                if waiting.is_empty() { Next::Decide } else { Next::Wait }
            }
            Phase::Deciding | Phase::Refusing(_) | Phase::Telling(_) => Next::Wait,
        }
    }

    /// A founder serves the table, or cannot be told.
    pub(super) fn told(&mut self, founder: NodeId) -> Next {
        match &mut self.phase {
            Phase::Telling(waiting) => {
                waiting.remove(&founder);
                if waiting.is_empty() { Next::Done } else { Next::Wait }
            }
            _ => Next::Wait,
        }
    }

    /// A founder refuses, was lost, or took too long.
    pub(super) fn failed(&mut self, founder: NodeId, reason: String) -> Next {
        match &self.phase {
            Phase::Preparing(waiting) if waiting.contains(&founder) => Next::Refuse(reason),
            _ => self.told(founder),
        }
    }

    /// The deadline passed.
    pub(super) fn timed_out(&mut self) -> Next {
        match &self.phase {
            Phase::Preparing(waiting) => {
                let names: Vec<_> = waiting.iter().map(NodeId::to_string).collect();
                Next::Refuse(format!("no answer in time from {}", names.join(", ")))
            }
            Phase::Telling(_) => Next::Done,
            Phase::Deciding | Phase::Refusing(_) => Next::Wait,
        }
    }
}
