//! The producer of this repository over its transport.

use std::sync::Arc;

use firehose_hyper::proto::Limits;
use firehose_hyper::proto::producer::Config;
use firehose_hyper::{Endpoint, Producer, Tls, Transport};

use crate::payload::Payload;
use crate::{Args, Clocks, Failed, Sent, Told, signer};

/// The records that are pushed at once, as many as the SDK is given.
const BATCH: usize = 500;

/// Sends all records.
pub(crate) async fn run(
    args: &Args,
    payload: &Arc<Payload>,
    first: usize,
    authority: Option<Vec<u8>>,
) -> Told {
    let transport = transport(args, authority)?;
    let config = config(args)?;
    let (records, payload) = (args.records, Arc::clone(payload));
    let sending = async move {
        send(first, &payload, &config, &transport).await?;
        let clocks = Clocks::start();
        let sent = send(records, &payload, &config, &transport).await?;
        Ok(clocks.stop(sent))
    };
    // On a thread of the runtime, as the SDK's user does.
    tokio::spawn(sending).await?
}

async fn send(
    records: usize,
    payload: &Payload,
    config: &Config,
    transport: &Transport,
) -> Result<Sent, Failed> {
    let producer = Producer::spawn(config.clone(), transport.clone());
    let mut batch = Vec::with_capacity(BATCH);
    for start in (0..records).step_by(BATCH) {
        batch.clear();
        batch.extend((start..records.min(start + BATCH)).map(|index| payload.bytes(index)));
        producer.push_all(&batch).await?;
    }
    let stats = producer.close().await;
    Ok(Sent { requests: stats.requests, delivered: stats.records_delivered })
}

fn transport(args: &Args, authority: Option<Vec<u8>>) -> Result<Transport, Failed> {
    let endpoint = Endpoint::from_url(&args.endpoint, Some("us-east-1"))?;
    let mut builder = Transport::builder(endpoint).signer(signer());
    if let Some(authority) = authority {
        builder = builder.tls(Tls::from_pem(&authority)?);
    }
    Ok(builder.build()?)
}

fn config(args: &Args) -> Result<Config, Failed> {
    let mut config = Config::new(firehose_benches::stream()).with_in_flight_max(args.concurrency);
    if let Some(bytes) = args.buffer_bytes {
        config = config.with_buffer_bytes_max(bytes);
    }
    Ok(config.with_limits(Limits::default().with_records_max(args.batch.into())?))
}
