//! The shell on a terminal, through a pseudo-terminal: what a person types and sees.

use std::{fs, process::Command};

use super::{CREATE, INSERT, command, outcome, pty::Terminal, quorate};

#[test]
fn lines_pasted_into_a_terminal_are_all_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.types(&format!("{CREATE}\r{INSERT}\rSELECT value FROM\r t WHERE key = 'a';\rEXIT\r"));
    for shown in ["table t created", "written", "1 row"] {
        terminal.shows(shown);
    }
    terminal.ends();
}

#[test]
fn a_terminal_that_does_not_know_its_size_is_written_to_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let demo = command(dir.path(), &["demo", "--nodes", "1"]);
    // In a session of its own: a shell that has the terminal of whoever runs the tests asks that one for its size.
    let mut shell = Command::new("setsid");
    shell.arg(demo.get_program()).args(demo.get_args()).current_dir(dir.path());
    demo.get_envs().filter(|(_, value)| value.is_none()).for_each(|(name, _)| _ = shell.env_remove(name));
    shell.env("XDG_STATE_HOME", dir.path()).env("NO_COLOR", "1");
    let mut terminal = Terminal::start_sized(shell, None, (0, 0));
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks("INSERT INTO t (key, value) VALUES ('a', 'two words');\r", "written");
    terminal.asks("SELECT * FROM t WHERE key = 'a';\r", "┆ two words │");
    terminal.types("\u{4}");
    terminal.ends();
}

#[test]
fn tab_completes_words_tables_and_columns() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    // The names of tables are asked for while a person types: until one is there, Tab offers nothing.
    terminal.types("ins\tin\t");
    // Its name stands after a coloured word.
    terminal.completes("\u{1b}[0m t ");
    terminal.asks("(k\t, v\t) val\t('tab', 'x');\r", "written");
    terminal.asks("SELECT WR\t FROM t WHERE key = 'tab';\r", "1 row");
    terminal.types("CONSISTENCY \t\t");
    terminal.shows("QUORUM   ALL");
    // A hint goes with the line that Ctrl-C gives up.
    terminal.types("\u{3}");
    terminal.prompts();
    terminal.types("INSERT I");
    terminal.shows("\u{1b}[2mNTO\u{1b}[0m");
    terminal.types("\u{3}");
    terminal.shows("\u{1b}[1A\u{1b}[26G\u{1b}[J");
    terminal.prompts();
    terminal.types("CONSISTENCY \t\t");
    terminal.shows("QUORUM   ALL");
    // Ctrl-C gives up the line, Ctrl-D ends the shell.
    terminal.types("\u{3}");
    terminal.prompts();
    terminal.types("\u{4}");
    let screen = terminal.ends();
    assert!(screen.contains("writetime(value)"), "{screen}");
}

#[test]
fn tab_completes_what_stands_in_open_quotes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("schema.cql"), CREATE).unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks("SOURCE 'sch\t\r", "table t created");
    terminal.asks("ALTER TABLE t WITH read_consistency = 'quo\t;\r", "table t altered");
    terminal.types("\u{4}");
    terminal.ends();
}

#[test]
fn rows_stand_by_themselves_and_times_are_told_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks(&format!("{INSERT}\r"), "written");
    terminal.asks("EXPAND ON\r", "expand on");
    terminal.asks("TIMING ON\r", "timing on");
    terminal.asks("SELECT * FROM t;\r", "-[ row 1 ]-\r\nkey   | a\r\nvalue | b\r\n1 row\r\ntime: ");
    terminal.asks("EXPAND OFF\r", "expand off");
    terminal.asks("SELECT * FROM t;\r", "│ a   ┆ b     │");
    terminal.asks("TIMING OFF\r", "timing off\r\n");
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn a_whole_statement_comes_back_from_the_history_of_an_earlier_shell() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks("SELECT 7\rFROM;\r", "found number 7");
    terminal.types("EXIT\r");
    terminal.ends();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    // EXIT, then what was before it: both of its lines, for the error is in the first.
    terminal.types("\u{1b}[A\u{1b}[A");
    terminal.shows("FROM;");
    terminal.asks("\r", "found number 7");
    terminal.types("\u{4}");
    terminal.ends();
}

