//! `linux.resources` resolved to the writes that apply it: pure, no file is touched.
//!
//! The specification speaks cgroup v1 (config-linux.md); the conversions to v2 are runc's, because callers
//! have calibrated their numbers against them. Ignored, as in runc, because v2 has no such knob: kernel and
//! TCP memory, swappiness, disableOOMKiller, real-time scheduling, leaf weights, and network class and
//! priorities (on v2 packets are classified by eBPF, which no field of the specification describes).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxRdma, LinuxResources, LinuxThrottleDevice,
};

use crate::devices::DeviceRule;
use crate::error::{Error, Result};

/// What a container's cgroup is limited to, ready to be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    pub(crate) writes: Vec<Write>,
    pub(crate) usage_check: Option<UsageCheck>,
    /// `devices` in the order of the specification, without the default rules.
    pub devices: Vec<DeviceRule>,
}

/// One line for one file of the cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) file: Cow<'static, str>,
    pub(crate) value: String,
    pub(crate) otherwise: Otherwise,
}

/// What to do when the kernel does not take the write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Fail,
    /// The value is what a cgroup without this file has anyway.
    SkipIfAbsent,
    /// A later write in the list tries again.
    SkipIfInvalid,
    /// The same wish in another file, which takes other units.
    IfAbsent {
        file: &'static str,
        value: String,
    },
}

/// `memory.checkBeforeUpdate`: limits in bytes that must be above the present usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsageCheck {
    pub(crate) memory: Option<u64>,
    pub(crate) memory_and_swap: Option<u64>,
}

impl Resources {
    /// Resolves the specification; every error that needs no kernel to be found is found here.
    pub fn from_oci(oci: &LinuxResources) -> Result<Resources> {
        let mut resources = Resources::default();
        for (index, rule) in oci.devices().iter().flatten().enumerate() {
            let rule = DeviceRule::from_oci(rule)
                .map_err(|error| Error::new(format!("linux.resources.devices[{index}]: {error}")))?;
            resources.devices.push(rule);
        }
        if let Some(pids) = oci.pids() {
            resources.pids(pids.limit());
        }
        if let Some(memory) = oci.memory() {
            resources.memory(memory)?;
        }
        if let Some(block_io) = oci.block_io() {
            resources.block_io(block_io)?;
        }
        if let Some(cpu) = oci.cpu() {
            resources.cpu(cpu)?;
        }
        for limit in oci.hugepage_limits().iter().flatten() {
            resources.hugepages(limit)?;
        }
        if let Some(rdma) = oci.rdma() {
            resources.rdma(rdma)?;
        }
        // Last: who names a file outright overrides what the fields above say of it.
        if let Some(unified) = oci.unified() {
            resources.unified(unified)?;
        }
        Ok(resources)
    }

    /// Whether any limit is asked for. Device rules do not count: they need no controller.
    pub fn limits_anything(&self) -> bool {
        self.writes.iter().any(|write| write.otherwise != Otherwise::SkipIfAbsent)
    }

    /// The controllers without which the limits cannot be applied, each once.
    pub(crate) fn controllers(&self) -> Vec<&str> {
        let mut controllers: Vec<&str> = Vec::new();
        for write in &self.writes {
            let controller = controller_of(&write.file);
            if write.otherwise != Otherwise::SkipIfAbsent
                && controller != "cgroup"
                && !controllers.contains(&controller)
            {
                controllers.push(controller);
            }
        }
        controllers
    }

    fn push(&mut self, file: impl Into<Cow<'static, str>>, value: impl ToString) {
        self.push_or(file, value, Otherwise::Fail);
    }

    fn push_or(&mut self, file: impl Into<Cow<'static, str>>, value: impl ToString, otherwise: Otherwise) {
        self.writes.push(Write { file: file.into(), value: value.to_string(), otherwise });
    }

