//! This node's part in the control plane.

use super::Cluster;
use ::cluster::control::{Command, Member, State, Versions};
use ::cluster::founding::List;
use proto::Greeting;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl Cluster {
    /// PROVISIONAL until openraft: every founder applies the same founding by itself.
    pub(crate) async fn watch_control(self: &Arc<Self>, list: &List) {
        loop {
            let members: Option<BTreeMap<_, _>> = list
                .nodes()
                .map(|node| {
                    let greeting = if node == self.me { Some(self.greeting()) } else { self.neighbour(node) };
                    greeting.map(|greeting| (node, member(&greeting)))
                })
                .collect();
            if let Some(members) = members {
                let mut state = State::default();
                if let Ok(found) = Command::found(members, self.settings.founding) {
                    state.apply(&found);
                    self.learn(Arc::new(state));
                }
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A node as the others are to know it, by what it says of itself.
pub(crate) fn member(greeting: &Greeting) -> Member {
    let version = |number| u16::try_from(number).unwrap_or(u16::MAX);
    Member {
        rpc: greeting.rpc,
        gossip: greeting.gossip,
        api: greeting.clients,
        zone: greeting.zone.clone(),
        versions: Versions { min: version(greeting.protocol_min), max: version(greeting.protocol_max) },
    }
}
