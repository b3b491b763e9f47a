//! From an endpoint to a stream of bytes: name, address, TCP, TLS, or whatever a user brings.
//!
//! No byte of a request is sent here, so nothing that fails here leaves a doubt.

use core::fmt;
use core::pin::Pin;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use firehose_proto::Failure;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::error::TransportError;
use crate::proxy::Proxy;
use crate::timeouts::{Phase, Timeouts, until};
use crate::tls::{Tls, TlsError};

/// A stream of bytes in both directions, whatever lies below it.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(crate) type BoxIo = Box<dyn Io>;

type Connecting = Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send>>;

/// Makes connections; cheap to clone.
///
/// ```
/// use firehose_hyper::Connector;
///
/// // Each request that finds no free connection gets a pipe to a service in this process.
/// let connector = Connector::from_fn(|| async {
///     let (client, service) = tokio::io::duplex(64 * 1024);
///     # drop(service);
///     Ok(client)
/// });
/// # let _ = connector;
/// ```
#[derive(Clone)]
pub struct Connector {
    kind: Arc<Kind>,
}

enum Kind {
    Custom(Box<dyn Fn() -> Connecting + Send + Sync>),
    Tcp(Route),
}

/// A way to an endpoint, perhaps through a proxy.
struct Route {
    host: Box<str>,
    port: u16,
    tls: Option<TlsPart>,
    proxy: Option<(Proxy, Option<TlsPart>)>,
}

/// What makes TLS of a stream, and the name that the certificate must have.
type TlsPart = (TlsConnector, ServerName<'static>);

impl Connector {
    /// Makes connections to an endpoint, with TLS if it is not a plain one.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the endpoint needs TLS and the certificates cannot be used.
    pub fn tcp(endpoint: &Endpoint, tls: &Tls) -> Result<Self, TlsError> {
        Self::through(endpoint, tls, None)
    }

    /// Makes connections to an endpoint through a proxy, if there is one: through a tunnel if the
    /// endpoint has TLS, else just to the proxy.
    pub(crate) fn through(
        endpoint: &Endpoint,
        tls: &Tls,
        proxy: Option<Proxy>,
    ) -> Result<Self, TlsError> {
        let proxy = match proxy {
            None => None,
            Some(proxy) => {
                let part = proxy.is_tls.then(|| tls_part(&proxy.host, tls)).transpose()?;
                Some((proxy, part))
            }
        };
        let is_tls = !endpoint.is_plain();
        let tls = is_tls.then(|| tls_part(endpoint.host(), tls)).transpose()?;
        let (host, port) = (endpoint.host().into(), endpoint.port());
        Ok(Self { kind: Arc::new(Kind::Tcp(Route { host, port, tls, proxy })) })
    }

    /// Makes connections by a function of the user's: a pipe, a Unix socket, a tunnel.
    ///
    /// The function is bounded by [`Timeouts::connect`].
    pub fn from_fn<F, C, S>(connect: F) -> Self
    where
        F: Fn() -> C + Send + Sync + 'static,
        C: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connect = move || -> Connecting {
            let connecting = connect();
            Box::pin(async move { connecting.await.map(|stream| Box::new(stream) as BoxIo) })
        };
        Self { kind: Arc::new(Kind::Custom(Box::new(connect))) }
    }

    /// Makes a connection.
    pub(crate) async fn connect(
        &self,
        peer: &Arc<str>,
        timeouts: &Timeouts,
        deadline: Instant,
    ) -> Result<BoxIo, TransportError> {
        let connect_until = until(timeouts.connect(), deadline);
        match &*self.kind {
            Kind::Custom(connect) => {
                let connected = timeout_at(connect_until, connect()).await;
                connected
                    .map_err(|_| timed_out(peer, Phase::Connect))?
                    .map_err(|source| TransportError::Connect { peer: Arc::clone(peer), source })
            }
            Kind::Tcp(route) => route.connect(peer, timeouts, deadline, connect_until).await,
        }
    }
}

