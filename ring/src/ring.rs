//! The ring: an immutable snapshot of who owns which tokens.

use std::{collections::BTreeMap, sync::OnceLock};

use serde::{Deserialize, Serialize};

use crate::{
    ClusterId, Epoch, Founder, Layout, Member, NodeId, PreferenceList, RingError, Table, Token, TokenRange,
    circle::Circle, claim, placement, token_of,
};

/// The members of a cluster on the circle of tokens, at an epoch. Immutable: a change of members makes a new
/// ring of the next epoch. Share it in an `Arc`.
///
/// *Making one*: [`found`](Self::found) for a new cluster, [`new`](Self::new) from a stored or received
/// [`Layout`], [`with_member`](Self::with_member) and [`without_member`](Self::without_member) from another ring.
/// *Placing keys*: [`replicas`](Self::replicas), [`preference_list`](Self::preference_list) and their forms by
/// key. *Looking at ranges*: [`ranges_of`](Self::ranges_of), [`replica_sets`](Self::replica_sets),
/// [`replica_sets_of`](Self::replica_sets_of).
///
/// Replica sets for a replication factor are computed for the whole circle when that factor is first asked for,
/// which takes milliseconds on a large ring: [`prepare`](Self::prepare) does it ahead of time. A factor of 0 is
/// taken for 1, and one above [`Table::REPLICATION_MAX`] for that. A cluster with fewer nodes than the factor
/// holds each key on all of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Layout", into = "Layout")]
pub struct Ring {
    layout: Layout,
    circle: Circle,
    /// For each member, a number for its rack.
    racks: Vec<u32>,
    /// For each replication factor, from 1, the replicas of every slot one after the other.
    tables: [OnceLock<Box<[NodeId]>>; Table::REPLICATION_MAX as usize],
}

impl Ring {
    /// The ring of a new cluster. See [`Layout::found`].
    ///
    /// # Errors
    /// Refuses a bad name, address, rack or weight, an empty list, and doubled names or addresses.
    pub fn found(cluster_name: &str, founders: &[Founder]) -> Result<Self, RingError> {
        Layout::found(cluster_name, founders).and_then(Self::new)
    }

    /// The ring that `layout` describes.
    ///
    /// # Errors
    /// Refuses a layout whose ids, names, addresses or tokens are doubled, out of order or malformed.
    pub fn new(layout: Layout) -> Result<Self, RingError> {
        layout.validate()?;
        let slots = (0..).zip(&layout.members);
        let slots = slots.flat_map(|(owner, member)| member.tokens.iter().map(move |&token| (token, owner)));
        let circle = Circle::new(slots.collect())?;
        let racks = claim::number_racks(layout.members.iter().map(|member| member.rack.as_str()));
        Ok(Self { layout, circle, racks, tables: Default::default() })
    }

    /// The ring that `founder` has joined, at the next epoch. It takes tokens from the present members in
    /// proportion to what they own too much then; nothing moves between two other members.
    ///
    /// # Errors
    /// Refuses a malformed founder, and a name or an address that a member has.
    pub fn with_member(&self, founder: Founder) -> Result<Self, RingError> {
        founder.validate()?;
        let mut layout = self.next_layout()?;
        let id = layout.next_id;
        layout.next_id = NodeId(id.0.checked_add(1).ok_or(RingError::Exhausted)?);
        let tokens = claim::join(self, &founder);
        layout.members.push(Member::new(id, founder, tokens));
        Self::new(layout)
    }

    /// The ring that the member `id` has left, at the next epoch: each of its ranges falls to the owner of the
    /// next token clockwise. Nothing moves between two other members.
    ///
    /// # Errors
    /// Refuses an id that no member has, and to remove the last member.
    pub fn without_member(&self, id: NodeId) -> Result<Self, RingError> {
        self.member(id).ok_or(RingError::UnknownMember(id))?;
        let mut layout = self.next_layout()?;
        layout.members.retain(|member| member.id != id);
        Self::new(layout)
    }

    /// What the ring was made of.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The cluster this ring belongs to. Checked in every handshake.
    pub fn cluster_id(&self) -> ClusterId {
        self.layout.cluster
    }

    /// Rises with every change of members.
    pub fn epoch(&self) -> Epoch {
        self.layout.epoch
    }

    /// The members in the order of their ids.
    pub fn members(&self) -> &[Member] {
        &self.layout.members
    }

