//! Who a process is, as its certificate proves, and whom it believes.
//!
//! Every cluster has a certificate authority of its own. A node's certificate is valid for
//! `NAME.node.quorate` and for `node.quorate`; a client's carries no such name. So no client can act as a
//! node, no node as another, and neither addresses nor relays between them matter.

#![expect(clippy::disallowed_methods, reason = "certificates and keys are read from files here")]

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::verify_server_name,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// What every node's certificate is valid for, and what clients look for.
pub const NODE_DOMAIN: &str = "node.quorate";

/// The name in the certificate of the node called `name`; `None` if no certificate can carry it, as with
/// names of more than 63 bytes or with two dots in a row.
pub fn node_server_name(name: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(format!("{name}.{NODE_DOMAIN}"))
        .ok()
        .filter(|server_name| matches!(server_name, ServerName::DnsName(_)))
}

/// A certificate with its private key, and the authority whose certificates are believed.
#[derive(Clone)]
pub struct Identity {
    provider: Arc<CryptoProvider>,
    authority: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file could not be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Read {
        /// What it should hold.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{what}: {reason}; `quorate certs` makes the files")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not belong together.
    #[error("certificate and key do not belong together: {0}")]
    Mismatch(String),
    /// The certificate is not the authority's, or its time has not come or is over.
    #[error(
        "the cluster's authority does not vouch for the certificate ({0}): make it with `quorate certs` in the directory of this cluster's ca.key"
    )]
    Untrusted(String),
}

impl Identity {
    /// Reads PEM files: the authority's certificate, the own certificate (chain), the own private key.
    ///
    /// # Errors
    /// See [`IdentityError`]; files that do not fit together are found here, not at the first connection.
    pub fn from_pem_files(authority: &Path, certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let read = |what, path: &Path| {
            fs::read(path).map_err(|source| IdentityError::Read { what, path: path.to_owned(), source })
        };
        Self::from_pem(&read(AUTHORITY, authority)?, &read(CERTIFICATE, certificate)?, &read(KEY, key)?)
    }

    /// The same from the files' contents.
    ///
    /// # Errors
    /// See [`Identity::from_pem_files`].
    pub fn from_pem(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let mut roots = RootCertStore::empty();
        for root in certificates(AUTHORITY, authority)? {
            roots.add(root).map_err(|e| malformed(AUTHORITY, &e))?;
        }
        let identity = Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            authority: Arc::new(roots),
            chain: certificates(CERTIFICATE, certificate)?,
            key: Arc::new(PrivateKeyDer::from_pem_slice(key).map_err(|e| malformed(KEY, &e))?),
        };
        identity.check()?;
        Ok(identity)
    }

    /// Whether the certificate is that of the node called `name`.
    pub fn is_node(&self, name: &str) -> bool {
        self.chain.first().is_some_and(|certificate| is_certificate_of(certificate, name))
    }

    /// TLS as the side that is dialled, which demands a certificate.
    #[cfg(feature = "server")]
    pub(crate) fn server_config(&self, protocols: &[&[u8]]) -> Result<rustls::ServerConfig, IdentityError> {
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| mismatch(&e))?
            .with_client_cert_verifier(self.verifier()?)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|e| mismatch(&e))?;
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        Ok(config)
    }

    /// TLS as the side that dials.
    pub(crate) fn client_config(&self, protocol: &[u8]) -> Result<ClientConfig, IdentityError> {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| mismatch(&e))?
            .with_root_certificates(self.authority.clone())
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|e| mismatch(&e))?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }

    /// The private key, for what a restarted process must be able to derive again.
    #[cfg(feature = "server")]
    pub(crate) fn secret(&self) -> &[u8] {
        self.key.secret_der()
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
        WebPkiClientVerifier::builder_with_provider(self.authority.clone(), self.provider.clone())
            .build()
            .map_err(|e| malformed(AUTHORITY, &e))
    }

    fn check(&self) -> Result<(), IdentityError> {
        self.client_config(b"")?;
        let (leaf, intermediates) =
            self.chain.split_first().ok_or_else(|| malformed(CERTIFICATE, &"it holds none"))?;
        self.verifier()?
            .verify_client_cert(leaf, intermediates, UnixTime::now())
            .map(drop)
            .map_err(|e| IdentityError::Untrusted(e.to_string()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Whether `certificate`, already found to be the authority's, is that of the node called `name`.
pub(crate) fn is_certificate_of(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let (Some(name), Ok(certificate)) = (node_server_name(name), ParsedCertificate::try_from(certificate))
    else {
        return false;
    };
    verify_server_name(&certificate, &name).is_ok()
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| malformed(what, &e))?;
    if found.is_empty() { Err(malformed(what, &"it holds none")) } else { Ok(found) }
}

fn malformed(what: &'static str, reason: &dyn fmt::Display) -> IdentityError {
    IdentityError::Malformed { what, reason: reason.to_string() }
}

fn mismatch(reason: &dyn fmt::Display) -> IdentityError {
    IdentityError::Mismatch(reason.to_string())
}

const AUTHORITY: &str = "certificate of the authority";
const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";
