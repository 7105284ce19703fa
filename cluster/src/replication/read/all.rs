//! An answer from everybody who may hold a record, and the repair of what they do not agree on.

use super::Input;
use crate::id::{Epoch, Millis, NodeId};
use crate::reconcile::Element;
use model::RecordId;
use model::set::Leaf;
use std::collections::{BTreeMap, BTreeSet};

/// What a read of everything asks the outside world to do, or tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask this node for what it holds, as an owner or as a hint.
    Ask(NodeId),
    /// Get the table of this epoch or a later one, and start anew.
    Refetch(Epoch),
    /// The last output: everybody answered, or these did not.
    Reply(Result<(), BTreeSet<NodeId>>),
}

/// The machine of one read from all owners and everybody who may hold a hint.
///
/// Invariants: it replies exactly once; it replies `Ok` only if each node that it asked has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAll {
    reply_by: Millis,
    waiting: BTreeSet<NodeId>,
    failed: BTreeSet<NodeId>,
    done: bool,
}

impl ReadAll {
    /// Asks `nodes`, which are all owners of what is read and every member that may hold a hint.
    pub fn start(nodes: &BTreeSet<NodeId>, deadline: Millis, now: Millis, out: &mut Vec<Output>) -> Self {
        out.extend(nodes.iter().copied().map(Output::Ask));
        let mut read = Self { reply_by: now + deadline, waiting: nodes.clone(), failed: BTreeSet::new(), done: false };
        read.reply(now, out);
        read
    }

    /// Takes one step. `now` never goes back.
    pub fn handle(&mut self, input: Input, now: Millis, out: &mut Vec<Output>) {
        if self.done {
            return;
        }
        match input {
            // Whatever it missed, one of the others has.
            Input::Answered(node) | Input::Unmet(node) => drop(self.waiting.remove(&node)),
            Input::Failed(node) => self.failed.extend(self.waiting.take(&node)),
            Input::StaleEpoch(epoch) => {
                self.done = true;
                return out.push(Output::Refetch(epoch));
            }
            Input::Tick => {}
        }
        self.reply(now, out);
    }

    /// When the next [`Input::Tick`] is due; `None` once it has replied or waits to be started anew.
    pub fn wake_at(&self) -> Option<Millis> {
        (!self.done).then_some(self.reply_by)
    }

    fn reply(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.waiting.is_empty() || now >= self.reply_by {
            self.done = true;
            let silent: BTreeSet<_> = self.failed.union(&self.waiting).copied().collect();
            out.push(Output::Reply(if silent.is_empty() { Ok(()) } else { Err(silent) }));
        }
    }
}

/// A record that an owner lacks, or has in another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repair {
    /// The owner.
    pub to: NodeId,
    /// The record.
    pub id: RecordId,
    /// Who holds the form that it lacks.
    pub from: NodeId,
    /// Which form: of one id, owners may hold different stamps and signatures until the rule of merging makes them one.
    pub leaf: Leaf,
}

/// What to send so that all `owners` hold the same forms of the same records as anybody in `held`.
///
/// Every owner gets every form that it lacks, once, from the holder of the lowest id; whoever merges keeps the smaller
/// stamp and the smaller signatures. Nobody is sent what it holds. Cost: of the order of all that is held.
pub fn repairs(owners: &[NodeId], held: &BTreeMap<NodeId, BTreeSet<Element>>) -> BTreeSet<Repair> {
    let mut holders = BTreeMap::new();
    for (node, elements) in held {
        for element in elements {
            holders.entry(element).or_insert(*node);
        }
    }
    let lacks = |owner: &NodeId, element: &Element| held.get(owner).is_none_or(|has| !has.contains(element));
    let repair =
        |to: NodeId, (element, from): (&Element, NodeId)| Repair { to, id: element.id, from, leaf: element.leaf };
    let for_owner = |owner: &NodeId| {
        let owner = *owner;
        let lacking = holders.iter().filter(move |(element, _)| lacks(&owner, element));
        lacking.map(move |(element, from)| repair(owner, (element, *from)))
    };
    #[cfg(feature = "planted")]
    let owners = match planted::is(planted::Bug::ReadRepairSkipsOneSide) {
        true => owners.get(..1).unwrap_or_default(),
        false => owners,
    };
    owners.iter().flat_map(for_owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Stamp;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn story(steps: &[(u64, Input)]) -> Vec<Output> {
        let mut out = Vec::new();
        let mut read = ReadAll::start(&[A, B].into(), Millis(100), Millis(0), &mut out);
        steps.iter().for_each(|(at, input)| read.handle(*input, Millis(*at), &mut out));
        out.split_off(2)
    }

    #[test]
    fn all_must_answer_and_whoever_does_not_is_named() {
        let (a, b) = (Input::Answered(A), Input::Answered(B));
        assert_eq!(story(&[(1, a), (2, b), (100, Input::Tick)]), [Output::Reply(Ok(()))]);
        assert_eq!(story(&[(1, Input::Unmet(A)), (2, b)]), [Output::Reply(Ok(()))]);
        assert_eq!(story(&[(1, a), (100, Input::Tick), (101, b)]), [Output::Reply(Err([B].into()))]);
        assert_eq!(story(&[(1, Input::Failed(A)), (2, Input::Answered(A)), (3, b)]), [Output::Reply(Err([A].into()))]);
        assert_eq!(story(&[(1, Input::StaleEpoch(Epoch(4))), (2, a), (3, b)]), [Output::Refetch(Epoch(4))]);
        let mut out = Vec::new();
        assert_eq!(ReadAll::start(&BTreeSet::new(), Millis(1), Millis(0), &mut out).wake_at(), None);
        assert_eq!(out, [Output::Reply(Ok(()))]);
    }

    #[test]
    fn each_owner_gets_what_it_lacks_and_nothing_else() {
        let element = |id, stamp| Element {
            stamp: Stamp::from_bits(stamp),
            id: RecordId([id; 32]),
            leaf: Leaf([id ^ u8::try_from(stamp).unwrap(); 16]),
        };
        let (same, here, there, hint) = (element(1, 1), element(2, 5), element(2, 6), element(3, 7));
        let held =
            [(A, [same, here].into()), (B, [same, there].into()), (C, [hint, same].into())].into_iter().collect();
        let repair = |to, of: Element, from| Repair { to, id: of.id, from, leaf: of.leaf };
        let expected = [repair(A, there, B), repair(A, hint, C), repair(B, here, A), repair(B, hint, C)];
        assert_eq!(repairs(&[A, B], &held), expected.into());
    }
}
