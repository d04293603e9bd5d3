//! Settings that go together: what a machine has.

use crate::runtime::ProcessSettings;

/// How much a node may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    /// For a small machine, or one that does other work.
    Small,
    /// What a node uses unless it is told otherwise.
    Default,
    /// For a machine of the node's own, with some gigabytes of memory.
    Large,
}

impl Preset {
    /// The preset of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Small, Self::Default, Self::Large].into_iter().find(|preset| preset.name() == name)
    }

    /// Its name in a configuration.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Default => "default",
            Self::Large => "large",
        }
    }

    /// What it stands for.
    pub(super) fn settings(self) -> ProcessSettings {
        let usual = ProcessSettings::default();
        match self {
            Self::Small => ProcessSettings {
                cache_bytes: 8 << 20,
                state_cache_bytes: 4 << 20,
                write_buffer_bytes: 4 << 20,
                requests_max: 1_024,
                requests_per_client_max: 512,
                replica_requests_max: 2_048,
                clients_max: 512,
                peer_output_bytes_max: 64 << 20,
                client_output_bytes_max: 32 << 20,
                ..usual
            },
            Self::Default => usual,
            Self::Large => ProcessSettings {
                cache_bytes: 1 << 30,
                state_cache_bytes: 1 << 30,
                write_buffer_bytes: 64 << 20,
                requests_max: 32_768,
                requests_per_client_max: 8_192,
                replica_requests_max: 65_536,
                clients_max: 16_384,
                ..usual
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::SETTINGS;

    #[test]
    fn the_help_tells_the_sizes_that_there_are() {
        let help = SETTINGS.iter().find(|setting| setting.key == "preset").expect("a setting").help;
        for preset in [Preset::Small, Preset::Default, Preset::Large] {
            let settings = preset.settings();
            // Readers and the committer have a cache of states each.
            let mib = (settings.cache_bytes + 2 * settings.state_cache_bytes) >> 20;
            let size = if mib < 1_024 { format!("{mib} MiB") } else { format!("{} GiB", mib >> 10) };
            let told = format!("`{}` ({size}", preset.name());
            assert!(help.contains(&told), "{told:?} is not in {help:?}");
        }
    }
}
