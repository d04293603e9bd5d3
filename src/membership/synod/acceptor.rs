//! The acceptor: one voice, which never goes back on what it said.

use serde::{Deserialize, Serialize};

use super::Ballot;

/// A value under a ballot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal<V> {
    /// The attempt.
    pub ballot: Ballot,
    /// What it would have chosen.
    pub value: V,
}

/// The acceptor has promised itself to a later ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outbid {
    /// That ballot.
    pub promised: Ballot,
}

/// What one acceptor has promised and accepted in one synod.
///
/// [`prepare`](Self::prepare) and [`accept`](Self::accept) take events; what they return may be told to the
/// proposer once the acceptor as it then is, is durable (rule C2). A refusal needs nothing durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptor<V> {
    promised: Ballot,
    accepted: Option<Proposal<V>>,
}

impl<V> Default for Acceptor<V> {
    fn default() -> Self {
        Self { promised: Ballot::ZERO, accepted: None }
    }
}

impl<V: Clone> Acceptor<V> {
    /// An acceptor as it was written down.
    pub fn restore(promised: Ballot, accepted: Option<Proposal<V>>) -> Self {
        Self { promised, accepted }
    }

    /// Promises to take part in no earlier ballot, and says what it accepted last. Asked twice it says the same.
    ///
    /// # Errors
    /// [`Outbid`] if it has promised a later ballot.
    pub fn prepare(&mut self, ballot: Ballot) -> Result<Option<Proposal<V>>, Outbid> {
        self.heed(ballot)?;
        Ok(self.accepted.clone())
    }

    /// Accepts a value.
    ///
    /// # Errors
    /// [`Outbid`] if it has promised a later ballot.
    pub fn accept(&mut self, proposal: Proposal<V>) -> Result<(), Outbid> {
        self.heed(proposal.ballot)?;
        self.accepted = Some(proposal);
        Ok(())
    }

    /// The latest ballot that it takes part in.
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// What it accepted last: not known to be chosen.
    pub fn accepted(&self) -> Option<&Proposal<V>> {
        self.accepted.as_ref()
    }

    fn heed(&mut self, ballot: Ballot) -> Result<(), Outbid> {
        if ballot < self.promised {
            return Err(Outbid { promised: self.promised });
        }
        self.promised = ballot;
        Ok(())
    }

    /// Accepts whatever was promised to others, by mistake.
    #[cfg(feature = "mutants")]
    pub(crate) fn accept_blindly(&mut self, proposal: Proposal<V>) {
        self.accepted = Some(proposal);
    }

    /// The acceptor without its promise, as a careless one would write it down.
    #[cfg(feature = "mutants")]
    pub(crate) fn without_promise(&self) -> Self {
        let promised = self.accepted.as_ref().map_or(Ballot::ZERO, |proposal| proposal.ballot);
        Self { promised, accepted: self.accepted.clone() }
    }
}
