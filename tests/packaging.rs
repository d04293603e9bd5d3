//! What ships beside the program: that it says nothing the program does not understand.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

#[test]
fn the_unit_starts_the_program_with_arguments_that_it_takes() {
    let unit = packaged("quorate.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/quorate ")).unwrap();
    let done = quorate(&start.split(' ').collect::<Vec<_>>());
    // The arguments are understood; what is missing is the machine.
    let says = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(3), "{says}");
    assert!(says.starts_with("error: /etc/quorate/quorate.toml: cannot be read"), "{says}");
}

#[test]
fn variables_in_packages_are_settings() {
    let help = quorate(&["serve", "--help"]).stdout;
    let shell = quorate(&["shell", "--help"]).stdout;
    let help = String::from_utf8([help, shell].concat()).unwrap();
    let known: BTreeSet<_> =
        help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next()).collect();
    assert!(known.contains("QUORATE_FOUNDERS") && known.contains("QUORATE_CONNECT"), "{known:?}");
    for file in ["quorate.service", "Containerfile", "compose.yaml"] {
        let text = packaged(file);
        let said = text
            .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
            .filter(|word| word.starts_with("QUORATE_"));
        let said: BTreeSet<_> = said.collect();
        assert!(!said.is_empty(), "{file}");
        let unknown: Vec<_> = said.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} sets {unknown:?}, which are no settings");
    }
}

#[test]
fn the_container_runs_a_command_and_its_settings_are_sound() {
    let file = packaged("Containerfile");
    assert!(file.contains("ENTRYPOINT [\"/usr/bin/quorate\"]\nCMD [\"serve\"]\n"));
    let settings = file.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let done = command.args(["config", "print", "--effective"]).envs(settings).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(printed.contains("\nadmin_address = \"0.0.0.0:7000\"\n"), "{printed}");
}

#[test]
fn completions_know_the_commands_and_the_manual_every_setting() {
    for shell in ["bash", "zsh", "fish"] {
        let done = quorate(&["completions", shell]);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(
            done.status.success() && text.contains("repair") && text.contains("drain-timeout"),
            "{shell}"
        );
    }
    let page = |command: &[&str]| {
        let done = quorate(&[&["man"], command].concat());
        (done.status.code().unwrap(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let (code, text) = page(&[]);
    assert!(code == 0 && text.contains(".TH quorate 1"), "{text}");
    assert!(text.contains("Exit codes: 0 done"), "{text}");
    let (code, text) = page(&["admin", "repair"]);
    assert!(
        code == 0 && text.contains(".TH quorate-admin-repair 1") && text.contains("\\-\\-table"),
        "{text}"
    );
    let (_, text) = page(&["serve"]);
    assert!(text.contains("QUORATE_DRAIN_TIMEOUT"), "{text}");
    let (code, text) = page(&["admin", "mend"]);
    assert!(code == 3 && text.contains("quorate-admin has no command 'mend'"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let done = quorate(&["man", "--dir", dir.path().to_str().unwrap()]);
    assert!(done.status.success());
    let pages = fs::read_dir(dir.path()).unwrap().count();
    assert!(pages > 20 && dir.path().join("quorate-config-check.1").exists(), "{pages}");
}

fn packaged(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".packaging").join(name)).unwrap()
}

fn quorate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate")).args(arguments).output().unwrap()
}
