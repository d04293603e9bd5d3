//! Certificates as files in a directory.

#![expect(clippy::disallowed_methods, reason = "certificates and keys are files")]

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{Authority, CertsError};

/// The files that were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The certificate, readable by all.
    pub certificate: PathBuf,
    /// The private key, readable by its owner alone.
    pub key: PathBuf,
}

/// Makes a cluster's authority: `ca.crt` and `ca.key` in `dir`, which is created if it is missing.
///
/// # Errors
/// See [`CertsError`]; nothing is ever overwritten.
pub fn init(dir: &Path) -> Result<Written, CertsError> {
    let authority = Authority::create()?;
    write_pair(dir, AUTHORITY, authority.certificate_pem(), authority.key_pem())
}

/// Makes the certificate of the node called `name`, valid for `hosts` (DNS names and IP addresses) too:
/// `NAME.crt` and `NAME.key` in `dir`, signed by the authority found there.
///
/// # Errors
/// See [`CertsError`]; nothing is ever overwritten.
pub fn node(dir: &Path, name: &str, hosts: &[String]) -> Result<Written, CertsError> {
    let issued = read_authority(dir)?.node(name, hosts)?;
    write_pair(dir, name, &issued.certificate_pem, &issued.key_pem)
}

/// Makes the certificate of the client called `name`: `NAME.crt` and `NAME.key` in `dir`, signed by the
/// authority found there.
///
/// # Errors
/// See [`CertsError`]; nothing is ever overwritten.
pub fn client(dir: &Path, name: &str) -> Result<Written, CertsError> {
    let issued = read_authority(dir)?.client(name)?;
    write_pair(dir, name, &issued.certificate_pem, &issued.key_pem)
}

fn read_authority(dir: &Path) -> Result<Authority, CertsError> {
    let read =
        |path: PathBuf| fs::read_to_string(&path).map_err(|source| CertsError::NoAuthority { path, source });
    Authority::from_pem(
        read(dir.join(format!("{AUTHORITY}.crt")))?,
        read(dir.join(format!("{AUTHORITY}.key")))?,
    )
}

fn write_pair(dir: &Path, name: &str, certificate_pem: &str, key_pem: &str) -> Result<Written, CertsError> {
    let written =
        Written { certificate: dir.join(format!("{name}.crt")), key: dir.join(format!("{name}.key")) };
    if let Some(path) = [&written.certificate, &written.key].into_iter().find(|path| path.exists()) {
        return Err(CertsError::Exists(path.clone()));
    }
    fs::create_dir_all(dir).map_err(|source| CertsError::Write { path: dir.to_owned(), source })?;
    write_new(&written.key, key_pem, 0o600)?;
    write_new(&written.certificate, certificate_pem, 0o644)?;
    Ok(written)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CertsError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|source| CertsError::Write { path: path.to_owned(), source })
}

const AUTHORITY: &str = "ca";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::transport::Identity;

    #[test]
    fn makes_files_that_fit_together_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("certs");
        assert!(matches!(node(&dir, "n1", &[]), Err(CertsError::NoAuthority { .. })));
        let authority = init(&dir).unwrap();
        let n1 = node(&dir, "n1", &["127.0.0.1".to_owned()]).unwrap();
        let app = client(&dir, "app").unwrap();
        assert!(matches!(init(&dir), Err(CertsError::Exists(_))));
        assert!(matches!(node(&dir, "app", &[]), Err(CertsError::Exists(_))));
        for Written { certificate, key } in [&n1, &app] {
            Identity::from_pem_files(&authority.certificate, certificate, key).unwrap();
            assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
