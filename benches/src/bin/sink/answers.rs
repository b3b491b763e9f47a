//! What is answered: made beforehand where everything is stored, put together by chance where not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use firehose_benches::{REFUSED_ENTRY, stored_entry};
use firehose_proto::retry::Jitter;

/// The most records of a request.
pub(crate) const RECORDS_MAX: usize = 500;

/// The answers to requests of every size.
pub(crate) struct Answers {
    refuse: f64,
    errors: f64,
    /// The entry of each record that is stored.
    entries: Vec<String>,
    /// Whole answers by the number of records, where all are stored.
    all_stored: Mutex<BTreeMap<usize, Arc<Vec<u8>>>>,
}

/// An answer, and which of the records it says are stored.
pub(crate) enum Answer {
    /// All are.
    AllStored(Arc<Vec<u8>>),
    /// Those for which there is `true` are.
    Mixed(Vec<u8>, Vec<bool>),
    /// None is: the request is refused.
    Refused(Vec<u8>),
}

impl Answer {
    /// Returns head and body.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::AllStored(bytes) => bytes,
            Self::Mixed(bytes, _) | Self::Refused(bytes) => bytes,
        }
    }
}

impl Answers {
    pub(crate) fn new(refuse: f64, errors: f64) -> Self {
        let entries = (0..RECORDS_MAX).map(stored_entry).collect();
        Self { refuse, errors, entries, all_stored: Mutex::default() }
    }

    /// Answers a request of `records` records, at most [`RECORDS_MAX`].
    pub(crate) fn answer(&self, records: usize, random: &mut Jitter) -> Answer {
        if self.errors > 0.0 && random.fraction() < self.errors {
            return Answer::Refused(refusal());
        }
        if self.refuse > 0.0 {
            let stored: Vec<bool> =
                (0..records).map(|_| random.fraction() >= self.refuse).collect();
            return Answer::Mixed(self.success(&stored), stored);
        }
        let mut all_stored = self.all_stored.lock().unwrap_or_else(PoisonError::into_inner);
        let made = all_stored
            .entry(records)
            .or_insert_with(|| Arc::new(self.success(&vec![true; records])));
        Answer::AllStored(Arc::clone(made))
    }

    fn success(&self, stored: &[bool]) -> Vec<u8> {
        let failed = stored.iter().filter(|stored| !**stored).count();
        let mut body =
            format!(r#"{{"Encrypted":false,"FailedPutCount":{failed},"RequestResponses":["#);
        for (index, (stored, entry)) in stored.iter().zip(&self.entries).enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str(if *stored { entry } else { REFUSED_ENTRY });
        }
        body.push_str("]}");
        with_head("200 OK", &body)
    }
}

/// The refusal of a request as a whole.
fn refusal() -> Vec<u8> {
    let body = r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#;
    with_head("503 Service Unavailable", body)
}

/// The refusal of a request that is not what it should be.
pub(crate) fn bad(why: &str) -> Vec<u8> {
    let body = serde_json::json!({"__type": "SerializationException", "message": why});
    with_head("400 Bad Request", &body.to_string())
}

fn with_head(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nx-amzn-RequestId: f1d6a1e2-0000-4000-8000-000000000000\r\n\
         Content-Type: application/x-amz-json-1.1\r\nContent-Length: {length}\r\n\r\n"
    );
    (head + body).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_refused_as_was_asked_for() {
        let (answers, mut random) = (Answers::new(0.1, 0.0), Jitter::new(7));
        let mut refused = 0;
        for _ in 0..200 {
            let Answer::Mixed(bytes, stored) = answers.answer(500, &mut random) else { panic!() };
            let failed = stored.iter().filter(|stored| !**stored).count();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(&format!(r#""FailedPutCount":{failed},"#)));
            assert_eq!(text.matches("ErrorCode").count(), failed);
            refused += failed;
        }
        assert!((9_000..11_000).contains(&refused), "{refused} of 100,000");
    }

    #[test]
    fn requests_are_refused_as_a_whole() {
        let answer = Answers::new(0.0, 1.0).answer(1, &mut Jitter::new(7));
        assert!(matches!(answer, Answer::Refused(_)));
        assert!(answer.bytes().starts_with(b"HTTP/1.1 503 "));
    }
}
