//! One node as a process.

use std::io::{self, Write};

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{NodeHandle, RunConfig, RunError, StartError, admin::AdminEndpoint};

/// Why a node's process fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It stopped itself.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Signals, standard output or the address for HTTP cannot be used.
    #[error("cannot serve: {0}")]
    System(#[from] io::Error),
}

/// Runs a node until SIGTERM or SIGINT, then drains it. As soon as the node listens, one line goes to standard
/// output: `listening NODE ADDRESS`, and systemd is told if it waits to be. Until the node has stopped its process answers HTTP, if it is to.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(config: RunConfig) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = config.node.clone();
    // Before the node: what it counts is counted from its first moment.
    let admin = match config.process.admin_address {
        Some(address) => Some(AdminEndpoint::bind(address, &name).await?),
        None => None,
    };
    let handle = NodeHandle::start(config)?;
    let _serving = admin.map(|admin| admin.serve(handle.reports()));
    writeln!(io::stdout(), "listening {name} {}", handle.address())?;
    tell_systemd(&[NotifyState::Ready, NotifyState::Status("listening; /readyz says whether it serves")]);
    tokio::select! {
        stopped = handle.exited() => return Ok(stopped?),
        _ = terminate.recv() => info!("told to stop by SIGTERM"),
        _ = interrupt.recv() => info!("told to stop by SIGINT"),
    }
    tell_systemd(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    Ok(handle.shutdown().await?)
}

/// Does nothing if systemd does not ask for it; without its knowing the node serves all the same.
fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "systemd cannot be told");
    }
}
