//! What programs give for `?` and `:name`.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use bytes::Bytes;
use quorate_ring::Consistency;

use crate::client::Context;

/// What stands for `?` and `:name` in a statement.
///
/// Tuples, arrays and vectors of [values](ParameterValue) stand for the statement's `?` one after the other; arrays,
/// vectors and maps of names and values for each `:name`, with or without the colon. `()` is none.
///
/// ```
/// use quorate::cql::Parameters;
///
/// let by_place: Parameters = ("2 apples", "alice").into();
/// let of_a_list: Parameters = vec!["alice".to_owned(), "bob".to_owned()].into();
/// let by_name: Parameters = [("key", "alice"), ("value", "2 apples")].into();
/// let of_other_types = Parameters::none().set("key", "alice").set("value", vec![0xff_u8]);
/// assert_eq!(Parameters::none().push("2 apples").push("alice"), by_place);
/// # let _ = (of_a_list, by_name, of_other_types);
/// ```
///
/// Keys, values and contexts are text or bytes; after `TTL`, `LIMIT`, `CONSISTENCY`, `W =` and `R =` stand numbers, durations
/// and levels:
///
/// ```
/// # #[cfg(feature = "mock")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = quorate::client::Mock::new().client();
/// # client.create_table("sessions").await?;
/// use std::time::Duration;
/// use quorate::client::Consistency;
///
/// let insert = client.prepare("INSERT INTO sessions (key, value) VALUES (?, ?) USING CONSISTENCY ? AND TTL ?")?;
/// insert.execute(("s1", "alice", Consistency::All, Duration::from_secs(1_800))).await?;
/// insert.execute(("s2", "bob", 2, 1_800)).await?; // W = 2, for as many seconds
/// let some = client.execute("SELECT * FROM sessions LIMIT ?", (100,)).await?.scan()?;
///
/// let error = client.execute("SELECT * FROM sessions LIMIT ?", ("many",)).await.unwrap_err();
/// assert_eq!(error.to_string(), "the statement's parameter 1 takes a number of rows, not text 'many'");
/// # let _ = some;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "mock"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pub(super) positional: Vec<Parameter>,
    pub(super) named: BTreeMap<String, Parameter>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameter {
    /// Text or bytes, for a key, a value or a context; and as text what may stand in quotes, like `'500ms'` after `TTL` and a
    /// level after `CONSISTENCY`.
    Bytes(Bytes),
    /// Seconds after `TTL`, rows after `LIMIT`, replicas after `CONSISTENCY`, `W =` and `R =`.
    Number(i128),
    /// For `TTL`.
    Duration(Duration),
    /// For `CONSISTENCY`, `W =` and `R =`.
    Level(Consistency),
}

/// What a parameter may be: text or bytes, for a key or a value, a [`Context`] after `WITH CONTEXT`, and whole numbers,
/// durations and levels, for the options that take them.
pub trait ParameterValue {
    /// The value that stands in the statement.
    fn into_parameter(self) -> Parameter;
}

impl Parameters {
    /// No parameters.
    pub fn none() -> Self {
        Self::default()
    }

    /// The value of the next `?`.
    #[must_use]
    pub fn push(mut self, value: impl ParameterValue) -> Self {
        self.positional.push(value.into_parameter());
        self
    }

    /// The value of `:name`, in the place of one that was given before. The name may be given with its colon.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl ParameterValue) -> Self {
        let mut name = name.into();
        if name.starts_with(':') {
            name.remove(0);
        }
        self.named.insert(name, value.into_parameter());
        self
    }

    fn all(values: impl IntoIterator<Item: ParameterValue>) -> Self {
        let positional = values.into_iter().map(ParameterValue::into_parameter).collect();
        Self { positional, named: BTreeMap::new() }
    }

    fn all_named<N: Into<String>, V: ParameterValue>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        pairs.into_iter().fold(Self::none(), |parameters, (name, value)| parameters.set(name, value))
    }
}

impl From<()> for Parameters {
    fn from((): ()) -> Self {
        Self::none()
    }
}

impl<V: ParameterValue, const N: usize> From<[V; N]> for Parameters {
    fn from(values: [V; N]) -> Self {
        Self::all(values)
    }
}

impl<V: ParameterValue> From<Vec<V>> for Parameters {
    fn from(values: Vec<V>) -> Self {
        Self::all(values)
    }
}

impl<V: ParameterValue + Clone> From<&[V]> for Parameters {
    fn from(values: &[V]) -> Self {
        Self::all(values.iter().cloned())
    }
}

impl<K: Into<String>, V: ParameterValue, const N: usize> From<[(K, V); N]> for Parameters {
    fn from(pairs: [(K, V); N]) -> Self {
        Self::all_named(pairs)
    }
}

