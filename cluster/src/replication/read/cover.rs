//! A few owners that hold all homes between them, for questions without a subject.

use crate::id::NodeId;
use crate::placement::Table;
use model::Home;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Whom to ask for which homes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Each node with the homes that it answers for; no home twice.
    pub asks: BTreeMap<NodeId, BTreeSet<Home>>,
    /// The homes for which there is nobody.
    pub left: BTreeSet<Home>,
}

/// Finds few owners that answer for all of `homes`, each for its own.
///
/// `fitness` says of an owner of a home whether it can be asked: `Some(true)` if it is fit, `Some(false)` if only for want
/// of a fit one, `None` if not at all. `latency_us` is what a call to a node takes lately, 0 for the coordinator itself.
///
/// Takes, over and over, the node that answers for the most homes left: few enough, if not always the fewest (Chvátal,
/// "A Greedy Heuristic for the Set-Covering Problem", 1979). Ties go to the lower latency, then to the lower id. A home
/// with a fit owner never goes to another. Cost: homes times copies times nodes chosen.
pub fn cover(
    table: &Table,
    homes: impl IntoIterator<Item = Home>,
    fitness: impl Fn(NodeId, Home) -> Option<bool>,
    latency_us: impl Fn(NodeId) -> u64,
) -> Cover {
    let mut cover = Cover { left: homes.into_iter().collect(), ..Cover::default() };
    for fit in [true, false] {
        while let Some((node, homes)) = most_useful(table, &cover.left, |n, h| fitness(n, h) == Some(fit), &latency_us)
        {
            cover.left.retain(|home| !homes.contains(home));
            cover.asks.entry(node).or_default().extend(homes);
        }
    }
    cover
}

fn most_useful(
    table: &Table,
    left: &BTreeSet<Home>,
    suits: impl Fn(NodeId, Home) -> bool,
    latency_us: impl Fn(NodeId) -> u64,
) -> Option<(NodeId, BTreeSet<Home>)> {
    let mut useful = BTreeMap::<_, BTreeSet<_>>::new();
    for home in left {
        for node in table.readers(*home).filter(|node| suits(*node, *home)) {
            useful.entry(node).or_default().insert(*home);
        }
    }
    useful.into_iter().min_by_key(|(node, homes)| (Reverse(homes.len()), latency_us(*node), *node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::{Member, homes, plan};
    use proptest::prelude::*;
    use std::num::NonZeroU8;

    fn table(nodes: u64, copies: u8) -> Table {
        let nodes: Vec<_> = (1..=nodes).map(|id| Member { id: NodeId(id), zone: String::new() }).collect();
        plan(None, &nodes, NonZeroU8::new(copies).unwrap()).unwrap()
    }

    #[test]
    fn two_of_three_nodes_cover_two_copies_and_the_coordinator_is_one_of_them() {
        let table = table(3, 2);
        for me in 1..=3 {
            let latency = |node: NodeId| if node.0 == me { 0 } else { 100 + node.0 };
            let cover = cover(&table, homes(), |_, _| Some(true), latency);
            assert_eq!(cover.asks.len(), 2);
            assert!(cover.left.is_empty());
        }
    }

    #[test]
    fn a_node_alone_answers_for_everything() {
        let cover = cover(&table(1, 2), homes(), |_, _| Some(true), |_| 0);
        assert_eq!(cover.asks, [(NodeId(1), homes().collect())].into());
    }

    #[test]
    fn who_is_away_is_not_asked_and_what_only_it_holds_is_left() {
        let table = table(3, 1);
        let cover = cover(&table, homes(), |node, _| (node != NodeId(2)).then_some(true), |_| 0);
        assert_eq!(cover.asks.keys().copied().collect::<Vec<_>>(), [1, 3].map(NodeId));
        assert_eq!(cover.left, table.homes_of(NodeId(2)).collect());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn every_home_is_asked_of_one_suitable_owner_and_of_a_fit_one_if_there_is_one(
            nodes in 1..7_u64, copies in 1..4_u8, states in prop::collection::vec(0..3_u8, 7), salt in 0..7_u64,
        ) {
            let table = table(nodes, copies);
            let fitness = |node: NodeId, home: Home| match states[((node.0 + salt + u64::from(home.number() % 2)) % 7) as usize] {
                0 => None,
                state => Some(state == 1),
            };
            let cover = cover(&table, homes(), fitness, |node| node.0 % 3);
            let asked: Vec<_> = cover.asks.iter().flat_map(|(node, homes)| homes.iter().map(|home| (*home, *node))).collect();
            prop_assert_eq!(asked.len() + cover.left.len(), 257);
            for (home, node) in asked {
                prop_assert!(table.owns(node, home));
                let any_fit = table.owners(home).iter().any(|owner| fitness(*owner, home) == Some(true));
                prop_assert_eq!(fitness(node, home), Some(any_fit));
            }
            for home in cover.left {
                prop_assert!(table.owners(home).iter().all(|owner| fitness(*owner, home).is_none()));
            }
        }
    }
}
