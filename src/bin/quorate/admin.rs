//! The cluster as one of its nodes sees it.

use quorate::{
    client::Client,
    cql::render::Format,
    shell::{Console, Overview, nodes, ring, tables},
};

use crate::{Failure, args::Admin, cluster::connect};

pub(crate) async fn answer(question: Admin, console: Console) -> Result<(), Failure> {
    let (Admin::Status(cluster) | Admin::Nodes(cluster) | Admin::Ring(cluster) | Admin::Tables(cluster)) =
        &question;
    let client = connect(cluster).await?;
    let described = async |client: &Client| client.nodes().await.map_err(Failure::request);
    let all_tables = async |client: &Client| client.tables().await.map_err(Failure::request);
    match &question {
        Admin::Status(_) => {
            let described = described(&client).await?;
            // A minority may not know the newest tables; what it knows of itself is worth telling all the same.
            let tables = client.tables().await;
            let overview =
                Overview::new(&described, tables.as_deref().unwrap_or_default()).map_err(Failure::request)?;
            match console.format() {
                Format::Table => console.text(&overview)?,
                _ => console.data(&overview.grid())?,
            }
            if let Err(error) = tables {
                console.warn(format_args!("tables are left out: {error}"));
            }
        }
        Admin::Nodes(_) => console.data(&nodes(&described(&client).await?))?,
        Admin::Ring(_) => {
            let (described, tables) = (described(&client).await?, all_tables(&client).await?);
            console.data(&ring(&described, &tables).map_err(Failure::request)?)?;
        }
        Admin::Tables(_) => console.data(&tables(&all_tables(&client).await?))?,
    }
    Ok(())
}
