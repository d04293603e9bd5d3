//! What clients do, and which table they do it to.

mod client;
mod finals;

use quorate::client::{Consistency, TableKind};
use quorate_jepsen::history::Value;
use rand::{Rng, RngExt};

pub(crate) use client::{Crew, Shift, work};
pub(crate) use finals::{FINAL_READ, Finals, Held, REPLICA_READ, Readers, read_finals};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Reads and writes at QUORUM.
    Register,
    /// Adds to a set through read, merge and put with the read's context, at QUORUM.
    SiblingsSet,
    /// Reads, writes and deletes at QUORUM.
    Delete,
    /// Reads and writes through one coordinator: half of the keys at QUORUM, half at ONE.
    Session,
    /// Reads and writes at ONE: not linearizable, and must be found so under faults.
    One,
    /// Reads, writes and compare-and-sets of a `cas` table at QUORUM.
    Cas,
    /// Increments of a counter in a `cas` table: reads and compare-and-sets at QUORUM.
    Counter,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Read,
    Write(i64),
    Add(i64),
    Delete,
    /// The second in the place of the first.
    Cas(i64, i64),
    Increment,
}

impl Workload {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Register => "register",
            Workload::SiblingsSet => "siblings-set",
            Workload::Delete => "delete",
            Workload::Session => "session",
            Workload::One => "one",
            Workload::Cas => "cas",
            Workload::Counter => "counter",
        }
    }

    /// The kind of its table.
    pub(crate) fn table_kind(self) -> TableKind {
        match self {
            Workload::SiblingsSet => TableKind::Siblings,
            Workload::Register | Workload::Delete | Workload::Session | Workload::One => TableKind::Register,
            Workload::Cas | Workload::Counter => TableKind::Cas,
        }
    }

    /// The name of a key: `number` counts the keys of `group`.
    pub(crate) fn key(self, group: usize, number: u64) -> String {
        match self {
            Workload::Session if number % 2 == 1 => format!("one-{group}-{number}"),
            _ => format!("k{group}-{number}"),
        }
    }

    /// The level at which a key is read and written.
    pub(crate) fn level(self, key: &str) -> Consistency {
        match self {
            Workload::One => Consistency::One,
            Workload::Session if key.starts_with("one-") => Consistency::One,
            _ => Consistency::Quorum,
        }
    }

    /// Whether every client must keep to one coordinator.
    pub(crate) fn is_bound(self) -> bool {
        self == Workload::Session
    }

    /// The next request; `fresh` is a value that nobody has used for this key, and `known` what the client found there last.
    pub(crate) fn draw(self, rng: &mut impl Rng, fresh: i64, known: Option<i64>) -> Request {
        let percent = rng.random_range(0..100);
        match (self, known) {
            (Workload::Cas, Some(known)) if percent < 55 => return Request::Cas(known, fresh),
            (Workload::Cas, _) if percent < 75 => return Request::Write(fresh),
            (Workload::Counter, _) if percent < 70 => return Request::Increment,
            _ => {}
        }
        match self {
            Workload::SiblingsSet if percent < 60 => Request::Add(fresh),
            Workload::Delete if percent < 20 => Request::Delete,
            Workload::Delete if percent < 55 => Request::Write(fresh),
            Workload::Register | Workload::Session | Workload::One if percent < 50 => Request::Write(fresh),
            _ => Request::Read,
        }
    }
}

impl Request {
    /// The history's function.
    pub(crate) fn f(self) -> &'static str {
        match self {
            Request::Read => "read",
            Request::Write(_) => "write",
            Request::Add(_) => "add",
            Request::Delete => "delete",
            Request::Cas(..) => "cas",
            Request::Increment => "increment",
        }
    }

    /// The history's value at the invocation.
    pub(crate) fn argument(self) -> Value {
        match self {
            Request::Write(value) | Request::Add(value) => Value::Integer(value),
            Request::Cas(old, new) => Value::Vector(vec![Value::Integer(old), Value::Integer(new)]),
            Request::Increment => Value::Integer(1),
            Request::Read | Request::Delete => Value::Nil,
        }
    }
}

/// Numbers with commas between them: how a set is kept in a value.
fn set_text(elements: impl IntoIterator<Item = i64>) -> String {
    let texts: Vec<_> = elements.into_iter().map(|element| element.to_string()).collect();
    texts.join(",")
}

/// The inverse of [`set_text`], of several values at once: their union, ascending.
fn set_union<'a>(values: impl IntoIterator<Item = &'a bytes::Bytes>) -> std::collections::BTreeSet<i64> {
    let texts = values.into_iter().map(|value| String::from_utf8_lossy(value).into_owned());
    let numbers = |text: String| text.split(',').filter_map(|part| part.parse().ok()).collect::<Vec<_>>();
    texts.flat_map(numbers).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_set_is_the_union_of_its_siblings() {
        let siblings = [Bytes::from(set_text([3, -1])), Bytes::from(set_text([7, 3])), Bytes::new()];
        assert_eq!(set_union(&siblings).into_iter().collect::<Vec<_>>(), [-1, 3, 7]);
    }

    #[test]
    fn sessions_use_both_levels() {
        let level = |number| Workload::Session.level(&Workload::Session.key(0, number));
        assert_eq!((level(0), level(1)), (Consistency::Quorum, Consistency::One));
        assert_eq!(Workload::Register.level(&Workload::Register.key(0, 1)), Consistency::Quorum);
    }
}
