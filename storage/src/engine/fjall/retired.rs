//! Memtables that fjall has no more use for.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use fjall::{AbstractTree, Keyspace};
use lsm_tree::Memtable;

/// Lets go of memtables last, beside everything else.
///
/// fjall drops a memtable that it has written out while it holds the lock that every read and write of the keyspace takes, and to
/// free one of 16 MiB, record by record, takes some 10 ms. With one more owner what is dropped under the lock is not freed there.
pub(super) struct Retired<const N: usize> {
    /// The memtable of each keyspace that its last commit went into.
    active: Mutex<[Option<Arc<Memtable>>; N]>,
    retired: Sender<Arc<Memtable>>,
}

impl<const N: usize> Retired<N> {
    /// Starts the thread; it ends with this.
    pub(super) fn start() -> io::Result<Self> {
        let (retired, receiver) = channel();
        thread::Builder::new().name("quorate-free".to_owned()).spawn(move || free(&receiver))?;
        Ok(Self { active: Mutex::new([const { None }; N]), retired })
    }

    /// Looks whether those of the keyspaces that took part in a commit, each at its place, have begun a new memtable. The
    /// others are let alone: to ask waits for whoever registers tables, which syncs files.
    pub(super) fn follow(&self, keyspaces: [Option<&Keyspace>; N]) {
        let mut all = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, keyspace) in all.iter_mut().zip(keyspaces) {
            let Some(active) = keyspace.map(|keyspace| keyspace.tree.active_memtable()) else {
                continue;
            };
            if !known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &active))
                && let Some(old) = known.replace(active)
            {
                // If the thread has crashed, fjall frees it as it would without.
                let _ = self.retired.send(old);
            }
        }
    }
}

/// Frees what nobody else owns any more.
fn free(retired: &Receiver<Arc<Memtable>>) {
    let mut waiting = Vec::new();
    let mut pause = PAUSE_MIN;
    loop {
        let next = match waiting.is_empty() {
            true => retired.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => retired.recv_timeout(pause),
        };
        match next {
            Ok(memtable) => {
                waiting.push(memtable);
                pause = PAUSE_MIN;
            }
            Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(PAUSE_MAX),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain(|memtable| Arc::strong_count(memtable) > 1);
    }
}

/// How soon after a memtable has begun to wait it is checked whether anybody still needs it: to write one out takes some 100 ms.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// How seldom that is checked in the end: where nothing is written any more, fjall keeps the last one for as long as the engine is open.
const PAUSE_MAX: Duration = Duration::from_secs(1);
