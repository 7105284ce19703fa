//! From the parameters of a read to a [`QueryPlan`].
//!
//! Nothing is guessed: what is not known, not well spelt or contradicts itself is refused with the parameter's name.

mod cursor;
mod describe;
mod parameters;
mod time;

pub(crate) use cursor::{Cursor, Digest};
pub(crate) use describe::{LensedQuery, Query};
pub(crate) use parameters::{Parameters, refuse};

use crate::database::{Consistency, Filter, QueryPlan, Selection};
use crate::problem::Fault;
use crate::settings::Settings;
use model::lens::{HalfLife, Lens};
use model::record::{Lifecycle, Predicate, SourceClass, Subject};
use model::{AgentId, Code, RecordId};
use std::num::NonZeroUsize;

/// The lens of `GET /v1/query` unless the request names one.
pub(crate) const LENS_DEFAULT: Lens = Lens::Authority;

/// A plan, and what tells its cursors from others.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) plan: QueryPlan,
    pub(crate) digest: Digest,
}

/// Reads the query string of a read. `lens` is that of the route; without one the request may name it.
pub(crate) fn request(query: Option<&str>, lens: Option<Lens>, settings: &Settings) -> Result<Request, Fault> {
    let names = describe::names(lens.is_none());
    let parameters = Parameters::parse(query, &names)?;
    let lens = match lens {
        Some(lens) => lens,
        None => parameters.get("lens", Code::UnknownValue, describe::LENSES, Lens::from_word)?.unwrap_or(LENS_DEFAULT),
    };
    let same_query = parameters.sorted_without(&["lens", "limit", "consistency", "cursor"]);
    let digest = Digest::of(lens.as_str(), &same_query);
    let cursor = match parameters.text("cursor") {
        Some(text) => Some(Cursor::parse(text, &digest).ok_or(Fault::Cursor)?),
        None => None,
    };
    let as_of = parameters.get("as_of", Code::OutOfRange, describe::AS_OF, time::as_of)?;
    let plan = QueryPlan {
        selection: selection(&parameters)?,
        filter: filter(&parameters)?,
        lens,
        as_of: cursor.as_ref().map(|cursor| cursor.as_of).or(as_of),
        valid_at: parameters.get("valid_at", Code::OutOfRange, describe::MOMENT, time::moment)?,
        half_life: parameters
            .get("half_life", Code::UnknownValue, describe::HALF_LIFE, time::half_life)?
            .unwrap_or(HalfLife::Off),
        consistency: parameters
            .get("consistency", Code::UnknownValue, describe::CONSISTENCY, consistency)?
            .unwrap_or_default(),
        limit: limit(&parameters, settings)?,
        after: cursor.map(|cursor| cursor.after),
    };
    Ok(Request { plan, digest })
}

fn selection(parameters: &Parameters) -> Result<Selection, Fault> {
    let selection = Selection {
        subject: parameters.field("subject", |text| Subject::new(text))?,
        prefix: parameters.field("prefix", |text| Subject::new(text))?,
        predicate: parameters.field("predicate", |text| Predicate::new(text))?,
    };
    if selection.subject.is_some() && selection.prefix.is_some() {
        return Err(refuse(Code::UnknownField, "prefix", "either `subject` or `prefix`"));
    }
    Ok(selection)
}

fn filter(parameters: &Parameters) -> Result<Filter, Fault> {
    Ok(Filter {
        agent: parameters.get("agent", Code::BadHex, describe::HEX_64, AgentId::from_hex)?,
        source_class: parameters.get("source_class", Code::UnknownValue, describe::CLASSES, SourceClass::from_word)?,
        lifecycle: parameters.get("lifecycle", Code::UnknownValue, describe::LIFECYCLES, Lifecycle::from_word)?,
        epoch: parameters.get("epoch", Code::BadHex, describe::HEX_64, RecordId::from_hex)?,
    })
}

