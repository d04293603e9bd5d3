//! Asking replicas for the keys of a page, and how far their answers reach together.

use quorate_ring::{Duration, Instant, NodeId, TableId, TokenRange, token_of};
use quorate_storage::Row;

use super::span::{self, Stretch};
use crate::{
    coordinator::{read::replies::Said, receipt::micros},
    node::Turn,
    wire::{Answer, FetchPage, PageFetched, Part, ReplicaReport, Want},
};

/// The replicas of some stretches, and what they have said of them.
///
/// Events: [`ask`](Self::ask), [`fetched`](Self::fetched), [`failed`](Self::failed). Looking: [`reach`](Self::reach).
#[derive(Debug)]
pub(super) struct Gathering {
    table: TableId,
    /// The place behind which the page begins.
    from: Row,
    stretches: Vec<Stretch>,
    /// How many replicas of each stretch must have answered.
    required: usize,
    /// Whether this node's own replica must be among them where it holds something, as in a read below QUORUM.
    awaits_own: bool,
    asks: Vec<Ask>,
}

/// What one replica was asked, in one message.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) node: NodeId,
    /// Which stretches, in order.
    stretches: Vec<usize>,
    /// When.
    pub(super) at: Instant,
    took: Duration,
    pub(super) said: Word,
}

/// What came of an ask.
#[derive(Debug)]
pub(super) enum Word {
    /// Nothing yet.
    None,
    /// A page.
    Page(Heard),
    /// It failed, for this reason.
    Failed(String),
}

/// A replica's page.
#[derive(Debug)]
pub(super) struct Heard {
    /// What it holds, in the order of rows; `None` where its record is damaged.
    pub(super) rows: Vec<(Row, Option<Said>)>,
    /// The place up to which that is all, in the stretches that it was asked for.
    until: Row,
    /// What its clock showed.
    pub(super) clock: Option<quorate_ring::Hlc>,
}

/// How far a page reaches.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Whoever is asked may still carry it further.
    Pending,
    /// Up to this place, which may be where it began.
    To(Row),
}

impl Gathering {
    pub(super) fn new(from: Row, stretches: Vec<Stretch>, required: usize, awaits_own: bool) -> Self {
        Self { table: from.table, from, stretches, required, awaits_own, asks: Vec::new() }
    }

    /// Asks the best replicas that have not been asked, so that of each stretch `more` than needed are; as many as there
    /// are. What is to be sent, with the number of the ask; nothing if nobody is left.
    pub(super) fn ask(
        &mut self,
        turn: &Turn<'_>,
        rows_max: usize,
        more: usize,
    ) -> Vec<(u8, NodeId, FetchPage)> {
        let mut chosen = Vec::<(NodeId, Want, Vec<usize>)>::new();
        for (at, stretch) in self.stretches.iter().enumerate() {
            let asked: Vec<_> = self.of(at).collect();
            let late = asked.iter().any(|ask| matches!(ask.said, Word::None));
            let useful = asked.iter().filter(|ask| !matches!(ask.said, Word::Failed(_))).count();
            let wanted = (self.required + if late { more } else { 0 }).saturating_sub(useful);
            let is_new = |node: &NodeId| asked.iter().all(|ask| ask.node != *node);
            let new: Vec<_> = nearest_first(turn, self.table, stretch).into_iter().filter(is_new).collect();
            // Too few: nothing behind this stretch can be part of the page.
            let too_few = useful + new.len() < self.required;
            for (nth, node) in new.into_iter().take(wanted).enumerate() {
                // Whoever was asked for the states may be the one that fails.
                let want = if nth == 0 || !asked.is_empty() { Want::State } else { Want::Digest };
                match chosen.iter_mut().find(|(other, wants, _)| *other == node && *wants == want) {
                    Some((_, _, stretches)) => stretches.push(at),
                    None => chosen.push((node, want, vec![at])),
                }
            }
            if too_few {
                break;
            }
        }
        chosen.truncate(ASKS_MAX.saturating_sub(self.asks.len()));
        chosen
            .into_iter()
            .map(|(node, want, stretches)| self.send(turn, rows_max, node, want, stretches))
            .collect()
    }

