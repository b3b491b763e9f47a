//! Which records are in a request, read off its bytes by arithmetic: where a record must lie, its
//! frame must stand.

use crate::sim::violation::{Violation, ensure};

const HEAD: &[u8] = br#"{"DeliveryStreamName":""#;
const RECORDS: &[u8] = br#"","Records":["#;
const RECORD: &[u8] = br#"{"Data":""#;
const RECORD_END: &[u8] = br#""}"#;
const END: &[u8] = b"]}";

/// The characters of base64 in which a ticket lies, but for the last two bits of them.
const TICKET_CHARS: usize = 11;

/// Reads the tickets out of a body and returns the bytes of their data, before base64.
pub(super) fn tickets(
    body: &[u8],
    stream: &str,
    bytes_of: impl Fn(usize) -> Option<usize>,
    tickets: &mut Vec<usize>,
) -> Result<usize, Violation> {
    let rest = body.strip_prefix(HEAD).and_then(|rest| rest.strip_prefix(stream.as_bytes()));
    let rest = rest.and_then(|rest| rest.strip_prefix(RECORDS));
    let rest = rest.and_then(|rest| rest.strip_suffix(END));
    ensure!(rest.is_some(), "I5", "the body has another frame");
    let mut rest = rest.unwrap_or_default();
    let mut data_bytes = 0;
    loop {
        let ticket = rest.strip_prefix(RECORD).and_then(ticket_of);
        let record = ticket.and_then(|ticket| Some((ticket, bytes_of(ticket)?)));
        ensure!(record.is_some(), "I5", "entry {} of a body is no record", tickets.len());
        let (ticket, len) = record.unwrap_or_default();
        let (end, next) = rest.split_at_checked(RECORD.len() + len.div_ceil(3) * 4).unzip();
        let next = next.and_then(|next: &[u8]| next.strip_prefix(RECORD_END));
        ensure!(end.is_some() && next.is_some(), "I5", "record {ticket} has another length");
        data_bytes += len;
        tickets.push(ticket);
        match next.unwrap_or_default() {
            [] => return Ok(data_bytes),
            [b',', next @ ..] => rest = next,
            _ => ensure!(false, "I5", "record {ticket} is not followed by a comma"),
        }
    }
}

fn ticket_of(data: &[u8]) -> Option<usize> {
    let mut bits = 0_u128;
    for byte in data.first_chunk::<TICKET_CHARS>()? {
        let digit = DIGITS[usize::from(*byte)];
        if digit == NO_DIGIT {
            return None;
        }
        bits = bits << 6 | u128::from(digit);
    }
    usize::try_from(bits >> 2).ok()
}

const NO_DIGIT: u8 = u8::MAX;

/// The value of each character of base64.
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0_u8;
    while digit < 64 {
        digits[alphabet[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;

    use super::*;
    use crate::sim::payload::Payload;

    fn body(payload: &Payload, numbers: &[u64]) -> String {
        let records: Vec<String> = numbers
            .iter()
            .map(|ticket| {
                let data = [&ticket.to_be_bytes(), payload.filler(*ticket)].concat();
                format!(r#"{{"Data":"{}"}}"#, STANDARD.encode_to_string(data))
            })
            .collect();
        format!(r#"{{"DeliveryStreamName":"demo","Records":[{}]}}"#, records.join(","))
    }

    #[test]
    fn tickets_are_read_off() {
        let payload = Payload::new(3, 8, 30);
        let numbers = [5, 6, 0, 299];
        let mut found = Vec::new();
        let good = body(&payload, &numbers);
        let bytes_of = |pushed: usize| {
            let payload = &payload;
            move |ticket: usize| (ticket < pushed).then(|| payload.len(ticket as u64))
        };
        let bytes = tickets(good.as_bytes(), "demo", bytes_of(300), &mut found).unwrap();
        assert_eq!(found, [5, 6, 0, 299]);
        assert_eq!(bytes, numbers.iter().map(|ticket| payload.len(*ticket)).sum::<usize>());
        for (bad, pushed) in [
            (good.clone(), 299),
            (good.replace("demo", "domo"), 300),
            (good.replace("},{", "};{"), 300),
            (good.replacen("AAAA", "AA", 1), 300),
            (good.replace("]}", "]}}"), 300),
            (good.replace("AAAAAAAAA", "AAAA\"AAAA"), 300),
            (body(&payload, &[]), 300),
        ] {
            let result = tickets(bad.as_bytes(), "demo", bytes_of(pushed), &mut Vec::new());
            assert!(result.is_err(), "{bad}");
        }
    }
}
