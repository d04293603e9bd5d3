//! The client, and how a request is carried out: attempts, and what becomes of those that fail.

#![expect(clippy::disallowed_methods, reason = "the cluster map is kept fresh by a task")]

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use quorate_ring::{Epoch, NodeId};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    BuildError, ClientBuilder, DefaultRetries, FailedAttempt, Nature, Observer, Profile, Retry, RetryPolicy,
    backend::{Backend, Deadlines, Failed},
    budget::RetryBudget,
    errors::CallError,
    known::KnownTables,
    nodes::Nodes,
    observer::Watch,
    policy::judge,
    routing::Route,
};
use crate::{
    transport::{ClientConnection, Connector},
    wire::{ChangeName, ClientMessage, DescribeCluster, Outcome},
};

/// A client of one cluster. Clones share everything; the connections close when the last one and the last
/// [`TableHandle`](super::TableHandle) are gone.
#[derive(Clone, Debug)]
pub struct Client {
    session: Arc<Session>,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// What holds where nothing else is said.
    pub(super) profile: Profile,
    pub(super) in_flight_max: usize,
    /// Where the client is; empty if nobody said.
    pub(super) local_rack: String,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

/// What a request has to keep to.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// When it must be done.
    pub(super) deadline: Instant,
    /// How long one node may take.
    attempt_timeout: Option<Duration>,
    /// How long a read may go unanswered before a second node is asked.
    hedge_after: Option<Duration>,
    /// None for the usual one.
    retries: Option<Arc<dyn RetryPolicy>>,
    /// The name of the table that the request is about, if its id is all that it says itself.
    pub(super) table: Option<Arc<str>>,
}

impl Terms {
    fn deadlines(&self) -> Deadlines {
        Deadlines { request: self.deadline, attempt: self.attempt_timeout }
    }
}

/// What all clones share.
#[derive(Debug)]
pub(super) struct Session {
    settings: Settings,
    retries: RetryBudget,
    backend: Backend,
    pub(super) known: KnownTables,
}

impl Client {
    /// Begins a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }
}

impl Session {
    /// Begins with the connection to a contact point.
    pub(super) fn start(
        connector: Connector,
        first: (String, ClientConnection),
        settings: Settings,
    ) -> Result<Arc<Self>, BuildError> {
        let nodes = Nodes::start(connector, first, settings.in_flight_max, settings.local_rack.clone())?;
        let news = nodes.news();
        let session = Self::of(settings, Backend::Nodes(Box::new(nodes)));
        tokio::spawn(follow(Arc::downgrade(&session), news));
        Ok(session)
    }

    /// Begins with whoever is to answer.
    pub(super) fn of(settings: Settings, backend: Backend) -> Arc<Self> {
        let (retries, known) = (RetryBudget::default(), KnownTables::default());
        Arc::new(Self { settings, retries, backend, known })
    }

    /// The node that the contact points led to.
    pub(super) fn contact(&self) -> NodeId {
        self.backend.contact()
    }

    /// What holds where nothing else is said.
    pub(super) fn profile(&self) -> &Profile {
        &self.settings.profile
    }

    /// The terms of a request that starts now.
    pub(super) fn terms(&self, profile: &Profile) -> Terms {
        let profile = profile.over(self.profile());
        let timeout = profile.timeout.unwrap_or(TIMEOUT).min(TIMEOUT_MAX);
        let attempt_timeout = profile.attempt_timeout.map(|timeout| timeout.min(TIMEOUT_MAX));
        let hedge_after = profile.hedge_after.map(|patience| patience.min(TIMEOUT_MAX));
        Terms {
            deadline: Instant::now() + timeout,
            attempt_timeout,
            hedge_after,
            retries: profile.retries,
            table: None,
        }
    }

    /// The same for one that says at most how long it may take.
    pub(super) fn terms_within(&self, timeout: Option<Duration>) -> Terms {
        self.terms(&Profile { timeout, ..Profile::default() })
    }

