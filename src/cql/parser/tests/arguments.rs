//! Parameters in the place of numbers, durations and levels.

use super::{accepts, refuses_at};

#[test]
fn accepts_parameters_where_options_have_values() {
    accepts(
        "INSERT INTO t (key, value) VALUES (?, ?) USING CONSISTENCY ? AND TTL :ttl",
        "INSERT INTO t (key, value) VALUES (?, ?) USING CONSISTENCY ? AND TTL :ttl",
    );
    accepts(
        "UPDATE t USING TTL :ttl SET value = :value WHERE key = :key",
        "UPDATE t SET value = :value WHERE key = :key USING TTL :ttl",
    );
    accepts("SELECT * FROM t LIMIT ? USING R = :n", "SELECT key, value FROM t LIMIT ? USING CONSISTENCY :n");
    accepts("DELETE FROM t WHERE key = ? USING W = ?", "DELETE FROM t WHERE key = ? USING CONSISTENCY ?");
}

#[test]
fn refuses_parameters_where_a_statement_must_say_it_itself() {
    refuses_at(
        "CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH replication = ?",
        "expected a number, found '?'",
        "?",
        "",
    );
}
