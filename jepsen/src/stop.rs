//! The word that a run must end before its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether a run was told to stop; all that wait ask it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Why things end that were under way.
    pub(crate) const REASON: &str = "stopped before the end";

    /// Tells everybody.
    pub(crate) fn tell(&self) {
        self.0.store(true, Relaxed);
    }

    /// Whether it was told.
    pub(crate) fn is_told(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The signals that end a run. They are taken from when this is made, so that none of them ends the harness alone.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Not where it is ignored, as under `nohup`.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Takes them. Must be called within a tokio runtime.
    pub(crate) fn take() -> std::io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hangs_up = !ignores(&status, SignalKind::hangup());
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: hangs_up.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn come(&mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// Whether a process with this `/proc/PID/status` was started with a signal ignored.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal.as_raw_value() - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_stays_so() {
        let status = "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SignalKind::hangup()), "bit 0 is signal 1");
        assert!(!ignores(status, SignalKind::terminate()));
        assert!(!ignores("", SignalKind::hangup()));
    }

    #[test]
    fn whoever_shares_it_hears_it() {
        let stop = Stop::default();
        let other = stop.clone();
        stop.tell();
        assert!(other.is_told() && !Stop::default().is_told());
    }
}
