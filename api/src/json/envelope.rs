//! From a JSON object to an envelope.
//!
//! Members may stand in any order, so every field of every kind is read as it comes and the kind decides at the end
//! which of them belong. Nothing is verified: a bad signature is still a signature.

use super::path::Path;
use super::reader::Reader;
use model::canonical::number_literal;
use model::id::VisualHash;
#[cfg(feature = "next")]
use model::record::Note;
use model::record::{
    Authors, Confidence, Finite, Lifecycle, Meta, Object, Pair, Predicate, SourceClass, Subject, Text, Validity,
    Vector, Weight,
};
use model::{AgentId, Alias, Assertion, Body, Code, Envelope, RecordId, Refusal, Signature, Timestamp, Vote};
use std::borrow::Cow;

/// The kinds of records that clients may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A claim.
    Assertion,
    /// A verdict on a claim.
    Vote,
    /// Two subjects that name one thing.
    Alias,
    /// A text about a subject: what the next version brings.
    #[cfg(feature = "next")]
    Note,
}

impl Kind {
    /// All of the first version.
    pub const ALL: [Self; 3] = [Self::Assertion, Self::Vote, Self::Alias];

    /// The word that stands in `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Vote => "vote",
            Self::Alias => "alias",
            #[cfg(feature = "next")]
            Self::Note => Note::KIND,
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        #[cfg(feature = "next")]
        if word == Note::KIND {
            return Some(Self::Note);
        }
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Reads one envelope: the body's fields and `signatures`.
///
/// `kind` says what the caller expects; then `kind` may be left out of the text, else it must be there. `v` and
/// `authors` may be left out. One pass without a tree, about 1 ns a byte. No limit on `bytes` but the caller's.
///
/// # Errors
///
/// A [`Refusal`] that names the first rule broken and the field, as a path in the text.
pub fn parse_envelope(bytes: &[u8], kind: Option<Kind>) -> Result<Envelope, Refusal> {
    let mut reader = Reader::new(bytes)?;
    let mut fields = Fields::default();
    reader.object(Path::Body, |reader, key| fields.read(reader, key))?;
    reader.end()?;
    let kind = fields.kind(kind)?;
    if let Some(unknown) = fields.unknown.take() {
        return Err(unknown);
    }
    fields.all_belong_to(kind)?;
    let (authors, signatures) = signed(fields.authors.take(), fields.signatures.take())?;
    let body = match kind {
        Kind::Assertion => Body::Assertion(Box::new(fields.assertion(authors)?)),
        Kind::Vote => Body::Vote(Box::new(fields.vote(authors)?)),
        Kind::Alias => Body::Alias(Box::new(fields.alias(authors)?)),
        #[cfg(feature = "next")]
        Kind::Note => Body::Opaque(Box::new(fields.note(authors)?.into_opaque())),
    };
    Envelope::new(body, signatures)
}

/// Every field of every kind, as far as it was met.
#[derive(Default)]
struct Fields {
    version: Option<()>,
    kind: Option<String>,
    authors: Option<Authors>,
    signatures: Option<Vec<(AgentId, Signature)>>,
    timestamp: Option<Timestamp>,
    subject: Option<Subject>,
    predicate: Option<Predicate>,
    object: Option<Object>,
    confidence: Option<Confidence>,
    source_class: Option<SourceClass>,
    lifecycle: Option<Lifecycle>,
    source_hash: Option<RecordId>,
    parent_hash: Option<RecordId>,
    epoch: Option<RecordId>,
    visual_hash: Option<VisualHash>,
    vector: Option<Vector>,
    valid_from: Option<Timestamp>,
    valid_to: Option<Timestamp>,
    meta: Option<Meta>,
    target: Option<RecordId>,
    weight: Option<Weight>,
    from: Option<Subject>,
    to: Option<Subject>,
    #[cfg(feature = "next")]
    text: Option<Text>,
    /// The refusal of the first key that no kind has. Raised last, so that a kind not taken here is named as such.
    unknown: Option<Refusal>,
}

impl Fields {
    /// Reads the member `key`.
    fn read(&mut self, reader: &mut Reader<'_>, key: &str) -> Result<(), Refusal> {
        let path = Path::Field(key);
        match key {
            "v" => once(&mut self.version, path, || version(reader, path)),
            "kind" => once(&mut self.kind, path, || reader.string(path).map(Cow::into_owned)),
            "authors" => once(&mut self.authors, path, || authors(reader, path)),
            "signatures" => once(&mut self.signatures, path, || signatures(reader, path)),
            "timestamp" => once(&mut self.timestamp, path, || time(reader, path)),
            "subject" => once(&mut self.subject, path, || Subject::new(reader.string(path)?)),
            "predicate" => once(&mut self.predicate, path, || Predicate::new(reader.string(path)?)),
            "object" => once(&mut self.object, path, || object(reader, path)),
            "confidence" => once(&mut self.confidence, path, || Confidence::new(number(reader, path)?.get())),
            "source_class" => {
                once(&mut self.source_class, path, || word(reader, path, SourceClass::from_word, CLASSES))
            }
            "lifecycle" => once(&mut self.lifecycle, path, || word(reader, path, Lifecycle::from_word, LIFECYCLES)),
            "source_hash" => once(&mut self.source_hash, path, || hex(reader, path, RecordId::from_hex, HEX_64)),
            "parent_hash" => once(&mut self.parent_hash, path, || hex(reader, path, RecordId::from_hex, HEX_64)),
            "epoch" => once(&mut self.epoch, path, || hex(reader, path, RecordId::from_hex, HEX_64)),
            "visual_hash" => once(&mut self.visual_hash, path, || hex(reader, path, VisualHash::from_hex, HEX_16)),
            "vector" => once(&mut self.vector, path, || vector(reader, path)),
            "valid_from" => once(&mut self.valid_from, path, || time(reader, path)),
            "valid_to" => once(&mut self.valid_to, path, || time(reader, path)),
            "meta" => once(&mut self.meta, path, || meta(reader, path)),
            "target" => once(&mut self.target, path, || hex(reader, path, RecordId::from_hex, HEX_64)),
            "from" => once(&mut self.from, path, || subject(reader, path)),
            "to" => once(&mut self.to, path, || subject(reader, path)),
            #[cfg(feature = "next")]
            "text" => once(&mut self.text, path, || Text::new(reader.string(path)?)),
            "weight" => once(&mut self.weight, path, || Weight::new(number(reader, path)?.get())),
            _ => {
                self.unknown.get_or_insert_with(|| path.refuse(Code::UnknownField, "only the fields of the kind"));
                reader.skip(path)
            }
        }
    }

