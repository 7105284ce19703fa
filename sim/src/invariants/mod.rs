//! What must hold, one file each: the statement and its source are in its module documentation.
//!
//! An invariant is read from disks and public answers, never from the state of a node.

mod a_read_of_all_repairs_its_owners;
mod a_write_answered_with_two_copies_is_on_two_disks;
mod control_log;
mod no_acknowledged_write_is_lost;
mod no_second_founding;
mod nobody_drops_what_owners_lack;
mod nobody_leaves_with_what_owners_lack;
mod nobody_takes_what_is_not_its_own;
mod on_disk;
mod one_cluster_only;
mod one_id_one_body;
mod one_leader_per_term;
mod one_table_per_epoch;
mod owners_agree_at_rest;
mod reading;
mod reads_are_as_fresh_as_they_say;
mod stamps_keep_to_the_time;
mod stamps_never_go_back;
mod standing;
mod under_replicated_is_exact_at_rest;
mod what_is_stable_stays;

pub use a_read_of_all_repairs_its_owners::AReadOfAllRepairsItsOwners;
pub use a_write_answered_with_two_copies_is_on_two_disks::AWriteAnsweredWithTwoCopiesIsOnTwoDisks;
pub(crate) use control_log::{ControlLogs, ControlView};
pub use no_acknowledged_write_is_lost::NoAcknowledgedWriteIsLost;
pub use no_second_founding::NoSecondFounding;
pub use nobody_drops_what_owners_lack::NobodyDropsWhatOwnersLack;
pub use nobody_leaves_with_what_owners_lack::NobodyLeavesWithWhatOwnersLack;
pub use nobody_takes_what_is_not_its_own::NobodyTakesWhatIsNotItsOwn;
pub use on_disk::{OnDisk, Unreadable, places_on};
pub use one_cluster_only::OneClusterOnly;
pub use one_id_one_body::OneIdOneBody;
pub use one_leader_per_term::OneLeaderPerTerm;
pub(crate) use one_leader_per_term::leaders_named;
pub use one_table_per_epoch::OneTablePerEpoch;
pub use owners_agree_at_rest::OwnersAgreeAtRest;
pub use reads_are_as_fresh_as_they_say::ReadsAreAsFreshAsTheySay;
pub use stamps_keep_to_the_time::StampsKeepToTheTime;
pub use stamps_never_go_back::StampsNeverGoBack;
pub(crate) use standing::{Placed, node_on};
pub use under_replicated_is_exact_at_rest::UnderReplicatedIsExactAtRest;
pub use what_is_stable_stays::WhatIsStableStays;

use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};

/// Whether an invariant holds; if not, what was found.
pub type Verdict = Result<(), String>;

/// Something that must hold. One value watches one run.
pub trait Invariant: std::fmt::Debug {
    /// Its name, that of its file.
    fn name(&self) -> &'static str;

    /// Looks on after every step; `news` are the writes whose acknowledgement reached a client in it, in order. Must be
    /// cheap while nothing happens.
    ///
    /// # Errors
    ///
    /// What was found.
    fn watch(&mut self, cluster: &Cluster, news: &[Write]) -> Verdict {
        let (_, _) = (cluster, news);
        Ok(())
    }

    /// Looks at everything once the cluster is at rest: faults over, nodes ready, no write under way. It may ask nodes,
    /// which takes simulated time, and stop them.
    ///
    /// # Errors
    ///
    /// If the run itself fails meanwhile.
    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure>;
}

/// All that must hold in a cluster of several nodes.
pub fn of_a_cluster() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(AWriteAnsweredWithTwoCopiesIsOnTwoDisks),
        Box::new(NoAcknowledgedWriteIsLost),
        Box::new(OwnersAgreeAtRest),
        Box::new(UnderReplicatedIsExactAtRest),
        Box::new(OneIdOneBody),
        Box::new(WhatIsStableStays::default()),
        Box::new(StampsNeverGoBack),
        Box::new(OneClusterOnly),
        Box::new(OneLeaderPerTerm::default()),
        Box::new(OneTablePerEpoch::default()),
    ]
}
