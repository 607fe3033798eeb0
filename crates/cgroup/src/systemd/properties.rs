//! Properties of a scope: from the lines that are written to its cgroup, from device rules, and from annotations. Pure.
//!
//! systemd writes what it knows of a unit again whenever it sees a reason, so it must know every limit that it has a
//! property for; the files have the last word (runc's values, exact) and what systemd has no word for. Which file is
//! which property: systemd.resource-control(5).

use std::collections::BTreeMap;

use crate::devices::{Access, DeviceRule, DeviceType};
use crate::error::{Error, Result};
use crate::resources::{DEFAULT_CPU_PERIOD_US, Otherwise, Resources, Write, io_weight};

use super::message::Value;
use super::variant;

/// A property's name and value.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    pub(super) name: String,
    pub(super) value: Value,
}

impl Property {
    pub(super) fn new(name: impl Into<String>, value: Value) -> Property {
        Property { name: name.into(), value }
    }

    /// So low a limit that it might keep out a container's first process, or end it before the container exists.
    pub(super) fn is_tight(&self) -> bool {
        /// Ours, init, and one that may be between them.
        const TASKS: u64 = 4;
        const MEMORY_BYTES: u64 = 16 << 20;
        match (self.name.as_str(), &self.value) {
            ("TasksMax", Value::Uint64(tasks)) => *tasks < TASKS,
            ("MemoryMax" | "MemoryHigh", Value::Uint64(bytes)) => *bytes < MEMORY_BYTES,
            _ => false,
        }
    }

    /// `CPUWeight=idle`.
    pub(super) fn is_idle(&self) -> bool {
        self.name == "CPUWeight" && self.value == CPU_IDLE
    }

    /// As calls take it: `(sv)`.
    pub(super) fn into_argument(self) -> Value {
        Value::Struct(vec![Value::String(self.name), Value::Variant(Box::new(self.value))])
    }
}

/// The limits that systemd has properties for, each once: the last line for a file is the one that holds.
pub(super) fn of_resources(resources: &Resources) -> Vec<Property> {
    let mut properties: BTreeMap<String, Value> = BTreeMap::new();
    for write in &resources.writes {
        for (name, value) in of_write(write) {
            // An idle cgroup has no weight, whatever else is asked for.
            if !(name == "CPUWeight" && properties.get(name) == Some(&CPU_IDLE)) {
                properties.insert(name.to_owned(), value);
            }
        }
    }
    properties.into_iter().map(|(name, value)| Property { name, value }).collect()
}

/// systemd's number for `CPUWeight=idle`.
const CPU_IDLE: Value = Value::Uint64(0);

fn of_write(write: &Write) -> Vec<(&'static str, Value)> {
    let text = write.value.trim();
    let number = || match text {
        "max" => Some(Value::Uint64(u64::MAX)),
        _ => text.parse().ok().map(Value::Uint64),
    };
    let one = |name, value: Option<Value>| value.map(|value| (name, value)).into_iter().collect();
    match &*write.file {
        "memory.max" => one("MemoryMax", number()),
        "memory.high" => one("MemoryHigh", number()),
        "memory.low" => one("MemoryLow", number()),
        "memory.min" => one("MemoryMin", number()),
        "memory.swap.max" => one("MemorySwapMax", number()),
        "pids.max" => one("TasksMax", number()),
        "cpu.weight" => one("CPUWeight", number().filter(|weight| *weight != CPU_IDLE)),
        "cpu.idle" => one("CPUWeight", (text == "1").then_some(CPU_IDLE)),
        "cpu.max" => cpu_quota(text).unwrap_or_default(),
        "cpuset.cpus" => one("AllowedCPUs", bits(text)),
        "cpuset.mems" => one("AllowedMemoryNodes", bits(text)),
        "io.bfq.weight" | "io.weight" => one("IOWeight", general_io_weight(write)),
        _ => Vec::new(),
    }
}

fn cpu_quota(text: &str) -> Option<Vec<(&'static str, Value)>> {
    let mut words = text.split_whitespace();
    let quota = words.next()?;
    let period =
        words.next().map_or(Ok(DEFAULT_CPU_PERIOD_US), str::parse).ok().filter(|period| *period > 0)?;
    let quota = match quota {
        "max" => u64::MAX,
        // To the next percent: systemd has no other quotas, and a lower one would hold back the cgroups below.
        quota => (quota.parse::<u64>().ok()?.checked_mul(1_000_000)? / period).next_multiple_of(10_000),
    };
    Some(vec![("CPUQuotaPeriodUSec", Value::Uint64(period)), ("CPUQuotaPerSecUSec", Value::Uint64(quota))])
}

