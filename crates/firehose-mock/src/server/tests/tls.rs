//! The server over TLS: who is let in, and that those who are not hold nobody up.

use core::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::server::tls::{ServerTls, serve_connection as serve_tls};

const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// A client that trusts the server's authority.
fn connector(tls: &ServerTls, version: &'static SupportedProtocolVersion) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let pem = tls.authority_pem().unwrap();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Serves one end of a pipe over TLS and gives the other after the handshake.
async fn connect_tls(
    service: &Arc<Mutex<Service>>,
    tls: &ServerTls,
    name: &str,
    version: &'static SupportedProtocolVersion,
) -> io::Result<TlsStream<DuplexStream>> {
    let (client, server) = duplex(1 << 16);
    let serving = serve_tls(tls.clone(), server, Arc::clone(service), core::future::pending());
    tokio::spawn(serving);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    connector(tls, version).connect(name, client).await
}

async fn put_over<I: AsyncRead + AsyncWrite + Unpin>(stream: &mut I) {
    stream.write_all(put().as_bytes()).await.unwrap();
    let mut begin = [0; 15];
    stream.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn every_name_gets_its_requests_through_in_both_versions() {
    let service = shared();
    let tls = ServerTls::generate(["firehose.test".to_owned(), "127.0.0.2".to_owned()]).unwrap();
    let names = ["localhost", "127.0.0.1", "::1", "firehose.test", "127.0.0.2"];
    for name in names {
        for (version, spoken) in [
            (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
            (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let mut stream = connect_tls(&service, &tls, name, version).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(spoken));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
            put_over(&mut stream).await;
        }
    }
    assert_eq!(totals(&service).records_accepted, 2 * names.len() as u64);
    let other = connect_tls(&service, &tls, "127.0.0.3", &rustls::version::TLS13).await;
    assert!(other.unwrap_err().to_string().contains("not valid for name"));
}

#[tokio::test]
async fn each_authority_is_another() {
    let (ours, theirs) = (ServerTls::generate([]).unwrap(), ServerTls::generate([]).unwrap());
    assert_ne!(ours.authority_pem(), theirs.authority_pem());
    let (client, server) = duplex(1 << 16);
    tokio::spawn(serve_tls(ours, server, shared(), core::future::pending()));
    let connector = connector(&theirs, &rustls::version::TLS13);
    let error = connector.connect("localhost".try_into().unwrap(), client).await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_ends() {
    let service = shared();
    let tls = ServerTls::generate([]).unwrap();
    for begin in [&[][..], &[22, 3, 1]] {
        let (mut client, server) = duplex(1 << 16);
        client.write_all(begin).await.unwrap();
        let began = Instant::now();
        let never = core::future::pending();
        serve_tls(tls.clone(), server, Arc::clone(&service), never).await;
        assert_eq!(began.elapsed().as_secs(), HANDSHAKE_MAX.as_secs());
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "the connection is open");
    }
    assert_eq!(totals(&service), Totals::default());
}

#[tokio::test(start_paused = true)]
async fn plain_text_ends_the_connection_at_once() {
    let service = shared();
    let (mut client, server) = duplex(1 << 16);
    client.write_all(put().as_bytes()).await.unwrap();
    let began = Instant::now();
    let tls = ServerTls::generate([]).unwrap();
    serve_tls(tls, server, Arc::clone(&service), core::future::pending()).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(totals(&service), Totals::default());
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_a_handshake() {
    let (_client, server) = duplex(1 << 16);
    let began = Instant::now();
    let tls = ServerTls::generate([]).unwrap();
    serve_tls(tls, server, shared(), core::future::ready(())).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn handshakes_that_stall_hold_nobody_up() {
    let service = shared();
    let tls = ServerTls::generate([]).unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::clone(&service)).unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.with_tls(tls.clone()).run(async { drop(stopped.await) }));
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(TcpStream::connect(address).await.unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = connector(&tls, &rustls::version::TLS13);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    put_over(&mut stream).await;
    // None of them is left behind either.
    drop(stop);
    running.await.unwrap();
    for mut connection in stalled {
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    assert_eq!(totals(&service).records_accepted, 1);
}

#[test]
fn certificates_and_keys_are_looked_at() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap().pem();
    let (key, other) = (key.serialize_pem(), KeyPair::generate().unwrap().serialize_pem());
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let chain = [certificate.as_str(), &certificate].concat();
    for (certificate, key, says) in [
        (certificate.as_str(), &*key, None),
        (&chain, &key, None),
        ("", &key, Some("the certificates cannot be used: there is none in it (give them")),
        (&*key, &key, Some("the certificates cannot be used: there is none in it (give them")),
        (broken, &key, Some("the certificates cannot be used: ")),
        (&certificate, "", Some("the private key cannot be used: ")),
        (&certificate, &certificate, Some("the private key cannot be used: ")),
        (&certificate, broken_key, Some("the private key cannot be used: ")),
        (&certificate, &other, Some("the private key does not fit the certificate (give the key")),
    ] {
        match (ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()), says) {
            (Ok(tls), None) => assert_eq!(tls.authority_pem(), None),
            (Err(error), Some(says)) => assert!(error.to_string().starts_with(says), "{error}"),
            (made, says) => panic!("{made:?}, not {says:?}"),
        }
    }
}

#[test]
fn names_that_no_certificate_has_are_refused() {
    let error = ServerTls::generate(["gr\u{fc}n".to_owned()]).unwrap_err();
    assert!(error.to_string().starts_with("no certificate can be made: "), "{error}");
}
