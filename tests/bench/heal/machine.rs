//! What the processors of the machine do, as far as the kernel knows.

use std::fs;

/// What all processors did since the machine began, in the kernel's ticks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ticks {
    all: f64,
    /// In which the host ran something else, though there was work here.
    stolen: f64,
}

impl Ticks {
    /// Nothing where the kernel does not tell.
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        // The first line of proc_stat(5) has user, nice, system, idle, iowait, irq, softirq and steal; what guests had is in
        // user, too.
        let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
        let fields: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        Self { all: fields.iter().sum(), stolen: fields.get(7).copied().unwrap_or_default() }
    }
}

/// The same at times, in seconds since the beginning.
#[derive(Clone, Default)]
pub(crate) struct Looks(Vec<(f64, Ticks)>);

impl Looks {
    /// Adds what was so at a time later than all others.
    pub(crate) fn push(&mut self, at: f64, ticks: Ticks) {
        self.0.push((at, ticks));
    }

    /// What others had of the processors from a time to another, in percent; 0 where the kernel does not tell.
    pub(crate) fn stolen_percent(&self, (from, to): (f64, f64)) -> f64 {
        // The looks around that time.
        let first = self.0.iter().rev().find(|(at, _)| *at <= from).or(self.0.first());
        let last = self.0.iter().find(|(at, _)| *at >= to).or(self.0.last());
        let (Some((_, first)), Some((_, last))) = (first, last) else { return 0.0 };
        if last.all > first.all { 100.0 * (last.stolen - first.stolen) / (last.all - first.all) } else { 0.0 }
    }
}
