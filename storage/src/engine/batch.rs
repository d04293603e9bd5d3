//! A set of writes that happen as one.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Space;

/// Puts and removes that an engine commits as one. A key is written at most once: the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    writes: BTreeMap<(Space, Bytes), Option<Bytes>>,
    bytes: usize,
}

impl Batch {
    /// A batch that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores `value` under `key`.
    pub fn put(&mut self, space: Space, key: Bytes, value: Bytes) {
        self.write(space, key, Some(value));
    }

    /// Removes what is stored under `key`, if anything.
    pub fn remove(&mut self, space: Space, key: Bytes) {
        self.write(space, key, None);
    }

    /// Every write, in the order of spaces and keys; `None` removes.
    pub fn iter(&self) -> impl Iterator<Item = (Space, &Bytes, Option<&Bytes>)> {
        self.writes.iter().map(|((space, key), value)| (*space, key, value.as_ref()))
    }

    /// How many keys it writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of all keys and values, without any framing.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn write(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        let key_len = key.len();
        self.bytes += key_len + value.as_ref().map_or(0, Bytes::len);
        if let Some(replaced) = self.writes.insert((space, key), value) {
            self.bytes -= key_len + replaced.map_or(0, |value| value.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_write_of_a_key_counts() {
        let mut batch = Batch::new();
        batch.put(Space::Data, Bytes::from("k"), Bytes::from("long value"));
        batch.put(Space::Meta, Bytes::from("k"), Bytes::from("m"));
        batch.put(Space::Data, Bytes::from("k"), Bytes::from("v"));
        assert_eq!((batch.len(), batch.bytes()), (2, 4));
        batch.remove(Space::Data, Bytes::from("k"));
        assert_eq!((batch.len(), batch.bytes()), (2, 3));
        let writes: Vec<_> = batch.iter().map(|(space, _, value)| (space, value.is_some())).collect();
        assert_eq!(writes, [(Space::Data, false), (Space::Meta, true)]);
    }
}
