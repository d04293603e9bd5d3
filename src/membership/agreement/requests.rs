//! Changes that clients ask for, from the request to the answer.

use std::collections::BTreeSet;

use quorate_ring::{Duration, Epoch, Instant, NodeId};

use super::{Agreement, Timer};
use crate::{
    coordinator::refuse,
    membership::map::{Change, ChangeId, ClusterMap, NewTable, Outcome, Refused, TableOptions},
    node::{ClientId, Effect, Turn},
    wire::{
        AlterTable, ChangeName, ClientMessage, CreateTable, DropTable, Failure, Frame, Header, RequestError,
        TableChanged, TableCreated, TruncateTable,
    },
};

/// A change that clients wait for.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Who waits: the same client twice, if its first request was lost.
    clients: Vec<(ClientId, Header)>,
    name: String,
    kind: Kind,
    /// N of the table before, if there was one.
    replication: Option<u8>,
    /// The epoch that the change made, what the clients are to hear, and when that became known.
    decided: Option<(Epoch, ClientMessage, Instant)>,
    /// Whether it was in force when so many members went by it, by the map of that epoch: it takes a look at each of
    /// hundreds of replica sets to tell.
    looked: Option<(Epoch, usize, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Alter,
    Drop,
    Truncate,
}

impl Waiting {
    /// Whether it is decided and only waits for members to go by it.
    pub(super) fn is_decided(&self) -> bool {
        self.decided.is_some()
    }

    /// The failure that says that nothing came of it.
    fn failure(&self, reason: String) -> Failure {
        let name = self.name.clone();
        match self.kind {
            Kind::Create => Failure::TableNotCreated { name, reason },
            _ => Failure::TableNotChanged { name, reason },
        }
    }
}

