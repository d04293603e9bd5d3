//! Writes that depend on what a key holds: the same of real nodes and of the mock, and none of them twice.

use std::{fmt::Debug, sync::Arc, time::Duration};

use quorate::client::{
    Client, ComparedAndSet, Consistency, Expected, Failure, Fault, Mock, New, Outcome, Profile, TableHandle,
    TableKind, TypedTable, UpdateError, WriteError,
};
use tokio::task::JoinSet;

use super::{mock::Stubborn, observer::Heard, semantics::Seen};

/// What a client sees of a `cas` table, and of conditions where there are none.
pub(crate) async fn seen_of_conditions(client: &Client, seen: &mut Seen) {
    for level in [Consistency::One, Consistency::Any, "1".parse().unwrap()] {
        let create = client.create_table("cas").kind(TableKind::Cas).write_consistency(level);
        seen.refused("level", create.await);
    }
    let create = client.create_table("cas").kind(TableKind::Cas).await.unwrap();
    seen.refused("level", client.alter_table("cas").write_consistency(Consistency::One).await);
    seen.note("created", (create.kind, create.replication, create.write_consistency));
    let cas = client.table("cas").await.unwrap();
    seen.read("absent", &cas.get("k").await.unwrap());
    for expected in [Expected::Present, "a".into(), Expected::Absent, Expected::Absent, "b".into()] {
        compared(seen, cas.compare_and_set("k", expected, "a").await);
    }
    seen.read("set", &cas.get("k").await.unwrap());
    compared(seen, cas.compare_and_set("k", "a", "b").await);
    compared(seen, cas.compare_and_set("k", "a", New::Absent).await);
    seen.read("changed", &cas.get("k").consistency(Consistency::One).await.unwrap());
    compared(seen, cas.compare_and_set("k", Expected::Present, New::Absent).await);
    seen.read("deleted", &cas.get("k").await.unwrap());
    compared(seen, cas.compare_and_set("k", Expected::Present, New::Absent).await);
    compared(seen, cas.compare_and_set("k", Expected::Absent, New::Absent).await);
    compared(seen, cas.compare_and_set("k", Expected::Absent, "").await);
    compared(seen, cas.compare_and_set("k", "", "c").consistency(Consistency::All).await);

    let written = cas.put("k", "plain").await.unwrap();
    seen.note("put", (written.context(), written.receipt().tag.is_some()));
    compared(seen, cas.compare_and_set("k", "plain", "d").await);
    cas.update("k", |values| [values.concat(), b"e".to_vec()].concat()).await.unwrap();
    seen.read("updated", &cas.get("k").await.unwrap());
    cas.delete("k").consistency(Consistency::Two).await.unwrap();
    cas.update("k", |values| format!("made of {}", values.len())).await.unwrap();
    let row = cas.scan().next().await.unwrap().unwrap();
    seen.note("row", (row.key(), row.values(), row.context().is_empty()));
    refused_of_cas(&cas, seen).await;
    for kind in [TableKind::Siblings, TableKind::Register] {
        let name = format!("without_{kind}");
        client.create_table(&name).kind(kind).await.unwrap();
        let other = client.table(&name).await.unwrap();
        seen.refused("no conditions", other.compare_and_set("k", Expected::Absent, "v").await);
        seen.read("not written", &other.get("k").await.unwrap());
    }
}

async fn refused_of_cas(cas: &TableHandle, seen: &mut Seen) {
    for level in [Consistency::One, Consistency::Any, "1".parse().unwrap(), "4".parse().unwrap()] {
        seen.refused("put", cas.put("k", "x").consistency(level).await);
        seen.refused("delete", cas.delete("k").consistency(level).await);
        let compare = cas.compare_and_set("k", Expected::Present, "x").consistency(level);
        seen.refused("compare and set", compare.await);
    }
    let context = cas.get("k").await.unwrap().context();
    seen.refused("context", cas.put("k", "x").context(context.clone()).await);
    seen.refused("context", cas.delete("k").context(context).await);
    seen.refused("sloppy", cas.put("k", "x").sloppy(true).await);
    seen.refused("ttl", cas.put("k", "x").ttl(Duration::from_secs(60)).await);
    seen.refused("ttl", cas.update("k", |_| "x").ttl(Duration::from_secs(60)).await);
    seen.refused("no key", cas.compare_and_set("", Expected::Absent, "x").await);
    let long = || vec![0; (16 << 20) + 1];
    seen.refused("a long value", cas.compare_and_set("k", Expected::Present, long()).await);
    seen.refused("a long value", cas.compare_and_set("k", long(), "x").await);
    let late = cas.compare_and_set("k", Expected::Present, "x").timeout(Duration::ZERO);
    seen.refused("no time", late.await);
    seen.read("nothing was written", &cas.get("k").await.unwrap());
}

