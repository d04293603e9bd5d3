//! What goes into a core and what comes out.

use quorate_ring::NodeId;

use crate::{
    entry::Entry,
    life::{Life, Refutation},
};

/// One thing that happened to a node.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The time of [`Gossip::next_timer`](crate::Gossip::next_timer) has come, or any other time.
    Tick,
    /// A datagram arrived. Whoever carries it vouches for the sender.
    Datagram {
        /// From whom.
        from: NodeId,
        /// Its content: anything at all.
        bytes: &'a [u8],
    },
    /// A stream arrived whole.
    Stream {
        /// From whom.
        from: NodeId,
        /// Its content: anything at all.
        bytes: &'a [u8],
    },
    /// A way to a node has opened, or opened again. One that is held to be gone is greeted at once: otherwise what an earlier
    /// process left behind, as its goodbye, would be told of the new one until that is tried the next time.
    Reached(NodeId),
    /// Say goodbye. The node still answers; when [`Gossip::next_timer`](crate::Gossip::next_timer) gives `None` the
    /// word is spread and the process may end.
    Leave,
}

/// One thing for the driver to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a datagram of at most [`DATAGRAM_BYTES_MAX`](crate::DATAGRAM_BYTES_MAX) bytes. It may be lost, doubled or
    /// late.
    Datagram {
        /// To whom.
        to: NodeId,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// Send at most [`STREAM_BYTES_MAX`](crate::STREAM_BYTES_MAX) bytes on a stream of their own. They too may be lost
    /// as a whole: a later exchange makes up for it.
    Stream {
        /// To whom.
        to: NodeId,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// Tell the user.
    Event(Event),
}

/// What the user of gossip learns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A member is alive: heard of for the first time, back, cleared of a suspicion, or in a new life.
    MemberUp {
        /// Who.
        node: NodeId,
        /// In which life.
        life: Life,
    },
    /// A member is suspected. Most suspicions are cleared: no reason to wake anybody.
    MemberSuspect {
        /// Who.
        node: NodeId,
        /// In which life.
        life: Life,
    },
    /// A member is dead: it did not answer this node's own last call either.
    MemberDown {
        /// Who.
        node: NodeId,
        /// In which life.
        life: Life,
    },
    /// A member said goodbye.
    MemberLeft {
        /// Who.
        node: NodeId,
        /// In which life.
        life: Life,
    },
    /// An entry of another node is new, or newer than before.
    EntryChanged(Entry),
    /// This node was suspected or called dead, and objected. Often: it is slow, or badly connected.
    Refuted {
        /// The refutation that says so.
        refutation: Refutation,
    },
    /// This node heard of itself in a life that is not its own, and took a greater one. Once after a start: the wall
    /// clock stepped back. Again and again: two processes run under one node id.
    LifeRaised {
        /// The new life.
        life: Life,
    },
    /// The process was stopped or starved for this long and gives others the benefit of the doubt.
    WasLate {
        /// How long.
        nanos: u64,
    },
}

/// Takes the effects of a call, in the order in which they arise.
pub trait Sink {
    /// Takes one.
    fn push(&mut self, effect: Effect);
}

impl Sink for Vec<Effect> {
    fn push(&mut self, effect: Effect) {
        Vec::push(self, effect);
    }
}
