//! The verdict on a run: every key by every rule of its workload, keys in parallel.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::{Duration, Instant};

use quorate::ring::Tag;
use quorate_jepsen::checker::linearizable::{
    Counter, CounterAction, Limits, Model, Register, RegisterAction, Set,
};
use quorate_jepsen::checker::versions::VersionAction;
use quorate_jepsen::checker::{Counterexample, Linearizable, Undecided, Verdict};
use quorate_jepsen::checker::{deletes, durability, session, tagged};
use quorate_jepsen::history::{
    Event, KeyPlace, NilRead, Operation, Outcome, Process, Request, Value, counter, operations, register, set,
};

use crate::parallel::{in_parallel, threads};
use crate::record::{Entry, Seen};
use crate::stop::Stop;
use crate::workload::Workload;

/// Bounds of the search, for each key and for all.
#[derive(Clone, Debug)]
pub(crate) struct Caps {
    /// For all keys together.
    pub(crate) time: Duration,
    /// For each search at a time.
    pub(crate) memory_bytes: usize,
    /// Ends all searches.
    pub(crate) stop: Stop,
}

/// What was found about one key by one rule.
pub(crate) struct Finding {
    pub(crate) key: String,
    pub(crate) rule: &'static str,
    pub(crate) verdict: Verdict,
    /// How it was decided.
    pub(crate) method: &'static str,
    /// For a verdict of invalid: the operations that show it, with real times.
    pub(crate) window: Vec<String>,
}

/// The history of one key.
struct KeyHistory<'a> {
    key: &'a str,
    entries: Vec<&'a Entry>,
    operations: Vec<Operation<Request>>,
    /// What the receipt of each operation told.
    seen: Vec<Seen>,
    finals: Vec<Value>,
}

type Findings = Vec<(&'static str, Verdict, &'static str)>;

/// Judges every key of a history.
///
/// # Errors
/// If the history itself is out of order, which is a mistake of the harness.
#[expect(clippy::disallowed_methods, reason = "the search has a cap in real time")]
pub(crate) fn judge(
    workload: Workload,
    entries: &[Entry],
    finals: &BTreeMap<String, Vec<(String, Value)>>,
    caps: Caps,
) -> Result<Vec<Finding>, Box<dyn Error + Send + Sync>> {
    let by_key = split(entries);
    let histories: Vec<KeyHistory<'_>> = by_key
        .into_iter()
        .map(|(key, entries)| KeyHistory::new(key, entries, finals.get(key)))
        .collect::<Result<_, _>>()?;
    let deadline = Instant::now() + caps.time;
    let memory_bytes_max = caps.memory_bytes / threads();
    let limits = Limits { steps_max: u64::MAX, memory_bytes_max };
    let search = || Search { checker: Linearizable::new(limits), deadline, stop: caps.stop.clone() };
    let found = in_parallel(&histories, search, |search, history| history.judge(workload, search));
    let mut all = Vec::new();
    for findings in found {
        all.extend(findings?);
    }
    all.sort_by(|one: &Finding, two| (&one.key, one.rule).cmp(&(&two.key, two.rule)));
    Ok(all)
}

/// The events of each key, clients' only.
pub(crate) fn split(entries: &[Entry]) -> BTreeMap<&str, Vec<&Entry>> {
    let mut by_key: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        if let (Some(Value::Text(key)), Process::Client(_)) = (&entry.event.key, &entry.event.process) {
            by_key.entry(key).or_default().push(entry);
        }
    }
    by_key
}

/// A search with a deadline.
struct Search {
    checker: Linearizable,
    deadline: Instant,
    stop: Stop,
}

impl Search {
    /// The verdict, and how it came about: `shortcut` if no search was needed.
    #[expect(clippy::disallowed_methods, reason = "the search has a cap in real time")]
    fn check<M: Model>(
        &mut self,
        model: &M,
        history: &[Operation<M::Action>],
        shortcut: &'static str,
    ) -> (Verdict, &'static str) {
        let is_late = || Instant::now() >= self.deadline || self.stop.is_told();
        if is_late() {
            return (Verdict::Unknown(Undecided::Stopped), "search");
        }
        let verdict = self.checker.check_until(model, history, &mut || is_late());
        (verdict, if self.checker.took_search() { "search" } else { shortcut })
    }
}

