//! Streams: a slow reader holds up who writes, and nobody else; an end that is none is an error.

use super::node::{AWHILE, Fake, Node, SOON};
use crate::rpc::line::STREAMS_MAX;
use crate::rpc::sink::PAGES_WAITING_MAX;
use crate::rpc::{CallError, Pages};
use model::{Home, Stamp};
use proto::limits::PAGE_ELEMENTS_MAX;
use proto::{ElementsPage, ElementsRequest, FetchRequest};
use std::sync::atomic::Ordering;
use tokio::time::timeout;

/// More elements than any buffer on the way holds.
const MANY: u32 = 1_000_000;

async fn elements(from: &Node, to: &Node, until: u32) -> Pages<ElementsPage> {
    let request = ElementsRequest { home: Home::GLOBAL, after: None, until: Stamp::from_bits(until.into()) };
    from.peers.elements(to.id, request, SOON).await.unwrap()
}

fn pushed(fake: &Fake) -> usize {
    fake.pushed.load(Ordering::SeqCst)
}

fn streaming(fake: &Fake) -> usize {
    fake.streaming.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_the_writer_until_it_goes() {
    let nodes = Node::cluster(2).await;
    let fake = &nodes[1].fake;
    let mut pages = elements(&nodes[0], &nodes[1], MANY).await;
    assert!(pages.next().await.unwrap().is_some());
    let most = usize::try_from(MANY / 4).unwrap();
    let all = timeout(AWHILE, fake.until(|fake| pushed(fake) > most)).await;
    assert!(all.is_err(), "{} elements were made for nobody", pushed(fake));
    assert!(pushed(fake) >= PAGES_WAITING_MAX * PAGE_ELEMENTS_MAX / 4, "some are made ahead");
    drop(pages);
    timeout(SOON, fake.until(|fake| streaming(fake) == 0)).await.unwrap();
}

#[tokio::test]
async fn streams_that_nobody_reads_hold_up_no_call_and_no_more_are_opened() {
    let nodes = Node::cluster(2).await;
    let mut unread = Vec::new();
    for _ in 0..STREAMS_MAX {
        unread.push(elements(&nodes[0], &nodes[1], MANY).await);
    }
    // Each of them has filled its window.
    let full = STREAMS_MAX as usize * 10_000;
    timeout(SOON, nodes[1].fake.until(|fake| pushed(fake) > full)).await.unwrap();
    let fetch = FetchRequest { ids: vec![super::node::record(1).id], hints: false };
    assert!(nodes[0].peers.fetch(nodes[1].id, fetch, SOON).await.is_ok());
    let request = ElementsRequest { home: Home::GLOBAL, after: None, until: Stamp::from_bits(1) };
    let one_more = nodes[0].peers.elements(nodes[1].id, request, AWHILE).await;
    assert_eq!(one_more.err(), Some(CallError::Deadline));
    unread.pop();
    assert!(nodes[0].peers.elements(nodes[1].id, request, SOON).await.is_ok());
}

#[tokio::test]
async fn a_peer_that_dies_inside_a_stream_is_an_error_and_no_end() {
    let nodes = Node::cluster(2).await;
    let mut pages = elements(&nodes[0], &nodes[1], MANY).await;
    assert!(pages.next().await.unwrap().is_some());
    nodes[1].serving.abort();
    let end = loop {
        match pages.next().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(CallError::Unreachable(_))), "{end:?}");
    assert_eq!(pages.next().await, end);
}
