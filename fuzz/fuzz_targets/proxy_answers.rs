//! `fuzzing::proxy_answers`, run by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::body("proxy_answers")(data));
