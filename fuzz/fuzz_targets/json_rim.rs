//! Any bytes to the JSON rim: refused, or an envelope that reads back.

#![no_main]

#[path = "../checks/json_rim.rs"]
mod json_rim;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| json_rim::check(bytes));
