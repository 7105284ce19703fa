//! A stream of pages from a peer, read one by one. What is not read holds up whoever sends it.

use super::call::Road;
use super::credentials::Demand;
use super::error::CallError;
use proto::Message;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tonic::Streaming;

/// A stream of pages. Dropped, it tells the sender to stop.
#[derive(Debug)]
pub struct Pages<P: Message> {
    stream: Streaming<P::Wire>,
    road: Road,
    pause_max: Duration,
    failed: Option<CallError>,
    /// One of the streams that may be read from this peer at once.
    _place: OwnedSemaphorePermit,
}

impl<P: Message> Pages<P> {
    pub(super) fn new(
        stream: Streaming<P::Wire>,
        road: Road,
        pause_max: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { stream, road, pause_max, failed: None, _place: place }
    }

    /// The next page; `None` after the last. A stream that breaks off is an error, never an end.
    ///
    /// # Errors
    ///
    /// [`CallError`], and the same again from then on; [`CallError::Deadline`] if a page takes longer than the deadline of
    /// the call.
    pub async fn next(&mut self) -> Result<Option<P>, CallError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let page = match timeout(self.pause_max, self.stream.message()).await {
            Err(_) => Err(CallError::Deadline),
            Ok(Err(status)) => Err(self.road.failed(&status)),
            Ok(Ok(page)) => page.map(|page| self.road.open(page, Demand::Member)).transpose(),
        };
        page.inspect_err(|error| self.failed = Some(error.clone()))
    }
}
