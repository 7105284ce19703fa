//! `stemedb import`: claims from a file, signed and sent in batches.
//!
//! It can be stopped and repeated without harm: keys are made once, times are recorded before the claims they date are
//! sent, and the same claim is the same record. Lines that carry signatures already are sent as they stand.

pub mod claim;
pub mod input;
pub mod ledger;
mod progress;
pub mod report;
mod send;
pub mod sources;

use super::client::Client;
use super::console::{Console, Tone};
use super::failure::Failure;
use super::keys::KeyFolder;
use super::stop::Stop;
use super::text::grouped;
use claim::Claim;
use input::{Input, Line};
use ledger::Ledger;
use model::{Code, Refusal, Timestamp};
use progress::Progress;
use report::{Report, Summary};
use send::{Item, Payload, Sender, refused};
use sources::Sources;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A batch is sent once it has this many lines,
const BATCH_LINES_MAX: usize = 1024;
/// or this many bytes of input.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How many batches are signed and sent at a time.
const SENDERS: usize = 2;

/// What to import.
#[derive(Clone, Debug, clap::Args)]
pub struct Import {
    /// NDJSON, plain or gzip: claims to sign, or signed envelopes; `-` reads the standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A sources table in TOML: class, confidence, lifecycle and date by the name of the source
    #[arg(long, value_name = "FILE")]
    pub sources: Option<PathBuf>,
    /// When claims were made whose line and source give no date, as in 2026-07-14T23:44:10Z
    #[arg(long, value_name = "TIME", value_parser = super::text::parse_moment)]
    pub timestamp: Option<Timestamp>,
    /// Checks everything, and has the node check it, but stores nothing and creates no key
    #[arg(long)]
    pub dry_run: bool,
}

impl Import {
    /// Imports, printing refusals as they come and the summary at the end.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] if a line was refused, [`Failure::Failed`] if the import did not reach the end.
    pub fn run(
        &self,
        client: &Client,
        keys: &std::path::Path,
        json: bool,
        console: &mut Console<'_>,
    ) -> Result<Summary, Failure> {
        let sources = self.sources.as_deref().map(Sources::read).transpose()?.unwrap_or_default();
        let input = Input::open(&self.file)?;
        client.get("/v1/health", &[])?.taken()?;
        let progress = Progress::new(input.bytes_total(), console.progress);
        let signer = Signer {
            sources,
            keys: KeyFolder::new(keys, self.dry_run),
            ledger: Ledger::open(keys, self.dry_run)?,
            timestamp: self.timestamp,
            now: console.now,
        };
        let stop = Stop::default();
        let report = Mutex::new(Report::default());
        let sender = Sender { client, dry_run: self.dry_run, report: &report, stop: &stop };
        let mut run = Run { input, signer, progress: &progress, sender: &sender, json, console };
        let result = stop.on_interrupt(|| run.all());
        progress.finish();
        run.print_refused()?;
        let summary = lock(&report).summary;
        self.print_summary(summary, &progress, json, console)?;
        result?;
        if stop.is_asked() {
            return Err(Failure::Failed("stopped before the end; run the same command again to go on".to_owned()));
        }
        Ok(summary)
    }

    fn print_summary(
        &self,
        summary: Summary,
        progress: &Progress,
        json: bool,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        if json {
            return Ok(console.json(&summary.json())?);
        }
        let created = if self.dry_run { "would be created" } else { "created" };
        let tone = if summary.refused > 0 { Tone::Bad } else { Tone::Dim };
        let refused = console.paint(tone, &format!("{} refused", grouped(summary.refused)));
        let rate = console.paint(Tone::Dim, &format!("({})", progress.rate(summary)));
        Ok(console.line(format_args!(
            "{} {created}, {} existing, {refused}  {rate}",
            grouped(summary.created),
            grouped(summary.existing),
        ))?)
    }
}

/// Turns lines into what is sent for them.
struct Signer {
    sources: Sources,
    keys: KeyFolder,
    ledger: Ledger,
    timestamp: Option<Timestamp>,
    now: Timestamp,
}

/// Why a line is not sent.
enum Unsent {
    Refused(Refusal),
    Failed(Failure),
}

