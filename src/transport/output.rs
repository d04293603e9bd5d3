//! What waits to be written on a connection's stream.
//!
//! Frames are encoded straight into one buffer; a single writer task takes whatever is there and hands it
//! to QUIC in one piece, so that everything of one pass of the loop leaves together.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use quinn::SendStream;
use tokio::sync::Notify;

/// A connection's queue of encoded frames.
#[derive(Debug)]
pub(crate) struct Output {
    queue: Mutex<Queue>,
    /// Says that there is something to write, or that nothing will come any more.
    wake: Notify,
    /// Says that the writer got rid of something.
    drained: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: BytesMut,
    /// Taken by the writer and not yet accepted by QUIC.
    writing: usize,
    closed: bool,
}

/// Why a frame was not queued; nothing of it will be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection is lost or being closed.
    #[error("the connection is closed")]
    Closed,
    /// The other side reads too slowly: too many bytes wait already.
    #[error("too many bytes wait to be sent on the connection")]
    Full,
}

impl Output {
    /// An empty queue for at most `bytes_max` bytes, and the frame that crosses the bound.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { queue: Mutex::default(), wake: Notify::new(), drained: Notify::new(), bytes_max }
    }

    /// Lets `encode` append to the queue, and says how many bytes that were. Nothing is sent before
    /// [`Output::flush`].
    pub(crate) fn queue(&self, encode: impl FnOnce(&mut BytesMut)) -> Result<usize, SendError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(SendError::Closed);
        }
        if queue.waiting() >= self.bytes_max {
            return Err(SendError::Full);
        }
        let before = queue.bytes.len();
        encode(&mut queue.bytes);
        Ok(queue.bytes.len() - before)
    }

    /// Lets the writer write.
    pub(crate) fn flush(&self) {
        self.wake.notify_one();
    }

    /// Takes nothing more; the writer finishes what waits and ends the stream.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
        self.drained.notify_one();
    }

    /// Waits until at most a quarter of the bound waits, or nothing more can be queued.
    #[cfg(feature = "server")]
    pub(crate) async fn drained(&self) {
        loop {
            {
                let queue = self.lock();
                if queue.closed || queue.waiting() <= self.bytes_max / 4 {
                    return;
                }
            }
            self.drained.notified().await;
        }
    }

    /// Bytes that were queued and that QUIC has not taken yet.
    #[cfg(feature = "server")]
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.lock().waiting()
    }

    /// Writes what is queued until [`Output::close`] or an error, after which nothing more can be queued.
    pub(crate) async fn write_to(&self, send: &mut SendStream) -> Result<(), quinn::WriteError> {
        let result = self.write(send).await;
        self.close();
        result
    }

    async fn write(&self, send: &mut SendStream) -> Result<(), quinn::WriteError> {
        loop {
            self.wake.notified().await;
            // Whoever woke us may have more to say at once: on a runtime of many threads this is what
            // keeps frames together.
            tokio::task::yield_now().await;
            while let Some(bytes) = self.take() {
                send.write_chunk(bytes).await?;
                self.lock().writing = 0;
                self.drained.notify_one();
            }
            if self.lock().closed {
                // An error means that the stream is finished or reset already.
                let _ = send.finish();
                return Ok(());
            }
        }
    }

    fn take(&self) -> Option<Bytes> {
        let mut queue = self.lock();
        queue.writing = queue.bytes.len();
        (queue.writing > 0).then(|| queue.bytes.split().freeze())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        self.bytes.len() + self.writing
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    #[test]
    fn takes_one_frame_beyond_the_bound_and_no_more() {
        let output = Output::new(8);
        assert_eq!(output.queue(|out| out.put_slice(b"12345")), Ok(5));
        assert_eq!(output.queue(|out| out.put_slice(b"6789")), Ok(4));
        assert_eq!(output.queue(|_| panic!("encoded beyond the bound")), Err(SendError::Full));
        assert_eq!(output.take().as_deref(), Some(&b"123456789"[..]));
        assert_eq!(output.queue(|_| ()), Err(SendError::Full), "what is being written still counts");
        output.lock().writing = 0;
        assert_eq!(output.queue(|_| ()), Ok(0));
        output.close();
        assert_eq!(output.queue(|_| ()), Err(SendError::Closed));
    }
}
