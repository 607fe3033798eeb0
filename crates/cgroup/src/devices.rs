//! Device access: the OCI rule list as an eBPF program on the cgroup.
//!
//! There is no devices controller on v2; a program of type `BPF_PROG_TYPE_CGROUP_DEVICE` decides instead
//! (cgroup-v2.rst, "Device controller"). The program is assembled here.
//!
//! Meaning of a list (config-linux.md, "Allowed Device list"): for each requested access bit, the last rule
//! that matches the device and names the bit decides; a device that no rule matches is denied. As in runc
//! and in v1, a rule of type `a` covers every device and every access whatever else it says.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use sys::bpf::{self, Insn};

use crate::error::{At, Error, Result};

/// Which devices a rule covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceType {
    All,
    Block,
    Char,
}

/// A set of `r`, `w` and `m`, in the kernel's bits (`BPF_DEVCG_ACC_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    pub const MKNOD: Access = Access(1);
    pub const READ: Access = Access(2);
    pub const WRITE: Access = Access(4);
    pub const ALL: Access = Access(7);
    pub(crate) const NONE: Access = Access(0);

    pub const fn union(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Access) -> Access {
        Access(self.0 & !other.0)
    }

    /// In the letters of the specification.
    pub(crate) fn letters(self) -> String {
        let letters = [(Access::READ, 'r'), (Access::WRITE, 'w'), (Access::MKNOD, 'm')];
        letters.into_iter().filter(|(access, _)| self.0 & access.0 != 0).map(|(_, letter)| letter).collect()
    }
}

/// One resolved entry of `linux.resources.devices`; `None` stands for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    pub allow: bool,
    pub kind: DeviceType,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: Access,
}

impl DeviceRule {
    pub(crate) fn from_oci(rule: &LinuxDeviceCgroup) -> Result<DeviceRule> {
        let kind = match rule.typ() {
            None | Some(LinuxDeviceType::A) => DeviceType::All,
            Some(LinuxDeviceType::B) => DeviceType::Block,
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceType::Char,
            Some(LinuxDeviceType::P) => return Err(Error::new("type p is not a device")),
        };
        let number = |name, value: Option<i64>| match value {
            None | Some(-1) => Ok(None),
            Some(value) => u32::try_from(value)
                .map(Some)
                .map_err(|_| Error::new(format!("{name} {value} is out of range"))),
        };
        let letters = rule.access().as_deref().unwrap_or("");
        if letters.is_empty() {
            return Err(Error::new("access is empty"));
        }
        let access = letters.chars().try_fold(Access(0), |access, letter| match letter {
            'r' => Ok(access.union(Access::READ)),
            'w' => Ok(access.union(Access::WRITE)),
            'm' => Ok(access.union(Access::MKNOD)),
            _ => Err(Error::new(format!("access {letters} has letters other than rwm"))),
        })?;
        Ok(DeviceRule {
            allow: rule.allow(),
            kind,
            major: number("major", rule.major())?,
            minor: number("minor", rule.minor())?,
            access,
        })
    }
}

/// The rules that runc appends to every list, so that they win: creating any node, and using the devices
/// every container has (runc: `AllowedDevices` in libcontainer/specconv/spec_linux.go). /dev/console is not
/// among them: in a container it is a pseudo-terminal, 136:*.
pub fn default_device_rules() -> Vec<DeviceRule> {
    use DeviceType::{Block, Char};
    let allow = |kind, major, minor, access| DeviceRule { allow: true, kind, major, minor, access };
    vec![
        allow(Char, None, None, Access::MKNOD),
        allow(Block, None, None, Access::MKNOD),
        allow(Char, Some(1), Some(3), Access::ALL),
        allow(Char, Some(1), Some(8), Access::ALL),
        allow(Char, Some(1), Some(7), Access::ALL),
        allow(Char, Some(5), Some(0), Access::ALL),
        allow(Char, Some(1), Some(5), Access::ALL),
        allow(Char, Some(1), Some(9), Access::ALL),
        allow(Char, Some(136), None, Access::ALL),
        allow(Char, Some(5), Some(2), Access::ALL),
    ]
}

