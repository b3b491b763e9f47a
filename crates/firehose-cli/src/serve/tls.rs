//! The certificates of `firehose serve --tls`: made at the start, or from files.

use std::fs;
use std::path::{Path, PathBuf};

use firehose_mock::ServerTls;

use crate::args::ServeArgs;

/// The server's side of TLS, and where clients find whom to trust.
pub(super) struct Encryption {
    tls: ServerTls,
    ca: Option<PathBuf>,
}

impl Encryption {
    /// Makes or reads the certificates; nothing without `--tls`.
    pub(super) fn of(args: &ServeArgs) -> Result<Option<Self>, String> {
        if !args.tls {
            return Ok(None);
        }
        if let (Some(certificates), Some(key)) = (&args.tls_cert, &args.tls_key) {
            let tls = from_files(certificates, key)?;
            return Ok(Some(Self { tls, ca: None }));
        }
        let address = args.listen.ip().to_string();
        let tls = ServerTls::generate([address]).map_err(|error| error.to_string())?;
        let in_dir = || args.dir.as_ref().map(|dir| dir.join(".firehose").join("ca.pem"));
        Ok(Some(Self { tls, ca: args.tls_ca.clone().or_else(in_dir) }))
    }

    /// Writes the authority that was made for clients to trust, and returns where it lies.
    pub(super) fn write_authority(&self) -> Result<Option<String>, String> {
        let (Some(path), Some(pem)) = (&self.ca, self.tls.authority_pem()) else { return Ok(None) };
        fs::write(path, pem).map_err(|error| {
            let path = path.display();
            format!("cannot write the authority to {path}: {error} (name another by --tls-ca)")
        })?;
        Ok(Some(path.display().to_string()))
    }

    pub(super) fn into_tls(self) -> ServerTls {
        self.tls
    }
}

fn from_files(certificates: &Path, key: &Path) -> Result<ServerTls, String> {
    let read = |path: &Path, option| {
        fs::read(path).map_err(|error| format!("cannot read {}, {option}: {error}", path.display()))
    };
    let pem = (read(certificates, "--tls-cert")?, read(key, "--tls-key")?);
    ServerTls::from_pem(&pem.0, &pem.1).map_err(|error| {
        let (certificates, key) = (certificates.display(), key.display());
        format!("cannot speak TLS with {certificates} and {key}: {error}")
    })
}
