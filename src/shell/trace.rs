//! Receipts for people (rule Q12).

use std::fmt::Write;

use quorate_ring::NodeId;

use super::ShellError;
use crate::{
    client::ReadError,
    wire::{Part, Receipt, ReplicaReport, RequestId},
};

/// A receipt on one line.
pub fn receipt_text(receipt: &Receipt) -> String {
    let Receipt { answered, .. } = receipt;
    let mut text = format!("{}; answered {}", headline(receipt), nodes(answered));
    for remark in remarks(receipt) {
        let _ = write!(text, "; {remark}");
    }
    text
}

/// A receipt as a small table: one line for each replica.
pub(super) fn receipt_table(what: &str, receipt: &Receipt) -> String {
    let part = |replica: &NodeId| receipt.reports.iter().find(|report| report.node == *replica);
    let table = Table { headline: headline(receipt), part: &part, unheard: "not waited for" };
    table.text(what, receipt)
}

/// The error of a read of `what`, with what its replicas did if that is wanted.
pub(super) fn not_read(what: &impl ToString, tracing: bool, error: ReadError) -> ShellError {
    let trace = || failure_trace(&what.to_string(), error.receipt(), error.request_id());
    let trace = tracing.then(trace).flatten();
    ShellError::Read { error, trace }
}

/// The same table of a request that failed; what the logs call it where no receipt has come.
pub(super) fn failure_trace(
    what: &str,
    receipt: Option<&Receipt>,
    request_id: Option<RequestId>,
) -> Option<String> {
    let Some(receipt) = receipt else {
        return request_id.map(|id| format!("{what}: no word of its replicas\n  in logs: request {id}"));
    };
    let Receipt { consistency, tag, .. } = receipt;
    let version = tag.map_or_else(String::new, |tag| format!(", version {tag} sent"));
    let headline = format!("level {consistency} asked for, {}{version}", circumstances(receipt));
    // A replica that was asked more than once, as for a page, shows the worst that it did.
    let part = |replica: &NodeId| {
        let of_it = receipt.reports.iter().filter(|report| report.node == *replica);
        of_it.max_by_key(|report| match report.part {
            Part::Failed => 2,
            Part::NoAnswer => 1,
            Part::Agreed | Part::Repaired | Part::KeptHint | Part::Answered => 0,
        })
    };
    Some(Table { headline, part: &part, unheard: "not asked" }.text(what, receipt))
}

/// One line for each replica, beneath what holds for all of them.
struct Table<'a> {
    headline: String,
    part: &'a dyn Fn(&NodeId) -> Option<&'a ReplicaReport>,
    /// Of a replica of which nothing is said.
    unheard: &'static str,
}

impl Table<'_> {
    fn text(&self, what: &str, receipt: &Receipt) -> String {
        let mut text = format!("{what}: {}", self.headline);
        let operation = receipt.operation.map(|id| format!("operation {id}"));
        let request = receipt.request_id.map(|id| format!("request {id}"));
        let ids: Vec<_> = operation.into_iter().chain(request).collect();
        if !ids.is_empty() {
            let _ = write!(text, "\n  in logs: {}", ids.join(", "));
        }
        text.push_str("\n  replica   latency  part");
        for replica in &receipt.replicas {
            let report = (self.part)(replica);
            let asked = report.filter(|report| report.latency_us > 0 || report.part != Part::Failed);
            let latency = asked.map_or_else(|| "-".to_owned(), |report| milliseconds(report.latency_us));
            let part = match report.map(|report| (report.part, report.why.as_str())) {
                Some((Part::Agreed, _)) => "agreed".to_owned(),
                Some((Part::Repaired, _)) => "repaired".to_owned(),
                Some((Part::KeptHint, _)) => "kept a hint".to_owned(),
                Some((Part::Answered, _)) => "answered".to_owned(),
                Some((Part::NoAnswer, _)) => "no answer".to_owned(),
                Some((Part::Failed, "")) => "failed".to_owned(),
                Some((Part::Failed, why)) => format!("failed: {why}"),
                None if receipt.answered.contains(replica) => "answered".to_owned(),
                None => self.unheard.to_owned(),
            };
            let role = if *replica == receipt.coordinator { " (coordinator)" } else { "" };
            let _ = write!(text, "\n  {:<7} {latency:>9}  {part}{role}", replica.to_string());
        }
        for remark in remarks(receipt) {
            let _ = write!(text, "\n  {remark}");
        }
        text
    }
}

fn headline(receipt: &Receipt) -> String {
    let Receipt { consistency, tag, .. } = receipt;
    let version = tag.map_or_else(|| "none".to_owned(), |tag| tag.to_string());
    format!("level {consistency}, {}, version {version}", circumstances(receipt))
}

fn circumstances(receipt: &Receipt) -> String {
    let Receipt { coordinator, epoch, rounds, .. } = receipt;
    let rounds = format!("{rounds} round{}", if *rounds == 1 { "" } else { "s" });
    format!("coordinated by {coordinator}, epoch {}, {rounds}", epoch.0)
}

