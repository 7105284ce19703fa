//! Commands that ask: `query`, `skeptic` and `layered`.
//!
//! They hand their parameters to the node as they were typed, so that a node never gets another question than the user
//! asked; the node says what is wrong with them.

mod shape;
mod show;

use super::client::Client;
use super::console::Console;
use super::failure::Failure;
use super::keys::KeyFolder;
use show::Show;
use std::path::Path;

/// Which questions, and under which terms they are resolved.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Terms {
    /// What it is about, like geo://country/BO
    pub subject: Option<String>,
    /// Which property, like capital
    pub predicate: Option<String>,
    /// Every subject that begins so, in place of one subject
    #[arg(long, conflicts_with = "subject")]
    pub prefix: Option<String>,
    /// The predicate, where no subject is given
    #[arg(long = "predicate", value_name = "PREDICATE", conflicts_with = "predicate")]
    pub any_predicate: Option<String>,
    /// Only claims of this agent
    #[arg(long, value_name = "AGENT_ID")]
    pub agent: Option<String>,
    /// Only claims of this class of sources
    #[arg(long, value_name = "CLASS")]
    pub source_class: Option<String>,
    /// Only claims at this point of their life
    #[arg(long)]
    pub lifecycle: Option<String>,
    /// Only claims of this epoch
    #[arg(long, value_name = "ID")]
    pub epoch: Option<String>,
    /// As it was known then: a time, or the `as_of` of another answer
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Only what holds at that time
    #[arg(long, value_name = "TIME")]
    pub valid_at: Option<String>,
    /// How fast old claims lose weight: `class`, or a duration like 90d
    #[arg(long, value_name = "DURATION")]
    pub half_life: Option<String>,
    /// How many owners must be heard: one or all
    #[arg(long)]
    pub consistency: Option<String>,
    /// The most questions to answer
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<String>,
    /// Goes on where the page before ended
    #[arg(long)]
    pub cursor: Option<String>,
}

impl Terms {
    /// The terms on one question.
    pub fn on(subject: &str, predicate: &str) -> Self {
        Self { subject: Some(subject.to_owned()), predicate: Some(predicate.to_owned()), ..Self::default() }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let named = [
            ("subject", &self.subject),
            ("predicate", &self.predicate),
            ("predicate", &self.any_predicate),
            ("prefix", &self.prefix),
            ("agent", &self.agent),
            ("source_class", &self.source_class),
            ("lifecycle", &self.lifecycle),
            ("epoch", &self.epoch),
            ("as_of", &self.as_of),
            ("valid_at", &self.valid_at),
            ("half_life", &self.half_life),
            ("consistency", &self.consistency),
            ("limit", &self.limit),
            ("cursor", &self.cursor),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// Resolves claims by a lens.
#[derive(Clone, Debug, clap::Args)]
pub struct Query {
    /// What to ask.
    #[command(flatten)]
    pub terms: Terms,
    /// How to resolve claims that contradict each other: none, recency, confidence, consensus, authority, skeptic, layered
    #[arg(long, default_value = "authority")]
    pub lens: String,
}

impl Query {
    /// Asks and prints.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node refuses the question or does not answer.
    pub fn run(&self, client: &Client, keys: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        let mut parameters = self.terms.parameters();
        parameters.push(("lens", self.lens.clone()));
        ask(client, "/v1/query", &parameters, keys, json, console)
    }
}

/// Shows how contested a question is.
#[derive(Clone, Debug, clap::Args)]
pub struct Skeptic {
    /// What to ask.
    #[command(flatten)]
    pub terms: Terms,
}

impl Skeptic {
    /// Asks and prints.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node refuses the question or does not answer.
    pub fn run(&self, client: &Client, keys: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        ask(client, "/v1/skeptic", &self.terms.parameters(), keys, json, console)
    }
}

/// Shows what each tier says.
#[derive(Clone, Debug, clap::Args)]
pub struct Layered {
    /// What to ask.
    #[command(flatten)]
    pub terms: Terms,
}

impl Layered {
    /// Asks and prints.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the node refuses the question or does not answer.
    pub fn run(&self, client: &Client, keys: &Path, json: bool, console: &mut Console<'_>) -> Result<(), Failure> {
        ask(client, "/v1/layered", &self.terms.parameters(), keys, json, console)
    }
}

fn ask(
    client: &Client,
    path: &str,
    parameters: &[(&str, String)],
    keys: &Path,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let answer = client.get(path, parameters)?.taken()?;
    if json {
        return Ok(console.json(&answer)?);
    }
    let answer: shape::Answered = serde_json::from_value(answer).map_err(|error| {
        Failure::Failed(format!("the node's answer is not understood ({error}): is it of another release? Try --json"))
    })?;
    Ok(Show { console, names: KeyFolder::new(keys, true).names() }.answer(&answer)?)
}

#[cfg(test)]
mod tests;
