//! Dialling: keeping one connection to a peer open, for as long as the node lives.

#![expect(clippy::disallowed_methods, reason = "back-off is time that passes")]

use std::{rc::Rc, time::Duration};

use quorate_ring::Member;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{sleep, timeout};
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
    let mut told = String::new();
    while !host.stopping.get() {
        let patience = backoff.patience();
        match timeout(patience, connect(&host, &peer)).await.unwrap_or_else(|_| Err(no_answer(&peer))) {
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

async fn connect(host: &Host, peer: &Member) -> Result<(PeerHello, Rc<Line>, FrameReader), String> {
    let mut addresses = tokio::net::lookup_host(&peer.address)
        .await
        .map_err(|e| format!("cannot look up its address: {e}"))?;
    let address =
        addresses.next().ok_or_else(|| "its address means nothing to the name service".to_owned())?;
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

fn no_answer(peer: &Member) -> String {
    format!("no answer from {}: is the node up, and the address right?", peer.address)
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
