//! Statements of programs: parameters, answers, and what they cost.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use quorate::{
    client::{
        Client, Consistency, Failure, Fault, Mock, NoRetries, Outcome, Profile, ReadError, TableKind,
        WriteError,
    },
    cql::{Answer, CqlErrorKind, ExecuteError, Marker, Parameters, PlanError, PrepareError},
};

use super::{observer::Heard, semantics::Seen};

async fn start() -> (Mock, Client, Arc<Heard>) {
    let (mock, heard) = (Mock::new(), Arc::new(Heard::default()));
    let client = Client::builder().observer(heard.clone()).build_mock(&mock);
    client.execute("CREATE TABLE carts (key TEXT PRIMARY KEY, value TEXT)", ()).await.unwrap();
    client
        .execute("CREATE TABLE locks (key TEXT PRIMARY KEY, value TEXT) WITH kind = 'cas'", ())
        .await
        .unwrap();
    heard.take();
    (mock, client, heard)
}

fn requests(heard: &Heard) -> Vec<String> {
    heard.take().into_iter().filter(|line| line.starts_with("request")).collect()
}

#[tokio::test]
async fn values_stand_for_their_parameters() {
    let (_, client, _) = start().await;
    let update = client.prepare("UPDATE carts SET value = ? WHERE key = ?").unwrap();
    update.execute(("2 apples", "alice")).await.unwrap().written().unwrap();
    update.execute(vec![Bytes::from_static(&[0xff]), Bytes::from_static(b"bob")]).await.unwrap();
    let insert = "INSERT INTO carts (key, value) VALUES (:key, :value)";
    client.execute(insert, [(":key", "eve"), (":value", "'; DROP TABLE carts; --")]).await.unwrap();

    let select = "SELECT * FROM carts WHERE key IN (?, ?, 'eve', :nobody)";
    let parameters = Parameters::none().push("bob").push("alice").set("nobody", "zoe");
    let reads = client.execute(select, parameters).await.unwrap().reads().unwrap();
    let values: Vec<_> =
        reads.iter().map(|(key, read)| (&key[..], read.value().unwrap().map(|v| &v[..]))).collect();
    let expected: [(&[u8], Option<&[u8]>); 4] = [
        (b"bob", Some(&[0xff])),
        (b"alice", Some(b"2 apples")),
        (b"eve", Some(b"'; DROP TABLE carts; --")),
        (b"zoe", None),
    ];
    assert_eq!(values, expected);

    let delete = client.prepare("DELETE FROM carts WHERE key = ?").unwrap();
    delete.execute(("bob",)).await.unwrap();
    let read =
        client.execute("SELECT value FROM carts WHERE key = ?", ["bob"]).await.unwrap().read().unwrap();
    assert_eq!(read.value(), Ok(None));
}

