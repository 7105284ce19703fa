//! The client interface over a database in memory: what each request is answered with.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod fake;

use api::database::{
    Addresses, Answer, ClaimView, Cluster, ClusterSettings, Consistency, Member, NodeFigures, NodeState, NodeView,
    Part, Question, ReadError, Shortfall, Speaks, Status, SubmitError,
};
use api::{Ack, Settings, admin_router, client_router};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use expect_test::expect;
use fake::Fake;
use model::lens::{Decision, Excluded, Exclusion, Outcome, Ranked, Reason, Resolution};
use model::record::{Lifecycle, SourceClass};
use model::{Stamp, acceptance, canonical};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tower::ServiceExt;

const RECORDS: &str = include_str!("../../model/vectors/records.json");
const REFUSALS: &str = include_str!("../../model/vectors/refusals.json");

struct Http {
    fake: Arc<Fake>,
    client: Router,
    admin: Router,
}

struct Reply {
    status: u16,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, code and field of a problem, which must be whole.
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], format!("urn:stemedb:problem:{}", problem["code"].as_str().unwrap()));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        assert_eq!(self.status == 503, self.headers.contains_key("retry-after"));
        format!("{} {} {}", self.status, problem["code"].as_str().unwrap(), problem["field"].as_str().unwrap_or("-"))
    }
}

impl Http {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let fake = Arc::new(Fake::default());
        let client = client_router(fake.clone(), settings.clone());
        Self { client, admin: admin_router(fake.clone(), settings), fake }
    }

    async fn send(&self, router: &Router, request: Request<Body>) -> Reply {
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(&self.client, Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(&self.client, Request::post(path).body(body.into()).unwrap()).await
    }
}

/// Envelopes from the vectors, one an id, as a client would send them.
fn envelopes() -> Vec<String> {
    let mut records: Vec<Value> = serde_json::from_str(RECORDS).unwrap();
    let mut seen = BTreeSet::new();
    records.retain(|record| seen.insert(record["id"].as_str().unwrap().to_owned()));
    records.iter().map(|record| record["envelope"].to_string()).collect()
}

fn envelope_of(kind: &str) -> String {
    let kind = format!("\"kind\":\"{kind}\"");
    envelopes().into_iter().find(|envelope| envelope.contains(&kind)).unwrap()
}

#[tokio::test]
async fn a_claim_is_created_once_and_exists_ever_after() {
    let http = Http::new();
    let claim = envelope_of("assertion");
    let created = http.post("/v1/assert", claim.clone()).await;
    assert_eq!((created.status, created.json()["status"].as_str()), (201, Some("created")));
    let exists = http.post("/v1/assert?ack=all", claim).await;
    assert_eq!((exists.status, exists.json()["status"].as_str()), (200, Some("exists")));
    let read = http.get(created.header("location")).await;
    assert_eq!((read.status, read.header("stemedb-received-at")), (200, "1785000000000.0"));
    let envelope = api::json::parse_envelope(read.text.as_bytes(), None).unwrap();
    let id = acceptance::accept(envelope).unwrap().id().to_string();
    assert_eq!(created.json()["id"], id);
    assert_eq!(exists.json()["copies"], 1);
}

#[tokio::test]
async fn a_vote_on_nothing_known_is_kept_and_shown_as_such() {
    let http = Http::new();
    let receipt = http.post("/v1/vote", envelope_of("vote")).await;
    assert_eq!((receipt.status, &receipt.json()["target_known"]), (201, &Value::Bool(false)));
}

#[tokio::test]
async fn an_alias_is_created_and_read_back_as_it_was_sent() {
    let http = Http::new();
    let created = http.post("/v1/aliases", envelope_of("alias")).await;
    assert_eq!((created.status, created.json().get("target_known")), (201, None));
    assert_eq!(http.post("/v1/records", envelope_of("alias")).await.json()["status"], "exists");
    let read: Value = http.get(created.header("location")).await.json();
    let sent: Value = serde_json::from_str(&envelope_of("alias")).unwrap();
    assert_eq!(read, sent);
    assert_eq!(http.post("/v1/vote", envelope_of("alias")).await.problem(), "422 unknown_kind kind");
}

