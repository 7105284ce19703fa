//! `--watch`: the same again and again, in the same place.
//!
//! What goes wrong while watching is shown like any other news and never ends it: a node that restarts comes back.

use crate::cli::console::{Console, Tone};
use crate::cli::failure::Failure;
use crate::cli::stop::Stop;
use std::time::Duration;

/// Clears what is below the cursor; lines are cleared as they are drawn, so that nothing flickers.
const CLEAR_BELOW: &str = "\u{1b}[J";
const CLEAR_LINE: &str = "\u{1b}[K";
const HOME: &str = "\u{1b}[H";
const CLEAR_ALL: &str = "\u{1b}[2J";

/// Whether to look again.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Watch {
    /// Shows it again every so many seconds, 2 if not given, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub watch: Option<u32>,
}

impl Watch {
    /// Draws once, or until Ctrl-C: for a person each time over what was drawn before, for a pipe one after the other.
    ///
    /// # Errors
    ///
    /// What `draw` returns if it is drawn once; while watching, [`Failure::Output`] and [`Failure::Usage`] only.
    pub(super) fn run(
        self,
        console: &mut Console<'_>,
        draw: impl FnMut(&mut Console<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut draw = draw;
        let Some(seconds) = self.watch else { return draw(console) };
        let stop = Stop::default();
        let every = Duration::from_secs(seconds.into());
        if console.for_person {
            write!(console.out, "{CLEAR_ALL}")?;
        }
        stop.on_interrupt(|| {
            loop {
                show(console, &mut draw)?;
                if !stop.wait(every) {
                    return Ok(());
                }
            }
        })
    }
}

/// Draws one frame.
fn show(
    console: &mut Console<'_>,
    draw: &mut impl FnMut(&mut Console<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut frame = Vec::new();
    match draw(&mut console.onto(&mut frame)) {
        Ok(()) => {}
        Err(failure @ (Failure::Output(_) | Failure::Usage(_))) => return Err(failure),
        Err(failure @ (Failure::Failed(_) | Failure::Refused(_))) => {
            let line = console.paint(Tone::Bad, &failure.to_string());
            console.onto(&mut frame).line(line)?;
        }
    }
    if console.for_person {
        let frame = String::from_utf8_lossy(&frame).replace('\n', &format!("{CLEAR_LINE}\n"));
        write!(console.out, "{HOME}{frame}{CLEAR_BELOW}")?;
    } else {
        console.out.write_all(&frame)?;
    }
    Ok(console.out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn frames(for_person: bool) -> String {
        let mut out = Vec::new();
        let mut console = Console {
            out: &mut out,
            for_person,
            color: false,
            columns: 80,
            progress: false,
            now: Timestamp::from_ms(1).unwrap(),
        };
        let mut round = 0;
        for _ in 0..2 {
            let draw = &mut |console: &mut Console<'_>| {
                round += 1;
                console.line(format_args!("round {round}"))?;
                if round == 2 { Err(Failure::Failed("nobody answers".to_owned())) } else { Ok(()) }
            };
            show(&mut console, draw).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_frame_is_drawn_over_the_one_before_and_shows_what_went_wrong() {
        expect_test::expect![[
            r#""\u{1b}[Hround 1\u{1b}[K\n\u{1b}[J\u{1b}[Hround 2\u{1b}[K\nnobody answers\u{1b}[K\n\u{1b}[J""#
        ]]
        .assert_eq(&format!("{:?}", frames(true)));
        assert_eq!(frames(false), "round 1\nround 2\nnobody answers\n");
    }
}
