//! Joining a ring: a share taken from the present owners.
//!
//! Each token of the newcomer cuts an equal piece off the front of somebody's range. Which range is chosen
//! greedily: of a few owners that have most beyond their new share, the range whose cut brings everybody's
//! primary and replicated ownership closest to their shares. The newcomer's primary share is exact, and no
//! data moves but to the newcomer.

use super::number_racks;
use crate::{
    Founder, Ring, Token,
    placement::{Placement, Quota},
};

/// Chooses the newcomer's tokens.
pub(super) fn take(ring: &Ring, founder: &Founder) -> Vec<Token> {
    let members = ring.members();
    let racks = members.iter().map(|member| member.rack.as_str()).chain([founder.rack.as_str()]);
    let racks = number_racks(racks);
    let weights = members.iter().map(|member| member.weight).chain([founder.weight]);
    let weights: Vec<_> = weights.map(f64::from).collect();

    let count = founder.token_count();
    let mut draft = Draft::new(ring, &racks, &weights);
    let mut tokens = Vec::with_capacity(count);
    for turn in 0..count {
        let left = draft.primary.wanted[draft.newcomer] - draft.primary.owned[draft.newcomer];
        let piece = left / (count - turn) as f64;
        let progress = (turn + 1) as f64 / count as f64;
        let Some(cut) = draft.best_cut(piece, progress, turn) else { break };
        tokens.push(draft.apply(cut));
    }
    tokens
}

/// The ring while the newcomer's tokens are put in. Shares are fractions of the circle.
struct Draft<'a> {
    slots: Vec<Slot>,
    newcomer: usize,
    racks: &'a [u32],
    placement: Placement<'a>,
    /// Ownership counted once, and with all [`REPLICAS`].
    primary: Ownership,
    replicated: Ownership,
    /// Room for the changes that one cut makes.
    changes: Vec<(usize, f64)>,
}

#[derive(Clone, Copy)]
struct Slot {
    end: Token,
    width: f64,
    owner: u32,
}

/// What each node owns, and what it should.
struct Ownership {
    owned: Vec<f64>,
    wanted: Vec<f64>,
}

/// A piece off the front of a slot.
#[derive(Clone, Copy)]
struct Cut {
    slot: usize,
    piece: f64,
}

impl<'a> Draft<'a> {
    fn new(ring: &Ring, racks: &'a [u32], weights: &[f64]) -> Self {
        let circle = ring.circle();
        let slot = |slot| Slot {
            end: circle.end(slot),
            width: circle.range(slot).fraction(),
            owner: circle.owner(slot),
        };
        let mut draft = Self {
            slots: (0..circle.len()).map(slot).collect(),
            newcomer: weights.len() - 1,
            racks,
            placement: Placement::new(racks, REPLICAS),
            primary: Ownership::new(fill(1.0, weights)),
            replicated: Ownership::new(replicated_shares(racks, weights)),
            changes: Vec::new(),
        };
        for at in 0..draft.slots.len() {
            let Slot { width, owner, .. } = draft.slots[at];
            draft.primary.owned[owner as usize] += width;
            for replica in draft.placement.choose(owners_from(&draft.slots, at, None)).0 {
                draft.replicated.owned[replica as usize] += width;
            }
        }
        draft
    }

