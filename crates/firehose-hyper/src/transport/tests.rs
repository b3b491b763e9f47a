//! The transport against scripted servers over pipes and under virtual time. Where a socket's
//! behaviour is the point, the tests are integration tests.

mod cancel;
mod faults;
mod refusals;
mod reuse;
mod script;
mod time;

use super::*;
use script::{Log, Script, memory};

const TARGET: &str = "Firehose_20150804.PutRecordBatch";

/// An answer as most tests get it.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

fn request(body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post("/")
        .header("content-type", wire::CONTENT_TYPE)
        .header("x-amz-target", TARGET)
        .body(body.into())
        .unwrap()
}

/// Makes a transport to scripted servers behind pipes.
fn over_pipes(scripts: Vec<Script>, timeouts: Timeouts) -> (Transport, Log) {
    let (connector, log) = memory(scripts, 64 * 1_024);
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let builder = Transport::builder(endpoint).timeouts(timeouts).connector(connector);
    (builder.build().unwrap(), log)
}

async fn send(
    transport: &mut Transport,
    body: impl Into<Bytes>,
) -> Result<Response<Vec<u8>>, TransportError> {
    transport.call(request(body)).await
}
