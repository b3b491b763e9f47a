//! A close look at requests: head, body, and every record in it.

use base64_simd::STANDARD;
use firehose_benches::checksum;
use firehose_proto::Limits;
use serde::Deserialize;

/// What a request holds.
pub(crate) struct Checked {
    records: usize,
    /// A checksum of each record; none where nobody looked that close.
    checksums: Vec<u64>,
}

impl Checked {
    /// A request of which only the records were counted.
    pub(crate) fn counted(records: usize) -> Self {
        Self { records, checksums: Vec::new() }
    }

    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// Adds up the checksums of the records of which `is_stored` says so.
    pub(crate) fn checksum(&self, is_stored: impl Fn(usize) -> bool) -> u64 {
        let stored = self.checksums.iter().enumerate().filter(|(index, _)| is_stored(*index));
        stored.fold(0, |sum, (_, checksum)| sum.wrapping_add(*checksum))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request<'a> {
    delivery_stream_name: &'a str,
    #[serde(borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Record<'a> {
    data: &'a str,
}

/// Checks a request, or says what is wrong with it.
pub(crate) fn check(head: &[u8], body: &[u8]) -> Result<Checked, String> {
    check_head(head)?;
    let request: Request<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if request.delivery_stream_name != firehose_benches::stream().as_str() {
        return Err(format!("the stream is {:?}", request.delivery_stream_name));
    }
    let (limits, mut data_bytes) = (Limits::default(), 0);
    let mut checksums = Vec::with_capacity(request.records.len());
    for record in &request.records {
        let data = STANDARD.decode_to_vec(record.data).map_err(|error| error.to_string())?;
        if data.len() > limits.record_bytes_max() {
            return Err(format!("a record has {} bytes", data.len()));
        }
        data_bytes += data.len();
        checksums.push(checksum(&data));
    }
    if data_bytes > limits.request_bytes_max() {
        return Err(format!("the request has {data_bytes} bytes of data"));
    }
    Ok(Checked { records: request.records.len(), checksums })
}

fn check_head(head: &[u8]) -> Result<(), String> {
    if !head.starts_with(b"POST / HTTP/1.1\r\n") {
        return Err("the request is no POST to /".to_owned());
    }
    let is = |name: &str, wanted: &str| match header(head, name) {
        Some(value) if value == wanted => Ok(()),
        other => Err(format!("{name} is {other:?}")),
    };
    is("content-type", "application/x-amz-json-1.1")?;
    is("x-amz-target", "Firehose_20150804.PutRecordBatch")?;
    let authorization = header(head, "authorization").unwrap_or_default();
    let signed = authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        && authorization.contains("/us-east-1/firehose/aws4_request, SignedHeaders=")
        && authorization.rsplit_once("Signature=").is_some_and(|(_, hex)| hex.len() == 64);
    if signed { Ok(()) } else { Err("the request is not signed".to_owned()) }
}

/// Finds the value of a header.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let value = lines.filter_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        if found.eq_ignore_ascii_case(name.as_bytes()) { value.strip_prefix(b":") } else { None }
    });
    str::from_utf8(value.take(1).next()?).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST / HTTP/1.1\r\nContent-Type: application/x-amz-json-1.1\r\n\
        x-amz-target: Firehose_20150804.PutRecordBatch\r\n\
        Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261125/us-east-1/firehose/\
        aws4_request, SignedHeaders=host, Signature=\
        0000000000000000000000000000000000000000000000000000000000000000\r\n\r\n";

    fn checked(head: &str, body: &str) -> Result<Checked, String> {
        check(head.as_bytes(), body.as_bytes())
    }

    #[test]
    fn what_is_right_is_believed() {
        let body = r#"{"DeliveryStreamName":"benchmark","Records":[{"Data":"aGk="},{"Data":""}]}"#;
        let checked = checked(HEAD, body).unwrap();
        assert_eq!(checked.records(), 2);
        assert_eq!(checked.checksum(|index| index == 0), checksum(b"hi"));
        assert_ne!(checksum(b"hi"), checksum(b"ih"));
    }

    #[test]
    fn what_is_wrong_is_seen() {
        let body = r#"{"DeliveryStreamName":"benchmark","Records":[{"Data":"aGk="}]}"#;
        assert!(checked(HEAD, body).is_ok());
        for (from, to) in [("POST", "GET"), ("-1.1", "-1.0"), ("Batch", ""), ("AKID", "ASIA")] {
            assert!(checked(&HEAD.replace(from, to), body).is_err(), "{from}");
        }
        for (from, to) in [("benchmark", "other"), ("aGk=", "aGk"), ("Data", "data"), ("}]}", "}]")]
        {
            assert!(checked(HEAD, &body.replace(from, to)).is_err(), "{from}");
        }
    }
}
