//! From a request to its replicas and what it needs of them: a pure function of map and up-set.

use bytes::Bytes;
use quorate_ring::{Consistency, ConsistencyError, NodeId, TableId, TableKind, token_of};
use quorate_storage::{Row, VersionVector};

use super::{context, quorum::Places};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::Turn,
    wire::{CompareAndSet, Condition, Delete, Failure, Forward, KEY_BYTES_MAX, Put, RequestError},
};

/// Whom a request concerns and what it needs of them.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The key, placed on the ring.
    pub(super) row: Row,
    /// How versions of the key merge.
    pub(super) kind: TableKind,
    /// The level asked for.
    pub(super) consistency: Consistency,
    /// The key's N replicas in preference order, dead or alive (rule Q2: N is the configured N); after them,
    /// for sloppy and ANY writes, the fallback nodes that stand in for those that are down.
    pub(super) replicas: Vec<NodeId>,
    /// For whom each fallback stands in.
    stand_ins: Vec<NodeId>,
    /// Whether fallbacks may count, and nothing is promised of the order of writes.
    sloppy: bool,
    /// This node's place among them; none while it recovers the key (rules R7, S3).
    pub(super) own: Option<usize>,
    /// How many replicas the level needs.
    pub(super) required: usize,
}

impl Plan {
    /// floor(N/2)+1.
    pub(super) fn quorum(&self) -> usize {
        self.n() / 2 + 1
    }

    /// Whether the level promises linearizability, and so needs the rounds of rules Q4 and Q5.
    pub(super) fn is_strict(&self) -> bool {
        self.required >= self.quorum() && !self.sloppy
    }

    /// So many failures leave no quorum: N-Q+1.
    pub(super) fn blocking(&self) -> usize {
        self.n() - self.quorum() + 1
    }

    /// N.
    fn n(&self) -> usize {
        self.replicas.len() - self.stand_ins.len()
    }

    /// For whom the node at `place` stands in; `None` for a replica.
    pub(super) fn owner_of_stand_in(&self, place: usize) -> Option<NodeId> {
        self.stand_ins.get(place.checked_sub(self.n())?).copied()
    }

    /// Whether any replica can be reached.
    pub(super) fn has_live_replica(&self, turn: &Turn<'_>) -> bool {
        self.alive(turn).iter().any(|place| place < self.n())
    }

    /// The replicas that have a write neither themselves nor at a node that stands in for them, but for this
    /// node: a hint on a disk that did not take the write is worth nothing.
    pub(super) fn missing(&self, turn: &Turn<'_>, succeeded: Places) -> Places {
        let stands_in = |place: usize, replica: usize| {
            succeeded.contains(place) && self.owner_of_stand_in(place) == Some(self.replicas[replica])
        };
        (0..self.n())
            .filter(|replica| !succeeded.contains(*replica) && self.replicas[*replica] != turn.config.node)
            .filter(|replica| !(self.n()..self.replicas.len()).any(|place| stands_in(place, *replica)))
            .collect()
    }

    /// The place of `node` among the replicas.
    pub(super) fn place(&self, node: NodeId) -> Option<usize> {
        self.replicas.iter().position(|replica| *replica == node)
    }

    /// The replicas that are up and have what they acknowledged (rule R7).
    pub(super) fn alive(&self, turn: &Turn<'_>) -> Places {
        let serves = |place: &usize| match self.replicas[*place] {
            // Not one that has recovered since the request began: the plan goes without it.
            replica if replica == turn.config.node && *place < self.n() => self.own == Some(*place),
            fallback if *place >= self.n() => turn.up.contains(fallback),
            replica => turn.up.serves(replica, self.row.table, self.row.token),
        };
        (0..self.replicas.len()).filter(serves).collect()
    }

