//! The least that a client can do, to see what the care of the others costs: one thread, blocking
//! sockets, memory that is used again. Each request is encoded, hashed, signed and written, of each
//! answer the identifiers are counted. There are no time limits, nothing is sent again, and an
//! answer that is not about all records as stored ends the run.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use firehose_hyper::Signer;
use firehose_proto::wire::{CONTENT_TYPE, Operation, request};
use memchr::memmem::{self, Finder};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::payload::Payload;
use crate::{Args, Clocks, Failed, Sent, Told, signer};

/// The index of a request's first record, and their number.
type Request = (usize, usize);

/// Sends all records.
pub(crate) async fn run(
    args: &Args,
    payload: &Payload,
    requests: &[Request],
    warm_up: usize,
    authority: Option<Vec<u8>>,
) -> Told {
    let uri: http::Uri = args.endpoint.parse()?;
    let host = uri.authority().ok_or("the endpoint has no host")?.to_string();
    let trusted = authority.as_deref().map(trusting).transpose()?;
    let peers = (0..args.concurrency.get())
        .map(|_| Peer::connect(&host, trusted.as_ref()))
        .collect::<Result<_, Failed>>()?;
    let mut floor = Floor { payload, host, signer: signer(), peers, body: Vec::new() };
    floor.send(&requests[..warm_up]).await?;
    let clocks = Clocks::start();
    let sent = floor.send(requests).await?;
    Ok(clocks.stop(sent))
}

struct Floor<'a> {
    payload: &'a Payload,
    host: String,
    signer: Signer,
    peers: Vec<Peer>,
    /// Memory for the next body.
    body: Vec<u8>,
}

impl Floor<'_> {
    /// Sends requests over one connection after the other. An answer is read when its connection is
    /// needed again.
    async fn send(&mut self, requests: &[Request]) -> Result<Sent, Failed> {
        for (index, (start, count)) in requests.iter().enumerate() {
            let body = self.encode(*start, *count);
            let signed = self.sign(body).await?;
            let at = index % self.peers.len();
            self.peers[at].read_answer()?;
            self.peers[at].write(&signed, *count)?;
            let (_, body) = drop_extensions(signed).into_parts();
            self.body = body.try_into_mut().map_err(|_| "a body is held")?.into();
        }
        for peer in &mut self.peers {
            peer.read_answer()?;
        }
        let delivered = requests.iter().map(|(_, count)| *count as u64).sum();
        Ok(Sent { requests: requests.len() as u64, delivered })
    }

    fn encode(&mut self, start: usize, count: usize) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        request::begin(&mut body, &firehose_benches::stream());
        for index in start..start + count {
            if index > start {
                request::separator(&mut body);
            }
            request::data(&mut body, &[self.payload.bytes(index)]);
        }
        request::end(&mut body);
        body
    }

    async fn sign(&self, body: Vec<u8>) -> Result<http::Request<Bytes>, Failed> {
        let mut request = http::Request::post("/")
            .header("host", &self.host)
            .header("content-type", CONTENT_TYPE)
            .header("content-length", body.len())
            .header("x-amz-target", Operation::PutRecordBatch.target())
            .body(Bytes::from(body))?;
        self.signer.sign(&mut request, SystemTime::now()).await?;
        Ok(request)
    }
}

/// The hash of a body, which is kept beside it, holds the body as well.
fn drop_extensions(mut request: http::Request<Bytes>) -> http::Request<Bytes> {
    request.extensions_mut().clear();
    request
}

fn trusting(authority: &[u8]) -> Result<Arc<ClientConfig>, Failed> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority)?)?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// A connection with at most one request on it.
struct Peer {
    stream: Box<dyn Stream>,
    /// The records of which there is no answer yet.
    waits_for: Option<usize>,
    head: Vec<u8>,
    /// What was read of an answer; of it the first `filled` bytes.
    answer: Vec<u8>,
    filled: usize,
    record_id: Finder<'static>,
}

impl Peer {
    fn connect(host: &str, trusted: Option<&Arc<ClientConfig>>) -> Result<Self, Failed> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match trusted {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost")?;
                let tls = ClientConnection::new(Arc::clone(config), name)?;
                Box::new(StreamOwned::new(tls, stream))
            }
        };
        let record_id = Finder::new(r#""RecordId""#);
        let (head, answer) = (Vec::new(), Vec::new());
        Ok(Self { stream, waits_for: None, head, answer, filled: 0, record_id })
    }

    fn write(&mut self, request: &http::Request<Bytes>, records: usize) -> io::Result<()> {
        self.head.clear();
        self.head.extend_from_slice(b"POST / HTTP/1.1\r\n");
        for (name, value) in request.headers() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                self.head.extend_from_slice(part);
            }
        }
        self.head.extend_from_slice(b"\r\n");
        let mut slices = [io::IoSlice::new(&self.head), io::IoSlice::new(request.body())];
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            let written = self.stream.write_vectored(left)?;
            io::IoSlice::advance_slices(&mut left, written);
        }
        self.stream.flush()?;
        self.waits_for = Some(records);
        Ok(())
    }

    /// Reads the answer to the last request, if there is one.
    fn read_answer(&mut self) -> Result<(), Failed> {
        let Some(records) = self.waits_for.take() else { return Ok(()) };
        self.filled = 0;
        let head = loop {
            self.read_some()?;
            if let Some(at) = memmem::find(&self.answer[..self.filled], b"\r\n\r\n") {
                break at + 4;
            }
        };
        let length: usize = content_length(&self.answer[..head]).ok_or("no length")?;
        while self.filled < head + length {
            self.read_some()?;
        }
        let answer = &self.answer[..self.filled];
        let stored = self.record_id.find_iter(answer).count();
        if !answer.starts_with(b"HTTP/1.1 200 ") || stored != records {
            return Err(format!("{stored} of {records} records are stored").into());
        }
        Ok(())
    }

    fn read_some(&mut self) -> io::Result<()> {
        const READ_BYTES: usize = 128 * 1_024;
        if self.answer.len() < self.filled + READ_BYTES {
            self.answer.resize(self.filled + READ_BYTES, 0);
        }
        match self.stream.read(&mut self.answer[self.filled..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = core::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let (_, rest) = head.split_once("content-length:")?;
    rest.split_once("\r\n")?.0.trim().parse().ok()
}
