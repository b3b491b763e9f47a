//! An authority of our own, and the certificates that it gives to good and to bad servers.

use std::sync::{Arc, LazyLock};

use firehose_hyper::Tls;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// What a server shows of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Certificate {
    Expired,
    Good,
    NotYetValid,
    SelfSigned,
    UnknownIssuer,
    WrongName,
}

impl Certificate {
    /// Makes the server's side of TLS; it offers HTTP/2 first.
    pub(crate) fn acceptor(self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certify(&key)],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    fn certify(self, key: &KeyPair) -> CertificateDer<'static> {
        let names: &[_] = if self == Self::WrongName {
            &["other.test", "127.0.0.2"]
        } else {
            &["localhost", "127.0.0.1"]
        };
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let issued = match self {
            Self::SelfSigned => params.self_signed(key),
            Self::UnknownIssuer => params.signed_by(key, &authority("theirs")),
            Self::Expired => {
                params.not_after = date_time_ymd(2020, 1, 1);
                params.signed_by(key, &*OURS)
            }
            Self::NotYetValid => {
                params.not_before = date_time_ymd(3_000, 1, 1);
                params.signed_by(key, &*OURS)
            }
            Self::Good | Self::WrongName => params.signed_by(key, &*OURS),
        };
        issued.unwrap().der().clone()
    }
}

/// Returns a client's settings that trust our authority alone.
pub(crate) fn trust() -> Tls {
    Tls::from_pem(OURS.pem().as_bytes()).unwrap()
}

type Authority = CertifiedIssuer<'static, KeyPair>;

static OURS: LazyLock<Authority> = LazyLock::new(|| authority("ours"));

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}
