//! A progress bar with rate and time left, drawn on the standard error of a terminal and nowhere else.

use super::report::Summary;
use crate::cli::text::grouped;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar of one import; its length is the input in bytes, where that is known.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar, or nothing at all unless `draw`.
    pub(super) fn new(bytes_total: Option<u64>, draw: bool) -> Self {
        let target = if draw { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let template = match bytes_total {
            Some(_) => "{bar:32.cyan/dim} {percent:>3} %  {msg}  {eta} left",
            None => "{spinner:.cyan} {bytes} read  {msg}  {elapsed}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = match bytes_total {
            Some(bytes) => ProgressBar::with_draw_target(Some(bytes), target),
            None => ProgressBar::with_draw_target(None, target),
        };
        Self(bar.with_style(style.progress_chars("━╸─")))
    }

    /// Draws how far the import is.
    pub(super) fn show(&self, bytes: u64, summary: Summary) {
        self.0.set_position(bytes);
        self.0.set_message(self.rate(summary));
    }

    /// Lines so far, and how many a second.
    pub(super) fn rate(&self, summary: Summary) -> String {
        let ms = self.0.elapsed().as_millis().max(1);
        let rate = u128::from(summary.lines()) * 1000 / ms;
        let rate = grouped(u64::try_from(rate).unwrap_or(u64::MAX));
        format!("{} claims, {rate}/s", grouped(summary.lines()))
    }

    /// Runs `print` with the bar out of its way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
