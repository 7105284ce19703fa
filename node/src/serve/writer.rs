//! The writer: the only one that changes the store, so that writes that arrive together share one `fdatasync`.
//!
//! It takes whatever is waiting, up to [`COMMIT_RECORDS_MAX`], and answers only after the store has made it durable and
//! visible. It never verifies.

use super::chain;
use super::gate::Verdicts;
use super::reserve::Reserve;
use super::state::{ClockWord, NodeState};
use crate::world::Workers;
use ::cluster::Epoch;
use ::cluster::control::State;
use ::cluster::placement::Table;
use api::database::{Durable, EraseError, Erasure, Outcome, Receipt, SubmitError, SubmitTerms};
use model::set::SetSum;
use model::{AgentId, Body, Code, Home, Record, RecordId, Refusal, Stamp, Timestamp};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use storage::log::{LogError, SpareJob};
use storage::store::{self, AppendError, Appended, Appender, Incoming, Lookup, Merged, Reader, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

/// The most records of one commit: about 1 MiB of ordinary claims.
pub(super) const COMMIT_RECORDS_MAX: usize = 2048;
/// The most jobs taken from the queue for one commit.
const COMMIT_JOBS_MAX: usize = 1024;

/// Work for the writer.
#[derive(Debug)]
pub(super) enum Job {
    /// Store records that passed the gate.
    Write(Verified),
    /// Store records under the stamps that they have.
    Merge { incoming: Vec<Incoming>, reply: oneshot::Sender<Result<Vec<Merged>, SubmitError>> },
    /// Forget hints that every owner has.
    Discharge { hints: Vec<(Home, RecordId)>, reply: oneshot::Sender<Result<(), SubmitError>> },
    /// Give up what is held of a home, if it has exactly this sum, and while the newest table is the one of that epoch.
    DropHome {
        home: Home,
        held: SetSum,
        epoch: Epoch,
        newest: watch::Receiver<Arc<State>>,
        reply: oneshot::Sender<Result<bool, SubmitError>>,
    },
    /// Move the ceiling of stamps ahead.
    Reserve { reply: oneshot::Sender<Result<(), SubmitError>> },
    /// Let the store close what lies at or before this.
    RaiseCeiling { until: Stamp, reply: oneshot::Sender<()> },
    /// Raise the log to a version of the formats.
    RaiseVersion { version: u16, reply: oneshot::Sender<Result<(), SubmitError>> },
    /// Erase the body of a record.
    Erase { id: RecordId, reply: oneshot::Sender<Result<Erasure, EraseError>> },
    /// Begin a new segment, so that everything before it can be compacted.
    Roll { reply: oneshot::Sender<()> },
    /// Look at the clock, so that trouble shows while nobody writes.
    CheckClock,
}

/// A submission after the gate: a verdict on each envelope, in its order.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) records: Vec<Result<Record, Refusal>>,
    pub(super) terms: SubmitTerms,
    pub(super) reply: oneshot::Sender<Verdicts>,
}

/// Where jobs wait for the writer.
pub(super) type WriterQueue = mpsc::Sender<Job>;

/// The one that changes the store.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) appender: Appender,
    pub(super) reader: Reader,
    pub(super) state: Arc<NodeState>,
    /// The word on the clock that was the last when it was looked at last.
    pub(super) clock_word: ClockWord,
    /// The key under which erasures are recorded: the node's own, since its operator asked for them.
    pub(super) eraser: AgentId,
    /// Room that must be left on the disks, so that neither log nor index ever meets a full one.
    pub(super) reserve: Reserve,
    /// Where the preparation of the next segment is done; a full queue means that one is under way.
    pub(super) spares: mpsc::Sender<SpareJob>,
    pub(super) workers: Workers,
}

