//! Every write that was acknowledged at QUORUM or ALL, or shown by a read there, is durable, itself or a newer one,
//! on some member of every read quorum. Any Q of N replicas meet such a member exactly if N-Q+1 hold it. And
//! whichever replica counted toward a level, at any level, holds the write.

use quorate::{
    ring::Tag,
    storage::{Version, VersionVector},
};

/// What replicas hold durably, and what was acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    durable: Vec<Option<Version>>,
    /// Replicas whose record is damaged: they answer nobody, and so are in no read quorum.
    damaged: Vec<bool>,
    /// Replicas that lost their disk and have not recovered the key yet: they answer nobody either.
    lost: Vec<bool>,
    told: Option<Version>,
}

impl Acknowledged {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            durable: vec![None; replicas],
            damaged: vec![false; replicas],
            lost: vec![false; replicas],
            told: None,
        }
    }

    /// A replica holds this now.
    pub(crate) fn holds(&mut self, place: usize, version: Option<Version>) {
        self.durable[place] = version;
    }

    /// A replica's record is damaged.
    pub(crate) fn damaged(&mut self, place: usize) {
        self.damaged[place] = true;
    }

    /// A replica's disk is another: what was damaged is gone.
    pub(crate) fn replaced(&mut self, place: usize) {
        self.damaged[place] = false;
    }

    /// Whether a replica lost its disk and has not recovered the key.
    pub(crate) fn lost(&mut self, place: usize, lost: bool) {
        self.lost[place] = lost;
    }

    /// Whether a replica's record is damaged.
    pub(crate) fn is_damaged_at(&self, place: usize) -> bool {
        self.damaged[place]
    }

    /// Whether any replica's record is damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.contains(&true)
    }

    /// A client was told of `version` at QUORUM or ALL.
    pub(crate) fn tell(&mut self, version: Version) {
        match (&mut self.told, version) {
            (Some(Version::Tag(told)), Version::Tag(tag)) => *told = tag.max(*told),
            (Some(Version::Vector(told)), Version::Vector(vector)) => told.join(&vector),
            (told, version) => *told = Some(version),
        }
    }

    /// All that clients were told of at QUORUM and ALL.
    pub(crate) fn told(&self) -> Option<&Version> {
        self.told.as_ref()
    }

    /// Whether every read quorum knows what clients were told.
    pub(crate) fn check(&self) -> Result<(), String> {
        let told = match &self.told {
            None => return Ok(()),
            Some(Version::Tag(tag)) => return self.check_write(*tag),
            Some(Version::Vector(told)) => told,
        };
        let replicas = self.durable.len();
        let dominates = |held: &Option<Version>| match held {
            Some(Version::Vector(held)) => held.dominates(told),
            _ => false,
        };
        if self.durable.iter().filter(|held| dominates(held)).count() > replicas - (replicas / 2 + 1) {
            return Ok(());
        }
        told.entries().try_for_each(|dot| self.check_write(dot))
    }

    /// Whether the replicas at `places`, which counted toward a level, hold the write that they are said to hold.
    pub(crate) fn check_counted(
        &self,
        tag: Tag,
        required: usize,
        places: &[Option<usize>],
    ) -> Result<(), String> {
        let holders = places.iter().flatten().filter(|place| self.holds_write(**place, tag));
        let distinct: std::collections::BTreeSet<_> = holders.collect();
        if distinct.len() == places.len() && places.len() >= required {
            return Ok(());
        }
        let held = self.shown();
        Err(format!("acknowledged: {tag} counts {required} replicas, said to be those at {places:?}: {held}"))
    }

    fn check_write(&self, tag: Tag) -> Result<(), String> {
        let replicas = self.durable.len();
        let quorum = replicas / 2 + 1;
        let holders = (0..replicas).filter(|place| self.holds_write(*place, tag)).count();
        if holders > replicas - quorum {
            return Ok(());
        }
        let held = self.shown();
        Err(format!(
            "acknowledged: {tag} is durable on {holders} of {replicas} replicas, and some quorum of \
             {quorum} holds nothing as new: {held}"
        ))
    }

    fn shown(&self) -> String {
        self.durable.iter().map(|held| shown(held.as_ref())).collect::<Vec<_>>().join(", ")
    }

    /// Whether a replica that is not at `place` holds the write.
    pub(crate) fn is_held_beside(&self, place: Option<usize>, tag: Tag) -> bool {
        let others = self.durable.iter().enumerate().filter(|(other, _)| Some(*other) != place);
        others.filter_map(|(_, held)| held.as_ref()).any(|held| covers(held, tag))
    }

    fn holds_write(&self, place: usize, tag: Tag) -> bool {
        self.damaged[place] || self.lost[place] || self.is_durable_at(place, tag)
    }

    /// Whether a replica holds the write, and can say so.
    pub(crate) fn is_durable_at(&self, place: usize, tag: Tag) -> bool {
        let can_tell = !self.damaged[place] && !self.lost[place];
        can_tell && self.durable[place].as_ref().is_some_and(|held| covers(held, tag))
    }
}

/// Whether a version is that of the write, or a newer one.
pub(crate) fn covers(held: &Version, tag: Tag) -> bool {
    match held {
        Version::Tag(held) => *held >= tag,
        Version::Vector(held) => held.covers(tag),
    }
}

/// Whether a version has seen all that another has.
pub(crate) fn has_seen(version: Option<&Version>, other: Option<&Version>) -> bool {
    match (version, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(version), Some(Version::Tag(tag))) => covers(version, *tag),
        (Some(version), Some(Version::Vector(other))) => vector(Some(version)).dominates(other),
    }
}

/// The version vector of a key of siblings.
pub(crate) fn vector(version: Option<&Version>) -> VersionVector {
    match version {
        Some(Version::Vector(vector)) => vector.clone(),
        _ => VersionVector::new(),
    }
}

/// Versions for people.
pub(crate) fn shown(version: Option<&Version>) -> String {
    match version {
        None => "nothing".to_owned(),
        Some(Version::Tag(tag)) => tag.to_string(),
        Some(Version::Vector(vector)) => shown_vector(vector),
    }
}

/// A version vector for people.
pub(crate) fn shown_vector(vector: &VersionVector) -> String {
    let dots: Vec<_> = vector.entries().map(|dot| dot.to_string()).collect();
    format!("[{}]", dots.join(" "))
}
