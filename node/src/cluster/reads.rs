//! Queries: whom to ask for which claims, and one result from what they answer.
//!
//! It carries out what [`cluster::replication::read`] decides. Claims come from owners; what a lens makes of them is decided
//! here, in one place, whoever sent them.

use super::Cluster;
use super::answer::{Resolved, is_answered, resolve, selector};
use super::ask::{Answer, AskError};
use super::scan::{Found, scan};
use super::union::{Heard, Reach, United, unite};
use crate::rpc::CallError;
use ::cluster::placement::homes;
use ::cluster::replication::read::all::{self, ReadAll};
use ::cluster::replication::read::one::{Outcome, Output, Read, Settings};
use ::cluster::replication::read::{Candidate, Input, cover};
use ::cluster::{Epoch, Millis, NodeId};
use api::database::{Consistency, Page, QueryPlan, Question, ReadError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::{Home, Stamp};
use proto::{Homes, ScanRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use storage::store::Reader;
use storage::stored::StoredRecord;

/// How often owners are chosen anew, since some of them did not answer, have met nobody, or the table is another, before a
/// read gives up.
const ATTEMPTS_MAX: usize = 6;
/// The most scans that one page takes, each going on where the one before ended.
const ROUNDS_MAX: usize = 64;

/// What was heard, and of how much weight it is.
struct Gathered {
    united: United,
    copies: u16,
    /// How old it may be, in milliseconds: the age of the oldest fence behind an answer; none if one of them met nobody
    /// since its start.
    freshness_ms: Option<u64>,
    /// Up to when nothing of it changes any more, if everybody knows.
    stable_at: Option<Stamp>,
}

impl Cluster {
    /// Answers one page of a query.
    pub(crate) async fn query(self: &Arc<Self>, plan: QueryPlan) -> Result<Page, ReadError> {
        self.must_coordinate().map_err(|what| ReadError::NotReady { what })?;
        let now = self.local.reader().now(self.clock.wall_ms());
        if self.is_alone() {
            let as_of = plan.as_of.map_or(now, |as_of| as_of.min(now));
            let stable_at = self.stable_at(&Homes::all());
            let page = Page { copies_consulted: 1, freshness_ms: Some(0), stable_at, ..self.page(as_of) };
            let read = self.local.read_until(move |reader, abandoned| here(reader, &plan, page, abandoned)).await;
            return read.or(Err(ReadError::Fault))?;
        }
        // Elsewhere a record may bear a stamp that is ahead of this node's clock: what was acknowledged is to be seen.
        let latest = self.ahead_of(now);
        let as_of = plan.as_of.map_or(latest, |as_of| as_of.min(latest));
        let stable_at = self.global_stable_at();
        let mut page = Page { copies_consulted: u16::MAX, freshness_ms: Some(0), stable_at, ..self.page(as_of) };
        let mut after = plan.after.clone();
        let mut found = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let left = plan.limit.get() - found.len();
            let gathered = self.gather(&plan, as_of, after.take(), left).await?;
            page.copies_consulted = page.copies_consulted.min(gathered.copies);
            page.freshness_ms = page.freshness_ms.zip(gathered.freshness_ms).map(|(one, other)| one.max(other));
            page.stable_at = page.stable_at.min(gathered.stable_at);
            found.extend(gathered.united.found.into_iter().filter(|found| is_answered(&plan, found)));
            after = gathered.united.looked_to;
            if after.is_none() || found.len() >= plan.limit.get() {
                break;
            }
        }
        if plan.as_of.is_none() {
            // As of the latest thing seen, and not before this node's own time.
            let seen = found.iter().flat_map(|found| &found.claims).map(|held| held.record.stamp()).max();
            page.as_of = seen.map_or(now, |seen| seen.max(now));
        }
        page.next = after;
        let resolved = self.local.read(move |_| {
            found.iter().for_each(|found| add(&mut page, &plan, found));
            page
        });
        resolved.await.or(Err(ReadError::Fault))
    }

    /// A page without answers.
    fn page(&self, as_of: Stamp) -> Page {
        Page {
            answers: Vec::new(),
            next: None,
            as_of,
            placement_epoch: self.epoch().0,
            copies_consulted: 0,
            freshness_ms: None,
            stable_at: None,
            damaged: Vec::new(),
        }
    }

    /// What is known of the next questions.
    async fn gather(
        self: &Arc<Self>,
        plan: &QueryPlan,
        as_of: Stamp,
        after: Option<Question>,
        limit: usize,
    ) -> Result<Gathered, ReadError> {
        let request = request(plan, as_of, after, limit);
        match (plan.consistency, &plan.selection.subject) {
            (Consistency::All, subject) => self.from_all(subject.as_ref().map(Home::of), request).await,
            (Consistency::One, Some(subject)) => self.from_one(Home::of(subject), request).await,
            (Consistency::One, None) => self.from_cover(request).await,
        }
    }

    /// From one owner of one home, and the next if that one is slow.
    async fn from_one(self: &Arc<Self>, home: Home, request: ScanRequest) -> Result<Gathered, ReadError> {
        let request = ScanRequest { homes: [home].into_iter().collect(), ..request };
        let (mut out, mut calls, mut answers) = (Vec::new(), FuturesUnordered::new(), BTreeMap::new());
        let mut why = None;
        let mut news = self.newest.subscribe();
        let mut epoch = self.epoch();
        let mut machine = Read::start(self.read_settings(), epoch, &self.candidates(home), self.now(), &mut out);
        loop {
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Ask(node) => {
                        let (this, request) = (Arc::clone(self), request.clone());
                        calls.push(async move { (node, this.scan_at(node, request).await) });
                    }
                    Output::Refetch(epoch) => drop(self.refetch(epoch, None).await),
                    Output::Reply(Outcome::From(candidate)) => {
                        let answer: Option<Answer> = answers.remove(&candidate.node);
                        let answer = answer.ok_or(ReadError::Fault)?;
                        return Ok(self.gathered(vec![(candidate.node, answer)], &request, 1));
                    }
                    Output::Reply(Outcome::FromUnmet) => {
                        let copies = u16::try_from(answers.len()).unwrap_or(u16::MAX);
                        return Ok(self.gathered(answers.into_iter().collect(), &request, copies));
                    }
                    Output::Reply(Outcome::Unavailable) => return Err(self.nobody(home, why)),
                }
            }
            if self.epoch() > epoch {
                epoch = self.epoch();
                answers.clear();
                machine.reroute(epoch, &self.candidates(home), self.now(), &mut out);
                continue;
            }
            let input = tokio::select! {
                biased;
                Some((node, answer)) = calls.next() => match answer {
                    // What is damaged here may be whole elsewhere: only the last owner's answer is taken as it is.
                    Ok(answer) if is_damaged(&answer) && self.candidates(home).len() > answers.len() + 1 => {
                        answers.insert(node, answer);
                        Input::Failed(node)
                    }
                    Ok(answer) => {
                        let met = answer.fence_age_ms.is_some();
                        answers.insert(node, answer);
                        if met { Input::Answered(node) } else { Input::Unmet(node) }
                    }
                    Err(error) => {
                        let input = input_of(node, &error);
                        why = Some(error.told(node));
                        input
                    }
                },
                Ok(()) = news.changed() => continue,
                () = self.sleep_until(machine.wake_at()) => Input::Tick,
            };
            machine.handle(input, self.now(), &mut out);
        }
    }

    /// From few owners that hold all homes between them.
    async fn from_cover(self: &Arc<Self>, request: ScanRequest) -> Result<Gathered, ReadError> {
        let (mut failed, mut answers) = (BTreeSet::new(), Vec::new());
        // Answers of nodes that have met nobody, each with its homes: taken only for want of others.
        let mut unmet: BTreeMap<NodeId, (BTreeSet<Home>, Answer)> = BTreeMap::new();
        let (mut left, mut taken): (BTreeSet<Home>, BTreeSet<NodeId>) = (homes().collect(), BTreeSet::new());
        let mut why = None;
        for _ in 0..ATTEMPTS_MAX {
            let table = self.table().ok_or_else(|| self.no_cluster())?;
            let down = self.down();
            let fitness = |node: NodeId, home| {
                let can_be_asked = !failed.contains(&node) && !down.contains(&node) && !unmet.contains_key(&node);
                can_be_asked.then(|| self.is_fit(node, home))
            };
            let covered = cover(&table, left.iter().copied(), fitness, |node| self.latency_us(node));
            for home in covered.left {
                let Some(node) = unmet.iter().find_map(|(node, (homes, _))| homes.contains(&home).then_some(*node))
                else {
                    return Err(self.nobody(home, why));
                };
                left.remove(&home);
                taken.insert(node);
            }
            let mut calls: FuturesUnordered<_> = covered
                .asks
                .into_iter()
                .map(|(node, homes)| {
                    let request = ScanRequest { homes: homes.iter().copied().collect(), ..request.clone() };
                    let this = Arc::clone(self);
                    async move { (node, homes, this.scan_at(node, request).await) }
                })
                .collect();
            while let Some((node, homes, answer)) = calls.next().await {
                match answer {
                    Ok(answer) if answer.fence_age_ms.is_none() => drop(unmet.insert(node, (homes, answer))),
                    Ok(answer) => {
                        left.retain(|home| !homes.contains(home));
                        answers.push((node, answer));
                    }
                    Err(AskError::Call(CallError::StaleEpoch { theirs })) => drop(self.refetch(theirs, None).await),
                    Err(error) => {
                        failed.insert(node);
                        why = Some(error.told(node));
                    }
                }
            }
            if left.is_empty() {
                let taken = unmet.into_iter().filter(|(node, _)| taken.contains(node));
                answers.extend(taken.map(|(node, (_, answer))| (node, answer)));
                return Ok(self.gathered(answers, &request, 1));
            }
        }
        Err(why.unwrap_or(ReadError::Overloaded))
    }

    /// From every owner and whoever may hold a hint, what they do not agree on repaired.
    async fn from_all(self: &Arc<Self>, home: Option<Home>, request: ScanRequest) -> Result<Gathered, ReadError> {
        let request = match home {
            Some(home) => ScanRequest { homes: [home].into_iter().collect(), ..request },
            None => request,
        };
        // Who lacks a claim of an agent does not name its question either, though others may have claims on it there.
        let mut is_partial = matches!(request.selector, proto::Selector::Agent(_));
        for _ in 0..ATTEMPTS_MAX {
            let answers = match self.hear_all(&request).await? {
                Ok(answers) => answers,
                Err(epoch) => {
                    self.refetch(epoch, None).await;
                    continue;
                }
            };
            let table = self.table().ok_or_else(|| self.no_cluster())?;
            let readers = |home| table.readers(home).count();
            let copies = home.map_or_else(|| homes().map(readers).min().unwrap_or(0), readers);
            let gathered = self.gathered(answers, &request, u16::try_from(copies).unwrap_or(u16::MAX));
            let unmended = self.repair(&gathered.united, table.epoch()).await;
            if std::mem::take(&mut is_partial) && !gathered.united.repairs.is_empty() {
                if unmended.is_empty() {
                    continue;
                }
                return Err(ReadError::Unavailable { who: unmended.join(", "), retry_after_s: 1 });
            }
            // Everybody who may have something was asked just now.
            return Ok(Gathered { freshness_ms: Some(0), ..gathered });
        }
        Err(ReadError::Overloaded)
    }

    /// Asks everybody, for hints first: what is none any more when that is asked is at the owners when they are. The inner
    /// error is a newer table's epoch: to be asked again under that.
    async fn hear_all(
        self: &Arc<Self>,
        request: &ScanRequest,
    ) -> Result<Result<Vec<(NodeId, Answer)>, ::cluster::Epoch>, ReadError> {
        let reply_by = self.now() + self.millis(self.settings.read_deadline);
        let mut answers = Vec::new();
        for hints in [true, false] {
            match self.hear(&ScanRequest { hints, ..request.clone() }, reply_by).await? {
                Ok(heard) => answers.extend(heard),
                Err(epoch) => return Ok(Err(epoch)),
            }
        }
        Ok(Ok(answers))
    }

    async fn hear(
        self: &Arc<Self>,
        request: &ScanRequest,
        reply_by: Millis,
    ) -> Result<Result<Vec<(NodeId, Answer)>, ::cluster::Epoch>, ReadError> {
        let (mut out, mut calls, mut answers) = (Vec::new(), FuturesUnordered::new(), Vec::new());
        let (now, mut refused) = (self.now(), BTreeMap::new());
        let mut machine = ReadAll::start(&self.member_ids(), reply_by - now, now, &mut out);
        loop {
            for output in out.drain(..) {
                match output {
                    all::Output::Ask(node) => {
                        let (this, request) = (Arc::clone(self), request.clone());
                        calls.push(async move { (node, this.scan_at(node, request).await) });
                    }
                    all::Output::Refetch(epoch) => return Ok(Err(epoch)),
                    all::Output::Reply(Ok(())) => return Ok(Ok(answers)),
                    all::Output::Reply(Err(silent)) => {
                        let name = |node: &NodeId| match refused.get(node) {
                            Some(why) => format!("node {node} ({why})"),
                            None => format!("node {node}"),
                        };
                        let names: Vec<_> = silent.iter().map(name).collect();
                        return Err(ReadError::Unavailable { who: names.join(", "), retry_after_s: 1 });
                    }
                }
            }
            let input = tokio::select! {
                biased;
                Some((node, answer)) = calls.next() => match answer {
                    Ok(answer) => {
                        answers.push((node, answer));
                        Input::Answered(node)
                    }
                    Err(error) => {
                        let input = input_of(node, &error);
                        match error {
                            AskError::Call(CallError::Refused(why)) => drop(refused.insert(node, why)),
                            AskError::Own(why) => drop(refused.insert(node, why.to_string())),
                            AskError::Call(_) => {}
                        }
                        input
                    }
                },
                () = self.sleep_until(machine.wake_at()) => Input::Tick,
            };
            machine.handle(input, self.now(), &mut out);
        }
    }

    /// Sends owners by the table of `epoch` what they lack. What cannot be sent now is left to the comparison of sets;
    /// returns to whom.
    async fn repair(&self, united: &United, epoch: Epoch) -> Vec<String> {
        let repair = |(node, records): (&NodeId, &Vec<StoredRecord>)| {
            let (node, records) = (*node, records.clone());
            async move { (node, self.hand_over(node, epoch, &records).await) }
        };
        let mut calls: FuturesUnordered<_> = united.repairs.iter().map(repair).collect();
        let mut unmended = Vec::new();
        while let Some((node, taken)) = calls.next().await {
            unmended.extend((!taken).then(|| format!("node {node}")));
        }
        unmended
    }

    fn gathered(&self, answers: Vec<(NodeId, Answer)>, request: &ScanRequest, copies: u16) -> Gathered {
        let stable_at = answers.iter().map(|(_, answer)| answer.stable_at).min().flatten();
        let ages: Option<Vec<_>> = answers.iter().map(|(_, answer)| answer.fence_age_ms).collect();
        let freshness_ms = ages.and_then(|ages| ages.into_iter().max());
        let heard = answers.into_iter().map(|(node, answer)| Heard { node, scanned: answer.scanned }).collect();
        let table = self.table();
        let readers = |home| table.as_ref().map_or_else(Vec::new, |table| table.readers(home).collect());
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let reach = Reach { as_of: request.as_of, stable_at };
        Gathered { united: unite(heard, limit, reach, readers), copies, freshness_ms, stable_at }
    }

    /// Who can be asked about a home, in no order.
    fn candidates(&self, home: Home) -> Vec<Candidate> {
        let table = self.table();
        let readers = table.iter().flat_map(|table| table.readers(home));
        let down = self.down();
        let candidate = |node: NodeId| Candidate {
            node,
            fit: self.is_fit(node, home) && !down.contains(&node),
            latency_us: self.latency_us(node),
        };
        readers.map(candidate).collect()
    }

    fn nobody(&self, home: Home, why: Option<ReadError>) -> ReadError {
        let who = || {
            let owners = self.candidates(home).into_iter().map(|owner| format!("node {}", owner.node));
            owners.collect::<Vec<_>>().join(", ")
        };
        why.unwrap_or_else(|| ReadError::Unavailable { who: who(), retry_after_s: 1 })
    }

    fn read_settings(&self) -> Settings {
        Settings {
            hedge_after: self.millis(self.settings.read_hedge),
            owner_deadline: self.millis(self.settings.owner_deadline),
            read_deadline: self.millis(self.settings.read_deadline),
        }
    }
}

