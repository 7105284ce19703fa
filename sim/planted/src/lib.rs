//! Bugs that can be planted in a simulated node, to see the simulation find them.
//!
//! The crates of the node ask [`is`] at the places where they do right, under their feature `planted` and nowhere else; the
//! program `stemedb` does not compile with that feature. A seed runs wholly in one thread, so the planted bug belongs to
//! the thread; and it works only between [`wake`] and the end of what that returns, so that whoever looks at the disks of
//! nodes between two steps of the simulation, with the same code, sees them as they are.

use std::cell::Cell;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The log syncs before it writes a batch and not after.
    AckBeforeSync,
    /// A sync that failed is tried again, and counts if that succeeds, though the disk dropped what it was for.
    SyncTriedAgain,
    /// After a start the clock goes on above the greatest stamp in the log and not above the ceiling.
    CeilingForgotten,
    /// What a node kept for others before it started is forgotten by its index.
    HintDroppedAtRestart,
    /// A hint is given up once one owner has confirmed it.
    HintDischargedByOneOwner,
    /// Of two valid envelopes of one id the one that came first stays.
    FirstEnvelopeStays,
    /// A read of all owners mends the first of them only.
    ReadRepairSkipsOneSide,
    /// An owner answers for its homes as soon as it is back.
    ServedBeforeItMet,
    /// A stamp that lies too far ahead is taken over, and the clock rises to it.
    StampOfTheFutureAdopted,
    /// What a node promises at the founding is written and not synced.
    PromiseNotSynced,
    /// What recovery keeps of an unsealed tail is not written and synced anew: it may be in the page cache alone.
    UnsealedTailTrusted,
    /// What was routed by an older placement table than the receiver's is taken all the same.
    StaleEpochAccepted,
    /// Who is to leave a home drops it as soon as the table says so, whoever has it by then.
    FormerOwnerDropsTooEarly,
    /// A node that drains is let go though it keeps hints.
    DrainForgetsHints,
    /// A node that was removed is forgotten, and is a stranger when it returns.
    RejoinWithOldId,
    /// The calls of a node that was removed are taken as before.
    RemovedNodeAccepted,
    /// A node without a disk founds a cluster of its own, though others tell it of one.
    WipedFounderFoundsAgain,
    /// Of two stamps the smaller stays also where an owner has closed the time, whoever brings it.
    MinMergeBelowClosedFrontier,
    /// A new owner says at once that it has taken what it is to have, answers, and says that it is stable up to where it closed.
    NewOwnerServesBeforeFrontier,
    /// A log is raised to the newest version that its node speaks, whatever is active.
    NextWrittenBeforeActive,
    /// What the newest version that a node speaks brought is sent, whatever is active.
    NextSentBeforeActive,
    /// What the scrubber finds damaged is counted, and nobody is asked for it.
    DamageOnlyCounted,
}

impl Bug {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AckBeforeSync,
        Self::SyncTriedAgain,
        Self::CeilingForgotten,
        Self::HintDroppedAtRestart,
        Self::HintDischargedByOneOwner,
        Self::FirstEnvelopeStays,
        Self::ReadRepairSkipsOneSide,
        Self::ServedBeforeItMet,
        Self::StampOfTheFutureAdopted,
        Self::PromiseNotSynced,
        Self::UnsealedTailTrusted,
        Self::StaleEpochAccepted,
        Self::FormerOwnerDropsTooEarly,
        Self::DrainForgetsHints,
        Self::RejoinWithOldId,
        Self::RemovedNodeAccepted,
        Self::WipedFounderFoundsAgain,
        Self::MinMergeBelowClosedFrontier,
        Self::NewOwnerServesBeforeFrontier,
        Self::NextWrittenBeforeActive,
        Self::NextSentBeforeActive,
        Self::DamageOnlyCounted,
    ];

    /// Its name, as it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeSync => "ack_before_sync",
            Self::SyncTriedAgain => "sync_tried_again",
            Self::CeilingForgotten => "ceiling_forgotten",
            Self::HintDroppedAtRestart => "hint_dropped_at_restart",
            Self::HintDischargedByOneOwner => "hint_discharged_by_one_owner",
            Self::FirstEnvelopeStays => "first_envelope_stays",
            Self::ReadRepairSkipsOneSide => "read_repair_skips_one_side",
            Self::ServedBeforeItMet => "served_before_it_met",
            Self::StampOfTheFutureAdopted => "stamp_of_the_future_adopted",
            Self::PromiseNotSynced => "promise_not_synced",
            Self::UnsealedTailTrusted => "unsealed_tail_trusted",
            Self::StaleEpochAccepted => "stale_epoch_accepted",
            Self::FormerOwnerDropsTooEarly => "former_owner_drops_too_early",
            Self::DrainForgetsHints => "drain_forgets_hints",
            Self::RejoinWithOldId => "rejoin_with_old_id",
            Self::RemovedNodeAccepted => "removed_node_accepted",
            Self::WipedFounderFoundsAgain => "wiped_founder_founds_again",
            Self::MinMergeBelowClosedFrontier => "min_merge_below_closed_frontier",
            Self::NewOwnerServesBeforeFrontier => "new_owner_serves_before_frontier",
            Self::NextWrittenBeforeActive => "next_written_before_active",
            Self::NextSentBeforeActive => "next_sent_before_active",
            Self::DamageOnlyCounted => "damage_only_counted",
        }
    }

    /// The bug of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|bug| bug.name() == name).copied()
    }
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    static AWAKE: Cell<bool> = const { Cell::new(false) };
}

/// Plants a bug in whatever this thread runs from now on, in the place of the one before.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is to show itself.
pub fn is(bug: Bug) -> bool {
    AWAKE.get() && PLANTED.get() == Some(bug)
}

/// The planted bug shows itself until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Awake(());

/// Lets the planted bug, if there is one, show itself.
pub fn wake() -> Awake {
    AWAKE.set(true);
    Awake(())
}

impl Drop for Awake {
    fn drop(&mut self) {
        AWAKE.set(false);
    }
}

#[test]
fn a_bug_shows_itself_only_where_it_is_planted_and_awake() {
    let bug = Bug::AckBeforeSync;
    plant(Some(bug));
    assert!(!is(bug));
    let awake = wake();
    assert!(is(bug) && !is(Bug::UnsealedTailTrusted));
    std::thread::scope(|scope| scope.spawn(|| assert!(!is(bug))).join().unwrap());
    drop(awake);
    assert!(!is(bug));
}

#[test]
fn bugs_have_different_names() {
    Bug::ALL.iter().for_each(|bug| assert_eq!(Bug::named(bug.name()), Some(*bug)));
}
