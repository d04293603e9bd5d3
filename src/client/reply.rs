//! What comes back.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use crate::wire::{self, Receipt, VersionedValue};

/// What was read of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    values: Vec<Bytes>,
    got: wire::Got,
}

/// A write or a delete that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    written: wire::Written,
}

/// What a write must carry to replace exactly the values that were read. Opaque; as text it is hex, for
/// programs that pass it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context(Bytes);

/// The key has several concurrent values: [`Read::values`] gives them. Merge them, and write the result with
/// [`Read::context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has {count} concurrent values: merge them and write the result with the read's context")]
pub struct ConcurrentValues {
    /// How many.
    pub count: usize,
}

/// A text that is no [`Context`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a context is an even number of hex digits, as a read printed it")]
pub struct MalformedContext;

impl Read {
    pub(crate) fn new(got: wire::Got) -> Self {
        Self { values: got.values.iter().map(|version| version.value.clone()).collect(), got }
    }

    /// Every concurrent value: none if the key is absent, and never more than one in `register` and `cas`
    /// tables.
    pub fn values(&self) -> &[Bytes] {
        &self.values
    }

    /// The same values with the write that made each, and when it expires.
    pub fn versions(&self) -> &[VersionedValue] {
        &self.got.values
    }

    /// Whether there are concurrent values, for the caller to merge.
    pub fn is_conflicted(&self) -> bool {
        self.values.len() > 1
    }

    /// The value, or `None` if the key is absent.
    ///
    /// # Errors
    /// [`ConcurrentValues`] if there are several: none of them is *the* value.
    pub fn value(&self) -> Result<Option<&Bytes>, ConcurrentValues> {
        match self.values() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            values => Err(ConcurrentValues { count: values.len() }),
        }
    }

    /// What a write that replaces these values must carry.
    pub fn context(&self) -> Context {
        Context(self.got.context.clone())
    }

    /// How the answer came about.
    pub fn receipt(&self) -> &Receipt {
        &self.got.receipt
    }
}

impl Written {
    pub(super) fn new(written: wire::Written) -> Self {
        Self { written }
    }

    /// What a later write may carry to replace what was written, without reading it first; `None` in
    /// `register` and `cas` tables, and where concurrent values are left beside what was written: read them.
    pub fn context(&self) -> Option<Context> {
        let context = &self.written.context;
        (!context.is_empty()).then(|| Context(context.clone()))
    }

    /// How the write came about.
    pub fn receipt(&self) -> &Receipt {
        &self.written.receipt
    }
}

impl Context {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Whether it says nothing, as in tables that keep no concurrent values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Context> for Bytes {
    fn from(context: Context) -> Self {
        context.0
    }
}

impl From<&Context> for Context {
    fn from(context: &Context) -> Self {
        context.clone()
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Context {
    type Err = MalformedContext;

    fn from_str(text: &str) -> Result<Self, MalformedContext> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(MalformedContext);
        }
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|nibble| nibble as u8);
        let byte = |&[high, low]: &[u8; 2]| Some(nibble(high)? << 4 | nibble(low)?);
        pairs
            .iter()
            .map(byte)
            .collect::<Option<Vec<_>>>()
            .map(|bytes| Self(bytes.into()))
            .ok_or(MalformedContext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_survives_as_text() {
        let context = Context(Bytes::from_static(&[0, 0x7f, 0xff]));
        assert_eq!(context.to_string(), "007fff");
        assert_eq!("007fff".parse(), Ok(context));
        for bad in ["0", "0x", "zz", "ü"] {
            assert_eq!(bad.parse::<Context>(), Err(MalformedContext), "{bad}");
        }
    }
}