/// The scan that a page of a query begins with.
fn request(plan: &QueryPlan, as_of: Stamp, after: Option<Question>, limit: usize) -> ScanRequest {
    ScanRequest {
        selector: selector(&plan.selection, &plan.filter),
        after: after.map(|question| proto::Question { subject: question.subject, predicate: question.predicate }),
        limit: u32::try_from(limit).unwrap_or(u32::MAX).clamp(1, proto::limits::SCAN_QUESTIONS_MAX),
        homes: Homes::all(),
        as_of,
        hints: false,
    }
}

/// A page from this node's own store, which holds everything.
fn here(reader: &Reader, plan: &QueryPlan, mut page: Page, abandoned: &AtomicBool) -> Result<Page, ReadError> {
    let mut after = plan.after.clone();
    for _ in 0..ROUNDS_MAX {
        let left = plan.limit.get() - page.answers.len() - page.damaged.len();
        let scanned = scan(reader, &request(plan, page.as_of, after.take(), left), abandoned);
        let scanned = scanned.map_err(|error| error.told())?;
        scanned.found.iter().for_each(|found| add(&mut page, plan, found));
        after = scanned.looked_to;
        if after.is_none() || page.answers.len() + page.damaged.len() == plan.limit.get() {
            break;
        }
    }
    page.next = after;
    Ok(page)
}

/// Adds what comes of one question.
fn add(page: &mut Page, plan: &QueryPlan, found: &Found) {
    match resolve(plan, page.as_of, found) {
        Resolved::Answer(answer) => page.answers.push(answer),
        Resolved::Damaged(damaged) => page.damaged.push(damaged),
        Resolved::Nothing => {}
    }
}

fn input_of(node: NodeId, error: &AskError) -> Input {
    match error {
        AskError::Call(CallError::StaleEpoch { theirs }) => Input::StaleEpoch(*theirs),
        AskError::Call(_) | AskError::Own(_) => Input::Failed(node),
    }
}

fn is_damaged(answer: &Answer) -> bool {
    answer.scanned.found.iter().any(|found| found.damaged.is_some())
}
