//! Everything that fuzzing found interesting about records and segments, checked again on every run.

#[path = "../../fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../fuzz/checks/segment_reader/mod.rs"]
mod segment_reader;
#[path = "../../fuzz/checks/stored_record.rs"]
mod stored_record;

#[test]
fn no_archive_of_the_corpus_breaks_a_rule() {
    assert_eq!(corpus::replay("stored_record", stored_record::check).unwrap(), Vec::<String>::new());
}

#[test]
fn no_log_of_the_corpus_breaks_a_rule() {
    assert_eq!(corpus::replay("segment_reader", segment_reader::check).unwrap(), Vec::<String>::new());
}
