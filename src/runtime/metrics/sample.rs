//! What is not counted where it happens but looked at: when somebody asks for the metrics, and when the disk is measured.

use metrics::{counter, gauge};
use quorate_storage::EngineStats;

#[cfg(feature = "cli")]
use crate::{node::Readiness, runtime::report::NodeReport};

/// A node says this of itself now.
#[cfg(feature = "cli")]
pub(in crate::runtime) fn sample(report: &NodeReport) {
    let NodeReport { readiness, peers, links, clients, clock_lead, clock_offsets, .. } = report;
    gauge!("quorate_ready").set(f64::from(u8::from(*readiness == Readiness::Ready)));
    gauge!("quorate_clients").set(*clients as f64);
    gauge!("quorate_clock_lead_seconds").set(clock_lead.as_secs_f64());
    for peer in peers {
        let link = links.iter().find(|link| link.peer == *peer);
        let labels = [("peer", peer.to_string())];
        gauge!("quorate_peer_connected", &labels).set(f64::from(u8::from(link.is_some())));
        let offset = clock_offsets.get(peer);
        let ahead = offset.map_or(f64::NAN, |offset| offset.ahead_us as f64 / 1e6);
        gauge!("quorate_clock_offset_seconds", &labels).set(ahead);
        let error = offset.map_or(f64::NAN, |offset| offset.error.as_secs_f64());
        gauge!("quorate_clock_offset_error_seconds", &labels).set(error);
        let round_trip = link.map_or(f64::NAN, |link| link.round_trip.as_secs_f64());
        gauge!("quorate_peer_round_trip_seconds", &labels).set(round_trip);
        gauge!("quorate_peer_waiting_bytes", &labels).set(link.map_or(0.0, |link| link.waiting_bytes as f64));
        if let Some(packets) = link.map(|link| link.packets) {
            counter!("quorate_peer_sent_packets_total", &labels).absolute(packets.sent);
            counter!("quorate_peer_lost_packets_total", &labels).absolute(packets.lost);
            counter!("quorate_peer_congestion_events_total", &labels).absolute(packets.congestion_events);
        }
    }
}

/// The disk was measured.
pub(in crate::runtime) fn measured(stats: &EngineStats) {
    let EngineStats { cache_bytes, write_buffer_bytes, disk_bytes, journal_bytes, free_bytes, .. } = stats;
    let EngineStats { flushes_waiting, compactions_running, compactions, .. } = stats;
    gauge!("quorate_disk_used_bytes").set(*disk_bytes as f64);
    gauge!("quorate_disk_free_bytes").set(*free_bytes as f64);
    gauge!("quorate_journal_bytes").set(*journal_bytes as f64);
    gauge!("quorate_write_buffer_bytes").set(*write_buffer_bytes as f64);
    gauge!("quorate_block_cache_bytes").set(*cache_bytes as f64);
    gauge!("quorate_flushes_waiting").set(*flushes_waiting as f64);
    gauge!("quorate_compactions_running").set(*compactions_running as f64);
    counter!("quorate_compactions_total").absolute(*compactions);
}
