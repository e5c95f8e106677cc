//! `fuzzing::tc_listing`, run by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::body("tc_listing")(data));
