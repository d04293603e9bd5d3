//! What HELP prints.

/// The statements and commands, with examples: all of them, or what is told of the statements that begin with `word`.
pub(super) fn help(word: Option<&str>) -> String {
    let Some(word) = word else {
        return SECTIONS.iter().map(Section::text).collect::<Vec<_>>().join("\n\n");
    };
    let of_word = |section: &Section| {
        let entries: Vec<_> = section.entries.iter().filter(|entry| entry.words.contains(&word)).collect();
        entries.into_iter().map(|entry| entry.text).collect::<Vec<_>>().join("\n")
    };
    let parts: Vec<_> = SECTIONS.iter().map(of_word).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { help(None) } else { parts.join("\n\n") }
}

/// Entries under a title. No line is wider than 79 columns.
struct Section {
    title: &'static str,
    entries: &'static [Entry],
}

impl Section {
    fn text(&self) -> String {
        let entries: Vec<_> = self.entries.iter().map(|entry| entry.text).collect();
        let between = if self.title.is_empty() { "" } else { "\n\n" };
        format!("{}{between}{}", self.title, entries.join("\n"))
    }
}

/// What is told at once, and of which statements.
#[derive(Clone)]
struct Entry {
    words: &'static [&'static str],
    text: &'static str,
}

const SECTIONS: &[Section] = &[
    Section {
        title: "\
Statements end with ';', on whichever line; Ctrl-C gives one up. Keys and
values are texts in single quotes, 'it''s', or blobs, 0x00ff. HELP SELECT
shows what there is to SELECT.",
        entries: STATEMENTS,
    },
    Section { title: "After USING, joined by AND:", entries: OPTIONS },
    Section { title: "", entries: KINDS },
    Section { title: "Commands end with their line.", entries: COMMANDS },
    Section {
        title: "",
        entries: &[Entry {
            words: &["CONSISTENCY"],
            text: "QUORUM and ALL are linearizable; ONE is fast, always available, and promises\nless.",
        }],
    },
];

const STATEMENTS: &[Entry] = &[
    Entry {
        words: &["CREATE"],
        text: "  CREATE TABLE [IF NOT EXISTS] carts (key TEXT PRIMARY KEY, value BLOB)
      [WITH kind = 'siblings' AND replication = 3
       AND read_consistency = 'QUORUM' AND write_consistency = 'QUORUM'];",
    },
    Entry { words: &["ALTER"], text: "  ALTER TABLE carts WITH read_consistency = 'ONE';" },
    Entry { words: &["TRUNCATE", "DROP"], text: "  TRUNCATE carts;  DROP TABLE [IF EXISTS] carts;" },
    Entry {
        words: &["INSERT"],
        text: "  INSERT INTO carts (key, value) VALUES ('alice', '2 apples')
      USING CONSISTENCY ALL AND TTL 3600;",
    },
    Entry {
        words: &["UPDATE"],
        text: "  UPDATE carts SET value = '3 apples' WHERE key = 'alice'
      WITH CONTEXT '0a1b..';",
    },
    Entry {
        words: &["SELECT"],
        text: "  SELECT value FROM carts WHERE key = 'alice';
  SELECT key, value FROM carts WHERE key IN ('alice', 'bob')
      USING CONSISTENCY ONE;
  SELECT * FROM carts LIMIT 100;     all keys, in the order of their tokens
  SELECT key FROM carts;
  SELECT value, WRITETIME(value), TTL(value), VERSION(value), CONTEXT(value)
      FROM carts WHERE key = 'alice';",
    },
    Entry { words: &["DELETE"], text: "  DELETE FROM carts WHERE key = 'alice';" },
    Entry {
        words: &["COPY"],
        text: "  COPY carts TO 'carts.csv' WITH header = true;
  COPY carts FROM 'carts.csv'
      WITH header = true AND delimiter = ';' AND resume = true;",
    },
    Entry { words: &["DESCRIBE"], text: "  DESCRIBE TABLES;  DESCRIBE TABLE carts;  DESCRIBE CLUSTER;" },
    Entry {
        words: &["INSERT"],
        text: "  INSERT INTO locks (key, value) VALUES ('job', 'free') IF NOT EXISTS;
      IF is for tables of kind 'cas' only",
    },
    Entry {
        words: &["UPDATE"],
        text: "  UPDATE locks SET value = 'me' WHERE key = 'job' IF value = 'free';",
    },
    Entry { words: &["DELETE"], text: "  DELETE FROM locks WHERE key = 'job' IF EXISTS;" },
];