/// A container's own rules with the default ones after them, meaning what they mean to runc.
///
/// Its emulation of v1 (cgroups/devices/emulator.go) keeps a list of denials after a rule that allows everything,
/// and an allowing rule takes from it only a denial of exactly the same devices. So a default rule with wildcards
/// does not undo a narrower denial, such as that of making one device's node.
pub fn with_default_rules(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let mut all = rules.to_vec();
    let general = rules.iter().rposition(|rule| rule.kind == DeviceType::All);
    let denials = general.filter(|at| rules[*at].allow).map(|at| &rules[at + 1..]);
    all.extend(default_device_rules().into_iter().filter(|default| {
        let same = |rule: &DeviceRule| {
            !rule.allow && (rule.kind, rule.major, rule.minor) == (default.kind, default.major, default.minor)
        };
        denials.is_none_or(|denials| default.minor.is_some() || denials.iter().any(same))
    }));
    all
}

/// Makes `rules` the only device program of the cgroup. Between the old and the new program there is no
/// moment in which the container may do what neither allows.
pub(crate) fn set(cgroup: BorrowedFd<'_>, rules: &[DeviceRule]) -> Result<()> {
    let old = explain(bpf::query_cgroup_device(cgroup), "list device programs")?
        .into_iter()
        .map(bpf::program_by_id)
        .collect::<sys::Result<Vec<_>>>()
        .at(|| "open the attached device program".into())?;
    let new = assemble(rules)?
        .map(|program| explain(bpf::load_cgroup_device(&program), "load the device program"))
        .transpose()?;
    let attach = || "attach the device program".to_string();
    match (&new, old.as_slice()) {
        (Some(new), [only]) => {
            return bpf::attach_cgroup_device(cgroup, new.as_fd(), Some(only.as_fd())).at(attach);
        }
        (Some(new), _) => bpf::attach_cgroup_device(cgroup, new.as_fd(), None).at(attach)?,
        (None, _) => {}
    }
    for program in &old {
        bpf::detach_cgroup_device(cgroup, program.as_fd()).at(|| "detach the old device program".into())?;
    }
    Ok(())
}

/// `ENOSYS` and `EINVAL` on a well-formed call mean a kernel without CONFIG_CGROUP_BPF.
fn explain<T>(result: sys::Result<T>, action: &str) -> Result<T> {
    match result.as_ref().map_err(|errno| Errno::from_raw(errno.raw())) {
        Err(Errno::ENOSYS | Errno::EINVAL) => {
            Err(Error::unsupported("this kernel has no device programs for cgroups"))
        }
        _ => result.at(|| action.to_string()),
    }
}

/// The program for `rules`, or `None` where everything is allowed and the kernel needs no program.
///
/// A decision tree: type, then major, then minor, and at each leaf the set of accesses that the list gives to
/// such a device. A path never leads out of a branch it has entered, so the verifier looks at each instruction
/// about once; one block per rule made it try combinations, 5 ms for 50 rules.
fn assemble(rules: &[DeviceRule]) -> Result<Option<Vec<Insn>>> {
    let chars = section(rules, DeviceType::Char)?;
    let blocks = section(rules, DeviceType::Block)?;
    if chars == leaf(Access::ALL) && blocks == chars {
        return Ok(None);
    }
    // struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }, access_type = access << 16 | type
    let mut program = vec![
        load_u32(TYPE, CONTEXT, 0),
        move_register(WANTED, TYPE),
        and(TYPE, 0xffff),
        shift_right(WANTED, 16),
        load_u32(MAJOR, CONTEXT, 4),
        load_u32(MINOR, CONTEXT, 8),
    ];
    program.extend(branch(TYPE, BPF_DEVCG_DEV_CHAR, chars)?);
    program.extend(blocks);
    Ok(Some(program))
}

/// The branch of one device type. It decides in every case, as do those below it.
fn section(rules: &[DeviceRule], kind: DeviceType) -> Result<Vec<Insn>> {
    let of_kind = || rules.iter().filter(move |rule| rule.kind == kind);
    let majors: BTreeSet<u32> = of_kind().filter_map(|rule| rule.major).collect();
    let minors = of_kind().filter(|rule| rule.major.is_none()).filter_map(|rule| rule.minor);
    let other_majors = minor_branches(rules, kind, None, minors.collect())?;
    let mut section = Vec::new();
    for major in majors {
        // A minor that is named for all majors is one to look at here too.
        let minors = of_kind()
            .filter(|rule| rule.major.is_none_or(|number| number == major))
            .filter_map(|rule| rule.minor);
        let body = minor_branches(rules, kind, Some(major), minors.collect())?;
        if body != other_majors {
            section.extend(branch(MAJOR, major, body)?);
        }
    }
    section.extend(other_majors);
    Ok(section)
}

