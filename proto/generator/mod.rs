//! Makes Rust code of the `.proto` files, without protoc.

use std::error::Error;
use std::path::{Path, PathBuf};

/// The command that brings the committed code up to date.
pub(crate) const COMMAND: &str = "cargo run -p proto --example generate";
/// The one file that is generated.
pub(crate) const FILE: &str = "stemedb.node.v1.rs";

/// Where the committed code is.
pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated")
}

/// Writes [`FILE`] into `folder`.
pub(crate) fn generate(folder: &Path) -> Result<(), Box<dyn Error>> {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = ["common", "raft", "control", "data"].map(|name| include.join(format!("stemedb/node/v1/{name}.proto")));
    let descriptors = protox::compile(files, [&include])?;
    let large =
        ["Record.archive", "RaftRequest.payload", "RaftReply.payload", "TableReply.state", "ElementsPage.elements"];
    let builder = tonic_prost_build::configure().build_transport(false).emit_rerun_if_changed(false).out_dir(folder);
    // Bytes of these fields are shared with the message that they came in, not copied.
    let builder = large.iter().fold(builder, |builder, field| builder.bytes(format!(".stemedb.node.v1.{field}")));
    Ok(builder.compile_fds(descriptors)?)
}
