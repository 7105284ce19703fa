//! How a node comes to a cluster, carried out: greets whoever gossip knows, and keeps what it promises, founds or joins.
//!
//! [`cluster::founding`] decides. What is promised or founded is on disk before anybody is told.

use super::Cluster;
use super::greeting::{Heard, standing};
use super::lifecycle::greet_all;
use crate::founding_file::{KeptError, keep};
use crate::world::World;
use ::cluster::founding::{Founding, Input, Kept, List, Output, Settings, Standing, Trouble};
use ::cluster::placement::homes;
use ::cluster::{ClusterId, Millis};
use proto::Membership;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a greeting may take.
pub(super) const GREET_DEADLINE: Duration = Duration::from_millis(500);

/// The cluster that a node belongs to.
#[derive(Clone, Debug)]
pub(crate) enum Belonging {
    /// It is one of its founders.
    Founder(List),
    /// It joined later.
    Joined(ClusterId),
}

impl Belonging {
    pub(crate) fn cluster(&self) -> ClusterId {
        match self {
            Self::Founder(list) => list.cluster(),
            Self::Joined(cluster) => *cluster,
        }
    }

    /// The list that it founded with.
    pub(crate) fn founders(&self) -> Option<&List> {
        match self {
            Self::Founder(list) => Some(list),
            Self::Joined(_) => None,
        }
    }
}

/// The founder of a node, until it belongs to a cluster.
#[derive(Debug)]
pub(crate) struct Founder {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) world: World,
    pub(crate) data_dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) kept: Kept,
}

impl Founder {
    /// Works until the node belongs to a cluster.
    pub(crate) async fn found(self, heard: &mut mpsc::Receiver<Heard>) -> Result<Belonging, KeptError> {
        let (cluster, mut out, mut belongs) = (Arc::clone(&self.cluster), Vec::new(), None);
        let mut machine = Founding::start(cluster.me, self.settings, self.kept.clone(), cluster.now(), &mut out);
        loop {
            let mut inputs = Vec::new();
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Persist(kept) => {
                        let before = cluster.stamp_now();
                        keep(self.world.disk.as_ref(), &self.data_dir, &kept)?;
                        self.world.workers.settle().await;
                        tracing::info!(?kept, "kept of the founding");
                        if matches!(kept, Kept::Promise(_)) {
                            // There is no cluster before all have promised, so nobody has anything that this node lacks.
                            cluster.began(&homes().collect(), before);
                        }
                        inputs.push(Input::Persisted);
                    }
                    // Their answers come in as heard.
                    Output::AskSeeds | Output::Ask(_) => drop(tokio::spawn(greet_all(Arc::clone(&cluster)))),
                    Output::Start(list) => belongs = Some(Belonging::Founder(list)),
                    Output::Join(cluster) => belongs = Some(Belonging::Joined(cluster)),
                    Output::Trouble(trouble) => tell(&cluster, &trouble),
                }
            }
            cluster.standing.send_if_modified(|known| {
                let now = machine.standing();
                let is_news = *known != now;
                *known = now;
                is_news
            });
            for input in inputs {
                machine.handle(input, cluster.now(), &mut out);
            }
            if let Some(belonging) = belongs {
                cluster.standing.send_replace(machine.standing());
                cluster.set_founding_trouble(None);
                return Ok(belonging);
            }
            if !out.is_empty() {
                continue;
            }
            let input = tokio::select! {
                biased;
                Some(heard) = heard.recv() => {
                    cluster.note_clock(&heard);
                    let standing = standing(&heard.greeting);
                    if let (Standing::Founded(cluster), Membership::Member) = (&standing, heard.membership) {
                        machine.handle(Input::Admitted(*cluster), self.cluster.now(), &mut out);
                    }
                    Input::Heard { from: heard.from, standing }
                }
                () = cluster.sleep_until(machine.wake_at()) => Input::Tick,
            };
            machine.handle(input, cluster.now(), &mut out);
        }
    }
}

fn tell(cluster: &Cluster, trouble: &Trouble) {
    tracing::warn!(%trouble, "this node belongs to no cluster yet");
    cluster.set_founding_trouble(Some(trouble.to_string()));
}

/// How foundings are paced. `expect` is how many nodes found together.
pub(crate) fn settings(expect: usize) -> Settings {
    let alone = expect == 1;
    Settings {
        bootstrap_expect: expect,
        ask_every: Millis(250),
        settle: if alone { Millis(0) } else { Millis(1_000) },
        forget_after: Millis(5_000),
        silence_max: Millis(10_000),
    }
}