    /// The kind that the text names and the caller expects, whichever there is.
    fn kind(&self, expected: Option<Kind>) -> Result<Kind, Refusal> {
        let refuse = |code, phrase: String| Err(Path::Field("kind").refuse(code, phrase));
        match (self.kind.as_deref(), expected) {
            (None, Some(expected)) => Ok(expected),
            (None, None) => refuse(Code::MissingField, KINDS.into()),
            (Some(word), None) => Kind::from_word(word).map_or_else(|| refuse(Code::UnknownKind, KINDS.into()), Ok),
            (Some(word), Some(expected)) if word == expected.as_str() => Ok(expected),
            (Some(_), Some(expected)) => refuse(Code::UnknownKind, format!("`{}`, or left out", expected.as_str())),
        }
    }

    /// Refuses a field of another kind.
    fn all_belong_to(&self, kind: Kind) -> Result<(), Refusal> {
        use Kind::{Alias, Assertion, Vote};
        let fields: [(&str, bool, &[Kind]); 18] = [
            ("target", self.target.is_some(), &[Vote]),
            ("weight", self.weight.is_some(), &[Vote]),
            ("from", self.from.is_some(), &[Alias]),
            ("to", self.to.is_some(), &[Alias]),
            ("subject", self.subject.is_some(), &[Assertion, Vote]),
            ("predicate", self.predicate.is_some(), &[Assertion]),
            ("object", self.object.is_some(), &[Assertion]),
            ("confidence", self.confidence.is_some(), &[Assertion]),
            ("source_class", self.source_class.is_some(), &[Assertion]),
            ("lifecycle", self.lifecycle.is_some(), &[Assertion]),
            ("source_hash", self.source_hash.is_some(), &[Assertion]),
            ("parent_hash", self.parent_hash.is_some(), &[Assertion]),
            ("epoch", self.epoch.is_some(), &[Assertion]),
            ("visual_hash", self.visual_hash.is_some(), &[Assertion]),
            ("vector", self.vector.is_some(), &[Assertion]),
            ("valid_from", self.valid_from.is_some(), &[Assertion]),
            ("valid_to", self.valid_to.is_some(), &[Assertion]),
            ("meta", self.meta.is_some(), &[Assertion]),
        ];
        #[cfg(feature = "next")]
        let fields = fields
            .map(|(name, present, kinds)| (name, present && !(kind == Kind::Note && name == "subject"), kinds))
            .into_iter()
            .chain([("text", self.text.is_some(), &[Kind::Note][..])])
            .collect::<Vec<_>>();
        match fields.iter().find(|(_, present, kinds)| *present && !kinds.contains(&kind)) {
            Some((name, ..)) => Err(Path::Field(name).refuse(Code::UnknownField, "only the fields of the kind")),
            None => Ok(()),
        }
    }