    /// The cut of about `piece` that leaves the least error, if `progress` of the newcomer's share is due.
    fn best_cut(&mut self, piece: f64, progress: f64, turn: usize) -> Option<Cut> {
        let givers = self.givers();
        let mut best: Option<(f64, Cut)> = None;
        let mut widest = Cut { slot: 0, piece: 0.0 };
        let stride = (givers.len() * Founder::TOKENS / CANDIDATES).max(1);
        // Starting elsewhere each time spreads the tokens where all cuts are as good.
        let start = (progress * self.slots.len() as f64) as usize;
        for i in 0..self.slots.len() {
            let at = (start + i) % self.slots.len();
            let Slot { width, owner, .. } = self.slots[at];
            if width > 2.0 * widest.piece {
                widest = Cut { slot: at, piece: width / 2.0 };
            }
            if width <= piece || !(at + turn).is_multiple_of(stride) || !givers.contains(&(owner as usize)) {
                continue;
            }
            let cut = Cut { slot: at, piece };
            let error = self.error_after(cut, progress);
            if best.is_none_or(|(least, _)| error < least) {
                best = Some((error, cut));
            }
        }
        let cut = best.map_or(widest, |(_, cut)| cut);
        (cut.piece * CIRCLE >= 1.0).then_some(cut)
    }

    /// The members that own most beyond their share, and those of the newcomer's rack that hold most replicas
    /// beyond theirs: a newcomer mostly relieves its own rack of replicas.
    fn givers(&self) -> Vec<usize> {
        let rack = self.racks[self.newcomer];
        let members = 0..self.newcomer;
        let mut givers = self.primary.richest(members.clone().collect());
        givers.extend(self.replicated.richest(members.filter(|&node| self.racks[node] == rack).collect()));
        givers
    }

    /// How much `cut` raises the sum of squared relative errors.
    fn error_after(&mut self, cut: Cut, progress: f64) -> f64 {
        self.trace(cut);
        self.changes.sort_unstable_by_key(|&(node, _)| node);
        let Self { changes, replicated, primary, newcomer, .. } = self;
        let due = |node| if node == *newcomer { progress } else { 1.0 };
        let replicated: f64 = changes
            .chunk_by(|a, b| a.0 == b.0)
            .map(|of| (of[0].0, of.iter().map(|&(_, change)| change).sum()))
            .map(|(node, change)| replicated.error_change(node, change, due(node)))
            .sum();
        let owner = self.slots[cut.slot].owner as usize;
        replicated + PRIMARY_FACTOR * primary.error_change(owner, -cut.piece, 1.0)
    }

    /// Lists in `changes` how `cut` changes replicated ownership.
    fn trace(&mut self, cut: Cut) {
        let Self { slots, placement, changes, newcomer, .. } = self;
        changes.clear();
        let inserted = Some((cut.slot, *newcomer as u32));
        for replica in placement.choose(owners_from(slots, cut.slot, None)).0 {
            changes.push((replica as usize, -cut.piece));
        }
        for replica in placement.choose(owners_from(slots, cut.slot, inserted)).0 {
            changes.push((replica as usize, cut.piece));
        }
        for back in 1..slots.len().min(BACK_MAX) {
            let at = (cut.slot + slots.len() - back) % slots.len();
            let (replicas, reach) = placement.choose(owners_from(slots, at, inserted));
            if reach <= back {
                break;
            }
            if replicas.clone().any(|replica| replica as usize == *newcomer) {
                changes.extend(replicas.map(|replica| (replica as usize, slots[at].width)));
                let (before, _) = placement.choose(owners_from(slots, at, None));
                changes.extend(before.map(|replica| (replica as usize, -slots[at].width)));
            }
        }
    }

    /// Makes the cut and returns the newcomer's token.
    fn apply(&mut self, cut: Cut) -> Token {
        self.trace(cut);
        for &(node, change) in &self.changes {
            self.replicated.owned[node] += change;
        }
        let slot = &mut self.slots[cut.slot];
        let behind = (slot.width - cut.piece) * CIRCLE;
        let end = Token(slot.end.0.wrapping_sub_unsigned((behind as u64).max(1)));
        slot.width -= cut.piece;
        self.primary.owned[slot.owner as usize] -= cut.piece;
        self.primary.owned[self.newcomer] += cut.piece;
        let owner = self.newcomer as u32;
        self.slots.insert(cut.slot, Slot { end, width: cut.piece, owner });
        end
    }
}

impl Ownership {
    fn new(wanted: Vec<f64>) -> Self {
        Self { owned: vec![0.0; wanted.len()], wanted }
    }

