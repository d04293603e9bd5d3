//! Backups: having nodes write them, and restoring them.

use std::{collections::BTreeMap, io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use quorate::{
    client::{BackupDescribed, BackupStage, BackupStatus, CatalogError, Client, ClusterInfo},
    cql::render::{Cell, Grid},
    ring::{Member, NodeId},
    shell::{BackupSet, Console, RestoreOptions, restore as restore_backups},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    Failure,
    args::{Backup, Restore},
    cluster::connect,
};

/// Has nodes write a backup each, all at once, and waits until they are done. One that cannot be reached, or fails, keeps
/// none of the others from theirs: it is named with the reason.
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
    let mut backups = begin(&client, &nodes, &arguments).await;
    if !arguments.no_wait {
        wait(&client, &mut backups).await;
    }
    console.data(&grid(&info, &arguments.name, &backups))?;
    for (node, status) in backups.iter().filter_map(|(node, backup)| Some((node, backup.status.as_ref()?))) {
        if status.damaged > 0 {
            console.warn(format_args!("{node}: {} records are damaged, and left out", status.damaged));
        }
        for table in &status.recovering {
            console
                .warn(format_args!("{node} gets keys of '{table}' back from its peers: those are left out"));
        }
    }
    all_written(&arguments.name, &backups)
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
        progress: arguments.progress,
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

/// The backups by the nodes that are to write them.
type Backups = BTreeMap<NodeId, NodeBackup>;

/// What is known of the backup of one node.
struct NodeBackup {
    /// What it said last; none if it was never heard of.
    status: Option<BackupStatus>,
    /// Why there is no whole one, as far as the status does not say it.
    trouble: Option<Trouble>,
}

/// Why nobody waits for a backup any more.
enum Trouble {
    /// The node would not begin one, in its own words.
    Refused(String),
    /// The question has not come to the node.
    NotAsked(String),
    /// The node may be writing it, or have written it.
    Silent(String),
    /// The process that wrote it is gone.
    Abandoned(String),
}

impl NodeBackup {
    /// After the node was asked to begin one.
    fn begun(asked: Result<BackupDescribed, CatalogError>) -> Self {
        let trouble = match asked {
            Ok(BackupDescribed { backup: Some(status), .. }) => {
                return Self { status: Some(status), trouble: None };
            }
            Ok(_) => Trouble::Silent("it does not say that it has begun".to_owned()),
            Err(error) if error.failure().is_some() => Trouble::Refused(error.to_string()),
            Err(error @ CatalogError::Unreachable { .. }) => Trouble::NotAsked(error.to_string()),
            Err(error) => Trouble::Silent(error.to_string()),
        };
        Self { status: None, trouble: Some(trouble) }
    }

    fn is_under_way(&self) -> bool {
        let is_running = |status: &BackupStatus| status.stage == BackupStage::Running;
        self.trouble.is_none() && self.status.as_ref().is_some_and(is_running)
    }

    /// After the node was asked how far it is.
    fn heard(&mut self, answer: Result<BackupDescribed, CatalogError>) {
        let Some(status) = &mut self.status else { return };
        match answer.map(|described| described.backup.filter(|now| now.name == status.name)) {
            Ok(Some(now)) => *status = now,
            // A process that was started since knows nothing of it.
            Ok(None) => {
                let directory = &status.directory;
                let why =
                    format!("it was started anew meanwhile, and {directory} is unfinished: remove it there");
                self.trouble = Some(Trouble::Abandoned(why));
            }
            Err(error) => self.trouble = Some(Trouble::Silent(error.to_string())),
        }
    }

    fn stage(&self) -> &'static str {
        match (&self.trouble, self.status.as_ref().map(|status| &status.stage)) {
            (Some(Trouble::Refused(_) | Trouble::NotAsked(_)), _) => "not_begun",
            (Some(Trouble::Silent(_)), _) | (None, None) => "unknown",
            (Some(Trouble::Abandoned(_)), _) | (None, Some(BackupStage::Failed(_))) => "failed",
            (None, Some(BackupStage::Running)) => "running",
            (None, Some(BackupStage::Done)) => "done",
        }
    }

    /// Why there is no whole one.
    fn error(&self) -> Option<&str> {
        match (&self.trouble, self.status.as_ref().map(|status| &status.stage)) {
            (Some(Trouble::Refused(why) | Trouble::NotAsked(why)), _)
            | (Some(Trouble::Silent(why) | Trouble::Abandoned(why)), _)
            | (None, Some(BackupStage::Failed(why))) => Some(why),
            (None, _) => None,
        }
    }
}

