//! What the replicas of a key said during a read: who agrees with whom, and what all of them know together.

use quorate_ring::{Duration, Hlc, Instant, Tag};
use quorate_storage::{MergeError, Merged, State, Version, merge};

use crate::coordinator::quorum::Places;

/// What each replica said, by place. The newest word of each counts, and of one round the fullest.
///
/// Events: [`asked`](Self::asked), [`heard`](Self::heard), [`confirm`](Self::confirm),
/// [`told_clock`](Self::told_clock), [`failed`](Self::failed). The rest only looks.
#[derive(Debug, Default)]
pub(in crate::coordinator) struct Replies {
    of: Vec<Reply>,
    /// How many words came, failures among them.
    words: u8,
}

/// Of one replica.
#[derive(Clone, Debug, Default)]
struct Reply {
    /// When it was last asked something.
    asked_at: Instant,
    slowest_us: u32,
    /// The how-manieth to be heard of; 0 for nothing yet.
    nth: u8,
    /// The round of what it said.
    round: u8,
    said: Option<Said>,
    /// The latest that it said of its clock (rule D1).
    clock: Option<Hlc>,
    failed: bool,
}

/// What a replica holds, in its own words; `None` for nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::coordinator) enum Said {
    /// Itself.
    State(Option<State>),
    /// Its version and digest.
    Digest(Option<(Version, u128)>),
}

/// One version with two contents (rule V4): nothing is picked and nothing is served. With the tag, where a single one
/// is known to be concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::coordinator) struct Conflict(pub(in crate::coordinator) Option<Tag>);

impl From<MergeError> for Conflict {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::EqualTagDifferentBytes(tag) => Self(Some(tag)),
            _ => Self(None),
        }
    }
}

impl Said {
    /// The version, with the digest.
    pub(in crate::coordinator) fn of(state: &State) -> Self {
        Self::Digest(Some((state.version(), state.digest())))
    }

    /// Whether the two say the same. The version decides; a digest only tells corruption (rules Q7, V4). Of siblings it
    /// does not tell which of them is concerned: that takes both states.
    fn agrees(&self, other: &Self) -> Result<bool, Conflict> {
        // Whoever has copied what it holds of a `cas` key has no vote for it (rule C5).
        if [self, other].iter().any(|said| matches!(said, Self::State(Some(state)) if !state.is_vote())) {
            return Ok(false);
        }
        let alike = match (self, other) {
            (Self::State(None) | Self::Digest(None), Self::State(None) | Self::Digest(None)) => {
                return Ok(true);
            }
            (Self::State(Some(one)), Self::State(Some(other))) if same_version(one, other) => one == other,
            (Self::State(Some(state)), Self::Digest(Some((version, digest))))
            | (Self::Digest(Some((version, digest))), Self::State(Some(state)))
                if is_of(state, version) =>
            {
                state.digest() == *digest
            }
            (Self::Digest(Some((one, digest))), Self::Digest(Some((other, other_digest))))
                if one == other =>
            {
                digest == other_digest
            }
            _ => return Ok(false),
        };
        let tag = || match (self, other) {
            (said, Self::State(Some(state))) | (Self::State(Some(state)), said) => {
                said.tag_in_question(state)
            }
            (Self::Digest(Some((Version::Tag(tag), _))), _) => Some(*tag),
            _ => None,
        };
        if alike { Ok(true) } else { Err(Conflict(tag())) }
    }

    /// If it contradicts `state`, the tag with two contents, if that can be told.
    fn tag_in_question(&self, state: &State) -> Option<Tag> {
        match (self, state) {
            (Self::State(Some(held)), _) => {
                merge(Some(held), state).err().and_then(|error| Conflict::from(error).0)
            }
            (Self::Digest(_), State::Register(_) | State::Cas(_)) => state.version().greatest(),
            _ => None,
        }
    }

    /// Whether it cannot stand beside `state`: one version, with two contents.
    fn contradicts(&self, state: &State) -> bool {
        match self {
            Self::State(Some(held)) => merge(Some(held), state).is_err(),
            Self::State(None) => false,
            Self::Digest(None) => false,
            Self::Digest(Some((version, digest))) => is_of(state, version) && state.digest() != *digest,
        }
    }

    /// Whether nothing that it tells of is missing in `state`.
    fn is_covered_by(&self, state: &State) -> bool {
        match (self, state) {
            (Self::Digest(_), state) if self.contradicts(state) => false,
            (Self::State(None) | Self::Digest(None), _) => true,
            (Self::State(Some(held @ State::Cas(_))), State::Cas(_)) => {
                held.version().greatest() <= state.version().greatest()
            }
            (Self::State(Some(held)), state) => matches!(merge(Some(state), held), Ok(Merged::Held)),
            (Self::Digest(Some((Version::Tag(tag), _))), State::Register(_) | State::Cas(_)) => {
                state.version().covers(*tag)
            }
            (Self::Digest(Some((Version::Vector(vector), _))), State::Siblings(siblings)) => {
                siblings.vector().dominates(vector)
            }
            _ => false,
        }
    }
}