    fn send(
        &mut self,
        turn: &Turn<'_>,
        rows_max: usize,
        node: NodeId,
        want: Want,
        stretches: Vec<usize>,
    ) -> (u8, NodeId, FetchPage) {
        let after = stretches.first().is_some_and(|first| *first == 0).then(|| self.from.clone());
        let mut ranges = Vec::<TokenRange>::new();
        for range in stretches.iter().map(|at| self.stretches[*at].range) {
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        let fetch = FetchPage { table: self.table, ranges, after, rows_max: rows_max as u32, want };
        let (at, took) = (turn.now.mono, Duration::ZERO);
        self.asks.push(Ask { node, stretches, at, took, said: Word::None });
        ((self.asks.len() - 1) as u8, node, fetch)
    }

    /// A page came; whether it is an answer to what was asked.
    pub(super) fn fetched(&mut self, now: Instant, from: NodeId, number: u8, page: PageFetched) -> bool {
        let table = self.table;
        let Some(ask) = self.waiting(from, number) else {
            return false;
        };
        let PageFetched { rows, damaged, until, clock, .. } = page;
        let row = |key: bytes::Bytes| Row { token: token_of(&key), table, key };
        let said = |answer| match answer {
            Answer::State(state) => Some(Said::State(state)),
            Answer::Digest(digest) => Some(Said::Digest(digest)),
            Answer::Version(_) => None,
        };
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(key, answer)| (row(key), said(answer)))
            .chain(damaged.into_iter().map(|key| (row(key), None)))
            .collect();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        let until = until.map_or_else(span::end, |until| span::in_table(table, until));
        ask.took = now.since(ask.at);
        ask.said = Word::Page(Heard { rows, until, clock });
        true
    }

    /// A replica failed; whether that is an answer to what was asked.
    pub(super) fn failed(&mut self, now: Instant, from: NodeId, number: u8, why: &str) -> bool {
        let Some(ask) = self.waiting(from, number) else {
            return false;
        };
        ask.took = now.since(ask.at);
        ask.said = Word::Failed(why[..why.floor_char_boundary(REASON_BYTES_MAX)].to_owned());
        true
    }

    /// What `node` has said holds no more, for this reason.
    pub(super) fn disown(&mut self, node: NodeId, why: &str) {
        for ask in self.asks.iter_mut().filter(|ask| ask.node == node) {
            ask.said = Word::Failed(why.to_owned());
        }
    }

    /// The asks that `node` has not answered.
    pub(super) fn unanswered(&self, node: NodeId) -> Vec<u8> {
        let numbered = (0..).zip(&self.asks);
        let open = numbered.filter(|(_, ask)| ask.node == node && matches!(ask.said, Word::None));
        open.map(|(number, _)| number).collect()
    }

