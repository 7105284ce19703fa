//! A message that breaks a rule of the format: which field, and how.

use std::fmt;

/// Why a message was not taken. Its sender has a fault, or is no node: refuse the message, do not retry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The field, as it is called in the `.proto` file.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It must be there and is not, or has a value that this release does not know.
    Missing,
    /// It has another length than it must have.
    Length(usize),
    /// It is longer than the limit, the first number.
    TooLong(usize, usize),
    /// A number, or a value, that the field does not take.
    OutOfRange,
    /// A list is not in ascending order, or holds something twice.
    Unordered,
}

impl std::error::Error for Malformed {}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {}: ", self.field)?;
        match self.fault {
            Fault::Missing => f.write_str("is missing or of an unknown kind"),
            Fault::Length(found) => write!(f, "has the wrong length {found}"),
            Fault::TooLong(max, found) => write!(f, "is longer than {max}: {found}"),
            Fault::OutOfRange => f.write_str("has a value that it does not take"),
            Fault::Unordered => f.write_str("is not in strictly ascending order"),
        }
    }
}

impl Fault {
    /// This fault of `field`.
    pub(crate) fn of(self, field: &'static str) -> Malformed {
        Malformed { field, fault: self }
    }
}
