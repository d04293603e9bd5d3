//! Reads whose replicas never agree: rule Q5.

use super::*;
use crate::wire::Failure;

/// Replicas that are written faster than they can be read.
struct Busy {
    /// Writes so far.
    written: u64,
}

impl Busy {
    /// What a replica holds that has been written once more since it held `state`.
    fn after(&mut self, state: Option<&State>) -> State {
        self.written += 1;
        let dot = Tag { hlc: Hlc(1_000 + self.written), actor: Actor(7) };
        let value = Content::Value(Bytes::from_static(b"v"));
        State::Siblings(match state {
            Some(State::Siblings(state)) => state.written(dot, state.vector(), value),
            _ => Siblings::first(dot, &VersionVector::new(), value),
        })
    }

    /// What a peer says to what it is sent.
    fn peer(&mut self, message: &PeerMessage) -> Option<PeerMessage> {
        match message {
            PeerMessage::Fetch(_) => {
                Some(Fetched { answer: Answer::State(Some(self.after(None))), clock: None }.into())
            }
            PeerMessage::Store(store) => {
                let more = self.after(Some(&store.state));
                Some(Stored { held: more.tag(), more: Some(more) }.into())
            }
            _ => None,
        }
    }
}

/// What follows once everybody has answered `effects`, and how many states were sent to be kept.
fn all_answer(node: &mut Node, at: Instant, busy: &mut Busy, effects: &[Effect]) -> (Vec<Effect>, usize) {
    let (mut follows, mut stores) = (Vec::new(), 0);
    for effect in effects {
        let input = match effect {
            Effect::ToPeer { peer, frame } => {
                stores += usize::from(matches!(frame.message, PeerMessage::Store(_)));
                let Some(answer) = busy.peer(&frame.message) else { continue };
                says(peer.0, frame.header.id, answer)
            }
            Effect::Disk(DiskRequest { ticket, operation, .. }) => {
                let result = match operation {
                    DiskOperation::Read(_) => DiskResult::Read(Ok(None)),
                    DiskOperation::Write(Write::Store { state, .. }) => {
                        let more = busy.after(Some(state));
                        DiskResult::Written(Ok(Written::Stored { held: more.tag(), more: Some(more) }))
                    }
                    _ => continue,
                };
                Input::DiskDone { ticket: ticket.clone(), result }
            }
            _ => continue,
        };
        follows.extend(handle_at(node, at, input));
    }
    (follows, stores)
}

#[test]
fn a_read_whose_replicas_never_agree_ends_as_contended() {
    let mut node = node_with(TableKind::Siblings);
    let (mut busy, deadline) = (Busy { written: 0 }, NOW.mono + Duration::from_millis(40));
    let (mut effects, mut at, mut stores) = (handle(&mut node, get(deadline)), NOW.mono, 0);
    while at < deadline {
        let (follows, sent) = all_answer(&mut node, at, &mut busy, &effects);
        assert!(!is_answered(&follows), "no two replicas hold the same: {follows:?}");
        stores += sent;
        effects = follows;
        at = at + Duration::from_millis(1);
        effects.extend(handle_at(&mut node, at, Input::Tick));
    }
    assert!(stores > 10, "it goes on trying: {stores} states were sent");
    let error = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::RequestError(error), .. }, .. } => {
            Some(error)
        }
        _ => None,
    });
    let error = error.unwrap_or_else(|| panic!("it ends with its deadline: {effects:?}"));
    assert!(matches!(error.failure, Failure::Contended { rounds: 3.. }), "{error:?}");
    assert!(!is_answered(&effects));
}
