//! The client against real nodes.

use std::{collections::BTreeSet, future::IntoFuture, time::Duration};

use bytes::Bytes;
use quorate::{
    client::{BuildError, Client, Consistency, Cursor, Failure, Outcome, Part, TableHandle, TableKind},
    ring::token_of,
    runtime::{DemoCluster, demo_cluster},
};
use tokio::task::JoinSet;

#[tokio::test]
async fn reads_back_what_it_writes() {
    let (cluster, client, table) = start(3).await;
    assert_eq!(table.get("k").await.unwrap().value(), Ok(None));
    let written = table.put("k", "v").consistency(Consistency::All).await.unwrap();
    assert_eq!(written.receipt().replicas.len(), 3);
    assert_eq!(
        written.receipt().replicas[0],
        written.receipt().coordinator,
        "the first replica is asked directly"
    );
    let read = table.get("k").consistency(Consistency::All).await.unwrap();
    assert_eq!(read.value(), Ok(Some(&"v".into())));
    assert_eq!(read.receipt().answered.len(), 3);
    table.delete("k").await.unwrap();
    assert!(table.get("k").await.unwrap().values().is_empty());

    let error = client.table("nothing").await.unwrap_err();
    assert_eq!(error.failure(), Some(&Failure::UnknownTable { name: "nothing".to_owned() }));
    let error = client.create_table("t").kind(TableKind::Register).await.unwrap_err();
    assert_eq!(
        (error.failure(), error.outcome()),
        (Some(&Failure::TableExists { name: "t".to_owned() }), Outcome::NotApplied)
    );
    assert_eq!(client.tables().await.unwrap().len(), 1);
    assert_eq!(client.cluster_info().await.unwrap().layout.members.len(), 3);
    cluster.shutdown().await.unwrap();
}

/// A second client, which has heard nothing of the changes, holds its handle from before.
#[tokio::test]
async fn changes_of_tables_reach_whoever_uses_them() {
    let (cluster, client, table) = start(3).await;
    let other = self::client(&cluster).await;
    let held = other.table("t").await.unwrap();
    held.put("k", "v").await.unwrap();

    let altered = client.alter_table("t").read_consistency(Consistency::All).await.unwrap();
    assert_eq!(
        (altered.read_consistency, altered.write_consistency),
        (Consistency::All, Consistency::Quorum)
    );
    assert_eq!(other.table("t").await.unwrap().definition(), altered);

    client.truncate_table("t").await.unwrap();
    for table in [&table, &held] {
        assert!(table.get("k").consistency(Consistency::Quorum).await.unwrap().values().is_empty());
    }
    held.put("k", "w").await.unwrap();
    assert_eq!(table.get("k").await.unwrap().value(), Ok(Some(&"w".into())));

    client.drop_table("t").await.unwrap();
    let error = held.get("k").await.unwrap_err();
    assert_eq!(error.failure(), Some(&Failure::UnknownTable { name: "t".to_owned() }));
    let error = other.drop_table("t").await.unwrap_err();
    assert_eq!(
        (error.failure(), error.outcome()),
        (Some(&Failure::UnknownTable { name: "t".to_owned() }), Outcome::NotApplied)
    );
    assert_eq!(other.tables().await.unwrap(), []);
    cluster.shutdown().await.unwrap();
}

