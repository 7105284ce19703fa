//! The committed code is what the `.proto` files say.

#[path = "../generator/mod.rs"]
mod generator;

use std::fs;
use std::path::Path;

#[test]
fn the_committed_code_is_what_the_generator_makes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&folder).unwrap();
    generator::generate(&folder).unwrap();
    let read = |folder: &Path| generator::FILES.map(|file| fs::read_to_string(folder.join(file)).unwrap());
    let same = read(&folder) == read(&generator::committed());
    assert!(same, "the committed code is not what the .proto files say: run `{}`", generator::COMMAND);
}