impl Signer {
    fn prepare(&mut self, bytes: Vec<u8>) -> Result<Payload, Unsent> {
        let claim = match claim::parse(&bytes).map_err(Unsent::Refused)? {
            Claim::Envelope => return Ok(Payload::Envelope(bytes)),
            Claim::Unsigned(claim) => claim,
        };
        let key = self.keys.key_of(&claim.source).map_err(Unsent::Failed)?;
        let defaults = self.sources.defaults(&claim.source);
        let dated = claim.timestamp.or(defaults.timestamp).or(self.timestamp);
        let timestamp = dated.unwrap_or_else(|| self.ledger.time_of(key.agent_id(), &bytes, self.now));
        let assertion = claim.into_assertion(key.agent_id(), &defaults, timestamp).map_err(Unsent::Refused)?;
        Ok(Payload::Claim(Box::new(assertion), key))
    }
}

struct Run<'a, 'c> {
    input: Input,
    signer: Signer,
    progress: &'a Progress,
    sender: &'a Sender<'a>,
    json: bool,
    console: &'a mut Console<'c>,
}

impl Run<'_, '_> {
    /// Reads on this thread, signs and sends on others; the first failure of either ends both.
    fn all(&mut self) -> Result<(), Failure> {
        let (queue, batches) = sync_channel::<Vec<Item>>(SENDERS);
        let batches = Mutex::new(batches);
        let failed = Mutex::new(None);
        let sender = self.sender;
        let read = std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| send_all(sender, &batches, &failed));
            }
            let read = self.read_all(&queue);
            drop(queue);
            read
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(read, Err)
    }

    fn read_all(&mut self, queue: &SyncSender<Vec<Item>>) -> Result<(), Failure> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while !self.sender.stop.is_asked() {
            let next = self.input.next_line().map_err(|error| Failure::of("cannot read the input", &error))?;
            let Some((line, content)) = next else {
                return self.hand_over(queue, batch);
            };
            bytes += self.take(line, content, &mut batch)?;
            if batch.len() >= BATCH_LINES_MAX || bytes >= BATCH_BYTES_MAX {
                self.hand_over(queue, std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        Ok(())
    }

    /// Puts what is sent for a line into `batch`; returns how many bytes the line has.
    fn take(&mut self, line: u64, content: Line, batch: &mut Vec<Item>) -> Result<usize, Failure> {
        let prepared = match content {
            Line::Bytes(bytes) => {
                let length = bytes.len();
                self.signer.prepare(bytes).map(|payload| (payload, length))
            }
            Line::TooLong => {
                Err(Unsent::Refused(Refusal::new(Code::TooLarge, "body", "a line of at most 1,048,576 bytes")))
            }
        };
        match prepared {
            Ok((payload, length)) => {
                batch.push(Item { line, payload });
                Ok(length)
            }
            Err(Unsent::Refused(refusal)) => {
                lock(self.sender.report).refuse(refused(line, &refusal));
                Ok(0)
            }
            Err(Unsent::Failed(failure)) => Err(failure),
        }
    }

    /// Times are durable before the claims they date are sent.
    fn hand_over(&mut self, queue: &SyncSender<Vec<Item>>, batch: Vec<Item>) -> Result<(), Failure> {
        self.signer.ledger.sync()?;
        self.print_refused()?;
        self.progress.show(self.input.consumed(), lock(self.sender.report).summary);
        // The other end only goes away after a failure, which is reported in place of this.
        queue.send(batch).or(Err(Failure::Failed("the import ended early".to_owned())))
    }

    fn print_refused(&mut self) -> Result<(), Failure> {
        let refused = lock(self.sender.report).take_refused();
        if refused.is_empty() {
            return Ok(());
        }
        let Self { console, json, progress, .. } = self;
        progress.aside(|| {
            for refused in refused {
                if *json {
                    console.line(refused.json())?;
                } else {
                    eprintln!("{}", refused.text());
                }
            }
            Ok(())
        })
    }
}

fn send_all(sender: &Sender<'_>, batches: &Mutex<Receiver<Vec<Item>>>, failed: &Mutex<Option<Failure>>) {
    loop {
        let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = next else { return };
        if lock(failed).is_some() || sender.stop.is_asked() {
            continue;
        }
        if let Err(failure) = sender.deliver(batch) {
            lock(failed).get_or_insert(failure);
            sender.stop.ask();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