fn minor_branches(
    rules: &[DeviceRule],
    kind: DeviceType,
    major: Option<u32>,
    minors: BTreeSet<u32>,
) -> Result<Vec<Insn>> {
    let others = allowed(rules, kind, major, None);
    let mut branches = Vec::new();
    for minor in minors {
        let access = allowed(rules, kind, major, Some(minor));
        if access != others {
            branches.extend(branch(MINOR, minor, leaf(access))?);
        }
    }
    branches.extend(leaf(others));
    Ok(branches)
}

/// What the list allows of a device; `None` is a number that no rule names.
fn allowed(rules: &[DeviceRule], kind: DeviceType, major: Option<u32>, minor: Option<u32>) -> Access {
    let covers = |rule: Option<u32>, number: Option<u32>| rule.is_none() || rule == number;
    rules.iter().fold(Access(0), |allowed, rule| {
        let touched = if rule.kind == DeviceType::All {
            Access::ALL
        } else if rule.kind == kind && covers(rule.major, major) && covers(rule.minor, minor) {
            rule.access
        } else {
            Access(0)
        };
        if rule.allow { allowed.union(touched) } else { Access(allowed.0 & !touched.0) }
    })
}

/// `body`, skipped unless the register has the value.
fn branch(register: u8, value: u32, body: Vec<Insn>) -> Result<Vec<Insn>> {
    let skipped =
        i16::try_from(body.len()).map_err(|_| Error::new("the list of device rules is too long"))?;
    let mut branch = vec![skip_unless_equal(register, value, skipped)];
    branch.extend(body);
    Ok(branch)
}

/// Ends the program: 1 if all that is wanted is in `access`.
fn leaf(access: Access) -> Vec<Insn> {
    match access {
        Access(0) => vec![move_value(RESULT, 0), EXIT],
        Access::ALL => vec![move_value(RESULT, 1), EXIT],
        Access(bits) => vec![
            and(WANTED, !i32::from(bits)),
            move_value(RESULT, 0),
            skip_unless_equal(WANTED, 0, 1),
            move_value(RESULT, 1),
            EXIT,
        ],
    }
}

const BPF_DEVCG_DEV_CHAR: u32 = 2;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Opcodes are class | operation | source (Documentation/bpf/standardization/instruction-set.rst). All
// arithmetic and comparison is 32 bits wide: numbers above i32::MAX would be sign-extended to 64.
const LDX_W: u8 = 0x61;
const AND32_K: u8 = 0x54;
const RSH32_K: u8 = 0x74;
const MOV32_K: u8 = 0xb4;
const MOV32_X: u8 = 0xbc;
const JNE32_K: u8 = 0x56;
const EXIT: Insn = Insn { code: 0x95, regs: 0, offset: 0, imm: 0 };

fn load_u32(to: u8, base: u8, offset: i16) -> Insn {
    Insn { code: LDX_W, regs: base << 4 | to, offset, imm: 0 }
}

fn move_register(to: u8, from: u8) -> Insn {
    Insn { code: MOV32_X, regs: from << 4 | to, offset: 0, imm: 0 }
}

fn move_value(to: u8, imm: i32) -> Insn {
    Insn { code: MOV32_K, regs: to, offset: 0, imm }
}

fn and(register: u8, imm: i32) -> Insn {
    Insn { code: AND32_K, regs: register, offset: 0, imm }
}

fn shift_right(register: u8, imm: i32) -> Insn {
    Insn { code: RSH32_K, regs: register, offset: 0, imm }
}

fn skip_unless_equal(register: u8, value: u32, offset: i16) -> Insn {
    Insn { code: JNE32_K, regs: register, offset, imm: value as i32 }
}

/// What programs and lists mean, in the plainest words: the kernel's machine, and the rules one by one.
#[cfg(any(test, fuzzing))]
mod model {
    use super::*;

    pub(super) const BLOCK: u32 = 1;
    pub(super) const CHAR: u32 = BPF_DEVCG_DEV_CHAR;

