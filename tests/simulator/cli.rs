//! The command line.

use quorate::ring::TableKind;

use crate::{mutants::Mutant, options::Overrides, world::faults::FaultKind};

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    /// The first seed.
    pub(crate) seed: Option<u64>,
    /// How many seeds.
    pub(crate) seeds: Option<u64>,
    /// How long to go on.
    pub(crate) minutes: Option<u64>,
    pub(crate) overrides: Overrides,
    /// Measure what requests cost in small and large clusters.
    pub(crate) growth: bool,
    /// How long such a cluster runs, to see how long that takes.
    pub(crate) minutes_virtual: Option<u64>,
    pub(crate) list_mutants: bool,
    pub(crate) bench: bool,
    /// Start at a seed that nobody has chosen.
    pub(crate) fresh: bool,
    /// Print what happens.
    pub(crate) trace: bool,
    /// Write the transcripts anew.
    pub(crate) update_transcripts: bool,
    /// Words that say which tests to run, as `cargo test WORD` passes them to every test.
    pub(crate) filters: Vec<String>,
}

impl Arguments {
    /// Whether nothing in particular was asked for.
    pub(crate) fn is_plain(&self) -> bool {
        let Self { seed, seeds, minutes, overrides, growth, list_mutants, bench, .. } = self;
        seed.is_none()
            && seeds.is_none()
            && minutes.is_none()
            && overrides.mutant.is_none()
            && overrides.nodes.is_none()
            && !growth
            && !list_mutants
            && !bench
    }

    /// Reads arguments.
    pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (flag, inline) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let mut value = || inline.clone().or_else(|| words.next()).ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--seed" => arguments.seed = Some(number(&value()?)?),
                "--seeds" => arguments.seeds = Some(number(&value()?)?),
                "--minutes" => arguments.minutes = Some(number(&value()?)?),
                "--nodes" => arguments.overrides.nodes = Some(number(&value()?)?.clamp(1, 1_000) as u32),
                "--clients" => arguments.overrides.clients = Some(number(&value()?)?.clamp(1, 1_000) as u32),
                "--operations" => arguments.overrides.operations = Some(number(&value()?)? as u32),
                "--millis" => arguments.overrides.millis = Some(number(&value()?)?.max(1)),
                "--faults" => arguments.overrides.faults = Some(numbers(&value()?)?),
                "--unpromised" => arguments.overrides.unpromised = unpromised(&value()?)?,
                "--only" => arguments.overrides.only = Some(kind(&value()?)?),
                "--reports-at-once" => arguments.overrides.reports_at_once = true,
                "--without-cas" => arguments.overrides.without_cas = true,
                "--growth" => arguments.growth = true,
                "--minutes-virtual" => {
                    (arguments.growth, arguments.minutes_virtual) = (true, Some(number(&value()?)?.max(1)));
                }
                "--mutant" => arguments.overrides.mutant = Some(mutant(&value()?)?),
                "--list-mutants" => arguments.list_mutants = true,
                "--bench" => arguments.bench = true,
                "--fresh" => arguments.fresh = true,
                "--trace" => arguments.trace = true,
                "--update-transcripts" => arguments.update_transcripts = true,
                "--nocapture" | "--show-output" | "-q" | "--quiet" => {}
                _ if flag.starts_with('-') => return Err(format!("unknown argument {flag}\n{USAGE}")),
                _ => arguments.filters.push(flag),
            }
        }
        Ok(arguments)
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("'{word}' is not a number"))
}

fn numbers(words: &str) -> Result<Vec<usize>, String> {
    words.split(',').filter(|word| !word.is_empty()).map(|word| number(word).map(|n| n as usize)).collect()
}

fn mutant(name: &str) -> Result<Mutant, String> {
    Mutant::named(name).ok_or(format!("no mutant '{name}'; --list-mutants lists them"))
}

fn kind(word: &str) -> Result<TableKind, String> {
    match word.parse() {
        Ok(kind) => Ok(kind),
        Err(_) => Err(format!("'{word}' is neither register nor siblings nor cas")),
    }
}

fn unpromised(words: &str) -> Result<Vec<FaultKind>, String> {
    let kind = |word: &str| match word {
        "wipe" => Ok(FaultKind::Wipe),
        "rollback" => Ok(FaultKind::Rollback),
        _ => Err(format!("'{word}' is neither wipe nor rollback")),
    };
    words.split(',').map(kind).collect()
}

const USAGE: &str = "\
cargo test --release --test simulator -- [OPTIONS]
  --seeds K             run K seeds
  --seed S              from seed S on; alone, run that seed and print what it draws
  --minutes M           go on for M minutes
  --fresh               start at a seed that nobody has chosen
  --nodes N --clients C --operations O --millis T --faults 1,2
                        fix what the seed draws; a failing seed prints these
  --unpromised wipe,rollback
                        also draw faults that are not promised to be borne yet
  --only KIND           every key is of this kind: register or siblings
  --reports-at-once     nodes hear of a commit as soon as its sync is over
  --growth              measure what requests cost among 3, 30 and 300 nodes, or --nodes N
  --minutes-virtual M   how long such a cluster takes to run for so long
  --mutant NAME         make this mistake; succeeds only if it is caught
  --list-mutants        list the mistakes
  --bench               report seeds and events per second
  --trace               print what happens
  --update-transcripts  write tests/simulator/transcripts anew";
