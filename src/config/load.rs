//! From file and overrides to a configuration that is sound as a whole.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use quorate_ring::{Founder, Ring};

use super::{
    Overrides,
    draft::{Draft, Value},
    file::{self, Lines},
    setting::{SETTINGS, Setting},
};
use crate::{
    runtime::{ClusterSettings, RunConfig, StartError},
    transport::{Identity, node_server_name},
    wire::frame_bytes_max,
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In which line of the file, from 1; none if no line is to blame.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// What is wrong, in the order of lines.
    pub mistakes: Vec<Mistake>,
}

/// Reads the configuration of a node: `file`, and over it what `overrides` set.
///
/// # Errors
/// All mistakes at once.
pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<RunConfig, Mistakes> {
    let mut mistakes = Vec::new();
    let (draft, lines) = gather(file, overrides, &mut mistakes);
    let config = if mistakes.is_empty() { finish(draft, &lines, &mut mistakes) } else { None };
    config.ok_or_else(|| {
        mistakes.sort_by_key(|mistake| mistake.line);
        Mistakes { file: file.map(Path::to_owned), mistakes }
    })
}

/// What would run, as a file that says everything: `config print --effective`.
///
/// # Errors
/// Mistakes in single settings; whether all fit together is not asked.
pub fn render(file: Option<&Path>, overrides: &Overrides) -> Result<String, Mistakes> {
    let mut mistakes = Vec::new();
    let (mut draft, _) = gather(file, overrides, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(Mistakes { file: file.map(Path::to_owned), mistakes });
    }
    draft.settle();
    let mut text = String::new();
    for setting in SETTINGS {
        let (Setting { key, help, more, .. }, value) = (setting, draft.text(setting));
        let unset = if value.is_empty() { "# " } else { "" };
        text.push_str(&format!("# {help}.\n# {more}.\n{unset}{key} = {value}\n\n"));
    }
    text.pop();
    Ok(text)
}

fn gather(file: Option<&Path>, overrides: &Overrides, mistakes: &mut Vec<Mistake>) -> (Draft, Lines) {
    let mut draft = Draft::default();
    let mut lines = Lines::new();
    if let Some(path) = file {
        match fs::read_to_string(path) {
            Ok(text) => {
                let dir = path.parent().unwrap_or(Path::new(""));
                lines = file::read(&text, dir, &mut draft, mistakes);
            }
            Err(e) => mistakes.push(Mistake { line: None, reason: format!("cannot be read: {e}") }),
        }
    }
    let in_file: Vec<_> = lines.iter().map(|(key, _)| *key).collect();
    for (setting, value) in overrides.iter() {
        // The line of the file is not to blame for what was set over it.
        lines.retain(|(key, _)| *key != setting.key);
        if let Err(reason) = draft.set(setting, Value::Text(value.to_owned())) {
            let reason = format!("--{} or {}: {reason}", setting.flag(), setting.variable());
            mistakes.push(Mistake { line: None, reason });
        }
    }
    draft.fill(|key| in_file.contains(&key) || overrides.iter().any(|(setting, _)| setting.key == key));
    (draft, lines)
}

/// Checks what only shows when all is known.
fn finish(mut draft: Draft, lines: &Lines, mistakes: &mut Vec<Mistake>) -> Option<RunConfig> {
    let mut blame = |key: &str, reason: String| {
        let line = lines.iter().find(|(at, _)| *at == key).map(|(_, line)| *line);
        mistakes.push(Mistake { line, reason });
    };
    let missing = required(&draft);
    for key in &missing {
        blame(key, format!("`{key}` is missing: set it in the file, as a flag or in the environment"));
    }
    if !missing.is_empty() {
        return None;
    }
    draft.settle();
    let Draft { listen, cluster, founders, value_bytes_max, request_timeout_max, .. } = draft;
    let Draft { node, data_dir, ca, cert, key, process, .. } = draft;
    let (cluster, founders, node) = (cluster?, founders?, node?);
    let before = blame_founders(&cluster, &founders, &node, &mut blame);
    if process.peer_keep_alive * 2 > process.peer_idle_timeout {
        blame("peer_keep_alive", "`peer_keep_alive` must be at most half of `peer_idle_timeout`".to_owned());
    }
    for (key, bytes_max) in [
        ("peer_output_bytes_max", process.peer_output_bytes_max),
        ("client_output_bytes_max", process.client_output_bytes_max),
    ] {
        if bytes_max < 2 * frame_bytes_max(value_bytes_max) {
            blame(
                key,
                format!("`{key}` must hold twice the longest value (`value_bytes_max`) and some more"),
            );
        }
    }
    if listen.is_none() && before {
        let reason = "`listen` is missing, and this node's address in `founders` is a name, not IP:PORT";
        blame("listen", reason.to_owned());
    }
    let identity = match Identity::from_pem_files(&ca?, &cert?, &key?) {
        Ok(identity) if identity.is_node(&node) => Some(identity),
        Ok(_) => {
            blame("tls.cert", StartError::WrongCertificate { node: node.clone() }.to_string());
            None
        }
        Err(e) => {
            blame("tls.cert", e.to_string());
            None
        }
    };
    if !mistakes.is_empty() {
        return None;
    }
    let cluster = ClusterSettings { name: cluster, founders, value_bytes_max, request_timeout_max };
    Some(RunConfig { cluster, node, listen: listen?, data_dir: data_dir?, identity: identity?, process })
}

fn required(draft: &Draft) -> Vec<&'static str> {
    SETTINGS
        .iter()
        .filter(|setting| {
            !["listen", "admin_address"].contains(&setting.key) && draft.text(setting).is_empty()
        })
        .map(|setting| setting.key)
        .collect()
}

/// Whether the founders' list is sound and contains this node.
fn blame_founders(
    cluster: &str,
    founders: &[Founder],
    node: &str,
    blame: &mut impl FnMut(&str, String),
) -> bool {
    let ring = match Ring::found(cluster, founders) {
        Ok(ring) => ring,
        Err(e) => {
            blame("founders", e.to_string());
            return false;
        }
    };
    let mut names: Vec<_> = founders.iter().map(|founder| founder.name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        blame(
            "founders",
            format!(
                "two nodes are named '{}', but for upper and lower case: certificates do not tell them apart",
                pair[0]
            ),
        );
    }
    for founder in founders.iter().filter(|founder| node_server_name(&founder.name).is_none()) {
        blame(
            "founders",
            format!(
                "no certificate can carry the name '{}': take up to 63 letters, digits and '-'",
                founder.name
            ),
        );
    }
    if ring.member_by_name(node).is_none() {
        let names = founders.iter().map(|founder| founder.name.clone()).collect();
        blame("node", StartError::NotAFounder { node: node.to_owned(), names }.to_string());
        return false;
    }
    true
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Mistake { line, reason }) in self.mistakes.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            if let Some(file) = &self.file {
                write!(f, "{}:", file.display())?;
            }
            match line {
                Some(line) => write!(f, "{line}: {reason}")?,
                None if self.file.is_some() => write!(f, " {reason}")?,
                None => write!(f, "{reason}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

#[cfg(test)]
mod tests;
