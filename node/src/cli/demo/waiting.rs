//! Waiting for a cluster to be as it should, with something to look at meanwhile.

use crate::cli::client::Client;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::stop::Stop;
use crate::clock::Clock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::time::Duration;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(50);

/// A line that moves while something is waited for, on a terminal and nowhere else.
pub(super) fn spinner(console: &Console<'_>, text: &str) -> ProgressBar {
    drawn(ProgressBar::no_length(), console, "{spinner:.cyan} {msg}  {elapsed}").with_message(text.to_owned())
}

/// A bar for `total` steps, on a terminal and nowhere else.
pub(super) fn bar(console: &Console<'_>, total: usize, text: &str) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    drawn(bar, console, "{bar:32.cyan/dim} {percent:>3} %  {msg}").with_message(text.to_owned())
}

fn drawn(bar: ProgressBar, console: &Console<'_>, template: &str) -> ProgressBar {
    let target = if console.progress { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_draw_target(target);
    bar.with_style(style.progress_chars("━╸─"))
}

/// What is waited with.
pub(super) struct Wait<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a Stop,
    pub(super) limit: Duration,
}

impl Wait<'_> {
    /// Waits until `look` finds nothing missing any more; it returns what is, in words. Returns how long it took.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] with what is still missing at the limit, or when asked to stop; what `look` fails with.
    pub(super) fn until(
        &self,
        spinner: &ProgressBar,
        mut look: impl FnMut() -> Result<Option<String>, Failure>,
    ) -> Result<Duration, Failure> {
        let begun = self.clock.monotonic();
        let result = loop {
            spinner.tick();
            let missing = match look() {
                Ok(None) => break Ok(self.clock.monotonic().saturating_sub(begun)),
                Ok(Some(missing)) => missing,
                Err(failure) => break Err(failure),
            };
            let waited = self.clock.monotonic().saturating_sub(begun);
            if waited > self.limit {
                break Err(Failure::Failed(format!("{missing}, after {} s", self.limit.as_secs())));
            }
            if !self.stop.wait(LOOK) {
                break Err(Failure::Failed("stopped before the end".to_owned()));
            }
        };
        spinner.finish_and_clear();
        result
    }
}

/// What a node at these addresses still misses to be part of a whole cluster of `nodes`; nothing if nothing.
pub(super) fn missing_to_be_whole(client: &Client, admin: &Client, nodes: usize) -> Option<String> {
    let at = client.url();
    match client.get("/v1/ready", &[]) {
        Ok(reply) if reply.is_success() => {}
        Ok(reply) => return Some(format!("{at} is not ready: {}", reply.refusal())),
        Err(_) => return Some(format!("{at} does not answer")),
    }
    let cluster = match glance(admin) {
        Ok(cluster) => cluster,
        Err(failure) => return Some(format!("{at} cannot tell of its cluster: {failure}")),
    };
    let count = |name| cluster.get(name).and_then(Value::as_u64);
    let (up, all) = (count("nodes_up").unwrap_or(0), u64::try_from(nodes).unwrap_or(u64::MAX));
    if up < all {
        return Some(format!("{at} sees {up} of {nodes} nodes"));
    }
    cluster.get("leader").is_none_or(Value::is_null).then(|| format!("{at} knows no leader"))
}

/// What the cluster still misses to have every copy where it belongs; nothing if nothing.
pub(super) fn missing_copies(admin: &Client, nodes: usize) -> Option<String> {
    let Ok(cluster) = glance(admin) else { return Some("the cluster cannot tell how it is".to_owned()) };
    let count = |name| cluster.get(name).and_then(Value::as_u64).unwrap_or(u64::MAX);
    let shortfall = cluster.get("under_replicated");
    let records = shortfall.and_then(|shortfall| shortfall.get("records")?.as_u64()).unwrap_or(u64::MAX);
    let is_exact = shortfall.and_then(|shortfall| shortfall.get("is_exact")?.as_bool()).unwrap_or(false);
    let (up, hints) = (count("nodes_up"), count("hints_pending"));
    let is_whole = up == u64::try_from(nodes).unwrap_or(u64::MAX) && records == 0 && is_exact && hints == 0;
    let about = if is_exact { "" } else { "at least " };
    (!is_whole).then(|| {
        format!("{up} of {nodes} nodes are up, {about}{records} records lack a copy, {hints} hints are pending")
    })
}

/// The cluster at a glance, as the admin listener has it.
pub(super) fn glance(admin: &Client) -> Result<Value, Failure> {
    let status = admin.get("/v1/admin/status", &[])?.taken()?;
    let cluster = status.get("cluster").filter(|cluster| !cluster.is_null()).cloned();
    cluster.ok_or_else(|| Failure::Failed("it does not say".to_owned()))
}
