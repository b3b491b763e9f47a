//! The service on a socket, over HTTP/1.1; with the feature `tls` over HTTPS.
//!
//! Here are connections only; what is said on them is the service's part. A request is handled on
//! the task of its connection, because the service needs no waiting.

use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use firehose_proto::wire::BODY_HEADROOM_BYTES;
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exchange::{Answer, Disposition, Request};
use crate::service::{Refusal, Service};
use crate::transport::{head_refusal, lock};

#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
pub(crate) mod tls;

#[cfg(feature = "tls")]
use tls::ServerTls;

/// The largest body that is read; a request of the largest allowed size has a third of it.
const BODY_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// The pause after an error of accepting that more connections would only repeat.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A service that listens on a socket.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use firehose_mock::{Server, Service, Streams};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let service = Arc::new(Mutex::new(Service::new(Streams::Any, 1)));
/// let server = Server::bind("127.0.0.1:0".parse().unwrap(), service.clone())?;
/// println!("http://{}", server.local_addr());
/// server.run(std::future::ready(())).await;
/// assert_eq!(service.lock().unwrap().ledger().totals().requests, 0);
/// # std::io::Result::Ok(()) })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Mutex<Service>>,
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl Server {
    /// Binds a socket; port 0 lets the system choose one. Connections are accepted once the server
    /// [runs](Self::run).
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    ///
    /// # Panics
    ///
    /// Outside a runtime of tokio.
    pub fn bind(address: SocketAddr, service: Arc<Mutex<Service>>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Self {
            listener,
            address,
            service,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }

    /// Lets the server speak HTTPS instead of HTTP.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use firehose_mock::{Server, ServerTls, Service, Streams};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tls = ServerTls::generate([])?;
    /// println!("trust this:\n{}", tls.authority_pem().unwrap_or_default());
    /// let service = Arc::new(Mutex::new(Service::new(Streams::Any, 1)));
    /// let server = Server::bind("127.0.0.1:0".parse()?, service)?.with_tls(tls);
    /// println!("https://{}", server.local_addr());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Returns the address that the server is bound to.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready; then accepts no more, and lets the requests that have
    /// begun come to their end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Without it an answer may wait for the peer's acknowledgement; the answer
                        // is the same.
                        let _ = stream.set_nodelay(true);
                        connections.spawn(self.serve(stream, wait_for(stopped.clone())));
                    }
                    Err(error) if is_of_connection(&error) => {}
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        drop((self.listener, stop));
        while connections.join_next().await.is_some() {}
    }

    /// Makes the task of a connection. A handshake is part of it, so that one that stalls holds
    /// nobody else up.
    fn serve(&self, stream: TcpStream, stop: Task) -> Task {
        let service = Arc::clone(&self.service);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Box::pin(tls::serve_connection(tls.clone(), stream, service, stop));
        }
        Box::pin(serve_connection(stream, service, stop))
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one connection until its end, whatever carries it: a socket, TLS, or a pipe in memory.
///
/// When `shutdown` is ready the connection ends after the request that has begun.
pub async fn serve_connection<I>(
    io: I,
    service: Arc<Mutex<Service>>,
    shutdown: impl Future<Output = ()>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handler = service_fn(move |request| handle(request, Arc::clone(&service)));
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(io), handler));
    // How a connection ended is the peer's affair, or a cut that was meant.
    tokio::select! {
        _ = &mut connection => return,
        () = shutdown => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn handle(
    request: http::Request<Incoming>,
    service: Arc<Mutex<Service>>,
) -> Result<http::Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let answer = match head_refusal(&head) {
        Some(refusal) => closing(lock(&service).refuse(refusal)),
        None => match collect(body).await? {
            Some(body) => {
                let request = Request::from_headers(&head.headers, body);
                lock(&service).handle(request)
            }
            None => closing(lock(&service).refuse(Refusal::too_large(BODY_BYTES_MAX))),
        },
    };
    match answer.delivery {
        // An error of the handler makes hyper close the connection without an answer.
        Disposition::CutAfter | Disposition::CutBefore => Err(Closed),
        Disposition::Reply => Ok(http::Response::from(answer).map(|body| Full::new(body.into()))),
    }
}

/// Reads a body to its end; gives none if it is larger than a body may be.
async fn collect(mut body: Incoming) -> Result<Option<Vec<u8>>, Closed> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > BODY_BYTES_MAX {
        return Ok(None);
    }
    let mut collected = Vec::with_capacity(announced + BODY_HEADROOM_BYTES);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Closed)?.into_data() else { continue };
        if collected.len() + data.len() > BODY_BYTES_MAX {
            return Ok(None);
        }
        collected.extend_from_slice(&data);
    }
    Ok(Some(collected))
}

/// Says that the connection ends with this answer, because the body was not read.
fn closing(answer: Answer) -> Answer {
    answer.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Waits until the sender is gone.
fn wait_for(mut stopped: watch::Receiver<()>) -> Task {
    Box::pin(async move { while stopped.changed().await.is_ok() {} })
}

fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// The connection ends here without an answer.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer")
    }
}

impl Error for Closed {}