    /// The member with this id.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        let at = self.members().binary_search_by_key(&id, |member| member.id).ok()?;
        Some(&self.members()[at])
    }

    /// The member with this name.
    pub fn member_by_name(&self, name: &str) -> Option<&Member> {
        self.members().iter().find(|member| member.name == name)
    }

    /// The replicas of `token` for replication factor `n`, in order of preference: the first distinct nodes
    /// clockwise, racks spread where possible. Allocates nothing once the factor is prepared.
    pub fn replicas(&self, token: Token, n: u8) -> &[NodeId] {
        self.replicas_of_slot(self.circle.slot_of(token), n)
    }

    /// The replicas of `key`: [`replicas`](Self::replicas) of its token.
    pub fn replicas_of_key(&self, key: &[u8], n: u8) -> &[NodeId] {
        self.replicas(token_of(key), n)
    }

    /// The replicas of `token`, and the nodes that stand in for them.
    pub fn preference_list(&self, token: Token, n: u8) -> PreferenceList<'_> {
        let slot = self.circle.slot_of(token);
        PreferenceList::new(self, slot, self.replicas_of_slot(slot, n))
    }

    /// Computes the replica sets for factor `n` now, if that has not happened yet.
    pub fn prepare(&self, n: u8) {
        self.table(n);
    }

    /// Every range between two neighbouring tokens with its replicas, clockwise from the smallest token.
    pub fn ranges(&self, n: u8) -> impl Iterator<Item = (TokenRange, &[NodeId])> {
        (0..self.circle.len()).map(move |slot| (self.circle.range(slot), self.replicas_of_slot(slot, n)))
    }

    /// The ranges that node `id` holds under factor `n`, neighbours joined, in the order of their ends.
    pub fn ranges_of(&self, id: NodeId, n: u8) -> Vec<TokenRange> {
        let held = self.ranges(n).filter(|(_, replicas)| replicas.contains(&id));
        join_neighbours(held.map(|(range, _)| range))
    }

    /// Every set of nodes (in the order of their ids) that holds ranges together under factor `n`, with those
    /// ranges, neighbours joined. The sets' ranges cover the circle once.
    pub fn replica_sets(&self, n: u8) -> BTreeMap<Vec<NodeId>, Vec<TokenRange>> {
        sets_in(self.ranges(n))
    }

    /// Those of [`replica_sets`](Self::replica_sets) that node `id` is in. In a large cluster these are few, and found
    /// sooner.
    pub fn replica_sets_of(&self, id: NodeId, n: u8) -> BTreeMap<Vec<NodeId>, Vec<TokenRange>> {
        sets_in(self.ranges(n).filter(|(_, replicas)| replicas.contains(&id)))
    }

    /// Bytes on the heap: the circle, and the replica sets prepared so far. Members' words are left out.
    pub fn heap_bytes(&self) -> usize {
        let tables = self.tables.iter().filter_map(OnceLock::get);
        self.circle.heap_bytes() + tables.map(|table| size_of_val(&**table)).sum::<usize>()
    }

    pub(crate) fn circle(&self) -> &Circle {
        &self.circle
    }

    fn replicas_of_slot(&self, slot: usize, n: u8) -> &[NodeId] {
        let width = usize::from(clamp(n)).min(self.members().len());
        &self.table(n)[slot * width..][..width]
    }

    fn table(&self, n: u8) -> &[NodeId] {
        let n = usize::from(clamp(n));
        self.tables[n - 1].get_or_init(|| {
            let owners = placement::replicas_of_all(&self.circle, &self.racks, n);
            owners.into_iter().map(|owner| self.members()[owner as usize].id).collect()
        })
    }

    fn next_layout(&self) -> Result<Layout, RingError> {
        let epoch = Epoch(self.epoch().0.checked_add(1).ok_or(RingError::Exhausted)?);
        Ok(Layout { epoch, ..self.layout.clone() })
    }
}

impl PartialEq for Ring {
    fn eq(&self, other: &Self) -> bool {
        self.layout == other.layout
    }
}

impl Eq for Ring {}

impl TryFrom<Layout> for Ring {
    type Error = RingError;

    fn try_from(layout: Layout) -> Result<Self, RingError> {
        Self::new(layout)
    }
}

impl From<Ring> for Layout {
    fn from(ring: Ring) -> Self {
        ring.layout
    }
}

/// Joins ranges that touch, the last and the first included. Takes them clockwise from the smallest token.
fn sets_in<'r>(
    ranges: impl Iterator<Item = (TokenRange, &'r [NodeId])>,
) -> BTreeMap<Vec<NodeId>, Vec<TokenRange>> {
    let mut sets = BTreeMap::<_, Vec<_>>::new();
    for (range, replicas) in ranges {
        let mut set = replicas.to_vec();
        set.sort_unstable();
        sets.entry(set).or_default().push(range);
    }
    sets.into_iter().map(|(set, ranges)| (set, join_neighbours(ranges))).collect()
}

pub(crate) fn join_neighbours(ranges: impl IntoIterator<Item = TokenRange>) -> Vec<TokenRange> {
    let mut joined: Vec<TokenRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    if let [first, .., last] = &mut *joined
        && last.end == first.start
    {
        first.start = last.start;
        joined.pop();
    }
    joined
}

fn clamp(n: u8) -> u8 {
    n.clamp(1, Table::REPLICATION_MAX)
}

#[cfg(test)]
mod tests;
