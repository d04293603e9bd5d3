//! `quorate-jepsen check`: judges a history in a file.
#![expect(clippy::disallowed_methods, reason = "reads a file and keeps a time limit")]

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::parallel::in_parallel;
use clap::{Args, ValueEnum};
use quorate_jepsen::checker::linearizable::{Counter, FailedCas, Limits, Linearizable, Model, Register, Set};
use quorate_jepsen::checker::{Undecided, Verdict};
use quorate_jepsen::history::{
    Event, KeyPlace, NilRead, Operation, Request, Value, by_key, counter, operations, read_edn, read_json,
    register, set,
};

/// Judge whether a history is linearizable, key by key.
///
/// The file holds a Jepsen history in EDN, one operation map per line or one vector, or the same in JSON if its
/// name ends in `.json` or `.jsonl`. The last line printed is `linearizable`, `not linearizable` or `unknown`,
/// and the exit code is 0, 1 or 2.
#[derive(Args)]
#[command(after_help = "Example: quorate-jepsen check --model cas-register --initial 0 history.edn")]
pub(crate) struct Check {
    /// The object that the history should be one of.
    #[arg(long, value_enum)]
    model: ModelName,
    /// The value before any operation, in EDN; a vector of the elements for a set.
    #[arg(long, default_value = "nil", value_parser = parse_value)]
    initial: Value,
    /// What a register's read of nil means.
    #[arg(long, value_enum, default_value = "unknown")]
    nil_read: NilReadName,
    /// What a compare-and-set that failed means: nothing, or that another value was seen.
    #[arg(long, value_enum, default_value = "drop")]
    failed_cas: FailedCasName,
    /// Every value is `[key value]`, and each key is an object of its own.
    #[arg(long)]
    independent: bool,
    /// Give up after this time, such as `500ms`, `60s` or `5m`.
    #[arg(long, default_value = "60s", value_parser = parse_timeout)]
    timeout: Duration,
    /// Give up when the search holds this much, such as `512MiB` or `2GiB`.
    #[arg(long, default_value = "2GiB", value_parser = parse_size)]
    memory: usize,
    /// The history.
    file: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModelName {
    Register,
    CasRegister,
    Set,
    Counter,
}

#[derive(Clone, Copy, ValueEnum)]
enum NilReadName {
    Unknown,
    Absent,
}

#[derive(Clone, Copy, ValueEnum)]
enum FailedCasName {
    Drop,
    Observe,
}

/// The verdicts that matter: one counterexample for each bad key, and why others are open.
pub(crate) struct Judgement {
    keys: usize,
    refuted: Vec<String>,
    undecided: Vec<String>,
}

impl Check {
    /// Reads the file and judges each key.
    pub(crate) fn run(&self) -> Result<Judgement, Box<dyn Error + Send + Sync>> {
        let text = std::fs::read(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let events = self.parse(&text).map_err(|error| format!("{}: {error}", self.file.display()))?;
        let place = if self.independent { KeyPlace::Value } else { KeyPlace::Field };
        let histories: Vec<_> = by_key(operations(&events, place)?).into_iter().collect();
        let deadline = Instant::now() + self.timeout;
        let limits = Limits { steps_max: u64::MAX, memory_bytes_max: self.memory };
        let verdicts = in_parallel(
            &histories,
            || Linearizable::new(limits),
            |checker, (_, history)| self.judge(checker, history, deadline),
        );
        let mut judgement = Judgement { keys: histories.len(), refuted: Vec::new(), undecided: Vec::new() };
        for ((key, _), verdict) in histories.iter().zip(verdicts) {
            let name = key.as_ref().map_or_else(|| "history".to_owned(), |key| format!("key {key}"));
            match verdict? {
                Verdict::Valid => {}
                Verdict::Invalid(found) => judgement.refuted.push(format!("{name}: {found}")),
                Verdict::Unknown(undecided) => judgement.undecided.push(format!("{name}: {undecided}")),
            }
        }
        Ok(judgement)
    }

    fn parse(&self, text: &[u8]) -> Result<Vec<Event>, Box<dyn Error + Send + Sync>> {
        let extension = self.file.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("json" | "jsonl") => Ok(read_json(text)?),
            _ => Ok(read_edn(text)?),
        }
    }

