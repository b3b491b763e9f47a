//! What the user can do about an error, in words: what is missing, for whom, and where.

use firehose_proto::StreamName;
use firehose_proto::wire::fault::Fault;

use crate::endpoint::Endpoint;
use crate::error::TransportError;
use crate::service::SendError;
use crate::sign::SignError;

/// Knows where records were to go, and so what is to be done when they cannot.
///
/// ```
/// use firehose_hyper::proto::wire::{Response, Scratch, fault::Fault};
/// use firehose_hyper::{Advice, Endpoint};
///
/// let body = br#"{"__type":"ResourceNotFoundException","message":"Firehose logs not found."}"#;
/// let fault = Fault::read(Response::new(400, body.to_vec()), &mut Scratch::new());
/// let (stream, endpoint) = ("logs".parse()?, Endpoint::from_region("eu-west-1")?);
/// let advice = Advice::new(&stream, &endpoint).on_fault(&fault);
/// assert!(advice.unwrap().starts_with("there is no stream logs in eu-west-1 in this account"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Advice<'a> {
    stream: &'a StreamName,
    endpoint: &'a Endpoint,
}

impl<'a> Advice<'a> {
    /// Takes note of where records were to go.
    pub fn new(stream: &'a StreamName, endpoint: &'a Endpoint) -> Self {
        Self { stream, endpoint }
    }

    /// Returns what to do about an error that the service answered, if there is something.
    pub fn on_fault(&self, fault: &Fault) -> Option<String> {
        let message = fault.message().unwrap_or_default();
        let speaks_of_kms = message.to_ascii_lowercase().contains("kms");
        let text = match fault.code().unwrap_or_default() {
            "AccessDenied" | "AccessDeniedException" | "NotAuthorized" if !speaks_of_kms => {
                let arn = self.arn(message);
                format!("let the caller do firehose:PutRecordBatch on {arn}")
            }
            "AccessDenied"
            | "AccessDeniedException"
            | "NotAuthorized"
            | "InvalidKMSResourceException" => {
                "the stream's key must be enabled, and the caller needs kms:GenerateDataKey and \
                 kms:Decrypt on it (since 2026, where the customer manages the key)"
                    .to_owned()
            }
            "ResourceNotFoundException" => format!(
                "there is no stream {} in {} in this account: check its name, the region and \
                 whose credentials these are",
                self.stream,
                self.endpoint.region()
            ),
            "ExpiredToken" | "ExpiredTokenException" => RENEW.to_owned(),
            "InvalidClientTokenId" | "UnrecognizedClientException" => format!(
                "the access key is unknown in {}: check it, its session token and the region",
                self.endpoint.region()
            ),
            "RequestExpired" | "RequestInTheFuture" | "RequestTimeTooSkewed" => {
                "set this machine's clock".to_owned()
            }
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "AuthFailure" => {
                "check the secret access key, the session token and this machine's clock".to_owned()
            }
            "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException" => MISSING.to_owned(),
            "OptInRequired" => {
                format!("the account has to enable {} first", self.endpoint.region())
            }
            "InvalidSourceException" => {
                "the stream takes records of another source only: put into one with the source \
                 Direct PUT"
                    .to_owned()
            }
            _ => return self.on_status(fault.status()),
        };
        Some(text)
    }

    /// Returns what to do about a request that got no answer, if there is something.
    pub fn on_failure(&self, error: &SendError) -> Option<String> {
        let text = match error.transport_error()? {
            TransportError::Certificate { .. } => {
                "if something on the way looks into TLS, name the file with its authority in \
                 AWS_CA_BUNDLE"
                    .to_owned()
            }
            TransportError::ProxyAuthentication { .. } => {
                "write them into the proxy's URL: http://USER:PASSWORD@HOST:PORT".to_owned()
            }
            TransportError::Proxy { .. } => {
                "check HTTPS_PROXY, or list the endpoint in NO_PROXY".to_owned()
            }
            TransportError::Resolve { .. } => format!(
                "check the network and whether the service is in the region {}",
                self.endpoint.region()
            ),
            TransportError::Sign(SignError::Credentials(_)) => MISSING.to_owned(),
            TransportError::Sign(SignError::Expired) => RENEW.to_owned(),
            TransportError::Connect { .. }
            | TransportError::Handshake { .. }
            | TransportError::Receive { .. }
            | TransportError::Send { .. }
            | TransportError::Sign(SignError::Request(_))
            | TransportError::Timeout { .. }
            | TransportError::TooLarge { .. } => return None,
        };
        Some(text)
    }

