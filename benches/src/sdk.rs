//! The AWS SDK within this process: its serializer and reader by themselves, and its whole call
//! with an HTTP client that has the answer already.

use core::fmt;

use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::http::{HttpRequest, HttpResponse};
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region, RuntimePlugin};
use aws_sdk_firehose::operation::put_record_batch::{
    PutRecordBatch, PutRecordBatchInput, PutRecordBatchOutput,
};
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use aws_smithy_json::protocol::aws_json_rpc::AwsJsonRpcProtocol;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};
use bytes::Bytes;

use crate::stream;

/// Makes records of the SDK's; to clone one copies no data.
pub fn sdk_records(records: &[Vec<u8>]) -> Vec<Record> {
    records.iter().map(|record| sdk_record(Bytes::copy_from_slice(record))).collect()
}

/// Makes a record of the SDK's.
///
/// # Panics
///
/// Never: a record has its data.
pub fn sdk_record(data: Bytes) -> Record {
    let blob = Blob::from_maybe_shared(data);
    Record::builder().data(blob).build().expect("the data is there")
}

/// Returns the number of records that an answer says are stored.
pub fn stored(output: &PutRecordBatchOutput) -> usize {
    output.request_responses().iter().filter(|entry| entry.error_code().is_none()).count()
}

/// The serializer and the reader of the SDK by themselves.
pub struct SerDe {
    bag: ConfigBag,
    operation: FrozenLayer,
    serializer: SharedRequestSerializer,
}

impl SerDe {
    /// Takes them out of the SDK.
    ///
    /// # Panics
    ///
    /// If the SDK does not have them.
    #[expect(clippy::new_without_default, reason = "it is not a value like others")]
    pub fn new() -> Self {
        let operation = PutRecordBatch::new().config().expect("the operation has settings");
        let serializer = operation.load::<SharedRequestSerializer>();
        let serializer = serializer.expect("it serializes").clone();
        let protocol = AwsJsonRpcProtocol::aws_json_1_1().with_target_prefix("Firehose_20150804");
        let config = config().protocol(protocol).build();
        let mut layer = Layer::new("benchmark");
        layer.store_put(config.protocol().expect("it was set").clone());
        Self { bag: ConfigBag::of_layers([layer]), operation, serializer }
    }

    /// Encodes the records as a request, whose body is ready to be sent.
    ///
    /// # Panics
    ///
    /// If the SDK cannot.
    pub fn encode(&mut self, records: Vec<Record>) -> HttpRequest {
        let name = stream();
        let input = PutRecordBatchInput::builder().delivery_stream_name(name.as_str());
        let input = input.set_records(Some(records)).build().expect("all is set");
        let request = self.serializer.serialize_input(Input::erase(input), &mut self.bag);
        request.expect("it can be encoded")
    }

    /// Reads an answer.
    ///
    /// # Panics
    ///
    /// If the SDK cannot.
    pub fn read(&self, answer: &HttpResponse) -> PutRecordBatchOutput {
        let reader = self.operation.load::<SharedResponseDeserializer>();
        let reader = reader.expect("it reads answers");
        let output = reader.deserialize_nonstreaming_with_config(answer, &self.bag);
        let output = output.expect("it can be read");
        output.downcast().expect("it is the output of the operation")
    }
}

impl fmt::Debug for SerDe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerDe").finish_non_exhaustive()
    }
}

/// Makes an answer of success for [`SerDe::read`].
///
/// # Panics
///
/// Never: 200 is a status.
pub fn answer(body: Bytes) -> HttpResponse {
    HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(body))
}

/// Returns the body of a request.
pub fn body(request: &HttpRequest) -> &[u8] {
    request.body().bytes().unwrap_or_default()
}

/// The whole call of the SDK, but for the network.
#[derive(Debug)]
pub struct Call {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Call {
    /// Makes a client to which every request is answered with `body`.
    ///
    /// # Errors
    ///
    /// If the runtime cannot be started.
    pub fn new(body: Vec<u8>) -> std::io::Result<Self> {
        let answered = SharedHttpConnector::new(Answered(Bytes::from(body)));
        let http = http_client_fn(move |_, _| answered.clone());
        let client = Client::from_conf(config().http_client(http).build());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, runtime })
    }

    /// Puts the records, and returns how many are stored.
    ///
    /// # Panics
    ///
    /// If the call fails.
    pub fn put(&self, records: Vec<Record>) -> usize {
        let name = stream();
        let call = self.client.put_record_batch().delivery_stream_name(name.as_str());
        let output = self.runtime.block_on(call.set_records(Some(records)).send());
        stored(&output.expect("it is answered"))
    }
}

#[derive(Debug)]
struct Answered(Bytes);

impl HttpConnector for Answered {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        assert!(!body(&request).is_empty(), "the request has no body");
        HttpConnectorFuture::ready(Ok(answer(self.0.clone())))
    }
}

/// The default settings with static keys.
pub fn config() -> aws_sdk_firehose::config::Builder {
    let credentials =
        Credentials::new("AKIDEXAMPLE", "not a real secret key", None, None, "benchmark");
    aws_sdk_firehose::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, records, reply};

    #[test]
    fn the_sdk_sends_what_the_core_sends_and_reads_what_it_reads() {
        let records = records(3, 100);
        let mut serde = SerDe::new();
        let request = serde.encode(sdk_records(&records));
        let mut batch = firehose_proto::batch::Batch::new(
            &stream(),
            firehose_proto::Limits::default(),
            firehose_proto::batch::Storage::default(),
        );
        for record in &records {
            batch.add(record).unwrap();
        }
        assert_eq!(body(&request), batch.seal().unwrap().body());

        let kind = Kind::Refused { every: 3 };
        let output = serde.read(&answer(reply(3, kind).into()));
        assert_eq!((stored(&output), output.failed_put_count()), (2, 1));
        assert_eq!(Call::new(reply(3, kind)).unwrap().put(sdk_records(&records)), 2);
    }
}
