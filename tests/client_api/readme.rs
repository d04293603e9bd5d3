//! The program that the README shows: it is compiled, and what it asks for is answered.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use quorate::{
    client::{Client, Consistency, Expected, Mock, TableKind, TypedTable, Union},
    transport::Identity,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The first line, which needs nodes.
#[rustfmt::skip]
async fn connect(identity: Identity) -> Result<Client, Box<dyn std::error::Error>> {
    let client = Client::builder().contact_points(["127.0.0.1:7001"]).tls(identity).build().await?;
    Ok(client)
}

/// All others.
#[rustfmt::skip]
#[expect(clippy::print_stdout, reason = "whoever reads it is to see something")]
async fn shown(client: &Client, counters: &TypedTable<u64>) -> Outcome {
    // From here:
    let carts = client.table("carts").await?;
    carts.put("alice", "milk").consistency(Consistency::Quorum).ttl(Duration::from_secs(3600)).await?;

    let read = carts.get("alice").await?;
    println!("{:?} from {:?}", read.values(), read.receipt().answered);
    carts.put("alice", merge(read.values())).context(read.context()).await?;

    carts.update("alice", merge).await?; // read, merge, write with the context

    let baskets = client.table("baskets").await?.typed::<BTreeSet<String>>(); // values by serde
    baskets.update_with("alice", Union, |basket| add(basket, "eggs")).await?;

    let locks = client.table("locks").await?; // of kind cas
    let compared = locks.compare_and_set("nightly job", Expected::Absent, "worker 7").await?;
    println!("{} {:?}", compared.is_applied(), compared.found());
    counters.update("visits", |count| count.first().unwrap_or(&0) + 1).await?; // again, until nobody was quicker

    let cart = client.prepare("SELECT * FROM carts WHERE key = ?")?; // the language, parsed once
    let read = cart.execute(("alice",)).await?.read()?;
    client.execute("UPDATE carts SET value = ? WHERE key = ? WITH CONTEXT ?", ("milk", "alice", read.context())).await?;
    // To here.
    Ok(())
}

fn merge(values: &[Bytes]) -> Bytes {
    values.concat().into()
}

fn add(basket: Option<BTreeSet<String>>, what: &str) -> BTreeSet<String> {
    basket.into_iter().flatten().chain([what.to_owned()]).collect()
}

#[tokio::test]
async fn the_program_of_the_readme_does_what_it_says() -> Outcome {
    let client = Mock::new().client();
    for (table, kind) in [("carts", TableKind::Siblings), ("baskets", TableKind::Siblings)] {
        client.create_table(table).kind(kind).await?;
    }
    for table in ["locks", "counters"] {
        client.create_table(table).kind(TableKind::Cas).await?;
    }
    let counters = client.table("counters").await?.typed();
    shown(&client, &counters).await?;
    shown(&client, &counters).await?;
    let baskets: TypedTable<BTreeSet<String>> = client.table("baskets").await?.typed();
    assert_eq!(baskets.get("alice").await?.value()?, Some(BTreeSet::from(["eggs".to_owned()])));
    assert_eq!(counters.get("visits").await?.value()?, Some(2));
    let carts = client.table("carts").await?;
    assert_eq!(carts.get("alice").await?.value()?, Some(&Bytes::from("milk")));
    let locks = client.table("locks").await?;
    assert_eq!(locks.get("nightly job").await?.value()?, Some(&Bytes::from("worker 7")));
    Ok(())
}

/// Whoever changes the one changes the other.
#[test]
fn the_readme_shows_this_program() {
    // Nothing answers at the address that it names.
    let _ = connect;
    let between = |text: &'static str, from: &str, to: &str| {
        let (_, rest) = text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0
    };
    let own = include_str!("readme.rs");
    let first = between(own, "dyn std::error::Error>> {\n", "    Ok(client)");
    let others = between(own, "// From here:\n", "    // To here.");
    let own: Vec<_> = first.lines().chain(others.lines()).map(str::trim).collect();
    let shown = between(include_str!("../../README.md"), "```rust\n", "```");
    assert_eq!(shown.lines().collect::<Vec<_>>(), own);
}