    /// Runs the program as the kernel would; `true` is allowed. Panics on anything the verifier would refuse.
    pub(super) fn run(program: &[Insn], kind: u32, major: u32, minor: u32, access: Access) -> bool {
        let context = [u32::from(access.0) << 16 | kind, major, minor];
        let mut registers = [0u32; 11];
        let mut at = 0usize;
        loop {
            let Insn { code, regs, offset, imm } = program[at];
            let (to, from) = (usize::from(regs & 15), usize::from(regs >> 4));
            at += 1;
            match code {
                LDX_W => {
                    assert_eq!(from, usize::from(CONTEXT));
                    registers[to] = context[offset as usize / 4];
                }
                AND32_K => registers[to] &= imm as u32,
                RSH32_K => registers[to] >>= imm,
                MOV32_K => registers[to] = imm as u32,
                MOV32_X => registers[to] = registers[from],
                JNE32_K => {
                    assert!(offset > 0, "a loop");
                    if registers[to] != imm as u32 {
                        at += offset as usize;
                    }
                }
                code if code == EXIT.code => return registers[usize::from(RESULT)] == 1,
                code => panic!("opcode {code:#x}"),
            }
        }
    }

    /// Whether the last rule that matches says yes, for each access wanted.
    pub(super) fn allows(list: &[DeviceRule], kind: u32, major: u32, minor: u32, wanted: Access) -> bool {
        let same_kind = |rule: &DeviceRule| match rule.kind {
            DeviceType::All => true,
            DeviceType::Char => kind == CHAR,
            DeviceType::Block => kind == BLOCK,
        };
        [1, 2, 4].into_iter().filter(|bit| wanted.0 & bit != 0).all(|bit| {
            let decisive = list.iter().rev().find(|rule| {
                rule.kind == DeviceType::All
                    || same_kind(rule)
                        && rule.major.is_none_or(|number| number == major)
                        && rule.minor.is_none_or(|number| number == minor)
                        && rule.access.0 & bit != 0
            });
            decisive.is_some_and(|rule| rule.allow)
        })
    }
}