    /// The order in which replicas, not fallbacks, are asked: this node first, then those that answer gossip, the
    /// nearest by what they took to answer first, then those in this node's rack, then by preference (rule Q1). At QUORUM and
    /// above whoever lacks much, this node too, comes after those that are as near: one more round is worth no longer a wait. Below
    /// it this node holds what it has acknowledged itself, and those that write here must find it.
    pub(super) fn asking_order(&self, turn: &Turn<'_>) -> Vec<usize> {
        let mut order: Vec<_> = self.alive(turn).iter().filter(|place| *place < self.n()).collect();
        let rack = turn.ring.member(turn.config.node).map_or("", |member| &member.rack);
        let is_elsewhere = |node| turn.ring.member(node).is_none_or(|member| member.rack != rack);
        order.sort_by_key(|place| {
            let node = self.replicas[*place];
            let is_far = !rack.is_empty() && is_elsewhere(node);
            let is_suspect = turn.up.suspects(node);
            let is_behind = self.is_strict() && turn.health.is_behind(turn.now.mono, node);
            #[cfg(feature = "mutants")]
            let is_behind = is_behind && turn.config.mutant != Some(Mutant::RecoveringMints);
            let is_own = Some(*place) == self.own && !is_behind;
            (!is_own, is_suspect, turn.health.distance(turn.now.mono, node), is_behind, is_far)
        });
        order
    }

    /// Where the level cannot be reached, puts the next nodes of the preference list that are up in the
    /// place of replicas that are down.
    fn find_stand_ins(&mut self, turn: &Turn<'_>) {
        let alive = self.alive(turn);
        if !self.sloppy || alive.len() >= self.required {
            return;
        }
        let n = self.n();
        let down: Vec<_> = (0..n).filter(|place| !alive.contains(*place)).collect();
        let preference_list = turn.ring.preference_list(self.row.token, n as u8);
        let fallbacks = preference_list.fallbacks().filter(|node| turn.up.contains(*node));
        for (place, fallback) in down.into_iter().zip(fallbacks).take(Places::MAX - n) {
            self.stand_ins.push(self.replicas[place]);
            self.replicas.push(fallback);
        }
    }

    /// Refuses at once what cannot be reached (rule Q3), before anything is sent.
    pub(super) fn check_alive(&self, turn: &Turn<'_>) -> Result<(), RequestError> {
        if self.alive(turn).len() < self.required {
            return Err(self.unavailable(turn));
        }
        Ok(())
    }
}

/// Plans a read.
pub(super) fn read(
    turn: &mut Turn<'_>,
    table: TableId,
    key: &Bytes,
    consistency: Consistency,
) -> Result<Plan, RequestError> {
    let plan = plan(turn, table, key, consistency, Consistency::required_reads)?;
    plan.check_alive(turn)?;
    Ok(plan)
}

/// Plans the read of a key of which replicas have told already: enough of them, be they up now or not.
pub(super) fn row_of_page(
    turn: &mut Turn<'_>,
    row: &Row,
    consistency: Consistency,
) -> Result<Plan, RequestError> {
    plan(turn, row.table, &row.key, consistency, Consistency::required_reads)
}

/// Plans a write of a `cas` table that depends on what the key holds.
pub(super) fn compare_and_set(turn: &mut Turn<'_>, request: &CompareAndSet) -> Result<Plan, RequestError> {
    let refuse = |failure| Err(RequestError::not_applied(failure));
    let CompareAndSet { table, key, condition, value, consistency } = request;
    let wanted = if let Condition::Value(wanted) = condition { Some(wanted) } else { None };
    for value in value.iter().chain(wanted) {
        if let Err(failure) = check_value(turn, value, None) {
            return refuse(failure);
        }
    }
    let plan = plan(turn, *table, key, *consistency, Consistency::required_writes)?;
    if plan.kind != TableKind::Cas {
        return refuse(Failure::BadRequest(CAS_ONLY.to_owned()));
    }
    check_cas(&plan)?;
    plan.check_alive(turn)?;
    Ok(plan)
}

/// Rounds are decided by quorums, whatever a client settles for (rule C1).
fn check_cas(plan: &Plan) -> Result<(), RequestError> {
    let bad = |why: &str| Err(RequestError::not_applied(Failure::BadRequest(why.to_owned())));
    if plan.is_strict() { Ok(()) } else { bad("cas tables are written at QUORUM or above") }
}