/// What is out of the ordinary.
fn remarks(receipt: &Receipt) -> Vec<String> {
    let Receipt { repaired, monotone, hinted, forwarded_by, .. } = receipt;
    [
        repaired.then(|| "repaired: replicas disagreed and were brought together".to_owned()),
        (!hinted.is_empty()).then(|| format!("hints left for {}", nodes(hinted))),
        forwarded_by.map(|node| format!("forwarded by {node}, which is no replica of the key")),
        monotone.then(|| "monotone: settled for less than linearizable".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn nodes(ids: &[NodeId]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn milliseconds(us: u32) -> String {
    format!("{:.2} ms", f64::from(us) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Consistency, Epoch, Hlc, Tag};

    use super::*;
    use crate::wire::OperationId;

    fn receipt() -> Receipt {
        let report = |node, latency_us, part, why: &str| {
            let (node, why) = (NodeId(node), why.to_owned());
            ReplicaReport { node, latency_us, part, why }
        };
        Receipt {
            coordinator: NodeId(2),
            epoch: Epoch(4),
            consistency: Consistency::Quorum,
            replicas: [2, 3, 1, 4, 6, 7].map(NodeId).to_vec(),
            answered: vec![NodeId(2), NodeId(4)],
            tag: Some(Tag { hlc: Hlc(70_000), actor: Actor(0xab) }),
            repaired: true,
            monotone: true,
            rounds: 2,
            reports: vec![
                report(2, 310, Part::Agreed, ""),
                report(3, 12_345, Part::Repaired, ""),
                report(6, 0, Part::Failed, "is down"),
                report(7, 400, Part::KeptHint, ""),
            ],
            hinted: vec![NodeId(1)],
            forwarded_by: Some(NodeId(5)),
            operation: Some(OperationId(0x2a)),
            request_id: Some(RequestId(0x1f)),
        }
    }

    #[test]
    fn a_trace_says_what_each_replica_did() {
        let version = "version 1.4464@00000000000000ab";
        assert_eq!(
            receipt_table("SELECT 'a'", &receipt()),
            format!(
                "SELECT 'a': level QUORUM, coordinated by n2, epoch 4, 2 rounds, {version}\n\
                 \u{20} in logs: operation 0000000000002a, request 000000000000001f\n\
                 \u{20} replica   latency  part\n\
                 \u{20} n2        0.31 ms  agreed (coordinator)\n\
                 \u{20} n3       12.35 ms  repaired\n\
                 \u{20} n1              -  not waited for\n\
                 \u{20} n4              -  answered\n\
                 \u{20} n6              -  failed: is down\n\
                 \u{20} n7        0.40 ms  kept a hint\n\
                 \u{20} repaired: replicas disagreed and were brought together\n\
                 \u{20} hints left for n1\n\
                 \u{20} forwarded by n5, which is no replica of the key\n\
                 \u{20} monotone: settled for less than linearizable"
            )
        );
    }

    #[test]
    fn a_trace_of_a_failure_says_who_did_not_answer_and_claims_no_level() {
        let report = |node, latency_us, part, why: &str| {
            let (node, why) = (NodeId(node), why.to_owned());
            ReplicaReport { node, latency_us, part, why }
        };
        let failed = Receipt {
            answered: vec![NodeId(2)],
            repaired: false,
            monotone: false,
            reports: vec![
                report(2, 310, Part::Agreed, ""),
                report(3, 0, Part::Answered, ""),
                report(3, 250_000, Part::NoAnswer, ""),
                report(4, 7_000, Part::Failed, "its connection was lost"),
                report(6, 0, Part::Failed, "is down"),
                report(7, 90, Part::Answered, ""),
            ],
            hinted: vec![NodeId(6)],
            forwarded_by: None,
            ..receipt()
        };
        let version = "version 1.4464@00000000000000ab sent";
        assert_eq!(
            failure_trace("'a'", Some(&failed), None).as_deref(),
            Some(
                format!(
                    "'a': level QUORUM asked for, coordinated by n2, epoch 4, 2 rounds, {version}\n\
                     \u{20} in logs: operation 0000000000002a, request 000000000000001f\n\
                     \u{20} replica   latency  part\n\
                     \u{20} n2        0.31 ms  agreed (coordinator)\n\
                     \u{20} n3      250.00 ms  no answer\n\
                     \u{20} n1              -  not asked\n\
                     \u{20} n4        7.00 ms  failed: its connection was lost\n\
                     \u{20} n6              -  failed: is down\n\
                     \u{20} n7        0.09 ms  answered\n\
                     \u{20} hints left for n6"
                )
                .as_str()
            )
        );
    }

    #[test]
    fn a_failure_without_a_receipt_is_still_found_in_logs() {
        let trace = failure_trace("'a'", None, Some(RequestId(0x1f)));
        let expected = "'a': no word of its replicas\n  in logs: request 000000000000001f";
        assert_eq!(trace.as_deref(), Some(expected));
        assert_eq!(failure_trace("'a'", None, None), None, "nothing was sent");
    }

    #[test]
    fn a_line_says_as_much_as_a_line_can() {
        let plain = Receipt {
            repaired: false,
            monotone: false,
            rounds: 1,
            hinted: Vec::new(),
            forwarded_by: None,
            tag: None,
            ..receipt()
        };
        let text = "level QUORUM, coordinated by n2, epoch 4, 1 round, version none; answered n2 n4";
        assert_eq!(receipt_text(&plain), text);
    }
}