#[test]
fn the_history_outlives_a_terminal_that_is_closed_and_has_what_several_shells_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = Terminal::with_shell(dir.path(), &[]);
    let mut other = Terminal::with_shell(dir.path(), &[]);
    one.asks("TIMING\r", "timing off");
    other.asks("EXPAND\r", "expand off");
    one.asks("TRACING\r", "tracing off");
    // Closed, not left.
    drop((one, other));
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    for (keys, answer) in [("\u{1b}[A", "tracing off"), ("\u{1b}[A\u{1b}[A", "expand off")] {
        terminal.asks(&format!("{keys}\r"), answer);
    }
    terminal.types("EXIT\r");
    terminal.ends();
    let kept = fs::read_to_string(dir.path().join("quorate/history")).unwrap();
    assert_eq!(kept.lines().skip(1).collect::<Vec<_>>(), ["TIMING", "EXPAND", "TRACING", "EXPAND", "EXIT"]);
}

#[test]
fn lines_that_go_on_have_a_prompt_that_says_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[("NO_COLOR", "1")]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    for (line, shown) in [
        ("INSERT INTO t (key, value)", "              -> "),
        ("VALUES ('two", "              '> "),
        ("lines', 'x') /* ; ", "              *> "),
        ("*/", "              -> "),
        (";", "written"),
        ("SELECT *", "              -> "),
        // Ctrl-C gives up what was begun.
        ("\u{3}", "quorate:default> "),
        ("SELECT key FROM t WHERE key = 'two", "              '> "),
        ("lines';", "1 row"),
    ] {
        terminal.types(&format!("{line}\r"));
        terminal.shows(shown);
    }
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn what_begins_no_statement_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    for (typed, meant) in [("SELEC", "did you mean SELECT?"), ("exot", "did you mean EXIT?"), ("}", "")] {
        terminal.types(&format!("{typed}\r"));
        let carets = "^".repeat(typed.len());
        terminal.shows(&format!("at line 1, column 1:\r\n    {typed}\r\n    {carets}\r\n{meant}"));
        terminal.prompts();
    }
    // Nothing of it is left; and within a text there may be anything.
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks("INSERT INTO t (key, value) VALUES ('a', '\rexot\rSELEC\r');\r", "written");
    terminal.types("\\q\r");
    terminal.ends();
}

#[test]
fn colours_are_for_those_who_want_them() {
    let dir = tempfile::tempdir().unwrap();
    let line = "SELECT value FROM nothing WHERE key = 'é' -- x\r;\rEXIT\r";
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.types(line);
    let screen = terminal.ends();
    for colored in [
        "\u{1b}[1;34mSELECT\u{1b}[0m",
        "\u{1b}[32m'é'\u{1b}[0m",
        "\u{1b}[2m-- x\u{1b}[0m",
        "\u{1b}[31merror:",
    ] {
        assert!(screen.contains(colored), "{colored:?}: {screen:?}");
    }
    let mut terminal = Terminal::with_shell(dir.path(), &[("NO_COLOR", "1")]);
    terminal.types(line);
    let screen = terminal.ends();
    assert!(screen.contains("unknown table 'nothing'") && !screen.contains("\u{1b}[1;34m"), "{screen:?}");
    assert!(
        ["\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m"].iter().all(|color| !screen.contains(color)),
        "{screen:?}"
    );
}

#[test]
fn a_mistake_has_carets_below_it_in_the_line_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    for (typed, shown) in [
        (
            "SELECT value\r  FROM t\r  WHERE kee = 'a';",
            "found 'kee' at line 3, column 9:\r\n      WHERE kee = 'a';\r\n            ^^^\r\ndid you mean KEY?\r\n",
        ),
        // One of these letters takes two columns of a terminal.
        (
            "INSERT INTO t (key, value)\r VALUES ('漢é', b);",
            "found 'b' at line 2, column 16:\r\n     VALUES ('漢é', b);\r\n                    ^\r\n",
        ),
        ("SELECT *\r\r\rFORM t;", "found 'FORM' at line 4, column 1:\r\n    FORM t;\r\n    ^^^^\r\n"),
    ] {
        terminal.asks(&format!("{typed}\r"), shown);
    }
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn a_table_that_there_is_not_has_carets_below_it_and_the_one_that_may_be_meant() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{}\r", CREATE.replace(" t ", " carts ")), "table carts created");
    for (typed, shown) in [
        (
            "SELECT * FROM crats;",
            "unknown table 'crats' at line 1, column 15:\r\n    SELECT * FROM crats;\r\n                  ^^^^^\r\n\
             did you mean carts? DESCRIBE TABLES lists them all\r\n",
        ),
        (
            "EXPAND; DROP TABLE\r cart;",
            "unknown table 'cart' (not applied) at line 2, column 2:\r\n     cart;\r\n     ^^^^\r\ndid you mean carts?",
        ),
        (
            "DESCRIBE TABLE banana",
            "    DESCRIBE TABLE banana\r\n                   ^^^^^^\r\nDESCRIBE TABLES lists them\r\n",
        ),
    ] {
        terminal.asks(&format!("{typed}\r"), shown);
    }
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn long_answers_are_given_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), (0..25).map(|i| format!("row{i},v\n")).collect::<String>())
        .unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks("COPY t FROM 'rows.csv';\r", "COPY wrote 25 rows");
    terminal.asks("PAGING 10\r", "asks after each 10 rows");
    let rows = |terminal: &Terminal| terminal.screen().matches("│ row").count();
    let asks = |terminal: &mut Terminal, keys: &str| {
        terminal.types(keys);
        terminal.shows("└");
        terminal.shows(QUESTION);
        assert!(terminal.hands_over_keys(), "before the question is there to be read");
    };
    asks(&mut terminal, "SELECT * FROM t;\r");
    assert_eq!(rows(&terminal), 10);
    // One key is enough.
    asks(&mut terminal, " ");
    assert_eq!(rows(&terminal), 20);
    terminal.asks("q", "20 rows");
    assert_eq!(rows(&terminal), 20, "no more were wanted");

    asks(&mut terminal, "SELECT * FROM t;\r");
    asks(&mut terminal, "\r");
    terminal.asks("\r", "25 rows");
    assert_eq!(rows(&terminal), 45);
    terminal.asks("SELECT * FROM t LIMIT 10;\r", "10 rows");
    terminal.asks("PAGING OFF\r", "paging off");
    let questions = terminal.screen().matches(QUESTION).count();
    terminal.asks("SELECT * FROM t;\r", "25 rows");
    assert_eq!((rows(&terminal), terminal.screen().matches(QUESTION).count()), (80, questions));
    terminal.types("EXIT\r");
    terminal.ends();
}

