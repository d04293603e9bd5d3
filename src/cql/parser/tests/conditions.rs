//! `IF ..` of statements that write.

use super::{accepts, refuses, refuses_at};

#[test]
fn accepts_conditions() {
    accepts(
        "update locks set value = 'me' where key = 'job' if value = 'free'",
        "UPDATE locks SET value = 'me' WHERE key = 'job' IF value = 'free'",
    );
    accepts(
        "UPDATE t SET value = ? WHERE key = ? if exists",
        "UPDATE t SET value = ? WHERE key = ? IF EXISTS",
    );
    accepts(
        "UPDATE t SET value = 'b' WHERE key = 'a' IF value = 0x00",
        "UPDATE t SET value = 'b' WHERE key = 'a' IF value = 0x00",
    );
    accepts(
        "insert into t (value, key) values ('b', 'a') if not exists",
        "INSERT INTO t (key, value) VALUES ('a', 'b') IF NOT EXISTS",
    );
    accepts("DELETE FROM t WHERE key = 'a' IF EXISTS", "DELETE FROM t WHERE key = 'a' IF EXISTS");
    accepts("DELETE FROM t WHERE key = 'a' IF value = :old", "DELETE FROM t WHERE key = 'a' IF value = :old");
}

#[test]
fn using_stands_before_a_condition_or_after_it() {
    for (clauses, printed) in [
        ("USING CONSISTENCY ALL IF value = 'a'", "IF value = 'a' USING CONSISTENCY ALL"),
        ("IF value = 'a' USING W = 3", "IF value = 'a' USING CONSISTENCY 3"),
        ("IF EXISTS USING CONSISTENCY ALL", "IF EXISTS USING CONSISTENCY ALL"),
    ] {
        for statement in ["UPDATE t SET value = 'b' WHERE key = 'k'", "DELETE FROM t WHERE key = 'k'"] {
            accepts(&format!("{statement} {clauses}"), &format!("{statement} {printed}"));
        }
    }
    accepts(
        "INSERT INTO t (key, value) VALUES ('a', 'b') USING CONSISTENCY ALL IF NOT EXISTS",
        "INSERT INTO t (key, value) VALUES ('a', 'b') IF NOT EXISTS USING CONSISTENCY ALL",
    );
    accepts(
        "UPDATE t USING CONSISTENCY ALL SET value = 'b' WHERE key = 'k' IF EXISTS",
        "UPDATE t SET value = 'b' WHERE key = 'k' IF EXISTS USING CONSISTENCY ALL",
    );
}

#[test]
fn points_at_conditions_that_make_no_sense() {
    let update = |clauses: &str| format!("UPDATE t SET value = 'b' WHERE key = 'a' {clauses}");
    let insert = |clauses: &str| format!("INSERT INTO t (key, value) VALUES ('a', 'b') {clauses}");
    let conditions = "conditions: IF EXISTS, IF value = '..'; INSERT takes IF NOT EXISTS";
    let of_insert = "INSERT takes IF NOT EXISTS; UPDATE and DELETE take IF EXISTS and IF value = '..'";
    refuses_at(&update("IF NOT EXISTS"), "expected EXISTS or VALUE, found 'NOT'", "NOT", conditions);
    refuses_at(&update("IF key = 'a'"), "expected EXISTS or VALUE, found 'key'", "key", conditions);
    refuses_at(
        &update("IF valeu = 'a'"),
        "expected EXISTS or VALUE, found 'valeu'",
        "valeu",
        "did you mean VALUE?",
    );
    refuses_at(
        "DELETE FROM t WHERE key = 'a' IF EXIST",
        "expected EXISTS or VALUE, found 'EXIST'",
        "EXIST",
        "did you mean EXISTS?",
    );
    refuses_at(&update("IF value"), "expected '=', found the end", "", conditions);
    refuses_at(
        &update("IF value = NULL"),
        "expected a value, found 'NULL'",
        "NULL",
        "texts stand in single quotes: 'NULL'",
    );
    refuses_at(&insert("IF EXISTS"), "expected NOT, found 'EXISTS'", "EXISTS", of_insert);
    refuses_at(&insert("IF NOT EXIST"), "expected EXISTS, found 'EXIST'", "EXIST", "did you mean EXISTS?");
    let one = "a statement has one condition, of its key's value";
    refuses_at(&update("IF EXISTS USING W = 2 IF EXISTS"), "IF is given twice", "IF", one);
    refuses_at(
        &update("IF EXISTS AND value = 'a'"),
        "unexpected 'AND' after the statement",
        "AND",
        "statements are separated by ';'",
    );
    refuses_at("UPDATE t IF EXISTS SET value = 'b' WHERE key = 'a'", "expected SET, found 'IF'", "IF", "");
    refuses_at(
        "UPDATE t SET value = 'b' WHERE key = 'a' FI EXISTS",
        "unexpected 'FI' after the statement",
        "FI",
        "did you mean IF?",
    );
    refuses(
        "SELECT * FROM t WHERE key = 'a' IF EXISTS",
        "syntax error: unexpected 'IF' after the statement at line 1, column 33:\n    \
         SELECT * FROM t WHERE key = 'a' IF EXISTS\n    \
         \u{20}                               ^^\nstatements are separated by ';'\n",
    );
}

#[test]
fn points_at_what_does_not_go_with_a_condition() {
    let update = |clauses: &str| format!("UPDATE t SET value = 'b' WHERE key = 'a' {clauses}");
    let expires = "conditions are for cas tables, and values there do not expire";
    for clauses in ["IF EXISTS USING CONSISTENCY ALL AND TTL 60", "USING TTL 60 IF value = 'a'"] {
        refuses_at(&update(clauses), "TTL does not go with IF", "TTL", expires);
    }
    refuses_at(
        "UPDATE t USING TTL 60 SET value = 'b' WHERE key = 'a' IF EXISTS",
        "TTL does not go with IF",
        "TTL",
        expires,
    );
    let context = "a context says what is replaced in siblings tables, IF value = '..' in cas tables";
    for clauses in ["IF EXISTS WITH CONTEXT '00'", "WITH CONTEXT '00' IF EXISTS"] {
        refuses_at(&update(clauses), "WITH CONTEXT does not go with IF", "WITH CONTEXT '00'", context);
    }
    refuses_at(
        "INSERT INTO t (key, value) VALUES ('a', 'b') USING SLOPPY IF NOT EXISTS",
        "SLOPPY does not go with IF",
        "SLOPPY",
        "conditions are for cas tables, SLOPPY is for siblings tables",
    );
}