/// The weight for all devices, in the units of io.weight. Weights of single devices are left to the file: systemd knows
/// devices by paths.
fn general_io_weight(write: &Write) -> Option<Value> {
    let (file, text) = match &write.otherwise {
        Otherwise::IfAbsent { file, value } => (*file, value),
        _ => (&*write.file, &write.value),
    };
    let text = text.trim();
    let weight: u16 = text.strip_prefix("default ").unwrap_or(text).trim().parse().ok()?;
    let weight = if file == "io.bfq.weight" { io_weight(weight.clamp(10, 1000)) } else { weight.into() };
    Some(Value::Uint64(weight.into()))
}

/// A list like `0-3,7` as systemd's bit mask.
fn bits(list: &str) -> Option<Value> {
    /// More than any kernel has (CONFIG_NR_CPUS).
    const LIMIT: usize = 1 << 16;
    let mut mask = Vec::new();
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        if first > last || last >= LIMIT {
            return None;
        }
        mask.resize(mask.len().max(last / 8 + 1), 0u8);
        (first..=last).for_each(|bit| mask[bit / 8] |= 1 << (bit % 8));
    }
    Some(Value::bytes(&mask))
}

/// `DevicePolicy` and `DeviceAllow` in place of earlier ones: what `rules` allow, if that is a list of devices, which is
/// all that systemd can express. For other rules it allows everything: its program would deny what ours allows, and both
/// are asked.
pub(super) fn of_devices(rules: &[DeviceRule]) -> Vec<Property> {
    let allowed = allowed(rules);
    let policy = if allowed.is_some() { "strict" } else { "auto" };
    let entry = |(path, access): (String, Access)| {
        Value::Struct(vec![Value::String(path), Value::String(access.letters())])
    };
    let list = |entries| Property::new("DeviceAllow", Value::Array("(ss)".into(), entries));
    vec![
        Property::new("DevicePolicy", Value::string(policy)),
        // A list is added to the one before; an empty one takes its place.
        list(Vec::new()),
        list(allowed.into_iter().flatten().map(entry).collect()),
    ]
}

type Devices = (DeviceType, Option<u32>, Option<u32>);

fn allowed(rules: &[DeviceRule]) -> Option<Vec<(String, Access)>> {
    let mut all_allowed = false;
    let mut allowed: Vec<(Devices, Access)> = Vec::new();
    for rule in rules {
        let devices = (rule.kind, rule.major, rule.minor);
        if rule.kind == DeviceType::All {
            all_allowed = rule.allow;
            allowed.clear();
        } else if let Some((_, access)) = allowed.iter_mut().find(|(known, _)| *known == devices) {
            *access = if rule.allow { access.union(rule.access) } else { access.without(rule.access) };
        } else if rule.allow {
            allowed.push((devices, rule.access));
        } else if all_allowed || allowed.iter().any(|(known, _)| overlap(*known, devices)) {
            return None;
        }
    }
    if all_allowed {
        return None;
    }
    allowed.retain(|(_, access)| *access != Access::NONE);
    allowed.into_iter().map(|(devices, access)| Some((path(devices)?, access))).collect()
}

fn overlap(a: Devices, b: Devices) -> bool {
    let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    a.0 == b.0 && meet(a.1, b.1) && meet(a.2, b.2)
}

/// As systemd.resource-control(5) writes devices; the nodes need not exist.
fn path((kind, major, minor): Devices) -> Option<String> {
    let kind = if kind == DeviceType::Block { "block" } else { "char" };
    match (major, minor) {
        (None, None) => Some(format!("{kind}-*")),
        (Some(major), None) => Some(format!("{kind}-{major}")),
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (None, Some(_)) => None,
    }
}

const ANNOTATION: &str = "org.systemd.property.";

/// `org.systemd.property.NAME` with values in GVariant's text format (runc: docs/systemd.md). A time in seconds gets
/// the name and the unit that it has on the bus.
pub fn of_annotations(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(ANNOTATION).filter(|name| !name.is_empty()) else { continue };
        let invalid = |why: &str| Error::new(format!("annotation {key}: {why}"));
        if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(invalid("it is not the name of a property"));
        }
        // Whose processes are in the scope and where it is belongs to the container's life cycle.
        if ["PIDs", "PIDFDs", "Slice", "Controller"].contains(&name) {
            return Err(invalid("the runtime decides on it"));
        }
        let value = variant::parse(text).ok_or_else(|| invalid(&format!("{text:?} is not a value")))?;
        let seconds =
            name.strip_suffix("Sec").filter(|start| start.ends_with(|last: char| last.is_ascii_lowercase()));
        properties.push(match seconds {
            Some(start) => {
                let microseconds =
                    in_microseconds(&value).ok_or_else(|| invalid(&format!("{text:?} is no time")))?;
                Property::new(format!("{start}USec"), Value::Uint64(microseconds))
            }
            None => Property::new(name, value),
        });
    }
    Ok(properties)
}

