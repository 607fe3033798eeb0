//! The messages of all images. Written by `tests/generated.rs` from `proto/`.

/// The general registers, in the order of the kernel's user_regs_struct.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserX86RegsEntry {
    #[prost(uint64, required, tag = "1")]
    pub r15: u64,
    #[prost(uint64, required, tag = "2")]
    pub r14: u64,
    #[prost(uint64, required, tag = "3")]
    pub r13: u64,
    #[prost(uint64, required, tag = "4")]
    pub r12: u64,
    #[prost(uint64, required, tag = "5")]
    pub bp: u64,
    #[prost(uint64, required, tag = "6")]
    pub bx: u64,
    #[prost(uint64, required, tag = "7")]
    pub r11: u64,
    #[prost(uint64, required, tag = "8")]
    pub r10: u64,
    #[prost(uint64, required, tag = "9")]
    pub r9: u64,
    #[prost(uint64, required, tag = "10")]
    pub r8: u64,
    #[prost(uint64, required, tag = "11")]
    pub ax: u64,
    #[prost(uint64, required, tag = "12")]
    pub cx: u64,
    #[prost(uint64, required, tag = "13")]
    pub dx: u64,
    #[prost(uint64, required, tag = "14")]
    pub si: u64,
    #[prost(uint64, required, tag = "15")]
    pub di: u64,
    #[prost(uint64, required, tag = "16")]
    pub orig_ax: u64,
    #[prost(uint64, required, tag = "17")]
    pub ip: u64,
    #[prost(uint64, required, tag = "18")]
    pub cs: u64,
    #[prost(uint64, required, tag = "19")]
    pub flags: u64,
    #[prost(uint64, required, tag = "20")]
    pub sp: u64,
    #[prost(uint64, required, tag = "21")]
    pub ss: u64,
    #[prost(uint64, required, tag = "22")]
    pub fs_base: u64,
    #[prost(uint64, required, tag = "23")]
    pub gs_base: u64,
    #[prost(uint64, required, tag = "24")]
    pub ds: u64,
    #[prost(uint64, required, tag = "25")]
    pub es: u64,
    #[prost(uint64, required, tag = "26")]
    pub fs: u64,
    #[prost(uint64, required, tag = "27")]
    pub gs: u64,
    /// Native, or compat for a 32-bit program.
    #[prost(enumeration = "UserX86RegsMode", optional, tag = "28", default = "Native")]
    pub mode: ::core::option::Option<i32>,
}
/// The shadow stack: the state component of XSAVE.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserX86CetEntry {
    #[prost(uint64, required, tag = "1")]
    pub cet: u64,
    #[prost(uint64, required, tag = "2")]
    pub ssp: u64,
}
/// The extended state components that `xstate_bv` names, each without its gaps.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserX86XsaveEntry {
    #[prost(uint64, required, tag = "1")]
    pub xstate_bv: u64,
    /// 64 words: the high halves of ymm0 to ymm15.
    #[prost(uint32, repeated, packed = "false", tag = "2")]
    pub ymmh_space: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub bndreg_state: ::prost::alloc::vec::Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub bndcsr_state: ::prost::alloc::vec::Vec<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "5")]
    pub opmask_reg: ::prost::alloc::vec::Vec<u64>,
    /// 64 words: the high halves of zmm0 to zmm15.
    #[prost(uint64, repeated, packed = "false", tag = "6")]
    pub zmm_upper: ::prost::alloc::vec::Vec<u64>,
    /// 128 words: zmm16 to zmm31.
    #[prost(uint64, repeated, packed = "false", tag = "7")]
    pub hi16_zmm: ::prost::alloc::vec::Vec<u64>,
    #[prost(uint32, repeated, packed = "false", tag = "8")]
    pub pkru: ::prost::alloc::vec::Vec<u32>,
    #[prost(message, optional, tag = "9")]
    pub cet: ::core::option::Option<UserX86CetEntry>,
}
/// The legacy area of XSAVE (FXSAVE) and the rest of it in `xsave`.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserX86FpregsEntry {
    #[prost(uint32, required, tag = "1")]
    pub cwd: u32,
    #[prost(uint32, required, tag = "2")]
    pub swd: u32,
    #[prost(uint32, required, tag = "3")]
    pub twd: u32,
    #[prost(uint32, required, tag = "4")]
    pub fop: u32,
    #[prost(uint64, required, tag = "5")]
    pub rip: u64,
    #[prost(uint64, required, tag = "6")]
    pub rdp: u64,
    #[prost(uint32, required, tag = "7")]
    pub mxcsr: u32,
    #[prost(uint32, required, tag = "8")]
    pub mxcsr_mask: u32,
    /// 32 words: st(0) to st(7), 16 bytes each.
    #[prost(uint32, repeated, packed = "false", tag = "9")]
    pub st_space: ::prost::alloc::vec::Vec<u32>,
    /// 64 words: xmm0 to xmm15.
    #[prost(uint32, repeated, packed = "false", tag = "10")]
    pub xmm_space: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub padding: ::prost::alloc::vec::Vec<u32>,
    #[prost(message, optional, tag = "13")]
    pub xsave: ::core::option::Option<UserX86XsaveEntry>,
}
/// A segment of set_thread_area(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserDescT {
    #[prost(uint32, required, tag = "1")]
    pub entry_number: u32,
    #[prost(uint32, required, tag = "2")]
    pub base_addr: u32,
    #[prost(uint32, required, tag = "3")]
    pub limit: u32,
    #[prost(bool, required, tag = "4")]
    pub seg_32bit: bool,
    #[prost(bool, required, tag = "5")]
    pub contents_h: bool,
    #[prost(bool, required, tag = "6")]
    pub contents_l: bool,
    #[prost(bool, required, tag = "7", default = "true")]
    pub read_exec_only: bool,
    #[prost(bool, required, tag = "8")]
    pub limit_in_pages: bool,
    #[prost(bool, required, tag = "9", default = "true")]
    pub seg_not_present: bool,
    #[prost(bool, required, tag = "10")]
    pub usable: bool,
}
/// A thread's registers on x86.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ThreadInfoX86 {
    /// set_tid_address(2)
    #[prost(uint64, required, tag = "1")]
    pub clear_tid_addr: u64,
    #[prost(message, required, tag = "2")]
    pub gpregs: UserX86RegsEntry,
    #[prost(message, required, tag = "3")]
    pub fpregs: UserX86FpregsEntry,
    #[prost(message, repeated, tag = "4")]
    pub tls: ::prost::alloc::vec::Vec<UserDescT>,
}
/// The general registers, the kernel's user_pt_regs.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserAarch64RegsEntry {
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub regs: ::prost::alloc::vec::Vec<u64>,
    #[prost(uint64, required, tag = "2")]
    pub sp: u64,
    #[prost(uint64, required, tag = "3")]
    pub pc: u64,
    #[prost(uint64, required, tag = "4")]
    pub pstate: u64,
}
/// Vector registers: two words each, low word first.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UserAarch64FpsimdContextEntry {
    #[prost(uint64, repeated, packed = "false", tag = "1")]
    pub vregs: ::prost::alloc::vec::Vec<u64>,
    #[prost(uint32, required, tag = "2")]
    pub fpsr: u32,
    #[prost(uint32, required, tag = "3")]
    pub fpcr: u32,
}
/// Keys of pointer authentication for addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PacAddressKeys {
    #[prost(uint64, required, tag = "1")]
    pub apiakey_lo: u64,
    #[prost(uint64, required, tag = "2")]
    pub apiakey_hi: u64,
    #[prost(uint64, required, tag = "3")]
    pub apibkey_lo: u64,
    #[prost(uint64, required, tag = "4")]
    pub apibkey_hi: u64,
    #[prost(uint64, required, tag = "5")]
    pub apdakey_lo: u64,
    #[prost(uint64, required, tag = "6")]
    pub apdakey_hi: u64,
    #[prost(uint64, required, tag = "7")]
    pub apdbkey_lo: u64,
    #[prost(uint64, required, tag = "8")]
    pub apdbkey_hi: u64,
    #[prost(uint64, required, tag = "9")]
    pub pac_enabled_key: u64,
}
/// The generic key of pointer authentication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PacGenericKeys {
    #[prost(uint64, required, tag = "1")]
    pub apgakey_lo: u64,
    #[prost(uint64, required, tag = "2")]
    pub apgakey_hi: u64,
}
/// Keys of pointer authentication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PacKeys {
    #[prost(message, optional, tag = "6")]
    pub pac_address_keys: ::core::option::Option<PacAddressKeys>,
    #[prost(message, optional, tag = "7")]
    pub pac_generic_keys: ::core::option::Option<PacGenericKeys>,
}
/// A thread's registers on AArch64.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ThreadInfoAarch64 {
    /// set_tid_address(2)
    #[prost(uint64, required, tag = "1")]
    pub clear_tid_addr: u64,
    #[prost(uint64, required, tag = "2")]
    pub tls: u64,
    #[prost(message, required, tag = "3")]
    pub gpregs: UserAarch64RegsEntry,
    #[prost(message, required, tag = "4")]
    pub fpsimd: UserAarch64FpsimdContextEntry,
    #[prost(message, optional, tag = "5")]
    pub pac_keys: ::core::option::Option<PacKeys>,
}
/// The program's word size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum UserX86RegsMode {
    Native = 1,
    Compat = 2,
}
impl UserX86RegsMode {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Native => "NATIVE",
            Self::Compat => "COMPAT",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "NATIVE" => Some(Self::Native),
            "COMPAT" => Some(Self::Compat),
            _ => None,
        }
    }
}
/// Names of the plugins that took part. Without this message CRIU loads all it has.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PluginsEntry {
    #[prost(bytes = "vec", repeated, tag = "12")]
    pub plugins: ::prost::alloc::vec::Vec<::prost::alloc::vec::Vec<u8>>,
}
/// inventory.img, the last image to be written: its presence says that the dump is complete.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct InventoryEntry {
    /// 1, or 2 where images have two magics.
    #[prost(uint32, required, tag = "1")]
    pub img_version: u32,
    /// fdinfo images are named by files_id; always true.
    #[prost(bool, optional, tag = "2")]
    pub fdinfo_per_id: ::core::option::Option<bool>,
    /// Namespaces of the dumper: where the root task's are equal, it had none of its own.
    #[prost(message, optional, tag = "3")]
    pub root_ids: ::core::option::Option<TaskKobjIdsEntry>,
    #[prost(bool, optional, tag = "4")]
    pub ns_per_id: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "5")]
    pub root_cg_set: ::core::option::Option<u32>,
    #[prost(enumeration = "Lsmtype", optional, tag = "6")]
    pub lsmtype: ::core::option::Option<i32>,
    /// Microseconds since boot.
    #[prost(uint64, optional, tag = "8")]
    pub dump_uptime: ::core::option::Option<u64>,
    #[prost(uint32, optional, tag = "9")]
    pub pre_dump_mode: ::core::option::Option<u32>,
    /// Connections were not dumped; restore must be told so too.
    #[prost(bool, optional, tag = "10")]
    pub tcp_close: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "11")]
    pub network_lock_method: ::core::option::Option<u32>,
    #[prost(message, optional, tag = "12")]
    pub plugins_entry: ::core::option::Option<PluginsEntry>,
    #[prost(bytes = "vec", optional, tag = "13")]
    pub dump_criu_run_id: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bool, optional, tag = "14")]
    pub allow_uprobes: ::core::option::Option<bool>,
}
/// One process. Parents come before their children. All ids are those of the root task's pid namespace.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PstreeEntry {
    #[prost(uint32, required, tag = "1")]
    pub pid: u32,
    #[prost(uint32, required, tag = "2")]
    pub ppid: u32,
    #[prost(uint32, required, tag = "3")]
    pub pgid: u32,
    #[prost(uint32, required, tag = "4")]
    pub sid: u32,
    #[prost(uint32, repeated, packed = "false", tag = "5")]
    pub threads: ::prost::alloc::vec::Vec<u32>,
}
/// What a thread group has once.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct TaskCoreEntry {
    /// 1 alive, 2 a zombie, 3 stopped. crit prints 3 as "Zombie".
    #[prost(uint32, required, tag = "1")]
    pub task_state: u32,
    /// Of a zombie, as wait(2) encodes it.
    #[prost(uint32, required, tag = "2")]
    pub exit_code: u32,
    /// personality(2)
    #[prost(uint32, required, tag = "3")]
    pub personality: u32,
    /// PF_ flags of the kernel's task_struct.
    #[prost(uint32, required, tag = "4")]
    pub flags: u32,
    /// The leader's blocked signals.
    #[prost(uint64, required, tag = "5")]
    pub blk_sigset: u64,
    #[prost(bytes = "vec", required, tag = "6")]
    pub comm: ::prost::alloc::vec::Vec<u8>,
    #[prost(message, optional, tag = "7")]
    pub timers: ::core::option::Option<TaskTimersEntry>,
    #[prost(message, optional, tag = "8")]
    pub rlimits: ::core::option::Option<TaskRlimitsEntry>,
    /// Id of a set in cgroup.img.
    #[prost(uint32, optional, tag = "9")]
    pub cg_set: ::core::option::Option<u32>,
    /// Pending for the thread group.
    #[prost(message, optional, tag = "10")]
    pub signals_s: ::core::option::Option<SignalQueueEntry>,
    #[prost(enumeration = "SeccompMode", optional, tag = "11")]
    pub old_seccomp_mode: ::core::option::Option<i32>,
    #[prost(uint32, optional, tag = "12")]
    pub old_seccomp_filter: ::core::option::Option<u32>,
    /// /proc/PID/loginuid
    #[prost(uint32, optional, tag = "13")]
    pub loginuid: ::core::option::Option<u32>,
    #[prost(int32, optional, tag = "14")]
    pub oom_score_adj: ::core::option::Option<i32>,
    /// For signals from 1 on, SIGKILL and SIGSTOP left out.
    #[prost(message, repeated, tag = "15")]
    pub sigactions: ::prost::alloc::vec::Vec<SaEntry>,
    #[prost(bool, optional, tag = "18")]
    pub child_subreaper: ::core::option::Option<bool>,
    #[prost(uint64, optional, tag = "20")]
    pub blk_sigset_extended: ::core::option::Option<u64>,
    /// The signal that stopped it.
    #[prost(uint32, optional, tag = "21")]
    pub stop_signo: ::core::option::Option<u32>,
    /// membarrier(2) MEMBARRIER_CMD_GET_REGISTRATIONS
    #[prost(uint32, optional, tag = "22")]
    pub membarrier_registration_mask: ::core::option::Option<u32>,
}
/// ids-PID.img: numbers that are equal where two tasks share the object, and the ids of namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TaskKobjIdsEntry {
    #[prost(uint32, required, tag = "1")]
    pub vm_id: u32,
    #[prost(uint32, required, tag = "2")]
    pub files_id: u32,
    #[prost(uint32, required, tag = "3")]
    pub fs_id: u32,
    #[prost(uint32, required, tag = "4")]
    pub sighand_id: u32,
    /// Ids of namespaces; images of a namespace are named by them.
    #[prost(uint32, optional, tag = "5")]
    pub pid_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub net_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub ipc_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    pub uts_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub mnt_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    pub user_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "11")]
    pub cgroup_ns_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "12")]
    pub time_ns_id: ::core::option::Option<u32>,
}
/// The alternate signal stack, sigaltstack(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ThreadSasEntry {
    #[prost(uint64, required, tag = "1")]
    pub ss_sp: u64,
    #[prost(uint64, required, tag = "2")]
    pub ss_size: u64,
    #[prost(uint32, required, tag = "3")]
    pub ss_flags: u32,
}
/// What every thread has.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ThreadCoreEntry {
    /// Address of the robust list, get_robust_list(2).
    #[prost(uint64, required, tag = "1")]
    pub futex_rla: u64,
    /// Bytes.
    #[prost(uint32, required, tag = "2")]
    pub futex_rla_len: u32,
    #[prost(sint32, optional, tag = "3")]
    pub sched_nice: ::core::option::Option<i32>,
    #[prost(uint32, optional, tag = "4")]
    pub sched_policy: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub sched_prio: ::core::option::Option<u32>,
    #[prost(uint64, optional, tag = "6")]
    pub blk_sigset: ::core::option::Option<u64>,
    #[prost(message, optional, tag = "7")]
    pub sas: ::core::option::Option<ThreadSasEntry>,
    /// prctl(2) PR_SET_PDEATHSIG
    #[prost(uint32, optional, tag = "8")]
    pub pdeath_sig: ::core::option::Option<u32>,
    /// Pending for this thread.
    #[prost(message, optional, tag = "9")]
    pub signals_p: ::core::option::Option<SignalQueueEntry>,
    #[prost(message, optional, tag = "10")]
    pub creds: ::core::option::Option<CredsEntry>,
    #[prost(enumeration = "SeccompMode", optional, tag = "11")]
    pub seccomp_mode: ::core::option::Option<i32>,
    /// Index in seccomp.img.
    #[prost(uint32, optional, tag = "12")]
    pub seccomp_filter: ::core::option::Option<u32>,
    #[prost(bytes = "vec", optional, tag = "13")]
    pub comm: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(uint64, optional, tag = "14")]
    pub blk_sigset_extended: ::core::option::Option<u64>,
    #[prost(message, optional, tag = "15")]
    pub rseq_entry: ::core::option::Option<RseqEntry>,
    #[prost(uint32, optional, tag = "16")]
    pub cg_set: ::core::option::Option<u32>,
}
/// All limits, in the order of the RLIMIT_ constants.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct TaskRlimitsEntry {
    #[prost(message, repeated, tag = "1")]
    pub rlimits: ::prost::alloc::vec::Vec<RlimitEntry>,
}
/// core-TID.img: one thread. The thread group leader's has `tc`.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CoreEntry {
    /// Says which of the architectures' members is there.
    #[prost(enumeration = "core_entry::March", required, tag = "1")]
    pub mtype: i32,
    #[prost(message, optional, tag = "2")]
    pub thread_info: ::core::option::Option<ThreadInfoX86>,
    #[prost(message, optional, tag = "8")]
    pub ti_aarch64: ::core::option::Option<ThreadInfoAarch64>,
    #[prost(message, optional, tag = "3")]
    pub tc: ::core::option::Option<TaskCoreEntry>,
    #[prost(message, optional, tag = "4")]
    pub ids: ::core::option::Option<TaskKobjIdsEntry>,
    #[prost(message, optional, tag = "5")]
    pub thread_core: ::core::option::Option<ThreadCoreEntry>,
}
/// Nested message and enum types in `core_entry`.
pub mod core_entry {
    /// Architectures.
    #[derive(
        Clone,
        Copy,
        Debug,
        PartialEq,
        Eq,
        Hash,
        PartialOrd,
        Ord,
        ::prost::Enumeration
    )]
    #[repr(i32)]
    pub enum March {
        Unknown = 0,
        X8664 = 1,
        Arm = 2,
        Aarch64 = 3,
        Ppc64 = 4,
        S390 = 5,
        Mips = 6,
        Loongarch64 = 7,
        Riscv64 = 8,
    }
    impl March {
        /// String value of the enum field names used in the ProtoBuf definition.
        ///
        /// The values are not transformed in any way and thus are considered stable
        /// (if the ProtoBuf definition does not change) and safe for programmatic use.
        pub fn as_str_name(&self) -> &'static str {
            match self {
                Self::Unknown => "UNKNOWN",
                Self::X8664 => "X86_64",
                Self::Arm => "ARM",
                Self::Aarch64 => "AARCH64",
                Self::Ppc64 => "PPC64",
                Self::S390 => "S390",
                Self::Mips => "MIPS",
                Self::Loongarch64 => "LOONGARCH64",
                Self::Riscv64 => "RISCV64",
            }
        }
        /// Creates an enum from field names used in the ProtoBuf definition.
        pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
            match value {
                "UNKNOWN" => Some(Self::Unknown),
                "X86_64" => Some(Self::X8664),
                "ARM" => Some(Self::Arm),
                "AARCH64" => Some(Self::Aarch64),
                "PPC64" => Some(Self::Ppc64),
                "S390" => Some(Self::S390),
                "MIPS" => Some(Self::Mips),
                "LOONGARCH64" => Some(Self::Loongarch64),
                "RISCV64" => Some(Self::Riscv64),
                _ => None,
            }
        }
    }
}
/// A resource limit, getrlimit(2). All bits set means no limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RlimitEntry {
    #[prost(uint64, required, tag = "1")]
    pub cur: u64,
    #[prost(uint64, required, tag = "2")]
    pub max: u64,
}
/// An interval timer, setitimer(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ItimerEntry {
    /// Interval: seconds and microseconds.
    #[prost(uint64, required, tag = "1")]
    pub isec: u64,
    #[prost(uint64, required, tag = "2")]
    pub iusec: u64,
    /// Remaining: seconds and microseconds.
    #[prost(uint64, required, tag = "3")]
    pub vsec: u64,
    #[prost(uint64, required, tag = "4")]
    pub vusec: u64,
}
/// A timer of timer_create(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PosixTimerEntry {
    #[prost(uint32, required, tag = "1")]
    pub it_id: u32,
    #[prost(uint32, required, tag = "2")]
    pub clock_id: u32,
    #[prost(uint32, required, tag = "3")]
    pub si_signo: u32,
    #[prost(uint32, required, tag = "4")]
    pub it_sigev_notify: u32,
    #[prost(uint64, required, tag = "5")]
    pub sival_ptr: u64,
    #[prost(uint32, required, tag = "6")]
    pub overrun: u32,
    /// Interval: seconds and nanoseconds.
    #[prost(uint64, required, tag = "7")]
    pub isec: u64,
    #[prost(uint64, required, tag = "8")]
    pub insec: u64,
    /// Remaining: seconds and nanoseconds.
    #[prost(uint64, required, tag = "9")]
    pub vsec: u64,
    #[prost(uint64, required, tag = "10")]
    pub vnsec: u64,
    #[prost(int32, optional, tag = "11")]
    pub notify_thread_id: ::core::option::Option<i32>,
}
/// The timers of a process.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct TaskTimersEntry {
    #[prost(message, required, tag = "1")]
    pub real: ItimerEntry,
    #[prost(message, required, tag = "2")]
    pub virt: ItimerEntry,
    #[prost(message, required, tag = "3")]
    pub prof: ItimerEntry,
    #[prost(message, repeated, tag = "4")]
    pub posix: ::prost::alloc::vec::Vec<PosixTimerEntry>,
}
/// Credentials, credentials(7) and capabilities(7). Sets of capabilities are 32 bits per word, low word first.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CredsEntry {
    #[prost(uint32, required, tag = "1")]
    pub uid: u32,
    #[prost(uint32, required, tag = "2")]
    pub gid: u32,
    #[prost(uint32, required, tag = "3")]
    pub euid: u32,
    #[prost(uint32, required, tag = "4")]
    pub egid: u32,
    #[prost(uint32, required, tag = "5")]
    pub suid: u32,
    #[prost(uint32, required, tag = "6")]
    pub sgid: u32,
    #[prost(uint32, required, tag = "7")]
    pub fsuid: u32,
    #[prost(uint32, required, tag = "8")]
    pub fsgid: u32,
    #[prost(uint32, repeated, packed = "false", tag = "9")]
    pub cap_inh: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "10")]
    pub cap_prm: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub cap_eff: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "12")]
    pub cap_bnd: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, required, tag = "13")]
    pub secbits: u32,
    #[prost(uint32, repeated, packed = "false", tag = "14")]
    pub groups: ::prost::alloc::vec::Vec<u32>,
    #[prost(bytes = "vec", optional, tag = "15")]
    pub lsm_profile: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "16")]
    pub lsm_sockcreate: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "17")]
    pub apparmor_data: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(uint32, optional, tag = "18")]
    pub no_new_privs: ::core::option::Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "19")]
    pub cap_amb: ::prost::alloc::vec::Vec<u32>,
}
/// Who gets signals about the file: fcntl(2) F_SETOWN, F_SETSIG.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FownEntry {
    #[prost(uint32, required, tag = "1")]
    pub uid: u32,
    #[prost(uint32, required, tag = "2")]
    pub euid: u32,
    #[prost(uint32, required, tag = "3")]
    pub signum: u32,
    /// F_OWNER_ of fcntl(2).
    #[prost(uint32, required, tag = "4")]
    pub pid_type: u32,
    #[prost(uint32, required, tag = "5")]
    pub pid: u32,
}
/// A signal's action, sigaction(2). Addresses are the target's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SaEntry {
    #[prost(uint64, required, tag = "1")]
    pub sigaction: u64,
    #[prost(uint64, required, tag = "2")]
    pub flags: u64,
    #[prost(uint64, required, tag = "3")]
    pub restorer: u64,
    #[prost(uint64, required, tag = "4")]
    pub mask: u64,
    #[prost(bool, optional, tag = "5")]
    pub compat_sigaction: ::core::option::Option<bool>,
    #[prost(uint64, optional, tag = "6")]
    pub mask_extended: ::core::option::Option<u64>,
}
/// A pending signal as the kernel's siginfo_t, 128 bytes.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SiginfoEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub siginfo: ::prost::alloc::vec::Vec<u8>,
}
/// Pending signals in the order of their delivery.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SignalQueueEntry {
    #[prost(message, repeated, tag = "1")]
    pub signals: ::prost::alloc::vec::Vec<SiginfoEntry>,
}
/// The restartable sequence area that a thread has registered, rseq(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RseqEntry {
    #[prost(uint64, required, tag = "1")]
    pub rseq_abi_pointer: u64,
    #[prost(uint32, required, tag = "2")]
    pub rseq_abi_size: u32,
    #[prost(uint32, required, tag = "3")]
    pub signature: u32,
    /// The critical section that the thread was in.
    #[prost(uint64, optional, tag = "4")]
    pub rseq_cs_pointer: ::core::option::Option<u64>,
}
/// A filter program; `prev` is the index of the one that was installed before it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SeccompFilter {
    /// An array of the kernel's sock_filter.
    #[prost(bytes = "vec", required, tag = "1")]
    pub filter: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint32, optional, tag = "2")]
    pub prev: ::core::option::Option<u32>,
    /// SECCOMP_FILTER_FLAG_
    #[prost(uint32, optional, tag = "3")]
    pub flags: ::core::option::Option<u32>,
}
/// seccomp.img: all filters. `thread_core_entry.seccomp_filter` is the index of a thread's newest.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SeccompEntry {
    #[prost(message, repeated, tag = "1")]
    pub seccomp_filters: ::prost::alloc::vec::Vec<SeccompFilter>,
}
/// A compiled AppArmor profile.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AaPolicy {
    #[prost(bytes = "vec", required, tag = "1")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub blob: ::prost::alloc::vec::Vec<u8>,
}
/// An AppArmor namespace with what is in it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct AaNamespace {
    #[prost(bytes = "vec", required, tag = "1")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub policies: ::prost::alloc::vec::Vec<AaPolicy>,
    #[prost(message, repeated, tag = "3")]
    pub namespaces: ::prost::alloc::vec::Vec<AaNamespace>,
}
/// apparmor.img: policy of the AppArmor namespaces that tasks are in.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ApparmorEntry {
    #[prost(message, repeated, tag = "1")]
    pub namespaces: ::prost::alloc::vec::Vec<AaNamespace>,
}
/// fs-PID.img: the ids of files of the root and the working directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FsEntry {
    #[prost(uint32, required, tag = "1")]
    pub cwd_id: u32,
    #[prost(uint32, required, tag = "2")]
    pub root_id: u32,
    #[prost(uint32, optional, tag = "3")]
    pub umask: ::core::option::Option<u32>,
}
/// A kind of processor as CPUID describes it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CpuinfoX86Entry {
    #[prost(enumeration = "cpuinfo_x86_entry::Vendor", required, tag = "1")]
    pub vendor_id: i32,
    #[prost(uint32, required, tag = "2")]
    pub cpu_family: u32,
    #[prost(uint32, required, tag = "3")]
    pub model: u32,
    #[prost(uint32, required, tag = "4")]
    pub stepping: u32,
    #[prost(uint32, required, tag = "5")]
    pub capability_ver: u32,
    #[prost(uint32, repeated, packed = "false", tag = "6")]
    pub capability: ::prost::alloc::vec::Vec<u32>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub model_id: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(uint64, optional, tag = "8")]
    pub xfeatures_mask: ::core::option::Option<u64>,
    #[prost(uint32, optional, tag = "9")]
    pub xsave_size: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    pub xsave_size_max: ::core::option::Option<u32>,
}
/// Nested message and enum types in `cpuinfo_x86_entry`.
pub mod cpuinfo_x86_entry {
    /// Makers of processors.
    #[derive(
        Clone,
        Copy,
        Debug,
        PartialEq,
        Eq,
        Hash,
        PartialOrd,
        Ord,
        ::prost::Enumeration
    )]
    #[repr(i32)]
    pub enum Vendor {
        Unknown = 0,
        Intel = 1,
        Amd = 2,
    }
    impl Vendor {
        /// String value of the enum field names used in the ProtoBuf definition.
        ///
        /// The values are not transformed in any way and thus are considered stable
        /// (if the ProtoBuf definition does not change) and safe for programmatic use.
        pub fn as_str_name(&self) -> &'static str {
            match self {
                Self::Unknown => "UNKNOWN",
                Self::Intel => "INTEL",
                Self::Amd => "AMD",
            }
        }
        /// Creates an enum from field names used in the ProtoBuf definition.
        pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
            match value {
                "UNKNOWN" => Some(Self::Unknown),
                "INTEL" => Some(Self::Intel),
                "AMD" => Some(Self::Amd),
                _ => None,
            }
        }
    }
}
/// cpuinfo.img: the processors that the dump was made on.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CpuinfoEntry {
    #[prost(message, repeated, tag = "1")]
    pub x86_entry: ::prost::alloc::vec::Vec<CpuinfoX86Entry>,
}
/// Whose labels `creds_entry.lsm_profile` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Lsmtype {
    NoLsm = 0,
    Selinux = 1,
    Apparmor = 2,
}
impl Lsmtype {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::NoLsm => "NO_LSM",
            Self::Selinux => "SELINUX",
            Self::Apparmor => "APPARMOR",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "NO_LSM" => Some(Self::NoLsm),
            "SELINUX" => Some(Self::Selinux),
            "APPARMOR" => Some(Self::Apparmor),
            _ => None,
        }
    }
}
/// prctl(2) PR_GET_SECCOMP
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum SeccompMode {
    Disabled = 0,
    Strict = 1,
    Filter = 2,
}
impl SeccompMode {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Strict => "strict",
            Self::Filter => "filter",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "disabled" => Some(Self::Disabled),
            "strict" => Some(Self::Strict),
            "filter" => Some(Self::Filter),
            _ => None,
        }
    }
}
/// A ring of io_setup(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AioRingEntry {
    #[prost(uint64, required, tag = "1")]
    pub id: u64,
    #[prost(uint32, required, tag = "2")]
    pub nr_req: u32,
    /// Bytes.
    #[prost(uint32, required, tag = "3")]
    pub ring_len: u32,
}
/// mm-PID.img: an address space. The bounds are those of prctl(2) PR_SET_MM_MAP.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct MmEntry {
    #[prost(uint64, required, tag = "1")]
    pub mm_start_code: u64,
    #[prost(uint64, required, tag = "2")]
    pub mm_end_code: u64,
    #[prost(uint64, required, tag = "3")]
    pub mm_start_data: u64,
    #[prost(uint64, required, tag = "4")]
    pub mm_end_data: u64,
    #[prost(uint64, required, tag = "5")]
    pub mm_start_stack: u64,
    #[prost(uint64, required, tag = "6")]
    pub mm_start_brk: u64,
    #[prost(uint64, required, tag = "7")]
    pub mm_brk: u64,
    #[prost(uint64, required, tag = "8")]
    pub mm_arg_start: u64,
    #[prost(uint64, required, tag = "9")]
    pub mm_arg_end: u64,
    #[prost(uint64, required, tag = "10")]
    pub mm_env_start: u64,
    #[prost(uint64, required, tag = "11")]
    pub mm_env_end: u64,
    /// Id of a file.
    #[prost(uint32, required, tag = "12")]
    pub exe_file_id: u32,
    /// The auxiliary vector, getauxval(3), as words.
    #[prost(uint64, repeated, packed = "false", tag = "13")]
    pub mm_saved_auxv: ::prost::alloc::vec::Vec<u64>,
    #[prost(message, repeated, tag = "14")]
    pub vmas: ::prost::alloc::vec::Vec<VmaEntry>,
    /// prctl(2) PR_GET_DUMPABLE
    #[prost(int32, optional, tag = "15")]
    pub dumpable: ::core::option::Option<i32>,
    #[prost(message, repeated, tag = "16")]
    pub aios: ::prost::alloc::vec::Vec<AioRingEntry>,
    #[prost(bool, optional, tag = "17")]
    pub thp_disabled: ::core::option::Option<bool>,
}
/// A mapping; [start, end) in bytes. They are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct VmaEntry {
    #[prost(uint64, required, tag = "1")]
    pub start: u64,
    #[prost(uint64, required, tag = "2")]
    pub end: u64,
    /// Offset in the file, in bytes.
    #[prost(uint64, required, tag = "3")]
    pub pgoff: u64,
    /// Id of a file for a mapped file, of shared memory otherwise.
    #[prost(uint64, required, tag = "4")]
    pub shmid: u64,
    #[prost(uint32, required, tag = "5")]
    pub prot: u32,
    #[prost(uint32, required, tag = "6")]
    pub flags: u32,
    /// What the mapping is: VMA_AREA_ and VMA_ bits of CRIU's vma.h.
    #[prost(uint32, required, tag = "7")]
    pub status: u32,
    /// -1 in images.
    #[prost(sint64, required, tag = "8")]
    pub fd: i64,
    /// Bit N for the advice N of madvise(2).
    #[prost(uint64, optional, tag = "9")]
    pub madv: ::core::option::Option<u64>,
    /// open(2) flags for a mapped file.
    #[prost(uint32, optional, tag = "10")]
    pub fdflags: ::core::option::Option<u32>,
}
/// The first entry of a pagemap image: its content is in pages-`pages_id`.img.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PagemapHead {
    #[prost(uint32, required, tag = "1")]
    pub pages_id: u32,
}
/// A run of pages. Present runs lie back to back in the pages file, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PagemapEntry {
    #[prost(uint64, required, tag = "1")]
    pub vaddr: u64,
    /// Pages, or 0 when `nr_pages` has them.
    #[prost(uint32, required, tag = "2")]
    pub compat_nr_pages: u32,
    /// PE_PARENT of old images.
    #[prost(bool, optional, tag = "3")]
    pub in_parent: ::core::option::Option<bool>,
    /// PE_PARENT: in the parent directory. PE_LAZY: may be restored late. PE_PRESENT: in the pages file.
    #[prost(uint32, optional, tag = "4")]
    pub flags: ::core::option::Option<u32>,
    #[prost(uint64, optional, tag = "5")]
    pub nr_pages: ::core::option::Option<u64>,
}
/// An open memfd.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct MemfdFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(uint64, required, tag = "3")]
    pub pos: u64,
    #[prost(message, required, tag = "4")]
    pub fown: FownEntry,
    #[prost(uint32, required, tag = "5")]
    pub inode_id: u32,
}
/// memfd.img: the file behind memfds. Its content is that of the shared memory `shmid`.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct MemfdInodeEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint32, required, tag = "2")]
    pub uid: u32,
    #[prost(uint32, required, tag = "3")]
    pub gid: u32,
    /// Bytes.
    #[prost(uint64, required, tag = "4")]
    pub size: u64,
    #[prost(uint32, required, tag = "5")]
    pub shmid: u32,
    #[prost(uint32, required, tag = "6")]
    pub seals: u32,
    #[prost(uint64, required, tag = "7")]
    pub inode_id: u64,
    /// MFD_HUGE_
    #[prost(uint32, optional, tag = "8")]
    pub hugetlb_flag: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub mode: ::core::option::Option<u32>,
}
/// Options of any socket, socket(7). Times as in SO_SNDTIMEO.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SkOptsEntry {
    #[prost(uint32, required, tag = "1")]
    pub so_sndbuf: u32,
    #[prost(uint32, required, tag = "2")]
    pub so_rcvbuf: u32,
    #[prost(uint64, required, tag = "3")]
    pub so_snd_tmo_sec: u64,
    #[prost(uint64, required, tag = "4")]
    pub so_snd_tmo_usec: u64,
    #[prost(uint64, required, tag = "5")]
    pub so_rcv_tmo_sec: u64,
    #[prost(uint64, required, tag = "6")]
    pub so_rcv_tmo_usec: u64,
    #[prost(bool, optional, tag = "7")]
    pub reuseaddr: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "8")]
    pub so_priority: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub so_rcvlowat: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    pub so_mark: ::core::option::Option<u32>,
    #[prost(bool, optional, tag = "11")]
    pub so_passcred: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "12")]
    pub so_passsec: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "13")]
    pub so_dontroute: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "14")]
    pub so_no_check: ::core::option::Option<bool>,
    #[prost(bytes = "vec", optional, tag = "15")]
    pub so_bound_dev: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    /// A classic BPF program, an instruction per word.
    #[prost(fixed64, repeated, packed = "false", tag = "16")]
    pub so_filter: ::prost::alloc::vec::Vec<u64>,
    #[prost(bool, optional, tag = "17")]
    pub so_reuseport: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "18")]
    pub so_broadcast: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "19")]
    pub so_keepalive: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "20")]
    pub tcp_keepcnt: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "21")]
    pub tcp_keepidle: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "22")]
    pub tcp_keepintvl: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "23")]
    pub so_oobinline: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "24")]
    pub so_linger: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "25")]
    pub so_buf_lock: ::core::option::Option<u32>,
}
/// Mode and owner of a socket's file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FilePermsEntry {
    #[prost(uint32, required, tag = "1")]
    pub mode: u32,
    #[prost(uint32, required, tag = "2")]
    pub uid: u32,
    #[prost(uint32, required, tag = "3")]
    pub gid: u32,
}
/// A unix(7) socket.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UnixSkEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub ino: u32,
    #[prost(uint32, required, tag = "3")]
    pub r#type: u32,
    #[prost(uint32, required, tag = "4")]
    pub state: u32,
    #[prost(uint32, required, tag = "5")]
    pub flags: u32,
    /// What restore must do beyond the usual; USK_ of CRIU.
    #[prost(uint32, required, tag = "6")]
    pub uflags: u32,
    #[prost(uint32, required, tag = "7")]
    pub backlog: u32,
    /// `ino` of the peer, or 0.
    #[prost(uint32, required, tag = "8")]
    pub peer: u32,
    #[prost(message, required, tag = "9")]
    pub fown: FownEntry,
    #[prost(message, required, tag = "10")]
    pub opts: SkOptsEntry,
    /// Path, or after a zero byte an abstract name.
    #[prost(bytes = "vec", required, tag = "11")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(enumeration = "SkShutdown", optional, tag = "12")]
    pub shutdown: ::core::option::Option<i32>,
    #[prost(message, optional, tag = "13")]
    pub file_perms: ::core::option::Option<FilePermsEntry>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub name_dir: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bool, optional, tag = "15")]
    pub deleted: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "16")]
    pub ns_id: ::core::option::Option<u32>,
    #[prost(sint32, optional, tag = "17", default = "-1")]
    pub mnt_id: ::core::option::Option<i32>,
}
/// Options of raw(7) sockets.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpOptsRawEntry {
    #[prost(bool, optional, tag = "1")]
    pub hdrincl: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "2")]
    pub nodefrag: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub checksum: ::core::option::Option<bool>,
    #[prost(uint32, repeated, packed = "false", tag = "4")]
    pub icmpv_filter: ::prost::alloc::vec::Vec<u32>,
}
/// Options of ip(7) sockets.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpOptsEntry {
    #[prost(bool, optional, tag = "1")]
    pub freebind: ::core::option::Option<bool>,
    #[prost(message, optional, tag = "4")]
    pub raw: ::core::option::Option<IpOptsRawEntry>,
    #[prost(bool, optional, tag = "5")]
    pub pktinfo: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "6")]
    pub tos: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub ttl: ::core::option::Option<u32>,
}
/// An IPv4 or IPv6 socket. Addresses are words in network order: one or four.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct InetSkEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub ino: u32,
    #[prost(uint32, required, tag = "3")]
    pub family: u32,
    #[prost(uint32, required, tag = "4")]
    pub r#type: u32,
    #[prost(uint32, required, tag = "5")]
    pub proto: u32,
    #[prost(uint32, required, tag = "6")]
    pub state: u32,
    #[prost(uint32, required, tag = "7")]
    pub src_port: u32,
    #[prost(uint32, required, tag = "8")]
    pub dst_port: u32,
    #[prost(uint32, required, tag = "9")]
    pub flags: u32,
    #[prost(uint32, required, tag = "10")]
    pub backlog: u32,
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub src_addr: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "12")]
    pub dst_addr: ::prost::alloc::vec::Vec<u32>,
    #[prost(message, required, tag = "13")]
    pub fown: FownEntry,
    #[prost(message, required, tag = "14")]
    pub opts: SkOptsEntry,
    #[prost(bool, optional, tag = "15")]
    pub v6only: ::core::option::Option<bool>,
    #[prost(message, optional, tag = "16")]
    pub ip_opts: ::core::option::Option<IpOptsEntry>,
    #[prost(bytes = "vec", optional, tag = "17")]
    pub ifname: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    /// Id of its network namespace.
    #[prost(uint32, optional, tag = "18")]
    pub ns_id: ::core::option::Option<u32>,
    #[prost(enumeration = "SkShutdown", optional, tag = "19")]
    pub shutdown: ::core::option::Option<i32>,
    #[prost(message, optional, tag = "20")]
    pub tcp_opts: ::core::option::Option<TcpOptsEntry>,
}
/// Options of tcp(7) sockets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TcpOptsEntry {
    #[prost(bool, optional, tag = "1")]
    pub cork: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "2")]
    pub nodelay: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "3")]
    pub keepcnt: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    pub keepidle: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub keepintvl: ::core::option::Option<u32>,
}
/// tcp-stream-INO.img: an established connection. `inq_len` received and `outq_len` sent bytes follow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TcpStreamEntry {
    #[prost(uint32, required, tag = "1")]
    pub inq_len: u32,
    #[prost(uint32, required, tag = "2")]
    pub inq_seq: u32,
    #[prost(uint32, required, tag = "3")]
    pub outq_len: u32,
    #[prost(uint32, required, tag = "4")]
    pub outq_seq: u32,
    #[prost(uint32, required, tag = "5")]
    pub opt_mask: u32,
    #[prost(uint32, required, tag = "6")]
    pub snd_wscale: u32,
    #[prost(uint32, required, tag = "7")]
    pub mss_clamp: u32,
    #[prost(uint32, optional, tag = "8")]
    pub rcv_wscale: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub timestamp: ::core::option::Option<u32>,
    #[prost(bool, optional, tag = "10")]
    pub cork: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "11")]
    pub nodelay: ::core::option::Option<bool>,
    /// Bytes at the end of the outgoing queue that were not sent yet.
    #[prost(uint32, optional, tag = "12")]
    pub unsq_len: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "13")]
    pub snd_wl1: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub snd_wnd: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "15")]
    pub max_window: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "16")]
    pub rcv_wnd: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "17")]
    pub rcv_wup: ::core::option::Option<u32>,
}
/// A netlink(7) socket.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct NetlinkSkEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub ino: u32,
    #[prost(uint32, required, tag = "3")]
    pub protocol: u32,
    #[prost(uint32, required, tag = "4")]
    pub state: u32,
    #[prost(uint32, required, tag = "6")]
    pub flags: u32,
    #[prost(uint32, required, tag = "7")]
    pub portid: u32,
    #[prost(uint32, repeated, packed = "false", tag = "8")]
    pub groups: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, required, tag = "9")]
    pub dst_portid: u32,
    #[prost(uint32, required, tag = "10")]
    pub dst_group: u32,
    #[prost(message, required, tag = "11")]
    pub fown: FownEntry,
    #[prost(message, required, tag = "12")]
    pub opts: SkOptsEntry,
    #[prost(uint32, optional, tag = "13")]
    pub ns_id: ::core::option::Option<u32>,
}
/// A membership of a packet(7) socket.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PacketMclist {
    #[prost(uint32, required, tag = "1")]
    pub index: u32,
    #[prost(uint32, required, tag = "2")]
    pub r#type: u32,
    #[prost(bytes = "vec", required, tag = "3")]
    pub addr: ::prost::alloc::vec::Vec<u8>,
}
/// A ring of a packet(7) socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PacketRing {
    #[prost(uint32, required, tag = "1")]
    pub block_size: u32,
    #[prost(uint32, required, tag = "2")]
    pub block_nr: u32,
    #[prost(uint32, required, tag = "3")]
    pub frame_size: u32,
    #[prost(uint32, required, tag = "4")]
    pub frame_nr: u32,
    #[prost(uint32, required, tag = "5")]
    pub retire_tmo: u32,
    #[prost(uint32, required, tag = "6")]
    pub sizeof_priv: u32,
    #[prost(uint32, required, tag = "7")]
    pub features: u32,
}
/// A packet(7) socket.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct PacketSockEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub r#type: u32,
    #[prost(uint32, required, tag = "3")]
    pub protocol: u32,
    #[prost(uint32, required, tag = "4")]
    pub flags: u32,
    #[prost(uint32, required, tag = "5")]
    pub ifindex: u32,
    #[prost(message, required, tag = "6")]
    pub fown: FownEntry,
    #[prost(message, required, tag = "7")]
    pub opts: SkOptsEntry,
    #[prost(uint32, required, tag = "8")]
    pub version: u32,
    #[prost(uint32, required, tag = "9")]
    pub reserve: u32,
    #[prost(bool, required, tag = "10")]
    pub aux_data: bool,
    #[prost(bool, required, tag = "11")]
    pub orig_dev: bool,
    #[prost(bool, required, tag = "12")]
    pub vnet_hdr: bool,
    #[prost(bool, required, tag = "13")]
    pub loss: bool,
    #[prost(uint32, required, tag = "14")]
    pub timestamp: u32,
    #[prost(uint32, required, tag = "15")]
    pub copy_thresh: u32,
    #[prost(message, repeated, tag = "16")]
    pub mclist: ::prost::alloc::vec::Vec<PacketMclist>,
    #[prost(uint32, optional, tag = "17", default = "4294967295")]
    pub fanout: ::core::option::Option<u32>,
    #[prost(message, optional, tag = "18")]
    pub rx_ring: ::core::option::Option<PacketRing>,
    #[prost(message, optional, tag = "19")]
    pub tx_ring: ::core::option::Option<PacketRing>,
    #[prost(uint32, optional, tag = "20")]
    pub ns_id: ::core::option::Option<u32>,
}
/// Descriptors in a message, unix(7) SCM_RIGHTS: ids of files.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ScmEntry {
    #[prost(uint32, required, tag = "1")]
    pub r#type: u32,
    #[prost(uint32, repeated, packed = "false", tag = "2")]
    pub rights: ::prost::alloc::vec::Vec<u32>,
}
/// sk-queues.img: a datagram, or a stretch of a stream; `length` bytes follow the message.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SkPacketEntry {
    /// Id of the socket that has received it.
    #[prost(uint32, required, tag = "1")]
    pub id_for: u32,
    #[prost(uint32, required, tag = "2")]
    pub length: u32,
    #[prost(message, repeated, tag = "4")]
    pub scm: ::prost::alloc::vec::Vec<ScmEntry>,
}
/// Directions that shutdown(2) has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum SkShutdown {
    None = 0,
    Read = 1,
    Write = 2,
    Both = 3,
}
impl SkShutdown {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Both => "BOTH",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "NONE" => Some(Self::None),
            "READ" => Some(Self::Read),
            "WRITE" => Some(Self::Write),
            "BOTH" => Some(Self::Both),
            _ => None,
        }
    }
}
/// fdinfo-ID.img: a descriptor and the open file that it refers to.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FdinfoEntry {
    /// Of an open file: equal where descriptors share it.
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    /// FD_CLOEXEC
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(enumeration = "FdTypes", required, tag = "3")]
    pub r#type: i32,
    #[prost(uint32, required, tag = "4")]
    pub fd: u32,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub xattr_security_selinux: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
}
/// files.img: an open file. The one member that `type` names is there.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct FileEntry {
    #[prost(enumeration = "FdTypes", required, tag = "1")]
    pub r#type: i32,
    #[prost(uint32, required, tag = "2")]
    pub id: u32,
    #[prost(message, optional, boxed, tag = "3")]
    pub reg: ::core::option::Option<::prost::alloc::boxed::Box<RegFileEntry>>,
    #[prost(message, optional, boxed, tag = "4")]
    pub isk: ::core::option::Option<::prost::alloc::boxed::Box<InetSkEntry>>,
    #[prost(message, optional, boxed, tag = "5")]
    pub nsf: ::core::option::Option<::prost::alloc::boxed::Box<NsFileEntry>>,
    #[prost(message, optional, boxed, tag = "6")]
    pub psk: ::core::option::Option<::prost::alloc::boxed::Box<PacketSockEntry>>,
    #[prost(message, optional, boxed, tag = "7")]
    pub nlsk: ::core::option::Option<::prost::alloc::boxed::Box<NetlinkSkEntry>>,
    #[prost(message, optional, boxed, tag = "8")]
    pub efd: ::core::option::Option<::prost::alloc::boxed::Box<EventfdFileEntry>>,
    #[prost(message, optional, boxed, tag = "9")]
    pub epfd: ::core::option::Option<::prost::alloc::boxed::Box<EventpollFileEntry>>,
    #[prost(message, optional, boxed, tag = "10")]
    pub sgfd: ::core::option::Option<::prost::alloc::boxed::Box<SignalfdEntry>>,
    #[prost(message, optional, boxed, tag = "11")]
    pub tunf: ::core::option::Option<::prost::alloc::boxed::Box<TunfileEntry>>,
    #[prost(message, optional, boxed, tag = "12")]
    pub tfd: ::core::option::Option<::prost::alloc::boxed::Box<TimerfdEntry>>,
    #[prost(message, optional, boxed, tag = "13")]
    pub ify: ::core::option::Option<::prost::alloc::boxed::Box<InotifyFileEntry>>,
    #[prost(message, optional, boxed, tag = "14")]
    pub ffy: ::core::option::Option<::prost::alloc::boxed::Box<FanotifyFileEntry>>,
    #[prost(message, optional, boxed, tag = "15")]
    pub ext: ::core::option::Option<::prost::alloc::boxed::Box<ExtFileEntry>>,
    #[prost(message, optional, boxed, tag = "16")]
    pub usk: ::core::option::Option<::prost::alloc::boxed::Box<UnixSkEntry>>,
    #[prost(message, optional, boxed, tag = "17")]
    pub fifo: ::core::option::Option<::prost::alloc::boxed::Box<FifoEntry>>,
    #[prost(message, optional, boxed, tag = "18")]
    pub pipe: ::core::option::Option<::prost::alloc::boxed::Box<PipeEntry>>,
    #[prost(message, optional, boxed, tag = "19")]
    pub tty: ::core::option::Option<::prost::alloc::boxed::Box<TtyFileEntry>>,
    #[prost(message, optional, boxed, tag = "20")]
    pub memfd: ::core::option::Option<::prost::alloc::boxed::Box<MemfdFileEntry>>,
    #[prost(message, optional, boxed, tag = "21")]
    pub bpf: ::core::option::Option<::prost::alloc::boxed::Box<BpfmapFileEntry>>,
    #[prost(message, optional, boxed, tag = "22")]
    pub pidfd: ::core::option::Option<::prost::alloc::boxed::Box<PidfdEntry>>,
}
/// A file with a name: regular files, directories, devices, O_PATH.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RegFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    /// Offset in bytes.
    #[prost(uint64, required, tag = "3")]
    pub pos: u64,
    #[prost(message, required, tag = "5")]
    pub fown: FownEntry,
    /// Path from the root of its mount namespace; a leading slash may be missing.
    #[prost(bytes = "vec", required, tag = "6")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    /// Of a mount in mountpoints-ID.img.
    #[prost(sint32, optional, tag = "7", default = "-1")]
    pub mnt_id: ::core::option::Option<i32>,
    /// Bytes at the time of the dump.
    #[prost(uint64, optional, tag = "8")]
    pub size: ::core::option::Option<u64>,
    /// The file is passed in from outside.
    #[prost(bool, optional, tag = "9")]
    pub ext: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "10")]
    pub mode: ::core::option::Option<u32>,
    /// The ELF note, a word per byte or packed.
    #[prost(uint32, repeated, packed = "false", tag = "11")]
    pub build_id: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, optional, tag = "12")]
    pub checksum: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "13")]
    pub checksum_config: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub checksum_parameter: ::core::option::Option<u32>,
}
/// A file that a plugin restores.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ExtFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(message, required, tag = "5")]
    pub fown: FownEntry,
}
/// An open /proc/PID/ns/ file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct NsFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub ns_id: u32,
    #[prost(uint32, required, tag = "3")]
    pub ns_cflag: u32,
    #[prost(uint32, required, tag = "4")]
    pub flags: u32,
}
/// An end of a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PipeEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub pipe_id: u32,
    #[prost(uint32, required, tag = "3")]
    pub flags: u32,
    #[prost(message, required, tag = "4")]
    pub fown: FownEntry,
}
/// An end of a named pipe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FifoEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub pipe_id: u32,
    #[prost(uint32, optional, tag = "3")]
    pub regf_id: ::core::option::Option<u32>,
}
/// Content of a pipe; `bytes` bytes follow the message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PipeDataEntry {
    #[prost(uint32, required, tag = "1")]
    pub pipe_id: u32,
    #[prost(uint32, required, tag = "2")]
    pub bytes: u32,
    /// The pipe's capacity in bytes, fcntl(2) F_GETPIPE_SZ.
    #[prost(uint32, optional, tag = "3")]
    pub size: ::core::option::Option<u32>,
}
/// An eventfd(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct EventfdFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(message, required, tag = "3")]
    pub fown: FownEntry,
    #[prost(uint64, required, tag = "4")]
    pub counter: u64,
}
/// A descriptor that an epoll(7) instance watches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct EventpollTfdEntry {
    /// Of the epoll instance, in old images.
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub tfd: u32,
    #[prost(uint32, required, tag = "3")]
    pub events: u32,
    #[prost(uint64, required, tag = "4")]
    pub data: u64,
    #[prost(uint32, optional, tag = "5")]
    pub dev: ::core::option::Option<u32>,
    #[prost(uint64, optional, tag = "6")]
    pub inode: ::core::option::Option<u64>,
    #[prost(uint64, optional, tag = "7")]
    pub pos: ::core::option::Option<u64>,
}
/// An epoll(7) instance.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct EventpollFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(message, required, tag = "3")]
    pub fown: FownEntry,
    #[prost(message, repeated, tag = "4")]
    pub tfd: ::prost::alloc::vec::Vec<EventpollTfdEntry>,
}
/// A signalfd(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignalfdEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(message, required, tag = "3")]
    pub fown: FownEntry,
    #[prost(uint64, required, tag = "4")]
    pub sigmask: u64,
}
/// A timerfd_create(2) timer; the remaining time is in `vsec` and `vnsec`, the interval in `isec` and `insec`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TimerfdEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(message, required, tag = "3")]
    pub fown: FownEntry,
    #[prost(uint32, required, tag = "4")]
    pub clockid: u32,
    /// Expirations that were not read.
    #[prost(uint64, required, tag = "5")]
    pub ticks: u64,
    #[prost(uint32, required, tag = "6")]
    pub settime_flags: u32,
    #[prost(uint64, required, tag = "7")]
    pub vsec: u64,
    #[prost(uint64, required, tag = "8")]
    pub vnsec: u64,
    #[prost(uint64, required, tag = "9")]
    pub isec: u64,
    #[prost(uint64, required, tag = "10")]
    pub insec: u64,
}
/// A file handle, name_to_handle_at(2), as words of 64 bits.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FhEntry {
    /// Length of the handle.
    #[prost(uint32, required, tag = "1")]
    pub bytes: u32,
    #[prost(uint32, required, tag = "2")]
    pub r#type: u32,
    #[prost(uint64, repeated, packed = "false", tag = "3")]
    pub handle: ::prost::alloc::vec::Vec<u64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub path: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(uint32, optional, tag = "5")]
    pub mnt_id: ::core::option::Option<u32>,
}
/// irmap-cache: a path that is known to have this inode.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IrmapCacheEntry {
    #[prost(uint32, required, tag = "1")]
    pub dev: u32,
    #[prost(uint64, required, tag = "2")]
    pub inode: u64,
    #[prost(bytes = "vec", required, tag = "3")]
    pub path: ::prost::alloc::vec::Vec<u8>,
}
/// A watch of inotify(7).
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct InotifyWdEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint64, required, tag = "2")]
    pub i_ino: u64,
    #[prost(uint32, required, tag = "3")]
    pub mask: u32,
    #[prost(uint32, required, tag = "4")]
    pub ignored_mask: u32,
    #[prost(uint32, required, tag = "5")]
    pub s_dev: u32,
    #[prost(uint32, required, tag = "6")]
    pub wd: u32,
    #[prost(message, required, tag = "7")]
    pub f_handle: FhEntry,
}
/// An inotify(7) instance.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct InotifyFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(message, required, tag = "4")]
    pub fown: FownEntry,
    #[prost(message, repeated, tag = "5")]
    pub wd: ::prost::alloc::vec::Vec<InotifyWdEntry>,
}
/// A mark on an inode.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FanotifyInodeMarkEntry {
    #[prost(uint64, required, tag = "1")]
    pub i_ino: u64,
    #[prost(message, required, tag = "2")]
    pub f_handle: FhEntry,
}
/// A mark on a mount.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FanotifyMountMarkEntry {
    #[prost(uint32, required, tag = "1")]
    pub mnt_id: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub path: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
}
/// A mark of fanotify(7).
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FanotifyMarkEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(enumeration = "MarkType", required, tag = "2")]
    pub r#type: i32,
    #[prost(uint32, required, tag = "3")]
    pub mflags: u32,
    #[prost(uint32, required, tag = "4")]
    pub mask: u32,
    #[prost(uint32, required, tag = "5")]
    pub ignored_mask: u32,
    #[prost(uint32, required, tag = "6")]
    pub s_dev: u32,
    #[prost(message, optional, tag = "7")]
    pub ie: ::core::option::Option<FanotifyInodeMarkEntry>,
    #[prost(message, optional, tag = "8")]
    pub me: ::core::option::Option<FanotifyMountMarkEntry>,
}
/// A fanotify(7) group.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct FanotifyFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(message, required, tag = "3")]
    pub fown: FownEntry,
    #[prost(uint32, required, tag = "4")]
    pub faflags: u32,
    #[prost(uint32, required, tag = "5")]
    pub evflags: u32,
    #[prost(message, repeated, tag = "6")]
    pub mark: ::prost::alloc::vec::Vec<FanotifyMarkEntry>,
}
/// A pidfd; `nspid` is -1 when the process was dead.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PidfdEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub ino: u32,
    #[prost(uint32, required, tag = "3")]
    pub flags: u32,
    #[prost(int32, required, tag = "4")]
    pub nspid: i32,
    #[prost(message, required, tag = "5")]
    pub fown: FownEntry,
}
/// A descriptor of a BPF map, with what BPF_OBJ_GET_INFO_BY_FD says of it.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct BpfmapFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub flags: u32,
    #[prost(uint64, required, tag = "3")]
    pub pos: u64,
    #[prost(message, required, tag = "4")]
    pub fown: FownEntry,
    #[prost(uint32, required, tag = "5")]
    pub map_type: u32,
    #[prost(uint32, required, tag = "6")]
    pub key_size: u32,
    #[prost(uint32, required, tag = "7")]
    pub value_size: u32,
    #[prost(uint32, required, tag = "8")]
    pub map_id: u32,
    #[prost(uint32, required, tag = "9")]
    pub max_entries: u32,
    #[prost(uint32, required, tag = "10")]
    pub map_flags: u32,
    #[prost(uint64, required, tag = "11")]
    pub memlock: u64,
    #[prost(bool, required, tag = "12", default = "false")]
    pub frozen: bool,
    #[prost(bytes = "vec", required, tag = "13")]
    pub map_name: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint32, required, tag = "14", default = "0")]
    pub ifindex: u32,
    #[prost(sint32, optional, tag = "15", default = "-1")]
    pub mnt_id: ::core::option::Option<i32>,
    #[prost(uint64, optional, tag = "16")]
    pub map_extra: ::core::option::Option<u64>,
}
/// Content of a BPF map; all keys and then all values follow the message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct BpfmapDataEntry {
    #[prost(uint32, required, tag = "1")]
    pub map_id: u32,
    #[prost(uint32, required, tag = "2")]
    pub keys_bytes: u32,
    #[prost(uint32, required, tag = "3")]
    pub values_bytes: u32,
    #[prost(uint32, required, tag = "4")]
    pub count: u32,
}
/// An open /dev/net/tun.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TunfileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub netdev: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    pub detached: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    pub ns_id: ::core::option::Option<u32>,
}
/// A tun or tap device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TunLinkEntry {
    #[prost(uint32, required, tag = "1")]
    pub flags: u32,
    #[prost(int32, required, tag = "2")]
    pub owner: i32,
    #[prost(int32, required, tag = "3")]
    pub group: i32,
    #[prost(uint32, required, tag = "4")]
    pub vnethdr: u32,
    #[prost(uint32, required, tag = "5")]
    pub sndbuf: u32,
}
/// ioctl_tty(2) TIOCGWINSZ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct WinsizeEntry {
    #[prost(uint32, required, tag = "1")]
    pub ws_row: u32,
    #[prost(uint32, required, tag = "2")]
    pub ws_col: u32,
    #[prost(uint32, required, tag = "3")]
    pub ws_xpixel: u32,
    #[prost(uint32, required, tag = "4")]
    pub ws_ypixel: u32,
}
/// ioctl_tty(2) TCGETS; `c_cc` has a word per byte.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TermiosEntry {
    #[prost(uint32, required, tag = "1")]
    pub c_iflag: u32,
    #[prost(uint32, required, tag = "2")]
    pub c_oflag: u32,
    #[prost(uint32, required, tag = "3")]
    pub c_cflag: u32,
    #[prost(uint32, required, tag = "4")]
    pub c_lflag: u32,
    #[prost(uint32, required, tag = "5")]
    pub c_line: u32,
    #[prost(uint32, required, tag = "6")]
    pub c_ispeed: u32,
    #[prost(uint32, required, tag = "7")]
    pub c_ospeed: u32,
    #[prost(uint32, repeated, packed = "false", tag = "8")]
    pub c_cc: ::prost::alloc::vec::Vec<u32>,
}
/// The number of a pseudo terminal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TtyPtyEntry {
    #[prost(uint32, required, tag = "1")]
    pub index: u32,
}
/// tty-data.img: what was written to a pseudo terminal and not read.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TtyDataEntry {
    #[prost(uint32, required, tag = "1")]
    pub tty_id: u32,
    #[prost(bytes = "vec", required, tag = "2")]
    pub data: ::prost::alloc::vec::Vec<u8>,
}
/// tty-info.img: a terminal.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TtyInfoEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(enumeration = "TtyType", required, tag = "2")]
    pub r#type: i32,
    #[prost(bool, required, tag = "3")]
    pub locked: bool,
    #[prost(bool, required, tag = "4")]
    pub exclusive: bool,
    #[prost(bool, required, tag = "5")]
    pub packet_mode: bool,
    /// Session whose controlling terminal it is, or 0.
    #[prost(uint32, required, tag = "6")]
    pub sid: u32,
    #[prost(uint32, required, tag = "7")]
    pub pgrp: u32,
    #[prost(uint32, required, tag = "8")]
    pub rdev: u32,
    #[prost(message, optional, tag = "9")]
    pub termios: ::core::option::Option<TermiosEntry>,
    #[prost(message, optional, tag = "10")]
    pub termios_locked: ::core::option::Option<TermiosEntry>,
    #[prost(message, optional, tag = "11")]
    pub winsize: ::core::option::Option<WinsizeEntry>,
    #[prost(message, optional, tag = "12")]
    pub pty: ::core::option::Option<TtyPtyEntry>,
    #[prost(uint32, optional, tag = "13")]
    pub dev: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub uid: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "15")]
    pub gid: ::core::option::Option<u32>,
}
/// An open terminal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TtyFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(uint32, required, tag = "2")]
    pub tty_info_id: u32,
    #[prost(uint32, required, tag = "3")]
    pub flags: u32,
    #[prost(message, required, tag = "4")]
    pub fown: FownEntry,
    /// Id of the file that names it.
    #[prost(uint32, optional, tag = "6")]
    pub regf_id: ::core::option::Option<u32>,
}
/// remap-fpath.img: the path of `orig_id` no longer leads to the file; `remap_id` says what does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RemapFilePathEntry {
    #[prost(uint32, required, tag = "1")]
    pub orig_id: u32,
    #[prost(uint32, required, tag = "2")]
    pub remap_id: u32,
    #[prost(enumeration = "RemapType", optional, tag = "3")]
    pub remap_type: ::core::option::Option<i32>,
}
/// ghost-file-ID.img: a deleted file. Its content follows: to the end of the file, or in chunks.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GhostFileEntry {
    #[prost(uint32, required, tag = "1")]
    pub uid: u32,
    #[prost(uint32, required, tag = "2")]
    pub gid: u32,
    #[prost(uint32, required, tag = "3")]
    pub mode: u32,
    #[prost(uint32, optional, tag = "4")]
    pub dev: ::core::option::Option<u32>,
    #[prost(uint64, optional, tag = "5")]
    pub ino: ::core::option::Option<u64>,
    #[prost(uint32, optional, tag = "6")]
    pub rdev: ::core::option::Option<u32>,
    #[prost(message, optional, tag = "7")]
    pub atim: ::core::option::Option<Timeval>,
    #[prost(message, optional, tag = "8")]
    pub mtim: ::core::option::Option<Timeval>,
    #[prost(bool, optional, tag = "9")]
    pub chunks: ::core::option::Option<bool>,
    #[prost(uint64, optional, tag = "10")]
    pub size: ::core::option::Option<u64>,
    #[prost(bytes = "vec", optional, tag = "11")]
    pub symlnk_target: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
}
/// A stretch of a sparse deleted file; `len` bytes follow the message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GhostChunkEntry {
    #[prost(uint64, required, tag = "1")]
    pub len: u64,
    #[prost(uint64, required, tag = "2")]
    pub off: u64,
}
/// A time with microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Timeval {
    #[prost(uint64, required, tag = "1")]
    pub tv_sec: u64,
    #[prost(uint64, required, tag = "2")]
    pub tv_usec: u64,
}
/// filelocks.img: a lock as in /proc/locks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FileLockEntry {
    /// 1 POSIX, 2 flock, 4 open file description, 32 lease.
    #[prost(uint32, required, tag = "1")]
    pub flag: u32,
    #[prost(uint32, required, tag = "2")]
    pub r#type: u32,
    #[prost(int32, required, tag = "3")]
    pub pid: i32,
    #[prost(int32, required, tag = "4")]
    pub fd: i32,
    #[prost(int64, required, tag = "5")]
    pub start: i64,
    /// Bytes; 0 means to the end.
    #[prost(int64, required, tag = "6")]
    pub len: i64,
}
/// Kinds of open files. The last two are CRIU's own while it restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum FdTypes {
    Und = 0,
    Reg = 1,
    Pipe = 2,
    Fifo = 3,
    Inetsk = 4,
    Unixsk = 5,
    Eventfd = 6,
    Eventpoll = 7,
    Inotify = 8,
    Signalfd = 9,
    Packetsk = 10,
    Tty = 11,
    Fanotify = 12,
    Netlinksk = 13,
    Ns = 14,
    Tunf = 15,
    Ext = 16,
    Timerfd = 17,
    Memfd = 18,
    Bpfmap = 19,
    Pidfd = 20,
    CtlTty = 65534,
    AutofsPipe = 65535,
}
impl FdTypes {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Und => "UND",
            Self::Reg => "REG",
            Self::Pipe => "PIPE",
            Self::Fifo => "FIFO",
            Self::Inetsk => "INETSK",
            Self::Unixsk => "UNIXSK",
            Self::Eventfd => "EVENTFD",
            Self::Eventpoll => "EVENTPOLL",
            Self::Inotify => "INOTIFY",
            Self::Signalfd => "SIGNALFD",
            Self::Packetsk => "PACKETSK",
            Self::Tty => "TTY",
            Self::Fanotify => "FANOTIFY",
            Self::Netlinksk => "NETLINKSK",
            Self::Ns => "NS",
            Self::Tunf => "TUNF",
            Self::Ext => "EXT",
            Self::Timerfd => "TIMERFD",
            Self::Memfd => "MEMFD",
            Self::Bpfmap => "BPFMAP",
            Self::Pidfd => "PIDFD",
            Self::CtlTty => "CTL_TTY",
            Self::AutofsPipe => "AUTOFS_PIPE",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "UND" => Some(Self::Und),
            "REG" => Some(Self::Reg),
            "PIPE" => Some(Self::Pipe),
            "FIFO" => Some(Self::Fifo),
            "INETSK" => Some(Self::Inetsk),
            "UNIXSK" => Some(Self::Unixsk),
            "EVENTFD" => Some(Self::Eventfd),
            "EVENTPOLL" => Some(Self::Eventpoll),
            "INOTIFY" => Some(Self::Inotify),
            "SIGNALFD" => Some(Self::Signalfd),
            "PACKETSK" => Some(Self::Packetsk),
            "TTY" => Some(Self::Tty),
            "FANOTIFY" => Some(Self::Fanotify),
            "NETLINKSK" => Some(Self::Netlinksk),
            "NS" => Some(Self::Ns),
            "TUNF" => Some(Self::Tunf),
            "EXT" => Some(Self::Ext),
            "TIMERFD" => Some(Self::Timerfd),
            "MEMFD" => Some(Self::Memfd),
            "BPFMAP" => Some(Self::Bpfmap),
            "PIDFD" => Some(Self::Pidfd),
            "CTL_TTY" => Some(Self::CtlTty),
            "AUTOFS_PIPE" => Some(Self::AutofsPipe),
            _ => None,
        }
    }
}
/// What a mark of fanotify is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum MarkType {
    Inode = 1,
    Mount = 2,
}
impl MarkType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Inode => "INODE",
            Self::Mount => "MOUNT",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "INODE" => Some(Self::Inode),
            "MOUNT" => Some(Self::Mount),
            _ => None,
        }
    }
}
/// Kinds of terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum TtyType {
    Unknown = 0,
    Pty = 1,
    Console = 2,
    Vt = 3,
    Ctty = 4,
    ExtTty = 5,
    Serial = 6,
}
impl TtyType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Pty => "PTY",
            Self::Console => "CONSOLE",
            Self::Vt => "VT",
            Self::Ctty => "CTTY",
            Self::ExtTty => "EXT_TTY",
            Self::Serial => "SERIAL",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "UNKNOWN" => Some(Self::Unknown),
            "PTY" => Some(Self::Pty),
            "CONSOLE" => Some(Self::Console),
            "VT" => Some(Self::Vt),
            "CTTY" => Some(Self::Ctty),
            "EXT_TTY" => Some(Self::ExtTty),
            "SERIAL" => Some(Self::Serial),
            _ => None,
        }
    }
}
/// What replaces a path: another name, a deleted file, a dead process's /proc directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum RemapType {
    Linked = 0,
    Ghost = 1,
    Procfs = 2,
}
impl RemapType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Linked => "LINKED",
            Self::Ghost => "GHOST",
            Self::Procfs => "PROCFS",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "LINKED" => Some(Self::Linked),
            "GHOST" => Some(Self::Ghost),
            "PROCFS" => Some(Self::Procfs),
            _ => None,
        }
    }
}
/// mountpoints-ID.img: a mount as in /proc/PID/mountinfo.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct MntEntry {
    /// A number of `fstype`.
    #[prost(uint32, required, tag = "1")]
    pub fstype: u32,
    #[prost(uint32, required, tag = "2")]
    pub mnt_id: u32,
    #[prost(uint32, required, tag = "3")]
    pub root_dev: u32,
    #[prost(uint32, required, tag = "4")]
    pub parent_mnt_id: u32,
    #[prost(uint32, required, tag = "5")]
    pub flags: u32,
    #[prost(bytes = "vec", required, tag = "6")]
    pub root: ::prost::alloc::vec::Vec<u8>,
    /// With a leading dot.
    #[prost(bytes = "vec", required, tag = "7")]
    pub mountpoint: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", required, tag = "8")]
    pub source: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", required, tag = "9")]
    pub options: ::prost::alloc::vec::Vec<u8>,
    #[prost(uint32, optional, tag = "10")]
    pub shared_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "11")]
    pub master_id: ::core::option::Option<u32>,
    #[prost(bool, optional, tag = "12")]
    pub with_plugin: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "13")]
    pub ext_mount: ::core::option::Option<bool>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub fsname: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bool, optional, tag = "15")]
    pub internal_sharing: ::core::option::Option<bool>,
    #[prost(bool, optional, tag = "16")]
    pub deleted: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "17")]
    pub sb_flags: ::core::option::Option<u32>,
    /// The name under which restore is told what to mount.
    #[prost(bytes = "vec", optional, tag = "18")]
    pub ext_key: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
}
/// autofs-ID.img: an autofs mount with the pipe to its daemon.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AutofsEntry {
    #[prost(int32, required, tag = "1")]
    pub fd: i32,
    #[prost(int32, required, tag = "2")]
    pub pgrp: i32,
    #[prost(int32, required, tag = "3")]
    pub timeout: i32,
    #[prost(int32, required, tag = "4")]
    pub minproto: i32,
    #[prost(int32, required, tag = "5")]
    pub maxproto: i32,
    #[prost(int32, required, tag = "6")]
    pub mode: i32,
    #[prost(int32, optional, tag = "7")]
    pub uid: ::core::option::Option<i32>,
    #[prost(int32, optional, tag = "8")]
    pub gid: ::core::option::Option<i32>,
    #[prost(int32, optional, tag = "9")]
    pub read_fd: ::core::option::Option<i32>,
}
/// binfmt-misc-ID.img: a registered format.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct BinfmtMiscEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(bool, required, tag = "2")]
    pub enabled: bool,
    #[prost(bytes = "vec", required, tag = "3")]
    pub interpreter: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub flags: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub extension: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub magic: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub mask: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(int32, optional, tag = "8")]
    pub offset: ::core::option::Option<i32>,
}
/// utsns-ID.img
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UtsnsEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub nodename: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub domainname: ::prost::alloc::vec::Vec<u8>,
}
/// A time with nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Timespec {
    #[prost(uint64, required, tag = "1")]
    pub tv_sec: u64,
    #[prost(uint64, required, tag = "2")]
    pub tv_nsec: u64,
}
/// timens-ID.img: what the clocks said at the time of the dump.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TimensEntry {
    #[prost(message, required, tag = "1")]
    pub monotonic: Timespec,
    #[prost(message, required, tag = "2")]
    pub boottime: Timespec,
}
/// pidns-ID.img, only for a namespace that is not the container's.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PidnsEntry {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub ext_key: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
}
/// A line of /proc/PID/uid_map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct UidGidExtent {
    #[prost(uint32, required, tag = "1")]
    pub first: u32,
    #[prost(uint32, required, tag = "2")]
    pub lower_first: u32,
    #[prost(uint32, required, tag = "3")]
    pub count: u32,
}
/// userns-ID.img: the maps of a user namespace.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct UsernsEntry {
    #[prost(message, repeated, tag = "1")]
    pub uid_map: ::prost::alloc::vec::Vec<UidGidExtent>,
    #[prost(message, repeated, tag = "2")]
    pub gid_map: ::prost::alloc::vec::Vec<UidGidExtent>,
}
/// Mode and owner of a directory or file in a cgroup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CgroupPerms {
    #[prost(uint32, required, tag = "1")]
    pub mode: u32,
    #[prost(uint32, required, tag = "2")]
    pub uid: u32,
    #[prost(uint32, required, tag = "3")]
    pub gid: u32,
}
/// A file in a cgroup and its content.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CgroupPropEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub value: ::prost::alloc::vec::Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub perms: ::core::option::Option<CgroupPerms>,
}
/// A cgroup with those below it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CgroupDirEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub dir_name: ::prost::alloc::vec::Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    pub children: ::prost::alloc::vec::Vec<CgroupDirEntry>,
    #[prost(message, repeated, tag = "3")]
    pub properties: ::prost::alloc::vec::Vec<CgroupPropEntry>,
    #[prost(message, optional, tag = "4")]
    pub dir_perms: ::core::option::Option<CgroupPerms>,
}
/// A hierarchy: controllers that share it (none for cgroup v2) and its cgroups.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CgControllerEntry {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub cnames: ::prost::alloc::vec::Vec<::prost::alloc::vec::Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    pub dirs: ::prost::alloc::vec::Vec<CgroupDirEntry>,
    #[prost(bool, optional, tag = "3")]
    pub is_threaded: ::core::option::Option<bool>,
}
/// The cgroup that a task is in, of one hierarchy.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CgMemberEntry {
    #[prost(bytes = "vec", required, tag = "1")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub path: ::prost::alloc::vec::Vec<u8>,
    /// Bytes of `path` that the cgroup namespace hides.
    #[prost(uint32, optional, tag = "3")]
    pub cgns_prefix: ::core::option::Option<u32>,
}
/// The cgroups that a task is in, of all hierarchies.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CgSetEntry {
    #[prost(uint32, required, tag = "1")]
    pub id: u32,
    #[prost(message, repeated, tag = "2")]
    pub ctls: ::prost::alloc::vec::Vec<CgMemberEntry>,
}
/// cgroup.img
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct CgroupEntry {
    #[prost(message, repeated, tag = "1")]
    pub sets: ::prost::alloc::vec::Vec<CgSetEntry>,
    #[prost(message, repeated, tag = "2")]
    pub controllers: ::prost::alloc::vec::Vec<CgControllerEntry>,
}
/// What every System V object has: the kernel's ipc_perm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpcDescEntry {
    #[prost(uint32, required, tag = "1")]
    pub key: u32,
    #[prost(uint32, required, tag = "2")]
    pub uid: u32,
    #[prost(uint32, required, tag = "3")]
    pub gid: u32,
    #[prost(uint32, required, tag = "4")]
    pub cuid: u32,
    #[prost(uint32, required, tag = "5")]
    pub cgid: u32,
    #[prost(uint32, required, tag = "6")]
    pub mode: u32,
    #[prost(uint32, required, tag = "7")]
    pub id: u32,
}
/// ipcns-var-ID.img: limits in /proc/sys/kernel and /proc/sys/fs/mqueue.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpcVarEntry {
    #[prost(uint32, repeated, packed = "false", tag = "1")]
    pub sem_ctls: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, required, tag = "2")]
    pub msg_ctlmax: u32,
    #[prost(uint32, required, tag = "3")]
    pub msg_ctlmnb: u32,
    #[prost(uint32, required, tag = "4")]
    pub msg_ctlmni: u32,
    #[prost(uint32, required, tag = "5")]
    pub auto_msgmni: u32,
    #[prost(uint64, required, tag = "6")]
    pub shm_ctlmax: u64,
    #[prost(uint64, required, tag = "7")]
    pub shm_ctlall: u64,
    #[prost(uint32, required, tag = "8")]
    pub shm_ctlmni: u32,
    #[prost(uint32, required, tag = "9")]
    pub shm_rmid_forced: u32,
    #[prost(uint32, required, tag = "10")]
    pub mq_queues_max: u32,
    #[prost(uint32, required, tag = "11")]
    pub mq_msg_max: u32,
    #[prost(uint32, required, tag = "12")]
    pub mq_msgsize_max: u32,
    #[prost(uint32, optional, tag = "13")]
    pub mq_msg_default: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub mq_msgsize_default: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "15")]
    pub msg_next_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "16")]
    pub sem_next_id: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "17")]
    pub shm_next_id: ::core::option::Option<u32>,
}
/// ipcns-shm-ID.img: a segment. Its content follows, padded to 4 bytes, unless it is in a pagemap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpcShmEntry {
    #[prost(message, required, tag = "1")]
    pub desc: IpcDescEntry,
    /// Bytes.
    #[prost(uint64, required, tag = "2")]
    pub size: u64,
    /// The content is in pagemap-shmem-`desc.id`.img.
    #[prost(bool, optional, tag = "3")]
    pub in_pagemaps: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    pub hugetlb_flag: ::core::option::Option<u32>,
}
/// A message of a queue; `msize` bytes follow, padded to 8.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpcMsg {
    #[prost(uint64, required, tag = "1")]
    pub mtype: u64,
    #[prost(uint32, required, tag = "2")]
    pub msize: u32,
}
/// ipcns-msg-ID.img: a queue; `qnum` messages follow, each framed as an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpcMsgEntry {
    #[prost(message, required, tag = "1")]
    pub desc: IpcDescEntry,
    #[prost(uint32, required, tag = "2")]
    pub qbytes: u32,
    #[prost(uint32, required, tag = "3")]
    pub qnum: u32,
}
/// ipcns-sem-ID.img: a set; `nsems` values of 16 bits follow, padded to 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct IpcSemEntry {
    #[prost(message, required, tag = "1")]
    pub desc: IpcDescEntry,
    #[prost(uint32, required, tag = "2")]
    pub nsems: u32,
}
/// File systems by number; others are AUTO with `mnt_entry.fsname`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Fstype {
    Unsupported = 0,
    Proc = 1,
    Sysfs = 2,
    Devtmpfs = 3,
    BinfmtMisc = 4,
    Tmpfs = 5,
    Devpts = 6,
    Simfs = 7,
    Pstore = 8,
    Securityfs = 9,
    Fusectl = 10,
    Debugfs = 11,
    Cgroup = 12,
    Aufs = 13,
    Mqueue = 14,
    Fuse = 15,
    Auto = 16,
    Overlayfs = 17,
    Autofs = 18,
    Tracefs = 19,
    Cgroup2 = 23,
}
impl Fstype {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unsupported => "UNSUPPORTED",
            Self::Proc => "PROC",
            Self::Sysfs => "SYSFS",
            Self::Devtmpfs => "DEVTMPFS",
            Self::BinfmtMisc => "BINFMT_MISC",
            Self::Tmpfs => "TMPFS",
            Self::Devpts => "DEVPTS",
            Self::Simfs => "SIMFS",
            Self::Pstore => "PSTORE",
            Self::Securityfs => "SECURITYFS",
            Self::Fusectl => "FUSECTL",
            Self::Debugfs => "DEBUGFS",
            Self::Cgroup => "CGROUP",
            Self::Aufs => "AUFS",
            Self::Mqueue => "MQUEUE",
            Self::Fuse => "FUSE",
            Self::Auto => "AUTO",
            Self::Overlayfs => "OVERLAYFS",
            Self::Autofs => "AUTOFS",
            Self::Tracefs => "TRACEFS",
            Self::Cgroup2 => "CGROUP2",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "UNSUPPORTED" => Some(Self::Unsupported),
            "PROC" => Some(Self::Proc),
            "SYSFS" => Some(Self::Sysfs),
            "DEVTMPFS" => Some(Self::Devtmpfs),
            "BINFMT_MISC" => Some(Self::BinfmtMisc),
            "TMPFS" => Some(Self::Tmpfs),
            "DEVPTS" => Some(Self::Devpts),
            "SIMFS" => Some(Self::Simfs),
            "PSTORE" => Some(Self::Pstore),
            "SECURITYFS" => Some(Self::Securityfs),
            "FUSECTL" => Some(Self::Fusectl),
            "DEBUGFS" => Some(Self::Debugfs),
            "CGROUP" => Some(Self::Cgroup),
            "AUFS" => Some(Self::Aufs),
            "MQUEUE" => Some(Self::Mqueue),
            "FUSE" => Some(Self::Fuse),
            "AUTO" => Some(Self::Auto),
            "OVERLAYFS" => Some(Self::Overlayfs),
            "AUTOFS" => Some(Self::Autofs),
            "TRACEFS" => Some(Self::Tracefs),
            "CGROUP2" => Some(Self::Cgroup2),
            _ => None,
        }
    }
}
/// netdev-ID.img: a network device.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct NetDeviceEntry {
    #[prost(enumeration = "NdType", required, tag = "1")]
    pub r#type: i32,
    #[prost(uint32, required, tag = "2")]
    pub ifindex: u32,
    #[prost(uint32, required, tag = "3")]
    pub mtu: u32,
    #[prost(uint32, required, tag = "4")]
    pub flags: u32,
    #[prost(bytes = "vec", required, tag = "5")]
    pub name: ::prost::alloc::vec::Vec<u8>,
    #[prost(message, optional, tag = "6")]
    pub tun: ::core::option::Option<TunLinkEntry>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub address: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(int32, repeated, packed = "false", tag = "8")]
    pub conf: ::prost::alloc::vec::Vec<i32>,
    #[prost(message, repeated, tag = "9")]
    pub conf4: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, repeated, tag = "10")]
    pub conf6: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, optional, tag = "11")]
    pub macvlan: ::core::option::Option<MacvlanLinkEntry>,
    /// Of the other end of a veth pair.
    #[prost(uint32, optional, tag = "12")]
    pub peer_ifindex: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "13")]
    pub peer_nsid: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub master: ::core::option::Option<u32>,
    #[prost(message, optional, tag = "15")]
    pub sit: ::core::option::Option<SitEntry>,
}
/// The id by which a namespace knows another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct NetnsId {
    #[prost(uint32, required, tag = "1")]
    pub target_ns_id: u32,
    #[prost(int32, required, tag = "2")]
    pub netnsid_value: i32,
}
/// netns-ID.img: sysctls of the namespace.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct NetnsEntry {
    #[prost(int32, repeated, packed = "false", tag = "1")]
    pub def_conf: ::prost::alloc::vec::Vec<i32>,
    #[prost(int32, repeated, packed = "false", tag = "2")]
    pub all_conf: ::prost::alloc::vec::Vec<i32>,
    #[prost(message, repeated, tag = "3")]
    pub def_conf4: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, repeated, tag = "4")]
    pub all_conf4: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, repeated, tag = "5")]
    pub def_conf6: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, repeated, tag = "6")]
    pub all_conf6: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, repeated, tag = "7")]
    pub nsids: ::prost::alloc::vec::Vec<NetnsId>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub ext_key: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
    #[prost(message, repeated, tag = "9")]
    pub unix_conf: ::prost::alloc::vec::Vec<SysctlEntry>,
    #[prost(message, repeated, tag = "10")]
    pub ipv4_sysctl: ::prost::alloc::vec::Vec<SysctlEntry>,
}
/// A macvlan device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct MacvlanLinkEntry {
    #[prost(uint32, required, tag = "1")]
    pub mode: u32,
    #[prost(uint32, optional, tag = "2")]
    pub flags: ::core::option::Option<u32>,
}
/// An IPv6-in-IPv4 tunnel.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SitEntry {
    #[prost(uint32, optional, tag = "1")]
    pub link: ::core::option::Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "2")]
    pub local: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "3")]
    pub remote: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, optional, tag = "4")]
    pub ttl: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub tos: ::core::option::Option<u32>,
    #[prost(bool, optional, tag = "6")]
    pub pmtudisc: ::core::option::Option<bool>,
    #[prost(uint32, optional, tag = "7")]
    pub proto: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    pub flags: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub encap_type: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    pub encap_flags: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "11")]
    pub encap_sport: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "12")]
    pub encap_dport: ::core::option::Option<u32>,
    #[prost(uint32, optional, tag = "13")]
    pub rd_prefixlen: ::core::option::Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "14")]
    pub rd_prefix: ::prost::alloc::vec::Vec<u32>,
    #[prost(uint32, optional, tag = "15")]
    pub relay_prefixlen: ::core::option::Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "16")]
    pub relay_prefix: ::prost::alloc::vec::Vec<u32>,
}
/// The value of a sysctl.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SysctlEntry {
    #[prost(enumeration = "SysctlType", required, tag = "1")]
    pub r#type: i32,
    #[prost(int32, optional, tag = "2")]
    pub iarg: ::core::option::Option<i32>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub sarg: ::core::option::Option<::prost::alloc::vec::Vec<u8>>,
}
/// Kinds of network devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum NdType {
    Loopback = 1,
    Veth = 2,
    Tun = 3,
    Extlink = 4,
    Venet = 5,
    Bridge = 6,
    Macvlan = 7,
    Sit = 8,
}
impl NdType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Loopback => "LOOPBACK",
            Self::Veth => "VETH",
            Self::Tun => "TUN",
            Self::Extlink => "EXTLINK",
            Self::Venet => "VENET",
            Self::Bridge => "BRIDGE",
            Self::Macvlan => "MACVLAN",
            Self::Sit => "SIT",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "LOOPBACK" => Some(Self::Loopback),
            "VETH" => Some(Self::Veth),
            "TUN" => Some(Self::Tun),
            "EXTLINK" => Some(Self::Extlink),
            "VENET" => Some(Self::Venet),
            "BRIDGE" => Some(Self::Bridge),
            "MACVLAN" => Some(Self::Macvlan),
            "SIT" => Some(Self::Sit),
            _ => None,
        }
    }
}
/// Type of a sysctl's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum SysctlType {
    CtlStr = 5,
    Ctl32 = 6,
}
impl SysctlType {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::CtlStr => "CTL_STR",
            Self::Ctl32 => "CTL_32",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "CTL_STR" => Some(Self::CtlStr),
            "CTL_32" => Some(Self::Ctl32),
            _ => None,
        }
    }
}
/// stats-dump. Times in microseconds, memory in pages of 4096 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DumpStatsEntry {
    /// Until all tasks were frozen.
    #[prost(uint32, required, tag = "1")]
    pub freezing_time: u32,
    /// Until they were let go.
    #[prost(uint32, required, tag = "2")]
    pub frozen_time: u32,
    #[prost(uint32, required, tag = "3")]
    pub memdump_time: u32,
    #[prost(uint32, required, tag = "4")]
    pub memwrite_time: u32,
    #[prost(uint64, required, tag = "5")]
    pub pages_scanned: u64,
    #[prost(uint64, required, tag = "6")]
    pub pages_skipped_parent: u64,
    #[prost(uint64, required, tag = "7")]
    pub pages_written: u64,
    #[prost(uint32, optional, tag = "8")]
    pub irmap_resolve: ::core::option::Option<u32>,
    #[prost(uint64, required, tag = "9")]
    pub pages_lazy: u64,
    #[prost(uint64, optional, tag = "10")]
    pub page_pipes: ::core::option::Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    pub page_pipe_bufs: ::core::option::Option<u64>,
    #[prost(uint64, optional, tag = "12")]
    pub shpages_scanned: ::core::option::Option<u64>,
    #[prost(uint64, optional, tag = "13")]
    pub shpages_skipped_parent: ::core::option::Option<u64>,
    #[prost(uint64, optional, tag = "14")]
    pub shpages_written: ::core::option::Option<u64>,
}
/// stats-restore. Times in microseconds, memory in pages of 4096 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RestoreStatsEntry {
    #[prost(uint64, required, tag = "1")]
    pub pages_compared: u64,
    #[prost(uint64, required, tag = "2")]
    pub pages_skipped_cow: u64,
    #[prost(uint32, required, tag = "3")]
    pub forking_time: u32,
    #[prost(uint32, required, tag = "4")]
    pub restore_time: u32,
    #[prost(uint64, optional, tag = "5")]
    pub pages_restored: ::core::option::Option<u64>,
}
/// stats-dump or stats-restore.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct StatsEntry {
    #[prost(message, optional, tag = "1")]
    pub dump: ::core::option::Option<DumpStatsEntry>,
    #[prost(message, optional, tag = "2")]
    pub restore: ::core::option::Option<RestoreStatsEntry>,
}
