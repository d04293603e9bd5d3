//! The plain description of a ring: what the cluster map stores and nodes send each other.

use serde::{Deserialize, Serialize};

use crate::{ClusterId, Epoch, Founder, Member, NodeId, RingError, claim, partitioner::murmur3};

/// Who is in the cluster and which tokens each member owns, at an epoch. A plain value that anything may be
/// written into; [`Ring::new`](crate::Ring::new) refuses what does not make a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The cluster, for life.
    pub cluster: ClusterId,
    /// Rises with every change of the members.
    pub epoch: Epoch,
    /// The id the next member gets. Every smaller one was given out and is never given out again.
    pub next_id: NodeId,
    /// The members in the order of their ids.
    pub members: Vec<Member>,
}

impl Layout {
    /// The most members a cluster may have.
    pub const MEMBERS_MAX: usize = 4_096;
    /// The epoch of every founding ring. The epoch 0 is that of a node that knows no ring yet.
    pub const FOUNDING_EPOCH: Epoch = Epoch(1);

    /// The layout of a new cluster: a pure function of the cluster's name and the set of founders, so that
    /// nodes with the same list form the same cluster with no leader. Ids go from 1 in the order of the names.
    ///
    /// # Errors
    /// Refuses a bad name, address, rack or weight, an empty list, and doubled names or addresses.
    pub fn found(cluster_name: &str, founders: &[Founder]) -> Result<Self, RingError> {
        Founder::new(cluster_name, "cluster:1").validate()?;
        founders.iter().try_for_each(Founder::validate)?;
        let mut founders = founders.to_vec();
        founders.sort_unstable();
        check_members(founders.iter().map(|f| (f.name.as_str(), f.address.as_str())))?;

        let cluster = cluster_id(cluster_name, &founders);
        let claims = claim::found(&founders);
        let members: Vec<_> = (1..)
            .zip(founders.into_iter().zip(claims))
            .map(|(id, (founder, tokens))| Member::new(NodeId(id), founder, tokens))
            .collect();
        let next_id = NodeId(members.len() as u32 + 1);
        Ok(Self { cluster, epoch: Self::FOUNDING_EPOCH, next_id, members })
    }

    /// Refuses what does not make a ring, doubled tokens excepted, which only the sorted circle shows.
    pub(crate) fn validate(&self) -> Result<(), RingError> {
        self.members.iter().try_for_each(Member::validate)?;
        check_members(self.members.iter().map(|m| (m.name.as_str(), m.address.as_str())))?;
        let ids = self.members.iter().map(|m| m.id).chain([self.next_id]);
        match ids.clone().zip(ids.skip(1)).find(|(id, next)| id >= next) {
            Some((id, _)) => Err(RingError::BadId(id)),
            None => Ok(()),
        }
    }
}

/// Equal on two nodes exactly if they would found the same ring: addresses are left out, because a node may
/// be known under several and may move. It guards against mistakes, not against malice, which TLS keeps out.
fn cluster_id(name: &str, founders: &[Founder]) -> ClusterId {
    let mut text = format!("quorate cluster 1\n{name}\n");
    for Founder { name, rack, weight, address: _ } in founders {
        text.push_str(&format!("{name} {rack} {weight}\n"));
    }
    ClusterId(murmur3(text.as_bytes()))
}

/// Refuses an empty or overlong list and doubled names or addresses.
fn check_members<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), RingError> {
    let mut members: Vec<_> = members.collect();
    if members.is_empty() {
        return Err(RingError::NoMembers);
    }
    if members.len() > Layout::MEMBERS_MAX {
        return Err(RingError::TooManyMembers { count: members.len(), max: Layout::MEMBERS_MAX });
    }
    members.sort_unstable();
    if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(RingError::DuplicateName(pair[0].0.to_owned()));
    }
    members.sort_unstable_by_key(|&(name, address)| (address, name));
    if let Some([(first, address), (second, _)]) =
        members.array_windows().find(|[(_, first), (_, second)]| first == second)
    {
        let [first, second, address] = [first, second, address].map(|&s| s.to_owned());
        return Err(RingError::DuplicateAddress { first, second, address });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
