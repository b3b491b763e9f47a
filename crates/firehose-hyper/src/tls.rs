//! Which certificates are trusted, and the TLS settings that go with it.
//!
//! There is no way to switch the check of certificates or of names off.

use core::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::error::{BoxError, Causes};

/// Which certificate authorities are trusted to vouch for the peer.
///
/// ```
/// use firehose_hyper::Tls;
///
/// let tls = Tls::platform();
/// assert!(Tls::from_pem(b"no certificate in here").is_err());
/// # let _ = tls;
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    /// The only trusted roots, or `None` for those of the platform.
    roots: Option<Arc<RootCertStore>>,
}

impl Tls {
    /// Trusts what the platform trusts.
    pub const fn platform() -> Self {
        Self { roots: None }
    }

    /// Trusts these authorities and no others, as `AWS_CA_BUNDLE` means it.
    ///
    /// # Errors
    ///
    /// [`TlsError::Bundle`] if the text holds no certificate or a broken one.
    pub fn from_pem(bundle: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            let certificate = certificate.map_err(|error| TlsError::Bundle(Box::new(error)))?;
            roots.add(certificate).map_err(|error| TlsError::Bundle(Box::new(error)))?;
        }
        if roots.is_empty() {
            return Err(TlsError::Bundle("no certificate in it".into()));
        }
        Ok(Self { roots: Some(Arc::new(roots)) })
    }

    /// Makes the settings for connections: TLS 1.2 or later, HTTP/1.1 only.
    pub(crate) fn config(&self) -> Result<ClientConfig, TlsError> {
        // The provider is named here, so that no default of the process is needed or changed.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Platform(Box::new(error)))?;
        let mut config = match &self.roots {
            Some(roots) => builder.with_root_certificates(Arc::clone(roots)),
            None => {
                let verifier =
                    Verifier::new(provider).map_err(|error| TlsError::Platform(Box::new(error)))?;
                // "Dangerous" is rustls' word for any verifier but its own; this one checks in full.
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        }
        .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.roots.as_ref().map(|roots| roots.len());
        f.debug_struct("Tls").field("roots", &roots).finish()
    }
}

/// Why TLS cannot be set up.
///
/// ```
/// use firehose_hyper::Tls;
///
/// let error = Tls::from_pem(b"no certificate").unwrap_err();
/// println!("{error}");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The bundle of certificates cannot be used.
    Bundle(BoxError),
    /// The host can stand in no certificate.
    Host {
        /// The host.
        host: Box<str>,
    },
    /// The platform's certificates or cryptography cannot be used.
    Platform(BoxError),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(source) => {
                write!(f, "cannot use the certificate bundle: {}", Causes(&**source))
            }
            Self::Host { host } => {
                write!(f, "no certificate can vouch for the host {host:?}, use another name for it")
            }
            Self::Platform(source) => write!(
                f,
                "cannot use the platform's certificates, install them or name a bundle: {}",
                Causes(&**source)
            ),
        }
    }
}

impl core::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Bundle(source) | Self::Platform(source) => Some(&**source),
            Self::Host { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_hold_certificates() {
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let tls = Tls::from_pem(format!("{authority}\ntext between\n{authority}").as_bytes());
        let tls = tls.unwrap();
        assert_eq!(format!("{tls:?}"), "Tls { roots: Some(2) }");
        assert_eq!(tls.config().unwrap().alpn_protocols, [b"http/1.1"]);
    }

    #[test]
    fn broken_bundles_are_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (bundle, part) in [("", "no certificate in it"), (broken, "cannot use the certificate")]
        {
            let error = Tls::from_pem(bundle.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