const OPTIONS: &[Entry] = &[
    Entry {
        words: &["INSERT", "UPDATE", "DELETE", "SELECT", "CONSISTENCY"],
        text: "  CONSISTENCY ONE|TWO|THREE|QUORUM|ALL|ANY|n
                     how many replicas; ANY for writes only",
    },
    Entry {
        words: &["INSERT", "UPDATE", "DELETE", "SELECT"],
        text: "  W = 2   R = 2      the same for a write, a read, as a number",
    },
    Entry {
        words: &["INSERT", "UPDATE"],
        text: "  TTL 3600   TTL '500ms'
                     how long a value stays: seconds, or with a unit",
    },
    Entry {
        words: &["INSERT", "UPDATE", "DELETE"],
        text: "  SLOPPY             a write that nodes may take for replicas that are down",
    },
    Entry {
        words: &["SELECT"],
        text: "  MONOTONE           a read that never waits for a key others keep writing",
    },
];

const KINDS: &[Entry] = &[
    Entry {
        words: &["CREATE", "INSERT", "UPDATE", "DELETE", "SELECT"],
        text: "\
Tables of kind 'siblings' keep concurrent writes side by side: SELECT prints
each, and below them the UPDATE that replaces them all. DELETE and INSERT take
WITH CONTEXT '..' too; CONTEXT(value) selects it.",
    },
    Entry {
        words: &["CREATE", "INSERT", "UPDATE", "DELETE"],
        text: "\
In tables of kind 'register' the latest write wins. In tables of kind 'cas' a
write may depend on what the key holds: a statement with IF answers whether it
was applied, and if not, what the key holds instead.",
    },
];

const COMMANDS: &[Entry] = &[
    Entry {
        words: &["CONSISTENCY"],
        text: "  CONSISTENCY [level|DEFAULT]
                     the level of statements that name none; DEFAULT: the
                     table's",
    },
    Entry { words: &["TRACING"], text: "  TRACING [ON|OFF]   print what each replica did for each request" },
    Entry { words: &["TIMING"], text: "  TIMING [ON|OFF]    print how long each statement took" },
    Entry { words: &["EXPAND"], text: "  EXPAND [ON|OFF]    print each row by itself, a column a line" },
    Entry {
        words: &["PAGING"],
        text: "  PAGING [ON|n|OFF]  ask whether to go on when the screen is full, after n
                     rows of a scan, never",
    },
    Entry {
        words: &["WAIT"],
        text: "  WAIT FOR HINTS     until no node keeps writes for one that missed them
  WAIT FOR CONVERGENCE [USING TIMEOUT 60]
                     until all replicas hold what any of them holds now",
    },
    Entry { words: &["SOURCE"], text: "  SOURCE 'file.cql'  carry out a file of statements" },
    Entry {
        words: &["HELP", "EXIT", "QUIT"],
        text: "  HELP [SELECT]      this, or what there is to a statement\n  EXIT   QUIT",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::{Expected, expected};

    #[test]
    fn no_line_breaks_on_a_terminal_of_80_columns() {
        let wide: Vec<_> =
            help(None).lines().filter(|line| line.chars().count() > 79).map(str::to_owned).collect();
        assert_eq!(wide, [""; 0]);
    }

    #[test]
    fn what_is_typed_stands_apart_from_what_is_said() {
        for entry in [STATEMENTS, OPTIONS, COMMANDS].concat() {
            assert!(entry.text.lines().all(|line| line.starts_with("  ")), "{}", entry.text);
        }
    }

    #[test]
    fn each_statement_has_its_part() {
        let all = help(None);
        for first in expected("HELP ") {
            let Expected::Word(word) = first else { continue };
            let part = help(Some(word));
            assert!(part.contains(word) && part.len() < all.len() / 2, "{word}: {part}");
        }
        assert!(help(Some("SELECT")).contains("MONOTONE") && !help(Some("SELECT")).contains("CREATE"));
    }

    #[test]
    fn every_example_is_a_statement() {
        let parts: Vec<_> = STATEMENTS.iter().map(|entry| entry.text).collect();
        let examples = parts.join("\n").replace(['[', ']'], "");
        let examples = examples.lines().map(|line| match line.split_once(";   ") {
            Some((statement, _)) => format!("{statement};"),
            None if line.contains("is for tables") => String::new(),
            None => line.replace("0a1b..", "0a1b"),
        });
        let source = examples.collect::<Vec<_>>().join("\n");
        let parsed: Vec<_> = crate::cql::Script::new(&source).collect();
        assert!(parsed.len() > 15, "{parsed:?}");
        for statement in parsed {
            assert!(statement.is_ok(), "{}", statement.expect_err("an error").render(&source, 1));
        }
    }
}
