//! Clients: each sends one request at a time, writes values that nobody else writes, and never guesses
//! what became of a request (rule Q10).

mod context;
mod request;
mod scanner;

use bytes::Bytes;
use quorate::{
    node::ClientId,
    ring::{Duration, Instant, TableKind},
    wire::{ClientMessage, Failure, Frame, Header, RequestError, RequestId},
};

pub(crate) use self::{
    context::{Context, Memory, context_entries, context_vector},
    request::{Reply, Request, What, change_id, from_bytes},
    scanner::{PageRequest, Scanner, place},
};
use crate::{
    options::{Coordinators, MS, SECOND, time},
    random::Random,
    render,
    world::{Event, World, decoded, encoded},
};

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    /// The node that it is connected to.
    pub(crate) node: usize,
    /// Its connection; a new one wherever an outcome is unknown.
    pub(crate) connection: ClientId,
    /// Requests that it has yet to make.
    left: u32,
    pub(crate) current: Option<Request>,
    memory: Memory,
    last_change: Option<What>,
    task: Task,
    random: Random,
    next_request: u64,
}

/// What a client is for.
#[derive(Clone, Debug)]
enum Task {
    /// Reads, writes and deletes.
    Usual,
    /// Creates, alters, drops and truncates tables.
    Tables,
    /// Reads a table page by page.
    Scan(Scanner),
    /// Reads one key when all is over, from every replica that can answer.
    LastRead(usize),
}

impl Client {
    /// Whether it has nothing left to do.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.current.is_none()
    }
}

impl World {
    /// Brings in the clients of the run.
    pub(crate) fn start_clients(&mut self) {
        let share = |place: u32, of: u32, all: u32| all / of + u32::from(place < all % of);
        for place in 0..self.options.clients {
            let left = share(place, self.options.clients, self.options.operations);
            self.add_client(Task::Usual, left);
        }
        let most = if self.options.racing { 4 } else { 2 };
        let clients = self.options.tables.min(most);
        for place in 0..clients {
            self.add_client(Task::Tables, share(place, clients, self.options.tables));
        }
        if self.options.scans > 0 {
            self.add_client(Task::Scan(Scanner::new()), self.options.scans);
        }
    }

    /// Brings in a reader for each key.
    pub(crate) fn start_last_readers(&mut self) {
        let is_there = |key: &usize| !self.oracle.keys[*key].may_be_gone;
        for key in (0..self.oracle.keys.len()).filter(is_there).collect::<Vec<_>>() {
            self.add_client(Task::LastRead(key), 1);
        }
    }

    fn add_client(&mut self, task: Task, left: u32) {
        let place = self.clients.len();
        let mut random = Random::numbered(self.options.seed, "client", place as u64);
        let node = choose_node(&mut random, self.processes.len(), self.options.favour);
        let at = self.now + random.below(self.pause_max());
        let connection = self.connect();
        let memory = Memory::default();
        let (current, last_change, next_request) = (None, None, 1);
        let client =
            Client { node, connection, left, current, memory, last_change, task, random, next_request };
        self.clients.push(client);
        self.agenda.push(at, Event::Wake(place));
    }

    /// Between two requests of a client; makes all of them take about as long as the faults.
    fn pause_max(&self) -> u64 {
        let each = u64::from(self.options.operations / self.options.clients.max(1)).max(1);
        (2 * self.options.duration / each).max(1)
    }

    fn connect(&mut self) -> ClientId {
        self.next_connection += 1;
        ClientId(self.next_connection)
    }

