//! Parameters in their places: of which types they may be there, and within which bounds.

use std::{num::NonZeroU8, time::Duration};

use bytes::Bytes;
use quorate_ring::Consistency;

use super::{
    Argument, Marker, Parameter, Parameters, PlanError, Term,
    keyword::near_miss,
    lexer::TokenKind,
    parser::{COUNT_BOUNDS, LEVELS, LEVELS_HINT, checked_ttl},
};
use crate::units::parse_duration;

impl Parameters {
    /// A key, a value or a context.
    pub(super) fn fill(&self, term: &Term) -> Result<Bytes, PlanError> {
        let marker = match term {
            Term::Text(text) => return Ok(text.clone().into()),
            Term::Blob(bytes) => return Ok(bytes.clone().into()),
            Term::Positional(position) => Marker::Positional(*position),
            Term::Named(name) => Marker::Named(name.clone()),
        };
        match self.value(&marker)? {
            Parameter::Bytes(bytes) => Ok(bytes.clone()),
            Parameter::Number(number) => Err(wrong_type(
                &marker,
                BYTES,
                &Parameter::Number(*number),
                &format!("as a text it is \"{number}\""),
            )),
            other => Err(wrong_type(&marker, BYTES, other, "")),
        }
    }

    /// What follows `TTL`: as in a statement, a number is one of seconds, and a text has a unit.
    pub(super) fn ttl(&self, ttl: &Argument<Duration>) -> Result<Duration, PlanError> {
        let marker = match ttl {
            Argument::Written(ttl) => return Ok(*ttl),
            Argument::Parameter(marker) => marker,
        };
        let value = self.value(marker)?;
        let duration = match value {
            Parameter::Duration(duration) => *duration,
            // Below zero and beyond the longest duration is out of range like zero and what is too long.
            Parameter::Number(seconds) => {
                Duration::from_secs(u64::try_from((*seconds).max(0)).unwrap_or(u64::MAX))
            }
            Parameter::Bytes(bytes) => match std::str::from_utf8(bytes).map(parse_duration) {
                Ok(Ok(duration)) => duration,
                Ok(Err(why)) => return Err(wrong_type(marker, TTL, value, &why)),
                Err(_) => return Err(wrong_type(marker, TTL, value, "")),
            },
            Parameter::Level(_) => return Err(wrong_type(marker, TTL, value, "")),
        };
        checked_ttl(duration).map_err(|why| PlanError::OutOfRange { marker: marker.clone(), why })
    }

    /// What follows `LIMIT`.
    pub(super) fn limit(&self, limit: &Argument<u64>) -> Result<u64, PlanError> {
        let marker = match limit {
            Argument::Written(rows) => return Ok(*rows),
            Argument::Parameter(marker) => marker,
        };
        match self.value(marker)? {
            // More than there can be is no limit.
            Parameter::Number(rows @ 1..) => Ok(u64::try_from(*rows).unwrap_or(u64::MAX)),
            Parameter::Number(_) => {
                Err(PlanError::OutOfRange { marker: marker.clone(), why: "LIMIT must be at least 1" })
            }
            other => Err(wrong_type(marker, "a number of rows", other, "")),
        }
    }

    /// What follows `CONSISTENCY`, `W =` or `R =`.
    pub(super) fn level(&self, level: &Argument<Consistency>) -> Result<Consistency, PlanError> {
        let marker = match level {
            Argument::Written(level) => return Ok(*level),
            Argument::Parameter(marker) => marker,
        };
        let value = self.value(marker)?;
        match value {
            Parameter::Level(level) => Ok(*level),
            Parameter::Number(number) => {
                let count = u8::try_from(*number).ok().and_then(NonZeroU8::new).map(Consistency::Count);
                count.ok_or_else(|| PlanError::OutOfRange { marker: marker.clone(), why: COUNT_BOUNDS })
            }
            Parameter::Bytes(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                text.parse().map_err(|_| {
                    let meant = near_miss(&text, LEVELS).map(|level| format!("did you mean {level}?"));
                    wrong_type(marker, LEVEL, value, &meant.unwrap_or_else(|| LEVELS_HINT.to_owned()))
                })
            }
            Parameter::Duration(_) => Err(wrong_type(marker, LEVEL, value, LEVELS_HINT)),
        }
    }

    fn value(&self, marker: &Marker) -> Result<&Parameter, PlanError> {
        match marker {
            Marker::Positional(position) => {
                let given = self.positional.len();
                let missing = PlanError::MissingPositional { position: *position, given };
                self.positional.get(*position).ok_or(missing)
            }
            Marker::Named(name) => self.named.get(name).ok_or_else(|| PlanError::MissingNamed(name.clone())),
        }
    }
}

fn wrong_type(marker: &Marker, takes: &'static str, given: &Parameter, hint: &str) -> PlanError {
    let given = match given {
        Parameter::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => TokenKind::Text(text.to_owned()).describe(),
            Err(_) => TokenKind::Blob(Vec::new()).describe(),
        },
        Parameter::Number(number) => format!("number {number}"),
        Parameter::Duration(_) => "a duration".to_owned(),
        Parameter::Level(level) => format!("level {level}"),
    };
    PlanError::WrongType { marker: marker.clone(), takes, given, hint: hint.to_owned() }
}

