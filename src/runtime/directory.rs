//! Opening a data directory: whose it is, whether everything that it promised is there, and what becomes of it
//! if not.
//!
//! A directory holds the database in `db`, and beside it the high-water mark. One that lost something counts as
//! lost as a whole (rules S4 and V3): its database is put aside for the operator, and the node begins a new
//! life with an empty one.

#![expect(clippy::disallowed_methods, reason = "data directories are made here")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use metrics::counter;
use quorate_ring::{ClusterId, Incarnation, NodeId};
use quorate_storage::{
    Committer, EngineError, FjallEngine, FjallOptions, Identity, MetaError, RecordError, Recovered, Write,
    recover,
};
use tracing::{error, info};

use super::{
    ProcessSettings, StartError,
    mark::{Found, Mark, Promise, sync_directory, told, untell},
};
use crate::membership::map::{MapError, MapRecord};

/// Whose directory it must be.
pub(super) struct Owner<'a> {
    pub(super) cluster: ClusterId,
    pub(super) cluster_name: &'a str,
    pub(super) node: NodeId,
    pub(super) name: &'a str,
}

/// An open data directory.
pub(super) struct Opened {
    pub(super) engine: Arc<FjallEngine>,
    pub(super) committer: Committer,
    /// What it found, with the start of this process counted.
    pub(super) recovered: Recovered,
    pub(super) mark: Mark,
}

/// Opens `path` and makes it if it is missing. One that is another's is refused and left alone; one that lost
/// something comes back empty, as a new incarnation.
pub(super) fn open(path: &Path, owner: &Owner<'_>, settings: &ProcessSettings) -> Result<Opened, StartError> {
    let usual = FjallOptions::default();
    let options = FjallOptions {
        cache_bytes: settings.cache_bytes,
        write_buffer_bytes: staggered(settings.write_buffer_bytes, owner.node),
        journal_bytes_max: usual.journal_bytes_max.max(settings.write_buffer_bytes.saturating_mul(8)),
        disk_free_min: settings.disk_free_min,
        ..usual
    };
    let directory = Directory { path, owner, options, remembered_bytes: settings.state_cache_bytes };
    directory.open().map_err(|reason| StartError::DataDirectory { path: path.to_owned(), reason })
}

/// The write buffer of one of many nodes: between three quarters and the whole of `bytes`, the nodes spread evenly.
///
/// The replicas of a key take the same writes. With buffers of one size all of them would write theirs out at the same
/// moment, and a quorum would wait for the slowest two of that; so a quorum has the others meanwhile.
fn staggered(bytes: u64, node: NodeId) -> u64 {
    // Multiples of the golden ratio, modulo 1, lie apart, of a few dozen nodes far enough.
    let place = f64::from(node.0) * 0.618_033_988_749_895 % 1.0;
    let less = (bytes as f64 / 4.0 * place) as u64;
    (bytes - less).max(FjallOptions::WRITE_BUFFER_BYTES_MIN)
}

struct Directory<'a> {
    path: &'a Path,
    owner: &'a Owner<'a>,
    options: FjallOptions,
    /// What the committer may remember of what it wrote.
    remembered_bytes: u64,
}

/// What a directory turns out to be.
enum Verdict {
    Sound(Box<Opened>),
    /// It holds nothing yet.
    Fresh,
    Lost(String),
}

