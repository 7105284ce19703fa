//! The program `sim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::runner::main()
}
