//! Backups: having nodes write them, and restoring them.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use quorate::{
    client::{BackupStage, BackupStatus, Client, ClusterInfo},
    cql::render::{Cell, Grid},
    ring::{Member, NodeId},
    shell::{BackupSet, Console, RestoreOptions, restore as restore_backups},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    Failure,
    args::{Backup, Restore},
    cluster::connect,
};

/// Has nodes write a backup each, and waits until they are done.
pub(crate) async fn back_up(arguments: Backup, console: Console) -> Result<(), Failure> {
    let client = connect(&arguments.cluster).await?;
    let info = client.cluster_info().await.map_err(Failure::request)?;
    let nodes = match (&arguments.node[..], arguments.all) {
        (_, true) => info.layout.members.iter().map(|member| member.id).collect(),
        ([], false) => vec![client.nodes().await.map_err(Failure::request)?.cluster.node],
        (names, false) => {
            names.iter().map(|name| Ok(member(&info, name)?.id)).collect::<Result<_, Failure>>()?
        }
    };
    let mut backups = Vec::new();
    for node in nodes {
        let begun = client.back_up(node, &arguments.name, arguments.rate).await;
        let begun = begun.map_err(|error| Failure::request(format_args!("{node}: {error}")))?;
        let status = begun.backup.ok_or_else(|| gone(node))?;
        backups.push((node, status));
    }
    if !arguments.no_wait {
        wait(&client, &mut backups).await?;
    }
    console.data(&grid(&info, &backups))?;
    let mut failed = Vec::new();
    for (node, status) in &backups {
        if let BackupStage::Failed(why) = &status.stage {
            failed.push(format!("{node}: {why}"));
        }
        if status.damaged > 0 {
            console.warn(format_args!("{node}: {} records are damaged, and left out", status.damaged));
        }
        for table in &status.recovering {
            console
                .warn(format_args!("{node} gets keys of '{table}' back from its peers: those are left out"));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::request(failed.join("; "))) }
}

/// Restores backups, or only verifies them.
pub(crate) async fn restore(arguments: Restore, console: Console) -> Result<(), Failure> {
    if !arguments.consistency.is_linearizable() {
        let why =
            "a restore writes at QUORUM or ALL: at less it would not replace what others have acknowledged";
        return Err(Failure::usage(why));
    }
    let backups = BackupSet::verify(&arguments.directories)?;
    backups.warn(arguments.table.as_deref(), &console);
    if arguments.check {
        return Ok(console.data(&backups.grid())?);
    }
    let client = connect(&arguments.cluster).await?;
    let options = RestoreOptions {
        table: arguments.table,
        into: arguments.into,
        consistency: arguments.consistency,
        in_flight: arguments.inflight.into(),
        errors_max: arguments.max_errors,
        skip_existing: arguments.skip_existing,
        resume: arguments.resume,
    };
    Ok(restore_backups(&client, &backups, &options, &console).await?)
}

/// The member of that name, or that id.
pub(crate) fn member<'i>(info: &'i ClusterInfo, name: &str) -> Result<&'i Member, Failure> {
    let members = &info.layout.members;
    let named = members.iter().find(|member| member.name == name);
    named.or_else(|| members.iter().find(|member| member.id.to_string() == name)).ok_or_else(|| {
        let names: Vec<_> = members.iter().map(|member| &member.name[..]).collect();
        Failure::request(format_args!("there is no node {name}: the cluster has {}", names.join(", ")))
    })
}

/// Looks again and again until none is under way any more.
async fn wait(client: &Client, backups: &mut [(NodeId, BackupStatus)]) -> Result<(), Failure> {
    let bar = progress_bar(backups.len());
    while backups.iter().any(|(_, status)| status.stage == BackupStage::Running) {
        sleep_until(Instant::now() + LOOK_EVERY).await;
        for (node, status) in backups.iter_mut().filter(|(_, status)| status.stage == BackupStage::Running) {
            let described = client.backup_status(*node).await;
            let described = described.map_err(|error| Failure::request(format_args!("{node}: {error}")))?;
            let now = described.backup.filter(|now| now.name == status.name);
            *status = now.ok_or_else(|| gone(*node))?;
        }
        bar.set_position(backups.iter().map(|(_, status)| u64::from(status.percent)).sum());
        let records: u64 = backups.iter().map(|(_, status)| status.records).sum();
        bar.set_message(format!("{records} records"));
    }
    bar.finish_and_clear();
    Ok(())
}

/// A process that was started since knows nothing of it.
fn gone(node: NodeId) -> Failure {
    Failure::request(format_args!(
        "{node} was started anew while it wrote the backup, which is unfinished: remove it there, and begin again"
    ))
}

fn grid(info: &ClusterInfo, backups: &[(NodeId, BackupStatus)]) -> Grid {
    let mut grid = Grid::new(&[
        "node",
        "name",
        "backup",
        "stage",
        "at_percent",
        "directory",
        "records",
        "bytes",
        "damaged",
        "took_ms",
    ]);
    for (node, status) in backups {
        let name = info.layout.members.iter().find(|member| member.id == *node);
        let stage = match &status.stage {
            BackupStage::Running => "running",
            BackupStage::Done => "done",
            BackupStage::Failed(_) => "failed",
        };
        grid.push(vec![
            Cell::Text(node.to_string()),
            name.map_or(Cell::Null, |member| Cell::Text(member.name.clone())),
            Cell::Text(status.name.clone()),
            Cell::Text(stage.to_owned()),
            Cell::Number(status.percent.into()),
            Cell::Text(status.directory.clone()),
            Cell::Number(status.records),
            Cell::Size(status.bytes),
            Cell::Number(status.damaged),
            Cell::Number(status.took_ms),
        ]);
    }
    grid
}

/// Shown on a terminal only.
fn progress_bar(nodes: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(nodes as u64 * 100);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}% {msg} {elapsed}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