fn compared(seen: &mut Seen, compared: Result<ComparedAndSet, impl Debug>) {
    let compared = compared.unwrap();
    let (receipt, expires) = (compared.receipt(), compared.found_version().and_then(|found| found.expires));
    seen.note("compared", (compared.is_applied(), compared.found(), expires, receipt.consistency));
    assert!(!compared.is_applied() || receipt.tag.is_some(), "what was written has a name");
}

async fn mock() -> (Mock, TableHandle, Arc<Heard>) {
    let (mock, heard) = (Mock::new(), Arc::new(Heard::default()));
    // A client that repeats whatever it may.
    let profile = Profile::new().idempotent(true).retries(Stubborn);
    let client = Client::builder().profile(&profile).observer(heard.clone()).build_mock(&mock);
    client.create_table("locks").kind(TableKind::Cas).await.unwrap();
    let locks = client.table("locks").await.unwrap();
    heard.take();
    (mock, locks, heard)
}

#[tokio::test]
async fn a_compare_and_set_that_may_have_been_applied_is_never_repeated() {
    let (mock, locks, heard) = mock().await;
    for (fault, applied) in [(Fault::UnknownApplied, true), (Fault::UnknownNotApplied, false)] {
        mock.fail_next_write(fault);
        let key = if applied { "a" } else { "b" };
        let error = locks.compare_and_set(key, Expected::Absent, "me").await.unwrap_err();
        assert!(matches!(error, WriteError::ConnectionLost { outcome: Outcome::Unknown, .. }), "{error}");
        let unknown = "compare_and_set locks QUORUM: outcome unknown";
        assert_eq!(
            heard.take(),
            [format!("attempt 1: {unknown}"), format!("request 1: {unknown}")],
            "rule C4"
        );
        // Who does not know asks once more, and finds its own name.
        let again = locks.compare_and_set(key, Expected::Absent, "me").await.unwrap();
        assert_eq!((again.is_applied(), again.found().is_some()), (!applied, applied));
        heard.take();
    }
    mock.fail_next_write(Fault::Refused(Failure::Recovering));
    let late = locks.compare_and_set("a", Expected::Absent, "other").await.unwrap();
    assert_eq!(late.found(), Some(&"me".into()), "what was refused may be repeated");
    let heard = heard.take();
    assert_eq!(heard.last().unwrap(), "request 2: compare_and_set locks QUORUM: applied", "it is answered");
}

#[tokio::test]
async fn an_update_ends_where_nobody_knows_what_became_of_it() {
    let (mock, locks, heard) = mock().await;
    mock.fail_next_write(Fault::UnknownApplied);
    let error = locks.update("n", |values| format!("{} values", values.len())).await.unwrap_err();
    assert!(matches!(&error, UpdateError::Write(error) if error.outcome() == Outcome::Unknown), "{error}");
    assert_eq!(locks.get("n").await.unwrap().values(), ["0 values"]);
    let compared = heard.take().iter().filter(|line| line.contains("attempt 1: compare_and_set")).count();
    assert_eq!(compared, 1, "rule C4");

    mock.fail_next_write(Fault::Refused(Failure::Contended { rounds: 9 }));
    locks.update("n", |values| [values.concat(), b"!".to_vec()].concat()).await.unwrap();
    assert_eq!(
        locks.get("n").await.unwrap().values(),
        ["0 values!"],
        "nothing was written: it may try again"
    );
}

#[tokio::test]
async fn an_update_goes_on_with_what_its_comparison_found() {
    let (_mock, locks, heard) = mock().await;
    let add = |name: &'static str| {
        locks.update("n", move |values| [values.concat().as_slice(), name.as_bytes()].concat())
    };
    let (one, two) = tokio::join!(add("a"), add("b"));
    assert!(one.unwrap().receipt().tag != two.unwrap().receipt().tag);
    let heard = heard.take();
    let count =
        |what: &str| heard.iter().filter(|line| line.starts_with("request") && line.contains(what)).count();
    assert_eq!((count(": get "), count(": compare_and_set ")), (2, 3), "{heard:?}");
    let read = locks.get("n").await.unwrap();
    assert!(["ab", "ba"].map(Into::into).contains(read.value().unwrap().unwrap()), "{read:?}");
}

#[tokio::test]
async fn an_update_that_is_always_outrun_gives_up_in_time() {
    let (_mock, locks, _) = mock().await;
    let hot = locks.clone();
    let mut writer = JoinSet::new();
    writer.spawn(async move {
        for n in 0_u64.. {
            hot.put("n", n.to_string()).await.unwrap();
        }
    });
    let error = locks.update("n", |_| "mine").timeout(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, UpdateError::Outrun { attempts: 2.., .. }), "{error}");
    assert_eq!((error.outcome(), error.failure()), (Outcome::NotApplied, None));
    assert!(error.receipt().is_some_and(|receipt| receipt.tag.is_some()));
    assert!(error.to_string().ends_with("times in between (not applied)"), "{error}");
}

