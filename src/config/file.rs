//! The file: every mistake in it with its line.

use std::{ops::Range, path::Path};

use quorate_ring::Founder;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    draft::{Draft, Value},
    load::Mistake,
    setting::{SETTINGS, Setting},
};

/// Where each setting stands, for mistakes that show later.
pub(super) type Lines = Vec<(&'static str, usize)>;

/// Reads `text` into `draft`. Relative paths start at `dir`.
pub(super) fn read(text: &str, dir: &Path, draft: &mut Draft, mistakes: &mut Vec<Mistake>) -> Lines {
    let mut reader = Reader { text, dir, draft, mistakes, lines: Lines::new() };
    match DeTable::parse(text) {
        Ok(document) => reader.table("", document.get_ref()),
        Err(error) => {
            let line = error.span().map(|span| reader.line(&span));
            reader.mistakes.push(Mistake { line, reason: format!("not TOML: {}", error.message()) });
        }
    }
    reader.lines
}

struct Reader<'a> {
    text: &'a str,
    dir: &'a Path,
    draft: &'a mut Draft,
    mistakes: &'a mut Vec<Mistake>,
    lines: Lines,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let line = self.line(&name.span());
            let setting = SETTINGS.iter().find(|setting| setting.key == key);
            match (setting, value.get_ref()) {
                (Some(setting), _) => {
                    self.lines.push((setting.key, line));
                    if let Err(reason) = self.set(setting, value) {
                        self.mistakes
                            .push(Mistake { line: Some(line), reason: format!("`{key}`: {reason}") });
                    }
                }
                (None, DeValue::Table(inner)) if is_table(&key) => self.table(&format!("{key}."), inner),
                (None, _) => self.mistakes.push(Mistake { line: Some(line), reason: unknown(&key) }),
            }
        }
    }

    fn set(&mut self, setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<(), String> {
        let value = match value.get_ref() {
            DeValue::Array(list) if setting.key == "founders" => {
                Value::Founders(list.iter().map(|founder| self.founder(founder)).collect::<Result<_, _>>()?)
            }
            other => Value::Text(self.path(setting, scalar(other)?)),
        };
        self.draft.set(setting, value)
    }

    fn founder(&self, value: &Spanned<DeValue<'_>>) -> Result<Founder, String> {
        let at = |reason| format!("line {}: {reason}", self.line(&value.span()));
        match value.get_ref() {
            DeValue::String(text) => super::parse_founder(text).map_err(at),
            DeValue::Table(_) => self.text[value.span()]
                .parse::<toml::Value>()
                .and_then(toml::Value::try_into)
                .map_err(|e| at(e.message().to_owned())),
            _ => Err(at("a founder is \"NAME=HOST:PORT\" or { name = .., address = .. }".to_owned())),
        }
    }

    fn path(&self, setting: &Setting, text: String) -> String {
        let is_path = setting.key.starts_with("tls.") || setting.key == "data_dir";
        if is_path { self.dir.join(text).display().to_string() } else { text }
    }

    /// Lines count from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        _ => Err("takes a text or a number".to_owned()),
    }
}

fn is_table(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(key: &str) -> String {
    let similar =
        SETTINGS.iter().map(|setting| (strsim::damerau_levenshtein(key, setting.key), setting.key)).min();
    match similar {
        Some((distance, near)) if distance <= key.len().div_ceil(3) => {
            format!("there is no setting `{key}`; did you mean `{near}`?")
        }
        _ => format!("there is no setting `{key}`; `quorate serve --help` lists them"),
    }
}
