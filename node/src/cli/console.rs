//! Where a command prints, and how: for a person at a terminal, or for whatever reads a pipe.
//!
//! It never decides what is printed; ids are only ever shortened for a person who sees a table.

use crate::clock::{Clock as _, SystemClock};
use comfy_table::{Attribute, Cell, ContentArrangement, Table};
use model::Timestamp;
use std::io::{self, IsTerminal as _, Write};

/// The output of a command.
pub struct Console<'a> {
    /// Where results go.
    pub out: &'a mut dyn Write,
    /// Whether a person reads them: then tables fit the screen and may be coloured.
    pub for_person: bool,
    /// Whether to colour.
    pub color: bool,
    /// How many columns a table may take.
    pub columns: u16,
    /// Whether progress may be drawn on the standard error.
    pub progress: bool,
    /// The wall clock when the command began.
    pub now: Timestamp,
}

/// How much a piece of text should stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// What the reader came for.
    Strong,
    /// What may be skipped.
    Dim,
    /// All is well.
    Good,
    /// Worth a second look.
    Warning,
    /// Something is wrong.
    Bad,
}

/// The columns that a table takes where nobody says how many there are.
const COLUMNS_DEFAULT: u16 = 100;

impl<'a> Console<'a> {
    /// The console of this process: `out` stands for its standard output. `NO_COLOR` and `COLUMNS` are heeded.
    pub fn of_process(out: &'a mut dyn Write) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let for_person = io::stdout().is_terminal();
        Self {
            out,
            for_person,
            color: for_person && variable("NO_COLOR").is_none(),
            columns: variable("COLUMNS").and_then(|columns| columns.parse().ok()).unwrap_or(COLUMNS_DEFAULT),
            progress: io::stderr().is_terminal(),
            now: Timestamp::from_ms(SystemClock::start().wall_ms()).unwrap_or_else(|| unreachable!("2^53 ms are far")),
        }
    }
}

impl Console<'_> {
    /// The same console with another output.
    pub fn onto<'o>(&self, out: &'o mut dyn Write) -> Console<'o> {
        let Self { for_person, color, columns, progress, now, .. } = *self;
        Console { out, for_person, color, columns, progress, now }
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn line(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Writes JSON: indented for a person, on one line for a program.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        if self.for_person { self.line(format_args!("{value:#}")) } else { self.line(value) }
    }

    /// An empty table without lines: as wide as the screen for a person, as wide as it gets for a pipe.
    pub fn table(&self, header: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        if self.for_person {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.columns);
        } else {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        if self.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Dim)));
        table
    }

    /// `text` in a tone, where colours are on.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("for_person", &self.for_person).field("columns", &self.columns).finish()
    }
}
