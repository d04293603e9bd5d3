//! Any bytes: decoding neither panics nor gives a packet with a second form, and a node that receives them keeps a
//! state that fits together.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate_gossip::{Config, DATAGRAM_BYTES_MAX, Effect, Gossip, Input, Life, STREAM_BYTES_MAX, decode, encode};
use quorate_ring::{Duration, Instant, NodeId};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(packet) = decode(bytes) {
        assert_eq!(encode(&packet), bytes, "a second form");
    }
    let mut gossip = Gossip::new(Config::lan(), NodeId(1), Life(5), 1, [NodeId(2)], Instant::ZERO)
        .expect("a preset keeps its bounds");
    let mut effects: Vec<Effect> = Vec::new();
    let mut now = Instant::ZERO;
    // The same twice, cut in the middle, then time: a second packet meets the state that the first left.
    for part in [bytes, &bytes[bytes.len() / 2..], bytes] {
        let _ = gossip.handle(now, Input::Datagram { from: NodeId(2), bytes: part }, &mut effects);
        now = now + Duration::from_millis(100);
        let _ = gossip.handle(now, Input::Tick, &mut effects);
        gossip.validate();
    }
    for effect in effects {
        match effect {
            Effect::Datagram { bytes, .. } => assert!(bytes.len() <= DATAGRAM_BYTES_MAX),
            Effect::Stream { bytes, .. } => assert!(bytes.len() <= STREAM_BYTES_MAX),
            Effect::Event(_) => {}
        }
    }
});
