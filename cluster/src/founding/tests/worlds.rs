//! Whole groups of nodes, in every order of messages, crashes and syncs.

use super::*;
use proptest::prelude::*;

/// A node, its disk, and what it ever announced.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    founding: Founding,
    disk: Kept,
    writing: Option<Kept>,
    announced: BTreeSet<Standing>,
    /// From whom it heard what in this life.
    heard: BTreeSet<(NodeId, Standing)>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    settings: Settings,
    now: Millis,
    nodes: BTreeMap<NodeId, Node>,
}

#[derive(Clone, Debug)]
enum Event {
    /// `to` hears something that `from` announced, now or long ago.
    Deliver {
        from: NodeId,
        to: NodeId,
        standing: Standing,
    },
    /// The disk is done.
    Sync(NodeId),
    /// The process dies and starts again; what was being written is on the disk, or not.
    Crash {
        node: NodeId,
        written: bool,
    },
    Tick(NodeId),
}

impl World {
    fn new(nodes: u64, settings: Settings) -> Self {
        let mut world = Self { settings, now: Millis(0), nodes: BTreeMap::new() };
        (1..=nodes).for_each(|node| world.start(NodeId(node), Kept::Nothing));
        world
    }

    fn start(&mut self, id: NodeId, disk: Kept) {
        let mut out = Vec::new();
        let founding = Founding::start(id, self.settings, disk.clone(), self.now, &mut out);
        let announced = self.nodes.remove(&id).map(|node| node.announced).unwrap_or_default();
        let node = Node { founding, disk, writing: None, announced, heard: BTreeSet::new() };
        self.nodes.insert(id, node);
        self.take(id, out);
    }

    fn input(&mut self, id: NodeId, input: Input) {
        let mut out = Vec::new();
        self.nodes.get_mut(&id).unwrap().founding.handle(input, self.now, &mut out);
        self.take(id, out);
    }

    fn take(&mut self, id: NodeId, out: Vec<Output>) {
        let node = self.nodes.get_mut(&id).unwrap();
        for output in out {
            match output {
                Output::Persist(kept) => {
                    node.check_promise(&kept);
                    node.writing = Some(kept);
                }
                Output::Start(list) => assert_eq!(node.disk, Kept::Founded(list), "started before it was on disk"),
                Output::Join(_) => unreachable!("nobody admits anybody"),
                Output::Ask(_) | Output::AskSeeds | Output::Trouble(_) => {}
            }
        }
        let standing = node.founding.standing();
        assert_eq!(Kept::list(&node.disk).map(List::cluster), cluster(&standing), "announced before it was on disk");
        node.announced.insert(standing);
        self.check();
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, standing } => {
                self.nodes.get_mut(&to).unwrap().heard.insert((from, standing.clone()));
                self.input(to, Input::Heard { from, standing });
            }
            Event::Sync(id) => {
                let node = self.nodes.get_mut(&id).unwrap();
                if let Some(kept) = node.writing.take() {
                    node.disk = kept;
                    self.input(id, Input::Persisted);
                }
            }
            Event::Crash { node: id, written } => {
                let node = &self.nodes[&id];
                let disk = node.writing.clone().filter(|_| written).unwrap_or_else(|| node.disk.clone());
                self.start(id, disk);
            }
            Event::Tick(id) => self.input(id, Input::Tick),
        }
    }

    /// What must hold of all disks at every moment.
    fn check(&self) {
        let founded = self.nodes.values().filter_map(|node| match &node.disk {
            Kept::Founded(list) => Some(list),
            Kept::Nothing | Kept::Promise(_) | Kept::Joined(_) => None,
        });
        let founded: BTreeSet<_> = founded.collect();
        for list in &founded {
            for id in list.nodes() {
                assert_eq!(self.nodes[&id].disk.list(), Some(*list), "founded without the promise of {id}");
            }
        }
        let members: usize = founded.iter().map(|list| list.len()).sum();
        let distinct: BTreeSet<_> = founded.iter().flat_map(|list| list.nodes()).collect();
        assert_eq!(members, distinct.len(), "a node founded two clusters");
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (from, node) in &self.nodes {
            for to in self.nodes.keys().filter(|to| *to != from) {
                let deliver = |standing: &Standing| Event::Deliver { from: *from, to: *to, standing: standing.clone() };
                events.extend(node.announced.iter().map(deliver));
            }
            events.push(Event::Crash { node: *from, written: false });
            if node.writing.is_some() {
                events.extend([Event::Crash { node: *from, written: true }, Event::Sync(*from)]);
            }
            events.push(Event::Tick(*from));
        }
        events
    }

    /// No more faults: everybody hears everybody, and every disk answers.
    fn heal(&mut self) {
        for _ in 0..60 {
            self.now = self.now + Millis(200);
            let all: Vec<_> = self.nodes.iter().map(|(id, node)| (*id, node.founding.standing())).collect();
            for (from, standing) in &all {
                for (to, _) in all.iter().filter(|(to, _)| to != from) {
                    self.step(Event::Deliver { from: *from, to: *to, standing: standing.clone() });
                }
            }
            for (id, _) in all {
                self.step(Event::Sync(id));
                self.step(Event::Tick(id));
            }
        }
    }

    fn clusters(&self) -> Vec<Option<ClusterId>> {
        let founded = |node: &Node| match node.founding.standing() {
            Standing::Founded(cluster) => Some(cluster),
            Standing::Fresh { .. } | Standing::Promised(_) => None,
        };
        self.nodes.values().map(founded).collect()
    }
}

