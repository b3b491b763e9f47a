//! The service over the network: endpoint, credentials, certificates and proxies from options,
//! environment and profile.

use std::time::SystemTime;

use firehose_hyper::credentials::SharedCredentialsProvider;
use firehose_hyper::{
    Credentials, Endpoint, Settings, SettingsError, SignError, Signer, Transport, advice,
    credentials,
};
use firehose_proto::retry::Policy;

use crate::args::PutArgs;

/// The variables that say where credentials are to be found; besides them stands the profile.
const SOURCES: [&str; 4] = [
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Why there is no way to the service.
pub(crate) enum NoRemote {
    /// The command line or the environment is wrong.
    Usage(String),
    /// Something that is needed is not there.
    Missing(String),
}

impl From<SettingsError> for NoRemote {
    fn from(error: SettingsError) -> Self {
        if matches!(error, SettingsError::NoRegion) {
            let text = "where to? give --local DIR, --endpoint-url URL or --region REGION, or set \
                        AWS_REGION";
            return Self::Usage(text.to_owned());
        }
        if matches!(error, SettingsError::CaBundle { .. }) {
            return Self::Missing(error.to_string());
        }
        Self::Usage(error.to_string())
    }
}

/// A way to the service, and what the user should know about it.
pub(crate) struct Remote {
    pub(crate) transport: Transport,
    pub(crate) policy: Policy,
    /// Credentials that have expired may be followed by newer ones.
    pub(crate) renews: bool,
    pub(crate) warning: Option<String>,
}

/// Finds the way to the service. An option goes before a variable, a variable of this service
/// before a general one, and the profile comes last.
pub(crate) async fn open(
    args: &PutArgs,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Remote, NoRemote> {
    let settings = settings(args, env).await?;
    let endpoint = settings.endpoint()?;
    let mut warning = None;
    let mut builder = settings.transport()?;
    match signer(args, env, &endpoint).await? {
        Some(signer) => builder = builder.signer(signer),
        None => {
            warning = Some("no credentials: requests to this machine are not signed".to_owned())
        }
    }
    if endpoint.is_plain() && !endpoint.is_loopback() {
        warning = Some(format!("records go to {} without encryption", endpoint.host()));
    }
    let transport = builder.build().map_err(|error| NoRemote::Missing(error.to_string()))?;
    let renews = !has_keys(args, env)?;
    Ok(Remote { transport, policy: settings.policy(), renews, warning })
}

async fn settings(
    args: &PutArgs,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Settings, NoRemote> {
    let mut settings = read_settings(args, env).await?;
    if let Some(region) = &args.region {
        settings = settings.with_region(region.as_str());
    }
    if let Some(url) = &args.endpoint_url {
        settings = settings.with_endpoint_url(url.as_str());
    }
    if let Some(path) = &args.ca_bundle {
        settings = settings.with_ca_bundle(path);
    }
    if let Some(attempts) = args.attempts {
        settings = settings.with_attempts_max(attempts);
    }
    Ok(settings)
}

#[cfg(feature = "aws-config")]
async fn read_settings(
    args: &PutArgs,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Settings, NoRemote> {
    Ok(Settings::load(env, args.profile.as_deref()).await?)
}

#[cfg(not(feature = "aws-config"))]
async fn read_settings(
    args: &PutArgs,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Settings, NoRemote> {
    if args.profile.is_some() {
        return Err(NoRemote::Usage("this command was built without profiles".to_owned()));
    }
    Ok(Settings::from_env(env)?)
}

/// Finds credentials that are good now. To this machine requests may go without, and sources are only
/// looked for where somebody says that there are some.
async fn signer(
    args: &PutArgs,
    env: &impl Fn(&str) -> Option<String>,
    endpoint: &Endpoint,
) -> Result<Option<Signer>, NoRemote> {
    let keys = keys(env)?;
    let is_told = args.profile.is_some() || SOURCES.iter().any(|name| env(name).is_some());
    let signer = match keys {
        Some(keys) if args.profile.is_none() => Signer::new(keys, endpoint.region()),
        None if endpoint.is_loopback() && !is_told => return Ok(None),
        Some(_) | None => match chain(args, endpoint).await {
            Some(provider) => Signer::new(provider, endpoint.region()),
            None => return Err(no_credentials("no credentials")),
        },
    };
    match signer.load_credentials(SystemTime::now()).await {
        Ok(()) => Ok(Some(signer)),
        // A variable may well be set for something else than an emulator.
        Err(_) if endpoint.is_loopback() && args.profile.is_none() => Ok(None),
        Err(SignError::Expired) => Err(NoRemote::Missing(advice::RENEW.to_owned())),
        Err(error) => Err(no_credentials(&error.to_string())),
    }
}

fn keys(env: &impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, NoRemote> {
    let keys = credentials::from_env(env).map_err(SignError::Credentials);
    keys.map_err(|error| NoRemote::Missing(error.to_string()))
}

/// Returns whether requests are signed with the keys of the environment, which stay what they are.
fn has_keys(args: &PutArgs, env: &impl Fn(&str) -> Option<String>) -> Result<bool, NoRemote> {
    Ok(args.profile.is_none() && keys(env)?.is_some())
}

fn no_credentials(why: &str) -> NoRemote {
    // A chain lists all its sources in lines of their own.
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let advice = advice::MISSING;
    NoRemote::Missing(format!("{why}; {advice}, or deliver into a directory with --local"))
}

#[cfg(feature = "aws-config")]
async fn chain(args: &PutArgs, endpoint: &Endpoint) -> Option<SharedCredentialsProvider> {
    let profile = args.profile.as_deref();
    Some(credentials::default_chain(profile, Some(endpoint.region())).await)
}

#[cfg(not(feature = "aws-config"))]
async fn chain(_: &PutArgs, _: &Endpoint) -> Option<SharedCredentialsProvider> {
    None
}
