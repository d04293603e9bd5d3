//! A key of a `cas` table, as one acceptor of its CASPaxos register holds it (Rystsov, "CASPaxos: Replicated State Machines
//! without Logs", 2018; rules C1 to C5).

use quorate_ring::{Actor, Hlc, Tag};
use serde::{Deserialize, Serialize};

use crate::Content;

/// What one replica has promised and accepted of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(Tag, Option<Accepted>, bool)", into = "(Tag, Option<Accepted>, bool)")]
pub struct Acceptor {
    promised: Tag,
    /// Apart, so that other states are not the larger for it.
    accepted: Option<Box<Accepted>>,
    copied: bool,
}

/// A proposal that an acceptor has accepted: not known to be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The round in which it was proposed. One ballot names one proposal.
    pub ballot: Tag,
    /// The write that made the content: the ballot under which it was first proposed. A later round that changes nothing
    /// proposes it again, under its own ballot.
    pub write: Tag,
    /// The write whose content this one took the place of; zero for none. It tells a writer that was outbid what became of
    /// its write (rule C4).
    pub replaced: Tag,
    /// What the write left behind.
    pub content: Content,
}

/// The tag that no write has.
pub(crate) const NONE: Tag = Tag { hlc: Hlc::ZERO, actor: Actor(0) };

/// An acceptor that no history leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an acceptor whose ballots are out of order")]
pub struct MalformedAcceptor;

impl TryFrom<(Tag, Option<Accepted>, bool)> for Acceptor {
    type Error = MalformedAcceptor;

    fn try_from(
        (promised, accepted, copied): (Tag, Option<Accepted>, bool),
    ) -> Result<Self, MalformedAcceptor> {
        let in_order = match &accepted {
            None => !copied && promised > NONE,
            Some(Accepted { ballot, write, replaced, .. }) => {
                *ballot <= promised && write <= ballot && replaced < write && (!copied || *ballot < promised)
            }
        };
        let accepted = accepted.map(Box::new);
        if in_order { Ok(Self { promised, accepted, copied }) } else { Err(MalformedAcceptor) }
    }
}

impl From<Acceptor> for (Tag, Option<Accepted>, bool) {
    fn from(acceptor: Acceptor) -> Self {
        (acceptor.promised, acceptor.accepted.map(|accepted| *accepted), acceptor.copied)
    }
}

impl Acceptor {
    /// One that has promised `ballot` and accepted nothing: also what a proposer sends to ask for the promise.
    pub const fn promising(ballot: Tag) -> Self {
        Self { promised: ballot, accepted: None, copied: false }
    }

    /// One that has accepted `accepted`: also what a proposer, or whoever passes it on, sends to have it accepted.
    pub fn accepting(accepted: Accepted) -> Self {
        Self { promised: accepted.ballot, accepted: Some(Box::new(accepted)), copied: false }
    }

    /// The latest round that it takes part in.
    pub const fn promised(&self) -> Tag {
        self.promised
    }

    /// What it accepted last.
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_deref()
    }

    /// What it accepted last, if its word is a vote for it. A replica that lost its state has copied what others had
    /// accepted; it tells proposers of that, but where it has promised a later round it has no vote for it (rule C5).
    pub fn vote(&self) -> Option<&Accepted> {
        self.accepted().filter(|_| !self.copied)
    }

    /// Whether what it accepted last is a mere copy.
    pub const fn is_copy(&self) -> bool {
        self.copied
    }

    /// What it has accepted, without what it has promised beyond that; nothing if it has accepted nothing.
    #[must_use]
    pub fn without_promise(mut self) -> Option<Self> {
        let ballot = self.accepted.as_ref()?.ballot;
        if !self.copied {
            self.promised = ballot;
        }
        Some(self)
    }

    /// It as a message: its proposal if it has one, or it asks for its promise. Whoever passes a proposal on, late or by another
    /// way, says no more than its proposer said.
    #[must_use]
    pub fn as_message(&self) -> Self {
        self.accepted().cloned().map_or(Self::promising(self.promised), Self::accepting)
    }
}
