//! Whose word counts.

use quorate::client::{Client, Consistency, Profile};

use super::cluster::start;

#[tokio::test]
async fn the_nearest_word_counts_from_client_to_call() {
    let (cluster, client, _) = start(3).await;
    let create = client.create_table("levels").read_consistency(Consistency::Two);
    create.write_consistency(Consistency::Two).await.unwrap();
    let everywhere = Profile::new().read_consistency(Consistency::One).write_consistency(Consistency::Three);
    let client = Client::builder()
        .contact_points(cluster.addresses().iter().map(ToString::to_string))
        .tls(cluster.identity().clone())
        .profile(&everywhere)
        .build()
        .await
        .unwrap();

    let levels = client.table("levels").await.unwrap();
    assert_eq!(levels.put("k", "v").await.unwrap().receipt().consistency, Consistency::Three);
    assert_eq!(levels.get("k").await.unwrap().receipt().consistency, Consistency::One);

    let all = Profile::new().read_consistency(Consistency::All);
    let strict = levels.with_profile(&all);
    assert_eq!(strict.get("k").await.unwrap().receipt().consistency, Consistency::All);
    let written = strict.put("k", "v").await.unwrap();
    assert_eq!(
        written.receipt().consistency,
        Consistency::Three,
        "of writes the handle's profile says nothing"
    );
    assert_eq!(levels.get("k").await.unwrap().receipt().consistency, Consistency::One, "the other handle's");

    let quorum = Profile::new().read_consistency(Consistency::Quorum).write_consistency(Consistency::Quorum);
    assert_eq!(strict.get("k").profile(&quorum).await.unwrap().receipt().consistency, Consistency::Quorum);
    let read = strict.get("k").consistency(Consistency::Two).profile(&quorum).await.unwrap();
    assert_eq!(read.receipt().consistency, Consistency::Two, "the call's own word, in whichever order");
    let page = strict.scan().profile(&quorum).next_page().await.unwrap().unwrap();
    assert_eq!(page.receipt.consistency, Consistency::Quorum);
    for (_, read) in strict.get_many(["k", "l"]).profile(&quorum).await {
        assert_eq!(read.unwrap().receipt().consistency, Consistency::Quorum);
    }
    for (_, written) in strict.put_many([("m", "v")]).profile(&quorum).await {
        assert_eq!(written.unwrap().receipt().consistency, Consistency::Quorum);
    }
    let updated = strict.update("n", |_| "v").profile(&quorum).await.unwrap();
    assert_eq!(updated.receipt().consistency, Consistency::Quorum);
    cluster.shutdown().await.unwrap();
}
