//! Connections: a pipe each, with a server that follows its script, and a note of what passed.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

use super::reading::{self, Whole};
use super::script::{Script, Step};

const REQUEST_LINE: &[u8] = b"POST / HTTP/1.1\r\n";

/// All connections of an input; cheap to clone.
#[derive(Clone)]
pub(super) struct Wires {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    wires: Vec<Wire>,
    scripts: VecDeque<Script>,
    pipe_bytes: usize,
    call: usize,
}

/// What passed on a connection.
#[derive(Clone, Default)]
pub(super) struct Wire {
    /// What the server put into the pipe.
    pub(super) said: Vec<u8>,
    /// The server will put nothing more into the pipe.
    pub(super) is_ended: bool,
    /// So many bytes of that the client took out.
    read: usize,
    /// The client saw the end.
    is_end_read: bool,
    exchanges: Vec<Exchange>,
}

/// What the client wrote for a call, and how the connection was when it began to.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) call: usize,
    /// What the pipe took.
    pub(super) written: Vec<u8>,
    pub(super) read_before: usize,
    pub(super) unread_before: usize,
    pub(super) is_ended_before: bool,
}

impl Wires {
    pub(super) fn new(scripts: Vec<Script>, pipe_bytes: usize) -> Self {
        let shared = Shared { wires: Vec::new(), scripts: scripts.into(), pipe_bytes, call: 0 };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// What is written from now on belongs to this call.
    pub(super) fn begin(&self, call: usize) {
        self.lock().call = call;
    }

    /// Opens a connection, if there is a script for it.
    pub(super) fn connect(&self) -> io::Result<Tap> {
        let mut shared = self.lock();
        let script = shared.scripts.pop_front().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (client, server) = duplex(shared.pipe_bytes);
        let index = shared.wires.len();
        shared.wires.push(Wire::default());
        tokio::spawn(serve(server, script, self.clone(), index));
        Ok(Tap { pipe: client, wires: self.clone(), index })
    }

    /// Returns what has passed on all connections so far.
    pub(super) fn all(&self) -> Vec<Wire> {
        self.lock().wires.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, index: usize, note: impl FnOnce(&mut Wire, usize)) {
        let mut shared = self.lock();
        let call = shared.call;
        note(&mut shared.wires[index], call);
    }
}

impl Wire {
    pub(super) fn exchange(&self, call: usize) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.call == call)
    }

    pub(super) fn exchange_before(&self, exchange: &Exchange) -> Option<&Exchange> {
        self.exchanges.iter().rfind(|before| before.call < exchange.call)
    }

    /// Reads what the client was given since an exchange, the last one, began.
    pub(super) fn answer(&self, exchange: &Exchange) -> Option<Whole> {
        reading::read(&self.said[exchange.read_before..self.read], self.is_end_read)
    }

    fn begin(&mut self, call: usize) {
        if self.exchange(call).is_none() {
            self.exchanges.push(Exchange {
                call,
                written: Vec::new(),
                read_before: self.read,
                unread_before: self.said.len() - self.read,
                is_ended_before: self.is_ended,
            });
        }
    }

    fn written(&mut self, bytes: &[u8]) {
        if let Some(exchange) = self.exchanges.last_mut() {
            exchange.written.extend_from_slice(bytes);
        }
    }
}

impl Exchange {
    /// Returns whether the pipe took the whole request.
    pub(super) fn is_whole(&self) -> bool {
        request_len(&self.written).is_some_and(|len| self.written.len() >= len)
    }

    /// Returns whether what was written is a request with this body as far as it goes.
    pub(super) fn is_start_of(&self, body: &[u8]) -> bool {
        let len = REQUEST_LINE.len().min(self.written.len());
        let rest = head_len(&self.written).map_or(&b""[..], |head| &self.written[head..]);
        self.written[..len] == REQUEST_LINE[..len] && body.starts_with(rest)
    }
}

/// The client's end of a pipe.
pub(super) struct Tap {
    pipe: DuplexStream,
    wires: Wires,
    index: usize,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buffer))?;
        let bytes = buffer.filled().len() - before;
        let is_end = bytes == 0 && buffer.remaining() > 0;
        self.wires.note(self.index, |wire, _| {
            wire.read += bytes;
            wire.is_end_read |= is_end;
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wires.note(self.index, Wire::begin);
        let taken = ready!(Pin::new(&mut self.pipe).poll_write(cx, bytes))?;
        self.wires.note(self.index, |wire, _| wire.written(&bytes[..taken]));
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// Follows a script on the server's end of a pipe. A client that is gone is no reason to stop.
async fn serve(mut pipe: DuplexStream, script: Script, wires: Wires, index: usize) {
    for step in script.steps {
        match step {
            Step::EndSaying => {
                let _ = pipe.shutdown().await;
                wires.note(index, |wire, _| wire.is_ended = true);
            }
            Step::Pass(span) => tokio::time::sleep(span).await,
            Step::Read(bytes) => {
                let _ = pipe.read_exact(&mut vec![0; bytes]).await;
            }
            Step::ReadRequest => read_request(&mut pipe).await,
            Step::Say(bytes) => say(&mut pipe, &bytes, &wires, index).await,
            Step::Yield => tokio::task::yield_now().await,
        }
    }
    if script.closes {
        wires.note(index, |wire, _| wire.is_ended = true);
        drop(pipe);
    } else {
        core::future::pending().await
    }
}

async fn say(pipe: &mut DuplexStream, mut bytes: &[u8], wires: &Wires, index: usize) {
    while !bytes.is_empty() {
        let Ok(taken) = pipe.write(bytes).await else { return };
        wires.note(index, |wire, _| wire.said.extend_from_slice(&bytes[..taken]));
        bytes = &bytes[taken..];
    }
}

async fn read_request(pipe: &mut DuplexStream) {
    let mut request = Vec::new();
    while request_len(&request).is_none_or(|len| request.len() < len) {
        if matches!(pipe.read_buf(&mut request).await, Ok(0) | Err(_)) {
            return;
        }
    }
}

/// Returns the bytes of a request of which at least the head is there.
fn request_len(request: &[u8]) -> Option<usize> {
    let head = head_len(request)?;
    let text = str::from_utf8(&request[..head]).ok()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head + length.parse::<usize>().ok()?)
}

fn head_len(message: &[u8]) -> Option<usize> {
    let end = b"\r\n\r\n";
    message.windows(end.len()).position(|bytes| bytes == end).map(|at| at + end.len())
}
