//! Servers that do what a script says, byte by byte, and log what they saw.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::sync::watch;

use crate::connect::Connector;

/// What a server does with one connection; at the end it closes it.
pub(super) type Script = Vec<Step>;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Reads some bytes of a request and forgets them.
    ReadBytes(usize),
    /// Reads one whole request.
    ReadRequest,
    /// Reads until the client closes.
    ReadToEnd,
    /// Waits.
    Sleep(Duration),
    /// Writes bytes.
    Write(Vec<u8>),
}

/// One request as a server saw it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) connection: usize,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// What the servers of a test have seen so far.
#[derive(Clone, Debug)]
pub(super) struct Log {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How many connections have ended on the server's side.
    ended: Arc<watch::Sender<usize>>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { seen: Arc::default(), ended: Arc::new(watch::channel(0).0) }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns which connection each request came on.
    pub(super) fn connections(&self) -> Vec<usize> {
        self.seen().iter().map(|seen| seen.connection).collect()
    }

    pub(super) async fn ended(&self, connections: usize) {
        let mut ended = self.ended.subscribe();
        let enough = ended.wait_for(|ended| *ended >= connections);
        tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap().unwrap();
    }

    pub(super) fn end(&self) {
        self.ended.send_modify(|ended| *ended += 1);
    }

    /// Plays a script on a stream.
    pub(super) async fn play<S>(&self, stream: &mut S, script: Script, connection: usize)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for step in script {
            match step {
                Step::ReadBytes(bytes) => {
                    let _ = stream.read_exact(&mut vec![0; bytes]).await;
                }
                Step::ReadRequest => {
                    let Some((head, body)) = read_request(stream).await else { return };
                    self.seen.lock().unwrap().push(Seen { connection, head, body });
                }
                Step::ReadToEnd => {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
                Step::Sleep(span) => tokio::time::sleep(span).await,
                Step::Write(bytes) => {
                    // The client may be gone, which it is free to be.
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                }
            }
        }
    }
}

/// Makes a connector whose connections are pipes to scripted servers, one script each; when the
/// scripts are used up, connecting is refused.
pub(super) fn memory(scripts: Vec<Script>, pipe_bytes: usize) -> (Connector, Log) {
    let log = Log::new();
    let shared = log.clone();
    let queue = Mutex::new(scripts.into_iter().enumerate().collect::<VecDeque<_>>());
    let connector = Connector::from_fn(move || {
        let next = queue.lock().unwrap().pop_front();
        let log = shared.clone();
        async move {
            let (connection, script) =
                next.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::ConnectionRefused))?;
            let (client, mut server) = duplex(pipe_bytes);
            tokio::spawn(async move {
                log.play(&mut server, script, connection).await;
                drop(server);
                log.end();
            });
            Ok(client)
        }
    });
    (connector, log)
}

/// Reads a request; `None` if the client closes before its end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}
