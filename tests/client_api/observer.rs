//! What an observer hears.

use std::sync::Mutex;

use quorate::client::{Ended, Observer, Outcome};

/// One line for each thing heard of tables and keys.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn take(&self) -> Vec<String> {
        // The client asks for the cluster's map when it changes.
        self.take_all().into_iter().filter(|line| !line.contains(": admin ")).collect()
    }

    pub(crate) fn take_all(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, what: &str, ended: &Ended<'_>) {
        let Ended { operation, table, consistency, attempts, outcome, .. } = ended;
        let level = consistency.map_or("-".to_owned(), |level| level.to_string());
        let (name, table) = (operation.name(), table.unwrap_or("-"));
        assert_eq!(ended.cause.is_none(), *outcome == Outcome::Applied);
        self.0.lock().unwrap().push(format!("{what} {attempts}: {name} {table} {level}: {outcome}"));
    }
}

impl Observer for Heard {
    fn request(&self, ended: &Ended<'_>) {
        self.note("request", ended);
    }

    fn attempt(&self, ended: &Ended<'_>) {
        self.note("attempt", ended);
    }
}

#[cfg(feature = "cli")]
#[tokio::test]
async fn an_observer_hears_of_requests_and_attempts() {
    use std::sync::Arc;

    use quorate::client::{Client, Consistency};

    let (cluster, _client, _) = super::cluster::start(3).await;
    let heard = Arc::new(Heard::default());
    let client = Client::builder()
        .contact_points(cluster.addresses().iter().map(ToString::to_string))
        .tls(cluster.identity().clone())
        .observer(heard.clone())
        .build()
        .await
        .unwrap();
    let table = client.table("t").await.unwrap();
    table.put("k", "v").await.unwrap();
    assert_eq!(heard.take(), ["attempt 1: put t QUORUM: applied", "request 1: put t QUORUM: applied"]);
    table.get("k").consistency(Consistency::Any).await.unwrap_err();
    let refused = ["attempt 1: get t ANY: not applied", "request 1: get t ANY: not applied"];
    assert_eq!(heard.take(), refused);
    table.scan().next().await.unwrap();
    table.delete("k").await.unwrap();
    client.drop_table("t").await.unwrap();
    let requests: Vec<_> = heard.take().into_iter().filter(|line| line.starts_with("request")).collect();
    let expected = [
        "request 1: scan t QUORUM: applied",
        "request 1: delete t QUORUM: applied",
        "request 1: change_table t -: applied",
    ];
    assert_eq!(requests, expected);
    cluster.shutdown().await.unwrap();
}
