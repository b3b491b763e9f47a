//! The server on a pipe and on a socket.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::oneshot;

use super::*;
use crate::faults::Step;
use crate::ledger::Totals;
use crate::service::Streams;

#[cfg(feature = "tls")]
mod tls;

const BODY: &str = r#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8="}}"#;

fn shared() -> Arc<Mutex<Service>> {
    Arc::new(Mutex::new(Service::new(Streams::Any, 1)))
}

fn totals(service: &Mutex<Service>) -> Totals {
    lock(service).ledger().totals()
}

/// Writes a request whose headers are complete but for those given.
fn request(line: &str, headers: &str, body: &str) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}");
    text.push_str("Content-Type: application/x-amz-json-1.1\r\n");
    text.push_str("X-Amz-Target: Firehose_20150804.PutRecord\r\n\r\n");
    text.push_str(body);
    text
}

fn put() -> String {
    request("POST /", &format!("Content-Length: {}\r\n", BODY.len()), BODY)
}

/// Serves one end of a pipe in memory and gives the other.
fn connect(service: &Arc<Mutex<Service>>) -> DuplexStream {
    let (client, server) = duplex(1 << 16);
    tokio::spawn(serve_connection(server, Arc::clone(service), core::future::pending()));
    client
}

/// Sends all of a text and reads until the service closes the connection.
async fn exchange(service: &Arc<Mutex<Service>>, text: &str) -> String {
    let (mut reader, mut writer) = tokio::io::split(connect(service));
    let text = text.to_owned();
    let writing = tokio::spawn(async move {
        // The service may close before it has read everything.
        let _ = writer.write_all(text.as_bytes()).await;
        writer
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    writing.await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads one answer and leaves the connection open.
async fn answer(client: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    loop {
        let mut chunk = [0; 4_096];
        let read = client.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the connection ended within {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&chunk[..read]);
        let shown = String::from_utf8_lossy(&text);
        let Some((head, body)) = shown.split_once("\r\n\r\n") else { continue };
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == len.parse::<usize>().unwrap() {
            return shown.into_owned();
        }
    }
}

#[tokio::test]
async fn a_connection_takes_one_request_after_another() {
    let service = shared();
    let mut client = connect(&service);
    for _ in 0..3 {
        client.write_all(put().as_bytes()).await.unwrap();
        let answer = answer(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("x-amzn-requestid: "), "{answer}");
        assert!(answer.contains(r#"{"Encrypted":false,"RecordId":""#), "{answer}");
    }
    assert_eq!(totals(&service).records_accepted, 3);
}

#[tokio::test]
async fn a_chunked_body_is_read() {
    let service = shared();
    let mut chunks = String::new();
    for chunk in BODY.as_bytes().chunks(7) {
        let text = String::from_utf8_lossy(chunk);
        write!(chunks, "{:x}\r\n{text}\r\n", chunk.len()).unwrap();
    }
    chunks.push_str("0\r\n\r\n");
    let text = request("POST /", "Connection: close\r\nTransfer-Encoding: chunked\r\n", &chunks);
    let answer = exchange(&service, &text).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(totals(&service).bytes_accepted, 5);
}

#[tokio::test]
async fn heads_that_are_wrong_are_refused_and_the_connection_ends() {
    let too_large = format!("Content-Length: {}\r\n", BODY_BYTES_MAX + 1);
    for (line, headers, status, kind) in [
        ("GET /", "", "405 Method Not Allowed", "UnknownOperationException"),
        ("POST /streams", "", "404 Not Found", "UnknownOperationException"),
        ("POST /", &too_large, "413 Payload Too Large", "RequestEntityTooLargeException"),
    ] {
        let service = shared();
        let answer = exchange(&service, &request(line, headers, "")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{line}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{line}: {answer}");
        assert!(
            answer.contains(&format!(r#"{{"__type":"{kind}","message":""#)),
            "{line}: {answer}"
        );
        assert_eq!(totals(&service).requests_refused, 1);
    }
}

#[tokio::test]
async fn a_chunked_body_without_end_is_refused() {
    let service = shared();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20)).repeat(17);
    let text = request("POST /", "Transfer-Encoding: chunked\r\n", &chunk);
    let answer = exchange(&service, &text).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_cut_closes_the_connection_without_an_answer() {
    for (step, accepted) in [(Step::CutAfter, 1), (Step::CutBefore, 0)] {
        let service = shared();
        lock(&service).script([step]);
        assert_eq!(exchange(&service, &put()).await, "");
        assert_eq!(totals(&service).records_accepted, accepted);
    }
}

#[tokio::test]
async fn a_request_that_ends_early_is_not_taken() {
    let service = shared();
    let (mut client, server) = duplex(1 << 16);
    let text = put();
    client.write_all(&text.as_bytes()[..text.len() - 1]).await.unwrap();
    drop(client);
    serve_connection(server, Arc::clone(&service), core::future::pending()).await;
    assert_eq!(totals(&service), Totals::default());
}

#[tokio::test]
async fn shutdown_lets_a_request_that_has_begun_come_to_its_end() {
    let service = shared();
    let (mut client, server) = duplex(1 << 16);
    let (stop, stopped) = oneshot::channel::<()>();
    let text = put();
    let (begin, end) = text.split_at(text.len() - 10);
    client.write_all(begin.as_bytes()).await.unwrap();
    let shutdown = async { drop(stopped.await) };
    let serving = tokio::spawn(serve_connection(server, Arc::clone(&service), shutdown));
    tokio::task::yield_now().await;
    stop.send(()).unwrap();
    tokio::task::yield_now().await;
    client.write_all(end.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    serving.await.unwrap();
    assert_eq!(totals(&service).records_accepted, 1);
}

#[tokio::test]
async fn a_server_listens_and_ends() {
    let service = shared();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::clone(&service)).unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let mut used = TcpStream::connect(address).await.unwrap();
    used.write_all(put().as_bytes()).await.unwrap();
    let mut first = [0; 15];
    used.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let mut idle = TcpStream::connect(address).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap();
    let mut rest = Vec::new();
    used.read_to_end(&mut rest).await.unwrap();
    // Whether the idle one was accepted or refused is a race; it must end either way.
    let _ = idle.read_to_end(&mut rest).await;
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(totals(&service).records_accepted, 1);
}