impl Node {
    /// What must hold when this node commits itself.
    fn check_promise(&self, kept: &Kept) {
        let list = kept.list().unwrap();
        assert!(self.disk.list().is_none_or(|promised| promised == list), "two promises");
        let strangers = self.heard.iter().find(|(from, standing)| match (kept, standing) {
            (Kept::Promise(_), _) => !list.contains(*from),
            (_, Standing::Promised(other)) => other != list,
            (_, Standing::Founded(cluster)) => *cluster != list.cluster(),
            (_, Standing::Fresh { .. }) => false,
        });
        assert_eq!(strangers, None, "commits itself to {list} in spite of that");
    }
}

fn cluster(standing: &Standing) -> Option<ClusterId> {
    match standing {
        Standing::Fresh { .. } => None,
        Standing::Promised(list) => Some(list.cluster()),
        Standing::Founded(cluster) => Some(*cluster),
    }
}

/// Time stands still: only the order of things counts.
fn timeless(expect: usize) -> Settings {
    Settings { settle: Millis(0), ..settings(expect) }
}

/// Walks every history of up to `steps` steps, each state once, and returns how many states there are.
fn walk(world: World, steps: usize) -> usize {
    let mut seen = BTreeSet::from([world.clone()]);
    let mut last = vec![world];
    for _ in 0..steps {
        let mut next = Vec::new();
        for (world, event) in last.iter().flat_map(|world| world.events().into_iter().map(move |e| (world, e))) {
            let mut world = world.clone();
            world.step(event);
            if seen.insert(world.clone()) {
                next.push(world);
            }
        }
        last = next;
    }
    seen.len()
}

#[test]
fn no_history_of_two_nodes_that_expect_two_breaks_an_invariant() {
    assert_eq!(walk(World::new(2, timeless(2)), 40), 324, "these are all there are");
}

#[test]
fn no_short_history_of_three_nodes_that_expect_two_breaks_an_invariant() {
    assert_eq!(walk(World::new(3, timeless(2)), 6), 4_929);
}

/// Random histories with time: `choices` pick among what can happen, cuts forbid some pairs for a while.
fn history(world: &mut World, choices: &[(u16, u16)]) {
    for (choice, cut) in choices {
        world.now = world.now + Millis(u64::from(cut % 97));
        let hears = |from: NodeId, to: NodeId| (u64::from(cut >> 8) >> ((from.0 + to.0) % 8)) & 1 == 0;
        let mut events = world.events();
        events.retain(|event| !matches!(event, Event::Deliver { from, to, .. } if !hears(*from, *to)));
        let event = events.swap_remove(usize::from(*choice) % events.len());
        world.step(event);
    }
}

fn choices() -> impl Strategy<Value = Vec<(u16, u16)>> {
    prop::collection::vec((any::<u16>(), any::<u16>()), 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn exactly_as_many_as_expected_found_one_cluster_whatever_happened_before(choices in choices()) {
        let mut world = World::new(3, settings(3));
        history(&mut world, &choices);
        world.heal();
        let all = ClusterId::of((1..=3).map(NodeId));
        prop_assert_eq!(world.clusters(), vec![Some(all); 3]);
    }

    #[test]
    fn too_many_nodes_found_safely_or_say_why_not(choices in choices(), nodes in 4..7_u64) {
        let mut world = World::new(nodes, Settings { forget_after: Millis(1 << 40), ..timeless(3) });
        history(&mut world, &choices);
        world.heal();
        for node in world.nodes.values() {
            prop_assert!(node.founding.is_over() || node.founding.trouble().is_some());
        }
    }
}
