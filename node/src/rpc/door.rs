//! Where calls come in: the header is judged, the message opened, the service asked, and its answer sealed.
//!
//! One place judges every header. It decides nothing else.

use super::credentials::{Credentials, Demand};
use super::refusal::status;
use super::service::{Caller, Service};
use super::sink::{Page, Sink};
#[cfg(feature = "next")]
use cluster::control::Version;
use cluster::{NodeId, NodeKey};
use proto::wire::{control_server::Control, data_server::Data, raft_server::Raft};
use proto::{Header, Malformed, Message, Refusal, wire};
use std::cmp::Ordering;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

/// The most calls of Raft at once.
const RAFT_CALLS_MAX: usize = 64;
/// The most calls for control at once.
const CONTROL_CALLS_MAX: usize = 128;
/// The most calls for data at once; with the longest message it bounds what they take in memory.
const DATA_CALLS_MAX: usize = 256;
/// The most streams at once.
const STREAMS_MAX: usize = 64;
/// The most calls at once of nodes that were removed.
const BEQUESTS_MAX: usize = 2;
/// The most callers at once for whose sake a newer control state is looked for, since they are not known.
const STRANGERS_MAX: usize = 4;
/// When to come again after there was too much to do.
const RETRY_AFTER_MS: u64 = 50;

/// The door of one node. Clones are the same door.
#[derive(Debug)]
pub(super) struct Door<S>(Arc<Inside<S>>);

#[derive(Debug)]
struct Inside<S> {
    service: Arc<S>,
    credentials: Arc<Credentials>,
    raft: Arc<Semaphore>,
    control: Arc<Semaphore>,
    data: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    bequests: Arc<Semaphore>,
    strangers: Semaphore,
}

impl<S> Clone for Door<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A call that was let in.
struct Guest<Q> {
    caller: Caller,
    request: Q,
    /// The header of what it is answered.
    header: Header,
    place: OwnedSemaphorePermit,
}

impl<S: Service> Door<S> {
    pub(super) fn new(service: Arc<S>, credentials: Arc<Credentials>) -> Self {
        let places = |max| Arc::new(Semaphore::new(max));
        Self(Arc::new(Inside {
            service,
            credentials,
            raft: places(RAFT_CALLS_MAX),
            control: places(CONTROL_CALLS_MAX),
            data: places(DATA_CALLS_MAX),
            streams: places(STREAMS_MAX),
            bequests: places(BEQUESTS_MAX),
            strangers: Semaphore::new(STRANGERS_MAX),
        }))
    }

    /// Whether the node speaks this version.
    #[cfg(feature = "next")]
    pub(super) fn speaks(&self, version: u16) -> bool {
        self.0.credentials.speaks().speak(Version(version))
    }

    /// Judges and opens what came in.
    async fn admit<Q: Message>(
        &self,
        request: Request<Q::Wire>,
        demand: Demand,
        places: &Arc<Semaphore>,
    ) -> Result<Guest<Q>, Status> {
        let credentials = &self.0.credentials;
        let malformed = |malformed: Malformed| Refusal::Malformed(malformed.to_string());
        let key = request.extensions().get::<NodeKey>().copied();
        let request = request.into_inner();
        let header = Q::header(&request).map_err(malformed);
        let from = match header.and_then(|header| credentials.admit(&header, demand, key)) {
            Ok(caller) => caller,
            // Whoever did not show the key learns nothing; a header with a proof would tell how to make one.
            Err(refusal @ (Refusal::Malformed(_) | Refusal::WrongKey | Refusal::WrongProtocol(..))) => {
                return Err(status(refusal, &credentials.blank_header()));
            }
            Err(refusal) => return Err(status(refusal, &credentials.header(sender::<Q>(&request)))),
        };
        let answer = credentials.header(Some(from.node));
        let refused = |refusal| status(refusal, &answer);
        if demand == Demand::Removed && !credentials.was_removed(from.node) {
            return Err(refused(Refusal::Refused(format!("node {} was not removed from this cluster", from.node))));
        }
        if demand == Demand::Member && !self.knows(from).await {
            let text = format!("node {} is not a member of this cluster: it was removed, or has not joined", from.node);
            return Err(refused(Refusal::Refused(text)));
        }
        let place = Arc::clone(places).try_acquire_owned();
        let place = place.ok().ok_or_else(|| refused(Refusal::Overloaded(RETRY_AFTER_MS)))?;
        let request = Q::open(request).map_err(|wrong| refused(malformed(wrong)))?;
        Ok(Guest { caller: from, request, header: answer, place })
    }

