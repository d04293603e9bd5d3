//! The shell: statements in, answers out, on a terminal or in a script.
//!
//! [`Session`] carries statements out through the client SDK; [`Console`] is where answers and complaints go;
//! [`run_source`], [`run_input`] and [`run_interactive`] are the three ways that statements come in.

mod console;
mod copy;
mod describe;
mod help;
mod interactive;
mod script;
mod session;

pub use console::{Console, stderr_has_color};
pub use interactive::run_interactive;
pub use script::{read_file, run_input, run_source};
pub use session::{Flow, Session, ShellError, receipt_text};
