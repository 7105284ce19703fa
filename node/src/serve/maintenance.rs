//! What a node does beside answering: preparing segments, rebuilding and checking the index, scrubbing, compacting,
//! measuring its folders. Bounded steps, one after the other; it never holds up a write for longer than one step, and rests
//! between them unless the node can answer nothing before they are done.

use super::state::NodeState;
use super::writer::Job;
use crate::world::Workers;
use ::cluster::reconcile::pace::REST;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use storage::disk::Disk;
use storage::log::{Damage, SpareJob};
use storage::store::Maintenance;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, WeakSender};

/// How much damage is known at most to concern no record any more; the rest is looked at in every pass.
const HEALED_MAX: usize = 4_096;
/// How often the caretaker looks for something to do when nobody asks.
const PERIOD: Duration = Duration::from_millis(250);
/// Scrubbing and measuring happen once in so many periods: once a second.
const PERIODS_A_ROUND: u64 = 4;
/// Compaction is looked for once in so many periods: every 15 seconds.
const PERIODS_A_COMPACTION: u64 = 60;

/// The maintenance of one node.
#[derive(Debug)]
pub(super) struct Caretaker {
    pub(super) maintenance: Maintenance,
    pub(super) state: Arc<NodeState>,
    /// Weak: the writer ends when nobody else can submit.
    pub(super) writer: WeakSender<Job>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) workers: Workers,
    pub(super) wal_dir: PathBuf,
    pub(super) db_dir: PathBuf,
    /// How fast the log is re-read; 0 for not at all.
    pub(super) scrub_bytes_per_second: u64,
    /// Damage where no record is any more that is needed: segment, generation, from and to.
    pub(super) healed: BTreeSet<(u32, u32, u32, u32)>,
}

impl Caretaker {
    /// Works until the writer is gone.
    pub(super) async fn work(mut self, mut spares: Receiver<SpareJob>) {
        let mut period: u64 = 0;
        let mut pause = Duration::ZERO; // a rebuild begun while opening goes on at once
        loop {
            match next(&mut spares, pause).await {
                Next::Prepare(job) => prepare(&job),
                Next::Look => {
                    let began = self.state.clock.monotonic();
                    let busy = self.step();
                    pause = match busy {
                        true if self.maintenance.is_urgent() => Duration::ZERO,
                        true => self.state.clock.monotonic().saturating_sub(began) * REST,
                        false => PERIOD,
                    };
                    period += u64::from(!busy);
                    if !busy {
                        self.round(period);
                    }
                }
                Next::End => return,
            }
            self.workers.settle().await;
        }
    }

    /// One step of what the index needs; whether there is more.
    fn step(&mut self) -> bool {
        self.maintenance.step().unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn Error, "the index cannot be rebuilt now; trying again");
            false
        })
    }

    fn round(&mut self, period: u64) {
        if let Some(writer) = self.writer.upgrade() {
            writer.try_send(Job::CheckClock).ok(); // full: the writer looks at the clock by itself
        }
        if period.is_multiple_of(PERIODS_A_ROUND) {
            self.scrub();
            self.measure();
        }
        if period.is_multiple_of(PERIODS_A_COMPACTION) {
            self.compact();
        }
    }

    fn scrub(&mut self) {
        if self.scrub_bytes_per_second == 0 {
            return;
        }
        match self.maintenance.scrub(self.scrub_bytes_per_second) {
            Ok(scrubbed) => {
                let metrics = &self.state.metrics;
                metrics.scrub_bytes.inc_by(scrubbed.bytes);
                metrics.scrub_passes.inc_by(u64::from(scrubbed.finished));
                metrics.scrub_damaged_found(scrubbed.damages.len() + scrubbed.misnamed.len(), scrubbed.finished);
                for damage in &scrubbed.damages {
                    tracing::error!(%damage, "the scrubber found damage; what was there is not served");
                }
                self.note_unreadable(&scrubbed.damages);
                for (position, id) in &scrubbed.misnamed {
                    tracing::error!(%position, %id, "the scrubber found a record that does not hash to its id");
                }
            }
            Err(error) => tracing::error!(error = &error as &dyn Error, "the scrubber cannot read the log"),
        }
    }

    /// Has the others asked for what cannot be read where there is damage.
    fn note_unreadable(&mut self, damages: &[Damage]) {
        for damage in damages {
            let place = (damage.segment, damage.generation, damage.from, damage.to);
            if self.healed.contains(&place) {
                self.maintenance.mend(damage);
                continue;
            }
            match self.maintenance.unreadable_in(damage) {
                Ok(found) if found.is_empty() && self.healed.len() < HEALED_MAX => {
                    self.healed.insert(place);
                }
                Ok(found) => self.state.damaged.note(found),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "it cannot be told yet which records are damaged")
                }
            }
        }
        self.state.metrics.set_damaged(self.state.damaged.count());
    }

    fn compact(&mut self) {
        match self.maintenance.compact() {
            Ok(Some(compacted)) => {
                tracing::info!(before = compacted.bytes_before, after = compacted.bytes_after, "compacted a segment");
                for damage in &compacted.damages {
                    tracing::error!(%damage, "a compacted segment is damaged; what was there stays known and unserved");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(error = &error as &dyn Error, "no segment can be compacted now"),
        }
    }

    fn measure(&self) {
        for (part, folder) in [("log", &self.wal_dir), ("index", &self.db_dir)] {
            let bytes = i64::try_from(self.disk.used_bytes(folder).unwrap_or(0)).unwrap_or(i64::MAX);
            self.state.metrics.disk_bytes.with_label_values(&[part]).set(bytes);
        }
    }
}

/// What the caretaker does next.
enum Next {
    /// Prepare a segment: the writer asks for it.
    Prepare(SpareJob),
    /// Look for something to do.
    Look,
    /// End: the writer is gone.
    End,
}

/// Waits for the writer to ask for something, but no longer than for this pause.
async fn next(spares: &mut Receiver<SpareJob>, pause: Duration) -> Next {
    if pause.is_zero() {
        tokio::task::yield_now().await; // in place, others want their turn
        return match spares.try_recv() {
            Ok(job) => Next::Prepare(job),
            Err(TryRecvError::Empty) => Next::Look,
            Err(TryRecvError::Disconnected) => Next::End,
        };
    }
    match tokio::time::timeout(pause, spares.recv()).await {
        Ok(Some(job)) => Next::Prepare(job),
        Ok(None) => Next::End,
        Err(_) => Next::Look,
    }
}

fn prepare(job: &SpareJob) {
    if let Err(error) = job.run() {
        tracing::warn!(error = &error as &dyn Error, "the next segment could not be prepared; the writer will do it");
    }
}
