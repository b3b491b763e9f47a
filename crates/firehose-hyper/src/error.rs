//! How a request ended that got no answer: in which phase, and whether the service may have it.

use core::error::Error;
use core::fmt;
use std::io;
use std::sync::Arc;

use firehose_proto::Failure;

use crate::sign::SignError;
use crate::timeouts::Phase;

/// Any error that can be sent to another thread.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request got no answer.
///
/// The variant is the phase, because the phase and the count of bytes written say whether the
/// service may have taken the request; the kind of the error below does not.
///
/// ```
/// use firehose_hyper::{Phase, TransportError};
/// use firehose_proto::Failure;
///
/// let error = TransportError::Timeout {
///     peer: "127.0.0.1:9".into(),
///     phase: Phase::FirstByte,
///     failure: Failure::OutcomeUnknown,
/// };
/// assert_eq!(error.to_string(), "timed out waiting for the answer of 127.0.0.1:9");
/// assert_eq!(error.failure(), Failure::OutcomeUnknown);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// The peer's certificate was refused.
    Certificate {
        /// Host and port.
        peer: Arc<str>,
        /// What is wrong with the certificate.
        source: io::Error,
    },
    /// No connection could be made.
    Connect {
        /// Host and port.
        peer: Arc<str>,
        /// The error at the last address that was tried.
        source: io::Error,
    },
    /// The TLS handshake failed.
    Handshake {
        /// Host and port.
        peer: Arc<str>,
        /// What went wrong.
        source: io::Error,
    },
    /// A proxy did not open a way to the peer.
    Proxy {
        /// Host and port of the proxy.
        peer: Arc<str>,
        /// What it said, or what went wrong.
        source: BoxError,
    },
    /// A proxy wants a user name and a password, or others than it was given.
    ProxyAuthentication {
        /// Host and port of the proxy.
        peer: Arc<str>,
    },
    /// The connection ended after the whole request was written, before a whole answer came.
    Receive {
        /// Host and port.
        peer: Arc<str>,
        /// What ended the connection.
        source: BoxError,
    },
    /// The name of the host could not be resolved.
    Resolve {
        /// Host and port.
        peer: Arc<str>,
        /// The resolver's error.
        source: io::Error,
    },
    /// The connection ended before the whole request was written.
    Send {
        /// Host and port.
        peer: Arc<str>,
        /// The bytes of the request that were written.
        written: u64,
        /// The bytes of the request, head and body.
        length: u64,
        /// What ended the connection.
        source: BoxError,
    },
    /// The request could not be signed.
    Sign(SignError),
    /// A time-out or the attempt's deadline passed.
    Timeout {
        /// Host and port.
        peer: Arc<str>,
        /// What was going on.
        phase: Phase,
        /// Whether the service may have taken the request.
        failure: Failure,
    },
    /// The answer was larger than is allowed.
    TooLarge {
        /// Host and port.
        peer: Arc<str>,
        /// The most bytes that the body of an answer may have.
        bytes_max: usize,
    },
}

impl TransportError {
    /// Returns whether the service may have taken the request, and whether it is of any use to try
    /// again.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Certificate { .. } | Self::ProxyAuthentication { .. } => Failure::Unsendable,
            Self::Connect { .. }
            | Self::Handshake { .. }
            | Self::Proxy { .. }
            | Self::Resolve { .. }
            | Self::Send { .. } => Failure::NotSent,
            Self::Sign(error) => error.failure(),
            Self::Receive { .. } | Self::TooLarge { .. } => Failure::OutcomeUnknown,
            Self::Timeout { failure, .. } => *failure,
        }
    }

    /// Returns whether another attempt would fail the same way: a refused certificate, a proxy that
    /// wants a password, a request that cannot be signed.
    pub fn is_permanent(&self) -> bool {
        self.failure() == Failure::Unsendable
    }
}

