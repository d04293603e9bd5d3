//! How long it takes from the start of a shell on a cluster of three until one can type: measured, not judged.
//!
//! `cargo test --test cli startup -- --ignored --nocapture`

use std::time::Instant;

use super::{command, nodes::Nodes, pty::Terminal};

#[test]
#[ignore = "it measures, and other work on the machine is in what it says"]
fn from_the_start_to_the_first_prompt() {
    let nodes = Nodes::start(3);
    let (home, certs) = (nodes.data_dir(0), nodes.data_dir(0).join("../certs"));
    let (all, certs) = (nodes.addresses().join(","), certs.to_str().unwrap());
    for connect in [&nodes.addresses()[0], &all] {
        let mut took_ms: Vec<_> = (0..STARTS)
            .map(|_| {
                let mut shell = command(&home, &["shell", "--connect", connect, "--certs", certs]);
                shell.env("XDG_STATE_HOME", &home);
                let begun = Instant::now();
                let mut terminal = Terminal::start(shell, None);
                terminal.shows("quorate:default> ");
                let took = begun.elapsed();
                terminal.types("\u{4}");
                terminal.ends();
                took.as_secs_f64() * 1e3
            })
            .collect();
        took_ms.sort_by(f64::total_cmp);
        let contacts = connect.split(',').count();
        let [least, median, most] = [0, STARTS / 2, STARTS - 1].map(|at| took_ms[at]);
        println!("{contacts} contact points: {least:.1} ms at least, median {median:.1}, {most:.1} at most");
    }
    nodes.stop();
}

const STARTS: usize = 21;
