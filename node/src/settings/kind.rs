//! The kinds of values that settings take, and how they are read and shown.
//!
//! A value is read from one spelling whatever its source; nothing here knows where the text came from.

use super::place::Seeds;
use cluster::ClusterId;
use model::hex;
use proto::limits::NAME_BYTES_MAX;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;
pub(super) const GIB: u64 = 1024 * MIB;

/// Which values a setting takes. Bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A path, absolute or below the working folder.
    Path,
    /// An IP address and a port.
    Address,
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A size in bytes, written `1048576`, `1MiB` or `1MB`.
    Bytes {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A time in milliseconds, written `1500`, `1500ms`, `2s` or `5m`.
    Millis {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// An IP address or a host name.
    Host,
    /// Hosts with ports, comma-separated.
    Seeds,
    /// A short name.
    Name,
    /// The id of a cluster.
    Cluster,
    /// Any text.
    Text,
}

impl Kind {
    /// What would be accepted, as a phrase.
    pub fn accepts(self) -> String {
        match self {
            Self::Path => "a path".to_owned(),
            Self::Address => "an IP address and a port, like 127.0.0.1:18180 or [::]:18180".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Word(words) => words.join(" or "),
            Self::Bytes { min, max } => {
                format!("a size from {} to {}, like 64MiB", show_bytes(min), show_bytes(max))
            }
            Self::Millis { min, max } => {
                format!("a time from {} to {}, like 1500ms or 10s", show_millis(min), show_millis(max))
            }
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Host => "an IP address or a host name, like 10.0.0.1 or db-1.example.com".to_owned(),
            Self::Seeds => format!("up to {} hosts with ports, like db-1:18183,10.0.0.2:18183", Seeds::MAX),
            Self::Name => format!("1 to {NAME_BYTES_MAX} letters, digits, dots, dashes or underscores"),
            Self::Cluster => "32 lower-case hex digits".to_owned(),
            Self::Text => "a text".to_owned(),
        }
    }

    /// Whether a value of this kind stands in quotes in a TOML file, given its spelling.
    pub(super) fn quoted(self, text: &str) -> bool {
        match self {
            Self::Path
            | Self::Address
            | Self::Word(_)
            | Self::Host
            | Self::Seeds
            | Self::Name
            | Self::Cluster
            | Self::Text => true,
            Self::Switch | Self::Count { .. } => false,
            Self::Bytes { .. } | Self::Millis { .. } => text.bytes().any(|byte| !byte.is_ascii_digit()),
        }
    }

    /// Whether a TOML file may give it as something else than a string.
    pub(super) fn takes_bare(self) -> bool {
        matches!(self, Self::Switch | Self::Bytes { .. } | Self::Millis { .. } | Self::Count { .. })
    }
}

/// A field's type: how it is read and shown under a kind.
pub(super) trait Readable: Sized {
    /// What stands in the field before anything is read.
    const BLANK: Self;
    /// The value that `text` spells, if the kind takes it.
    fn read(text: &str, kind: Kind) -> Option<Self>;
    /// The spelling that reads back as this value.
    fn show(&self, kind: Kind) -> String;
}

impl Readable for PathBuf {
    const BLANK: Self = Self::new();

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| Self::from(text))
    }

    fn show(&self, _kind: Kind) -> String {
        self.display().to_string()
    }
}

impl<T: Readable> Readable for Option<T> {
    const BLANK: Self = None;

    fn read(text: &str, kind: Kind) -> Option<Self> {
        T::read(text, kind).map(Some)
    }

    fn show(&self, kind: Kind) -> String {
        self.as_ref().map(|value| value.show(kind)).unwrap_or_default()
    }
}

impl Readable for SocketAddr {
    const BLANK: Self = Self::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self, _kind: Kind) -> String {
        self.to_string()
    }
}

impl Readable for bool {
    const BLANK: Self = false;

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self, _kind: Kind) -> String {
        self.to_string()
    }
}

impl Readable for String {
    const BLANK: Self = Self::new();

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self, _kind: Kind) -> String {
        self.clone()
    }
}

impl Readable for ClusterId {
    const BLANK: Self = Self([0; 16]);

    fn read(text: &str, _kind: Kind) -> Option<Self> {
        hex::parse(text).map(Self)
    }

