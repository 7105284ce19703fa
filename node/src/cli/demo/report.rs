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
    /// Lines of the file that were imported.
    pub imported: u64,
    /// How many different claims they hold: some are there twice.
    pub imported_claims: u64,
    /// How long that took.
    pub imported_in: Duration,
    /// The node that was killed, and whether it led.
    pub victim: Victim,
    /// Claims that were acknowledged before it was killed and after.
    pub acknowledged: u64,
    /// Those of them that were acknowledged when it was dead.
    pub acknowledged_after: u64,
    /// How long the slowest of those took, with all its attempts.
    pub slowest: Duration,
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
    /// Imported claims that the other nodes showed before the victim returned.
    pub imported_found: u64,
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
    /// What speaks against the cluster, if anything does: something lost, or nothing acknowledged when a node was dead, in
    /// which case nothing can be said.
    pub fn trouble(&self) -> Option<String> {
        if self.acknowledged_after == 0 {
            return Some(
                "no claim was acknowledged after the kill: the cluster did not go on without the node".to_owned(),
            );
        }
        (!self.nothing_lost()).then(|| "not every acknowledged claim was read back".to_owned())
    }

    /// Whether every claim that was acknowledged, imported ones included, was read back.
    fn nothing_lost(&self) -> bool {
        self.acknowledged > 0 && self.found == self.acknowledged && self.imported_found == self.imported_claims
    }

    /// As JSON; times in milliseconds.
    pub fn json(&self) -> Value {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({
            "nodes": self.nodes, "founded_ms": ms(self.founded_in),
            "imported": self.imported, "imported_claims": self.imported_claims, "imported_ms": ms(self.imported_in),
            "killed": {"number": self.victim.number, "node_id": self.victim.node_id, "led": self.victim.led},
            "acknowledged": self.acknowledged, "acknowledged_after_kill": self.acknowledged_after,
            "copies_min": self.copies_min, "slowest_write_ms": ms(self.slowest),
            "attempts": self.attempts, "failed_attempts": self.failed_attempts, "failed_writes": self.failed_writes,
            "errors_seen_ms": ms(self.errors_seen_for),
            "imported_found": self.imported_found, "found": self.found, "lost": self.lost, "unanswered": self.unanswered,
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
        self.row(console, "imported", &self.imported())?;
        let killed = format!("node {}{led} with SIGKILL, while {} writers wrote", self.victim.number, self.nodes);
        self.row(console, "killed", &killed)?;
        let copies = if self.copies_min == 1 { "1 disk" } else { &format!("{} disks", self.copies_min) };
        let (all, after) = (grouped(self.acknowledged), grouped(self.acknowledged_after));
        let acknowledged = format!("{all} claims, {after} of them after the kill; each on {copies} at least");
        self.row(console, "acknowledged", &acknowledged)?;
        let (found, imported) = (grouped(self.found), grouped(self.imported_found));
        let read_back =
            format!("{found} of {all} written and {imported} of {} imported,", grouped(self.imported_claims));
        self.row(console, "read back", &format!("{read_back} from the others while it was dead"))?;
        let (verdict, tone) = self.verdict();
        let verdict = console.paint(tone, &verdict);
        self.row(console, "lost", &verdict)?;
        self.row(console, "errors seen", &self.errors())?;
        let back =
            format!("node {} had every copy again {} after its start", self.victim.number, time(self.caught_up_in));
        self.row(console, "came back", &back)
    }

    fn row(&self, console: &mut Console<'_>, name: &str, text: &str) -> io::Result<()> {
        console.line(format_args!("  {name:<13} {text}"))
    }

    fn imported(&self) -> String {
        let (lines, claims) = (grouped(self.imported), grouped(self.imported_claims));
        format!("{lines} lines, which are {claims} different claims, in {}", time(self.imported_in))
    }

    fn errors(&self) -> String {
        let slowest = time(self.slowest);
        if self.failed_attempts == 0 {
            return format!("none in {} attempts; the slowest claim took {slowest}", grouped(self.attempts));
        }
        format!(
            "for {} after the kill: of {} attempts {} failed, of the claims {} after retries; the slowest took {slowest}",
            time(self.errors_seen_for),
            grouped(self.attempts),
            grouped(self.failed_attempts),
            if self.failed_writes == 0 { "none".to_owned() } else { grouped(self.failed_writes) },
        )
    }

    fn verdict(&self) -> (String, Tone) {
        if self.nothing_lost() {
            return ("nothing".to_owned(), Tone::Good);
        }
        let imported = self.imported_claims.saturating_sub(self.imported_found);
        let [lost, unanswered, imported] = [self.lost, self.unanswered, imported].map(grouped);
        let written = format!("of the written {lost} are gone, and on {unanswered} nobody answered");
        (format!("{written}; of the imported {imported} are not shown"), Tone::Bad)
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
            imported_claims: 6471,
            imported_in: Duration::from_millis(3100),
            victim: Victim { number: 2, node_id: "3b6a27bcceb6a42d".to_owned(), led: true },
            acknowledged: 2411,
            acknowledged_after: 1720,
            slowest: Duration::from_millis(341),
            copies_min: 2,
            attempts: 2414,
            failed_attempts: 3,
            failed_writes: 0,
            errors_seen_for: Duration::from_millis(212),
            imported_found: 6471,
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
              imported      6,478 lines, which are 6,471 different claims, in 3.1 s
              killed        node 2, the leader, with SIGKILL, while 3 writers wrote
              acknowledged  2,411 claims, 1,720 of them after the kill; each on 2 disks at least
              read back     2,411 of 2,411 written and 6,471 of 6,471 imported, from the others while it was dead
              lost          nothing
              errors seen   for 212 ms after the kill: of 2,414 attempts 3 failed, of the claims none after retries; the slowest took 341 ms
              came back     node 2 had every copy again 2.3 s after its start
        "#]]
        .assert_eq(&printed(&report()));
        expect_test::expect![[r#"{"acknowledged":2411,"acknowledged_after_kill":1720,"attempts":2414,"caught_up_ms":2300,"copies_min":2,"errors_seen_ms":212,"failed_attempts":3,"failed_writes":0,"found":2411,"founded_ms":1240,"imported":6478,"imported_claims":6471,"imported_found":6471,"imported_ms":3100,"killed":{"led":true,"node_id":"3b6a27bcceb6a42d","number":2},"lost":0,"nodes":3,"slowest_write_ms":341,"unanswered":0}"#]].assert_eq(&report().json().to_string());
    }

    #[test]
    fn a_loss_is_told_as_one() {
        let quiet = Report { failed_attempts: 0, errors_seen_for: Duration::ZERO, ..report() };
        let lost = Report { found: 2400, lost: 10, unanswered: 1, copies_min: 1, ..quiet };
        assert_eq!(lost.trouble().as_deref(), Some("not every acknowledged claim was read back"));
        assert!(Report { imported_found: 6470, ..report() }.trouble().is_some());
        expect_test::expect![[r#"

            What happened
              founded       3 nodes in 1.2 s
              imported      6,478 lines, which are 6,471 different claims, in 3.1 s
              killed        node 2, the leader, with SIGKILL, while 3 writers wrote
              acknowledged  2,411 claims, 1,720 of them after the kill; each on 1 disk at least
              read back     2,400 of 2,411 written and 6,471 of 6,471 imported, from the others while it was dead
              lost          of the written 10 are gone, and on 1 nobody answered; of the imported 0 are not shown
              errors seen   none in 2,414 attempts; the slowest claim took 341 ms
              came back     node 2 had every copy again 2.3 s after its start
        "#]]
        .assert_eq(&printed(&lost));
    }

    #[test]
    fn nothing_acknowledged_is_not_nothing_lost() {
        assert_eq!(report().trouble(), None);
        let silent = Report { acknowledged: 0, acknowledged_after: 0, found: 0, ..report() };
        assert!(
            silent.trouble().is_some_and(|trouble| trouble.starts_with("no claim was acknowledged after the kill"))
        );
        let stopped = Report { acknowledged_after: 0, ..report() };
        assert!(stopped.trouble().is_some(), "what was acknowledged before the kill says nothing of what came after");
    }
}