impl<K: Into<String>, V: ParameterValue> From<Vec<(K, V)>> for Parameters {
    fn from(pairs: Vec<(K, V)>) -> Self {
        Self::all_named(pairs)
    }
}

impl<K: Into<String>, V: ParameterValue> From<BTreeMap<K, V>> for Parameters {
    fn from(pairs: BTreeMap<K, V>) -> Self {
        Self::all_named(pairs)
    }
}

/// Tuples, whose values may be of different types.
macro_rules! from_tuples {
    ($(($($value:ident)+))+) => {$(
        impl<$($value: ParameterValue),+> From<($($value,)+)> for Parameters {
            #[expect(non_snake_case, reason = "values are called as their types")]
            fn from(($($value,)+): ($($value,)+)) -> Self {
                Self::none()$(.push($value))+
            }
        }
    )+};
}

from_tuples! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }

/// Values that own their bytes.
macro_rules! owned_values {
    ($($value:ty),+) => {$(
        impl ParameterValue for $value {
            fn into_parameter(self) -> Parameter {
                Parameter::Bytes(self.into())
            }
        }
    )+};
}

owned_values! { Bytes, String, Vec<u8>, Box<[u8]>, Context }

/// Values that are copied.
macro_rules! copied_values {
    ($($value:ty),+) => {$(
        impl ParameterValue for &$value {
            fn into_parameter(self) -> Parameter {
                Parameter::Bytes(Bytes::copy_from_slice(self.as_ref()))
            }
        }
    )+};
}

copied_values! { str, String, [u8], Vec<u8> }

impl<const N: usize> ParameterValue for &[u8; N] {
    fn into_parameter(self) -> Parameter {
        Parameter::Bytes(Bytes::copy_from_slice(self))
    }
}

impl ParameterValue for &Bytes {
    fn into_parameter(self) -> Parameter {
        self.clone().into_parameter()
    }
}

impl ParameterValue for Cow<'_, str> {
    fn into_parameter(self) -> Parameter {
        Parameter::Bytes(self.into_owned().into())
    }
}

impl ParameterValue for &Context {
    fn into_parameter(self) -> Parameter {
        self.clone().into_parameter()
    }
}

/// Whole numbers.
macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl ParameterValue for $number {
            fn into_parameter(self) -> Parameter {
                Parameter::Number(self.into())
            }
        }
    )+};
}

numbers! { u8, u16, u32, u64, i8, i16, i32, i64 }

impl ParameterValue for usize {
    fn into_parameter(self) -> Parameter {
        // No machine has addresses of more bits.
        (self as u64).into_parameter()
    }
}

impl ParameterValue for Duration {
    fn into_parameter(self) -> Parameter {
        Parameter::Duration(self)
    }
}

impl ParameterValue for Consistency {
    fn into_parameter(self) -> Parameter {
        Parameter::Level(self)
    }
}

impl ParameterValue for Parameter {
    fn into_parameter(self) -> Parameter {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positional(parameters: impl Into<Parameters>) -> Vec<Bytes> {
        let Parameters { positional, named } = parameters.into();
        assert!(named.is_empty(), "{named:?}");
        let bytes = positional.into_iter().map(|value| match value {
            Parameter::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        });
        bytes.collect()
    }

    #[test]
    fn lists_stand_for_places_whatever_their_values_are() {
        let local = "a".to_owned();
        let b = Bytes::from_static(b"b");
        assert_eq!(positional((&*local, vec![0xff_u8], &b)), ["a".into(), vec![0xff].into(), b.clone()]);
        assert_eq!(positional([&local, &"c".to_owned()]), ["a", "c"]);
        assert_eq!(positional(vec![b"a", b"c"]), ["a", "c"]);
        assert_eq!(positional(&["a", "c"][..]), ["a", "c"]);
        assert_eq!(positional(("a", "b", "c", "d", "e", "f", "g", "h")).len(), 8);
        assert_eq!(positional((Context::new(b.clone()), &Context::new(b.clone()))), [b.clone(), b]);
        assert!(positional(()).is_empty());
    }

    #[test]
    fn pairs_stand_for_names_with_and_without_colon() {
        let expected = Parameters::none().set("key", "k").set("value", "v");
        assert_eq!(Parameters::from([(":key", "k"), ("value", "v")]), expected);
        assert_eq!(Parameters::from(vec![("key".to_owned(), "k"), ("value".to_owned(), "v")]), expected);
        assert_eq!(Parameters::from(BTreeMap::from([("key", "k"), (":value", "v")])), expected);
        assert_ne!(Parameters::from([["key", "k"], ["value", "v"]].concat()), expected, "no pairs");
    }
}