    fn assertion(self, authors: Authors) -> Result<Assertion, Refusal> {
        Ok(Assertion {
            authors,
            timestamp: required(self.timestamp, "timestamp", TIME)?,
            subject: required(self.subject, "subject", "a string")?,
            predicate: required(self.predicate, "predicate", "a string")?,
            object: required(self.object, "object", "an object with `type` and `value`")?,
            confidence: required(self.confidence, "confidence", "a number from 0 to 1")?,
            source_class: required(self.source_class, "source_class", CLASSES)?,
            lifecycle: required(self.lifecycle, "lifecycle", LIFECYCLES)?,
            source_hash: self.source_hash,
            parent_hash: self.parent_hash,
            epoch: self.epoch,
            visual_hash: self.visual_hash,
            vector: self.vector.unwrap_or_default(),
            validity: Validity::new(self.valid_from, self.valid_to)?,
            meta: self.meta.unwrap_or_default(),
        })
    }

    fn vote(self, authors: Authors) -> Result<Vote, Refusal> {
        Ok(Vote {
            authors,
            timestamp: required(self.timestamp, "timestamp", TIME)?,
            subject: required(self.subject, "subject", "the subject of the target")?,
            target: required(self.target, "target", HEX_64)?,
            weight: required(self.weight, "weight", "a number from -1 to 1")?,
        })
    }

    #[cfg(feature = "next")]
    fn note(self, authors: Authors) -> Result<Note, Refusal> {
        Ok(Note {
            authors,
            timestamp: required(self.timestamp, "timestamp", TIME)?,
            subject: required(self.subject, "subject", "a string")?,
            text: required(self.text, "text", "a string")?,
        })
    }