/// Each of two concurrent values fits a frame, both together do not fit what one value may take.
#[tokio::test]
async fn large_concurrent_values_travel_together() {
    let (cluster, client, _) = start(3).await;
    client.create_table("carts").kind(TableKind::Siblings).await.unwrap();
    let table = client.table("carts").await.unwrap();
    let nothing = table.get("k").await.unwrap().context();
    let value = |byte| Bytes::from(vec![byte; 6 << 20]);
    for byte in [b'a', b'b'] {
        let put = table.put("k", value(byte)).context(nothing.clone()).consistency(Consistency::All);
        put.timeout(Duration::from_secs(20)).await.unwrap();
    }
    let read = table.get("k").consistency(Consistency::All).timeout(Duration::from_secs(20)).await.unwrap();
    assert_eq!(read.values().len(), 2);
    let third =
        table.put("k", value(b'c')).context(nothing).timeout(Duration::from_secs(20)).await.unwrap_err();
    assert!(
        matches!(third.failure(), Some(Failure::TooManySiblings { siblings: 2, .. })),
        "rule V6: {third}"
    );
    table.put("k", "resolved").context(read.context()).await.unwrap();
    cluster.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_the_connections() {
    let (cluster, _client, table) = start(3).await;
    let mut writes = JoinSet::new();
    for i in 0..2_000_u32 {
        let put = table.put(i.to_be_bytes().to_vec(), i.to_string());
        writes.spawn(async move { put.await });
    }
    while let Some(written) = writes.join_next().await {
        written.unwrap().unwrap();
    }
    for i in (0..2_000_u32).step_by(97) {
        let read = table.get(i.to_be_bytes().to_vec()).await.unwrap();
        assert_eq!(read.value(), Ok(Some(&i.to_string().into())));
    }
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn requests_that_name_no_level_go_by_the_tables() {
    let (cluster, client, _) = start(3).await;
    let create = client.create_table("levels").kind(TableKind::Register);
    create.read_consistency(Consistency::One).write_consistency(Consistency::All).await.unwrap();
    let table = client.table("levels").await.unwrap();
    let written = table.put("k", "v").await.unwrap();
    assert_eq!(written.receipt().consistency, Consistency::All);
    assert_eq!(table.get("k").await.unwrap().receipt().consistency, Consistency::One);
    let two = "2".parse().unwrap();
    assert_eq!(table.get("k").consistency(two).await.unwrap().receipt().consistency, two);
    assert!(table.get("k").monotone().consistency(Consistency::Quorum).await.is_ok());

    let four = client.create_table("four").read_consistency("4".parse().unwrap()).await.unwrap_err();
    assert!(matches!(four.failure(), Some(Failure::BadRequest(_))), "{four}");
    let any = client.create_table("any").kind(TableKind::Register).write_consistency(Consistency::Any).await;
    assert_eq!(any.unwrap_err().outcome(), Outcome::NotApplied);
    cluster.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_at_once_lose_nothing() {
    let (cluster, carts) = start_siblings().await;
    let mut updates = JoinSet::new();
    for item in 0..40_u32 {
        let update = carts.update("alice", move |values| union(values, &[item]));
        updates.spawn(update.into_future());
    }
    while let Some(updated) = updates.join_next().await {
        updated.unwrap().unwrap();
    }
    let read = carts.get("alice").await.unwrap();
    assert_eq!(union(read.values(), &[]), union(&[], &Vec::from_iter(0..40)), "{:?}", read.values());
    carts.update("alice", |values| union(values, &[40])).await.unwrap();
    let read = carts.get("alice").await.unwrap();
    assert!(!read.is_conflicted(), "an update alone leaves one value");
    assert_eq!(read.versions()[0].value, union(&[], &Vec::from_iter(0..=40)));
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn too_many_siblings_say_how_to_resolve_them() {
    let (cluster, carts) = start_siblings().await;
    let stale = carts.get("k").await.unwrap().context();
    let mut refused = None;
    for item in 0..100_u32 {
        if let Err(error) = carts.put("k", item.to_string()).context(&stale).await {
            refused = Some((item, error));
            break;
        }
    }
    let (siblings, error) = refused.expect("siblings are bounded");
    assert_eq!(carts.get("k").await.unwrap().values().len(), siblings as usize);
    assert!(matches!(error.failure(), Some(Failure::TooManySiblings { .. })), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let context = error.context().expect("the way out");
    carts.put("k", "one").context(&context).await.unwrap();
    assert_eq!(carts.get("k").await.unwrap().value(), Ok(Some(&"one".into())));

    let error = carts.put("other", "v").context(context).await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::BadContext(_))), "{error}");
    assert!(error.to_string().contains("(not applied): read the key again"), "{error}");
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_update_of_a_table_without_contexts_is_refused_before_it_writes() {
    let (cluster, _client, table) = start(1).await;
    let error = table.update("k", |_| "v").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(matches!(error.failure(), Some(Failure::BadRequest(_))), "{error}");
    assert_eq!(table.get("k").await.unwrap().value(), Ok(None));
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_behind() {
    let (cluster, client, table) = start(1).await;
    let narrow = Client::builder()
        .contact_points(cluster.addresses().iter().map(ToString::to_string))
        .tls(cluster.identity().clone())
        .in_flight_per_node_max(1)
        .build()
        .await
        .unwrap();
    drop(client);
    let narrow = narrow.table("t").await.unwrap();
    for turns in 0..100 {
        // Dropped as soon as the loop has turned so often: before, while and after it is sent.
        tokio::select! {
            biased;
            _ = narrow.put("k", "dropped").into_future() => {}
            () = yield_times(turns) => {}
        }
    }
    narrow.put("k", "kept").await.expect("the one place in flight is free again");
    assert!(table.get("k").await.unwrap().value().unwrap().is_some());
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_is_not_noticed() {
    let (cluster, _client, table) = start(3).await;
    for i in 0..50 {
        table.put(format!("k{i}"), "before").await.unwrap();
    }
    cluster.nodes()[0].drain();
    cluster.nodes()[0].exited().await.unwrap();
    let mut unknown = 0;
    for i in 0..50 {
        assert_eq!(table.get(format!("k{i}")).await.unwrap().value(), Ok(Some(&"before".into())));
        match table.put(format!("k{i}"), "after").await {
            Ok(_) => {}
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(unknown, 0, "no write was under way when the node stopped");
    let error = table.put("k", "v").consistency(Consistency::All).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(matches!(error.failure(), Some(Failure::Unavailable { required: 3, alive: 2, .. })), "{error}");
    let receipt = error.receipt().expect("the replicas are known");
    let reports: Vec<_> = receipt.reports.iter().map(|report| (report.part, report.why.as_str())).collect();
    assert_eq!(reports, [(Part::Failed, "is down")], "rule Q12");
    assert!(error.request_id().is_some());
    assert_eq!(receipt.request_id, error.request_id(), "what the logs call it");
    drop(cluster);
}

/// A node closes the connection on a frame that is too long: every request on it would be lost.
#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let (cluster, client, table) = start(1).await;
    let max = client.cluster_info().await.unwrap().value_bytes_max;
    let reads: JoinSet<_> = (0..200).map(|_| table.get("k").into_future()).collect();
    let error = table.put("k", vec![0; 2 * max as usize]).await.unwrap_err();
    assert_eq!(error.failure(), Some(&Failure::ValueTooLarge { bytes: 2 * max, bytes_max: max }));
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let long = vec![0; 2 * max as usize];
    let error = table.get(long.clone()).await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::KeySize { .. })), "{error}");
    let error = table.delete(long).await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::KeySize { .. })), "{error}");
    reads.join_all().await.into_iter().for_each(|read| drop(read.unwrap()));
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_call_has_a_deadline() {
    let (cluster, client, table) = start(1).await;
    cluster.nodes()[0].drain();
    cluster.nodes()[0].exited().await.unwrap();
    let deadline = Duration::from_millis(100);
    let error = table.put("k", "v").timeout(deadline).await.unwrap_err();
    assert_ne!(error.outcome(), Outcome::Applied);
    assert!(table.get("k").timeout(deadline).await.is_err());

    let nobody = Client::builder()
        .contact_points(cluster.addresses().iter().map(ToString::to_string))
        .tls(cluster.identity().clone())
        .connect_timeout(deadline)
        .build()
        .await;
    assert!(matches!(nobody, Err(BuildError::Unreachable { .. })));
    let no_identity = Client::builder().contact_points(["127.0.0.1:1"]).build().await;
    assert!(matches!(no_identity, Err(BuildError::NoIdentity)));
    drop(client);
}

/// Eight hundred keys, of which some are deleted, written twice or expire, in pages of which one is the last of a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_gives_every_key_once_in_token_order() {
    let (cluster, _client, table) = start(3).await;
    let key = |n: u32| format!("key {n}");
    let written = table.put_many((0..800).map(|n| (key(n), n.to_string()))).await;
    assert_eq!(written.len(), 800);
    for (n, (key_written, result)) in (0..).zip(written) {
        assert_eq!(key_written, key(n), "in the order of the keys");
        result.unwrap();
    }
    for n in (0..800).step_by(7) {
        table.delete(key(n)).await.unwrap();
    }
    let short = Duration::from_millis(1);
    table.put_many([(key(1), "gone")]).ttl(short).await.remove(0).1.unwrap();
    while !table.get(key(1)).await.unwrap().values().is_empty() {}
    let there: Vec<_> = (2..800).filter(|n| n % 7 != 0).collect();

    let mut scan = table.scan().page_rows(30);
    let (mut rows, mut pages) = (Vec::new(), 0);
    while let Some(page) = scan.next_page().await.unwrap() {
        rows.extend(page.rows);
        pages += 1;
        if pages == 5 {
            // Another process goes on.
            let cursor: Cursor = page.cursor.unwrap().to_string().parse().unwrap();
            assert_eq!(scan.cursor(), Some(cursor.clone()));
            scan = table.scan().page_rows(200).after(cursor);
        }
    }
    let tokens: Vec<_> = rows.iter().map(|row| token_of(row.key())).collect();
    assert!(tokens.is_sorted(), "in token order");
    let found: BTreeSet<_> = rows.iter().map(|row| row.key().clone()).collect();
    assert_eq!(found, there.iter().map(|n| Bytes::from(key(*n))).collect());
    assert_eq!(rows.len(), there.len(), "each once");
    for row in &rows {
        let n = row.value().unwrap();
        assert_eq!(row.key(), &format!("key {}", std::str::from_utf8(n).unwrap()));
    }

    let asked = there.iter().map(|n| key(*n)).chain([key(0)]);
    let read = table.get_many(asked.clone()).consistency(Consistency::All).at_once(100).await;
    for (asked, (key, read)) in asked.zip(&read) {
        assert_eq!(
            (key, read.as_ref().unwrap().values().len()),
            (&Bytes::from(asked.clone()), usize::from(asked != "key 0"))
        );
    }
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_scan_shows_concurrent_values_and_stays_in_its_table() {
    let (cluster, carts) = start_siblings().await;
    let client = client(&cluster).await;
    let nothing = carts.get("both").await.unwrap().context();
    for value in ["x", "y"] {
        carts.put("both", value).context(&nothing).await.unwrap();
    }
    carts.put("one", "z").await.unwrap();
    let mut scan = carts.scan().page_rows(1).consistency(Consistency::All);
    let first = scan.next().await.unwrap().unwrap();
    let second = scan.next().await.unwrap().unwrap();
    assert_eq!(scan.next().await.unwrap(), None);
    assert_eq!(scan.next().await.unwrap(), None, "it stays at its end");
    let both = if first.is_conflicted() { first } else { second };
    assert_eq!(both.values().iter().collect::<BTreeSet<_>>(), [&Bytes::from("x"), &Bytes::from("y")].into());
    carts.put("both", "resolved").context(both.context()).await.unwrap();
    assert!(!carts.get("both").await.unwrap().is_conflicted());

    let mut scan = carts.scan().page_rows(1);
    let page = scan.next_page().await.unwrap().unwrap();
    assert!(page.cursor.is_some());
    client.truncate_table("carts").await.unwrap();
    carts.put("both", "of the new table").await.unwrap();
    let error = scan.next_page().await.unwrap_err();
    assert!(error.to_string().contains("dropped or truncated"), "{error}");
    let other = client.table("t").await.unwrap();
    let error = other.scan().after(page.cursor.unwrap()).next().await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::BadRequest(_))), "{error}");
    assert_eq!(carts.scan().next().await.unwrap().unwrap().values(), [Bytes::from("of the new table")]);
    let error = carts.scan().consistency(Consistency::Any).next().await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::BadRequest(_))), "{error}");
    cluster.shutdown().await.unwrap();
}