    /// A limit in which a negative number means none, and none needs no controller.
    fn push_limit(&mut self, file: impl Into<Cow<'static, str>>, limit: i64) {
        match limit {
            0.. => self.push(file, limit),
            _ => self.push_or(file, "max", Otherwise::SkipIfAbsent),
        }
    }

    fn pids(&mut self, limit: i64) {
        match limit {
            // A pids.max of 0 would forbid the container's own first process. runc writes 1 for it since
            // 1.4.0; callers that mean "unlimited" by 0 must not fail where pids is not available.
            0 => self.push_or("pids.max", 1, Otherwise::SkipIfAbsent),
            _ => self.push_limit("pids.max", limit),
        }
    }

    fn memory(&mut self, memory: &LinuxMemory) -> Result<()> {
        let bytes = |name: &str, value: Option<i64>| match value {
            Some(value @ ..=-2) => {
                Err(Error::new(format!("linux.resources.memory.{name}: {value} is negative")))
            }
            // 0 is how callers leave a field out.
            Some(0) | None => Ok(None),
            value => Ok(value),
        };
        let limit = bytes("limit", memory.limit())?;
        let memory_and_swap = bytes("swap", memory.swap())?;
        let reservation = bytes("reservation", memory.reservation())?;

        // v1's number is memory and swap together, v2's is swap alone.
        let swap = match (memory_and_swap, limit) {
            (Some(-1), _) | (None, Some(-1)) => Some(-1),
            (None, _) => None,
            (Some(_), None | Some(-1)) => {
                return Err(Error::new("linux.resources.memory.swap: a swap limit needs a memory limit"));
            }
            (Some(total), Some(limit)) if total < limit => {
                return Err(Error::new(format!(
                    "linux.resources.memory.swap: {total} is less than the memory limit {limit}"
                )));
            }
            (Some(total), Some(limit)) => Some(total - limit),
        };
        match swap {
            // Without swap accounting there is no file, and no swap to limit.
            Some(0) => self.push_or("memory.swap.max", 0, Otherwise::SkipIfAbsent),
            Some(swap) => self.push_limit("memory.swap.max", swap),
            None => {}
        }
        if let Some(limit) = limit {
            self.push_limit("memory.max", limit);
        }
        if let Some(reservation) = reservation {
            self.push_limit("memory.low", reservation);
        }
        if memory.check_before_update() == Some(true) {
            let above_zero = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
            self.usage_check =
                Some(UsageCheck { memory: above_zero(limit), memory_and_swap: above_zero(memory_and_swap) });
        }
        Ok(())
    }

