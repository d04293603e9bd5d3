//! What a node's process counts and measures.
//!
//! Whoever counts says so where it happens, by name; `catalogue` has every metric with its kind, its unit and what it
//! says, and `METRICS.md` is the same list for operators. A test holds the three together.

#[cfg(feature = "cli")]
mod catalogue;
#[cfg(feature = "cli")]
mod export;
mod observe;
mod sample;
#[cfg(feature = "cli")]
mod scrape;

#[cfg(feature = "cli")]
pub(super) use self::{export::count, sample::sample, scrape::render_ages};
pub(super) use self::{
    observe::{Observer, alarm},
    sample::measured,
};

#[cfg(all(test, feature = "cli"))]
mod tests;
