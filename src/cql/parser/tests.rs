use proptest::prelude::*;

use super::*;
use crate::cql::*;

mod arguments;
mod conditions;
mod strategies;

use self::strategies::statement;

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
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH write_consistency = all AND read_consistency = 'one'",
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH read_consistency = 'ONE' AND write_consistency = 'ALL'",
    );
    accepts(
        "alter table T with READ_CONSISTENCY = one and write_consistency = 'ALL'",
        "ALTER TABLE t WITH read_consistency = 'ONE' AND write_consistency = 'ALL'",
    );
    accepts("drop table if exists T", "DROP TABLE IF EXISTS t");
    accepts("DROP TABLE t", "DROP TABLE t");
    accepts("truncate table T", "TRUNCATE t");
    accepts("TRUNCATE t", "TRUNCATE t");
    accepts("CONSISTENCY 2", "CONSISTENCY 2");
    accepts("consistency default", "CONSISTENCY DEFAULT");
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
    accepts("help select;", "HELP SELECT");
    accepts("wait for hints", "WAIT FOR HINTS");
    accepts("WAIT FOR CONVERGENCE using timeout '2m'", "WAIT FOR CONVERGENCE USING TIMEOUT 120");
}

#[test]
fn accepts_what_says_how() {
    accepts(
        "INSERT INTO t (key, value) VALUES ('a', 'b') USING sloppy AND ttl 60 AND CONSISTENCY any",
        "INSERT INTO t (key, value) VALUES ('a', 'b') USING CONSISTENCY ANY AND TTL 60 AND SLOPPY",
    );
    accepts(
        "INSERT INTO t (key, value) VALUES ('a', 'b') WITH CONTEXT '00Ff' USING W = 2 AND TTL '1500ms'",
        "INSERT INTO t (key, value) VALUES ('a', 'b') USING CONSISTENCY 2 AND TTL '1500ms' WITH CONTEXT '00ff'",
    );
    accepts(
        "UPDATE t USING TTL '2h' SET value = 'b' WHERE key = 'a' WITH CONTEXT '00'",
        "UPDATE t SET value = 'b' WHERE key = 'a' USING TTL 7200 WITH CONTEXT '00'",
    );
    accepts("UPDATE t SET value = ? WHERE key = :k", "UPDATE t SET value = ? WHERE key = :k");
    accepts(
        "DELETE FROM t WHERE key = 'a' USING SLOPPY WITH CONTEXT '00'",
        "DELETE FROM t WHERE key = 'a' USING SLOPPY WITH CONTEXT '00'",
    );
    accepts(
        "UPDATE t SET value = ? WHERE key = ? WITH CONTEXT ?",
        "UPDATE t SET value = ? WHERE key = ? WITH CONTEXT ?",
    );
    accepts(
        "DELETE FROM t WHERE key = :k WITH CONTEXT :seen",
        "DELETE FROM t WHERE key = :k WITH CONTEXT :seen",
    );
    accepts(
        "SELECT value, writetime(value), TTL ( value ), version(value), context(value) FROM t WHERE key = 'a' \
         USING R = 1 AND MONOTONE",
        "SELECT value, WRITETIME(value), TTL(value), VERSION(value), CONTEXT(value) FROM t WHERE key = 'a' \
         USING CONSISTENCY 1 AND MONOTONE",
    );
}

/// The statement is refused with this message, carets under `at`, and this hint.
#[track_caller]
fn refuses_at(source: &str, message: &str, at: &str, hint: &str) {
    let error = parse_one(source).expect_err(source);
    assert_eq!(error.message, message, "{source}");
    assert_eq!(&source[error.span.start..error.span.end], at, "{source}");
    assert_eq!(error.hint.as_deref().unwrap_or_default(), hint, "{source}");
}

#[test]
fn points_at_clauses_that_make_no_sense() {
    let put = |clauses: &str| format!("INSERT INTO t (key, value) VALUES ('a', 'b') {clauses}");
    let get = |clauses: &str| format!("SELECT * FROM t WHERE key = 'a' {clauses}");
    let ttl = "USING TTL 3600 is in seconds; units stand in quotes: '500ms', '12h', '30d'";
    refuses_at(&put("USING MONOTONE"), "MONOTONE is for SELECT", "MONOTONE", "");
    refuses_at(&put("USING R = 2"), "R is how many replicas a read waits for: writes take W", "R", "");
    refuses_at(&get("USING w=2"), "W is how many replicas a write waits for: reads take R", "w", "");
    refuses_at(&get("USING CONSISTENCY ONE AND TTL 5"), "TTL is for INSERT and UPDATE", "TTL", "");
    refuses_at("DELETE FROM t WHERE key = 'a' USING TTL 5", "TTL is for INSERT and UPDATE", "TTL", "");
    refuses_at(&get("USING SLOPPY"), "SLOPPY is for writes", "SLOPPY", "");
    refuses_at(&put("USING TTL 0"), "a TTL is 1 ms to 36500 days: without one the value stays", "0", ttl);
    refuses_at(&put("USING TTL '5'"), "'5' has no unit: write `500ms`, `2s` or `1m`", "'5'", ttl);
    refuses_at(&put("USING TTL '1us'"), "a TTL counts whole milliseconds", "'1us'", ttl);
    refuses_at(
        &put("USING TTL 500ms"),
        "'500ms' is neither a number nor a name",
        "500ms",
        "durations stand in single quotes: '500ms'",
    );
    refuses_at(
        &put("USING TLT 5"),
        "expected CONSISTENCY, W, TTL or SLOPPY, found 'TLT'",
        "TLT",
        "did you mean TTL?",
    );
    refuses_at(
        &put("USING W = QUORUM"),
        "expected a number of replicas, found 'QUORUM'",
        "QUORUM",
        "W and R count replicas; levels with names follow CONSISTENCY",
    );
    refuses_at(&put("USING W = 0"), "a number of replicas is 1 to 255", "0", "");
    refuses_at(&put("USING W = 1 AND CONSISTENCY ONE"), "CONSISTENCY is given twice", "CONSISTENCY", "");
    refuses_at(
        "UPDATE t USING TTL 5 SET value = 'b' WHERE key = 'a' USING SLOPPY",
        "USING is given twice",
        "USING",
        "join what follows with AND: USING CONSISTENCY ONE AND ..",
    );
    refuses_at(
        &put("USING TIMESTAMP 5"),
        "USING TIMESTAMP",
        "TIMESTAMP",
        "the nodes' clocks name versions; WRITETIME(value) reads them",
    );
}

