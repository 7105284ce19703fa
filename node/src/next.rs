//! `stemedb` as the next version of the formats would make it, for tests of upgrades: the same program, which speaks one more.

use cluster::control::{Version, Versions};
use model::record::Note;
use node::world::World;
use node::{cli, serve};
use std::process::ExitCode;

fn main() -> ExitCode {
    let serve = |settings| {
        let speaks = Versions::up_to(Version(Note::SINCE));
        serve::serve_in(settings, World { speaks, ..World::machine() })
    };
    cli::run(std::env::args_os(), cli::Node { serve, verify: serve::verify })
}
