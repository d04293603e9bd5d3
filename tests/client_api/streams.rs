//! Scans as streams: in order, to be dropped at any time, to be gone on with.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream::FusedStream};
use quorate::{
    client::{Client, Cursor, Failure, Fault, Mock, NoRetries, Profile, ReadError, ScanStream, TableHandle},
    ring::token_of,
};

use super::observer::Heard;

const ROWS: u64 = 25;

async fn start() -> (Mock, TableHandle, Arc<Heard>) {
    let (mock, heard) = (Mock::new(), Arc::new(Heard::default()));
    let client = Client::builder().observer(heard.clone()).build_mock(&mock);
    client.create_table("t").await.unwrap();
    let table = client.table("t").await.unwrap();
    let numbers = table.typed::<u64>();
    for (_, written) in numbers.put_many((0..ROWS).map(|n| (n.to_string(), n))).await {
        written.unwrap();
    }
    heard.take();
    (mock, table, heard)
}

/// All keys, as `next` gives them.
async fn keys(table: &TableHandle) -> Vec<Bytes> {
    let (mut scan, mut keys) = (table.scan(), Vec::new());
    while let Some(row) = scan.next().await.unwrap() {
        keys.push(row.key().clone());
    }
    assert!(keys.iter().is_sorted_by_key(|key| token_of(key)) && keys.len() as u64 == ROWS);
    keys
}

async fn rest(rows: ScanStream) -> Vec<Bytes> {
    rows.map_ok(|row| row.key().clone()).try_collect().await.unwrap()
}

#[tokio::test]
async fn a_stream_gives_what_the_scan_gives() {
    let (_, table, heard) = start().await;
    let keys = keys(&table).await;
    heard.take();
    let mut rows = table.scan().page_rows(10).into_stream();
    assert_eq!((rows.cursor(), rows.is_terminated()), (None, false));
    assert_eq!(rows.by_ref().map_ok(|row| row.key().clone()).try_collect::<Vec<_>>().await.unwrap(), keys);
    assert_eq!((rows.cursor(), rows.is_terminated()), (None, true));
    assert!(rows.next().await.is_none(), "it stays at its end");
    assert_eq!(heard.take().iter().filter(|line| line.starts_with("request")).count(), 3, "a page at a time");

    let typed: Vec<u64> = table
        .typed::<u64>()
        .scan()
        .page_rows(4)
        .into_stream()
        .map(|row| row.unwrap().value().unwrap())
        .collect()
        .await;
    assert_eq!(
        typed,
        keys.iter().map(|key| std::str::from_utf8(key).unwrap().parse().unwrap()).collect::<Vec<u64>>()
    );
    assert_eq!(rest(table.scan().limit(7).page_rows(3).into_stream()).await, keys[..7]);
}

#[tokio::test]
async fn a_stream_that_is_dropped_anywhere_is_gone_on_with_by_its_cursor() {
    let (_, table, _) = start().await;
    let keys = keys(&table).await;
    for (page_rows, taken) in
        (1..=7).flat_map(|page_rows| (1..ROWS as usize).map(move |taken| (page_rows, taken)))
    {
        let mut rows = table.scan().page_rows(page_rows).into_stream();
        for _ in 0..taken {
            rows.try_next().await.unwrap().unwrap();
        }
        let cursor: Cursor = rows.cursor().unwrap().to_string().parse().unwrap();
        drop(rows);
        assert_eq!(rest(table.scan().after(cursor.clone()).into_stream()).await, keys[taken..]);
        let begun = table.scan().after(cursor.clone()).into_stream();
        assert_eq!(begun.cursor(), Some(cursor), "nothing was taken yet");
    }
}

#[tokio::test]
async fn a_stream_ends_after_its_first_error_and_another_goes_on() {
    let (mock, table, _) = start().await;
    let keys = keys(&table).await;
    let mut rows = table.scan().page_rows(10).profile(&Profile::new().retries(NoRetries)).into_stream();
    let mut taken = Vec::new();
    for _ in 0..10 {
        taken.push(rows.try_next().await.unwrap().unwrap().key().clone());
    }
    mock.fail_next_read(Fault::Refused(Failure::Recovering));
    let error = rows.next().await.unwrap().unwrap_err();
    assert_eq!(error.failure(), Some(&Failure::Recovering));
    assert!(rows.next().await.is_none() && rows.is_terminated());
    taken.extend(rest(table.scan().after(rows.cursor().unwrap()).into_stream()).await);
    assert_eq!(taken, keys);

    mock.fail_next_read(Fault::Silence);
    let mut late = table.scan().timeout(Duration::from_millis(20)).into_stream();
    assert!(matches!(late.next().await, Some(Err(ReadError::TimedOut { .. }))));
    assert!(late.next().await.is_none());
    assert_eq!(late.cursor(), None, "it begins anew");
}

#[tokio::test]
async fn a_row_that_is_no_longer_waited_for_is_given_to_the_next_who_asks() {
    let (_, table, heard) = start().await;
    let keys = keys(&table).await;
    heard.take();
    let mut rows = table.scan().page_rows(5).into_stream();
    let (mut taken, mut given_up) = (Vec::new(), 0);
    loop {
        let before = rows.cursor();
        if let Some(row) = rows.next().now_or_never() {
            let Some(row) = row else { break };
            taken.push(row.unwrap().key().clone());
        } else {
            given_up += 1;
            assert_eq!(rows.cursor(), before, "nothing was given");
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(taken, keys);
    assert!(given_up >= 5, "each page has to be waited for");
    assert_eq!(heard.take().iter().filter(|line| line.starts_with("request")).count(), 5, "and is read once");
}

#[tokio::test]
async fn a_cursor_within_a_page_is_refused_by_a_table_that_was_truncated() {
    let (mock, table, _) = start().await;
    let mut rows = table.scan().into_stream();
    rows.try_next().await.unwrap().unwrap();
    let cursor = rows.cursor().unwrap();
    mock.client().truncate_table("t").await.unwrap();
    table.put("k", "v").await.unwrap();
    let error = table.scan().after(cursor).into_stream().try_next().await.unwrap_err();
    assert!(
        error.to_string().contains("of another table, or of one that was dropped or truncated"),
        "{error}"
    );
    let none = table.scan().limit(0).into_stream().next().now_or_never();
    assert!(matches!(none, Some(None)), "nothing is sent for no rows");
}
