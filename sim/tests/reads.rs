//! Reads among three nodes: how old an answer says it is, who may give one, what a slow or dead node changes, and that a
//! read of all finds what is nowhere but in a hint.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use api::json::envelope_json;
use ed25519_dalek::SigningKey;
use model::record::{Alias, Authors, Pair, Subject};
use model::{AgentId, Body, Record, Timestamp, acceptance};
use serde_json::Value;
use sim::client::{Answer, Author, Request};
use sim::cluster::{Process, Shape};
use sim::invariants::OnDisk;
use sim::run::Run;
use sim::trace::Now;
use sim::world::EPOCH_MS;
use std::time::Duration;
use storage::store::Lookup;

const MS: Duration = Duration::from_millis(1);
const LIMIT: Duration = Duration::from_secs(20);
/// Enough that every pair of three nodes owns some of them.
const SUBJECTS: usize = 24;
/// `read.hedge_ms`.
const HEDGE: Duration = Duration::from_millis(20);
/// There and back twice over the simulated network, at its slowest, and a disk in between.
const WAY: Duration = Duration::from_millis(20);

/// Three ready nodes of one cluster.
fn ready(seed: u64) -> Run {
    let mut run = Run::new(Shape { nodes: 3, ..Shape::default() }, Vec::new(), seed, Now::default());
    run.start_all(LIMIT).unwrap();
    run
}

fn subject(number: usize) -> String {
    format!("test://subject/{number:02}")
}

fn claim(number: usize, value: &str) -> Record {
    Author::numbered(1).claim(&subject(number), "is", value, EPOCH_MS)
}

/// Asks a node, and wants an answer.
fn ask(run: &mut Run, node: usize, request: Request) -> Answer {
    run.ask(node, request).unwrap().unwrap()
}

fn write(run: &mut Run, node: usize, record: &Record) -> Answer {
    ask(run, node, Request::post("/v1/assert", envelope_json(record.envelope())))
}

/// Has one claim on every subject written, each at another node.
fn write_all(run: &mut Run, value: &str) {
    for number in 0..SUBJECTS {
        let receipt = write(run, number % 3, &claim(number, value));
        assert_eq!((receipt.status, receipt.json()["copies"].as_u64()), (201, Some(2)), "{}", receipt.text());
    }
}

