//! Makes Rust code of the `.proto` files, without protoc.

use std::error::Error;
use std::path::{Path, PathBuf};

/// The command that brings the committed code up to date.
pub(crate) const COMMAND: &str = "cargo run -p proto --example generate";
/// The files that are generated, one a package; what the next version would bring is a package of its own.
pub(crate) const FILES: [&str; 2] = ["stemedb.node.v1.rs", "stemedb.node.next.rs"];

/// Where the committed code is.
pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated")
}

/// Writes [`FILES`] into `folder`.
pub(crate) fn generate(folder: &Path) -> Result<(), Box<dyn Error>> {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let compile = |package: &str, names: &[&str]| {
        let files = names.iter().map(|name| include.join(format!("stemedb/node/{package}/{name}.proto")));
        protox::compile(files, [&include])
    };
    let configured =
        || tonic_prost_build::configure().build_transport(false).emit_rerun_if_changed(false).out_dir(folder);
    let large =
        ["Record.archive", "RaftRequest.payload", "RaftReply.payload", "TableReply.state", "ElementsPage.elements"];
    // Bytes of these fields are shared with the message that they came in, not copied.
    let builder = large.iter().fold(configured(), |builder, field| builder.bytes(format!(".stemedb.node.v1.{field}")));
    builder.compile_fds(compile("v1", &["common", "raft", "control", "data"])?)?;
    let next = configured().extern_path(".stemedb.node.v1", "crate::wire");
    Ok(next.compile_fds(compile("next", &["raised"])?)?)
}