impl<'a> KeyHistory<'a> {
    fn new(
        key: &'a str,
        entries: Vec<&'a Entry>,
        finals: Option<&Vec<(String, Value)>>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let events: Vec<Event> = entries.iter().map(|entry| entry.event.clone()).collect();
        let operations = operations(&events, KeyPlace::Field)?;
        let completion = |operation: &Operation<Request>| {
            operation.completed.and_then(|at| entries.get(at as usize)).map(|entry| entry.seen)
        };
        let seen = operations.iter().map(|operation| completion(operation).unwrap_or_default()).collect();
        let finals = finals.into_iter().flatten().map(|(_, value)| value.clone()).collect();
        Ok(Self { key, entries, operations, seen, finals })
    }

    fn judge(
        &self,
        workload: Workload,
        search: &mut Search,
    ) -> Result<Vec<Finding>, Box<dyn Error + Send + Sync>> {
        let findings = match workload {
            Workload::Register | Workload::One | Workload::Cas => self.register(search)?,
            Workload::Delete => self.delete(search)?,
            Workload::SiblingsSet => self.set(search)?,
            Workload::Session => self.session(workload, search)?,
            Workload::Counter => self.counter(search)?,
        };
        let finding = |(rule, verdict, method)| {
            let window = match &verdict {
                Verdict::Invalid(found) => self.window(found),
                Verdict::Valid | Verdict::Unknown(_) => Vec::new(),
            };
            Finding { key: self.key.to_owned(), rule, verdict, method, window }
        };
        Ok(findings.into_iter().map(finding).collect())
    }

    fn register(&self, search: &mut Search) -> Result<Findings, Box<dyn Error + Send + Sync>> {
        let history = register(&self.operations, NilRead::Absent)?;
        let tags: Vec<Option<Tag>> = self.seen.iter().map(|seen| seen.tag).collect();
        let (verdict, method) = if tagged::is_linearizable(&Value::Nil, &history, &tags) {
            (Verdict::Valid, "version tags")
        } else {
            search.check(&Register::new(Value::Nil), &history, "zones of the values")
        };
        let linearizable = ("linearizable", verdict, method);
        let durable = durability::register(&Value::Nil, &history, &self.finals);
        Ok(vec![linearizable, ("durable", durable, "final reads")])
    }

    fn delete(&self, search: &mut Search) -> Result<Findings, Box<dyn Error + Send + Sync>> {
        let history = register(&self.operations, NilRead::Absent)?;
        let optional = |value: &Value| (*value != Value::Nil).then(|| value.clone());
        let deletes: Vec<Operation<RegisterAction<Option<Value>>>> = history
            .iter()
            .map(|operation| {
                let &Operation { process, invoked, completed, outcome, ref action } = operation;
                let action = match action {
                    RegisterAction::Read(answer) => RegisterAction::Read(answer.as_ref().map(optional)),
                    RegisterAction::Write(value) => RegisterAction::Write(optional(value)),
                    RegisterAction::Cas { old, new } => {
                        RegisterAction::Cas { old: optional(old), new: optional(new) }
                    }
                };
                Operation { process, invoked, completed, outcome, action }
            })
            .collect();
        let mut findings = self.register(search)?;
        findings.push(("deletes", deletes::check(&deletes), "order of events"));
        Ok(findings)
    }