impl Route {
    async fn connect(
        &self,
        peer: &Arc<str>,
        timeouts: &Timeouts,
        deadline: Instant,
        connect_until: Instant,
    ) -> Result<BoxIo, TransportError> {
        let handshake_until = || until(timeouts.handshake(), deadline);
        let Some((proxy, proxy_tls)) = &self.proxy else {
            let stream = connect_tcp(&self.host, self.port, peer, connect_until).await?;
            return start_tls(Box::new(stream), self.tls.as_ref(), peer, handshake_until()).await;
        };
        let stream = connect_tcp(&proxy.host, proxy.port, &proxy.peer, connect_until).await?;
        let io = Box::new(stream);
        let io = start_tls(io, proxy_tls.as_ref(), &proxy.peer, handshake_until()).await?;
        if self.tls.is_none() {
            return Ok(io);
        }
        let host = &self.host;
        let target = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        let target = format!("{target}:{}", self.port);
        let io = timeout_at(handshake_until(), proxy.tunnel(io, &target))
            .await
            .map_err(|_| timed_out(&proxy.peer, Phase::Proxy))??;
        start_tls(io, self.tls.as_ref(), peer, handshake_until()).await
    }
}

/// Makes TLS of a stream, if that is wanted.
async fn start_tls(
    io: BoxIo,
    tls: Option<&TlsPart>,
    peer: &Arc<str>,
    handshake_until: Instant,
) -> Result<BoxIo, TransportError> {
    let Some((connector, name)) = tls else { return Ok(io) };
    timeout_at(handshake_until, connector.connect(name.clone(), io))
        .await
        .map_err(|_| timed_out(peer, Phase::Handshake))?
        .map(|stream| Box::new(stream) as BoxIo)
        .map_err(|source| handshake_error(peer, source))
}

fn tls_part(host: &str, tls: &Tls) -> Result<TlsPart, TlsError> {
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Host { host: host.into() })?;
    Ok((TlsConnector::from(Arc::new(tls.config()?)), name))
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &*self.kind {
            Kind::Custom(_) => "custom",
            Kind::Tcp(Route { tls: None, .. }) => "tcp",
            Kind::Tcp(Route { tls: Some(_), .. }) => "tls",
        };
        f.debug_tuple("Connector").field(&kind).finish()
    }
}

/// Resolves a name and tries its addresses in turn.
async fn connect_tcp(
    host: &str,
    port: u16,
    peer: &Arc<str>,
    connect_until: Instant,
) -> Result<TcpStream, TransportError> {
    let resolve_error = |source| TransportError::Resolve { peer: Arc::clone(peer), source };
    let addresses: Vec<SocketAddr> = timeout_at(connect_until, lookup_host((host, port)))
        .await
        .map_err(|_| timed_out(peer, Phase::Resolve))?
        .map_err(resolve_error)?
        .collect();
    let no_address = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut failed = resolve_error(no_address);
    for (index, address) in addresses.iter().enumerate() {
        let address_until = share(connect_until, addresses.len() - index);
        failed = match timeout_at(address_until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // The request leaves in few large writes, whose ends must not wait for an answer.
                match stream.set_nodelay(true) {
                    Ok(()) => return Ok(stream),
                    Err(source) => TransportError::Connect { peer: Arc::clone(peer), source },
                }
            }
            Ok(Err(source)) => TransportError::Connect { peer: Arc::clone(peer), source },
            Err(_) => timed_out(peer, Phase::Connect),
        };
    }
    Err(failed)
}

/// Gives one of `shares` addresses its part of the time left, so that one that never answers leaves
/// time for the others.
fn share(connect_until: Instant, shares: usize) -> Instant {
    let now = Instant::now();
    let shares = u32::try_from(shares).unwrap_or(u32::MAX).max(1);
    now + connect_until.saturating_duration_since(now) / shares
}

fn timed_out(peer: &Arc<str>, phase: Phase) -> TransportError {
    TransportError::Timeout { peer: Arc::clone(peer), phase, failure: Failure::NotSent }
}

fn handshake_error(peer: &Arc<str>, source: io::Error) -> TransportError {
    let peer = Arc::clone(peer);
    let tls = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            TransportError::Certificate { peer, source }
        }
        _ => TransportError::Handshake { peer, source },
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn addresses_share_the_time_left() {
        let now = Instant::now();
        let end = now + Duration::from_secs(6);
        assert_eq!(share(end, 3), now + Duration::from_secs(2));
        assert_eq!(share(end, 1), end);
        assert_eq!(share(now, 5), now);
    }
}
