use super::*;
use crate::home::Home;
use crate::set::{Leaf, SetKey};
use crate::time::Stamp;
use proptest::prelude::*;

const SETS: SetKey = SetKey::new([7; 32]);

fn key() -> SketchKey {
    SketchKey::of(&SETS, 1)
}

/// The element of this number, in the homes from `first` on.
fn element(key: &SketchKey, number: u64, first: u16) -> Item {
    let [home, ..] = number.to_le_bytes();
    let hash = blake3::hash(&number.to_le_bytes());
    let leaf = Leaf(*hash.as_bytes().first_chunk().unwrap());
    let home = Home::from_number(first + u16::from(home) % 128).unwrap();
    Item::of(key, home, Stamp::new(1_785_000_000_000 + number / 8, 0).unwrap(), leaf)
}

fn elements(numbers: std::ops::Range<u64>) -> Vec<Item> {
    numbers.map(|number| element(&key(), number, 0)).collect()
}

fn sketch(items: &[Item]) -> Sketch {
    let mut sketch = Sketch::new();
    items.iter().for_each(|item| sketch.add(&key(), *item));
    sketch
}

/// As [`Sketch::symbols`] arrive.
fn received(sketch: &Sketch) -> Vec<Symbol> {
    sketch.symbols().iter().map(|symbol| Symbol::from_bytes(&symbol.to_bytes())).collect()
}

/// Feeds `theirs` in blocks until the decoder is done.
fn decode(own: Sketch, theirs: &[Symbol], block: usize) -> Decoder {
    let mut decoder = Decoder::new(key(), own);
    for block in theirs.chunks(block) {
        let state = decoder.feed(block);
        assert!(decoder.found() <= ITEMS_PER_SYMBOL_MAX * decoder.received());
        if state != State::Open {
            break;
        }
    }
    decoder
}

fn sorted(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_unstable();
    items
}

fn check_difference(mine: Vec<Item>, theirs: Vec<Item>, common: &[Item], block: usize) {
    let own = sketch(&[&mine[..], common].concat());
    let other = received(&sketch(&[common, &theirs[..]].concat()));
    let wanted = Difference { mine: sorted(mine), theirs: sorted(theirs) };
    assert_eq!(decode(own, &other, block).difference(), Some(wanted));
}

fn numbers() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(0..1_000_000_u64, 0..60).prop_map(Vec::from_iter).prop_shuffle()
}

