//! What the kernel says of a process: resident memory and time on a core. From `/proc`.

use std::time::Duration;

/// Clock ticks per second in `/proc/PID/stat`: 100 on every Linux.
const TICKS: u64 = 100;

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub now: u64,
    /// The most it ever was.
    pub most: u64,
}

/// The resident memory of the process `pid`, or of this one.
pub fn memory(pid: Option<u32>) -> Memory {
    let status = read(pid, "status");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    Memory { now: kib("VmRSS:") * 1024, most: kib("VmHWM:") * 1024 }
}

/// The time that the threads of a process have spent on cores so far, in user and kernel mode.
pub fn core_time(pid: Option<u32>) -> Duration {
    let stat = read(pid, "stat");
    // The second field, in parentheses, may hold spaces; user and system time are the 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

fn read(pid: Option<u32>, what: &str) -> String {
    let pid = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    std::fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap()
}
