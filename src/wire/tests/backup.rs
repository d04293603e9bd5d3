//! Golden bytes of backups.

use quorate_ring::NodeId;

use super::{healing::hex, *};

#[test]
fn golden_backup() {
    let name = || "nightly".to_owned();
    assert_eq!(hex(BackUp { name: name(), bytes_per_s: Some(9) }.into()), "4f 92a76e696768746c7909");
    assert_eq!(hex(DescribeBackup {}.into()), "51 90");
    assert_eq!(hex(BackupDescribed { node: NodeId(1), backup: None }.into()), "6b 9201c0");
    let status = |stage| BackupStatus {
        name: name(),
        directory: "/d".to_owned(),
        stage,
        records: 1,
        bytes: 2,
        percent: 3,
        took_ms: 4,
        damaged: 5,
        recovering: vec!["t".to_owned()],
    };
    let described = |stage| hex(BackupDescribed { node: NodeId(1), backup: Some(status(stage)) }.into());
    let expected = |stage| format!("6b 920199a76e696768746c79a22f64{stage}010203040591a174");
    assert_eq!(described(BackupStage::Running), expected("a752756e6e696e67"));
    assert_eq!(described(BackupStage::Done), expected("a4446f6e65"));
    assert_eq!(described(BackupStage::Failed("x".to_owned())), expected("81a64661696c6564a178"));
}
