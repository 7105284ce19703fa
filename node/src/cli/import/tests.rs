//! Imports into a node that is played: it names lines by their bytes, refuses and fails as it is told.

use super::*;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What the played node has seen and is yet to do.
#[derive(Default)]
struct Played {
    lines: BTreeSet<String>,
    /// How many requests are still answered with 503.
    unavailable: u32,
    /// How many answers still break off after their first line.
    broken: u32,
}

struct Node {
    played: Arc<Mutex<Played>>,
    client: Client,
    _runtime: tokio::runtime::Runtime,
}

impl Node {
    fn start(played: Played) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let played = Arc::new(Mutex::new(played));
        let shared = Arc::clone(&played);
        let records = post(async move |body: String| answer(&mut lock(&shared), &body));
        let app = Router::new().route("/v1/records", records).route("/v1/health", get("{}"));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { played, client, _runtime: runtime }
    }

    fn import(&self, folder: &Path, lines: &str, now: u64, more: &[&str]) -> (Result<Summary, Failure>, String) {
        #[derive(clap::Parser)]
        struct Parsed {
            #[command(flatten)]
            import: Import,
        }
        let file = folder.join("claims.ndjson");
        fs::write(&file, lines).unwrap();
        let arguments = ["import", file.to_str().unwrap()].into_iter().chain(more.iter().copied());
        let import = <Parsed as clap::Parser>::try_parse_from(arguments).unwrap().import;
        let mut out = Vec::new();
        let mut console = Console {
            out: &mut out,
            for_person: false,
            color: false,
            columns: 100,
            progress: false,
            now: Timestamp::from_ms(now).unwrap(),
        };
        let result = import.run(&self.client, &folder.join("keys"), true, &mut console);
        (result, String::from_utf8(out).unwrap())
    }

    fn timestamps(&self) -> Vec<u64> {
        let lines = lock(&self.played).lines.clone();
        let read = |line: &String| serde_json::from_str::<BTreeMap<String, serde_json::Value>>(line).unwrap();
        lines.iter().map(|line| read(line)["timestamp"].as_u64().unwrap()).collect()
    }
}

