//! From typed values to bytes and back.

use std::{error::Error, fmt};

use bytes::Bytes;
use quorate_ring::Tag;
use serde::{Serialize, de::DeserializeOwned};

/// How values of a type become the bytes that a table holds. [`MessagePack`] unless a
/// [typed table](super::TableHandle::typed_with) is given another one.
///
/// ```
/// use bytes::Bytes;
/// use quorate::client::{Codec, CodecError};
/// use serde::{Serialize, de::DeserializeOwned};
///
/// /// Values as JSON, for people to read and for other programs.
/// #[derive(Clone, Debug)]
/// struct Json;
///
/// impl Codec for Json {
///     fn encode<T: Serialize>(&self, value: &T) -> Result<Bytes, CodecError> {
///         Ok(serde_json::to_vec(value)?.into())
///     }
///
///     fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
///         Ok(serde_json::from_slice(bytes)?)
///     }
/// }
///
/// let bytes = Json.encode(&["apples", "pears"]).unwrap();
/// assert_eq!(bytes, r#"["apples","pears"]"#);
/// ```
pub trait Codec: Clone + fmt::Debug + Send + Sync + 'static {
    /// The bytes of `value`.
    ///
    /// # Errors
    /// Why it has none.
    fn encode<T: Serialize>(&self, value: &T) -> Result<Bytes, CodecError>;

    /// The value of all of `bytes`.
    ///
    /// # Errors
    /// Why they are no such value.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError>;
}

/// Why a value could not be encoded or decoded, in the codec's words.
pub type CodecError = Box<dyn Error + Send + Sync>;

/// MessagePack, with the names of fields: fields may come and go, if those that older values lack have a default
/// (`#[serde(default)]`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePack;

impl Codec for MessagePack {
    fn encode<T: Serialize>(&self, value: &T) -> Result<Bytes, CodecError> {
        Ok(rmp_serde::to_vec_named(value)?.into())
    }

    fn decode<T: DeserializeOwned>(&self, mut bytes: &[u8]) -> Result<T, CodecError> {
        let value = T::deserialize(&mut rmp_serde::Deserializer::new(&mut bytes))?;
        if bytes.is_empty() { Ok(value) } else { Err(format!("{} bytes too many", bytes.len()).into()) }
    }
}

/// A value of a key is none of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "value {} of {siblings} of the key '{}', written as {tag}, cannot be decoded: {reason}",
    at + 1,
    key.escape_ascii()
)]
pub struct DecodeError {
    /// The key.
    pub key: Bytes,
    /// Which of its concurrent values, from 0.
    pub at: usize,
    /// How many there are.
    pub siblings: usize,
    /// The write that made it.
    pub tag: Tag,
    /// Why, in the codec's words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        name: String,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        #[serde(default)]
        age: u8,
        name: String,
    }

    #[test]
    fn fields_may_come_and_go() {
        let name = || "alice".to_owned();
        let old = MessagePack.encode(&Old { name: name() }).expect("bytes");
        assert_eq!(MessagePack.decode::<New>(&old).expect("a value"), New { age: 0, name: name() });
        let new = MessagePack.encode(&New { age: 7, name: name() }).expect("bytes");
        assert_eq!(MessagePack.decode::<Old>(&new).expect("a value"), Old { name: name() });
    }

    #[test]
    fn what_is_no_value_is_refused_whole() {
        assert!(MessagePack.decode::<u8>(b"2 apples").is_err(), "it begins like a number");
        assert!(MessagePack.decode::<String>(b"").is_err());
    }
}
