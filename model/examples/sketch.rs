//! Measures sketches: what an element costs to add, what a difference costs to send and to find, and how often one that is
//! large does not fit. The figures are in the documentation of `model::sketch`.
//!
//! ```text
//! cargo run --release -p model --example sketch
//! ```

#![expect(clippy::print_stdout, reason = "this program is for people to read")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use model::set::{Leaf, SetKey};
use model::sketch::{Decoder, Item, SYMBOLS_KEPT, Sketch, SketchKey, State, Symbol};
use model::{Home, Stamp};
use std::hint::black_box;
use std::time::Instant;

/// Elements that are added to the sketches of all homes.
const ADDED: u64 = 1_000_000;
/// For each number of differences, about how many are decoded in all.
const DECODED: usize = 400_000;

fn main() {
    let key = SketchKey::of(&SetKey::new([7; 32]), 1);
    println!(
        "memory: {} B a home, {} B for {} homes",
        SYMBOLS_KEPT * size_of::<Symbol>(),
        SYMBOLS_KEPT * size_of::<Symbol>() * usize::from(Home::COUNT),
        Home::COUNT
    );
    insert(&key);
    println!("differences  rounds  decoded  symbols each: mean  least  most   bytes each   us to decode");
    for differences in [1, 2, 4, 10, 30, 100, 300, 600, 650, 700, 725, 750] {
        decode(&key, differences);
    }
}

/// An element with a leaf that costs no hash to make.
fn element(number: u64) -> (Home, Stamp, Leaf) {
    let [low, high, ..] = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let home = Home::from_number(u16::from_le_bytes([low, high]) % Home::COUNT).expect("a home");
    let leaf = Leaf((u128::from(number) << 64 | u128::from(number)).to_le_bytes());
    (home, Stamp::new(1_785_000_000_000 + number / 8, 0).expect("a stamp"), leaf)
}

fn insert(key: &SketchKey) {
    let mut sketches = vec![Sketch::new(); usize::from(Home::COUNT)];
    let ns_each = |started: Instant| started.elapsed().as_nanos() / u128::from(ADDED);
    let mut started = Instant::now();
    for (home, stamp, leaf) in (0..ADDED).map(element) {
        black_box(Item::of(key, home, stamp, leaf));
    }
    println!("item: {} ns", ns_each(started));
    for (name, homes) in [("one home", 1), ("all homes in turn", Home::COUNT)] {
        started = Instant::now();
        for (home, stamp, leaf) in (0..ADDED).map(element) {
            let item = Item::of(key, home, stamp, leaf);
            if let Some(sketch) = sketches.get_mut(usize::from(home.number() % homes)) {
                sketch.add(key, item);
            }
        }
        println!("item and add, {name}: {} ns", ns_each(started));
    }
    let mut sum = Sketch::new();
    started = Instant::now();
    sketches.iter().for_each(|sketch| sum += sketch);
    println!("sum of all homes: {} us", started.elapsed().as_micros());
    black_box(sum);
}

fn decode(key: &SketchKey, differences: usize) {
    let rounds = (DECODED / differences).min(10_000);
    let (mut needed, mut spent_us) = (Vec::new(), 0.0);
    for round in 0..rounds {
        let [mut own, mut other] = [Sketch::new(), Sketch::new()];
        for number in 0..differences {
            let (home, stamp, leaf) = element((round << 20 | number) as u64);
            if number % 2 == 0 { &mut own } else { &mut other }.add(key, Item::of(key, home, stamp, leaf));
        }
        let mut decoder = Decoder::new(*key, own);
        let started = Instant::now();
        for symbol in other.symbols() {
            if decoder.feed(std::slice::from_ref(symbol)) != State::Open {
                break;
            }
        }
        if decoder.state() == State::Decoded {
            spent_us += started.elapsed().as_secs_f64() * 1e6;
            needed.push(decoder.received());
        }
    }
    let decoded = needed.len().max(1) as f64;
    let each = |symbols: usize| symbols as f64 / differences as f64;
    let mean = each(needed.iter().sum()) / decoded;
    println!(
        "{differences:11}  {rounds:6}  {:5.1} %  {mean:19.3}  {:5.2}  {:4.2}  {:11.1}  {:13.1}",
        needed.len() as f64 * 100.0 / rounds as f64,
        each(needed.iter().min().copied().unwrap_or(0)),
        each(needed.iter().max().copied().unwrap_or(0)),
        mean * Symbol::LENGTH as f64,
        spent_us / decoded,
    );
}
