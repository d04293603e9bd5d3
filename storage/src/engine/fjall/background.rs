//! Work that may wait for a processor while clients' may not.

use std::{io, panic, thread};

/// Runs `start` on a thread of its own; this and every thread that it starts yield to the others of the process.
///
/// fjall's threads take some 150 ms of a processor to write out a memtable of 16 MiB. While they had as much of it as those
/// that answer clients, most of the slowest 1 % of requests fell into such times.
///
/// # Errors
///
/// That of the operating system if there is no thread to be had.
pub(super) fn in_background<T: Send>(start: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let starter = thread::Builder::new().name("quorate-start".to_owned()).spawn_scoped(scope, || {
            yield_to_others();
            start()
        })?;
        Ok(starter.join().unwrap_or_else(|payload| panic::resume_unwind(payload)))
    })
}

/// Gives the calling thread, and those that it will start, less of a processor that others want, too.
fn yield_to_others() {
    // On Linux each thread has a nice value, whatever POSIX says; elsewhere it is the whole process'. If it is refused, the
    // work is done as before.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

/// By how much; each step leaves a thread about 0.8 times the share of the one before, so that it has a tenth of another's.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
