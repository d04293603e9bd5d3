//! One node as a process.

use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{NodeHandle, RunConfig, RunError, StartError, metrics_file::MetricsFile};

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
    /// Signals, standard output or the file for metrics cannot be used.
    #[error("cannot serve: {0}")]
    System(#[from] io::Error),
}

/// Runs a node until SIGTERM or SIGINT, then drains it. As soon as the node listens, one line goes to standard
/// output: `listening NODE ADDRESS`.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(config: RunConfig) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = config.node.clone();
    let _metrics = config.process.metrics_file.as_deref().map(MetricsFile::begin).transpose()?;
    let handle = NodeHandle::start(config)?;
    writeln!(io::stdout(), "listening {name} {}", handle.address())?;
    tokio::select! {
        stopped = handle.exited() => return Ok(stopped?),
        _ = terminate.recv() => info!("told to stop by SIGTERM"),
        _ = interrupt.recv() => info!("told to stop by SIGINT"),
    }
    Ok(handle.shutdown().await?)
}
