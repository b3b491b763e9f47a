//! The service over the network: endpoint, credentials and certificates from options and
//! environment.

use std::fs;

use firehose_hyper::{Endpoint, InvalidEndpoint, Signer, Tls, Transport, credentials};

use crate::args::PutArgs;

/// Why there is no way to the service.
pub(crate) enum NoRemote {
    /// The command line or the environment is wrong.
    Usage(String),
    /// Something that is needed is not there.
    Missing(String),
}

impl From<InvalidEndpoint> for NoRemote {
    fn from(error: InvalidEndpoint) -> Self {
        Self::Usage(error.to_string())
    }
}

/// A way to the service, and what the user should know about it.
pub(crate) struct Remote {
    pub(crate) transport: Transport,
    pub(crate) warning: Option<String>,
}

/// Finds the way to the service. An option goes before a variable, and a variable of this service
/// before a general one.
pub(crate) fn open(
    args: &PutArgs,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Remote, NoRemote> {
    let endpoint = endpoint(args, env)?;
    let keys = credentials::from_env(env).map_err(|error| NoRemote::Missing(error.to_string()))?;
    let mut warning = None;
    let signer = match keys {
        Some(keys) => Some(Signer::new(keys, endpoint.region())),
        None if endpoint.is_loopback() => {
            warning = Some("no credentials: requests to this machine are not signed".to_owned());
            None
        }
        None => {
            return Err(NoRemote::Missing(
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                 or deliver into a directory with --local"
                    .to_owned(),
            ));
        }
    };
    if endpoint.is_plain() && !endpoint.is_loopback() {
        warning = Some(format!("records go to {} without encryption", endpoint.host()));
    }
    let mut builder = Transport::builder(endpoint).tls(tls(env)?);
    if let Some(signer) = signer {
        builder = builder.signer(signer);
    }
    let transport = builder.build().map_err(|error| NoRemote::Missing(error.to_string()))?;
    Ok(Remote { transport, warning })
}

fn endpoint(args: &PutArgs, env: &impl Fn(&str) -> Option<String>) -> Result<Endpoint, NoRemote> {
    let region = args.region.clone().or_else(|| first(env, &["AWS_REGION", "AWS_DEFAULT_REGION"]));
    let variables = ["AWS_ENDPOINT_URL_FIREHOSE", "AWS_ENDPOINT_URL"];
    let url = args.endpoint_url.clone().or_else(|| first(env, &variables));
    match (url, region) {
        (Some(url), region) => Ok(Endpoint::from_url(&url, region.as_deref())?),
        (None, Some(region)) => Ok(Endpoint::from_region(&region)?),
        (None, None) => Err(NoRemote::Usage(
            "where to? give --local DIR, --endpoint-url URL or --region REGION, or set AWS_REGION"
                .to_owned(),
        )),
    }
}

/// Trusts the system's certificates, or those of `AWS_CA_BUNDLE` instead.
fn tls(env: &impl Fn(&str) -> Option<String>) -> Result<Tls, NoRemote> {
    let Some(path) = first(env, &["AWS_CA_BUNDLE"]) else { return Ok(Tls::platform()) };
    let cannot = |error: &dyn std::fmt::Display| {
        NoRemote::Missing(format!("cannot use the certificates in AWS_CA_BUNDLE, {path}: {error}"))
    };
    let bundle = fs::read(&path).map_err(|error| cannot(&error))?;
    Tls::from_pem(&bundle).map_err(|error| cannot(&error))
}

/// Returns the first variable that is set and not empty.
fn first(env: &impl Fn(&str) -> Option<String>, names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| env(name)).find(|value| !value.is_empty())
}