    /// A client makes its next request.
    pub(crate) fn wake(&mut self, place: usize) {
        let client = &mut self.clients[place];
        if client.left == 0 || client.current.is_some() {
            return;
        }
        let timeout = match client.task {
            Task::LastRead(_) => LAST_READ_TIMEOUT,
            _ => self.options.request_timeout,
        };
        let what = match client.task {
            Task::Usual => What::draw(&mut client.random, &self.options, &mut self.oracle, &client.memory),
            // Whoever does not know what became of a change asks for it again, maybe another node.
            Task::Tables => match client.last_change.take().filter(|_| client.random.chance(300)) {
                Some(again) => again,
                None => What::draw_table(&mut client.random, &self.options, self.told_epoch),
            },
            Task::Scan(ref mut scanner) => scanner.draw(&mut client.random, &self.options),
            Task::LastRead(key) => What::last_read(&self.oracle, key),
        };
        client.left -= 1;
        self.route(place, &what);
        let (invoked, connection) = (self.events, self.clients[place].connection);
        let clocks = self.clocks();
        let beside = self.oracle.beside(&what, clocks);
        let (told, before) = self.oracle.asked(connection, invoked, &what, clocks);
        let client = &mut self.clients[place];
        client.last_change = matches!(what, What::Table { .. }).then(|| what.clone());
        let request = Request { id: client.next_request, what, invoked, told, before, beside };
        client.next_request += 1;
        // Request ids mean nothing to the node; far apart, they show a mix-up of clients.
        let header = Header {
            id: RequestId(client.connection.0 << 32 | request.id),
            epoch: self.told_epoch,
            deadline: Instant(self.now) + Duration::from_nanos(timeout),
        };
        let frame = Frame { header, message: request.what.message(&self.oracle) };
        let (node, connection) = (client.node, client.connection);
        let give_up = self.now + timeout * 5 / 4 + 10 * MS;
        self.agenda.push(give_up, Event::GiveUp { client: place, request: request.id });
        client.current = Some(request);
        if !self.network.loses_client() {
            let bytes = encoded(&frame, Instant(self.now));
            self.traffic.with_client(bytes.len());
            let at = self.now + self.network.client_delay();
            self.agenda.push(at, Event::Request { node, client: connection, bytes });
        }
    }

    /// A client turns to the node that its next request is to go through, if that is fixed. It has a connection for each
    /// request then.
    fn route(&mut self, place: usize, what: &What) {
        let Some(key) = what.key().filter(|_| self.options.coordinators != Coordinators::Any) else {
            return;
        };
        let (nodes, connection) = (self.processes.len(), self.connect());
        let (client, replicas) = (&mut self.clients[place], self.oracle.keys[key].replicas());
        let is_wanted =
            |node: &usize| replicas.contains(node) == (self.options.coordinators == Coordinators::Replicas);
        let wanted: Vec<_> = (0..nodes).filter(is_wanted).collect();
        (client.node, client.connection) = (*client.random.pick(&wanted), connection);
    }

    /// An answer reaches a client.
    pub(crate) fn answer(&mut self, connection: ClientId, bytes: Bytes) {
        self.trace.add_bytes(&bytes);
        let frame = match decoded::<ClientMessage>(bytes, Instant(self.now)) {
            Ok(frame) => frame,
            Err(why) => return self.fail(format!("an answer to a client does not decode: {why}")),
        };
        self.told_epoch = self.told_epoch.max(frame.header.epoch);
        self.trace
            .line(|| format!("{} c{} < {}", time(self.now), connection.0, render::client(&frame.message)));
        if self.trace.verbose
            && let Some(context) = context_in(&frame.message)
        {
            self.trace.contexts.insert(connection.0, context.clone());
        }
        let Some(place) = self.clients.iter().position(|client| client.connection == connection) else {
            return;
        };
        let client = &mut self.clients[place];
        let expected = client.current.as_ref().map(|current| connection.0 << 32 | current.id);
        if expected != Some(frame.header.id.0) {
            return;
        }
        if let Some(request) = client.current.take() {
            self.finished(place, request, Reply::Answer(Box::new(frame.message)));
        }
    }

    /// A client has waited long enough.
    pub(crate) fn give_up(&mut self, place: usize, id: u64) {
        let client = &mut self.clients[place];
        if let Some(request) = client.current.take_if(|request| request.id == id) {
            self.finished(place, request, Reply::None);
        }
    }

    /// A connection of a client meets a process that is down: nothing was sent.
    pub(crate) fn refused(&mut self, connection: ClientId) {
        let Some(place) = self.clients.iter().position(|client| client.connection == connection) else {
            return;
        };
        if let Some(request) = self.clients[place].current.take() {
            self.finished(place, request, Reply::Refused);
        }
    }

