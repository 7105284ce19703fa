//! What happened in a demo: for a person in sentences, for a program as JSON.

use crate::cli::console::{Console, Tone};
use crate::cli::text::{grouped, span};
use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many nodes there were.
    pub nodes: usize,
    /// From the start of the processes until all of them were ready.
    pub founded_in: Duration,
    /// Claims of the file that were imported.
    pub imported: u64,
    /// How long that took.
    pub imported_in: Duration,
    /// The node that was killed, and whether it led.
    pub victim: Victim,
    /// Claims that were acknowledged while it was killed.
    pub acknowledged: u64,
    /// On how many nodes each of them was when it was acknowledged, at least.
    pub copies_min: u64,
    /// Attempts to write.
    pub attempts: u64,
    /// Those of them that failed.
    pub failed_attempts: u64,
    /// Claims for which every attempt failed.
    pub failed_writes: u64,
    /// From the kill to the last attempt that failed.
    pub errors_seen_for: Duration,
    /// Acknowledged claims read back from the other nodes, before the victim returned.
    pub found: u64,
    /// Acknowledged claims that were gone.
    pub lost: u64,
    /// Acknowledged claims on which nobody answered.
    pub unanswered: u64,
    /// From the victim's return until nothing lacked a copy.
    pub caught_up_in: Duration,
}

/// The node that was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    /// Its number, from 1.
    pub number: usize,
    /// Its name.
    pub node_id: String,
    /// Whether it led the control plane.
    pub led: bool,
}

impl Report {
    /// Whether every acknowledged claim was read back.
    pub fn nothing_lost(&self) -> bool {
        self.found == self.acknowledged
    }

    /// As JSON; times in milliseconds.
    pub fn json(&self) -> Value {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({
            "nodes": self.nodes, "founded_ms": ms(self.founded_in),
            "imported": self.imported, "imported_ms": ms(self.imported_in),
            "killed": {"number": self.victim.number, "node_id": self.victim.node_id, "led": self.victim.led},
            "acknowledged": self.acknowledged, "copies_min": self.copies_min,
            "attempts": self.attempts, "failed_attempts": self.failed_attempts, "failed_writes": self.failed_writes,
            "errors_seen_ms": ms(self.errors_seen_for),
            "found": self.found, "lost": self.lost, "unanswered": self.unanswered,
            "caught_up_ms": ms(self.caught_up_in),
        })
    }

    /// Prints it for a person.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn print(&self, console: &mut Console<'_>) -> io::Result<()> {
        let heading = console.paint(Tone::Strong, "What happened");
        console.line(format_args!("\n{heading}"))?;
        let led = if self.victim.led { ", the leader," } else { "" };
        self.row(console, "founded", &format!("{} nodes in {}", self.nodes, time(self.founded_in)))?;
        self.row(console, "imported", &format!("{} claims in {}", grouped(self.imported), time(self.imported_in)))?;
        let killed = format!("node {}{led} with SIGKILL, while {} writers wrote", self.victim.number, self.nodes);
        self.row(console, "killed", &killed)?;
        let copies = if self.copies_min == 1 { "1 disk" } else { &format!("{} disks", self.copies_min) };
        let acknowledged = format!("{} claims, each on {copies} at least", grouped(self.acknowledged));
        self.row(console, "acknowledged", &acknowledged)?;
        self.row(console, "errors seen", &self.errors())?;
        let verdict = self.verdict();
        let verdict = console.paint(if self.nothing_lost() { Tone::Good } else { Tone::Bad }, &verdict);
        self.row(console, "lost", &verdict)?;
        let back = format!("node {} had every copy again after {}", self.victim.number, time(self.caught_up_in));
        self.row(console, "came back", &back)
    }

    fn row(&self, console: &mut Console<'_>, name: &str, text: &str) -> io::Result<()> {
        console.line(format_args!("  {name:<13} {text}"))
    }

    fn errors(&self) -> String {
        if self.failed_attempts == 0 {
            return format!("none in {} attempts", grouped(self.attempts));
        }
        format!(
            "for {} after the kill: {} of {} attempts failed, {} writes failed after all retries",
            time(self.errors_seen_for),
            grouped(self.failed_attempts),
            grouped(self.attempts),
            grouped(self.failed_writes),
        )
    }

    fn verdict(&self) -> String {
        let (found, all) = (grouped(self.found), grouped(self.acknowledged));
        if self.nothing_lost() {
            return format!("nothing: {found} of {all} were read back from the others before it returned");
        }
        let (lost, unanswered) = (grouped(self.lost), grouped(self.unanswered));
        format!("of {all}, {lost} are gone, {found} were read back, and on {unanswered} nobody answered")
    }
}

fn time(time: Duration) -> String {
    span(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn report() -> Report {
        Report {
            nodes: 3,
            founded_in: Duration::from_millis(1240),
            imported: 6478,
            imported_in: Duration::from_millis(3100),
            victim: Victim { number: 2, node_id: "3b6a27bcceb6a42d".to_owned(), led: true },
            acknowledged: 2411,
            copies_min: 2,
            attempts: 2414,
            failed_attempts: 3,
            failed_writes: 0,
            errors_seen_for: Duration::from_millis(212),
            found: 2411,
            lost: 0,
            unanswered: 0,
            caught_up_in: Duration::from_millis(2300),
        }
    }

    fn printed(report: &Report) -> String {
        let mut out = Vec::new();
        let mut console = Console {
            out: &mut out,
            for_person: true,
            color: false,
            columns: 100,
            progress: false,
            now: Timestamp::from_ms(1).unwrap(),
        };
        report.print(&mut console).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_report_says_what_happened_in_the_order_in_which_it_did() {
        expect_test::expect![[r#"

            What happened
              founded       3 nodes in 1.2 s
              imported      6,478 claims in 3.1 s
              killed        node 2, the leader, with SIGKILL, while 3 writers wrote
              acknowledged  2,411 claims, each on 2 disks at least
              errors seen   for 212 ms after the kill: 3 of 2,414 attempts failed, 0 writes failed after all retries
              lost          nothing: 2,411 of 2,411 were read back from the others before it returned
              came back     node 2 had every copy again after 2.3 s
        "#]]
        .assert_eq(&printed(&report()));
        expect_test::expect![[r#"{"acknowledged":2411,"attempts":2414,"caught_up_ms":2300,"copies_min":2,"errors_seen_ms":212,"failed_attempts":3,"failed_writes":0,"found":2411,"founded_ms":1240,"imported":6478,"imported_ms":3100,"killed":{"led":true,"node_id":"3b6a27bcceb6a42d","number":2},"lost":0,"nodes":3,"unanswered":0}"#]].assert_eq(&report().json().to_string());
    }

    #[test]
    fn a_loss_is_told_as_one() {
        let quiet = Report { failed_attempts: 0, errors_seen_for: Duration::ZERO, ..report() };
        let lost = Report { found: 2400, lost: 10, unanswered: 1, copies_min: 1, ..quiet };
        assert!(!lost.nothing_lost());
        expect_test::expect![[r#"

            What happened
              founded       3 nodes in 1.2 s
              imported      6,478 claims in 3.1 s
              killed        node 2, the leader, with SIGKILL, while 3 writers wrote
              acknowledged  2,411 claims, each on 1 disk at least
              errors seen   none in 2,414 attempts
              lost          of 2,411, 10 are gone, 2,400 were read back, and on 1 nobody answered
              came back     node 2 had every copy again after 2.3 s
        "#]]
        .assert_eq(&printed(&lost));
    }
}
