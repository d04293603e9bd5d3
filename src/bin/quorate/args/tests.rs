//! What help tells, and how.

use clap::CommandFactory;

use super::*;

#[test]
fn arguments_do_not_contradict_each_other() {
    Arguments::command().debug_assert();
}

/// Every command that can be carried out, with its words.
fn commands(command: &clap::Command, words: &str, found: &mut Vec<(String, clap::Command)>) {
    for inner in command.get_subcommands() {
        let words = format!("{words} {}", inner.get_name());
        found.push((words.clone(), inner.clone()));
        commands(inner, &words, found);
    }
}

#[test]
fn help_has_an_example_for_each_command_and_a_line_for_each_argument() {
    let mut found = Vec::new();
    commands(&Arguments::command(), "quorate", &mut found);
    assert!(found.len() > 20, "{}", found.len());
    for (words, command) in &found {
        let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let has_own = own.contains("Examples:\n") && own.contains(words.as_str());
        assert!(has_own, "`{words} --help` has no example of it");
        assert!(command.get_about().is_some(), "`{words}` does not say what it does");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "`{words}` does not explain {}", argument.get_id());
        }
    }
}

/// What is told before the examples is wrapped to the terminal's width, so it must not be wrapped here; examples must not be.
#[test]
fn what_follows_help_suits_narrow_terminals() {
    let mut found = vec![("quorate".to_owned(), Arguments::command())];
    commands(&Arguments::command(), "quorate", &mut found);
    for (words, command) in &found {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
            let goes_on = !line.is_empty() && !next.is_empty() && !next.starts_with(' ');
            assert!(!goes_on, "{words}: the terminal wraps {line:?}");
        }
        let too_long = lines.iter().find(|line| line.starts_with(' ') && line.chars().count() > 80);
        assert_eq!(too_long, None, "{words}");
    }
}

#[test]
fn options_stand_under_the_heading_that_is_theirs() {
    let mut found = Vec::new();
    commands(&Arguments::command(), "quorate", &mut found);
    let mut of_clusters = 0;
    for (words, command) in &found {
        for argument in command.get_arguments() {
            let is_of_cluster =
                ["connect", "certs", "ca", "cert", "private_key"].contains(&argument.get_id().as_str());
            let heading = argument.get_help_heading();
            assert_eq!(heading == Some(CLUSTER), is_of_cluster, "{words} {}", argument.get_id());
            of_clusters += usize::from(is_of_cluster);
        }
    }
    assert!(of_clusters > 50, "{of_clusters}");
}

#[test]
fn a_format_is_told_of_last_and_only_where_data_is_printed() {
    for (arguments, is_told) in [
        (&["get"][..], true),
        (&["admin", "status"], true),
        (&["man"], false),
        (&["completions"], false),
        (&["certs"], false),
        (&["certs", "node"], false),
        (&["config", "check"], false),
        (&["serve"], false),
    ] {
        let mut command = Arguments::command();
        let asked = ["quorate"].iter().chain(arguments).chain(&["--help"]);
        let help = command.try_get_matches_from_mut(asked).expect_err("help").to_string();
        assert_eq!(help.contains("--output <FORMAT>"), is_told, "{arguments:?}: {help}");
        // One has options of its own, the other has those under Cluster alone.
        if arguments == ["get"] {
            let options = help.split("Options:\n").nth(1).unwrap_or_default();
            let first = options.trim_start().split(' ').next();
            assert_ne!(first, Some("--output"), "{help}");
        }
    }
    let parse = |arguments: &[&str]| Arguments::try_parse_from(arguments).map(|parsed| parsed.output);
    assert_eq!(parse(&["quorate", "get", "t", "k", "--output", "json"]).ok(), Some(Some(Format::Json)));
    assert!(parse(&["quorate", "certs", "init", "certs", "--output", "json"]).is_ok());
    assert!(parse(&["quorate", "--output", "json", "man"]).is_ok());
}

#[test]
fn what_would_run_is_printed_whether_it_is_called_effective_or_not() {
    for arguments in [&["--effective"][..], &[]] {
        let parsed = Arguments::try_parse_from(["quorate", "config", "print"].iter().chain(arguments));
        assert!(parsed.is_ok(), "{arguments:?}");
    }
}
