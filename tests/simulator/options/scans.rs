//! Which runs have a client that scans.

use quorate::node::Mutant as CoreMutant;

use super::{KeyOptions, Options, Overrides};
use crate::{mutants::Mutant, random::Random};

impl Options {
    /// A client that reads tables of a few keys page by page, if that is drawn.
    pub(super) fn scan(&mut self, overrides: &Overrides) {
        let random = &mut Random::stream(self.seed, "scan");
        let wanted = [CoreMutant::ScanTrustsOneReplica, CoreMutant::ScanIgnoresCuts];
        let is_wanted = overrides.mutant.is_some_and(|mutant| wanted.map(Mutant::Core).contains(&mutant));
        let is_taken = self.torn || self.losing || self.forgetting || self.racing || self.rotting;
        if !(random.chance(200) || is_wanted) || is_taken {
            return;
        }
        (self.scans, self.page_rows) = (random.range(10, 60) as u32, random.range(1, 4) as u32);
        if (random.chance(500) || is_wanted) && !self.keys.crowded {
            let alike = KeyOptions { strict: true, expires: false, ..self.keys.keys[0] };
            // Many keys that are new to some replicas, some of which have missed what came before.
            self.keys.keys.resize(random.range(4, 16) as usize, alike);
            (self.operations, self.reads) = (80, 100);
            self.hint_bytes_max = 0;
        }
    }
}
