//! Which keys a run has, and how clients treat them.

use std::fmt;

use quorate::ring::TableKind;

use crate::random::Random;

/// Everything drawn about keys. Rates are per mille.
#[derive(Clone, Debug)]
pub(crate) struct KeysOptions {
    pub(crate) keys: Vec<KeyOptions>,
    /// One key, and twice the clients in little time.
    pub(crate) crowded: bool,
    /// Writes of siblings that carry a context.
    pub(crate) contexts: u64,
    /// Of those, how many carry an older one than the client's last.
    pub(crate) stale: u64,
    /// Reads of siblings that settle for less than linearizable.
    pub(crate) monotone: u64,
    /// Writes of siblings at any level for which fallbacks may count.
    pub(crate) sloppy: u64,
    /// Writes of keys that expire which do.
    pub(crate) expiring: u64,
    /// Writes of `cas` keys that depend on what the key holds.
    pub(crate) conditions: u64,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyOptions {
    pub(crate) kind: TableKind,
    /// Used at QUORUM and ALL only. Of the others less is promised: a session at ONE reads its own writes, and
    /// nothing that was acknowledged is lost.
    pub(crate) strict: bool,
    /// Some of its writes expire.
    pub(crate) expires: bool,
}

impl KeysOptions {
    /// Draws them. What is drawn for registers alone comes from `random`; the rest has a stream of its own.
    pub(crate) fn draw(random: &mut Random, seed: u64, only: Option<TableKind>, without_cas: bool) -> Self {
        let strict = *random.pick(&[1, 1, 2, 3]);
        let any_level = *random.pick(&[0, 0, 1, 2]);
        let random = &mut Random::stream(seed, "keys");
        let kinds = *random.pick(&[REGISTERS, REGISTERS, SIBLINGS, SIBLINGS, SIBLINGS, BOTH, BOTH]);
        let kinds = match only {
            Some(TableKind::Register) => REGISTERS,
            Some(TableKind::Cas) => CAS,
            Some(_) => SIBLINGS,
            None => kinds,
        };
        let key = |place: usize, strict| {
            let kind = kinds[place % 2];
            KeyOptions { kind, strict, expires: false }
        };
        let keys = (0..strict).map(|place| key(place, true));
        // Below QUORUM nothing is written to a `cas` table.
        let any_level = if only == Some(TableKind::Cas) { 0 } else { any_level };
        let mut keys: Vec<_> = keys.chain((0..any_level).map(|place| key(place + 1, false))).collect();
        if kinds == BOTH && keys.len() == 1 {
            keys.push(key(1, true));
        }
        let (crowded, expires) = (random.chance(100), random.chance(300));
        if crowded && only.is_none() {
            keys.truncate(1);
        }
        if let Some(key) = keys.iter_mut().find(|key| key.strict && key.kind == TableKind::Register) {
            key.expires = expires && only.is_none();
        }
        let random_of_cas = &mut Random::stream(seed, "cas");
        let has_cas = random_of_cas.chance(250) && only.is_none() && !without_cas;
        if let Some(key) = keys.iter_mut().find(|key| key.strict && !key.expires).filter(|_| has_cas) {
            key.kind = TableKind::Cas;
        }
        Self {
            keys,
            conditions: *random_of_cas.pick(&[0, 500, 900]),
            crowded: crowded && only.is_none(),
            contexts: *random.pick(&[0, 400, 700, 1_000]),
            stale: *random.pick(&[0, 0, 200, 900]),
            monotone: *random.pick(&[0, 0, 300]),
            sloppy: *random.pick(&[0, 0, 300]),
            expiring: *random.pick(&[300, 700]),
        }
    }
}

impl fmt::Display for KeysOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strict = |key: &KeyOptions| if key.strict { "strict" } else { "any level" };
        let expires = |key: &KeyOptions| if key.expires { ", expiring" } else { "" };
        let keys = self.keys.iter().map(|key| format!("{} ({}{})", key.kind, strict(key), expires(key)));
        write!(
            f,
            "keys: {}{}; per mille: contexts {} stale {} monotone {} sloppy {} expiring {} conditions {}",
            keys.collect::<Vec<_>>().join(", "),
            if self.crowded { ", crowded" } else { "" },
            self.contexts,
            self.stale,
            self.monotone,
            self.sloppy,
            self.expiring,
            self.conditions
        )
    }
}

/// The kinds of the first key, the second, the third as the first, and so on.
type Kinds = [TableKind; 2];
const REGISTERS: Kinds = [TableKind::Register; 2];
const SIBLINGS: Kinds = [TableKind::Siblings; 2];
const CAS: Kinds = [TableKind::Cas; 2];
const BOTH: Kinds = [TableKind::Siblings, TableKind::Register];
