//! Writes on their way to two disks: verified, stamped, sent along their routes, and answered.
//!
//! It carries out what [`cluster::replication::write`] decides, and decides nothing. A write goes on after its answer until
//! every owner has the records, or a hint is kept for it; whoever drops the answer changes nothing.

use super::Cluster;
use super::parcel::{Parcel, Stamped};
use super::tally::Tally;
use crate::serve::local::Permit;
use ::cluster::placement::Route;
use ::cluster::replication::write::{Input, Output, Settings, Way, Write};
use ::cluster::{Epoch, NodeId};
use api::database::{Ack, Durable, Outcome, Receipt, SubmitError, SubmitTerms};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use model::{Body, Envelope, Record};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How often a write goes on under a newer table before it gives up.
const REROUTES_MAX: usize = 4;

/// One result a record, in order.
pub(crate) type Verdicts = Vec<Result<Receipt, SubmitError>>;

/// Records on one route, each with its place in the submission.
#[derive(Default)]
struct Group {
    places: Vec<usize>,
    records: Vec<Stamped>,
}

/// How one attempt at a write ended.
enum End {
    Done,
    /// There is a newer table, and the client still waits.
    Rerouted(oneshot::Sender<Verdicts>),
}

impl Cluster {
    /// Verifies, stamps and stores envelopes on as many nodes as `terms.ack` asks for; one result each, in their order.
    pub(crate) async fn submit(self: &Arc<Self>, envelopes: Vec<Envelope>, terms: SubmitTerms) -> Verdicts {
        let count = envelopes.len();
        self.try_submit(envelopes, terms).await.unwrap_or_else(|error| vec![Err(error); count])
    }

    async fn try_submit(
        self: &Arc<Self>,
        envelopes: Vec<Envelope>,
        terms: SubmitTerms,
    ) -> Result<Verdicts, SubmitError> {
        self.must_coordinate().map_err(|what| SubmitError::NotReady { what })?;
        {
            let _under_way = self.health.under_way();
            if self.is_alone() {
                return self.local.write(envelopes, terms).await;
            }
        }
        let permit = Arc::new(self.local.permit(envelopes.len()).await?);
        let verified = self.local.verify(envelopes).await?;
        let mut verdicts = vec![Err(SubmitError::Fault); verified.len()]; // until its group has answered
        let (mut records, mut votes) = (Vec::new(), Vec::new());
        for ((place, verdict), slot) in verified.into_iter().enumerate().zip(&mut verdicts) {
            match verdict {
                Ok(record) if terms.dry_run => *slot = self.would_be(&record).await,
                Ok(record) => {
                    if let Body::Vote(vote) = record.body() {
                        votes.push((place, vote.clone()));
                    }
                    records.push((place, record));
                }
                Err(refusal) => *slot = Err(refusal.into()),
            }
        }
        for (places, answer) in self.write_all(records, terms.ack, &permit).await? {
            for (place, verdict) in places.into_iter().zip(answer) {
                if let Some(slot) = verdicts.get_mut(place) {
                    *slot = verdict;
                }
            }
        }
        for (place, vote) in votes {
            if let Some(Ok(receipt)) = verdicts.get_mut(place) {
                receipt.target_known = Some(self.knows(&vote).await);
            }
        }
        Ok(verdicts)
    }

    /// Stamps records and writes them, those of one route together.
    async fn write_all(
        self: &Arc<Self>,
        records: Vec<(usize, Record)>,
        ack: Ack,
        permit: &Arc<Permit>,
    ) -> Result<Vec<(Vec<usize>, Verdicts)>, SubmitError> {
        let stamps = self.local.stamps(records.len()).await?;
        let (_, ways) = self.ways(records.iter().map(|(_, record)| record.home()));
        let mut groups: BTreeMap<Route, Group> = BTreeMap::new();
        for (((place, record), stamp), way) in records.into_iter().zip(stamps).zip(ways) {
            let group = groups.entry(way).or_default();
            group.places.push(place);
            group.records.push(Stamped { record, stamp });
        }
        let answers = FuturesUnordered::new();
        for (_, Group { places, records }) in groups {
            let answer = self.begin(records, ack, Arc::clone(permit))?;
            answers.push(async move {
                let lost = vec![Err(SubmitError::Fault); places.len()];
                (places, answer.await.unwrap_or(lost))
            });
        }
        Ok(answers.collect().await)
    }

