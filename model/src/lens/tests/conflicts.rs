//! Who counts, with what share, and how contested that makes a question.

use super::scene::{check, check_under};
use crate::lens::*;
use crate::time::{Duration, Stamp};
use expect_test::expect;

#[test]
fn nothing_said_is_nothing_decided() {
    check(
        Lens::None,
        "",
        expect![[r#"
            all: nobody
        "#]],
    );
    check(
        Lens::Recency,
        "",
        expect![[r#"
        nothing
    "#]],
    );
    check(
        Lens::Confidence,
        "",
        expect![[r#"
        nothing
    "#]],
    );
    check(
        Lens::Consensus,
        "",
        expect![[r#"
        nothing
    "#]],
    );
    check(
        Lens::Authority,
        "",
        expect![[r#"
        nothing
    "#]],
    );
    check(
        Lens::Skeptic,
        "",
        expect![[r#"
        silent none
    "#]],
    );
    check(
        Lens::Layered,
        "",
        expect![[r#"
            overall nobody
            silent none
        "#]],
    );
}

#[test]
fn the_skeptic_weighs_authors_by_confidence() {
    check(
        Lens::Skeptic,
        "a@10 ann blue 0.9\n b@10 bob red 0.1",
        expect![[r#"
        agreed 468996
        - blue: a by ann, 900000 is 900000
        - red: b by bob, 100000 is 100000
    "#]],
    );
    check(
        Lens::Skeptic,
        "a@10 ann blue 0.5\n b@10 bob red 0.5\n c@10 cid green 0.5",
        expect![[r#"
        contested 1000000
        - blue: a by ann, 500000 is 333333
        - red: b by bob, 500000 is 333333
        - green: c by cid, 500000 is 333333
    "#]],
    );
    check(
        Lens::Skeptic,
        "a@10 ann+bob+cid blue 1\n b@10 dan red 1",
        expect![[r#"
        contested 811278
        - blue: a by ann bob cid, 3000000 is 750000
        - red: b by dan, 1000000 is 250000
    "#]],
    );
    check(
        Lens::Skeptic,
        "a@10 ann 5 1\n b@10 bob 5.0 1\n c@10 cid >5 1",
        expect![[r#"
        contested 918296
        - 5: a b by ann bob, 2000000 is 666666
        - >5: c by cid, 1000000 is 333333
    "#]],
    );
}

#[test]
fn without_any_weight_there_is_no_score() {
    check(
        Lens::Skeptic,
        "a@10 ann blue 0\n b@10 bob red 0",
        expect![[r#"
        contested none
        - blue: a by ann, 0 is none
        - red: b by bob, 0 is none
    "#]],
    );
    check(
        Lens::Skeptic,
        "a@10 ann blue 0",
        expect![[r#"
        unanimous none
        - blue: a by ann, 0 is none
    "#]],
    );
    check(
        Lens::Skeptic,
        "a@10 ann blue 0\n b@10 bob red 0.5",
        expect![[r#"
        agreed 0
        - red: b by bob, 500000 is 1000000
        - blue: a by ann, 0 is 0
    "#]],
    );
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
fn a_weight_halves_every_half_life() {
    let fading = Terms {
        half_life: HalfLife::Every(Duration::from_ms(100_000).unwrap()),
        ..Terms::at(Stamp::end_of_ms(1_000_000))
    };
    let old_and_new = "a@800000 ann blue 0.8 expert\n b@1000000 bob red 0.3 expert\n c@1000 cid red 1 expert";
    check_under(
        fading,
        Lens::Confidence,
        old_and_new,
        expect![[r#"
        b 300000 expert with 300000: highest_confidence
        then a 200000 expert
        then c 983 expert
    "#]],
    );
    check_under(
        fading,
        Lens::Authority,
        old_and_new,
        expect![[r#"
        b 150000 expert with 300000: higher_weight_in_tier
        then a 100000 expert
        then c 492 expert
    "#]],
    );
    check_under(
        fading,
        Lens::Skeptic,
        old_and_new,
        expect![[r#"
        contested 970490
        - red: b c by bob cid, 300983 is 600784
        - blue: a by ann, 200000 is 399215
    "#]],
    );
    check_under(
        fading,
        Lens::Recency,
        old_and_new,
        expect![[r#"
        b 1000000 expert with 300000: newest
        then a 800000 expert
        then c 1000 expert
    "#]],
    );
    let by_class = Terms { half_life: HalfLife::Class, ..Terms::at(Stamp::end_of_ms(86_400_000 * 180)) };
    let classes = "a@0 ann blue 0.8 community\n b@0 bob red 0.8 anecdotal\n c@0 cid red 0.8 regulatory";
    check_under(
        by_class,
        Lens::Confidence,
        classes,
        expect![[r#"
        c 773116 regulatory with 773116: highest_confidence
        then a 400000 community
        then b 12500 anecdotal
    "#]],
    );
}
