//! What an operator and an agent see of a real node: a stop in order, erasure, a change of engine, export and import.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use api::json::envelope_json;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use support::{Server, alias, claim, client, get, key, post, vote};

/// The smallest segments that may be set.
const SMALL: &[&str] = &["--log-segment-bytes-max", "1MiB"];

fn lines(records: &[model::Record]) -> Vec<u8> {
    records.iter().flat_map(|record| [envelope_json(record.envelope()), b"\n".to_vec()].concat()).collect()
}

fn exported(server: &Server) -> BTreeSet<String> {
    let (status, body) = get(&client(), &format!("{}/v1/records", server.url));
    assert_eq!(status, 200, "{body}");
    body.lines().map(str::to_owned).collect()
}

#[test]
fn sigterm_lets_requests_in_flight_finish_and_the_node_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), SMALL);
    let records: Vec<_> = (0..2).map(|n| claim(&key(1), "term://x", "n", &n.to_string(), n)).collect();
    let body = lines(&records);
    let (head, tail) = body.split_at(body.len() / 2);

    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let request = format!(
        "POST /v1/records HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(head).unwrap();
    // The first line is answered before the second is whole: so the request is in flight, beyond doubt.
    let mut answer = vec![0; 4096];
    let mut so_far = String::new();
    while !so_far.contains("created") {
        let read = stream.read(&mut answer).unwrap();
        assert!(read > 0, "{so_far}");
        so_far.push_str(std::str::from_utf8(&answer[..read]).unwrap());
    }
    server.signal("TERM");
    stream.write_all(tail).unwrap();
    stream.read_to_string(&mut so_far).unwrap();
    assert_eq!(so_far.matches("\"created\"").count(), 2, "{so_far}");
    assert!(server.wait().success());

    let server = Server::start(folder.path(), SMALL);
    assert_eq!(exported(&server).len(), 2);
    assert!(server.terminate().success());
}

#[test]
fn what_was_erased_is_gone_from_log_index_and_export_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "the words that a court wants gone";
    let (victim, witness) =
        (claim(&key(1), "erase://x", "says", secret, 1), claim(&key(1), "erase://x", "says", "ok", 2));
    let at = |server: &Server, id: &dyn std::fmt::Display| get(&client(), &format!("{}/v1/records/{id}", server.url));
    let send = |server: &Server| {
        post(&client(), &format!("{}/v1/assert", server.url), &envelope_json(victim.envelope())).unwrap()
    };

    let server = Server::start(folder.path(), SMALL);
    assert_eq!(send(&server).0, 201);
    assert_eq!(
        post(&client(), &format!("{}/v1/assert", server.url), &envelope_json(witness.envelope())).unwrap().0,
        201
    );
    assert!(holds(folder.path(), secret));
    let order = format!("{{\"id\":\"{}\"}}", victim.id());
    let (status, body) = post(&client(), &format!("{}/v1/admin/erase", server.admin_url), order.as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
    let gone = |server: &Server| {
        let (status, body) = at(server, &victim.id());
        assert_eq!(status, 410, "{body}");
        let (status, body) = send(server);
        assert_eq!(status, 410, "{body}");
        assert!(!exported(server).iter().any(|line| line.contains(secret)));
        let (_, body) = get(&client(), &format!("{}/v1/query?subject=erase://x&predicate=says&lens=none", server.url));
        assert!(!body.contains(secret) && body.contains(&witness.id().to_string()), "{body}");
        assert_eq!(at(server, &witness.id()).0, 200);
    };
    gone(&server);
    let (status, body) = post(&client(), &format!("{}/v1/admin/compact", server.admin_url), b"{}").unwrap();
    assert_eq!(status, 200, "{body}");
    gone(&server);
    assert!(server.terminate().success());
    assert!(!holds(&folder.path().join("wal"), secret), "compaction removes the body from the log");

    // A rebuilt index knows no more of it, and not less.
    std::fs::remove_dir_all(folder.path().join("db")).unwrap();
    let server = Server::start(folder.path(), SMALL);
    gone(&server);
    assert!(server.terminate().success());
    assert!(!holds(folder.path(), secret));
}

