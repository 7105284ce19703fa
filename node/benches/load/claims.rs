//! Signed claims, printed before anything is measured: made ones in the shape of the advisories, or those of a file.

use super::cores;
use api::json::envelope_json;
use ed25519_dalek::SigningKey;
use model::canonical::{canonical_bytes, signing_message};
use model::record::{
    Assertion, Authors, Confidence, Lifecycle, Meta, Object, Predicate, SourceClass, Subject, Text, Validity, Vector,
};
use model::{AgentId, Body, Signature, Timestamp, acceptance};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

/// How many agents sign made claims.
const AGENTS: u64 = 64;
/// The length of the value of a made claim in bytes.
const VALUE_BYTES: usize = 250;
/// Claims come in blocks of so many, and every [`CROWDED`]th block is one question.
const BLOCK: u64 = 32;
const CROWDED: u64 = 16;
/// Claims about one subject, outside of crowded blocks, and the predicate of each.
const PREDICATES: [&str; 8] =
    ["summary", "alias", "reference", "reference", "reference", "reference", "affects", "affects"];
/// When made claims were made.
const MADE_MS: u64 = 1_780_000_000_000;

/// One claim, ready to be sent and ready to be verified.
#[derive(Debug)]
pub struct Signed {
    /// The envelope as a line of JSON, without the line end.
    pub line: Vec<u8>,
    /// Who signed.
    pub agent: AgentId,
    /// What was signed.
    pub message: [u8; 48],
    /// The signature.
    pub signature: Signature,
    /// The length of the canonical body in bytes.
    pub canonical_bytes: usize,
}

/// A subject and a predicate, for queries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// What is asked about.
    pub subject: String,
    /// Which property.
    pub predicate: String,
}

/// The canonical bytes of all of them.
pub fn canonical_length(claims: &[Signed]) -> usize {
    claims.iter().map(|claim| claim.canonical_bytes).sum()
}

/// The made claims of the given numbers, signed on all cores. The same numbers give the same claims.
pub fn made(numbers: Range<u64>) -> Vec<Signed> {
    let keys: Vec<_> = (0..AGENTS).map(|agent| key(&format!("agent {agent}"))).collect();
    let numbers: Vec<_> = numbers.collect();
    in_parallel(&numbers, |number| {
        let agent = if crowded(*number) { number % AGENTS } else { number / 4 % AGENTS };
        let question = made_question(*number);
        let key = keys.get(usize::try_from(agent).unwrap()).unwrap();
        sign(key, assertion(&question, value(*number), MADE_MS + number))
    })
}

/// The question that a made claim answers: about half as many as there are claims, some with 32 rivals.
pub fn made_question(number: u64) -> Question {
    if crowded(number) {
        return Question { subject: format!("cve://CVE-{}-CROWD", number / BLOCK), predicate: "affects".to_owned() };
    }
    let predicate = PREDICATES.iter().cycle().nth(usize::try_from(number % 8).unwrap()).unwrap();
    Question { subject: format!("cve://CVE-2026-{:07}", number / 8), predicate: (*predicate).to_owned() }
}

fn crowded(number: u64) -> bool {
    (number / BLOCK).is_multiple_of(CROWDED)
}

/// [`VALUE_BYTES`] of text that does not compress.
fn value(number: u64) -> String {
    let mut noise = [0; VALUE_BYTES / 2];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
    noise.iter().fold(String::with_capacity(VALUE_BYTES), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A line of a file of claims, as `stemedb import` reads it.
#[derive(Deserialize)]
struct Line {
    subject: String,
    predicate: String,
    object: TextObject,
    source: String,
    #[serde(default)]
    evidence: String,
}

#[derive(Deserialize)]
struct TextObject {
    value: String,
}

/// The claims of a file of lines with text objects, plain or `.gz`, signed by one key a source, and their questions.
/// Each has a time of its own, so that lines that say the same are claims of their own.
pub fn of_file(path: &Path) -> (Vec<Signed>, Vec<Question>) {
    let file = std::fs::File::open(path).unwrap();
    let reader: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let lines: Vec<Line> =
        BufReader::new(reader).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let keys: BTreeMap<&str, SigningKey> = lines.iter().map(|line| (line.source.as_str(), key(&line.source))).collect();
    let numbered: Vec<_> = (0..).zip(&lines).collect();
    let claims = in_parallel(&numbered, |(number, line)| {
        let question = Question { subject: line.subject.clone(), predicate: line.predicate.clone() };
        let mut assertion = assertion(&question, line.object.value.clone(), MADE_MS + number);
        if !line.evidence.is_empty() {
            assertion.meta = Meta::new(vec![("evidence".to_owned(), line.evidence.clone())]).unwrap();
        }
        sign(keys.get(line.source.as_str()).unwrap(), assertion)
    });
    (claims, distinct(lines.into_iter().map(|Line { subject, predicate, .. }| Question { subject, predicate })))
}

/// Each question once, in order.
pub fn distinct(questions: impl Iterator<Item = Question>) -> Vec<Question> {
    questions.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn assertion(question: &Question, value: String, timestamp_ms: u64) -> Assertion {
    Assertion {
        authors: Authors::new(vec![AgentId([0; 32])]).unwrap(),
        timestamp: Timestamp::from_ms(timestamp_ms).unwrap(),
        subject: Subject::new(question.subject.as_str()).unwrap(),
        predicate: Predicate::new(question.predicate.as_str()).unwrap(),
        object: Object::Text(Text::new(value).unwrap()),
        confidence: Confidence::new(0.9).unwrap(),
        source_class: SourceClass::Expert,
        lifecycle: Lifecycle::Proposed,
        source_hash: None,
        parent_hash: None,
        epoch: None,
        visual_hash: None,
        vector: Vector::default(),
        validity: Validity::default(),
        meta: Meta::default(),
    }
}

fn sign(key: &SigningKey, mut assertion: Assertion) -> Signed {
    let agent = AgentId(key.verifying_key().to_bytes());
    assertion.authors = Authors::new(vec![agent]).unwrap();
    let record = acceptance::sign(Body::Assertion(Box::new(assertion)), std::slice::from_ref(key)).unwrap();
    Signed {
        line: envelope_json(record.envelope()),
        agent,
        message: signing_message(record.id()),
        signature: *record.envelope().signatures().first().unwrap(),
        canonical_bytes: canonical_bytes(record.body()).len(),
    }
}

fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(blake3::hash(name.as_bytes()).as_bytes())
}

/// `make` of each, in order, on all cores.
fn in_parallel<T: Sync, R: Send>(all: &[T], make: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let make = &make;
        let parts = all.chunks(all.len().div_ceil(cores()).max(1));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().map(make).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}
