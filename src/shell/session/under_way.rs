//! What a statement leaves behind that is given up while it is carried out.

use crate::cql::Statement;

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shell) enum UnderWay {
    /// Nothing that changes anything.
    #[default]
    NoWrite,
    /// A write, or a change of a table.
    Write,
    /// Many writes, of which it is kept how far they have come.
    CopyFrom,
}

impl UnderWay {
    /// While `statement` is carried out. One that reads others from a file has each of those under way.
    pub(super) fn of(statement: &Statement) -> Self {
        match statement {
            Statement::CreateTable(_)
            | Statement::AlterTable(_)
            | Statement::DropTable(_)
            | Statement::Truncate(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_) => Self::Write,
            Statement::CopyFrom(_) => Self::CopyFrom,
            Statement::Select(_)
            | Statement::CopyTo(_)
            | Statement::Consistency(_)
            | Statement::Describe(_)
            | Statement::Tracing(_)
            | Statement::Expand(_)
            | Statement::Timing(_)
            | Statement::Paging(_)
            | Statement::Source(_)
            | Statement::Wait(_)
            | Statement::Help(_)
            | Statement::Exit => Self::NoWrite,
        }
    }

    /// What is to be known of it when it is given up.
    pub(in crate::shell) fn given_up(self) -> &'static str {
        match self {
            Self::NoWrite => "cancelled",
            Self::Write => "cancelled; a write that was on its way may have been applied (outcome unknown)",
            Self::CopyFrom => {
                "cancelled; rows that were on their way may have been written. \
                 The same COPY WITH resume = true goes on here"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::parse_one;

    #[test]
    fn only_what_writes_may_have_been_applied() {
        for (source, expected) in [
            ("INSERT INTO t (key, value) VALUES ('a', 'b')", UnderWay::Write),
            ("UPDATE t SET value = 'b' WHERE key = 'a' IF EXISTS", UnderWay::Write),
            ("DELETE FROM t WHERE key = 'a'", UnderWay::Write),
            ("TRUNCATE t", UnderWay::Write),
            ("DROP TABLE t", UnderWay::Write),
            ("SELECT * FROM t", UnderWay::NoWrite),
            ("COPY t TO 'f'", UnderWay::NoWrite),
            ("WAIT FOR HINTS", UnderWay::NoWrite),
            ("COPY t FROM 'f'", UnderWay::CopyFrom),
        ] {
            let under_way = UnderWay::of(&parse_one(source).expect("a statement"));
            assert_eq!(under_way, expected, "{source}");
            let says_so = under_way.given_up().contains("may have been");
            assert_eq!(says_so, expected != UnderWay::NoWrite, "{source}");
        }
    }
}
