//! The AWS SDK as its users write it: full requests, some at once; what fails of one is sent
//! again after a short wait, as a request of its own, until nothing does.

#[cfg(not(feature = "rivals"))]
pub(crate) async fn run(
    _: &crate::Args,
    _: &crate::payload::Payload,
    _: &[(usize, usize)],
    _: usize,
    _: Option<Vec<u8>>,
) -> crate::Told {
    Err("the AWS SDK is not in this build, add `--features rivals`".into())
}

#[cfg(feature = "rivals")]
pub(crate) use with_rivals::run;

#[cfg(feature = "rivals")]
mod with_rivals {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use core::time::Duration;
    use std::sync::Arc;

    use aws_sdk_firehose::Client;
    use aws_sdk_firehose::config::SharedHttpClient;
    use aws_sdk_firehose::error::DisplayErrorContext;
    use aws_sdk_firehose::types::Record;
    use aws_smithy_http_client::Builder;
    use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
    use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
    use firehose_benches::sdk::{config, sdk_record};
    use tokio::task::JoinSet;

    use crate::payload::Payload;
    use crate::{Args, Clocks, Failed, Sent, Told};

    /// How long what failed waits.
    const AGAIN_AFTER: Duration = Duration::from_millis(10);

    /// How often a batch is sent before its sender gives up.
    const ATTEMPTS_MAX: usize = 100;

    /// Sends all records.
    pub(crate) async fn run(
        args: &Args,
        payload: &Arc<Payload>,
        requests: &Arc<Vec<Request>>,
        warm_up: usize,
        authority: Option<Vec<u8>>,
    ) -> Told {
        let mut builder = config().endpoint_url(&args.endpoint);
        if let Some(authority) = authority {
            builder = builder.http_client(trusting(authority)?);
        }
        let client = Client::from_conf(builder.build());
        let tasks = args.concurrency.get();
        let first = Arc::new(requests[..warm_up].to_vec());
        send(tasks, &client, payload, &first).await?;
        let clocks = Clocks::start();
        let sent = send(tasks, &client, payload, requests).await?;
        Ok(clocks.stop(sent))
    }

    /// The HTTP client that the SDK takes by default, but for whom it trusts.
    fn trusting(authority: Vec<u8>) -> Result<SharedHttpClient, Failed> {
        let trusted = TrustStore::empty().with_pem_certificate(authority);
        let context = TlsContext::builder().with_trust_store(trusted).build()?;
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        Ok(Builder::new().tls_provider(provider).tls_context(context).build_https())
    }

    /// The index of a request's first record, and their number.
    type Request = (usize, usize);

    /// Lets so many tasks send one batch after the other.
    async fn send(
        tasks: usize,
        client: &Client,
        payload: &Arc<Payload>,
        requests: &Arc<Vec<Request>>,
    ) -> Result<Sent, Failed> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = JoinSet::new();
        for _ in 0..tasks {
            let (client, payload) = (client.clone(), Arc::clone(payload));
            let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
            senders.spawn(async move {
                let mut sent = Sent { requests: 0, delivered: 0 };
                while let Some((start, count)) =
                    requests.get(next.fetch_add(1, Ordering::Relaxed)).copied()
                {
                    let records = start..start + count;
                    let records = records.map(|index| sdk_record(payload.record(index))).collect();
                    put_all(&client, records, &mut sent).await?;
                }
                Ok::<_, Failed>(sent)
            });
        }
        let mut all = Sent { requests: 0, delivered: 0 };
        while let Some(sent) = senders.join_next().await {
            let sent = sent??;
            all.requests += sent.requests;
            all.delivered += sent.delivered;
        }
        Ok(all)
    }

    /// Sends a batch, and what fails of it, until all of it is stored.
    async fn put_all(
        client: &Client,
        mut records: Vec<Record>,
        sent: &mut Sent,
    ) -> Result<(), Failed> {
        for _ in 0..ATTEMPTS_MAX {
            sent.requests += 1;
            let call = client.put_record_batch().delivery_stream_name("benchmark");
            match call.set_records(Some(records.clone())).send().await {
                Ok(output) => {
                    let entries = output.request_responses();
                    if entries.len() != records.len() {
                        return Err("the answer is not about the records of the request".into());
                    }
                    let before = records.len();
                    let mut entries = entries.iter();
                    records.retain(|_| {
                        entries.next().is_some_and(|entry| entry.error_code().is_some())
                    });
                    sent.delivered += (before - records.len()) as u64;
                    if records.is_empty() {
                        return Ok(());
                    }
                }
                // The SDK has tried three times.
                Err(error) if error.as_service_error().is_some() => {}
                Err(error) => return Err(DisplayErrorContext(error).to_string().into()),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        Err(format!("{} records failed again and again", records.len()).into())
    }
}
