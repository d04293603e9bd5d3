//! Consistency levels and quorum arithmetic (rule Q1).

use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

/// How many of a key's N replicas an operation waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// One replica: fast, always available, not linearizable.
    One,
    /// Two replicas.
    Two,
    /// Three replicas.
    Three,
    /// floor(N/2)+1 replicas: linearizable.
    #[default]
    Quorum,
    /// All N replicas: linearizable, and unavailable as soon as one replica is.
    All,
    /// Writes only: a durably stored hint may satisfy it.
    Any,
    /// A plain number of replicas (`W=` or `R=`).
    Count(NonZeroU8),
}