/// With one of three nodes gone a scan at QUORUM goes on, one at ALL is refused at once.
#[tokio::test]
async fn a_scan_goes_on_without_one_node() {
    let (cluster, _client, table) = start(3).await;
    table
        .put_many((0..100).map(|n| (n.to_string(), "v")))
        .await
        .into_iter()
        .for_each(|(_, put)| drop(put.unwrap()));
    let mut scan = table.scan().page_rows(20);
    let mut rows = scan.next_page().await.unwrap().unwrap().rows.len();
    cluster.nodes()[0].drain();
    cluster.nodes()[0].exited().await.unwrap();
    while let Some(page) = scan.next_page().await.unwrap() {
        rows += page.rows.len();
    }
    assert_eq!(rows, 100);
    let error = table.scan().consistency(Consistency::All).next().await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::Unavailable { required: 3, alive: 2, .. })), "{error}");
    assert!(table.scan().consistency(Consistency::One).next().await.unwrap().is_some());
    drop(cluster);
}

/// Numbers in text, each once, in order.
fn union(values: &[Bytes], more: &[u32]) -> Bytes {
    let known = values.iter().flat_map(|value| value.split(|byte| *byte == b' '));
    let known = known.map(|item| std::str::from_utf8(item).unwrap().parse().unwrap());
    let all: BTreeSet<u32> = known.chain(more.iter().copied()).collect();
    all.iter().map(u32::to_string).collect::<Vec<_>>().join(" ").into()
}

