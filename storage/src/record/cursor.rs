//! Taking a record's content apart, with no byte read that is not there.

use bytes::{Buf, Bytes};

use crate::RecordError;

/// What is left of a record's content.
pub(super) struct Cursor {
    left: Bytes,
    /// Bytes before `left`, for messages.
    before: usize,
}

impl Cursor {
    /// Starts at the first byte of `content`, which `before` bytes precede.
    pub(super) fn new(content: Bytes, before: usize) -> Self {
        Self { left: content, before }
    }

    pub(super) fn take_u8(&mut self) -> Result<u8, RecordError> {
        self.need(1)?;
        Ok(self.left.get_u8())
    }

    pub(super) fn take_u32(&mut self) -> Result<u32, RecordError> {
        self.need(4)?;
        Ok(self.left.get_u32())
    }

    pub(super) fn take_u64(&mut self) -> Result<u64, RecordError> {
        self.need(8)?;
        Ok(self.left.get_u64())
    }

    /// The next `bytes` bytes as a content of their own.
    pub(super) fn take(&mut self, bytes: usize) -> Result<Self, RecordError> {
        self.need(bytes)?;
        Ok(Self { before: self.before, left: self.left.split_to(bytes) })
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.left
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Refuses bytes that nothing has asked for.
    pub(super) fn finish(self) -> Result<(), RecordError> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(RecordError::Malformed(format!("{} bytes follow the content", self.left.len())))
    }

    fn need(&self, bytes: usize) -> Result<(), RecordError> {
        if self.left.len() < bytes {
            return Err(RecordError::Truncated { len: self.before + self.left.len() });
        }
        Ok(())
    }
}
