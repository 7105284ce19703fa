//! One seed of one scenario, from an empty cluster to a verdict.
//!
//! [`Run`] owns the time: it steps the simulation and lets the invariants watch. First the faults of the scenario, with
//! clients writing; then everything is mended, and within a limit every node must be ready again and take writes; then
//! the clients stop, and at rest the invariants are checked.

use crate::chance::Chance;
use crate::client::{Answer, Lost, Request};
use crate::cluster::{Cluster, Process, Shape};
use crate::invariants::Invariant;
use crate::lag::lags;
use crate::scenario::Scenario;
use crate::trace::Now;
use crate::world::{Forecast, Timing};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long an answer to a question of the simulation itself may take.
const QUESTION_DEADLINE: Duration = Duration::from_secs(5);
/// How long an answer to an operator is waited for: a command waits some seconds for a leader before it is put off.
const COMMAND_DEADLINE: Duration = Duration::from_secs(15);
/// How often a condition is looked at that needs questions.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long clients write after everything was mended, before they stop.
const MENDED_WRITING: Duration = Duration::from_secs(2);

/// Why a seed failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An invariant does not hold.
    #[error("{invariant} does not hold: {detail}")]
    Violated {
        /// Which.
        invariant: &'static str,
        /// What was found.
        detail: String,
    },
    /// Something that must happen did not, within its limit of simulated time.
    #[error("after {limit:?} still not: {what}")]
    Stuck {
        /// What should have happened.
        what: String,
        /// The limit.
        limit: Duration,
    },
    /// A node panicked, or turmoil gave up.
    #[error("{0}")]
    Broken(String),
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// For each fault: how long clients saw errors.
    pub recovery: Vec<Duration>,
    /// Acknowledged records that public reads do not find any more.
    pub lost: u64,
    /// For each fault and survivor: how long until it knew.
    pub detection: Vec<Duration>,
    /// For each fault that took the leader: how long until a survivor knew a new one.
    pub failover: Vec<Duration>,
    /// For each acknowledged record, where [`Run::measure_lag`] asked for it: how long the last owner had it after the first.
    pub lag: Vec<Duration>,
    /// Writes that clients began.
    pub writes: u64,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that clients gave up after their last attempt.
    pub given_up: u64,
}

/// How a seed ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// What was measured.
    pub figures: Figures,
    /// How much time was simulated.
    pub simulated: Duration,
}

/// A run under way.
#[derive(Debug)]
pub struct Run {
    /// The cluster; faults are done to it directly.
    pub cluster: Cluster,
    /// Chance for the scenario's own decisions.
    pub chance: Chance,
    /// What was measured so far.
    pub figures: Figures,
    invariants: Vec<Box<dyn Invariant>>,
    /// Whether the faults begin with a cluster that serves.
    is_founded: bool,
    /// Nodes that never come back, or do not belong to the cluster yet.
    gone: BTreeSet<usize>,
    /// How many nodes were let go after they had given all away.
    drained: usize,
    /// When something happened that clients may notice, and whether their recovery from it counts.
    faults: Vec<(Duration, bool)>,
    /// How many acknowledgements the invariants have seen.
    watched: usize,
    /// Whether the replication lag is counted at the end.
    measures_lag: bool,
}

/// Runs one seed of a scenario. A panic of a node is a panic here.
pub fn run(scenario: &Scenario, seed: u64, now: Now) -> Outcome {
    let mut run = Run::new((scenario.shape)(), (scenario.invariants)(), seed, now);
    let failure = run.phases(scenario).err();
    run.finish();
    Outcome { failure, simulated: run.cluster.elapsed(), figures: run.figures }
}

