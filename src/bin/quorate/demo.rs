//! A cluster in this process.

use quorate::{client::Client, runtime::demo_cluster, shell::Console};

use crate::{
    Failure,
    args::Demo,
    cluster::{converse, is_for_a_person, statements},
};

pub(crate) async fn run(arguments: Demo, console: Console) -> Result<(), Failure> {
    use quorate::runtime::DemoError::{AnotherSize, NodeCount};
    let source = statements(arguments.source)?;
    let cluster =
        demo_cluster(arguments.nodes, arguments.data.as_deref()).await.map_err(|error| match error {
            NodeCount(_) | AnotherSize { .. } => Failure::usage(error),
            error => Failure::start(error),
        })?;
    let contact_points: Vec<_> = cluster.addresses().iter().map(ToString::to_string).collect();
    let client =
        Client::builder().contact_points(&contact_points).tls(cluster.identity().clone()).build().await;
    let client = client.map_err(Failure::start)?;
    if is_for_a_person(source.as_deref()) {
        console.note(format_args!(
            "A cluster of {} runs here until the shell ends. From another terminal:\n  \
             quorate shell --connect {} \\\n    --certs {}",
            if arguments.nodes == 1 { "one node".to_owned() } else { format!("{} nodes", arguments.nodes) },
            contact_points.join(","),
            cluster.certs_dir().display(),
        ));
    }
    let conversed = converse(client, source.as_deref(), console).await;
    let stopped = cluster.shutdown().await.map_err(Failure::request);
    conversed.and(stopped)
}