impl Agreement {
    /// A client wants a change. Any other message is none.
    pub fn change(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header, message: ClientMessage) {
        let members = self.keeper.newest().members().count();
        let (change, name, kind, what) = match message {
            ClientMessage::CreateTable(create) => {
                let (name, change) = (create.name.clone(), create.change);
                (change, name, Kind::Create, Change::CreateTable(new_table(create, members)))
            }
            ClientMessage::AlterTable(AlterTable { change, name, read_consistency, write_consistency }) => {
                let what = Change::AlterTable { name: name.clone(), read_consistency, write_consistency };
                (change, name, Kind::Alter, what)
            }
            ClientMessage::DropTable(DropTable { change, name }) => {
                (change, name.clone(), Kind::Drop, Change::DropTable { name })
            }
            ClientMessage::TruncateTable(TruncateTable { change, name }) => {
                (change, name.clone(), Kind::Truncate, Change::TruncateTable { name })
            }
            _ => return,
        };
        let ChangeName { since, number } = change;
        let id = ChangeId { since, number };
        let overloaded = RequestError::not_applied(Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        if let Some(waiting) = self.waiting.get_mut(&id) {
            if waiting.clients.len() >= ASKED_MAX {
                return refuse(turn, client, header, overloaded);
            }
            return waiting.clients.push((client, header));
        }
        if self.waiting.len() >= WAITING_MAX {
            return refuse(turn, client, header, overloaded);
        }
        let replication = self.keeper.newest().table(&name).map(|table| table.replication);
        let waiting =
            Waiting { clients: vec![(client, header)], name, kind, replication, decided: None, looked: None };
        if let Some(reason) = self.too_few(turn) {
            return refuse(turn, client, header, RequestError::not_applied(waiting.failure(reason)));
        }
        let deadline = header.deadline.min(turn.now.mono + turn.config.request_timeout_max);
        self.timers.set(deadline, Timer::Expire(id));
        self.waiting.insert(id, waiting);
        self.propose(turn, id, what);
    }

    /// A change has ended.
    pub(super) fn settled(&mut self, turn: &mut Turn<'_>, id: ChangeId, outcome: Outcome) {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return;
        };
        let error = match outcome {
            Outcome::Applied { epoch } => match applied(waiting, self.keeper.newest()) {
                Ok(message) => {
                    waiting.decided = Some((epoch, message, turn.now.mono));
                    return;
                }
                Err(error) => error,
            },
            Outcome::Refused { reason, .. } => RequestError::not_applied(refused(waiting, reason)),
            Outcome::Unknown { .. } => RequestError::unknown(waiting.failure(outcome.to_string())),
            Outcome::Overloaded { .. } => {
                RequestError::not_applied(Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS })
            }
            Outcome::Unreachable { .. } => RequestError::not_applied(waiting.failure(outcome.to_string())),
        };
        self.end(turn, id, &ClientMessage::RequestError(error));
    }

    /// The deadline of a change has come.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, id: ChangeId) {
        let Some(waiting) = self.waiting.get(&id) else {
            return;
        };
        if let Some((epoch, message, _)) = &waiting.decided {
            if self.is_in_force(*epoch, waiting) {
                let message = message.clone();
                return self.end(turn, id, &message);
            }
            let informed: Vec<_> = self.keeper.installed_on(*epoch).collect();
            let silent = self.keeper.newest().members().filter(|member| !informed.contains(member));
            let name = waiting.name.clone();
            let failure = Failure::NotInForce { name, reason: names("silent", silent) };
            let error = RequestError::of(failure, crate::wire::Outcome::Applied);
            return self.end(turn, id, &ClientMessage::RequestError(error));
        }
        self.keeper.expire(id, &mut self.todo);
        self.carry_out(turn);
    }

    /// Answers the changes that are in force.
    pub(super) fn look_at_installed(&mut self, turn: &mut Turn<'_>) {
        self.look_again();
        let in_force = |waiting: &Waiting| {
            let decided = waiting.decided.as_ref();
            let decided = decided.filter(|(epoch, _, since)| {
                let is_patient = turn.now.mono < *since + PATIENCE;
                let is_in_force = matches!(waiting.looked, Some((_, _, true)));
                is_in_force && !(is_patient && self.lets_wait(turn, *epoch))
            });
            decided.map(|(_, message, _)| message.clone())
        };
        let done: Vec<_> = self.waiting.iter().filter_map(|(id, w)| Some((*id, in_force(w)?))).collect();
        for (id, message) in done {
            self.end(turn, id, &message);
        }
    }

    /// Tells of each change whether it is in force, if anything has happened since the last look.
    fn look_again(&mut self) {
        let newest = self.keeper.newest().epoch();
        let look = |(id, waiting): (&ChangeId, &Waiting)| {
            let (epoch, ..) = waiting.decided.as_ref()?;
            let informed = self.keeper.installed_on(*epoch).count();
            let is_known = waiting.looked.is_some_and(|(by, among, _)| (by, among) == (newest, informed));
            (!is_known).then(|| (*id, (newest, informed, self.is_in_force(*epoch, waiting))))
        };
        for (id, looked) in self.waiting.iter().filter_map(look).collect::<Vec<_>>() {
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.looked = Some(looked);
            }
        }
    }

    /// Whether so many members go by the map of `epoch` that no client can be told otherwise: see the head of
    /// [`agreement`](super).
    fn is_in_force(&self, epoch: Epoch, waiting: &Waiting) -> bool {
        let informed: BTreeSet<_> = self.keeper.installed_on(epoch).collect();
        let newest = self.keeper.newest();
        if informed.len() <= newest.members().count() / 2 {
            return false;
        }
        if matches!(waiting.kind, Kind::Create | Kind::Alter) {
            return true;
        }
        // A table that was not known here when the change was asked for may have had any N.
        let Some(replication) = waiting.replication else {
            return informed.len() == newest.members().count();
        };
        let is_told = |replicas: &Vec<NodeId>| {
            let quorum = replicas.len() / 2 + 1;
            let told = replicas.iter().filter(|replica| informed.contains(replica)).count();
            told > replicas.len() - quorum
        };
        newest.ring().replica_sets(replication).keys().all(is_told)
    }

    /// Whether a member that is up does not go by the map of `epoch` yet. Nothing depends on it, but should the others
    /// die at once it would know nothing of a table that its client has been told of.
    fn lets_wait(&self, turn: &Turn<'_>, epoch: Epoch) -> bool {
        let informed: BTreeSet<_> = self.keeper.installed_on(epoch).collect();
        let acts = |member: &NodeId| turn.up.contains(*member) && !turn.up.is_absent(*member);
        self.keeper.newest().members().filter(acts).any(|member| !informed.contains(&member))
    }

    fn end(&mut self, turn: &mut Turn<'_>, id: ChangeId, message: &ClientMessage) {
        let Some(waiting) = self.waiting.remove(&id) else {
            return;
        };
        // This node may be among those that do not go by the change yet: then it waits for it if it is asked again.
        let epoch = waiting.decided.map_or(turn.epoch, |(epoch, ..)| epoch.max(turn.epoch));
        for (client, header) in waiting.clients {
            let frame = Frame { header: Header { epoch, ..header }, message: message.clone() };
            turn.effects.push(Effect::ToClient { client, frame });
        }
    }

    /// Why a change cannot be decided now (rule Q3).
    fn too_few(&self, turn: &Turn<'_>) -> Option<String> {
        let electorate = self.keeper.newest().electorate();
        let down: Vec<_> = electorate.voters().filter(|voter| !turn.up.contains(*voter)).collect();
        let (needed, alive) = (electorate.needed(), electorate.voters().count() - down.len());
        (alive < needed).then(|| format!("{needed} members must be up, {alive} are; {}", names("down", down)))
    }
}

