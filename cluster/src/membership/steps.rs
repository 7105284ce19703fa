//! The steps of [`Membership`]: a packet, a timer, a stall.

use super::effects::Effects;
use super::packet::Packet;
use super::timers::{Due, Verdict};
use super::{Gossip, Identity, Membership, Output, Reason, gossip};
use crate::{Generation, Millis, NodeId};
use foca::{Member, State, Timer};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// How often a verdict that is due, but waits for the node's health, is looked at again.
const VERDICT_RECHECK: Millis = Millis(100);

impl Membership {
    /// Notices by a late timer that the node stood still.
    pub(super) fn notice_stall(&mut self, now: Millis, out: &mut Vec<Output>) {
        let late = self.timers.next().map_or(Millis(0), |due| now - due);
        if late < self.settings.stall_min {
            return;
        }
        tracing::debug!(late_ms = late.0, "this node stood still: its suspicions wait");
        self.timers.shift(late + self.settings.probe_rtt);
        self.health.stood_still();
        let friends = self.up.values().take(self.settings.indirect_probes.get()).copied().collect();
        self.greet(friends, now, out);
    }

    /// Takes in a datagram, or counts why not.
    pub(super) fn receive(&mut self, from: SocketAddr, bytes: &[u8], now: Millis, out: &mut Vec<Output>) {
        if let Err(reason) = self.take_in(bytes, now, out) {
            self.refused.count(reason, from);
        }
    }

    fn take_in(&mut self, bytes: &[u8], now: Millis, out: &mut Vec<Output>) -> Result<(), Reason> {
        let packet = Packet::read(self.seal.open(bytes)?, self.foca.identity()).ok_or(Reason::Malformed)?;
        let (sender, own) = (packet.header.src, self.own());
        if sender.id == own.id && sender.gossip != own.gossip {
            self.twin = Some(sender);
        }
        self.admit(&packet)?;
        self.note(&packet, now);
        let outranking = self.outranking(&packet.header.src);
        let mut effects = Effects::default();
        let taken = self.foca.handle_data(packet.plain(), &mut effects);
        self.perform(effects, now, out);
        self.greet(outranking.into_iter().collect(), now, out);
        self.forget_removed(now, out);
        self.outrank(now, out);
        taken.map_err(|_senseless| Reason::Malformed)
    }

    /// Whether foca may see a packet.
    fn admit(&self, packet: &Packet) -> Result<(), Reason> {
        let sender = packet.header.src.id;
        if packet.names().any(Identity::is_anybody) {
            return Err(Reason::Malformed);
        }
        if sender == self.own().id {
            return Err(Reason::Ourselves);
        }
        if self.removed.contains(&sender) {
            return Err(Reason::Removed);
        }
        let known = self.foca.iter_membership_state();
        if known.len() + self.lost.len() + packet.names().count() <= self.settings.members_max {
            return Ok(());
        }
        let named = packet.names().map(|named| named.id).filter(|node| *node != self.own().id);
        let known = known.map(|member| member.id().id).chain(self.lost.keys().copied());
        let all: BTreeSet<NodeId> = known.chain(named).collect();
        if all.len() > self.settings.members_max { Err(Reason::Full) } else { Ok(()) }
    }

    /// Draws from a packet what foca does not keep.
    fn note(&mut self, packet: &Packet, now: Millis) {
        let sender = packet.header.src.id;
        self.health.heard(sender);
        self.heard.insert(sender, now);
        let own = *self.own();
        let named = packet.members.iter().map(Member::id).chain([&packet.header.dst]);
        let generation = named.filter(|named| named.id == own.id).map(|named| named.generation).max();
        self.own_generation_heard = self.own_generation_heard.max(generation.unwrap_or_default());
        for member in packet.members.iter().filter(|member| *member.id() == own && member.state() == State::Suspect) {
            if member.incarnation() >= self.contradicted {
                self.contradicted = member.incarnation().saturating_add(1);
                self.health.was_suspected();
            }
        }
    }

