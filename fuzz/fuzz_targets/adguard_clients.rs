//! `fuzzing::adguard_clients`, run by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::body("adguard_clients")(data));
