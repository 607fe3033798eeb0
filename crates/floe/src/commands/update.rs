//! `update`: flags over a document, merged into one LinuxResources.

use crate::args::Update;
use crate::values;
use anyhow::{Context, Result, bail};
use container::Runtime;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

pub fn update(rt: &Runtime, args: &Update) -> Result<()> {
    let given = match &args.resources {
        Some(path) => read(path)?,
        None => LinuxResources::default(),
    };
    let resources = merge(args, given)?;
    for (flag, value) in
        [("--kernel-memory", &args.kernel_memory), ("--kernel-memory-tcp", &args.kernel_memory_tcp)]
    {
        if value.is_some() {
            rt.warnings.borrow_mut().push(format!("{flag} has no effect"));
        }
    }
    Ok(container::update(rt, &args.id, &resources)?)
}

/// Podman writes a file, CRI-O and containerd write to standard input.
fn read(path: &Path) -> Result<LinuxResources> {
    let read = || -> Result<LinuxResources> {
        let mut text = Vec::new();
        if path == Path::new("-") {
            io::stdin().read_to_end(&mut text)?;
        } else {
            text = fs::read(path)?;
        }
        Ok(serde_json::from_slice(&text)?)
    };
    read().with_context(|| format!("read resources {}", path.display()))
}

/// Puts every flag that was given into `resources`. runc ignores the flags beside a document; here they win.
fn merge(args: &Update, mut resources: LinuxResources) -> Result<LinuxResources> {
    if args.l3_cache_schema.is_some() || args.mem_bw_schema.is_some() {
        bail!("Intel RDT is not supported");
    }
    let mut memory = resources.memory().unwrap_or_default();
    let size = |flag: &str, text: &Option<String>| -> Result<Option<i64>> {
        text.as_deref()
            .map(values::size_bytes)
            .transpose()
            .with_context(|| format!("invalid value for {flag}"))
    };
    let mut has_memory = resources.memory().is_some();
    for (flag, text, set) in [
        (
            "memory",
            &args.memory,
            LinuxMemory::set_limit as fn(&mut LinuxMemory, Option<i64>) -> &mut LinuxMemory,
        ),
        ("memory-reservation", &args.memory_reservation, LinuxMemory::set_reservation),
        ("memory-swap", &args.memory_swap, LinuxMemory::set_swap),
    ] {
        if let Some(value) = size(flag, text)? {
            set(&mut memory, Some(value));
            has_memory = true;
        }
    }
    // runc: unlimited memory without a word on swap means both.
    if memory.limit() == Some(-1) && memory.swap().is_none() {
        memory.set_swap(Some(-1));
    }
    if has_memory {
        resources.set_memory(Some(memory));
    }

    let mut cpu = resources.cpu().clone().unwrap_or_default();
    if let Some(value) = number("cpu-share", &args.cpu_share)? {
        cpu.set_shares(Some(value));
    }
    if let Some(value) = number("cpu-quota", &args.cpu_quota)? {
        cpu.set_quota(Some(value));
    }
    if let Some(value) = number("cpu-period", &args.cpu_period)? {
        cpu.set_period(Some(value));
    }
    if let Some(value) = number("cpu-burst", &args.cpu_burst)? {
        cpu.set_burst(Some(value));
    }
    if let Some(value) = number("cpu-idle", &args.cpu_idle)? {
        cpu.set_idle(Some(value));
    }
    if let Some(value) = number("cpu-rt-period", &args.cpu_rt_period)? {
        cpu.set_realtime_period(Some(value));
    }
    if let Some(value) = number("cpu-rt-runtime", &args.cpu_rt_runtime)? {
        cpu.set_realtime_runtime(Some(value));
    }
    if args.cpuset_cpus.is_some() {
        cpu.set_cpus(args.cpuset_cpus.clone());
    }
    if args.cpuset_mems.is_some() {
        cpu.set_mems(args.cpuset_mems.clone());
    }
    if cpu != LinuxCpu::default() {
        resources.set_cpu(Some(cpu));
    }

    // runc: 0 is "not given" for these two.
    if let Some(weight) = number::<u16>("blkio-weight", &args.blkio_weight)?.filter(|weight| *weight != 0) {
        let mut block_io: LinuxBlockIo = resources.block_io().clone().unwrap_or_default();
        block_io.set_weight(Some(weight));
        resources.set_block_io(Some(block_io));
    }
    if let Some(limit) = number::<i64>("pids-limit", &args.pids_limit)?.filter(|limit| *limit != 0) {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    Ok(resources)
}

fn number<T: FromStr>(flag: &str, text: &Option<String>) -> Result<Option<T>> {
    match text {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => bail!("invalid value for {flag}: {text:?}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn check(flags: &[&str], given: &str, expected: &str) {
        let args = Args::parse_from(["floe", "update"].iter().chain(flags).chain(&["--", "web1"]));
        let Some(Command::Update(args)) = args.command else { panic!("update") };
        let given = serde_json::from_str(given).expect("given");
        let merged = serde_json::to_value(merge(&args, given).expect("merge")).expect("JSON");
        let expected: serde_json::Value = serde_json::from_str(expected).expect("expected");
        assert_eq!(merged, expected, "{flags:?}");
    }

    #[test]
    fn flags_become_resources() {
        check(&[], "{}", "{}");
        check(
            &["--memory=64m", "--memory-swap=128M", "--memory-reservation=1024"],
            "{}",
            r#"{"memory":{"limit":67108864,"swap":134217728,"reservation":1024}}"#,
        );
        check(
            &["--cpu-share=512", "--cpu-quota=-1", "--cpu-period=100000", "--cpu-burst=5", "--cpu-idle=1"],
            "{}",
            r#"{"cpu":{"shares":512,"quota":-1,"period":100000,"burst":5,"idle":1}}"#,
        );
        check(
            &["--cpuset-cpus=0-1", "--cpuset-mems=0", "--cpu-rt-period=9", "--cpu-rt-runtime=8"],
            "{}",
            r#"{"cpu":{"cpus":"0-1","mems":"0","realtimePeriod":9,"realtimeRuntime":8}}"#,
        );
        check(
            &["--pids-limit=-1", "--blkio-weight=10"],
            "{}",
            r#"{"pids":{"limit":-1},"blockIO":{"weight":10}}"#,
        );
        check(&["--pids-limit=0", "--blkio-weight=0"], "{}", "{}");
        check(&["--memory=-1"], "{}", r#"{"memory":{"limit":-1,"swap":-1}}"#);
    }

    #[test]
    fn flags_win_over_the_document() {
        check(
            &["--memory=1k", "--cpu-share=2"],
            r#"{"memory":{"limit":5,"swap":7},"pids":{"limit":3},"unified":{"memory.high":"9"}}"#,
            r#"{"memory":{"limit":1024,"swap":7},"cpu":{"shares":2},"pids":{"limit":3},"unified":{"memory.high":"9"}}"#,
        );
    }

    #[test]
    fn bad_values_name_the_flag() {
        for (flag, expected) in [
            ("--memory=lots", "invalid value for memory: invalid size \"lots\""),
            ("--cpu-share=-1", "invalid value for cpu-share: \"-1\""),
            ("--pids-limit=many", "invalid value for pids-limit: \"many\""),
            ("--mem-bw-schema=MB:0=10", "Intel RDT is not supported"),
        ] {
            let args = Args::parse_from(["floe", "update", flag, "web1"]);
            let Some(Command::Update(args)) = args.command else { panic!("update") };
            let error = merge(&args, LinuxResources::default()).expect_err(flag);
            assert_eq!(format!("{error:#}"), expected);
        }
    }
}
