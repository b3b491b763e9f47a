//! Answers read slowly and strictly, byte by byte, as the document of HTTP/1.1 (RFC 9112) says.
//!
//! What its readers may let pass and need not is let pass here and noted: such an answer is not
//! *plain*, and the client is free to take it or to refuse it.

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// Where the answer ends.
    pub(super) end: usize,
    /// Another answer may follow on the connection.
    pub(super) keeps: bool,
    /// No reader may refuse it.
    pub(super) is_plain: bool,
}

/// Reads the answer that the bytes begin with, after those that only announce it; `None` if there
/// is no legal one or not all of it. `is_ended` says that nothing more will come.
pub(super) fn read(bytes: &[u8], is_ended: bool) -> Option<Whole> {
    let mut reader = Reader { bytes, at: 0, is_plain: true };
    let head = loop {
        let head = reader.head()?;
        if !matches!(head.status, 100 | 102..=199) {
            break head;
        }
    };
    let (body, ends_itself) = reader.body(&head, is_ended)?;
    let is_usual = (200..600).contains(&head.status) && head.headers.len() <= HEADERS_USUAL;
    Some(Whole {
        status: head.status,
        body,
        end: reader.at,
        keeps: ends_itself && head.keeps() && head.status != 101,
        is_plain: reader.is_plain && is_usual && reader.at <= BYTES_USUAL,
        headers: head.headers,
    })
}

/// No reader has to take more headers than these, or a longer answer.
const HEADERS_USUAL: usize = 50;
const BYTES_USUAL: usize = 16 * 1_024;

struct Head {
    is_old: bool,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// Returns the values of a header; one that is not plain text says nothing.
    fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = Option<&'a str>> {
        let named = self.headers.iter().filter(move |(other, _)| other == name);
        named.map(|(_, value)| str::from_utf8(value).ok().filter(|text| text.is_ascii()))
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Returns whether another request may follow on the connection; to an old server none does.
    fn keeps(&self) -> bool {
        let tokens = || self.values("connection").flatten().flat_map(|text| text.split(','));
        let says = |word: &str| tokens().any(|token| token.trim().eq_ignore_ascii_case(word));
        !says("close") && !self.is_old
    }

    fn is_chunked(&self) -> bool {
        let last = self.values("transfer-encoding").next_back().flatten();
        let coding = last.and_then(|text| text.split(',').next_back());
        coding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
    }

    /// Returns the one length that all headers of that name give.
    fn length(&self) -> Option<usize> {
        let mut lengths = Vec::new();
        for value in self.values("content-length") {
            lengths.extend(value?.split(',').map(|text| text.trim().to_owned()));
        }
        let is_number =
            |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let numbers =
            lengths.iter().map(|text| text.parse::<usize>().ok().filter(|_| is_number(text)));
        let numbers = numbers.collect::<Option<Vec<_>>>()?;
        let first = *numbers.first()?;
        numbers.iter().all(|number| *number == first).then_some(first)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_plain: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// Takes a line without its end, and says whether that end is the right one.
    fn line(&mut self) -> Option<(&'a [u8], bool)> {
        let len = self.bytes[self.at..].iter().position(|byte| *byte == b'\n')?;
        let line = self.take(len + 1)?;
        let line = &line[..len];
        Some(line.strip_suffix(b"\r").map_or((line, false), |line| (line, true)))
    }

    /// Takes a line of a head, in which nothing but the tabulator controls.
    fn head_line(&mut self) -> Option<&'a [u8]> {
        let (line, is_right) = self.line()?;
        self.is_plain &= is_right;
        let is_clean = line.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
        is_clean.then_some(line)
    }

    fn head(&mut self) -> Option<Head> {
        let mut line = self.head_line()?;
        while line.is_empty() {
            self.is_plain = false;
            line = self.head_line()?;
        }
        let (version, rest) = line.split_at_checked(b"HTTP/1.x ".len())?;
        let is_old = match version {
            b"HTTP/1.0 " => true,
            b"HTTP/1.1 " => false,
            _ => return None,
        };
        let (digits, reason) = rest.split_at_checked(3)?;
        let is_number = digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0';
        if !is_number || !matches!(reason.first(), None | Some(b' ')) {
            return None;
        }
        self.is_plain &= !reason.is_empty();
        let status = digits.iter().fold(0, |sum, digit| 10 * sum + u16::from(digit - b'0'));
        let mut headers = Vec::new();
        loop {
            let line = self.head_line()?;
            if line.is_empty() {
                return Some(Head { is_old, status, headers });
            }
            headers.push(header(line)?);
        }
    }

