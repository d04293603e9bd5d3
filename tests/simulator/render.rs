//! Messages in a few words, for traces and transcripts.

use bytes::Bytes;
use quorate::{
    membership::{
        map::{ClusterMap, MapRecord},
        synod::Ballot,
    },
    ring::{NodeId, Tag},
    storage::{State, Version, Write},
    wire::{
        Answer, ClientMessage, ComparedAndSet, Comparison, Condition, Fetched, Forward, HeldAnswer, Parent,
        PeerMessage, PullScope, ScannedRow,
    },
};

use crate::workload::context_entries;

/// What a node says to a node.
pub(crate) fn peer(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Fetch(fetch) => {
            format!("fetch {} of {}", format!("{:?}", fetch.want).to_lowercase(), text(&fetch.key))
        }
        PeerMessage::Store(store) => format!("store {} {}", text(&store.key), state(&store.state)),
        PeerMessage::Fetched(fetched) => match &fetched.answer {
            Answer::State(Some(held)) => format!("holds {}", state(held)),
            Answer::Digest(Some((held, _))) => format!("holds digest {}", version(held)),
            Answer::Version(Some(held)) => format!("holds tag {}", version(held)),
            Answer::State(None) | Answer::Digest(None) | Answer::Version(None) => "holds nothing".to_owned(),
        },
        PeerMessage::Stored(stored) => format!("stored {}", tag(&stored.held)),
        PeerMessage::Refused(refused) => format!("refused: {}", refused.refusal),
        PeerMessage::Forward(Forward::Put(put)) => {
            format!("forward put {}={}", text(&put.key), text(&put.value))
        }
        PeerMessage::Forward(Forward::Delete(delete)) => format!("forward delete {}", text(&delete.key)),
        PeerMessage::Forwarded(forwarded) => match &forwarded.result {
            Ok(_) => "written".to_owned(),
            Err(error) => format!("error: {error}"),
        },
        PeerMessage::KeepHint(keep) => {
            format!("keep for {} {} {}", keep.owner, text(&keep.key), state(&keep.state))
        }
        PeerMessage::AskStanding(_) => "ask how far it is".to_owned(),
        PeerMessage::Standing(standing) if !standing.serves => "serves nothing".to_owned(),
        PeerMessage::Standing(standing) => match standing.recovering.len() {
            0 => "serves all tables".to_owned(),
            tables => format!("recovers {tables} tables"),
        },
        PeerMessage::Pull(pull) => match &pull.scope {
            PullScope::Key(key) => format!("pull {}", text(key)),
            PullScope::Ranges { ranges, after: None } => format!("pull {} ranges", ranges.len()),
            PullScope::Ranges { after: Some(_), .. } => "pull on".to_owned(),
        },
        PeerMessage::Pulled(pulled) => match &pulled.result {
            Ok(page) => {
                let states = page.states.iter();
                let keys: Vec<_> =
                    states.map(|(key, held)| format!("{} {}", text(key), state(held))).collect();
                format!("page of {}", if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") })
            }
            Err(why) => format!("no page: {why}"),
        },
        PeerMessage::FetchPage(_) | PeerMessage::PageFetched(_) => page_message(message),
        PeerMessage::RolledBack(_) => "your directory is a copy".to_owned(),
        PeerMessage::AfterLoss(after) => {
            let lost: Vec<_> = after.lives.iter().map(|(node, _)| *node).collect();
            let answer = match &after.answer {
                HeldAnswer::Fetched(fetched) => peer(&fetched.clone().into()),
                HeldAnswer::Stored(stored) => peer(&stored.clone().into()),
            };
            format!("{answer}, after losses of {}", nodes(&lost))
        }
        PeerMessage::Advance(advance) => format!("advance to {}", advance.to),
        PeerMessage::Advanced(advanced) => format!("advanced to {}", advanced.to),
        PeerMessage::Compare(_)
        | PeerMessage::Compared(_)
        | PeerMessage::CompareKeys(_)
        | PeerMessage::KeysCompared(_) => repair_message(message),
        about_the_map => map_message(about_the_map),
    }
}

