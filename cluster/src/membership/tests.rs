use super::*;
use foca::{Header, Message};

const KEY: ClusterKey = ClusterKey([1; 32]);
const HERE: ClusterId = ClusterId([1; 16]);

fn address(node: u64) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(node).expect("a small number")], 18183))
}

fn identity(node: u64, generation: u64) -> Identity {
    let at = address(node);
    Identity { id: NodeId(node), generation: Generation(generation), gossip: at, rpc: at, api: at }
}

fn start(node: u64, generation: u64, settings: Settings) -> Membership {
    let seed = [u8::try_from(node).expect("a small number"); 32];
    Membership::new(identity(node, generation), settings, &(&KEY).into(), Some(HERE), &seed, Millis(0))
        .expect("good settings")
}

fn well(node: u64) -> Membership {
    start(node, 1, Settings::default())
}

/// Delivers everything at once and without loss, starting with `out` of `from`, until nobody has anything to say. Returns
/// what is not a packet, with who said it.
fn settle(nodes: &mut [Membership], from: usize, out: Vec<Output>, now: Millis) -> Vec<(NodeId, Output)> {
    let mut told = Vec::new();
    let mut pending: std::collections::VecDeque<_> = out.into_iter().map(|output| (from, output)).collect();
    let mut packets = 0;
    while let Some((from, output)) = pending.pop_front() {
        let Output::Send { to, bytes } = output else {
            told.push((nodes[from].own().id, output));
            continue;
        };
        packets += 1;
        assert!(bytes.len() <= PACKET_BYTES_MAX && packets < 1_000, "this never ends");
        let source = nodes[from].own().gossip;
        if let Some(receiver) = nodes.iter().position(|node| node.own().gossip == to) {
            let mut out = Vec::new();
            nodes[receiver].handle(Input::Datagram { from: source, bytes: &bytes }, now, &mut out);
            pending.extend(out.into_iter().map(|output| (receiver, output)));
        }
    }
    told
}

fn announce(nodes: &mut [Membership], from: usize, seed: SocketAddr, now: Millis) -> Vec<(NodeId, Output)> {
    let mut out = Vec::new();
    nodes[from].handle(Input::Announce(seed), now, &mut out);
    settle(nodes, from, out, now)
}

fn datagram(to: &mut Membership, bytes: &[u8]) -> Vec<Output> {
    let mut out = Vec::new();
    to.handle(Input::Datagram { from: address(9), bytes }, Millis(1), &mut out);
    out
}

/// A packet as `from` would send it.
fn packet(key: &ClusterKey, cluster: Option<ClusterId>, from: Identity, to: Identity, members: &[Identity]) -> Vec<u8> {
    let header = Header { src: from, src_incarnation: 0, dst: to, message: Message::Gossip };
    let mut plain = postcard::to_allocvec(&header).expect("a header");
    plain.extend_from_slice(&u16::try_from(members.len()).expect("few").to_be_bytes());
    for member in members {
        plain.extend(postcard::to_allocvec(&foca::Member::alive(*member)).expect("a member"));
    }
    Seal::new(&key.into(), cluster, Chance::new(&[77; 32], "nonces")).seal(&plain)
}

fn refused(node: &Membership) -> Vec<(Reason, u64)> {
    node.refused().iter().map(|(reason, refused)| (*reason, refused.packets)).collect()
}

#[test]
fn a_node_that_knows_only_an_address_meets_everybody() {
    let mut nodes = [well(1), well(2), well(3)];
    let first = announce(&mut nodes, 1, address(1), Millis(0));
    assert!(first.contains(&(NodeId(1), Output::Up(identity(2, 1)))));
    assert!(first.contains(&(NodeId(2), Output::Up(identity(1, 1)))));
    announce(&mut nodes, 2, address(1), Millis(0));
    let mut out = Vec::new();
    nodes[0].handle(Input::Tick, Millis(200), &mut out);
    settle(&mut nodes, 0, out, Millis(200));
    for node in &nodes {
        assert_eq!(node.alive().count() + 1, 3, "{node:?}");
        assert!(node.sees_quorum((1..=5).map(NodeId)));
    }
    assert!(!nodes[0].sees_quorum((1..=6).map(NodeId)), "three of six are no quorum");
    assert!(!nodes[0].sees_quorum([]), "nobody has no quorum");
}