#[tokio::test]
async fn typed_values_are_compared_by_their_bytes() {
    let (_mock, locks, _) = mock().await;
    let counters: TypedTable<u64> = locks.typed();
    assert!(counters.compare_and_set("n", Expected::Absent, &1).await.unwrap().is_applied());
    assert!(counters.compare_and_set("n", &1, &2).await.unwrap().is_applied());
    let late = counters.compare_and_set("n", &1, &2).await.unwrap();
    assert_eq!((late.is_applied(), late.found()), (false, Ok(Some(2))));
    counters.update("n", |counts| counts[0] + 40).await.unwrap();
    assert_eq!(counters.get("n").await.unwrap().value(), Ok(Some(42)));

    locks.put("n", "no number").await.unwrap();
    let other = counters.compare_and_set("n", &42, New::Absent).await.unwrap();
    assert!(other.found().unwrap_err().to_string().starts_with("value 1 of 1 of the key 'n'"));
    assert_eq!(other.raw().found(), Some(&"no number".into()));
    let error = counters.update("n", |counts| counts[0]).await.unwrap_err();
    assert!(matches!(error, UpdateError::Undecodable(_)), "{error}");
}

#[cfg(feature = "cli")]
mod nodes {
    use std::future::IntoFuture;

    use quorate::runtime::demo_cluster;

    use super::{super::cluster::client, *};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Two clients, and whatever node each request goes to.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_counter_counts_each_update_once() {
        let cluster = demo_cluster(3, None).await.unwrap();
        let clients = [client(&cluster).await, client(&cluster).await];
        clients[0].create_table("counters").kind(TableKind::Cas).await.unwrap();
        let mut updates = JoinSet::new();
        for client in &clients {
            let counters = client.table("counters").await.unwrap().typed::<u64>();
            for _ in 0..10 {
                let update = counters.update("n", |counts| counts.first().unwrap_or(&0) + 1);
                updates.spawn(update.timeout(PATIENCE).into_future());
            }
        }
        let (mut applied, mut unknown) = (0, 0);
        while let Some(updated) = updates.join_next().await {
            match updated.unwrap() {
                Ok(_) => applied += 1,
                // Its round was lost after it was sent: rule C4.
                Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
                Err(error) => panic!("{error}"),
            }
        }
        let counters = clients[1].table("counters").await.unwrap().typed::<u64>();
        let count = counters.get("n").await.unwrap().value().unwrap().unwrap();
        assert!((applied..=applied + unknown).contains(&count), "{count}: {applied} and {unknown} perhaps");
        assert!(applied > 0 && applied + unknown == 20);
        cluster.shutdown().await.unwrap();
    }

    /// The old value and the new one fit a frame together, each as long as it may be.
    #[tokio::test]
    async fn long_values_are_compared() {
        let cluster = demo_cluster(3, None).await.unwrap();
        let client = client(&cluster).await;
        client.create_table("long").kind(TableKind::Cas).await.unwrap();
        let long = client.table("long").await.unwrap().with_profile(&Profile::new().timeout(PATIENCE));
        let value = |byte| vec![byte; 8 << 20];
        assert!(long.compare_and_set("k", Expected::Absent, value(b'a')).await.unwrap().is_applied());
        assert!(long.compare_and_set("k", value(b'a'), value(b'b')).await.unwrap().is_applied());
        let late = long.compare_and_set("k", value(b'a'), value(b'c')).await.unwrap();
        assert_eq!(late.found(), Some(&value(b'b').into()));
        cluster.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_of_many_gets_the_lock_and_the_others_hear_who() {
        let cluster = demo_cluster(3, None).await.unwrap();
        let client = client(&cluster).await;
        client.create_table("locks").kind(TableKind::Cas).await.unwrap();
        let locks = client.table("locks").await.unwrap();
        let mut requests = JoinSet::new();
        for n in 0..12 {
            let name = format!("worker {n}");
            requests.spawn(locks.compare_and_set("job", Expected::Absent, name).into_future());
        }
        let (mut applied, mut found) = (0, Vec::new());
        while let Some(compared) = requests.join_next().await {
            let compared = compared.unwrap().unwrap();
            assert!(compared.receipt().request_id.is_some(), "logs know the request by it");
            match compared.is_applied() {
                true => applied += 1,
                false => found.push(compared.found().cloned()),
            }
        }
        let holder = locks.get("job").await.unwrap().value().unwrap().cloned();
        assert_eq!(applied, 1);
        assert!(found.len() == 11 && found.iter().all(|found| *found == holder), "{found:?} {holder:?}");
        cluster.shutdown().await.unwrap();
    }
}
