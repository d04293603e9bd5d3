//! Having the disk write a backup of what this node holds. The node says what is to be in it; the driver holds the files.

use quorate_ring::TableId;
use quorate_storage::{BackupData, BackupManifest, BackupName, BackupTable};

use super::{ClientId, DiskOperation, DiskRequest, DiskResult, Effect, Ticket, Turn};
use crate::{
    coordinator::{answer, refuse},
    wire::{BackUp, BackupDescribed, Failure, Header, RequestError},
};

/// What the disk is to do about backups.
#[derive(Clone, Debug)]
pub enum BackupWork {
    /// Begin one, and say how far it is.
    Begin(Box<BackupOrder>),
    /// Say how far the last one is.
    Describe,
}

/// A backup to be written.
#[derive(Clone, Debug)]
pub struct BackupOrder {
    /// What it is called.
    pub name: BackupName,
    /// How fast it is written at most; none for the driver's own bound.
    pub bytes_per_s: Option<u64>,
    /// What it is of. What is in it is not known yet.
    pub manifest: BackupManifest,
}

/// Who asked about a backup.
#[derive(Clone, Debug)]
pub struct BackupAsked {
    client: ClientId,
    header: Header,
}

/// Has the disk begin a backup of all tables.
pub(super) fn begin(turn: &mut Turn<'_>, client: ClientId, header: Header, asked: BackUp) {
    let name = match BackupName::try_from(asked.name) {
        Ok(name) => name,
        Err(why) => return refused(turn, client, header, why.to_string()),
    };
    let order = BackupOrder { name, bytes_per_s: asked.bytes_per_s, manifest: manifest(turn) };
    ask(turn, client, header, BackupWork::Begin(Box::new(order)));
}

/// Asks the disk how far the backup is.
pub(super) fn describe(turn: &mut Turn<'_>, client: ClientId, header: Header) {
    ask(turn, client, header, BackupWork::Describe);
}

/// The disk has said so.
pub(super) fn described(turn: &mut Turn<'_>, asked: BackupAsked, result: DiskResult) {
    let BackupAsked { client, header } = asked;
    match result {
        DiskResult::Backup(Ok(backup)) => {
            let node = turn.config.node;
            let backup = backup.map(|status| *status);
            answer(turn, client, header, BackupDescribed { node, backup }.into());
        }
        DiskResult::Backup(Err(why)) => refused(turn, client, header, why),
        // Nobody waits for it any more.
        _ => {}
    }
}

fn ask(turn: &mut Turn<'_>, client: ClientId, header: Header, work: BackupWork) {
    let ticket = Ticket::Backup(Box::new(BackupAsked { client, header }));
    let operation = DiskOperation::Backup(work);
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: header.deadline, operation }));
}

fn refused(turn: &mut Turn<'_>, client: ClientId, header: Header, why: String) {
    refuse(turn, client, header, RequestError::not_applied(Failure::BadRequest(why)));
}

fn manifest(turn: &Turn<'_>) -> BackupManifest {
    let own = turn.config.node;
    let recovering: Vec<TableId> = turn.catalog.recovering().map(|(table, _)| table.id).collect();
    let table = |table: &std::sync::Arc<quorate_ring::Table>| BackupTable {
        table: (**table).clone(),
        whole: !recovering.contains(&table.id),
        records: 0,
    };
    BackupManifest {
        format: BackupManifest::FORMAT,
        cluster: turn.ring.cluster_id(),
        cluster_name: turn.config.cluster_name.clone(),
        nodes: turn.ring.members().len() as u64,
        epoch: turn.epoch,
        node: own,
        node_name: turn.ring.member(own).map(|member| member.name.clone()).unwrap_or_default(),
        incarnation: turn.lives.own().incarnation,
        taken_us: turn.now.wall.0,
        tables: turn.catalog.tables().map(table).collect(),
        damaged: 0,
        data: BackupData::default(),
    }
}
