//! Answers as tables that a person reads at a glance.
//!
//! For a person ids are shortened and long texts cut; whatever reads a pipe gets them whole.

use super::shape::{Answer, Answered, Claim, Conflict, Excluded, Object, Outcome, Position, Tier, Unanswered};
use crate::cli::console::{Console, Tone};
use crate::cli::text::{ago, bar, date, fraction, harmless, number, percent, short};
use comfy_table::{Attribute, Cell, CellAlignment, Color};
use model::Timestamp;
use std::collections::BTreeMap;
use std::io;

/// The most characters of a text that a person sees in a table.
const TEXT_CHARS_MAX: usize = 160;
/// How wide the bar of the whole is.
const BAR_CELLS: u64 = 16;

/// Prints answers.
pub(super) struct Show<'a, 'c> {
    pub(super) console: &'a mut Console<'c>,
    /// What agents are called here.
    pub(super) names: BTreeMap<String, String>,
}

impl Show<'_, '_> {
    pub(super) fn answer(&mut self, answered: &Answered) -> io::Result<()> {
        let meta = &answered.meta;
        if meta.freshness_ms.is_none() {
            let warning =
                "It may be old: the nodes that answered have been away, and no other that has it could be reached.";
            let warning = self.console.paint(Tone::Warning, warning);
            self.console.line(warning)?;
        }
        if answered.result.answers.is_empty() && meta.damaged.is_empty() && meta.cursor.is_none() {
            return self.console.line("Nobody claims anything on that.");
        }
        for (position, answer) in answered.result.answers.iter().enumerate() {
            if position > 0 {
                self.console.line("")?;
            }
            self.heading(answer, &meta.lens)?;
            self.outcome(&answer.outcome)?;
            self.excluded(&answer.excluded)?;
        }
        for damaged in &meta.damaged {
            let Unanswered { subject, predicate, position } = damaged;
            let warning = format!(
                "{}  {}  not answered: a claim is damaged on the node's disk at {position}; send it again to mend it",
                harmless(subject),
                harmless(predicate)
            );
            let warning = self.console.paint(Tone::Bad, &warning);
            self.console.line(warning)?;
        }
        if let Some(cursor) = &meta.cursor {
            let hint = format!("There may be more: --cursor {cursor}");
            let hint = self.console.paint(Tone::Dim, &hint);
            self.console.line(format_args!("\n{hint}"))?;
        }
        Ok(())
    }

    fn heading(&mut self, answer: &Answer, lens: &str) -> io::Result<()> {
        let question = format!("{}  {}", harmless(&answer.subject), harmless(&answer.predicate));
        let question = self.console.paint(Tone::Strong, &question);
        let lens = self.console.paint(Tone::Dim, &format!("by {lens}"));
        self.console.line(format_args!("{question}  {lens}"))
    }

    fn outcome(&mut self, outcome: &Outcome) -> io::Result<()> {
        match outcome {
            Outcome::Decision { winner, explanation, runners_up } => {
                let first = winner.iter().map(|claim| (claim, true));
                self.claims(first.chain(runners_up.iter().map(|claim| (claim, false))))?;
                self.sentence(explanation)
            }
            Outcome::Candidates { candidates } => self.claims(candidates.iter().map(|claim| (claim, false))),
            Outcome::Conflict { conflict } => self.conflict(conflict),
            Outcome::Layers { winner, tiers, cross_tier } => self.layers(winner.as_ref(), tiers, cross_tier),
        }
    }