#[test]
fn a_seed_that_does_not_answer_is_spoken_to_again_until_it_is_a_member() {
    let mut nodes = [well(1), well(2)];
    let mut alone = Vec::new();
    nodes[0].handle(Input::Announce(address(2)), Millis(0), &mut alone);
    let mut out = Vec::new();
    nodes[0].handle(Input::Tick, Millis(2000), &mut out);
    settle(&mut nodes, 0, out, Millis(2000));
    assert!(nodes[0].is_alive(NodeId(2)) && nodes[1].is_alive(NodeId(1)));
}

#[test]
fn a_node_does_not_speak_to_itself() {
    let mut node = well(1);
    let mut out = Vec::new();
    node.handle(Input::Announce(address(1)), Millis(0), &mut out);
    assert_eq!(out, []);
}

#[test]
fn packets_of_strangers_are_counted_by_reason_with_their_source() {
    let mut node = well(1);
    let own = identity(1, 1);
    let other = identity(2, 1);
    assert_eq!(datagram(&mut node, &packet(&ClusterKey([2; 32]), Some(HERE), other, own, &[])), []);
    assert_eq!(datagram(&mut node, &packet(&KEY, Some(ClusterId([2; 16])), other, own, &[])), []);
    assert_eq!(datagram(&mut node, b"hello"), []);
    assert_eq!(datagram(&mut node, &packet(&KEY, Some(HERE), own, own, &[])), []);
    assert_eq!(datagram(&mut node, &packet(&KEY, Some(HERE), other, own, &[identity(0, 1)])), []);
    let expected = [
        (Reason::NoPacket, 1),
        (Reason::OtherKey, 1),
        (Reason::OtherCluster, 1),
        (Reason::Malformed, 1),
        (Reason::Ourselves, 1),
    ];
    assert_eq!(refused(&node), expected);
    assert_eq!(node.refused()[&Reason::OtherKey].last_from, address(9));
    assert_eq!(Reason::OtherKey.to_string(), "sealed with another cluster key");
    assert_eq!(node.alive().count(), 0);
}

#[test]
fn who_speaks_under_this_node_s_id_from_another_address_is_remembered_and_not_heard() {
    let mut node = well(1);
    let own = identity(1, 1);
    datagram(&mut node, &packet(&KEY, Some(HERE), own, identity(2, 1), &[]));
    assert_eq!(node.twin(), None, "this node itself");
    let twin = Identity { gossip: address(9), ..identity(1, 7) };
    assert_eq!(datagram(&mut node, &packet(&KEY, Some(HERE), twin, own, &[])), []);
    assert_eq!((node.twin(), node.alive().count()), (Some(&twin), 0));
}

#[test]
fn only_a_greeting_may_be_addressed_to_nobody() {
    let mut node = well(1);
    let gossip = packet(&KEY, Some(HERE), identity(2, 1), Identity::anybody_at(address(1)), &[]);
    assert_eq!(datagram(&mut node, &gossip), []);
    assert_eq!(refused(&node), [(Reason::Malformed, 1)]);
}

#[test]
fn no_more_nodes_are_kept_than_allowed_but_those_that_are_stay() {
    let mut node = start(1, 1, Settings { members_max: 2, ..Settings::default() });
    let own = identity(1, 1);
    let full = packet(&KEY, Some(HERE), identity(2, 1), own, &[identity(3, 1), own]);
    assert_ne!(datagram(&mut node, &full), []);
    let more = packet(&KEY, Some(HERE), identity(2, 1), own, &[identity(4, 1)]);
    assert_eq!(datagram(&mut node, &more), []);
    assert_eq!(refused(&node), [(Reason::Full, 1)]);
    assert_eq!(node.alive().map(|member| member.id).collect::<Vec<_>>(), [NodeId(2), NodeId(3)]);
    assert_eq!(datagram(&mut node, &packet(&KEY, Some(HERE), identity(3, 2), own, &[])).len(), 1, "a new life of 3");
}

