#![expect(clippy::disallowed_methods, reason = "the configuration is a file")]

use std::time::Duration;

use super::*;
use crate::{certs, runtime::LogFormat};

const FILE: &str = r#"
cluster = "shop"
founders = [
    "n1=127.0.0.1:7001",
    { name = "n2", address = "127.0.0.1:7002", rack = "west", weight = 200 },
]
node = "n1"
data_dir = "data"
tls = { ca = "ca.crt", cert = "n1.crt", key = "n1.key" }
cache_bytes = "256MiB"
drain_timeout = "7s"
"#;

/// A directory with certificates for `n1`, and `text` as its file.
fn directory(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    certs::init(dir.path()).unwrap();
    certs::node(dir.path(), "n1", &[]).unwrap();
    let path = dir.path().join("n1.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

fn mistakes(text: &str) -> String {
    let (dir, path) = directory(text);
    let mistakes = load(Some(&path), &Overrides::default()).unwrap_err();
    mistakes.to_string().replace(dir.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_sound_file_is_a_configuration() {
    let (dir, path) = directory(FILE);
    let config = load(Some(&path), &Overrides::default()).unwrap();
    assert_eq!(config.cluster.name, "shop");
    assert_eq!(
        config.cluster.founders[1],
        Founder::new("n2", "127.0.0.1:7002").in_rack("west").with_weight(200)
    );
    assert_eq!(config.listen, "127.0.0.1:7001".parse().unwrap(), "its own address in the founders' list");
    assert_eq!(config.data_dir, dir.path().join("data"), "paths start at the file's directory");
    assert_eq!(config.process.cache_bytes, 256 << 20);
    assert_eq!(config.process.drain_timeout, Duration::from_secs(7));
}

#[test]
fn http_is_answered_on_loopback_at_the_same_port_unless_it_is_told_otherwise() {
    let admin = |settings: &str| {
        let (_dir, path) = directory(&FILE.replace("drain_timeout", &format!("{settings}\ndrain_timeout")));
        load(Some(&path), &Overrides::default()).unwrap().process.admin_address
    };
    let address = |text: &str| Some(text.parse().unwrap());
    assert_eq!(admin(""), address("127.0.0.1:7001"));
    assert_eq!(admin("listen = \"0.0.0.0:7009\""), address("127.0.0.1:7009"));
    assert_eq!(admin("listen = \"127.0.0.3:7009\""), address("127.0.0.3:7009"));
    assert_eq!(admin("listen = \"[::1]:7009\""), address("[::1]:7009"));
    assert_eq!(admin("admin_address = \"10.0.0.1:9\""), address("10.0.0.1:9"));
    assert_eq!(admin("admin_address = \"off\""), None);
}

#[test]
fn the_log_is_a_setting_and_a_filter_that_means_nothing_is_refused() {
    let file = |settings: &str| FILE.replace("drain_timeout", &format!("{settings}\ndrain_timeout"));
    let process = |settings: &str| {
        let (_dir, path) = directory(&file(settings));
        load(Some(&path), &Overrides::default()).unwrap().process
    };
    let usual = process("preset = \"small\"");
    assert_eq!((&*usual.log, usual.log_format), ("info", LogFormat::Text));
    let set = process("log = \"warn,quorate::requests=debug\"\nlog_format = \"json\"");
    assert_eq!((&*set.log, set.log_format), ("warn,quorate::requests=debug", LogFormat::Json));
    for (log, why) in [
        ("inof", ":11: `log`: 'inof' is no level of logs: write a level"),
        ("info,quorate=loud", ":11: `log`: 'info,quorate=loud': "),
        ("info,quorate[", ":11: `log`: 'info,quorate[': "),
    ] {
        let wrong = mistakes(&file(&format!("log = \"{log}\"")));
        assert!(wrong.contains(why), "{wrong}");
    }
    let wrong = mistakes(&file("log_format = \"xml\""));
    assert!(wrong.contains(":11: `log_format`: 'xml' is neither `text` nor `json`"), "{wrong}");
}

#[test]
fn a_preset_stands_for_what_nobody_sets() {
    let overrides = Overrides(vec![("clients_max", "9".to_owned())]);
    let process = |preset: &str, overrides: &Overrides| {
        let (_dir, path) = directory(&FILE.replace("drain_timeout", &format!("{preset}\ndrain_timeout")));
        load(Some(&path), overrides).unwrap().process
    };
    let usual = process("", &Overrides::default());
    assert_eq!(process("preset = \"default\"", &Overrides::default()), usual);
    let small = process("preset = \"small\"", &overrides);
    assert_eq!(small.write_buffer_bytes, 4 << 20);
    assert_eq!(
        (small.cache_bytes, small.clients_max),
        (256 << 20, 9),
        "what is set wins, wherever it stands"
    );
    assert_eq!((small.drain_timeout, small.admin_address), (usual.drain_timeout, usual.admin_address));
    let over = Overrides(vec![("preset", "large".to_owned())]);
    let large = process("preset = \"small\"\nnetwork = \"wan\"", &over);
    assert_eq!((large.write_buffer_bytes, large.network.name()), (64 << 20, "wan"));
    let wrong = mistakes(&FILE.replace("drain_timeout", "preset = \"tiny\"\ndrain_timeout"));
    assert!(wrong.contains(":11: `preset`: 'tiny' is neither `small`"), "{wrong}");
}

#[test]
fn every_setting_says_what_it_is_and_what_follows_and_is_printed() {
    let (_dir, path) = directory(FILE);
    let printed = render(Some(&path), &Overrides::default()).unwrap();
    for setting in SETTINGS {
        assert!(!setting.help.ends_with('.') && !setting.more.ends_with('.'), "{}", setting.key);
        let said = format!("# {}.\n# {}.\n{} = ", setting.help, setting.more, setting.key);
        assert!(printed.contains(&said), "{said} is not in\n{printed}");
    }
}

#[test]
fn overrides_win_over_the_file() {
    let (_dir, path) = directory(FILE);
    let overrides = Overrides(vec![("listen", "[::]:9".to_owned()), ("drain_timeout", "1m".to_owned())]);
    let config = load(Some(&path), &overrides).unwrap();
    assert_eq!(config.listen, "[::]:9".parse().unwrap());
    assert_eq!(config.process.drain_timeout, Duration::from_secs(60));
    let wrong = Overrides(vec![("clients_max", "many".to_owned())]);
    let mistakes = load(Some(&path), &wrong).unwrap_err().to_string();
    assert!(mistakes.contains("--clients-max or QUORATE_CLIENTS_MAX: 'many' is no number"), "{mistakes}");
}

#[test]
fn what_is_printed_is_the_same_configuration() {
    let (dir, path) = directory(FILE);
    let printed = render(Some(&path), &Overrides::default()).unwrap();
    let copy = dir.path().join("copy.toml");
    fs::write(&copy, &printed).unwrap();
    let (one, two) = (
        load(Some(&path), &Overrides::default()).unwrap(),
        load(Some(&copy), &Overrides::default()).unwrap(),
    );
    assert_eq!((one.cluster, one.process, one.listen), (two.cluster, two.process, two.listen));
    assert_eq!(render(Some(&copy), &Overrides::default()).unwrap(), printed);
}

#[test]
fn every_mistake_has_its_line_and_a_reason() {
    let wrong = FILE
        .replace(
            "cache_bytes = \"256MiB\"",
            "cashe_bytes = \"256MiB\"\nhedge_delay = 5\nclients_max = 0\n[tsl]\nca = 1",
        )
        .replace("127.0.0.1:7002\"", "127.0.0.1:7002\", wieght = 1");
    let text = mistakes(&wrong);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("DIR/n1.toml:3: `founders`: line 5: unknown field `wieght`"), "{text}");
    assert_eq!(lines[1], "DIR/n1.toml:10: there is no setting `cashe_bytes`; did you mean `cache_bytes`?");
    assert_eq!(lines[2], "DIR/n1.toml:11: `hedge_delay`: '5' has no unit: write `500ms`, `2s` or `1m`");
    assert_eq!(lines[3], "DIR/n1.toml:12: `clients_max`: 0 is not within 1 to 10000000");
    assert!(lines[4].starts_with("DIR/n1.toml:13: there is no setting `tsl`"), "{text}");
    assert_eq!(lines.len(), 5, "{text}");
    assert!(mistakes("cluster = ").starts_with("DIR/n1.toml:1: not TOML"));
}

#[test]
fn a_node_that_is_no_founder_and_one_with_anothers_certificate_are_mistakes() {
    let stranger = mistakes(&FILE.replace("node = \"n1\"", "node = \"n7\""));
    assert!(stranger.contains(":7: the founders' list does not contain this node, 'n7'"), "{stranger}");
    let impostor = mistakes(&FILE.replace("node = \"n1\"", "node = \"n2\""));
    assert!(impostor.contains(":9: the certificate is not that of node 'n2'"), "{impostor}");
    let missing = mistakes("node = \"n1\"");
    assert!(missing.contains("`founders` is missing"), "{missing}");
}
