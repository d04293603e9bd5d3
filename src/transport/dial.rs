//! Dialling: keeping one connection to a peer open, for as long as the node lives.

#![expect(clippy::disallowed_methods, reason = "back-off is time that passes")]

use std::{io, net::SocketAddr, pin::Pin, rc::Rc, time::Duration};

use quorate_ring::Member;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    net::lookup_host,
    time::{sleep, timeout},
};
use tracing::warn;

use super::{
    CloseCode,
    explain::{explain, explain_lost},
    greet::Host,
    handshake::{self, HANDSHAKE_TIMEOUT, HELLO_BYTES_MAX},
    reader::FrameReader,
    switchboard::Line,
};
use crate::wire::{HandshakeMessage, PeerHello, PeerWelcome};

/// Keeps a connection to `peer` open until the node stops.
pub(crate) async fn dial_peer(host: Rc<Host>, peer: Member, seed: u64) {
    let mut backoff = Backoff::new(seed ^ u64::from(peer.id.0));
    let mut lookup = Lookup::default();
    let mut told = String::new();
    while !host.stopping.get() {
        let attempt = timeout(backoff.patience(), connect(&host, &peer, &mut lookup)).await;
        match attempt.unwrap_or_else(|_| Err(no_answer(&peer.address, &lookup, &told))) {
            Ok((theirs, line, reader)) => {
                backoff.reset();
                told.clear();
                host.serve_peer(&theirs, line, reader).await;
            }
            Err(reason) if reason != told => {
                warn!(peer = %peer.id, name = peer.name, address = peer.address, reason, "cannot reach peer; will keep trying");
                told = reason;
            }
            Err(_) => {}
        }
        sleep(backoff.next_pause()).await;
    }
}

async fn connect(
    host: &Host,
    peer: &Member,
    lookup: &mut Lookup,
) -> Result<(PeerHello, Rc<Line>, FrameReader), String> {
    let address = lookup
        .finish(|| first_address(peer.address.clone()))
        .await
        .map_err(|e| format!("cannot look up its address: {e}"))?
        .ok_or_else(|| "its address means nothing to the name service".to_owned())?;
    let connecting = host.endpoint.dial(address, &peer.name).map_err(|e| e.to_string())?;
    let connection = connecting.await.map_err(|e| explain(&e))?;
    let (send, recv) = connection.open_bi().await.map_err(|e| explain(&e))?;
    let line = Line::open(connection.clone(), send, host.bounds.peer_output_bytes_max);
    let attempt = Attempt { line, kept: false };
    attempt.line.say(&handshake::frame(host.hello()));
    let mut reader = FrameReader::new(recv, HELLO_BYTES_MAX);
    let answer = reader.receive().await.map_err(|lost| explain_lost(&lost))?;
    match answer.message {
        HandshakeMessage::PeerWelcome(PeerWelcome(theirs)) if theirs.node == peer.id => {
            let certificate = handshake::certificate_of(&connection);
            let node = host.node.borrow();
            handshake::judge_peer(&host.hello, node.ring(), &theirs, certificate.as_ref())
                .map_err(|r| r.message)?;
            drop(node);
            Ok((theirs, attempt.keep(), reader))
        }
        HandshakeMessage::PeerWelcome(PeerWelcome(theirs)) => {
            Err(format!("{} answers instead: is its address in the founders' list wrong?", theirs.node))
        }
        HandshakeMessage::HandshakeRefusal(refusal) => Err(format!("it refuses: {}", refusal.message)),
        _ => Err("it does not answer as a node does".to_owned()),
    }
}

/// Closes the line when connecting fails half-way or is cancelled, so that its writer ends.
struct Attempt {
    line: Rc<Line>,
    kept: bool,
}

impl Attempt {
    fn keep(mut self) -> Rc<Line> {
        self.kept = true;
        self.line.clone()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.kept {
            self.line.close(CloseCode::Done, "handshake not completed");
        }
    }
}

