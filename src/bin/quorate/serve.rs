//! A node as a process, and what it needs: configuration and certificates.

use std::path::Path;

use quorate::{
    certs::{self, CertsError},
    config::{self, Overrides},
    runtime::{self, LogFormat},
    shell::Console,
};
use tracing_subscriber::EnvFilter;

use crate::{
    Failure,
    args::{Certs, Config, Serve},
};

pub(crate) async fn serve(arguments: Serve) -> Result<(), Failure> {
    let config = config::load(arguments.config.as_deref(), &arguments.overrides).map_err(Failure::usage)?;
    let filter = EnvFilter::try_new(&config.process.log).map_err(Failure::usage)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.process.log_format {
        LogFormat::Text => log.with_ansi(quorate::shell::stderr_has_color()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    runtime::serve(config).await.map_err(Failure::start)
}

pub(crate) fn config(arguments: Config, console: Console) -> Result<(), Failure> {
    match arguments {
        Config::Check { file } => {
            config::load(Some(&file), &Overrides::default()).map_err(Failure::usage)?;
            console.note(format_args!("{}: no mistakes found", file.display()));
        }
        Config::Print { effective: _, node } => {
            let text = config::render(node.config.as_deref(), &node.overrides).map_err(Failure::usage)?;
            console.text(text.trim_end())?;
        }
    }
    Ok(())
}

pub(crate) fn certs(arguments: Certs, console: Console) -> Result<(), Failure> {
    let written = match &arguments {
        Certs::Init { dir } => certs::init(dir),
        Certs::Node { dir, name, hosts } => certs::node(dir, name, hosts),
        Certs::Client { dir, name } => certs::client(dir, name),
    };
    let written = written.map_err(|error| match error {
        CertsError::Name(_) | CertsError::Host(_) => Failure::usage(error),
        error => Failure::start(error),
    })?;
    let shown = |path: &Path| path.display().to_string();
    console.note(format_args!("wrote {} and {}", shown(&written.certificate), shown(&written.key)));
    Ok(())
}
