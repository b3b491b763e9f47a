//! A server whose first connection goes as a script says, and whose others are healthy.
//!
//! Behind its script the first connection goes on as if nothing had been: whoever sends another
//! request on it gets an answer, and the log tells on which connection that was.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firehose_mock::{Request, Service, serve_connection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Certificate;

/// The largest head of a request that a server looks for the end of.
const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// The pause between two bites of a slow peer.
const PAUSE: Duration = Duration::from_millis(5);

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Script = Vec<Step>;

/// What the server does next on its first connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Waits until the client has its answer or has given up.
    AfterExchange,
    /// Answers the request that was read with its emulator's answer, all but the last bytes.
    AnswerCutBy(usize),
    /// Says that it will write no more, in TLS as well, and goes on reading.
    Close,
    /// Says that it will write no more, without a word in TLS, and goes on reading.
    Cut,
    /// Closes; what was not read makes the system send a reset.
    Drop,
    /// Writes the same again and again until the exchange is over, with pauses or without.
    Forever(Vec<u8>, bool),
    /// Reads so many bytes of a request and forgets them.
    Read(usize),
    /// Reads the rest of a request whose head was read.
    ReadBody,
    /// Reads the head of a request.
    ReadHead,
    /// Reads a whole request.
    ReadRequest,
    /// Ends the connection by a reset.
    Reset,
    /// Reads a few bytes at a time until the exchange is over.
    Sip,
    /// Lets the emulator take the request that was read.
    Take,
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes one by one, with pauses.
    WriteSlowly(Vec<u8>),
}

/// What lies below HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    Plain,
    /// The client wants TLS and the script is played instead of the handshake.
    Raw,
    Tls(Certificate),
}

/// What a server has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// The connection and the body's first bytes of each whole request.
    pub(crate) requests: Vec<(usize, Vec<u8>)>,
    /// Connections that have come to their end on this side.
    ended: usize,
    /// Whether the script is at its end.
    played: bool,
}

/// A server on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    exchange_over: watch::Sender<bool>,
    emulator: Option<Arc<Mutex<Service>>>,
}

impl Server {
    /// Listens; without an emulator healthy connections answer with what they were asked.
    pub(crate) fn start(over: Over, script: Script, emulator: Option<Service>) -> Self {
        let listener = listen();
        let address = listener.local_addr().unwrap();
        let (exchange_over, over_receiver) = watch::channel(false);
        let server = Self {
            address,
            seen: Arc::new(watch::channel(Seen::default()).0),
            exchange_over,
            emulator: emulator.map(|service| Arc::new(Mutex::new(service))),
        };
        let player = Player {
            seen: Arc::clone(&server.seen),
            exchange_over: over_receiver,
            emulator: server.emulator.clone(),
            connection: 0,
        };
        tokio::spawn(accept(listener, over, script, player));
        server
    }

    /// Says that the first exchange is over, and waits until the script is at its end.
    pub(crate) async fn finish_script(&self) {
        self.exchange_over.send_replace(true);
        self.until(|seen| seen.played).await;
    }

    /// Waits until so many connections have ended on the server's side.
    pub(crate) async fn ended(&self, connections: usize) {
        self.until(|seen| seen.ended >= connections).await;
    }

    pub(crate) fn seen(&self) -> watch::Ref<'_, Seen> {
        self.seen.borrow()
    }

    pub(crate) fn emulator(&self) -> std::sync::MutexGuard<'_, Service> {
        self.emulator.as_ref().unwrap().lock().unwrap()
    }

    async fn until(&self, look: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        tokio::time::timeout(PATIENCE, seen.wait_for(look)).await.unwrap().unwrap();
    }
}

/// Listens with a small receive buffer, so that a large request cannot leave without being read.
fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1_024).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket.listen(64).unwrap()
}

async fn accept(listener: TcpListener, over: Over, script: Script, player: Player) {
    let acceptor = match over {
        Over::Plain => None,
        Over::Raw => Some(Certificate::Good.acceptor()),
        Over::Tls(certificate) => Some(certificate.acceptor()),
    };
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        // An answer must leave before the reset that may follow it.
        stream.set_nodelay(true).unwrap();
        player.seen.send_modify(|seen| seen.connections += 1);
        let script = (connection == 0).then(|| script.clone());
        let tls = if over == Over::Raw && connection == 0 { None } else { acceptor.clone() };
        tokio::spawn(Player { connection, ..player.clone() }.serve(stream, tls, script));
    }
}

/// One connection's side of a server.
#[derive(Clone)]
struct Player {
    seen: Arc<watch::Sender<Seen>>,
    exchange_over: watch::Receiver<bool>,
    emulator: Option<Arc<Mutex<Service>>>,
    connection: usize,
}

