//! Whether replicas are whole: what each node says of it, and waiting until they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::{NodeId, TableId};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    CatalogError, Client, Nature,
    errors::{CallError, Cause},
    routing::Route,
};
use crate::wire::{
    Agreed, ClientMessage, CompareNow, DescribeHealing, HealingDescribed, ReadReplica, ReplicaRead, ScrubNow,
};

/// What each node said, or why it did not.
pub type FromEach<T> = BTreeMap<NodeId, Result<T, CatalogError>>;

/// What is still waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Hints that nodes keep for others.
    pub hints: u64,
    /// Pairs of replicas that have not been seen to hold the same since the waiting began, counted for each table and set
    /// of nodes that hold keys together.
    pub unequal: usize,
    /// Records that are known to be damaged and were not got back yet from other replicas.
    pub damaged: u64,
    /// Nodes that cannot say, and why.
    pub silent: Vec<(NodeId, String)>,
}

/// Which comparisons matter to who waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Those of one table.
    pub table: Option<TableId>,
    /// Those of the keys that these nodes hold together.
    pub replicas: Option<BTreeSet<NodeId>>,
}

impl Client {
    /// What every node says of its hints, its comparisons with others, and its records. A node that does not answer within
    /// two seconds, or the client's timeout if that is shorter, is an error in its place.
    pub async fn healing(&self) -> FromEach<HealingDescribed> {
        self.healing_of(&self.session().members()).await
    }

    /// The same of these nodes alone.
    pub async fn healing_of(&self, nodes: &[NodeId]) -> FromEach<HealingDescribed> {
        self.ask_healing_of(nodes, &DescribeHealing { agreements: true }.into()).await
    }

    /// Has every node compare with all its peers now; each says how it stood before.
    pub async fn compare_now(&self) -> FromEach<HealingDescribed> {
        self.ask_healing(&CompareNow {}.into()).await
    }

    /// Has every node verify all its records now, from the first to the last; each says how it stood before.
    pub async fn scrub_now(&self) -> FromEach<HealingDescribed> {
        self.ask_healing(&ScrubNow {}.into()).await
    }

    /// What each of `nodes` holds of a key itself. No level vouches for it: it is for looking at, not for deciding.
    pub async fn replicas_of_key(
        &self,
        table: TableId,
        key: impl Into<Bytes>,
        nodes: &[NodeId],
    ) -> FromEach<ReplicaRead> {
        let read: ClientMessage = ReadReplica { table, key: key.into() }.into();
        self.ask_each(nodes, &read, |answer| match answer {
            ClientMessage::ReplicaRead(read) => Some(read),
            _ => None,
        })
        .await
    }

