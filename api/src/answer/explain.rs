//! Why it came out so, in one sentence for people.
//!
//! Programs read the word beside it; the sentences may change with any release.

use super::Claims;
use super::shape::Decimal;
use model::lens::{Conflict, Decision, Exclusion, Ranked, Reason, Verdict};
use model::record::Lifecycle;

/// The most characters of a value that a sentence quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// Why this claim won.
pub(super) fn decision(decision: Option<&Decision>, claims: Claims<'_>) -> String {
    let Some(decision) = decision else {
        return "Nothing won, because there was no candidate.".into();
    };
    let (winner, second) = (&decision.winner, decision.runners_up.first());
    let weight = |ranked: &Ranked| Decimal::of_millionths(ranked.weight).0;
    let against = |what: &str| match second {
        Some(second) => format!("{what} {} against {}", weight(winner), weight(second)),
        None => format!("{what} {}", weight(winner)),
    };
    let why = match decision.reason {
        Reason::OnlyCandidate => "it is the only candidate".into(),
        Reason::Newest => match second.and_then(|second| claims.get(second.claim)) {
            Some(second) => format!("it is newer than the next, which is of {}", date(second.assertion.timestamp)),
            None => "it is the newest".into(),
        },
        Reason::HighestConfidence => against("its authors are surest: confidence"),
        Reason::MostAuthors => against("most authors hold its value: weight"),
        Reason::HigherTier => match second {
            Some(second) => format!(
                "its source is {}, that of the best runner-up only {}",
                winner.effective_tier.as_str(),
                second.effective_tier.as_str()
            ),
            None => format!("its source is {}", winner.effective_tier.as_str()),
        },
        Reason::HigherWeightInTier => {
            against(&format!("among {} sources it weighs most: confidence times trust", winner.effective_tier.as_str()))
        }
        Reason::TieNewer => "all else is equal and it is newer".into(),
        Reason::TieSmallerId => "all else is equal, its time too, and its id is the smaller".into(),
    };
    format!("{} won because {why}.", quoted(winner, claims))
}

/// How contested it is.
pub(super) fn conflict(conflict: &Conflict) -> String {
    let values = conflict.values.len();
    let score = conflict.score.map_or_else(|| "unknown".into(), |score| Decimal::of_millionths(score).0.to_string());
    match conflict.verdict {
        Verdict::Silent => "Nobody says anything.".into(),
        Verdict::Unanimous => "Everybody holds one value.".into(),
        Verdict::Agreed => format!("{values} values, but one clearly prevails (conflict {score})."),
        Verdict::Contested => format!("{values} values and none clearly prevails (conflict {score})."),
    }
}

/// Why a claim was no candidate: the word, the sentence, and the claim that supersedes it.
pub(super) fn exclusion(exclusion: Exclusion) -> (&'static str, String, Option<String>) {
    match exclusion {
        Exclusion::Superseded(by) => {
            ("superseded", format!("A newer claim, {by}, takes its place."), Some(by.to_string()))
        }
        Exclusion::Inactive(lifecycle) => {
            let state = match lifecycle {
                Lifecycle::Deprecated => "no longer to be used",
                Lifecycle::Rejected => "found wanting",
                Lifecycle::Proposed | Lifecycle::UnderReview | Lifecycle::Approved => "not active",
            };
            ("inactive", format!("It is {}: {state}.", lifecycle.as_str()), None)
        }
        Exclusion::NotValid => ("not_valid", "It does not hold at the moment asked for.".into(), None),
    }
}

/// The value of a claim, short enough for a sentence.
fn quoted(ranked: &Ranked, claims: Claims<'_>) -> String {
    use model::record::Object;
    let text = match claims.get(ranked.claim).map(|view| &view.assertion.object) {
        Some(Object::Text(text)) => text.as_str().to_owned(),
        Some(Object::Reference(subject)) => subject.as_str().to_owned(),
        Some(Object::Number(number)) => return number.get().to_string(),
        Some(Object::Boolean(boolean)) => return boolean.to_string(),
        None => return "It".into(),
    };
    let short: String = text.chars().take(QUOTED_CHARS_MAX).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("“{short}{dots}”")
}

/// A time as people write it; its milliseconds where the calendar ends.
fn date(timestamp: model::Timestamp) -> String {
    let time = i64::try_from(timestamp.ms()).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{} ms", timestamp.ms()), |time| time.to_string())
}