fn new_table(create: CreateTable, members: usize) -> NewTable {
    let CreateTable { change: _, name, kind, replication, read_consistency, write_consistency } = create;
    let replication = replication.unwrap_or(members.min(REPLICATION_DEFAULT) as u8);
    NewTable { name, kind, replication, options: TableOptions { read_consistency, write_consistency } }
}

/// What the clients of a change that has happened are to hear, once it is in force. A later change may have
/// undone it already.
fn applied(waiting: &Waiting, newest: &ClusterMap) -> Result<ClientMessage, RequestError> {
    let table = newest.table(&waiting.name).cloned();
    match (waiting.kind, table) {
        (Kind::Create, Some(table)) => Ok(TableCreated { table }.into()),
        (Kind::Drop, _) => Ok(TableChanged { table: None }.into()),
        (_, Some(table)) => Ok(TableChanged { table: Some(table) }.into()),
        (_, None) => {
            let failure = Failure::UnknownTable { name: waiting.name.clone() };
            Err(RequestError::of(failure, crate::wire::Outcome::Applied))
        }
    }
}

fn refused(waiting: &Waiting, reason: Refused) -> Failure {
    match reason {
        Refused::TableExists(name) => Failure::TableExists { name },
        Refused::NoSuchTable(name) => Failure::UnknownTable { name },
        Refused::BadTableName(_) | Refused::BadReplication { .. } | Refused::BadLevel { .. } => {
            Failure::BadRequest(reason.to_string())
        }
        reason => waiting.failure(reason.to_string()),
    }
}

fn names(what: &str, nodes: impl IntoIterator<Item = NodeId>) -> String {
    let names: Vec<_> = nodes.into_iter().map(|node| node.to_string()).collect();
    format!("{what}: {}", names.join(", "))
}

/// How long members that are up are waited for beyond those that must go by a change.
const PATIENCE: Duration = Duration::from_secs(1);
/// Changes that clients wait for at a time, and how often one may be asked for; more are refused.
const WAITING_MAX: usize = 256;
const ASKED_MAX: usize = 16;
const REPLICATION_DEFAULT: usize = 3;
const RETRY_AFTER_MS: u32 = 50;
