//! Requests that find nobody, and places where none must go.

use std::future::poll_fn;
use std::task::Poll;

use firehose_hyper::{
    Credentials, Endpoint, Failure, Phase, Signer, Timeouts, Transport, TransportError,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower_service::Service;

use crate::check::{SHORT, Why, body, request, why};
use crate::server::Step::{ReadRequest, Write};
use crate::server::{Over, Server, echo};

/// The faults of the matrix that are shown here and not in a table.
pub(crate) const MATRIX: [u8; 3] = [28, 29, 30];

fn transport(url: &str, timeouts: Timeouts) -> Transport {
    let endpoint = Endpoint::from_url(url, None).unwrap();
    let keys = Credentials::new("AKID", "secret", Some("token".into()), None, "test");
    let signer = Signer::new(keys, endpoint.region());
    Transport::builder(endpoint).signer(signer).timeouts(timeouts).build().unwrap()
}

/// Sends a request that must get nowhere; returns the error.
async fn fail(transport: &mut Transport) -> TransportError {
    let error = transport.call(request(body("first", 500))).await.unwrap_err();
    assert_eq!(error.failure(), Failure::NotSent, "{error:?}");
    assert!(!error.is_permanent(), "{error:?}");
    error
}

// Matrix 28: a redirect is an answer; where it points to gets neither a request nor a secret.
#[tokio::test]
async fn targets_of_redirects_get_nothing() {
    for status in [301, 302, 303, 307, 308] {
        let target = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let location = target.local_addr().unwrap();
        let text = format!(
            "HTTP/1.1 {status} X\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n"
        );
        let script = vec![ReadRequest, Write(text.into())];
        let server = Server::start(Over::Plain, script, None);
        let mut transport = transport(&format!("http://{}", server.address), Timeouts::default());
        let answer = transport.call(request(body("first", 500))).await.unwrap();
        assert_eq!(answer.status(), status);
        let answer = transport.call(request(body("second", 0))).await.unwrap();
        assert_eq!(answer.body(), echo(0, b"second").as_bytes(), "{status}");
        let visit = poll_fn(|cx| Poll::Ready(target.poll_accept(cx).is_ready()));
        assert!(!visit.await, "{status}: the target of the redirect was visited");
    }
}

// Matrix 29
#[tokio::test]
async fn names_without_an_address_are_told() {
    let timeouts = Timeouts::default().with_connect(SHORT);
    let error = fail(&mut transport("http://no-such-host.invalid", timeouts)).await;
    // A machine whose resolver does not answer runs out of time instead.
    assert!(matches!(why(&error), Why::Resolve | Why::Time(Phase::Resolve)), "{error:?}");
    assert!(error.to_string().contains("no-such-host.invalid:80"), "{error}");
}

// Matrix 29: `localhost` is often ::1 first, where nothing listens.
#[tokio::test]
async fn each_address_of_a_name_is_tried() {
    let server = Server::start(Over::Plain, vec![], None);
    let url = format!("http://localhost:{}", server.address.port());
    let answer = transport(&url, Timeouts::default()).call(request(body("mine", 0))).await;
    assert_eq!(answer.unwrap().body(), echo(0, b"mine").as_bytes());
}

// Matrix 30
#[tokio::test]
async fn refused_connections_name_the_peer_and_the_cause() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fail(&mut transport(&format!("http://{address}"), Timeouts::default())).await;
    assert_eq!(why(&error), Why::Connect);
    let text = error.to_string();
    let start = format!("cannot connect to {address}: Connection refused");
    assert!(text.starts_with(&start), "{text}");
    assert!(std::error::Error::source(&error).is_some());
}

// Matrix 30: the queue of those who want to connect is full, so further ones hear nothing.
#[tokio::test]
async fn black_holes_take_the_time_to_connect() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queue.push(stream);
    }
    let timeouts = Timeouts::default().with_connect(SHORT);
    let error = fail(&mut transport(&format!("http://{address}"), timeouts)).await;
    assert_eq!(why(&error), Why::Time(Phase::Connect));
    assert_eq!(error.to_string(), format!("timed out connecting to {address}"));
}
