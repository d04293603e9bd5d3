//! Who did what when, key by key: a page that needs nothing but a browser.

use serde_json::json;

use super::Report;
use super::bands::lanes;

/// The page. It shows one key at a time; operations that refute a rule come first and are marked.
pub(super) fn page(report: &Report, results: &serde_json::Value) -> String {
    let mut keys: Vec<&str> = report.operations.iter().map(|shown| shown.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    let number = |key: &str| keys.partition_point(|known| *known < key);
    let operations: Vec<_> = report
        .operations
        .iter()
        .map(|shown| {
            let kind = shown.kind.name();
            let error = shown.error.as_deref().unwrap_or("");
            json!([
                number(&shown.key),
                shown.client,
                shown.process,
                shown.f,
                shown.from,
                shown.to,
                kind,
                shown.value,
                error
            ])
        })
        .collect();
    let held: Vec<_> = report
        .held
        .iter()
        .map(|held| json!([number(&held.key), held.node, held.seconds, held.is_before, held.value]))
        .collect();
    let lanes: Vec<_> =
        lanes(&report.bands).into_iter().map(|(name, colour)| json!([name, colour])).collect();
    let bands: Vec<_> =
        report.bands.iter().map(|band| json!([band.nemesis, band.label, band.from, band.to])).collect();
    let data = json!({
        "keys": keys, "operations": operations, "lanes": lanes, "bands": bands, "seconds": report.seconds,
        "held": held,
        "verdict": results["verdict"], "findings": results["keys"], "problems": results["problems"],
        "options": results["options"], "seed": results["seed"],
    });
    // A text in the data must not end the script.
    PAGE.replace("\"DATA\"", &data.to_string().replace("</", "<\\/"))
}

const PAGE: &str = include_str!("timeline.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_wrote_cannot_break_the_page() {
        let report = Report { operations: Vec::new(), bands: Vec::new(), held: Vec::new(), seconds: 1.0 };
        let page = page(&report, &json!({ "verdict": "</script><b>" }));
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(!page.contains("\"DATA\""));
    }
}
