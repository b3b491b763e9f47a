//! Who signs: the types that users of AWS's libraries already hold, the three variables of the
//! environment, and with the feature `aws-config` the default chain of AWS's own SDKs.

use core::fmt;

pub use aws_credential_types::Credentials;
pub use aws_credential_types::provider::error::CredentialsError;
pub use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

/// Reads static credentials from the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
/// `AWS_SESSION_TOKEN`, which `lookup` knows. Empty ones count as absent.
///
/// ```
/// use firehose_hyper::credentials;
///
/// let lookup = |name: &str| match name {
///     "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
///     "AWS_SECRET_ACCESS_KEY" => Some("not a real key".to_owned()),
///     _ => None,
/// };
/// let credentials = credentials::from_env(lookup)?.unwrap();
/// assert_eq!(credentials.access_key_id(), "AKIDEXAMPLE");
/// assert!(credentials::from_env(|_| None)?.is_none());
/// # Ok::<(), credentials::CredentialsError>(())
/// ```
///
/// # Errors
///
/// [`CredentialsError::InvalidConfiguration`] if one half of the pair of keys is missing; its
/// source is a [`MissingVariable`].
pub fn from_env(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Credentials>, CredentialsError> {
    let lookup = |name| lookup(name).filter(|value| !value.trim().is_empty());
    let (id, secret) = match (lookup(ACCESS_KEY_ID), lookup(SECRET_ACCESS_KEY)) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(missing(SECRET_ACCESS_KEY, ACCESS_KEY_ID)),
        (None, Some(_)) => return Err(missing(ACCESS_KEY_ID, SECRET_ACCESS_KEY)),
    };
    let token = lookup(SESSION_TOKEN);
    Ok(Some(Credentials::new(id, secret, token, None, "Environment")))
}

/// Finds credentials as AWS's own SDKs do: environment, web identity, profile (keys, assumed roles,
/// processes, SSO), container, instance; in this order, and each by AWS's own library, which reads
/// the process's environment and files itself.
///
/// A profile that is named here is the only source.
///
/// ```no_run
/// use firehose_hyper::{Signer, credentials};
///
/// # async fn example() {
/// let provider = credentials::default_chain(None, Some("eu-west-1")).await;
/// let signer = Signer::new(provider, "eu-west-1");
/// # let _ = signer;
/// # }
/// ```
#[cfg(feature = "aws-config")]
pub async fn default_chain(
    profile: Option<&str>,
    region: Option<&str>,
) -> SharedCredentialsProvider {
    use aws_config::default_provider::credentials::DefaultCredentialsChain;
    use aws_config::profile::ProfileFileCredentialsProvider;
    use aws_config::provider_config::ProviderConfig;
    use aws_types::region::Region;

    let region = region.map(|region| Region::new(region.to_owned()));
    let config = ProviderConfig::default().with_region(region.clone());
    match profile {
        Some(profile) => SharedCredentialsProvider::new(
            ProfileFileCredentialsProvider::builder()
                .configure(&config)
                .profile_name(profile)
                .build(),
        ),
        None => {
            let chain = DefaultCredentialsChain::builder().configure(config).region(region);
            SharedCredentialsProvider::new(chain.build().await)
        }
    }
}

/// Half a pair of keys: one variable is set, the other is not.
///
/// ```
/// use firehose_hyper::credentials;
///
/// let lookup = |name: &str| (name == "AWS_ACCESS_KEY_ID").then(|| "AKIA".to_owned());
/// let error = credentials::from_env(lookup).unwrap_err();
/// assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY") || std::error::Error::source(&error)
///     .is_some_and(|source| source.to_string().contains("AWS_SECRET_ACCESS_KEY")));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MissingVariable {
    missing: &'static str,
    present: &'static str,
}

impl MissingVariable {
    /// Returns the name of the variable that is not set.
    pub fn name(&self) -> &'static str {
        self.missing
    }
}

impl fmt::Display for MissingVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set but {} is not, set both or none", self.present, self.missing)
    }
}

impl core::error::Error for MissingVariable {}

fn missing(missing: &'static str, present: &'static str) -> CredentialsError {
    CredentialsError::invalid_configuration(MissingVariable { missing, present })
}

#[cfg(test)]
mod tests {
    use core::error::Error;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Credentials>, CredentialsError> {
        from_env(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_holds_all_or_none() {
        let pair = [(ACCESS_KEY_ID, "id"), (SECRET_ACCESS_KEY, "canary")];
        let credentials = read(&pair).unwrap().unwrap();
        assert_eq!(credentials.secret_access_key(), "canary");
        assert_eq!(credentials.session_token(), None);
        assert!(!format!("{credentials:?}").contains("canary"));
        let with_token = [pair[0], pair[1], (SESSION_TOKEN, "token")];
        assert_eq!(read(&with_token).unwrap().unwrap().session_token(), Some("token"));
        assert!(read(&[(SESSION_TOKEN, "token")]).unwrap().is_none());
        assert!(read(&[(ACCESS_KEY_ID, ""), (SECRET_ACCESS_KEY, " ")]).unwrap().is_none());
    }

    #[test]
    fn half_a_pair_names_the_missing_half() {
        for (present, missing) in
            [(ACCESS_KEY_ID, SECRET_ACCESS_KEY), (SECRET_ACCESS_KEY, ACCESS_KEY_ID)]
        {
            let error = read(&[(present, "canary")]).unwrap_err();
            let source = error.source().unwrap();
            assert_eq!(source.downcast_ref::<MissingVariable>().unwrap().name(), missing);
            let text = format!("{present} is set but {missing} is not, set both or none");
            assert_eq!(source.to_string(), text);
        }
    }
}
