//! Every setting as a flag and a variable of the environment.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::setting::{SETTINGS, Setting};

/// What flags and the environment set. Put it into a command with `#[command(flatten)]`.
#[derive(Clone, Debug, Default)]
pub struct Overrides(pub(super) Vec<(&'static str, String)>);

impl Overrides {
    /// The settings with these keys of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Setting, &str)> {
        self.0.iter().filter_map(|(key, value)| {
            SETTINGS.iter().find(|setting| setting.key == *key).map(|setting| (setting, value.as_str()))
        })
    }
}

impl Args for Overrides {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(|setting| {
            Arg::new(setting.key)
                .long(setting.flag())
                .env(setting.variable())
                .value_name("VALUE")
                .help(setting.help)
                .long_help(format!("{}. {}", setting.help, setting.more))
                .help_heading("Settings")
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter_map(|setting| {
            matches.get_one::<String>(setting.key).map(|value| (setting.key, value.clone()))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
