//! Answers in the shape that the service really gives, read without building anything.
//!
//! That shape is JSON without white space, escapes, nulls and members that nobody knows.
//! Whatever else it may be, this reader gives up on it and the strict one says what it is worth;
//! where this one does not give up, both say the same. Whether the answer is UTF-8 is not its matter.
//!
//! The identifiers of one answer are of one length, so their ends are not looked for but expected:
//! one pass counts the quotes of the whole answer, and one that was jumped over is missing at the
//! end.

use super::{EntrySpans, FieldSpan, Head};
use crate::wire::span::Span;

const CLOSE: Token = Token::new("}");
const COMMA: Token = Token::new(",");
const ENCRYPTED: Token = Token::new(r#""Encrypted":"#);
const ERROR_CODE: Token = Token::new(r#""ErrorCode":""#);
const ERROR_MESSAGE: Token = Token::new(r#""ErrorMessage":""#);
const FAILED_PUT_COUNT: Token = Token::new(r#""FailedPutCount":"#);
const FALSE: Token = Token::new("false");
const LIST: Token = Token::new(r#""RequestResponses":["#);
const LIST_END: Token = Token::new("]");
const OPEN: Token = Token::new("{");
const RECORD_ID: Token = Token::new(r#""RecordId":""#);
const STORED: Token = Token::new(r#"{"RecordId":""#);
const STORED_NEXT: Token = Token::new(r#""},{"RecordId":""#);
const TRUE: Token = Token::new("true");

/// The most digits of a count; a number of so many fits 64 bits.
const DIGITS_MAX: usize = 18;

/// Reads the answer to a request of `records` records, if it has the usual shape.
///
/// `entries` is memory to be used; what is in it afterwards means nothing if there is no answer.
pub(super) fn read(body: &[u8], records: usize, entries: &mut Vec<EntrySpans>) -> Option<Head> {
    entries.clear();
    let quotes = count_quotes(body)?;
    let mut reader = Reader { body, at: 0, quotes: 0, id_bytes: 0 };
    let head = reader.answer(records, entries)?;
    (reader.at == body.len() && reader.quotes == quotes).then_some(head)
}

/// What may stand next.
struct Token {
    text: &'static str,
    quotes: usize,
}

impl Token {
    const fn new(text: &'static str) -> Self {
        let (mut index, mut quotes) = (0, 0);
        while index < text.len() {
            quotes += (text.as_bytes()[index] == b'"') as usize;
            index += 1;
        }
        Self { text, quotes }
    }
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    /// The quotes that were met.
    quotes: usize,
    /// The length of the identifier before.
    id_bytes: usize,
}

impl Reader<'_> {
    fn answer(&mut self, records: usize, entries: &mut Vec<EntrySpans>) -> Option<Head> {
        let (mut has_list, mut head) = (false, Head::default());
        self.expect(&OPEN)?;
        loop {
            if !has_list && self.take(&LIST) {
                has_list = true;
                self.entries(records, entries)?;
            } else if head.failed_put_count.is_none() && self.take(&FAILED_PUT_COUNT) {
                head.failed_put_count = Some(self.number()?);
            } else if head.encrypted.is_none() && self.take(&ENCRYPTED) {
                head.encrypted = Some(self.boolean()?);
            } else {
                return None;
            }
            if !self.take(&COMMA) {
                self.expect(&CLOSE)?;
                return has_list.then_some(head);
            }
        }
    }

    fn entries(&mut self, records: usize, entries: &mut Vec<EntrySpans>) -> Option<()> {
        if self.take(&LIST_END) {
            return Some(());
        }
        entries.reserve(records);
        while entries.len() < records {
            let mut entry = EntrySpans::ABSENT;
            if self.take(&STORED) {
                self.stored(records, entries);
                entry.record_id = FieldSpan(self.record_id()?);
                if !self.take(&CLOSE) {
                    self.expect(&COMMA)?;
                    self.members(&mut entry)?;
                }
            } else {
                self.expect(&OPEN)?;
                self.members(&mut entry)?;
            }
            entries.push(entry);
            if !self.take(&COMMA) {
                return self.expect(&LIST_END);
            }
        }
        None
    }

    /// Reads identifiers of entries without other members, up to the start of the last of them in a
    /// row or of the first one that ends elsewhere than the one before.
    fn stored(&mut self, records: usize, entries: &mut Vec<EntrySpans>) {
        while entries.len() + 1 < records {
            let end = self.at + self.id_bytes;
            let Some(behind) = self.body.get(end..) else { return };
            let Some(id) = Span::new(self.at, self.id_bytes) else { return };
            if !behind.starts_with(STORED_NEXT.text.as_bytes()) {
                return;
            }
            entries.push(EntrySpans { record_id: FieldSpan(id), ..EntrySpans::ABSENT });
            self.at = end + STORED_NEXT.text.len();
            self.quotes += STORED_NEXT.quotes;
        }
    }

    /// Reads the members of an entry, up to its end.
    fn members(&mut self, entry: &mut EntrySpans) -> Option<()> {
        loop {
            let (field, value) = if self.take(&ERROR_CODE) {
                (&mut entry.error_code, self.rest_of_text()?)
            } else if self.take(&ERROR_MESSAGE) {
                (&mut entry.error_message, self.rest_of_text()?)
            } else if self.take(&RECORD_ID) {
                (&mut entry.record_id, self.record_id()?)
            } else {
                return None;
            };
            if !field.is_absent() {
                return None;
            }
            *field = FieldSpan(value);
            if !self.take(&COMMA) {
                return self.expect(&CLOSE);
            }
        }
    }

    /// Reads an identifier up to its end, which is where that of the one before was, or elsewhere.
    fn record_id(&mut self) -> Option<Span> {
        let end = self.at + self.id_bytes;
        if self.body.get(end) != Some(&b'"') {
            let start = self.at;
            let span = self.rest_of_text()?;
            self.id_bytes = self.at - 1 - start;
            return Some(span);
        }
        self.end_of_text(end)
    }

    /// Reads a text up to its end.
    fn rest_of_text(&mut self) -> Option<Span> {
        let rest = self.body.get(self.at..)?;
        let len = rest.iter().position(|byte| *byte == b'"')?;
        self.end_of_text(self.at + len)
    }

    fn end_of_text(&mut self, end: usize) -> Option<Span> {
        let span = Span::new(self.at, end - self.at)?;
        self.at = end + 1;
        self.quotes += 1;
        Some(span)
    }

    fn number(&mut self) -> Option<u64> {
        let rest = self.body.get(self.at..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let has_leading_zero = digits > 1 && rest.first() == Some(&b'0');
        if digits == 0 || digits > DIGITS_MAX || has_leading_zero {
            return None;
        }
        self.at += digits;
        let digit = |byte: &u8| u64::from(byte - b'0');
        Some(rest.iter().take(digits).fold(0, |number, byte| 10 * number + digit(byte)))
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.take(&TRUE) {
            return Some(true);
        }
        self.expect(&FALSE).map(|()| false)
    }

    fn expect(&mut self, token: &Token) -> Option<()> {
        self.take(token).then_some(())
    }

    /// Goes on behind `token` if that stands next.
    fn take(&mut self, token: &Token) -> bool {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let is_next = rest.starts_with(token.text.as_bytes());
        if is_next {
            self.at += token.text.len();
            self.quotes += token.quotes;
        }
        is_next
    }
}

/// The bytes that are looked at together.
const LANES: usize = 16;

/// As many are looked at one after the other, so that a byte can count what is found in each lane.
const COUNTED_BYTES_MAX: usize = LANES * (u8::MAX as usize - 1);

/// What is found in each lane, which the compiler looks at at once.
struct Survey {
    quotes: [u8; LANES],
    least: [u8; LANES],
    least_from_escape: [u8; LANES],
}

impl Survey {
    #[inline]
    fn note(&mut self, row: &[u8; LANES]) {
        for (lane, byte) in row.iter().enumerate() {
            self.quotes[lane] += u8::from(*byte == b'"');
            self.least[lane] = self.least[lane].min(*byte);
            self.least_from_escape[lane] = self.least_from_escape[lane].min(*byte ^ b'\\');
        }
    }
}

/// Counts the quotes of a body without escapes and control characters; of another there is none.
fn count_quotes(body: &[u8]) -> Option<usize> {
    let all = [u8::MAX; LANES];
    let mut survey = Survey { quotes: [0; LANES], least: all, least_from_escape: all };
    let mut quotes = 0;
    for part in body.chunks(COUNTED_BYTES_MAX) {
        let (rows, rest) = part.as_chunks();
        for row in rows {
            survey.note(row);
        }
        let mut last = [b' '; LANES];
        last[..rest.len()].copy_from_slice(rest);
        survey.note(&last);
        quotes += survey.quotes.iter().map(|count| usize::from(*count)).sum::<usize>();
        survey.quotes = [0; LANES];
    }
    let is_plain = survey.least.iter().all(|byte| *byte >= b' ')
        && survey.least_from_escape.iter().all(|byte| *byte > 0);
    is_plain.then_some(quotes)
}

#[cfg(test)]
mod tests;