    /// The clients of a process that died learn of it.
    pub(crate) fn clients_lose(&mut self, node: usize) {
        for place in 0..self.clients.len() {
            let client = &self.clients[place];
            if let Some(request) = client.current.as_ref().filter(|_| client.node == node) {
                let at = self.now + self.network.client_delay();
                self.agenda.push(at, Event::GiveUp { client: place, request: request.id });
            }
        }
    }

    fn finished(&mut self, place: usize, request: Request, reply: Reply) {
        let connection = self.clients[place].connection;
        let clocks = self.clocks();
        let now = (self.events, &clocks);
        let verdict = self.oracle.replied(connection, &self.ring, &request, &reply, now);
        if let Err(why) = verdict.and_then(|()| self.remember(place, &request, &reply)) {
            return self.fail(why);
        }
        if let (Task::Scan(scanner), Some(ClientMessage::Scanned(page))) =
            (&mut self.clients[place].task, reply.answer())
        {
            scanner.took(page);
        }
        let is_known = matches!(reply, Reply::Answer(_));
        let failed = reply.is_failure();
        let pause_max = if self.healed { (100 * MS).min(self.pause_max()) } else { self.pause_max() };
        let client = &mut self.clients[place];
        if matches!(client.task, Task::LastRead(_)) && failed {
            client.left = 1;
        }
        let moves = !is_known || (failed && client.random.chance(300)) || client.random.chance(20);
        let pause = if client.random.chance(200) { 1 } else { client.random.range(1, pause_max) };
        if moves {
            let (old, node) = (client.connection, client.node);
            client.node = choose_node(&mut client.random, self.processes.len(), self.options.favour);
            let tells = client.random.chance(500);
            let fresh = self.connect();
            self.clients[place].connection = fresh;
            if tells {
                let life = self.processes[node].life;
                self.agenda.push(self.now + 1, Event::ClientGone { node, life, client: old });
            }
        }
        self.agenda.push(self.now + pause, Event::Wake(place));
    }

    /// A client keeps the context that it was given.
    fn remember(&mut self, place: usize, request: &Request, reply: &Reply) -> Result<(), String> {
        if let (Some(key), Some(answer)) = (request.what.key(), reply.answer())
            && self.oracle.keys[key].options.kind == TableKind::Cas
        {
            let value = match answer {
                ClientMessage::Got(got) => {
                    Some(got.values.first().and_then(|version| from_bytes(&version.value)))
                }
                ClientMessage::ComparedAndSet(done) if !done.applied => {
                    Some(done.found.as_ref().and_then(|version| from_bytes(&version.value)))
                }
                ClientMessage::ComparedAndSet(_) | ClientMessage::Written(_) => Some(request.what.value()),
                _ => None,
            };
            value.into_iter().for_each(|value| self.clients[place].memory.told(key, value));
        }
        let Some(bytes) = reply.answer().and_then(context_in) else {
            return Ok(());
        };
        let Some(key) = request.what.key().filter(|_| !bytes.is_empty()) else {
            return Ok(());
        };
        let vector = context_vector(&self.oracle.keys[key].row, bytes)?;
        self.clients[place].memory.given(key, Context { bytes: bytes.clone(), vector });
        Ok(())
    }
}

/// The context that an answer gives, or the cursor.
fn context_in(answer: &ClientMessage) -> Option<&Bytes> {
    match answer {
        ClientMessage::Got(got) => Some(&got.context),
        ClientMessage::Written(written) => Some(&written.context),
        ClientMessage::Scanned(page) => page.next.as_ref(),
        ClientMessage::RequestError(RequestError {
            failure: Failure::TooManySiblings { context, .. },
            ..
        }) => Some(context),
        _ => None,
    }
}

fn choose_node(random: &mut Random, nodes: usize, favour: u64) -> usize {
    if random.chance(favour) { 0 } else { random.index(nodes) }
}

/// When all is over there is time enough for the slowest network that is drawn.
pub(crate) const LAST_READ_TIMEOUT: u64 = 15 * SECOND;