impl Replies {
    /// Nothing was said yet by any of `replicas`.
    pub(in crate::coordinator) fn new(replicas: usize) -> Self {
        Self { of: vec![Reply::default(); replicas], words: 0 }
    }

    /// The replica at `place` is asked something.
    pub(in crate::coordinator) fn asked(&mut self, now: Instant, place: usize) {
        self.of[place].asked_at = now;
    }

    /// How long ago the replica at `place` was asked.
    pub(in crate::coordinator) fn waited(&self, now: Instant, place: usize) -> Duration {
        now.since(self.of[place].asked_at)
    }

    /// The replica at `place` says what it holds.
    pub(in crate::coordinator) fn heard(&mut self, now: Instant, place: usize, round: u8, said: Said) {
        let reply = self.word_of(now, place);
        let is_fuller = matches!(said, Said::State(_)) || !matches!(reply.said, Some(Said::State(_)));
        if reply.said.is_none() || round > reply.round || round == reply.round && is_fuller {
            reply.round = round;
            reply.said = Some(said);
        }
    }

    /// The replica at `place` says what its clock shows: never less than what it said before (rule D1).
    pub(in crate::coordinator) fn told_clock(&mut self, now: Instant, place: usize, clock: Hlc) {
        let reply = self.word_of(now, place);
        reply.clock = reply.clock.max(Some(clock));
    }

    /// The replica at `place` did not do what it was asked.
    pub(in crate::coordinator) fn failed(&mut self, now: Instant, place: usize) {
        self.word_of(now, place).failed = true;
    }

    /// The replica at `place` has lost what it said it holds.
    pub(in crate::coordinator) fn forget(&mut self, place: usize) {
        (self.of[place].said, self.of[place].clock) = (None, None);
    }

    /// The replica at `place` held at some time since the read began what it said, so it counts in a later round.
    pub(in crate::coordinator) fn confirm(&mut self, place: usize, round: u8) {
        self.of[place].round = round;
    }

    /// Whose word is known.
    pub(in crate::coordinator) fn speakers(&self) -> Places {
        self.places(|reply| reply.said.is_some())
    }

    /// Whose word is of `round` or later.
    pub(in crate::coordinator) fn since(&self, round: u8) -> Places {
        self.places(|reply| reply.said.is_some() && reply.round >= round)
    }

    /// Who holds anything at all.
    pub(in crate::coordinator) fn holding(&self) -> Places {
        self.places(|reply| matches!(reply.said, Some(Said::State(Some(_)) | Said::Digest(Some(_)))))
    }

    /// Whose state is here.
    pub(in crate::coordinator) fn with_state(&self) -> Places {
        self.places(|reply| matches!(reply.said, Some(Said::State(_))))
    }

    /// The largest set of replicas among `places` that say the same; the first of several.
    pub(in crate::coordinator) fn largest_agreement(&self, places: Places) -> Result<Places, Conflict> {
        let mut largest = Places::default();
        let mut left = places;
        for place in places.iter() {
            if !left.contains(place) || left.len() <= largest.len() || self.of[place].said.is_none() {
                continue;
            }
            left.remove(place);
            let mut group = self.agreeing(left, self.of[place].said.as_ref())?;
            group.iter().for_each(|place| left.remove(place));
            group.insert(place);
            if group.len() > largest.len() {
                largest = group;
            }
        }
        Ok(largest)
    }

    /// Those that hold exactly `said`.
    pub(in crate::coordinator) fn holders(&self, said: &Said) -> Result<Places, Conflict> {
        self.agreeing(self.speakers(), Some(said))
    }

    /// Those that hold less than `state`.
    pub(in crate::coordinator) fn behind(&self, state: &State) -> Result<Places, Conflict> {
        let mut behind = self.speakers();
        self.holders(&Said::of(state))?.iter().for_each(|place| behind.remove(place));
        Ok(behind.iter().filter(|place| self.is_covered(*place, state)).collect())
    }

    /// Those that hold something beyond `state` which is not here to be merged.
    pub(in crate::coordinator) fn beyond(&self, state: Option<&State>) -> Places {
        self.places(|reply| match &reply.said {
            Some(said @ Said::Digest(Some(_))) => !state.is_some_and(|state| said.is_covered_by(state)),
            _ => false,
        })
    }

    /// Those whose word cannot stand beside another's, each with a state of another's that shows it (rule V4).
    pub(in crate::coordinator) fn contradicted(&self) -> impl Iterator<Item = (usize, &State)> {
        self.of.iter().enumerate().filter_map(|(place, reply)| {
            let said = reply.said.as_ref()?;
            let other = self.of.iter().find_map(|reply| match &reply.said {
                Some(Said::State(Some(state))) if said.contradicts(state) => Some(state),
                _ => None,
            });
            Some((place, other?))
        })
    }