/// Whether any file below `folder` holds `text`.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn another_engine_is_a_rebuild_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> =
        (0..300).map(|n| claim(&key(1), &format!("engine://{}", n % 50), "n", &n.to_string(), n)).collect();
    let server = Server::start(folder.path(), SMALL);
    assert_eq!(post(&client(), &format!("{}/v1/records", server.url), &lines(&records)).unwrap().0, 200);
    let question = "/v1/query?prefix=engine://&lens=recency&limit=100&as_of=9999999999999.0";
    let result = |server: &Server| {
        let (status, body) = get(&client(), &format!("{}{question}", server.url));
        assert_eq!(status, 200, "{body}");
        let (result, _) = body.split_once("\"meta\"").unwrap();
        result.to_owned()
    };
    let before = result(&server);
    assert!(server.terminate().success());
    for engine in ["fjall", "sled"] {
        let server = Server::start(folder.path(), &[SMALL, &["--index-engine", engine]].concat());
        assert_eq!(result(&server), before);
        assert!(server.terminate().success());
    }
}

#[test]
fn an_export_is_taken_elsewhere_byte_for_byte() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let records: Vec<_> =
        (1..=100).map(|n| claim(&key(n), "copy://x", "n", &"\u{2028}é\"\\".repeat(n.into()), 5)).collect();
    let server = Server::start(here.path(), SMALL);
    post(&client(), &format!("{}/v1/records", server.url), &lines(&records)).unwrap();
    let first = exported(&server);
    assert_eq!(first.len(), 100);
    let other = Server::start(there.path(), &[SMALL, &["--index-engine", "fjall"]].concat());
    let body = first.iter().fold(String::new(), |body, line| body + line + "\n");
    let (status, answer) = post(&client(), &format!("{}/v1/records", other.url), body.as_bytes()).unwrap();
    assert_eq!((status, answer.matches("\"created\"").count()), (200, 100));
    assert_eq!(exported(&other), first);
    for server in [server, other] {
        assert!(server.terminate().success());
    }
}

#[test]
fn two_nodes_never_share_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), SMALL);
    let second = Server::try_start(folder.path(), SMALL).expect_err("the log is locked");
    assert_eq!(second.code(), Some(1));
    assert!(server.terminate().success());
}

/// Flips a byte of the text in the log.
fn damage(data_dir: &Path, text: &str) {
    let wal = data_dir.join("wal");
    let segment = std::fs::read_dir(&wal).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        path.extension().is_some_and(|end| end == "log")
            && std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    });
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
}

#[test]
fn a_question_with_a_damaged_claim_is_not_answered_without_it_and_the_claim_can_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let newer = claim(&key(1), "rot://x", "says", "the newer one", 2);
    let older = claim(&key(2), "rot://x", "says", "the older one", 1);
    let other = claim(&key(2), "rot://y", "says", "sound", 1);
    let server = Server::start(folder.path(), SMALL);
    let all = lines(&[newer.clone(), older, other]);
    assert_eq!(post(&client(), &format!("{}/v1/records", server.url), &all).unwrap().0, 200);
    assert!(server.terminate().success());
    damage(folder.path(), "the newer one");

    let server = Server::start(folder.path(), SMALL);
    let ask = |path: &str| get(&client(), &format!("{}{path}", server.url));
    let (status, body) = ask("/v1/query?subject=rot://x&predicate=says&lens=recency");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("damaged"), "{body}");
    assert_eq!(ask(&format!("/v1/records/{}", newer.id())).0, 503);
    let (status, body) = ask("/v1/query?prefix=rot://&lens=recency");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("sound") && !body.contains("the older one"), "{body}");
    let (_, meta) = body.split_once("\"meta\"").unwrap();
    assert!(meta.contains("rot://x"), "{meta}");
    let export = client().get(format!("{}/v1/records", server.url)).call();
    let whole = export.and_then(|mut export| export.body_mut().read_to_string());
    whole.expect_err("an export that lacks a record does not end as if it were whole");
    let (status, body) = ask("/v1/records?damaged=skip");
    assert_eq!((status, body.lines().count()), (200, 2), "{body}");

    let again = envelope_json(newer.envelope());
    let (status, body) = post(&client(), &format!("{}/v1/assert", server.url), &again).unwrap();
    assert_eq!(status, 200, "{body}");
    let (status, body) = ask("/v1/query?subject=rot://x&predicate=says&lens=recency");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("the newer one"), "{body}");
    assert!(server.terminate().success());
}

