//! The loop: everything that has arrived in, one step of the node for each, everything that came of it out.

#![expect(clippy::disallowed_methods, reason = "the loop waits for the node's timers")]

use std::{cell::RefCell, collections::VecDeque, pin::Pin, rc::Rc, time::Duration};

use quorate_ring::Instant;
use tokio::{
    sync::watch,
    task::spawn_local,
    time::{Sleep, sleep, timeout},
};
use tracing::{error, info, warn};

use super::{
    RunError,
    disk::{Disk, DiskResults},
    metrics::{Observer, alarm},
    report::{Questions, answer_questions},
    requests::{arrived, leaves},
};
use crate::{
    node::{DiskRequest, Effect, Effects, Input, Node},
    transport::{Host, accept_all, dial_peer},
};

/// A node with all that moves it.
pub(super) struct Driver {
    pub(super) host: Rc<Host>,
    pub(super) disk: Disk,
    pub(super) results: DiskResults,
    /// What is asked of the node from outside.
    pub(super) questions: Questions,
    /// Turns to true when the node is to stop.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) drain_timeout: Duration,
    /// For what need not be the same twice: back-off.
    pub(super) seed: u64,
}

impl Driver {
    /// Runs the node until it is told to stop, or has to.
    pub(super) async fn run(self) -> Result<(), RunError> {
        let Self { host, disk, results, questions, stop, drain_timeout, seed } = self;
        spawn_local(accept_all(host.clone()));
        spawn_local(answer_questions(host.clone(), questions));
        let own = host.hello.node;
        let peers: Vec<_> =
            host.node.borrow().ring().members().iter().filter(|member| member.id > own).cloned().collect();
        for peer in peers {
            spawn_local(dial_peer(host.clone(), peer, seed));
        }
        let mut event_loop = Loop::new(host.clone(), disk, results);
        let outcome = match event_loop.run_until_stopped(stop).await {
            Ok(()) => {
                info!("draining");
                event_loop.drain(drain_timeout).await
            }
            halted => halted,
        };
        if let Err(halted) = &outcome {
            error!(reason = %halted, "the node stops itself");
        }
        host.stopping.set(true);
        host.endpoint.close().await;
        if let Err(RunError::RolledBack(why)) = &outcome {
            event_loop.disk.distrust(why);
        }
        event_loop.disk.stop()?;
        info!("stopped");
        outcome
    }
}

/// The state of the loop; its collections are kept so that their room is reused.
struct Loop {
    host: Rc<Host>,
    node: Rc<RefCell<Node>>,
    disk: Disk,
    results: DiskResults,
    inputs: VecDeque<Input>,
    effects: Effects,
    requests: Vec<DiskRequest>,
    observer: Observer,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Instant>,
    /// Whether somebody asked the node to stop.
    told_to_stop: bool,
}

impl Loop {
    fn new(host: Rc<Host>, disk: Disk, results: DiskResults) -> Self {
        Self {
            node: host.node.clone(),
            host,
            disk,
            results,
            inputs: VecDeque::new(),
            effects: Effects::default(),
            requests: Vec::new(),
            observer: Observer::default(),
            timer: Box::pin(sleep(Duration::ZERO)),
            timer_at: None,
            told_to_stop: false,
        }
    }

    async fn run_until_stopped(&mut self, mut stop: watch::Receiver<bool>) -> Result<(), RunError> {
        loop {
            tokio::select! {
                biased;
                arrived = self.wait() => arrived?,
                // A handle that was dropped wants the node stopped, too.
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            self.pass()?;
            if self.told_to_stop {
                info!("told to stop by a client");
                return Ok(());
            }
        }
    }

    /// Takes no new requests, finishes those under way, gives away the hints that it can, tells the others that the node leaves,
    /// and lets every answer leave. A client whose stream ends in order knows that what was not answered on it was never begun.
    async fn drain(&mut self, drain_timeout: Duration) -> Result<(), RunError> {
        self.host.endpoint.stop_accepting();
        self.host.switchboard.push(Input::Drain);
        let finish = async {
            loop {
                self.pass()?;
                if self.is_drained() {
                    return Ok(());
                }
                self.wait().await?;
            }
        };
        timeout(drain_timeout, finish).await.unwrap_or(Ok(()))?;
        if !self.node.borrow().is_idle() {
            warn!("requests were still under way when the time to drain was over");
            return Ok(());
        }
        let hints = self.node.borrow().hints_to_give();
        if hints > 0 {
            info!(
                hints,
                "hints for nodes that are up are kept until the next start: the time to drain was over"
            );
        }
        self.host.stopping.set(true);
        self.host.switchboard.finish().await;
        Ok(())
    }

    fn is_drained(&self) -> bool {
        let node = self.node.borrow();
        node.is_idle() && node.hints_to_give() == 0 && node.has_said_goodbye()
    }

    /// Waits until something can have happened.
    async fn wait(&mut self) -> Result<(), RunError> {
        let timer_at = self.node.borrow().next_timer();
        if timer_at != self.timer_at {
            self.timer_at = timer_at;
            if let Some(at) = timer_at {
                self.timer.as_mut().reset(self.host.clock.to_tokio(at));
            }
        }
        tokio::select! {
            biased;
            () = self.host.switchboard.arrived() => {}
            arrived = self.results.arrived(&mut self.inputs) => {
                if !arrived {
                    return Err(RunError::Crashed("disk"));
                }
            }
            () = self.timer.as_mut(), if self.timer_at.is_some() => {
                self.timer_at = None;
                self.inputs.push_back(Input::Tick);
            }
        }
        Ok(())
    }

    /// Steps the node for everything that has arrived and carries out what it wants.
    fn pass(&mut self) -> Result<(), RunError> {
        self.results.take(&mut self.inputs);
        let now = self.host.clock.now();
        {
            let mut node = self.node.borrow_mut();
            for input in self.inputs.drain(..) {
                node.handle(now, input, &mut self.effects);
            }
            self.host.switchboard.take(&mut self.inputs);
            for input in self.inputs.drain(..) {
                arrived(&input);
                node.handle(now, input, &mut self.effects);
            }
            self.host.switchboard.report_peers_up(node.peers_serving());
        }
        let outcome = self.carry_out(now.mono);
        self.host.switchboard.flush();
        self.disk.submit(&mut self.requests)?;
        outcome
    }

    fn carry_out(&mut self, now: Instant) -> Result<(), RunError> {
        let switchboard = &self.host.switchboard;
        for effect in self.effects.drain() {
            match effect {
                Effect::ToClient { client, frame } => switchboard.send_to_client(client, &frame, now),
                Effect::ToPeer { peer, frame } => {
                    leaves(peer, &frame);
                    switchboard.send_to_peer(peer, &frame, now);
                }
                Effect::Gossip { peer, packet } => switchboard.send_datagram(peer, packet),
                Effect::Disk(request) => self.requests.push(request),
                Effect::Alarm(what) => alarm(&what),
                Effect::Observe(what) => self.observer.observe(what),
                Effect::Disconnect(peer) => self.host.switchboard.disconnect_peer(peer),
                Effect::Drain => self.told_to_stop = true,
                Effect::Halt(reason) => return Err(RunError::Halted(reason)),
                Effect::Abandon(reason) => return Err(RunError::RolledBack(reason)),
            }
        }
        Ok(())
    }
}