proptest! {
    #[test]
    fn a_sketch_is_a_function_of_the_set(numbers in numbers(), more in numbers()) {
        let items = |numbers: &[u64]| numbers.iter().map(|number| element(&key(), *number, 0)).collect::<Vec<_>>();
        let (set, more) = (items(&numbers), items(&more));
        let mut reached = sketch(&more);
        set.iter().rev().for_each(|item| reached.add(&key(), *item));
        more.iter().for_each(|item| reached.remove(&key(), *item));
        prop_assert_eq!(&reached, &sketch(&sorted(set.clone())));
        set.iter().for_each(|item| reached.remove(&key(), *item));
        prop_assert_eq!(reached, Sketch::new());
    }

    #[test]
    fn sketches_of_homes_add_up(one in numbers(), other in numbers()) {
        let (one, other) = (
            one.iter().map(|number| element(&key(), *number, 0)).collect::<Vec<_>>(),
            other.iter().map(|number| element(&key(), *number, 128)).collect::<Vec<_>>(),
        );
        let mut sum = sketch(&one);
        sum += &sketch(&other);
        prop_assert_eq!(&sum, &sketch(&[&one[..], &other[..]].concat()));
        sum -= &sketch(&one);
        prop_assert_eq!(sum, sketch(&other));
    }

    #[test]
    fn an_item_reads_back_what_it_was_written_as(
        home in 0..Home::COUNT, stamp: u64, leaf: [u8; 16], other: u128,
    ) {
        let home = Home::from_number(home).unwrap();
        let item = Item::of(&key(), home, Stamp::from_bits(stamp), Leaf(leaf));
        prop_assert_eq!(Item::from_bits(item.to_bits()), Some(item));
        prop_assert_eq!((item.home(), item.ms()), (home, (stamp >> 16).min(Item::MS_MAX)));
        prop_assert_eq!(&item.to_bits().to_le_bytes()[..12], item.to_bytes());
        let other = other >> 32;
        prop_assert_eq!(Item::from_bits(other).map_or(other, Item::to_bits), other);
    }

    #[test]
    fn numbers_modulo_256_are_all_that_sums_and_questions_need(
        (a, b) in (any::<[u8; 17]>(), any::<[u8; 17]>()), times in 0..2_000_usize,
    ) {
        let (a, b) = (Symbol::from_bytes(&a), Symbol::from_bytes(&b));
        let sum = (0..times).fold(a, |sum, _| sum.plus(b));
        let sent = (0..times).fold(a, |sum, _| Symbol::from_bytes(&sum.plus(b).to_bytes()));
        prop_assert_eq!(sum.to_bytes(), sent.to_bytes());
        prop_assert_eq!(sum.is_empty(), sent.is_empty());
        prop_assert_eq!(b.minus(sum).to_bytes(), b.minus(sent).to_bytes());
        let [low, ..] = (times as i64 * i64::from(b.count())).to_le_bytes();
        prop_assert_eq!(sum.minus(a).count(), low.cast_signed());
        prop_assert_eq!(Symbol::from_bytes(&sum.to_bytes()).to_bytes(), sum.to_bytes());
    }

    #[test]
    fn any_symbols_at_all_come_to_an_end(own in numbers(), seed: u64, kind in 0..4) {
        let items: Vec<_> = own.iter().map(|number| element(&key(), *number, 0)).collect();
        let random = |index: usize, part: u8| {
            let mut hash = blake3::Hasher::new_keyed(&[part; 32]);
            let hash = hash.update(&seed.to_le_bytes()).update(&index.to_le_bytes()).finalize();
            *hash.as_bytes()
        };
        let hostile = |index: usize| {
            let hash = random(index, 1);
            let [number, times, ..] = hash;
            let (alone, _) = key().one(element(&key(), u64::from(number) % 16, 0));
            let taken = Symbol::EMPTY.minus(alone);
            match kind {
                0 => Symbol::from_bytes(hash.first_chunk().unwrap()), // noise
                1 => alone,                                           // items where they may not belong
                2 => (0..times % 4).fold(taken, |sum, _| sum.minus(alone)),
                _ if times % 2 == 0 => alone.plus(taken),
                _ => taken,
            }
        };
        let symbols: Vec<_> = (0..2 * SYMBOLS_KEPT).map(hostile).collect();
        let mut decoder = decode(sketch(&items), &symbols, 1 + usize::from(random(0, 2)[0]));
        prop_assert!(decoder.received() <= SYMBOLS_KEPT);
        let before = (decoder.state(), decoder.received());
        if before.0 != State::Decoded {
            decoder.feed(&symbols);
            prop_assert!(decoder.received() <= SYMBOLS_KEPT);
            prop_assert!(matches!(decoder.state(), State::Contradicted | State::Exhausted));
            prop_assert_eq!(decoder.difference(), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_difference_is_exactly_what_one_has_and_the_other_lacks(
        start in 0..1_000_000_u64, count in 0..600_u64, parts in 0..=8_u64, common in 0..200_u64, block in 1..200_usize,
    ) {
        let mine = count * parts / 8;
        let at = |from: u64, to: u64| elements(start + from..start + to);
        check_difference(at(0, mine), at(mine, count), &at(count, count + common), block);
    }
}

#[test]
fn more_than_127_on_one_side_are_told_from_one() {
    for count in [1, 2, 127, 128, 129, 255, 256, 257, 258, 511, 512, 513, 600] {
        let (items, common) = (elements(0..count), elements(1_000..1_100));
        check_difference(items.clone(), Vec::new(), &common, 1);
        check_difference(Vec::new(), items, &common, 1);
    }
}

#[test]
fn symbols_a_difference_are_as_few_as_the_paper_says() {
    for (differences, rounds, most) in
        [(1, 20, 1.0), (2, 100, 1.9), (4, 100, 2.0), (10, 100, 1.8), (100, 30, 1.5), (600, 4, 1.45)]
    {
        let symbols = (0..rounds).map(|round| {
            let (from, half) = (round * 1_000, differences / 2);
            let (mine, theirs) = (elements(from..from + half), elements(from + half..from + differences));
            let decoder = decode(sketch(&mine), &received(&sketch(&theirs)), 1);
            assert_eq!(decoder.state(), State::Decoded);
            decoder.received()
        });
        let mean = symbols.sum::<usize>() as f64 / (rounds * differences) as f64;
        assert!((1.0..=most).contains(&mean), "{differences} differences: {mean} symbols each");
    }
}

#[test]
fn equal_sets_need_one_symbol_and_too_many_differences_end_as_exhausted() {
    let same = sketch(&elements(0..100));
    let decoder = decode(same.clone(), &received(&same), 1);
    assert_eq!((decoder.state(), decoder.received(), decoder.found()), (State::Decoded, 1, 0));
    let nothing = Difference { mine: Vec::new(), theirs: Vec::new() };
    assert_eq!(decoder.difference(), Some(nothing));
    let decoder = decode(same, &received(&sketch(&elements(0..1_500))), 64);
    assert_eq!((decoder.state(), decoder.received()), (State::Exhausted, SYMBOLS_KEPT));
    assert_eq!(Decoder::new(key(), Sketch::new()).feed(&[]), State::Open);
}

#[test]
fn an_item_that_stands_where_it_does_not_belong_contradicts() {
    let item = element(&key(), 1, 0);
    let (alone, indices) = key().one(item);
    let elsewhere = (0..SYMBOLS_KEPT).find(|index| !indices.clone().any(|own| own == *index)).unwrap();
    let mut symbols = vec![Symbol::EMPTY; SYMBOLS_KEPT];
    symbols[elsewhere] = alone;
    assert_eq!(Decoder::new(key(), Sketch::new()).feed(&[alone]), State::Decoded, "it belongs to symbol 0");
    let mut decoder = Decoder::new(key(), Sketch::new());
    assert_eq!(decoder.feed(&symbols), State::Contradicted);
    assert_eq!((decoder.received(), decoder.found()), (elsewhere + 1, 0));
    assert_eq!(decoder.feed(&symbols), State::Contradicted);
    assert_eq!(decoder.received(), elsewhere + 1);
}

#[test]
fn an_item_that_two_symbols_hand_to_each_other_contradicts() {
    let (alone, mut indices) = key().one(element(&key(), 1, 0));
    let mut symbols = [Symbol::EMPTY; SYMBOLS_KEPT];
    symbols[0] = Symbol::EMPTY.minus(alone);
    symbols[indices.nth(1).unwrap()] = Symbol::EMPTY.minus(alone).minus(alone);
    let mut decoder = Decoder::new(key(), Sketch::new());
    assert_eq!(decoder.feed(&symbols), State::Contradicted);
    assert!(decoder.found() <= ITEMS_PER_SYMBOL_MAX * decoder.received());
}

#[test]
fn symbols_under_another_key_are_of_no_set() {
    let (items, other) = (elements(0..30), SketchKey::of(&SETS, 2));
    let mut theirs = Sketch::new();
    (0..31).for_each(|number| theirs.add(&other, element(&other, number, 0)));
    let decoder = decode(sketch(&items), &received(&theirs), 64);
    assert_eq!(decoder.difference(), None);
    assert_ne!(element(&key(), 1, 0), element(&other, 1, 0));
    assert_ne!(key(), SketchKey::of(&SetKey::new([8; 32]), 1));
    assert_eq!(format!("{other:?}"), "SketchKey(2, ..)");
}

/// Whoever guesses a key finds elements that crowd under it; under the cluster's they are as any others.
#[test]
fn elements_chosen_under_another_key_do_not_crowd() {
    let guessed = SketchKey::of(&SetKey::new([9; 32]), 1);
    let crowd = |key: &SketchKey, number: u64| {
        let item = element(key, number, 0);
        let hash = item.to_bits().to_le_bytes()[0];
        (hash, key.one(item).1.nth(1))
    };
    let chosen: Vec<_> = (0..200_000).filter(|number| crowd(&guessed, *number) == (0, Some(1))).collect();
    let count = chosen.len() as f64;
    assert!(count > 400.0, "a hash byte of 0, and a second index of 1: {count}");
    let mut hashes = [0_u32; 256];
    chosen.iter().for_each(|number| hashes[usize::from(crowd(&key(), *number).0)] += 1);
    assert!(hashes.iter().all(|hashes| *hashes < 20), "two a byte are wanted: {hashes:?}");
    let again = chosen.iter().filter(|number| crowd(&key(), **number).1 == Some(1)).count() as f64;
    assert!((again - count * 2.0 / 3.0).abs() < 5.0 * count.sqrt(), "{again} of {count}");
    let items: Vec<_> = chosen.iter().take(500).map(|number| element(&key(), *number, 0)).collect();
    let symbols = decode(Sketch::new(), &received(&sketch(&items)), 1).received();
    assert!(symbols < items.len() * 3 / 2, "{symbols} symbols for {} items", items.len());
    check_difference(items, Vec::new(), &elements(1_000_000..1_000_100), 16);
}

#[test]
fn what_is_kept_is_as_large_as_the_documentation_says() {
    assert_eq!(size_of::<Symbol>() * SYMBOLS_KEPT, 20_480);
    assert_eq!((Item::LENGTH, Symbol::LENGTH), (12, 17));
}