    /// Carries a request out: picks a node, sends, and tries again where that is safe, within its terms.
    pub(super) async fn request(
        &self,
        message: ClientMessage,
        route: Route<'_>,
        nature: Nature,
        terms: &Terms,
    ) -> Result<(NodeId, ClientMessage), CallError> {
        let observer = self.settings.observer.as_deref();
        let mut watch = observer.map(|observer| Watch::begin(observer, &message, terms.table.as_deref()));
        let mut avoid = Vec::new();
        let mut number = 0;
        let mut maybe_applied = false;
        self.retries.earn();
        loop {
            number += 1;
            let attempted = self.attempt(&message, route, nature, &avoid, terms).await;
            let Failed { node, is_cut_short, mut error } = match attempted {
                Ok((node, answer)) => {
                    watch.iter().for_each(|watch| watch.succeeded(number, node));
                    return Ok((node, answer));
                }
                Err(failed) => failed,
            };
            if nature == Nature::Read {
                error.outcome = Outcome::NotApplied;
            }
            watch.iter().for_each(|watch| watch.attempt_failed(number, node, &error));
            let CallError { cause, outcome, .. } = &error;
            let next =
                self.next(terms, &FailedAttempt { number, nature, cause, outcome: *outcome, is_cut_short });
            // An attempt that may have been applied is not undone by a later one that was not.
            maybe_applied |= error.outcome == Outcome::Unknown;
            if maybe_applied && error.outcome == Outcome::NotApplied {
                error.outcome = Outcome::Unknown;
            }
            match next {
                Retry::Elsewhere if Instant::now() < terms.deadline => avoid.extend(node),
                Retry::After(pause) if Instant::now() + pause < terms.deadline => {
                    avoid.clear();
                    avoid.extend(node);
                    sleep_until(Instant::now() + pause).await;
                }
                _ => {
                    watch.iter().for_each(|watch| watch.request_failed(number, node, &error));
                    return Err(error);
                }
            }
            watch.iter_mut().for_each(Watch::attempt_begins);
        }
    }

    async fn attempt(
        &self,
        message: &ClientMessage,
        route: Route<'_>,
        nature: Nature,
        avoid: &[NodeId],
        terms: &Terms,
    ) -> Result<(NodeId, ClientMessage), Failed> {
        let deadlines = terms.deadlines();
        let is_of_keys = matches!(route, Route::Key(..) | Route::Token(..));
        match terms.hedge_after.filter(|_| nature == Nature::Read && is_of_keys) {
            None => self.backend.ask(message.clone(), route, avoid, deadlines).await,
            Some(patience) => {
                let hedge = (patience, || self.retries.spend());
                self.backend.ask_twice(message.clone(), route, avoid, deadlines, hedge).await
            }
        }
    }

    /// What becomes of a request after an attempt has failed: what its policy says, within what all requests may ask for
    /// together.
    fn next(&self, terms: &Terms, failed: &FailedAttempt<'_>) -> Retry {
        match judge(terms.retries.as_deref().unwrap_or(&DefaultRetries), failed) {
            Retry::GiveUp => Retry::GiveUp,
            _ if failed.is_overload() && !self.retries.spend() => Retry::GiveUp,
            Retry::Elsewhere => Retry::Elsewhere,
            // Those who were turned away together do not come back together.
            Retry::After(pause) => Retry::After(pause.min(TIMEOUT_MAX).mul_f32(1.0 + rand::random::<f32>())),
        }
    }

    /// The newest epoch that any node has told of.
    pub(super) fn newest_epoch(&self) -> Epoch {
        self.backend.newest_epoch()
    }

    /// Names a change of the cluster's tables.
    pub(super) fn change_name(&self) -> ChangeName {
        ChangeName { since: self.newest_epoch(), number: rand::random() }
    }

    /// Every member of the newest map that is known here.
    pub(super) fn members(&self) -> Vec<NodeId> {
        self.backend.members()
    }
}

/// Asks for the cluster map whenever an answer came from a newer epoch. Ends with the session.
async fn follow(session: Weak<Session>, mut news: watch::Receiver<Epoch>) {
    while news.changed().await.is_ok() {
        let Some(session) = session.upgrade() else { return };
        let newest = *news.borrow_and_update();
        if !session.backend.is_behind(newest) {
            continue;
        }
        let terms = session.terms_within(None);
        let asked = session.request(DescribeCluster {}.into(), Route::Anyone, Nature::Read, &terms).await;
        if let Ok((_, ClientMessage::ClusterInfo(info))) = asked {
            session.backend.install(&info);
        }
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than this a frame cannot say.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
