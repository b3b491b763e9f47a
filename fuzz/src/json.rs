//! JSON read by serde_json into a tree that keeps every member: the oracle of the reading in place.

use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A document, with duplicate members as they came.
#[derive(Debug)]
pub(crate) enum Json {
    Bool(bool),
    List(Vec<Self>),
    /// `-0`, which some parsers take for a whole number and others do not, or `-0.0`.
    MinusZero,
    Null,
    /// Any other number but one of `Whole`.
    Number,
    Object(Vec<(String, Self)>),
    Text(String),
    /// A whole number that is not negative.
    Whole(u64),
}

impl Json {
    /// Reads the whole of a document.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        serde_json::from_slice(document).ok()
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    pub(crate) fn as_object(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    pub(crate) fn as_whole(&self) -> Option<u64> {
        if let Self::Whole(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the members of this name, in their order; of another value than an object, none.
    pub(crate) fn members<'a>(
        &'a self,
        name: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Self> {
        let members = self.as_object().unwrap_or_default();
        members.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns how many lists and objects lie within each other.
    fn depth(&self) -> usize {
        match self {
            Self::Bool(_)
            | Self::MinusZero
            | Self::Null
            | Self::Number
            | Self::Text(_)
            | Self::Whole(_) => 0,
            Self::List(list) => 1 + list.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => {
                1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0)
            }
        }
    }

    /// Says whether the reading in place may refuse a document that this one takes: it is nested
    /// more deeply than `depth_max`, or has a whole number that 64 bits do not hold.
    pub(crate) fn may_be_refused(&self, document: &[u8], depth_max: usize) -> bool {
        let digits = document.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).max();
        self.depth() > depth_max || digits.unwrap_or(0) >= 19
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        let is_minus_zero = value == 0.0 && value.is_sign_negative();
        Ok(if is_minus_zero { Json::MinusZero } else { Json::Number })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::Number, Json::Whole))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Json::List(elements))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
}