fn query(run: &mut Run, node: usize, parameters: &str) -> Value {
    let answer = ask(run, node, Request::get(format!("/v1/query?lens=none&{parameters}")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What a node answers on every subject.
fn query_all(run: &mut Run, node: usize) -> Vec<Value> {
    (0..SUBJECTS).map(|number| query(run, node, &format!("subject={}", subject(number)))).collect()
}

/// The questions of an answer, and how many claims there are on each.
fn claims(answer: &Value) -> Vec<(String, usize)> {
    let count = |answer: &Value| answer["candidates"].as_array().unwrap().len();
    let answers = answer["result"]["answers"].as_array().unwrap();
    answers.iter().map(|answer| (answer["subject"].as_str().unwrap().to_owned(), count(answer))).collect()
}

fn start_and_listen(run: &mut Run, node: usize) {
    run.cluster.start(node);
    run.until("the node listens", LIMIT, |run| run.cluster.process(node) == Process::Up).unwrap();
}

#[test]
fn an_answer_says_how_old_it_is_from_the_founding_on() {
    let mut run = ready(1);
    write_all(&mut run, "first");
    for node in 0..3 {
        for answer in query_all(&mut run, node) {
            let meta = &answer["meta"];
            let age = Duration::from_millis(meta["freshness_ms"].as_u64().unwrap());
            assert!(age <= run.cluster.elapsed(), "{meta}");
            assert_eq!((meta["lens"].as_str(), meta["copies_consulted"].as_u64()), (Some("none"), Some(1)), "{meta}");
            assert_eq!(meta["placement_epoch"].as_u64(), Some(1), "{meta}");
        }
        let all = query(&mut run, node, "prefix=test://&consistency=all");
        assert_eq!(all["meta"]["freshness_ms"].as_u64(), Some(0), "everybody was asked just now");
        assert_eq!(all["meta"]["copies_consulted"].as_u64(), Some(2));
    }
}

#[test]
fn a_node_that_is_back_is_set_aside_for_an_owner_that_was_there() {
    let mut run = ready(2);
    write_all(&mut run, "first");
    run.cluster.kill(2);
    run.pass(2_000 * MS).unwrap();
    (0..SUBJECTS).for_each(|number| drop(write(&mut run, number % 2, &claim(number, "second"))));
    start_and_listen(&mut run, 2);
    for node in [2, 0] {
        for answer in query_all(&mut run, node) {
            assert!(answer["meta"]["freshness_ms"].is_u64(), "{answer}");
            assert_eq!(claims(&answer)[0].1, 2, "{answer}");
        }
        let listed = query(&mut run, node, "prefix=test://");
        assert!(listed["meta"]["freshness_ms"].is_u64(), "{listed}");
        assert!(claims(&listed).iter().all(|(_, count)| *count == 2), "{listed}");
    }
}

#[test]
fn where_only_a_node_that_is_back_can_answer_nobody_says_how_old_that_is() {
    let mut run = ready(3);
    write_all(&mut run, "first");
    run.cluster.kill(1);
    run.cluster.kill(2);
    run.pass(3_000 * MS).unwrap();
    start_and_listen(&mut run, 2);
    for node in [2, 0] {
        let answers = query_all(&mut run, node);
        assert!(answers.iter().all(|answer| claims(answer)[0].1 == 1), "what it has it gives");
        let unknown = answers.iter().filter(|answer| answer["meta"]["freshness_ms"].is_null()).count();
        assert!((1..SUBJECTS).contains(&unknown), "{unknown}: the first node was there all the time");
        let listed = query(&mut run, node, "prefix=test://");
        assert_eq!(listed["meta"]["freshness_ms"], Value::Null);
        assert_eq!(claims(&listed).len(), SUBJECTS);
    }
}

#[test]
fn a_node_whose_clock_the_others_find_wrong_takes_neither_writes_nor_queries() {
    let mut run = ready(4);
    write_all(&mut run, "first");
    run.cluster.kill(0);
    run.cluster.set_skew_ms(0, 60_000);
    start_and_listen(&mut run, 0);
    let says = |run: &mut Run, request| {
        let answer = ask(run, 0, request);
        (answer.status, answer.text().contains("clock"))
    };
    let ready = Request::get("/v1/ready");
    let begun = run.cluster.elapsed();
    while says(&mut run, ready.clone()) != (503, true) {
        assert!(run.cluster.elapsed() - begun < LIMIT, "it never heard of it");
        run.pass(50 * MS).unwrap();
    }
    for number in 0..SUBJECTS {
        let write = Request::post("/v1/assert?ack=1", envelope_json(claim(number, "second").envelope()));
        assert_eq!(says(&mut run, write), (503, true));
    }
    assert_eq!(says(&mut run, Request::get(format!("/v1/query?subject={}", subject(1)))), (503, true));
    let first = claim(1, "first").id();
    assert_eq!(
        ask(&mut run, 0, Request::get(format!("/v1/records/{first}"))).status,
        200,
        "no clock is needed for that"
    );
    let elsewhere = write(&mut run, 1, &claim(1, "second"));
    assert_eq!((elsewhere.status, elsewhere.json()["copies"].as_u64()), (201, Some(2)), "{}", elsewhere.text());
}

#[test]
fn a_slow_owner_costs_a_read_no_more_than_the_hedge() {
    let mut run = ready(5);
    write_all(&mut run, "first");
    query_all(&mut run, 0);
    let mut hedged = 0;
    for slow in [1, 2] {
        run.cluster.stall(slow, 5_000 * MS);
        for number in 0..SUBJECTS {
            let begun = run.cluster.elapsed();
            let answer = query(&mut run, 0, &format!("subject={}", subject(number)));
            let took = run.cluster.elapsed() - begun;
            assert_eq!(claims(&answer)[0].1, 1);
            assert!(took <= HEDGE + WAY, "{took:?} for {}", subject(number));
            hedged += usize::from(took >= HEDGE);
        }
        run.pass(8_000 * MS).unwrap();
    }
    assert!(hedged > 0, "no read met the slow node");
}

#[test]
fn a_cursor_goes_on_at_another_node_when_the_one_that_gave_it_is_dead() {
    let mut run = ready(6);
    write_all(&mut run, "first");
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    for node in [0, 1, 2, 1, 2] {
        let page = query(&mut run, node, &format!("prefix=test://&limit=5{cursor}"));
        pages.extend(claims(&page));
        if node == 0 {
            run.cluster.kill(0);
        }
        // Written after the first page: not a part of what the cursor goes through.
        write(&mut run, 1, &claim(SUBJECTS - 1, &format!("after page {}", pages.len())));
        let next = page["meta"]["cursor"].as_str();
        cursor = next.map_or_else(String::new, |next| format!("&cursor={next}"));
    }
    assert_eq!(cursor, "");
    let expected: Vec<_> = (0..SUBJECTS).map(|number| (subject(number), 1)).collect();
    assert_eq!(pages, expected, "none twice, none missing, nothing newer");
}

/// The nodes on whose disks a record is as an owner's.
fn owned_at(run: &Run, record: &Record) -> Vec<usize> {
    let holds =
        |node: &usize| matches!(OnDisk::read(run.cluster.disk(*node)).unwrap().get(&record.id()), Ok(Lookup::Found(_)));
    (0..3).filter(holds).collect()
}

/// Three nodes of which one keeps hints that no owner has, the others having been away; they are just back.
fn with_hints_only(seed: u64) -> (Run, Vec<Record>) {
    let mut run = ready(seed);
    write_all(&mut run, "first");
    run.cluster.kill(1);
    run.cluster.kill(2);
    run.pass(2_000 * MS).unwrap();
    let author = Author::numbered(2);
    let records: Vec<_> =
        (0..SUBJECTS).map(|number| author.claim(&subject(number), "was", "second", EPOCH_MS)).collect();
    for record in &records {
        let write = Request::post("/v1/assert?ack=1", envelope_json(record.envelope()));
        assert_eq!(ask(&mut run, 0, write).status, 201);
    }
    for node in [1, 2] {
        start_and_listen(&mut run, node);
    }
    let hints: Vec<_> = records.into_iter().filter(|record| owned_at(&run, record).is_empty()).collect();
    assert!(!hints.is_empty(), "the two that were away own something together");
    (run, hints)
}

/// Asks until there is an answer: nodes that have just come back take a moment.
fn first_answer(run: &mut Run, request: &str) -> Value {
    let begun = run.cluster.elapsed();
    loop {
        let answer = ask(run, 0, Request::get(request));
        match answer.status {
            200 => return answer.json(),
            status => assert!(status == 503 && run.cluster.elapsed() - begun < LIMIT, "{}", answer.text()),
        }
        run.pass(5 * MS).unwrap();
    }
}

#[test]
fn a_claim_that_is_nowhere_but_in_a_hint_is_found_by_every_query_of_all_and_brought_to_its_owners() {
    let agent = Author::numbered(2).claim("a://b", "is", "c", 1).envelope().body().authors().as_slice()[0].to_string();
    let of_subject = |hint: &Record| match hint.body() {
        Body::Assertion(claim) => claim.subject.to_string(),
        other @ (Body::Vote(_) | Body::Alias(_) | Body::Opaque(_)) => panic!("{other:?}"),
    };
    for (seed, kind) in ["subject", "prefix", "predicate", "agent"].into_iter().enumerate() {
        let (mut run, hints) = with_hints_only(20 + seed as u64);
        let asked = match kind {
            "subject" => format!("subject={}", of_subject(&hints[0])),
            "prefix" => "prefix=test://subject/".to_owned(),
            "predicate" => "predicate=was".to_owned(),
            _ => format!("agent={agent}"),
        };
        let answer = first_answer(&mut run, &format!("/v1/query?lens=none&consistency=all&{asked}"));
        let text = answer.to_string();
        for hint in hints.iter().take(if kind == "subject" { 1 } else { usize::MAX }) {
            assert!(text.contains(&hint.id().to_string()), "by {kind}: {} is missing", hint.id());
            assert_eq!(owned_at(&run, hint), [1, 2], "by {kind}: its owners have it now");
        }
        assert_eq!(
            (answer["meta"]["freshness_ms"].as_u64(), answer["meta"]["copies_consulted"].as_u64()),
            (Some(0), Some(2))
        );
    }
    let (mut run, hints) = with_hints_only(30);
    first_answer(&mut run, &format!("/v1/records/{}", hints[0].id()));
    let at_another = ask(&mut run, 1, Request::get(format!("/v1/records/{}", hints[0].id())));
    assert_eq!(at_another.body, envelope_json(hints[0].envelope()));
}

#[test]
fn a_read_of_all_that_is_missing_a_node_names_it() {
    let mut run = ready(7);
    write_all(&mut run, "first");
    let name = ask(&mut run, 2, Request::get("/v1/health")).json()["node_id"].as_str().unwrap().to_owned();
    run.cluster.kill(2);
    for asked in [format!("subject={}", subject(1)), "prefix=test://".to_owned(), "predicate=is".to_owned()] {
        let answer = ask(&mut run, 0, Request::get(format!("/v1/query?consistency=all&{asked}")));
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.text().contains(&name), "{} does not name {name}", answer.text());
        assert_eq!(
            ask(&mut run, 0, Request::get(format!("/v1/query?{asked}"))).status,
            200,
            "one copy is enough for that"
        );
    }
}

#[test]
fn a_global_record_written_at_one_node_is_given_by_each_without_the_others() {
    let mut run = ready(8);
    let key = SigningKey::from_bytes(&[7; 32]);
    let alias = Alias {
        authors: Authors::new(vec![AgentId(key.verifying_key().to_bytes())]).unwrap(),
        timestamp: Timestamp::from_ms(1).unwrap(),
        pair: Pair::new(Subject::new("test://one").unwrap(), Subject::new("test://other").unwrap()).unwrap(),
    };
    let alias = acceptance::sign(Body::Alias(Box::new(alias)), &[key]).unwrap();
    let receipt = ask(&mut run, 0, Request::post("/v1/aliases", envelope_json(alias.envelope())));
    assert_eq!((receipt.status, receipt.json()["copies"].as_u64()), (201, Some(2)), "{}", receipt.text());
    let begun = run.cluster.elapsed();
    while owned_at(&run, &alias).len() < 3 {
        assert!(run.cluster.elapsed() - begun < LIMIT, "it lies at {:?} only", owned_at(&run, &alias));
        run.pass(100 * MS).unwrap();
    }
    for node in 0..3 {
        run.cluster.isolate(node);
        let answer = ask(&mut run, node, Request::get(format!("/v1/records/{}", alias.id())));
        assert_eq!((answer.status, answer.body), (200, envelope_json(alias.envelope())));
        run.cluster.heal();
    }
}