fn page_message(message: &PeerMessage) -> String {
    match message {
        PeerMessage::FetchPage(fetch) => {
            let want = format!("{:?}", fetch.want).to_lowercase();
            format!(
                "fetch page of {} in {want}s, {} keys of {} ranges",
                fetch.table,
                fetch.rows_max,
                fetch.ranges.len()
            )
        }
        PeerMessage::PageFetched(page) => {
            let held = |(key, answer): &(Bytes, Answer)| {
                format!("{} {}", text(key), peer(&Fetched { answer: answer.clone(), clock: None }.into()))
            };
            let rows: Vec<_> = page.rows.iter().map(held).collect();
            let rows = if rows.is_empty() { "nothing".to_owned() } else { rows.join(" and ") };
            format!("page of {rows}{}", if page.until.is_some() { " and more" } else { "" })
        }
        _ => "something".to_owned(),
    }
}

fn repair_message(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Compare(compare) => {
            let branches = compare.branches.iter();
            let branches: Vec<_> =
                branches.map(|b| format!("{}+{} of set {} of {}", b.at, b.span, b.set, b.table)).collect();
            format!("compare {}", branches.join(", "))
        }
        PeerMessage::Compared(compared) => {
            let verdicts = compared.comparisons.iter().map(|verdict| match verdict {
                Comparison::Same => "same",
                Comparison::Differs(_) => "differs",
                Comparison::Unknown => "unknown",
            });
            verdicts.collect::<Vec<_>>().join(", ")
        }
        PeerMessage::CompareKeys(compare) => {
            let keys: Vec<_> = compare.keys.iter().map(|(key, _)| text(key)).collect();
            format!(
                "has {} of {}",
                if keys.is_empty() { "no key".to_owned() } else { keys.join(", ") },
                compare.table
            )
        }
        PeerMessage::KeysCompared(compared) => {
            let wanted: Vec<_> = compared.wanted.iter().map(text).collect();
            format!(
                "wants {}, gives {}",
                if wanted.is_empty() { "nothing".to_owned() } else { wanted.join(", ") },
                compared.given
            )
        }
        _ => "something".to_owned(),
    }
}

fn map_message(message: &PeerMessage) -> String {
    match message {
        PeerMessage::MapPrepare(prepare) => {
            format!("prepare {} after {}", ballot(prepare.ballot), parent(&prepare.parent))
        }
        PeerMessage::MapPromised(promised) => match &promised.accepted {
            Some((_, map)) => format!("promised {}, accepted {}", ballot(promised.ballot), map_in(map)),
            None => format!("promised {}", ballot(promised.ballot)),
        },
        PeerMessage::MapAccept(accept) => {
            format!("accept {} as {}", map_in(&accept.map), ballot(accept.ballot))
        }
        PeerMessage::MapAccepted(accepted) => {
            format!("accepted {} for {}", ballot(accepted.ballot), accepted.slot)
        }
        PeerMessage::MapOutbid(outbid) => format!("outbid {}", ballot(outbid.ballot)),
        PeerMessage::MapDecided(decided) => format!("decided {}", map_in(&decided.map)),
        PeerMessage::MapFetch(fetch) => format!("fetch map, knows {}", fetch.known),
        PeerMessage::MapFetched(fetched) => match &fetched.map {
            Some(map) => format!("has map {}", map_in(map)),
            None => format!("has no map above {}", fetched.epoch),
        },
        PeerMessage::MapInstalled(installed) => format!("goes by {}", installed.epoch),
        other => format!("{other:?}"),
    }
}

