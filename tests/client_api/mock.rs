//! Faults that are ordered of the mock, and what becomes of requests that meet them.

use std::{sync::Arc, time::Duration};

use quorate::client::{
    Cause, Client, FailedAttempt, Failure, Fault, Mock, NoRetries, Outcome, Profile, Retry, RetryPolicy,
    TableHandle, TableKind, UpdateError, WriteError,
};

use quorate::ring::NodeId;

use super::observer::Heard;

/// Would try anything again.
#[derive(Debug)]
pub(crate) struct Stubborn;

impl RetryPolicy for Stubborn {
    fn decide(&self, failed: &FailedAttempt<'_>) -> Retry {
        assert!(!matches!(failed.cause, Cause::Failed(Failure::BadRequest(_))), "none was ordered");
        Retry::Elsewhere
    }
}

async fn start() -> (Mock, TableHandle, Arc<Heard>) {
    let (mock, heard) = (Mock::new(), Arc::new(Heard::default()));
    let client = Client::builder().observer(heard.clone()).build_mock(&mock);
    client.create_table("t").kind(TableKind::Register).await.unwrap();
    client.create_table("carts").await.unwrap();
    let table = client.table("t").await.unwrap();
    heard.take();
    (mock, table, heard)
}

fn overloaded() -> Fault {
    Fault::Refused(Failure::Overloaded { retry_after_ms: 1 })
}

#[tokio::test]
async fn every_fault_does_what_it_says() {
    let (mock, table, _) = start().await;
    let consistency = quorate::client::Consistency::Quorum;
    let unavailable = Failure::Unavailable { consistency, required: 2, alive: 1 };
    let faults = [
        (Fault::Refused(unavailable), Outcome::NotApplied, false),
        (Fault::UnknownApplied, Outcome::Unknown, true),
        (Fault::UnknownNotApplied, Outcome::Unknown, false),
        (Fault::Silence, Outcome::Unknown, false),
    ];
    for (fault, outcome, applied) in faults {
        mock.fail_next_write(fault.clone());
        let key = format!("{fault:?}");
        let error = table.put(key.clone(), "v").timeout(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(error.outcome(), outcome, "{fault:?}: {error}");
        assert_eq!((error.receipt(), error.request_id()), (None, None), "there are no replicas and no logs");
        assert_eq!(table.get(key).await.unwrap().values().len(), usize::from(applied), "{fault:?}");
    }
    mock.fail_next_write(Fault::UnknownApplied);
    let error = table.put("", "v").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied, "what is refused in any case: {error}");
}

#[tokio::test]
async fn what_was_refused_is_tried_again_unless_the_policy_says_no() {
    let (mock, table, heard) = start().await;
    mock.fail_next_write(overloaded());
    mock.fail_next_write(Fault::Refused(Failure::Recovering));
    table.put("k", "v").await.unwrap();
    let expected = [
        "attempt 1: put t QUORUM: not applied",
        "attempt 2: put t QUORUM: not applied",
        "attempt 3: put t QUORUM: applied",
        "request 3: put t QUORUM: applied",
    ];
    assert_eq!(heard.take(), expected);

    mock.fail_next_read(overloaded());
    let error = table.get("k").profile(&Profile::new().retries(NoRetries)).await.unwrap_err();
    assert!(matches!(error.failure(), Some(Failure::Overloaded { .. })), "{error}");
    assert_eq!(heard.take().len(), 2, "one attempt");
    assert!(table.get("k").await.unwrap().value().unwrap().is_some());
}

#[tokio::test]
async fn no_policy_repeats_what_may_have_been_applied_unless_it_is_idempotent() {
    let (mock, table, heard) = start().await;
    let stubborn = table.with_profile(&Profile::new().retries(Stubborn));
    for fault in [Fault::UnknownApplied, Fault::UnknownNotApplied] {
        mock.fail_next_write(fault.clone());
        let error = stubborn.put("k", "v").await.unwrap_err();
        assert!(matches!(error, WriteError::ConnectionLost { outcome: Outcome::Unknown, .. }), "{error}");
        assert_eq!(heard.take().len(), 2, "rule Q10: one attempt");

        mock.fail_next_write(fault.clone());
        stubborn.delete("k").await.unwrap_err();
        assert_eq!(heard.take().len(), 2);

        mock.fail_next_write(fault);
        stubborn.put("k", "v").idempotent(true).await.unwrap();
        assert_eq!(heard.take().len(), 3, "two attempts");
    }
    // Not applied at last is still unknown if it was unknown once.
    mock.fail_next_write(Fault::UnknownNotApplied);
    mock.fail_next_write(Fault::Refused(Failure::BadContext("x".to_owned())));
    let error = table.put("k", "v").idempotent(true).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");

    mock.fail_next_read(Fault::UnknownNotApplied);
    heard.take();
    table.get("k").await.unwrap();
    assert_eq!(heard.take().len(), 3, "a read may be made again");
}