    fn judge(
        &self,
        checker: &mut Linearizable,
        history: &[Operation<Request>],
        deadline: Instant,
    ) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        match self.model {
            ModelName::Register | ModelName::CasRegister => {
                let nil_read = match self.nil_read {
                    NilReadName::Unknown => NilRead::Unknown,
                    NilReadName::Absent => NilRead::Absent,
                };
                let failed_cas = match self.failed_cas {
                    FailedCasName::Drop => FailedCas::Drop,
                    FailedCasName::Observe => FailedCas::Observe,
                };
                let model = Register::new(self.initial.clone()).failed_cas(failed_cas);
                Ok(until(checker, &model, &register(history, nil_read)?, deadline))
            }
            ModelName::Set => {
                let initial = match &self.initial {
                    Value::Nil => Vec::new(),
                    Value::Vector(items) | Value::Set(items) => items.clone(),
                    other => return Err(format!("--initial {other}: a set starts with a vector").into()),
                };
                Ok(until(checker, &Set { initial }, &set(history)?, deadline))
            }
            ModelName::Counter => {
                let initial = match &self.initial {
                    Value::Nil => 0,
                    Value::Integer(initial) => *initial,
                    other => {
                        return Err(format!("--initial {other}: a counter starts with an integer").into());
                    }
                };
                Ok(until(checker, &Counter { initial }, &counter(history)?, deadline))
            }
        }
    }
}

fn until<M: Model>(
    checker: &mut Linearizable,
    model: &M,
    history: &[Operation<M::Action>],
    deadline: Instant,
) -> Verdict {
    let late = || Instant::now() >= deadline;
    if late() {
        Verdict::Unknown(Undecided::Stopped)
    } else {
        checker.check_until(model, history, &mut || late())
    }
}

fn parse_value(text: &str) -> Result<Value, String> {
    text.parse().map_err(|error: quorate_jepsen::history::ParseError| error.problem)
}

pub(crate) fn parse_timeout(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("", 1_000)];
    let milliseconds = parse_with_unit(text, &units)?;
    if milliseconds > MILLISECONDS_MAX {
        return Err("longer than a year".to_owned());
    }
    Ok(Duration::from_millis(milliseconds))
}

pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1), ("", 1)];
    usize::try_from(parse_with_unit(text, &units)?).map_err(|error| error.to_string())
}

/// A whole number with one of these units, the first that fits.
fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Result<u64, String> {
    let split = |&(unit, factor): &(&str, u64)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(factor)
    };
    units.iter().find_map(split).ok_or_else(|| {
        let known: Vec<&str> = units.iter().map(|unit| unit.0).filter(|unit| !unit.is_empty()).collect();
        format!("not a whole number with one of the units {}", known.join(", "))
    })
}

/// A year: beyond it a deadline may overflow the clock.
const MILLISECONDS_MAX: u64 = 365 * 24 * 3_600_000;

impl Judgement {
    /// 0 if linearizable, 1 if not, 2 if unknown.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match (self.refuted.is_empty(), self.undecided.is_empty()) {
            (false, _) => ExitCode::from(1),
            (true, false) => ExitCode::from(2),
            (true, true) => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.undecided.iter().chain(&self.refuted) {
            writeln!(f, "{line}")?;
        }
        let Judgement { keys, refuted, undecided } = self;
        writeln!(f, "{keys} keys, {} refuted, {} undecided", refuted.len(), undecided.len())?;
        match (refuted.is_empty(), undecided.is_empty()) {
            (false, _) => write!(f, "not linearizable"),
            (true, false) => write!(f, "unknown"),
            (true, true) => write!(f, "linearizable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_take_units() {
        assert_eq!(parse_timeout("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_timeout("2"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_size("2 GiB"), Ok(2 << 30));
        for wrong in ["", "s", "-1s", "1.5s", "99999999999999h", "1d"] {
            assert!(parse_timeout(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_line_and_the_code_say_the_same() {
        let judgement = |refuted: usize, undecided: usize| Judgement {
            keys: 3,
            refuted: vec![String::new(); refuted],
            undecided: vec![String::new(); undecided],
        };
        for (refuted, undecided, last, code) in
            [(0, 0, "linearizable", 0), (1, 1, "not linearizable", 1), (0, 1, "unknown", 2)]
        {
            let judgement = judgement(refuted, undecided);
            assert_eq!(judgement.to_string().lines().last(), Some(last));
            assert_eq!(judgement.exit_code(), ExitCode::from(code));
        }
    }
}
