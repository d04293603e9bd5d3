//! The tables that clients use.

use quorate::ring::{TableId, TableKind};

/// The table of registers that every run has.
pub(crate) const REGISTERS: TableId = TableId(1);
/// The table of siblings that every run has.
pub(crate) const SIBLINGS: TableId = TableId(2);
/// The `cas` table that a run has if it has keys of one.
pub(crate) const CAS: TableId = TableId(3);

/// The table that has the keys of a kind.
pub(crate) fn table_of(kind: TableKind) -> TableId {
    match kind {
        TableKind::Register => REGISTERS,
        TableKind::Siblings => SIBLINGS,
        TableKind::Cas => CAS,
    }
}
