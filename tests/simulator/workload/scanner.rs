//! A client that reads a table from its begin to its end, page by page, again and again.

use bytes::Bytes;
use quorate::{
    ring::{Consistency, TableId, Token},
    storage::Row,
    wire::{Scan, Scanned},
};

use super::What;
use crate::{
    invariants::{REGISTERS, table_of},
    options::Options,
    random::Random,
};

/// How far such a client has come.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    table: TableId,
    after: Option<Bytes>,
}

/// A page that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub(crate) scan: Scan,
    /// The place behind which it begins.
    pub(crate) from: Row,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { table: REGISTERS, after: None }
    }

    /// The next page, or the first one of a table that is drawn.
    pub(crate) fn draw(&mut self, random: &mut Random, options: &Options) -> What {
        if self.after.is_none() {
            let kinds: Vec<_> = options.keys.keys.iter().map(|key| key.kind).collect();
            self.table = table_of(*random.pick(&kinds));
        }
        let level = if random.chance(options.alls) { Consistency::All } else { Consistency::Quorum };
        let rows_max = random.range(1, u64::from(options.page_rows)) as u32;
        let scan = Scan { after: self.after.clone(), ..Scan::new(self.table, rows_max, level) };
        let from = self.after.as_ref().map_or_else(|| start(self.table), |cursor| place(self.table, cursor));
        What::Scan(PageRequest { scan, from })
    }

    /// A page came.
    pub(crate) fn took(&mut self, page: &Scanned) {
        self.after.clone_from(&page.next);
    }
}

/// The place behind which a page goes on.
pub(crate) fn place(table: TableId, cursor: &Bytes) -> Row {
    let token =
        cursor[TOKEN_AT..].first_chunk().map_or(Token::MIN, |token| Token(i64::from_be_bytes(*token)));
    Row::new(token, table, cursor.slice(TOKEN_AT + 8..))
}

fn start(table: TableId) -> Row {
    Row::new(Token::MIN, table, Bytes::new())
}

const TOKEN_AT: usize = 9;
