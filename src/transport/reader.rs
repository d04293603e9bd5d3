//! Frames out of a connection's stream.

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream};
use quorate_ring::Instant;

use crate::wire::{self, Frame, FrameError, Message};

/// Gathers what arrives and splits it into frames.
#[derive(Debug)]
pub(crate) struct FrameReader {
    recv: RecvStream,
    buffer: BytesMut,
    frame_bytes_max: usize,
}

/// Why no further frame will come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// The stream or its connection broke.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bytes are no frames of the kind spoken here.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side said all it had to say.
    #[error("the other side stopped in order")]
    Ended,
}

impl FrameReader {
    /// Reads frames of at most `frame_bytes_max` bytes.
    pub(crate) fn new(recv: RecvStream, frame_bytes_max: usize) -> Self {
        Self { recv, buffer: BytesMut::new(), frame_bytes_max }
    }

    /// Accepts longer frames from here on: what follows the handshake.
    pub(crate) fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// The next frame that has arrived whole already.
    pub(crate) fn next<M: Message>(&mut self, now: Instant) -> Result<Option<Frame<M>>, FrameError> {
        match wire::split(&mut self.buffer, self.frame_bytes_max)? {
            Some(bytes) => wire::decode(&bytes, now).map(Some),
            None => Ok(None),
        }
    }

    /// Waits for more bytes. Cancellation loses none.
    pub(crate) async fn fill(&mut self) -> Result<(), Lost> {
        let mut chunks: [Bytes; CHUNKS] = Default::default();
        let count = self.recv.read_chunks(&mut chunks).await?.ok_or(Lost::Ended)?;
        for chunk in &chunks[..count] {
            self.buffer.extend_from_slice(chunk);
        }
        Ok(())
    }

    /// Waits for the next frame. Cancellation loses nothing.
    pub(crate) async fn receive<M: Message>(&mut self) -> Result<Frame<M>, Lost> {
        loop {
            if let Some(frame) = self.next(Instant::ZERO)? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }
}

/// QUIC packets taken in one go: enough that a busy stream takes its connection's lock once a burst.
const CHUNKS: usize = 16;
