//! Commands that sign: `keygen`, `assert` and `vote`.

use super::client::Client;
use super::console::{Console, Tone};
use super::failure::Failure;
use super::import::sources::words;
use super::keys::{NamedKey, OWN_KEY, rotate_cluster_key, write_cluster_key};
use super::signing::{refused, signed_line, sole_author};
use super::text::parse_moment;
use crate::cluster_key::Step;
use model::record::{
    Confidence, Lifecycle, Meta, Object, Predicate, SourceClass, Subject, Text, Validity, Vector, Vote as VoteBody,
    Weight,
};
use model::{AgentId, Assertion, Body, RecordId, Refusal, Timestamp, canonical};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Makes a secret key.
#[derive(Clone, Debug, clap::Args)]
pub struct Keygen {
    /// Where to write it, mode 600 [default: default.key in the key folder, with which `assert` and `vote` sign]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What to call the agent on displays
    #[arg(long, default_value = "me")]
    pub name: String,
    /// Makes the key of a cluster in place of an agent's [default file: cluster.key in the working folder]
    #[arg(long, conflicts_with = "name")]
    pub cluster: bool,
    /// Takes the next of three steps to another key of a cluster, in this file: add it, use it, drop the old one
    #[arg(long, value_name = "FILE", requires = "cluster", conflicts_with = "out")]
    pub rotate: Option<PathBuf>,
}

impl Keygen {
    /// Writes the key and prints the agent's id, or where the cluster's key is; the secret is never printed.
    ///
    /// # Errors
    ///
    /// Those of [`NamedKey::write`].
    pub fn run(&self, keys: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        if self.cluster {
            return self.run_for_cluster(json, console);
        }
        let path = self.out.clone().unwrap_or_else(|| keys.join(OWN_KEY));
        let key = NamedKey::generate(&self.name)?;
        key.write(&path)?;
        if json {
            return Ok(console.json(&json!({"agent_id": key.agent_id().to_string(), "file": path}))?);
        }
        Ok(console.line(key.agent_id())?)
    }

    fn run_for_cluster(&self, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        if let Some(path) = &self.rotate {
            return rotate(path, json, console);
        }
        let path = self.out.clone().unwrap_or_else(|| PathBuf::from("cluster.key"));
        write_cluster_key(&path)?;
        if json {
            return Ok(console.json(&json!({"file": path}))?);
        }
        let path = path.display();
        Ok(console.line(format_args!("{path}: give every node a copy, and its path as cluster_key_file"))?)
    }
}

/// Takes a step, and says what to do before the next.
fn rotate(path: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let step = rotate_cluster_key(path)?;
    let (word, then) = match step {
        Step::Added => ("added", "then run this again: the next key will be used"),
        Step::Used => ("used", "then run this again: the old key will be dropped"),
        Step::Dropped => ("dropped", "then the change is done"),
    };
    if json {
        return Ok(console.json(&json!({"file": path, "step": word}))?);
    }
    let path = path.display();
    Ok(console.line(format_args!("{path}: {word}. Give every node a copy and send each SIGHUP; {then}"))?)
}

/// Who signs, and when.
#[derive(Clone, Debug, clap::Args)]
pub struct Signing {
    /// The secret key to sign with [default: default.key in the key folder]
    #[arg(long, value_name = "FILE", env = "STEMEDB_KEY", hide_env_values = true)]
    pub key: Option<PathBuf>,
    /// When it is claimed [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub timestamp: Option<Timestamp>,
}

impl Signing {
    fn key(&self, keys: &Path) -> Result<NamedKey, Failure> {
        let path = self.key.clone().unwrap_or_else(|| keys.join(OWN_KEY));
        if path.exists() {
            return NamedKey::read(&path);
        }
        let how = if self.key.is_some() { format!(" --out {}", path.display()) } else { String::new() };
        Err(Failure::Failed(format!("there is no key {}: make one with `stemedb keygen{how}`", path.display())))
    }
}

