//! What a backup is called.

use std::fmt;

/// The name of a backup, which is that of its directory: 1 to [`BackupName::BYTES_MAX`] bytes of `[A-Za-z0-9._-]`, and
/// neither `.` nor `-` first. So it names a directory in the one that backups lie in, and nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName(String);

/// A text that is no [`BackupName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a backup's name has 1 to 64 letters, digits, '.', '_' and '-', and begins with none of '.' and '-'")]
pub struct BadBackupName;

impl BackupName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BackupName {
    type Error = BadBackupName;

    fn try_from(text: String) -> Result<Self, BadBackupName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins_well = !text.starts_with(['.', '-']);
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        if fits && begins_well && text.bytes().all(is_allowed) { Ok(Self(text)) } else { Err(BadBackupName) }
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        for good in ["nightly", "2026-11-22", "a", "A_1.b", &"x".repeat(64)] {
            assert_eq!(
                BackupName::try_from(good.to_owned()).map(|name| name.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", ".", "..", ".hidden", "-r", "a/b", "a\\b", "a b", "ü", "a\0", &"x".repeat(65)] {
            assert_eq!(BackupName::try_from(bad.to_owned()), Err(BadBackupName), "{bad}");
        }
    }
}
