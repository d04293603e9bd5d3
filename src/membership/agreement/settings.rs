//! What is set alike on all nodes, in the cluster map.
//!
//! Nodes that are set differently refuse each other when they meet, so those that are connected are of one mind, and a
//! majority of them decides. The map writes down what that is: the first member proposes what it runs with, where
//! the map says otherwise. That is so after the founding, and after an operator has changed a setting on every node. The
//! change is made as any other; that it is late, or lost and proposed again, harms nobody.

use quorate_ring::Duration;
use rand::RngExt;

use super::Agreement;
use crate::{
    membership::map::{Change, ChangeId},
    node::Turn,
};

impl Agreement {
    /// Proposes this node's settings if that is its part and the map has others.
    pub(super) fn look_at_settings(&mut self, turn: &mut Turn<'_>) {
        let (now, newest) = (turn.now.mono, self.keeper.newest());
        // Asked after each event, so the settings themselves are looked at once for each map.
        if self.settings_agree_at == Some(newest.epoch()) {
            return;
        }
        if turn.config.settings.is_empty() || *newest.settings() == turn.config.settings {
            self.settings_agree_at = Some(newest.epoch());
            return self.withdraw_settings(turn);
        }
        if self.settings_at.is_some_and(|at| at > now)
            || newest.members().min() != Some(turn.config.node)
            || !self.keeper.serves()
        {
            return;
        }
        self.settings_at = Some(now + SETTINGS_AGAIN);
        let id = ChangeId { since: newest.epoch(), number: self.random.random() };
        self.withdraw_settings(turn);
        self.settings_id = Some(id);
        self.propose(turn, id, Change::Settings(turn.config.settings.clone()));
    }

    /// Once the map agrees, a proposal that is still undecided would make another map that differs from it in nothing.
    fn withdraw_settings(&mut self, turn: &mut Turn<'_>) {
        if let Some(id) = self.settings_id.take() {
            self.keeper.expire(id, &mut self.todo);
            self.carry_out(turn);
        }
    }
}

/// Proposed again at the first event after this, if the map still has others.
const SETTINGS_AGAIN: Duration = Duration::from_secs(10);