    /// # Errors
    /// A version of which two contents are known.
    pub(in crate::coordinator) fn check(&self) -> Result<(), Conflict> {
        match self.contradicted().next() {
            None => Ok(()),
            Some((place, other)) => {
                let said = self.of[place].said.as_ref();
                Err(Conflict(said.and_then(|said| said.tag_in_question(other))))
            }
        }
    }

    /// The newest content in the state of the replica at `place`, if somebody's word contradicts that.
    pub(in crate::coordinator) fn newest_in_question(&self, place: usize) -> Option<Tag> {
        let Some(Said::State(Some(state))) = &self.of[place].said else {
            return None;
        };
        let contradicts = |reply: &Reply| reply.said.as_ref().is_some_and(|said| said.contradicts(state));
        let tags = state.contents().map(|(tag, _)| tag);
        self.of.iter().any(contradicts).then(|| tags.max()).flatten()
    }

    /// A state that one of `places` sent; `None` if none of them did.
    pub(in crate::coordinator) fn state_of(&self, places: Places) -> Option<Option<State>> {
        places.iter().find_map(|place| match &self.of[place].said {
            Some(Said::State(state)) => Some(state.clone()),
            _ => None,
        })
    }

    /// The merge of `base` with every state that is here. Absence takes nothing away (rule Q6).
    pub(in crate::coordinator) fn join(&self, base: Option<State>) -> Result<Option<State>, Conflict> {
        let mut joined = base;
        for reply in &self.of {
            if let Some(Said::State(Some(state))) = &reply.said {
                match merge(joined.as_ref(), state)? {
                    Merged::Incoming => joined = Some(state.clone()),
                    Merged::Joined(state) => joined = Some(state),
                    Merged::Held => {}
                }
            }
        }
        Ok(joined)
    }

    /// The latest version that anybody has told of.
    pub(in crate::coordinator) fn greatest(&self) -> Option<Tag> {
        let of = |reply: &Reply| match &reply.said {
            Some(Said::State(Some(state))) => state.version().greatest(),
            Some(Said::Digest(Some((version, _)))) => version.greatest(),
            _ => None,
        };
        self.of.iter().filter_map(of).max()
    }

    /// What each replica said last of its clock.
    pub(in crate::coordinator) fn clocks(&self) -> impl Iterator<Item = Option<Hlc>> {
        self.of.iter().map(|reply| reply.clock)
    }

    /// Everyone of whom something was heard, in the order in which they were heard of first: the place, the
    /// slowest answer in microseconds, and whether it failed at some point.
    pub(in crate::coordinator) fn by_time(&self) -> impl Iterator<Item = (usize, u32, bool)> {
        (1..=self.words).filter_map(|nth| {
            let place = self.of.iter().position(|reply| reply.nth == nth)?;
            Some((place, self.of[place].slowest_us, self.of[place].failed))
        })
    }

    #[cfg(feature = "mutants")]
    pub(in crate::coordinator) fn some_are_absent(&self) -> bool {
        self.of.iter().any(|reply| reply.said == Some(Said::State(None)))
    }

    fn word_of(&mut self, now: Instant, place: usize) -> &mut Reply {
        let reply = &mut self.of[place];
        if reply.nth == 0 {
            self.words += 1;
            reply.nth = self.words;
        }
        let waited_us = u32::try_from(now.since(reply.asked_at).as_micros()).unwrap_or(u32::MAX);
        reply.slowest_us = reply.slowest_us.max(waited_us);
        reply
    }

    fn agreeing(&self, places: Places, with: Option<&Said>) -> Result<Places, Conflict> {
        let mut agreeing = Places::default();
        for place in places.iter() {
            if let (Some(said), Some(with)) = (&self.of[place].said, with)
                && said.agrees(with)?
            {
                agreeing.insert(place);
            }
        }
        Ok(agreeing)
    }

    fn is_covered(&self, place: usize, state: &State) -> bool {
        self.of[place].said.as_ref().is_some_and(|said| said.is_covered_by(state))
    }

    fn places(&self, which: impl Fn(&Reply) -> bool) -> Places {
        self.of.iter().enumerate().filter(|(_, reply)| which(reply)).map(|(place, _)| place).collect()
    }
}

fn same_version(one: &State, other: &State) -> bool {
    match (one, other) {
        (State::Register(one), State::Register(other)) => one.tag == other.tag,
        (State::Siblings(one), State::Siblings(other)) => one.vector() == other.vector(),
        (State::Cas(_), State::Cas(_)) => one.version() == other.version(),
        _ => false,
    }
}

fn is_of(state: &State, version: &Version) -> bool {
    match (state, version) {
        (State::Register(register), Version::Tag(tag)) => register.tag == *tag,
        (State::Siblings(siblings), Version::Vector(vector)) => siblings.vector() == vector,
        (State::Cas(_), Version::Tag(_)) => state.version() == *version,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