    /// Whether the caller belongs to the cluster, by the newest control state that is known, or that it says there is.
    async fn knows(&self, caller: Caller) -> bool {
        let credentials = &self.0.credentials;
        if !credentials.belongs(caller.node, caller.key) && caller.epoch > credentials.epoch() {
            // While it is looked up for some, others are strangers still: they try again.
            let Ok(_place) = self.0.strangers.try_acquire() else { return false };
            self.0.service.catch_up(caller).await;
        }
        credentials.belongs(caller.node, caller.key)
    }

    /// [`Door::admit`] for a call that needs both to know the same placement table.
    async fn admit_to_data<Q: Message>(
        &self,
        request: Request<Q::Wire>,
        places: &Arc<Semaphore>,
    ) -> Result<Guest<Q>, Status> {
        let guest: Guest<Q> = self.admit(request, Demand::Member, places).await?;
        let credentials = &self.0.credentials;
        let refusal = match guest.caller.epoch.cmp(&credentials.epoch()) {
            Ordering::Equal => return Ok(guest),
            #[cfg(feature = "planted")]
            Ordering::Less if planted::is(planted::Bug::StaleEpochAccepted) => return Ok(guest),
            Ordering::Less => Refusal::StaleEpoch(credentials.epoch().0),
            Ordering::Greater => {
                self.0.service.catch_up(guest.caller).await;
                match guest.caller.epoch.cmp(&credentials.epoch()) {
                    Ordering::Equal => {
                        return Ok(Guest { header: credentials.header(Some(guest.caller.node)), ..guest });
                    }
                    Ordering::Less => Refusal::StaleEpoch(credentials.epoch().0),
                    Ordering::Greater => Refusal::BehindEpoch(credentials.epoch().0),
                }
            }
        };
        Err(status(refusal, &credentials.header(Some(guest.caller.node))))
    }

    /// Answers a call with one message.
    async fn answer<'a, Q, R, F>(
        &'a self,
        guest: Guest<Q>,
        ask: impl FnOnce(&'a S, Caller, Q) -> F,
    ) -> Result<Response<R::Wire>, Status>
    where
        Q: Message,
        R: Message,
        F: Future<Output = Result<R, Refusal>> + Send,
    {
        let Guest { caller, request, header, place } = guest;
        let answer = ask(&self.0.service, caller, request).await;
        drop(place);
        match answer {
            Ok(answer) => Ok(Response::new(answer.seal(&header))),
            Err(refusal) => Err(status(refusal, &header)),
        }
    }

    /// Answers a call with a stream, made by a task that ends with it.
    fn stream<Q, P, F>(
        &self,
        guest: Guest<Q>,
        make: impl FnOnce(Arc<S>, Caller, Q, Sink<P>) -> F,
    ) -> Response<Outgoing<P>>
    where
        Q: Message,
        P: Page,
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        let Guest { caller, request, header, place } = guest;
        let (sink, pages) = Sink::new(header);
        let failure = sink.failure();
        let made = make(Arc::clone(&self.0.service), caller, request, sink);
        let mut maker = JoinSet::new();
        maker.spawn(async move {
            if let Err(refusal) = made.await {
                failure.tell(refusal).await;
            }
            drop(place);
        });
        Response::new(Outgoing { pages, _maker: maker })
    }
}

/// Who sent what is refused; its header was read before.
fn sender<Q: Message>(request: &Q::Wire) -> Option<NodeId> {
    Q::header(request).ok().map(|header| NodeId(header.from))
}

/// Pages on their way out. Dropped, it ends the task that makes them.
pub(super) struct Outgoing<P: Page> {
    pages: mpsc::Receiver<Result<P::Wire, Status>>,
    _maker: JoinSet<()>,
}