    /// A row a claim; the one that won is marked.
    fn claims<'a>(&mut self, claims: impl Iterator<Item = (&'a Claim, bool)>) -> io::Result<()> {
        let mut table = self.console.table(&["", "Value", "Weight", "Who", "Tier", "When", "Claim"]);
        for (claim, won) in claims {
            let weight = match claim.weight {
                Some(weight) => fraction(millionths(weight)),
                None => format!("({})", fraction(millionths(claim.confidence))),
            };
            let tier = claim.effective_tier.as_ref().unwrap_or(&claim.source_class);
            let cells = [
                Cell::new(if won { "▸" } else { "" }),
                Cell::new(self.value(&claim.object)).set_alignment(alignment(&claim.object)),
                Cell::new(weight).set_alignment(CellAlignment::Right),
                Cell::new(self.who(claim)),
                Cell::new(tier),
                Cell::new(self.when(claim)),
                Cell::new(self.id(&claim.id)),
            ];
            let strong = |cell: Cell| cell.add_attribute(Attribute::Bold).fg(Color::Green);
            table.add_row(cells.map(|cell| if won { strong(cell) } else { cell }));
        }
        self.console.line(table.trim_fmt())
    }

    /// A row a value, with its share drawn.
    fn conflict(&mut self, conflict: &Conflict) -> io::Result<()> {
        let mut table = self.console.table(&["Value", "Share", "", "Who", "Tier", "When"]);
        for position in &conflict.values {
            table.add_row(self.position(position));
        }
        if !conflict.values.is_empty() {
            self.console.line(table.trim_fmt())?;
        }
        self.verdict(conflict)
    }

    fn position(&self, position: &Position) -> Vec<Cell> {
        let each = |show: &dyn Fn(&Claim) -> String| position.claims.iter().map(show).collect::<Vec<_>>().join("\n");
        let share = position.share.map(millionths);
        vec![
            Cell::new(self.value(&position.object)).set_alignment(alignment(&position.object)),
            Cell::new(share.map_or_else(|| "-".to_owned(), percent)).set_alignment(CellAlignment::Right),
            Cell::new(share.map_or_else(String::new, |share| bar(share, BAR_CELLS))).fg(Color::Cyan),
            Cell::new(each(&|claim| self.who(claim))),
            Cell::new(each(&|claim| claim.source_class.clone())),
            Cell::new(each(&|claim| self.when(claim))),
        ]
    }

    fn verdict(&mut self, conflict: &Conflict) -> io::Result<()> {
        let tone = match conflict.verdict.as_str() {
            "unanimous" => Tone::Good,
            "agreed" => Tone::Warning,
            "contested" => Tone::Bad,
            _ => Tone::Dim,
        };
        let verdict = self.console.paint(tone, &conflict.verdict);
        let score = match conflict.score {
            Some(score) => format!("conflict score {score:.3}"),
            None => "no conflict score, since nothing has any weight".to_owned(),
        };
        let scale = self.console.paint(Tone::Dim, "(0: one value; 1: all values weigh the same)");
        self.console.line(format_args!("{verdict}, {score} {scale}"))
    }

    fn layers(&mut self, winner: Option<&Claim>, tiers: &[Tier], cross_tier: &Conflict) -> io::Result<()> {
        let mut table = self.console.table(&["", "Tier", "Value", "Who", "When", "Inside the tier"]);
        for tier in tiers {
            let won = winner.is_some_and(|winner| winner.id == tier.winner.id);
            let cells = [
                Cell::new(if won { "▸" } else { "" }),
                Cell::new(&tier.tier),
                Cell::new(self.value(&tier.winner.object)).set_alignment(alignment(&tier.winner.object)),
                Cell::new(self.who(&tier.winner)),
                Cell::new(self.when(&tier.winner)),
                Cell::new(match tier.conflict.score {
                    Some(score) => format!("{}, {score:.3}", tier.conflict.verdict),
                    None => tier.conflict.verdict.clone(),
                }),
            ];
            let strong = |cell: Cell| cell.add_attribute(Attribute::Bold).fg(Color::Green);
            table.add_row(cells.map(|cell| if won { strong(cell) } else { cell }));
        }
        self.console.line(table.trim_fmt())?;
        if let Some(strongest) = tiers.first() {
            self.sentence(&format!("{}: {}", strongest.tier, strongest.explanation))?;
        }
        self.console.line("Between the tiers:")?;
        self.verdict(cross_tier)
    }

    fn excluded(&mut self, excluded: &[Excluded]) -> io::Result<()> {
        if excluded.is_empty() {
            return Ok(());
        }
        let mut table = self.console.table(&["Excluded", "Who", "When", "Claim", "Why"]);
        for Excluded { explanation, claim } in excluded {
            table.add_row(
                [
                    Cell::new(self.value(&claim.object)),
                    Cell::new(self.who(claim)),
                    Cell::new(self.when(claim)),
                    Cell::new(self.id(&claim.id)),
                    Cell::new(harmless(explanation)),
                ]
                .map(|cell| cell.add_attribute(Attribute::Dim)),
            );
        }
        self.console.line(table.trim_fmt())
    }

    fn sentence(&mut self, text: &str) -> io::Result<()> {
        self.console.line(harmless(text))
    }

    fn value(&self, object: &Object) -> String {
        let text = match object {
            Object::Number(literal) => return number(&literal.to_string()),
            Object::Boolean(boolean) => return boolean.to_string(),
            Object::Text(text) => harmless(text),
            Object::Reference(subject) => format!("→ {}", harmless(subject)),
        };
        if self.console.for_person && text.chars().count() > TEXT_CHARS_MAX {
            return text.chars().take(TEXT_CHARS_MAX).chain(['…']).collect();
        }
        text
    }

    fn who(&self, claim: &Claim) -> String {
        let name = |agent: &String| self.names.get(agent).map_or_else(|| self.id(agent), |name| harmless(name));
        claim.authors.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn when(&self, claim: &Claim) -> String {
        Timestamp::from_ms(claim.timestamp)
            .map_or_else(String::new, |time| format!("{} ({})", date(time), ago(time, self.console.now)))
    }

    fn id(&self, id: &str) -> String {
        if self.console.for_person { short(id) } else { id.to_owned() }
    }
}

fn alignment(object: &Object) -> CellAlignment {
    match object {
        Object::Number(_) => CellAlignment::Right,
        Object::Text(_) | Object::Boolean(_) | Object::Reference(_) => CellAlignment::Left,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 1")]
fn millionths(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1e6).round() as u64
}