    /// Reads a body, and says whether it says itself where it ends.
    fn body(&mut self, head: &Head, is_ended: bool) -> Option<(Vec<u8>, bool)> {
        let (is_coded, is_counted) = (head.has("transfer-encoding"), head.has("content-length"));
        if matches!(head.status, 101 | 204 | 304) {
            return Some((Vec::new(), true));
        }
        if is_coded && head.is_old {
            return None;
        }
        if is_coded && head.is_chunked() {
            let codings = head.values("transfer-encoding").count();
            let is_simple = head.values("transfer-encoding").all(|text| text == Some("chunked"));
            self.is_plain &= codings == 1 && is_simple && !is_counted;
            // Lengths of two kinds are an attempt to make two readers disagree.
            return Some((self.chunks()?, !is_counted));
        }
        if is_counted && !is_coded {
            let length = head.length()?;
            let is_simple =
                head.values("content-length").all(|text| text == Some(&length.to_string()));
            self.is_plain &= is_simple && head.values("content-length").count() == 1;
            return Some((self.take(length)?.to_vec(), true));
        }
        self.is_plain &= !is_coded;
        let rest = self.take(self.bytes.len() - self.at)?;
        is_ended.then(|| (rest.to_vec(), false))
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let (line, is_right) = self.line()?;
            if !is_right || line.contains(&b'\r') {
                return None;
            }
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let (digits, rest) = line.split_at(digits);
            let after = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
            if !matches!(after, None | Some(b';')) {
                return None;
            }
            self.is_plain &= rest.is_empty();
            let size = usize::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
            if size == 0 {
                self.trailers()?;
                return Some(body);
            }
            body.extend_from_slice(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return None;
            }
        }
    }

    /// Skips what stands behind the last chunk, up to an empty line.
    fn trailers(&mut self) -> Option<()> {
        loop {
            let len = self.bytes[self.at..].iter().position(|byte| *byte == b'\r')?;
            self.take(len)?;
            if self.take(2)? != b"\r\n" {
                return None;
            }
            if len == 0 {
                return Some(());
            }
            self.is_plain = false;
        }
    }
}

/// Parts a header into its name and its value.
fn header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_name = !name.is_empty() && name.iter().all(is_token);
    let name = str::from_utf8(name).ok().filter(|_| is_name)?;
    Some((name.to_ascii_lowercase(), value.trim_ascii().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, is_ended: bool, expected: Option<(&str, usize, bool, bool)>) {
        let whole = read(text.as_bytes(), is_ended);
        let seen = whole.as_ref().map(|whole| {
            let body = str::from_utf8(&whole.body).expect("the bodies here are text");
            (body, text.len() - whole.end, whole.keeps, whole.is_plain)
        });
        assert_eq!(seen, expected, "{text:?}");
    }

    /// The body, the bytes behind it, whether the connection is kept, whether all readers take it.
    #[test]
    fn answers_end_where_they_say() {
        let ok = "HTTP/1.1 200 OK\r\n";
        check(&format!("{ok}content-length: 2\r\n\r\n{{}}"), false, Some(("{}", 0, true, true)));
        check(&format!("{ok}content-length: 2\r\n\r\n{{}}x"), false, Some(("{}", 1, true, true)));
        check(&format!("{ok}content-length: 2\r\n\r\n{{"), true, None);
        check(&format!("{ok}content-length: 1, 1\r\n\r\nx"), false, Some(("x", 0, true, false)));
        check(&format!("{ok}content-length: 1, 2\r\n\r\nxx"), true, None);
        check(&format!("{ok}content-length: +1\r\n\r\nx"), true, None);
        check(&format!("{ok}\r\nxx"), true, Some(("xx", 0, false, true)));
        check(&format!("{ok}\r\nxx"), false, None);
        check("HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n", false, Some(("", 0, true, true)));
        check("HTTP/1.1 101 Up\r\n\r\n", false, Some(("", 0, false, false)));
        check(
            "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n",
            false,
            Some(("", 0, true, true)),
        );
        check("\r\nHTTP/1.1 200\r\ncontent-length: 0\n\n", false, Some(("", 0, true, false)));
    }

    #[test]
    fn chunks_are_put_together() {
        let ok = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
        check(
            &format!("{ok}\r\n1\r\na\r\n0b\r\n0123456789a\r\n0\r\n\r\n"),
            false,
            Some(("a0123456789a", 0, true, true)),
        );
        check(
            &format!("{ok}\r\n1 ;x\r\na\r\n0\r\nt: 1\r\n\r\n."),
            false,
            Some(("a", 1, true, false)),
        );
        check(
            &format!("{ok}content-length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n"),
            false,
            Some(("a", 0, false, false)),
        );
        for wrong in
            ["\r\n", "x\r\n", "1\na\r\n", "1\r\nab", "1 1\r\na", "-1\r\n", "0\r\n\r", "0\r\nt\r\n"]
        {
            check(&format!("{ok}\r\n{wrong}"), true, None);
        }
    }

    #[test]
    fn connections_are_kept_or_not() {
        for (head, keeps) in [
            ("HTTP/1.1 200 OK\r\nconnection: Keep-Alive, Close\r\n", false),
            ("HTTP/1.1 200 OK\r\nconnection: x\r\nConnection: close\r\n", false),
            ("HTTP/1.0 200 OK\r\n", false),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n", false),
        ] {
            check(&format!("{head}content-length: 0\r\n\r\n"), false, Some(("", 0, keeps, true)));
        }
    }

    #[test]
    fn heads_that_are_none_are_refused() {
        for head in [
            "HTTP/2.0 200 OK\r\n",
            "HTTP/1.1  200 OK\r\n",
            "HTTP/1.1 099 OK\r\n",
            "HTTP/1.1 20 OK\r\n",
            "HTTP/1.1 200OK\r\n",
            "HTTP/1.1 200 OK\r\n a: b\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n",
            "HTTP/1.1 200 OK\r\na\r\n",
            "HTTP/1.1 200 OK\r\na: \u{1}\r\n",
            "HTTP/1.1 200 OK\r\na: b\rc\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n",
        ] {
            check(&format!("{head}content-length: 0\r\n\r\n0\r\n\r\n"), true, None);
        }
    }
}
