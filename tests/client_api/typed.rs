//! Values of the program's own types.

use std::collections::BTreeSet;

use bytes::Bytes;
use quorate::client::{Codec, CodecError, Outcome, TypedTable, UpdateError, ValueError, WriteError};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser::Error};

use super::cluster::start_siblings;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: BTreeSet<String>,
}

/// Has no bytes.
struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no words"))
    }
}

#[derive(Clone, Debug)]
struct Json;

impl Codec for Json {
    fn encode<T: Serialize>(&self, value: &T) -> Result<Bytes, CodecError> {
        Ok(serde_json::to_vec(value)?.into())
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

fn cart(items: &[&str]) -> Cart {
    Cart { items: items.iter().map(ToString::to_string).collect() }
}

fn merged(carts: Vec<Cart>) -> Cart {
    Cart { items: carts.into_iter().flat_map(|cart| cart.items).collect() }
}

#[tokio::test]
async fn typed_values_are_read_merged_and_scanned() {
    let (cluster, raw) = start_siblings().await;
    let carts: TypedTable<Cart> = raw.typed();
    assert_eq!(carts.get("alice").await.unwrap().value(), Ok(None));
    let nothing = carts.get("alice").await.unwrap().context();
    carts.put("alice", &cart(&["pear"])).context(&nothing).await.unwrap();
    carts.put("alice", &cart(&["fig"])).context(&nothing).await.unwrap();

    let read = carts.get("alice").await.unwrap();
    assert!(read.is_conflicted());
    assert_eq!(read.values().unwrap(), [cart(&["pear"]), cart(&["fig"])], "the oldest write first");
    assert!(matches!(read.value(), Err(ValueError::Concurrent(several)) if several.count == 2));
    let row = carts.scan().next().await.unwrap().unwrap();
    assert_eq!((row.key(), row.values().unwrap().len()), (&"alice".into(), 2));
    let page = carts.scan().next_page().await.unwrap().unwrap();
    assert_eq!(page.rows[0].context(), row.context());

    carts.update("alice", merged).await.unwrap();
    assert_eq!(carts.get("alice").await.unwrap().value(), Ok(Some(cart(&["fig", "pear"]))));
    assert_eq!(carts.scan().next().await.unwrap().unwrap().value(), Ok(cart(&["fig", "pear"])));

    for (_, written) in carts.put_many([("bob", cart(&["nut"])), ("eve", cart(&[]))]).await {
        written.unwrap();
    }
    let read = carts.get_many(["bob", "eve", "nobody"]).await;
    let values: Vec<_> = read.into_iter().map(|(_, read)| read.unwrap().value().unwrap()).collect();
    assert_eq!(values, [Some(cart(&["nut"])), Some(cart(&[])), None]);
    carts.delete("bob").await.unwrap();
    assert_eq!(carts.get("bob").await.unwrap().value(), Ok(None));

    let json: TypedTable<Cart, _> = raw.typed_with(Json);
    json.put("mallory", &cart(&["x"])).await.unwrap();
    assert_eq!(raw.get("mallory").await.unwrap().value(), Ok(Some(&r#"{"items":["x"]}"#.into())));
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_value_of_another_type_says_which_it_is_and_can_be_replaced() {
    let (cluster, raw) = start_siblings().await;
    let carts: TypedTable<Cart> = raw.typed();
    let nothing = raw.get("alice").await.unwrap().context();
    carts.put("alice", &cart(&["pear"])).context(&nothing).await.unwrap();
    raw.put("alice", "2 apples").context(&nothing).await.unwrap();

    let read = carts.get("alice").await.unwrap();
    let error = read.values().unwrap_err();
    assert_eq!((&error.key[..], error.at, error.siblings), (&b"alice"[..], 1, 2));
    assert_eq!(error.tag, read.raw().versions()[1].tag);
    assert!(error.to_string().starts_with("value 2 of 2 of the key 'alice', written as "), "{error}");

    let error = carts.update("alice", merged).await.unwrap_err();
    assert!(matches!(&error, UpdateError::Undecodable(error) if error.at == 1), "{error}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(raw.get("alice").await.unwrap().values().len(), 2, "nothing was written");

    let error = raw.typed::<Unspeakable>().put("alice", &Unspeakable).await.unwrap_err();
    assert!(matches!(&error, WriteError::Unencodable { reason, .. } if reason.contains("no words")));
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().starts_with("the value cannot be encoded: "), "{error}");

    carts.put("alice", &cart(&[])).context(read.context()).await.unwrap();
    assert_eq!(carts.get("alice").await.unwrap().value(), Ok(Some(cart(&[]))));
    cluster.shutdown().await.unwrap();
}
