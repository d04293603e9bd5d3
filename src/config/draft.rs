//! Settings on their way to a configuration: read one by one, checked together at the end.

use std::{
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use quorate_ring::Founder;
use quorate_storage::State;
use tracing_subscriber::EnvFilter;

use super::{
    founders::{founder_text, parse_founders},
    preset::Preset,
    setting::{Field, SETTINGS, Setting},
};
use crate::{
    runtime::{LogFormat, NetworkProfile, ProcessSettings},
    units::{bytes_text, duration_text, parse_bytes, parse_duration},
    wire::VALUE_BYTES_MAX,
};

/// What has been set so far.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) cluster: Option<String>,
    pub(super) founders: Option<Vec<Founder>>,
    pub(super) value_bytes_max: usize,
    pub(super) request_timeout_max: Duration,
    pub(super) node: Option<String>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) preset: Preset,
    /// `Some(None)` if there is to be none.
    pub(super) admin_address: Option<Option<SocketAddr>>,
    pub(super) process: ProcessSettings,
}

/// A setting's value.
pub(super) enum Value {
    /// As written.
    Text(String),
    /// Founders that the file gives as a list.
    Founders(Vec<Founder>),
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            cluster: None,
            founders: None,
            value_bytes_max: VALUE_BYTES_MAX,
            request_timeout_max: Duration::from_secs(30),
            node: None,
            listen: None,
            data_dir: None,
            ca: None,
            cert: None,
            key: None,
            preset: Preset::Default,
            admin_address: None,
            process: ProcessSettings::default(),
        }
    }
}

impl Draft {
    /// Gives what is not set by anybody what the preset says.
    pub(super) fn fill(&mut self, is_set: impl Fn(&str) -> bool) {
        let mut set = std::mem::replace(&mut self.process, self.preset.settings());
        for setting in SETTINGS.iter().filter(|setting| is_set(setting.key)) {
            match &setting.field {
                Field::Own => {}
                Field::Bytes(field, _) => *field(&mut self.process) = *field(&mut set),
                Field::Memory(field, _) | Field::Count(field, _) => {
                    *field(&mut self.process) = *field(&mut set);
                }
                Field::Duration(field, _) => *field(&mut self.process) = *field(&mut set),
            }
        }
        self.process.network = set.network;
        (self.process.log, self.process.log_format) = (set.log, set.log_format);
    }

    /// Settles what follows from other settings and was not set.
    pub(super) fn settle(&mut self) {
        self.listen = self.listen.or_else(|| self.own_address());
        if let (None, Some(listen)) = (self.admin_address, self.listen) {
            let ip = if listen.ip().is_loopback() { listen.ip() } else { Ipv4Addr::LOCALHOST.into() };
            self.admin_address = Some(Some((ip, listen.port()).into()));
        }
        self.process.admin_address = self.admin_address.flatten();
    }

    /// This node's address in the founders' list, unless it is a name.
    fn own_address(&self) -> Option<SocketAddr> {
        let own = self.node.as_ref()?;
        self.founders.as_ref()?.iter().find(|founder| founder.name == *own)?.address.parse().ok()
    }

    /// Sets one setting, or says why not.
    pub(super) fn set(&mut self, setting: &Setting, value: Value) -> Result<(), String> {
        let text = match value {
            Value::Founders(founders) if setting.key == "founders" => {
                self.founders = Some(founders);
                return Ok(());
            }
            Value::Founders(_) => return Err("takes one value, not a list".to_owned()),
            Value::Text(text) => text,
        };
        match &setting.field {
            Field::Own => self.set_own(setting.key, text)?,
            Field::Bytes(field, range) => *field(&mut self.process) = bytes_within(&text, range)?,
            Field::Memory(field, range) => *field(&mut self.process) = memory_within(&text, range)?,
            Field::Count(field, range) => {
                let count = text.parse::<u64>().map_err(|_| format!("'{text}' is no number"))?;
                let count = within(count, range, |count| count.to_string())?;
                *field(&mut self.process) = usize::try_from(count).map_err(|e| e.to_string())?;
            }
            Field::Duration(field, range) => {
                *field(&mut self.process) = within(parse_duration(&text)?, range, duration_text)?;
            }
        }
        Ok(())
    }

    /// A setting as it stands, as TOML; empty if it is not set.
    pub(super) fn text(&self, setting: &Setting) -> String {
        let mut process = self.process.clone();
        match &setting.field {
            Field::Own => self.own_text(setting.key),
            Field::Bytes(field, _) => quoted(bytes_text(*field(&mut process))),
            Field::Memory(field, _) => quoted(bytes_text(*field(&mut process) as u64)),
            Field::Count(field, _) => field(&mut process).to_string(),
            Field::Duration(field, _) => quoted(duration_text(*field(&mut process))),
        }
    }