#[tokio::test]
async fn every_refusal_in_the_vectors_is_a_client_error_with_its_code() {
    let http = Http::new();
    for case in serde_json::from_str::<Vec<Value>>(REFUSALS).unwrap() {
        let reply = http.post(case["path"].as_str().unwrap(), case["input"].as_str().unwrap().to_owned()).await;
        if case["path"] == "/v1/records" {
            for line in reply.text.lines() {
                assert_eq!(serde_json::from_str::<Value>(line).unwrap()["code"], case["code"], "{}", case["name"]);
            }
            continue;
        }
        reply.problem();
        assert!(matches!(reply.status, 400 | 413 | 422), "{}: {}", case["name"], reply.status);
        assert_eq!(reply.json()["code"], case["code"], "{}", case["name"]);
        assert!(reply.json()["field"].is_string() && reply.json()["expected"].is_string(), "{}", case["name"]);
    }
}

#[tokio::test]
async fn every_bad_request_is_a_problem_with_its_status_code_and_field() {
    let http = Http::with(Settings { body_bytes_max: 4096, ..Settings::default() });
    let mut table = String::new();
    for path in [
        "/v1/query?subjects=x",
        "/v1/query?subject=",
        "/v1/query?subject=%ff",
        "/v1/query?subject=a&subject=b",
        "/v1/query?subject=a&prefix=a",
        "/v1/query?agent=AB",
        "/v1/query?lens=best",
        "/v1/query?as_of=yesterday",
        "/v1/query?half_life=soon",
        "/v1/query?limit=0",
        "/v1/query?cursor=00",
        "/v1/skeptic?lens=none",
        "/v1/layered?consistency=two",
        "/v1/records/xyz",
        "/v1/records/0000000000000000000000000000000000000000000000000000000000000000",
        "/v1/records/%ff",
        "/v1/records?limit=1",
        "/v1/assert",
        "/v1/admin/status",
        "/nowhere",
        "/",
    ] {
        table += &format!("GET {path}: {}\n", http.get(path).await.problem());
    }
    for (path, body) in [
        ("/v1/assert", "{"),
        ("/v1/assert", "[]"),
        ("/v1/assert?dry_run=true", "{}"),
        ("/v1/assert?ack=2", "{}"),
        ("/v1/vote", "{}"),
        ("/v1/aliases", "{}"),
        ("/v1/query", "{}"),
        ("/v1/records?dry_run=1", ""),
        ("/v1/health", ""),
        ("/v1/admin/erase", "{}"),
    ] {
        table += &format!("POST {path}: {}\n", http.post(path, body).await.problem());
    }
    table += &format!("POST too large: {}\n", http.post("/v1/assert", " ".repeat(4097)).await.problem());
    for (path, media_type) in [
        ("/v1/assert", "text/plain"),
        ("/v1/assert", "application/x-www-form-urlencoded"),
        ("/v1/records", "application/json"),
    ] {
        let request = Request::post(path).header(header::CONTENT_TYPE, media_type).body(Body::from("{}")).unwrap();
        table += &format!("POST {path} as {media_type}: {}\n", http.send(&http.client, request).await.problem());
    }
    expect![[r#"
        GET /v1/query?subjects=x: 400 unknown_field subjects
        GET /v1/query?subject=: 400 empty subject
        GET /v1/query?subject=%ff: 400 malformed_json subject
        GET /v1/query?subject=a&subject=b: 400 duplicate_key subject
        GET /v1/query?subject=a&prefix=a: 400 unknown_field prefix
        GET /v1/query?agent=AB: 400 bad_hex agent
        GET /v1/query?lens=best: 400 unknown_value lens
        GET /v1/query?as_of=yesterday: 400 out_of_range as_of
        GET /v1/query?half_life=soon: 400 unknown_value half_life
        GET /v1/query?limit=0: 400 out_of_range limit
        GET /v1/query?cursor=00: 400 bad_cursor cursor
        GET /v1/skeptic?lens=none: 400 unknown_field lens
        GET /v1/layered?consistency=two: 400 unknown_value consistency
        GET /v1/records/xyz: 400 bad_hex id
        GET /v1/records/0000000000000000000000000000000000000000000000000000000000000000: 404 not_found -
        GET /v1/records/%ff: 400 bad_hex id
        GET /v1/records?limit=1: 400 unknown_field limit
        GET /v1/assert: 405 method_not_allowed -
        GET /v1/admin/status: 404 not_found -
        GET /nowhere: 404 not_found -
        GET /: 404 not_found -
        POST /v1/assert: 400 malformed_json body
        POST /v1/assert: 422 wrong_type body
        POST /v1/assert?dry_run=true: 400 unknown_field dry_run
        POST /v1/assert?ack=2: 400 unknown_value ack
        POST /v1/vote: 422 missing_field signatures
        POST /v1/aliases: 422 missing_field signatures
        POST /v1/query: 405 method_not_allowed -
        POST /v1/records?dry_run=1: 400 unknown_value dry_run
        POST /v1/health: 405 method_not_allowed -
        POST /v1/admin/erase: 404 not_found -
        POST too large: 413 too_large body
        POST /v1/assert as text/plain: 415 unsupported_media_type content-type
        POST /v1/assert as application/x-www-form-urlencoded: 415 unsupported_media_type content-type
        POST /v1/records as application/json: 415 unsupported_media_type content-type
    "#]]
    .assert_eq(&table);
    assert_eq!(http.get("/v1/assert").await.header("allow"), "POST");
}

#[tokio::test]
async fn what_the_database_cannot_do_is_told_from_what_is_refused() {
    let http = Http::new();
    let claim = envelope_of("assertion");
    let mut table = String::new();
    for error in [
        SubmitError::Erased,
        SubmitError::DiskFull,
        SubmitError::NotReady { what: "clock: ahead".into() },
        SubmitError::Unavailable { durable: 1, wanted: 2, who: "3b6a27bcceb6a42d".into(), retry_after_s: 7 },
        SubmitError::Overloaded,
        SubmitError::Fault,
    ] {
        *http.fake.refuse_writes.lock().unwrap() = Some(error);
        let single = http.post("/v1/assert", claim.clone()).await;
        let line: Value = serde_json::from_str(&http.post("/v1/records", claim.clone()).await.text).unwrap();
        assert_eq!(line["code"], single.json()["code"]);
        table += &format!("{} retry {:?}, {}\n", single.problem(), single.header("retry-after"), line["status"]);
    }
    for error in [
        ReadError::NotReady { what: "index: rebuilding".into() },
        ReadError::Unavailable { who: "node 3".into(), retry_after_s: 2 },
        ReadError::TooManyClaims { max: 9 },
        ReadError::Overloaded,
        ReadError::Fault,
    ] {
        *http.fake.page.lock().unwrap() = Some(Err(error));
        let reply = http.get("/v1/query").await;
        table += &format!("{} retry {:?}\n", reply.problem(), reply.header("retry-after"));
    }
    expect![[r#"
        410 erased - retry "", "refused"
        507 disk_full - retry "", "failed"
        503 not_ready - retry "1", "failed"
        503 unavailable - retry "7", "failed"
        503 overloaded - retry "1", "failed"
        500 internal - retry "", "failed"
        503 not_ready - retry "1"
        503 unavailable - retry "2"
        422 too_many_claims - retry ""
        503 overloaded - retry "1"
        500 internal - retry ""
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_500_and_the_next_request_is_answered() {
    let http = Http::new();
    assert_eq!(http.get("/v1/query").await.problem(), "500 internal -");
    assert_eq!(http.get("/v1/health").await.status, 200);
}

#[tokio::test]
async fn lines_are_answered_in_order_and_one_that_is_refused_affects_no_other() {
    let settings = Settings { batch_lines_max: 3, line_bytes_max: 64 * 1024, ..Settings::default() };
    let http = Http::with(settings);
    let good = envelopes();
    let mut lines =
        vec![String::new(), "{}".into(), " ".repeat(70_000) + "x", "{\"x\":\"".to_owned() + &"y".repeat(70_000)];
    lines.extend(good.iter().cloned());
    lines.push(String::new());
    lines.extend(good.iter().cloned());
    let reply = http.post("/v1/records", lines.join("\r\n")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-ndjson"));
    let results: Vec<Value> = reply.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |status: &str| results.iter().filter(|result| result["status"] == status).count();
    assert_eq!((count("created"), count("exists"), count("refused")), (good.len(), good.len(), 3));
    assert!(results.is_sorted_by_key(|result| result["line"].as_u64()));
    assert_eq!(results[0]["line"], 2);
    assert_eq!((&results[0]["code"], &results[0]["field"]), (&"missing_field".into(), &"kind".into()));
    assert_eq!(results[2]["code"], "too_large");
    assert!(http.fake.batches.lock().unwrap().iter().all(|lines| *lines <= 3));
}

#[tokio::test]
async fn lines_may_be_cut_anywhere_by_the_network() {
    let whole = envelopes().join("\n");
    let expected = Http::new().post("/v1/records", whole.clone()).await.text;
    for size in [1, 7, 100, 4096] {
        let pieces: Vec<_> =
            whole.as_bytes().chunks(size).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        assert_eq!(Http::new().post("/v1/records", body).await.text, expected, "{size}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_ends_with_a_line_that_says_so() {
    let pieces = [Ok(envelope_of("vote") + "\n{\"v\":"), Err(std::io::Error::other("reset"))];
    let reply = Http::new().post("/v1/records", Body::from_stream(futures_util::stream::iter(pieces))).await;
    let results: Vec<Value> = reply.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&results[0]["status"], &results[1]["code"]), (&"created".into(), &"broken_body".into()));
    assert_eq!(results.len(), 2);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let http = Http::new();
    let reply = http.post("/v1/records?dry_run=true", envelope_of("assertion")).await;
    let line: Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!((&line["status"], &line["copies"], line.get("received_at")), (&"would_create".into(), &0.into(), None));
    assert!(http.fake.records.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_exported_is_taken_elsewhere_byte_for_byte() {
    let here = Http::new();
    here.post("/v1/records", envelopes().join("\n")).await;
    let exported = here.get("/v1/records").await;
    assert_eq!(exported.text.lines().count(), envelopes().len());
    let there = Http::new();
    there.post("/v1/records", exported.text.clone()).await;
    assert_eq!(there.get("/v1/records").await.text, exported.text);
    assert_eq!(Http::new().get("/v1/records").await.text, "");
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused_but_probes_are_answered() {
    let http = Http::with(Settings { inflight_requests_max: 1, ..Settings::default() });
    http.fake.gate.forget_permits(usize::MAX >> 3);
    let waiting = http.post("/v1/assert", envelope_of("assertion"));
    let meanwhile = async {
        let refused = http.get("/v1/query").await.problem();
        let alive = http.get("/v1/health").await.status;
        http.fake.gate.add_permits(1);
        (refused, alive)
    };
    let (created, (refused, alive)) = tokio::join!(waiting, meanwhile);
    assert_eq!((created.status, alive, &*refused), (201, 200, "503 overloaded -"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_begin_in_time_is_given_up() {
    let http = Http::new();
    http.fake.gate.forget_permits(usize::MAX >> 3);
    assert_eq!(http.post("/v1/assert", envelope_of("assertion")).await.problem(), "503 timeout -");
    let silent = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let slow = Http::with(Settings { body_pause_ms_max: 10, ..Settings::default() });
    assert_eq!(slow.post("/v1/assert", silent).await.problem(), "408 request_timeout -");
}

#[tokio::test]
async fn readiness_names_every_failing_part() {
    let http = Http::new();
    assert_eq!(http.get("/v1/ready").await.json()["status"], "ready");
    let part = |name: &str, ok| Part { name: name.into(), ok, detail: "so so".into() };
    *http.fake.parts.lock().unwrap() = vec![part("log", true), part("index", false), part("clock", false)];
    let reply = http.get("/v1/ready").await;
    assert_eq!(reply.problem(), "503 not_ready -");
    assert_eq!(reply.json()["detail"], "index: so so; clock: so so");
    assert_eq!(reply.json()["parts"][1]["name"], "index");
}

#[tokio::test]
async fn an_erased_record_is_gone_and_stays_gone() {
    let http = Http::new();
    let claim = envelope_of("assertion");
    let id = http.post("/v1/assert", claim.clone()).await.json()["id"].as_str().unwrap().to_owned();
    let erase = async || {
        let body = Body::from(format!("{{\"id\":\"{id}\"}}"));
        http.send(&http.admin, Request::post("/v1/admin/erase").body(body).unwrap()).await
    };
    assert_eq!(erase().await.json()["status"], "erased");
    assert_eq!(erase().await.json()["status"], "already_erased");
    assert_eq!(http.get(&format!("/v1/records/{id}")).await.problem(), "410 erased -");
    assert_eq!(http.post("/v1/assert", claim).await.problem(), "410 erased -");
    let status = http.send(&http.admin, Request::get("/v1/admin/status").body(Body::empty()).unwrap()).await;
    assert_eq!(status.problem(), "503 not_ready -");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let http = Http::new();
    http.get("/v1/health").await;
    http.get("/v1/records/xyz").await;
    http.get("/elsewhere").await;
    let requests = http.fake.requests.lock().unwrap().clone();
    let seen: Vec<_> = requests.iter().map(|(route, status)| (route.as_str(), *status)).collect();
    assert_eq!(seen, [("/v1/health", 200), ("/v1/records/{id}", 400), ("unmatched", 404)]);
}

/// Three claims from the vectors on one question: the first won, the last was superseded.
fn page() -> api::database::Page {
    let claims: Vec<ClaimView> = envelopes()
        .iter()
        .filter_map(|text| match api::json::parse_envelope(text.as_bytes(), None).unwrap().body() {
            body @ model::Body::Assertion(assertion) => Some(ClaimView {
                id: canonical::id_of(&canonical::canonical_bytes(body)),
                received_at: Stamp::new(1_785_000_000_000, 1).unwrap(),
                assertion: (**assertion).clone(),
            }),
            model::Body::Vote(_) | model::Body::Alias(_) | model::Body::Opaque(_) => None,
        })
        .take(3)
        .collect();
    let question =
        Question { subject: claims[0].assertion.subject.clone(), predicate: claims[0].assertion.predicate.clone() };
    let ranked = |claim, weight| Ranked { claim, weight, effective_tier: SourceClass::Expert };
    let decision = Decision {
        winner: ranked(0, 450_000),
        confidence: 900_000,
        runners_up: vec![ranked(1, 250_000)],
        reason: Reason::HigherWeightInTier,
    };
    let excluded = vec![Excluded { claim: 2, reason: Exclusion::Inactive(Lifecycle::Rejected) }];
    let resolution = Resolution { outcome: Outcome::Decision(Some(decision)), excluded };
    api::database::Page {
        answers: vec![Answer { question: question.clone(), claims, resolution }],
        next: Some(question),
        as_of: Stamp::new(1_785_000_000_000, 9).unwrap(),
        placement_epoch: 0,
        copies_consulted: 1,
        freshness_ms: Some(0),
        stable_at: None,
        damaged: Vec::new(),
    }
}

#[tokio::test]
async fn an_answer_shows_the_winner_and_why_and_what_it_overruled() {
    let http = Http::new();
    *http.fake.page.lock().unwrap() = Some(Ok(page()));
    let reply = http.get("/v1/query?limit=1").await;
    assert_eq!(reply.status, 200);
    let answer = &reply.json()["result"]["answers"][0];
    assert_eq!((&answer["confidence"], &answer["reason"]), (&0.9.into(), &"higher_weight_in_tier".into()));
    assert_eq!(answer["winner"]["weight"], 0.45);
    assert_eq!(
        (&answer["runners_up"][0]["weight"], &answer["excluded"][0]["reason"]),
        (&0.25.into(), &"inactive".into())
    );
    expect![
        "“96.7 billion” won because among expert sources it weighs most: confidence times trust 0.45 against 0.25."
    ]
    .assert_eq(answer["explanation"].as_str().unwrap());
    let meta = &reply.json()["meta"];
    assert_eq!((&meta["lens"], &meta["as_of"]), (&"authority".into(), &"1785000000000.9".into()));
    let cursor = meta["cursor"].as_str().unwrap();
    assert_eq!(http.get(&format!("/v1/query?cursor={cursor}")).await.status, 200);
    let plan = http.fake.plans.lock().unwrap().last().cloned().unwrap();
    assert_eq!((plan.as_of, plan.after), (Stamp::new(1_785_000_000_000, 9), page().next));
    assert_eq!(http.get(&format!("/v1/query?lens=none&cursor={cursor}")).await.problem(), "400 bad_cursor cursor");
}

#[tokio::test]
async fn the_document_describes_every_route_and_the_docs_need_no_network() {
    let http = Http::new();
    let document = http.get("/v1/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut calls = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().cloned().collect();
            calls += &format!("{method} {path}: {}\n", statuses.join(" "));
        }
    }
    expect![[r#"
        get /metrics: 200
        post /v1/aliases: 200 201 400 408 410 413 415 422 500 503 507
        post /v1/assert: 200 201 400 408 410 413 415 422 500 503 507
        get /v1/health: 200
        get /v1/layered: 200 400 422 500 503
        get /v1/openapi.json: 200
        get /v1/query: 200 400 422 500 503
        get /v1/ready: 200 503
        get /v1/records: 200 400 500 503
        post /v1/records: 200 400 415 500 503
        get /v1/records/{id}: 200 400 404 410 500 503
        get /v1/skeptic: 200 400 422 500 503
        post /v1/vote: 200 201 400 408 410 413 415 422 500 503 507
    "#]]
    .assert_eq(&calls);
    let admin = http.send(&http.admin, Request::get("/v1/openapi.json").body(Body::empty()).unwrap()).await.json();
    for document in [&document, &admin] {
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(document["components"]["schemas"][reference].is_object(), "{reference}");
        }
    }
    let admin: Vec<_> = admin["paths"].as_object().unwrap().keys().filter(|path| path.contains("admin")).collect();
    expect![[
        r#"["/v1/admin/changes", "/v1/admin/cluster", "/v1/admin/compact", "/v1/admin/erase", "/v1/admin/nodes", "/v1/admin/settings", "/v1/admin/status"]"#
    ]]
    .assert_eq(&format!("{admin:?}"));
    let docs = http.get("/docs/").await;
    assert_eq!(docs.status, 200);
    assert!(!docs.text.contains("https://"), "{}", docs.text);
    assert!(http.get("/docs/swagger-initializer.js").await.text.contains("/v1/openapi.json"));
}

/// Three nodes: this one, one that lives, and one that does not.
fn nodes() -> (Cluster, Vec<NodeView>) {
    let member = |name: &str, homes| {
        let addresses = Addresses { client: Some(format!("{name}:18180")), ..Addresses::default() };
        Member {
            node_id: name.into(),
            addresses,
            zone: (name == "fake").then(|| "a".into()),
            homes,
            is_draining: false,
            speaks: Speaks { min: 1, max: 1 },
        }
    };
    let members = vec![member("a", 85), member("b", 86), member("fake", 86)];
    let figures = |hints_pending, records, is_exact| NodeFigures {
        version: "0.1.0".into(),
        replication_lag_ms: 1500,
        hints_pending,
        under_replicated: Shortfall { records, is_exact },
        #[cfg(feature = "next")]
        log_version: None,
    };
    let views = vec![
        NodeView { member: members[0].clone(), state: NodeState::Down, figures: None },
        NodeView { member: members[1].clone(), state: NodeState::Alive, figures: Some(figures(7, 5, true)) },
        NodeView { member: members[2].clone(), state: NodeState::Alive, figures: Some(figures(1, 2, true)) },
    ];
    let cluster = Cluster {
        cluster_id: Some("0f".repeat(16)),
        epoch: 3,
        leader: Some("b".into()),
        members,
        settings: ClusterSettings { replication_factor: 2 },
        ..Cluster::default()
    };
    (cluster, views)
}

#[tokio::test]
async fn an_operator_sees_the_cluster_and_each_of_its_nodes() {
    let http = Http::new();
    let (cluster, views) = nodes();
    *http.fake.cluster.lock().unwrap() = cluster;
    *http.fake.nodes.lock().unwrap() = Ok(views);
    *http.fake.status.lock().unwrap() = Some(status());
    let ask = async |path: &str| http.send(&http.admin, Request::get(path).body(Body::empty()).unwrap()).await;
    let cluster = ask("/v1/admin/cluster").await.json();
    assert_eq!((&cluster["epoch"], &cluster["leader"], &cluster["copies"]), (&3.into(), &"b".into(), &2.into()));
    assert_eq!((cluster["members"].as_array().unwrap().len(), &cluster["members"][2]["zone"]), (3, &"a".into()));
    let nodes = ask("/v1/admin/nodes").await.json();
    expect![[r#"{"addresses":{"client":"a:18180","gossip":null,"rpc":null},"hints_pending":null,"homes":85,"is_draining":false,"is_leader":false,"is_self":false,"node_id":"a","replication_lag_seconds":null,"speaks":{"max":1,"min":1},"state":"down","under_replicated":null,"version":null,"zone":null}"#]]
        .assert_eq(&nodes["nodes"][0].to_string());
    let of = |number: usize, name: &str| nodes["nodes"][number][name].clone();
    assert_eq!((of(1, "is_leader"), of(2, "is_leader"), of(2, "is_self")), (true.into(), false.into(), true.into()));
    assert_eq!(
        (of(1, "replication_lag_seconds"), of(1, "under_replicated")["records"].clone()),
        (1.5.into(), 5.into())
    );
    let glance = ask("/v1/admin/status").await.json();
    assert_eq!((&glance["records"], &glance["node_id"]), (&9.into(), &"fake".into()));
    expect![[r#"{"active_version":null,"cluster_id":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","copies":2,"epoch":3,"hints_pending":8,"leader":"b","nodes":3,"nodes_up":2,"replication_factor":2,"under_replicated":{"is_exact":false,"records":7}}"#]]
        .assert_eq(&glance["cluster"].to_string());
}

#[tokio::test]
async fn an_operator_changes_a_setting_of_a_cluster_and_not_of_a_node_alone() {
    let http = Http::new();
    let change = async |copies: u8| {
        let body = Body::from(format!(r#"{{"replication_factor":{copies}}}"#));
        http.send(&http.admin, Request::post("/v1/admin/settings").body(body).unwrap()).await
    };
    let (mut cluster, _) = nodes();
    *http.fake.cluster.lock().unwrap() = cluster.clone();
    assert_eq!(change(3).await.json()["replication_factor"], 3);
    assert_eq!(http.fake.cluster.lock().unwrap().settings.replication_factor, 3);
    assert_eq!(change(1).await.problem(), "422 out_of_range replication_factor");
    cluster.members.truncate(1);
    *http.fake.cluster.lock().unwrap() = cluster;
    assert_eq!(change(3).await.problem(), "422 out_of_range replication_factor");
    assert_eq!(http.fake.cluster.lock().unwrap().settings.replication_factor, 2);
}

#[tokio::test]
async fn a_node_that_cannot_tell_of_its_cluster_tells_of_itself() {
    let http = Http::new();
    *http.fake.nodes.lock().unwrap() = Err(ReadError::Unavailable { who: "anybody".into(), retry_after_s: 3 });
    *http.fake.status.lock().unwrap() = Some(status());
    let ask = async |path: &str| http.send(&http.admin, Request::get(path).body(Body::empty()).unwrap()).await;
    let told = ask("/v1/admin/status").await.json();
    assert_eq!((&told["records"], &told["cluster"]), (&9.into(), &Value::Null));
    let refused = ask("/v1/admin/nodes").await;
    assert_eq!((refused.problem(), refused.header("retry-after")), ("503 unavailable -".into(), "3"));
}

fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        node_id: "fake".into(),
        parts: Vec::new(),
        index_engine: "memory".into(),
        records: 9,
        erased: 0,
        damaged: 0,
        segments: 1,
        log_bytes: 2,
        index_bytes: 3,
        uptime_s: 4,
    }
}

#[tokio::test]
async fn as_many_copies_are_asked_for_as_the_client_wants() {
    let http = Http::new();
    for query in ["", "?ack=default", "?ack=1", "?ack=all"] {
        http.post(&format!("/v1/assert{query}"), envelope_of("assertion")).await;
        http.post(&format!("/v1/records{query}"), envelope_of("assertion")).await;
    }
    let (default, one, all) = (Ack::Default, Ack::One, Ack::All);
    let wanted = [default, default, default, default, one, one, all, all];
    assert_eq!(*http.fake.acks.lock().unwrap(), wanted);
}

#[tokio::test]
async fn who_did_not_answer_is_named() {
    let http = Http::new();
    let who = "3b6a27bcceb6a42d and 81bc1f0000000000".to_owned();
    *http.fake.refuse_writes.lock().unwrap() =
        Some(SubmitError::Unavailable { durable: 1, wanted: 3, who: who.clone(), retry_after_s: 1 });
    *http.fake.page.lock().unwrap() = Some(Err(ReadError::Unavailable { who: who.clone(), retry_after_s: 1 }));
    let write = http.post("/v1/assert?ack=all", envelope_of("assertion")).await.json()["detail"].clone();
    let read = http.get("/v1/query?consistency=all").await.json()["detail"].clone();
    assert!(
        write.as_str().unwrap().starts_with(&format!("1 of 3 copies are durable, no answer from {who}")),
        "{write}"
    );
    assert_eq!(read, format!("no answer from {who}"));
    assert_eq!(http.fake.plans.lock().unwrap()[0].consistency, Consistency::All);
}

#[tokio::test]
async fn health_and_metrics_are_on_both_listeners() {
    let http = Http::new();
    for router in [&http.client, &http.admin] {
        let health = http.send(router, Request::get("/v1/health").body(Body::empty()).unwrap()).await;
        assert_eq!(
            health.json(),
            serde_json::json!({
                "status": "healthy", "version": "0.1.0", "node_id": "fake",
                "speaks": {"min": 1, "max": 1}, "active_version": 1,
            })
        );
        let metrics = http.send(router, Request::get("/metrics").body(Body::empty()).unwrap()).await;
        assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
        assert_eq!(metrics.status, StatusCode::OK.as_u16());
    }
}

#[tokio::test]
async fn a_change_of_the_cluster_is_planned_made_or_refused_with_the_reason() {
    let http = Http::new();
    let change = async |body: &str| {
        let request = Request::post("/v1/admin/changes").body(Body::from(body.to_owned())).unwrap();
        http.send(&http.admin, request).await
    };
    let planned = change(r#"{"change":"drain","node":"00000000000000aa","plan":true}"#).await.json();
    assert_eq!(planned, serde_json::json!({"is_made": false, "homes_to_move": 3, "active_version": 1, "nodes": []}));
    assert_eq!(change(r#"{"change":"pause"}"#).await.json()["is_made"], true);
    let refused = change(r#"{"change":"remove","node":"00000000000000aa"}"#).await;
    assert_eq!(
        (refused.problem(), refused.json()["detail"].as_str().unwrap()),
        ("409 conflict -".into(), "nobody else has it")
    );
    let unheard = change(r#"{"change":"join","node":"00000000000000aa"}"#).await;
    assert!(unheard.json()["detail"].as_str().unwrap().contains("node 00000000000000aa waits for nothing here"));
    assert_eq!(change(r#"{"change":"drain"}"#).await.problem(), "422 missing_field node");
}
