//! Reading a table in the order of its keys' tokens, page by page.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::{Consistency, Table, TableId, Token, token_of};

use super::{
    ConcurrentValues, Context, Nature, Raw, ReadError, TableHandle, View,
    errors::{CallError, Cause},
    profile::{Options, call_options},
    routing::Route,
};
use crate::wire::{self, ClientMessage, Receipt, VersionedValue};

/// A reading of a whole table: set options, then take rows with [`next`](Self::next), pages with
/// [`next_page`](Self::next_page), or a [stream](Self::into_stream) of rows, until there are none.
///
/// Keys come in the order of their tokens, which is the same on every node and looks random. Each row is what a read of that key
/// would have answered at some moment while its page was read: at QUORUM and ALL linearizable, so that what was
/// acknowledged before the page was begun is in it, and what was deleted is not. The scan as a whole is no snapshot: a
/// write that comes while it goes on may be in it or not, whatever became of another one. No key comes twice.
///
/// A call that is dropped, or fails, loses nothing: the next one goes on where the last page ended. If the table is dropped or
/// truncated meanwhile the scan ends in an error, and never goes on in another table of the name.
#[derive(Clone, Debug)]
pub struct Scan<V = Raw> {
    table: TableHandle,
    view: V,
    monotone: bool,
    page_rows: u32,
    /// How many rows are still to come at most; none for all.
    left: Option<u64>,
    options: Options,
    at: At,
    rows: VecDeque<ScannedRow>,
    /// The table that they are of, and the key of the row that was taken last.
    taken: (TableId, Bytes),
}

/// How far a scan has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    Start,
    After(Cursor),
    End,
}

/// A key and its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedRow {
    values: Vec<Bytes>,
    row: wire::ScannedRow,
}

/// Some rows in the order of their tokens.
#[derive(Clone, Debug)]
pub struct ScanPage<R = ScannedRow> {
    /// The rows; there may be none although more pages follow.
    pub rows: Vec<R>,
    /// Where the next page goes on; `None` after the last one.
    pub cursor: Option<Cursor>,
    /// How the page came about.
    pub receipt: Receipt,
}

/// Where a scan goes on, maybe in another process. Opaque; as text it is hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Bytes);

/// A text that is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is an even number of hex digits, as a scan gave it")]
pub struct MalformedCursor;

impl<V: View> Scan<V> {
    pub(super) fn new(table: TableHandle, view: V) -> Self {
        Self {
            table,
            view,
            monotone: false,
            page_rows: PAGE_ROWS,
            left: None,
            options: Options::default(),
            at: At::Start,
            rows: VecDeque::new(),
            taken: (TableId(0), Bytes::new()),
        }
    }

    call_options! {
        consistency: "How many replicas of each key must agree. By default the table's level for reads.",
        timeout: "How long a page may take, retries included."
    }

    /// Settles for less than linearizable: see [`Get::monotone`](super::Get::monotone).
    #[must_use = "it is the scan"]
    pub fn monotone(mut self) -> Self {
        self.monotone = true;
        self
    }

    /// How many rows are fetched at a time, at most; nodes give no more than 1,000. By default 500.
    #[must_use = "it is the scan"]
    pub fn page_rows(mut self, rows: u32) -> Self {
        self.page_rows = rows.max(1);
        self
    }

    /// Ends after so many rows, if there are as many. The [cursor](Self::cursor) then says where a scan goes on that wants more.
    ///
    /// ```
    /// # #[cfg(feature = "mock")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = quorate::client::Mock::new().client();
    /// # client.create_table("carts").await?;
    /// # let carts = client.table("carts").await?;
    /// # carts.put_many([("alice", "1"), ("bob", "2"), ("eve", "3")]).await;
    /// let mut scan = carts.scan().limit(2);
    /// let mut rows = 0;
    /// while let Some(row) = scan.next().await? {
    ///     println!("{:?}", row.key());
    ///     rows += 1;
    /// }
    /// assert_eq!(rows, 2);
    /// let rest = carts.scan().after(scan.cursor().expect("there is more")).next_page().await?;
    /// assert_eq!(rest.map(|page| page.rows.len()), Some(1));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "mock"))]
    /// # fn main() {}
    /// ```
    #[must_use = "it is the scan"]
    pub fn limit(mut self, rows: u64) -> Self {
        self.left = Some(rows);
        self
    }

