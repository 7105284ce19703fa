//! Any bytes as the folder of a log: nothing wrong is served, and the log goes on.

#![no_main]

#[path = "../checks/segment_reader/mod.rs"]
mod segment_reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segment_reader::check(bytes));
