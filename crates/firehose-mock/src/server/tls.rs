//! The server's side of TLS: what it shows of itself, and the handshake of one connection.
//!
//! No type of rustls or rcgen is in the public API, so that either can change. Who needs another
//! set-up than one certificate serves a stream of their own by
//! [`serve_connection`](super::serve_connection).

use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
};
use rcgen::{IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::service::Service;

/// The time that a handshake may take; who stalls longer is not waited for.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The names of this machine that a certificate is made for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

type BoxError = Box<dyn Error + Send + Sync>;

/// What a server shows of itself to clients that speak TLS 1.2 or 1.3. Cheap to clone.
///
/// ```
/// use firehose_mock::ServerTls;
///
/// // For the names of this machine, and one more.
/// let tls = ServerTls::generate(["firehose.test".to_owned()])?;
/// let authority = tls.authority_pem().unwrap_or_default();
/// assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
/// # Ok::<(), firehose_mock::ServerTlsError>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    authority_pem: Option<Arc<str>>,
}

impl ServerTls {
    /// Makes an authority, and a certificate of it for `localhost`, `127.0.0.1`, `::1` and the
    /// names and addresses given. The keys live in memory alone and differ each time.
    ///
    /// # Errors
    ///
    /// [`ServerTlsError::Names`] if one of the names can stand in no certificate.
    pub fn generate(names: impl IntoIterator<Item = String>) -> Result<Self, ServerTlsError> {
        let mut all: Vec<_> = NAMES.map(str::to_owned).into();
        all.extend(names.into_iter().filter(|name| !NAMES.contains(&name.as_str())));
        let made = generate(all).map_err(|error| ServerTlsError::Names(error.into()))?;
        let Generated { authority_pem, certificate, key } = made;
        Ok(Self { authority_pem: Some(authority_pem.into()), ..Self::new(vec![certificate], key)? })
    }

    /// Takes a chain of certificates, the server's own first, and the private key that belongs to
    /// it, both as PEM.
    ///
    /// # Errors
    ///
    /// [`ServerTlsError`] says which of the two cannot be used, or that they do not fit.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, ServerTlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| ServerTlsError::Certificate(error.into()))?;
        if chain.is_empty() {
            return Err(ServerTlsError::Certificate("there is none in it".into()));
        }
        let key = PrivateKeyDer::from_pem_slice(key);
        Self::new(chain, key.map_err(|error| ServerTlsError::Key(error.into()))?)
    }

    /// Returns the certificate of the authority that was made, for clients to trust, as PEM.
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority_pem.as_deref()
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, ServerTlsError> {
        // The provider is named here, so that no default of the process is needed or changed.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(ServerTlsError::of_rustls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority_pem: None })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("authority_pem", &self.authority_pem)
            .finish_non_exhaustive()
    }
}

/// Serves one connection as [`serve_connection`](super::serve_connection) does, after a handshake.
/// One that fails or stalls ends the connection; there is nobody to tell it to.
pub(super) async fn serve_connection<I>(
    tls: ServerTls,
    io: I,
    service: Arc<Mutex<Service>>,
    shutdown: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut shutdown = pin!(shutdown);
    let stream = tokio::select! {
        accepted = timeout(HANDSHAKE_MAX, tls.acceptor.accept(io)) => match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => return,
        },
        () = &mut shutdown => return,
    };
    super::serve_connection(stream, service, shutdown).await;
}

/// Why a server cannot speak TLS.
///
/// ```
/// use firehose_mock::ServerTls;
///
/// let error = ServerTls::from_pem(b"no PEM", b"no PEM").unwrap_err();
/// assert!(error.to_string().starts_with("the certificates cannot be used"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// There are no certificates, or broken ones.
    Certificate(BoxError),
    /// There is no private key, or one that cannot be used.
    Key(BoxError),
    /// The private key is that of another certificate.
    KeyMismatch,
    /// No certificate can be made for these names.
    Names(BoxError),
}

impl ServerTlsError {
    fn of_rustls(error: rustls::Error) -> Self {
        if let rustls::Error::InconsistentKeys(_) = error {
            Self::KeyMismatch
        } else if let rustls::Error::InvalidCertificate(_) = error {
            Self::Certificate(error.into())
        } else {
            Self::Key(error.into())
        }
    }
}

impl fmt::Display for ServerTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(source) => write!(
                f,
                "the certificates cannot be used: {source} (give them as PEM, the server's own first)"
            ),
            Self::Key(source) => write!(
                f,
                "the private key cannot be used: {source} (give it as PEM, without a password)"
            ),
            Self::KeyMismatch => f.write_str(
                "the private key does not fit the certificate (give the key that the first \
                 certificate was made for)",
            ),
            Self::Names(source) => write!(
                f,
                "no certificate can be made: {source} (give host names in ASCII, or addresses)"
            ),
        }
    }
}

impl Error for ServerTlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Certificate(source) | Self::Key(source) | Self::Names(source) => Some(&**source),
            Self::KeyMismatch => None,
        }
    }
}

struct Generated {
    authority_pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Makes an authority and a certificate that strict clients accept too: each says what its key is
/// for, and the certificate whose key vouches for it.
fn generate(names: Vec<String>) -> Result<Generated, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "firehose emulator, authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "firehose emulator");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority)?.der().clone();
    Ok(Generated { authority_pem: authority.pem(), certificate, key: key.into() })
}