impl Run {
    /// A run in which nothing has happened yet, and in which `invariants` watch.
    pub fn new(shape: Shape, invariants: Vec<Box<dyn Invariant>>, seed: u64, now: Now) -> Self {
        let chance = Chance::of(seed);
        Self {
            cluster: Cluster::new(shape, &chance, now),
            chance: chance.branch("scenario", 0),
            figures: Figures::default(),
            invariants,
            is_founded: shape.is_founded,
            drained: 0,
            gone: (shape.founders()..shape.nodes).collect(),
            faults: Vec::new(),
            watched: 0,
            measures_lag: false,
        }
    }

    fn phases(&mut self, scenario: &Scenario) -> Result<(), Failure> {
        if !self.is_founded {
            (scenario.faults)(self)?;
            self.mend();
            return self.check();
        }
        self.start_all(scenario.liveness_max)?;
        self.cluster.set_writing(true);
        (scenario.faults)(self)?;
        self.mend();
        self.until_ready(scenario.liveness_max)?;
        self.until_writes_succeed(scenario.liveness_max)?;
        self.cluster.set_writing(false);
        self.until("no write is under way", scenario.liveness_max, |run| run.cluster.history().pending() == 0)?;
        self.check()
    }

    /// Starts all nodes of the cluster and waits until they are ready.
    ///
    /// # Errors
    ///
    /// As [`Run::until_ready`].
    pub fn start_all(&mut self, limit: Duration) -> Result<(), Failure> {
        for node in self.staying() {
            self.cluster.start(node);
        }
        self.until_ready(limit)
    }

    /// Takes one step of simulated time.
    ///
    /// # Errors
    ///
    /// [`Failure::Broken`], or [`Failure::Violated`] if an invariant that watches sees something.
    pub fn step(&mut self) -> Result<(), Failure> {
        self.cluster.step().map_err(Failure::Broken)?;
        let news = self.cluster.history().acknowledged(self.watched);
        self.watched += news.len();
        self.invariants.iter_mut().try_for_each(|invariant| {
            let seen = invariant.watch(&self.cluster, &news);
            seen.map_err(|detail| Failure::Violated { invariant: invariant.name(), detail })
        })
    }

    /// Lets time pass.
    ///
    /// # Errors
    ///
    /// As [`Run::step`].
    pub fn pass(&mut self, time: Duration) -> Result<(), Failure> {
        let until = self.cluster.elapsed() + time;
        while self.cluster.elapsed() < until {
            self.step()?;
        }
        Ok(())
    }

    /// Lets time pass until `condition` holds.
    ///
    /// # Errors
    ///
    /// [`Failure::Stuck`] if that takes longer than `limit`; as [`Run::step`].
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> Result<(), Failure> {
        let begun = self.cluster.elapsed();
        while !condition(self) {
            if self.cluster.elapsed() - begun >= limit {
                return Err(Failure::Stuck { what: what.to_owned(), limit });
            }
            self.step()?;
        }
        Ok(())
    }

    /// Lets time pass for as long as `condition` holds, and at most for `limit`.
    ///
    /// # Errors
    ///
    /// As [`Run::step`].
    pub fn pass_while(&mut self, limit: Duration, mut condition: impl FnMut(&Self) -> bool) -> Result<(), Failure> {
        let until = self.cluster.elapsed() + limit;
        while self.cluster.elapsed() < until && condition(self) {
            self.step()?;
        }
        Ok(())
    }

    /// A node by chance.
    pub fn any_node(&mut self) -> usize {
        self.chance.index(self.cluster.nodes())
    }

    /// Two different nodes by chance; the same one twice if there are no two.
    pub fn two_nodes(&mut self) -> (usize, usize) {
        let (one, others) = (self.any_node(), self.cluster.nodes().saturating_sub(1));
        (one, (one + 1 + self.chance.index(others)) % self.cluster.nodes().max(1))
    }

    /// Asks a node, as a client would, and lets time pass until it answers or is given up.
    ///
    /// # Errors
    ///
    /// As [`Run::step`]. No answer is no failure but [`Lost`].
    pub fn ask(&mut self, node: usize, request: Request) -> Result<Result<Answer, Lost>, Failure> {
        let mut answers = self.ask_all(vec![(node, request)])?;
        Ok(answers.pop().unwrap_or(Err(Lost)))
    }

