//! Who votes, and how many must agree.

use std::collections::BTreeSet;

/// The acceptors of a synod and how many of them make a quorum. Any two quorums share an acceptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Electorate<A> {
    voters: BTreeSet<A>,
    needed: usize,
}

impl<A: Copy + Ord> Electorate<A> {
    /// More than half of `voters` make a quorum.
    pub fn majority(voters: impl IntoIterator<Item = A>) -> Self {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        let needed = voters.len() / 2 + 1;
        Self { voters, needed }
    }

    /// All of `voters` make the only quorum.
    pub fn unanimity(voters: impl IntoIterator<Item = A>) -> Self {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        let needed = voters.len().max(1);
        Self { voters, needed }
    }

    /// The acceptors, in order.
    pub fn voters(&self) -> impl Iterator<Item = A> + '_ {
        self.voters.iter().copied()
    }

    /// Whether `acceptor` votes.
    pub fn contains(&self, acceptor: A) -> bool {
        self.voters.contains(&acceptor)
    }

    /// How many acceptors make a quorum.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Fewer than a quorum, by mistake.
    #[cfg(feature = "mutants")]
    pub(crate) fn minority(self) -> Self {
        Self { needed: (self.voters.len() / 2).max(1), ..self }
    }
}

/// How a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Neither yet.
    Open,
    /// A quorum agrees.
    Won,
    /// So many refuse that no quorum can agree any more.
    Lost,
}

/// Counts one vote: each acceptor once, and the first word counts.
#[derive(Clone, Debug)]
pub struct Votes<A> {
    electorate: Electorate<A>,
    ayes: BTreeSet<A>,
    noes: BTreeSet<A>,
}

impl<A: Copy + Ord> Votes<A> {
    /// Nobody has voted.
    pub fn new(electorate: Electorate<A>) -> Self {
        Self { electorate, ayes: BTreeSet::new(), noes: BTreeSet::new() }
    }

    /// An acceptor agrees. Whoever has no vote is not counted.
    pub fn aye(&mut self, acceptor: A) {
        if self.electorate.contains(acceptor) && !self.noes.contains(&acceptor) {
            self.ayes.insert(acceptor);
        }
    }

    /// An acceptor refuses.
    pub fn no(&mut self, acceptor: A) {
        if self.electorate.contains(acceptor) && !self.ayes.contains(&acceptor) {
            self.noes.insert(acceptor);
        }
    }

    /// How the vote stands.
    pub fn verdict(&self) -> Verdict {
        if self.ayes.len() >= self.electorate.needed {
            Verdict::Won
        } else if self.electorate.voters.len() - self.noes.len() < self.electorate.needed {
            Verdict::Lost
        } else {
            Verdict::Open
        }
    }

    /// How many agree.
    pub fn ayes(&self) -> usize {
        self.ayes.len()
    }

    /// Who has not been heard, in order.
    pub fn silent(&self) -> impl Iterator<Item = A> + '_ {
        self.electorate.voters().filter(|voter| !self.ayes.contains(voter) && !self.noes.contains(voter))
    }

    /// Who votes.
    pub fn electorate(&self) -> &Electorate<A> {
        &self.electorate
    }
}