/// What clients and nodes say to each other.
pub(crate) fn client(message: &ClientMessage) -> String {
    match message {
        ClientMessage::Get(get) => format!("get {} at {}", text(&get.key), get.consistency),
        ClientMessage::Put(put) => {
            let ttl = put.ttl_ms.map_or(String::new(), |millis| format!(" for {millis} ms"));
            let (key, value, context) = (text(&put.key), text(&put.value), over(put.context.as_ref()));
            format!("put {key}={value} at {}{ttl}{context}", put.consistency)
        }
        ClientMessage::Delete(delete) => {
            let (key, context) = (text(&delete.key), over(delete.context.as_ref()));
            format!("delete {key} at {}{context}", delete.consistency)
        }
        ClientMessage::Scan(scan) => {
            let on = if scan.after.is_some() { " on" } else { "" };
            format!("scan {}{on} at {}, {} keys", scan.table, scan.consistency, scan.rows_max)
        }
        ClientMessage::Scanned(page) => {
            let row = |row: &ScannedRow| {
                let values: Vec<_> = row.values.iter().map(|version| text(&version.value)).collect();
                format!("{}={}", text(&row.key), values.join(" and "))
            };
            let rows: Vec<_> = page.rows.iter().map(row).collect();
            let rows = if rows.is_empty() { "nothing".to_owned() } else { rows.join(", ") };
            let (more, repaired) = (page.next.is_some(), page.receipt.repaired);
            let more = if more { ", and more" } else { "" };
            let repaired = if repaired { ", repaired" } else { "" };
            format!("page of {rows} from {}{repaired}{more}", nodes(&page.receipt.answered))
        }
        ClientMessage::CreateTable(create) => format!("create table {}", create.name),
        ClientMessage::AlterTable(alter) => format!("alter table {}", alter.name),
        ClientMessage::DropTable(drop) => format!("drop table {}", drop.name),
        ClientMessage::TruncateTable(truncate) => format!("truncate {}", truncate.name),
        ClientMessage::TableChanged(changed) => match &changed.table {
            Some(table) => format!("table {} is {}", table.name, table.id),
            None => "no such table any more".to_owned(),
        },
        ClientMessage::Got(got) => {
            let values: Vec<_> = got.values.iter().map(|version| text(&version.value)).collect();
            let values = if values.is_empty() { "nothing".to_owned() } else { values.join(" and ") };
            let repaired = if got.receipt.repaired { ", repaired" } else { "" };
            let monotone = if got.receipt.monotone { ", monotone" } else { "" };
            format!("got {values} from {}{repaired}{monotone}", nodes(&got.receipt.answered))
        }
        ClientMessage::Written(written) => {
            let tag = written.receipt.tag.as_ref().map_or(String::new(), tag);
            let by =
                written.receipt.forwarded_by.map_or(String::new(), |node| format!(", forwarded by {node}"));
            format!("written {tag} on {}{by}", nodes(&written.receipt.answered))
        }
        ClientMessage::CompareAndSet(swap) => {
            let (key, value) = (text(&swap.key), swap.value.as_ref().map_or("deleted".to_owned(), text));
            let condition = match &swap.condition {
                Condition::Absent => "it is absent".to_owned(),
                Condition::Present => "it is there".to_owned(),
                Condition::Value(value) => format!("it is {}", text(value)),
            };
            format!("put {key}={value} at {} if {condition}", swap.consistency)
        }
        ClientMessage::ComparedAndSet(done) => compared(done),
        ClientMessage::TableCreated(created) => format!("created table {}", created.table.name),
        ClientMessage::RequestError(error) => format!("error: {error}"),
        other => format!("{other:?}"),
    }
}

fn compared(done: &ComparedAndSet) -> String {
    let tag = done.receipt.tag.as_ref().map_or(String::new(), tag);
    let on = nodes(&done.receipt.answered);
    match &done.found {
        _ if done.applied => format!("written {tag} on {on}"),
        Some(found) => format!("not written, it is {} {tag} on {on}", text(&found.value)),
        None => format!("not written, it is absent {tag} on {on}"),
    }
}