    /// Goes on where another scan of the table had come to.
    ///
    /// ```no_run
    /// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use quorate::client::Cursor;
    ///
    /// let page = carts.scan().next_page().await?.expect("there is a first page");
    /// if let Some(cursor) = page.cursor {
    ///     let text = cursor.to_string(); // keep it anywhere
    ///     let mut rest = carts.scan().after(text.parse::<Cursor>()?);
    ///     while let Some(row) = rest.next().await? {
    ///         println!("{:?}", row.key());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "it is the scan"]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.at = At::After(cursor);
        self.rows.clear();
        self
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// As a read; the next call tries again.
    pub async fn next(&mut self) -> Result<Option<V::Row>, ReadError> {
        loop {
            if let Some(row) = self.take() {
                return Ok(Some(row));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next row of those that were fetched.
    pub(super) fn take(&mut self) -> Option<V::Row> {
        let row = self.rows.pop_front()?;
        self.taken.1 = row.key().clone();
        Some(self.view.row(row))
    }

    /// Fetches rows to take; whether there may be any.
    pub(super) async fn fill(&mut self) -> Result<bool, ReadError> {
        let page = self.fetch().await?;
        let is_there = page.is_some();
        self.rows = page.map(|page| page.rows.into()).unwrap_or_default();
        Ok(is_there)
    }

    /// The next page; `None` after the last one. What [`next`](Self::next) has not given yet of the page that it fetched is
    /// not in it: a scan is taken by rows or by pages.
    ///
    /// # Errors
    /// As a read; the next call tries again.
    pub async fn next_page(&mut self) -> Result<Option<ScanPage<V::Row>>, ReadError> {
        let page = self.fetch().await?;
        Ok(page.map(|ScanPage { rows, cursor, receipt }| {
            let rows = rows.into_iter().map(|row| self.view.row(row)).collect();
            ScanPage { rows, cursor, receipt }
        }))
    }

    /// The place behind the row, or the page, that was taken last, for another scan to go on from; `None` at the start and after
    /// the last one.
    pub fn cursor(&self) -> Option<Cursor> {
        match &self.at {
            _ if !self.rows.is_empty() => {
                let (table, key) = &self.taken;
                Some(Cursor(wire::encode_cursor(*table, token_of(key), key)))
            }
            At::After(cursor) => Some(cursor.clone()),
            At::Start | At::End => None,
        }
    }

    async fn fetch(&mut self) -> Result<Option<ScanPage>, ReadError> {
        let after = match &self.at {
            At::Start => None,
            At::After(cursor) => Some(cursor.0.clone()),
            At::End => return Ok(None),
        };
        if self.left == Some(0) {
            return Ok(None);
        }
        let rows_max = self
            .left
            .map_or(self.page_rows, |left| self.page_rows.min(u32::try_from(left).unwrap_or(u32::MAX)));
        let profile = self.options.over(self.table.profile());
        let terms = self.table.terms(&profile);
        let token = after.as_ref().and_then(|cursor| wire::cursor_token(cursor)).unwrap_or(Token::MIN);
        let asked = AtomicU32::new(0);
        let message = |table: &Table| {
            asked.store(table.id.0, Ordering::Relaxed);
            let consistency = profile.read_consistency.unwrap_or(table.read_consistency);
            let monotone = self.monotone;
            wire::Scan { table: table.id, after: after.clone(), rows_max, consistency, monotone }.into()
        };
        let route = |table: &Table| Route::Token(token, table.replication);
        // The node refuses a cursor of another table, be it one that has taken this one's name.
        let (node, answer) = self.table.request_by(route, Nature::Read, &terms, message).await?;
        let ClientMessage::Scanned(wire::Scanned { rows, next, receipt }) = answer else {
            return Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into());
        };
        let cursor = next.map(Cursor);
        self.at = cursor.clone().map_or(At::End, At::After);
        self.taken.0 = TableId(asked.into_inner());
        self.left = self.left.map(|left| left.saturating_sub(rows.len() as u64));
        let rows = rows.into_iter().map(ScannedRow::new).collect();
        Ok(Some(ScanPage { rows, cursor, receipt }))
    }
}

impl ScannedRow {
    fn new(row: wire::ScannedRow) -> Self {
        Self { values: row.values.iter().map(|version| version.value.clone()).collect(), row }
    }

    /// The key.
    pub fn key(&self) -> &Bytes {
        &self.row.key
    }

    /// Every concurrent value, at least one, and never more in `register` and `cas` tables.
    pub fn values(&self) -> &[Bytes] {
        &self.values
    }

    /// The same values with the write that made each, and when it expires.
    pub fn versions(&self) -> &[VersionedValue] {
        &self.row.values
    }

    /// Whether there are concurrent values, for the caller to merge.
    pub fn is_conflicted(&self) -> bool {
        self.values.len() > 1
    }

    /// The value.
    ///
    /// # Errors
    /// [`ConcurrentValues`] if there are several: none of them is *the* value.
    pub fn value(&self) -> Result<&Bytes, ConcurrentValues> {
        match self.values() {
            [value] => Ok(value),
            values => Err(ConcurrentValues { count: values.len() }),
        }
    }

    /// What a write that replaces these values must carry.
    pub fn context(&self) -> Context {
        Context::new(self.row.context.clone())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Context::new(self.0.clone()).fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        text.parse().map(|bytes: Context| Self(bytes.into_bytes())).map_err(|_| MalformedCursor)
    }
}

const PAGE_ROWS: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_as_text() {
        let cursor = Cursor(Bytes::from_static(&[1, 0xab]));
        assert_eq!(cursor.to_string(), "01ab");
        assert_eq!("01ab".parse(), Ok(cursor));
        assert_eq!("x".parse::<Cursor>(), Err(MalformedCursor));
    }
}
