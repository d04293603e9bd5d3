//! What the network is like.

use super::{MS, SECOND};
use crate::random::Random;

/// How the network behaves when nothing is broken.
#[derive(Clone, Debug)]
pub(crate) struct NetworkOptions {
    pub(crate) delay_min: u64,
    pub(crate) delay_max: u64,
    /// Frames that take ten times as long.
    pub(crate) slow: u64,
    /// Directions that take several times as long.
    pub(crate) uneven: u64,
    /// Frames lost, doubled, or overtaken, which connections rule out and the protocol must bear all the same.
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    pub(crate) reordering: u64,
    /// Requests and answers of clients lost with their connection.
    pub(crate) client_loss: u64,
    /// A connection that hears nothing for so long is given up.
    pub(crate) idle_timeout: u64,
    /// How long it takes to dial again.
    pub(crate) redial_delay: u64,
}

impl NetworkOptions {
    pub(super) fn draw(random: &mut Random) -> Self {
        let harsh = random.chance(300);
        let mut rate = |most: u64| if harsh && random.chance(600) { random.scale(1, most) } else { 0 };
        let (loss, duplication, reordering) = (rate(100), rate(100), rate(500));
        let delay_min = random.scale(MS / 50, 5 * MS);
        Self {
            delay_min,
            delay_max: random.scale(delay_min, delay_min * 50),
            slow: if random.chance(300) { random.scale(1, 200) } else { 0 },
            loss,
            duplication,
            reordering,
            client_loss: if random.chance(200) { random.scale(1, 50) } else { 0 },
            idle_timeout: random.scale(50 * MS, 10 * SECOND),
            redial_delay: random.scale(MS, SECOND),
            uneven: *random.pick(&[0, 0, 100, 400]),
        }
    }
}