    fn show(&self, _kind: Kind) -> String {
        self.to_string()
    }
}

impl Readable for u64 {
    const BLANK: Self = 0;

    fn read(text: &str, kind: Kind) -> Option<Self> {
        let (number, min, max) = match kind {
            Kind::Bytes { min, max } => (read_scaled(text, BYTE_UNITS)?, min, max),
            Kind::Millis { min, max } => (read_scaled(text, MILLI_UNITS)?, min, max),
            Kind::Count { min, max } => (read_scaled(text, &[("", 1)])?, min, max),
            Kind::Path
            | Kind::Address
            | Kind::Switch
            | Kind::Word(_)
            | Kind::Host
            | Kind::Seeds
            | Kind::Name
            | Kind::Cluster
            | Kind::Text => return None,
        };
        (min..=max).contains(&number).then_some(number)
    }

    fn show(&self, kind: Kind) -> String {
        match kind {
            Kind::Bytes { .. } => show_bytes(*self),
            Kind::Millis { .. } => show_millis(*self),
            Kind::Path
            | Kind::Address
            | Kind::Switch
            | Kind::Word(_)
            | Kind::Host
            | Kind::Seeds
            | Kind::Name
            | Kind::Cluster
            | Kind::Text
            | Kind::Count { .. } => self.to_string(),
        }
    }
}

const BYTE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("kib", KIB),
    ("mib", MIB),
    ("gib", GIB),
    ("tib", 1024 * GIB),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];
const MILLI_UNITS: &[(&str, u64)] =
    &[("", 1), ("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000)];

fn read_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let unit = unit.trim().to_ascii_lowercase();
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    digits.replace('_', "").parse::<u64>().ok()?.checked_mul(*scale)
}

fn show_bytes(bytes: u64) -> String {
    show_scaled(bytes, &[("TiB", 1024 * GIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)], "")
}

fn show_millis(ms: u64) -> String {
    show_scaled(ms, &[("s", 1000)], "ms")
}

/// The largest unit that divides the number; the number itself, and `plain`, if none does.
fn show_scaled(number: u64, units: &[(&str, u64)], plain: &str) -> String {
    match units.iter().find(|(_, scale)| number > 0 && number.is_multiple_of(*scale)) {
        Some((unit, scale)) => format!("{}{unit}", number / scale),
        None => format!("{number}{}", if number == 0 { "" } else { plain }),
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// How its values are spelt.
            pub const WORDS: &[&str] = &[$($word),+];

            /// How this value is spelt.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl Readable for $name {
            const BLANK: Self = [$(Self::$variant),+][0];

            fn read(text: &str, _kind: Kind) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }

            fn show(&self, _kind: Kind) -> String {
                self.as_str().to_owned()
            }
        }
    };
}

words! {
    /// Which engine keeps the index.
    Engine {
        /// sled 0.34: the default.
        Sled = "sled";
        /// fjall 3: faster and bounded in memory, for large stores.
        Fjall = "fjall";
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text";
        /// One JSON object a line.
        Json = "json";
    }
}

#[test]
fn a_size_reads_back_what_it_shows() {
    let kind = Kind::Bytes { min: 0, max: u64::MAX };
    for (text, bytes) in [("64MiB", 64 * MIB), ("64 mib", 64 * MIB), ("1_000", 1000), ("2MB", 2_000_000), ("0", 0)] {
        let read = u64::read(text, kind);
        assert_eq!(read, Some(bytes), "{text}");
        assert_eq!(u64::read(&bytes.show(kind), kind), Some(bytes), "{text}");
    }
    for wrong in ["", "MiB", "-1", "1.5MiB", "64Mib/s", "99999999999TiB", "٣"] {
        assert_eq!(u64::read(wrong, kind), None, "{wrong}");
    }
}

#[test]
fn a_time_takes_units_and_keeps_its_bounds() {
    let kind = Kind::Millis { min: 100, max: 60_000 };
    for (text, ms) in [("100", Some(100)), ("99", None), ("1m", Some(60_000)), ("60001ms", None), ("2s", Some(2000))] {
        assert_eq!(u64::read(text, kind), ms, "{text}");
    }
    assert_eq!((1500.show(kind), 2000.show(kind)), ("1500ms".to_owned(), "2s".to_owned()));
}
