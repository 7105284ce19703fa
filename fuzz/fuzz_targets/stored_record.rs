//! Any bytes as the archive of a stored record: refused, or a record that encodes again under its id.

#![no_main]

#[path = "../checks/stored_record.rs"]
mod stored_record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stored_record::check(bytes));