/// The screen has 40 lines of 100 columns.
#[test]
fn a_full_screen_waits_for_a_key() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), (0..75).map(|i| format!("row{i},v\n")).collect::<String>())
        .unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks("COPY t FROM 'rows.csv';\r", "COPY wrote 75 rows");
    let rows = |terminal: &Terminal| terminal.screen().matches("│ row").count();
    let asks = |terminal: &mut Terminal, keys: &str| {
        terminal.types(keys);
        terminal.shows(QUESTION);
        assert!(terminal.hands_over_keys(), "before the question is there to be read");
    };
    asks(&mut terminal, "SELECT * FROM t;\r");
    assert_eq!(rows(&terminal), 35, "39 lines with those of the table, and the question");
    asks(&mut terminal, " ");
    assert_eq!(rows(&terminal), 70);
    terminal.asks(" ", "75 rows");

    // What counts is lines: this value has 60 of them and more.
    fs::write(dir.path().join("long.csv"), format!("long,{}\n", "long ".repeat(1_000))).unwrap();
    terminal.asks("COPY t FROM 'long.csv';\r", "COPY wrote 1 row");
    let questions = terminal.screen().matches(QUESTION).count();
    for select in ["SELECT * FROM t WHERE key = 'long';\r", "SELECT value FROM t LIMIT 76;\r"] {
        asks(&mut terminal, select);
        terminal.types("q");
        terminal.prompts();
    }
    assert_eq!(terminal.screen().matches(QUESTION).count(), questions + 2);
    terminal.types("EXIT\r");
    terminal.ends();
}

