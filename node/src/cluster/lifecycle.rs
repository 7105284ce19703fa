//! A node's way into its cluster and its life there: founding, the control plane, and watching over clocks and addresses.
//!
//! It waits for others and never for ever without saying so: what it waits for is what operators are told.

use super::founder::{Founder, GREET_DEADLINE};
use super::greeting::Heard;
use super::{Cluster, View};
use crate::gossip::{self, Gossip};
use crate::world::World;
use ::cluster::NodeId;
use ::cluster::founding::{Kept, List, Settings};
use futures_util::future::join_all;
use proto::Reachable;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often the others are greeted, for their clocks and to learn whether they reach this node.
const GREET_EVERY: Duration = Duration::from_secs(5);
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
            Ok(list) => self.belong(&list).await,
            Err(error) => self.cluster.local.stop_for_good(&error),
        }
    }

    /// The cluster is founded: joins it and watches over it.
    async fn belong(mut self, list: &List) {
        let cluster = Arc::clone(&self.cluster);
        if !cluster.credentials.join(list.cluster()) {
            return cluster.set_founding_trouble(Some(format!("this node belongs to another cluster than {list}")));
        }
        self.gossip.join(list.cluster()).await;
        tracing::info!(cluster = %list.cluster(), "this node belongs to a cluster");
        let takes_part = cluster.take_part(&self.world, &self.data_dir, list);
        tokio::join!(biased; takes_part, watch_over(&cluster, &mut self.heard), ask_how_all_do(&cluster));
    }
}

/// Takes note of what others say, and greets them now and then.
async fn watch_over(cluster: &Arc<Cluster>, heard: &mut mpsc::Receiver<Heard>) {
    let mut next = cluster.now();
    loop {
        if cluster.now() >= next {
            next = cluster.now() + cluster.millis(GREET_EVERY);
            tokio::spawn(greet_all(Arc::clone(cluster)));
        }
        tokio::select! {
            biased;
            Some(heard) = heard.recv() => cluster.note_clock(&heard),
            () = cluster.sleep_until(Some(next)) => {}
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
    let reached: Vec<_> = replies.into_iter().filter_map(Result::ok).map(|reply| reply.reachable).collect();
    let yes = reached.contains(&Reachable::Yes);
    let no = reached.into_iter().find_map(|reached| match reached {
        Reachable::No(why) => Some(why),
        Reachable::Yes | Reachable::NotAsked => None,
    });
    cluster.set_unreachable(no.filter(|_| !yes));
}

/// Asks every member for its hints, which count among the records that are short of a copy.
async fn ask_how_all_do(cluster: &Arc<Cluster>) {
    loop {
        let at = cluster.stamp_now();
        cluster.note_hints(cluster.me, &cluster.report().hints, at);
        let others = cluster.member_ids().into_iter().filter(|node| *node != cluster.me);
        let ask = others.map(|node| async move { (node, cluster.peers.report(node, REPORT_DEADLINE).await) });
        for (node, report) in join_all(ask).await {
            if let Ok(report) = report {
                cluster.note_hints(node, &report.hints, at);
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
