//! A cluster in this process.

use quorate::{client::Client, runtime::demo_cluster, shell::Console};

use crate::{
    Failure,
    args::Demo,
    cluster::{converse, statements},
};

pub(crate) async fn run(arguments: Demo, console: Console) -> Result<(), Failure> {
    use quorate::runtime::DemoError::{AnotherSize, NodeCount};
    let source = statements(arguments.source)?;
    let cluster =
        demo_cluster(arguments.nodes, arguments.data.as_deref()).await.map_err(|error| match error {
            NodeCount(_) | AnotherSize { .. } => Failure::usage(error),
            error => Failure::start(error),
        })?;
    let contact_points = cluster.addresses().into_iter().map(|address| address.to_string());
    let client =
        Client::builder().contact_points(contact_points).tls(cluster.identity().clone()).build().await;
    let client = client.map_err(Failure::start)?;
    let conversed = converse(client, source.as_deref(), console).await;
    let stopped = cluster.shutdown().await.map_err(Failure::request);
    conversed.and(stopped)
}