    /// Starts the write of one group. It holds its share of the queue until it is done.
    fn begin(
        self: &Arc<Self>,
        records: Vec<Stamped>,
        ack: Ack,
        permit: Arc<Permit>,
    ) -> Result<oneshot::Receiver<Verdicts>, SubmitError> {
        let parcel = Arc::new(Parcel::pack(records).ok_or(SubmitError::Fault)?);
        let (reply, answer) = oneshot::channel();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let mut reply = reply;
            for _ in 0..REROUTES_MAX {
                match this.drive(&parcel, ack, reply).await {
                    End::Done => break,
                    End::Rerouted(waits) => reply = waits,
                }
            }
            drop(permit);
        });
        Ok(answer)
    }

    /// One attempt at a write, under one table.
    async fn drive(self: &Arc<Self>, parcel: &Arc<Parcel>, ack: Ack, reply: oneshot::Sender<Verdicts>) -> End {
        let (epoch, routes) = self.routes(parcel);
        let [route] = routes.as_slice() else {
            return self.split(Arc::clone(parcel), ack, reply).await;
        };
        let (mut reply, mut out, mut tally) = (Some(reply), Vec::new(), Tally::new(parcel.records()));
        let settings = self.write_settings(ack);
        let mut machine = Write::start(settings, Way { epoch, route, down: &self.down() }, self.now(), &mut out);
        let mut calls = FuturesUnordered::new();
        loop {
            for output in out.drain(..) {
                match output {
                    Output::Store(node) => {
                        tally.ask(node);
                        calls.push(self.send((node, proto::Role::Owned), epoch, Arc::clone(parcel)));
                    }
                    Output::Hint { holder } => {
                        tally.ask(holder);
                        calls.push(self.send((holder, proto::Role::Hint), epoch, Arc::clone(parcel)));
                    }
                    Output::Reply(outcome) => {
                        self.local.count_created(tally.created_assertions());
                        if let Some(reply) = reply.take() {
                            reply.send(tally.answer(outcome, settings.ack)).ok(); // nobody waits: the records stand
                        }
                    }
                    Output::Refetch(epoch) => {
                        if self.refetch(epoch, None).await
                            && let Some(reply) = reply.take()
                        {
                            return End::Rerouted(reply);
                        }
                    }
                    Output::Done => return End::Done,
                }
            }
            let input = tokio::select! {
                biased;
                Some((node, answer)) = calls.next() => tally.take(node, answer),
                () = self.sleep_until(machine.wake_at()) => Input::Tick,
            };
            machine.handle(input, self.now(), &mut out);
        }
    }

    /// Under a newer table the records of one write may have different routes: each is a write of its own then.
    fn split(
        self: &Arc<Self>,
        parcel: Arc<Parcel>,
        ack: Ack,
        reply: oneshot::Sender<Verdicts>,
    ) -> BoxFuture<'static, End> {
        let this = Arc::clone(self);
        Box::pin(async move {
            let mut verdicts = Vec::with_capacity(parcel.records().len());
            for stamped in parcel.records() {
                let (part, answer) = oneshot::channel();
                let Some(one) = Parcel::pack(vec![stamped.clone()]).map(Arc::new) else {
                    verdicts.push(Err(SubmitError::Fault));
                    continue;
                };
                let (end, answer) = tokio::join!(biased; this.drive(&one, ack, part), answer);
                drop(end); // rerouted once more: the client may send it again
                verdicts.extend(answer.unwrap_or_else(|_| vec![Err(SubmitError::Overloaded)]));
            }
            reply.send(verdicts).ok(); // nobody waits: the records stand
            End::Done
        })
    }

    /// The routes of a parcel's homes under the newest table, each once.
    fn routes(&self, parcel: &Parcel) -> (Epoch, Vec<Route>) {
        let (epoch, mut routes) = self.ways(parcel.records().iter().map(|stamped| stamped.record.home()));
        routes.sort_unstable();
        routes.dedup();
        (epoch, routes)
    }

    async fn send(
        self: &Arc<Self>,
        (node, role): (NodeId, proto::Role),
        epoch: Epoch,
        parcel: Arc<Parcel>,
    ) -> (NodeId, Result<Vec<proto::Verdict>, crate::rpc::CallError>) {
        let answer = self.store_at((node, role), epoch, &parcel, self.settings.write_deadline).await;
        (node, answer)
    }

    fn write_settings(&self, ack: Ack) -> Settings {
        let copies = self.copies();
        let ack = match ack {
            Ack::Default => copies.min(2),
            Ack::One => 1,
            Ack::All => copies,
        };
        Settings {
            ack,
            owner_deadline: self.millis(self.settings.owner_deadline),
            write_deadline: self.millis(self.settings.write_deadline),
        }
    }

    /// The answer of a dry run.
    async fn would_be(self: &Arc<Self>, record: &Record) -> Result<Receipt, SubmitError> {
        use super::lookup::Known;
        let outcome = match self.look_up(record.id(), Some(record.home())).await {
            Known::Absent => Outcome::WouldCreate,
            Known::Record(known) => Outcome::Exists(Durable { copies: 1, received_at: known.stamp }),
            Known::Erased => return Err(SubmitError::Erased),
            Known::Unsure(_) => {
                return Err(SubmitError::NotReady {
                    what: "the cluster: some nodes do not say whether they have it".to_owned(),
                });
            }
        };
        let target_known = match record.body() {
            Body::Vote(vote) => Some(self.knows(vote).await),
            Body::Assertion(_) | Body::Alias(_) | Body::Opaque(_) => None,
        };
        Ok(Receipt { id: record.id(), outcome, target_known })
    }

    /// Whether the target of a vote is known.
    async fn knows(self: &Arc<Self>, vote: &model::Vote) -> bool {
        !matches!(self.target(vote).await, api::database::Target::Unknown)
    }
}
