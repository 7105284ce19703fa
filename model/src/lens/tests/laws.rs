//! What holds of every scene, however odd.

use super::scene::{Told, agent, resolve_told, show};
use crate::id::AgentId;
use crate::lens::*;
use crate::record::{Lifecycle, SourceClass, Validity};
use crate::time::{Duration, Stamp, Timestamp};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

/// Few names, times and weights, so that ties, families and repetitions are the rule.
fn told() -> impl Strategy<Value = Told> {
    let authors = proptest::sample::subsequence(vec!["ann", "bob", "cid", "dan"], 1..=3);
    let lifecycle = prop_oneof![4 => Just(Lifecycle::Approved), 1 => select(Lifecycle::ALL)];
    let valid_from = weighted(0.2, (0..5u64).prop_map(|time| Timestamp::from_ms(time * 100_000).unwrap()));
    let words = (authors, select(vec!["blue", "red", "1", "true"]), select(vec![0u32, 1, 300_000, 500_000, 1_000_000]));
    (words, (0..9u64, 0..5u64), select(SourceClass::ALL), lifecycle, weighted(0.3, 0..10u8), valid_from).prop_map(
        |((authors, value, confidence), (timestamp, received_at), source_class, lifecycle, parent, from)| Told {
            name: '?',
            authors: authors.into_iter().map(agent).collect(),
            timestamp: timestamp * 100_000,
            received_at: received_at * 100_000,
            value: value.to_owned(),
            confidence,
            source_class,
            lifecycle,
            parent: parent.map(|number| char::from(b'a' + number)),
            validity: Validity::new(from, None).unwrap(),
        },
    )
}