#[tokio::test]
async fn an_update_is_never_repeated_blindly() {
    let (mock, _, heard) = start().await;
    let idempotent = Profile::new().idempotent(true).retries(Stubborn);
    let client = Client::builder().profile(&idempotent).observer(heard.clone()).build_mock(&mock);
    let carts = client.table("carts").await.unwrap();
    heard.take();
    mock.fail_next_write(Fault::UnknownApplied);
    let error = carts.update("k", |values| format!("{} values", values.len())).await.unwrap_err();
    assert!(matches!(&error, UpdateError::Write(error) if error.outcome() == Outcome::Unknown), "{error}");
    assert_eq!(carts.get("k").await.unwrap().values(), ["0 values"], "once");
}

#[tokio::test]
async fn a_read_leaves_a_node_that_takes_too_long() {
    let (mock, table, heard) = start().await;
    table.put("k", "v").await.unwrap();
    heard.take();
    let quick = Profile::new().attempt_timeout(Duration::from_millis(20));
    mock.fail_next_read(Fault::Silence);
    mock.fail_next_read(Fault::Silence);
    let read = table.get("k").profile(&quick).await.unwrap();
    assert_eq!(read.value(), Ok(Some(&"v".into())));
    assert_eq!(read.receipt().coordinator, NodeId(3), "the third that was asked");
    assert_eq!(heard.take().last().unwrap(), "request 3: get t QUORUM: applied");

    mock.fail_next_write(Fault::Silence);
    let error = table.put("k", "w").profile(&quick).await.unwrap_err();
    assert!(matches!(error, WriteError::TimedOut { outcome: Outcome::Unknown, .. }), "{error}");
    mock.fail_next_write(Fault::Silence);
    table.put("k", "w").profile(&quick).idempotent(true).await.unwrap();
}

#[tokio::test]
async fn a_read_that_is_hedged_is_answered_by_whoever_is_quicker() {
    let (mock, table, heard) = start().await;
    table.put("k", "v").await.unwrap();
    let hedged =
        table.with_profile(&Profile::new().hedge_after(Duration::from_millis(20)).retries(NoRetries));
    let coordinator = async || hedged.get("k").await.unwrap().receipt().coordinator;
    assert_eq!(coordinator().await, NodeId(1), "nobody else is asked in vain");
    mock.fail_next_read(Fault::Silence);
    heard.take();
    assert_eq!(coordinator().await, NodeId(2));
    assert_eq!(heard.take(), ["attempt 1: get t QUORUM: applied", "request 1: get t QUORUM: applied"]);
    mock.fail_next_read(Fault::Silence);
    let page = hedged.scan().next_page().await.unwrap().unwrap();
    assert_eq!((page.rows.len(), page.receipt.coordinator), (1, NodeId(2)));

    // One of them fails: the other is waited for.
    mock.fail_next_read(Fault::Silence);
    mock.fail_next_read(Fault::Refused(Failure::Recovering));
    let timeout = Duration::from_millis(100);
    let error = hedged.get("k").timeout(timeout).await.unwrap_err();
    assert!(matches!(error, quorate::client::ReadError::TimedOut { .. }), "{error}");

    mock.fail_next_write(Fault::Silence);
    let error = hedged.put("k", "w").timeout(timeout).idempotent(true).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "a write is never hedged");
}

#[tokio::test]
async fn clients_of_one_mock_share_its_tables() {
    let (mock, table, _) = start().await;
    table.put("k", "v").await.unwrap();
    let other = mock.clone().client().table("t").await.unwrap();
    assert_eq!(other.get("k").await.unwrap().value(), Ok(Some(&"v".into())));
    assert!(Mock::new().client().table("t").await.is_err());
}