/// Signs one claim.
#[derive(Clone, Debug, clap::Args)]
pub struct Assert {
    /// What it is about, like geo://country/BO
    pub subject: String,
    /// Which property, like capital
    pub predicate: String,
    /// What it is: true and false are Boolean, a JSON number is a Number, all else is Text
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// Takes the value as this type
    #[arg(long = "type", value_name = "TYPE")]
    #[arg(value_parser = ["Text", "Number", "Boolean", "Reference"], ignore_case = true)]
    pub object_type: Option<String>,
    /// How sure you are, 0 to 1
    #[arg(long, default_value_t = 0.5)]
    pub confidence: f64,
    /// What it rests on: regulatory, clinical, observational, expert, community or anecdotal
    #[arg(long, value_name = "CLASS", default_value = "community", value_parser = source_class)]
    pub source_class: SourceClass,
    /// proposed, under_review, approved, deprecated or rejected
    #[arg(long, default_value = "proposed", value_parser = lifecycle)]
    pub lifecycle: Lifecycle,
    /// The claim that this one follows
    #[arg(long, value_name = "ID", value_parser = record_id)]
    pub parent: Option<RecordId>,
    /// From when it holds
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub valid_from: Option<Timestamp>,
    /// Until when it holds
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub valid_to: Option<Timestamp>,
    /// Whatever else, as KEY=TEXT; may be repeated
    #[arg(long, value_name = "KEY=TEXT", value_parser = pair)]
    pub meta: Vec<(String, String)>,
    /// Who signs, and when.
    #[command(flatten)]
    pub signing: Signing,
}

impl Assert {
    /// Signs and sends.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] if a field is, here or by the node.
    pub fn run(&self, client: &Client, keys: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let key = self.signing.key(keys)?;
        let now = self.signing.timestamp.unwrap_or(console.now);
        let assertion = self.assertion(key.agent_id(), now).map_err(|refusal| refused(&refusal))?;
        send(client, "/v1/assert", Body::Assertion(Box::new(assertion)), &key, json, console)
    }

    fn assertion(&self, author: AgentId, timestamp: Timestamp) -> Result<Assertion, Refusal> {
        Ok(Assertion {
            authors: sole_author(author)?,
            timestamp,
            subject: Subject::new(self.subject.as_str())?,
            predicate: Predicate::new(self.predicate.as_str())?,
            object: object(&self.value, self.object_type.as_deref())?,
            confidence: Confidence::new(self.confidence)?,
            source_class: self.source_class,
            lifecycle: self.lifecycle,
            source_hash: None,
            parent_hash: self.parent,
            epoch: None,
            visual_hash: None,
            vector: Vector::default(),
            validity: Validity::new(self.valid_from, self.valid_to)?,
            meta: if self.meta.is_empty() { Meta::default() } else { Meta::new(self.meta.clone())? },
        })
    }
}

/// Signs a verdict on a claim.
#[derive(Clone, Debug, clap::Args)]
pub struct Vote {
    /// The id of the claim
    #[arg(value_name = "CLAIM", value_parser = record_id)]
    pub target: RecordId,
    /// How far you agree, -1 to 1
    #[arg(allow_negative_numbers = true)]
    pub weight: f64,
    /// The subject of the claim [default: asked of the node]
    #[arg(long)]
    pub subject: Option<String>,
    /// Who signs, and when.
    #[command(flatten)]
    pub signing: Signing,
}

impl Vote {
    /// Signs and sends.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] if the weight is, or if the node does not know the claim and no subject is given.
    pub fn run(&self, client: &Client, keys: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let key = self.signing.key(keys)?;
        let subject = self.subject.clone().map_or_else(|| self.ask_for_subject(client), Ok)?;
        let vote = || {
            Ok(VoteBody {
                authors: sole_author(key.agent_id())?,
                timestamp: self.signing.timestamp.unwrap_or(console.now),
                subject: Subject::new(subject)?,
                target: self.target,
                weight: Weight::new(self.weight)?,
            })
        };
        let vote = vote().map_err(|refusal: Refusal| refused(&refusal))?;
        send(client, "/v1/vote", Body::Vote(Box::new(vote)), &key, json, console)
    }

