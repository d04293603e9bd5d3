//! Settings that are equal across the cluster.

use std::collections::BTreeMap;

use quorate_ring::token_of;
use serde::{Deserialize, Serialize};

use super::Refused;

/// What all nodes have set alike, as words. The map carries them and sees to it that all nodes have the same; the
/// node gives them their meaning, so that a new setting changes no format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The most settings.
    pub const COUNT_MAX: usize = 64;
    /// The longest name, in bytes of `[a-z0-9_]`.
    pub const NAME_BYTES_MAX: usize = 64;
    /// The longest value, in bytes.
    pub const VALUE_BYTES_MAX: usize = 256;

    /// These settings.
    ///
    /// # Errors
    /// [`Refused::BadSettings`] if they are too many, too long or not well named.
    pub fn new(words: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refused> {
        let settings = Self(words.into_iter().collect());
        settings.validate()?;
        Ok(settings)
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a setting is set to.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All settings in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Equal for equal settings: what nodes compare when they meet.
    pub fn checksum(&self) -> u64 {
        let mut text = String::new();
        for (name, value) in &self.0 {
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            text.push_str(&format!("{}:{name}{}:{value}", name.len(), value.len()));
        }
        token_of(text.as_bytes()).0 as u64
    }

    pub(super) fn validate(&self) -> Result<(), Refused> {
        if self.0.len() > Self::COUNT_MAX {
            return Err(Refused::BadSettings(format!("a cluster has at most {} settings", Self::COUNT_MAX)));
        }
        for (name, value) in &self.0 {
            let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if !(1..=Self::NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_word) {
                return Err(Refused::BadSettings(format!(
                    "'{}' is no name for a setting",
                    name.escape_debug()
                )));
            }
            if value.len() > Self::VALUE_BYTES_MAX {
                let most = Self::VALUE_BYTES_MAX;
                return Err(Refused::BadSettings(format!("'{name}' has at most {most} bytes")));
            }
        }
        Ok(())
    }
}