impl Player {
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, script: Option<Script>) {
        let is_scripted = script.is_some();
        let script = script.unwrap_or_default();
        match tls {
            None => self.play(stream, script).await,
            Some(acceptor) => {
                // A client that does not trust this server is free to go.
                if let Ok(stream) = acceptor.accept(stream).await {
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                    self.play(stream, script).await;
                }
            }
        }
        self.seen.send_modify(|seen| {
            seen.ended += 1;
            seen.played |= is_scripted;
        });
    }

    async fn play(&self, mut stream: impl Stream, script: Script) {
        let (mut body_bytes, mut body, mut answer) = (0, Vec::new(), Vec::new());
        for step in script {
            // The client may be gone at any step, which it is free to be.
            match step {
                Step::AfterExchange => self.exchange_is_over().await,
                Step::AnswerCutBy(bytes) => {
                    answer.truncate(answer.len() - bytes);
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.flush().await;
                }
                Step::Close => drop(stream.shutdown().await),
                Step::Cut => drop(stream.socket().shutdown().await),
                Step::Drop => return,
                Step::Forever(bytes, with_pauses) => {
                    while !*self.exchange_over.borrow() && stream.write_all(&bytes).await.is_ok() {
                        let _ = stream.flush().await;
                        if with_pauses {
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                }
                Step::Read(bytes) => drop(stream.read_exact(&mut vec![0; bytes]).await),
                Step::ReadBody => drop(self.read_body(&mut stream, body_bytes).await),
                Step::ReadHead => body_bytes = read_head(&mut stream).await.unwrap_or_default(),
                Step::ReadRequest => {
                    body = self.read_request(&mut stream).await.unwrap_or_default()
                }
                Step::Reset => {
                    stream.socket().set_zero_linger().unwrap();
                    return;
                }
                Step::Sip => {
                    while !*self.exchange_over.borrow() && stream.read(&mut [0; 10]).await.is_ok() {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Step::Take => answer = self.take(std::mem::take(&mut body)),
                Step::Write(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.flush().await;
                }
                Step::WriteSlowly(bytes) => {
                    for byte in bytes {
                        let _ = stream.write_u8(byte).await;
                        let _ = stream.flush().await;
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        if self.connection == 0 {
            self.seen.send_modify(|seen| seen.played = true);
        }
        self.serve_well(stream).await;
    }

    /// Answers each request until the client closes.
    async fn serve_well(&self, mut stream: impl Stream) {
        if let Some(emulator) = &self.emulator {
            let never = std::future::pending();
            return serve_connection(stream, Arc::clone(emulator), never).await;
        }
        while let Some(body) = self.read_request(&mut stream).await {
            let _ = stream.write_all(&answer(&echo(self.connection, &body))).await;
            let _ = stream.flush().await;
        }
    }

    async fn read_request(&self, stream: &mut impl Stream) -> Option<Vec<u8>> {
        let body_bytes = read_head(stream).await?;
        self.read_body(stream, body_bytes).await
    }

    /// Reads a body and notes its request; `None` if the client closes before its end.
    async fn read_body(&self, stream: &mut impl Stream, bytes: usize) -> Option<Vec<u8>> {
        let mut body = vec![0; bytes];
        stream.read_exact(&mut body).await.ok()?;
        let note = (self.connection, tag(&body));
        self.seen.send_modify(|seen| seen.requests.push(note));
        Some(body)
    }

    fn take(&self, body: Vec<u8>) -> Vec<u8> {
        let mut emulator = self.emulator.as_ref().unwrap().lock().unwrap();
        let taken = emulator.handle(Request::put_record_batch(body));
        assert_eq!(taken.status, 200);
        answer(&String::from_utf8(taken.body).unwrap())
    }

    async fn exchange_is_over(&self) {
        let mut over = self.exchange_over.clone();
        // The sender is gone when a test has failed.
        let _ = over.wait_for(|over| *over).await;
    }
}

/// Reads the head of a request and returns the length of its body; `None` if the client closes
/// before its end, or if it has none.
async fn read_head(stream: &mut impl Stream) -> Option<usize> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
        if head.len() > HEAD_BYTES_MAX {
            return None;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    Some(length.parse().unwrap())
}

/// Returns an answer of success with this body.
pub(crate) fn answer(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Returns what a healthy connection says to a request.
pub(crate) fn echo(connection: usize, body: &[u8]) -> String {
    format!("{} on {connection}", String::from_utf8_lossy(&tag(body)))
}

/// Returns the first word of a body.
fn tag(body: &[u8]) -> Vec<u8> {
    body.iter().take(16).copied().take_while(|byte| *byte != b' ').collect()
}

/// A connection, and the socket below it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    fn socket(&mut self) -> &mut TcpStream;
}

impl Stream for TcpStream {
    fn socket(&mut self) -> &mut TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&mut self) -> &mut TcpStream {
        self.get_mut().0
    }
}
