//! The rows of a scan as a stream.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::{FusedStream, Stream};

use super::{Cursor, Raw, ReadError, Scan, View};

/// The rows of a [scan](Scan::into_stream) as a stream, in the order of their keys' tokens. It reads a page at a time, and only
/// while rows are asked for. It ends after the last row, or after the first error.
///
/// It is `Unpin`. A future that takes a row of it, as `next()` of a stream's extensions does, may be dropped at any time: the next
/// one goes on with the page that is on its way, and no row is lost.
pub struct ScanStream<V: View = Raw> {
    state: State<V>,
}

enum State<V> {
    /// Gives what was fetched.
    Given(Box<Scan<V>>),
    /// A page is on its way; this is where it goes on.
    Fetching(Option<Cursor>, Fetch<V>),
    /// There are no more rows, or one could not be read.
    Over(Option<Cursor>),
}

/// A scan that fetches a page, and then whether there may be rows.
type Fetch<V> = Pin<Box<dyn Future<Output = (Box<Scan<V>>, Result<bool, ReadError>)> + Send>>;

impl<V: View> Scan<V> {
    /// The rows that are left as a [`Stream`], for what is made of streams.
    ///
    /// ```
    /// # #[cfg(feature = "mock")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = quorate::client::Mock::new().client();
    /// # client.create_table("carts").await?;
    /// # let carts = client.table("carts").await?;
    /// # carts.put_many([("alice", "1"), ("bob", "2"), ("eve", "3")]).await;
    /// use futures_util::TryStreamExt;
    ///
    /// let mut rows = carts.scan().page_rows(100).into_stream();
    /// let first = rows.try_next().await?.expect("there are carts");
    /// let cursor = rows.cursor().expect("there is more").to_string(); // keep it anywhere
    ///
    /// let rest = carts.scan().after(cursor.parse()?).into_stream();
    /// let keys: Vec<_> = rest.map_ok(|row| row.key().clone()).try_collect().await?;
    /// assert_eq!(keys.len(), 2);
    /// assert!(!keys.contains(first.key()));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "mock"))]
    /// # fn main() {}
    /// ```
    pub fn into_stream(self) -> ScanStream<V> {
        ScanStream { state: State::Given(Box::new(self)) }
    }
}

impl<V: View> ScanStream<V> {
    /// The place behind the row that was given last, for another [scan](Scan::after) to go on from, also after an error; `None`
    /// before the first row, unless the scan began behind a cursor, and after the last one.
    pub fn cursor(&self) -> Option<Cursor> {
        match &self.state {
            State::Given(scan) => scan.cursor(),
            State::Fetching(cursor, _) | State::Over(cursor) => cursor.clone(),
        }
    }
}

impl<V: View> Stream for ScanStream<V> {
    type Item = Result<V::Row, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.state {
                State::Over(_) => return Poll::Ready(None),
                State::Given(scan) => {
                    if let Some(row) = scan.take() {
                        return Poll::Ready(Some(Ok(row)));
                    }
                    let mut scan = scan.clone();
                    let cursor = scan.cursor();
                    let fetch = Box::pin(async move {
                        let fetched = scan.fill().await;
                        (scan, fetched)
                    });
                    self.state = State::Fetching(cursor, fetch);
                }
                State::Fetching(_, fetch) => {
                    let (scan, fetched) = ready!(fetch.as_mut().poll(context));
                    match fetched {
                        Ok(true) => self.state = State::Given(scan),
                        Ok(false) => self.state = State::Over(scan.cursor()),
                        Err(error) => {
                            self.state = State::Over(scan.cursor());
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                }
            }
        }
    }
}

impl<V: View> FusedStream for ScanStream<V> {
    fn is_terminated(&self) -> bool {
        matches!(self.state, State::Over(_))
    }
}

impl<V: View> fmt::Debug for ScanStream<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanStream").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
