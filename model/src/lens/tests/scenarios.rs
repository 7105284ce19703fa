//! What each lens answers in cases that a reader can check by hand.

use super::scene::{resolve_told, show, tell};
use crate::lens::*;
use crate::time::{Duration, Stamp, Timestamp};
use expect_test::{Expect, expect};

#[expect(clippy::needless_pass_by_value, reason = "a case is written where it is checked")]
fn check_under(terms: Terms, lens: Lens, lines: &str, expected: Expect) {
    let told = tell(lines);
    expected.assert_eq(&show(&resolve_told(lens, &told, &terms), &told));
}

fn check(lens: Lens, lines: &str, expected: Expect) {
    check_under(Terms::at(Stamp::MAX), lens, lines, expected);
}

const NOW: u64 = 1_000_000;

fn now() -> Terms {
    Terms::at(Stamp::end_of_ms(NOW))
}

#[test]
fn nothing_said_is_nothing_decided() {
    check(Lens::None, "", expect![[r#"
        all: 
    "#]]);
    check(Lens::Recency, "", expect![[r#"
        nothing
    "#]]);
    check(Lens::Confidence, "", expect![[r#"
        nothing
    "#]]);
    check(Lens::Consensus, "", expect![[r#"
        nothing
    "#]]);
    check(Lens::Authority, "", expect![[r#"
        nothing
    "#]]);
    check(Lens::Skeptic, "", expect![[r#"
        silent none
    "#]]);
    check(Lens::Layered, "", expect![[r#"
        overall 
        silent none
    "#]]);
}

#[test]
fn one_claim_wins_and_is_unanimous() {
    let one = "a@10 ann blue 0.9 expert";
    check(Lens::None, one, expect![[r#"
        all: a
    "#]]);
    check(Lens::Recency, one, expect![[r#"
        a 10 expert with 900000: only_candidate
    "#]]);
    check(Lens::Confidence, one, expect![[r#"
        a 900000 expert with 900000: only_candidate
    "#]]);
    check(Lens::Consensus, one, expect![[r#"
        a 1 expert with 1000000: only_candidate
    "#]]);
    check(Lens::Authority, one, expect![[r#"
        a 450000 expert with 900000: only_candidate
    "#]]);
    check(Lens::Skeptic, one, expect![[r#"
        unanimous 0
        - blue: a by ann, 900000 is 1000000
    "#]]);
    check(Lens::Layered, one, expect![[r#"
        expert
          a 450000 expert with 900000: only_candidate
          unanimous 0
          - blue: a by ann, 900000 is 1000000
        overall a
        unanimous 0
        - blue: a by ann, 450000 is 1000000
    "#]]);
}

#[test]
fn the_newest_claim_wins_and_ties_go_to_the_smaller_id() {
    check(Lens::Recency, "a@10 ann blue 1\n b@20 bob red 0.1\n c@20 cid red 1", expect![[r#"
        b 20 community with 100000: tie_smaller_id
        then c 20 community
        then a 10 community
    "#]]);
    check(Lens::Recency, "a@10 ann blue 1\n b@20 bob red 0.1", expect![[r#"
        b 20 community with 100000: newest
        then a 10 community
    "#]]);
}

#[test]
fn nobody_wins_by_claiming_the_future() {
    check(Lens::Recency, "a@999999999 ann blue 1 received=100\n b@300101 bob red 1 received=400000", expect![[r#"
        b 300101 community with 1000000: newest
        then a 300100 community
    "#]]);
    check(Lens::Recency, "a@999999999 ann blue 1 received=100\n b@300100 bob red 1 received=400000", expect![[r#"
        a 300100 community with 1000000: tie_smaller_id
        then b 300100 community
    "#]]);
}

#[test]
fn the_surest_claim_wins_then_the_newer_then_the_smaller_id() {
    check(Lens::Confidence, "a@10 ann blue 0.5\n b@20 bob red 0.9", expect![[r#"
        b 900000 community with 900000: highest_confidence
        then a 500000 community
    "#]]);
    check(Lens::Confidence, "a@10 ann blue 0.5\n b@20 bob red 0.5", expect![[r#"
        b 500000 community with 500000: tie_newer
        then a 500000 community
    "#]]);
    check(Lens::Confidence, "b@10 ann blue 0.5\n a@10 bob red 0.5", expect![[r#"
        a 500000 community with 500000: tie_smaller_id
        then b 500000 community
    "#]]);
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
    check(Lens::Consensus, turned, expect![[r#"
        b 2 community with 666666: most_authors
        then d 2 community
        then c 1 community
        then a 1 community
    "#]]);
    check(Lens::Skeptic, turned, expect![[r#"
        contested 970951
        - red: b d by ann cid, 1500000 is 600000
        - blue: c by bob, 1000000 is 400000
    "#]]);
    let at_once = "b@10 ann blue 1\n a@10 ann red 0.5";
    check(Lens::Consensus, at_once, expect![[r#"
        a 1 community with 1000000: most_authors
        then b 0 community
    "#]]);
    check(Lens::Skeptic, at_once, expect![[r#"
        unanimous 0
        - red: a by ann, 500000 is 1000000
    "#]]);
}

#[test]
fn between_values_equally_held_the_newer_then_the_smaller_id_decides() {
    check(Lens::Consensus, "a@10 ann blue 1\n b@20 bob red 1", expect![[r#"
        b 1 community with 500000: tie_newer
        then a 1 community
    "#]]);
    check(Lens::Consensus, "b@20 ann blue 1\n a@20 bob red 1", expect![[r#"
        a 1 community with 500000: tie_smaller_id
        then b 1 community
    "#]]);
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
    check(Lens::Authority, "a@10 ann blue 0.2 expert\n b@5 bob red 0.3 expert\n c@9 cid red 1", expect![[r#"
        b 150000 expert with 300000: higher_weight_in_tier
        then a 100000 expert
        then c 500000 community
    "#]]);
    check(Lens::Authority, "a@10 ann blue 0.3 expert\n b@5 bob red 0.3 expert", expect![[r#"
        a 150000 expert with 300000: tie_newer
        then b 150000 expert
    "#]]);
    check(Lens::Authority, "b@10 ann blue 0.3 expert\n a@10 bob red 0.3 expert", expect![[r#"
        a 150000 expert with 300000: tie_smaller_id
        then b 150000 expert
    "#]]);
}

#[test]
fn the_skeptic_weighs_authors_by_confidence() {
    check(Lens::Skeptic, "a@10 ann blue 0.9\n b@10 bob red 0.1", expect![[r#"
        agreed 468996
        - blue: a by ann, 900000 is 900000
        - red: b by bob, 100000 is 100000
    "#]]);
    check(Lens::Skeptic, "a@10 ann blue 0.5\n b@10 bob red 0.5\n c@10 cid green 0.5", expect![[r#"
        contested 1000000
        - blue: a by ann, 500000 is 333333
        - red: b by bob, 500000 is 333333
        - green: c by cid, 500000 is 333333
    "#]]);
    check(Lens::Skeptic, "a@10 ann+bob+cid blue 1\n b@10 dan red 1", expect![[r#"
        contested 811278
        - blue: a by ann bob cid, 3000000 is 750000
        - red: b by dan, 1000000 is 250000
    "#]]);
    check(Lens::Skeptic, "a@10 ann 5 1\n b@10 bob 5.0 1\n c@10 cid >5 1", expect![[r#"
        contested 918296
        - 5: a b by ann bob, 2000000 is 666666
        - >5: c by cid, 1000000 is 333333
    "#]]);
}

#[test]
fn without_any_weight_there_is_no_score() {
    check(Lens::Skeptic, "a@10 ann blue 0\n b@10 bob red 0", expect![[r#"
        contested none
        - blue: a by ann, 0 is none
        - red: b by bob, 0 is none
    "#]]);
    check(Lens::Skeptic, "a@10 ann blue 0", expect![[r#"
        unanimous none
        - blue: a by ann, 0 is none
    "#]]);
    check(Lens::Skeptic, "a@10 ann blue 0\n b@10 bob red 0.5", expect![[r#"
        agreed 0
        - red: b by bob, 500000 is 1000000
        - blue: a by ann, 0 is 0
    "#]]);
}

#[test]
fn layers_show_each_tier_and_the_conflict_between_them() {
    check(
        Lens::Layered,
        "a@10 ann blue 0.9 clinical
         b@10 bob red 0.8 clinical
         c@30 ann red 0.6 community
         d@20 cid red 0.4 community
         e@20 ann+dan blue 0.4 anecdotal",
        expect![[r#"
            clinical
              a 450000 clinical with 900000: higher_weight_in_tier
              then b 400000 clinical
              contested 997503
              - blue: a by ann, 900000 is 529411
              - red: b by bob, 800000 is 470588
            community
              c 300000 community with 600000: higher_weight_in_tier
              then d 200000 community
              unanimous 0
              - red: c d by ann cid, 1000000 is 1000000
            anecdotal
              e 200000 anecdotal with 400000: only_candidate
              unanimous 0
              - blue: e by ann dan, 800000 is 1000000
            overall a
            contested 899744
            - blue: e a by ann dan, 650000 is 684210
            - red: c by ann, 300000 is 315789
        "#]],
    );
}

#[test]
fn a_claim_gives_way_to_the_one_that_follows_it() {
    check(Lens::None, "a@10 ann blue 1\n b@20 ann red 1 parent=a\n c@30 ann green 1 parent=b", expect![[r#"
        all: c
        not a: superseded by b
        not b: superseded by c
    "#]]);
    check(Lens::None, "a@10 ann blue 1\n b@20 bob red 1 parent=a", expect![[r#"
        all: b a
    "#]]);
    check(Lens::None, "a@10 ann+bob blue 1\n b@20 bob+cid red 1 parent=a", expect![[r#"
        all: b
        not a: superseded by b
    "#]]);
    check(Lens::None, "a@10 ann blue 1\n b@20 ann red 1 parent=a\n c@20 ann green 1 parent=a", expect![[r#"
        all: b c
        not a: superseded by b
    "#]]);
    check(Lens::None, "a@10 ann blue 1\n b@30 bob red 1 parent=a\n c@20 ann green 1 parent=a", expect![[r#"
        all: b c
        not a: superseded by c
    "#]]);
}

#[test]
fn a_withdrawn_successor_does_not_bring_its_parent_back() {
    let withdrawn = "a@10 ann blue 1\n b@20 ann blue 1 rejected parent=a\n c@5 bob red 1 deprecated";
    check(Lens::None, withdrawn, expect![[r#"
        all: 
        not a: superseded by b
        not b: rejected
        not c: deprecated
    "#]]);
    check_under(Terms { include_inactive: true, ..now() }, Lens::None, withdrawn, expect![[r#"
        all: b c
        not a: superseded by b
    "#]]);
    let moved = "a@10 ann blue 1\n b@20 ann red 1 parent=a valid=500..";
    check_under(Terms { valid_at: Timestamp::from_ms(100), ..now() }, Lens::None, moved, expect![[r#"
        all: 
        not a: superseded by b
        not b: not valid
    "#]]);
}

#[test]
fn claims_that_name_each_other_are_both_superseded() {
    check(Lens::None, "a@10 ann blue 1 parent=b\n b@20 ann red 1 parent=a\n c@20 ann red 1 parent=c", expect![[r#"
        all: c
        not a: superseded by b
        not b: superseded by a
    "#]]);
}

#[test]
fn as_of_hides_what_came_later() {
    let story = "a@10 ann blue 1 received=10\n b@11 ann red 1 parent=a received=20\n c@5 bob red 1 received=30";
    let as_of = |ms| Terms::at(Stamp::end_of_ms(ms));
    check_under(as_of(9), Lens::Recency, story, expect![[r#"
        nothing
    "#]]);
    check_under(as_of(19), Lens::Recency, story, expect![[r#"
        a 10 community with 1000000: only_candidate
    "#]]);
    check_under(as_of(29), Lens::Recency, story, expect![[r#"
        b 11 community with 1000000: only_candidate
        not a: superseded by b
    "#]]);
    check_under(as_of(30), Lens::Recency, story, expect![[r#"
        b 11 community with 1000000: newest
        then c 5 community
        not a: superseded by b
    "#]]);
}

#[test]
fn valid_at_takes_the_first_moment_and_not_the_last() {
    let eras = "a@10 ann blue 1 valid=..100\n b@10 bob red 1 valid=100..200\n c@10 cid green 1";
    let valid_at = |ms| Terms { valid_at: Timestamp::from_ms(ms), ..now() };
    check_under(valid_at(99), Lens::None, eras, expect![[r#"
        all: a c
        not b: not valid
    "#]]);
    check_under(valid_at(100), Lens::None, eras, expect![[r#"
        all: b c
        not a: not valid
    "#]]);
    check_under(valid_at(200), Lens::None, eras, expect![[r#"
        all: c
        not a: not valid
        not b: not valid
    "#]]);
}

#[test]
fn a_weight_halves_every_half_life() {
    let fading = Terms { half_life: HalfLife::Every(Duration::from_ms(100_000).unwrap()), ..now() };
    let old_and_new = "a@800000 ann blue 0.8 expert\n b@1000000 bob red 0.3 expert\n c@1000 cid red 1 expert";
    check_under(fading, Lens::Confidence, old_and_new, expect![[r#"
        b 300000 expert with 300000: highest_confidence
        then a 200000 expert
        then c 983 expert
    "#]]);
    check_under(fading, Lens::Authority, old_and_new, expect![[r#"
        b 150000 expert with 300000: higher_weight_in_tier
        then a 100000 expert
        then c 492 expert
    "#]]);
    check_under(fading, Lens::Skeptic, old_and_new, expect![[r#"
        contested 970490
        - red: b c by bob cid, 300983 is 600784
        - blue: a by ann, 200000 is 399215
    "#]]);
    check_under(fading, Lens::Recency, old_and_new, expect![[r#"
        b 1000000 expert with 300000: newest
        then a 800000 expert
        then c 1000 expert
    "#]]);
    let by_class = Terms { half_life: HalfLife::Class, ..Terms::at(Stamp::end_of_ms(86_400_000 * 180)) };
    let classes = "a@0 ann blue 0.8 community\n b@0 bob red 0.8 anecdotal\n c@0 cid red 0.8 regulatory";
    check_under(by_class, Lens::Confidence, classes, expect![[r#"
        c 773116 regulatory with 773116: highest_confidence
        then a 400000 community
        then b 12500 anecdotal
    "#]]);
}
