//! One request, then out.

use std::io::{self, IsTerminal, Read};

use bytes::Bytes;
use quorate::{
    client::{Client, CompareAndSet, Expected, New, TableHandle},
    cql::{Column, Term},
    shell::{Answer, Console, receipt_text, unknown_table},
    wire::{Failure::UnknownTable, Receipt},
};

use crate::{
    Failure,
    args::{Condition, Del, Get, Put, Request},
    cluster::connect,
};

pub(crate) async fn get(arguments: Get, console: Console) -> Result<(), Failure> {
    let key = term(&arguments.key)?;
    let table = table(&connect(&arguments.request.cluster).await?, &arguments.table).await?;
    let mut get = table.get(key.clone());
    if let Some(consistency) = arguments.request.consistency {
        get = get.consistency(consistency);
    }
    if arguments.monotone {
        get = get.monotone();
    }
    let read = get.await.map_err(Failure::request)?;
    let kind = table.definition().kind;
    let mut answer = Answer::new(&arguments.table, kind, &[Column::Value], console.format());
    answer.push(&key, &read);
    console.data(answer.grid())?;
    if !answer.conflicts().is_empty() {
        let (count, context) = (read.values().len(), read.context());
        console.note(format_args!(
            "{count} concurrent values; write the one that replaces them with --context {context}"
        ));
    }
    Ok(())
}

pub(crate) async fn put(arguments: Put, console: Console) -> Result<(), Failure> {
    let key = term(&arguments.key)?;
    let value = match &*arguments.value {
        "-" => {
            let mut value = Vec::new();
            io::stdin().lock().read_to_end(&mut value)?;
            value.into()
        }
        value => term(value)?,
    };
    let condition = match arguments.if_absent {
        true => Some(Expected::Absent),
        false => expected(&arguments.condition)?,
    };
    let table = table(&connect(&arguments.request.cluster).await?, &arguments.table).await?;
    if let Some(expected) = condition {
        return compare_and_set(table.compare_and_set(key, expected, value), &arguments.request, console)
            .await;
    }
    let mut put = table.put(key, value).sloppy(arguments.sloppy);
    if let Some(consistency) = arguments.request.consistency {
        put = put.consistency(consistency);
    }
    if let Some(ttl) = arguments.ttl {
        put = put.ttl(ttl);
    }
    if let Some(context) = &arguments.context {
        put = put.context(context);
    }
    let written = put.await.map_err(Failure::request)?;
    applied(written.receipt(), console);
    Ok(())
}

pub(crate) async fn del(arguments: Del, console: Console) -> Result<(), Failure> {
    let key = term(&arguments.key)?;
    let condition = expected(&arguments.condition)?;
    let table = table(&connect(&arguments.request.cluster).await?, &arguments.table).await?;
    if let Some(expected) = condition {
        let compare = table.compare_and_set(key, expected, New::Absent);
        return self::compare_and_set(compare, &arguments.request, console).await;
    }
    let mut delete = table.delete(key).sloppy(arguments.sloppy);
    if let Some(consistency) = arguments.request.consistency {
        delete = delete.consistency(consistency);
    }
    if let Some(context) = &arguments.context {
        delete = delete.context(context);
    }
    let written = delete.await.map_err(Failure::request)?;
    applied(written.receipt(), console);
    Ok(())
}

/// What the key is to hold, if that matters.
fn expected(condition: &Condition) -> Result<Option<Expected>, Failure> {
    Ok(match &condition.if_value {
        Some(value) => Some(Expected::Value(term(value)?)),
        None => condition.if_present.then_some(Expected::Present),
    })
}

/// A script goes on by the exit code: what was not applied has failed.
async fn compare_and_set(compare: CompareAndSet, request: &Request, console: Console) -> Result<(), Failure> {
    let compare = match request.consistency {
        Some(consistency) => compare.consistency(consistency),
        None => compare,
    };
    let compared = compare.await.map_err(Failure::request)?;
    if compared.is_applied() {
        applied(compared.receipt(), console);
        return Ok(());
    }
    let holds = compared.found().map_or("nothing".to_owned(), |value| written(value).to_string());
    Err(Failure::request(format_args!("the key holds {holds} (not applied)")))
}

/// A value as the language writes it.
fn written(value: &Bytes) -> Term {
    match std::str::from_utf8(value) {
        Ok(text) => Term::Text(text.to_owned()),
        Err(_) => Term::Blob(value.to_vec()),
    }
}

/// Says so to a person; a script knows by the exit code.
fn applied(receipt: &Receipt, console: Console) {
    if io::stderr().is_terminal() {
        console.note(format_args!("applied; {}", receipt_text(receipt)));
    }
}

async fn table(client: &Client, name: &str) -> Result<TableHandle, Failure> {
    let error = match client.table(name).await {
        Ok(table) => return Ok(table),
        Err(error) => error,
    };
    if !matches!(error.failure(), Some(UnknownTable { .. })) {
        return Err(Failure::request(error));
    }
    let tables = client.tables().await.map_err(Failure::request)?;
    Err(Failure::request(unknown_table(name, &tables)))
}

/// A key or value of the command line: text, or bytes as `0x..`.
pub(crate) fn term(text: &str) -> Result<Bytes, Failure> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(Bytes::copy_from_slice(text.as_bytes())) };
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<_>> = digits.as_bytes().chunks(2).map(byte).collect();
    let whole = digits.len() % 2 == 0 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    bytes.filter(|_| whole).map(Bytes::from).ok_or_else(|| {
        Failure::usage(format_args!("'{text}': 0x is followed by two hex digits for each byte"))
    })
}
