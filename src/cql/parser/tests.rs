use proptest::prelude::*;

use super::*;
use crate::cql::*;

/// The source parses, and prints as the second text.
#[track_caller]
fn accepts(source: &str, printed: &str) {
    match parse_one(source) {
        Ok(statement) => assert_eq!(statement.to_string(), printed),
        Err(error) => panic!("{}", error.render(source, 1)),
    }
}

/// The source is refused with exactly this message.
#[track_caller]
fn refuses(source: &str, rendered: &str) {
    let errors: Vec<_> = Script::new(source).filter_map(Result::err).collect();
    let [error] = &*errors else { panic!("not refused: {source}") };
    assert_eq!(format!("{}\n", error.render(source, 1)), rendered);
}

#[test]
fn accepts_the_language() {
    accepts(
        "create table if not exists Carts (key text primary key, value blob) with replication = 3 and KIND = 'Register'",
        "CREATE TABLE IF NOT EXISTS carts (key TEXT PRIMARY KEY, value BLOB) WITH kind = 'register' AND replication = 3",
    );
    accepts(
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT);",
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT)",
    );
    accepts(
        "INSERT INTO t (value, key) VALUES ('it''s', 0x00fF) USING CONSISTENCY all",
        "INSERT INTO t (key, value) VALUES (0x00ff, 'it''s') USING CONSISTENCY ALL",
    );
    accepts("insert into t(key,value)values(?,:value)", "INSERT INTO t (key, value) VALUES (?, :value)");
    accepts("SELECT * FROM t WHERE key = 'a'", "SELECT key, value FROM t WHERE key = 'a'");
    accepts(
        "SELECT value FROM t WHERE key IN ('a', 'ü') USING CONSISTENCY 2",
        "SELECT value FROM t WHERE key IN ('a', 'ü') USING CONSISTENCY 2",
    );
    accepts("DELETE FROM t WHERE key = 'a' -- gone\n", "DELETE FROM t WHERE key = 'a'");
    accepts(
        "COPY t FROM 'a.csv' WITH HEADER = TRUE AND DELIMITER = '\\t'",
        "COPY t FROM 'a.csv' WITH header = true AND delimiter = '\t'",
    );
    accepts("/* what\n is */ DESC /* there */ CLUSTER", "DESCRIBE CLUSTER");
    accepts("DESCRIBE TABLE tables;;", "DESCRIBE TABLE tables");
    accepts("consistency", "CONSISTENCY");
    accepts("Consistency one;", "CONSISTENCY ONE");
    accepts("tracing on", "TRACING ON");
    accepts("SOURCE 'a.cql'", "SOURCE 'a.cql'");
    accepts("quit", "EXIT");
}

#[test]
fn points_at_the_mistake() {
    refuses(
        "SELECT value FORM t WHERE key = 'a'",
        "syntax error: expected FROM, found 'FORM' at line 1, column 14:\n    \
         SELECT value FORM t WHERE key = 'a'\n                 ^^^^\ndid you mean FROM?\n",
    );
    refuses(
        "SELCT 1",
        "syntax error: no statement begins with 'SELCT' at line 1, column 1:\n    SELCT 1\n    ^^^^^\n\
         did you mean SELECT?\n",
    );
    refuses(
        "DELETE FROM t WHERE key = 5",
        "syntax error: expected a key, found number 5 at line 1, column 27:\n    DELETE FROM t WHERE key = 5\n    \
         \u{20}                         ^\nwrite it as text, '5', or as a blob, 0x..\n",
    );
    refuses(
        "SELECT * FROM t WHERE key = 'open",
        "syntax error: this text is not closed at line 1, column 29:\n    SELECT * FROM t WHERE key = 'open\n    \
         \u{20}                           ^\nclose it with '; a quote inside a text is written ''\n",
    );
    refuses(
        "CONSISTENCY QOURUM",
        "syntax error: unknown consistency level 'QOURUM' at line 1, column 13:\n    CONSISTENCY QOURUM\n    \
         \u{20}           ^^^^^^\ndid you mean QUORUM?\n",
    );
    refuses(
        "CREATE TABLE t (id INT)",
        "syntax error: expected KEY, found 'id' at line 1, column 17:\n    CREATE TABLE t (id INT)\n    \
         \u{20}               ^^\na table's columns are (key TEXT PRIMARY KEY, value BLOB) or (.., value TEXT)\n",
    );
}

#[test]
fn counts_columns_in_characters_and_aligns_carets_by_width() {
    refuses(
        "DESCRIBE TABLES;\nSELECT *\n\tFROM t WHERE key = 'ü漢' USNG CONSISTENCY ONE;",
        "syntax error: unexpected 'USNG' after the statement at line 3, column 26:\n        \
         FROM t WHERE key = 'ü漢' USNG CONSISTENCY ONE;\n        \
         \u{20}                        ^^^^\ndid you mean USING?\n",
    );
}

#[test]
fn an_error_at_the_end_points_behind_the_text() {
    refuses(
        "DELETE FROM t",
        "syntax error: expected WHERE, found the end at line 1, column 14:\n    DELETE FROM t\n                 ^\n",
    );
}