    /// Waits until no node keeps a hint for another one: whoever missed writes has been given them, as far as they were kept.
    /// `report` hears what is waited for whenever it was looked.
    ///
    /// It waits for as long as that takes, and for nodes that do not answer: bound it with a timeout if need be. Dropping the
    /// future ends it. Of a write that was acknowledged a moment ago, a hint may only be left once a replica has been silent
    /// for long enough: [`wait_for_convergence`](Self::wait_for_convergence) does not miss it.
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) {
    /// let whole = client.wait_for_hints(|waiting| println!("{waiting}"));
    /// if tokio::time::timeout(std::time::Duration::from_secs(60), whole).await.is_err() {
    ///     println!("there are hints left after a minute");
    /// }
    /// # }
    /// ```
    pub async fn wait_for_hints(&self, mut report: impl FnMut(&Waiting)) {
        let mut pause = PAUSE_MIN;
        loop {
            let answers = self.ask_healing(&DescribeHealing { agreements: false }.into()).await;
            let waiting = hints_left(&answers);
            report(&waiting);
            if waiting.is_over() {
                return;
            }
            sleep_until(Instant::now() + pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits until every replica holds whatever any replica held when this was called, or was kept for it as a hint and
    /// not given up since (rules A3, H2): for hints first, and then until each pair of replicas has been seen to hold the same,
    /// and damaged records that are known were got back. Otherwise like [`wait_for_hints`](Self::wait_for_hints).
    ///
    /// Clients may go on writing. A key that is written many hundred times a second without pause, though, hardly ever is
    /// the same everywhere at any moment, and keeps those that hold it from being seen to agree.
    pub async fn wait_for_convergence(&self, mut report: impl FnMut(&Waiting)) {
        self.wait_for_hints(&mut report).await;
        self.wait_for_agreement(&Scope::default(), report).await;
    }

    /// Waits until each pair of replicas that `scope` names has been seen to hold the same since the call, and has them
    /// compare at once. What hints are kept does not matter.
    ///
    /// Two that were compared since then hold whatever either of them held at the call. So once that is true of each pair of
    /// the nodes that hold a key, all of them hold whatever one of them held.
    pub async fn wait_for_agreement(&self, scope: &Scope, mut report: impl FnMut(&Waiting)) {
        let (begin, mut agreed, mut pause) = (Instant::now(), BTreeSet::new(), PAUSE_MIN);
        let mut compare_at = begin;
        loop {
            let asked = Instant::now();
            let answers = if asked < compare_at {
                self.healing().await
            } else {
                compare_at = asked + COMPARE_EVERY;
                self.compare_now().await
            };
            let waiting = pairs_left(&answers, scope, asked - begin, &mut agreed);
            report(&waiting);
            if waiting.is_over() {
                return;
            }
            sleep_until(Instant::now() + pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn ask_healing(&self, question: &ClientMessage) -> FromEach<HealingDescribed> {
        self.ask_healing_of(&self.session().members(), question).await
    }

    async fn ask_healing_of(&self, nodes: &[NodeId], question: &ClientMessage) -> FromEach<HealingDescribed> {
        self.ask_each(nodes, question, |answer| match answer {
            ClientMessage::HealingDescribed(described) => Some(described),
            _ => None,
        })
        .await
    }

    async fn ask_each<T>(
        &self,
        nodes: &[NodeId],
        question: &ClientMessage,
        expect: impl Fn(ClientMessage) -> Option<T>,
    ) -> FromEach<T> {
        let session = self.session();
        let mut terms = session.terms_within(None);
        terms.deadline = terms.deadline.min(Instant::now() + EACH_TIMEOUT);
        // Dropped with this future, and with it all that is under way.
        let mut asked = JoinSet::new();
        for node in nodes.iter().copied() {
            let (client, question, terms) = (self.clone(), question.clone(), terms.clone());
            asked.spawn(async move {
                let route = Route::Only(node);
                (node, client.session().request(question, route, Nature::Read, &terms).await)
            });
        }
        let unasked = || Err(CallError::not_applied(Cause::TimedOut).into());
        let mut answers: FromEach<T> = nodes.iter().map(|node| (*node, unasked())).collect();
        while let Some(joined) = asked.join_next().await {
            let Ok((node, answer)) = joined else { continue };
            let expected = answer.map_err(CatalogError::from).and_then(|(_, answer)| {
                let unexpected = CallError::not_applied(Cause::UnexpectedAnswer { node });
                expect(answer).ok_or_else(|| unexpected.into())
            });
            answers.insert(node, expected);
        }
        answers
    }
}

impl Scope {
    /// Whether it names a comparison.
    pub fn covers(&self, agreed: &Agreed) -> bool {
        self.table.is_none_or(|table| table == agreed.table)
            && self.replicas.as_ref().is_none_or(|nodes| nodes.iter().eq(&agreed.replicas))
    }
}

impl Waiting {
    /// Whether nothing is waited for any more.
    pub fn is_over(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hints, unequal, damaged, silent } = self;
        let mut parts = Vec::new();
        let mut count = |count: u64, one: &str, many: &str| match count {
            0 => {}
            1 => parts.push(format!("1 {one}")),
            count => parts.push(format!("{count} {many}")),
        };
        count(*hints, "hint is kept", "hints are kept");
        let unseen = "not seen to hold the same yet";
        count(
            *unequal as u64,
            &format!("pair of replicas was {unseen}"),
            &format!("pairs of replicas were {unseen}"),
        );
        count(*damaged, "damaged record is being got back", "damaged records are being got back");
        parts.extend(silent.iter().map(|(node, why)| format!("{node} cannot say: {why}")));
        f.write_str(&if parts.is_empty() { "nothing is waited for".to_owned() } else { parts.join("; ") })
    }
}

fn hints_left(answers: &FromEach<HealingDescribed>) -> Waiting {
    let of_one = |described: &HealingDescribed| {
        described.hints_under_way + described.hints.iter().map(|kept| kept.hints).sum::<u64>()
    };
    let hints = answers.values().flatten().map(of_one).sum();
    Waiting { hints, silent: silent(answers), ..Waiting::default() }
}

/// A pair of nodes, the lesser first, with a table and the nodes that hold keys of it together.
type Pair = (NodeId, NodeId, TableId, Vec<NodeId>);

/// What is left when nodes have answered, `since` after the begin. What agreed once since then has `agreed`. It suffices that
/// one of two says so, so that it does not matter who of them began the comparison.
fn pairs_left(
    answers: &FromEach<HealingDescribed>,
    scope: &Scope,
    since: Duration,
    agreed: &mut BTreeSet<Pair>,
) -> Waiting {
    let mut pairs = BTreeSet::new();
    for described in answers.values().flatten() {
        for one in described.agreements.iter().flatten() {
            if !scope.covers(one) {
                continue;
            }
            let (a, b) = (described.node.min(one.peer), described.node.max(one.peer));
            let pair = (a, b, one.table, one.replicas.clone());
            // The age was taken after the question was sent: counted back from there it is too great, if anything. So it
            // is once a part of a millisecond has been added to it.
            if one.ago_ms.is_some_and(|ago| Duration::from_millis(ago + 1) <= since) {
                agreed.insert(pair.clone());
            }
            pairs.insert(pair);
        }
    }
    let unequal = pairs.difference(agreed).count();
    let damaged = answers.values().flatten().map(|described| described.quarantined).sum();
    let mut silent = silent(answers);
    for (node, described) in answers.iter().filter_map(|(node, answer)| Some((node, answer.as_ref().ok()?))) {
        if described.agreements.is_none() {
            silent.push((*node, "it goes by a new cluster map".to_owned()));
        }
    }
    // Of the pairs of one that is silent the others tell. Of a pair of two that are nobody does.
    let is_told = unequal == 0 && !pairs.is_empty() && silent.len() < 2;
    Waiting { hints: 0, unequal, damaged, silent: if is_told { Vec::new() } else { silent } }
}

fn silent<T>(answers: &FromEach<T>) -> Vec<(NodeId, String)> {
    answers.iter().filter_map(|(node, answer)| Some((*node, answer.as_ref().err()?.to_string()))).collect()
}

/// How long each node has to answer.
const EACH_TIMEOUT: Duration = Duration::from_secs(2);
/// How often nodes are asked to compare again.
const COMPARE_EVERY: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Scrubbing;

    fn agreed(peer: u32, ago_ms: Option<u64>) -> Agreed {
        Agreed { peer: NodeId(peer), table: TableId(1), replicas: vec![NodeId(1), NodeId(2)], ago_ms }
    }

    fn said(node: u32, agreements: Vec<Agreed>) -> (NodeId, Result<HealingDescribed, CatalogError>) {
        let described = HealingDescribed {
            node: NodeId(node),
            hints: Vec::new(),
            hints_under_way: 0,
            agreements: Some(agreements),
            given: 0,
            cells_unknown: 0,
            scrub: Scrubbing::default(),
            quarantined: 0,
        };
        (NodeId(node), Ok(described))
    }

    #[test]
    fn a_pair_counts_once_either_of_it_has_seen_it_agree_since_the_begin() {
        let (scope, mut seen) = (Scope::default(), BTreeSet::new());
        let mut left = |first, second, millis| {
            let answers = [said(1, vec![agreed(2, first)]), said(2, vec![agreed(1, second)])].into();
            pairs_left(&answers, &scope, Duration::from_millis(millis), &mut seen).unequal
        };
        assert_eq!(left(None, None, 100), 1);
        assert_eq!(left(Some(0), Some(0), 0), 1, "at the begin nothing can be known");
        assert_eq!(left(Some(100), None, 100), 1, "a part of a millisecond more would be before");
        assert_eq!(left(Some(99), None, 100), 0);
        assert_eq!(left(None, Some(500), 200), 0, "what was seen once stays so");
    }

    #[test]
    fn only_what_is_in_scope_is_waited_for() {
        let answers = [said(1, vec![agreed(2, None)])].into();
        let left = |table, replicas: Option<[u32; 2]>| {
            let replicas = replicas.map(|nodes| nodes.map(NodeId).into());
            let scope = Scope { table, replicas };
            pairs_left(&answers, &scope, Duration::from_secs(1), &mut BTreeSet::new()).unequal
        };
        assert_eq!(left(Some(TableId(1)), Some([1, 2])), 1);
        assert_eq!(left(Some(TableId(2)), None), 0);
        assert_eq!(left(None, Some([2, 3])), 0);
    }

    #[test]
    fn of_two_that_are_silent_nobody_tells() {
        let silent = |node| (NodeId(node), Err(CallError::not_applied(Cause::TimedOut).into()));
        let (scope, since) = (Scope::default(), Duration::from_secs(1));
        let left =
            |answers: FromEach<HealingDescribed>| pairs_left(&answers, &scope, since, &mut BTreeSet::new());
        let one = || said(1, vec![agreed(2, Some(0)), agreed(3, Some(0))]);
        assert!(left([one(), silent(2)].into()).is_over());
        let waiting = left([one(), silent(2), silent(3)].into());
        assert_eq!((waiting.unequal, waiting.silent.len()), (0, 2));
        assert!(!left([silent(1)].into()).is_over(), "nobody has said anything");
    }

    #[test]
    fn what_is_damaged_is_waited_for_though_digests_agree() {
        let (node, mut described) = said(1, vec![agreed(2, Some(0))]);
        if let Ok(described) = &mut described {
            described.quarantined = 1;
        }
        let since = Duration::from_secs(1);
        let waiting = pairs_left(&[(node, described)].into(), &Scope::default(), since, &mut BTreeSet::new());
        assert_eq!(waiting.to_string(), "1 damaged record is being got back");
    }

    #[test]
    fn who_is_silent_may_keep_hints() {
        let silent = CallError::not_applied(Cause::TimedOut).into();
        let answers = [said(1, Vec::new()), (NodeId(2), Err(silent))].into();
        let waiting = hints_left(&answers);
        assert!(!waiting.is_over());
        assert!(waiting.to_string().starts_with("n2 cannot say: "), "{waiting}");
    }
}
