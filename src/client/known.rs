//! Tables that are named with each request: looked up once, and again when the cluster has changed since.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use quorate_ring::{Epoch, Table};
use tokio::time::Instant;

use super::{CatalogError, Client, Failure, Profile, TableHandle};

/// The tables that were looked up, by name. Every change of a table begins an epoch, and every answer of a node tells of
/// its epoch: what was looked up at the newest one is true as far as this client can know.
#[derive(Debug, Default)]
pub(super) struct KnownTables {
    tables: Mutex<BTreeMap<String, Known>>,
}

/// A table as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The newest epoch that was known when it was looked up.
    epoch: Epoch,
    pub(super) name: Arc<str>,
    pub(super) table: Arc<RwLock<Table>>,
}

/// A table for a request that names it.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its handle, which goes by the request's profile.
    pub(crate) table: TableHandle,
    /// What looking it up has left of the request's time, if that was to be done.
    left: Option<Duration>,
}

impl Found {
    /// The handle for a request that looking the table up is part of.
    pub(crate) fn in_time(self) -> TableHandle {
        match self.left {
            Some(left) => self.table.with_profile(&Profile::new().timeout(left)),
            None => self.table,
        }
    }
}

impl Client {
    /// The table called `name`, for requests that go by `profile`. It is looked up if it was not since the cluster last
    /// changed, on the terms of the profile.
    ///
    /// # Errors
    /// As [`Client::table`].
    pub(crate) async fn known_table(&self, name: &str, profile: &Profile) -> Result<Found, CatalogError> {
        let session = self.session();
        // Before it is asked: a node that knows less than this asks for the map first (rule M5).
        let epoch = session.newest_epoch();
        if let Some(known) = session.known.at(name, epoch) {
            return Ok(Found { table: TableHandle::known(self.clone(), known, profile), left: None });
        }
        let terms = session.terms(profile);
        match self.find_table_by(name, &terms).await {
            Ok(table) => {
                let known = session.known.insert(table, epoch);
                let left = Some(terms.deadline.saturating_duration_since(Instant::now()));
                Ok(Found { table: TableHandle::known(self.clone(), known, profile), left })
            }
            Err(error) => {
                if matches!(error.failure(), Some(Failure::UnknownTable { .. })) {
                    session.known.lock().remove(name);
                }
                Err(error)
            }
        }
    }
}

impl KnownTables {
    /// The table called `name`, if it was looked up at `epoch` or later.
    fn at(&self, name: &str, epoch: Epoch) -> Option<Known> {
        self.lock().get(name).filter(|known| known.epoch >= epoch).cloned()
    }

    /// Those who use the table already see it as it is now, too.
    fn insert(&self, table: Table, epoch: Epoch) -> Known {
        let mut tables = self.lock();
        if let Some(known) = tables.get_mut(&table.name) {
            if epoch >= known.epoch {
                known.epoch = epoch;
                *known.table.write().unwrap_or_else(PoisonError::into_inner) = table;
            }
            return known.clone();
        }
        let name = table.name.clone();
        let known = Known { epoch, name: name.as_str().into(), table: Arc::new(RwLock::new(table)) };
        tables.insert(name, known.clone());
        known
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