impl Writer {
    /// Works until nobody can submit any more, then stops the store in order.
    pub(super) async fn work(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::new();
        while queue.recv_many(&mut jobs, COMMIT_JOBS_MAX).await > 0 {
            self.perform(&mut jobs).await;
            if let Some(job) = self.appender.spare_job() {
                self.spares.try_send(job).ok(); // full: one is under way already
            }
            self.workers.settle().await;
        }
        if self.state.fatal().is_none()
            && let Err(error) = self.appender.seal()
        {
            tracing::error!(
                error = &error as &dyn Error,
                "the store was not closed in order; the next start checks it"
            );
        }
    }

    /// Does the jobs in order, neighbouring writes together.
    async fn perform(&mut self, jobs: &mut Vec<Job>) {
        let mut waiting = Waiting::default();
        for job in jobs.drain(..) {
            match job {
                Job::Write(verified) => {
                    waiting.records += verified.records.len();
                    waiting.writes.push(verified);
                }
                Job::Merge { incoming, reply } => {
                    waiting.records += incoming.len();
                    waiting.merges.push((incoming, reply));
                }
                Job::Discharge { hints, reply } => waiting.discharges.push((hints, reply)),
                Job::Reserve { reply } => waiting.reserves.push(reply),
                Job::DropHome { home, held, epoch, newest, reply } => {
                    self.commit(&mut waiting).await;
                    let dropped = self.drop_home((home, held), epoch, &newest);
                    self.workers.settle().await;
                    reply.send(dropped).ok(); // nobody waits: it is given up all the same
                }
                Job::RaiseCeiling { until, reply } => {
                    self.raise_ceiling(until);
                    self.workers.settle().await;
                    reply.send(()).ok(); // nobody waits: it is asked for again
                }
                Job::RaiseVersion { version, reply } => {
                    self.commit(&mut waiting).await;
                    let raised = self.appender.raise_version(version);
                    self.note(raised.as_ref().err());
                    self.workers.settle().await;
                    reply.send(raised.map_err(|error| refused(&error))).ok(); // nobody waits: it is asked for again
                }
                Job::Erase { id, reply } => {
                    self.commit(&mut waiting).await;
                    let erased = self.erase(id);
                    self.workers.settle().await;
                    reply.send(erased).ok(); // nobody waits: the erasure stands all the same
                }
                Job::Roll { reply } => {
                    self.commit(&mut waiting).await;
                    self.roll();
                    self.workers.settle().await;
                    reply.send(()).ok(); // nobody waits: the segment is sealed all the same
                }
                Job::CheckClock => self.keep_time(),
            }
            if waiting.records >= COMMIT_RECORDS_MAX {
                self.commit(&mut waiting).await;
            }
        }
        self.commit(&mut waiting).await;
    }

    /// Makes what waits durable, each kind together, and answers.
    async fn commit(&mut self, waiting: &mut Waiting) {
        let Waiting { writes, merges, discharges, reserves, .. } = std::mem::take(waiting);
        self.reserve_stamps(reserves).await;
        self.write(writes).await;
        self.merge(merges).await;
        self.discharge(discharges).await;
    }

    /// Moves the ceiling ahead if somebody needs it, or soon will.
    async fn reserve_stamps(&mut self, replies: Vec<oneshot::Sender<Result<(), SubmitError>>>) {
        if replies.is_empty() {
            return;
        }
        let reserved = match self.time_to_write() {
            Err(trouble) => Err(trouble),
            Ok(wall_ms) => self.appender.reserve(wall_ms).map_err(|error| {
                self.note(Some(&error));
                refused(&error)
            }),
        };
        self.workers.settle().await;
        for reply in replies {
            reply.send(reserved.clone()).ok(); // nobody waits: the ceiling stands all the same
        }
    }

