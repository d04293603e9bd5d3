//! The cluster as one of its nodes sees it, and what each node says of itself.

use std::time::Duration;

use quorate::{
    client::{Client, FromEach, HealingDescribed, Scope},
    ring::{Ring, Table},
    shell::{
        Console, Overview, Progress, agreements, hints, key, key_headline, key_in_short, nodes,
        nodes_in_short, ring, scrub, tables, unknown_table,
    },
    units::duration_text,
    wire::{Held, ReplicaRead},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Failure,
    args::{Admin, Key, Repair, Scrub, Wide},
    backup::back_up,
    cluster::connect,
    drain::drain,
    one_shot::term,
    presence::Presence,
};

pub(crate) async fn answer(question: Admin, console: Console) -> Result<(), Failure> {
    let described = async |client: &Client| client.nodes().await.map_err(Failure::request);
    match question {
        Admin::Status(status) => {
            let client = connect(&status.cluster).await?;
            let described = described(&client).await?;
            // A minority may not know the newest tables; what it knows of itself is worth telling all the same.
            let tables = client.tables().await;
            let overview =
                Overview::new(&described, tables.as_deref().unwrap_or_default()).map_err(Failure::request)?;
            match console.format() {
                format if format.is_for_people() => console.text(&overview)?,
                format => console.data(&overview.grid(format))?,
            }
            if let Err(error) = tables {
                console.warn(format_args!("tables are left out: {error}"));
            }
            if status.check {
                return judged(&overview);
            }
        }
        Admin::Nodes(Wide { wide, cluster }) => {
            let described = described(&connect(&cluster).await?).await?;
            let in_short = console.format().is_for_people() && !wide;
            console.wide_data(&if in_short { nodes_in_short(&described) } else { nodes(&described) })?;
        }
        Admin::Ring(cluster) => {
            let client = connect(&cluster).await?;
            let (described, tables) = (described(&client).await?, all_tables(&client).await?);
            console.data(&ring(&described, &tables).map_err(Failure::request)?)?;
        }
        Admin::Tables(cluster) => console.data(&tables(&all_tables(&connect(&cluster).await?).await?))?,
        Admin::Hints(cluster) => {
            let client = connect(&cluster).await?;
            let presence = Presence::of_all(&client).await?;
            let answers = client.healing_of(&presence.there).await;
            match hints(&answers) {
                none if none.is_empty() && console.format().is_for_people() => console.text("no hints")?,
                kept => console.data(&kept)?,
            }
            presence.all_answered(&answers)?;
        }
        Admin::Repair(repair) => answer_repair(repair, console).await?,
        Admin::Scrub(scrub) => answer_scrub(scrub, console).await?,
        Admin::Key(key) => answer_key(key, console).await?,
        Admin::Backup(backup) => back_up(backup, console).await?,
        Admin::Drain(arguments) => drain(arguments, console).await?,
    }
    Ok(())
}

/// The verdict as an exit code.
fn judged(overview: &Overview) -> Result<(), Failure> {
    let message = format!("the cluster is {}", overview.verdict());
    match overview.verdict() {
        "well" => Ok(()),
        "failing" => Err(Failure { code: Failure::FAILING, ..Failure::request(message) }),
        _ => Err(Failure::request(message)),
    }
}

async fn answer_repair(repair: Repair, console: Console) -> Result<(), Failure> {
    let Repair { table, range, wait, cluster } = repair;
    let client = connect(&cluster).await?;
    let tables = all_tables(&client).await?;
    let table = table.map(|name| named(&tables, &name)).transpose()?;
    if let Some(range) = &range {
        let info = client.cluster_info().await.map_err(Failure::request)?;
        let map = Ring::new(info.layout).map_err(Failure::request)?;
        let is_range =
            |table: &Table| map.replica_sets(table.replication).keys().any(|set| set.iter().eq(range));
        if !table.map_or_else(|| tables.iter().any(is_range), is_range) {
            let why = "no keys are held by just these nodes together: `quorate admin repair` lists ranges";
            return Err(Failure::request(why));
        }
    }
    let scope = Scope { table: table.map(|table| table.id), replicas: range };
    let presence = Presence::of_all(&client).await?;
    let mut answers = client.healing_of(&presence.there).await;
    if wait.now {
        let before = given(&answers);
        let mut progress = Progress::new(console);
        let agreement = client.wait_for_agreement(&scope, |waiting| progress.report(waiting));
        if within(wait.timeout, agreement).await.is_none() {
            return Err(still_waiting(wait.timeout, progress.last()));
        }
        answers = client.healing_of(&presence.there).await;
        console.note(format_args!(
            "every replica that was asked for holds what any held when this began; nodes gave each other {} records meanwhile",
            given(&answers).saturating_sub(before)
        ));
    }
    console.data(&agreements(&answers, &tables, &scope))?;
    presence.all_answered(&answers)
}