    fn ask_for_subject(&self, client: &Client) -> Result<String, Failure> {
        let reply = client.get(&format!("/v1/records/{}", self.target), &[])?;
        if reply.status == 404 {
            return Err(Failure::Refused(
                "the node does not know the claim: give its subject with --subject".to_owned(),
            ));
        }
        let record = reply.taken()?;
        let subject = record.get("subject").and_then(Value::as_str).map(str::to_owned);
        subject.ok_or_else(|| Failure::Refused(format!("{} is no claim: it has no subject", self.target)))
    }
}

fn send(
    client: &Client,
    path: &str,
    body: Body,
    key: &NamedKey,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (id, line) = signed_line(body, key).map_err(|refusal| refused(&refusal))?;
    let answer = client.post(path, &[], "application/json", &line)?.taken()?;
    if json {
        return Ok(console.json(&answer)?);
    }
    let status = answer.get("status").and_then(Value::as_str).unwrap_or("taken");
    let copies = answer.get("copies").and_then(Value::as_u64).unwrap_or(1);
    let copies = if copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") };
    let told = console.paint(Tone::Dim, &format!("{status}, durable in {copies}"));
    console.line(format_args!("{id}  {told}"))?;
    if answer.get("target_known").and_then(Value::as_bool) == Some(false) {
        let note = console.paint(Tone::Warning, "its target is not known here yet; the vote is kept");
        console.line(note)?;
    }
    Ok(())
}

fn object(value: &str, object_type: Option<&str>) -> Result<Object, Refusal> {
    let in_value = |refusal: Refusal| Refusal { field: "object.value".into(), ..refusal };
    let number = |text| canonical::number_literal(text).map_err(in_value).map(Object::Number);
    let boolean = match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    match object_type.map(str::to_ascii_lowercase).as_deref() {
        Some("text") => Text::new(value).map(Object::Text),
        Some("number") => number(value),
        Some("reference") => Subject::new(value).map_err(in_value).map(Object::Reference),
        Some(_) => boolean
            .map(Object::Boolean)
            .ok_or_else(|| Refusal::new(model::Code::WrongType, "object.value", "true or false")),
        None if boolean.is_some() => Ok(Object::Boolean(value == "true")),
        None if serde_json::from_str::<serde_json::Number>(value).is_ok() => number(value),
        None => Text::new(value).map(Object::Text),
    }
}

fn source_class(word: &str) -> Result<SourceClass, String> {
    SourceClass::from_word(word).ok_or_else(|| format!("expected {}", words(SourceClass::ALL, SourceClass::as_str)))
}

fn lifecycle(word: &str) -> Result<Lifecycle, String> {
    Lifecycle::from_word(word).ok_or_else(|| format!("expected {}", words(Lifecycle::ALL, Lifecycle::as_str)))
}

/// An id given on the command line.
///
/// # Errors
///
/// A phrase that says what would be accepted.
pub(super) fn record_id(text: &str) -> Result<RecordId, String> {
    RecordId::from_hex(text).ok_or_else(|| "expected 64 lower-case hex digits".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=TEXT")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[test]
fn a_value_is_of_the_type_it_looks_like_or_is_said_to_be() {
    let told = |value, object_type| format!("{:?}", object(value, object_type));
    for (value, object_type, expected) in [
        ("La Paz", None, "Ok(Text(\"La Paz\"))"),
        ("263", None, "Ok(Number(Finite(263.0)))"),
        ("263", Some("Text"), "Ok(Text(\"263\"))"),
        ("0263", None, "Ok(Text(\"0263\"))"),
        ("true", None, "Ok(Boolean(true))"),
        ("geo://x", Some("reference"), "Ok(Reference(\"geo://x\"))"),
    ] {
        assert_eq!(told(value, object_type), expected);
    }
    assert!(told("9007199254740993", None).contains("OutOfRange"));
    assert!(told("yes", Some("boolean")).contains("true or false"));
}
