//! Texts that must never be printed, and how they are looked for.

use std::error::Error;
use std::fmt::{Debug, Display};

use base64_simd::STANDARD;

/// The data of a record.
pub const PAYLOAD: &str = "canary-payload-5d41402abc";
/// A secret access key.
pub const SECRET_KEY: &str = "canary-secret-key-7d793037";
/// A session token.
pub const TOKEN: &str = "canary-session-token-4b2a76b9";
/// The user in a URL.
pub const USER: &str = "canary-user-719c8af1";
/// The password in a URL.
pub const PASSWORD: &str = "canary-password-f04af61b";

/// Fails if a text has a canary in it, however it is written: as text or as base64, and of both as
/// the numbers of their bytes, in decimal or hexadecimal.
///
/// # Panics
///
/// If it has.
pub fn assert_silent(what: &str, text: &str) {
    assert_silent_on(&[PAYLOAD, SECRET_KEY, TOKEN, USER, PASSWORD], what, text);
}

/// As [`assert_silent`], for some of the canaries.
///
/// # Panics
///
/// If one is there.
pub fn assert_silent_on(canaries: &[&str], what: &str, text: &str) {
    let dense: String = text.split_whitespace().collect();
    for canary in canaries {
        for form in forms(canary) {
            assert!(!dense.contains(&form), "{what} tells {canary} as {form}:\n{text}");
        }
    }
}

fn forms(canary: &str) -> Vec<String> {
    // The last group of base64 depends on what follows.
    let whole = &canary.as_bytes()[..canary.len() / 3 * 3];
    let texts = [canary.to_owned(), STANDARD.encode_to_string(whole)];
    let numbers = texts.clone().into_iter().flat_map(|text| {
        let decimal: Vec<_> = text.bytes().map(|byte| byte.to_string()).collect();
        let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        [decimal.join(","), hexadecimal]
    });
    numbers.chain(texts).collect()
}

/// Looks at a value as `Debug` prints it.
///
/// # Panics
///
/// If a canary is there.
pub fn check(what: &str, value: &impl Debug) {
    assert_silent(what, &format!("{value:?}"));
    assert_silent(what, &format!("{value:#?}"));
}

/// Looks at a value as `Debug` and `Display` print it.
///
/// # Panics
///
/// If a canary is there.
pub fn check_shown(what: &str, value: &(impl Debug + Display)) {
    check(what, value);
    assert_silent(what, &value.to_string());
}

/// Looks at an error, and at all of its sources.
///
/// # Panics
///
/// If a canary is there.
pub fn check_error(what: &str, error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_silent(what, &error.to_string());
        assert_silent(what, &format!("{error:?} {error:#?}"));
        next = error.source();
    }
}
