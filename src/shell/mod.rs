//! The shell: statements in, answers out, on a terminal or in a script.
//!
//! [`Session`] carries statements out through the client SDK; [`Console`] is where answers and complaints go;
//! [`run_source`], [`run_input`] and [`run_interactive`] are the three ways that statements come in.
//!
//! Programs read what is printed: a column of any grid belongs on `OUTPUT.md` beside this file, which a test holds true.

mod answer;
mod clock;
mod console;
mod copy;
mod copy_progress;
mod copy_to;
mod counted;
mod describe;
mod editor;
mod error;
mod file_names;
mod healing;
mod help;
mod interactive;
mod overview;
mod pager;
mod progress_file;
mod rejects;
mod restore;
mod scan;
mod script;
mod session;
mod trace;
mod unknown_table;
mod wait;

pub use answer::Answer;
pub use console::{Console, stderr_has_color};
pub use describe::tables;
pub use error::ShellError;
pub use healing::{agreements, hints, key, key_headline, key_in_short, parse_range, scrub};
pub use interactive::run_interactive;
pub use overview::{Overview, gone, nodes, nodes_in_short, ring};
pub use restore::{BackupSet, RestoreOptions, restore};
pub use script::{read_file, run_input, run_source};
pub use session::{Flow, Session};
pub use trace::receipt_text;
pub use unknown_table::unknown_table;
pub use wait::Progress;
