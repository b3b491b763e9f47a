//! The embedded service: the emulator in this process, over HTTP on a pipe in memory.

use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use firehose_hyper::{Connector, Endpoint, Transport};
use firehose_mock::{Buffering, Directory, Service, Shared, Streams, serve_connection};

use crate::feed::lock;

/// The bytes that a pipe holds.
const PIPE_BYTES: usize = 256 * 1024;

/// A service of this process that delivers into a directory.
#[derive(Clone)]
pub(crate) struct Local {
    service: Arc<Mutex<Service>>,
    directory: Shared,
}

impl Local {
    /// Opens the directory and makes the service.
    pub(crate) fn open(dir: &Path, with_ledger: bool) -> Result<Self, String> {
        let directory = open_directory(dir, Buffering::default(), with_ledger)?;
        let service =
            Service::new(Streams::Any, seed()).with_destination(Box::new(directory.clone()));
        Ok(Self { service: Arc::new(Mutex::new(service)), directory })
    }

    /// Makes the transport that leads to the service.
    pub(crate) fn transport(&self) -> Result<Transport, String> {
        let service = Arc::clone(&self.service);
        let connector = Connector::from_fn(move || {
            let service = Arc::clone(&service);
            async move {
                let (client, server) = tokio::io::duplex(PIPE_BYTES);
                tokio::spawn(serve_connection(server, service, pending()));
                Ok(client)
            }
        });
        let endpoint = Endpoint::from_url("http://localhost", None).map_err(|e| e.to_string())?;
        Transport::builder(endpoint).connector(connector).build().map_err(|e| e.to_string())
    }

    /// Returns whether records can no longer be delivered, for a full disk say.
    pub(crate) fn is_broken(&self) -> bool {
        lock(&self.service).last_destination_error().is_some()
    }

    /// Puts everything that was accepted in its place.
    pub(crate) fn finish(&self) -> Result<(), String> {
        self.directory.lock().finish().map_err(|error| error.to_string())
    }
}

/// Opens a directory for delivery.
pub(crate) fn open_directory(
    dir: &Path,
    buffering: Buffering,
    with_ledger: bool,
) -> Result<Shared, String> {
    let open = || {
        let directory = Directory::open(dir, buffering, SystemTime::now)?;
        if with_ledger { directory.with_ledger() } else { Ok(directory) }
    };
    open().map(Directory::shared).map_err(|error| error.to_string())
}

/// A seed that differs between runs, so that identifiers of records do.
pub(crate) fn seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() % u128::from(u64::MAX)).unwrap_or_default()
}