    /// Beside the order of all operations: what is left is no less than what was acknowledged, and no more than what was asked
    /// for.
    fn counter(&self, search: &mut Search) -> Result<Findings, Box<dyn Error + Send + Sync>> {
        let history = counter(&self.operations)?;
        let added = |outcome: Outcome| -> i64 {
            let of = |operation: &&Operation<CounterAction>| operation.outcome == outcome;
            let delta = |operation: &Operation<CounterAction>| match operation.action {
                CounterAction::Add(delta) => delta,
                CounterAction::Read(_) => 0,
            };
            history.iter().filter(of).map(delta).sum()
        };
        let (least, unknown) = (added(Outcome::Applied), added(Outcome::Unknown));
        let is_wrong = |value: &&Value| !matches!(value, Value::Integer(left) if (least..=least + unknown).contains(left));
        let durable = match self.finals.iter().find(is_wrong) {
            Some(left) => {
                let what = format!(
                    "{left} is left, of {least} increments that were acknowledged and {unknown} more"
                );
                let (rule, reason) = ("durability", what);
                Verdict::Invalid(Counterexample { rule, reason, operations: Vec::new(), lines: Vec::new() })
            }
            None => Verdict::Valid,
        };
        let (verdict, method) = search.check(&Counter { initial: 0 }, &history, "order of the reads");
        Ok(vec![("linearizable", verdict, method), ("durable", durable, "final reads")])
    }

    fn set(&self, search: &mut Search) -> Result<Findings, Box<dyn Error + Send + Sync>> {
        let history = set(&self.operations)?;
        let finals: Vec<Vec<Value>> = self
            .finals
            .iter()
            .map(|value| match value {
                Value::Vector(items) | Value::Set(items) => items.clone(),
                other => vec![other.clone()],
            })
            .collect();
        let (verdict, method) = search.check(&Set { initial: Vec::new() }, &history, "chain of the reads");
        let durable = durability::set(&[], &history, &finals);
        Ok(vec![("linearizable", verdict, method), ("durable", durable, "final reads")])
    }

    /// At QUORUM the whole register; at ONE what a session through one replica of the key is promised.
    fn session(
        &self,
        workload: Workload,
        search: &mut Search,
    ) -> Result<Findings, Box<dyn Error + Send + Sync>> {
        let is_one = workload.level(self.key) == quorate::client::Consistency::One;
        let registers = register(&self.operations, NilRead::Absent)?;
        let (mut versions, mut values, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (operation, seen)) in registers.iter().zip(&self.seen).enumerate() {
            let &Operation { process, invoked, completed, outcome, ref action } = operation;
            if is_one && outcome == Outcome::Applied && !seen.at_replica {
                continue;
            }
            let action = match action {
                RegisterAction::Read(_) => VersionAction::Read(seen.tag),
                RegisterAction::Write(_) | RegisterAction::Cas { .. } => VersionAction::Write(seen.tag),
            };
            versions.push(Operation { process, invoked, completed, outcome, action });
            values.push(operation.clone());
            places.push(at);
        }
        let placed = |verdict| at_places(verdict, &places);
        let tags: Vec<Option<Tag>> = self.seen.iter().map(|seen| seen.tag).collect();
        // What the tags say counts for the values only if the two belong together.
        let own = placed(session::read_your_writes(&versions))
            .and(|| placed(session::read_your_own_values(&Value::Nil, &values)))
            .and(|| tagged::are_alike(&Value::Nil, &registers, &tags));
        let mut findings = vec![("read your writes", own, "version tags and values")];
        if !is_one {
            let monotonic = placed(session::monotonic_reads(&versions));
            findings.push(("monotonic reads", monotonic, "version tags"));
            findings.extend(self.register(search)?);
        }
        Ok(findings)
    }

    /// The operations of a counterexample with the times of the run.
    fn window(&self, found: &Counterexample) -> Vec<String> {
        let shown: Vec<&Operation<Request>> =
            found.operations.iter().filter_map(|at| self.operations.get(*at)).collect();
        // Elements whose adds play no part play none in the reads either.
        let added = |operation: &&Operation<Request>| operation.action.f == "add";
        let known: BTreeSet<&Value> =
            self.operations.iter().filter(added).map(|operation| &operation.action.argument).collect();
        let concerned: BTreeSet<&Value> =
            shown.iter().copied().filter(added).map(|operation| &operation.action.argument).collect();
        let matters = |element: &&Value| concerned.contains(element) || !known.contains(element);
        let told = |value: &Value| match value {
            Value::Vector(elements) if !known.is_empty() => {
                let few: Vec<Value> = elements.iter().filter(matters).cloned().collect();
                let others = elements.len() - few.len();
                format!("{} and {others} others", Value::Vector(few))
            }
            value => value.to_string(),
        };
        let line = |at: &usize| Some(self.line(self.operations.get(*at)?, self.seen.get(*at)?, told));
        found.operations.iter().filter_map(line).collect()
    }

