//! openraft's own suite for its storage, and what one node alone shows. Several nodes are in `sim`.

use super::*;
use crate::world::{Pace, Workers};
use cluster::NodeKey;
use cluster::control::{Member, Setting, Settings as ClusterSettings, Versions};
use openraft::testing::{StoreBuilder, Suite};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use storage::disk::{Crash, Disk, Fault, MemoryDisk, StdDisk};
use types::{StorageError, Types};

const DIR: &str = "/node/control";
const SOON: Duration = Duration::from_secs(30);
const ALONE: NodeId = NodeId(7);

/// A disk that takes no time.
#[derive(Debug)]
struct AtOnce;

impl Pace for AtOnce {
    fn owed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Nobody is there.
struct Nobody;

impl RaftPeers for Nobody {
    fn raft(&self, _: NodeId, _: RaftKind, _: Vec<u8>, _: Duration) -> Answer<'_> {
        Box::pin(pending())
    }
}

/// Makes an empty store.
struct Stores<G>(fn() -> Place<G>);

/// Where a store is, and what keeps it there.
struct Place<G>(G, Arc<dyn Disk>, PathBuf, Workers);

impl<G: Send + Sync + 'static> StoreBuilder<Types, Store, Machine, G> for Stores<G> {
    async fn build(&self) -> Result<(G, Store, Machine), StorageError> {
        let Place(guard, disk, dir, workers) = (self.0)();
        let (log, _) = ControlLog::open(disk, &dir).unwrap();
        let failures = Failures::default();
        let (store, _) = Store::new(log, workers, failures.clone());
        let machine = Machine::open(store.clone(), failures, watch::channel(Arc::default()).0).await?;
        Ok((guard, store, machine))
    }
}

type Conformance<G> = Suite<Types, Store, Machine, Stores<G>, G>;

/// Runs openraft's tests of a storage, each on an empty one.
macro_rules! conform {
    ($stores:expr, $guard:ty: $($test:ident)*) => {
        $({
            let (_guard, store, machine) = $stores.build().await.unwrap();
            if let Err(error) = Conformance::<$guard>::$test(store, machine).await {
                panic!("{}: {error}", stringify!($test));
            }
        })*
    };
}

/// All but `get_initial_state_membership_from_log_and_sm`, which appends an entry that does not follow the last one:
/// openraft never does, and here it is an error.
async fn check<G: Send + Sync + 'static>(stores: Stores<G>) {
    conform!(stores, G: 
        last_membership_in_log_initial
        last_membership_in_log
        last_membership_in_log_multi_step
        get_membership_initial
        get_membership_from_log_and_empty_sm
        get_membership_from_empty_log_and_sm
        get_membership_from_log_le_sm_last_applied
        get_membership_from_log_gt_sm_last_applied_1
        get_membership_from_log_gt_sm_last_applied_2
        get_initial_state_without_init
        get_initial_state_with_state
        get_initial_state_last_log_gt_sm
        get_initial_state_last_log_lt_sm
        get_initial_state_log_ids
        get_initial_state_re_apply_committed
        save_vote
        get_log_entries
        limited_get_log_entries
        try_get_log_entry
        initial_logs
        get_log_state
        get_log_id
        last_id_in_log
        last_applied_state
        purge_logs_upto_0
        purge_logs_upto_5
        purge_logs_upto_20
        delete_logs_since_11
        delete_logs_since_0
        append_to_log
        snapshot_meta
        apply_single
        apply_multiple);
    Conformance::<G>::transfer_snapshot(&stores).await.unwrap();
}

#[tokio::test]
async fn the_store_is_what_openraft_wants_in_memory() {
    check(Stores(|| Place((), Arc::new(MemoryDisk::new()), DIR.into(), Workers::Inline(Arc::new(AtOnce))))).await;
}

#[tokio::test]
async fn the_store_is_what_openraft_wants_on_a_real_disk() {
    let threads = || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        Place(dir, Arc::new(StdDisk), path, Workers::Threads)
    };
    check(Stores(threads)).await;
}

fn world(disk: &MemoryDisk) -> World {
    World { disk: Arc::new(disk.clone()), workers: Workers::Inline(Arc::new(AtOnce)), ..World::machine() }
}

async fn start(disk: &MemoryDisk) -> Result<Control, StartError> {
    let settings = Settings { snapshot_every: 10, ..Settings::in_dir(DIR.into()) };
    Control::start(&world(disk), settings, ALONE, Arc::new(Nobody)).await
}

/// Starts a node that is a cluster by itself, and waits until it leads.
async fn lead(disk: &MemoryDisk) -> Control {
    let control = start(disk).await.unwrap();
    control.allow_elections(true);
    control.initialize(&[ALONE].into()).await.unwrap();
    let mut metrics = control.metrics();
    while !metrics.is_leader {
        metrics = control.changed(&metrics).await;
    }
    control
}

fn found() -> Command {
    let at = SocketAddr::from(([10, 0, 0, 7], 1));
    let versions = Versions::SHIPPED;
    let mut key = NodeKey([0; 32]);
    key.0[..8].copy_from_slice(&ALONE.0.to_be_bytes());
    let member = Member { key, rpc: at, gossip: at, api: at, zone: String::new(), versions };
    let settings = ClusterSettings { replication_factor: NonZeroU8::MIN };
    Command::found(BTreeMap::from([(ALONE, member)]), settings).unwrap()
}