impl<P: Page> Stream for Outgoing<P> {
    type Item = Result<P::Wire, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pages.poll_recv(cx)
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl<S: Service> Raft for Door<S> {
    async fn call(&self, request: Request<wire::RaftRequest>) -> Answer<wire::RaftReply> {
        let guest = self.admit(request, Demand::Member, &self.0.raft).await?;
        self.answer(guest, S::raft).await
    }
}

#[tonic::async_trait]
impl<S: Service> Control for Door<S> {
    async fn greet(&self, request: Request<wire::GreetRequest>) -> Answer<wire::GreetReply> {
        let guest = self.admit(request, Demand::Greeting, &self.0.control).await?;
        self.answer(guest, S::greet).await
    }

    async fn table(&self, request: Request<wire::TableRequest>) -> Answer<wire::TableReply> {
        let guest = self.admit(request, Demand::Member, &self.0.control).await?;
        self.answer(guest, S::table).await
    }

    async fn propose(&self, request: Request<wire::ProposeRequest>) -> Answer<wire::ProposeReply> {
        let guest = self.admit(request, Demand::Member, &self.0.control).await?;
        self.answer(guest, S::propose).await
    }

    async fn report(&self, request: Request<wire::ReportRequest>) -> Answer<wire::ReportReply> {
        let guest = self.admit(request, Demand::Member, &self.0.control).await?;
        self.answer(guest, S::report).await
    }

    async fn bequeath(&self, request: Request<wire::BequeathRequest>) -> Answer<wire::BequeathReply> {
        let guest = self.admit(request, Demand::Removed, &self.0.bequests).await?;
        self.answer(guest, S::bequeath).await
    }
}

#[cfg(feature = "next")]
#[tonic::async_trait]
impl<S: Service> wire::next::next_server::Next for Door<S> {
    async fn raised(&self, request: Request<wire::next::RaisedRequest>) -> Answer<wire::next::RaisedReply> {
        let guest = self.admit(request, Demand::Member, &self.0.control).await?;
        self.answer(guest, S::raised).await
    }
}

#[tonic::async_trait]
impl<S: Service> Data for Door<S> {
    type ScanStream = Outgoing<proto::ScanPage>;
    type ElementsStream = Outgoing<proto::ElementsPage>;
    type BodiesStream = Outgoing<proto::BodiesPage>;

    async fn store(&self, request: Request<wire::StoreRequest>) -> Answer<wire::StoreReply> {
        let guest = self.admit_to_data(request, &self.0.data).await?;
        self.answer(guest, S::store).await
    }

    async fn confirm(&self, request: Request<wire::ConfirmRequest>) -> Answer<wire::ConfirmReply> {
        let guest = self.admit_to_data(request, &self.0.data).await?;
        self.answer(guest, S::confirm).await
    }

    async fn fetch(&self, request: Request<wire::FetchRequest>) -> Answer<wire::FetchReply> {
        let guest = self.admit_to_data(request, &self.0.data).await?;
        self.answer(guest, S::fetch).await
    }

    async fn scan(&self, request: Request<wire::ScanRequest>) -> Answer<Self::ScanStream> {
        let guest = self.admit_to_data(request, &self.0.streams).await?;
        Ok(self
            .stream(guest, |service, caller, request, pages| async move { service.scan(caller, request, pages).await }))
    }

    async fn roots(&self, request: Request<wire::RootsRequest>) -> Answer<wire::RootsReply> {
        let guest = self.admit_to_data(request, &self.0.data).await?;
        self.answer(guest, S::roots).await
    }

    async fn elements(&self, request: Request<wire::ElementsRequest>) -> Answer<Self::ElementsStream> {
        let guest = self.admit_to_data(request, &self.0.streams).await?;
        Ok(self.stream(guest, |service, caller, request, pages| async move {
            service.elements(caller, request, pages).await
        }))
    }

    async fn bodies(&self, request: Request<wire::BodiesRequest>) -> Answer<Self::BodiesStream> {
        let guest = self.admit_to_data(request, &self.0.streams).await?;
        Ok(self.stream(
            guest,
            |service, caller, request, pages| async move { service.bodies(caller, request, pages).await },
        ))
    }
}
