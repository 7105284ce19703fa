//! A node's way into its cluster and its life there: founding, the control plane, and watching over clocks and addresses.
//!
//! It waits for others and never for ever without saying so: what it waits for is what operators are told.

use super::founder::{Belonging, Founder, GREET_DEADLINE};
use super::greeting::Heard;
use super::{Cluster, View};
use crate::gossip::{self, Gossip};
use crate::rpc::CallError;
use crate::world::World;
use ::cluster::founding::{Kept, Settings};
use ::cluster::{Epoch, NodeId};
use futures_util::future::join_all;
use proto::{Membership, Reachable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the others are greeted, for their clocks and to learn whether they reach this node.
const GREET_EVERY: Duration = Duration::from_secs(5);
/// How soon others are greeted again after one refused a call: this node may have been removed.
const GREET_AFTER_REFUSAL: Duration = Duration::from_millis(500);
/// How often a newer table is asked for that could not be fetched.
const FETCH_EVERY: Duration = Duration::from_millis(200);
/// How often members are asked how they do.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long a member may take to say how it does.
const REPORT_DEADLINE: Duration = Duration::from_millis(500);

/// What a life in a cluster takes.
pub(crate) struct Life {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) world: World,
    pub(crate) gossip: Gossip,
    pub(crate) heard: mpsc::Receiver<Heard>,
    pub(crate) data_dir: PathBuf,
    pub(crate) founding: Settings,
    pub(crate) kept: Kept,
}

impl Life {
    /// Lives until the node stops.
    pub(crate) async fn live(mut self) {
        let founder = Founder {
            cluster: Arc::clone(&self.cluster),
            world: self.world.clone(),
            data_dir: self.data_dir.clone(),
            settings: self.founding,
            kept: self.kept.clone(),
        };
        match founder.found(&mut self.heard).await {
            Ok(belonging) => Box::pin(self.belong(&belonging)).await,
            Err(error) => self.cluster.local.stop_for_good(&error),
        }
    }

    /// There is a cluster: belongs to it and watches over it.
    async fn belong(mut self, belonging: &Belonging) {
        let (cluster, id) = (Arc::clone(&self.cluster), belonging.cluster());
        if !cluster.credentials.join(id) {
            return cluster.set_founding_trouble(Some(format!("this node belongs to another cluster than {id}")));
        }
        if let Some(founders) = belonging.founders() {
            cluster.credentials.introduce(founders.nodes());
        }
        self.gossip.join(id).await;
        tracing::info!(cluster = %id, "this node belongs to a cluster");
        let takes_part = cluster.take_part(&self.world, &self.data_dir, belonging);
        let watches = watch_over(&cluster, &mut self.heard);
        let follows = follow_tables(&cluster);
        let as_member = async {
            tokio::select! {
                biased;
                () = cluster.until_removed() => {}
                ((), ()) = async { tokio::join!(biased; ask_how_all_do(&cluster), follows) } => {}
            }
        };
        tokio::join!(biased; takes_part, watches, as_member, meet_the_cluster(&cluster));
    }
}

/// Takes note of what others say, and greets them now and then, and at once when there is somebody new: a node stamps nothing
/// before somebody has told it the time.
async fn watch_over(cluster: &Arc<Cluster>, heard: &mut mpsc::Receiver<Heard>) {
    let (mut next, mut view, mut known) = (cluster.now(), cluster.view.clone(), BTreeSet::new());
    let mut soonest = next;
    loop {
        let alive: BTreeSet<NodeId> = view.borrow_and_update().alive.keys().copied().collect();
        let is_news = !alive.is_subset(&known);
        known = alive;
        if is_news || cluster.now() >= next {
            next = cluster.now() + cluster.millis(GREET_EVERY);
            soonest = cluster.now() + cluster.millis(GREET_AFTER_REFUSAL);
            tokio::spawn(greet_all(Arc::clone(cluster)));
        }
        tokio::select! {
            biased;
            Some(heard) = heard.recv() => {
                cluster.note_clock(&heard);
                if heard.membership == Membership::Removed && heard.greeting.standing == cluster.greeting().standing {
                    cluster.note_removed();
                }
            }
            Ok(()) = view.changed() => {}
            () = cluster.peers.refused() => next = next.min(soonest),
            () = cluster.sleep_until(Some(next)) => {}
        }
    }
}

