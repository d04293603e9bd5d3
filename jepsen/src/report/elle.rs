//! The history of a run of registers as Elle's checker for read-write registers takes it: each operation is a transaction of
//! one step, on all keys in one file.

use quorate_jepsen::history::{Event, Process, Value};

use crate::workload::Workload;

/// Whether Elle can judge a workload: it wants each value to be written once. Elements of a set are not values that
/// replace each other, and a delete writes nothing that could be told from another delete.
pub(super) fn takes(workload: Workload) -> bool {
    matches!(workload, Workload::Register | Workload::Session | Workload::One)
}

/// The event as a step of a transaction; `None` for what no client did. What the nemesis did is left out, too.
pub(super) fn transaction(event: &Event) -> Option<Event> {
    let (Process::Client(_), Some(key)) = (&event.process, &event.key) else {
        return None;
    };
    let step = match event.f.as_str() {
        "read" => "r",
        "write" => "w",
        _ => return None,
    };
    let step = Value::Vector(vec![Value::Keyword(step.to_owned()), key.clone(), event.value.clone()]);
    let value = Value::Vector(vec![step]);
    Some(Event { f: "txn".to_owned(), key: None, value, ..event.clone() })
}

#[cfg(test)]
mod tests {
    use quorate_jepsen::history::EventKind;

    use super::*;

    #[test]
    fn an_operation_is_a_transaction_of_one_step() {
        let event = |process, f: &str, value| Event {
            index: 3,
            kind: EventKind::Ok,
            process,
            time: 7,
            f: f.to_owned(),
            key: Some(Value::Text("k".to_owned())),
            value,
        };
        let shown = |event: &Event| transaction(event).map(|event| event.to_string());
        let client = || Process::Client(2);
        let read = event(client(), "read", Value::Nil);
        let line = "{:index 3, :type :ok, :process 2, :time 7, :f :txn, :value [[:r \"k\" nil]]}";
        assert_eq!(shown(&read).as_deref(), Some(line));
        let write = event(client(), "write", Value::Integer(5));
        assert!(shown(&write).is_some_and(|line| line.ends_with(":f :txn, :value [[:w \"k\" 5]]}")));
        assert_eq!(shown(&event(Process::Named("n1".to_owned()), "read", Value::Nil)), None);
    }
}
