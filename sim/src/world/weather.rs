//! What becomes of messages on a bad day: datagrams and calls between nodes are lost, doubled and delayed by chance.
//!
//! Streams are left alone: a simulated stream does not repair itself as a real one does. It never touches what clients
//! send.

use crate::chance::Chance;
use node::world::{Courier, Fate};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How likely each mishap is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// So many messages in a million are lost: of calls, half as many requests and half as many answers.
    pub lost_in_a_million: u32,
    /// So many in a million arrive twice.
    pub doubled_in_a_million: u32,
    /// So many in a million are late, and so overtaken.
    pub late_in_a_million: u32,
    /// By how much at most; at least 1 ms.
    pub lateness_max: Duration,
}

/// The weather at one host, for what it sends. Clones are the same.
#[derive(Clone, Debug)]
pub struct Weather(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    forecast: Forecast,
    /// The calls that are all lost, whatever the forecast.
    lost_calls: &'static [&'static str],
    /// How many calls of each method were made.
    calls: BTreeMap<&'static str, u64>,
    chance: Chance,
}

impl Weather {
    /// Fine weather.
    pub fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(State {
            forecast: Forecast::default(),
            lost_calls: &[],
            calls: BTreeMap::new(),
            chance,
        })))
    }

    /// Changes it.
    pub fn set(&self, forecast: Forecast) {
        self.state().forecast = forecast;
    }

    /// Loses every call of these methods from now on, and no others than the forecast says.
    pub fn lose_calls(&self, methods: &'static [&'static str]) {
        self.state().lost_calls = methods;
    }

    /// How many calls of a method were made, whatever became of them.
    pub fn calls(&self, method: &str) -> u64 {
        self.state().calls.get(method).copied().unwrap_or_default()
    }

    /// What becomes of the next message. Fine weather draws nothing.
    pub fn next(&self) -> Fate {
        let State { forecast, chance, .. } = &mut *self.state();
        if *forecast == Forecast::default() {
            return Fate::Deliver;
        }
        if chance.happens(forecast.lost_in_a_million) {
            return if chance.below(2) == 0 { Fate::LoseRequest } else { Fate::LoseAnswer };
        }
        if chance.happens(forecast.doubled_in_a_million) {
            return Fate::Duplicate;
        }
        if chance.happens(forecast.late_in_a_million) {
            return Fate::Delay(chance.between(Duration::from_millis(1), forecast.lateness_max));
        }
        Fate::Deliver
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier for Weather {
    fn fate(&self, _: SocketAddr, method: &'static str) -> Fate {
        let is_lost = {
            let mut state = self.state();
            *state.calls.entry(method).or_default() += 1;
            state.lost_calls.contains(&method)
        };
        if is_lost { Fate::LoseRequest } else { self.next() }
    }
}

#[test]
fn fine_weather_delivers_and_a_storm_does_everything() {
    let weather = Weather::new(Chance::of(1));
    assert!((0..100).all(|_| weather.next() == Fate::Deliver));
    let lateness_max = Duration::from_millis(5);
    let quarter = 250_000;
    weather.set(Forecast {
        lost_in_a_million: quarter,
        doubled_in_a_million: quarter,
        late_in_a_million: quarter,
        lateness_max,
    });
    let fates: Vec<_> = (0..200).map(|_| weather.next()).collect();
    for fate in [Fate::Deliver, Fate::LoseRequest, Fate::LoseAnswer, Fate::Duplicate] {
        assert!(fates.contains(&fate), "{fate:?}");
    }
    assert!(fates.iter().any(|fate| matches!(fate, Fate::Delay(time) if *time <= lateness_max)));
}

#[test]
fn calls_of_one_kind_are_lost_and_the_others_arrive() {
    let (weather, to) = (Weather::new(Chance::of(1)), SocketAddr::from(([10, 0, 0, 1], 1)));
    weather.lose_calls(&["raft"]);
    assert_eq!((weather.fate(to, "raft"), weather.fate(to, "store")), (Fate::LoseRequest, Fate::Deliver));
    weather.lose_calls(&[]);
    assert_eq!(weather.fate(to, "raft"), Fate::Deliver);
    assert_eq!(["raft", "store", "scan"].map(|method| weather.calls(method)), [2, 1, 0]);
}
