//! The cheapest flow through a small network, one unit at a time.
//!
//! It never fails and never undoes an edge: asked for one more unit, it says whether there was a way. Each unit takes the
//! cheapest way that is left, so the flow is the cheapest of its size, provided that the first units cost nothing.
//!
//! Source: Jewell, "Optimal Flow through Networks", 1958 (successive shortest paths).

#![expect(clippy::indexing_slicing, reason = "vertices and edges are numbered by this file and never removed")]

use std::collections::VecDeque;

/// A vertex, by number.
#[derive(Clone, Copy)]
pub(super) struct Vertex(usize);

/// An edge, by number. Its opposite, which takes units back, is the number with the last bit flipped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge(usize);

struct End {
    to: usize,
    room: usize,
    cost: i64,
}

/// A network and the flow in it.
#[derive(Default)]
pub(super) struct Network {
    ends: Vec<End>,
    leaving: Vec<Vec<usize>>,
}

impl Network {
    pub(super) fn vertex(&mut self) -> Vertex {
        self.leaving.push(Vec::new());
        Vertex(self.leaving.len() - 1)
    }

    /// An edge that takes `room` units at `cost` each. Of equally cheap ways the one whose edges came first is taken.
    pub(super) fn edge(&mut self, from: Vertex, to: Vertex, room: usize, cost: i64) -> Edge {
        let number = self.ends.len();
        self.ends.push(End { to: to.0, room, cost });
        self.ends.push(End { to: from.0, room: 0, cost: -cost });
        self.leaving[from.0].push(number);
        self.leaving[to.0].push(number + 1);
        Edge(number)
    }

    /// Whether any unit flows along `edge`.
    pub(super) fn flows(&self, edge: Edge) -> bool {
        self.ends[edge.0 ^ 1].room > 0
    }

    /// Sends a unit along exactly these edges, if each has room.
    pub(super) fn send_along(&mut self, way: &[Edge]) -> bool {
        let open = way.iter().all(|edge| self.ends[edge.0].room > 0);
        if open {
            way.iter().for_each(|edge| self.take(edge.0));
        }
        open
    }

    /// Sends one more unit by the cheapest way that is left. False if there is none.
    ///
    /// Cost: in the worst case vertices times edges, in practice a few visits of each edge.
    pub(super) fn send(&mut self, from: Vertex, to: Vertex) -> bool {
        let by = self.cheapest(from);
        let mut at = to.0;
        while at != from.0 {
            let Some(edge) = by[at] else { return false };
            at = self.ends[edge ^ 1].to;
        }
        at = to.0;
        while let Some(edge) = by[at] {
            self.take(edge);
            at = self.ends[edge ^ 1].to;
        }
        true
    }

    fn take(&mut self, edge: usize) {
        self.ends[edge].room -= 1;
        self.ends[edge ^ 1].room += 1;
    }

    /// By which edge the cheapest way from `from` reaches each vertex (Bellman and Ford, with a queue).
    fn cheapest(&self, from: Vertex) -> Vec<Option<usize>> {
        let mut cost = vec![i64::MAX; self.leaving.len()];
        let mut by = vec![None; self.leaving.len()];
        let mut queued = vec![false; self.leaving.len()];
        let mut queue = VecDeque::from([from.0]);
        cost[from.0] = 0;
        while let Some(at) = queue.pop_front() {
            queued[at] = false;
            for &edge in &self.leaving[at] {
                let end = &self.ends[edge];
                if end.room > 0 && cost[at] + end.cost < cost[end.to] {
                    cost[end.to] = cost[at] + end.cost;
                    by[end.to] = Some(edge);
                    if !std::mem::replace(&mut queued[end.to], true) {
                        queue.push_back(end.to);
                    }
                }
            }
        }
        by
    }
}

#[test]
fn a_later_unit_reroutes_an_earlier_one_if_that_is_cheaper() {
    let mut network = Network::default();
    let [a, b, left, right, end] = std::array::from_fn(|_| network.vertex());
    let a_left = network.edge(a, left, 1, 0);
    let a_right = network.edge(a, right, 1, 1);
    let b_left = network.edge(b, left, 1, 0);
    network.edge(left, end, 1, 0);
    network.edge(right, end, 1, 0);
    assert!(network.send(a, end));
    assert!(network.flows(a_left));
    assert!(network.send(b, end));
    assert_eq!([a_left, a_right, b_left].map(|edge| network.flows(edge)), [false, true, true]);
    assert!(!network.send(b, end));
}
