//! The authority and what it issues, in memory.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};

use crate::transport::{Identity, IdentityError, NODE_DOMAIN, node_server_name};

/// A cluster's authority, with its private key.
pub struct Authority {
    certificate_pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key.
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// The key: a secret.
    pub key_pem: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertsError {
    /// A name that no certificate, or no file, can carry.
    #[error(
        "'{0}' is not usable as a name here: take 1 to 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit, and not 'ca'"
    )]
    Name(String),
    /// A host that is neither a DNS name nor an IP address, or that would pass for a node.
    #[error("'{0}' is neither a DNS name nor an IP address, or lies in the reserved domain {NODE_DOMAIN}")]
    Host(String),
    /// Something is there already.
    #[error("{} exists already: nothing is overwritten; delete it, or take another directory or name", .0.display())]
    Exists(std::path::PathBuf),
    /// The authority is not in the directory.
    #[error("cannot read {}: {source}; `quorate certs init DIR` makes the cluster's authority", path.display())]
    NoAuthority {
        /// Where it was looked for.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which one.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Making or reading a certificate failed.
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// [`CertsError::Certificate`], if the system has no randomness.
    pub fn create() -> Result<Self, CertsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Quorate cluster authority");
        let certificate_pem = params.self_signed(&key)?.pem();
        Self::from_pem(certificate_pem, key.serialize_pem())
    }

    /// Takes an existing one.
    ///
    /// # Errors
    /// [`CertsError::Certificate`].
    pub fn from_pem(certificate_pem: String, key_pem: String) -> Result<Self, CertsError> {
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, KeyPair::from_pem(&key_pem)?)?;
        Ok(Self { certificate_pem, key_pem, issuer })
    }

    /// Its certificate, for every node and client.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its key: a secret that makes new members.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A certificate for the node called `name`, valid for `hosts` too.
    ///
    /// # Errors
    /// [`CertsError::Name`], [`CertsError::Host`], [`CertsError::Certificate`].
    pub fn node(&self, name: &str, hosts: &[String]) -> Result<Issued, CertsError> {
        if !is_name(name) || node_server_name(name).is_none() {
            return Err(CertsError::Name(name.to_owned()));
        }
        if let Some(host) = hosts.iter().find(|host| !is_host(host)) {
            return Err(CertsError::Host(host.clone()));
        }
        let mut names = vec![format!("{name}.{NODE_DOMAIN}"), NODE_DOMAIN.to_owned()];
        names.extend_from_slice(hosts);
        self.issue(name, names, &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A certificate for the client called `name`, which can never pass for a node.
    ///
    /// # Errors
    /// [`CertsError::Name`], [`CertsError::Certificate`].
    pub fn client(&self, name: &str) -> Result<Issued, CertsError> {
        if !is_name(name) {
            return Err(CertsError::Name(name.to_owned()));
        }
        self.issue(name, Vec::new(), &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(
        &self,
        name: &str,
        alt_names: Vec<String>,
        purposes: &[ExtendedKeyUsagePurpose],
    ) -> Result<Issued, CertsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(alt_names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes.to_vec();
        params.use_authority_key_identifier_extension = true;
        let certificate_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate_pem, key_pem: key.serialize_pem() })
    }
}

impl Issued {
    /// What TLS needs of it.
    ///
    /// # Errors
    /// See [`IdentityError`]; [`IdentityError::Untrusted`] if `authority` did not issue it.
    pub fn identity(&self, authority: &Authority) -> Result<Identity, IdentityError> {
        Identity::from_pem(
            authority.certificate_pem.as_bytes(),
            self.certificate_pem.as_bytes(),
            self.key_pem.as_bytes(),
        )
    }

    /// The certificate in binary form; empty if the text was changed into nonsense.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).unwrap_or_else(|_| Vec::new().into())
    }
}

fn is_name(name: &str) -> bool {
    let ends = name.as_bytes().first().zip(name.as_bytes().last());
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && ends.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
        && !name.eq_ignore_ascii_case("ca")
}

fn is_host(host: &str) -> bool {
    let reserved = host.trim_end_matches('.').to_ascii_lowercase().ends_with(NODE_DOMAIN);
    host.parse::<IpAddr>().is_ok() || (!reserved && !host.contains('*') && ServerName::try_from(host).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_itself_and_a_client_is_no_node() {
        let authority = Authority::create().unwrap();
        let node = authority.node("n1", &["db.example.org".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        let node = node.identity(&authority).unwrap();
        assert!(node.is_node("n1"));
        assert!(!node.is_node("n2"));
        let client = authority.client("n1").unwrap().identity(&authority).unwrap();
        assert!(!client.is_node("n1"));
    }

    #[test]
    fn a_certificate_of_another_authority_is_found_at_once() {
        let (ours, theirs) = (Authority::create().unwrap(), Authority::create().unwrap());
        let error = theirs.node("n1", &[]).unwrap().identity(&ours).unwrap_err();
        assert!(matches!(error, IdentityError::Untrusted(_)), "{error}");
    }

    #[test]
    fn key_and_certificate_must_belong_together() {
        let authority = Authority::create().unwrap();
        let mut one = authority.client("one").unwrap();
        one.key_pem = authority.client("two").unwrap().key_pem;
        assert!(matches!(one.identity(&authority).unwrap_err(), IdentityError::Mismatch(_)));
    }

    #[test]
    fn refuses_names_and_hosts_that_would_pass_for_others() {
        let authority = Authority::create().unwrap();
        for name in ["", "ca", "-a", "a.", "a b", "../x", &"x".repeat(64)] {
            assert!(matches!(authority.node(name, &[]), Err(CertsError::Name(_))), "{name:?}");
            assert!(matches!(authority.client(name), Err(CertsError::Name(_))), "{name:?}");
        }
        for host in ["n2.node.quorate", "NODE.Quorate", "*.example.org", "a b"] {
            assert!(matches!(authority.node("n1", &[host.to_owned()]), Err(CertsError::Host(_))), "{host:?}");
        }
    }
}