/// What is said beneath an answer takes lines of the screen as the answer does, and so does what HELP says.
#[test]
fn what_stands_beside_an_answer_takes_room_too() {
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..33).map(|i| format!("row{i},v\n")).collect::<String>();
    fs::write(dir.path().join("rows.csv"), rows).unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[("NO_COLOR", "1")]);
    let create = CREATE.replace("register", "siblings");
    terminal.asks(&format!("{create}\r"), "table t created");
    terminal.asks("COPY t FROM 'rows.csv';\r", "COPY wrote 33 rows");
    terminal.asks("INSERT INTO t (key, value) VALUES ('both', 'old');\r", "written");
    terminal.asks("SELECT CONTEXT(value) FROM t WHERE key = 'both';\r", "1 row\r\n");
    let screen = terminal.screen();
    let context = screen.rsplit("│ ").find(|cell| cell.starts_with("01")).unwrap().split(' ').next().unwrap();
    for value in ["one", "other"] {
        let update = "UPDATE t SET value = 'it' WHERE key = 'both' WITH CONTEXT";
        terminal.asks(&format!("{} '{context}';\r", update.replace("it", value)), "written");
    }
    let asks = |terminal: &mut Terminal, keys: &str, shown: &str| {
        terminal.types(keys);
        terminal.shows(shown);
        terminal.shows(QUESTION);
        assert!(terminal.hands_over_keys(), "before the question is there to be read");
    };
    // 35 rows and the table's four lines fill the screen.
    let keys: Vec<_> = (0..33).map(|i| format!("'row{i}'")).collect();
    let select = format!("SELECT * FROM t WHERE key IN ('both', {});\r", keys.join(", "));
    asks(&mut terminal, &select, "35 rows");
    terminal.asks(" ", "concurrent values");
    asks(&mut terminal, "SELECT * FROM t LIMIT 34;\r", "│ row");
    terminal.types("q");
    terminal.prompts();
    terminal.asks("TRACING ON\r", "tracing on");
    asks(&mut terminal, &format!("SELECT key FROM t WHERE key IN ({});\r", keys[..16].join(", ")), "replica");
    terminal.types("q");
    terminal.prompts();
    asks(&mut terminal, "HELP\r", "CREATE TABLE");
    terminal.asks(" ", "EXIT   QUIT");
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn how_far_a_copy_is_is_drawn_for_a_person_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), (0..2_000).map(|i| format!("k{i},v\n")).collect::<String>())
        .unwrap();
    let copy = |terminal: &mut Terminal, notes: bool| {
        let mut asks = |keys: &str, answer: &str| {
            terminal.types(keys);
            if notes {
                terminal.shows(answer);
            }
            terminal.prompts();
        };
        asks(&format!("{CREATE}\r"), "table t created");
        asks("COPY t FROM 'rows.csv';\r", " a second, 0 rejected");
        asks("COPY t TO 'out.csv';\r", "a second");
        terminal.types("EXIT\r");
    };
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    copy(&mut terminal, true);
    let screen = terminal.ends();
    assert!(screen.contains("░") && screen.contains("COPY wrote 2000 rows in "), "{screen:?}");

    let notes = dir.path().join("notes");
    let mut shell = command(dir.path(), &["demo", "--nodes", "1"]);
    shell.env("XDG_STATE_HOME", dir.path());
    let mut terminal = Terminal::start(shell, Some(fs::File::create(&notes).unwrap()));
    copy(&mut terminal, false);
    let screen = terminal.ends();
    let notes = fs::read_to_string(&notes).unwrap();
    let times: Vec<_> =
        notes.lines().filter_map(|line| line.strip_prefix("COPY wrote 2000 rows in ")).collect();
    assert!(times.len() == 2 && times.iter().all(|time| time.ends_with(" s")), "{notes:?}");
    for drawn in ["\u{1b}", "\r", "░", "rejected"] {
        assert!(!notes.contains(drawn), "{drawn:?}: {notes:?}");
    }
    assert!(!screen.contains("rejected"), "{screen:?}");
}

#[test]
fn a_copy_that_is_given_up_says_how_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), (0..300_000).map(|i| format!("k{i},v\n")).collect::<String>())
        .unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.types("COPY t FROM 'rows.csv';\r");
    terminal.shows(" a second, 0 rejected");
    terminal.interrupts();
    terminal.asks("", "The same COPY WITH resume = true goes on here");
    terminal.types("COPY t FROM 'rows.csv' WITH resume = true;\r");
    terminal.shows("COPY goes on at line ");
    terminal.shows(" a second, 0 rejected");
    terminal.interrupts();
    terminal.asks("", "cancelled; ");

    // Nothing of a read is on its way; the table has a part of the rows.
    terminal.types("SELECT * FROM t;\r");
    terminal.shows(QUESTION);
    assert!(terminal.hands_over_keys(), "before the question is there to be read");
    terminal.asks("\u{3}", "\u{1b}[K");
    assert_eq!(terminal.screen().matches("cancelled").count(), 2);
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn a_demo_tells_how_another_terminal_joins() {
    for arguments in [&[][..], &["--data", "kept"]] {
        let dir = tempfile::tempdir().unwrap();
        let mut demo = command(dir.path(), &[&["demo", "--nodes", "1"], arguments].concat());
        demo.env("XDG_STATE_HOME", dir.path());
        let mut terminal = Terminal::start(demo, None);
        let screen = terminal.screen();
        let join = screen.lines().skip_while(|line| !line.trim_start().starts_with("quorate shell "));
        let mut join: Vec<_> =
            join.take(2).flat_map(str::split_whitespace).filter(|word| *word != "\\").skip(1).collect();
        join.extend(["-e", CREATE]);
        // It may be anywhere.
        let done = quorate(&std::env::temp_dir(), &join);
        assert_eq!(outcome(&done), (0, "", ""), "{join:?}");
        terminal.asks("DESCRIBE TABLE t\r", "register");
        terminal.types("EXIT\r");
        terminal.ends();
    }
}

/// What ends a page.
const QUESTION: &str = "-- Enter for more, q to end: ";
