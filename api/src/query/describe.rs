//! The parameters of reads as the OpenAPI document describes them: one table for it and for the parser's list of names.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{Object, ObjectBuilder, Type};

pub(crate) const LENSES: &str =
    "one of `none`, `recency`, `confidence`, `consensus`, `authority`, `skeptic`, `layered`";
pub(crate) const CLASSES: &str = "one of `regulatory`, `clinical`, `observational`, `expert`, `community`, `anecdotal`";
pub(crate) const LIFECYCLES: &str = "one of `proposed`, `under_review`, `approved`, `deprecated`, `rejected`";
pub(crate) const CONSISTENCY: &str = "`one` or `all`";
pub(crate) const HEX_64: &str = "64 lower-case hex digits";
pub(crate) const AS_OF: &str = "a stamp `<ms>.<counter>` or an RFC 3339 time, percent-encoded";
pub(crate) const MOMENT: &str = "milliseconds since the Unix epoch or an RFC 3339 time, percent-encoded";
pub(crate) const HALF_LIFE: &str = "`off`, `class`, or a whole number with s, m, h, d, w or y: `90d`, `12h`";

/// The parameters of `GET /v1/query`.
pub(crate) struct Query;

/// The parameters of reads whose path names the lens.
pub(crate) struct LensedQuery;

/// Which values a parameter takes, as JSON Schema can say it.
enum Takes {
    Text { bytes_max: usize },
    Words(&'static str),
    Pattern(&'static str),
    Count,
}

struct Described {
    name: &'static str,
    takes: Takes,
    what: &'static str,
}

const HEX_64_PATTERN: &str = "^[0-9a-f]{64}$";

const PARAMETERS: &[Described] = &[
    Described {
        name: "subject",
        takes: Takes::Text { bytes_max: 1024 },
        what: "The subject itself; not with `prefix`.",
    },
    Described { name: "predicate", takes: Takes::Text { bytes_max: 256 }, what: "The predicate." },
    Described { name: "prefix", takes: Takes::Text { bytes_max: 1024 }, what: "What the subject begins with." },
    Described { name: "agent", takes: Takes::Pattern(HEX_64_PATTERN), what: "Only claims with this author." },
    Described { name: "source_class", takes: Takes::Words(CLASSES), what: "Only claims of this class." },
    Described {
        name: "lifecycle",
        takes: Takes::Words(LIFECYCLES),
        what: "Only claims in this state; without it deprecated and rejected ones are no candidates.",
    },
    Described { name: "epoch", takes: Takes::Pattern(HEX_64_PATTERN), what: "Only claims of this epoch." },
    Described {
        name: "lens",
        takes: Takes::Words(LENSES),
        what: "How contradictions are resolved; `authority` if not given.",
    },
    Described {
        name: "as_of",
        takes: Takes::Text { bytes_max: 64 },
        what: "Only what was accepted until then: `<ms>.<counter>`, or an RFC 3339 time, which means the end of its millisecond.",
    },
    Described {
        name: "valid_at",
        takes: Takes::Text { bytes_max: 64 },
        what: "Only claims that hold at that moment: milliseconds since the Unix epoch, or an RFC 3339 time.",
    },
    Described {
        name: "half_life",
        takes: Takes::Pattern("^(off|class|[1-9][0-9]*[smhdwy])$"),
        what: "How fast weights decay: `off` (if not given), `class`, or a duration such as `90d`.",
    },
    Described {
        name: "consistency",
        takes: Takes::Words(CONSISTENCY),
        what: "How many owners must be heard; `one` if not given.",
    },
    Described { name: "limit", takes: Takes::Count, what: "The most questions on a page; 100 if not given." },
    Described {
        name: "cursor",
        takes: Takes::Pattern("^[0-9a-f]+$"),
        what: "`meta.cursor` of the page before, with all other parameters the same but `limit` and `consistency`.",
    },
];

/// The names of the parameters, `lens` only if `with_lens`.
pub(crate) fn names(with_lens: bool) -> Vec<&'static str> {
    described(with_lens).map(|described| described.name).collect()
}

fn described(with_lens: bool) -> impl Iterator<Item = &'static Described> {
    PARAMETERS.iter().filter(move |described| with_lens || described.name != "lens")
}

fn schema(takes: &Takes) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match takes {
        Takes::Text { bytes_max } => text.min_length(Some(1)).max_length(Some(*bytes_max)).build(),
        Takes::Words(listed) => text.enum_values(Some(listed.split('`').skip(1).step_by(2))).build(),
        Takes::Pattern(pattern) => text.pattern(Some(*pattern)).build(),
        Takes::Count => ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(1000)).build(),
    }
}

fn parameters(with_lens: bool) -> Vec<Parameter> {
    let parameter = |one: &Described| {
        ParameterBuilder::new()
            .name(one.name)
            .parameter_in(ParameterIn::Query)
            .description(Some(one.what))
            .schema(Some(schema(&one.takes)))
            .build()
    };
    described(with_lens).map(parameter).collect()
}

impl IntoParams for Query {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(true)
    }
}

impl IntoParams for LensedQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        parameters(false)
    }
}
