//! One key, restored by new writes.

use std::time::Duration;

use bytes::Bytes;
use quorate_ring::{Consistency, Hlc, TableKind, WallMicros};
use quorate_storage::{Content, State};

use crate::client::{Put, TableHandle};

/// What of a state is still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    /// The values, each with how long it still stays if it does not stay for good.
    pub(super) values: Vec<(Bytes, Option<Duration>)>,
    /// Values that have expired since.
    pub(super) expired: u64,
}

impl Live {
    /// What of `state` is there at `now`.
    pub(super) fn of(state: &State, now: WallMicros) -> Self {
        let mut live = Self::default();
        for (_, content) in state.contents() {
            match content {
                Content::Value(value) => live.values.push((value.clone(), None)),
                Content::Expiring { value, expires } => match left(*expires, now) {
                    Some(left) => live.values.push((value.clone(), Some(left))),
                    None => live.expired += 1,
                },
                Content::Tombstone => {}
            }
        }
        live
    }
}

fn left(expires: Hlc, now: WallMicros) -> Option<Duration> {
    expires.wall().0.checked_sub(now.0).filter(|left| *left > 0).map(Duration::from_micros)
}

/// A key with the values that it is to hold.
pub(super) struct KeyRestore {
    pub(super) table: TableHandle,
    pub(super) key: Bytes,
    /// At least one.
    pub(super) values: Vec<(Bytes, Option<Duration>)>,
    pub(super) level: Consistency,
    pub(super) skip_existing: bool,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restored {
    /// It holds these values, and none of those that it held.
    Written,
    /// It holds values, and was left alone.
    Existing,
}

impl KeyRestore {
    /// Writes the values over what the key holds; the error says why not, and what is known of it.
    pub(super) async fn run(&self) -> Result<Restored, String> {
        let has_siblings = self.table.definition().kind == TableKind::Siblings;
        match &self.values[..] {
            [(value, left)] if !has_siblings || !self.skip_existing => {
                if self.skip_existing && self.holds_values().await? {
                    return Ok(Restored::Existing);
                }
                // It replaces what a quorum holds, itself included when it is sent again.
                let put = self.put(value, *left).idempotent(true);
                put.await.map(|_| Restored::Written).map_err(|error| error.to_string())
            }
            _ => self.run_in_context().await,
        }
    }

    async fn holds_values(&self) -> Result<bool, String> {
        let read = self.table.get(self.key.clone()).consistency(Consistency::Quorum).await;
        read.map(|read| !read.values().is_empty()).map_err(|error| error.to_string())
    }

    /// Writes each value in the context of what the key held before all of them: they replace that, and stay beside each
    /// other. One that may have been written or not is not sent again, for it might stand there twice: all are written anew,
    /// in place of whatever is there then.
    async fn run_in_context(&self) -> Result<Restored, String> {
        let mut attempt = 1;
        loop {
            match self.write_all(attempt == 1 && self.skip_existing).await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                ended => return ended,
            }
        }
    }

    async fn write_all(&self, skip_existing: bool) -> Result<Restored, String> {
        let read = self.table.get(self.key.clone()).consistency(Consistency::Quorum);
        let read = read.await.map_err(|error| error.to_string())?;
        if skip_existing && !read.values().is_empty() {
            return Ok(Restored::Existing);
        }
        for (number, (value, left)) in (1..).zip(&self.values) {
            let put = self.put(value, *left).context(read.context());
            let many = self.values.len();
            put.await.map_err(|error| format!("value {number} of {many}: {error}"))?;
        }
        Ok(Restored::Written)
    }

    fn put(&self, value: &Bytes, left: Option<Duration>) -> Put {
        let put = self.table.put(self.key.clone(), value.clone()).consistency(self.level);
        left.map_or(put.clone(), |left| put.ttl(left))
    }
}

const ATTEMPTS: u32 = 4;

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Tag};
    use quorate_storage::Register;

    use super::*;

    #[test]
    fn what_has_expired_or_was_deleted_is_not_there() {
        let now = WallMicros(5_000_000);
        let live = |content| {
            let tag = Tag { hlc: Hlc(1), actor: Actor(1) };
            Live::of(&State::Register(Register { tag, content }), now)
        };
        let value = Bytes::from_static(b"v");
        let expiring =
            |wall| Content::Expiring { value: value.clone(), expires: Hlc::from_wall(WallMicros(wall)) };
        let there = |left| Live { values: vec![(value.clone(), left)], expired: 0 };
        assert_eq!(live(Content::Value(value.clone())), there(None));
        assert_eq!(live(Content::Tombstone), Live::default());
        assert_eq!(live(expiring(5_000_000)), Live { values: Vec::new(), expired: 1 });
        assert_eq!(live(expiring(7_000_000)), there(Some(Duration::from_secs(2))));
    }
}
