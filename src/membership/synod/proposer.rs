//! The proposer: the count of one ballot.

use super::{Ballot, Electorate, Proposal, Verdict, Votes};

/// One attempt to have a value chosen, from prepare to chosen or lost. Another attempt is another proposer, under
/// a later ballot.
///
/// Events: [`promised`](Self::promised), [`accepted`](Self::accepted) and [`outbid`](Self::outbid) take answers in
/// any order and any number of times, and say what follows. [`propose`](Self::propose) is called once, after
/// [`Progress::Prepared`].
#[derive(Clone, Debug)]
pub struct Proposer<A, V> {
    ballot: Ballot,
    votes: Votes<A>,
    phase: Phase<V>,
    /// The latest ballot that an acceptor preferred.
    rival: Ballot,
}

#[derive(Clone, Debug)]
enum Phase<V> {
    /// Collecting promises, and the latest value that came with one.
    Preparing(Option<Proposal<V>>),
    /// A quorum has promised; the caller is to name a value.
    Prepared,
    /// Collecting votes for this value.
    Accepting(V),
    /// Chosen or lost: nothing changes any more.
    Over,
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<V> {
    /// Nothing yet.
    Wait,
    /// A quorum has promised. If a value was found it may be chosen already: the synod must propose it, or a
    /// value made from it where the register allows that. If none was found, none was chosen under an earlier
    /// ballot nor ever will be.
    Prepared {
        /// The value accepted under the latest ballot, of all that the quorum reported.
        found: Option<V>,
    },
    /// The value is chosen: every later ballot will find it.
    Chosen(V),
    /// No quorum is left for this ballot. If the value was sent out, whether it is chosen is not known.
    Lost {
        /// The latest ballot that an acceptor preferred.
        rival: Ballot,
    },
}

impl<A: Copy + Ord, V: Clone> Proposer<A, V> {
    /// An attempt whose prepare is about to be sent to all of `electorate`.
    pub fn new(ballot: Ballot, electorate: Electorate<A>) -> Self {
        Self { ballot, votes: Votes::new(electorate), phase: Phase::Preparing(None), rival: Ballot::ZERO }
    }

    /// The ballot.
    pub fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// The count of the present phase.
    pub fn votes(&self) -> &Votes<A> {
        &self.votes
    }

    /// Whether a value was sent out.
    pub fn has_proposed(&self) -> bool {
        matches!(self.phase, Phase::Accepting(_))
    }

    /// `from` promised this ballot and reports what it accepted under earlier ones.
    pub fn promised(&mut self, from: A, reported: Option<Proposal<V>>) -> Progress<V> {
        let Phase::Preparing(latest) = &mut self.phase else {
            return Progress::Wait;
        };
        if let Some(reported) = reported
            && latest.as_ref().is_none_or(|latest| latest.ballot < reported.ballot)
        {
            *latest = Some(reported);
        }
        self.votes.aye(from);
        self.judge()
    }

    /// The value to be accepted under this ballot.
    ///
    /// # Panics
    /// Unless the last progress was [`Progress::Prepared`].
    pub fn propose(&mut self, value: V) -> Proposal<V> {
        assert!(matches!(self.phase, Phase::Prepared), "a value goes out once, after a quorum has promised");
        self.votes = Votes::new(self.votes.electorate().clone());
        self.phase = Phase::Accepting(value.clone());
        Proposal { ballot: self.ballot, value }
    }

    /// `from` accepted the value.
    pub fn accepted(&mut self, from: A) -> Progress<V> {
        if !self.has_proposed() {
            return Progress::Wait;
        }
        self.votes.aye(from);
        self.judge()
    }

    /// `from` has promised a later ballot.
    pub fn outbid(&mut self, from: A, rival: Ballot) -> Progress<V> {
        if rival <= self.ballot || !matches!(self.phase, Phase::Preparing(_) | Phase::Accepting(_)) {
            return Progress::Wait;
        }
        self.rival = self.rival.max(rival);
        self.votes.no(from);
        self.judge()
    }

    fn judge(&mut self) -> Progress<V> {
        match self.votes.verdict() {
            Verdict::Open => Progress::Wait,
            Verdict::Lost => {
                self.phase = Phase::Over;
                Progress::Lost { rival: self.rival }
            }
            Verdict::Won => match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Preparing(latest) => {
                    self.phase = Phase::Prepared;
                    Progress::Prepared { found: latest.map(|proposal| proposal.value) }
                }
                Phase::Accepting(value) => Progress::Chosen(value),
                Phase::Prepared | Phase::Over => Progress::Wait,
            },
        }
    }
}