#[tokio::test]
async fn nothing_is_sent_unless_each_parameter_has_a_value_and_each_value_a_parameter() {
    let (_, client, heard) = start().await;
    let update = client.prepare("UPDATE carts SET value = ? WHERE key = :key").unwrap();
    let refused = [
        (Parameters::none(), PlanError::MissingNamed("key".to_owned())),
        (Parameters::none().set("key", "k"), PlanError::MissingPositional { position: 0, given: 0 }),
        (
            Parameters::none().push("v").push("w").set("key", "k"),
            PlanError::SurplusPositional { wanted: 1, given: 2 },
        ),
        (
            Parameters::none().push("v").set("key", "k").set("kex", "k"),
            PlanError::UnknownNamed("kex".to_owned()),
        ),
    ];
    for (parameters, why) in refused {
        let error = update.execute(parameters).await.unwrap_err();
        assert_eq!(error, ExecuteError::Parameters(why.clone()));
        assert_eq!((error.outcome(), error.failure()), (Outcome::NotApplied, None), "{why}");
    }
    let error =
        client.execute("CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT)", ("x",)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Parameters(PlanError::SurplusPositional { wanted: 0, given: 1 })));
    assert_eq!(requests(&heard), [""; 0]);
    update.execute(Parameters::none().push("v").set("key", "k")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_statement_of_programs_is_refused_with_the_place_or_a_way() {
    let (_, client, heard) = start().await;
    let error = client.prepare("SELECT *\nFORM carts").unwrap_err();
    let syntax = error.syntax().unwrap();
    assert_eq!((syntax.kind, syntax.span.start..syntax.span.end), (CqlErrorKind::Syntax, 9..13));
    let message = "syntax error: expected FROM, found 'FORM' at line 2, column 1:\n    FORM carts\n    ^^^^\n\
                   did you mean FROM?";
    assert_eq!(error.to_string(), message);
    let executed = client.execute("SELECT *\nFORM carts", ()).await.unwrap_err();
    assert_eq!((executed.outcome(), &executed), (Outcome::NotApplied, &ExecuteError::Prepare(error)));

    for text in ["", "SELECT * FROM carts; SELECT * FROM carts"] {
        assert!(matches!(client.prepare(text), Err(PrepareError::Malformed { .. })), "{text}");
    }
    let commands = [
        ("COPY carts FROM 'f.csv'", "COPY"),
        ("COPY carts TO 'f.csv'", "COPY"),
        ("CONSISTENCY ONE", "CONSISTENCY"),
        ("TRACING ON", "TRACING"),
        ("EXPAND ON", "EXPAND"),
        ("TIMING ON", "TIMING"),
        ("PAGING OFF", "PAGING"),
        ("SOURCE 'f.cql'", "SOURCE"),
        ("WAIT FOR HINTS", "WAIT"),
        ("DESCRIBE CLUSTER", "DESCRIBE CLUSTER"),
        ("HELP", "HELP"),
        ("EXIT", "EXIT"),
    ];
    for (text, command) in commands {
        let error = client.prepare(text).unwrap_err();
        let begins = format!("{command} is a command of the shell, not a statement of programs: ");
        assert!(error.to_string().starts_with(&begins), "{error}");
        assert!(error.syntax().is_none() && client.execute(text, ()).await.is_err());
    }
    assert_eq!(requests(&heard), [""; 0]);
}

#[tokio::test]
async fn a_context_of_a_read_says_what_is_replaced() {
    let (_, client, _) = start().await;
    let read =
        async || client.execute("SELECT * FROM carts WHERE key = 'alice'", ()).await.unwrap().read().unwrap();
    let update = client.prepare("UPDATE carts SET value = ? WHERE key = 'alice' WITH CONTEXT ?").unwrap();
    let empty = read().await.context();
    update.execute(("apples", &empty)).await.unwrap();
    update.execute(("pears", &empty)).await.unwrap();
    let both = read().await;
    assert_eq!(both.values(), ["apples", "pears"]);
    update.execute(("both", both.context())).await.unwrap();
    assert_eq!(read().await.values(), ["both"]);
    let error = update.execute(("x", "nonsense")).await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::BadContext(_))), "{error}");
}

#[tokio::test]
async fn a_condition_that_is_not_met_is_an_answer() {
    let (_, client, _) = start().await;
    let lock = client.prepare("INSERT INTO locks (key, value) VALUES ('job', ?) IF NOT EXISTS").unwrap();
    assert!(lock.execute(("me",)).await.unwrap().compared().unwrap().is_applied());
    let late = lock.execute(("you",)).await.unwrap().compared().unwrap();
    assert_eq!((late.is_applied(), late.found()), (false, Some(&"me".into())));
    let free = client.prepare("DELETE FROM locks WHERE key = 'job' IF value = :holder").unwrap();
    assert!(!free.execute([("holder", "you")]).await.unwrap().compared().unwrap().is_applied());
    assert!(free.execute([("holder", "me")]).await.unwrap().compared().unwrap().is_applied());
    let update = "UPDATE locks SET value = ? WHERE key = ? IF EXISTS USING CONSISTENCY ALL";
    let compared = client.execute(update, ("me", "job")).await.unwrap().compared().unwrap();
    assert_eq!((compared.is_applied(), compared.receipt().consistency), (false, Consistency::All));
}