#[test]
fn points_at_contexts_columns_and_options_that_are_none() {
    refuses_at(
        "UPDATE t SET value = 'b' WHERE key = 'a' WITH CONTEXT 'zz'",
        "a context is an even number of hex digits, as a read printed it",
        "'zz'",
        "SELECT CONTEXT(value) FROM .. prints the context of a key",
    );
    refuses_at(
        "DELETE FROM t WHERE key = 'a' WITH CONTXT '00'",
        "expected CONTEXT, found 'CONTXT'",
        "CONTXT",
        "did you mean CONTEXT?",
    );
    refuses_at(
        "INSERT INTO t VALUES ('a', 'b')",
        "expected '(', found 'VALUES'",
        "VALUES",
        "INSERT INTO table (key, value) VALUES ('..', '..')",
    );
    let functions = "functions: WRITETIME(value), TTL(value), VERSION(value), CONTEXT(value)";
    refuses_at("SELECT TTL(key) FROM t WHERE key = 'a'", "expected VALUE, found 'key'", "key", functions);
    refuses_at("SELECT value, VALUE FROM t WHERE key = 'a'", "value is selected twice", "VALUE", "");
    refuses_at(
        "SELECT WRITETMIE(value) FROM t WHERE key = 'a'",
        "expected *, key, value or a function of value, found 'WRITETMIE'",
        "WRITETMIE",
        "did you mean WRITETIME?",
    );
    refuses_at(
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH read_consistency = ANY",
        "ANY is for writes only",
        "ANY",
        "a read needs at least ONE replica",
    );
}

#[test]
fn points_at_limits_and_pages_that_are_none() {
    let limit = "LIMIT stands before USING, and keys that are named have none";
    refuses_at("SELECT * FROM t WHERE key = 'a' LIMIT 1", limit, "LIMIT", "");
    refuses_at("SELECT * FROM t USING CONSISTENCY ONE LIMIT 1", limit, "LIMIT", "");
    refuses_at("SELECT * FROM t LIMIT 0", "LIMIT must be at least 1", "0", "");
    refuses_at(
        "SELECT * FROM t LIMT 5",
        "unexpected 'LIMT' after the statement",
        "LIMT",
        "did you mean LIMIT?",
    );
    refuses_at(
        "SELECT * FROM t WERE key = 'a'",
        "unexpected 'WERE' after the statement",
        "WERE",
        "did you mean WHERE?",
    );
    let tables = "DESCRIBE TABLES lists the tables, DESCRIBE TABLE name shows one";
    refuses_at("\\d+ carts", "commands are words here", "\\d+", tables);
    refuses_at("\\dt;", "commands are words here", "\\dt", tables);
    refuses_at("\\?", "commands are words here", "\\?", "HELP lists the statements and commands");
    refuses_at("HELP SELCT", "no statement begins with 'SELCT'", "SELCT", "did you mean SELECT?");
    refuses_at(
        "PAGING SCREEN",
        "expected a number, found 'SCREEN'",
        "SCREEN",
        "PAGING ON asks when the screen is full, PAGING 100 after each 100 rows, PAGING OFF never",
    );
    refuses_at(
        "COPY t TO 'f' WITH resume = true",
        "unknown option 'resume'",
        "resume",
        "options: header or delimiter",
    );
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
fn what_moves_data_cannot_be_altered() {
    let message = |source| parse_one(source).expect_err(source).message;
    assert_eq!(message("ALTER TABLE t WITH kind = 'cas'"), "kind of a table cannot be altered");
    assert_eq!(message("ALTER TABLE t WITH replication = 1"), "replication of a table cannot be altered");
    assert_eq!(message("ALTER TABLE t"), "expected WITH, found the end");
}

#[test]
fn carries_on_up_to_the_mistake() {
    let parsed: Vec<_> =
        Script::new("HELP; ; EXIT; BANANA; HELP").map(|parsed| parsed.map(|(s, _)| s)).collect();
    assert_eq!(parsed.len(), 3);
    assert_eq!(parsed[..2], [Ok(Statement::Help(None)), Ok(Statement::Exit)]);
    assert!(parsed[2].is_err());
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
            "--", "\n", "\t", "漢", "UPDATE", "SET", "COPY", "TO", ";", "7", "DESCRIBE", "WAIT", "FOR", "HINTS", "TIMEOUT", "AND", "TTL", "SLOPPY", "MONOTONE", "W",
            "R", "CONTEXT", "'00'", "'5s'", "read_consistency", "\"", "LIMIT", "PAGING", "OFF", "ALTER", "DROP", "TRUNCATE", "IF", "EXISTS", "NOT",
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