    fn on_status(&self, status: u16) -> Option<String> {
        match status {
            300..=399 => Some(format!(
                "redirects are not followed: check the endpoint's URL, {}",
                self.endpoint
            )),
            407 => Some("a proxy wants a user name and a password".to_owned()),
            _ => None,
        }
    }

    /// Finds the stream's name among all of AWS in the service's words, or writes one.
    fn arn(&self, message: &str) -> String {
        let quoted = message.split_once("on resource: ").map(|(_, rest)| rest);
        let arn = quoted.and_then(|rest| rest.split_whitespace().next());
        match arn.filter(|arn| arn.starts_with("arn:")) {
            Some(arn) => arn.trim_end_matches(['.', ',']).escape_debug().to_string(),
            None => format!("the stream {} in {}", self.stream, self.endpoint.region()),
        }
    }
}

/// What to do when there are no credentials.
pub const MISSING: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run \
                           where a role gives credentials";

/// What to do when credentials have expired.
pub const RENEW: &str = "the credentials have expired: get new ones, as by `aws sso login`";

#[cfg(test)]
mod tests {
    use firehose_proto::wire::{Response, Scratch};

    use super::*;
    use crate::credentials::CredentialsError;

    fn check(status: u16, code: &str, message: &str, part: &str) {
        let (stream, endpoint) =
            ("logs".parse().unwrap(), Endpoint::from_region("eu-west-1").unwrap());
        let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
        let fault = Fault::read(Response::new(status, body.into_bytes()), &mut Scratch::new());
        let advice = Advice::new(&stream, &endpoint).on_fault(&fault).unwrap_or_default();
        assert!(advice.contains(part) && advice.is_empty() == part.is_empty(), "{code}: {advice}");
    }

    #[test]
    fn faults_say_what_to_do() {
        let arn = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/logs";
        let denied = format!(
            "User: arn:aws:iam::123456789012:user/x is not authorized to perform: \
             firehose:PutRecordBatch on resource: {arn} because no policy allows it"
        );
        check(400, "AccessDeniedException", &denied, &format!("PutRecordBatch on {arn}"));
        check(403, "AccessDenied", "", "on the stream logs in eu-west-1");
        check(400, "AccessDeniedException", "not authorized: kms:Decrypt", "kms:GenerateDataKey");
        check(
            400,
            "InvalidKMSResourceException",
            "The grant",
            "kms:GenerateDataKey and kms:Decrypt",
        );
        check(400, "ResourceNotFoundException", "", "no stream logs in eu-west-1");
        check(403, "ExpiredTokenException", "", "expired");
        check(403, "UnrecognizedClientException", "", "unknown in eu-west-1");
        check(403, "RequestTimeTooSkewed", "", "clock");
        check(403, "SignatureDoesNotMatch", "", "secret access key");
        check(403, "MissingAuthenticationTokenException", "", "AWS_ACCESS_KEY_ID");
        check(400, "InvalidSourceException", "", "Direct PUT");
        check(301, "", "", "https://firehose.eu-west-1.amazonaws.com");
        check(407, "", "", "proxy");
        check(503, "ServiceUnavailableException", "Slow down.", "");
        check(400, "ValidationException", "", "");
    }

    #[test]
    fn failures_say_what_to_do() {
        let (stream, endpoint) =
            ("logs".parse().unwrap(), Endpoint::from_region("eu-west-1").unwrap());
        let advice = Advice::new(&stream, &endpoint);
        let peer = || "h:1".into();
        let io = || std::io::Error::other("x");
        for (error, part) in [
            (TransportError::Certificate { peer: peer(), source: io() }, "AWS_CA_BUNDLE"),
            (TransportError::ProxyAuthentication { peer: peer() }, "USER:PASSWORD"),
            (TransportError::Proxy { peer: peer(), source: "x".into() }, "NO_PROXY"),
            (TransportError::Resolve { peer: peer(), source: io() }, "eu-west-1"),
            (TransportError::Sign(SignError::Expired), "expired"),
            (
                TransportError::Sign(SignError::Credentials(CredentialsError::not_loaded("x"))),
                "AWS_ACCESS_KEY_ID",
            ),
        ] {
            let error = SendError::new(error.into());
            let text = advice.on_failure(&error).unwrap();
            assert!(text.contains(part), "{error}: {text}");
        }
        let refused = TransportError::Connect { peer: peer(), source: io() };
        assert_eq!(advice.on_failure(&SendError::new(refused.into())), None);
    }
}