#[tokio::test]
async fn scans_come_page_by_page_and_end_at_their_limit() {
    let (mock, client, heard) = start().await;
    let insert = client.prepare("INSERT INTO carts (key, value) VALUES (?, 'v')").unwrap();
    for key in 0..10 {
        insert.execute((key.to_string(),)).await.unwrap();
    }
    heard.take();
    let scan = async |text: &str| client.execute(text, ()).await.unwrap().scan().unwrap().page_rows(3);
    let mut all = scan("SELECT * FROM carts").await;
    assert_eq!(requests(&heard), [""; 0], "nothing is read before it is taken");
    let mut keys = Vec::new();
    while let Some(page) = all.next_page().await.unwrap() {
        keys.extend(page.rows.into_iter().map(|row| row.key().clone()));
    }
    assert_eq!((keys.len(), requests(&heard).len()), (10, 4));

    let mut some = scan("SELECT * FROM carts LIMIT 4 USING CONSISTENCY ONE").await;
    let mut first = Vec::new();
    while let Some(row) = some.next().await.unwrap() {
        first.push(row.key().clone());
    }
    assert_eq!(first, keys[..4]);
    assert_eq!(requests(&heard), ["request 1: scan carts ONE: applied"; 2]);
    let mut rest = scan("SELECT * FROM carts LIMIT 100").await.after(some.cursor().unwrap());
    let mut more = 0;
    while rest.next().await.unwrap().is_some() {
        more += 1;
    }
    assert_eq!(more, 6);
    assert!(scan("SELECT * FROM carts").await.limit(0).next_page().await.unwrap().is_none());

    mock.fail_next_read(Fault::Silence);
    let timeout = Duration::from_millis(50);
    let mut slow = client.execute("SELECT * FROM carts", ()).timeout(timeout).await.unwrap().scan().unwrap();
    let error = slow.next_page().await.unwrap_err();
    assert!(matches!(error, ReadError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn tables_are_created_changed_and_described() {
    let (_, client, _) = start().await;
    let create = "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH kind = 'register' AND replication = 2 \
                  AND read_consistency = 'ONE' AND write_consistency = 'ALL'";
    let created = client.execute(create, ()).await.unwrap().table().unwrap();
    assert_eq!((created.kind, created.replication), (TableKind::Register, 2));
    assert_eq!((created.read_consistency, created.write_consistency), (Consistency::One, Consistency::All));
    let error = client.execute(create, ()).await.unwrap_err();
    assert_eq!(error.failure(), Some(&Failure::TableExists { name: "t".to_owned() }));
    let again = "CREATE TABLE IF NOT EXISTS t (key TEXT PRIMARY KEY, value TEXT)";
    assert_eq!(
        client.execute(again, ()).await.unwrap().table().unwrap(),
        created,
        "what is there, not what was asked for"
    );

    let put = client.prepare("INSERT INTO t (key, value) VALUES ('k', 'v')").unwrap();
    let level = async || put.execute(()).await.unwrap().written().unwrap().receipt().consistency;
    assert_eq!(level().await, Consistency::All);
    let altered =
        client.execute("ALTER TABLE t WITH write_consistency = 'TWO'", ()).await.unwrap().table().unwrap();
    assert_eq!((altered.read_consistency, altered.write_consistency), (Consistency::One, Consistency::Two));
    assert_eq!(level().await, Consistency::Two, "what was looked up before holds no more");
    assert_eq!(client.execute("DESCRIBE TABLE t", ()).await.unwrap().table().unwrap(), altered);
    let Answer::Tables(tables) = client.execute("DESCRIBE TABLES", ()).await.unwrap() else {
        panic!("no tables")
    };
    assert_eq!(tables.iter().map(|table| &*table.name).collect::<Vec<_>>(), ["carts", "locks", "t"]);

    let values = async || {
        let read = client.execute("SELECT * FROM t WHERE key = 'k'", ()).await?;
        Ok::<_, ExecuteError>(read.read().unwrap().values().len())
    };
    assert_eq!(values().await.unwrap(), 1);
    client.execute("TRUNCATE t", ()).await.unwrap();
    assert_eq!(values().await.unwrap(), 0);
    client.execute("DROP TABLE t", ()).await.unwrap();
    let unknown = Failure::UnknownTable { name: "t".to_owned() };
    assert_eq!(values().await.unwrap_err().failure(), Some(&unknown));
    assert_eq!(client.execute("DROP TABLE t", ()).await.unwrap_err().failure(), Some(&unknown));
    assert!(matches!(client.execute("DROP TABLE IF EXISTS t", ()).await, Ok(Answer::Done)));
}

/// Also by clients that have not heard of the changes from those who made them.
#[tokio::test]
async fn a_table_is_looked_up_once_and_again_when_tables_have_changed() {
    let (mock, client, heard) = start().await;
    let listed = || {
        let heard = heard.take_all();
        heard.iter().filter(|line| line.starts_with("request") && line.contains(": admin ")).count()
    };
    let put = client.prepare("INSERT INTO carts (key, value) VALUES (?, 'v')").unwrap();
    for key in 0..5 {
        put.execute((key.to_string(),)).await.unwrap();
        client.clone().execute("SELECT * FROM carts WHERE key = ?", (key.to_string(),)).await.unwrap();
    }
    assert_eq!(listed(), 1, "all clones and statements share what one has looked up");

    let other = mock.client();
    other.execute("ALTER TABLE carts WITH write_consistency = 'ONE'", ()).await.unwrap();
    for key in 0..5 {
        let written = put.execute((key.to_string(),)).await.unwrap().written().unwrap();
        assert_eq!(written.receipt().consistency, Consistency::One);
    }
    assert_eq!(listed(), 1);
    other.drop_table("carts").await.unwrap();
    other.create_table("carts").kind(TableKind::Register).await.unwrap();
    put.execute(("k",)).await.unwrap();
    assert_eq!(other.table("carts").await.unwrap().get("k").await.unwrap().values().len(), 1);
}

#[tokio::test]
async fn a_statements_word_counts_before_its_options_and_those_before_the_clients() {
    let (mock, ..) = start().await;
    let profile = Profile::new().write_consistency(Consistency::One);
    let client = Client::builder().profile(&profile).build_mock(&mock);
    let level = async |text: &str, profile: &Profile| {
        let written = client.execute(text, ()).profile(profile).await.unwrap().written().unwrap();
        written.receipt().consistency
    };
    let (plain, own) = ("DELETE FROM carts WHERE key = 'k'", "DELETE FROM carts WHERE key = 'k' USING W = 3");
    let two = Profile::new().write_consistency(Consistency::Two);
    assert_eq!(level(plain, &Profile::new()).await, Consistency::One);
    assert_eq!(level(plain, &two).await, Consistency::Two);
    assert_eq!(level(own, &two).await, "3".parse().unwrap());
}

#[tokio::test]
async fn options_are_parameters_too() {
    let (mock, client, heard) = start().await;
    let insert = client
        .prepare("INSERT INTO carts (key, value) VALUES (?, 'v') USING TTL ? AND CONSISTENCY ?")
        .unwrap();
    insert.execute(("long", Duration::from_secs(60), Consistency::All)).await.unwrap();
    let written = insert.execute(("short", "500ms", 2)).await.unwrap().written().unwrap();
    assert_eq!(written.receipt().consistency, "2".parse().unwrap());
    let count = async |limit: u64| {
        let scan = client.execute("SELECT * FROM carts LIMIT ? USING CONSISTENCY ?", (limit, "one"));
        let (mut scan, mut rows) = (scan.await.unwrap().scan().unwrap(), 0);
        while scan.next().await.unwrap().is_some() {
            rows += 1;
        }
        rows
    };
    assert_eq!((count(1).await, count(10).await), (1, 2));
    mock.advance(Duration::from_secs(1));
    assert_eq!(count(10).await, 1);
    heard.take();
    let error = insert.execute(("k", "soon", 2)).await.unwrap_err();
    let ExecuteError::Parameters(PlanError::WrongType { marker: Marker::Positional(1), takes, .. }) = &error
    else {
        panic!("{error}")
    };
    assert_eq!((*takes, error.outcome()), ("a number of seconds or a duration", Outcome::NotApplied));
    let error = client.execute("SELECT * FROM carts LIMIT ?", (0,)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Parameters(PlanError::OutOfRange { .. })), "{error}");
    assert_eq!(requests(&heard), [""; 0]);
}

/// One more than are asked at a time, and no answer to any.
#[tokio::test]
async fn a_select_of_several_keys_has_its_time_once() {
    let (mock, client, _) = start().await;
    let select = format!("SELECT * FROM carts WHERE key IN ({})", vec!["?"; 65].join(", "));
    let keys: Vec<_> = (0..65).map(|key| key.to_string()).collect();
    client.execute(&select, keys.clone()).await.unwrap();
    keys.iter().for_each(|_| mock.fail_next_read(Fault::Silence));
    // So long that no pause of a busy machine looks like a second turn.
    let (timeout, begun) = (Duration::from_secs(3), tokio::time::Instant::now());
    let error = client.execute(&select, keys).timeout(timeout).await.unwrap_err();
    let took = begun.elapsed();
    let ExecuteError::Read { error, .. } = &error else { panic!("{error}") };
    assert!(matches!(**error, ReadError::TimedOut { .. }), "{error}");
    assert!((timeout..2 * timeout).contains(&took), "{took:?}");
}

#[tokio::test]
async fn errors_say_what_became_of_the_statement() {
    let (mock, client, heard) = start().await;
    let put = client.prepare("INSERT INTO carts (key, value) VALUES ('k', 'v')").unwrap();
    mock.fail_next_write(Fault::UnknownApplied);
    let error = put.execute(()).await.unwrap_err();
    assert!(matches!(&error, ExecuteError::Write(WriteError::ConnectionLost { .. })), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown);
    mock.fail_next_write(Fault::UnknownApplied);
    heard.take();
    put.execute(()).idempotent(true).await.unwrap();
    assert_eq!(heard.take().len(), 3, "two attempts");

    mock.fail_next_write(Fault::Silence);
    let begun = tokio::time::Instant::now();
    let error = put.execute(()).timeout(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(&error, ExecuteError::Write(WriteError::TimedOut { .. })), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2));

    let no_retries = Profile::new().retries(NoRetries);
    mock.fail_next_read(Fault::Refused(Failure::Recovering));
    let select = client.prepare("SELECT * FROM carts WHERE key = :key").unwrap();
    let error = select.execute([("key", "k")]).profile(&no_retries).await.unwrap_err();
    assert_eq!((error.outcome(), error.failure()), (Outcome::NotApplied, Some(&Failure::Recovering)));
    assert!(error.to_string().starts_with("'k' was not read: "), "{error}");
    assert!(select.execute([("key", "k")]).await.unwrap().written().is_err());
}

/// What statements give: the same of a cluster and of the mock.
pub(crate) async fn seen_of_statements(client: &Client, seen: &mut Seen) {
    let create = "CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT) WITH read_consistency = 'ALL'";
    let created = client.execute(create, ()).await.unwrap().table().unwrap();
    seen.note("created", (&created.name, created.kind, created.read_consistency));
    seen.refused("created twice", client.execute(create, ()).await);
    let again = "CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value BLOB)";
    seen.note("created once", client.execute(again, ()).await.unwrap().table() == Ok(created));

    let insert = client.prepare("INSERT INTO notes (key, value) VALUES (?, ?) WITH CONTEXT ?").unwrap();
    let select = client.prepare("SELECT * FROM notes WHERE key IN (?, ?)").unwrap();
    let of_none =
        client.execute("SELECT * FROM notes WHERE key = 'a'", ()).await.unwrap().read().unwrap().context();
    for value in ["x", "y"] {
        insert.execute(("a", value, &of_none)).await.unwrap().written().unwrap();
    }
    seen.refused("of another key", insert.execute(("b", "x", &of_none)).await);
    for (key, read) in select.execute(("a", "b")).await.unwrap().reads().unwrap() {
        seen.read(&format!("selected {key:?}"), &read);
    }
    seen.refused("too few", select.execute(("a",)).await);
    seen.refused(
        "too large",
        select.execute(("a", "k".repeat(70_000))).await.map_err(|error| error.failure().cloned().unwrap()),
    );

    client.execute("ALTER TABLE notes WITH read_consistency = 'ONE'", ()).await.unwrap();
    let mut scan = client.execute("SELECT * FROM notes LIMIT 1", ()).await.unwrap().scan().unwrap();
    let page = scan.next_page().await.unwrap().unwrap();
    seen.note("a page", (page.rows.len(), page.receipt.consistency, scan.next().await.unwrap().is_none()));
    client.execute("TRUNCATE notes", ()).await.unwrap();
    seen.note("truncated", select.execute(("a", "b")).await.unwrap().reads().unwrap().len());
    client.execute("DROP TABLE notes", ()).await.unwrap();
    seen.refused("dropped", select.execute(("a", "b")).await);
    seen.refused("dropped twice", client.execute("DROP TABLE notes", ()).await);
    client.execute("DROP TABLE IF EXISTS notes", ()).await.unwrap();
}
