//! Which replicas hold what lies behind a place, in the order of tokens.

use quorate_ring::{NodeId, Ring, Table, TableId, Token, TokenRange};
use quorate_storage::Row;

/// Neighbouring tokens with the same replicas. They are one numeric interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Its tokens; of the first stretch those from the place on.
    pub(super) range: TokenRange,
    /// In the order of their ids.
    pub(super) replicas: Vec<NodeId>,
}

/// The stretches of a table behind a place, as many as a page looks at.
pub(super) fn behind(ring: &Ring, table: &Table, from: Token) -> Vec<Stretch> {
    let slots = || ring.ranges(table.replication);
    let wrapping = || slots().filter(|(range, _)| range.is_wrapping());
    let first = wrapping().map(|(range, replicas)| (TokenRange::new(Token::MAX, range.end), replicas));
    let numeric = slots().filter(|(range, _)| !range.is_wrapping());
    let last = wrapping().map(|(range, replicas)| (TokenRange::new(range.start, Token::MAX), replicas));
    let all = first.chain(numeric).chain(last);
    let mut stretches = Vec::<Stretch>::new();
    for (range, replicas) in all.skip_while(|(range, _)| range.end < from) {
        let mut replicas = replicas.to_vec();
        replicas.sort_unstable();
        let is_full = stretches.len() >= STRETCHES_MAX;
        match stretches.last_mut() {
            Some(last) if last.replicas == replicas => last.range.end = range.end,
            None => stretches.push(Stretch { range: TokenRange::new(before(from), range.end), replicas }),
            Some(_) if is_full => break,
            Some(_) => stretches.push(Stretch { range, replicas }),
        }
    }
    stretches
}

/// The place before everything.
pub(super) fn start(table: TableId) -> Row {
    Row { token: Token::MIN, table, key: bytes::Bytes::new() }
}

/// The place behind everything.
pub(super) fn end() -> Row {
    Row { token: Token::MAX, table: TableId(u32::MAX), key: bytes::Bytes::new() }
}

/// The place behind all keys of `table` up to the token `last`.
pub(super) fn behind_token(table: TableId, last: Token) -> Row {
    match last.0.checked_add(1) {
        Some(next) => Row { token: Token(next), table, key: bytes::Bytes::new() },
        None => end(),
    }
}

/// The place in `table` behind which nothing was looked at, if `until`, a key of whichever table, was looked at last.
pub(super) fn in_table(table: TableId, until: Row) -> Row {
    match until.table.cmp(&table) {
        std::cmp::Ordering::Less => Row { token: until.token, table, key: bytes::Bytes::new() },
        std::cmp::Ordering::Equal => until,
        std::cmp::Ordering::Greater => behind_token(table, until.token),
    }
}

fn before(token: Token) -> Token {
    Token(token.0.wrapping_sub(1))
}

/// Arcs that a page looks at; the rest is left to the next one. A cluster in which each node holds everything has one.
const STRETCHES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_ring::{Consistency, Founder, TableKind};

    use super::*;

    fn table(replication: u8) -> Table {
        let (read_consistency, write_consistency) = (Consistency::Quorum, Consistency::Quorum);
        let (id, name, kind) = (TableId(3), "t".to_owned(), TableKind::Register);
        Table { id, name, kind, replication, read_consistency, write_consistency }
    }

    fn ring(nodes: u32) -> Ring {
        let founders: Vec<_> =
            (1..=nodes).map(|n| Founder::new(format!("n{n}"), format!("127.0.0.1:{n}"))).collect();
        Ring::found("test", &founders).unwrap()
    }

    #[test]
    fn nodes_that_hold_everything_have_one_stretch() {
        let stretches = behind(&ring(3), &table(3), Token::MIN);
        assert_eq!(
            stretches,
            [Stretch { range: TokenRange::FULL, replicas: [1, 2, 3].map(NodeId).to_vec() }]
        );
    }

    proptest! {
        /// The slow obvious twin: every token on its own.
        #[test]
        fn stretches_follow_each_other_and_name_the_replicas(
            nodes in 1_u32..7, replication in 1_u8..4, from in any::<i64>(), tokens in proptest::collection::vec(any::<i64>(), 1..50),
        ) {
            let (ring, table, from) = (ring(nodes), table(replication), Token(from));
            let stretches = behind(&ring, &table, from);
            prop_assert_eq!(stretches[0].range.start, before(from));
            prop_assert!(stretches.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
            prop_assert!(stretches.windows(2).all(|pair| pair[0].range.end < pair[1].range.end));
            let last = stretches[stretches.len() - 1].range.end;
            prop_assert!(last == Token::MAX || stretches.len() == STRETCHES_MAX);
            for token in tokens.into_iter().map(Token).chain([from, last]) {
                let mut replicas = ring.replicas(token, replication).to_vec();
                replicas.sort_unstable();
                let stretch = stretches.iter().find(|stretch| stretch.range.contains(token));
                prop_assert_eq!(stretch.is_some(), from <= token && token <= last);
                prop_assert!(stretch.is_none_or(|stretch| stretch.replicas == replicas));
            }
        }

        /// What was looked at lies before the place, and the rest of the table behind it.
        #[test]
        fn places_part_what_was_looked_at_from_the_rest(
            until in (-2_i64..3, 2_u32..5, 0_u8..3), row in (-2_i64..3, 1_u8..3),
        ) {
            let until = Row::new(Token(until.0), TableId(until.1), vec![b'k'; usize::from(until.2)]);
            let row = Row::new(Token(row.0), TableId(3), vec![b'k'; usize::from(row.1)]);
            prop_assert_eq!(row <= until, row <= in_table(TableId(3), until));
        }
    }

    #[test]
    fn behind_the_last_token_is_the_end() {
        assert_eq!(behind_token(TableId(3), Token::MAX), end());
        assert!(start(TableId(3)) < behind_token(TableId(3), Token::MIN));
    }
}