    /// Asks nodes many things at once; the answers are in the order of the questions.
    ///
    /// # Errors
    ///
    /// As [`Run::ask`].
    pub fn ask_all(&mut self, questions: Vec<(usize, Request)>) -> Result<Vec<Result<Answer, Lost>>, Failure> {
        let put = |(node, request)| self.cluster.put(node, request, QUESTION_DEADLINE);
        let asked: Vec<_> = questions.into_iter().map(put).collect();
        self.answers(&asked)
    }

    /// [`Run::ask`] on the address for operators.
    ///
    /// # Errors
    ///
    /// As [`Run::ask`].
    pub fn ask_admin(&mut self, node: usize, request: Request) -> Result<Result<Answer, Lost>, Failure> {
        let asked = self.cluster.put_admin(node, request, COMMAND_DEADLINE);
        let mut answers = self.answers(&[asked])?;
        Ok(answers.pop().unwrap_or(Err(Lost)))
    }

    /// Asks each of `nodes` for the same on the address for operators; the answers are in their order.
    ///
    /// # Errors
    ///
    /// As [`Run::ask`].
    pub fn ask_operators(&mut self, nodes: &[usize], request: &Request) -> Result<Vec<Result<Answer, Lost>>, Failure> {
        let ask = |node: &usize| self.cluster.put_admin(*node, request.clone(), COMMAND_DEADLINE);
        let asked: Vec<_> = nodes.iter().map(ask).collect();
        self.answers(&asked)
    }

    fn answers(&mut self, asked: &[crate::cluster::Asking]) -> Result<Vec<Result<Answer, Lost>>, Failure> {
        loop {
            let answers: Option<Vec<_>> = asked.iter().map(crate::cluster::Asking::answer).collect();
            if let Some(answers) = answers {
                return Ok(answers);
            }
            self.step()?;
        }
    }

    /// Notes that something was done just now from which clients must recover: the time until their last error counts from
    /// here, until the next fault or trouble.
    pub fn fault(&mut self) {
        self.faults.push((self.cluster.elapsed(), true));
    }

    /// Notes that something was done just now that makes errors for as long as it lasts: what clients see from here on is
    /// no longer counted to the fault before.
    pub fn trouble(&mut self) {
        self.faults.push((self.cluster.elapsed(), false));
    }

    /// Notes that nothing goes wrong in this run, so that how far owners are behind each other is the cluster's own doing
    /// and counts.
    pub fn measure_lag(&mut self) {
        self.measures_lag = true;
    }

    /// Notes that a node never comes back: the second phase does not start it.
    pub fn forget(&mut self, node: usize) {
        self.gone.insert(node);
    }

    /// Notes that a node has given all away, is a member no more, and never comes back.
    pub fn let_go(&mut self, node: usize) {
        self.drained += 1;
        self.forget(node);
    }

    /// How many nodes were let go.
    pub fn drained(&self) -> usize {
        self.drained
    }

    /// Notes that a node belongs to the cluster from now on.
    pub fn welcome(&mut self, node: usize) {
        self.gone.remove(&node);
    }

    /// Lets up to so many seconds pass, by chance.
    ///
    /// # Errors
    ///
    /// As [`Run::step`].
    pub fn pass_up_to_seconds(&mut self, seconds: u64) -> Result<(), Failure> {
        let time = self.chance.between(Duration::from_millis(500), Duration::from_secs(seconds));
        self.pass(time)
    }

    /// The nodes that are there at the end: all that belong to the cluster and come back.
    pub fn staying(&self) -> Vec<usize> {
        (0..self.cluster.nodes()).filter(|node| !self.gone.contains(node)).collect()
    }

