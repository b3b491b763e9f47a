//! Hands the target `planner` to libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| firehose_fuzz::planner(data));
