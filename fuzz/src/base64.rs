//! Base64 as the standard's table says it, a character at a time: the oracle of the fast one.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Decodes a text with its padding; `None` if it is not what an encoder would have written.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let (mut data, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().take(text.len() - padding) {
        let digit = DIGITS[usize::from(byte)];
        if digit == NONE {
            return None;
        }
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            data.push(u8::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(data)
}

const NONE: u8 = u8::MAX;

/// The number that each letter stands for.
const DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut digit = 0;
    while digit < 64 {
        digits[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_encoder_writes_is_decoded() {
        for (text, data) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYg==", Some("foob")),
            ("Zh==", None),
            ("Zm9=", None),
            ("Zg=", None),
            ("Z===", None),
            ("====", None),
            ("Zg==Zg==", None),
            ("Zm-v", None),
            ("Zm9v\n", None),
        ] {
            assert_eq!(decode(text).as_deref(), data.map(str::as_bytes), "{text}");
        }
    }
}
