//! Founders as text.

use quorate_ring::Founder;

/// Reads `NAME=HOST:PORT`, with `@RACK` and `*WEIGHT` behind it where they matter: `n3=10.0.0.3:7000@west*200`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_founder(text: &str) -> Result<Founder, String> {
    let usage = || format!("'{text}' is no founder: write NAME=HOST:PORT, like `n1=10.0.0.1:7000`");
    let (name, rest) = text.trim().split_once('=').ok_or_else(usage)?;
    let (rest, weight) = match rest.split_once('*') {
        Some((rest, weight)) => (rest, weight.trim().parse().map_err(|_| usage())?),
        None => (rest, Founder::WEIGHT_DEFAULT),
    };
    let (address, rack) = rest.split_once('@').unwrap_or((rest, ""));
    if name.is_empty() || address.is_empty() {
        return Err(usage());
    }
    Ok(Founder::new(name.trim(), address.trim()).in_rack(rack.trim()).with_weight(weight))
}

/// Reads founders with commas between them.
pub(super) fn parse_founders(text: &str) -> Result<Vec<Founder>, String> {
    text.split(',').filter(|part| !part.trim().is_empty()).map(parse_founder).collect()
}

/// The inverse of [`parse_founder`].
pub(super) fn founder_text(founder: &Founder) -> String {
    let Founder { name, address, rack, weight } = founder;
    let mut text = format!("{name}={address}");
    if !rack.is_empty() {
        text.push_str(&format!("@{rack}"));
    }
    if *weight != Founder::WEIGHT_DEFAULT {
        text.push_str(&format!("*{weight}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["n1=10.0.0.1:7000", "n2=db.example.org:1@west", "n3=[::1]:7@r*200", "n4=h:1*50"] {
            assert_eq!(founder_text(&parse_founder(text).unwrap()), text);
        }
        for text in ["", "n1", "=h:1", "n1=", "n1=h:1*x"] {
            assert!(parse_founder(text).unwrap_err().contains("NAME=HOST:PORT"), "{text}");
        }
    }
}