    /// Stores what other nodes, or this one as coordinator, have stamped.
    async fn merge(&mut self, merges: Vec<Merge>) {
        if merges.is_empty() {
            return;
        }
        let counts: Vec<_> = merges.iter().map(|(incoming, _)| incoming.len()).collect();
        let (incoming, replies): (Vec<_>, Vec<_>) = merges.into_iter().unzip();
        let incoming: Vec<_> = incoming.into_iter().flatten().collect();
        let written = f64::from(u32::try_from(incoming.len()).unwrap_or(u32::MAX));
        let merged = match self.time_to_write() {
            Err(trouble) => Err(trouble),
            Ok(wall_ms) => {
                let merged = self.appender.merge(incoming, wall_ms);
                self.note(merged.as_ref().err());
                merged.map_err(|error| refused(&error))
            }
        };
        if merged.is_ok() {
            self.state.metrics.commit_records.observe(written);
        }
        self.workers.settle().await;
        let mut merged = merged.map(Vec::into_iter);
        for (count, reply) in counts.into_iter().zip(replies) {
            let answer = match &mut merged {
                Ok(merged) => Ok(merged.by_ref().take(count).collect()),
                Err(error) => Err(error.clone()),
            };
            reply.send(answer).ok(); // nobody waits: the records stand all the same
        }
    }

    async fn discharge(&mut self, discharges: Vec<Discharge>) {
        if discharges.is_empty() {
            return;
        }
        let (hints, replies): (Vec<_>, Vec<_>) = discharges.into_iter().unzip();
        let discharged = self.appender.discharge(hints.into_iter().flatten().collect());
        self.note(discharged.as_ref().err());
        let discharged = discharged.map(drop).map_err(|error| refused(&error));
        self.workers.settle().await;
        for reply in replies {
            reply.send(discharged.clone()).ok(); // nobody waits: they are forgotten all the same
        }
    }

    /// Drops a home by the table of `epoch`. No newer one can be learnt meanwhile: by it this node might be an owner again,
    /// and say that it has what is about to go.
    fn drop_home(
        &mut self,
        (home, held): (Home, SetSum),
        epoch: Epoch,
        newest: &watch::Receiver<Arc<State>>,
    ) -> Result<bool, SubmitError> {
        let newest = newest.borrow();
        if newest.table().map(Table::epoch) != Some(epoch) {
            return Ok(false);
        }
        let dropped = self.appender.drop_home(home, epoch.0, held);
        drop(newest);
        self.note(dropped.as_ref().err());
        dropped.map_err(|error| refused(&error))
    }

    /// Seals the open segment if compacting it would gain something.
    fn roll(&mut self) {
        match self.appender.roll() {
            Ok(()) => {}
            Err(error @ StoreError::Log(LogError::Stopped(_))) => self.state.stop_for_good(chain(&error)),
            Err(error) => tracing::warn!(error = &error as &dyn Error, "no new segment could be begun"),
        }
    }

    /// Lets the time of queries go on while nobody writes.
    fn keep_time(&mut self) {
        let wall_ms = self.check_clock();
        let is_trusted = self.state.clock_word() == ClockWord::Right && self.state.clock_trouble().is_none();
        if is_trusted && !self.reserve.is_short() {
            let kept = self.appender.keep_time(wall_ms);
            if let Err(error @ AppendError::Log(LogError::Stopped(_))) = &kept {
                self.state.stop_for_good(chain(error));
            }
        }
    }

    /// Logs a ceiling, if the clock is to be trusted and there is room.
    fn raise_ceiling(&mut self, until: Stamp) {
        if let Ok(wall_ms) = self.time_to_write() {
            let raised = self.appender.raise_ceiling(until, wall_ms);
            self.note(raised.as_ref().err());
        }
    }

    /// The wall clock, looked at. One that was wrong when the node started, and was put right since, left the monotonic
    /// clock: it is others who know that it is right now.
    fn check_clock(&mut self) -> u64 {
        let (wall_ms, monotonic_ms) = (self.state.clock.wall_ms(), millis(self.state.clock.monotonic()));
        let word = self.state.clock_word();
        let before = std::mem::replace(&mut self.clock_word, word);
        let mut clock = self.appender.clock();
        if word == ClockWord::Right && before != word {
            clock.measure(wall_ms, monotonic_ms);
        }
        let health = clock.health(wall_ms, monotonic_ms);
        clock.doubt_wall(word != ClockWord::Right || health.is_err());
        drop(clock);
        self.state.set_clock_trouble(health.err().map(|error| error.to_string()));
        wall_ms
    }