fn scene() -> impl Strategy<Value = Vec<Told>> {
    proptest::collection::vec(told(), 0..10).prop_map(|mut scene| {
        scene.iter_mut().zip('a'..).for_each(|(told, name)| told.name = name);
        scene
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let half_lives = vec![HalfLife::Off, HalfLife::Class, HalfLife::Every(Duration::from_ms(70_000).unwrap())];
    (0..6u64, weighted(0.3, 0..5u64), select(half_lives), any::<bool>()).prop_map(
        |(as_of, valid_at, half_life, include_inactive)| Terms {
            as_of: Stamp::end_of_ms(as_of * 100_000),
            valid_at: valid_at.and_then(|time| Timestamp::from_ms(time * 100_000)),
            half_life,
            include_inactive,
        },
    )
}

fn lens() -> impl Strategy<Value = Lens> {
    select(Lens::ALL)
}

fn answer(lens: Lens, scene: &[Told], terms: &Terms) -> String {
    show(&resolve_told(lens, scene, terms), scene)
}

fn candidates(scene: &[Told], terms: &Terms) -> Vec<Told> {
    let Outcome::All(all) = resolve_told(Lens::None, scene, terms).outcome else { panic!("none shows all") };
    all.into_iter().map(|at| scene[at].clone()).collect()
}

fn decision(lens: Lens, scene: &[Told], terms: &Terms) -> Option<Decision> {
    let Outcome::Decision(decision) = resolve_told(lens, scene, terms).outcome else { panic!("not a decision") };
    decision
}

fn conflict(scene: &[Told], terms: &Terms) -> Conflict {
    let Outcome::Conflict(conflict) = resolve_told(Lens::Skeptic, scene, terms).outcome else {
        panic!("not a conflict")
    };
    conflict
}

/// What each author says last, found the slow way.
fn last_words(candidates: &[Told]) -> BTreeMap<AgentId, &Told> {
    let mut words = BTreeMap::new();
    for told in candidates.iter().rev() {
        words.extend(told.authors.iter().map(|author| (AgentId::from(author), told)));
    }
    words
}

proptest! {
    #[test]
    fn the_order_of_the_claims_does_not_matter(
        (scene, shuffled) in scene().prop_flat_map(|scene| (Just(scene.clone()), Just(scene).prop_shuffle())),
        terms in terms(),
        lens in lens(),
    ) {
        prop_assert_eq!(answer(lens, &scene, &terms), answer(lens, &shuffled, &terms));
    }

    #[test]
    fn what_is_no_candidate_changes_nothing(scene in scene(), terms in terms(), lens in lens()) {
        let candidates = candidates(&scene, &terms);
        let mut alone = resolve_told(lens, &candidates, &terms);
        prop_assert_eq!(&alone.excluded, &[]);
        let mut whole = resolve_told(lens, &scene, &terms);
        whole.excluded.clear();
        alone.excluded.clear();
        prop_assert_eq!(show(&alone, &candidates), show(&whole, &scene));
    }

    #[test]
    fn what_came_after_as_of_was_never_said(scene in scene(), terms in terms(), lens in lens()) {
        let seen: Vec<_> = scene.iter().filter(|told| told.claim().received_at <= terms.as_of).cloned().collect();
        prop_assert_eq!(answer(lens, &scene, &terms), answer(lens, &seen, &terms));
    }

    #[test]
    fn without_decay_every_as_of_after_the_last_claim_is_the_same(scene in scene(), terms in terms(), lens in lens()) {
        let terms = Terms { half_life: HalfLife::Off, as_of: Stamp::end_of_ms(500_000), ..terms };
        prop_assert_eq!(answer(lens, &scene, &terms), answer(lens, &scene, &Terms { as_of: Stamp::MAX, ..terms }));
    }

    #[test]
    fn each_claim_seen_is_placed_or_excluded_once(scene in scene(), terms in terms(), lens in lens()) {
        let resolution = resolve_told(lens, &scene, &terms);
        let placed = match resolution.outcome {
            Outcome::All(all) => all,
            Outcome::Decision(decision) => {
                let ranked = decision.into_iter().flat_map(|decision| [vec![decision.winner], decision.runners_up]);
                ranked.flatten().map(|ranked| ranked.claim).collect()
            }
            Outcome::Layers(layers) => {
                let decisions = layers.tiers.into_iter().map(|layer| layer.decision);
                let ranked = decisions.flat_map(|decision| [vec![decision.winner], decision.runners_up]);
                ranked.flatten().map(|ranked| ranked.claim).collect()
            }
            Outcome::Conflict(_) => return Ok(()), // shows only the claims that count
        };
        let mut all: Vec<_> = placed.into_iter().chain(resolution.excluded.iter().map(|no| no.claim)).collect();
        all.sort_unstable();
        let seen = (0..scene.len()).filter(|at| scene[*at].claim().received_at <= terms.as_of);
        prop_assert_eq!(all, seen.collect::<Vec<_>>());
        prop_assert!(resolution.excluded.is_sorted_by_key(|no| scene[no.claim].name));
    }

    #[test]
    fn authority_and_layers_answer_from_the_strongest_tier(scene in scene(), terms in terms()) {
        let winner = decision(Lens::Authority, &scene, &terms).map(|decision| decision.winner);
        let strongest = candidates(&scene, &terms).iter().map(|told| told.source_class).min();
        prop_assert_eq!(winner.map(|winner| winner.effective_tier), strongest);
        let Outcome::Layers(layers) = resolve_told(Lens::Layered, &scene, &terms).outcome else { panic!("layers") };
        prop_assert_eq!(layers.overall().map(|decision| decision.winner), winner);
        prop_assert!(layers.tiers.is_sorted_by(|a, b| a.tier < b.tier));
        prop_assert_eq!(layers.cross_tier.values.iter().map(|row| row.claims.len()).sum::<usize>(), layers.tiers.len());
    }

    #[test]
    fn the_consensus_is_what_most_authors_said_last(scene in scene(), terms in terms()) {
        let candidates = candidates(&scene, &terms);
        let words = last_words(&candidates);
        let mut holders = BTreeMap::<_, u64>::new();
        words.values().for_each(|told| *holders.entry(&told.value).or_default() += 1);
        let Some(decision) = decision(Lens::Consensus, &scene, &terms) else {
            prop_assert!(candidates.is_empty());
            return Ok(());
        };
        let winner = &scene[decision.winner.claim];
        prop_assert_eq!(Some(&decision.winner.weight), holders.values().max());
        prop_assert_eq!(Some(&decision.winner.weight), holders.get(&winner.value));
        prop_assert!(words.values().any(|told| told.name == winner.name));
        prop_assert!(decision.confidence <= 1_000_000);
    }

    #[test]
    fn shares_are_parts_of_a_whole(scene in scene(), terms in terms()) {
        let conflict = conflict(&scene, &terms);
        let (rows, total) = (conflict.values.len() as u64, conflict.values.iter().map(|row| row.weight).sum::<u64>());
        prop_assert_eq!(conflict.score.is_some(), total > 0);
        prop_assert!(conflict.values.iter().all(|row| row.share.is_some() == (total > 0)));
        let shares: u64 = conflict.values.iter().filter_map(|row| row.share).sum();
        prop_assert!(total == 0 || (shares <= 1_000_000 && shares + rows > 1_000_000));
        prop_assert!(conflict.score.is_none_or(|score| score <= 1_000_000));
        prop_assert!(conflict.values.is_sorted_by_key(|row| std::cmp::Reverse(row.weight)));
    }

    #[test]
    fn rows_hold_each_author_once_at_its_last_word(scene in scene(), terms in terms()) {
        let candidates = candidates(&scene, &terms);
        let words = last_words(&candidates);
        let conflict = conflict(&scene, &terms);
        prop_assert_eq!(conflict.values.iter().map(|row| row.authors.len()).sum::<usize>(), words.len());
        for row in &conflict.values {
            let value = &scene[row.claims[0]].value;
            prop_assert!(row.authors.iter().all(|author| &words[author].value == value));
            if terms.half_life == HalfLife::Off {
                let weight: u64 = row.authors.iter().map(|author| u64::from(words[author].confidence)).sum();
                prop_assert_eq!(row.weight, weight);
            }
        }
        let expected = match words.values().map(|told| &told.value).collect::<std::collections::BTreeSet<_>>().len() {
            0 => [Verdict::Silent; 2],
            1 => [Verdict::Unanimous; 2],
            _ => [Verdict::Agreed, Verdict::Contested],
        };
        prop_assert!(expected.contains(&conflict.verdict));
    }

    #[test]
    fn the_score_is_shannon_entropy_over_its_most(weights in proptest::collection::vec(1..=1_000_000u32, 2..30)) {
        let base = super::scene::tell("a@10 ann 0 1").remove(0);
        let scene: Vec<_> = weights.iter().zip('A'..).enumerate().map(|(number, (confidence, name))| Told {
            name,
            authors: vec![agent(&name.to_string())],
            value: number.to_string(),
            confidence: *confidence,
            ..base.clone()
        }).collect();
        let score = conflict(&scene, &Terms::at(Stamp::MAX)).score.unwrap();
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        let entropy: f64 = weights.iter().map(|weight| f64::from(*weight) / total).map(|p| -p * p.log2()).sum();
        let expected = entropy / (weights.len() as f64).log2() * 1e6;
        prop_assert!((score as f64 - expected).abs() < 0.51, "{score} is not {expected}");
    }
}
