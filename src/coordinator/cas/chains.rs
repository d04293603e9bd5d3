//! Requests of one key that this node makes rounds for take turns: beside each other they would only outbid each other, and
//! every round that is lost costs as many syncs as one that is not. Other nodes' rounds may outbid them all the same.

use std::collections::{BTreeMap, VecDeque};

use quorate_storage::Row;

use crate::wire::OperationId;

/// Who has its turn, and who waits for it, by key.
///
/// Events: [`enter`](Self::enter), [`leave`](Self::leave).
#[derive(Debug, Default)]
pub(in crate::coordinator) struct Chains {
    of: BTreeMap<Row, VecDeque<OperationId>>,
}

impl Chains {
    /// A request of `row` begins; true if it is its turn.
    pub(in crate::coordinator) fn enter(&mut self, row: &Row, id: OperationId) -> bool {
        let chain = self.of.entry(row.clone()).or_default();
        chain.push_back(id);
        chain.len() == 1
    }

    /// A request of `row` has ended, its turn or not: whose turn it is now, if that is another's.
    pub(in crate::coordinator) fn leave(&mut self, row: &Row, id: OperationId) -> Option<OperationId> {
        let chain = self.of.get_mut(row)?;
        let had_its_turn = chain.front() == Some(&id);
        chain.retain(|other| *other != id);
        let next = chain.front().copied();
        if next.is_none() {
            self.of.remove(row);
        }
        next.filter(|_| had_its_turn)
    }

    /// Requests that have their turn or wait for it.
    pub(in crate::coordinator) fn len(&self) -> usize {
        self.of.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{TableId, Token};

    use super::*;

    #[test]
    fn one_of_each_key_at_a_time_in_the_order_in_which_they_came() {
        let row = |key: &str| Row::new(Token(1), TableId(1), key.to_owned());
        let mut chains = Chains::default();
        assert!(chains.enter(&row("a"), OperationId(1)));
        assert!(!chains.enter(&row("a"), OperationId(2)));
        assert!(!chains.enter(&row("a"), OperationId(3)));
        assert!(chains.enter(&row("b"), OperationId(4)), "keys do not wait for each other");
        // Who gives up while it waits lets nobody go on.
        assert_eq!(chains.leave(&row("a"), OperationId(2)), None);
        assert_eq!(chains.leave(&row("a"), OperationId(1)), Some(OperationId(3)));
        assert_eq!(chains.leave(&row("a"), OperationId(3)), None);
        assert_eq!(chains.leave(&row("b"), OperationId(4)), None);
        assert_eq!(chains.len(), 0);
        assert!(chains.enter(&row("a"), OperationId(5)));
    }
}