    /// A later life of the sender that is known here. Spoken to by that name, the sender learns what it has to outrank;
    /// otherwise it would count its generation up one by one, once a round trip.
    fn outranking(&self, sender: &Identity) -> Option<Identity> {
        let mut known = self.foca.iter_membership_state().map(|member| *member.id());
        let later = known.find(|known| known.id == sender.id && known.generation > sender.generation);
        later.map(|later| Identity { gossip: sender.gossip, ..later })
    }

    /// Takes a generation above the one that the others know of this node, which happens if the clock went back
    /// between two lives.
    fn outrank(&mut self, now: Millis, out: &mut Vec<Output>) {
        let own = *self.own();
        if self.own_generation_heard <= own.generation {
            return;
        }
        let generation = Generation(self.own_generation_heard.0.saturating_add(1));
        self.call(now, out, |foca, effects| foca.change_identity(Identity { generation, ..own }, effects));
    }

    /// Forgets removed nodes that foca was told of.
    pub(super) fn forget_removed(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.lost.retain(|node, _| !self.removed.contains(node));
        let known = self.foca.iter_membership_state();
        let removed: Vec<_> = known.filter(|member| self.removed.contains(&member.id().id)).cloned().collect();
        for member in removed {
            let id = *member.id();
            let down = Member::new(id, member.incarnation(), State::Down);
            self.heard.remove(&id.id);
            self.call(now, out, |foca, effects| foca.apply_many([down].into_iter(), false, effects));
            self.call(now, out, |foca, effects| foca.handle_timer(Timer::RemoveDown(id), effects));
        }
    }

    /// Adds a seed, if there is room, and speaks to it.
    pub(super) fn add_seed(&mut self, seed: SocketAddr, now: Millis, out: &mut Vec<Output>) {
        if self.seeds.len() < self.settings.seeds_max {
            self.seeds.insert(seed);
        }
        if seed != self.own().gossip {
            self.greet(vec![Identity::anybody_at(seed)], now, out);
        }
    }

    /// Carries out all timers that are due.
    pub(super) fn fire_what_is_due(&mut self, now: Millis, out: &mut Vec<Output>) {
        while let Some(due) = self.timers.take(now) {
            match due {
                Due::Foca(timer) => self.fire(timer, now, out),
                Due::Verdict(verdict) => self.judge(verdict, now, out),
                Due::Announce => self.announce(now, out),
            }
        }
    }

    fn fire(&mut self, timer: Timer<Identity>, now: Millis, out: &mut Vec<Output>) {
        let goes_round = matches!(timer, Timer::SendIndirectProbe { .. });
        let begins = matches!(timer, Timer::ProbeRandomMember(_));
        let effects = self.call(now, out, |foca, effects| foca.handle_timer(timer, effects));
        if begins && let Some(next) = effects.asked.last() {
            self.health.probed(effects.suspects, next.id);
        }
        if goes_round && !effects.asked.is_empty() {
            self.health.goes_round();
            self.greet(effects.asked, now, out);
        }
    }

    /// Passes a verdict on a node that did not answer, or waits while this node is not well itself.
    ///
    /// foca never sees a suspicion that was contradicted: it would tell the one who did that it is down (2.0.0).
    fn judge(&mut self, verdict: Verdict, now: Millis, out: &mut Vec<Output>) {
        let Verdict { member, incarnation, since, .. } = verdict;
        let stands = |other: &Member<Identity>| {
            *other.id() == member && other.incarnation() == incarnation && other.state() == State::Suspect
        };
        if !self.foca.iter_members().any(stands) {
            return;
        }
        if self.heard.values().all(|at| *at < since) {
            return self.begin_anew();
        }
        let time = Millis(self.settings.suspicion.0 * self.health.patience());
        if since + time > now {
            return self.timers.set(now + VERDICT_RECHECK, Due::Verdict(verdict));
        }
        self.call(now, out, |foca, effects| foca.handle_timer(verdict.timer(), effects));
    }