/// Asks all nodes side by side: those that are down hold nobody up, and the moments of the backups lie close together.
async fn begin(client: &Client, nodes: &[NodeId], arguments: &Backup) -> Backups {
    let mut asked = JoinSet::new();
    for node in nodes.iter().copied() {
        let (client, name, rate) = (client.clone(), arguments.name.clone(), arguments.rate);
        asked.spawn(async move { (node, client.back_up(node, name, rate).await) });
    }
    asked.join_all().await.into_iter().map(|(node, begun)| (node, NodeBackup::begun(begun))).collect()
}

/// Looks again and again until none is under way any more, as far as can be known.
async fn wait(client: &Client, backups: &mut Backups) {
    let bar = progress_bar(backups.len());
    while backups.values().any(NodeBackup::is_under_way) {
        sleep_until(Instant::now() + LOOK_EVERY).await;
        for (node, backup) in backups.iter_mut().filter(|(_, backup)| backup.is_under_way()) {
            backup.heard(client.backup_status(*node).await);
        }
        let known = || backups.values().filter_map(|backup| backup.status.as_ref());
        bar.set_position(known().map(|status| u64::from(status.percent)).sum());
        bar.set_message(format!("{} records", known().map(|status| status.records).sum::<u64>()));
    }
    bar.finish_and_clear();
}

/// What is there is not all that was asked for if a node wrote none: scripts must not take it for that.
fn all_written(name: &str, backups: &Backups) -> Result<(), Failure> {
    let wrong: Vec<_> =
        backups.iter().filter_map(|(node, backup)| Some((node, backup, backup.error()?))).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let others = backups.len() - wrong.len();
    let mut message = format!("no whole backup '{name}' on {} of {} nodes:", wrong.len(), backups.len());
    for (node, backup, why) in &wrong {
        message += &format!("\n  {node}, {}: {why}", backup.stage());
    }
    // What a node refused it refuses again, for the reason that it gave.
    let can_be_asked =
        wrong.iter().filter(|(_, backup, _)| !matches!(backup.trouble, Some(Trouble::Refused(_))));
    let again: Vec<_> = can_be_asked.map(|(node, ..)| node.to_string()).collect();
    if !again.is_empty() {
        let again = again.join(",");
        message += &format!(
            "\nonce that is mended, `quorate admin backup {name} --node {again}` writes what is missing"
        );
    }
    if others > 0 {
        message += "\nthe backups of the other nodes are not touched by this, and need not be written again";
    }
    Err(Failure::request(message))
}

fn grid(info: &ClusterInfo, name: &str, backups: &Backups) -> Grid {
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
        "error",
    ]);
    for (node, backup) in backups {
        let member = info.layout.members.iter().find(|member| member.id == *node);
        let known = |cell: fn(&BackupStatus) -> Cell| backup.status.as_ref().map_or(Cell::Null, cell);
        grid.push(vec![
            Cell::Text(node.to_string()),
            member.map_or(Cell::Null, |member| Cell::Text(member.name.clone())),
            Cell::Text(name.to_owned()),
            Cell::Text(backup.stage().to_owned()),
            known(|status| Cell::Number(status.percent.into())),
            known(|status| Cell::Text(status.directory.clone())),
            known(|status| Cell::Number(status.records)),
            known(|status| Cell::Size(status.bytes)),
            known(|status| Cell::Number(status.damaged)),
            known(|status| Cell::Number(status.took_ms)),
            backup.error().map_or(Cell::Null, |why| Cell::Text(why.to_owned())),
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
