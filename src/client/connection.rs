//! One node's connection, shared by all requests to it.

use std::sync::Arc;

use bytes::Bytes;
use quorate_ring::{Epoch, Instant, NodeId};
use tokio::{
    sync::Semaphore,
    time::{self, Instant as Deadline},
};
use tracing::debug;

use super::{
    errors::{CallError, Cause},
    pending::{Lost, Pending},
};
use crate::{
    transport::{ConnectionLost, FrameReceiver, FrameSender, SendError},
    wire::{ClientMessage, Condition, Failure, Frame, Header, KEY_BYTES_MAX, Receipt},
};

/// Requests in, answers out, in any order. Whoever holds the receiving half calls [`Connection::receive`].
#[derive(Debug)]
pub(super) struct Connection {
    node: NodeId,
    sender: FrameSender,
    pending: Arc<Pending>,
    /// One for each request in flight.
    permits: Semaphore,
    /// The longest value that the node takes.
    value_bytes_max: u64,
}

impl Connection {
    pub(super) fn new(node: NodeId, sender: FrameSender, in_flight_max: usize, value_bytes_max: u64) -> Self {
        let (pending, permits) = (Pending::new(rand::random()), Semaphore::new(in_flight_max));
        Self { node, sender, pending, permits, value_bytes_max }
    }

    /// Sends a request and waits for its answer until `deadline`; sends nothing once that is over (rule Q11). Dropping the
    /// future frees its place; the answer that comes then is ignored.
    ///
    /// # Errors
    /// Not applied before the request was queued, unknown after (rule Q10), unless the node ended its stream in order: then
    /// it has not begun what it did not answer.
    pub(super) async fn call(
        &self,
        message: ClientMessage,
        epoch: Epoch,
        deadline: Deadline,
    ) -> Result<ClientMessage, CallError> {
        if let Some(failure) = too_large(&message, self.value_bytes_max) {
            return Err(CallError::not_applied(Cause::Failed(failure)));
        }
        let lost = |reason| Cause::ConnectionLost { node: self.node, reason };
        let permit = time::timeout_at(deadline, self.permits.acquire()).await;
        let _permit =
            permit.map_err(|_| CallError::not_applied(Cause::TooManyInFlight { node: self.node }))?;
        // A permit that is free is given after the deadline, too.
        let left = deadline.saturating_duration_since(Deadline::now());
        if left.is_zero() {
            return Err(CallError::not_applied(Cause::TimedOut));
        }
        let mut ticket = self.pending.register().map_err(|reason| CallError::not_applied(lost(reason)))?;
        let header =
            Header { id: ticket.id, epoch, deadline: Instant::ZERO + left - left.min(MARGIN).min(left / 8) };
        self.sender.send(&Frame { header, message }, Instant::ZERO).map_err(|error| {
            CallError::not_applied(match error {
                SendError::Full => Cause::TooManyInFlight { node: self.node },
                SendError::Closed => lost(error.to_string()),
            })
        })?;

        let answered = match time::timeout_at(deadline, &mut ticket.answer).await {
            Ok(Ok(Ok(mut answer))) => {
                receipt_of(&mut answer).into_iter().for_each(|receipt| receipt.request_id = Some(ticket.id));
                match answer {
                    ClientMessage::RequestError(error) => Err(CallError::from(error)),
                    answer => Ok(answer),
                }
            }
            Ok(Ok(Err(Lost { reason, in_order: true }))) => Err(CallError::not_applied(lost(reason))),
            Ok(Ok(Err(Lost { reason, in_order: false }))) => Err(CallError::unknown(lost(reason))),
            Ok(Err(_)) => Err(CallError::unknown(lost("closed by this client".to_owned()))),
            Err(_) => Err(CallError::unknown(Cause::TimedOut)),
        };
        let answered = answered.map_err(|error| CallError { request_id: Some(ticket.id), ..error });
        // The node's log has the same id, and those of the replicas the operation that it names beside it.
        let failure =
            answered.as_ref().err().map(|error| tracing::field::debug((&error.cause, error.outcome)));
        debug!(target: "quorate::requests", request = %ticket.id, node = %self.node, failure, "request answered");
        answered
    }

    /// Whether requests have waited for so long without an answer to any of them that others should go elsewhere: a dead
    /// node's connection is given up later only.
    pub(super) fn is_silent(&self) -> bool {
        self.pending.silent_since().is_some_and(|since| since.elapsed() > SILENCE)
    }

    /// Tells everyone who waits that no answer will come.
    pub(super) fn close(&self) {
        self.pending.lose(&Lost { reason: "closed by this client".to_owned(), in_order: false });
    }

    /// Hands answers out until the connection is lost, and says why it was. `newer` hears of each answer's
    /// epoch.
    pub(super) async fn receive(&self, receiver: &mut FrameReceiver, newer: impl Fn(Epoch)) -> String {
        loop {
            match receiver.receive().await {
                Ok(frame) => {
                    newer(frame.header.epoch);
                    self.pending.complete(frame.header.id, frame.message);
                }
                Err(ConnectionLost { reason, in_order }) => {
                    self.pending.lose(&Lost { reason: reason.clone(), in_order });
                    return reason;
                }
            }
        }
    }
}

/// How an answer came about, if it says so.
fn receipt_of(answer: &mut ClientMessage) -> Option<&mut Receipt> {
    match answer {
        ClientMessage::Got(got) => Some(&mut got.receipt),
        ClientMessage::Written(written) => Some(&mut written.receipt),
        ClientMessage::ComparedAndSet(compared) => Some(&mut compared.receipt),
        ClientMessage::Scanned(scanned) => Some(&mut scanned.receipt),
        ClientMessage::RequestError(error) => error.receipt.as_deref_mut(),
        _ => None,
    }
}

/// Why the node would not read the message to its end: it would close the connection instead, to the harm of all requests
/// on it.
fn too_large(message: &ClientMessage, value_bytes_max: u64) -> Option<Failure> {
    let (key, value) = match message {
        ClientMessage::Put(put) => (&put.key, put.value.len()),
        ClientMessage::Get(get) => (&get.key, 0),
        ClientMessage::Delete(delete) => (&delete.key, 0),
        ClientMessage::CompareAndSet(compare) => {
            let wanted = if let Condition::Value(wanted) = &compare.condition { wanted.len() } else { 0 };
            (&compare.key, compare.value.as_ref().map_or(0, Bytes::len).max(wanted))
        }
        _ => return None,
    };
    let value = value as u64;
    if key.len() > KEY_BYTES_MAX {
        return Some(Failure::KeySize { bytes: key.len() as u64, bytes_max: KEY_BYTES_MAX as u64 });
    }
    (value > value_bytes_max).then_some(Failure::ValueTooLarge { bytes: value, bytes_max: value_bytes_max })
}

/// The node gives up a little before we do, so that its own, more exact error arrives in time.
const MARGIN: std::time::Duration = std::time::Duration::from_millis(20);
/// Far longer than a request takes to be answered, far shorter than until its connection is given up.
const SILENCE: std::time::Duration = std::time::Duration::from_millis(500);