impl fmt::Display for TransportError {
    /// Writes one line with the peer and the cause down to its root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { peer, source } => {
                write!(f, "cannot trust {peer}: {}", Causes(source))
            }
            Self::Connect { peer, source } => {
                write!(f, "cannot connect to {peer}: {}", Causes(source))
            }
            Self::Handshake { peer, source } => {
                write!(f, "cannot agree on TLS with {peer}: {}", Causes(source))
            }
            Self::Proxy { peer, source } => {
                write!(f, "no way through the proxy {peer}: {}", Causes(&**source))
            }
            Self::ProxyAuthentication { peer } => {
                write!(f, "the proxy {peer} wants a user name and a password (407)")
            }
            Self::Receive { peer, source } => {
                write!(f, "cannot read the answer of {peer}: {}", Causes(&**source))
            }
            Self::Resolve { peer, source } => {
                write!(f, "cannot resolve the name of {peer}: {}", Causes(source))
            }
            Self::Send { peer, written, length, source } => write!(
                f,
                "cannot send the request to {peer}, {written} of {length} bytes written: {}",
                Causes(&**source)
            ),
            Self::Sign(error) => write!(f, "cannot sign the request: {error}"),
            Self::Timeout { peer, phase, .. } => write!(f, "timed out {phase} {peer}"),
            Self::TooLarge { peer, bytes_max } => {
                write!(f, "the answer of {peer} is larger than {bytes_max} bytes")
            }
        }
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Certificate { source, .. }
            | Self::Connect { source, .. }
            | Self::Handshake { source, .. }
            | Self::Resolve { source, .. } => Some(source),
            Self::Proxy { source, .. }
            | Self::Receive { source, .. }
            | Self::Send { source, .. } => Some(&**source),
            Self::Sign(error) => Some(error),
            Self::ProxyAuthentication { .. } | Self::Timeout { .. } | Self::TooLarge { .. } => None,
        }
    }
}

/// An error and its causes in one line; a cause that its effect already quotes is left out.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io_error(text: &'static str) -> io::Error {
        io::Error::other(text)
    }

    #[test]
    fn messages_name_the_peer_and_the_cause() {
        let peer: Arc<str> = "h:1".into();
        let p = || Arc::clone(&peer);
        for (error, failure, message) in [
            (
                TransportError::Connect {
                    peer: p(),
                    source: io::Error::from(io::ErrorKind::ConnectionRefused),
                },
                Failure::NotSent,
                "cannot connect to h:1: connection refused",
            ),
            (
                TransportError::Send { peer: p(), written: 3, length: 9, source: "gone".into() },
                Failure::NotSent,
                "cannot send the request to h:1, 3 of 9 bytes written: gone",
            ),
            (
                TransportError::Receive { peer: p(), source: io_error("cut").into() },
                Failure::OutcomeUnknown,
                "cannot read the answer of h:1: cut",
            ),
            (
                TransportError::TooLarge { peer: p(), bytes_max: 4 },
                Failure::OutcomeUnknown,
                "the answer of h:1 is larger than 4 bytes",
            ),
            (
                TransportError::Resolve { peer: p(), source: io_error("no such name") },
                Failure::NotSent,
                "cannot resolve the name of h:1: no such name",
            ),
        ] {
            assert_eq!(error.to_string(), message);
            assert_eq!(error.failure(), failure);
            assert!(!error.is_permanent());
        }
        let error = TransportError::Certificate { peer: p(), source: io_error("unknown issuer") };
        assert!(error.is_permanent() && error.failure() == Failure::Unsendable);
        assert_eq!(error.to_string(), "cannot trust h:1: unknown issuer");
    }

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug)]
        struct Outer(&'static str, io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.1)
            }
        }
        let told = |text| Causes(&Outer(text, io_error("root"))).to_string();
        assert_eq!(told("outer"), "outer: root");
        assert_eq!(told("outer because of root"), "outer because of root");
    }
}