    fn block_io(&mut self, io: &LinuxBlockIo) -> Result<()> {
        let checked = |weight: u16| match weight {
            0 => Ok(None),
            10..=1000 => Ok(Some(weight)),
            _ => {
                Err(Error::new(format!("linux.resources.blockIO: weight {weight} is not within 10 to 1000")))
            }
        };
        if let Some(weight) = checked(io.weight().unwrap_or(0))? {
            let value = io_weight(weight).to_string();
            self.push_or("io.bfq.weight", weight, Otherwise::IfAbsent { file: "io.weight", value });
        }
        for device in io.weight_device().iter().flatten() {
            let Some(weight) = checked(device.weight().unwrap_or(0))? else { continue };
            let (major, minor) = (device.major(), device.minor());
            let value = format!("{major}:{minor} {}", io_weight(weight));
            self.push_or(
                "io.bfq.weight",
                format!("{major}:{minor} {weight}"),
                Otherwise::IfAbsent { file: "io.weight", value },
            );
        }
        for line in throttle_lines(io) {
            self.push("io.max", line);
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &LinuxCpu) -> Result<()> {
        match cpu.idle() {
            Some(0) => self.push_or("cpu.idle", 0, Otherwise::SkipIfAbsent),
            Some(idle) => self.push("cpu.idle", idle),
            None => {}
        }
        // The kernel refuses a weight for an idle cgroup (sched_group_set_shares).
        if cpu.idle().unwrap_or(0) == 0
            && let Some(weight) = cpu_weight(cpu.shares().unwrap_or(0))
        {
            self.push("cpu.weight", weight);
        }

        let quota = cpu.quota().unwrap_or(0);
        let period = cpu.period().unwrap_or(0);
        let bandwidth = quota != 0 || period != 0;
        // The burst may not exceed the quota at any moment: a burst that shrinks goes before a quota that
        // shrinks, one that grows after a quota that grows. Before is tried first, and again after.
        if let Some(burst) = cpu.burst() {
            self.push_or(
                "cpu.max.burst",
                burst,
                if bandwidth { Otherwise::SkipIfInvalid } else { Otherwise::Fail },
            );
        }
        if bandwidth {
            let period = if period == 0 { DEFAULT_CPU_PERIOD_US } else { period };
            match quota {
                1.. => self.push("cpu.max", format!("{quota} {period}")),
                _ => self.push_or("cpu.max", format!("max {period}"), Otherwise::SkipIfAbsent),
            }
            if let Some(burst) = cpu.burst() {
                self.push("cpu.max.burst", burst);
            }
        }

        for (file, list) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
            let Some(list) = list.as_deref().map(str::trim).filter(|list| !list.is_empty()) else { continue };
            // The kernel has a grammar of its own for lists; that they are one line is ours to see to.
            if list.contains(char::is_control) {
                return Err(Error::new(format!("linux.resources.cpu: {file}: {list:?} is not a list")));
            }
            self.push(file, list);
        }
        Ok(())
    }

    fn hugepages(&mut self, limit: &LinuxHugepageLimit) -> Result<()> {
        let size = limit.page_size();
        // The size becomes part of a file name. The kernel spells sizes as 64KB, 2MB, 1GB.
        let digits = size.strip_suffix('B').and_then(|size| size.strip_suffix(['K', 'M', 'G']));
        if !digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())) {
            return Err(Error::new(format!("linux.resources.hugepageLimits: {size:?} is not a page size")));
        }
        self.push_limit(format!("hugetlb.{size}.max"), limit.limit());
        // Reservations too, where the kernel counts them: otherwise mmap succeeds and the fault is a SIGBUS.
        let value = if limit.limit() < 0 { "max".into() } else { limit.limit().to_string() };
        self.push_or(format!("hugetlb.{size}.rsvd.max"), value, Otherwise::SkipIfAbsent);
        Ok(())
    }

    fn rdma(&mut self, devices: &HashMap<String, LinuxRdma>) -> Result<()> {
        for (name, limits) in sorted(devices) {
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(Error::new(format!("linux.resources.rdma: {name:?} is not a device name")));
            }
            let mut line = name.to_string();
            if let Some(handles) = limits.hca_handles() {
                let _ = write!(line, " hca_handle={handles}");
            }
            if let Some(objects) = limits.hca_objects() {
                let _ = write!(line, " hca_object={objects}");
            }
            if line.len() > name.len() {
                self.push("rdma.max", line);
            }
        }
        Ok(())
    }

    fn unified(&mut self, files: &HashMap<String, String>) -> Result<()> {
        for (file, value) in sorted(files) {
            if file.contains('/') {
                return Err(Error::new(format!(
                    "linux.resources.unified: {file:?} must be a file name without slashes"
                )));
            }
            if !file
                .split_once('.')
                .is_some_and(|(controller, knob)| !controller.is_empty() && !knob.is_empty())
            {
                return Err(Error::new(format!(
                    "linux.resources.unified: {file:?} must have the form CONTROLLER.PARAMETER"
                )));
            }
            // Several lines mean several entries (io.max has one per device), and a file takes one per write.
            for line in value.lines() {
                self.push(file.clone(), line);
            }
        }
        Ok(())
    }
}

/// cgroup-v2.rst: the period that `cpu.max` has when none was set, in microseconds.
pub(crate) const DEFAULT_CPU_PERIOD_US: u64 = 100_000;