/// Plans a write, and reads the context that it carries.
pub(super) fn write(
    turn: &mut Turn<'_>,
    request: &Forward,
) -> Result<(Plan, Option<VersionVector>), RequestError> {
    let refuse = |failure| Err(RequestError::not_applied(failure));
    let (table, key, consistency, context, sloppy) = match request {
        Forward::Put(Put { table, key, value, consistency, context, ttl_ms, sloppy }) => {
            if let Err(failure) = check_value(turn, value, *ttl_ms) {
                return refuse(failure);
            }
            (*table, key, *consistency, context, *sloppy)
        }
        Forward::Delete(Delete { table, key, consistency, context, sloppy }) => {
            (*table, key, *consistency, context, *sloppy)
        }
    };
    let mut plan = plan(turn, table, key, consistency, Consistency::required_writes)?;
    let bad = |why: &str| refuse(Failure::BadRequest(why.to_owned()));
    if plan.kind == TableKind::Siblings {
        plan.sloppy = sloppy || consistency == Consistency::Any;
        plan.find_stand_ins(turn);
        plan.check_alive(turn)?;
        let context = context.clone().map(|context| context::decode(&plan.row, context));
        return match context.transpose() {
            Ok(context) => Ok((plan, context)),
            Err(failure) => refuse(failure),
        };
    }
    match () {
        () if consistency == Consistency::Any => bad("ANY is for siblings tables only (rule Q2): use ONE"),
        () if sloppy => bad("SLOPPY is for siblings tables only (rule Q2)"),
        () if context.is_some() && plan.kind == TableKind::Cas => {
            bad("only siblings tables take a context: use IF")
        }
        () if context.is_some() => bad("only siblings tables take a context: here the latest write wins"),
        () if plan.kind == TableKind::Cas => {
            if matches!(request, Forward::Put(Put { ttl_ms: Some(_), .. })) {
                return bad("values of cas tables do not expire: a TTL is for siblings and register tables");
            }
            check_cas(&plan)?;
            plan.check_alive(turn).map(|()| (plan, None))
        }
        () => plan.check_alive(turn).map(|()| (plan, None)),
    }
}

fn check_value(turn: &Turn<'_>, value: &Bytes, ttl_ms: Option<u64>) -> Result<(), Failure> {
    let bytes_max = turn.config.value_bytes_max;
    if value.len() > bytes_max {
        return Err(Failure::ValueTooLarge { bytes: value.len() as u64, bytes_max: bytes_max as u64 });
    }
    match ttl_ms {
        Some(ttl) if !(1..=TTL_MS_MAX).contains(&ttl) => {
            Err(Failure::BadRequest(format!("a TTL of {ttl} ms: 1 ms to 100 years are possible")))
        }
        _ => Ok(()),
    }
}

const CAS_ONLY: &str =
    "conditions are for cas tables only: of others no quorum decides what a key holds at a time";
/// A hundred years: far below where clock readings end.
const TTL_MS_MAX: u64 = 100 * 365 * 24 * 3_600 * 1_000;

/// Whether this node uses its own replica: not while it recovers (rule R7), or waits for the key's record (rule S3).
fn acts_as_replica(turn: &Turn<'_>, row: &Row) -> bool {
    #[cfg(feature = "mutants")]
    if turn.config.mutant == Some(Mutant::RecoveringMints) {
        return true;
    }
    turn.up.serves(turn.config.node, row.table, row.token) && !turn.quarantine.contains(row)
}

fn plan(
    turn: &mut Turn<'_>,
    table: TableId,
    key: &Bytes,
    consistency: Consistency,
    required: impl FnOnce(Consistency, u8) -> Result<usize, ConsistencyError>,
) -> Result<Plan, RequestError> {
    let refuse = |failure| Err(RequestError::not_applied(failure));
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return refuse(Failure::KeySize { bytes: key.len() as u64, bytes_max: KEY_BYTES_MAX as u64 });
    }
    let Some(table) = turn.catalog.table(table) else {
        return refuse(Failure::UnknownTable { name: table.to_string() });
    };
    let token = token_of(key);
    let replicas = turn.ring.replicas(token, table.replication).to_vec();
    let replication = table.replication;
    #[cfg(feature = "mutants")]
    let (replicas, replication) = match turn.config.mutant {
        Some(Mutant::LiveQuorum) => {
            let alive: Vec<_> = replicas.into_iter().filter(|replica| turn.up.contains(*replica)).collect();
            let replication = alive.len().max(1) as u8;
            (alive, replication)
        }
        _ => (replicas, replication),
    };
    let required = match required(consistency, replication) {
        Ok(required) => required,
        Err(why) => return refuse(Failure::BadRequest(why.to_string())),
    };
    let own = replicas.iter().position(|replica| *replica == turn.config.node);
    let row = Row { token, table: table.id, key: key.clone() };
    let own = own.filter(|_| acts_as_replica(turn, &row));
    let (stand_ins, sloppy) = (Vec::new(), false);
    Ok(Plan { row, kind: table.kind, consistency, replicas, stand_ins, sloppy, own, required })
}
