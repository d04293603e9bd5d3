//! One program, run against a real cluster and against the mock: what it sees must be the same.

use std::{collections::BTreeSet, fmt::Debug, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use quorate::client::{
    Client, Consistency, Context, Cursor, Failure, Mock, Profile, Read, TableHandle, TableKind, Union,
};

/// What was seen, line by line.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<String>);

impl Seen {
    pub(crate) fn note<T: Debug>(&mut self, what: &str, seen: T) {
        self.0.push(format!("{what}: {seen:?}"));
    }

    pub(crate) fn refused<T: Debug, E: std::error::Error>(&mut self, what: &str, result: Result<T, E>) {
        self.0.push(format!("{what}: {}", result.unwrap_err()));
    }

    pub(crate) fn read(&mut self, what: &str, read: &Read) {
        let expiring = read.versions().iter().filter(|version| version.expires.is_some()).count();
        // How many answered depends on how far each was when it was asked.
        let (level, tag) = (read.receipt().consistency, read.receipt().tag.is_some());
        self.note(what, (read.values(), expiring, read.context().is_empty(), level, tag));
    }
}

#[tokio::test]
async fn the_mock_shows_what_it_should() {
    let mock = Mock::new();
    let seen = seen(&mock.client(), async |time| mock.advance(time)).await;
    let expected = [
        "siblings: ([b\"a\", b\"b\"], 0, false, Quorum, true)",
        "resolved: ([b\"both\"], 0, false, Quorum, true)",
        "no time to write: no answer before the deadline (not applied)",
        "no time to delete: no answer before the deadline (not applied)",
        "no time to read: no answer before the deadline",
        "no node has time: no answer before the deadline (not applied)",
        "nothing was written: ([], 0, false, Quorum, false)",
        "expired: ([], 0, false, Quorum, true)",
        "compared: (true, None, None, Quorum)",
        "compared: (false, Some(b\"a\"), None, Quorum)",
        "compared: (false, None, None, Quorum)",
        "updated: ([b\"de\"], 0, true, Quorum, true)",
        "no conditions: bad request: conditions are for cas tables only: of others no quorum decides what a key holds at a \
         time (not applied)",
        "of another key: bad context: it comes from a read of another key (not applied): read the key again, and write \
         with the context of that read",
    ];
    for line in expected {
        assert!(seen.contains(&line.to_owned()), "{line}\nis not in\n{}", seen.join("\n"));
    }
}

#[cfg(feature = "cli")]
#[expect(clippy::disallowed_methods, reason = "values expire by the clocks of real nodes")]
#[tokio::test]
async fn the_mock_shows_what_a_cluster_shows() {
    let cluster = quorate::runtime::demo_cluster(3, None).await.unwrap();
    let client = super::cluster::client(&cluster).await;
    let of_cluster = seen(&client, tokio::time::sleep).await;
    cluster.shutdown().await.unwrap();

    let mock = Mock::new();
    let of_mock = seen(&mock.client(), async |time| mock.advance(time)).await;
    let differ: Vec<_> = of_mock.iter().zip(&of_cluster).filter(|(mock, cluster)| mock != cluster).collect();
    assert!(differ.is_empty(), "the mock, and the cluster: {differ:#?}");
    assert_eq!(of_mock.len(), of_cluster.len());
}

/// What a client sees; `pass` lets time pass.
async fn seen(client: &Client, pass: impl AsyncFn(Duration)) -> Vec<String> {
    let mut seen = Seen::default();
    tables(client, &mut seen).await;
    let carts = client.table("carts").await.unwrap();
    let locks = client.table("locks").await.unwrap();
    siblings(&carts, &mut seen).await;
    bounds(&carts, &mut seen).await;
    registers(&locks, &mut seen).await;
    levels(&carts, &locks, &mut seen).await;
    deadlines(&carts, &mut seen).await;
    expiry(&carts, &locks, &mut seen, pass).await;
    scans(client, &mut seen).await;
    super::cas::seen_of_conditions(client, &mut seen).await;
    super::statements::seen_of_statements(client, &mut seen).await;
    seen.0
}

async fn tables(client: &Client, seen: &mut Seen) {
    seen.refused("no table", client.table("carts").await);
    seen.note("created", client.create_table("carts").await.unwrap());
    let locks = client.create_table("locks").kind(TableKind::Register).replication(3);
    let locks = locks.write_consistency(Consistency::All).await.unwrap();
    seen.note("created", (locks.kind, locks.replication, locks.read_consistency, locks.write_consistency));
    seen.refused("twice", client.create_table("carts").await);
    seen.refused("name", client.create_table("Carts!").await);
    seen.refused("too many", client.create_table("many").replication(4).await);
    seen.refused("none", client.create_table("none").replication(0).await);
    let four = client.create_table("four").read_consistency("4".parse().unwrap());
    seen.refused("level", four.await);
    let any = client.create_table("any").kind(TableKind::Register).write_consistency(Consistency::Any);
    seen.refused("any", any.await);
    let altered = client.alter_table("locks").write_consistency(Consistency::Two).await.unwrap();
    seen.note("altered", (altered.read_consistency, altered.write_consistency));
    seen.refused("alter", client.alter_table("nothing").read_consistency(Consistency::One).await);
    seen.refused("drop", client.drop_table("nothing").await);
    seen.refused("truncate", client.truncate_table("nothing").await);
    let names: Vec<_> = client.tables().await.unwrap().into_iter().map(|table| table.name).collect();
    seen.note("tables", names);
    seen.note("members", client.cluster_info().await.unwrap().layout.members.len());
    seen.note("nodes", client.nodes().await.unwrap().nodes.len());
    client.wait_for_convergence(|_| {}).await;
}

async fn siblings(carts: &TableHandle, seen: &mut Seen) {
    let absent = carts.get("k").await.unwrap();
    seen.read("absent", &absent);
    for value in ["a", "b"] {
        let written = carts.put("k", value).context(absent.context()).await.unwrap();
        seen.note("a context to go on with", written.context().is_some());
    }
    let both = carts.get("k").await.unwrap();
    seen.read("siblings", &both);
    seen.refused("the value", both.value());
    let written = carts.put("k", "both").context(both.context()).await.unwrap();
    seen.read("resolved", &carts.get("k").await.unwrap());
    carts.put("k", "next").context(written.context().unwrap()).await.unwrap();
    seen.read("next", &carts.get("k").await.unwrap());
    carts.put("k", "late").context(both.context()).await.unwrap();
    seen.read("late", &carts.get("k").await.unwrap());
    carts.put("k", "blind").await.unwrap();
    seen.read("a blind write replaces what was to be seen", &carts.get("k").await.unwrap());
    carts.delete("k").context(absent.context()).await.unwrap();
    seen.read("a delete that has seen nothing deletes nothing", &carts.get("k").await.unwrap());
    carts.delete("k").await.unwrap();
    seen.read("deleted", &carts.get("k").await.unwrap());
    seen.refused("of another key", carts.put("l", "v").context(both.context()).await);
    let error = carts.put("k", "v").context("00".parse::<Context>().unwrap()).await.unwrap_err();
    seen.note("no context", matches!(error.failure(), Some(Failure::BadContext(_))));

    let sets = carts.typed::<BTreeSet<u8>>();
    for n in [1, 2] {
        sets.put("set", &[n].into()).context(absent_context(carts, "set").await).await.unwrap();
    }
    let add = |set: Option<BTreeSet<u8>>| set.into_iter().flatten().chain([3]).collect();
    sets.update_with("set", Union, add).await.unwrap();
    seen.note("united", sets.get("set").await.unwrap().value().unwrap());
}

/// The context of a key that was never written.
async fn absent_context(table: &TableHandle, key: &'static str) -> Context {
    let read = table.get(key).await.unwrap();
    read.context()
}

async fn bounds(carts: &TableHandle, seen: &mut Seen) {
    let absent = carts.get("many").await.unwrap().context();
    let mut refused = None;
    for n in 0..70 {
        if let Err(error) = carts.put("many", n.to_string()).context(&absent).await {
            refused.get_or_insert((n, error));
        }
    }
    let (n, error) = refused.unwrap();
    let context = error.context().unwrap();
    seen.note("siblings at most", n);
    seen.refused("too many siblings", Err::<(), _>(error));
    seen.read("as many", &carts.get("many").await.unwrap());
    carts.put("many", "one").context(context).await.unwrap();
    seen.read("one again", &carts.get("many").await.unwrap());

    seen.refused("no key", carts.put("", "v").await);
    seen.refused("no key to read", carts.get("").await);
    seen.refused("a long key", carts.get(vec![0; 65_520]).await);
    seen.refused("a long value", carts.put("k", vec![0; (16 << 20) + 1]).await);
    seen.refused("for ever", carts.put("k", "v").ttl(Duration::from_secs(101 * 365 * 24 * 3_600)).await);
}

async fn registers(locks: &TableHandle, seen: &mut Seen) {
    seen.read("absent", &locks.get("k").await.unwrap());
    let written = locks.put("k", "a").await.unwrap();
    let receipt = written.receipt();
    seen.note(
        "written",
        (written.context(), receipt.consistency, receipt.answered.len() >= 2, receipt.rounds > 0),
    );
    locks.put("k", "b").await.unwrap();
    seen.read("the latest", &locks.get("k").await.unwrap());
    seen.read("monotone", &locks.get("k").monotone().await.unwrap());
    seen.refused("context", locks.put("k", "c").context(locks.get("k").await.unwrap().context()).await);
    seen.refused("update", locks.update("k", |_| "c").await);
    seen.refused("sloppy", locks.put("k", "c").sloppy(true).await);
    seen.refused("any", locks.delete("k").consistency(Consistency::Any).await);
    for (key, written) in locks.put_many([("x", "1"), ("", "2"), ("y", "3")]).await {
        seen.note("written", (key, written.is_ok()));
    }
    for (key, read) in locks.get_many(["y", "", "x", "z"]).await {
        seen.note("read", (key, read.map(|read| read.values().to_vec()).map_err(|error| error.to_string())));
    }
}

async fn levels(carts: &TableHandle, locks: &TableHandle, seen: &mut Seen) {
    for level in ["ONE", "TWO", "THREE", "QUORUM", "ALL", "3"] {
        let level = level.parse().unwrap();
        seen.read("level", &carts.get("k").consistency(level).await.unwrap());
        let written = locks.put("level", "v").consistency(level).await.unwrap();
        seen.note("written", written.receipt().consistency);
    }
    let four = "4".parse().unwrap();
    seen.refused("read", carts.get("k").consistency(four).await);
    seen.refused("write", carts.put("k", "v").consistency(four).await);
    seen.refused("any", carts.get("k").consistency(Consistency::Any).await);
    carts.put("any", "v").consistency(Consistency::Any).await.unwrap();
    seen.read("any", &carts.get("any").consistency(Consistency::All).await.unwrap());
}

/// Nothing is sent that nobody would wait for.
async fn deadlines(carts: &TableHandle, seen: &mut Seen) {
    let over = Duration::ZERO;
    seen.refused("no time to write", carts.put("late", "v").timeout(over).await);
    seen.refused("no time to delete", carts.delete("late").timeout(over).await);
    seen.refused("no time to read", carts.get("late").timeout(over).await);
    seen.refused("no time for a page", carts.scan().timeout(over).next_page().await);
    let brief = Profile::new().attempt_timeout(over);
    seen.refused("no node has time", carts.put("late", "v").profile(&brief).await);
    seen.read("nothing was written", &carts.get("late").await.unwrap());
}

async fn expiry(carts: &TableHandle, locks: &TableHandle, seen: &mut Seen, pass: impl AsyncFn(Duration)) {
    for table in [carts, locks] {
        table.put("ttl", "soon gone").ttl(Duration::from_millis(400)).await.unwrap();
        seen.read("there", &table.get("ttl").await.unwrap());
        pass(Duration::from_millis(500)).await;
        seen.read("expired", &table.get("ttl").await.unwrap());
        table.put("ttl", "for good").await.unwrap();
        seen.read("there again", &table.get("ttl").await.unwrap());
    }
}

async fn scans(client: &Client, seen: &mut Seen) {
    client.create_table("rows").await.unwrap();
    let rows = client.table("rows").await.unwrap();
    seen.note("empty", rows.scan().next().await.unwrap().is_none());
    for (_, written) in rows.put_many((0..50).map(|n| (n.to_string(), "v"))).await {
        written.unwrap();
    }
    rows.delete("7").await.unwrap();
    let mut scan = rows.scan().page_rows(9);
    let mut keys: Vec<Bytes> = Vec::new();
    while let Some(row) = scan.next().await.unwrap() {
        seen.note("row", (row.key(), row.values(), row.context().is_empty()));
        keys.push(row.key().clone());
    }
    seen.note("keys", keys.len());
    let (mut scan, mut paged) = (rows.scan().page_rows(20), Vec::new());
    while let Some(page) = scan.next_page().await.unwrap() {
        paged.extend(page.rows.iter().map(|row| row.key().clone()));
        if let Some(cursor) = page.cursor {
            scan = rows.scan().page_rows(20).after(cursor.to_string().parse::<Cursor>().unwrap());
        }
    }
    assert_eq!(paged, keys, "however it is paged");
    let mut half = rows.scan().page_rows(20);
    for _ in 0..27 {
        half.next().await.unwrap();
    }
    let rest = rows.scan().after(half.cursor().unwrap()).into_stream();
    let rest: Vec<_> = rest.map(|row| row.unwrap().key().clone()).collect().await;
    assert_eq!(rest, keys[27..], "also from within a page");
    let cursor = rows.scan().page_rows(5).next_page().await.unwrap().unwrap().cursor.unwrap();
    let other = client.table("carts").await.unwrap();
    seen.refused("of another table", other.scan().after(cursor.clone()).next().await);
    seen.refused("any", rows.scan().consistency(Consistency::Any).next().await);
    client.truncate_table("rows").await.unwrap();
    seen.refused("of what was truncated", rows.scan().after(cursor).next().await);
    seen.note("truncated", rows.scan().next().await.unwrap().is_none());
    seen.read("nothing there", &rows.get("1").await.unwrap());
    client.drop_table("rows").await.unwrap();
    seen.refused("dropped", rows.get("1").await);
    seen.refused("dropped", rows.put("1", "v").await);
    client.create_table("rows").await.unwrap();
    rows.put("1", "v").await.unwrap();
    seen.read("made anew", &rows.get("1").await.unwrap());
}