fn in_microseconds(seconds: &Value) -> Option<u64> {
    const SECOND: u64 = 1_000_000;
    match seconds {
        Value::Byte(number) => Some(u64::from(*number) * SECOND),
        Value::Uint16(number) => Some(u64::from(*number) * SECOND),
        Value::Uint32(number) => Some(u64::from(*number) * SECOND),
        Value::Uint64(number) => number.checked_mul(SECOND),
        Value::Int16(number) => u64::try_from(*number).ok()?.checked_mul(SECOND),
        Value::Int32(number) => u64::try_from(*number).ok()?.checked_mul(SECOND),
        Value::Int64(number) => u64::try_from(*number).ok()?.checked_mul(SECOND),
        Value::Double(number) if (0.0..1e12).contains(number) => Some((number * SECOND as f64) as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<(String, Value)> {
        let resources = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap();
        of_resources(&resources).into_iter().map(|property| (property.name, property.value)).collect()
    }

    fn check(json: &str, expected: &[(&str, Value)]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        assert_eq!(of(json), expected, "{json}");
    }

    #[test]
    fn limits_are_properties() {
        use Value::Uint64;
        check("{}", &[]);
        check(r#"{"pids":{"limit":77}}"#, &[("TasksMax", Uint64(77))]);
        check(r#"{"pids":{"limit":-1}}"#, &[("TasksMax", Uint64(u64::MAX))]);
        check(r#"{"pids":{"limit":0}}"#, &[("TasksMax", Uint64(1))]);
        check(
            r#"{"memory":{"limit":64,"swap":96,"reservation":32}}"#,
            &[("MemoryLow", Uint64(32)), ("MemoryMax", Uint64(64)), ("MemorySwapMax", Uint64(32))],
        );
        check(
            r#"{"cpu":{"shares":1024,"cpus":"0-2,8","mems":"0"}}"#,
            &[
                ("AllowedCPUs", Value::bytes(&[0b111, 1])),
                ("AllowedMemoryNodes", Value::bytes(&[1])),
                ("CPUWeight", Uint64(100)),
            ],
        );
        check(r#"{"blockIO":{"weight":1000}}"#, &[("IOWeight", Uint64(10_000))]);
        check(r#"{"blockIO":{"weightDevice":[{"major":8,"minor":0,"weight":1000}]}}"#, &[]);
    }

    #[test]
    fn cpu_time() {
        let quota = |period, quota| {
            [("CPUQuotaPerSecUSec", Value::Uint64(quota)), ("CPUQuotaPeriodUSec", Value::Uint64(period))]
        };
        check(r#"{"cpu":{"quota":50000}}"#, &quota(100_000, 500_000));
        check(r#"{"cpu":{"quota":150000,"period":100000}}"#, &quota(100_000, 1_500_000));
        check(r#"{"cpu":{"quota":12345,"period":100000}}"#, &quota(100_000, 130_000));
        check(r#"{"cpu":{"quota":-1,"period":50000}}"#, &quota(50_000, u64::MAX));
        check(r#"{"unified":{"cpu.max":"20000 40000"}}"#, &quota(40_000, 500_000));
        check(r#"{"unified":{"cpu.max":"max"}}"#, &quota(100_000, u64::MAX));
        check(r#"{"unified":{"cpu.max":"1 0"}}"#, &[]);
    }

    #[test]
    fn an_idle_cgroup_has_no_weight() {
        check(r#"{"cpu":{"idle":1,"shares":1024}}"#, &[("CPUWeight", CPU_IDLE)]);
        check(r#"{"unified":{"cpu.idle":"1","cpu.weight":"50"}}"#, &[("CPUWeight", CPU_IDLE)]);
        check(r#"{"unified":{"cpu.idle":"0","cpu.weight":"50"}}"#, &[("CPUWeight", Value::Uint64(50))]);
        check(r#"{"unified":{"cpu.weight":"0"}}"#, &[]);
    }

    #[test]
    fn files_named_outright_are_properties_too() {
        check(
            r#"{"memory":{"limit":5},"unified":{"memory.max":" max ","memory.high":"7","memory.oom.group":"1"}}"#,
            &[("MemoryHigh", Value::Uint64(7)), ("MemoryMax", Value::Uint64(u64::MAX))],
        );
        check(
            r#"{"unified":{"io.bfq.weight":"default 5","hugetlb.2MB.max":"0"}}"#,
            &[("IOWeight", Value::Uint64(1))],
        );
        check(r#"{"unified":{"io.weight":"8:0 5","cpuset.cpus":"3-1"}}"#, &[]);
    }

    #[test]
    fn tight_limits_come_later() {
        let tight = |json: &str| {
            let resources = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap();
            of_resources(&resources).iter().any(Property::is_tight)
        };
        assert!(tight(r#"{"pids":{"limit":1}}"#) && tight(r#"{"memory":{"limit":524288}}"#));
        assert!(!tight(r#"{"pids":{"limit":10},"memory":{"limit":67108864,"reservation":1}}"#));
    }

    #[test]
    fn devices_that_are_allowed() {
        let allowed = |json: &str| {
            let resources = Resources::from_oci(&serde_json::from_str(json).unwrap()).unwrap();
            let allowed = allowed(&resources.devices)?;
            Some(
                allowed
                    .iter()
                    .map(|(path, access)| format!("{path} {}", access.letters()))
                    .collect::<Vec<_>>(),
            )
        };
        let rules = r#"{"devices":[{"allow":true,"access":"rwm"},{"allow":false,"access":"rwm"},
            {"allow":true,"type":"c","major":1,"minor":3,"access":"rw"},
            {"allow":true,"type":"c","major":1,"minor":3,"access":"m"},
            {"allow":true,"type":"b","access":"m"},
            {"allow":true,"type":"c","major":136,"access":"rwm"},
            {"allow":true,"type":"c","major":5,"minor":0,"access":"rwm"},
            {"allow":false,"type":"c","major":5,"minor":0,"access":"rwm"},
            {"allow":false,"type":"c","major":10,"minor":229,"access":"rwm"}]}"#;
        let expected = ["/dev/char/1:3 rwm", "block-* m", "char-136 rwm"].map(str::to_owned).to_vec();
        assert_eq!(allowed(rules), Some(expected));
        assert_eq!(allowed(r#"{"devices":[{"allow":true,"access":"rwm"}]}"#), None);
        assert_eq!(allowed("{}"), Some(Vec::new()));
        // What systemd has no words for: an exception, and a minor of any major.
        let exception = r#"{"devices":[{"allow":true,"type":"c","major":10,"access":"rwm"},
            {"allow":false,"type":"c","major":10,"minor":229,"access":"rwm"}]}"#;
        assert_eq!(allowed(exception), None);
        assert_eq!(allowed(r#"{"devices":[{"allow":true,"type":"c","minor":1,"access":"r"}]}"#), None);
    }

    #[test]
    fn annotations() {
        let of = |name: &str, value: &str| {
            let annotations = BTreeMap::from([(format!("org.systemd.property.{name}"), value.to_owned())]);
            of_annotations(&annotations).map(|properties| properties.into_iter().next())
        };
        let check = |name, value, property, expected| {
            assert_eq!(of(name, value).unwrap(), Some(Property::new(property, expected)), "{name}");
        };
        check("KillSignal", "15", "KillSignal", Value::Int32(15));
        check("TimeoutStopUSec", "uint64 10000000", "TimeoutStopUSec", Value::Uint64(10_000_000));
        check("TimeoutStopSec", "10", "TimeoutStopUSec", Value::Uint64(10_000_000));
        check("RuntimeMaxSec", "double 0.5", "RuntimeMaxUSec", Value::Uint64(500_000));
        check("CollectMode", "'inactive'", "CollectMode", Value::string("inactive"));
        for (name, value) in [
            ("KillSignal", "x y"),
            ("A-b", "1"),
            ("Ab", "1"),
            ("PIDs", "[uint32 1]"),
            ("Slice", "'a.slice'"),
            ("TimeoutStopSec", "'a'"),
            ("TimeoutStopSec", "-1"),
        ] {
            assert!(of(name, value).is_err(), "{name}");
        }
        assert_eq!(of("", "1").unwrap(), None);
        let other = BTreeMap::from([("org.systemd.properties".to_owned(), "x".to_owned())]);
        assert_eq!(of_annotations(&other).unwrap(), []);
    }
}