const BYTES: &str = "text or bytes";
const TTL: &str = "a number of seconds or a duration";
const LEVEL: &str = "a consistency level";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::{Plan, SessionLevel, Writing, parse_one, plan};

    fn planned(source: &str, parameters: impl Into<Parameters>) -> Result<Plan, PlanError> {
        plan(&parse_one(source).expect("a statement"), SessionLevel::Default, &parameters.into())
    }

    fn writing(parameters: impl Into<Parameters>) -> Result<Writing, PlanError> {
        match planned("UPDATE t USING TTL ? AND W = ? SET value = 'v' WHERE key = 'k'", parameters)? {
            Plan::Put { options, .. } => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_durations_and_levels_stand_where_a_statement_may_write_them() {
        let hour = Duration::from_secs(3_600);
        let levels = ["1".parse().expect("a level"), Consistency::All];
        for (options, level) in [
            (writing((3_600, 1_u8)), levels[0]),
            (writing((hour, Consistency::All)), levels[1]),
            (writing(("1h", "all")), levels[1]),
        ] {
            let expected = Writing { consistency: Some(level), ttl: Some(hour), ..Writing::default() };
            assert_eq!(options, Ok(expected));
        }
        let scan = |rows: Parameter| match planned(
            "SELECT * FROM t LIMIT :n USING R = ?",
            Parameters::none().push(2).set("n", rows),
        ) {
            Ok(Plan::Scan { limit, options, .. }) => {
                (limit, options.consistency.map(|level| level.to_string()))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(scan(Parameter::Number(7)), (Some(7), Some("2".to_owned())));
        assert_eq!(scan(Parameter::Number(i128::MAX)).0, Some(u64::MAX));
    }

    #[test]
    fn what_does_not_fit_its_place_is_refused_with_what_would() {
        let refused = |source: &str, parameter: Parameter| {
            planned(source, Parameters::none().push(parameter)).expect_err(source).to_string()
        };
        let (text, number) = (|text: &str| Parameter::Bytes(text.to_owned().into()), Parameter::Number);
        let put = "INSERT INTO t (key, value) VALUES ('k', 'v') USING ";
        let (ttl, level) = (&*format!("{put}TTL ?"), &*format!("{put}CONSISTENCY ?"));
        let limit = "SELECT * FROM t LIMIT ?";
        let levels = "levels: ONE, TWO, THREE, QUORUM, ALL, ANY, or a number from 1 to 255";
        let bounds = "does not fit: a TTL is 1 ms to 36500 days: without one the value stays";
        for (source, parameter, why) in [
            (
                ttl,
                text("soon"),
                "takes a number of seconds or a duration, not text 'soon'; 'soon' is no unit of time: write `500ms`, `2s` or `1m`",
            ),
            (
                ttl,
                text("60"),
                "takes a number of seconds or a duration, not text '60'; '60' has no unit: write `500ms`, `2s` or `1m`",
            ),
            (ttl, Parameter::Bytes(vec![0xff].into()), "takes a number of seconds or a duration, not a blob"),
            (
                ttl,
                Parameter::Level(Consistency::One),
                "takes a number of seconds or a duration, not level ONE",
            ),
            (ttl, number(0), bounds),
            (ttl, number(-1), bounds),
            (ttl, number(i128::MAX), bounds),
            (ttl, Parameter::Duration(Duration::MAX), "does not fit: a TTL counts whole milliseconds"),
            (limit, text("10"), "takes a number of rows, not text '10'"),
            (limit, Parameter::Duration(Duration::ZERO), "takes a number of rows, not a duration"),
            (limit, number(0), "does not fit: LIMIT must be at least 1"),
            (level, text("QUORM"), "takes a consistency level, not text 'QUORM'; did you mean QUORUM?"),
            (level, text("most"), &format!("takes a consistency level, not text 'most'; {levels}")),
            (level, number(256), "does not fit: a number of replicas is 1 to 255"),
            (
                "DELETE FROM t WHERE key = ?",
                number(5),
                "takes text or bytes, not number 5; as a text it is \"5\"",
            ),
            (
                "DELETE FROM t WHERE key = ?",
                Parameter::Level(Consistency::One),
                "takes text or bytes, not level ONE",
            ),
        ] {
            assert_eq!(refused(source, parameter), format!("the statement's parameter 1 {why}"), "{source}");
        }
        let named = planned("SELECT * FROM t LIMIT :rows", [("rows", "x")]).expect_err("a text").to_string();
        assert_eq!(named, "the statement's parameter ':rows' takes a number of rows, not text 'x'");
        let missing = planned(ttl, ()).expect_err("no value").to_string();
        assert_eq!(missing, "the statement's parameter 1 has no value: 0 given");
    }
}