/// What became durable.
pub(crate) fn write(write: &Write) -> String {
    match write {
        Write::Store { row, state: stored, .. } => format!("{} {}", text(&row.key), state(stored)),
        Write::Meta(quorate::storage::MetaWrite::ClusterMap(bytes)) => match MapRecord::decode(bytes) {
            Ok(record) => {
                let accepted = record.accepted.map(|vote| format!(", accepted {}", shown(&vote.value)));
                let promised = ballot(record.promised);
                format!("map {}, promised {promised}{}", shown(&record.map), accepted.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        },
        Write::Meta(quorate::storage::MetaWrite::Recovery(record)) => {
            format!("{} ranges of {} left", record.left.len(), record.table)
        }
        Write::Meta(quorate::storage::MetaWrite::ForgetRecovery(table)) => format!("{table} is gone"),
        Write::Hint { target, row, state: hinted } => {
            format!("hint for {target} {} {}", text(&row.key), state(hinted))
        }
        Write::Unhint { target, row, .. } => format!("hint for {target} {} forgotten", text(&row.key)),
        Write::Quarantine { row } => format!("{} copied to quarantine", text(&row.key)),
        Write::Restore { row, state: restored, .. } => {
            let restored = restored.as_ref().map_or_else(|| "nothing".to_owned(), state);
            format!("{} restored: {restored}", text(&row.key))
        }
        Write::Meta(quorate::storage::MetaWrite::Peer(record)) => {
            format!("{} start {}", record.node, record.life.starts)
        }
        Write::Digest(work) => format!("digests: {work:?}"),
        Write::Meta(_) => "clock bound".to_owned(),
        Write::Mint { row, dot, content, .. } => {
            let value = content.value().map_or("deleted".to_owned(), text);
            format!("{} made here: {value} {}", text(&row.key), tag(dot))
        }
        _ => "something".to_owned(),
    }
}

fn ballot(ballot: Ballot) -> String {
    if ballot == Ballot::ZERO { "nothing".to_owned() } else { format!("b{}", ballot.round) }
}

fn parent(parent: &Parent) -> String {
    match parent {
        Parent::Named(name) => name.epoch.to_string(),
        Parent::Whole(map) => map_in(map),
    }
}

fn map_in(bytes: &Bytes) -> String {
    ClusterMap::decode(bytes).map_or_else(|error| error.to_string(), |map| shown(&map))
}

fn shown(map: &ClusterMap) -> String {
    let tables: Vec<_> = map.tables().map(|table| format!("{}={}", table.name, table.id)).collect();
    format!("{} [{}]", map.epoch(), tables.join(" "))
}

/// A state.
pub(crate) fn state(state: &State) -> String {
    let contents = state.contents().map(|(dot, content)| {
        let value = content.value().map_or("deleted".to_owned(), text);
        let expires = content.expires().map_or(String::new(), |at| format!(" until {}", at.wall()));
        format!("{value} {}{expires}", tag(&dot))
    });
    let contents = contents.collect::<Vec<_>>().join(" | ");
    match state {
        State::Siblings(_) => format!("{contents} of all up to {}", version(&state.version())),
        State::Cas(acceptor) => {
            let ballot = acceptor.accepted().map_or(String::new(), |accepted| {
                let of = if acceptor.is_copy() { "copied of" } else { "of" };
                format!("{contents} {of} {}, ", tag(&accepted.ballot))
            });
            format!("{ballot}promised {}", tag(&acceptor.promised()))
        }
        _ => contents,
    }
}

fn over(context: Option<&Bytes>) -> String {
    let Some(context) = context else {
        return String::new();
    };
    let dots = context_entries(context).into_iter().map(|(actor, hlc)| tag(&Tag { hlc, actor }));
    let dots = dots.collect::<Vec<_>>().join(" ");
    format!(" over {}", if dots.is_empty() { "nothing" } else { &dots })
}

fn version(version: &Version) -> String {
    match version {
        Version::Tag(held) => tag(held),
        Version::Vector(vector) => vector.entries().map(|dot| tag(&dot)).collect::<Vec<_>>().join(" "),
    }
}

fn tag(tag: &Tag) -> String {
    format!("@{tag}")
}

fn nodes(ids: &[NodeId]) -> String {
    let ids: Vec<_> = ids.iter().map(NodeId::to_string).collect();
    ids.join(" ")
}

fn text(bytes: &Bytes) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') => text.to_owned(),
        _ => bytes.first_chunk().map_or("?".to_owned(), |value| format!("v{}", u64::from_be_bytes(*value))),
    }
}
