//! Every metric there is, in the order in which they are shown.

use metrics::Unit;

/// One metric: all series of a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Its base unit; a count of things without one.
    pub(super) unit: Unit,
    /// What its series differ in: few values each.
    #[cfg_attr(not(test), expect(dead_code, reason = "who counts says them; a test compares"))]
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// What a metric's value does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// It only rises, until the process ends.
    Counter,
    /// It is what it is at the moment.
    Gauge,
    /// How many values there were, and their sum; how many of them were at most each of these.
    Histogram(&'static [f64]),
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Unit::Count, labels, help }
}

const fn histogram(
    name: &'static str,
    bounds: &'static [f64],
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram(bounds), unit: Unit::Count, labels, help }
}

impl Metric {
    const fn seconds(self) -> Self {
        Self { unit: Unit::Seconds, ..self }
    }

    const fn bytes(self) -> Self {
        Self { unit: Unit::Bytes, ..self }
    }
}

/// Bounds of times: from what memory takes to what a client waits for at most.
const TIMES: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];
/// Bounds of how many.
const NUMBERS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "quorate_info",
        &["node", "version"],
        "1; the labels say which node this is, and of which version its program",
    ),
    gauge(
        "quorate_ready",
        &[],
        "1 if the node takes requests and answers for all of its keys, else 0; `/readyz` says why",
    ),
    // Requests.
    counter(
        "quorate_requests_total",
        &["operation", "consistency", "origin", "outcome"],
        "requests for a key that this node coordinated, by what became of them",
    ),
    histogram(
        "quorate_request_seconds",
        TIMES,
        &["operation", "consistency", "origin"],
        "how long these requests took, from the request to the answer, as the coordinator saw it",
    )
    .seconds(),
    counter(
        "quorate_overloaded_total",
        &[],
        "requests that were turned away at once because they would have waited for too long",
    ),
    counter("quorate_expired_total", &[], "requests that were dropped because nobody waited for them any more"),
    counter("quorate_hedges_total", &[], "replicas that were asked because others were slow"),
    counter(
        "quorate_read_digest_mismatches_total",
        &[],
        "reads whose replicas' digests disagreed, so that their states were asked for: a round more",
    ),
    counter("quorate_read_repairs_total", &[], "reads that found replicas to differ and brought them together"),
    gauge("quorate_clients", &[], "clients that are connected"),
    // The clock.
    gauge(
        "quorate_clock_lead_seconds",
        &[],
        "how far the hybrid clock is ahead of this node's wall clock: so far at least is another node's wall clock ahead \
         of it, or it stepped back itself",
    )
    .seconds(),
    gauge(
        "quorate_clock_offset_seconds",
        &["peer"],
        "how far the peer's wall clock was ahead of this node's when it was last asked, less than 0 if it was behind; NaN \
         before that, and while the peer is not up",
    )
    .seconds(),
    gauge(
        "quorate_clock_offset_error_seconds",
        &["peer"],
        "how much more or less that may have been: half of the time from the question to the answer",
    )
    .seconds(),
    // The disk.
    histogram(
        "quorate_commit_seconds",
        TIMES,
        &[],
        "how long it took to write one batch and sync it, waits for memory to be written out included: a stalled disk \
         shows here",
    )
    .seconds(),
    histogram("quorate_commit_batch_writes", NUMBERS, &[], "writes that went to disk with one sync"),
    counter("quorate_commit_errors_total", &[], "batches that could not be written"),
    gauge("quorate_disk_used_bytes", &[], "bytes of the database on disk, journals included").bytes(),
    gauge("quorate_disk_free_bytes", &[], "bytes that the file system has left for the node").bytes(),
    gauge("quorate_journal_bytes", &[], "bytes of journals, which a start replays").bytes(),
    gauge("quorate_write_buffer_bytes", &[], "bytes of writes in memory that are not in tables yet").bytes(),
    gauge("quorate_block_cache_bytes", &[], "bytes of blocks from disk that are kept in memory").bytes(),
    gauge("quorate_flushes_waiting", &[], "write buffers that wait to be written out as tables"),
    gauge("quorate_compactions_running", &[], "compactions that are under way"),
    counter("quorate_compactions_total", &[], "compactions that were done"),
    counter(
        "quorate_data_directories_lost_total",
        &[],
        "data directories that were given up as lost when the process started",
    ),
    counter("quorate_backups_total", &["outcome"], "backups of this node that were written: done, or failed"),
    counter("quorate_backup_bytes_total", &[], "bytes that were written for backups").bytes(),
    gauge(
        "quorate_backup_finished_timestamp_seconds",
        &[],
        "when a backup was last done, in seconds since 1970, if one was since the process started",
    )
    .seconds(),
    // Peers.
    gauge("quorate_peers_up", &[], "peers that are connected, known to be who they say they are, and act as members"),
    gauge("quorate_peer_connected", &["peer"], "1 if there is a connection to the peer, else 0"),
    gauge("quorate_peer_round_trip_seconds", &["peer"], "the round trip to the peer, smoothed; NaN without one")
        .seconds(),
    gauge("quorate_peer_waiting_bytes", &["peer"], "bytes that wait for the peer to read them").bytes(),
    counter("quorate_peer_sent_packets_total", &["peer"], "QUIC packets that were sent to the peer"),
    counter(
        "quorate_peer_lost_packets_total",
        &["peer"],
        "QUIC packets on the way to the peer that were taken for lost",
    ),
    counter(
        "quorate_peer_congestion_events_total",
        &["peer"],
        "how often losses on the way to the peer slowed this node down",
    ),
    counter(
        "quorate_peer_sent_bytes_total",
        &["peer", "work"],
        "bytes of frames that were sent to the peer: for requests, handoff, repair or recovery",
    )
    .bytes(),
    // Gossip.
    counter("quorate_gossip_verdicts_total", &["state"], "changes of gossip's verdict on a member"),
    counter("quorate_gossip_objections_total", &[], "how often this node was suspected, and objected"),
    counter("quorate_gossip_lives_raised_total", &[], "how often another process under this node's name was heard of"),
    counter("quorate_stalls_total", &[], "how often this process was stopped or starved"),
    histogram("quorate_stall_seconds", TIMES, &[], "for how long this process was stopped or starved").seconds(),
    // Hints.
    gauge("quorate_hints", &["target"], "hints that are kept for a node that missed writes"),
    gauge("quorate_hint_bytes", &["target"], "their bytes").bytes(),
    gauge("quorate_hint_oldest_seconds", &["target"], "how long ago the oldest of them was written").seconds(),
    counter("quorate_hints_replayed_total", &[], "hints that were given to their target"),
    counter("quorate_hints_dropped_total", &[], "hints that were given up: too many, too old, or no room"),
    // Repair.
    gauge(
        "quorate_repair_agreed_seconds_ago",
        &["peer", "table"],
        "how long ago this node and the peer were last found to hold the same of a table, all ranges that both hold \
         counted; NaN if of one of them they were not since the process started",
    )
    .seconds(),
    gauge(
        "quorate_repair_range_agreed_seconds_ago",
        &["peer", "table", "range"],
        "the same of one range: the keys that certain nodes hold together, those being its name",
    )
    .seconds(),
    gauge(
        "quorate_series_left_out",
        &["metric"],
        "how many series of the metric are left out beside the 1,000 that are the longest ago; NaN while none can be told",
    ),
    counter("quorate_repair_agreements_total", &[], "comparisons of a table and range that found nothing"),
    counter(
        "quorate_repair_comparisons_total",
        &["peer", "outcome"],
        "comparisons with the peer that this node began: agreed, found something, or failed",
    ),
    gauge(
        "quorate_repair_differing_cells",
        &["peer"],
        "in how many slices of the ring the last comparison found a difference",
    ),
    counter("quorate_repaired_records_total", &[], "records that peers were given because they lacked them"),
    gauge("quorate_digest_cells_left", &[], "slices whose sums are still to be worked out"),
    counter("quorate_scrubbed_bytes_total", &[], "bytes of records that were read and verified").bytes(),
    counter("quorate_refetched_records_total", &[], "damaged records that were replaced from other replicas"),
    gauge("quorate_recovery_ranges_left", &["table"], "ranges of a table that a node which lost its disk still lacks"),
    // What must not be.
    counter(
        "quorate_alarms_total",
        &["alarm"],
        "things that must not happen, or should not; the log has a line for each",
    ),
];