    /// Whether anybody has yet to answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.asks.iter().any(|ask| matches!(ask.said, Word::None))
    }

    /// Whether `node` was asked.
    pub(super) fn concerns(&self, node: NodeId) -> bool {
        self.asks.iter().any(|ask| ask.node == node)
    }

    /// How far as many replicas as are needed have told everything: of each stretch, as far as the last of the best so
    /// many; and no further than the first stretch of which that is not its end.
    pub(super) fn reach(&self, own: NodeId) -> Reach {
        let mut place = self.from.clone();
        for (at, stretch) in self.stretches.iter().enumerate() {
            let end = span::behind_token(self.table, stretch.range.end);
            let waits = |ask: &Ask| matches!(ask.said, Word::None);
            if self.awaits_own && self.of(at).any(|ask| ask.node == own && waits(ask)) {
                return Reach::Pending;
            }
            let mut reaches: Vec<_> =
                self.of(at).filter_map(|ask| ask.page()).map(|page| &page.until).collect();
            reaches.sort_unstable_by(|one, other| other.cmp(one));
            if reaches.len() < self.required {
                return if self.of(at).any(waits) { Reach::Pending } else { Reach::To(place) };
            }
            let own = self.of(at).find(|ask| self.awaits_own && ask.node == own).and_then(Ask::page);
            let last = reaches[self.required.saturating_sub(1)];
            let reach = own.map_or(last, |own| last.min(&own.until));
            if *reach < end {
                return Reach::To(place.max(reach.clone()));
            }
            place = end;
        }
        Reach::To(place)
    }

    /// The asks that say something of `row`, be it that they hold nothing: those that were asked for its stretch and have
    /// come so far. `at` is where the last look ended; rows come in order.
    pub(super) fn speakers(&self, row: &Row, at: &mut usize) -> impl Iterator<Item = (usize, &Ask, &Heard)> {
        while self.stretches.get(*at).is_some_and(|stretch| stretch.range.end < row.token) {
            *at += 1;
        }
        let at = *at;
        let asks =
            self.asks.iter().enumerate().filter(move |(_, ask)| ask.stretches.binary_search(&at).is_ok());
        asks.filter_map(|(number, ask)| Some((number, ask, ask.page()?)))
            .filter(|(_, _, page)| *row <= page.until)
    }

    /// Whether a page that ends at `place` is none.
    pub(super) fn is_where_it_began(&self, place: &Row) -> bool {
        *place == self.from
    }

    /// Every ask.
    pub(super) fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// How many replicas of the first stretch have answered, and how many failed; and what the last of those said.
    pub(super) fn first(&self) -> (usize, usize, String) {
        let failures = || {
            self.of(0).filter_map(|ask| match &ask.said {
                Word::Failed(why) => Some(format!("{} {why}", ask.node)),
                _ => None,
            })
        };
        (
            self.of(0).filter(|ask| ask.page().is_some()).count(),
            failures().count(),
            failures().last().unwrap_or_default(),
        )
    }

    /// The replicas of the first stretch, and those of them that serve it.
    pub(super) fn first_replicas(&self, turn: &Turn<'_>) -> (Vec<NodeId>, Vec<NodeId>) {
        let of = |stretch: &Stretch| (stretch.replicas.clone(), nearest_first(turn, self.table, stretch));
        self.stretches.first().map(of).unwrap_or_default()
    }

    /// What each replica did.
    pub(super) fn reports(&self) -> Vec<ReplicaReport> {
        let answered = self.asks.iter().filter(|ask| !matches!(ask.said, Word::None));
        answered.map(|ask| ask.report(Part::Agreed, ask.took)).collect()
    }

    /// The same of a page that failed: those that have not answered, too.
    pub(super) fn reports_of_failure(&self, now: Instant) -> Vec<ReplicaReport> {
        let report = |ask: &Ask| match ask.said {
            Word::None => ask.report(Part::NoAnswer, now.since(ask.at)),
            _ => ask.report(Part::Answered, ask.took),
        };
        self.asks.iter().map(report).collect()
    }

    fn of(&self, stretch: usize) -> impl Iterator<Item = &Ask> {
        self.asks.iter().filter(move |ask| ask.stretches.binary_search(&stretch).is_ok())
    }

    fn waiting(&mut self, from: NodeId, number: u8) -> Option<&mut Ask> {
        let ask = self.asks.get_mut(usize::from(number))?;
        (ask.node == from && matches!(ask.said, Word::None)).then_some(ask)
    }
}

impl Ask {
    /// What its replica did, which is `part` unless it failed.
    fn report(&self, part: Part, took: Duration) -> ReplicaReport {
        let (part, why) = match &self.said {
            Word::Failed(why) => (Part::Failed, why.clone()),
            Word::None | Word::Page(_) => (part, String::new()),
        };
        ReplicaReport { node: self.node, latency_us: micros(took), part, why }
    }

    /// Its page, if that is here.
    pub(super) fn page(&self) -> Option<&Heard> {
        match &self.said {
            Word::Page(page) => Some(page),
            Word::None | Word::Failed(_) => None,
        }
    }
}

/// The replicas that serve all of a stretch, in the order in which a read would ask them (rule Q1).
fn nearest_first(turn: &Turn<'_>, table: TableId, stretch: &Stretch) -> Vec<NodeId> {
    let serves = |node: &&NodeId| turn.up.serves_all(**node, table, &[stretch.range]);
    let mut nodes: Vec<_> = stretch.replicas.iter().filter(serves).copied().collect();
    let own = turn.config.node;
    nodes.sort_by_key(|node| {
        (*node != own, turn.up.suspects(*node), turn.health.distance(turn.now.mono, *node))
    });
    nodes
}

/// Their numbers are the rounds of the scan's requests.
const ASKS_MAX: usize = 200;
/// What is kept of a replica's reason for a failure.
const REASON_BYTES_MAX: usize = 300;