    /// Makes the records of several submissions durable together and answers each.
    async fn write(&mut self, writes: Vec<Verified>) {
        if writes.is_empty() {
            return;
        }
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(writes.len());
        for Verified { records: verdicts, terms, reply } in writes {
            let answer: Vec<_> = verdicts.into_iter().map(|verdict| self.admit(verdict, terms, &mut records)).collect();
            answers.push((answer, reply));
        }
        let count = records.len();
        let mut appended = self.append(records).map(Vec::into_iter);
        if count > 0 && appended.is_ok() {
            self.state.metrics.commit_records.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        }
        self.workers.settle().await;
        for (answer, reply) in answers {
            let verdicts = answer.into_iter().map(|admitted| match (admitted, &mut appended) {
                (Admitted::Answered(answer), _) => answer,
                (Admitted::Sent(sent), Ok(appended)) => {
                    appended.next().map_or(Err(SubmitError::Fault), |appended| self.receipt(sent, appended))
                }
                (Admitted::Sent(_), Err(error)) => Err(error.clone()),
            });
            reply.send(verdicts.collect()).ok(); // nobody waits: the records stand all the same
        }
    }

    /// Answers what needs no writing, and puts the rest among the records to write.
    fn admit(&self, verdict: Result<Record, Refusal>, terms: SubmitTerms, records: &mut Vec<Record>) -> Admitted {
        let record = match verdict {
            Err(refusal) => return Admitted::Answered(Err(refusal.into())),
            Ok(record) => record,
        };
        let sent = Sent::of(&record);
        if terms.dry_run {
            return Admitted::Answered(self.would_be(sent));
        }
        records.push(record);
        Admitted::Sent(sent)
    }

    fn append(&mut self, records: Vec<Record>) -> Result<Vec<Appended>, SubmitError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let wall_ms = self.time_to_write()?;
        let appended = self.appender.append(records, wall_ms);
        self.note(appended.as_ref().err());
        appended.map_err(|error| refused(&error))
    }

    /// The wall clock, or why nothing may be written now.
    fn time_to_write(&mut self) -> Result<u64, SubmitError> {
        let wall_ms = self.check_clock();
        if self.reserve.is_short() {
            self.state.set_disk_full(true);
            return Err(SubmitError::DiskFull);
        }
        match self.state.clock_trouble() {
            Some(trouble) => Err(SubmitError::NotReady { what: format!("clock: {trouble}") }),
            None => Ok(wall_ms),
        }
    }

    /// Keeps the node's condition in step with what an append met.
    fn note(&self, error: Option<&AppendError>) {
        match error {
            Some(error @ AppendError::Log(LogError::Stopped(_))) => self.state.stop_for_good(chain(error)),
            Some(AppendError::Log(LogError::DiskFull(_))) => self.state.set_disk_full(true),
            Some(error) => tracing::error!(error = error as &dyn Error, "records were not stored"),
            None => self.state.set_disk_full(false),
        }
    }

    fn receipt(&self, sent: Sent, appended: Appended) -> Result<Receipt, SubmitError> {
        let durable = |stamp| Durable { copies: 1, received_at: stamp };
        let outcome = match appended {
            Appended::Created { stamp } => {
                self.state.metrics.assertions.inc_by(u64::from(sent.assertion));
                Outcome::Created(durable(stamp))
            }
            Appended::Exists { stamp } => Outcome::Exists(durable(stamp)),
            Appended::Erased => return Err(SubmitError::Erased),
            Appended::TooLarge => {
                let expected = "a record that fits in a segment of this node's log (log.segment_bytes_max)";
                return Err(Refusal::new(Code::TooLarge, "body", expected).into());
            }
        };
        Ok(Receipt { id: sent.id, outcome, target_known: self.target_known(&sent) })
    }

    /// The answer of a dry run.
    fn would_be(&self, sent: Sent) -> Result<Receipt, SubmitError> {
        let outcome = match self.reader.get(&sent.id) {
            Ok(Lookup::Absent | Lookup::Damaged(_)) => Outcome::WouldCreate,
            Ok(Lookup::Found(record)) => Outcome::Exists(Durable { copies: 1, received_at: record.stamp() }),
            Ok(Lookup::Erased(_)) => return Err(SubmitError::Erased),
            Err(error) => return Err(SubmitError::NotReady { what: format!("index: {error}") }),
        };
        Ok(Receipt { id: sent.id, outcome, target_known: self.target_known(&sent) })
    }

    /// Of a vote: whether its target is here. Unknown if the index cannot tell at the moment.
    fn target_known(&self, sent: &Sent) -> Option<bool> {
        let target = sent.target?;
        self.reader.get(&target).ok().map(|lookup| !matches!(lookup, Lookup::Absent))
    }

    fn erase(&mut self, id: RecordId) -> Result<Erasure, EraseError> {
        let known = matches!(self.reader.get(&id), Ok(Lookup::Erased(_)));
        let at = Timestamp::from_ms(self.state.clock.wall_ms()).ok_or(EraseError::Submit(SubmitError::Fault))?;
        match self.appender.erase(id, self.eraser, at) {
            Ok(_) if known => Ok(Erasure::AlreadyErased),
            Ok(_) => Ok(Erasure::Erased),
            Err(store::EraseError::NotFound) => Err(EraseError::NotFound),
            Err(store::EraseError::Damaged(position)) => {
                tracing::error!(%position, %id, "both copies of this erasure are damaged");
                Err(EraseError::Submit(SubmitError::Fault))
            }
            Err(store::EraseError::Append(error)) => {
                self.note(Some(&error));
                Err(EraseError::Submit(refused(&error)))
            }
        }
    }
}

