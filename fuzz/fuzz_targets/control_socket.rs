//! `fuzzing::control_socket`, run by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::body("control_socket")(data));
