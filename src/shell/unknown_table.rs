//! What to say of a table that there is not: which one may have been meant, and where it was named.

use quorate_ring::Table;

use super::{Session, ShellError};
use crate::cql::{CqlError, Span, table_span};

/// The complaint of a command that names a table which is none of `tables`.
pub fn unknown_table(name: &str, tables: &[Table]) -> String {
    match near(name, tables) {
        Some(meant) => format!("unknown table '{name}'; did you mean {meant}?"),
        None => format!("unknown table '{name}'; `quorate admin tables` lists them"),
    }
}

/// The error of the statement at `span` in `chunk`, which begins at `first_line` of its file: pointing at the table, if that is
/// what is wrong.
pub(super) async fn pointed_out(
    error: ShellError,
    session: &Session,
    (chunk, span): (&str, Span),
    first_line: usize,
) -> ShellError {
    let (Some((name, outcome)), Some(table)) =
        (error.unknown_table(), chunk.get(span.start..span.end).and_then(table_span))
    else {
        return error;
    };
    // Nobody may answer now: then nothing is known of what was meant.
    let tables = session.client().tables().await.unwrap_or_default();
    let hint = match near(name, &tables) {
        Some(meant) => format!("did you mean {meant}? DESCRIBE TABLES lists them all"),
        None => "DESCRIBE TABLES lists them".to_owned(),
    };
    let span = Span { start: span.start + table.start, end: span.start + table.end };
    let error = CqlError::unknown_table(format!("unknown table '{name}'{outcome}"), span, hint);
    ShellError::Cql(error.render(chunk, first_line))
}

/// The table that `name` is most likely a misspelling of: at most a third of its letters are wrong.
fn near<'t>(name: &str, tables: &'t [Table]) -> Option<&'t str> {
    let distance = |table: &'t Table| (strsim::damerau_levenshtein(name, &table.name), &*table.name);
    let (wrong, meant) = tables.iter().map(distance).min()?;
    (wrong <= name.len().div_ceil(3) && wrong < name.len()).then_some(meant)
}

#[cfg(test)]
mod tests {
    use quorate_ring::{TableId, TableKind};

    use super::*;

    fn tables(names: &[&str]) -> Vec<Table> {
        let table = |name: &&str| Table::new(TableId(1), *name, TableKind::Register, 1);
        names.iter().map(table).collect()
    }

    #[test]
    fn a_table_is_offered_for_a_name_that_is_near() {
        let tables = tables(&["carts", "locks", "t"]);
        for (name, meant) in [("crats", Some("carts")), ("cart", Some("carts")), ("lock5", Some("locks"))] {
            assert_eq!(near(name, &tables), meant);
        }
        for name in ["banana", "x", "car_ts_of_then"] {
            assert_eq!(near(name, &tables), None, "{name}");
        }
        assert_eq!(unknown_table("crats", &tables), "unknown table 'crats'; did you mean carts?");
        assert_eq!(unknown_table("x", &[]), "unknown table 'x'; `quorate admin tables` lists them");
    }
}
