//! Every tag that was acknowledged at QUORUM or ALL, or shown by a read there, is durable, itself or a newer
//! one, on some member of every read quorum. Any Q of N replicas meet such a member exactly if N-Q+1 hold it.

use quorate::ring::Tag;

/// What replicas hold durably, and what was acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    durable: Vec<Option<Tag>>,
    /// Replicas whose record is damaged: they answer nobody, and so are in no read quorum.
    damaged: Vec<bool>,
    acknowledged: Option<Tag>,
}

impl Acknowledged {
    pub(crate) fn new(replicas: usize) -> Self {
        Self { durable: vec![None; replicas], damaged: vec![false; replicas], acknowledged: None }
    }

    /// A replica holds this now.
    pub(crate) fn holds(&mut self, place: usize, tag: Option<Tag>) {
        self.durable[place] = tag;
    }

    /// A replica's record is damaged.
    pub(crate) fn damaged(&mut self, place: usize) {
        self.damaged[place] = true;
    }

    /// Whether a replica's record is damaged.
    pub(crate) fn is_damaged_at(&self, place: usize) -> bool {
        self.damaged[place]
    }

    /// Whether any replica's record is damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.contains(&true)
    }

    /// A client was told of `tag`.
    pub(crate) fn acknowledge(&mut self, tag: Option<Tag>) {
        self.acknowledged = self.acknowledged.max(tag);
    }

    /// Whether the invariant holds.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Some(acknowledged) = self.acknowledged else {
            return Ok(());
        };
        let replicas = self.durable.len();
        let quorum = replicas / 2 + 1;
        let in_time = |place: &usize| self.damaged[*place] || self.durable[*place] >= Some(acknowledged);
        let holders = (0..replicas).filter(in_time).count();
        if holders > replicas - quorum {
            return Ok(());
        }
        let Self { durable, .. } = self;
        Err(format!(
            "acknowledged: {acknowledged} is durable on {holders} of {replicas} replicas, and some quorum of \
             {quorum} holds nothing as new: {durable:?}"
        ))
    }
}
