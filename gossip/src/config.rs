//! Timings and bounds.

use quorate_ring::Duration;
use thiserror::Error;

/// How a node gossips. All nodes of a cluster should use the same; nothing breaks if they do not, but the slower
/// ones set the time in which a failure is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between two probes by one node. Shorter finds failures sooner and costs traffic in proportion.
    pub probe_interval: Duration,
    /// How long one round of a probe waits for an answer: a round trip through a third node and the longest stall
    /// that is not worth a second look.
    pub probe_timeout: Duration,
    /// Rounds before the target is suspected, 1 to 8. The first asks the target alone, each later one the target and
    /// [`helpers`](Self::helpers) others. One more round multiplies false suspicions under 5 % loss by less than 0.001.
    pub probe_rounds: u32,
    /// Members asked to probe on this node's behalf in each round after the first: SWIM's k, 0 to 8.
    pub helpers: usize,
    /// How long a suspicion lasts that enough others have confirmed. A node that stalls for less is not called dead.
    pub suspicion_min: Duration,
    /// How long a suspicion lasts that nobody confirms.
    pub suspicion_max: Duration,
    /// Confirmations that bring a suspicion from the longest to the shortest time, 0 to 5: Lifeguard's K.
    pub confirmations: usize,
    /// Time between two tellings of news by one node. There are none while there is no news.
    pub spread_interval: Duration,
    /// Members told at each telling, 1 to 16.
    pub spread_fanout: usize,
    /// How often one node passes a piece of news on: three times, and this number for each bit of the number of
    /// members; 1 to 8.
    pub transmissions_per_bit: u32,
    /// Time between two comparisons with a live member, which bring what news has missed.
    pub exchange_interval: Duration,
    /// Time between two attempts to reach somebody who is not live, which heal a partition.
    pub reconnect_interval: Duration,
    /// The worst score of local health, 0 to 16: Lifeguard's S. Waiting times grow to one more than this many times.
    pub health_max: u32,
    /// A timer that comes later than this shows that the process was stopped or starved: it accuses nobody of what
    /// it missed meanwhile.
    pub late_min: Duration,
}

/// A setting out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("gossip setting out of bounds: {0}")]
pub struct ConfigError(pub &'static str);

impl Config {
    /// Round trips of a few milliseconds: one machine, one building, one region.
    pub fn lan() -> Self {
        Self {
            probe_interval: Duration::from_millis(300),
            probe_timeout: Duration::from_millis(200),
            probe_rounds: 3,
            helpers: 3,
            suspicion_min: Duration::from_millis(2_500),
            suspicion_max: Duration::from_secs(10),
            confirmations: 3,
            spread_interval: Duration::from_millis(150),
            spread_fanout: 3,
            transmissions_per_bit: 1,
            exchange_interval: Duration::from_secs(2),
            reconnect_interval: Duration::from_secs(1),
            health_max: 8,
            late_min: Duration::from_millis(200),
        }
    }

    /// Round trips of up to half a second: several regions.
    pub fn wan() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(1_200),
            suspicion_min: Duration::from_secs(6),
            suspicion_max: Duration::from_secs(30),
            spread_interval: Duration::from_millis(400),
            spread_fanout: 4,
            exchange_interval: Duration::from_secs(10),
            reconnect_interval: Duration::from_secs(5),
            late_min: Duration::from_millis(600),
            ..Self::lan()
        }
    }

    /// The LAN's proportions at a tenth of its times, for simulations whose network takes at most 5 ms one way.
    pub fn simulation() -> Self {
        let lan = Self::lan();
        Self {
            probe_interval: lan.probe_interval / 10,
            probe_timeout: lan.probe_timeout / 10,
            suspicion_min: lan.suspicion_min / 10,
            suspicion_max: lan.suspicion_max / 10,
            spread_interval: lan.spread_interval / 10,
            exchange_interval: lan.exchange_interval / 10,
            reconnect_interval: lan.reconnect_interval / 10,
            late_min: lan.late_min / 10,
            ..lan
        }
    }

    /// Whether every setting keeps its bounds.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let hour = Duration::from_secs(3_600);
        let millisecond = Duration::from_millis(1);
        let times = [
            (self.probe_interval, "probe_interval"),
            (self.probe_timeout, "probe_timeout"),
            (self.suspicion_min, "suspicion_min"),
            (self.suspicion_max, "suspicion_max"),
            (self.spread_interval, "spread_interval"),
            (self.exchange_interval, "exchange_interval"),
            (self.reconnect_interval, "reconnect_interval"),
            (self.late_min, "late_min"),
        ];
        if let Some((_, name)) = times.iter().find(|(time, _)| !(millisecond..=hour).contains(time)) {
            return Err(ConfigError(name));
        }
        let checks = [
            ((1..=8).contains(&self.probe_rounds), "probe_rounds"),
            (self.helpers <= 8, "helpers"),
            (self.suspicion_min <= self.suspicion_max, "suspicion_min above suspicion_max"),
            (self.confirmations <= 5, "confirmations"),
            ((1..=16).contains(&self.spread_fanout), "spread_fanout"),
            ((1..=8).contains(&self.transmissions_per_bit), "transmissions_per_bit"),
            (self.health_max <= 16, "health_max"),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            Some((_, name)) => Err(ConfigError(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_keep_the_bounds() {
        for config in [Config::lan(), Config::wan(), Config::simulation()] {
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn a_setting_out_of_bounds_is_named() {
        let config = Config { probe_rounds: 0, ..Config::lan() };
        assert_eq!(config.validate(), Err(ConfigError("probe_rounds")));
        let config = Config { suspicion_min: Duration::from_secs(60), ..Config::lan() };
        assert_eq!(config.validate(), Err(ConfigError("suspicion_min above suspicion_max")));
        let config = Config { late_min: Duration::ZERO, ..Config::lan() };
        assert_eq!(config.validate(), Err(ConfigError("late_min")));
    }
}
