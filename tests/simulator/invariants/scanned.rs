//! A page of a scan has every key between its two places once, in the order of tokens, and each is what a read of that key
//! may answer; keys that it leaves out were absent. So pages are judged as reads of every key of their table.

use bytes::Bytes;
use quorate::{
    ring::token_of,
    storage::Row,
    wire::{Got, Scanned, ScannedRow},
};

use super::{Oracle, key::Ended};
use crate::workload::{PageRequest, place};

impl Oracle {
    /// A page was answered. `beside` has for each key what was known when it was asked for.
    pub(super) fn scanned(
        &mut self,
        ended: &Ended<'_>,
        page: &PageRequest,
        scanned: &Scanned,
        beside: &super::Beside,
    ) -> Result<(), String> {
        let table = page.scan.table;
        let row = |row: &ScannedRow| Row::new(token_of(&row.key), table, row.key.clone());
        let end = scanned.next.as_ref().map(|cursor| place(table, cursor));
        let rows: Vec<_> = scanned.rows.iter().map(row).collect();
        let mut last = &page.from;
        for row in &rows {
            if row <= last || end.as_ref().is_some_and(|end| row > end) {
                return Err(format!(
                    "scan: {:?} is out of its place, after {last:?} and before {end:?}",
                    row.key
                ));
            }
            last = row;
        }
        if end.as_ref().is_some_and(|end| *end <= page.from) {
            return Err("scan: a page has come no further".to_owned());
        }
        if let Some(row) = rows.iter().find(|row| !self.keys.iter().any(|key| key.row == **row)) {
            return Err(format!("scan: nobody wrote {:?}", row.key));
        }
        for (at, key) in self.keys.iter_mut().enumerate().filter(|(_, key)| key.row.table == table) {
            let is_in = key.row > page.from && end.as_ref().is_none_or(|end| key.row <= *end);
            let Some((told, before)) = beside.get(at).filter(|_| is_in) else {
                continue;
            };
            let ended = Ended { told: told.as_ref(), before, ..*ended };
            let answer = match rows.iter().position(|row| *row == key.row) {
                Some(nth) => key.read(&ended, &got(&scanned.rows[nth], scanned), false).map(drop),
                None => key.left_out(&ended),
            };
            answer.map_err(|why| format!("{why} (key {:?}, in a page)", key.row.key))?;
        }
        Ok(())
    }
}

/// A row as a read would have answered it.
fn got(row: &ScannedRow, page: &Scanned) -> Got {
    let mut receipt = page.receipt.clone();
    receipt.tag = row.values.first().map(|version| version.tag);
    Got { values: row.values.clone(), context: Bytes::clone(&row.context), receipt }
}
