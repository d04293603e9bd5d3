//! Concurrent values that come to one.

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate::client::{Latest, TypedTable, Union};

use super::cluster::start_siblings;

#[tokio::test]
async fn concurrent_values_come_to_one() {
    let (cluster, raw) = start_siblings().await;
    let set = |items: &[&str]| -> BTreeSet<String> { items.iter().map(ToString::to_string).collect() };
    let sets: TypedTable<BTreeSet<String>> = raw.typed();
    assert_eq!(sets.get("k").await.unwrap().resolved(Union), Ok(None));
    let nothing = raw.get("k").await.unwrap().context();
    for item in ["a", "b", "c"] {
        sets.put("k", &set(&[item])).context(&nothing).await.unwrap();
    }
    let read = sets.get("k").await.unwrap();
    assert_eq!(read.resolved(Union), Ok(Some(set(&["a", "b", "c"]))));
    assert_eq!(read.resolved(Latest), Ok(Some(set(&["c"]))));
    let mut order = Vec::new();
    let first = |older: BTreeSet<String>, newer: BTreeSet<String>| {
        order.push((older.clone(), newer));
        older
    };
    assert_eq!(read.resolved(first), Ok(Some(set(&["a"]))));
    assert_eq!(order, [(set(&["a"]), set(&["b"])), (set(&["a"]), set(&["c"]))], "the oldest write first");
    assert_eq!(read.raw().resolved(Latest).as_ref(), read.raw().values().last());
    let row = sets.scan().next().await.unwrap().unwrap();
    assert_eq!(row.resolved(Union), Ok(Some(set(&["a", "b", "c"]))));
    assert_eq!(row.raw().resolved(Latest), read.raw().resolved(Latest));
    assert!(sets.get("k").await.unwrap().is_conflicted(), "looking at them changes nothing");

    let add = |set: Option<BTreeSet<String>>| {
        let mut set = set.unwrap_or_default();
        set.insert("d".to_owned());
        set
    };
    sets.update_with("k", Union, add).await.unwrap();
    assert_eq!(sets.get("k").await.unwrap().value(), Ok(Some(set(&["a", "b", "c", "d"]))));
    sets.update_with("new", Union, add).await.unwrap();
    assert_eq!(sets.get("new").await.unwrap().value(), Ok(Some(set(&["d"]))));

    let nothing = raw.get("raw").await.unwrap().context();
    for value in ["x", "y"] {
        raw.put("raw", value).context(&nothing).await.unwrap();
    }
    let double = |value: Option<Bytes>| value.unwrap_or_default().repeat(2);
    raw.update_with("raw", |older: Bytes, _| older, double).await.unwrap();
    assert_eq!(raw.get("raw").await.unwrap().value(), Ok(Some(&"xx".into())));
    cluster.shutdown().await.unwrap();
}
