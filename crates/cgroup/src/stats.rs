//! Counters of a cgroup in the shape of runc's `events --stats`.
//!
//! The names, and which fields are left out when zero, are runc's (types/events.go): programs parse this. The
//! shape is that of cgroup v1, so some fields have nothing to say on v2 and stay zero. What the kernel does
//! not have (no controller, no pressure accounting) is zero or absent too, never an error.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use serde::Serialize;

use crate::error::{At, Result};
use crate::processes::is_gone;
use crate::{Cgroup, files};

/// The `data` object of an `events --stats` line.
#[derive(Debug, Default, Serialize)]
pub struct Stats {
    pub cpu: Cpu,
    pub cpuset: Cpuset,
    pub memory: Memory,
    pub pids: Pids,
    pub blkio: Blkio,
    /// By page size: `2MB`.
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// Of the container, not of its cgroup: the caller fills it in.
    pub intel_rdt: IntelRdt,
    /// runc has counted these on v1 only and prints `null` now.
    pub network_interfaces: Option<Vec<()>>,
}

#[derive(Debug, Default, Serialize)]
pub struct Cpu {
    pub usage: CpuUsage,
    pub throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Nanoseconds.
#[derive(Debug, Default, Serialize)]
pub struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    pub kernel: u64,
    pub user: u64,
}

/// Periods are counted, the time is in nanoseconds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// v1's flags; v2 has none of them.
#[derive(Debug, Default, Serialize)]
pub struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Bytes.
#[derive(Debug, Default, Serialize)]
pub struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    pub usage: MemoryEntry,
    /// Memory and swap together, as on v1.
    pub swap: MemoryEntry,
    pub kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat` as it is.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Bytes; no limit is `u64::MAX`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MemoryEntry {
    pub limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

/// No limit is 0.
#[derive(Debug, Default, Serialize)]
pub struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// v1 had six more lists, which v2 cannot fill and runc leaves out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    pub op: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Bytes.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hugetlb {
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    pub failcnt: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct IntelRdt {}

/// Pressure stall information (Documentation/accounting/psi.rst).
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    pub some: PressureLine,
    pub full: PressureLine,
}

/// Averages in percent over 10, 60 and 300 seconds, the total in microseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct PressureLine {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    pub total: u64,
}

impl Cgroup {
    /// Reads all counters. Fails only where the cgroup itself does not exist or a file cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let dir = self.dirfd()?;
        read(dir.as_fd()).at(|| format!("read statistics of {}", self.dir.display()))
    }
}

fn read(dir: BorrowedFd<'_>) -> sys::Result<Stats> {
    let text = |name: &str| text(dir, name);
    let usage = memory_entry(dir, "memory")?;
    let raw = key_values(&text("memory.stat")?);
    Ok(Stats {
        cpu: cpu(&text("cpu.stat")?, &text("cpu.pressure")?),
        memory: Memory {
            cache: raw.get("file").copied().unwrap_or(0),
            swap: with_swap(&usage, memory_entry(dir, "memory.swap")?),
            usage,
            raw,
            psi: pressure(&text("memory.pressure")?),
            ..Memory::default()
        },
        pids: pids(dir)?,
        blkio: Blkio { psi: pressure(&text("io.pressure")?), ..blkio(&text("io.stat")?) },
        hugetlb: hugetlb(dir)?,
        ..Stats::default()
    })
}

/// Empty when the kernel does not have the file: ENOENT without the controller, EOPNOTSUPP for pressure that
/// is switched off.
fn text(dir: BorrowedFd<'_>, name: &str) -> sys::Result<String> {
    match files::read_at(dir, name) {
        Err(errno) if errno.raw() == Errno::EOPNOTSUPP as i32 || is_gone(errno) => Ok(String::new()),
        result => result,
    }
}

fn cpu(stat: &str, pressure_text: &str) -> Cpu {
    let nanoseconds = |key| value_of(stat, key).saturating_mul(1000);
    Cpu {
        usage: CpuUsage {
            total: nanoseconds("usage_usec"),
            kernel: nanoseconds("system_usec"),
            user: nanoseconds("user_usec"),
        },
        throttling: Throttling {
            periods: value_of(stat, "nr_periods"),
            throttled_periods: value_of(stat, "nr_throttled"),
            throttled_time: nanoseconds("throttled_usec"),
        },
        psi: pressure(pressure_text),
    }
}

fn memory_entry(dir: BorrowedFd<'_>, prefix: &str) -> sys::Result<MemoryEntry> {
    let number = |knob: &str| Ok::<_, sys::Errno>(number(&text(dir, &format!("{prefix}.{knob}"))?));
    Ok(MemoryEntry { limit: number("max")?, usage: number("current")?, max: number("peak")?, failcnt: 0 })
}

/// The peaks need not have been at the same time, so their sum would be a lie.
fn with_swap(memory: &MemoryEntry, swap: MemoryEntry) -> MemoryEntry {
    MemoryEntry {
        limit: swap.limit.saturating_add(memory.limit),
        usage: swap.usage.saturating_add(memory.usage),
        max: 0,
        failcnt: 0,
    }
}

fn pids(dir: BorrowedFd<'_>) -> sys::Result<Pids> {
    let current = text(dir, "pids.current")?;
    if current.is_empty() {
        // Without the controller: the processes, as runc does.
        let processes = match files::read_at(dir, "cgroup.procs") {
            Err(errno) if errno.raw() == Errno::EOPNOTSUPP as i32 => files::read_at(dir, "cgroup.threads")?,
            result => result?,
        };
        return Ok(Pids { current: processes.lines().count() as u64, limit: 0 });
    }
    let limit = match number(&text(dir, "pids.max")?) {
        u64::MAX => 0,
        limit => limit,
    };
    Ok(Pids { current: number(&current), limit })
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`; v1 had no word for discards.
fn blkio(stat: &str) -> Blkio {
    let mut blkio = Blkio::default();
    for line in stat.lines() {
        let mut fields = line.split_whitespace();
        let Some((major, minor)) = fields.next().and_then(|device| device.split_once(':')) else { continue };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                _ => continue,
            };
            list.push(BlkioEntry { major: number(major), minor: number(minor), op, value: number(value) });
        }
    }
    blkio
}

