//! What single replicas lacked once everything was healed, before the last reads repaired them.

use std::collections::BTreeSet;
use std::fmt;

use quorate_jepsen::history::Value;
use serde_json::json;

use crate::workload::Finals;

/// How replicas stood before the last reads.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Standing {
    /// Pairs of a key and a replica that told.
    told: usize,
    /// Those that differ from what the replica held at last.
    behind: Vec<Behind>,
}

/// A replica that was not up to date.
#[derive(Debug, PartialEq)]
struct Behind {
    key: String,
    node: String,
    held: Value,
    at_last: Value,
}

/// Compares what each replica held before the last reads with what it held at last.
pub(crate) fn standing(finals: &Finals) -> Standing {
    let mut standing = Standing::default();
    for (key, before) in &finals.before {
        for (node, held) in before {
            let at_last = finals.values.get(key).into_iter().flatten().find(|(name, _)| name == node);
            let Some((_, at_last)) = at_last else { continue };
            standing.told += 1;
            if held != at_last {
                standing.behind.push(Behind {
                    key: key.clone(),
                    node: node.clone(),
                    held: held.clone(),
                    at_last: at_last.clone(),
                });
            }
        }
    }
    standing
}

impl Standing {
    /// For `results.json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let behind: Vec<_> = self.behind.iter().map(Behind::to_json).collect();
        json!({ "told": self.told, "behind": behind })
    }
}

impl Behind {
    fn to_json(&self) -> serde_json::Value {
        let Self { key, node, held, at_last } = self;
        match (held, at_last) {
            (Value::Vector(some), Value::Vector(all)) => {
                let some: BTreeSet<&Value> = some.iter().collect();
                let lacked: Vec<&Value> = all.iter().filter(|element| !some.contains(element)).collect();
                json!({ "key": key, "replica": node, "lacked": lacked })
            }
            _ => json!({ "key": key, "replica": node, "held": held, "at_last": at_last }),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { told, behind } = self;
        write!(f, "before the last reads {} of {told} replicas of a key were behind", behind.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_replica_lacked_is_told() {
        let n = Value::Integer;
        let set = |elements: &[i64]| Value::Vector(elements.iter().copied().map(n).collect());
        let key = |name: &str, held: &[(&str, Value)]| {
            let held = held.iter().map(|(node, value)| ((*node).to_owned(), value.clone())).collect();
            (name.to_owned(), held)
        };
        let finals = Finals {
            before: [
                key("k", &[("n1", n(5)), ("n2", n(4)), ("n3", Value::Nil)]),
                key("s", &[("n1", set(&[1]))]),
            ]
            .into(),
            values: [key("k", &[("n1", n(5)), ("n2", n(5))]), key("s", &[("n1", set(&[1, 2]))])].into(),
            problems: Vec::new(),
        };
        let standing = standing(&finals);
        assert_eq!(standing.to_string(), "before the last reads 2 of 3 replicas of a key were behind");
        let expected = json!([
            { "key": "k", "replica": "n2", "held": 4, "at_last": 5 },
            { "key": "s", "replica": "n1", "lacked": [2] },
        ]);
        assert_eq!(standing.to_json()["behind"], expected);
    }
}