#[test]
fn says_what_is_not_supported_yet() {
    let unsupported = [
        ("UPDATE locks SET value = 'me' WHERE key = 'job' IF value = 'free'", "UPDATE .. IF"),
        ("UPDATE t SET value = 'x' WHERE key = 'a' WITH CONTEXT 'c'", "UPDATE .. WITH CONTEXT"),
        ("UPDATE t SET value = 'x' WHERE key = 'a'", "UPDATE"),
        ("INSERT INTO t (key, value) VALUES ('a', 'b') USING CONSISTENCY ONE AND TTL 60", "USING TTL"),
        ("INSERT INTO t (key, value) VALUES ('a', 'b') USING TTL 60", "USING TTL"),
        ("INSERT INTO t (key, value) VALUES ('a', 'b') IF NOT EXISTS", "IF conditions"),
        ("SELECT * FROM t", "SELECT without WHERE, a scan of the table"),
        ("SELECT * FROM t LIMIT 100", "SELECT without WHERE, a scan of the table"),
        ("SELECT * FROM t WHERE key = 'a' LIMIT 1", "LIMIT"),
        ("DELETE FROM t WHERE key = 'a' WITH CONTEXT 'c'", "WITH CONTEXT"),
        ("COPY t TO 'file.csv'", "COPY .. TO"),
        ("WAIT FOR HINTS", "WAIT FOR HINTS"),
        ("TRUNCATE t", "TRUNCATE"),
        ("DROP TABLE t", "DROP"),
        ("EXPAND ON", "EXPAND"),
    ];
    for (source, feature) in unsupported {
        let error = parse_one(source).expect_err(source);
        assert_eq!((error.kind, &*error.message), (CqlErrorKind::Unsupported, feature), "{source}");
    }
}

#[test]
fn carries_on_up_to_the_mistake() {
    let parsed: Vec<_> =
        Script::new("HELP; ; EXIT; BANANA; HELP").map(|parsed| parsed.map(|(s, _)| s)).collect();
    assert_eq!(parsed.len(), 3);
    assert_eq!(parsed[..2], [Ok(Statement::Help), Ok(Statement::Exit)]);
    assert!(parsed[2].is_err());
}

#[test]
fn knows_when_more_lines_are_needed() {
    for complete in
        ["", " -- nothing\n", "SELECT;", "help", "describe tables", "x ; /* y */", "a $ b", "''';';"]
    {
        assert!(is_complete(complete), "{complete}");
    }
    for open in ["SELECT *", "SELECT ';", "INSERT /* ;", "HELP; SELECT", "'a'';"] {
        assert!(!is_complete(open), "{open}");
    }
}

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

fn statement() -> impl Strategy<Value = Statement> {
    let table = || "[a-z_][a-z0-9_]{0,20}";
    let kind = prop_oneof![Just("siblings"), Just("register"), Just("cas")];
    let kind = proptest::option::of(kind.prop_map(|kind| kind.parse().expect("a kind")));
    let value_type = prop_oneof![Just(ColumnType::Text), Just(ColumnType::Blob)];
    let create = (table(), any::<bool>(), value_type, kind, proptest::option::of(1..=15_u8));
    let create = create.prop_map(|(name, if_not_exists, value_type, kind, replication)| {
        Statement::CreateTable(CreateTable { name, if_not_exists, value_type, kind, replication })
    });
    let insert = (table(), term(), term(), level()).prop_map(|(table, key, value, consistency)| {
        Statement::Insert(Insert { table, key, value, consistency })
    });
    let projection = prop_oneof![
        Just(Projection::Key),
        Just(Projection::Value),
        Just(Projection::KeyValue),
        Just(Projection::ValueKey)
    ];
    let select = (projection, table(), proptest::collection::vec(term(), 1..4), level());
    let select = select.prop_map(|(projection, table, keys, consistency)| {
        Statement::Select(Select { projection, table, keys, consistency })
    });
    let delete = (table(), term(), level())
        .prop_map(|(table, key, consistency)| Statement::Delete(Delete { table, key, consistency }));
    let copy = (table(), any::<String>(), any::<bool>(), 1..=100_u16).prop_map(
        |(table, file, header, in_flight)| {
            let options = vec![
                CopyOption::InFlight(in_flight),
                CopyOption::Header(header),
                CopyOption::Delimiter(b'\''),
            ];
            Statement::CopyFrom(CopyFrom { table, file, options })
        },
    );
    let consistency = level().prop_map(Statement::Consistency);
    let source = any::<String>().prop_map(Statement::Source);
    prop_oneof![create, insert, select, delete, copy, consistency, source]
}

proptest! {
    #[test]
    fn a_printed_statement_parses_back(statement in statement()) {
        let printed = statement.to_string();
        prop_assert_eq!(parse_one(&printed), Ok(statement), "{}", printed);
        let closed = format!("{printed};");
        prop_assert!(is_complete(&closed));
    }

    #[test]
    fn no_text_panics(source in any::<String>()) {
        check_any(&source);
    }

    #[test]
    fn no_mixture_of_tokens_panics(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "SELECT", "*", "FROM", "t", "WHERE", "key", "=", "'a'", "IN", "(", ",", ")", "?", ":n", "0xab", "0x", "USING",
            "CONSISTENCY", "ONE", "INSERT", "INTO", "value", "VALUES", "CREATE", "TABLE", "WITH", "kind", "'", "/*", "*/",
            "--", "\n", "\t", "漢", "UPDATE", "COPY", "TO", ";", "7", "DESCRIBE", "WAIT", "AND", "TTL", "\"",
        ]), 0..20,
    ), glue in prop_oneof![Just(" "), Just("")]) {
        check_any(&words.join(glue));
    }
}

/// Parses, renders each error, and finds every span within the source.
fn check_any(source: &str) {
    is_complete(source);
    for parsed in Script::new(source) {
        match parsed {
            Ok((_, span)) => assert!(source.get(span.start..span.end).is_some()),
            Err(error) => {
                assert!(source.get(error.span.start..error.span.end).is_some(), "{error:?}");
                error.render(source, 1);
            }
        }
    }
}
