//! What nodes send each other and clients, and the steps that they take, counted by what it is for.

use std::ops::{Add, Sub};

use quorate::{
    handoff::Handoff,
    node::{Input, Ticket},
    repair::Repair,
    wire::{Frame, PeerMessage},
};

/// What a message or a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A client's request.
    Request,
    /// Who is alive, and what each node says of itself.
    Gossip,
    /// Anti-entropy: comparisons, and what is given because of them.
    Repair,
    /// Hinted handoff.
    Handoff,
    /// How far a node has come, and what its clock shows.
    Standing,
    /// The cluster map.
    Map,
    /// What was lost with a disk.
    Recovery,
    /// A connection, what is remembered of a peer, a bound for the clock.
    Housekeeping,
    /// A time that was set has come. What for nobody sees from outside.
    Timer,
}

/// Messages or steps, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// Everything so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// Between nodes.
    messages: [Flow; PURPOSES],
    /// Between clients and nodes.
    pub(crate) clients: Flow,
    steps: [u64; PURPOSES],
}

impl Traffic {
    /// What nodes have sent each other for a purpose.
    pub(crate) fn messages(&self, purpose: Purpose) -> Flow {
        self.messages[purpose as usize]
    }

    /// How many steps of nodes were for a purpose.
    pub(crate) fn steps(&self, purpose: Purpose) -> u64 {
        self.steps[purpose as usize]
    }

    /// A node sends a frame to another one.
    pub(super) fn frame(&mut self, frame: &Frame<PeerMessage>, bytes: usize) {
        self.messages[Purpose::of_frame(frame) as usize].one_more(bytes);
    }

    /// A node sends a datagram of gossip to another one.
    pub(super) fn datagram(&mut self, bytes: usize) {
        self.messages[Purpose::Gossip as usize].one_more(bytes);
    }

    /// A client sends a node something, or the other way round.
    pub(crate) fn with_client(&mut self, bytes: usize) {
        self.clients.one_more(bytes);
    }

    /// A node takes a step.
    pub(super) fn step(&mut self, input: &Input) {
        self.steps[Purpose::of_input(input) as usize] += 1;
    }
}

impl Sub<&Self> for Traffic {
    type Output = Self;

    /// What has come since.
    fn sub(self, before: &Self) -> Self {
        let messages = |purpose: usize| self.messages[purpose] - before.messages[purpose];
        let steps = |purpose: usize| self.steps[purpose] - before.steps[purpose];
        Self {
            messages: std::array::from_fn(messages),
            clients: self.clients - before.clients,
            steps: std::array::from_fn(steps),
        }
    }
}

impl Flow {
    fn one_more(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
    }
}

impl Add for Flow {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { count: self.count + other.count, bytes: self.bytes + other.bytes }
    }
}

impl Sub for Flow {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { count: self.count - before.count, bytes: self.bytes - before.bytes }
    }
}

impl Purpose {
    /// What a frame is for, by its kind alone; of kinds that several rooms of a node send, by the room that its id names.
    fn of_frame(frame: &Frame<PeerMessage>) -> Self {
        let id = frame.header.id;
        match &frame.message {
            PeerMessage::Store(_) | PeerMessage::Stored(_) | PeerMessage::Refused(_)
                if Repair::is_own(id) =>
            {
                Self::Repair
            }
            PeerMessage::Store(_) | PeerMessage::Stored(_) | PeerMessage::Refused(_)
                if Handoff::is_own(id) =>
            {
                Self::Handoff
            }
            PeerMessage::Fetch(_)
            | PeerMessage::Fetched(_)
            | PeerMessage::Store(_)
            | PeerMessage::Stored(_)
            | PeerMessage::FetchPage(_)
            | PeerMessage::PageFetched(_)
            | PeerMessage::Forward(_)
            | PeerMessage::Forwarded(_)
            | PeerMessage::Advance(_)
            | PeerMessage::Advanced(_)
            | PeerMessage::KeepHint(_)
            | PeerMessage::AfterLoss(_)
            | PeerMessage::Refused(_) => Self::Request,
            PeerMessage::Gossip(_) => Self::Gossip,
            PeerMessage::Compare(_)
            | PeerMessage::Compared(_)
            | PeerMessage::CompareKeys(_)
            | PeerMessage::KeysCompared(_) => Self::Repair,
            PeerMessage::AskStanding(_) | PeerMessage::Standing(_) => Self::Standing,
            PeerMessage::MapPrepare(_)
            | PeerMessage::MapPromised(_)
            | PeerMessage::MapAccept(_)
            | PeerMessage::MapAccepted(_)
            | PeerMessage::MapOutbid(_)
            | PeerMessage::MapDecided(_)
            | PeerMessage::MapFetch(_)
            | PeerMessage::MapFetched(_)
            | PeerMessage::MapInstalled(_) => Self::Map,
            PeerMessage::Pull(_) | PeerMessage::Pulled(_) | PeerMessage::RolledBack(_) => Self::Recovery,
        }
    }

    fn of_input(input: &Input) -> Self {
        match input {
            Input::Client { .. } | Input::ClientGone(_) => Self::Request,
            Input::Peer { frame, .. } => Self::of_frame(frame),
            Input::Gossip { .. } => Self::Gossip,
            Input::DiskDone { ticket, .. } => Self::of_ticket(ticket),
            Input::PeerUp { .. } | Input::PeerDown(_) | Input::Drain => Self::Housekeeping,
            Input::Tick => Self::Timer,
        }
    }

    /// What the disk did something for. A replica's work for a peer, and the news of a change, count as a request's:
    /// without faults nobody else writes.
    fn of_ticket(ticket: &Ticket) -> Self {
        match ticket {
            Ticket::Operation { .. }
            | Ticket::Changed
            | Ticket::Replica(_)
            | Ticket::Page(_)
            | Ticket::Inspect(_)
            | Ticket::Backup(_) => Self::Request,
            Ticket::Hint(_) => Self::Handoff,
            Ticket::Map(_) | Ticket::Catalog => Self::Map,
            Ticket::Vitals => Self::Gossip,
            Ticket::Source(_) | Ticket::Recovery(_) => Self::Recovery,
            Ticket::Repair(_) => Self::Repair,
            Ticket::ClockBound(_) | Ticket::Peer(_) => Self::Housekeeping,
        }
    }
}

/// How many purposes there are.
const PURPOSES: usize = Purpose::Timer as usize + 1;