    /// The few of `nodes` that own most in proportion to what they should.
    fn richest(&self, mut nodes: Vec<usize>) -> Vec<usize> {
        let ratio = |node: usize| self.owned[node] / self.wanted[node];
        nodes.sort_by(|&a, &b| ratio(b).total_cmp(&ratio(a)));
        nodes.truncate(GIVERS);
        nodes
    }

    /// How much `change` raises the node's squared relative error, if `due` of its share is wanted.
    fn error_change(&self, node: usize, change: f64, due: f64) -> f64 {
        let wanted = self.wanted[node];
        let error = (self.owned[node] - due * wanted) / wanted;
        let change = change / wanted;
        change * (2.0 * error + change)
    }
}

/// The owners from slot `at` on, with one more put in before a slot.
fn owners_from(slots: &[Slot], at: usize, inserted: Option<(usize, u32)>) -> impl Iterator<Item = u32> {
    let (before, newcomer) = inserted.map_or((at, None), |(before, newcomer)| (before, Some(newcomer)));
    let ahead = (before + slots.len() - at) % slots.len();
    let around = move |from: usize, to: usize| (from..to).map(move |i| slots[(at + i) % slots.len()].owner);
    around(0, ahead).chain(newcomer).chain(around(ahead, slots.len())).take(WALK_MAX)
}

/// The share of each node in the replicas of all keys that racks and weights allow.
fn replicated_shares(racks: &[u32], weights: &[f64]) -> Vec<f64> {
    let quota = Quota::new(racks, REPLICAS);
    let mut nodes = vec![Vec::new(); quota.sizes.len()];
    racks.iter().enumerate().for_each(|(node, &rack)| nodes[rack as usize].push(node));
    let weight = |rack: usize| nodes[rack].iter().map(|&node| weights[node]).sum::<f64>();
    let open = |rack: usize| if quota.sizes[rack] > quota.full_rounds { weight(rack) } else { 0.0 };
    let partial = fill(quota.partial as f64, &(0..nodes.len()).map(open).collect::<Vec<_>>());

    let mut shares = vec![0.0; racks.len()];
    for (rack, nodes) in nodes.iter().enumerate() {
        let copies = f64::from(quota.full_rounds.min(quota.sizes[rack])) + partial[rack];
        let within = fill(copies, &nodes.iter().map(|&node| weights[node]).collect::<Vec<_>>());
        nodes.iter().zip(within).for_each(|(&node, share)| shares[node] = share);
    }
    shares
}

/// Divides `total` in proportion to `weights`, giving nobody more than 1.
fn fill(total: f64, weights: &[f64]) -> Vec<f64> {
    let mut heaviest: Vec<_> = (0..weights.len()).collect();
    heaviest.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let (mut left, mut weight_left) = (total, weights.iter().sum::<f64>());
    let mut shares = vec![0.0; weights.len()];
    for at in heaviest {
        if weight_left <= 0.0 || weights[at] <= 0.0 {
            break;
        }
        shares[at] = (left * weights[at] / weight_left).clamp(0.0, 1.0);
        left -= shares[at];
        weight_left -= weights[at];
    }
    shares
}

/// The replication factor whose balance is sought beside that of primary ownership.
const REPLICAS: usize = 3;
/// How much an error in primary ownership counts, to one in replicated ownership.
const PRIMARY_FACTOR: f64 = 4.0;
/// Members considered for giving one piece because they own most, and as many because they replicate most.
const GIVERS: usize = 8;
/// Cuts tried for one token, about.
const CANDIDATES: usize = 256;
/// Slots before a cut looked at for its effect, and owners met from one of them. More matter only where a rack
/// is rare: there the estimate is short, which costs balance and nothing else.
const BACK_MAX: usize = 32;
const WALK_MAX: usize = 48;
const CIRCLE: f64 = 18_446_744_073_709_551_616.0;
