//! Requests that go through a proxy, and proxies that do not let them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use firehose_hyper::{Endpoint, Failure, Phase, Proxies, Timeouts, Transport, TransportError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use crate::certificates::{Certificate, trust};
use crate::check::{SHORT, body, request};
use crate::server::{Over, Server, echo};

/// The faults of the matrix that are shown here and not in a table.
pub(crate) const MATRIX: [u8; 1] = [32];

/// What a proxy does once it has read what it is asked for.
#[derive(Clone, Copy)]
enum Manner {
    /// Ends the connection.
    Close,
    /// Passes everything on to where the request is to go, with its head where that is not
    /// `CONNECT`.
    Pass,
    /// Says this and ends the connection.
    Say(&'static str),
    /// Says nothing.
    Silent,
    /// Opens a tunnel that ends at once.
    Stub,
}

/// A proxy that does one thing, and the heads it has read.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(manner: Manner, target: SocketAddr) -> Self {
        Self::start_over(None, manner, target).await
    }

    /// Starts one that is itself reached with TLS, if it is given a certificate.
    async fn start_over(
        certificate: Option<Certificate>,
        manner: Manner,
        target: SocketAddr,
    ) -> Self {
        let acceptor = certificate.map(Certificate::acceptor);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else {
                        return serve(stream, manner, target, log).await;
                    };
                    // A client that does not trust it ends here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, manner, target, log).await;
                    }
                });
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
    target: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let is_tunnel = head.starts_with("CONNECT ");
    heads.lock().unwrap().push(head.clone());
    match manner {
        Manner::Close => {}
        Manner::Pass => {
            let mut there = TcpStream::connect(target).await.unwrap();
            if is_tunnel {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            } else {
                there.write_all(head.as_bytes()).await.unwrap();
            }
            let _ = copy_bidirectional(&mut stream, &mut there).await;
        }
        Manner::Say(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Manner::Silent => std::future::pending().await,
        Manner::Stub => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        }
    }
}

/// A transport to a server over the proxy at an address.
fn transport(server: &Server, is_tls: bool, proxy: &str) -> Transport {
    let scheme = if is_tls { "https" } else { "http" };
    let endpoint = Endpoint::from_url(&format!("{scheme}://{}", server.address), None).unwrap();
    Transport::builder(endpoint)
        .tls(trust())
        .proxies(Proxies::all(proxy).unwrap())
        .timeouts(Timeouts::default().with_handshake(SHORT * 5))
        .build()
        .unwrap()
}

// Matrix 32: TLS is made inside the tunnel, so the proxy sees neither a request nor a secret.
#[tokio::test]
async fn requests_with_tls_go_through_a_tunnel() {
    let server = Server::start(Over::Tls(Certificate::Good), vec![], None);
    let proxy = Proxy::start(Manner::Pass, server.address).await;
    let url = format!("http://user:pass%20word@{}", proxy.address);
    let mut transport = transport(&server, true, &url);
    for word in ["one", "two"] {
        let answer = transport.call(request(body(word, 0))).await.unwrap();
        assert_eq!(answer.body(), echo(0, word.as_bytes()).as_bytes());
    }
    let host = server.address;
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "a tunnel is used again: {heads:?}");
    assert!(heads[0].starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")), "{heads:?}");
    assert!(heads[0].contains(&format!("host: {host}\r\n")), "{heads:?}");
    let password = "proxy-authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n";
    assert!(heads[0].contains(password), "{heads:?}");
    assert!(!heads[0].contains("authorization: AWS4"), "{heads:?}");
}

// Matrix 32: TLS to the proxy, and within it TLS to the service; each certificate is checked.
#[tokio::test]
async fn proxies_can_have_tls_themselves() {
    let server = Server::start(Over::Tls(Certificate::Good), vec![], None);
    for (certificate, is_good) in [(Certificate::Good, true), (Certificate::WrongName, false)] {
        let proxy = Proxy::start_over(Some(certificate), Manner::Pass, server.address).await;
        let mut transport = transport(&server, true, &format!("https://{}", proxy.address));
        match transport.call(request(body("one", 0))).await {
            Ok(answer) => assert!(is_good && answer.status() == 200, "{answer:?}"),
            Err(error) => {
                assert!(!is_good, "{error:?}");
                assert_eq!(error.failure(), Failure::Unsendable, "{error:?}");
                assert!(error.to_string().contains(&proxy.address.to_string()), "{error}");
            }
        }
        assert_eq!(proxy.heads().len(), usize::from(is_good));
    }
}

