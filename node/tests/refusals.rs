//! Settings that are wrong, with real processes: what is wrong in itself ends the start before a socket opens, and what only
//! the cluster can tell keeps the node from being ready. Either way the setting is named, and once it is right all is well.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use support::cluster::{Cluster, until};

const KEY_FILE: &str = "STEMEDB_CLUSTER_KEY_FILE";
const CLUSTER_ID: &str = "STEMEDB_CLUSTER_ID";
const ADVERTISE_HOST: &str = "STEMEDB_ADVERTISE_HOST";
const OTHER_KEY: &str = "0ddba110ddba110ddba110ddba110ddba110ddba110ddba110ddba110ddba110\n";
const OTHER_CLUSTER: &str = "0123456789abcdef0123456789abcdef";

/// Waits until a node that is not ready says why in these words, and shows the same to operators.
fn until_not_ready(cluster: &Cluster, node: usize, words: &[&str]) {
    until("it says why it is not ready", || {
        let why = cluster.ready(node).err().unwrap_or_default();
        if words.iter().all(|word| why.contains(word)) { Ok(()) } else { Err(format!("{why:?} without {words:?}")) }
    });
}

/// Holds the ports of a node, so that whoever opens a socket there fails at that and at nothing else.
fn hold_ports(cluster: &Cluster, node: usize) -> Vec<TcpListener> {
    let addresses = ["STEMEDB_BIND_ADDR", "STEMEDB_ADMIN_ADDR", "STEMEDB_RPC_ADDR"];
    addresses.into_iter().map(|name| TcpListener::bind(cluster.setting(node, name)).unwrap()).collect()
}

/// Writes a file that nobody else may read, as a key must be.
fn write_key(file: &Path, content: &str) {
    fs::write(file, content).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Copies a folder with all that is in it.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn seeds_without_a_key_are_refused_before_a_socket_opens() {
    let mut cluster = Cluster::prepare(3);
    let held = hold_ports(&cluster, 0);
    cluster.unset(0, KEY_FILE);
    cluster.run(0);
    let said = cluster.refusal(0);
    assert!(said.contains("seeds") && said.contains("needs cluster_key_file"), "{said}");
    assert!(!said.contains("cannot listen"), "{said}");
    drop(held);
}

#[test]
fn a_key_that_cannot_be_read_or_is_none_is_refused_before_a_socket_opens() {
    let mut cluster = Cluster::prepare(3);
    let held = hold_ports(&cluster, 0);
    let file = cluster.folder().join("no.key");
    cluster.set(0, KEY_FILE, file.display().to_string());
    for content in [None, Some("not a key\n")] {
        content.into_iter().for_each(|content| write_key(&file, content));
        cluster.run(0);
        let said = cluster.refusal(0);
        assert!(said.contains("cluster_key_file") && said.contains("no.key"), "{said}");
        assert!(!said.contains("cannot listen"), "{said}");
    }
    drop(held);
}

#[test]
fn a_node_with_another_key_is_not_ready_and_names_the_file() {
    let mut cluster = Cluster::prepare(3);
    let (right, other) = (cluster.setting(2, KEY_FILE).to_owned(), cluster.folder().join("other.key"));
    write_key(&other, OTHER_KEY);
    cluster.set(2, KEY_FILE, other.display().to_string());
    (0..3).for_each(|node| cluster.run(node));
    until_not_ready(&cluster, 2, &["cluster_key_file"]);
    cluster.kill(2);
    cluster.set(2, KEY_FILE, right);
    cluster.run(2);
    until("the nodes are one cluster", || cluster.whole());
    cluster.stop();
}

#[test]
fn a_data_folder_of_another_cluster_than_the_setting_names_is_refused_before_a_socket_opens() {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    let held = hold_ports(&cluster, 2);
    cluster.set(2, CLUSTER_ID, OTHER_CLUSTER);
    cluster.run(2);
    let said = cluster.refusal(2);
    assert!(said.contains("cluster.id") && said.contains(OTHER_CLUSTER), "{said}");
    assert!(!said.contains("cannot listen"), "{said}");
    drop(held);
    cluster.unset(2, CLUSTER_ID);
    cluster.run(2);
    until("the nodes are one cluster", || cluster.whole());
    cluster.stop();
}

#[test]
fn a_new_node_that_is_to_be_in_another_cluster_is_not_ready_and_names_the_setting() {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    cluster.set(2, CLUSTER_ID, OTHER_CLUSTER);
    cluster.run(2);
    until_not_ready(&cluster, 2, &["cluster.id", OTHER_CLUSTER]);
    cluster.stop();
}

#[test]
fn two_nodes_with_one_id_are_not_ready_and_name_the_folder() {
    let mut cluster = Cluster::start(3);
    cluster.kill(1);
    cluster.kill(2);
    fs::remove_dir_all(cluster.data_dir(2)).unwrap();
    copy_folder(&cluster.data_dir(1), &cluster.data_dir(2));
    cluster.run(1);
    cluster.run(2);
    until_not_ready(&cluster, 1, &["data_dir", "has this node's id"]);
    until_not_ready(&cluster, 2, &["data_dir", "has this node's id"]);
    assert!(cluster.ready(0).is_ok(), "who is no twin goes on");
    cluster.stop();
}

#[test]
fn a_node_that_advertises_an_address_where_nobody_reaches_it_is_not_ready_and_names_the_setting() {
    let mut cluster = Cluster::start(3);
    cluster.kill(2);
    cluster.set(2, ADVERTISE_HOST, "127.0.0.2"); // it listens on 127.0.0.1
    cluster.run(2);
    until_not_ready(&cluster, 2, &["advertise_host", "127.0.0.2"]);
    cluster.kill(2);
    cluster.unset(2, ADVERTISE_HOST);
    cluster.run(2);
    until("the nodes are one cluster", || cluster.whole());
    cluster.stop();
}