impl Directory<'_> {
    fn open(&self) -> Result<Opened, String> {
        fs::create_dir_all(self.path).map_err(|e| format!("cannot be created: {e}"))?;
        let opened = match self.judge()? {
            Verdict::Sound(opened) => *opened,
            Verdict::Fresh => self.begin()?,
            Verdict::Lost(why) => {
                self.set_aside(&why).map_err(|e| {
                    format!("counts as lost and cannot be put aside: {e}; it is lost because {why}")
                })?;
                self.begin()?
            }
        };
        self.count_start(opened)
    }

    /// Makes it durable that a process has started, before anyone hears of it (rule V3).
    fn count_start(&self, mut opened: Opened) -> Result<Opened, String> {
        let Opened { engine, committer, recovered, mark } = &mut opened;
        let incarnation = mark.promise().incarnation;
        let writes: Vec<_> =
            recovered.begin(|| self.identity(incarnation)).into_iter().map(Write::Meta).collect();
        let results = committer.run(&**engine, &writes);
        results.into_iter().try_for_each(|result| result.map(drop)).map_err(|e| e.to_string())?;
        mark.advance(committer.sequence());
        mark.sync();
        engine.enforce_bounds();
        Ok(opened)
    }

    fn judge(&self) -> Result<Verdict, String> {
        let found = Mark::find(self.path).map_err(|e| format!("its high-water mark cannot be read: {e}"))?;
        let mark = match found {
            Found::Nothing if !self.database().exists() => return Ok(Verdict::Fresh),
            Found::Nothing => return self.judge_unmarked("its high-water mark is missing"),
            Found::Damaged => return self.judge_unmarked("its high-water mark is damaged"),
            Found::Mark(mark) => mark,
        };
        let promise = mark.promise();
        if (promise.cluster, promise.node) != (self.owner.cluster, self.owner.node) {
            return Err(self.describe_stranger(&promise));
        }
        if let Some(why) = told(self.path).or_else(|| promise.distrusted.then(String::new)) {
            return Ok(Verdict::Lost(format!("the disk failed when it was used last: {why}")));
        }
        if !self.database().exists() {
            let lost = || Verdict::Lost("its database is gone".to_owned());
            return Ok(if promise.sequence == 0 { Verdict::Fresh } else { lost() });
        }
        let (engine, recovered) = match self.open_database(promise.sequence)? {
            Ok(opened) => opened,
            Err(why) => return Ok(Verdict::Lost(why)),
        };
        let Some(identity) = &recovered.identity else {
            return Ok(Verdict::Fresh);
        };
        check_owner(identity, self.owner)?;
        if identity.incarnation != promise.incarnation {
            return Ok(Verdict::Lost(
                "its database is not the one that its high-water mark is of".to_owned(),
            ));
        }
        let committer = Committer::new(&recovered).remembering(self.remembered_bytes);
        let opened = Opened { engine: Arc::new(engine), committer, recovered, mark };
        Ok(Verdict::Sound(Box::new(opened)))
    }

    /// A database without a mark: another's is refused, one that nobody has used yet is as good as none.
    fn judge_unmarked(&self, why: &str) -> Result<Verdict, String> {
        let identity = match self.open_database(0)? {
            Ok((_, recovered)) => recovered.identity,
            Err(worse) => return Ok(Verdict::Lost(format!("{why}, and {worse}"))),
        };
        let Some(identity) = identity else {
            return Ok(Verdict::Fresh);
        };
        check_owner(&identity, self.owner)?;
        Ok(Verdict::Lost(why.to_owned()))
    }

    /// Opens the database. The outer error leaves everything as it is, the inner one says what was lost.
    fn open_database(&self, promised: u64) -> Result<Result<(FjallEngine, Recovered), String>, String> {
        let options = FjallOptions { sequence_promised: promised, ..self.options.clone() };
        let engine = match FjallEngine::open(self.database(), &options) {
            Ok(engine) => engine,
            Err(EngineError::Lost(why)) => return Ok(Err(why)),
            Err(error) => return Err(explain(&error)),
        };
        match recover(&engine) {
            Ok(recovered) => match recovered.cluster_map.as_deref().map(MapRecord::decode).transpose() {
                Ok(_) => Ok(Ok((engine, recovered))),
                Err(MapError::UnknownVersion(_)) => Err(NEWER.to_owned()),
                Err(why) => Ok(Err(format!("its cluster map cannot be read: {why}"))),
            },
            Err(MetaError::Engine(EngineError::Damaged(why))) => Ok(Err(why)),
            Err(MetaError::Engine(error)) => Err(explain(&error)),
            Err(MetaError::Corrupt {
                error: RecordError::UnknownVersion(_) | RecordError::UnknownKind(_),
                ..
            }) => Err(NEWER.to_owned()),
            Err(other) => Ok(Err(other.to_string())),
        }
    }

    /// Begins a life with an empty database. The mark comes first: a database without one counts as lost.
    fn begin(&self) -> Result<Opened, String> {
        let Owner { cluster, node, .. } = *self.owner;
        let incarnation = Incarnation(rand::random());
        let promise = Promise { cluster, node, incarnation, sequence: 0, distrusted: false };
        let unwritten = |error: io::Error| format!("cannot be written: {error}");
        let mark = Mark::create(self.path, promise).map_err(unwritten)?;
        untell(self.path).map_err(unwritten)?;
        let engine = FjallEngine::open(self.database(), &self.options).map_err(|e| explain(&e))?;
        sync_directory(self.path).map_err(unwritten)?;
        let recovered = recover(&engine).map_err(|e| e.to_string())?;
        let committer = Committer::new(&recovered).remembering(self.remembered_bytes);
        info!(path = %self.path.display(), %incarnation, "fresh data directory");
        Ok(Opened { engine: Arc::new(engine), committer, recovered, mark })
    }

    /// Puts the database where nobody uses it, and says so.
    fn set_aside(&self, why: &str) -> io::Result<()> {
        counter!("quorate_data_directories_lost_total").increment(1);
        let aside = (1_u32..)
            .map(|n| self.path.join(format!("{DATABASE}.lost-{n}")))
            .find(|aside| !aside.exists())
            .ok_or_else(|| io::Error::other("no name is left"))?;
        let kept = match fs::rename(self.database(), &aside) {
            Ok(()) => aside.display().to_string(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "nowhere: there was none".to_owned(),
            Err(error) => return Err(error),
        };
        sync_directory(self.path)?;
        error!(
            path = %self.path.display(), why, kept,
            "the data directory counts as lost: the node starts empty, as a new incarnation, to be filled from its \
             peers; what is left of the old database is kept until you remove it"
        );
        Ok(())
    }

    fn describe_stranger(&self, promise: &Promise) -> String {
        let identity = self.open_database(0).ok().and_then(Result::ok).and_then(|(_, found)| found.identity);
        let told = identity.and_then(|identity| check_owner(&identity, self.owner).err());
        told.unwrap_or_else(|| {
            format!("it belongs to node {} of cluster {}; {ADVICE}", promise.node, promise.cluster)
        })
    }

    fn identity(&self, incarnation: Incarnation) -> Identity {
        let Owner { cluster, cluster_name, node, name } = *self.owner;
        Identity { cluster, cluster_name: cluster_name.to_owned(), node, name: name.to_owned(), incarnation }
    }

    fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

fn check_owner(identity: &Identity, owner: &Owner<'_>) -> Result<(), String> {
    if identity.cluster != owner.cluster {
        return Err(format!(
            "it belongs to cluster '{}' ({}), not to '{}' ({}), whose id its name and the founders' names, racks \
             and weights make; {ADVICE}",
            identity.cluster_name, identity.cluster, owner.cluster_name, owner.cluster
        ));
    }
    if identity.node != owner.node || identity.name != owner.name {
        return Err(format!("it belongs to node '{}', not to '{}'; {ADVICE}", identity.name, owner.name));
    }
    Ok(())
}

fn explain(error: &EngineError) -> String {
    match error {
        EngineError::Locked(_) => {
            "another process uses it: is this node running already? Stop it, or choose another `data_dir`"
                .to_owned()
        }
        EngineError::Refused(_) => format!("{error}; nothing was changed"),
        _ => format!("{error}; check the disk"),
    }
}

const NEWER: &str = "a newer release has written to it: run that one; nothing was changed";
const ADVICE: &str =
    "nothing was changed: correct the configuration, or give this node a `data_dir` of its own";
const DATABASE: &str = "db";

#[cfg(test)]
mod tests;
