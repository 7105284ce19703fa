//! The whole of it in one run: a node on a data folder, claims of four packages imported, and two questions answered.
//!
//! `cargo run --release --example countries`. The node listens on free ports of this machine only, and is stopped at the
//! end; its data and the keys of the sources stay in `data/countries`, so a second run creates nothing.

use node::cli::client::Client;
use node::cli::console::{Console, Tone};
use node::cli::failure::Failure;
use node::cli::import::Import;
use node::cli::read::{Query, Skeptic, Terms};
use node::serve::Daemon;
use node::settings::Settings;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const CLAIMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/countries/countries.ndjson.gz");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/countries/sources.toml");

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match tour(&mut Console::of_process(&mut out)).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

fn tour(console: &mut Console<'_>) -> Result<(), Failure> {
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let data_dir = PathBuf::from("data/countries");
    let keys = data_dir.join("keys");
    let settings = Settings { data_dir, bind_addr: free_port, admin_addr: free_port, ..Settings::default() };
    let node = Daemon::start(&settings).map_err(|error| Failure::of("the node did not start", &error))?;
    let result = ask(&format!("http://{}", node.client_addr()), &keys, console);
    match node.stop() {
        None => result,
        Some(why) => Err(Failure::Failed(format!("the node had to stop: {why}"))),
    }
}

fn ask(url: &str, keys: &Path, console: &mut Console<'_>) -> Result<(), Failure> {
    let client = Client::new(url)?;
    say(console, &format!("A node is running at {url}. Four packages state what they hold true of 250 countries:"))?;
    let import = Import { file: CLAIMS.into(), sources: Some(SOURCES.into()), timestamp: None, dry_run: false };
    import.run(&client, keys, false, console)?;

    say(console, "\nWhat is the capital of Bolivia, by authority, and why?\n")?;
    let query = Query { terms: Terms::on("geo://country/BO", "capital"), lens: "authority".to_owned() };
    query.run(&client, keys, false, console)?;

    say(console, "\nHow contested is the population of France?\n")?;
    let skeptic = Skeptic { terms: Terms::on("geo://country/FR", "population") };
    skeptic.run(&client, keys, false, console)
}

fn say(console: &mut Console<'_>, text: &str) -> Result<(), Failure> {
    let text = console.paint(Tone::Strong, text);
    Ok(console.line(text)?)
}