/// The program decides as the rules do, for every device that one of them names and one that none does.
#[cfg(fuzzing)]
pub(crate) fn fuzz(rules: &[DeviceRule]) {
    let Ok(program) = assemble(rules) else { return };
    let numbers = |of: fn(&DeviceRule) -> Option<u32>| -> Vec<u32> {
        rules.iter().filter_map(of).take(8).chain([4711]).collect()
    };
    for (kind, major) in
        numbers(|rule| rule.major).into_iter().flat_map(|n| [(model::BLOCK, n), (model::CHAR, n)])
    {
        for minor in numbers(|rule| rule.minor) {
            for wanted in (1..8).map(Access) {
                let actual =
                    program.as_ref().is_none_or(|program| model::run(program, kind, major, minor, wanted));
                assert_eq!(
                    actual,
                    model::allows(rules, kind, major, minor, wanted),
                    "{rules:?} {major}:{minor}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::model::{BLOCK, CHAR, allows, run};
    use super::*;

    fn rules(json: &str) -> Vec<DeviceRule> {
        let list: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        list.iter().map(|rule| DeviceRule::from_oci(rule).unwrap()).collect()
    }

    fn access(letters: &str) -> Access {
        letters.chars().fold(Access(0), |access, letter| {
            access.union(match letter {
                'r' => Access::READ,
                'w' => Access::WRITE,
                _ => Access::MKNOD,
            })
        })
    }

    /// Every non-empty set of accesses to the device that the rules allow.
    fn accesses(rules: &[DeviceRule], kind: u32, major: u32, minor: u32) -> String {
        let program = assemble(rules).unwrap();
        ["r", "w", "m", "rw", "rm", "wm", "rwm"]
            .into_iter()
            .filter(|set| {
                program.as_ref().is_none_or(|program| run(program, kind, major, minor, access(set)))
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    const EVERYTHING: &str = "r w m rw rm wm rwm";

    #[test]
    fn empty_list_denies_everything() {
        assert_eq!(accesses(&[], CHAR, 1, 3), "");
    }

    #[test]
    fn default_rules_after_deny_all() {
        let mut list = rules(r#"[{"allow":false,"access":"rwm"}]"#);
        list.extend(default_device_rules());
        assert_eq!(accesses(&list, CHAR, 1, 3), EVERYTHING);
        assert_eq!(accesses(&list, CHAR, 136, 4711), EVERYTHING);
        assert_eq!(accesses(&list, CHAR, 5, 1), "m", "the host's console");
        assert_eq!(accesses(&list, CHAR, 10, 200), "m", "tun");
        assert_eq!(accesses(&list, BLOCK, 1, 3), "m");
    }

    #[test]
    fn allow_all_needs_no_program() {
        let mut list = rules(r#"[{"allow":false,"access":"rwm"},{"allow":true,"access":"rwm"}]"#);
        list.extend(default_device_rules());
        assert_eq!(assemble(&list).unwrap(), None);
    }

    #[test]
    fn default_rules_leave_a_narrower_denial_alone() {
        let list = |denied: &str| {
            with_default_rules(&rules(&format!(r#"[{{"allow":true,"access":"rwm"}},{denied}]"#)))
        };
        let one = list(r#"{"allow":false,"type":"c","major":10,"minor":229,"access":"rwm"}"#);
        assert_eq!(accesses(&one, CHAR, 10, 229), "");
        assert_eq!(accesses(&one, CHAR, 10, 228), EVERYTHING);
        let all = list(r#"{"allow":false,"type":"c","access":"rwm"}"#);
        assert_eq!(accesses(&all, CHAR, 10, 229), "m");
        let null = list(r#"{"allow":false,"type":"c","major":1,"minor":3,"access":"rwm"}"#);
        assert_eq!(accesses(&null, CHAR, 1, 3), EVERYTHING);
        let after_deny_all = with_default_rules(&rules(r#"[{"allow":false,"access":"rwm"}]"#));
        assert_eq!(accesses(&after_deny_all, CHAR, 10, 229), "m");
    }

    #[test]
    fn type_a_covers_everything_whatever_else_it_says() {
        let list = rules(
            r#"[{"allow":true,"type":"c","major":1,"access":"rwm"},{"allow":false,"type":"a","major":9,"access":"r"}]"#,
        );
        assert_eq!(accesses(&list, CHAR, 1, 3), "");
    }

    #[test]
    fn last_match_wins_for_each_access() {
        let list = rules(
            r#"[{"allow":true,"access":"rwm"},
                {"allow":false,"type":"c","major":1,"minor":3,"access":"rw"},
                {"allow":true,"type":"c","major":1,"access":"r"}]"#,
        );
        assert_eq!(accesses(&list, CHAR, 1, 3), "r m rm");
        assert_eq!(accesses(&list, CHAR, 1, 5), EVERYTHING);
        assert_eq!(accesses(&list, BLOCK, 1, 3), EVERYTHING);
    }

    #[test]
    fn two_rules_together_allow_what_each_allows() {
        let list = rules(
            r#"[{"allow":true,"type":"c","major":10,"minor":200,"access":"r"},
                {"allow":true,"type":"c","major":10,"minor":200,"access":"w"}]"#,
        );
        assert_eq!(accesses(&list, CHAR, 10, 200), "r w rw");
        assert_eq!(accesses(&list, CHAR, 10, 201), "");
    }

    #[test]
    fn a_hole_in_a_wildcard() {
        let list = rules(
            r#"[{"allow":true,"type":"b","major":8,"access":"rw"},
                {"allow":false,"type":"b","major":8,"minor":1,"access":"w"}]"#,
        );
        assert_eq!(accesses(&list, BLOCK, 8, 0), "r w rw");
        assert_eq!(accesses(&list, BLOCK, 8, 1), "r");
    }

    #[test]
    fn large_numbers_and_unbuffered_characters() {
        let list = rules(r#"[{"allow":true,"type":"u","major":4294967295,"minor":4294967295,"access":"r"}]"#);
        assert_eq!(accesses(&list, CHAR, u32::MAX, u32::MAX), "r");
        assert_eq!(accesses(&list, CHAR, u32::MAX, 0), "");
    }

    /// The assembled program against a rule-by-rule reading of the list, over many small lists.
    #[test]
    fn program_means_what_the_list_says() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let list: Vec<DeviceRule> = (0..random(6))
                .map(|_| DeviceRule {
                    allow: random(2) == 1,
                    kind: [DeviceType::Block, DeviceType::Char, DeviceType::Char, DeviceType::All]
                        [random(4) as usize],
                    major: [None, Some(1), Some(2)][random(3) as usize],
                    minor: [None, Some(1), Some(2)][random(3) as usize],
                    access: Access(1 + random(7) as u8),
                })
                .collect();
            let (major, minor) = (1 + random(2) as u32, 1 + random(2) as u32);
            let wanted = Access(1 + random(7) as u8);
            let program = assemble(&list).unwrap();
            let actual = program.is_none_or(|program| run(&program, CHAR, major, minor, wanted));
            let expected = allows(&list, CHAR, major, minor, wanted);
            assert_eq!(actual, expected, "{list:?} {major}:{minor} {wanted:?}");
        }
    }
}
