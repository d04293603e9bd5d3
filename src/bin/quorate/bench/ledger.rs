//! What was written to each key, so that what is read can be judged.
//!
//! A write that was acknowledged has replaced, or stands beside, every write of its key that had ended before it began: a
//! read that begins after the acknowledgement and brings nothing newer than those has lost it. That holds at levels whose
//! replicas overlap, in every table kind, whatever was under way at the same time; writes that are under way, and those
//! of which nobody knows whether they took effect, forbid nothing.

use std::collections::{BTreeMap, btree_map::Entry};

use bytes::Bytes;
use quorate::wire::Outcome;

use super::keys::scattered;

/// The writes of every key in this run.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Tells the values of this run from those of others.
    run: u64,
    value_bytes: usize,
    /// Whether reads must show what was acknowledged before they began.
    strict: bool,
    keys: Vec<Key>,
    /// By key, the numbers of writes that are under way, and of those that may take effect at any time to come.
    open: BTreeMap<u64, Vec<u32>>,
}

/// The writes of a key are numbered from 1 as they begin.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    /// The last one that began.
    begun: u32,
    /// What a read that begins now must bring at least; 0 if it may bring nothing.
    at_least: u32,
}

/// A write that is under way.
#[derive(Debug)]
#[must_use = "it ends some time"]
pub(super) struct Begun {
    pub(super) key: u64,
    pub(super) value: Bytes,
    number: u32,
    /// All up to this one had ended when it began, and are known to have been applied or not.
    settled: u32,
}

/// A read that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    key: u64,
    at_least: u32,
}

impl Reading {
    /// Of a key that may hold whatever was written to it.
    pub(super) fn of_anything(key: u64) -> Self {
        Self { key, at_least: 0 }
    }
}

impl Ledger {
    /// Of values of `value_bytes` bytes, at least [`VALUE_BYTES_MIN`].
    pub(super) fn new(run: u64, value_bytes: usize, strict: bool) -> Self {
        Self {
            run,
            value_bytes: value_bytes.max(VALUE_BYTES_MIN),
            strict,
            keys: Vec::new(),
            open: BTreeMap::new(),
        }
    }

    /// How many keys were written, or are about to be.
    pub(super) fn keys(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Makes room for keys that other runs may have written.
    pub(super) fn grow(&mut self, keys: u64) {
        self.keys.resize(keys as usize, Key::default());
    }

    /// One more key that nobody has written; its number.
    pub(super) fn insert(&mut self) -> u64 {
        self.keys.push(Key::default());
        self.keys() - 1
    }

    pub(super) fn write(&mut self, key: u64) -> Begun {
        let begun = &mut self.keys[key as usize].begun;
        let open = self.open.entry(key).or_default();
        let settled = open.iter().min().map_or(*begun, |first| first - 1);
        *begun += 1;
        open.push(*begun);
        Begun { key, value: encode(self.run, key, *begun, self.value_bytes), number: *begun, settled }
    }

    pub(super) fn written(&mut self, write: &Begun, outcome: Outcome) {
        let entry = &mut self.keys[write.key as usize];
        if outcome == Outcome::Applied {
            entry.at_least = entry.at_least.max(write.settled + 1);
        }
        if outcome != Outcome::Unknown
            && let Entry::Occupied(mut open) = self.open.entry(write.key)
        {
            open.get_mut().retain(|number| *number != write.number);
            if open.get().is_empty() {
                open.remove();
            }
        }
    }

    pub(super) fn read(&self, key: u64) -> Reading {
        Reading { key, at_least: self.keys[key as usize].at_least }
    }

    /// Judges what a read has brought.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn judge(&self, reading: Reading, values: &[Bytes]) -> Result<(), String> {
        let mut newest = 0;
        for value in values {
            let (run, key, number) = decode(value)?;
            if key != reading.key {
                return Err(format!("key {} holds a value of key {key}", reading.key));
            }
            // Another run's values are older than all of this one's.
            if run == self.run {
                newest = newest.max(number);
            }
        }
        let Key { begun, .. } = self.keys[reading.key as usize];
        if newest > begun {
            return Err(format!("key {} holds write {newest}, of {begun} that began", reading.key));
        }
        if self.strict && newest < reading.at_least {
            let Reading { key, at_least } = reading;
            return Err(format!(
                "key {key} holds nothing newer than write {newest}, though one from write {at_least} on was acknowledged \
                 before the read began (or another run writes the table: give each its own with --table)"
            ));
        }
        Ok(())
    }
}

/// A key's name: 16 bytes for up to 10^13 keys.
pub(super) fn name(key: u64) -> String {
    format!("key{key:013}")
}

/// The number of a key with that name.
pub(super) fn number(name: &[u8]) -> Option<u64> {
    std::str::from_utf8(name).ok()?.strip_prefix("key")?.parse().ok()
}

/// Run, key, number of the write and crc32 of all but itself, big-endian; then bytes that no compression makes shorter.
fn encode(run: u64, key: u64, number: u32, length: usize) -> Bytes {
    let mut value = Vec::with_capacity(length + 8);
    value.extend(run.to_be_bytes());
    value.extend(key.to_be_bytes());
    value.extend(number.to_be_bytes());
    value.extend([0; 4]);
    let mut word = scattered(run ^ key).wrapping_add(u64::from(number));
    while value.len() < length {
        word = scattered(word);
        value.extend(word.to_le_bytes());
    }
    value.truncate(length);
    let sum = checksum(&value);
    value[CHECKSUM_AT..VALUE_BYTES_MIN].copy_from_slice(&sum.to_be_bytes());
    value.into()
}