pub(crate) async fn start_siblings() -> (DemoCluster, TableHandle) {
    let (cluster, client, _) = start(3).await;
    client.create_table("carts").await.unwrap();
    let carts = client.table("carts").await.unwrap();
    (cluster, carts)
}

async fn yield_times(turns: usize) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Two clients that take turns with contexts which are always one write behind: neither ever has more than the
/// other's last write beside its own.
#[tokio::test]
async fn stale_contexts_never_leave_more_than_two_siblings() {
    let cluster = demo_cluster(3, None).await.unwrap();
    let clients = [client(&cluster).await, client(&cluster).await];
    clients[0].create_table("carts").kind(TableKind::Siblings).await.unwrap();
    let carts = [clients[0].table("carts").await.unwrap(), clients[1].table("carts").await.unwrap()];
    let mut seen = [None, None];
    for turn in 0..10_000_u32 {
        let one = (turn % 2) as usize;
        let mut put = carts[one].put("hot", turn.to_string());
        if let Some(context) = seen[one].take() {
            put = put.context(context);
        }
        put.await.unwrap();
        let read = carts[one].get("hot").await.unwrap();
        assert!(read.values().len() <= 2, "{} siblings at turn {turn}", read.values().len());
        assert!(read.values().contains(&turn.to_string().into()), "turn {turn} is not among the siblings");
        // Used in two turns, when the other client has written once more.
        seen[one] = Some(read.context());
    }
    cluster.shutdown().await.unwrap();
}

