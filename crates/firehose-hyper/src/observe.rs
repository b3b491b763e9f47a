//! What observers are told: a span for each attempt, events for what goes wrong, and counts.
//!
//! With the feature `tracing` an attempt is a span named `attempt`, whose fields follow the
//! conventions for calls to AWS: `rpc.system`, `rpc.service`, `rpc.method`, `attempt`, `records`,
//! `bytes`, and at the end `status` and `aws.request_id`. With the feature `metrics` there are the
//! counters and histograms listed in `docs/CONFIGURATION.md`. Neither tells a byte of a record, nor
//! of anything secret.

use firehose_proto::producer::{Report, Setback};
use firehose_proto::wire::Response;

use crate::endpoint::Endpoint;
use crate::service::{Outgoing, SendError};

/// An attempt under way.
pub(crate) struct Observed {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    #[cfg(feature = "metrics")]
    began: tokio::time::Instant,
}

impl Observed {
    pub(crate) fn begin(outgoing: &Outgoing) -> Self {
        #[cfg(not(feature = "tracing"))]
        let _ = outgoing.records;
        #[cfg(feature = "metrics")]
        metrics::histogram!("firehose.attempt.body_bytes").record(outgoing.body.len() as f64);
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::debug_span!(
                "attempt",
                rpc.system = "aws-api",
                rpc.service = "Firehose",
                rpc.method = outgoing.operation.target().trim_start_matches("Firehose_20150804."),
                attempt = outgoing.attempt.number,
                records = outgoing.records,
                bytes = outgoing.body.len(),
                status = tracing::field::Empty,
                aws.request_id = tracing::field::Empty,
            ),
            #[cfg(feature = "metrics")]
            began: tokio::time::Instant::now(),
        }
    }

    /// Makes what an attempt does part of its span.
    pub(crate) fn within<F: Future>(&self, attempt: F) -> impl Future<Output = F::Output> + use<F> {
        #[cfg(feature = "tracing")]
        let attempt = tracing::Instrument::instrument(attempt, self.span.clone());
        attempt
    }

    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        expect(unused_variables, clippy::unused_self, reason = "nobody is told")
    )]
    pub(crate) fn end(&self, result: &Result<Response, SendError>) {
        #[cfg(feature = "tracing")]
        match result {
            Ok(response) => {
                self.span.record("status", response.status());
                self.span.record("aws.request_id", response.request_id());
            }
            Err(error) => self.span.in_scope(|| tracing::debug!(%error, "no answer")),
        }
        #[cfg(feature = "metrics")]
        {
            let outcome = match result {
                Ok(response) => response.status().to_string(),
                Err(error) => format!("{:?}", error.failure()),
            };
            metrics::counter!("firehose.attempts", "outcome" => outcome).increment(1);
            let seconds = self.began.elapsed().as_secs_f64();
            metrics::histogram!("firehose.attempt.seconds").record(seconds);
        }
    }
}

/// Records will travel as plain text.
#[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody is told"))]
pub(crate) fn plain(endpoint: &Endpoint) {
    #[cfg(feature = "tracing")]
    tracing::warn!(host = endpoint.host(), "records travel without encryption");
}

/// A request as a whole came to nothing.
#[cfg_attr(
    not(any(feature = "metrics", feature = "tracing")),
    expect(unused_variables, reason = "nobody is told")
)]
pub(crate) fn setback(setback: &Setback) {
    #[cfg(feature = "tracing")]
    tracing::debug!(records = setback.records, class = %setback.class, "{setback}");
    #[cfg(feature = "metrics")]
    metrics::counter!("firehose.setbacks", "class" => setback.class.to_string()).increment(1);
}

/// Records have their outcomes.
#[cfg(not(any(feature = "metrics", feature = "tracing")))]
pub(crate) fn settled(_: &Report) {}

/// Records have their outcomes.
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) fn settled(report: &Report) {
    use std::collections::BTreeMap;

    use firehose_proto::producer::Outcome;

    // For each reason the number of records, and the words on the last of them.
    let mut undelivered = BTreeMap::new();
    for settled in report.iter().filter(|settled| settled.encoded().is_some()) {
        if let Outcome::Failed { why, .. } = settled.outcome() {
            let (records, last) = undelivered.entry(why.name()).or_insert((0_usize, why));
            *records += 1;
            *last = why;
        }
    }
    for (reason, (records, why)) in &undelivered {
        #[cfg(feature = "tracing")]
        tracing::warn!(records, reason, "records were given up: {why}");
        #[cfg(feature = "metrics")]
        metrics::counter!("firehose.records.undelivered", "reason" => *reason)
            .increment(*records as u64);
        let _ = (reason, records, why);
    }
    #[cfg(feature = "metrics")]
    {
        let given_up: usize = undelivered.values().map(|(records, _)| records).sum();
        let delivered = report.len() - given_up;
        metrics::counter!("firehose.records.delivered").increment(delivered as u64);
    }
}
