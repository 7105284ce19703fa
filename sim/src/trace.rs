//! The full log of one run: every packet and every event of the nodes, with the simulated time, and a hash over all.
//!
//! Two runs of one seed must give the same bytes; so nothing in a line comes from the machine. It changes nothing in
//! what it watches, and is not there at all unless asked for.
//!
//! A line: milliseconds since the start, the host that ran, level, target, message, fields. The payload of a packet is
//! printed where it is sent; where it arrives its length and hash are.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// The simulated time, set by whoever steps the simulation. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Now(Arc<AtomicU64>);

impl Now {
    /// Sets it to the time since the start.
    pub fn set(&self, elapsed: Duration) {
        self.0.store(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a log comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// How many lines there were.
    pub lines: u64,
    /// FNV-1a over all of them, line feeds included.
    pub hash: u64,
}

/// A log that is being written.
pub struct Trace(Arc<Mutex<Book>>);

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

struct Book {
    sink: Box<dyn Write + Send>,
    digest: Digest,
    /// The first error of the sink; nothing is written after it.
    failed: Option<io::Error>,
}

impl Trace {
    /// Runs `work` and logs it to `sink`; `now` says the time. Returns what `work` did, and what the log comes down to.
    ///
    /// # Errors
    ///
    /// What the sink says.
    pub fn of<T>(sink: Box<dyn Write + Send>, now: Now, work: impl FnOnce() -> T) -> io::Result<(T, Digest)> {
        let digest = Digest { lines: 0, hash: FNV_START };
        let book = Arc::new(Mutex::new(Book { sink, digest, failed: None }));
        let scribe = Scribe { book: Self(Arc::clone(&book)), now };
        let subscriber = Registry::default().with(scribe.with_filter(wanted()));
        let result = tracing::subscriber::with_default(subscriber, work);
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = book.sink.flush();
        match book.failed.take() {
            Some(error) => Err(error),
            None => closed.map(|()| (result, book.digest)),
        }
    }

    fn write(&self, line: &str) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.failed.is_none() {
            book.failed = book.sink.write_all(line.as_bytes()).err();
        }
        book.digest.lines += 1;
        book.digest.hash = fnv(book.digest.hash, line.as_bytes());
    }
}

/// Everything of ours, every packet, and of the libraries what they decide. Not of openraft, which prints moments of the
/// machine's clock in its lines; what it does is in its packets and in the lines of the control plane.
fn wanted() -> Targets {
    let ours = ["turmoil", "sim", "node", "storage", "cluster", "api", "model"];
    let theirs = ["foca", "hyper", "h2", "tonic", "tower"];
    Targets::new()
        .with_targets(ours.map(|target| (target, LevelFilter::TRACE)))
        .with_targets(theirs.map(|target| (target, LevelFilter::INFO)))
}

/// What turns events into lines.
struct Scribe {
    book: Trace,
    now: Now,
}

/// The name of the host whose span this is.
struct Host(String);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Scribe {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let is_host = attributes.metadata().target().starts_with("turmoil") && attributes.metadata().name() == "node";
        if is_host && let Some(span) = context.span(id) {
            let mut host = Text::default();
            attributes.record(&mut host);
            span.extensions_mut().insert(Host(host.fields.trim_start_matches(" name=").replace('"', "")));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        if text.message.starts_with("step ") {
            return;
        }
        let host = context.event_scope(event).into_iter().flatten().find_map(|span| {
            let extensions = span.extensions();
            extensions.get::<Host>().map(|host| host.0.clone())
        });
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let host = host.as_deref().unwrap_or("-");
        self.book.write(&format!("{:>7} {host:<9} {level:<5} {target}: {text}\n", self.now.ms()));
    }
}

/// The message of an event and its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        f.write_str(&self.fields)
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "protocol" => {
                self.fields.push(' ');
                self.fields.push_str(&packet(&format!("{value:?}"), self.message == "Send"));
            }
            name => self.fields.push_str(&format!(" {name}={value:?}")),
        }
    }
}

/// A packet as turmoil prints it, `TCP [0x48, 0x54]`, in fewer words: with its payload, or with what that comes down to.
fn packet(printed: &str, whole: bool) -> String {
    let Some((protocol, list)) = printed.split_once(" [") else { return printed.to_owned() };
    let numbers = list.trim_end_matches(']').split(", ").map(|number| number.trim_start_matches("0x").trim());
    let bytes: Vec<u8> = numbers.filter_map(|number| u8::from_str_radix(number, 16).ok()).collect();
    if whole {
        format!("{protocol} {}: {}", bytes.len(), bytes.escape_ascii())
    } else {
        format!("{protocol} {} #{:016x}", bytes.len(), fnv(FNV_START, &bytes))
    }
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Source: Fowler, Noll and Vo, FNV-1a, 64 bits.
fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that a test can look into.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_when_where_and_what() {
        let (sink, now) = (Shared::default(), Now::default());
        now.set(Duration::from_millis(42));
        let (seven, digest) = Trace::of(Box::new(sink.clone()), now, || {
            let _host = tracing::info_span!(target: "turmoil::sim", "node", name = "n1").entered();
            tracing::trace!(target: "turmoil", "step 7");
            tracing::trace!(target: "turmoil", protocol = %"TCP [0x48, 0xA]", "Send");
            tracing::trace!(target: "elsewhere", "not wanted");
            tracing::warn!(target: "node", count = 3, "something");
            7
        })
        .unwrap();
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let lines =
            "     42 n1        TRACE turmoil: Send TCP 2: H\\n\n     42 n1        WARN  node: something count=3\n";
        assert_eq!(text, lines);
        assert_eq!((seven, digest), (7, Digest { lines: 2, hash: fnv(FNV_START, lines.as_bytes()) }));
    }

    #[test]
    fn a_packet_that_arrives_is_known_by_its_hash() {
        assert_eq!(packet("TCP SYN", true), "TCP SYN");
        assert_eq!(packet("UDP [0x61]", false), "UDP 1 #af63dc4c8601ec8c");
        assert_ne!(packet("UDP [0x61]", false), packet("UDP [0x62]", false));
    }
}
