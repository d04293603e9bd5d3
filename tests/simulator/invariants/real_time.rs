//! At QUORUM and ALL what any client was told before a request began counts for that request: a read shows it or
//! something newer, a write is new and comes after it. Reads that settle for less than linearizable
//! (rule Q5) keep this too: they never go back.

use quorate::{ring::Tag, storage::Version};

use super::acknowledged::{covers, has_seen, shown};

/// Whether a read that began when clients had been `told` this much may have seen only `version`.
pub(crate) fn read(told: Option<&Version>, version: Option<&Version>) -> Result<(), String> {
    if has_seen(version, told) {
        return Ok(());
    }
    Err(format!(
        "real time: a read saw {version:?} although clients had been told of {told:?} before it began"
    ))
}

/// Whether a write that began when clients had been `told` this much may have the name `tag`.
pub(crate) fn wrote(told: Option<&Version>, tag: Tag) -> Result<(), String> {
    match told {
        Some(told) if covers(told, tag) => {
            let told = shown(Some(told));
            Err(format!("real time: {tag} is as old as what clients had been told of before: {told}"))
        }
        _ => Ok(()),
    }
}
