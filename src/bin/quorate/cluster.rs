//! Connecting to a cluster, and the shell on it.

use std::io::{self, IsTerminal};

use quorate::{
    client::{BuildError, Client, Identity},
    shell::{Console, Session, run_input, run_interactive, run_source},
};

use crate::{
    Failure,
    args::{CertificateFiles, Cluster, Shell, Source},
};

pub(crate) async fn shell(arguments: Shell, console: Console) -> Result<(), Failure> {
    let source = statements(arguments.source)?;
    let client = connect(&arguments.cluster).await?;
    converse(client, source.as_deref(), console).await
}

/// The statements that the arguments give or name; none to read them from standard input.
pub(crate) fn statements(source: Source) -> Result<Option<String>, Failure> {
    let Source { execute, file } = source;
    match file {
        Some(file) => {
            let read = quorate::shell::read_file(&file);
            read.map(Some).map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))
        }
        None => Ok(execute),
    }
}

/// Whether a shell opens, for there is no `source` but a terminal.
pub(crate) fn is_for_a_person(source: Option<&str>) -> bool {
    source.is_none() && io::stdin().is_terminal()
}

/// Carries out `source` if there is one; else opens a shell on a terminal, and reads standard input otherwise.
pub(crate) async fn converse(client: Client, source: Option<&str>, console: Console) -> Result<(), Failure> {
    let interactive = is_for_a_person(source);
    let console = if interactive { console.interactive() } else { console };
    let mut session = Session::new(client, console);
    match source {
        Some(source) => run_source(&mut session, source).await.map(drop)?,
        None if interactive => run_interactive(&mut session).await?,
        None => run_input(&mut session).await.map(drop)?,
    }
    Ok(())
}

/// Connects with the identity that the arguments name.
pub(crate) async fn connect(cluster: &Cluster) -> Result<Client, Failure> {
    connect_to(&cluster.connect, &cluster.files).await
}

/// The same with any of `nodes`.
pub(crate) async fn connect_to(nodes: &[String], files: &CertificateFiles) -> Result<Client, Failure> {
    let file =
        |given: &Option<std::path::PathBuf>, name| given.clone().unwrap_or_else(|| files.certs.join(name));
    let (ca, cert, key) =
        (file(&files.ca, "ca.crt"), file(&files.cert, "client.crt"), file(&files.private_key, "client.key"));
    let identity = Identity::from_pem_files(&ca, &cert, &key).map_err(|error| {
        let hint = "name the client's certificates with --certs DIR, or with --ca, --cert and --key; \
                    `quorate certs client DIR client` makes them";
        Failure::usage(format_args!("{error}\n{hint}"))
    })?;
    let client = Client::builder().contact_points(nodes).tls(identity).build().await;
    client.map_err(|error| match error {
        BuildError::NoContactPoint => Failure::usage(error),
        error => Failure::start(error),
    })
}
