//! `fuzzing::adguard_clients`, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::body("adguard_clients")(data));
