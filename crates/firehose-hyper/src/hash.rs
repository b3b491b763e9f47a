//! The SHA-256 of request bodies, which the signature needs and which costs more than all else.
//!
//! Without the feature `hash-many` each body is hashed by itself. With it, bodies that are ready at
//! the same moment are hashed together: the processor works on several streams in the time of one.
//! Nobody waits for more to become ready.

use aws_lc_rs::digest;

/// The SHA-256 of a body.
pub(crate) type Digest = [u8; 32];

#[cfg(feature = "hash-many")]
mod many;
#[cfg(feature = "hash-many")]
pub(crate) use many::Hasher;

/// Hashes bodies, each by itself.
#[cfg(not(feature = "hash-many"))]
pub(crate) struct Hasher;

#[cfg(not(feature = "hash-many"))]
impl Hasher {
    pub(crate) fn new() -> Self {
        Self
    }

    /// Hashes a body.
    #[expect(clippy::unused_async, reason = "the other one waits for its turn")]
    pub(crate) async fn sha256(&self, body: &bytes::Bytes) -> Digest {
        one(body)
    }
}

/// Hashes a body by itself.
pub(crate) fn one(body: &[u8]) -> Digest {
    let mut result = Digest::default();
    for (to, from) in result.iter_mut().zip(digest::digest(&digest::SHA256, body).as_ref()) {
        *to = *from;
    }
    result
}