/// Why an attempt was given up. One that still waited for the name service knows nothing better than what was told last.
fn no_answer(address: &str, lookup: &Lookup, told: &str) -> String {
    match (&lookup.0, told) {
        (None, _) => format!("no answer from {address}: is the node up, and the address right?"),
        (Some(_), "") => format!("no answer from the name service, which was asked for {address}"),
        (Some(_), told) => told.to_owned(),
    }
}

async fn first_address(name: String) -> io::Result<Option<SocketAddr>> {
    Ok(lookup_host(name).await?.next())
}

/// The look-up of a peer's address, which goes on when an attempt to connect gives up. It holds a thread until the name service
/// answers: were each attempt to begin one, a silent name service would come to hold hundreds.
#[derive(Default)]
struct Lookup(Option<Pin<Box<dyn Future<Output = Found>>>>);

type Found = io::Result<Option<SocketAddr>>;

impl Lookup {
    /// What the one under way finds, or one that begins now. Whoever stops waiting finds it again.
    async fn finish<F: Future<Output = Found> + 'static>(&mut self, begin: impl FnOnce() -> F) -> Found {
        let found = self.0.get_or_insert_with(|| Box::pin(begin())).await;
        self.0 = None;
        found
    }
}

/// Randomised, so that nodes that lost each other at once do not dial in step.
struct Backoff {
    random: StdRng,
    pause: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(20);
    const LAST: Duration = Duration::from_millis(500);

    fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), pause: Self::FIRST }
    }

    fn reset(&mut self) {
        self.pause = Self::FIRST;
    }

    /// Half to all of a pause that doubles each time.
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause.mul_f64(self.random.random_range(0.5..=1.0));
        self.pause = (self.pause * 2).min(Self::LAST);
        pause
    }

    /// How long to wait for an answer: short at first, for a peer that is just starting; long enough later
    /// on for the farthest one.
    fn patience(&self) -> Duration {
        (self.pause * 10).min(HANDSHAKE_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_lookup_is_under_way_however_often_nobody_waits_for_it() {
        let mut lookup = Lookup::default();
        let (answer, asked) = tokio::sync::oneshot::channel();
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 7000)));
        let mut asked = Some(asked);
        let mut begin = || {
            let asked = asked.take().expect("none is under way");
            async { asked.await.expect("it is answered") }
        };
        for _ in 0..3 {
            let waited = timeout(Duration::from_millis(1), lookup.finish(&mut begin)).await;
            assert!(waited.is_err() && lookup.0.is_some());
        }
        answer.send(Ok(address)).expect("it is waited for");
        assert_eq!(lookup.finish(&mut begin).await.unwrap(), address);
        assert!(lookup.0.is_none(), "the next attempt asks anew");
        let failed = lookup.finish(|| async { Err(io::ErrorKind::NotFound.into()) }).await;
        assert!(failed.is_err() && lookup.0.is_none(), "and so does one after a failure");
    }

    /// A slow name service is silent at every other attempt.
    #[tokio::test]
    async fn an_attempt_that_waited_for_the_name_service_has_no_news() {
        let mut lookup = Lookup::default();
        let at_first = no_answer("n2:7000", &lookup, "");
        assert!(at_first.starts_with("no answer from n2:7000"), "{at_first}");
        let waited = timeout(Duration::from_millis(1), lookup.finish(std::future::pending)).await;
        assert!(waited.is_err());
        let silent = no_answer("n2:7000", &lookup, "");
        assert!(silent.starts_with("no answer from the name service"), "{silent}");
        assert_eq!(no_answer("n2:7000", &lookup, &at_first), at_first);
    }

    #[test]
    fn pauses_grow_to_their_bound_and_start_again() {
        let mut backoff = Backoff::new(1);
        for pause_ms in [20, 40, 80, 160, 320, 500, 500] {
            let patience = backoff.patience();
            assert_eq!(patience, Duration::from_millis(pause_ms * 10));
            let pause = backoff.next_pause();
            let most = Duration::from_millis(pause_ms);
            assert!(pause <= most && pause >= most / 2, "{pause:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.next_pause() <= Backoff::FIRST);
    }
}
