//! Where a service puts what it streams: gathered into pages, and held up when the reader is slow.

use super::refusal;
use cluster::NodeId;
use proto::limits::{PAGE_BYTES_FULL, PAGE_ELEMENTS_MAX, PAGE_RECORDS_MAX};
use proto::{
    BodiesPage, Element, ElementsPage, Found, Header, Held, Message, Piece, Question, Refusal, ScanEnd, ScanPage,
};
use std::mem;
use tokio::sync::mpsc;
use tonic::Status;

/// How many pages wait for a slow reader, beside what the connection holds; then whoever makes them waits.
pub(super) const PAGES_WAITING_MAX: usize = 4;

/// A page of a stream: a list of items, no longer than the format takes.
pub trait Page: Message {
    /// What it is a list of.
    type Item: Send;
    /// The most items.
    const ITEMS_MAX: usize;
    /// About how many bytes an item takes.
    fn weight(item: &Self::Item) -> usize;
    /// A page of these.
    fn of(items: Vec<Self::Item>) -> Self;
}

/// The reader has gone: stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl From<Gone> for Refusal {
    fn from(Gone: Gone) -> Self {
        Self::Refused("nobody reads any more".to_owned())
    }
}

/// Where a service puts the items of a stream. What fills no page goes with [`Sink::finish`], or, of a scan, with
/// [`Sink::end`]; a sink that is dropped without sends no more.
#[derive(Debug)]
pub struct Sink<P: Page> {
    pages: mpsc::Sender<Result<P::Wire, Status>>,
    header: Header,
    items: Vec<P::Item>,
    bytes: usize,
}

impl<P: Page> Sink<P> {
    /// A sink whose pages bear `header`, and where they come out.
    pub(super) fn new(header: Header) -> (Self, mpsc::Receiver<Result<P::Wire, Status>>) {
        let (pages, read) = mpsc::channel(PAGES_WAITING_MAX);
        (Self { pages, header, items: Vec::new(), bytes: 0 }, read)
    }

    /// How a service that fails says so.
    pub(super) fn failure(&self) -> Failure<P> {
        Failure { pages: self.pages.clone(), header: self.header }
    }

    /// Whom it is for.
    pub fn reader(&self) -> NodeId {
        NodeId(self.header.to)
    }

    /// Puts an item in, behind the others. Waits while the reader is slow.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn push(&mut self, item: P::Item) -> Result<(), Gone> {
        let weight = P::weight(&item);
        let full = self.items.len() == P::ITEMS_MAX || self.bytes + weight > PAGE_BYTES_FULL;
        if full && !self.items.is_empty() {
            self.flush().await?;
        }
        self.items.push(item);
        self.bytes += weight;
        Ok(())
    }

    /// Sends what is left.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn finish(mut self) -> Result<(), Gone> {
        if self.items.is_empty() { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let page = P::of(mem::take(&mut self.items));
        self.bytes = 0;
        self.send(page).await
    }

    async fn send(&mut self, page: P) -> Result<(), Gone> {
        self.pages.send(Ok(page.seal(&self.header))).await.or(Err(Gone))
    }
}

impl Sink<ScanPage> {
    /// Puts a question in with all that is said on it, in as many pieces as it takes; `damaged` is where the first record
    /// lies that cannot be read.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn question(
        &mut self,
        question: Question,
        records: impl IntoIterator<Item = Held> + Send,
        damaged: Option<String>,
    ) -> Result<(), Gone> {
        let empty = |damaged| Piece { question: question.clone(), records: Vec::new(), damaged, continued: false };
        let (mut piece, mut bytes) = (empty(damaged), 0);
        let mut records = records.into_iter().collect::<Vec<_>>().into_iter();
        for held in records.by_ref() {
            let weight = held.record.weight();
            let full = piece.records.len() == PAGE_RECORDS_MAX || bytes + weight > PAGE_BYTES_FULL;
            if full && !piece.records.is_empty() {
                let whole = Piece { continued: true, ..mem::replace(&mut piece, empty(None)) };
                bytes = 0;
                self.push(whole).await?;
            }
            piece.records.push(held);
            bytes += weight;
        }
        self.push(piece).await
    }

    /// Sends what is left, and how the scan ended.
    ///
    /// # Errors
    ///
    /// [`Gone`].
    pub async fn end(mut self, end: ScanEnd) -> Result<(), Gone> {
        let pieces = mem::take(&mut self.items);
        self.send(ScanPage { pieces, end: Some(end) }).await
    }
}

/// The last word of a service that fails.
#[derive(Debug)]
pub(super) struct Failure<P: Page> {
    pages: mpsc::Sender<Result<P::Wire, Status>>,
    header: Header,
}

impl<P: Page> Failure<P> {
    pub(super) async fn tell(self, refusal: Refusal) {
        // Where nobody reads any more, nobody needs to know.
        self.pages.send(Err(refusal::status(refusal, &self.header))).await.ok();
    }
}

impl Page for ScanPage {
    type Item = Piece;
    const ITEMS_MAX: usize = PAGE_RECORDS_MAX;

    fn weight(piece: &Piece) -> usize {
        piece.weight()
    }

    fn of(pieces: Vec<Piece>) -> Self {
        Self { pieces, end: None }
    }
}

impl Page for ElementsPage {
    type Item = Element;
    const ITEMS_MAX: usize = PAGE_ELEMENTS_MAX;

    fn weight(_: &Element) -> usize {
        size_of::<Element>()
    }

    fn of(elements: Vec<Element>) -> Self {
        Self { elements }
    }
}

impl Page for BodiesPage {
    type Item = Found;
    const ITEMS_MAX: usize = PAGE_RECORDS_MAX;

    fn weight(found: &Found) -> usize {
        found.weight()
    }

    fn of(found: Vec<Found>) -> Self {
        Self { found }
    }
}
