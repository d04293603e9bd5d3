//! What became of a write whose round was lost in its second phase (rule C4).
//!
//! Some replica may have accepted it. It is not chosen then, but whoever meets that replica in a later round, and nobody
//! with a later proposal, proposes it once more. So it is open until something is chosen under a later ballot: every round
//! after that finds this, or what was made of it.
//!
//! A request whose write is open may write again, on top of what a later round finds, if that was not made of the open
//! write. *Why it counts once: let `b` be the open write, and `c > b` the new one, made of something that `b` is no part of.
//! If `b` comes to be chosen under a ballot before `c`, the quorum that promised `c` would have told of it. If it is
//! chosen under one after `c`, nobody proposes `c` any more: what was chosen is later. And if `c` is chosen first, `b` is
//! the earlier one.* So of all writes of one request at most one is ever part of what the key holds.

use quorate_ring::Tag;
use quorate_storage::Accepted;

/// What a later round tells of open writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// What was found was made by this one of them, or of it: once it is chosen the request is applied.
    Found(Tag),
    /// What was found was not made of any of them.
    Apart,
    /// Nobody can tell.
    Unknown,
}

/// The fate of the open writes `sent`, when a quorum has promised a round later than all of them, and `found` is what was
/// accepted last of all that these have told.
///
/// A proposal names the write that made its content, also where a round that changed nothing has proposed it again, and the
/// write that this one has replaced. What was made of a write has a later name than it. So `found` was not made of `sent` if
/// its own name is earlier, or the name of what it replaced.
pub(super) fn fate(sent: &[Tag], found: Option<&Accepted>) -> Fate {
    let Some(found) = found else {
        return Fate::Apart;
    };
    if let Some(own) = sent.iter().find(|sent| [found.write, found.replaced].contains(sent)) {
        return Fate::Found(*own);
    }
    let is_apart = |sent: &Tag| found.write < *sent || found.replaced < *sent;
    if sent.iter().all(is_apart) { Fate::Apart } else { Fate::Unknown }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Hlc};
    use quorate_storage::Content;

    use super::*;

    fn tag(hlc: u64) -> Tag {
        Tag { hlc: Hlc(hlc), actor: Actor(1) }
    }

    #[test]
    fn each_case_has_its_word() {
        let found = |ballot, write, replaced| {
            let accepted = Accepted {
                ballot: tag(ballot),
                write: tag(write),
                replaced: tag(replaced),
                content: Content::Tombstone,
            };
            fate(&[tag(10), tag(12)], Some(&accepted))
        };
        assert_eq!(fate(&[tag(10)], None), Fate::Apart);
        assert_eq!(found(10, 10, 8), Fate::Found(tag(10)));
        assert_eq!(found(15, 12, 8), Fate::Found(tag(12)), "a reader proposed it again");
        assert_eq!(found(8, 8, 5), Fate::Apart);
        assert_eq!(found(15, 8, 5), Fate::Apart, "a reader has proposed what was before");
        assert_eq!(found(15, 15, 10), Fate::Found(tag(10)), "another write was made of it");
        assert_eq!(found(15, 15, 8), Fate::Apart, "another write was made of what was before");
        assert_eq!(found(15, 15, 11), Fate::Unknown, "it may be made of the first");
        assert_eq!(found(15, 15, 14), Fate::Unknown);
    }
}