/// The same, each at its own speed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_at_once_never_leave_more_than_two_siblings() {
    let cluster = demo_cluster(3, None).await.unwrap();
    client(&cluster).await.create_table("carts").kind(TableKind::Siblings).await.unwrap();
    let mut clients = JoinSet::new();
    for one in 0..2 {
        let carts = client(&cluster).await.table("carts").await.unwrap();
        clients.spawn(async move {
            let mut context = None;
            for turn in 0..5_000_u32 {
                let mut put = carts.put("hot", format!("{one} {turn}"));
                if let Some(context) = context.take() {
                    put = put.context(context);
                }
                put.await.unwrap();
                let read = carts.get("hot").await.unwrap();
                assert!(read.values().len() <= 2, "{} siblings at turn {turn}", read.values().len());
                context = Some(read.context());
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    cluster.shutdown().await.unwrap();
}

pub(crate) async fn start(nodes: usize) -> (DemoCluster, Client, TableHandle) {
    let cluster = demo_cluster(nodes, None).await.unwrap();
    let client = client(&cluster).await;
    client.create_table("t").kind(TableKind::Register).await.unwrap();
    let table = client.table("t").await.unwrap();
    (cluster, client, table)
}

pub(crate) async fn client(cluster: &DemoCluster) -> Client {
    let contact_points = cluster.addresses().into_iter().map(|address| address.to_string());
    let client = Client::builder().contact_points(contact_points).tls(cluster.identity().clone()).build();
    client.await.unwrap()
}