fn hugetlb(dir: BorrowedFd<'_>) -> sys::Result<BTreeMap<String, Hugetlb>> {
    let mut sizes = BTreeMap::new();
    if !crate::create::has(&text(dir, "cgroup.controllers")?, "hugetlb") {
        return Ok(sizes);
    }
    // Absent on a kernel without huge pages.
    for entry in std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten() {
        let Some(size) = entry?.file_name().to_str().and_then(page_size) else { continue };
        // Reservations are what the limit is about, where the kernel counts them.
        let mut usage = text(dir, &format!("hugetlb.{size}.rsvd.current"))?;
        if usage.is_empty() {
            usage = text(dir, &format!("hugetlb.{size}.current"))?;
        }
        let failcnt = value_of(&text(dir, &format!("hugetlb.{size}.events"))?, "max");
        sizes.insert(size, Hugetlb { usage: number(&usage), max: 0, failcnt });
    }
    Ok(sizes)
}

/// The name in sysfs, `hugepages-2048kB`, as cgroup files spell it: `2MB`.
fn page_size(name: &str) -> Option<String> {
    let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kib {
        kib if kib >= 1 << 20 => format!("{}GB", kib >> 20),
        kib if kib >= 1 << 10 => format!("{}MB", kib >> 10),
        kib => format!("{kib}KB"),
    })
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the same for `full`.
fn pressure(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let target = match fields.next()? {
            "some" => &mut pressure.some,
            "full" => &mut pressure.full,
            _ => continue,
        };
        // Rust reads "inf" and "NaN" too, which JSON cannot say.
        let average = |value: &str| value.parse().ok().filter(|average: &f64| average.is_finite());
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            match key {
                "avg10" => target.avg10 = average(value)?,
                "avg60" => target.avg60 = average(value)?,
                "avg300" => target.avg300 = average(value)?,
                "total" => target.total = value.parse().ok()?,
                _ => {}
            }
        }
    }
    (!text.is_empty()).then_some(pressure)
}

fn key_values(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(key, value)| (key.to_string(), number(value)))
        .collect()
}

/// One value of a `KEY VALUE` file, 0 where it is not there.
pub(crate) fn value_of(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .map_or(0, |(_, value)| number(value))
}

fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// No number makes a counter overflow, and whatever a file says, the answer is JSON that a caller can read.
#[cfg(fuzzing)]
pub(crate) fn fuzz(text: &str) {
    let memory = MemoryEntry { limit: number(text), usage: value_of(text, "anon"), ..MemoryEntry::default() };
    let stats = Stats {
        cpu: cpu(text, text),
        memory: Memory {
            swap: with_swap(&memory, memory.clone()),
            raw: key_values(text),
            psi: pressure(text),
            ..Memory::default()
        },
        blkio: blkio(text),
        ..Stats::default()
    };
    assert!(
        stats.blkio.io_service_bytes_recursive.len() <= text.len() && stats.memory.raw.len() <= text.len()
    );
    let psi = stats.cpu.psi.iter().chain(&stats.memory.psi).flat_map(|psi| [&psi.some, &psi.full]);
    for line in psi {
        // JSON has no other numbers: serde_json writes them as null.
        assert!([line.avg10, line.avg60, line.avg300].iter().all(|average| average.is_finite()));
    }
    let _ = page_size(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a directory of plain files that stands in for a cgroup.
    fn stats_of(contents: &[(&str, &str)]) -> serde_json::Value {
        let fake = tempfile::tempdir().unwrap();
        std::fs::write(fake.path().join("cgroup.procs"), "1\n2\n").unwrap();
        for (name, text) in contents {
            std::fs::write(fake.path().join(name), text).unwrap();
        }
        serde_json::to_value(Cgroup { dir: fake.path().into() }.stats().unwrap()).unwrap()
    }

    #[test]
    fn without_controllers_everything_is_there_and_zero() {
        let entry = r#"{"limit":0,"failcnt":0}"#;
        let expected = format!(
            r#"{{"cpu":{{"usage":{{"kernel":0,"user":0}},"throttling":{{}}}},
            "cpuset":{{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,
                "memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,
                "sched_relax_domain_level":0}},
            "memory":{{"usage":{entry},"swap":{entry},"kernel":{entry},"kernelTCP":{entry}}},
            "pids":{{"current":2}},"blkio":{{}},"hugetlb":{{}},"intel_rdt":{{}},"network_interfaces":null}}"#
        );
        assert_eq!(stats_of(&[]), serde_json::from_str::<serde_json::Value>(&expected).unwrap());
    }

    #[test]
    fn counters_of_every_controller() {
        let psi = "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        let stats = stats_of(&[
            (
                "cpu.stat",
                "usage_usec 10\nuser_usec 7\nsystem_usec 3\nnr_periods 4\nnr_throttled 2\nthrottled_usec 9\n",
            ),
            ("cpu.pressure", psi),
            ("memory.current", "100\n"),
            ("memory.max", "max\n"),
            ("memory.peak", "150\n"),
            ("memory.swap.current", "10\n"),
            ("memory.swap.max", "max\n"),
            ("memory.stat", "anon 60\nfile 40\n"),
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n253:1\n"),
        ]);
        let expected = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(
            stats["cpu"],
            expected(
                r#"{"usage":{"total":10000,"kernel":3000,"user":7000},
                "throttling":{"periods":4,"throttledPeriods":2,"throttledTime":9000},
                "psi":{"some":{"avg10":1.5,"avg60":0.25,"avg300":0.0,"total":77},
                       "full":{"avg10":0.0,"avg60":0.0,"avg300":0.0,"total":5}}}"#
            )
        );
        assert_eq!(
            stats["memory"],
            expected(
                r#"{"cache":40,"usage":{"limit":18446744073709551615,"usage":100,"max":150,"failcnt":0},
                "swap":{"limit":18446744073709551615,"usage":110,"failcnt":0},
                "kernel":{"limit":0,"failcnt":0},"kernelTCP":{"limit":0,"failcnt":0},
                "raw":{"anon":60,"file":40}}"#
            )
        );
        assert_eq!(stats["pids"], expected(r#"{"current":3}"#));
        assert_eq!(
            stats["blkio"],
            expected(
                r#"{"ioServiceBytesRecursive":[{"major":8,"op":"Read","value":1},{"major":8,"op":"Write","value":2}],
                "ioServicedRecursive":[{"major":8,"op":"Read","value":3},{"major":8,"op":"Write","value":4}]}"#
            )
        );
    }

    #[test]
    fn numbers_that_no_counter_holds() {
        let most = cpu("usage_usec 18446744073709551615\n", "");
        assert_eq!(most.usage.total, u64::MAX);
        for average in ["inf", "-inf", "NaN", "1e999"] {
            assert_eq!(pressure(&format!("some avg10={average} avg60=0.00\n")), None, "{average}");
        }
    }

    #[test]
    fn page_sizes_as_the_kernel_spells_them() {
        let sizes = ["hugepages-64kB", "hugepages-2048kB", "hugepages-1048576kB", "other"].map(page_size);
        assert_eq!(sizes.each_ref().map(Option::as_deref), [Some("64KB"), Some("2MB"), Some("1GB"), None]);
    }
}