    /// Ends all faults: whoever can comes back, and everything works.
    fn mend(&mut self) {
        self.cluster.heal();
        self.cluster.lose_raft(false);
        for node in 0..self.cluster.nodes() {
            self.cluster.set_weather(node, Forecast::default());
            self.cluster.set_timing(node, Timing::ORDINARY);
            self.cluster.set_skew_ms(node, 0);
        }
        for node in self.staying() {
            if matches!(self.cluster.process(node), Process::Ended(_) | Process::Stopped | Process::Off) {
                self.cluster.start(node);
            }
        }
    }

    /// Waits until every node that stays says that it is ready.
    ///
    /// # Errors
    ///
    /// [`Failure::Stuck`], with what the others say; as [`Run::step`].
    pub fn until_ready(&mut self, limit: Duration) -> Result<(), Failure> {
        self.until_ready_among(&self.staying(), limit)
    }

    /// The same for some of them.
    ///
    /// # Errors
    ///
    /// As [`Run::until_ready`].
    pub fn until_ready_among(&mut self, nodes: &[usize], limit: Duration) -> Result<(), Failure> {
        let begun = self.cluster.elapsed();
        loop {
            let questions = nodes.iter().map(|node| (*node, Request::get("/v1/ready"))).collect();
            let answers = self.ask_all(questions)?;
            let waiting: Vec<_> = nodes.iter().zip(answers).filter(|(_, answer)| !is_ready(answer)).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            if self.cluster.elapsed() - begun >= limit {
                let says = |(node, answer): (&usize, Result<Answer, Lost>)| {
                    let answer = answer.map_or_else(|lost| lost.to_string(), |answer| answer.text());
                    format!("node {node} ({:?}): {answer}", self.cluster.process(*node))
                };
                let what = waiting.into_iter().map(says).collect::<Vec<_>>().join("; ");
                return Err(Failure::Stuck { what: format!("all nodes are ready: {what}"), limit });
            }
            self.pass(LOOK_EVERY)?;
        }
    }

    /// Waits until, for a while, every write that clients begin is acknowledged.
    fn until_writes_succeed(&mut self, limit: Duration) -> Result<(), Failure> {
        let begun = self.cluster.elapsed();
        loop {
            let history = self.cluster.history();
            let (acknowledged, given_up) = (history.acknowledgements(), history.given_up());
            self.pass(MENDED_WRITING)?;
            let history = self.cluster.history();
            if history.acknowledgements() > acknowledged && history.given_up() == given_up {
                return Ok(());
            }
            if self.cluster.elapsed() - begun >= limit {
                return Err(Failure::Stuck { what: "writes succeed".to_owned(), limit });
            }
        }
    }

    /// Checks the invariants, the cluster being at rest.
    ///
    /// # Errors
    ///
    /// [`Failure::Violated`]; as [`Run::step`].
    pub fn check(&mut self) -> Result<(), Failure> {
        let mut invariants = std::mem::take(&mut self.invariants);
        let checked = invariants.iter_mut().try_for_each(|invariant| {
            invariant.check(self)?.map_err(|detail| Failure::Violated { invariant: invariant.name(), detail })
        });
        self.invariants = invariants;
        checked
    }

    /// Counts what is counted at the end.
    fn finish(&mut self) {
        let history = self.cluster.history();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.figures.writes = count(history.len());
        self.figures.acknowledged = count(history.acknowledgements());
        self.figures.given_up = count(history.given_up());
        if self.measures_lag {
            self.figures.lag = lags(&self.cluster);
        }
        let ends = self.faults.iter().skip(1).map(|(at, _)| *at).chain([Duration::MAX]);
        let counted = self.faults.iter().zip(ends).filter(|((_, counted), _)| *counted);
        self.figures.recovery = counted.map(|((fault, _), until)| history.recovery_time(*fault, until)).collect();
    }
}

fn is_ready(answer: &Result<Answer, Lost>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.status == 200)
}
