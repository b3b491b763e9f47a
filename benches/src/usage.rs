//! What this process and this thread have used of the machine.
//!
//! Peak memory is read from `/proc`: the number that `getrusage` gives is inherited from whoever
//! started the process.

use core::time::Duration;
use std::fs;

/// Returns the time on a CPU of all threads of this process, user and system; `None` where the
/// system does not tell.
pub fn process_cpu() -> Option<Duration> {
    clock(Clock::Process)
}

/// Returns the time on a CPU of this thread, user and system; `None` where the system does not tell.
pub fn thread_cpu() -> Option<Duration> {
    clock(Clock::Thread)
}

/// Returns the most memory that this process has had resident, in bytes; `None` where the system
/// does not tell.
pub fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1_024)
}

enum Clock {
    Process,
    Thread,
}

#[cfg(unix)]
fn clock(clock: Clock) -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    let now = clock_gettime(match clock {
        Clock::Process => ClockId::ProcessCPUTime,
        Clock::Thread => ClockId::ThreadCPUTime,
    });
    Some(Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn clock(_: Clock) -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use core::hint::black_box;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_used_is_seen() {
        let (process, thread) = (process_cpu().unwrap(), thread_cpu().unwrap());
        let used = black_box(vec![7_u8; 1 << 24]);
        assert!(process_cpu().unwrap() > process && thread_cpu().unwrap() > thread);
        assert!(peak_rss_bytes().unwrap() > used.len() as u64);
    }
}
