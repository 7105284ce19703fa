//! Which claim wins, and by which comparison, in cases that a reader can check by hand.

use super::scene::check;
use crate::lens::*;
use expect_test::expect;

#[test]
fn one_claim_wins_and_is_unanimous() {
    let one = "a@10 ann blue 0.9 expert";
    check(
        Lens::None,
        one,
        expect![[r#"
        all: a
    "#]],
    );
    check(
        Lens::Recency,
        one,
        expect![[r#"
        a 10 expert with 900000: only_candidate
    "#]],
    );
    check(
        Lens::Confidence,
        one,
        expect![[r#"
        a 900000 expert with 900000: only_candidate
    "#]],
    );
    check(
        Lens::Consensus,
        one,
        expect![[r#"
        a 1 expert with 1000000: only_candidate
    "#]],
    );
    check(
        Lens::Authority,
        one,
        expect![[r#"
        a 450000 expert with 900000: only_candidate
    "#]],
    );
    check(
        Lens::Skeptic,
        one,
        expect![[r#"
        unanimous 0
        - blue: a by ann, 900000 is 1000000
    "#]],
    );
    check(
        Lens::Layered,
        one,
        expect![[r#"
        expert
          a 450000 expert with 900000: only_candidate
          unanimous 0
          - blue: a by ann, 900000 is 1000000
        overall a
        unanimous 0
        - blue: a by ann, 450000 is 1000000
    "#]],
    );
}

#[test]
fn the_newest_claim_wins_and_ties_go_to_the_smaller_id() {
    check(
        Lens::Recency,
        "a@10 ann blue 1\n b@20 bob red 0.1\n c@20 cid red 1",
        expect![[r#"
        b 20 community with 100000: tie_smaller_id
        then c 20 community
        then a 10 community
    "#]],
    );
    check(
        Lens::Recency,
        "a@10 ann blue 1\n b@20 bob red 0.1",
        expect![[r#"
        b 20 community with 100000: newest
        then a 10 community
    "#]],
    );
}

#[test]
fn nobody_wins_by_claiming_the_future() {
    check(
        Lens::Recency,
        "a@999999999 ann blue 1 received=100\n b@300101 bob red 1 received=400000",
        expect![[r#"
        b 300101 community with 1000000: newest
        then a 300100 community
    "#]],
    );
    check(
        Lens::Recency,
        "a@999999999 ann blue 1 received=100\n b@300100 bob red 1 received=400000",
        expect![[r#"
        a 300100 community with 1000000: tie_smaller_id
        then b 300100 community
    "#]],
    );
}

#[test]
fn the_surest_claim_wins_then_the_newer_then_the_smaller_id() {
    check(
        Lens::Confidence,
        "a@10 ann blue 0.5\n b@20 bob red 0.9",
        expect![[r#"
        b 900000 community with 900000: highest_confidence
        then a 500000 community
    "#]],
    );
    check(
        Lens::Confidence,
        "a@10 ann blue 0.5\n b@20 bob red 0.5",
        expect![[r#"
        b 500000 community with 500000: tie_newer
        then a 500000 community
    "#]],
    );
    check(
        Lens::Confidence,
        "b@10 ann blue 0.5\n a@10 bob red 0.5",
        expect![[r#"
        a 500000 community with 500000: tie_smaller_id
        then b 500000 community
    "#]],
    );
}

#[test]
fn consensus_counts_authors_not_claims() {
    check(
        Lens::Consensus,
        "a@10 ann blue 1
         b@11 ann blue 1
         c@12 ann blue 1
         d@5 bob+cid red 0.1",
        expect![[r#"
            d 2 community with 666666: most_authors
            then c 1 community
            then b 1 community
            then a 1 community
        "#]],
    );
}

#[test]
fn an_author_counts_by_its_newest_claim() {
    let turned = "a@10 ann blue 1\n b@20 ann red 0.5\n c@5 bob blue 1\n d@5 cid red 1";
    check(
        Lens::Consensus,
        turned,
        expect![[r#"
        b 2 community with 666666: most_authors
        then d 2 community
        then c 1 community
        then a 1 community
    "#]],
    );
    check(
        Lens::Skeptic,
        turned,
        expect![[r#"
        contested 970951
        - red: b d by ann cid, 1500000 is 600000
        - blue: c by bob, 1000000 is 400000
    "#]],
    );
    let at_once = "b@10 ann blue 1\n a@10 ann red 0.5";
    check(
        Lens::Consensus,
        at_once,
        expect![[r#"
        a 1 community with 1000000: most_authors
        then b 0 community
    "#]],
    );
    check(
        Lens::Skeptic,
        at_once,
        expect![[r#"
        unanimous 0
        - red: a by ann, 500000 is 1000000
    "#]],
    );
}

#[test]
fn between_values_equally_held_the_newer_then_the_smaller_id_decides() {
    check(
        Lens::Consensus,
        "a@10 ann blue 1\n b@20 bob red 1",
        expect![[r#"
        b 1 community with 500000: tie_newer
        then a 1 community
    "#]],
    );
    check(
        Lens::Consensus,
        "b@20 ann blue 1\n a@20 bob red 1",
        expect![[r#"
        a 1 community with 500000: tie_smaller_id
        then b 1 community
    "#]],
    );
}

#[test]
fn the_strongest_tier_decides_whatever_the_volume_below() {
    check(
        Lens::Authority,
        "a@10 ann blue 0.2 regulatory
         b@20 bob red 1 community
         c@21 cid red 1 community
         d@22 dan red 1 clinical",
        expect![[r#"
            a 100000 regulatory with 200000: higher_tier
            then d 500000 clinical
            then c 500000 community
            then b 500000 community
        "#]],
    );
    check(
        Lens::Authority,
        "a@10 ann blue 0.2 expert\n b@5 bob red 0.3 expert\n c@9 cid red 1",
        expect![[r#"
        b 150000 expert with 300000: higher_weight_in_tier
        then a 100000 expert
        then c 500000 community
    "#]],
    );
    check(
        Lens::Authority,
        "a@10 ann blue 0.3 expert\n b@5 bob red 0.3 expert",
        expect![[r#"
        a 150000 expert with 300000: tie_newer
        then b 150000 expert
    "#]],
    );
    check(
        Lens::Authority,
        "b@10 ann blue 0.3 expert\n a@10 bob red 0.3 expert",
        expect![[r#"
        a 150000 expert with 300000: tie_smaller_id
        then b 150000 expert
    "#]],
    );
}