#[test]
fn with_less_room_than_the_reserve_writes_are_refused_and_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (claim(&key(1), "full://x", "n", "1", 1), claim(&key(1), "full://x", "n", "2", 2));
    let server = Server::start(folder.path(), SMALL);
    let send = |server: &Server, record: &model::Record| {
        post(&client(), &format!("{}/v1/assert", server.url), &envelope_json(record.envelope())).unwrap()
    };
    assert_eq!(send(&server, &first).0, 201);
    assert!(server.terminate().success());
    let server = Server::start(folder.path(), &[SMALL, &["--disk-free-bytes-min", "1000000GiB"]].concat());
    let (status, body) = send(&server, &second);
    assert_eq!(status, 507, "{body}");
    assert!(body.contains("disk_full"), "{body}");
    let (status, body) = get(&client(), &format!("{}/v1/query?subject=full://x", server.url));
    assert_eq!(status, 200, "{body}");
    assert_eq!(get(&client(), &format!("{}/v1/ready", server.url)).0, 200);
    assert!(server.terminate().success());
    let server = Server::start(folder.path(), SMALL);
    assert_eq!(send(&server, &second).0, 201);
    assert!(server.terminate().success());
}

#[test]
fn a_vote_says_whether_its_target_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), SMALL);
    let target = claim(&key(1), "vote://x", "n", "1", 1);
    let send = |path: &str, record: &model::Record| {
        post(&client(), &format!("{}{path}", server.url), &envelope_json(record.envelope())).unwrap()
    };
    let early = vote(&key(2), "vote://x", target.id());
    let (status, body) = send("/v1/vote", &early);
    assert_eq!(status, 201, "{body}");
    assert!(body.contains("\"target_known\":false"), "{body}");
    let seen = |record: &model::Record| {
        let answer = client().get(format!("{}/v1/records/{}", server.url, record.id())).call().unwrap();
        answer.headers()["stemedb-target"].to_str().unwrap().to_owned()
    };
    assert_eq!(seen(&early), "unknown");
    assert_eq!(send("/v1/assert", &target).0, 201);
    assert_eq!(seen(&early), "known");
    let astray = vote(&key(2), "vote://another home", target.id());
    assert_eq!(send("/v1/vote", &astray).0, 201);
    assert_eq!(seen(&astray), "misrouted");
    assert!(server.terminate().success());
}

#[test]
fn an_alias_outlives_a_restart_and_travels_by_export_and_import() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alias = alias(&key(1), "geo://country/BO", "Bolivia");
    let sent = envelope_json(alias.envelope());
    let server = Server::start(here.path(), SMALL);
    let (status, body) = post(&client(), &format!("{}/v1/aliases", server.url), &sent).unwrap();
    assert_eq!(status, 201, "{body}");
    assert!(server.terminate().success());
    let server = Server::start(here.path(), SMALL);
    let read = get(&client(), &format!("{}/v1/records/{}", server.url, alias.id()));
    assert_eq!(read, (200, String::from_utf8(sent).unwrap()));
    let (_, exported) = get(&client(), &format!("{}/v1/records", server.url));
    let other = Server::start(there.path(), SMALL);
    for _ in 0..2 {
        let file = there.path().join("exported.ndjson");
        std::fs::write(&file, &exported).unwrap();
        let mut import = Command::new(env!("CARGO_BIN_EXE_stemedb"));
        let ended = import.arg("import").arg(file).args(["--url", &other.url]).arg("--key-dir").arg(there.path());
        assert!(ended.status().unwrap().success());
    }
    assert_eq!(get(&client(), &format!("{}/v1/records", other.url)), (200, exported));
    assert!(server.terminate().success() && other.terminate().success());
}

#[test]
fn status_and_node_list_show_a_node_as_a_cluster_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), SMALL);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stemedb"));
        command.args(arguments).args(["--url", &server.url, "--admin-url", &server.admin_url]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run(&["status"]).starts_with("✓ all is well\n"), "{}", run(&["status"]));
    assert!(run(&["node", "list"]).ends_with("1 of 1 alive\n"), "{}", run(&["node", "list"]));
    for arguments in [&["status", "--json"][..], &["node", "list", "--json"]] {
        let told: serde_json::Value = serde_json::from_str(&run(arguments)).unwrap();
        assert_eq!(told["nodes"][0]["is_self"], true, "{told}");
    }
    assert!(server.terminate().success());
}
