//! The founding of a cluster, carried out: greets whoever gossip knows, keeps what is promised, and starts the control plane.
//!
//! [`cluster::founding`] decides. What is promised or founded is on disk before anybody is told.

use super::Cluster;
use super::greeting::{Heard, standing};
use super::lifecycle::greet_all;
use crate::founding_file::{KeptError, keep};
use crate::world::World;
use ::cluster::Millis;
use ::cluster::founding::{Founding, Input, Kept, List, Output, Settings, Trouble};
use ::cluster::placement::homes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a greeting may take.
pub(super) const GREET_DEADLINE: Duration = Duration::from_millis(500);

/// The founder of a node, until its cluster is founded.
#[derive(Debug)]
pub(crate) struct Founder {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) world: World,
    pub(crate) data_dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) kept: Kept,
}

impl Founder {
    /// Works until the cluster is founded, and returns the list of its founders.
    pub(crate) async fn found(self, heard: &mut mpsc::Receiver<Heard>) -> Result<List, KeptError> {
        let (cluster, mut out, mut started) = (Arc::clone(&self.cluster), Vec::new(), None);
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
                            cluster.met(&homes().collect(), before);
                        }
                        inputs.push(Input::Persisted);
                    }
                    // Their answers come in as heard.
                    Output::AskSeeds | Output::Ask(_) => drop(tokio::spawn(greet_all(Arc::clone(&cluster)))),
                    Output::Start(list) => started = Some(list),
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
            if let Some(list) = started {
                cluster.standing.send_replace(machine.standing());
                cluster.set_founding_trouble(None);
                return Ok(list);
            }
            if !out.is_empty() {
                continue;
            }
            let input = tokio::select! {
                biased;
                Some(heard) = heard.recv() => {
                    cluster.note_clock(&heard);
                    Input::Heard { from: heard.from, standing: standing(&heard.greeting) }
                }
                () = cluster.sleep_until(machine.wake_at()) => Input::Tick,
            };
            machine.handle(input, cluster.now(), &mut out);
        }
    }
}

fn tell(cluster: &Cluster, trouble: &Trouble) {
    tracing::warn!(%trouble, "no cluster is founded yet");
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