async fn answer_scrub(arguments: Scrub, console: Console) -> Result<(), Failure> {
    let client = connect(&arguments.cluster).await?;
    let presence = Presence::of_all(&client).await?;
    let mut answers = client.healing_of(&presence.there).await;
    if arguments.wait.now {
        presence.all_answered(&answers)?;
        let begun = client.scrub_now().await;
        presence.all_answered(&begun)?;
        let mut progress = String::new();
        let scrubbed = until_scrubbed(&client, &begun, console, &mut progress);
        match within(arguments.wait.timeout, scrubbed).await {
            Some(scrubbed) => answers = scrubbed?,
            None => return Err(still_waiting(arguments.wait.timeout, &progress)),
        }
    }
    console.data(&scrub(&answers))?;
    presence.all_answered(&answers)
}

/// Waits until each node has ended the round that it was asked for.
async fn until_scrubbed(
    client: &Client,
    begun: &FromEach<HealingDescribed>,
    console: Console,
    progress: &mut String,
) -> Result<FromEach<HealingDescribed>, Failure> {
    let mut tell_at = Instant::now() + TELL_EVERY;
    loop {
        let answers = client.healing().await;
        let mut under_way = Vec::new();
        for (node, asked) in
            begun.iter().filter_map(|(node, asked)| Some((node, &asked.as_ref().ok()?.scrub)))
        {
            let Some(Ok(HealingDescribed { scrub: now, .. })) = answers.get(node) else {
                under_way.push(format!("{node} does not answer"));
                continue;
            };
            // A process that was started since knows nothing of it.
            if now.records < asked.records || (!now.asked && now.rounds == asked.rounds) {
                let why =
                    format_args!("{node} was started anew and has not verified everything: run it again");
                return Err(Failure::request(why));
            }
            if now.asked {
                under_way
                    .push(format!("{node} {} %", u64::from(now.cell) * 100 / u64::from(now.cells.max(1))));
            }
        }
        if under_way.is_empty() {
            return Ok(answers);
        }
        *progress = format!("verified: {}", under_way.join(", "));
        if Instant::now() >= tell_at {
            tell_at = Instant::now() + TELL_EVERY;
            console.note(&progress);
        }
        sleep_until(Instant::now() + LOOK_EVERY).await;
    }
}

/// What comes of `future`, if it comes in time.
pub(crate) async fn within<T>(timeout: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match timeout.and_then(|timeout| Instant::now().checked_add(timeout)) {
        Some(at) => timeout_at(at, future).await.ok(),
        None => Some(future.await),
    }
}

pub(crate) fn still_waiting(timeout: Option<Duration>, left: &str) -> Failure {
    let timeout = duration_text(timeout.unwrap_or_default());
    Failure::request(format_args!("not within {timeout}: {left}"))
}

async fn answer_key(arguments: Key, console: Console) -> Result<(), Failure> {
    let client = connect(&arguments.cluster).await?;
    let bytes = term(&arguments.key)?;
    let tables = all_tables(&client).await?;
    let table = named(&tables, &arguments.table)?;
    let info = client.cluster_info().await.map_err(Failure::request)?;
    let map = Ring::new(info.layout).map_err(Failure::request)?;
    let replicas = map.replicas_of_key(&bytes, table.replication);
    let presence = Presence::of(&client, replicas).await?;
    let answers = client.replicas_of_key(table.id, bytes.clone(), &presence.there).await;
    let held = key(&map, table, &bytes, &answers);
    if console.format().is_for_people() && !arguments.wide {
        console.text(key_headline(&map, table, &bytes))?;
        console.wide_data(&key_in_short(&held))?;
    } else {
        console.wide_data(&held)?;
    }
    for (node, read) in &answers {
        if let Ok(ReplicaRead { held: Held::Damaged(why), .. }) = read {
            console.warn(format_args!("the record of {node} is damaged: {why}"));
        }
    }
    presence.all_answered(&answers)
}

async fn all_tables(client: &Client) -> Result<Vec<Table>, Failure> {
    client.tables().await.map_err(Failure::request)
}

fn named<'t>(tables: &'t [Table], name: &str) -> Result<&'t Table, Failure> {
    let found = tables.iter().find(|table| table.name == name);
    found.ok_or_else(|| Failure::request(unknown_table(name, tables)))
}

fn given(answers: &FromEach<HealingDescribed>) -> u64 {
    answers.values().flatten().map(|described| described.given).sum()
}

const LOOK_EVERY: Duration = Duration::from_millis(500);
const TELL_EVERY: Duration = Duration::from_secs(2);
