//! The program `stemedb`.

use node::{cli, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), cli::Node { serve: serve::serve, verify: serve::verify })
}