fn copies(copies: u8) -> Command {
    Command::SetSetting(Setting::ReplicationFactor(NonZeroU8::new(copies).unwrap()))
}

#[tokio::test]
async fn a_node_alone_carries_out_commands_and_has_them_after_a_crash() {
    let disk = MemoryDisk::new();
    let control = lead(&disk).await;
    assert_eq!(control.propose(&found(), SOON).await, Ok(Outcome::Changed));
    assert_eq!(control.propose(&found(), SOON).await, Ok(Outcome::Unchanged));
    for round in 0..40 {
        assert_eq!(
            control.propose(&copies(1 + round % 2 * 2), SOON).await,
            Ok(if round == 0 { Outcome::Unchanged } else { Outcome::Changed })
        );
    }
    let before = Arc::clone(&control.state().borrow());
    assert_eq!(control.confirmed_state(SOON).await, Ok(Arc::clone(&before)));
    disk.crash(Crash::DropUnsynced);
    control.shutdown().await;
    let control = start(&disk).await.unwrap();
    assert_eq!(*control.state().borrow(), before, "known at once, with no leader");
    let mut metrics = control.metrics();
    while metrics.snapshot_index.is_none_or(|index| index < 10) {
        metrics = control.changed(&metrics).await;
    }
    control.shutdown().await;
    assert_eq!(control.propose(&found(), SOON).await, Err(ProposeError::Stopped));
}

#[tokio::test]
async fn a_command_that_is_too_long_is_refused_before_anybody_hears_of_it() {
    let control = lead(&MemoryDisk::new()).await;
    let Command::Found { mut members, settings, table } = found() else { unreachable!("a founding") };
    let member = members.remove(&ALONE).unwrap();
    members.insert(ALONE, Member { zone: "z".repeat(COMMAND_BYTES_MAX), ..member });
    let refused = control.propose(&Command::Found { members, settings, table }, SOON).await;
    assert!(matches!(refused, Err(ProposeError::TooLarge(bytes)) if bytes > COMMAND_BYTES_MAX), "{refused:?}");
    control.shutdown().await;
}

#[tokio::test]
async fn a_failed_sync_ends_the_control_plane_and_says_so() {
    let disk = MemoryDisk::new();
    let control = lead(&disk).await;
    disk.fail_at(1, Fault::ForEver);
    assert_eq!(control.propose(&found(), SOON).await, Err(ProposeError::Stopped));
    let failure = control.failed().await;
    assert!(matches!(*failure, Failure::Log(ControlLogError::Stopped(Some(_)))), "{failure:?}");
    let message = encode(&openraft::raft::VoteRequest::<u64> { vote: types::Vote::new(9, 1), last_log_id: None });
    assert_eq!(control.handle_raft(RaftKind::Vote, &message).await, Err(HandleError::Stopped));
}

#[tokio::test]
async fn a_full_disk_ends_it_too_and_it_can_be_started_again_once_there_is_room() {
    let disk = MemoryDisk::new();
    let control = lead(&disk).await;
    control.propose(&found(), SOON).await.unwrap();
    disk.set_capacity(Some(disk.used()));
    while control.propose(&copies(2), SOON).await.is_ok() {
        control.propose(&copies(3), SOON).await.ok();
    }
    let failure = control.failed().await;
    assert!(matches!(*failure, Failure::Log(ControlLogError::DiskFull(_))), "{failure:?}");
    control.shutdown().await;
    disk.set_capacity(None);
    let control = lead(&disk).await;
    control.propose(&copies(5), SOON).await.unwrap();
    control.shutdown().await;
}

#[tokio::test]
async fn a_command_of_a_newer_release_stops_the_node_instead_of_being_skipped() {
    let disk = MemoryDisk::new();
    let control = lead(&disk).await;
    let newer = control.raft.client_write(vec![2, 1, 1]).await;
    assert!(newer.is_err());
    let failure = control.failed().await;
    assert!(matches!(*failure, Failure::Ahead(cluster::WireError::Version(Some(2)))), "{failure:?}");
}

#[tokio::test]
async fn a_log_that_is_damaged_does_not_start() {
    let disk = MemoryDisk::new();
    lead(&disk).await.shutdown().await;
    disk.crash(Crash::KeepAll);
    assert!(disk.flip(&Path::new(DIR).join("LOG"), 40, 1));
    let refused = start(&disk).await;
    assert!(matches!(refused, Err(StartError::Log(ControlLogError::Damaged { .. }))), "{refused:?}");
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    let settings = Settings { heartbeat: Duration::from_secs(1), ..Settings::in_dir(DIR.into()) };
    let refused = Control::start(&world(&MemoryDisk::new()), settings, ALONE, Arc::new(Nobody)).await;
    assert!(matches!(refused, Err(StartError::Settings(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let control = start(&MemoryDisk::new()).await.unwrap();
    for kind in [RaftKind::Append, RaftKind::Vote, RaftKind::Snapshot] {
        assert_eq!(control.handle_raft(kind, &[]).await, Err(HandleError::Malformed(WireError::Bytes)));
        assert_eq!(control.handle_raft(kind, &[9, 1]).await, Err(HandleError::Malformed(WireError::Version(9))));
    }
    control.shutdown().await;
}
