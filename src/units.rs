//! Sizes and durations with units.

use std::time::Duration;

/// Reads a size: a number of bytes, or one with `B`, `KiB`, `MiB`, `GiB`, `kB`, `MB` or `GB`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(format!("'{unit}' is no unit of size: write `4MiB`, `64KiB`, `1GiB` or bytes")),
    };
    multiply(number, factor)
        .ok_or_else(|| format!("'{text}' is no size: write `4MiB`, `64KiB`, `1GiB` or bytes"))
}

/// Reads a duration: a number with `us`, `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor_us = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        "" => return Err(format!("'{text}' has no unit: write `500ms`, `2s` or `1m`")),
        _ => return Err(format!("'{unit}' is no unit of time: write `500ms`, `2s` or `1m`")),
    };
    multiply(number, factor_us)
        .map(Duration::from_micros)
        .ok_or_else(|| format!("'{text}' is no duration: write `500ms`, `2s` or `1m`"))
}

/// The shortest exact way to write a size.
pub fn bytes_text(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(factor, _)| bytes != 0 && bytes.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// A size to about two digits, for people.
pub fn rounded_bytes_text(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((factor, unit)) = units.into_iter().find(|(factor, _)| bytes >= *factor) else {
        return format!("{bytes} B");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(factor);
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// The shortest exact way to write a duration, to the microsecond.
pub fn duration_text(duration: Duration) -> String {
    let us = duration.as_micros();
    let units = [(1_000_000, "s"), (1_000, "ms")];
    match units.into_iter().find(|(factor, _)| us.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", us / factor),
        None => format!("{us}us"),
    }
}

/// A number for people, as in `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

fn multiply(number: &str, factor: u64) -> Option<u64> {
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_units_and_says_what_is_wrong() {
        assert_eq!(parse_bytes("4MiB"), Ok(4 << 20));
        assert_eq!(parse_bytes(" 1_000 kB "), Ok(1_000_000));
        assert_eq!(parse_bytes("17"), Ok(17));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in ["", "MiB", "4 Mib", "-1", "1.5GiB", "99999999999GiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
        assert!(parse_duration("5").unwrap_err().contains("has no unit"));
    }

    #[test]
    fn sizes_for_people_have_two_digits_or_more() {
        let texts = [0, 1_023, 1_024, 1_536, 10 << 20, 1_023 << 30, u64::MAX].map(rounded_bytes_text);
        assert_eq!(texts, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 MiB", "1023 GiB", "16777215 TiB"]);
    }

    #[test]
    fn long_numbers_stand_in_groups() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u64>(), small in 0_u64..5_000) {
            for number in [number, small, small << 10, (small << 20) * 3] {
                prop_assert_eq!(parse_bytes(&bytes_text(number)), Ok(number));
            }
            let duration = Duration::from_micros(small * 250);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
        }
    }
}