// Matrix 32
#[tokio::test]
async fn plain_requests_name_the_whole_url() {
    let server = Server::start(Over::Plain, vec![], None);
    let proxy = Proxy::start(Manner::Pass, server.address).await;
    let mut transport = transport(&server, false, &format!("http://u:p@{}", proxy.address));
    let answer = transport.call(request(body("one", 0))).await.unwrap();
    assert_eq!(answer.body(), echo(0, b"one").as_bytes());
    let host = server.address;
    let heads = proxy.heads();
    assert!(heads[0].starts_with(&format!("POST http://{host}/ HTTP/1.1\r\n")), "{heads:?}");
    assert!(heads[0].contains("proxy-authorization: Basic dTpw\r\n"), "{heads:?}");
    assert!(heads[0].contains(&format!("host: {host}\r\n")), "{heads:?}");
}

// Matrix 32: nothing that fails before the tunnel stands leaves a doubt.
#[tokio::test]
async fn proxies_that_open_no_way_are_told() {
    let wants = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let forbids = "HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno\n";
    for (name, manner, is_tls, failure, part) in [
        ("407", Manner::Say(wants), true, Failure::Unsendable, "user name and a password (407)"),
        ("407 plain", Manner::Say(wants), false, Failure::Unsendable, "a password (407)"),
        ("403", Manner::Say(forbids), true, Failure::NotSent, "it answered 403 Forbidden"),
        ("garbage", Manner::Say("SSH-2.0\r\n\r\n"), true, Failure::NotSent, "no way through"),
        ("closed", Manner::Close, true, Failure::NotSent, "no way through the proxy"),
        ("silent", Manner::Silent, true, Failure::NotSent, "asking for a tunnel at the proxy"),
        ("dies in the tunnel", Manner::Stub, true, Failure::NotSent, "cannot agree on TLS"),
    ] {
        let server = Server::start(Over::Tls(Certificate::Good), vec![], None);
        let proxy = Proxy::start(manner, server.address).await;
        let mut transport =
            transport(&server, is_tls, &format!("http://u:canary@{}", proxy.address));
        let error = transport.call(request(body("one", 0))).await.unwrap_err();
        assert_eq!(error.failure(), failure, "{name}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(part), "{name}: {text}");
        let is_of_proxy = !matches!(error, TransportError::Handshake { .. });
        assert_eq!(text.contains(&proxy.address.to_string()), is_of_proxy, "{name}: {text}");
        assert!(!format!("{error:?} {transport:?}").contains("canary"), "{name}");
        assert_eq!(server.seen().requests.len(), 0, "{name}");
    }
}

// Matrix 32
#[tokio::test]
async fn a_proxy_that_is_not_there_is_the_one_that_is_named() {
    let server = Server::start(Over::Tls(Certificate::Good), vec![], None);
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut transport = transport(&server, true, &format!("http://{address}"));
    let error = transport.call(request(body("one", 0))).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
    assert_ne!(error.to_string(), Phase::Proxy.to_string());
}

// Matrix 32: an exception, and this machine, which the environment's proxies are not for.
#[tokio::test]
async fn exceptions_are_reached_without_a_proxy() {
    let server = Server::start(Over::Plain, vec![], None);
    let proxy = Proxy::start(Manner::Close, server.address).await;
    let url = format!("http://{}", proxy.address);
    for no_proxy in ["", "127.0.0.0/8"] {
        let proxies = Proxies::from_env(|name| match name {
            "ALL_PROXY" => Some(url.clone()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        });
        let endpoint = Endpoint::from_url(&format!("http://{}", server.address), None).unwrap();
        let builder = Transport::builder(endpoint).proxies(proxies.unwrap());
        let answer = builder.build().unwrap().call(request(body("one", 0))).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert!(proxy.heads().is_empty());
}