/// The part of a cgroup file's name that says which controller it belongs to.
pub(crate) fn controller_of(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

/// `cpu.shares` (2 to 262144, 1024 is normal) as `cpu.weight` (1 to 10000, 100 is normal), `None` for 0.
///
/// The curve that meets all three points, a parabola in logarithms; runc and crun have it since 2025
/// (opencontainers/cgroups#20). The line that they had before made 1024 shares a weight of 39.
fn cpu_weight(shares: u64) -> Option<u64> {
    match shares {
        0 => None,
        1..=2 => Some(1),
        262_144.. => Some(10_000),
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            Some(10f64.powf(exponent).ceil() as u64)
        }
    }
}

/// `blkio.weight` (10 to 1000) as `io.weight` (1 to 10000), linear.
pub(crate) fn io_weight(weight: u16) -> u32 {
    1 + (u32::from(weight) - 10) * 9999 / 990
}

/// One line of `io.max` per device, in the order in which the devices appear; a rate of 0 lifts the limit.
fn throttle_lines(io: &LinuxBlockIo) -> Vec<String> {
    let lists: [(&str, &Option<Vec<LinuxThrottleDevice>>); 4] = [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ];
    let mut lines: Vec<((i64, i64), String)> = Vec::new();
    for (key, list) in lists {
        for device in list.iter().flatten() {
            let id = (device.major(), device.minor());
            let index = lines.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                lines.push((id, format!("{}:{}", id.0, id.1)));
                lines.len() - 1
            });
            let line = &mut lines[index].1;
            let _ = match device.rate() {
                0 => write!(line, " {key}=max"),
                rate => write!(line, " {key}={rate}"),
            };
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

/// By key: the order of a HashMap would make errors and traces differ from run to run.
fn sorted<V>(map: &HashMap<String, V>) -> Vec<(&String, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

/// What is to be written is one line for one file of the cgroup itself, and the device program means what the rules
/// say one by one.
#[cfg(fuzzing)]
pub fn fuzz(oci: &LinuxResources) {
    let Ok(resources) = Resources::from_oci(oci) else { return };
    let check = |file: &str, value: &str| {
        assert!(!file.contains('/') && file.contains('.'), "{file:?}");
        assert!(!value.contains('\n'), "{file}: {value:?}");
    };
    for write in &resources.writes {
        check(&write.file, &write.value);
        if let Otherwise::IfAbsent { file, value } = &write.otherwise {
            check(file, value);
        }
    }
    assert!(resources.controllers().iter().all(|controller| !controller.is_empty()));
    assert_eq!(Resources::from_oci(oci).expect("it was accepted before"), resources);
    crate::devices::fuzz(&resources.devices);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the writes of a `linux.resources` JSON as lines `file value`, `?` after what may be skipped.
    fn check(json: &str, expected: &str) {
        let resources = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap();
        let lines: Vec<String> = resources
            .writes
            .iter()
            .map(|write| {
                let mark = match &write.otherwise {
                    Otherwise::Fail => String::new(),
                    Otherwise::SkipIfAbsent => " ?".into(),
                    Otherwise::SkipIfInvalid => " ~".into(),
                    Otherwise::IfAbsent { file, value } => format!(" | {file} {value}"),
                };
                format!("{} {}{mark}", write.file, write.value)
            })
            .collect();
        assert_eq!(lines.join("\n"), expected, "{json}");
    }

    fn check_error(json: &str, expected: &str) {
        let error = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{json}");
    }

    #[test]
    fn nothing_asked_nothing_written() {
        check("{}", "");
        check(r#"{"memory":{"limit":0,"swap":0},"cpu":{"shares":0,"quota":0},"blockIO":{"weight":0}}"#, "");
    }

    #[test]
    fn pids() {
        check(r#"{"pids":{"limit":100}}"#, "pids.max 100");
        check(r#"{"pids":{"limit":0}}"#, "pids.max 1 ?");
        check(r#"{"pids":{"limit":-1}}"#, "pids.max max ?");
    }

    #[test]
    fn memory() {
        check(
            r#"{"memory":{"limit":1000,"swap":1500,"reservation":500,"swappiness":60,"kernel":7}}"#,
            "memory.swap.max 500\nmemory.max 1000\nmemory.low 500",
        );
        check(r#"{"memory":{"limit":1000,"swap":1000}}"#, "memory.swap.max 0 ?\nmemory.max 1000");
        check(r#"{"memory":{"limit":1000,"swap":-1}}"#, "memory.swap.max max ?\nmemory.max 1000");
        check(r#"{"memory":{"limit":-1}}"#, "memory.swap.max max ?\nmemory.max max ?");
        check(r#"{"memory":{"swap":-1}}"#, "memory.swap.max max ?");
        check_error(
            r#"{"memory":{"swap":5}}"#,
            "linux.resources.memory.swap: a swap limit needs a memory limit",
        );
        check_error(
            r#"{"memory":{"limit":-1,"swap":5}}"#,
            "linux.resources.memory.swap: a swap limit needs a memory limit",
        );
        check_error(
            r#"{"memory":{"limit":10,"swap":5}}"#,
            "linux.resources.memory.swap: 5 is less than the memory limit 10",
        );
        check_error(r#"{"memory":{"limit":-2}}"#, "linux.resources.memory.limit: -2 is negative");
    }

    #[test]
    fn cpu_shares_meet_the_three_fixed_points() {
        let weights = [(0, None), (1, Some(1)), (2, Some(1)), (1024, Some(100)), (262_144, Some(10_000))];
        for (shares, weight) in weights {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
        assert_eq!(cpu_weight(u64::MAX), Some(10_000));
        assert!((3..262_144).is_sorted_by_key(cpu_weight));
    }

    #[test]
    fn cpu() {
        check(
            r#"{"cpu":{"shares":1024,"quota":50000,"period":200000,"cpus":"0-3","mems":"0"}}"#,
            "cpu.weight 100\ncpu.max 50000 200000\ncpuset.cpus 0-3\ncpuset.mems 0",
        );
        check(r#"{"cpu":{"cpus":"0-3\n"}}"#, "cpuset.cpus 0-3");
        check_error(
            r#"{"cpu":{"mems":"0\n1"}}"#,
            r#"linux.resources.cpu: cpuset.mems: "0\n1" is not a list"#,
        );
        check(r#"{"cpu":{"quota":50000}}"#, "cpu.max 50000 100000");
        check(r#"{"cpu":{"quota":-1}}"#, "cpu.max max 100000 ?");
        check(r#"{"cpu":{"period":50000}}"#, "cpu.max max 50000 ?");
        check(r#"{"cpu":{"idle":1,"shares":1024}}"#, "cpu.idle 1");
        check(r#"{"cpu":{"idle":0,"shares":2}}"#, "cpu.idle 0 ?\ncpu.weight 1");
        check(r#"{"cpu":{"burst":10}}"#, "cpu.max.burst 10");
        check(
            r#"{"cpu":{"burst":10,"quota":20}}"#,
            "cpu.max.burst 10 ~\ncpu.max 20 100000\ncpu.max.burst 10",
        );
        check(r#"{"cpu":{"realtimeRuntime":5,"realtimePeriod":10}}"#, "");
    }

    #[test]
    fn block_io() {
        check(r#"{"blockIO":{"weight":10}}"#, "io.bfq.weight 10 | io.weight 1");
        check(r#"{"blockIO":{"weight":1000}}"#, "io.bfq.weight 1000 | io.weight 10000");
        check(
            r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":500}]}}"#,
            "io.bfq.weight 8:0 500 | io.weight 8:0 4950",
        );
        check(
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":16,"rate":2}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#,
            "io.max 8:0 rbps=1 wiops=max\nio.max 8:16 rbps=2",
        );
        check_error(
            r#"{"blockIO":{"weight":5}}"#,
            "linux.resources.blockIO: weight 5 is not within 10 to 1000",
        );
    }

    #[test]
    fn hugepages_and_rdma() {
        check(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}]}"#,
            "hugetlb.2MB.max 4096\nhugetlb.2MB.rsvd.max 4096 ?",
        );
        check(
            r#"{"hugepageLimits":[{"pageSize":"64KB","limit":-1}]}"#,
            "hugetlb.64KB.max max ?\nhugetlb.64KB.rsvd.max max ?",
        );
        for size in ["", "MB", "2M", "2", "2MBB", "../2MB", "2mb"] {
            check_error(
                &format!(r#"{{"hugepageLimits":[{{"pageSize":"{size}","limit":1}}]}}"#),
                &format!("linux.resources.hugepageLimits: {size:?} is not a page size"),
            );
        }
        check(
            r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":4},"mlx4_0":{"hcaObjects":9},"none":{}}}"#,
            "rdma.max mlx4_0 hca_object=9\nrdma.max mlx5_1 hca_handle=3 hca_object=4",
        );
    }

    #[test]
    fn unified_is_last_and_verbatim() {
        check(
            r#"{"unified":{"memory.high":"5","io.max":"8:0 rbps=1\n8:16 rbps=2","cgroup.max.depth":"3"},
                "memory":{"limit":9}}"#,
            "memory.max 9\ncgroup.max.depth 3\nio.max 8:0 rbps=1\nio.max 8:16 rbps=2\nmemory.high 5",
        );
        check_error(
            r#"{"unified":{"../cgroup.procs":"1"}}"#,
            r#"linux.resources.unified: "../cgroup.procs" must be a file name without slashes"#,
        );
        for key in ["memory", "..", ".", "memory.", ".high", ""] {
            check_error(
                &format!(r#"{{"unified":{{"{key}":"1"}}}}"#),
                &format!("linux.resources.unified: {key:?} must have the form CONTROLLER.PARAMETER"),
            );
        }
    }

    #[test]
    fn ignored_fields_write_nothing() {
        check(
            r#"{"network":{"classID":5,"priorities":[{"name":"eth0","priority":1}]},
                "memory":{"disableOOMKiller":true,"kernelTCP":5,"useHierarchy":true}}"#,
            "",
        );
    }

    #[test]
    fn controllers_are_those_of_real_limits() {
        let json = r#"{"pids":{"limit":-1},"memory":{"limit":5},"cpu":{"cpus":"0","shares":3},
            "unified":{"memory.high":"1","misc.max":"x","cgroup.freeze":"0"}}"#;
        let resources = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(resources.controllers(), ["memory", "cpu", "cpuset", "misc"]);
        assert!(resources.limits_anything());
        let unlimited = serde_json::from_str(r#"{"pids":{"limit":0}}"#).unwrap();
        assert!(!Resources::from_oci(&unlimited).unwrap().limits_anything());
    }

    #[test]
    fn usage_check_holds_limits_only() {
        let json = r#"{"memory":{"limit":9,"swap":-1,"checkBeforeUpdate":true}}"#;
        let resources = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(resources.usage_check, Some(UsageCheck { memory: Some(9), memory_and_swap: None }));
    }

    #[test]
    fn device_errors_name_the_entry() {
        check_error(
            r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c"}]}"#,
            "linux.resources.devices[1]: access is empty",
        );
        check_error(
            r#"{"devices":[{"allow":true,"type":"p","access":"r"}]}"#,
            "linux.resources.devices[0]: type p is not a device",
        );
        check_error(
            r#"{"devices":[{"allow":true,"type":"c","access":"rx"}]}"#,
            "linux.resources.devices[0]: access rx has letters other than rwm",
        );
        check_error(
            r#"{"devices":[{"allow":true,"type":"c","major":-2,"access":"r"}]}"#,
            "linux.resources.devices[0]: major -2 is out of range",
        );
    }
}
