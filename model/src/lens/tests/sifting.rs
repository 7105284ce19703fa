//! Which claims may win at all.

use super::scene::{check, check_under};
use crate::lens::*;
use crate::time::{Stamp, Timestamp};
use expect_test::expect;

#[test]
fn a_claim_gives_way_to_the_one_that_follows_it() {
    check(
        Lens::None,
        "a@10 ann blue 1\n b@20 ann red 1 parent=a\n c@30 ann green 1 parent=b",
        expect![[r#"
        all: c
        not a: superseded by b
        not b: superseded by c
    "#]],
    );
    check(
        Lens::None,
        "a@10 ann blue 1\n b@20 bob red 1 parent=a",
        expect![[r#"
        all: b a
    "#]],
    );
    check(
        Lens::None,
        "a@10 ann+bob blue 1\n b@20 bob+cid red 1 parent=a",
        expect![[r#"
        all: b
        not a: superseded by b
    "#]],
    );
    check(
        Lens::None,
        "a@10 ann blue 1\n b@20 ann red 1 parent=a\n c@20 ann green 1 parent=a",
        expect![[r#"
        all: b c
        not a: superseded by b
    "#]],
    );
    check(
        Lens::None,
        "a@10 ann blue 1\n b@30 bob red 1 parent=a\n c@20 ann green 1 parent=a",
        expect![[r#"
        all: b c
        not a: superseded by c
    "#]],
    );
}

#[test]
fn a_withdrawn_successor_does_not_bring_its_parent_back() {
    let withdrawn = "a@10 ann blue 1\n b@20 ann blue 1 rejected parent=a\n c@5 bob red 1 deprecated";
    check(
        Lens::None,
        withdrawn,
        expect![[r#"
            all: nobody
            not a: superseded by b
            not b: rejected
            not c: deprecated
        "#]],
    );
    check_under(
        Terms { include_inactive: true, ..Terms::at(Stamp::end_of_ms(1_000_000)) },
        Lens::None,
        withdrawn,
        expect![[r#"
        all: b c
        not a: superseded by b
    "#]],
    );
    let moved = "a@10 ann blue 1\n b@20 ann red 1 parent=a valid=500..";
    check_under(
        Terms { valid_at: Timestamp::from_ms(100), ..Terms::at(Stamp::end_of_ms(1_000_000)) },
        Lens::None,
        moved,
        expect![[r#"
            all: nobody
            not a: superseded by b
            not b: not valid
        "#]],
    );
}

#[test]
fn claims_that_name_each_other_are_both_superseded() {
    check(
        Lens::None,
        "a@10 ann blue 1 parent=b\n b@20 ann red 1 parent=a\n c@20 ann red 1 parent=c",
        expect![[r#"
        all: c
        not a: superseded by b
        not b: superseded by a
    "#]],
    );
}

#[test]
fn as_of_hides_what_came_later() {
    let story = "a@10 ann blue 1 received=10\n b@11 ann red 1 parent=a received=20\n c@5 bob red 1 received=30";
    let as_of = |ms| Terms::at(Stamp::end_of_ms(ms));
    check_under(
        as_of(9),
        Lens::Recency,
        story,
        expect![[r#"
        nothing
    "#]],
    );
    check_under(
        as_of(19),
        Lens::Recency,
        story,
        expect![[r#"
        a 10 community with 1000000: only_candidate
    "#]],
    );
    check_under(
        as_of(29),
        Lens::Recency,
        story,
        expect![[r#"
        b 11 community with 1000000: only_candidate
        not a: superseded by b
    "#]],
    );
    check_under(
        as_of(30),
        Lens::Recency,
        story,
        expect![[r#"
        b 11 community with 1000000: newest
        then c 5 community
        not a: superseded by b
    "#]],
    );
}

#[test]
fn valid_at_takes_the_first_moment_and_not_the_last() {
    let eras = "a@10 ann blue 1 valid=..100\n b@10 bob red 1 valid=100..200\n c@10 cid green 1";
    let valid_at = |ms| Terms { valid_at: Timestamp::from_ms(ms), ..Terms::at(Stamp::end_of_ms(1_000_000)) };
    check_under(
        valid_at(99),
        Lens::None,
        eras,
        expect![[r#"
        all: a c
        not b: not valid
    "#]],
    );
    check_under(
        valid_at(100),
        Lens::None,
        eras,
        expect![[r#"
        all: b c
        not a: not valid
    "#]],
    );
    check_under(
        valid_at(200),
        Lens::None,
        eras,
        expect![[r#"
        all: c
        not a: not valid
        not b: not valid
    "#]],
    );
}
