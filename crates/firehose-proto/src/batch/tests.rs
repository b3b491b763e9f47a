//! Limits from both sides, resends, and storage.

use super::*;
use crate::limits::{RECORD_BYTES_MAX, RECORDS_MAX, REQUEST_BYTES_MAX};

fn stream() -> StreamName {
    "demo".parse().unwrap()
}

fn batch() -> Batch {
    Batch::new(&stream(), Limits::default(), Storage::default())
}

/// Adds records of these sizes and says what became of the last.
fn add_all(sizes: impl IntoIterator<Item = usize>) -> Result<usize, AddError> {
    let mut batch = batch();
    let zeros = vec![0; RECORD_BYTES_MAX + 1];
    let mut last = Err(AddError::Full);
    for size in sizes {
        last = batch.add(&zeros[..size]);
    }
    last
}

// R1
#[test]
fn records_are_counted() {
    assert_eq!(add_all(vec![1; RECORDS_MAX - 1]), Ok(RECORDS_MAX - 2));
    assert_eq!(add_all(vec![1; RECORDS_MAX]), Ok(RECORDS_MAX - 1));
    assert_eq!(add_all(vec![1; RECORDS_MAX + 1]), Err(AddError::Full));
    assert_eq!(add_all(vec![0; RECORDS_MAX + 1]), Err(AddError::Full));
}

// R2
#[test]
fn a_record_has_a_size() {
    for size in [0, 1, RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX] {
        assert_eq!(add_all([size]), Ok(0), "{size}");
    }
    let (bytes, bytes_max) = (RECORD_BYTES_MAX + 1, RECORD_BYTES_MAX);
    assert_eq!(add_all([bytes]), Err(AddError::RecordTooLarge { bytes, bytes_max }));
}

// R3
#[test]
fn a_request_has_a_size() {
    let rest = REQUEST_BYTES_MAX - 4 * RECORD_BYTES_MAX;
    let four = [RECORD_BYTES_MAX; 4];
    assert_eq!(add_all(four.into_iter().chain([rest])), Ok(4));
    assert_eq!(add_all(four.into_iter().chain([rest + 1])), Err(AddError::Full));
    assert_eq!(add_all(four.into_iter().chain([rest, 0])), Ok(5));
    assert_eq!(add_all(four.into_iter().chain([rest, 1])), Err(AddError::Full));
}

#[test]
fn a_refused_record_leaves_the_batch_as_it_was() {
    let mut batch = batch();
    batch.add(b"one").unwrap();
    batch.add(&vec![0; RECORD_BYTES_MAX + 1]).unwrap_err();
    batch.add(b"two").unwrap();
    let sealed = batch.seal().unwrap();
    let expected = br#"{"DeliveryStreamName":"demo","Records":[{"Data":"b25l"},{"Data":"dHdv"}]}"#;
    assert_eq!(sealed.body(), expected.as_slice());
}

#[test]
fn an_empty_batch_is_no_request() {
    assert!(batch().seal().is_none());
    let mut batch = batch();
    assert_eq!((batch.is_empty(), batch.len()), (true, 0));
    batch.add(b"").unwrap();
    assert_eq!((batch.is_empty(), batch.len()), (false, 1));
}

#[test]
fn a_batch_that_is_given_up_leaves_its_storage() {
    let mut batch = batch();
    batch.add(&[7; 5_000]).unwrap();
    let (capacity, spans) = (batch.body.capacity(), batch.spans.capacity());
    let storage = batch.into_storage();
    assert_eq!((storage.body.len(), storage.spans.len()), (0, 0));
    assert_eq!((storage.body.capacity(), storage.spans.capacity()), (capacity, spans));
    assert_eq!(format!("{storage:?}"), format!("Storage {{ body_bytes: {capacity}, .. }}"));
}

#[test]
fn no_record_is_shown() {
    let mut batch = batch();
    batch.add(b"secret").unwrap();
    assert_eq!(format!("{batch:?}"), "Batch { records: 1, data_bytes: 6, .. }");
    let sealed = batch.seal().unwrap();
    assert_eq!(format!("{sealed:?}"), "Sealed { records: 1, body_bytes: 61, .. }");
    assert_eq!(format!("{:?}", sealed.record(0).unwrap()), "Encoded { data_bytes: 6, .. }");
}

#[test]
fn refusals_say_what_to_do() {
    assert_eq!(AddError::Full.to_string(), "the batch is full, seal it and begin another");
    let error = AddError::RecordTooLarge { bytes: 2, bytes_max: 1 };
    assert_eq!(error.to_string(), "the record has 2 bytes, the service takes at most 1");
}

#[test]
fn a_body_has_the_predicted_length() {
    let mut batch = batch();
    let sizes = [0, 1, 2, 3, 4, 5, 299, 300, 301, 10_000];
    for size in sizes {
        batch.add(&vec![b'x'; size]).unwrap();
    }
    let sealed = batch.seal().unwrap();
    assert_eq!(sealed.body().len(), request::body_len(4, sizes));
    assert_eq!(sealed.data_bytes(), sizes.iter().sum());
}

#[test]
fn a_resend_is_the_same_text() {
    let mut first = batch();
    for record in [b"a".as_slice(), b"", b"\xff\x00", b"dcba"] {
        first.add(record).unwrap();
    }
    let first = first.seal().unwrap();
    let mut second = batch();
    for index in [3, 1, 2] {
        second.add_encoded(first.record(index).unwrap()).unwrap();
    }
    second.add(b"fresh").unwrap();
    let second = second.seal().unwrap();
    let mut direct = batch();
    for record in [b"dcba".as_slice(), b"", b"\xff\x00", b"fresh"] {
        direct.add(record).unwrap();
    }
    assert_eq!(second.body(), direct.seal().unwrap().body());
    assert_eq!(second.record(2).unwrap().decode(), b"\xff\x00");
    assert!(second.record(4).is_none());
}

#[test]
fn a_request_can_be_opened_again() {
    for held in [false, true] {
        let mut batch = batch();
        batch.add(b"one").unwrap();
        let sealed = batch.seal().unwrap();
        let other = held.then(|| sealed.body().clone());
        let mut again = sealed.reopen();
        again.add(b"two").unwrap();
        let sealed = again.seal().unwrap();
        assert_eq!(sealed.record(0).unwrap().decode(), b"one");
        assert_eq!(sealed.record(1).unwrap().decode(), b"two");
        assert_eq!(sealed.body().len(), request::body_len(4, [3, 3]));
        drop(other);
    }
}

#[test]
fn storage_is_used_again() {
    let mut batch = batch();
    batch.add(&[0; 10_000]).unwrap();
    let sealed = batch.seal().unwrap();
    let address = sealed.body().as_ptr();
    let storage = sealed.into_storage();
    assert!(storage.body.capacity() > 10_000 && storage.body.is_empty());
    assert_eq!(storage.body.as_ptr(), address);
    let again = Batch::new(&stream(), Limits::default(), storage);
    assert_eq!(again.body.as_ptr(), address);
}

#[test]
fn debug_shows_no_data() {
    let mut batch = batch();
    batch.add(b"secret").unwrap();
    let open = format!("{batch:?} {:?}", batch.record(0));
    let text = format!("{open} {:?}", batch.seal());
    assert!(!text.contains("secret") && !text.contains("c2VjcmV0"));
}