    fn alias(self, authors: Authors) -> Result<Alias, Refusal> {
        Ok(Alias {
            authors,
            timestamp: required(self.timestamp, "timestamp", TIME)?,
            pair: Pair::new(required(self.from, "from", "a subject")?, required(self.to, "to", "a subject")?)?,
        })
    }
}

const KINDS: &str = "one of `assertion`, `vote`, `alias`";
const CLASSES: &str = "one of `regulatory`, `clinical`, `observational`, `expert`, `community`, `anecdotal`";
const LIFECYCLES: &str = "one of `proposed`, `under_review`, `approved`, `deprecated`, `rejected`";
const TYPES: &str = "one of `Text`, `Number`, `Boolean`, `Reference`";
const TIME: &str = "whole milliseconds since the Unix epoch, 0 to 2^53 - 1";
const HEX_16: &str = "16 lower-case hex digits";
const HEX_64: &str = "64 lower-case hex digits";
const HEX_128: &str = "128 lower-case hex digits";

/// Fills `slot` with what `read` reads, unless it is filled already.
fn once<T>(slot: &mut Option<T>, path: Path<'_>, read: impl FnOnce() -> Result<T, Refusal>) -> Result<(), Refusal> {
    if slot.is_some() {
        return Err(path.refuse(Code::DuplicateKey, "every key once"));
    }
    *slot = Some(read()?);
    Ok(())
}

fn required<T>(field: Option<T>, name: &'static str, expected: &'static str) -> Result<T, Refusal> {
    field.ok_or_else(|| Refusal::new(Code::MissingField, name, expected))
}

/// Brings authors and signatures together. Authors that are not given are those who signed.
fn signed(
    authors: Option<Authors>,
    signatures: Option<Vec<(AgentId, Signature)>>,
) -> Result<(Authors, Vec<Signature>), Refusal> {
    let signatures = required(signatures, "signatures", "one signature for each author")?;
    let agents: Vec<AgentId> = signatures.iter().map(|(agent, _)| *agent).collect();
    let path = Path::Field("signatures");
    let Some(authors) = authors else {
        if agents.is_empty() {
            return Err(path.refuse(Code::MissingSignature, "one signature for each author"));
        }
        return Ok((Authors::new(agents)?, signatures.into_iter().map(|(_, signature)| signature).collect()));
    };
    if let Some(stranger) = agents.iter().find(|agent| authors.as_slice().binary_search(agent).is_err()) {
        return Err(path.refuse(Code::ExtraSignature, format!("no signature of {stranger}, who is no author")));
    }
    match authors.as_slice().iter().find(|author| agents.binary_search(author).is_err()) {
        Some(author) => Err(path.refuse(Code::MissingSignature, format!("a signature of {author}, who is an author"))),
        None => Ok((authors, signatures.into_iter().map(|(_, signature)| signature).collect())),
    }
}

fn version(reader: &mut Reader<'_>, path: Path<'_>) -> Result<(), Refusal> {
    if number(reader, path)?.get() == 1.0 { Ok(()) } else { Err(path.refuse(Code::UnknownValue, "1")) }
}

fn authors(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Authors, Refusal> {
    let mut agents = Vec::with_capacity(1);
    reader.array(path, |reader, position| {
        let element = Path::Element(&path, position);
        check_count(position, Authors::COUNT_MAX, path, "at most 16 authors")?;
        agents.push(hex(reader, element, AgentId::from_hex, HEX_64)?);
        Ok(())
    })?;
    Authors::new(agents)
}

fn signatures(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Vec<(AgentId, Signature)>, Refusal> {
    let mut signatures: Vec<(AgentId, Signature)> = Vec::with_capacity(1);
    reader.array(path, |reader, position| {
        let element = Path::Element(&path, position);
        check_count(position, Authors::COUNT_MAX, path, "at most 16 signatures")?;
        let (agent, signature) = signature(reader, element)?;
        if signatures.last().is_some_and(|(last, _)| *last >= agent) {
            return Err(path.refuse(Code::UnsortedSignatures, "distinct signers in ascending order of `agent_id`"));
        }
        signatures.push((agent, signature));
        Ok(())
    })?;
    Ok(signatures)
}

fn signature(reader: &mut Reader<'_>, path: Path<'_>) -> Result<(AgentId, Signature), Refusal> {
    let (mut agent, mut signature) = (None, None);
    reader.object(path, |reader, key| {
        let path = Path::Member(&path, key);
        match key {
            "agent_id" => once(&mut agent, path, || hex(reader, path, AgentId::from_hex, HEX_64)),
            "signature" => once(&mut signature, path, || hex(reader, path, Signature::from_hex, HEX_128)),
            _ => Err(path.refuse(Code::UnknownField, "`agent_id` and `signature`")),
        }
    })?;
    let missing = |key, expected| Path::Member(&path, key).refuse(Code::MissingField, expected);
    Ok((agent.ok_or_else(|| missing("agent_id", HEX_64))?, signature.ok_or_else(|| missing("signature", HEX_128))?))
}

/// A value of `object.value` before its type is known.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(Finite),
    Boolean(bool),
}

fn object(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Object, Refusal> {
    let (mut kind, mut value) = (None, None);
    reader.object(path, |reader, key| {
        let path = Path::Member(&path, key);
        match key {
            "type" => once(&mut kind, path, || reader.string(path)),
            "value" => once(&mut value, path, || scalar(reader, path)),
            _ => Err(path.refuse(Code::UnknownField, "`type` and `value`")),
        }
    })?;
    let at = Path::Member(&path, "value");
    let missing = |key, expected| Path::Member(&path, key).refuse(Code::MissingField, expected);
    let kind = kind.ok_or_else(|| missing("type", TYPES))?;
    let value = value.ok_or_else(|| missing("value", "a value of that type"))?;
    match (&*kind, value) {
        ("Text", Scalar::Text(text)) => Text::new(text).map(Object::Text),
        ("Reference", Scalar::Text(text)) => {
            Subject::new(text).map(Object::Reference).map_err(|refusal| at.relocate(refusal))
        }
        ("Number", Scalar::Number(number)) => Ok(Object::Number(number)),
        ("Boolean", Scalar::Boolean(boolean)) => Ok(Object::Boolean(boolean)),
        ("Text" | "Reference", Scalar::Number(_) | Scalar::Boolean(_)) => Err(at.refuse(Code::WrongType, "a string")),
        ("Number", Scalar::Text(_) | Scalar::Boolean(_)) => Err(at.refuse(Code::WrongType, "a number")),
        ("Boolean", Scalar::Text(_) | Scalar::Number(_)) => Err(at.refuse(Code::WrongType, "true or false")),
        _ => Err(Path::Member(&path, "type").refuse(Code::UnknownValue, TYPES)),
    }
}

/// A subject under another name than `subject`.
fn subject(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Subject, Refusal> {
    Subject::new(reader.string(path)?).map_err(|refusal| path.relocate(refusal))
}

fn scalar<'a>(reader: &mut Reader<'a>, path: Path<'_>) -> Result<Scalar<'a>, Refusal> {
    match reader.peek() {
        Some(b't' | b'f') => reader.boolean(path).map(Scalar::Boolean),
        Some(b'-' | b'0'..=b'9') => number(reader, path).map(Scalar::Number),
        _ => reader.string(path).map(Scalar::Text),
    }
}

fn number(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Finite, Refusal> {
    number_literal(reader.number(path)?).map_err(|refusal| path.relocate(refusal))
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number from 0 to 2^53")]
fn time(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Timestamp, Refusal> {
    let number = number(reader, path)?.get();
    let whole = (number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number)).then_some(number as u64);
    whole.and_then(Timestamp::from_ms).ok_or_else(|| path.refuse(Code::OutOfRange, TIME))
}

fn vector(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Vector, Refusal> {
    let mut elements = Vec::new();
    reader.array(path, |reader, position| {
        check_count(position, Vector::COUNT_MAX, path, "at most 4,096 numbers")?;
        elements.push(number(reader, Path::Element(&path, position))?.get());
        Ok(())
    })?;
    Vector::new(&elements)
}

fn meta(reader: &mut Reader<'_>, path: Path<'_>) -> Result<Meta, Refusal> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    reader.object(path, |reader, key| {
        check_count(pairs.len(), Meta::COUNT_MAX, path, "at most 32 entries")?;
        let path = Path::Member(&path, key);
        if pairs.iter().any(|(earlier, _)| earlier == key) {
            return Err(path.refuse(Code::DuplicateKey, "every key once"));
        }
        pairs.push((key.to_owned(), reader.string(path)?.into_owned()));
        Ok(())
    })?;
    Meta::new(pairs)
}

fn word<T>(
    reader: &mut Reader<'_>,
    path: Path<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, Refusal> {
    parse(&reader.string(path)?).ok_or_else(|| path.refuse(Code::UnknownValue, expected))
}

fn hex<T>(
    reader: &mut Reader<'_>,
    path: Path<'_>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, Refusal> {
    parse(&reader.string(path)?).ok_or_else(|| path.refuse(Code::BadHex, expected))
}

/// Refuses the element at `position` of a list that may have `max`, before it is read.
fn check_count(position: usize, max: usize, path: Path<'_>, expected: &'static str) -> Result<(), Refusal> {
    if position < max { Ok(()) } else { Err(path.refuse(Code::TooLarge, expected)) }
}