    fn line(&self, operation: &Operation<Request>, seen: &Seen, told: impl Fn(&Value) -> String) -> String {
        let seconds = |at: u64| {
            let time = self.entries.get(at as usize).map_or(0, |entry| entry.event.time);
            format!("{:.4}", time as f64 / 1e9)
        };
        let Operation { process, invoked, completed, outcome, action } = operation;
        let (from, until) = (seconds(*invoked), completed.map_or_else(|| "never".to_owned(), seconds));
        let what = told(if action.f == "read" { &action.answer } else { &action.argument });
        let coordinator = seen.coordinator.map_or_else(String::new, |node| format!(" through node {node}"));
        let tag = seen.tag.map_or_else(String::new, |tag| format!(", version {tag}"));
        format!("process {process} [{from} s .. {until} s] {} {what} {outcome:?}{coordinator}{tag}", action.f)
    }
}

/// The same verdict on a history of which only the operations at `places` were judged.
fn at_places(verdict: Verdict, places: &[usize]) -> Verdict {
    match verdict {
        Verdict::Invalid(mut found) => {
            found.operations = found.operations.iter().filter_map(|at| places.get(*at).copied()).collect();
            Verdict::Invalid(found)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use quorate::ring::{Actor, Hlc};
    use quorate_jepsen::history::EventKind;

    use super::*;

    /// Completed operations of one key, one after the other: process, function, value, tag.
    fn history(key: &str, operations: &[(u64, &str, Value, u64)]) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (process, f, value, tag) in operations {
            for kind in [EventKind::Invoke, EventKind::Ok] {
                let is_asking = *f == "read" && kind == EventKind::Invoke;
                let event = Event {
                    index: entries.len() as u64,
                    kind,
                    process: Process::Client(*process),
                    time: 1_000_000 * entries.len() as u64,
                    f: (*f).to_owned(),
                    key: Some(Value::Text(key.to_owned())),
                    value: if is_asking { Value::Nil } else { value.clone() },
                };
                let tag = (*tag > 0).then_some(Tag { hlc: Hlc(*tag), actor: Actor(1) });
                entries.push(Entry {
                    event,
                    seen: Seen { tag, coordinator: Some(1), at_replica: true },
                    error: None,
                });
            }
        }
        entries
    }

    fn broken(workload: Workload, entries: &[Entry], finals: &[Value]) -> Vec<&'static str> {
        let key = match &entries[0].event.key {
            Some(Value::Text(key)) => key.clone(),
            _ => String::new(),
        };
        let finals = finals.iter().map(|value| ("n1".to_owned(), value.clone())).collect();
        let findings = judge(workload, entries, &BTreeMap::from([(key, finals)]), caps()).unwrap();
        assert!(!findings.is_empty());
        findings.iter().filter(|finding| !finding.verdict.is_valid()).map(|finding| finding.rule).collect()
    }

    fn caps() -> Caps {
        Caps { time: Duration::from_secs(60), memory_bytes: 1 << 28, stop: Stop::default() }
    }

    fn n(value: i64) -> Value {
        Value::Integer(value)
    }

    #[test]
    fn a_register_loses_nothing_and_never_goes_back() {
        let good = history("k", &[(0, "write", n(1), 5), (1, "read", n(1), 5)]);
        assert!(broken(Workload::Register, &good, &[n(1)]).is_empty());
        assert_eq!(broken(Workload::Register, &good, &[n(1), Value::Nil]), ["durable"]);
        let stale = history("k", &[(0, "write", n(1), 5), (0, "write", n(2), 6), (1, "read", n(1), 5)]);
        assert_eq!(broken(Workload::One, &stale, &[n(2)]), ["linearizable"]);
        let mixed = history("k", &[(0, "write", n(1), 5), (1, "read", n(2), 5)]);
        assert_eq!(broken(Workload::Register, &mixed, &[n(1)]), ["linearizable"], "tags alone look well");
    }

    #[test]
    fn a_counterexample_tells_real_times() {
        let stale = history("k", &[(0, "write", n(1), 5), (0, "write", n(2), 6), (7, "read", n(1), 5)]);
        let findings = judge(Workload::Register, &stale, &BTreeMap::new(), caps()).unwrap();
        let window = findings.iter().flat_map(|finding| &finding.window).next_back().unwrap();
        assert!(window.starts_with("process 7 [0.0040 s .. 0.0050 s] read 1"), "{window}");
    }

    #[test]
    fn a_set_keeps_every_element() {
        let both = || Value::Vector(vec![n(1), n(2)]);
        let adds = [(0, "add", n(1), 0), (1, "add", n(2), 0)];
        let read = |value| [&adds[..], &[(2, "read", value, 0)]].concat();
        assert!(broken(Workload::SiblingsSet, &history("k", &read(both())), &[both()]).is_empty());
        let one = Value::Vector(vec![n(1)]);
        assert_eq!(
            broken(Workload::SiblingsSet, &history("k", &read(one.clone())), &[both()]),
            ["linearizable"]
        );
        assert_eq!(broken(Workload::SiblingsSet, &history("k", &read(both())), &[one]), ["durable"]);
    }

    #[test]
    fn a_lost_element_is_shown_by_its_add_and_one_read() {
        let set = |elements: &[i64]| Value::Vector(elements.iter().copied().map(n).collect());
        let mut operations: Vec<_> = (1..=20).map(|value| (0, "add", n(value), 0)).collect();
        let all: Vec<i64> = (1..=20).collect();
        operations.push((1, "read", set(&all), 0));
        let rest: Vec<i64> = all.iter().copied().filter(|element| *element != 7).collect();
        operations.push((2, "read", set(&rest), 0));
        let history = history("k", &operations);
        let findings = judge(Workload::SiblingsSet, &history, &BTreeMap::new(), caps()).unwrap();
        let found = findings.iter().find(|finding| finding.rule == "linearizable").unwrap();
        assert_eq!((found.window.len(), found.method), (2, "chain of the reads"), "{:?}", found.window);
        assert!(found.window[0].contains("add 7"), "{:?}", found.window);
        assert!(found.window[1].contains("read [] and 19 others"), "{:?}", found.window);
    }

    #[test]
    fn what_was_deleted_stays_so() {
        let gone = [(0, "write", n(1), 5), (0, "delete", Value::Nil, 6), (1, "read", Value::Nil, 6)];
        assert!(broken(Workload::Delete, &history("k", &gone), &[Value::Nil]).is_empty());
        let back = [(0, "write", n(1), 5), (0, "delete", Value::Nil, 6), (1, "read", n(1), 5)];
        assert_eq!(
            broken(Workload::Delete, &history("k", &back), &[Value::Nil]),
            ["deletes", "linearizable"]
        );
        assert_eq!(broken(Workload::Delete, &history("k", &gone), &[n(1)]), ["durable"]);
    }

    #[test]
    fn at_one_only_the_own_session_counts() {
        let stale = |reader| [(0, "write", n(1), 5), (0, "write", n(2), 6), (reader, "read", n(1), 5)];
        assert!(broken(Workload::Session, &history("one-0-1", &stale(1)), &[]).is_empty());
        assert_eq!(broken(Workload::Session, &history("one-0-1", &stale(0)), &[]), ["read your writes"]);
        let lying = |tag, value| [(0, "write", n(1), 5), (0, "write", n(2), 6), (0, "read", value, tag)];
        for (told, why) in [
            (lying(6, n(1)), "the tag is right, the value is not"),
            (lying(7, n(1)), "an own value from before"),
            (lying(7, Value::Nil), "nothing after an own write"),
            (lying(7, n(9)), "what nobody wrote"),
        ] {
            let broken = broken(Workload::Session, &history("one-0-1", &told), &[]);
            assert_eq!(broken, ["read your writes"], "{why}");
        }
        let at_quorum = broken(Workload::Session, &history("k0-0", &stale(0)), &[]);
        assert_eq!(at_quorum, ["linearizable", "read your writes"]);
    }
}