fn consistency(word: &str) -> Option<Consistency> {
    match word {
        "one" => Some(Consistency::One),
        "all" => Some(Consistency::All),
        _ => None,
    }
}

fn limit(parameters: &Parameters, settings: &Settings) -> Result<NonZeroUsize, Fault> {
    let expected = format!("a whole number from 1 to {}", settings.page_max);
    let refused = || Fault::Parameter(model::Refusal::new(Code::OutOfRange, "limit", expected));
    let asked = match parameters.text("limit") {
        None => Some(settings.page_default.min(settings.page_max)),
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten(),
    };
    asked.filter(|limit| *limit <= settings.page_max).and_then(NonZeroUsize::new).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Stamp;

    fn plan(query: &str) -> Result<QueryPlan, (&'static str, String)> {
        match request(Some(query), None, &Settings::default()) {
            Ok(request) => Ok(request.plan),
            Err(Fault::Parameter(refusal)) => Err((refusal.code.as_str(), refusal.field.into_owned())),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_query_without_parameters_is_about_everything() {
        let plan = plan("").unwrap();
        assert_eq!((plan.selection, plan.filter), (Selection::default(), Filter::default()));
        assert_eq!((plan.lens, plan.as_of, plan.limit.get()), (Lens::Authority, None, 100));
    }

    #[test]
    fn every_parameter_reaches_the_plan() {
        let key = "ab".repeat(32);
        let plan = plan(&format!(
            "subject=s&predicate=p&agent={key}&source_class=expert&lifecycle=rejected&epoch={key}&lens=skeptic\
             &as_of=7.1&valid_at=9&half_life=class&consistency=all&limit=5"
        ))
        .unwrap();
        assert_eq!(plan.filter.agent, AgentId::from_hex(&key));
        assert_eq!(plan.filter.epoch, RecordId::from_hex(&key));
        assert_eq!((plan.lens, plan.as_of), (Lens::Skeptic, Stamp::new(7, 1)));
        assert_eq!((plan.half_life, plan.consistency, plan.limit.get()), (HalfLife::Class, Consistency::All, 5));
        assert!(plan.terms(Stamp::MAX).include_inactive);
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, code, field) in [
            ("subjects=x", "unknown_field", "subjects"),
            ("subject=", "empty", "subject"),
            ("subject=%0A", "control_character", "subject"),
            ("subject=a&prefix=a", "unknown_field", "prefix"),
            ("agent=AB", "bad_hex", "agent"),
            ("lens=best", "unknown_value", "lens"),
            ("as_of=now", "out_of_range", "as_of"),
            ("limit=0", "out_of_range", "limit"),
            ("limit=1001", "out_of_range", "limit"),
            ("limit=+5", "out_of_range", "limit"),
            ("limit=99999999999999999999", "out_of_range", "limit"),
            ("half_life=x", "unknown_value", "half_life"),
            ("consistency=two", "unknown_value", "consistency"),
        ] {
            assert_eq!(plan(query), Err((code, field.to_owned())), "{query}");
        }
    }

    #[test]
    fn a_cursor_is_refused_with_another_query() {
        let settings = Settings::default();
        let first = request(Some("predicate=p&limit=1"), None, &settings).unwrap();
        let after =
            crate::database::Question { subject: Subject::new("s").unwrap(), predicate: Predicate::new("p").unwrap() };
        let cursor = Cursor { as_of: Stamp::from_bits(5), after: after.clone() }.print(&first.digest);
        let next = request(Some(&format!("limit=2&cursor={cursor}&predicate=p")), None, &settings).unwrap();
        assert_eq!((next.plan.as_of, next.plan.after), (Some(Stamp::from_bits(5)), Some(after)));
        let other = request(Some(&format!("predicate=q&cursor={cursor}")), None, &settings);
        assert_eq!(other.unwrap_err(), Fault::Cursor);
    }
}
