//! The profile: `~/.aws/config` and `~/.aws/credentials`, read by AWS's own library.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::SettingsError;

/// The variables that say where the files are and which profile counts.
const VARIABLES: [&str; 7] = [
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "HOME",
    "HOMEDRIVE",
    "HOMEPATH",
    "USERPROFILE",
];

/// What is read of a profile.
const KEYS: [&str; 9] = [
    "ca_bundle",
    "endpoint_url",
    "ignore_configured_endpoint_urls",
    "max_attempts",
    "region",
    "retry_mode",
    "sdk_ua_app_id",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
];

/// The name of the part of a `services` section that speaks of this service.
const SERVICE: &str = "firehose";

/// Reads a profile: the one of this name, else that of `AWS_PROFILE`, else `default`, which may be
/// missing.
pub(super) async fn load(
    lookup: &impl Fn(&str) -> Option<String>,
    name: Option<&str>,
) -> Result<BTreeMap<&'static str, String>, SettingsError> {
    let is_set =
        |name: &&'static str| Some((*name, lookup(name).filter(|text| !text.trim().is_empty())?));
    let variables: Vec<_> = VARIABLES.iter().filter_map(is_set).collect();
    let borrowed: Vec<_> = variables.iter().map(|(name, text)| (*name, &**text)).collect();
    let is_named = name.is_some() || borrowed.iter().any(|(name, _)| *name == "AWS_PROFILE");
    let name = name.map(|name| Cow::Owned(name.to_owned()));
    let files = EnvConfigFiles::default();
    let sections =
        aws_config::profile::load(&Fs::real(), &Env::from_slice(&borrowed), &files, name)
            .await
            .map_err(|error| SettingsError::Profile(error.into()))?;
    let selected = sections.selected_profile();
    if is_named && sections.get_profile(selected).is_none() {
        return Err(SettingsError::NoProfile { name: selected.to_owned() });
    }
    let nothing = Env::from_slice(&[]);
    let found = KEYS.iter().filter_map(|key| {
        let value = EnvConfigValue::new().profile(key).service_id(SERVICE);
        let (text, _) = value.load(&nothing, Some(&sections))?;
        Some((*key, text.into_owned()))
    });
    Ok(found.collect())
}
