//! From key to token: Cassandra's Murmur3 partitioner.
//!
//! It is the first half of MurmurHash3 x64 128 (Austin Appleby, public domain) with seed 0, with two marks of
//! its Java origin: the bytes of the last, incomplete block are signed and so spread their sign over the word
//! they are mixed into, and the smallest integer is never a token. Keys with bytes of 0x80 and above in their
//! tail therefore hash differently from plain MurmurHash3. Same key, same token as in Cassandra and ScyllaDB.

use crate::Token;

/// The token of a key. The empty key, which Cassandra refuses, hashes to 0.
pub fn token_of(key: &[u8]) -> Token {
    match murmur3(key) as i64 {
        i64::MIN => Token(i64::MAX),
        hash => Token(hash),
    }
}

/// The first 64 bits of the hash, before the smallest integer is mapped away.
pub(crate) fn murmur3(key: &[u8]) -> u64 {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let (blocks, tail) = key.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = halves(block);
        h1 = (h1 ^ mix_k1(k1)).rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mix_k2(k2)).rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }

    let signed = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |k, &b| (k << 8) ^ (b as i8 as u64));
    let (low, high) = tail.split_at(tail.len().min(8));
    h1 ^= mix_k1(signed(low));
    h2 ^= mix_k2(signed(high));

    h1 ^= key.len() as u64;
    h2 ^= key.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

fn mix_k1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_k2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

/// Spreads every input bit over the whole word. Also a good generator when fed a counter.
pub(crate) fn finish(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

#[cfg(test)]
mod tests;