/// Records to merge, and who waits for it.
type Merge = (Vec<Incoming>, oneshot::Sender<Result<Vec<Merged>, SubmitError>>);
/// Hints to forget, and who waits for it.
type Discharge = (Vec<(Home, RecordId)>, oneshot::Sender<Result<(), SubmitError>>);

/// What waits for the next commit.
#[derive(Default)]
struct Waiting {
    /// How many records it holds.
    records: usize,
    writes: Vec<Verified>,
    merges: Vec<Merge>,
    discharges: Vec<Discharge>,
    reserves: Vec<oneshot::Sender<Result<(), SubmitError>>>,
}

/// An envelope on its way through a commit.
enum Admitted {
    /// Nothing is to be written.
    Answered(Result<Receipt, SubmitError>),
    /// Its record is among those to write.
    Sent(Sent),
}

/// What an answer needs to know of a record that was handed over.
struct Sent {
    id: RecordId,
    assertion: bool,
    target: Option<RecordId>,
}

impl Sent {
    fn of(record: &Record) -> Self {
        let (assertion, target) = match record.body() {
            Body::Assertion(_) => (true, None),
            Body::Vote(vote) => (false, Some(vote.target)),
            Body::Alias(_) | Body::Opaque(_) => (false, None),
        };
        Self { id: record.id(), assertion, target }
    }
}

/// What a client is told when the store did not take its record.
fn refused(error: &AppendError) -> SubmitError {
    match error {
        AppendError::Log(LogError::DiskFull(_)) => SubmitError::DiskFull,
        AppendError::Log(_) | AppendError::Archive(_) => SubmitError::Fault,
        AppendError::Rebuilding(progress) => {
            SubmitError::NotReady { what: format!("index: rebuilding from the log, {progress}") }
        }
        AppendError::Index(error) => SubmitError::NotReady { what: format!("index: {error}") },
        AppendError::Clock(error) => SubmitError::NotReady { what: format!("clock: {error}") },
    }
}

/// Monotonic time in whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
