//! Histories in files: what is written is read back, and nothing that is read panics.

use proptest::prelude::*;

use super::*;
use crate::checker::Linearizable;
use crate::checker::linearizable::Register;

const JEPSEN: &str = r#"; a history of two keys
#jepsen.history.Op{:index 0, :type :invoke, :process 0, :time 5, :f :write, :value ["x" 1]}
{:index 1 :type :info :process :nemesis :time 6 :f :partition :value {"n1" #{"n2" 1.5}} :error [:a "b\n"]}
{:type :ok, :process 0, :f :write, :value ["x" 1], :time 7} #_{:not "read"}
{:type :invoke, :process 1, :f :read, :value ["x" nil]}
{:type :ok, :process 1, :f :read, :value ["x" 2]}
"#;

#[test]
fn reads_what_jepsen_writes() {
    let events = read_edn(JEPSEN.as_bytes()).unwrap();
    assert_eq!(events.len(), 5);
    assert_eq!(events[1].process, Process::Named("nemesis".into()));
    assert_eq!(events[2].kind, EventKind::Ok);
    let vector = format!("[{JEPSEN}]");
    assert_eq!(read_edn(vector.as_bytes()).unwrap(), events);

    let operations = operations(&events, KeyPlace::Value).unwrap();
    let (key, history) = by_key(operations).pop_first().unwrap();
    assert_eq!(key, Some(Value::Text("x".into())));
    let history = register(&history, NilRead::Unknown).unwrap();
    assert!(Linearizable::default().check(&Register::new(Value::Nil), &history).is_invalid());
}

#[test]
fn errors_name_the_line() {
    let broken = |text: &str| read_edn(text.as_bytes()).unwrap_err().line;
    assert_eq!(broken("\n\n{:type :ok"), 3);
    assert_eq!(broken("; one\n{:type :wrong :process 1 :f :read}"), 2);
    assert_eq!(broken("{:type :ok :process 0 :f :read :value \"a\nb"), 1);
    assert_eq!(
        read_json(b"{\"type\":\"ok\",\"process\":0,\"f\":\"read\"}\n{\"type\":3}").unwrap_err().line,
        2
    );
}

#[test]
fn deep_nesting_is_an_error() {
    for open in ["[", "(", "{", "#{", "#_", "#_[", "#a ", "{:a #_["] {
        assert!(read_edn(format!("{{:a {}", open.repeat(100_000)).as_bytes()).is_err(), "{open}");
    }
    assert!(read_json("[".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn events_of_a_client_alternate() {
    let events = |text: &str| operations(&read_edn(text.as_bytes()).unwrap(), KeyPlace::Field);
    let invoke = "{:type :invoke :process 3 :f :read}";
    assert_eq!(events(&invoke.repeat(2)), Err(PairError::StillPending(1, 3)));
    assert_eq!(events("{:type :ok :process 3 :f :read}"), Err(PairError::NotPending(0, 3)));
    assert_eq!(events(invoke).unwrap()[0].outcome, Outcome::Unknown);
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        "[^:]\\PC{0,5}|[\n\r\t\"\\\\]{0,3}".prop_map(Value::Text),
        "[a-z][a-z0-9-]{0,5}".prop_map(Value::Keyword),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::Vector))
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        Just(EventKind::Invoke),
        Just(EventKind::Ok),
        Just(EventKind::Fail),
        Just(EventKind::Info)
    ];
    let process =
        prop_oneof![(0..1_000_u64).prop_map(Process::Client), Just(Process::Named("nemesis".into()))];
    let time = 0..i64::MAX.unsigned_abs();
    (0..100_u64, kind, process, time, "[a-z]{1,8}", value(), value()).prop_map(
        |(index, kind, process, time, f, key, value)| {
            let key = Some(key).filter(|key| *key != Value::Nil);
            Event { index, kind, process, time, f, key, value }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(events in prop::collection::vec(event(), 0..6)) {
        let edn = write_edn(&events);
        prop_assert_eq!(edn.lines().count(), events.len());
        prop_assert_eq!(&read_edn(edn.as_bytes()).unwrap(), &events);
        prop_assert_eq!(&read_edn(format!("[{edn}]").as_bytes()).unwrap(), &events);
        let json = write_json(&events).unwrap();
        prop_assert!(serde_json::from_str::<Vec<Event>>(&json).is_ok(), "one document");
        prop_assert_eq!(&read_json(json.as_bytes()).unwrap(), &events);
        prop_assert_eq!(&read_json(serde_json::to_string(&events).unwrap().as_bytes()).unwrap(), &events);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\](){}#_:\"\\\\a1 ;\n]{0,40}") {
        for input in [&bytes[..], text.as_bytes()] {
            let _ = read_edn(input);
            let _ = read_json(input);
        }
    }

    #[test]
    fn no_damage_panics(at in 0..JEPSEN.len(), byte: u8) {
        let mut bytes = JEPSEN.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(events) = read_edn(&bytes) {
            let _ = operations(&events, KeyPlace::Value).map(|operations| {
                (register(&operations, NilRead::Absent), set(&operations), counter(&operations))
            });
        }
    }
}
