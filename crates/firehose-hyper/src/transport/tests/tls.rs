//! TLS with certificates of our own: which peers are trusted, and what is said of the others.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::script::Step;
use super::*;

use Step::{ReadRequest, ReadToEnd, Write};

type Authority = rcgen::CertifiedIssuer<'static, rcgen::KeyPair>;

/// Makes an authority and a client's settings that trust it alone.
pub(super) fn authority(name: &str) -> (Authority, Tls) {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
    let tls = Tls::from_pem(authority.pem().as_bytes()).unwrap();
    (authority, tls)
}

/// Makes a server's settings with a certificate for a name.
fn server(authority: &Authority, name: &str) -> TlsAcceptor {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Listens with a certificate and answers two requests on each connection.
async fn listen(acceptor: TlsAcceptor) -> (u16, Log) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = Log::new();
    let shared = log.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, log) = (acceptor.clone(), shared.clone());
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                    let script = vec![
                        ReadRequest,
                        Write(OK.into()),
                        ReadRequest,
                        Write(OK.into()),
                        ReadToEnd,
                    ];
                    log.play(&mut stream, script, connection).await;
                }
                log.end();
            });
        }
    });
    (port, log)
}

fn transport(host: &str, port: u16, tls: Tls) -> Transport {
    let endpoint = Endpoint::from_url(&format!("https://{host}:{port}"), None).unwrap();
    Transport::builder(endpoint).tls(tls).build().unwrap()
}

#[tokio::test]
async fn trusted_peers_get_requests() {
    let (authority, tls) = authority("ours");
    for (name, host) in [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")] {
        let (port, log) = listen(server(&authority, name)).await;
        let mut transport = transport(host, port, tls.clone());
        let large = vec![b'x'; 3_000_000];
        for body in [large.clone(), b"small".to_vec()] {
            assert_eq!(send(&mut transport, body).await.unwrap().status(), 200, "{name}");
        }
        assert_eq!(log.connections(), [0, 0], "{name}");
        assert_eq!(log.seen()[0].body, large, "{name}");
        assert!(log.seen()[0].head.contains(&format!("host: {host}:{port}\r\n")));
    }
}

#[tokio::test]
async fn other_peers_get_nothing() {
    let (ours, tls) = authority("ours");
    let (theirs, _) = authority("theirs");
    for (name, acceptor, part) in [
        ("wrong name", server(&ours, "other.test"), "not valid for name \"localhost\""),
        ("unknown issuer", server(&theirs, "localhost"), "UnknownIssuer"),
    ] {
        let (port, log) = listen(acceptor).await;
        let error = send(&mut transport("localhost", port, tls.clone()), "x").await.unwrap_err();
        assert!(matches!(error, TransportError::Certificate { .. }), "{name}: {error:?}");
        assert!(error.is_permanent(), "{name}");
        assert_eq!(error.failure(), Failure::NotSent, "{name}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot trust localhost:{port}: ")), "{name}: {text}");
        assert!(text.contains(part), "{name}: {text}");
        log.ended(1).await;
        assert!(log.seen().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_platform_does_not_trust_a_stranger() {
    let (authority, _) = authority("ours");
    let (port, log) = listen(server(&authority, "localhost")).await;
    let endpoint = Endpoint::from_url(&format!("https://localhost:{port}"), None).unwrap();
    // A machine without any certificates says so at once, which is as good.
    let Ok(mut transport) = Transport::builder(endpoint).build() else { return };
    let error = send(&mut transport, "x").await.unwrap_err();
    assert!(matches!(error, TransportError::Certificate { .. }), "{error:?}");
    assert!(log.seen().is_empty());
}

#[tokio::test]
async fn peers_that_do_not_speak_tls_get_nothing() {
    let (_, tls) = authority("ours");
    for (name, script) in [
        ("closed", vec![]),
        ("closed in the handshake", vec![Step::ReadBytes(10)]),
        ("plain text", vec![Step::ReadBytes(10), Write(OK.into()), ReadToEnd]),
    ] {
        let (address, log) = tcp(vec![script]).await;
        let mut transport = transport("127.0.0.1", address.port(), tls.clone());
        let error = send(&mut transport, "x").await.unwrap_err();
        assert!(matches!(error, TransportError::Handshake { .. }), "{name}: {error:?}");
        assert!(!error.is_permanent(), "{name}");
        assert_eq!(error.failure(), Failure::NotSent, "{name}");
        log.ended(1).await;
    }
}
