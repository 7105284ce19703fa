//! Everything that fuzzing found interesting about JSON, checked again on every run.

#[path = "../../fuzz/checks/corpus.rs"]
mod corpus;
#[path = "../../fuzz/checks/json_rim.rs"]
mod json_rim;

#[test]
fn no_text_of_the_corpus_breaks_a_rule() {
    assert_eq!(corpus::replay("json_rim", json_rim::check).unwrap(), Vec::<String>::new());
}
