//! The cluster as one of its nodes sees it, and what each node says of itself.

use std::time::Duration;

use quorate::{
    client::{CatalogError, Client, FromEach, HealingDescribed, Scope},
    cql::render::Format,
    ring::{Ring, Table},
    shell::{Console, Overview, Progress, agreements, hints, key, nodes, ring, scrub, tables},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    Failure,
    args::{Admin, Key, Repair, Scrub},
    cluster::connect,
    one_shot::term,
};

pub(crate) async fn answer(question: Admin, console: Console) -> Result<(), Failure> {
    let described = async |client: &Client| client.nodes().await.map_err(Failure::request);
    match question {
        Admin::Status(cluster) => {
            let client = connect(&cluster).await?;
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
        Admin::Nodes(cluster) => console.data(&nodes(&described(&connect(&cluster).await?).await?))?,
        Admin::Ring(cluster) => {
            let client = connect(&cluster).await?;
            let (described, tables) = (described(&client).await?, all_tables(&client).await?);
            console.data(&ring(&described, &tables).map_err(Failure::request)?)?;
        }
        Admin::Tables(cluster) => console.data(&tables(&all_tables(&connect(&cluster).await?).await?))?,
        Admin::Hints(cluster) => {
            let answers = connect(&cluster).await?.healing().await;
            console.data(&hints(&answers))?;
            name_silent(&answers, console)?;
        }
        Admin::Repair(repair) => answer_repair(repair, console).await?,
        Admin::Scrub(scrub) => answer_scrub(scrub, console).await?,
        Admin::Key(key) => answer_key(key, console).await?,
    }
    Ok(())
}

async fn answer_repair(repair: Repair, console: Console) -> Result<(), Failure> {
    let Repair { table, range, now, cluster } = repair;
    let client = connect(&cluster).await?;
    let tables = all_tables(&client).await?;
    let table = table.map(|name| named(&tables, &name).map(|table| table.id)).transpose()?;
    let scope = Scope { table, replicas: range };
    let mut answers = client.healing().await;
    if agreements(&answers, &tables, &scope).is_empty() && scope.replicas.is_some() {
        return Err(Failure::request(
            "no keys are held by these nodes together: `quorate admin repair` lists ranges",
        ));
    }
    if now {
        let before = given(&answers);
        let mut progress = Progress::new(console);
        client.wait_for_agreement(&scope, |waiting| progress.report(waiting)).await;
        answers = client.healing().await;
        console.note(format_args!(
            "all replicas hold the same; records that some lacked: {}",
            given(&answers).saturating_sub(before)
        ));
    }
    console.data(&agreements(&answers, &tables, &scope))?;
    name_silent(&answers, console)
}

async fn answer_scrub(arguments: Scrub, console: Console) -> Result<(), Failure> {
    let client = connect(&arguments.cluster).await?;
    let mut answers = client.healing().await;
    if arguments.now {
        client.scrub_now().await;
        let mut tell_at = Instant::now() + TELL_EVERY;
        loop {
            answers = client.healing().await;
            let under_way: Vec<_> = answers.values().flatten().filter(|node| node.scrub.asked).collect();
            if under_way.is_empty() {
                break;
            }
            if Instant::now() >= tell_at {
                tell_at = Instant::now() + TELL_EVERY;
                let percent = |node: &&HealingDescribed| {
                    let done = u64::from(node.scrub.cell) * 100 / u64::from(node.scrub.cells.max(1));
                    format!("{} {done} %", node.node)
                };
                let progress: Vec<_> = under_way.iter().map(percent).collect();
                console.note(format_args!("verified: {}", progress.join(", ")));
            }
            sleep_until(Instant::now() + LOOK_EVERY).await;
        }
    }
    console.data(&scrub(&answers))?;
    name_silent(&answers, console)
}

async fn answer_key(arguments: Key, console: Console) -> Result<(), Failure> {
    let client = connect(&arguments.cluster).await?;
    let bytes = term(&arguments.key)?;
    let tables = all_tables(&client).await?;
    let table = named(&tables, &arguments.table)?;
    let info = client.cluster_info().await.map_err(Failure::request)?;
    let map = Ring::new(info.layout).map_err(Failure::request)?;
    let replicas = map.replicas_of_key(&bytes, table.replication);
    let answers = client.replicas_of_key(table.id, bytes.clone(), replicas).await;
    let preferred: Vec<_> = replicas.iter().map(ToString::to_string).collect();
    console.note(format_args!(
        "token {}, replicas in order of preference: {}",
        quorate::ring::token_of(&bytes),
        preferred.join(", ")
    ));
    console.data(&key(&map, table, &bytes, &answers))?;
    name_silent(&answers, console)
}

async fn all_tables(client: &Client) -> Result<Vec<Table>, Failure> {
    client.tables().await.map_err(Failure::request)
}

fn named<'t>(tables: &'t [Table], name: &str) -> Result<&'t Table, Failure> {
    let found = tables.iter().find(|table| table.name == name);
    found.ok_or_else(|| Failure::request(format_args!("there is no table {name}")))
}

fn given(answers: &FromEach<HealingDescribed>) -> u64 {
    answers.values().flatten().map(|described| described.given).sum()
}

/// Says who did not answer. If that is everybody, there is nothing to be believed.
fn name_silent<T>(answers: &FromEach<T>, console: Console) -> Result<(), Failure> {
    let mut silent = answers.iter().filter_map(|(node, answer)| Some((node, answer.as_ref().err()?)));
    if answers.values().all(Result::is_err)
        && let Some((_, error)) = silent.next()
    {
        return Err(Failure::request(CatalogError::clone(error)));
    }
    silent.for_each(|(node, error)| console.warn(format_args!("{node} is left out: {error}")));
    Ok(())
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
const TELL_EVERY: Duration = Duration::from_secs(2);