fn answer(played: &mut Played, body: &str) -> Result<String, StatusCode> {
    if played.unavailable > 0 {
        played.unavailable -= 1;
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let mut results = String::new();
    for line in body.lines() {
        results += match line {
            line if line.contains("refuse me") => {
                r#"{"status":"refused","code":"weak_key","field":"signatures[0]","expected":"a better key","detail":""}"#
            }
            line if played.lines.insert(line.to_owned()) => r#"{"status":"created"}"#,
            _ => r#"{"status":"exists"}"#,
        };
        results += "\n";
        if played.broken > 0 {
            played.broken -= 1;
            break;
        }
    }
    Ok(results)
}

fn claim(subject: &str, more: &str) -> String {
    format!(
        r#"{{"subject":"{subject}","predicate":"p","object":{{"type":"Boolean","value":true}},"source":"x"{more}}}"#
    ) + "\n"
}

fn counts(created: u64, existing: u64, refused: u64) -> Summary {
    Summary { created, existing, refused }
}

#[test]
fn a_repeated_import_creates_nothing_whatever_the_time() {
    let (node, folder) = (Node::start(Played::default()), tempfile::tempdir().unwrap());
    let lines: String = (0..3000).map(|number| claim(&format!("s{number}"), "")).collect();
    let (first, _) = node.import(folder.path(), &lines, 1000, &[]);
    assert_eq!(first.unwrap(), counts(3000, 0, 0));
    let (second, printed) = node.import(folder.path(), &lines, 2000, &[]);
    assert_eq!(second.unwrap(), counts(0, 3000, 0));
    assert_eq!(printed, "{\"created\":0,\"existing\":3000,\"refused\":0}\n");
    assert!(node.timestamps().iter().all(|timestamp| *timestamp == 1000));
}

#[test]
fn a_time_is_the_lines_else_the_sources_else_the_flags_else_the_ledgers() {
    let (node, folder) = (Node::start(Played::default()), tempfile::tempdir().unwrap());
    let table = folder.path().join("sources.toml");
    fs::write(&table, "[dated]\ntimestamp = 1970-01-01T00:00:02Z\n").unwrap();
    let sources = ["--sources", table.to_str().unwrap()];
    let published = claim("a", r#","published":"1970-01-01T00:00:01Z""#).replace("\"x\"", "\"dated\"");
    let dated = claim("b", "").replace("\"x\"", "\"dated\"");
    let all = [sources[0], sources[1], "--timestamp", "1970-01-01T00:00:03Z"];
    node.import(folder.path(), &(published + &dated + &claim("c", "")), 4000, &all).0.unwrap();
    node.import(folder.path(), &claim("d", ""), 4000, &sources).0.unwrap();
    let mut timestamps = node.timestamps();
    timestamps.sort_unstable();
    assert_eq!(timestamps, [1000, 2000, 3000, 4000]);
}

#[test]
fn every_refused_line_is_reported_with_its_number_and_reason() {
    let (node, folder) = (Node::start(Played::default()), tempfile::tempdir().unwrap());
    let lines = claim("good", "") + "\nnot json\n" + &claim("refuse me", "") + &claim("s", ",\"confidence\":2");
    let (result, printed) = node.import(folder.path(), &lines, 1000, &[]);
    assert_eq!(result.unwrap(), counts(1, 0, 3));
    expect_test::expect![[r#"
        {"code":"malformed_json","expected":"one JSON object a line: expected ident at line 1 column 2","field":"body","line":3}
        {"code":"out_of_range","expected":"a number from 0 to 1","field":"confidence","line":5}
        {"code":"weak_key","expected":"a better key","field":"signatures[0]","line":4}
        {"created":1,"existing":0,"refused":3}
    "#]]
    .assert_eq(&printed);
}

#[test]
fn what_a_node_cannot_take_now_is_sent_again() {
    let node = Node::start(Played { unavailable: 2, broken: 1, ..Played::default() });
    let folder = tempfile::tempdir().unwrap();
    let lines = claim("a", "") + &claim("b", "") + &claim("c", "");
    assert_eq!(node.import(folder.path(), &lines, 1000, &[]).0.unwrap(), counts(3, 0, 0));
}

#[test]
fn envelopes_are_sent_as_they_stand() {
    let (node, folder) = (Node::start(Played::default()), tempfile::tempdir().unwrap());
    let envelope = r#"{ "signatures": [], "odd  spacing":1 }"#;
    assert_eq!(node.import(folder.path(), envelope, 1000, &[]).0.unwrap(), counts(1, 0, 0));
    assert!(lock(&node.played).lines.contains(envelope));
    assert_eq!(fs::read_dir(folder.path().join("keys")).unwrap().count(), 1, "no key is made, only the ledger");
}

#[test]
fn a_dry_run_makes_no_key_and_no_ledger() {
    let (node, folder) = (Node::start(Played::default()), tempfile::tempdir().unwrap());
    assert_eq!(node.import(folder.path(), &claim("a", ""), 1000, &["--dry-run"]).0.unwrap(), counts(1, 0, 0));
    assert!(!folder.path().join("keys").exists());
}

#[test]
fn what_is_signed_verifies() {
    let (node, folder) = (Node::start(Played::default()), tempfile::tempdir().unwrap());
    node.import(folder.path(), &claim("a", ",\"note\":\"é\""), 1000, &[]).0.unwrap();
    let line = lock(&node.played).lines.first().unwrap().clone();
    let envelope = api::json::parse_envelope(line.as_bytes(), None).unwrap();
    assert_eq!(api::json::envelope_json(&envelope), line.as_bytes());
    model::acceptance::accept(envelope).unwrap();
}
