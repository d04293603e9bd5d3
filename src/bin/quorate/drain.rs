//! Having a node stop, and waiting until it has.

use std::time::Duration;

use quorate::{
    client::{Client, ClusterInfo, Failure as Refusal},
    cql::render::{Cell, Grid},
    ring::{Member, NodeId},
    shell::Console,
    wire::{NodeStatus, NodesDescribed, Verdict},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Failure,
    admin::{still_waiting, within},
    args::Drain,
    backup::member,
    cluster::connect,
};

/// Tells a node to stop, and waits until it serves nobody any more.
pub(crate) async fn drain(arguments: Drain, console: Console) -> Result<(), Failure> {
    let client = connect(&arguments.cluster).await?;
    let info = client.cluster_info().await.map_err(Failure::request)?;
    let member = member(&info, &arguments.node)?;
    // Of another node it might be news that this is a new process already.
    let starts = starts(&client.nodes_seen_by(member.id).await.map_err(Failure::request)?, member.id);
    let begun = Instant::now();
    let draining = client.drain(member.id).await.map_err(Failure::request)?;
    let told = match draining.hints {
        0 => String::new(),
        hints => format!("; it has {hints} hints to give to others first"),
    };
    console.note(format_args!("{} takes no requests any more and stops{told}", member.name));
    let waiting = async {
        match arguments.no_wait {
            true => Ok(Stage::Draining),
            false => until_stopped(&client, &info, member, starts).await,
        }
    };
    let stage = within(arguments.timeout, waiting).await;
    let (stage, ended) = match stage {
        Some(Ok(stage)) => (stage, Ok(())),
        Some(Err(failure)) => (Stage::Draining, Err(failure)),
        None => {
            let left = format!("{} takes no requests any more, and has not stopped yet", member.name);
            (Stage::Draining, Err(still_waiting(arguments.timeout, &left)))
        }
    };
    let took = begun.elapsed();
    match stage {
        _ if !console.format().is_for_people() => {
            console.data(&grid(member, stage, draining.hints, took, arguments.no_wait))?;
        }
        Stage::Draining => {}
        Stage::Stopped => console.note(format_args!("{} has stopped", member.name)),
        Stage::Restarted => console.note(format_args!("{} has stopped, and was started again", member.name)),
    }
    ended
}

/// How far the node has come.
#[derive(Clone, Copy)]
enum Stage {
    Draining,
    Stopped,
    Restarted,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
        }
    }
}

/// Waits until another node has seen it go, or come back. If none can tell, until it does not answer itself.
async fn until_stopped(
    client: &Client,
    info: &ClusterInfo,
    member: &Member,
    starts: Option<u64>,
) -> Result<Stage, Failure> {
    let is_alone = info.layout.members.len() == 1;
    loop {
        let look_again = Instant::now() + LOOK_EVERY;
        let status = match timeout_at(Instant::now() + ANSWER_TIMEOUT, client.nodes()).await {
            Ok(Ok(described)) => status(&described, member.id).cloned(),
            Ok(Err(_)) | Err(_) => None,
        };
        let is_new =
            status.as_ref().and_then(starts_of).zip(starts).is_some_and(|(now, before)| now > before);
        match status {
            _ if is_new => return Ok(Stage::Restarted),
            Some(NodeStatus { verdict: Verdict::Left, connected: false, .. }) => return Ok(Stage::Stopped),
            // Before the process was met it may be its last one that is called dead.
            Some(NodeStatus { verdict: Verdict::Dead, connected: false, .. })
                if is_silent(client, member).await =>
            {
                let why = format_args!("{} went down before it had stopped in order", member.name);
                return Err(Failure::request(why));
            }
            Some(NodeStatus { verdict: Verdict::Unheard, connected: false, .. })
                if is_silent(client, member).await =>
            {
                return Ok(Stage::Stopped);
            }
            None if is_alone && is_silent(client, member).await => return Ok(Stage::Stopped),
            _ => {}
        }
        sleep_until(look_again).await;
    }
}

/// Whether the node itself does not answer: one that still drains refuses.
async fn is_silent(client: &Client, member: &Member) -> bool {
    match timeout_at(Instant::now() + ANSWER_TIMEOUT, client.nodes_seen_by(member.id)).await {
        Ok(Ok(_)) => false,
        Ok(Err(error)) => !matches!(error.failure(), Some(Refusal::ShuttingDown)),
        Err(_) => true,
    }
}

fn status(described: &NodesDescribed, node: NodeId) -> Option<&NodeStatus> {
    described.nodes.iter().find(|status| status.node == node)
}

fn starts(described: &NodesDescribed, node: NodeId) -> Option<u64> {
    status(described, node).and_then(starts_of)
}

fn starts_of(status: &NodeStatus) -> Option<u64> {
    Some(status.about.as_ref()?.starts)
}

fn grid(member: &Member, stage: Stage, hints: u64, took: Duration, no_wait: bool) -> Grid {
    let mut grid = Grid::new(&["node", "name", "state", "hints", "took_ms"]);
    grid.push(vec![
        Cell::Text(member.id.to_string()),
        Cell::Text(member.name.clone()),
        Cell::Text(stage.name().to_owned()),
        Cell::Number(hints),
        if no_wait { Cell::Null } else { Cell::Number(took.as_millis() as u64) },
    ]);
    grid
}

const LOOK_EVERY: Duration = Duration::from_millis(100);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
