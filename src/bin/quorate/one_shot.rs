//! One request, then out.

use std::io::{self, IsTerminal, Read};

use bytes::Bytes;
use quorate::{
    client::{CatalogError, Client, TableHandle},
    cql::Column,
    shell::{Answer, Console, receipt_text},
    wire::Receipt,
};

use crate::{
    Failure,
    args::{Del, Get, Put},
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
    let table = table(&connect(&arguments.request.cluster).await?, &arguments.table).await?;
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
    let table = table(&connect(&arguments.request.cluster).await?, &arguments.table).await?;
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

/// Says so to a person; a script knows by the exit code.
fn applied(receipt: &Receipt, console: Console) {
    if io::stderr().is_terminal() {
        console.note(format_args!("applied; {}", receipt_text(receipt)));
    }
}

async fn table(client: &Client, name: &str) -> Result<TableHandle, Failure> {
    client.table(name).await.map_err(|error: CatalogError| Failure::request(error))
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
