//! One key, restored by new writes.

use std::time::Duration;

use bytes::Bytes;
use quorate_ring::{Consistency, Hlc, TableKind, WallMicros};
use quorate_storage::{Content, State};

use crate::client::{Outcome, Put, TableHandle};

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

/// Why the values of a key were not written, and whether some of them may have been.
struct Failed {
    why: String,
    may_be_written: bool,
}

impl KeyRestore {
    /// Writes the values over what the key holds; the error says why not, and what is known of it.
    pub(super) async fn run(&self) -> Result<Restored, String> {
        let has_siblings = self.table.definition().kind == TableKind::Siblings;
        match &self.values[..] {
            [(value, left)] if !has_siblings => {
                if self.skip_existing && self.holds_values().await? {
                    return Ok(Restored::Existing);
                }
                // A register that is written again holds the value once all the same.
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
        let (mut attempt, mut may_be_ours) = (1, false);
        loop {
            match self.write_all(self.skip_existing && !may_be_ours).await {
                Ok(restored) => return Ok(restored),
                Err(failed) if attempt >= ATTEMPTS => return Err(failed.why),
                Err(failed) => may_be_ours |= failed.may_be_written,
            }
            attempt += 1;
        }
    }

    async fn write_all(&self, skip_existing: bool) -> Result<Restored, Failed> {
        let read = self.table.get(self.key.clone()).consistency(Consistency::Quorum);
        let read = read.await.map_err(|error| Failed { why: error.to_string(), may_be_written: false })?;
        if skip_existing && !read.values().is_empty() {
            return Ok(Restored::Existing);
        }
        for (number, (value, left)) in (1..).zip(&self.values) {
            let put = self.put(value, *left).context(read.context());
            let many = self.values.len();
            put.await.map_err(|error| Failed {
                why: format!("value {number} of {many}: {error}"),
                may_be_written: number > 1 || error.outcome() != Outcome::NotApplied,
            })?;
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
    #[cfg(feature = "mock")]
    use crate::client::{Failure, Fault, Mock};

    /// A restore of these values over what the test has written, in a table of siblings.
    #[cfg(feature = "mock")]
    async fn restore_of(mock: &Mock, values: &[&'static str], skip_existing: bool) -> KeyRestore {
        let client = mock.client();
        client.create_table("t").await.unwrap();
        KeyRestore {
            table: client.table("t").await.unwrap(),
            key: Bytes::from_static(b"k"),
            values: values.iter().map(|value| (Bytes::from_static(value.as_bytes()), None)).collect(),
            level: Consistency::Quorum,
            skip_existing,
        }
    }

    #[cfg(feature = "mock")]
    #[tokio::test]
    async fn a_key_that_holds_a_value_is_left_alone_whatever_fails_first() {
        let mock = Mock::new();
        let restore = restore_of(&mock, &["old"], true).await;
        restore.table.put("k", "new").await.unwrap();
        mock.fail_next_read(Fault::Refused(Failure::Recovering));
        mock.fail_next_read(Fault::Refused(Failure::Contended { rounds: 3 }));
        assert_eq!(restore.run().await, Ok(Restored::Existing));
        assert_eq!(restore.table.get("k").await.unwrap().values(), ["new"]);
    }

    #[cfg(feature = "mock")]
    #[tokio::test]
    async fn values_stand_once_though_it_was_not_known_whether_they_were_written() {
        for values in [&["one"][..], &["one", "other"]] {
            for fault in [Fault::UnknownApplied, Fault::UnknownNotApplied] {
                let mock = Mock::new();
                let restore = restore_of(&mock, values, false).await;
                restore.table.put("k", "before").await.unwrap();
                mock.fail_next_write(fault);
                assert_eq!(restore.run().await, Ok(Restored::Written));
                let mut held: Vec<_> = restore.table.get("k").await.unwrap().values().to_vec();
                held.sort();
                assert_eq!(held, values);
            }
        }
    }

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
