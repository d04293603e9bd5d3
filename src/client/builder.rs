//! Making a client.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{
    BuildError, Client, Identity, Observer, Profile,
    node::dial,
    profile::Options,
    session::{Session, Settings},
};
#[cfg(feature = "mock")]
use super::{Mock, backend::Backend};
use crate::transport::{ClientConnection, Connector};

/// Collects a client's settings. Contact points and an identity are needed, the rest has defaults.
#[derive(Clone, Debug)]
#[must_use = "build() makes the client"]
pub struct ClientBuilder {
    contact_points: Vec<String>,
    identity: Option<Identity>,
    options: Options,
    connect_timeout: Duration,
    in_flight_max: usize,
    local_rack: String,
    observer: Option<Arc<dyn Observer>>,
    local_address: Option<IpAddr>,
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            contact_points: Vec::new(),
            identity: None,
            options: Options::default(),
            connect_timeout: CONNECT_TIMEOUT,
            in_flight_max: IN_FLIGHT_MAX,
            local_rack: String::new(),
            observer: None,
            local_address: None,
        }
    }

    /// Nodes to find the cluster through, as `host:port`. One that is up suffices; name a few.
    pub fn contact_points<A: Into<String>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.contact_points.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// The certificate and key that prove who we are, and the authority that we believe.
    pub fn tls(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// How long a request may take, retries included, unless it says otherwise. By default the profile's time.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.own.timeout = Some(timeout);
        self
    }

    /// How requests are made that do not say otherwise.
    pub fn profile(mut self, profile: &Profile) -> Self {
        self.options.given = profile.clone();
        self
    }

    /// How long [`ClientBuilder::build`] may take. By default 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Requests that may be in flight to one node at once; more wait for their turn within their deadlines. By
    /// default 4,096; at least 1.
    pub fn in_flight_per_node_max(mut self, requests: usize) -> Self {
        self.in_flight_max = requests.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// The rack of this client, by the name that the cluster has for it: the `rack` of its founders, however much of a
    /// data centre, or zone of a cloud, that is. By default the client is in none.
    ///
    /// ```no_run
    /// # async fn example(identity: quorate::client::Identity) -> Result<(), Box<dyn std::error::Error>> {
    /// use quorate::client::Client;
    ///
    /// let client = Client::builder().contact_points(["10.0.0.1:7000"]).tls(identity).local_rack("west").build().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Of a key's replicas the one in this rack is asked, instead of the one that the ring names first; what concerns no
    /// key is asked of a node in the rack. It is a preference and makes no request fail:
    ///
    /// - A replica that is connected and answers comes before any that is not, whatever their racks; and it comes back into
    ///   its turn when it answers again. So that there is one to go to, the client connects to all nodes at once.
    /// - A replica in another rack comes before a node in this one that is none: that would only pass the request on.
    /// - A retry, and the second node of a [hedged](Profile::hedge_after) read, is another replica, of whichever rack.
    /// - A rack in which no node is leaves everything as it is without one. The log has a warning then.
    ///
    /// The node that is asked still asks as many replicas as the level says, in other racks too: what is saved is one way
    /// between racks, there and back. Clients in different racks ask different replicas of a key. At
    /// [`Consistency::One`](super::Consistency::One) one of them may therefore not see yet what another has just written,
    /// and concurrent writes of one key meet later, as more siblings and more attempts of an
    /// [update](super::TableHandle::update).
    pub fn local_rack(mut self, rack: impl Into<String>) -> Self {
        self.local_rack = rack.into();
        self
    }

    /// Who hears of every request and each of its attempts: see [`Observer`]. By default nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// The address of this machine that connections come from, and with it the only family of addresses of nodes
    /// that can be reached. By default the system's choice.
    pub fn local_address(mut self, address: IpAddr) -> Self {
        self.local_address = Some(address);
        self
    }

    /// Connects to the first contact point that answers and learns the cluster from it. Must be called within
    /// a tokio runtime; the client's connections live in that runtime.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(self) -> Result<Client, BuildError> {
        let identity = self.identity.as_ref().ok_or(BuildError::NoIdentity)?;
        if self.contact_points.is_empty() {
            return Err(BuildError::NoContactPoint);
        }
        let connector = match self.local_address {
            Some(address) => Connector::from_address(identity, address)?,
            None => Connector::new(identity)?,
        };
        let first = self.first_contact(&connector).await?;
        Ok(Client::new(Session::start(connector, first, self.settings())?))
    }

    /// A client of a cluster in memory, with these settings as far as they matter there: contact points, an identity,
    /// racks and connections do not.
    #[cfg(feature = "mock")]
    pub fn build_mock(self, mock: &Mock) -> Client {
        Client::new(Session::of(self.settings(), Backend::Mock(mock.clone())))
    }

    fn settings(self) -> Settings {
        let profile = self.options.over(&Profile::new());
        let Self { in_flight_max, local_rack, observer, .. } = self;
        Settings { profile, in_flight_max, local_rack, observer }
    }

    /// Dials all contact points at once; the first that answers wins.
    async fn first_contact(&self, connector: &Connector) -> Result<(String, ClientConnection), BuildError> {
        let mut dials = JoinSet::new();
        for address in &self.contact_points {
            let (connector, address) = (connector.clone(), address.clone());
            dials.spawn(async move { (dial(&connector, &address).await, address) });
        }
        let mut attempts = Vec::new();
        let deadline = tokio::time::Instant::now() + self.connect_timeout;
        while let Ok(Some(dialled)) = tokio::time::timeout_at(deadline, dials.join_next()).await {
            match dialled {
                Ok((Ok(connection), address)) => return Ok((address, connection)),
                Ok((Err(reason), _)) => attempts.push(reason),
                Err(error) => attempts.push(error.to_string()),
            }
        }
        if attempts.is_empty() {
            attempts.push(format!("{}: no answer in time", self.contact_points.join(", ")));
        }
        Err(BuildError::Unreachable { attempts })
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IN_FLIGHT_MAX: usize = 4096;