    /// Nobody was heard: this node is cut off, or all others are gone. It accuses nobody; it forgets what it thought of
    /// the others and looks for them under a later identity, which they take whatever they thought of it.
    fn begin_anew(&mut self) {
        tracing::info!("no other node is heard");
        let own = *self.own();
        let generation = Generation(own.generation.0.saturating_add(1));
        self.lost.extend(self.foca.iter_membership_state().map(|member| (member.id().id, *member.id())));
        self.foca = gossip(Identity { generation, ..own }, &self.settings, &mut self.chance);
        self.timers.forget_gossip();
        self.changed = true;
    }

    /// Speaks to seeds that are no members, and to those that were lost. (foca speaks to those that it calls down.)
    fn announce(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.timers.set(now + self.settings.announce_period, Due::Announce);
        let own = self.own().gossip;
        let members: BTreeSet<SocketAddr> = self.up.values().map(|member| member.gossip).collect();
        let seeds = self.seeds.iter().filter(|seed| **seed != own && !members.contains(seed));
        let lost = self.lost.values().copied();
        self.greet(seeds.copied().map(Identity::anybody_at).chain(lost).collect(), now, out);
    }

    fn greet(&mut self, others: Vec<Identity>, now: Millis, out: &mut Vec<Output>) {
        for other in others {
            self.call(now, out, |foca, effects| foca.announce(other, effects));
        }
    }

    /// Calls foca and does what it wants.
    fn call(
        &mut self,
        now: Millis,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Gossip, &mut Effects) -> Result<(), foca::Error>,
    ) -> Done {
        let mut effects = Effects::default();
        report(act(&mut self.foca, &mut effects));
        let done = Done { asked: effects.sends.iter().map(|(to, _)| *to).collect(), suspects: effects.suspects() };
        self.perform(effects, now, out);
        done
    }

    /// Seals and hands out packets, sets timers. News of a suspicion or of a loss is passed on at once.
    fn perform(&mut self, mut effects: Effects, now: Millis, out: &mut Vec<Output>) {
        if effects.suspects() || effects.went {
            report(self.foca.gossip(&mut effects));
        }
        self.changed |= effects.changed;
        for (to, plain) in effects.sends {
            out.push(Output::Send { to: to.gossip, bytes: self.seal.seal(&plain) });
        }
        for (after, timer) in effects.timers {
            let at = now + Millis(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            self.timers.set(at, due(timer, now));
        }
    }

    /// Tells what has changed since the last time.
    pub(super) fn tell(&mut self, out: &mut Vec<Output>) {
        let own = *self.own();
        if own != self.told {
            (self.told, self.contradicted) = (own, 0);
            out.push(Output::Renewed(own));
        }
        if !std::mem::take(&mut self.changed) {
            return;
        }
        for member in self.foca.iter_membership_state() {
            self.lost.remove(&member.id().id);
        }
        let present = self.foca.iter_members().map(|member| *member.id());
        let present = present.filter(|member| !self.removed.contains(&member.id));
        let up = present.map(|member| (member.id, member)).collect();
        let before = std::mem::replace(&mut self.up, up);
        out.extend(before.keys().filter(|node| !self.up.contains_key(node)).map(|node| Output::Down(*node)));
        for (node, member) in &self.up {
            match before.get(node) {
                None => out.push(Output::Up(*member)),
                Some(known) if known != member => out.push(Output::Changed(*member)),
                Some(_) => {}
            }
        }
    }
}

/// What a call of foca came to.
struct Done {
    asked: Vec<Identity>,
    suspects: bool,
}

fn due(timer: Timer<Identity>, now: Millis) -> Due {
    match timer {
        Timer::ChangeSuspectToDown { member_id: member, incarnation, token } => {
            Due::Verdict(Verdict { member, incarnation, token, since: now })
        }
        Timer::ProbeRandomMember(_)
        | Timer::SendIndirectProbe { .. }
        | Timer::PeriodicAnnounce(_)
        | Timer::PeriodicAnnounceDown(_)
        | Timer::PeriodicGossip(_)
        | Timer::RemoveDown(_) => Due::Foca(timer),
    }
}

/// Errors of foca outside a packet mean that a timer came for a state that is over; foca recovers by itself.
fn report(result: Result<(), foca::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "foca recovers");
    }
}
