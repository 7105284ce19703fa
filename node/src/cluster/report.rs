//! How the nodes of the cluster do: what this one says of itself, and what all of them say to an operator.
//!
//! Figures only; nothing is decided by them.

use super::{Cluster, View};
use crate::control::Control;
use crate::metrics::Copies;
use ::cluster::NodeId;
use ::cluster::control;
use ::cluster::reconcile::parting::Parting;
use api::database::{Addresses, ClusterSettings, Member, NodeFigures, NodeState, NodeView, Shortfall, Speaks};
use futures_util::future::join_all;
use model::Home;
use proto::{HomeHints, Report};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take to say how it does.
const REPORT_DEADLINE: Duration = Duration::from_millis(500);
/// How many hints are counted by home in one go, and in how many goes; more are known to be many.
const HINTS_A_PAGE: usize = 1_024;
const HINT_PAGES_MAX: usize = 64;
/// The name of this release.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

impl Cluster {
    /// How this node does, for the others.
    pub(crate) fn report(&self) -> Report {
        let counts = self.local.reader().counts();
        let homes_owned = self.table().map_or(0, |table| count(table.homes_of(self.me)));
        let raft = self.control.get().map(Control::metrics);
        let fit = |home: &Home| self.is_fit(self.me, *home);
        let (shortfalls, lags) = self.shortfalls_and_lags();
        let homes_fit = self.table().map_or(0, |table| count(table.homes_of(self.me).filter(fit)));
        Report {
            node: self.me.0,
            generation: self.generation.0,
            release: RELEASE.to_owned(),
            wall_ms: self.clock.wall_ms(),
            uptime_ms: self.now().0,
            epoch: self.epoch().0,
            leader: self.leader().map(|leader| leader.0),
            term: raft.as_ref().map_or(0, |raft| raft.term),
            applied: raft.as_ref().and_then(|raft| raft.applied_index).unwrap_or(0),
            problems: self.trouble().into_iter().chain(self.clock_trouble()).collect(),
            homes_owned,
            homes_fit,
            records: counts.records(),
            hints: self.hint_counts(),
            shortfalls,
            lags,
            taken: self.taken(),
            homes_stray: self.homes_stray(),
            can_leave: self.health.parting() == Parting::Ready,
        }
    }

    /// How this node's copies stand, for whoever watches.
    pub(super) fn copies_now(&self, hints: &[HomeHints]) -> Copies {
        let (shortfalls, lags) = self.shortfalls_and_lags();
        Copies {
            lag_ms: lags.iter().map(|lag| (NodeId(lag.node).to_string(), lag.lag_ms)).collect(),
            under_replicated: shortfalls.iter().map(|home| home.records).sum(),
            stable_age_ms: self.stable_age_ms(),
            hints: hints.iter().map(|home| home.hints).sum(),
            is_leader: self.leader() == Some(self.me),
        }
    }

    /// The cluster, as this node has it.
    pub(crate) fn described(&self) -> api::database::Cluster {
        let state = self.control_state();
        let members = state.members().into_iter().flatten().map(|(node, member)| self.member(*node, member));
        api::database::Cluster {
            cluster_id: state.cluster().map(|cluster| cluster.to_string()),
            epoch: self.epoch().0,
            leader: self.leader().map(|leader| leader.to_string()),
            active_version: state.active_version().map(|version| version.0),
            members: members.collect(),
            settings: ClusterSettings {
                replication_factor: state.settings().map_or(1, |settings| settings.replication_factor.get()),
            },
            moves: self.moves(),
            candidates: self.waiting_nodes(),
        }
    }

    /// How every node is; who does not answer soon is told without figures.
    pub(crate) async fn nodes(self: &Arc<Self>) -> Vec<NodeView> {
        let state = self.control_state();
        let ask = state.members().into_iter().flatten().map(|(node, member)| async {
            let report =
                if *node == self.me { Ok(self.report()) } else { self.peers.report(*node, REPORT_DEADLINE).await };
            let figures = report.ok().map(|report| figures(&report));
            #[cfg(feature = "next")]
            let figures = match figures {
                Some(figures) => Some(self.with_log_version(*node, figures).await),
                None => None,
            };
            NodeView { member: self.member(*node, member), state: self.state_of(*node), figures }
        });
        join_all(ask).await
    }

    /// The same figures, with what is asked for by a call of its own.
    #[cfg(feature = "next")]
    async fn with_log_version(&self, node: NodeId, figures: NodeFigures) -> NodeFigures {
        let version = self.log_version_of(node, REPORT_DEADLINE).await;
        NodeFigures { log_version: version.map(|version| version.0), ..figures }
    }

    /// Whether a node lives.
    fn state_of(&self, node: NodeId) -> NodeState {
        let view = self.view.borrow();
        if node == self.me || view.alive.contains_key(&node) {
            NodeState::Alive
        } else if view.down.contains(&node) {
            NodeState::Down
        } else {
            NodeState::Unknown
        }
    }

    fn member(&self, node: NodeId, member: &control::Member) -> Member {
        Member {
            node_id: node.to_string(),
            addresses: Addresses {
                client: Some(member.api.to_string()),
                rpc: Some(member.rpc.to_string()),
                gossip: Some(member.gossip.to_string()),
            },
            zone: (!member.zone.is_empty()).then(|| member.zone.clone()),
            homes: self.table().map_or(0, |table| count(table.homes_of(node))),
            is_draining: self.control_state().draining().any(|draining| draining == node),
            speaks: Speaks { min: member.versions.min.0, max: member.versions.max.0 },
        }
    }

    /// How many hints this node holds, by home.
    pub(super) fn hint_counts(&self) -> Vec<HomeHints> {
        let (reader, mut counts, mut after) = (self.local.reader(), BTreeMap::<Home, u64>::new(), None);
        if reader.counts().hints == 0 {
            return Vec::new();
        }
        for _ in 0..HINT_PAGES_MAX {
            let Ok(page) = reader.hints(after, HINTS_A_PAGE) else { break };
            let homes = page.hints.iter().map(|hint| hint.home).chain(page.damaged.iter().map(|(home, _)| *home));
            homes.for_each(|home| *counts.entry(home).or_default() += 1);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        counts.into_iter().map(|(home, hints)| HomeHints { home, hints }).collect()
    }

    /// What keeps this node from serving as a part of the cluster, if anything does.
    pub(crate) fn trouble(&self) -> Option<String> {
        if let Some(wrong) = self.out_of_service().or_else(|| self.wrong_settings()) {
            return Some(wrong);
        }
        let View { trouble, misfit, .. } = View::clone(&self.view.borrow());
        if self.table().is_some() {
            return misfit; // with nobody in sight for another reason, it may still answer
        }
        let founding = self.founding_trouble();
        let founding = founding.unwrap_or_else(|| "not founded yet; waiting for the other nodes".to_owned());
        Some([Some(founding), trouble].into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

fn figures(report: &Report) -> NodeFigures {
    NodeFigures {
        version: report.release.clone(),
        replication_lag_ms: report.lags.iter().map(|lag| lag.lag_ms).max().unwrap_or(0),
        hints_pending: report.hints.iter().map(|home| home.hints).sum(),
        under_replicated: Shortfall {
            records: report.shortfalls.iter().map(|home| home.records).sum(),
            is_exact: report.shortfalls.iter().all(|home| home.exact),
        },
        #[cfg(feature = "next")]
        log_version: None,
    }
}

fn count<T>(homes: impl Iterator<Item = T>) -> u16 {
    u16::try_from(homes.count()).unwrap_or(u16::MAX)
}
