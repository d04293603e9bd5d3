//! How what was read is shown: as bytes, or as values of a type.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{Codec, ComparedAndSet, Read, ScannedRow, TypedComparedAndSet, TypedRead, TypedRow};

/// How reads and scans show what they found. Sealed: [`Raw`] and [`Typed`] are all there are.
pub trait View: sealed::Sealed + Clone + Send + Sync + 'static {
    /// What a read gives.
    type Read: Send + 'static;
    /// What a scan gives of each key.
    type Row;
    /// What a compare-and-set gives.
    type Compared: Send + 'static;

    #[doc(hidden)]
    fn read(&self, key: &Bytes, read: Read) -> Self::Read;

    #[doc(hidden)]
    fn row(&self, row: ScannedRow) -> Self::Row;

    #[doc(hidden)]
    fn compared(&self, key: &Bytes, compared: ComparedAndSet) -> Self::Compared;
}

/// As bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

/// As values of `T`, decoded by `C`.
pub struct Typed<T, C> {
    codec: C,
    value: PhantomData<fn() -> T>,
}

impl View for Raw {
    type Read = Read;
    type Row = ScannedRow;
    type Compared = ComparedAndSet;

    fn read(&self, _key: &Bytes, read: Read) -> Read {
        read
    }

    fn row(&self, row: ScannedRow) -> ScannedRow {
        row
    }

    fn compared(&self, _key: &Bytes, compared: ComparedAndSet) -> ComparedAndSet {
        compared
    }
}

impl<T: DeserializeOwned + 'static, C: Codec> View for Typed<T, C> {
    type Read = TypedRead<T, C>;
    type Row = TypedRow<T, C>;
    type Compared = TypedComparedAndSet<T, C>;

    fn read(&self, key: &Bytes, read: Read) -> TypedRead<T, C> {
        TypedRead::new(key.clone(), read, self.clone())
    }

    fn row(&self, row: ScannedRow) -> TypedRow<T, C> {
        TypedRow::new(row, self.clone())
    }

    fn compared(&self, key: &Bytes, compared: ComparedAndSet) -> TypedComparedAndSet<T, C> {
        TypedComparedAndSet::new(key.clone(), compared, self.clone())
    }
}

impl<T, C> Typed<T, C> {
    pub(super) fn new(codec: C) -> Self {
        Self { codec, value: PhantomData }
    }

    pub(super) fn codec(&self) -> &C {
        &self.codec
    }
}

impl<T, C: Clone> Clone for Typed<T, C> {
    fn clone(&self) -> Self {
        Self::new(self.codec.clone())
    }
}

impl<T, C: fmt::Debug> fmt::Debug for Typed<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Typed").field(&self.codec).finish()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Raw {}
    impl<T, C> Sealed for super::Typed<T, C> {}
}
