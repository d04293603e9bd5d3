//! The frame: length, kind, request id, epoch, deadline, body.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_ring::{Duration, Epoch, Instant};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Names a request; the reply carries the same id. Drawn by the sender of the request, opaque to the receiver. A client
/// never uses one twice on a connection, whose answers come on it or not at all. A node never uses one twice, not even
/// after a restart: an answer goes to whatever process of the node is connected by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Names a request within the node that coordinates it: every frame to its replicas and back carries it, and the logs of all of
/// them have it as `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014x}", self.0)
    }
}

/// What every frame carries beside its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which request this is, or answers.
    pub id: RequestId,
    /// The sender's cluster map (rule M3).
    pub epoch: Epoch,
    /// When the work loses its worth (rule Q11), on the clock of the process that holds the frame. The
    /// wire carries what is left of it, so that clocks need not agree.
    pub deadline: Instant,
}

/// A message with its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<M> {
    /// Id, epoch and deadline.
    pub header: Header,
    /// What is said.
    pub message: M,
}

/// A set of messages, told apart by one byte.
pub trait Message: Sized {
    /// The byte that names the variant.
    fn kind(&self) -> u8;

    /// Appends the body.
    fn encode_body(&self, out: &mut BytesMut);

    /// Reads a body of the given kind.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] and [`FrameError::Body`].
    fn decode_body(kind: u8, body: &[u8]) -> Result<Self, FrameError>;
}

/// Why bytes are not a frame. The stream they came from has lost its framing and must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length beyond what any sound sender sends.
    #[error("frame of {bytes} bytes, at most {bytes_max} are accepted")]
    TooLong {
        /// The announced length.
        bytes: usize,
        /// The most that is accepted.
        bytes_max: usize,
    },
    /// A length that does not even hold the header.
    #[error("frame of {0} bytes is shorter than its header")]
    TooShort(usize),
    /// A kind that is not spoken on this stream.
    #[error("message kind 0x{0:02x} is not spoken here")]
    UnknownKind(u8),
    /// A body that does not decode as its kind.
    #[error("body of message kind 0x{kind:02x} does not decode: {reason}")]
    Body {
        /// The kind.
        kind: u8,
        /// What the decoder said.
        reason: String,
    },
}

/// Appends `frame` to `out`. `now` turns the deadline into what is left of it, at most 71 minutes.
pub fn encode<M: Message>(frame: &Frame<M>, now: Instant, out: &mut BytesMut) {
    let start = out.len();
    let left_us = frame.header.deadline.since(now).as_micros();
    out.put_u32(0);
    out.put_u8(frame.message.kind());
    out.put_u64(frame.header.id.0);
    out.put_u64(frame.header.epoch.0);
    out.put_u32(u32::try_from(left_us).unwrap_or(u32::MAX));
    frame.message.encode_body(out);
    let length = (out.len() - start - LENGTH_BYTES) as u32;
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Splits the next whole frame off `buffer`, still encoded and without its length; `None` until it has
/// arrived whole.
///
/// # Errors
/// [`FrameError::TooLong`] and [`FrameError::TooShort`], before anything of the body is kept.
pub fn split(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(length) = buffer.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let bytes = u32::from_be_bytes(*length) as usize;
    if bytes > bytes_max {
        return Err(FrameError::TooLong { bytes, bytes_max });
    }
    if bytes < HEADER_BYTES {
        return Err(FrameError::TooShort(bytes));
    }
    if buffer.len() < LENGTH_BYTES + bytes {
        return Ok(None);
    }
    buffer.advance(LENGTH_BYTES);
    Ok(Some(buffer.split_to(bytes).freeze()))
}

/// Decodes what [`split`] gave. `now` turns what is left of the deadline back into a deadline.
///
/// # Errors
/// Every variant of [`FrameError`] but [`FrameError::TooLong`].
pub fn decode<M: Message>(bytes: &Bytes, now: Instant) -> Result<Frame<M>, FrameError> {
    let mut rest: &[u8] = bytes;
    if rest.len() < HEADER_BYTES {
        return Err(FrameError::TooShort(rest.len()));
    }
    let kind = rest.get_u8();
    let id = RequestId(rest.get_u64());
    let epoch = Epoch(rest.get_u64());
    let deadline = now + Duration::from_micros(u64::from(rest.get_u32()));
    let message = M::decode_body(kind, rest)?;
    Ok(Frame { header: Header { id, epoch, deadline }, message })
}

/// Appends `body` as a msgpack array.
pub(super) fn encode_msgpack<T: Serialize>(body: &T, out: &mut BytesMut) {
    rmp_serde::encode::write(&mut out.writer(), body)
        .expect("message types have no maps with foreign keys and BytesMut grows: nothing can fail");
}

/// Reads a whole msgpack body; bytes left over are an error.
pub(super) fn decode_msgpack<T: DeserializeOwned>(kind: u8, body: &[u8]) -> Result<T, FrameError> {
    let fail = |reason: String| FrameError::Body { kind, reason };
    let mut reader = rmp_serde::Deserializer::new(body);
    let value = T::deserialize(&mut reader).map_err(|e| fail(e.to_string()))?;
    if reader.get_ref().is_empty() { Ok(value) } else { Err(fail("bytes left over".to_owned())) }
}

/// Declares a message enum: one byte per variant, each variant one msgpack body.
macro_rules! messages {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $kind:literal => $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant($variant),)*
        }

        impl $crate::wire::frame::Message for $name {
            fn kind(&self) -> u8 {
                match self { $(Self::$variant(_) => $kind,)* }
            }

            fn encode_body(&self, out: &mut bytes::BytesMut) {
                match self { $(Self::$variant(body) => $crate::wire::frame::encode_msgpack(body, out),)* }
            }

            fn decode_body(kind: u8, body: &[u8]) -> Result<Self, $crate::wire::frame::FrameError> {
                match kind {
                    $($kind => $crate::wire::frame::decode_msgpack(kind, body).map(Self::$variant),)*
                    _ => Err($crate::wire::frame::FrameError::UnknownKind(kind)),
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })*
    };
}
pub(super) use messages;

const LENGTH_BYTES: usize = 4;
const HEADER_BYTES: usize = 1 + 8 + 8 + 4;
