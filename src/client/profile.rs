//! How requests are made, said once and used for many.

use std::{sync::Arc, time::Duration};

use quorate_ring::Consistency;

use super::{Nature, RetryPolicy};

/// How requests are made: levels, timeouts, what may be repeated. A client takes one from its
/// [builder](super::ClientBuilder::profile), a [table handle](super::TableHandle::with_profile) and each call one by
/// reference.
///
/// The nearest word counts, option by option: what a call says itself, then its profile, its table handle's, the
/// client's, and last what the table was created with. What nobody says is at its default.
///
/// ```no_run
/// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use quorate::client::{Consistency, Profile};
///
/// let quick = Profile::new()
///     .read_consistency(Consistency::One)
///     .timeout(Duration::from_millis(200))
///     .attempt_timeout(Duration::from_millis(50));
/// let pages = client.table("pages").await?.with_profile(&quick);
/// pages.get("home").await?; // at ONE, within 200 ms
/// pages.get("home").consistency(Consistency::Quorum).await?; // at QUORUM, within 200 ms
///
/// let carts = client.table("carts").await?;
/// carts.get("alice").profile(&quick).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a profile does nothing before it is given to a client, a table handle or a call"]
pub struct Profile {
    pub(super) read_consistency: Option<Consistency>,
    pub(super) write_consistency: Option<Consistency>,
    pub(crate) timeout: Option<Duration>,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) hedge_after: Option<Duration>,
    pub(super) retries: Option<Arc<dyn RetryPolicy>>,
    pub(super) idempotent: Option<bool>,
}

impl Profile {
    /// Says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many replicas must agree on a read. By default the table's level for reads.
    pub fn read_consistency(mut self, consistency: Consistency) -> Self {
        self.read_consistency = Some(consistency);
        self
    }

    /// How many replicas must acknowledge a write. By default the table's level for writes.
    pub fn write_consistency(mut self, consistency: Consistency) -> Self {
        self.write_consistency = Some(consistency);
        self
    }

    /// How long a request may take in all, retries included. By default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long one node may take to answer, before a read or an idempotent write goes to another one. A write that is
    /// not idempotent ends there, and its outcome is unknown: it is never repeated. By default a node may take all of
    /// the time that is left.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// How long a read of a key or of a page may go unanswered before another node is asked beside the first; whichever
    /// answers first is heard. No more than a tenth of all requests do so. Nodes hedge as well, against replicas that are
    /// slow: this is against a slow node or way to it. By default it is not done. Writes are never sent twice for it.
    ///
    /// ```no_run
    /// # async fn example(pages: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use quorate::client::Profile;
    ///
    /// let hedged = Profile::new().hedge_after(Duration::from_millis(20));
    /// pages.get("home").profile(&hedged).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hedge_after(mut self, patience: Duration) -> Self {
        self.hedge_after = Some(patience);
        self
    }

    /// Whether failed attempts are made again. By default [`DefaultRetries`](super::DefaultRetries).
    pub fn retries(mut self, policy: impl RetryPolicy) -> Self {
        self.retries = Some(Arc::new(policy));
        self
    }

    /// Says of every write that doing it twice is as good as once: see [`Put::idempotent`](super::Put::idempotent). An
    /// [update](super::TableHandle::update) is not taken for idempotent, whatever its profile says, nor is a
    /// [compare-and-set](super::TableHandle::compare_and_set).
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = Some(idempotent);
        self
    }

    /// This one's word where it says something, the word of `below` where it does not.
    pub(super) fn over(&self, below: &Self) -> Self {
        Self {
            read_consistency: self.read_consistency.or(below.read_consistency),
            write_consistency: self.write_consistency.or(below.write_consistency),
            timeout: self.timeout.or(below.timeout),
            attempt_timeout: self.attempt_timeout.or(below.attempt_timeout),
            hedge_after: self.hedge_after.or(below.hedge_after),
            retries: self.retries.clone().or_else(|| below.retries.clone()),
            idempotent: self.idempotent.or(below.idempotent),
        }
    }

    /// What a write with this profile may do to the data.
    pub(super) fn write(&self) -> Nature {
        Nature::Write { idempotent: self.idempotent.unwrap_or(false) }
    }
}

/// What one call was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// Said of this call alone.
    pub(super) own: Profile,
    /// The profile that it was given.
    pub(super) given: Profile,
}

impl Options {
    /// The level of a call that both reads and writes, or does one of them.
    pub(super) fn set_consistency(&mut self, consistency: Consistency) {
        self.own.read_consistency = Some(consistency);
        self.own.write_consistency = Some(consistency);
    }

    /// All that holds for the call on a table whose handle says `below`.
    pub(super) fn over(&self, below: &Profile) -> Profile {
        self.own.over(&self.given).over(below)
    }
}

/// Declares the options that every call has.
macro_rules! call_options {
    (consistency: $consistency:literal, timeout: $timeout:literal) => {
        #[doc = $consistency]
        #[must_use = "it is the request"]
        pub fn consistency(mut self, consistency: Consistency) -> Self {
            self.options.set_consistency(consistency);
            self
        }

        #[doc = $timeout]
        #[must_use = "it is the request"]
        pub fn timeout(mut self, timeout: Duration) -> Self {
            self.options.own.timeout = Some(timeout);
            self
        }

        /// Goes by `profile` in what the call does not say itself.
        #[must_use = "it is the request"]
        pub fn profile(mut self, profile: &crate::client::Profile) -> Self {
            self.options.given = profile.clone();
            self
        }
    };
}

pub(super) use call_options;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_counts() {
        let second = Duration::from_secs(1);
        let client = Profile::new().timeout(second).read_consistency(Consistency::One).idempotent(true);
        let table = Profile::new().read_consistency(Consistency::Two).write_consistency(Consistency::All);
        let given = Profile::new().read_consistency(Consistency::Three).attempt_timeout(second);
        let mut options = Options { given, ..Options::default() };
        let all = options.over(&table.over(&client));
        assert_eq!(all.read_consistency, Some(Consistency::Three));
        assert_eq!(all.write_consistency, Some(Consistency::All));
        assert_eq!((all.timeout, all.attempt_timeout), (Some(second), Some(second)));
        assert_eq!(all.write(), Nature::Write { idempotent: true });

        options.set_consistency(Consistency::Quorum);
        options.own.idempotent = Some(false);
        let all = options.over(&table.over(&client));
        assert_eq!(all.read_consistency, Some(Consistency::Quorum));
        assert_eq!(all.write_consistency, Some(Consistency::Quorum));
        assert_eq!(all.write(), Nature::Write { idempotent: false }, "no is a word too");
        assert_eq!(Profile::new().write(), Nature::Write { idempotent: false });
    }
}
