//! How disks behave when nothing is broken.

use std::fmt;

use super::{MS, Overrides, time};
use crate::random::Random;

/// How disks behave when nothing is broken. Times are in nanoseconds of virtual time.
#[derive(Clone, Debug)]
pub(crate) struct DiskOptions {
    pub(crate) sync_min: u64,
    pub(crate) sync_max: u64,
    /// After a sync, how long the node may not hear of it: reads show the batch already, others may follow it.
    pub(crate) report_max: u64,
    pub(crate) read_max: u64,
    /// Batches that reached the disk although the crash came before their sync.
    pub(crate) kept_at_crash: u64,
    /// Others write to it, too: less is free each time that anybody looks.
    pub(crate) is_shared: bool,
}

impl DiskOptions {
    pub(super) fn draw(random: &mut Random, seed: u64, overrides: &Overrides) -> Self {
        let sync_min = random.scale(MS / 50, 2 * MS);
        let report_max = *Random::stream(seed, "report").pick(&[0, 0, MS / 20, 5 * MS]);
        Self {
            sync_min,
            sync_max: random.scale(sync_min, sync_min * 100),
            report_max: if overrides.reports_at_once { 0 } else { report_max },
            read_max: random.scale(MS / 100, 5 * MS),
            kept_at_crash: *random.pick(&[0, 300, 500, 1_000]),
            is_shared: false,
        }
    }
}

impl fmt::Display for DiskOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sync_min, sync_max, report_max, read_max] =
            [self.sync_min, self.sync_max, self.report_max, self.read_max].map(time);
        write!(
            f,
            "sync {sync_min} to {sync_max}, reported after up to {report_max}, read up to {read_max}, "
        )?;
        write!(f, "kept at a crash {} per mille", self.kept_at_crash)
    }
}
