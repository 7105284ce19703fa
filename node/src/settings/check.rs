//! What settings say together: each is fine, and yet they contradict each other. It looks at no disk and no network.

use super::problem::Problem;
use super::{Loaded, Setting, Settings};
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

/// Everything that contradicts something else.
pub(super) fn contradictions(loaded: &Loaded) -> Vec<Problem> {
    let settings = &loaded.settings;
    let mut problems = Vec::new();
    let mut wrong = |key: &'static str, reason: String| {
        if let Some(setting) = Setting::of_key(key) {
            problems.push(Problem::Contradiction { key, origin: loaded.origin(setting).clone(), reason });
        }
    };
    let has_seeds = !settings.seeds.0.is_empty();
    match &settings.cluster_key_file {
        None => {
            let needs_key =
                "needs cluster_key_file: make a key with `stemedb keygen --cluster` and give every node a copy";
            if has_seeds {
                wrong("seeds", needs_key.to_owned());
            }
            if settings.cluster_id.is_some() {
                wrong("cluster.id", needs_key.to_owned());
            }
        }
        Some(file) => {
            if plain(file).starts_with(plain(&settings.data_dir)) {
                let reason =
                    "must lie outside data_dir: a node that lost its data must not have lost its cluster with it";
                wrong("cluster_key_file", reason.to_owned());
            }
            for (key, address) in [("rpc_addr", settings.rpc_addr), ("gossip_addr", settings.gossip_addr)] {
                if address.ip().is_unspecified() && settings.advertise_host.is_none() {
                    let reason =
                        format!("listens on {address}, which is no address that others can call: set advertise_host");
                    wrong(key, reason);
                }
            }
        }
    }
    if settings.bootstrap_expect.is_some() && !has_seeds {
        wrong("bootstrap_expect", "needs seeds: the nodes that found together must find each other".to_owned());
    }
    for (key, address, other) in shared_addresses(settings) {
        wrong(key, format!("is {address}, where {other} listens already"));
    }
    problems
}

/// A path without the steps that lead nowhere.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|step| *step != Component::CurDir).collect()
}

/// Addresses for streams that two settings name. Port 0 is another one every time.
fn shared_addresses(settings: &Settings) -> Vec<(&'static str, SocketAddr, &'static str)> {
    let bind = ("bind_addr", settings.bind_addr);
    let admin = ("admin_addr", settings.admin_addr);
    let rpc = ("rpc_addr", settings.rpc_addr);
    let pairs = [(admin, bind), (rpc, bind), (rpc, admin)];
    let same = pairs.into_iter().filter(|((_, one), (_, other))| one == other && one.port() != 0);
    same.map(|((key, address), (other, _))| (key, address, other)).collect()
}
