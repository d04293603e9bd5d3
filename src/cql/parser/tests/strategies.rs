//! Statements of every kind, at random.

use proptest::prelude::*;
use quorate_ring::Consistency;

use crate::cql::*;

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![
        any::<String>().prop_map(Term::Text),
        any::<Vec<u8>>().prop_map(Term::Blob),
        "[a-z_][a-z0-9_]{0,8}".prop_map(Term::Named),
    ]
}

fn level() -> impl Strategy<Value = Option<Consistency>> {
    let word = prop_oneof![
        Just("one".to_owned()),
        Just("Quorum".to_owned()),
        (1..=255_u8).prop_map(|n| n.to_string())
    ];
    proptest::option::of(word.prop_map(|word| word.parse().expect("a level")))
}

fn argument<T: Clone + std::fmt::Debug>(
    written: impl Strategy<Value = Option<T>>,
) -> impl Strategy<Value = Option<Argument<T>>> {
    (written, proptest::option::of("[a-z_][a-z0-9_]{0,8}")).prop_map(|(written, name)| match name {
        Some(name) => written.map(|_| Argument::Parameter(Marker::Named(name))),
        None => written.map(Argument::Written),
    })
}

fn create() -> impl Strategy<Value = Statement> {
    let kind = prop_oneof![Just("siblings"), Just("register"), Just("cas")];
    let kind = proptest::option::of(kind.prop_map(|kind| kind.parse().expect("a kind")));
    let value_type = prop_oneof![Just(ColumnType::Text), Just(ColumnType::Blob)];
    let create =
        (table(), any::<bool>(), value_type, kind, proptest::option::of(1..=15_u8), level(), level());
    create.prop_map(|(name, if_not_exists, value_type, kind, replication, reads, writes)| {
        Statement::CreateTable(CreateTable {
            name,
            if_not_exists,
            value_type,
            kind,
            replication,
            read_consistency: reads,
            write_consistency: writes,
        })
    })
}

fn change() -> impl Strategy<Value = Statement> {
    let alter = (table(), level(), level()).prop_map(|(name, reads, writes)| {
        let read_consistency = reads.or(Some(Consistency::One).filter(|_| writes.is_none()));
        Statement::AlterTable(AlterTable { name, read_consistency, write_consistency: writes })
    });
    let drop = (table(), any::<bool>())
        .prop_map(|(name, if_exists)| Statement::DropTable(DropTable { name, if_exists }));
    prop_oneof![alter, drop, table().prop_map(Statement::Truncate)]
}

fn table() -> impl Strategy<Value = String> {
    "[a-z_][a-z0-9_]{0,20}"
}

fn write_options() -> impl Strategy<Value = WriteOptions> {
    let ttl = proptest::option::of((1..=100_000_000_u64).prop_map(std::time::Duration::from_millis));
    let context =
        proptest::option::of(term().prop_filter("a context", |term| !matches!(term, Term::Text(_))));
    let options = (argument(level()), argument(ttl), any::<bool>(), context);
    options.prop_map(|(consistency, ttl, sloppy, context)| WriteOptions { consistency, ttl, sloppy, context })
}

fn condition() -> impl Strategy<Value = Option<Condition>> {
    proptest::option::of(prop_oneof![Just(Condition::Exists), term().prop_map(Condition::Value)])
}

/// What of them goes with a condition.
fn of_cas(options: &WriteOptions) -> WriteOptions {
    WriteOptions { consistency: options.consistency.clone(), ..WriteOptions::default() }
}

fn select() -> impl Strategy<Value = Statement> {
    use Column::{Context, Key, Ttl, Value, Version, WriteTime};
    let columns = proptest::sample::subsequence(vec![Key, Value, WriteTime, Ttl, Version, Context], 1..=6);
    let columns = columns.prop_shuffle();
    let keys = proptest::collection::vec(term(), 0..4);
    let limit = argument(proptest::option::of(1_u64..));
    let select = (columns, table(), keys, argument(level()), any::<bool>(), limit);
    select.prop_map(|(columns, table, keys, consistency, monotone, limit)| {
        let limit = limit.filter(|_| keys.is_empty());
        let options = ReadOptions { consistency, monotone };
        Statement::Select(Select { columns, table, keys, limit, options })
    })
}

pub(super) fn statement() -> impl Strategy<Value = Statement> {
    let insert = (table(), term(), term(), any::<bool>(), write_options()).prop_map(
        |(table, key, value, if_not_exists, options)| {
            let options = if if_not_exists { of_cas(&options) } else { options };
            Statement::Insert(Insert { table, key, value, if_not_exists, options })
        },
    );
    let update = (table(), term(), term(), condition(), write_options()).prop_map(
        |(table, key, value, condition, options)| {
            let options = if condition.is_some() { of_cas(&options) } else { options };
            Statement::Update(Update { table, key, value, condition, options })
        },
    );
    let delete =
        (table(), term(), condition(), write_options()).prop_map(|(table, key, condition, options)| {
            let options = if condition.is_some() { of_cas(&options) } else { options };
            let options = WriteOptions { ttl: None, ..options };
            Statement::Delete(Delete { table, key, condition, options })
        });
    let copy = (table(), any::<String>(), any::<bool>(), 1..=100_u16).prop_map(
        |(table, file, header, in_flight)| {
            let options = vec![
                CopyOption::InFlight(in_flight),
                CopyOption::Header(header),
                CopyOption::Delimiter(b'\''),
                CopyOption::Resume(!header),
                CopyOption::Progress("it's".to_owned()),
            ];
            if in_flight % 2 == 0 {
                return Statement::CopyTo(CopyTo { table, file, options: options[1..3].to_vec() });
            }
            Statement::CopyFrom(CopyFrom { table, file, options })
        },
    );
    let consistency = proptest::option::of(level().prop_map(|level| match level {
        Some(level) => SessionLevel::Level(level),
        None => SessionLevel::Default,
    }));
    let consistency = consistency.prop_map(Statement::Consistency);
    let source = any::<String>().prop_map(Statement::Source);
    let timeout = proptest::option::of((0..=100_000_000_u64).prop_map(std::time::Duration::from_millis));
    let wait = (any::<bool>(), timeout).prop_map(|(hints, timeout)| {
        let what = if hints { WaitFor::Hints } else { WaitFor::Convergence };
        Statement::Wait(Wait { what, timeout })
    });
    let paging = prop_oneof![Just(Paging::Screen), Just(Paging::Off), (1_u32..).prop_map(Paging::Rows)];
    let paging = proptest::option::of(paging).prop_map(Statement::Paging);
    let switch = proptest::option::of(any::<bool>());
    let switch = (switch, 0..3_u8).prop_map(|(on, which)| match which {
        0 => Statement::Tracing(on),
        1 => Statement::Expand(on),
        _ => Statement::Timing(on),
    });
    prop_oneof![
        wait,
        paging,
        switch,
        create(),
        change(),
        insert,
        update,
        select(),
        delete,
        copy,
        consistency,
        source
    ]
}