#[test]
fn a_removed_node_is_gone_and_stays_gone() {
    let mut nodes = [well(1), well(2), well(3)];
    announce(&mut nodes, 1, address(1), Millis(0));
    announce(&mut nodes, 2, address(1), Millis(0));
    let mut out = Vec::new();
    nodes[0].remove(NodeId(3), Millis(1), &mut out);
    assert!(out.contains(&Output::Down(NodeId(3))));
    let own = identity(1, 1);
    assert_eq!(datagram(&mut nodes[0], &packet(&KEY, Some(HERE), identity(3, 5), own, &[])), []);
    assert_eq!(refused(&nodes[0]), [(Reason::Removed, 1)]);
    let told = datagram(&mut nodes[0], &packet(&KEY, Some(HERE), identity(2, 1), own, &[identity(3, 6)]));
    assert!(!told.iter().any(|output| matches!(output, Output::Up(_))), "{told:?}");
    assert_eq!(nodes[0].alive().count(), 1);
    assert_eq!(nodes[0].down().count(), 0);
}

#[test]
fn a_new_life_is_told_as_a_change() {
    let mut nodes = [well(1), well(2)];
    announce(&mut nodes, 1, address(1), Millis(0));
    nodes[1] = start(2, 2, Settings::default());
    let told = announce(&mut nodes, 1, address(1), Millis(1));
    assert!(told.contains(&(NodeId(1), Output::Changed(identity(2, 2)))), "{told:?}");
}

#[test]
fn a_node_whose_clock_went_back_between_two_lives_comes_back_above_the_old_one() {
    let mut nodes = [well(1), start(2, 1_000_000, Settings::default())];
    announce(&mut nodes, 1, address(1), Millis(0));
    nodes[1] = start(2, 5, Settings::default());
    let mut now = 0;
    while nodes[0].alive().next() != Some(nodes[1].own()) || nodes[1].alive().count() == 0 {
        now += 10;
        assert!(now < 10_000, "{nodes:?}");
        announce(&mut nodes, 1, address(1), Millis(now));
        for node in 0..2 {
            let mut out = Vec::new();
            nodes[node].handle(Input::Tick, Millis(now), &mut out);
            settle(&mut nodes, node, out, Millis(now));
        }
    }
    assert!(nodes[1].own().generation > Generation(1_000_000));
}

#[test]
fn a_node_that_stood_still_is_less_sure_and_greets_the_others() {
    let mut nodes = [well(1), well(2)];
    announce(&mut nodes, 1, address(1), Millis(0));
    assert_eq!(nodes[0].health(), 0);
    let mut out = Vec::new();
    nodes[0].handle(Input::Tick, Millis(5000), &mut out);
    assert_eq!(nodes[0].health(), 2);
    assert!(out.iter().any(|output| matches!(output, Output::Send { to, .. } if *to == address(2))));
    assert!(nodes[0].is_alive(NodeId(2)));
    assert!(nodes[0].wake_at() > Some(Millis(5000)), "nothing is due before the others could be heard");
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    let run = || {
        let mut node = well(1);
        let mut out = Vec::new();
        node.handle(Input::Announce(address(2)), Millis(0), &mut out);
        out
    };
    assert_eq!(run(), run());
    assert_ne!(run(), []);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let settings = Settings { suspicion: Millis(0), ..Settings::default() };
    let made = Membership::new(identity(1, 1), settings, &(&KEY).into(), None, &[0; 32], Millis(0));
    assert_eq!(made.err(), Some(SettingsError::Zero("the time of suspicion")));
}