    fn set_own(&mut self, key: &str, text: String) -> Result<(), String> {
        match key {
            "cluster" => self.cluster = Some(text),
            "founders" => self.founders = Some(parse_founders(&text)?),
            "value_bytes_max" => {
                self.value_bytes_max = memory_within(&text, &(1..=State::VALUE_BYTES_MAX as u64))?;
            }
            "request_timeout_max" => {
                let range = Duration::from_millis(10)..=Duration::from_secs(3_600);
                self.request_timeout_max = within(parse_duration(&text)?, &range, duration_text)?;
            }
            "node" => self.node = Some(text),
            "listen" => {
                self.listen = Some(address(&text)?);
            }
            "data_dir" => self.data_dir = Some(text.into()),
            "tls.ca" => self.ca = Some(text.into()),
            "tls.cert" => self.cert = Some(text.into()),
            "tls.key" => self.key = Some(text.into()),
            "preset" => {
                let named = Preset::named(&text);
                self.preset =
                    named.ok_or_else(|| format!("'{text}' is neither `small` nor `default` nor `large`"))?;
            }
            "network" => {
                let named = NetworkProfile::named(&text);
                self.process.network = named.ok_or_else(|| format!("'{text}' is neither `lan` nor `wan`"))?;
            }
            "log" => {
                check_filter(&text)?;
                self.process.log = text;
            }
            "log_format" => {
                let named = LogFormat::named(&text);
                self.process.log_format =
                    named.ok_or_else(|| format!("'{text}' is neither `text` nor `json`"))?;
            }
            "admin_address" if text == OFF => self.admin_address = Some(None),
            "admin_address" => self.admin_address = Some(Some(address(&text)?)),
            _ => return Err("is no setting".to_owned()),
        }
        Ok(())
    }

    fn own_text(&self, key: &str) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| quoted(path.display()));
        let text = match key {
            "cluster" => self.cluster.as_ref().map(quoted),
            "founders" => self.founders.as_ref().map(|founders| {
                let list: Vec<_> = founders.iter().map(|founder| quoted(founder_text(founder))).collect();
                format!("[{}]", list.join(", "))
            }),
            "value_bytes_max" => Some(quoted(bytes_text(self.value_bytes_max as u64))),
            "request_timeout_max" => Some(quoted(duration_text(self.request_timeout_max))),
            "node" => self.node.as_ref().map(quoted),
            "listen" => self.listen.map(quoted),
            "data_dir" => path(&self.data_dir),
            "tls.ca" => path(&self.ca),
            "tls.cert" => path(&self.cert),
            "tls.key" => path(&self.key),
            "preset" => Some(quoted(self.preset.name())),
            "network" => Some(quoted(self.process.network.name())),
            "log" => Some(quoted(&self.process.log)),
            "log_format" => Some(quoted(self.process.log_format.name())),
            "admin_address" => self.admin_address.map(|address| address.map_or_else(|| quoted(OFF), quoted)),
            _ => None,
        };
        text.unwrap_or_default()
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let usage = |_| format!("'{text}' is no address: write IP:PORT, like `0.0.0.0:7000` or `[::]:7000`");
    text.parse().map_err(usage)
}

/// A word that is neither a level nor a module would silence everything else: most likely it is a level with a slip.
fn check_filter(text: &str) -> Result<(), String> {
    const USAGE: &str = "write a level, and others for modules, like `info,quorate::requests=debug`";
    let is_level =
        |word: &str| ["error", "warn", "info", "debug", "trace", "off"].contains(&&*word.to_lowercase());
    let is_known =
        |word: &&str| is_level(word) || word.contains(['=', ':', '[', ']']) || word.starts_with("quorate");
    match text.split(',').map(str::trim).find(|word| !word.is_empty() && !is_known(word)) {
        Some(word) => Err(format!("'{word}' is no level of logs: {USAGE}")),
        None => EnvFilter::try_new(text).map(drop).map_err(|error| format!("'{text}': {error}: {USAGE}")),
    }
}

fn bytes_within(text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    within(parse_bytes(text)?, range, bytes_text)
}

fn memory_within(text: &str, range: &RangeInclusive<u64>) -> Result<usize, String> {
    usize::try_from(bytes_within(text, range)?).map_err(|e| e.to_string())
}

fn within<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    show: impl Fn(T) -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!("{} is not within {} to {}", show(value), show(*range.start()), show(*range.end())))
}

const OFF: &str = "off";

fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}
