//! The program `stemedb`.

#[cfg(feature = "planted")]
compile_error!("planted bugs are for the simulation: the program never has them");

use node::{cli, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), cli::Node { serve: serve::serve, verify: serve::verify })
}
