//! One pull under way: ranges that one source holds, page after page.

use quorate_ring::{Hlc, Instant, NodeId, TableId, Token, token_of};
use quorate_storage::{Horizon, Row, StoreTerms, Write};

use crate::wire::PulledPage;

/// Ranges that are being pulled from a source.
#[derive(Debug)]
pub(super) struct Pulling {
    pub(super) table: TableId,
    /// Which parts of what is left of the table.
    pub(super) parts: Vec<u64>,
    pub(super) source: NodeId,
    /// When it is given up, unless the page comes before.
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
}

/// How far the page under way has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// The source has been asked.
    Asked,
    /// Its states are on their way to the disk.
    Merging {
        /// Writes that are not durable yet.
        left: usize,
        /// Whether one of them failed: the page counts for nothing.
        failed: bool,
        /// Where the next page begins.
        next: Option<Row>,
    },
}

impl Pulling {
    /// The page has come: what is to be written, and the tokens of keys that the source cannot vouch for. What
    /// this node does not hold is not taken. The source has accepted these states, so their tags are not judged
    /// again (rule V2); those beyond `clocks` do not move the clock.
    pub(super) fn page(
        &mut self,
        page: PulledPage,
        clocks: Hlc,
        holds: impl Fn(Token) -> bool,
    ) -> (Vec<Write>, Vec<Token>) {
        let stores = page.states.into_iter().filter_map(|(key, state)| {
            let token = Some(token_of(&key)).filter(|token| holds(*token))?;
            Some(Write::Store {
                row: Row { token, table: self.table, key },
                state,
                terms: StoreTerms {
                    horizon: Horizon { clocks, lead: None },
                    copied: true,
                    ..StoreTerms::default()
                },
            })
        });
        let stores: Vec<_> = stores.collect();
        let damaged = page.damaged.iter().map(|key| token_of(key)).filter(|token| holds(*token)).collect();
        self.stage = Stage::Merging { left: stores.len(), failed: false, next: page.next };
        (stores, damaged)
    }
}