/// Fetches the first control state from whoever has one: who has just joined knows no member that would bring it.
async fn meet_the_cluster(cluster: &Arc<Cluster>) {
    while cluster.table().is_none() {
        let alive: Vec<NodeId> = cluster.view.borrow().alive.keys().copied().collect();
        for node in alive {
            cluster.refetch(Epoch(1), Some(node)).await;
        }
        tokio::time::sleep(FETCH_EVERY).await;
    }
}

/// Fetches every table that another node names and this one does not know yet.
async fn follow_tables(cluster: &Arc<Cluster>) {
    let mut named = cluster.peers.newer_table();
    loop {
        let newer = *named.borrow_and_update();
        if let Some((epoch, node)) = newer {
            while !cluster.refetch(epoch, Some(node)).await {
                tokio::time::sleep(FETCH_EVERY).await;
            }
        }
        if named.changed().await.is_err() {
            return;
        }
    }
}

/// Greets everybody and learns whether they reach this node at the address that it advertises; and whoever speaks under
/// this node's id, who is another node if it answers.
pub(super) async fn greet_all(cluster: Arc<Cluster>) {
    let (addresses, twin) = {
        let view = cluster.view.borrow();
        (view.alive.values().copied().collect::<Vec<_>>(), view.twin)
    };
    if let Some(twin) = twin {
        cluster.greet(twin, false, GREET_DEADLINE).await.ok(); // nobody there, then: it was an old packet
    }
    let replies = join_all(addresses.into_iter().map(|address| cluster.greet(address, true, GREET_DEADLINE))).await;
    let refused = |reply: &Result<_, CallError>| match reply {
        Err(CallError::WrongProtocol { min, max }) => Some((*min, *max)),
        Ok(_) | Err(_) => None,
    };
    let refused: Vec<_> = replies.iter().filter_map(refused).collect();
    cluster.note_refusals(replies.iter().flatten().count(), &refused);
    let reached: Vec<_> = replies.into_iter().filter_map(Result::ok).map(|reply| reply.reachable).collect();
    let yes = reached.contains(&Reachable::Yes);
    let no = reached.into_iter().find_map(|reached| match reached {
        Reachable::No(why) => Some(why),
        Reachable::Yes | Reachable::NotAsked => None,
    });
    cluster.set_unreachable(no.filter(|_| !yes));
}

/// Asks every member for its hints, which count among the records that are short of a copy, and keeps the figures of this
/// node's copies in step.
async fn ask_how_all_do(cluster: &Arc<Cluster>) {
    let mut leader = None;
    loop {
        let before = std::mem::replace(&mut leader, cluster.leader());
        match leader {
            Some(leader) if before != Some(leader) => tracing::info!(%leader, "the control plane has a leader"),
            None if before.is_some() => tracing::warn!("the control plane has no leader"),
            Some(_) | None => {}
        }
        let at = cluster.stamp_now();
        let hints = cluster.hint_counts();
        cluster.note_hints(cluster.me, &hints, at);
        cluster.note_own_progress(&hints);
        cluster.local.metrics().set_copies(&cluster.copies_now(&hints));
        let others = cluster.member_ids().into_iter().filter(|node| *node != cluster.me);
        let ask = others.map(|node| async move { (node, cluster.peers.report(node, REPORT_DEADLINE).await) });
        for (node, report) in join_all(ask).await {
            if let Ok(report) = report {
                cluster.note_hints(node, &report.hints, at);
                cluster.progress.note(node, &report);
            }
        }
        tokio::time::sleep(REPORT_EVERY).await;
    }
}

/// Keeps the view of a cluster, and the addresses of its peers, in step with gossip.
pub(crate) async fn watch_gossip(
    cluster: Arc<Cluster>,
    mut gossip: watch::Receiver<gossip::View>,
    view: watch::Sender<Arc<View>>,
) {
    loop {
        let now = {
            let seen = gossip.borrow_and_update();
            let alive: BTreeMap<NodeId, _> = seen.alive.iter().map(|(node, member)| (*node, member.rpc)).collect();
            let (trouble, misfit) = (seen.trouble(), seen.misfit());
            View { alive, down: seen.down.clone(), twin: seen.twin, trouble, misfit }
        };
        for (node, address) in &now.alive {
            cluster.peers.set_address(*node, *address);
        }
        view.send_replace(Arc::new(now));
        if gossip.changed().await.is_err() {
            return;
        }
    }
}