fn decode(value: &[u8]) -> Result<(u64, u64, u32), String> {
    let cut = || format!("a value of {} bytes, which no run has written", value.len());
    let (run, rest) = value.split_first_chunk().ok_or_else(cut)?;
    let (key, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (number, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let sum = rest.first_chunk().ok_or_else(cut)?;
    let key = u64::from_be_bytes(*key);
    if u32::from_be_bytes(*sum) != checksum(value) {
        return Err(format!("a value that says it is of key {key} is damaged"));
    }
    Ok((u64::from_be_bytes(*run), key, u32::from_be_bytes(*number)))
}

fn checksum(value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&value[..CHECKSUM_AT]);
    hasher.update(&value[VALUE_BYTES_MIN..]);
    hasher.finalize()
}

const CHECKSUM_AT: usize = 20;
/// What a value needs to say where it comes from.
pub(super) const VALUE_BYTES_MIN: usize = 24;

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(9, 100, true);
        ledger.grow(2);
        ledger
    }

    #[test]
    fn a_read_must_bring_what_was_acknowledged_before_it_began() {
        let mut ledger = ledger();
        let before = ledger.read(0);
        let first = ledger.write(0);
        ledger.written(&first, Outcome::Applied);
        let second = ledger.write(0);
        ledger.written(&second, Outcome::Applied);
        let after = ledger.read(0);
        assert_eq!(ledger.judge(before, &[]), Ok(()));
        assert_eq!(ledger.judge(after, slice::from_ref(&second.value)), Ok(()));
        assert_eq!(ledger.judge(after, &[first.value.clone(), second.value]), Ok(()), "siblings");
        assert!(ledger.judge(after, &[first.value]).unwrap_err().contains("nothing newer than write 1"));
        assert!(ledger.judge(after, &[]).unwrap_err().contains("nothing newer than write 0"));
    }

    #[test]
    fn writes_at_the_same_time_may_come_in_any_order() {
        let mut ledger = ledger();
        let (one, other) = (ledger.write(0), ledger.write(0));
        ledger.written(&other, Outcome::Applied);
        assert_eq!(ledger.judge(ledger.read(0), slice::from_ref(&one.value)), Ok(()), "it is under way");
        ledger.written(&one, Outcome::Applied);
        for value in [&one.value, &other.value] {
            assert_eq!(ledger.judge(ledger.read(0), slice::from_ref(value)), Ok(()));
        }
        assert!(ledger.judge(ledger.read(0), &[]).is_err());
    }

    #[test]
    fn a_key_that_is_written_without_pause_is_judged_too() {
        let mut ledger = ledger();
        let mut under_way = ledger.write(0);
        let first = under_way.value.clone();
        for _ in 0..100 {
            let next = ledger.write(0);
            ledger.written(&under_way, Outcome::Applied);
            under_way = next;
        }
        assert!(ledger.judge(ledger.read(0), &[first]).unwrap_err().contains("from write 99 on"));
        assert_eq!(ledger.judge(ledger.read(0), &[under_way.value]), Ok(()));
    }

    #[test]
    fn a_write_that_nobody_knows_of_may_take_effect_at_any_time() {
        let mut ledger = ledger();
        let lost = ledger.write(0);
        ledger.written(&lost, Outcome::Unknown);
        let refused = ledger.write(0);
        ledger.written(&refused, Outcome::NotApplied);
        assert_eq!(ledger.judge(ledger.read(0), &[]), Ok(()));
        let last = ledger.write(0);
        ledger.written(&last, Outcome::Applied);
        assert_eq!(ledger.judge(ledger.read(0), &[lost.value]), Ok(()));
        assert!(ledger.judge(ledger.read(0), &[]).is_err(), "the last one was acknowledged");
    }

    #[test]
    fn values_of_others_and_damaged_ones_are_found() {
        let mut ledger = ledger();
        let write = ledger.write(0);
        let of_another_key = ledger.judge(ledger.read(1), slice::from_ref(&write.value));
        assert!(of_another_key.unwrap_err().contains("key 1 holds a value of key 0"));
        for at in 0..write.value.len() {
            let mut damaged = write.value.to_vec();
            damaged[at] ^= 1;
            assert!(ledger.judge(ledger.read(0), &[damaged.into()]).is_err(), "byte {at}");
        }
        assert!(ledger.judge(ledger.read(0), &[Bytes::from_static(b"short")]).is_err());
        let of_the_future = encode(9, 0, 2, 100);
        assert!(ledger.judge(ledger.read(0), &[of_the_future]).unwrap_err().contains("of 1 that began"));
        let of_another_run = encode(8, 0, 77, 100);
        assert_eq!(ledger.judge(ledger.read(0), &[of_another_run]), Ok(()));
    }

    #[test]
    fn one_replica_may_be_behind() {
        let mut ledger = Ledger { strict: false, ..ledger() };
        let write = ledger.write(0);
        ledger.written(&write, Outcome::Applied);
        assert_eq!(ledger.judge(ledger.read(0), &[]), Ok(()));
    }

    #[test]
    fn keys_are_found_by_their_names() {
        assert_eq!(name(7).len(), 16);
        assert_eq!(number(name(123_456).as_bytes()), Some(123_456));
        assert_eq!(number(b"other"), None);
    }
}
