//! The table of all messages. Written by `tests/generated.rs` from `proto/`.

use super::messages as m;
use crate::schema::Kind::*;
use crate::schema::Label::*;
use crate::schema::Show::*;
use crate::schema::{Enum, Field, Message, Schema};

pub(crate) static USER_X86_REGS_ENTRY: Message = Message {
    name: "user_x86_regs_entry",
    fields: &[
        Field { number: 1, name: "r15", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "r14", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "r13", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "r12", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "bp", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "bx", label: Required, kind: Uint64, show: Plain },
        Field { number: 7, name: "r11", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "r10", label: Required, kind: Uint64, show: Plain },
        Field { number: 9, name: "r9", label: Required, kind: Uint64, show: Plain },
        Field { number: 10, name: "r8", label: Required, kind: Uint64, show: Plain },
        Field { number: 11, name: "ax", label: Required, kind: Uint64, show: Plain },
        Field { number: 12, name: "cx", label: Required, kind: Uint64, show: Plain },
        Field { number: 13, name: "dx", label: Required, kind: Uint64, show: Plain },
        Field { number: 14, name: "si", label: Required, kind: Uint64, show: Plain },
        Field { number: 15, name: "di", label: Required, kind: Uint64, show: Plain },
        Field { number: 16, name: "orig_ax", label: Required, kind: Uint64, show: Plain },
        Field { number: 17, name: "ip", label: Required, kind: Uint64, show: Plain },
        Field { number: 18, name: "cs", label: Required, kind: Uint64, show: Plain },
        Field { number: 19, name: "flags", label: Required, kind: Uint64, show: Plain },
        Field { number: 20, name: "sp", label: Required, kind: Uint64, show: Plain },
        Field { number: 21, name: "ss", label: Required, kind: Uint64, show: Plain },
        Field { number: 22, name: "fs_base", label: Required, kind: Uint64, show: Plain },
        Field { number: 23, name: "gs_base", label: Required, kind: Uint64, show: Plain },
        Field { number: 24, name: "ds", label: Required, kind: Uint64, show: Plain },
        Field { number: 25, name: "es", label: Required, kind: Uint64, show: Plain },
        Field { number: 26, name: "fs", label: Required, kind: Uint64, show: Plain },
        Field { number: 27, name: "gs", label: Required, kind: Uint64, show: Plain },
        Field { number: 28, name: "mode", label: Optional, kind: Named(&USER_X86_REGS_MODE), show: Plain },
    ],
};
impl Schema for m::UserX86RegsEntry {
    const SCHEMA: &'static Message = &USER_X86_REGS_ENTRY;
}

pub(crate) static USER_X86_CET_ENTRY: Message = Message {
    name: "user_x86_cet_entry",
    fields: &[
        Field { number: 1, name: "cet", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "ssp", label: Required, kind: Uint64, show: Hex },
    ],
};
impl Schema for m::UserX86CetEntry {
    const SCHEMA: &'static Message = &USER_X86_CET_ENTRY;
}

pub(crate) static USER_X86_XSAVE_ENTRY: Message = Message {
    name: "user_x86_xsave_entry",
    fields: &[
        Field { number: 1, name: "xstate_bv", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "ymmh_space", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 3, name: "bndreg_state", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 4, name: "bndcsr_state", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 5, name: "opmask_reg", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 6, name: "zmm_upper", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 7, name: "hi16_zmm", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 8, name: "pkru", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 9, name: "cet", label: Optional, kind: Nested(&USER_X86_CET_ENTRY), show: Plain },
    ],
};
impl Schema for m::UserX86XsaveEntry {
    const SCHEMA: &'static Message = &USER_X86_XSAVE_ENTRY;
}

pub(crate) static USER_X86_FPREGS_ENTRY: Message = Message {
    name: "user_x86_fpregs_entry",
    fields: &[
        Field { number: 1, name: "cwd", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "swd", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "twd", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "fop", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "rip", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "rdp", label: Required, kind: Uint64, show: Plain },
        Field { number: 7, name: "mxcsr", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "mxcsr_mask", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "st_space", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 10, name: "xmm_space", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 11, name: "padding", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 13, name: "xsave", label: Optional, kind: Nested(&USER_X86_XSAVE_ENTRY), show: Plain },
    ],
};
impl Schema for m::UserX86FpregsEntry {
    const SCHEMA: &'static Message = &USER_X86_FPREGS_ENTRY;
}

pub(crate) static USER_DESC_T: Message = Message {
    name: "user_desc_t",
    fields: &[
        Field { number: 1, name: "entry_number", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "base_addr", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "limit", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "seg_32bit", label: Required, kind: Bool, show: Plain },
        Field { number: 5, name: "contents_h", label: Required, kind: Bool, show: Plain },
        Field { number: 6, name: "contents_l", label: Required, kind: Bool, show: Plain },
        Field { number: 7, name: "read_exec_only", label: Required, kind: Bool, show: Plain },
        Field { number: 8, name: "limit_in_pages", label: Required, kind: Bool, show: Plain },
        Field { number: 9, name: "seg_not_present", label: Required, kind: Bool, show: Plain },
        Field { number: 10, name: "usable", label: Required, kind: Bool, show: Plain },
    ],
};
impl Schema for m::UserDescT {
    const SCHEMA: &'static Message = &USER_DESC_T;
}

pub(crate) static THREAD_INFO_X86: Message = Message {
    name: "thread_info_x86",
    fields: &[
        Field { number: 1, name: "clear_tid_addr", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "gpregs", label: Required, kind: Nested(&USER_X86_REGS_ENTRY), show: Hex },
        Field { number: 3, name: "fpregs", label: Required, kind: Nested(&USER_X86_FPREGS_ENTRY), show: Plain },
        Field { number: 4, name: "tls", label: Repeated, kind: Nested(&USER_DESC_T), show: Plain },
    ],
};
impl Schema for m::ThreadInfoX86 {
    const SCHEMA: &'static Message = &THREAD_INFO_X86;
}

pub(crate) static USER_AARCH64_REGS_ENTRY: Message = Message {
    name: "user_aarch64_regs_entry",
    fields: &[
        Field { number: 1, name: "regs", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 2, name: "sp", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "pc", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "pstate", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::UserAarch64RegsEntry {
    const SCHEMA: &'static Message = &USER_AARCH64_REGS_ENTRY;
}

pub(crate) static USER_AARCH64_FPSIMD_CONTEXT_ENTRY: Message = Message {
    name: "user_aarch64_fpsimd_context_entry",
    fields: &[
        Field { number: 1, name: "vregs", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 2, name: "fpsr", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "fpcr", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::UserAarch64FpsimdContextEntry {
    const SCHEMA: &'static Message = &USER_AARCH64_FPSIMD_CONTEXT_ENTRY;
}

pub(crate) static PAC_ADDRESS_KEYS: Message = Message {
    name: "pac_address_keys",
    fields: &[
        Field { number: 1, name: "apiakey_lo", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "apiakey_hi", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "apibkey_lo", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "apibkey_hi", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "apdakey_lo", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "apdakey_hi", label: Required, kind: Uint64, show: Plain },
        Field { number: 7, name: "apdbkey_lo", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "apdbkey_hi", label: Required, kind: Uint64, show: Plain },
        Field { number: 9, name: "pac_enabled_key", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::PacAddressKeys {
    const SCHEMA: &'static Message = &PAC_ADDRESS_KEYS;
}

pub(crate) static PAC_GENERIC_KEYS: Message = Message {
    name: "pac_generic_keys",
    fields: &[
        Field { number: 1, name: "apgakey_lo", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "apgakey_hi", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::PacGenericKeys {
    const SCHEMA: &'static Message = &PAC_GENERIC_KEYS;
}

pub(crate) static PAC_KEYS: Message = Message {
    name: "pac_keys",
    fields: &[
        Field { number: 6, name: "pac_address_keys", label: Optional, kind: Nested(&PAC_ADDRESS_KEYS), show: Plain },
        Field { number: 7, name: "pac_generic_keys", label: Optional, kind: Nested(&PAC_GENERIC_KEYS), show: Plain },
    ],
};
impl Schema for m::PacKeys {
    const SCHEMA: &'static Message = &PAC_KEYS;
}

pub(crate) static THREAD_INFO_AARCH64: Message = Message {
    name: "thread_info_aarch64",
    fields: &[
        Field { number: 1, name: "clear_tid_addr", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "tls", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "gpregs", label: Required, kind: Nested(&USER_AARCH64_REGS_ENTRY), show: Hex },
        Field { number: 4, name: "fpsimd", label: Required, kind: Nested(&USER_AARCH64_FPSIMD_CONTEXT_ENTRY), show: Plain },
        Field { number: 5, name: "pac_keys", label: Optional, kind: Nested(&PAC_KEYS), show: Plain },
    ],
};
impl Schema for m::ThreadInfoAarch64 {
    const SCHEMA: &'static Message = &THREAD_INFO_AARCH64;
}

pub(crate) static PLUGINS_ENTRY: Message = Message {
    name: "plugins_entry",
    fields: &[
        Field { number: 12, name: "plugins", label: Repeated, kind: Bytes, show: Text },
    ],
};
impl Schema for m::PluginsEntry {
    const SCHEMA: &'static Message = &PLUGINS_ENTRY;
}

pub(crate) static INVENTORY_ENTRY: Message = Message {
    name: "inventory_entry",
    fields: &[
        Field { number: 1, name: "img_version", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "fdinfo_per_id", label: Optional, kind: Bool, show: Plain },
        Field { number: 3, name: "root_ids", label: Optional, kind: Nested(&TASK_KOBJ_IDS_ENTRY), show: Plain },
        Field { number: 4, name: "ns_per_id", label: Optional, kind: Bool, show: Plain },
        Field { number: 5, name: "root_cg_set", label: Optional, kind: Uint32, show: Plain },
        Field { number: 6, name: "lsmtype", label: Optional, kind: Named(&LSMTYPE), show: Plain },
        Field { number: 8, name: "dump_uptime", label: Optional, kind: Uint64, show: Plain },
        Field { number: 9, name: "pre_dump_mode", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "tcp_close", label: Optional, kind: Bool, show: Plain },
        Field { number: 11, name: "network_lock_method", label: Optional, kind: Uint32, show: Plain },
        Field { number: 12, name: "plugins_entry", label: Optional, kind: Nested(&PLUGINS_ENTRY), show: Plain },
        Field { number: 13, name: "dump_criu_run_id", label: Optional, kind: Bytes, show: Text },
        Field { number: 14, name: "allow_uprobes", label: Optional, kind: Bool, show: Plain },
    ],
};
impl Schema for m::InventoryEntry {
    const SCHEMA: &'static Message = &INVENTORY_ENTRY;
}

pub(crate) static PSTREE_ENTRY: Message = Message {
    name: "pstree_entry",
    fields: &[
        Field { number: 1, name: "pid", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ppid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "pgid", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "sid", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "threads", label: Repeated, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::PstreeEntry {
    const SCHEMA: &'static Message = &PSTREE_ENTRY;
}

pub(crate) static TASK_CORE_ENTRY: Message = Message {
    name: "task_core_entry",
    fields: &[
        Field { number: 1, name: "task_state", label: Required, kind: Uint32, show: TaskState },
        Field { number: 2, name: "exit_code", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "personality", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "flags", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "blk_sigset", label: Required, kind: Uint64, show: Hex },
        Field { number: 6, name: "comm", label: Required, kind: Bytes, show: Text },
        Field { number: 7, name: "timers", label: Optional, kind: Nested(&TASK_TIMERS_ENTRY), show: Plain },
        Field { number: 8, name: "rlimits", label: Optional, kind: Nested(&TASK_RLIMITS_ENTRY), show: Plain },
        Field { number: 9, name: "cg_set", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "signals_s", label: Optional, kind: Nested(&SIGNAL_QUEUE_ENTRY), show: Plain },
        Field { number: 11, name: "old_seccomp_mode", label: Optional, kind: Named(&SECCOMP_MODE), show: Plain },
        Field { number: 12, name: "old_seccomp_filter", label: Optional, kind: Uint32, show: Plain },
        Field { number: 13, name: "loginuid", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "oom_score_adj", label: Optional, kind: Int32, show: Plain },
        Field { number: 15, name: "sigactions", label: Repeated, kind: Nested(&SA_ENTRY), show: Plain },
        Field { number: 18, name: "child_subreaper", label: Optional, kind: Bool, show: Plain },
        Field { number: 20, name: "blk_sigset_extended", label: Optional, kind: Uint64, show: Hex },
        Field { number: 21, name: "stop_signo", label: Optional, kind: Uint32, show: Plain },
        Field { number: 22, name: "membarrier_registration_mask", label: Optional, kind: Uint32, show: Hex },
    ],
};
impl Schema for m::TaskCoreEntry {
    const SCHEMA: &'static Message = &TASK_CORE_ENTRY;
}

pub(crate) static TASK_KOBJ_IDS_ENTRY: Message = Message {
    name: "task_kobj_ids_entry",
    fields: &[
        Field { number: 1, name: "vm_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "files_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "fs_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "sighand_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "pid_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 6, name: "net_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 7, name: "ipc_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 8, name: "uts_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "mnt_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "user_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 11, name: "cgroup_ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 12, name: "time_ns_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TaskKobjIdsEntry {
    const SCHEMA: &'static Message = &TASK_KOBJ_IDS_ENTRY;
}

pub(crate) static THREAD_SAS_ENTRY: Message = Message {
    name: "thread_sas_entry",
    fields: &[
        Field { number: 1, name: "ss_sp", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "ss_size", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "ss_flags", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::ThreadSasEntry {
    const SCHEMA: &'static Message = &THREAD_SAS_ENTRY;
}

pub(crate) static THREAD_CORE_ENTRY: Message = Message {
    name: "thread_core_entry",
    fields: &[
        Field { number: 1, name: "futex_rla", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "futex_rla_len", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "sched_nice", label: Optional, kind: Sint32, show: Plain },
        Field { number: 4, name: "sched_policy", label: Optional, kind: Uint32, show: Plain },
        Field { number: 5, name: "sched_prio", label: Optional, kind: Uint32, show: Plain },
        Field { number: 6, name: "blk_sigset", label: Optional, kind: Uint64, show: Plain },
        Field { number: 7, name: "sas", label: Optional, kind: Nested(&THREAD_SAS_ENTRY), show: Plain },
        Field { number: 8, name: "pdeath_sig", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "signals_p", label: Optional, kind: Nested(&SIGNAL_QUEUE_ENTRY), show: Plain },
        Field { number: 10, name: "creds", label: Optional, kind: Nested(&CREDS_ENTRY), show: Plain },
        Field { number: 11, name: "seccomp_mode", label: Optional, kind: Named(&SECCOMP_MODE), show: Plain },
        Field { number: 12, name: "seccomp_filter", label: Optional, kind: Uint32, show: Plain },
        Field { number: 13, name: "comm", label: Optional, kind: Bytes, show: Text },
        Field { number: 14, name: "blk_sigset_extended", label: Optional, kind: Uint64, show: Plain },
        Field { number: 15, name: "rseq_entry", label: Optional, kind: Nested(&RSEQ_ENTRY), show: Plain },
        Field { number: 16, name: "cg_set", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::ThreadCoreEntry {
    const SCHEMA: &'static Message = &THREAD_CORE_ENTRY;
}

pub(crate) static TASK_RLIMITS_ENTRY: Message = Message {
    name: "task_rlimits_entry",
    fields: &[
        Field { number: 1, name: "rlimits", label: Repeated, kind: Nested(&RLIMIT_ENTRY), show: Plain },
    ],
};
impl Schema for m::TaskRlimitsEntry {
    const SCHEMA: &'static Message = &TASK_RLIMITS_ENTRY;
}

pub(crate) static CORE_ENTRY: Message = Message {
    name: "core_entry",
    fields: &[
        Field { number: 1, name: "mtype", label: Required, kind: Named(&MARCH), show: Plain },
        Field { number: 2, name: "thread_info", label: Optional, kind: Nested(&THREAD_INFO_X86), show: Plain },
        Field { number: 3, name: "tc", label: Optional, kind: Nested(&TASK_CORE_ENTRY), show: Plain },
        Field { number: 4, name: "ids", label: Optional, kind: Nested(&TASK_KOBJ_IDS_ENTRY), show: Plain },
        Field { number: 5, name: "thread_core", label: Optional, kind: Nested(&THREAD_CORE_ENTRY), show: Plain },
        Field { number: 8, name: "ti_aarch64", label: Optional, kind: Nested(&THREAD_INFO_AARCH64), show: Plain },
    ],
};
impl Schema for m::CoreEntry {
    const SCHEMA: &'static Message = &CORE_ENTRY;
}

pub(crate) static RLIMIT_ENTRY: Message = Message {
    name: "rlimit_entry",
    fields: &[
        Field { number: 1, name: "cur", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "max", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::RlimitEntry {
    const SCHEMA: &'static Message = &RLIMIT_ENTRY;
}

pub(crate) static ITIMER_ENTRY: Message = Message {
    name: "itimer_entry",
    fields: &[
        Field { number: 1, name: "isec", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "iusec", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "vsec", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "vusec", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::ItimerEntry {
    const SCHEMA: &'static Message = &ITIMER_ENTRY;
}

pub(crate) static POSIX_TIMER_ENTRY: Message = Message {
    name: "posix_timer_entry",
    fields: &[
        Field { number: 1, name: "it_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "clock_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "si_signo", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "it_sigev_notify", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "sival_ptr", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "overrun", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "isec", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "insec", label: Required, kind: Uint64, show: Plain },
        Field { number: 9, name: "vsec", label: Required, kind: Uint64, show: Plain },
        Field { number: 10, name: "vnsec", label: Required, kind: Uint64, show: Plain },
        Field { number: 11, name: "notify_thread_id", label: Optional, kind: Int32, show: Plain },
    ],
};
impl Schema for m::PosixTimerEntry {
    const SCHEMA: &'static Message = &POSIX_TIMER_ENTRY;
}

pub(crate) static TASK_TIMERS_ENTRY: Message = Message {
    name: "task_timers_entry",
    fields: &[
        Field { number: 1, name: "real", label: Required, kind: Nested(&ITIMER_ENTRY), show: Plain },
        Field { number: 2, name: "virt", label: Required, kind: Nested(&ITIMER_ENTRY), show: Plain },
        Field { number: 3, name: "prof", label: Required, kind: Nested(&ITIMER_ENTRY), show: Plain },
        Field { number: 4, name: "posix", label: Repeated, kind: Nested(&POSIX_TIMER_ENTRY), show: Plain },
    ],
};
impl Schema for m::TaskTimersEntry {
    const SCHEMA: &'static Message = &TASK_TIMERS_ENTRY;
}

pub(crate) static CREDS_ENTRY: Message = Message {
    name: "creds_entry",
    fields: &[
        Field { number: 1, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "gid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "euid", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "egid", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "suid", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "sgid", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "fsuid", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "fsgid", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "cap_inh", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 10, name: "cap_prm", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 11, name: "cap_eff", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 12, name: "cap_bnd", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 13, name: "secbits", label: Required, kind: Uint32, show: Plain },
        Field { number: 14, name: "groups", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 15, name: "lsm_profile", label: Optional, kind: Bytes, show: Text },
        Field { number: 16, name: "lsm_sockcreate", label: Optional, kind: Bytes, show: Text },
        Field { number: 17, name: "apparmor_data", label: Optional, kind: Bytes, show: Plain },
        Field { number: 18, name: "no_new_privs", label: Optional, kind: Uint32, show: Plain },
        Field { number: 19, name: "cap_amb", label: Repeated, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::CredsEntry {
    const SCHEMA: &'static Message = &CREDS_ENTRY;
}

pub(crate) static FOWN_ENTRY: Message = Message {
    name: "fown_entry",
    fields: &[
        Field { number: 1, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "euid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "signum", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "pid_type", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "pid", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::FownEntry {
    const SCHEMA: &'static Message = &FOWN_ENTRY;
}

pub(crate) static SA_ENTRY: Message = Message {
    name: "sa_entry",
    fields: &[
        Field { number: 1, name: "sigaction", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "flags", label: Required, kind: Uint64, show: Hex },
        Field { number: 3, name: "restorer", label: Required, kind: Uint64, show: Hex },
        Field { number: 4, name: "mask", label: Required, kind: Uint64, show: Hex },
        Field { number: 5, name: "compat_sigaction", label: Optional, kind: Bool, show: Plain },
        Field { number: 6, name: "mask_extended", label: Optional, kind: Uint64, show: Hex },
    ],
};
impl Schema for m::SaEntry {
    const SCHEMA: &'static Message = &SA_ENTRY;
}

pub(crate) static SIGINFO_ENTRY: Message = Message {
    name: "siginfo_entry",
    fields: &[
        Field { number: 1, name: "siginfo", label: Required, kind: Bytes, show: Plain },
    ],
};
impl Schema for m::SiginfoEntry {
    const SCHEMA: &'static Message = &SIGINFO_ENTRY;
}

pub(crate) static SIGNAL_QUEUE_ENTRY: Message = Message {
    name: "signal_queue_entry",
    fields: &[
        Field { number: 1, name: "signals", label: Repeated, kind: Nested(&SIGINFO_ENTRY), show: Plain },
    ],
};
impl Schema for m::SignalQueueEntry {
    const SCHEMA: &'static Message = &SIGNAL_QUEUE_ENTRY;
}

pub(crate) static RSEQ_ENTRY: Message = Message {
    name: "rseq_entry",
    fields: &[
        Field { number: 1, name: "rseq_abi_pointer", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "rseq_abi_size", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "signature", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "rseq_cs_pointer", label: Optional, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::RseqEntry {
    const SCHEMA: &'static Message = &RSEQ_ENTRY;
}

pub(crate) static SECCOMP_FILTER: Message = Message {
    name: "seccomp_filter",
    fields: &[
        Field { number: 1, name: "filter", label: Required, kind: Bytes, show: Plain },
        Field { number: 2, name: "prev", label: Optional, kind: Uint32, show: Plain },
        Field { number: 3, name: "flags", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::SeccompFilter {
    const SCHEMA: &'static Message = &SECCOMP_FILTER;
}

pub(crate) static SECCOMP_ENTRY: Message = Message {
    name: "seccomp_entry",
    fields: &[
        Field { number: 1, name: "seccomp_filters", label: Repeated, kind: Nested(&SECCOMP_FILTER), show: Plain },
    ],
};
impl Schema for m::SeccompEntry {
    const SCHEMA: &'static Message = &SECCOMP_ENTRY;
}

pub(crate) static AA_POLICY: Message = Message {
    name: "aa_policy",
    fields: &[
        Field { number: 1, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "blob", label: Required, kind: Bytes, show: Plain },
    ],
};
impl Schema for m::AaPolicy {
    const SCHEMA: &'static Message = &AA_POLICY;
}

pub(crate) static AA_NAMESPACE: Message = Message {
    name: "aa_namespace",
    fields: &[
        Field { number: 1, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "policies", label: Repeated, kind: Nested(&AA_POLICY), show: Plain },
        Field { number: 3, name: "namespaces", label: Repeated, kind: Nested(&AA_NAMESPACE), show: Plain },
    ],
};
impl Schema for m::AaNamespace {
    const SCHEMA: &'static Message = &AA_NAMESPACE;
}

pub(crate) static APPARMOR_ENTRY: Message = Message {
    name: "apparmor_entry",
    fields: &[
        Field { number: 1, name: "namespaces", label: Repeated, kind: Nested(&AA_NAMESPACE), show: Plain },
    ],
};
impl Schema for m::ApparmorEntry {
    const SCHEMA: &'static Message = &APPARMOR_ENTRY;
}

pub(crate) static FS_ENTRY: Message = Message {
    name: "fs_entry",
    fields: &[
        Field { number: 1, name: "cwd_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "root_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "umask", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::FsEntry {
    const SCHEMA: &'static Message = &FS_ENTRY;
}

pub(crate) static CPUINFO_X86_ENTRY: Message = Message {
    name: "cpuinfo_x86_entry",
    fields: &[
        Field { number: 1, name: "vendor_id", label: Required, kind: Named(&VENDOR), show: Plain },
        Field { number: 2, name: "cpu_family", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "model", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "stepping", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "capability_ver", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "capability", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 7, name: "model_id", label: Optional, kind: Bytes, show: Text },
        Field { number: 8, name: "xfeatures_mask", label: Optional, kind: Uint64, show: Plain },
        Field { number: 9, name: "xsave_size", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "xsave_size_max", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::CpuinfoX86Entry {
    const SCHEMA: &'static Message = &CPUINFO_X86_ENTRY;
}

pub(crate) static CPUINFO_ENTRY: Message = Message {
    name: "cpuinfo_entry",
    fields: &[
        Field { number: 1, name: "x86_entry", label: Repeated, kind: Nested(&CPUINFO_X86_ENTRY), show: Plain },
    ],
};
impl Schema for m::CpuinfoEntry {
    const SCHEMA: &'static Message = &CPUINFO_ENTRY;
}

pub(crate) static AIO_RING_ENTRY: Message = Message {
    name: "aio_ring_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "nr_req", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "ring_len", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::AioRingEntry {
    const SCHEMA: &'static Message = &AIO_RING_ENTRY;
}

pub(crate) static MM_ENTRY: Message = Message {
    name: "mm_entry",
    fields: &[
        Field { number: 1, name: "mm_start_code", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "mm_end_code", label: Required, kind: Uint64, show: Hex },
        Field { number: 3, name: "mm_start_data", label: Required, kind: Uint64, show: Hex },
        Field { number: 4, name: "mm_end_data", label: Required, kind: Uint64, show: Hex },
        Field { number: 5, name: "mm_start_stack", label: Required, kind: Uint64, show: Hex },
        Field { number: 6, name: "mm_start_brk", label: Required, kind: Uint64, show: Hex },
        Field { number: 7, name: "mm_brk", label: Required, kind: Uint64, show: Hex },
        Field { number: 8, name: "mm_arg_start", label: Required, kind: Uint64, show: Hex },
        Field { number: 9, name: "mm_arg_end", label: Required, kind: Uint64, show: Hex },
        Field { number: 10, name: "mm_env_start", label: Required, kind: Uint64, show: Hex },
        Field { number: 11, name: "mm_env_end", label: Required, kind: Uint64, show: Hex },
        Field { number: 12, name: "exe_file_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 13, name: "mm_saved_auxv", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 14, name: "vmas", label: Repeated, kind: Nested(&VMA_ENTRY), show: Plain },
        Field { number: 15, name: "dumpable", label: Optional, kind: Int32, show: Plain },
        Field { number: 16, name: "aios", label: Repeated, kind: Nested(&AIO_RING_ENTRY), show: Plain },
        Field { number: 17, name: "thp_disabled", label: Optional, kind: Bool, show: Plain },
    ],
};
impl Schema for m::MmEntry {
    const SCHEMA: &'static Message = &MM_ENTRY;
}

pub(crate) static VMA_ENTRY: Message = Message {
    name: "vma_entry",
    fields: &[
        Field { number: 1, name: "start", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "end", label: Required, kind: Uint64, show: Hex },
        Field { number: 3, name: "pgoff", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "shmid", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "prot", label: Required, kind: Uint32, show: Prot },
        Field { number: 6, name: "flags", label: Required, kind: Uint32, show: Map },
        Field { number: 7, name: "status", label: Required, kind: Uint32, show: Vma },
        Field { number: 8, name: "fd", label: Required, kind: Sint64, show: Plain },
        Field { number: 9, name: "madv", label: Optional, kind: Uint64, show: Hex },
        Field { number: 10, name: "fdflags", label: Optional, kind: Uint32, show: Hex },
    ],
};
impl Schema for m::VmaEntry {
    const SCHEMA: &'static Message = &VMA_ENTRY;
}

pub(crate) static PAGEMAP_HEAD: Message = Message {
    name: "pagemap_head",
    fields: &[
        Field { number: 1, name: "pages_id", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::PagemapHead {
    const SCHEMA: &'static Message = &PAGEMAP_HEAD;
}

pub(crate) static PAGEMAP_ENTRY: Message = Message {
    name: "pagemap_entry",
    fields: &[
        Field { number: 1, name: "vaddr", label: Required, kind: Uint64, show: Hex },
        Field { number: 2, name: "compat_nr_pages", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "in_parent", label: Optional, kind: Bool, show: Plain },
        Field { number: 4, name: "flags", label: Optional, kind: Uint32, show: Pagemap },
        Field { number: 5, name: "nr_pages", label: Optional, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::PagemapEntry {
    const SCHEMA: &'static Message = &PAGEMAP_ENTRY;
}

pub(crate) static MEMFD_FILE_ENTRY: Message = Message {
    name: "memfd_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Open },
        Field { number: 3, name: "pos", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 5, name: "inode_id", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::MemfdFileEntry {
    const SCHEMA: &'static Message = &MEMFD_FILE_ENTRY;
}

pub(crate) static MEMFD_INODE_ENTRY: Message = Message {
    name: "memfd_inode_entry",
    fields: &[
        Field { number: 1, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "gid", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "size", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "shmid", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "seals", label: Required, kind: Uint32, show: Seal },
        Field { number: 7, name: "inode_id", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "hugetlb_flag", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "mode", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::MemfdInodeEntry {
    const SCHEMA: &'static Message = &MEMFD_INODE_ENTRY;
}

pub(crate) static SK_OPTS_ENTRY: Message = Message {
    name: "sk_opts_entry",
    fields: &[
        Field { number: 1, name: "so_sndbuf", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "so_rcvbuf", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "so_snd_tmo_sec", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "so_snd_tmo_usec", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "so_rcv_tmo_sec", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "so_rcv_tmo_usec", label: Required, kind: Uint64, show: Plain },
        Field { number: 7, name: "reuseaddr", label: Optional, kind: Bool, show: Plain },
        Field { number: 8, name: "so_priority", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "so_rcvlowat", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "so_mark", label: Optional, kind: Uint32, show: Plain },
        Field { number: 11, name: "so_passcred", label: Optional, kind: Bool, show: Plain },
        Field { number: 12, name: "so_passsec", label: Optional, kind: Bool, show: Plain },
        Field { number: 13, name: "so_dontroute", label: Optional, kind: Bool, show: Plain },
        Field { number: 14, name: "so_no_check", label: Optional, kind: Bool, show: Plain },
        Field { number: 15, name: "so_bound_dev", label: Optional, kind: Bytes, show: Text },
        Field { number: 16, name: "so_filter", label: Repeated, kind: Fixed64, show: Plain },
        Field { number: 17, name: "so_reuseport", label: Optional, kind: Bool, show: Plain },
        Field { number: 18, name: "so_broadcast", label: Optional, kind: Bool, show: Plain },
        Field { number: 19, name: "so_keepalive", label: Optional, kind: Bool, show: Plain },
        Field { number: 20, name: "tcp_keepcnt", label: Optional, kind: Uint32, show: Plain },
        Field { number: 21, name: "tcp_keepidle", label: Optional, kind: Uint32, show: Plain },
        Field { number: 22, name: "tcp_keepintvl", label: Optional, kind: Uint32, show: Plain },
        Field { number: 23, name: "so_oobinline", label: Optional, kind: Uint32, show: Plain },
        Field { number: 24, name: "so_linger", label: Optional, kind: Uint32, show: Plain },
        Field { number: 25, name: "so_buf_lock", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::SkOptsEntry {
    const SCHEMA: &'static Message = &SK_OPTS_ENTRY;
}

pub(crate) static FILE_PERMS_ENTRY: Message = Message {
    name: "file_perms_entry",
    fields: &[
        Field { number: 1, name: "mode", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "gid", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::FilePermsEntry {
    const SCHEMA: &'static Message = &FILE_PERMS_ENTRY;
}

pub(crate) static UNIX_SK_ENTRY: Message = Message {
    name: "unix_sk_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ino", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "type", label: Required, kind: Uint32, show: SocketType },
        Field { number: 4, name: "state", label: Required, kind: Uint32, show: SocketState },
        Field { number: 5, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 6, name: "uflags", label: Required, kind: Uint32, show: Hex },
        Field { number: 7, name: "backlog", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "peer", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 10, name: "opts", label: Required, kind: Nested(&SK_OPTS_ENTRY), show: Plain },
        Field { number: 11, name: "name", label: Required, kind: Bytes, show: QuotedPrintable },
        Field { number: 12, name: "shutdown", label: Optional, kind: Named(&SK_SHUTDOWN), show: Plain },
        Field { number: 13, name: "file_perms", label: Optional, kind: Nested(&FILE_PERMS_ENTRY), show: Plain },
        Field { number: 14, name: "name_dir", label: Optional, kind: Bytes, show: Text },
        Field { number: 15, name: "deleted", label: Optional, kind: Bool, show: Plain },
        Field { number: 16, name: "ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 17, name: "mnt_id", label: Optional, kind: Sint32, show: Plain },
    ],
};
impl Schema for m::UnixSkEntry {
    const SCHEMA: &'static Message = &UNIX_SK_ENTRY;
}

pub(crate) static IP_OPTS_RAW_ENTRY: Message = Message {
    name: "ip_opts_raw_entry",
    fields: &[
        Field { number: 1, name: "hdrincl", label: Optional, kind: Bool, show: Plain },
        Field { number: 2, name: "nodefrag", label: Optional, kind: Bool, show: Plain },
        Field { number: 3, name: "checksum", label: Optional, kind: Bool, show: Plain },
        Field { number: 4, name: "icmpv_filter", label: Repeated, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpOptsRawEntry {
    const SCHEMA: &'static Message = &IP_OPTS_RAW_ENTRY;
}

pub(crate) static IP_OPTS_ENTRY: Message = Message {
    name: "ip_opts_entry",
    fields: &[
        Field { number: 1, name: "freebind", label: Optional, kind: Bool, show: Plain },
        Field { number: 4, name: "raw", label: Optional, kind: Nested(&IP_OPTS_RAW_ENTRY), show: Plain },
        Field { number: 5, name: "pktinfo", label: Optional, kind: Bool, show: Plain },
        Field { number: 6, name: "tos", label: Optional, kind: Uint32, show: Plain },
        Field { number: 7, name: "ttl", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpOptsEntry {
    const SCHEMA: &'static Message = &IP_OPTS_ENTRY;
}

pub(crate) static INET_SK_ENTRY: Message = Message {
    name: "inet_sk_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ino", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "family", label: Required, kind: Uint32, show: SocketFamily },
        Field { number: 4, name: "type", label: Required, kind: Uint32, show: SocketType },
        Field { number: 5, name: "proto", label: Required, kind: Uint32, show: SocketProto },
        Field { number: 6, name: "state", label: Required, kind: Uint32, show: SocketState },
        Field { number: 7, name: "src_port", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "dst_port", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 10, name: "backlog", label: Required, kind: Uint32, show: Plain },
        Field { number: 11, name: "src_addr", label: Repeated, kind: Uint32, show: Ip },
        Field { number: 12, name: "dst_addr", label: Repeated, kind: Uint32, show: Ip },
        Field { number: 13, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 14, name: "opts", label: Required, kind: Nested(&SK_OPTS_ENTRY), show: Plain },
        Field { number: 15, name: "v6only", label: Optional, kind: Bool, show: Plain },
        Field { number: 16, name: "ip_opts", label: Optional, kind: Nested(&IP_OPTS_ENTRY), show: Plain },
        Field { number: 17, name: "ifname", label: Optional, kind: Bytes, show: Text },
        Field { number: 18, name: "ns_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 19, name: "shutdown", label: Optional, kind: Named(&SK_SHUTDOWN), show: Plain },
        Field { number: 20, name: "tcp_opts", label: Optional, kind: Nested(&TCP_OPTS_ENTRY), show: Plain },
    ],
};
impl Schema for m::InetSkEntry {
    const SCHEMA: &'static Message = &INET_SK_ENTRY;
}

pub(crate) static TCP_OPTS_ENTRY: Message = Message {
    name: "tcp_opts_entry",
    fields: &[
        Field { number: 1, name: "cork", label: Optional, kind: Bool, show: Plain },
        Field { number: 2, name: "nodelay", label: Optional, kind: Bool, show: Plain },
        Field { number: 3, name: "keepcnt", label: Optional, kind: Uint32, show: Plain },
        Field { number: 4, name: "keepidle", label: Optional, kind: Uint32, show: Plain },
        Field { number: 5, name: "keepintvl", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TcpOptsEntry {
    const SCHEMA: &'static Message = &TCP_OPTS_ENTRY;
}

pub(crate) static TCP_STREAM_ENTRY: Message = Message {
    name: "tcp_stream_entry",
    fields: &[
        Field { number: 1, name: "inq_len", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "inq_seq", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "outq_len", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "outq_seq", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "opt_mask", label: Required, kind: Uint32, show: Hex },
        Field { number: 6, name: "snd_wscale", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "mss_clamp", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "rcv_wscale", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "timestamp", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "cork", label: Optional, kind: Bool, show: Plain },
        Field { number: 11, name: "nodelay", label: Optional, kind: Bool, show: Plain },
        Field { number: 12, name: "unsq_len", label: Optional, kind: Uint32, show: Plain },
        Field { number: 13, name: "snd_wl1", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "snd_wnd", label: Optional, kind: Uint32, show: Plain },
        Field { number: 15, name: "max_window", label: Optional, kind: Uint32, show: Plain },
        Field { number: 16, name: "rcv_wnd", label: Optional, kind: Uint32, show: Plain },
        Field { number: 17, name: "rcv_wup", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TcpStreamEntry {
    const SCHEMA: &'static Message = &TCP_STREAM_ENTRY;
}

pub(crate) static NETLINK_SK_ENTRY: Message = Message {
    name: "netlink_sk_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ino", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "protocol", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "state", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 7, name: "portid", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "groups", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 9, name: "dst_portid", label: Required, kind: Uint32, show: Plain },
        Field { number: 10, name: "dst_group", label: Required, kind: Uint32, show: Plain },
        Field { number: 11, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 12, name: "opts", label: Required, kind: Nested(&SK_OPTS_ENTRY), show: Plain },
        Field { number: 13, name: "ns_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::NetlinkSkEntry {
    const SCHEMA: &'static Message = &NETLINK_SK_ENTRY;
}

pub(crate) static PACKET_MCLIST: Message = Message {
    name: "packet_mclist",
    fields: &[
        Field { number: 1, name: "index", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "type", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "addr", label: Required, kind: Bytes, show: Plain },
    ],
};
impl Schema for m::PacketMclist {
    const SCHEMA: &'static Message = &PACKET_MCLIST;
}

pub(crate) static PACKET_RING: Message = Message {
    name: "packet_ring",
    fields: &[
        Field { number: 1, name: "block_size", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "block_nr", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "frame_size", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "frame_nr", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "retire_tmo", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "sizeof_priv", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "features", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::PacketRing {
    const SCHEMA: &'static Message = &PACKET_RING;
}

pub(crate) static PACKET_SOCK_ENTRY: Message = Message {
    name: "packet_sock_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "type", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "protocol", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 5, name: "ifindex", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 7, name: "opts", label: Required, kind: Nested(&SK_OPTS_ENTRY), show: Plain },
        Field { number: 8, name: "version", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "reserve", label: Required, kind: Uint32, show: Plain },
        Field { number: 10, name: "aux_data", label: Required, kind: Bool, show: Plain },
        Field { number: 11, name: "orig_dev", label: Required, kind: Bool, show: Plain },
        Field { number: 12, name: "vnet_hdr", label: Required, kind: Bool, show: Plain },
        Field { number: 13, name: "loss", label: Required, kind: Bool, show: Plain },
        Field { number: 14, name: "timestamp", label: Required, kind: Uint32, show: Plain },
        Field { number: 15, name: "copy_thresh", label: Required, kind: Uint32, show: Plain },
        Field { number: 16, name: "mclist", label: Repeated, kind: Nested(&PACKET_MCLIST), show: Plain },
        Field { number: 17, name: "fanout", label: Optional, kind: Uint32, show: Plain },
        Field { number: 18, name: "rx_ring", label: Optional, kind: Nested(&PACKET_RING), show: Plain },
        Field { number: 19, name: "tx_ring", label: Optional, kind: Nested(&PACKET_RING), show: Plain },
        Field { number: 20, name: "ns_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::PacketSockEntry {
    const SCHEMA: &'static Message = &PACKET_SOCK_ENTRY;
}

pub(crate) static SCM_ENTRY: Message = Message {
    name: "scm_entry",
    fields: &[
        Field { number: 1, name: "type", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "rights", label: Repeated, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::ScmEntry {
    const SCHEMA: &'static Message = &SCM_ENTRY;
}

pub(crate) static SK_PACKET_ENTRY: Message = Message {
    name: "sk_packet_entry",
    fields: &[
        Field { number: 1, name: "id_for", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "length", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "scm", label: Repeated, kind: Nested(&SCM_ENTRY), show: Plain },
    ],
};
impl Schema for m::SkPacketEntry {
    const SCHEMA: &'static Message = &SK_PACKET_ENTRY;
}

pub(crate) static FDINFO_ENTRY: Message = Message {
    name: "fdinfo_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "type", label: Required, kind: Named(&FD_TYPES), show: Plain },
        Field { number: 4, name: "fd", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "xattr_security_selinux", label: Optional, kind: Bytes, show: Text },
    ],
};
impl Schema for m::FdinfoEntry {
    const SCHEMA: &'static Message = &FDINFO_ENTRY;
}

pub(crate) static FILE_ENTRY: Message = Message {
    name: "file_entry",
    fields: &[
        Field { number: 1, name: "type", label: Required, kind: Named(&FD_TYPES), show: Plain },
        Field { number: 2, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "reg", label: Optional, kind: Nested(&REG_FILE_ENTRY), show: Plain },
        Field { number: 4, name: "isk", label: Optional, kind: Nested(&INET_SK_ENTRY), show: Plain },
        Field { number: 5, name: "nsf", label: Optional, kind: Nested(&NS_FILE_ENTRY), show: Plain },
        Field { number: 6, name: "psk", label: Optional, kind: Nested(&PACKET_SOCK_ENTRY), show: Plain },
        Field { number: 7, name: "nlsk", label: Optional, kind: Nested(&NETLINK_SK_ENTRY), show: Plain },
        Field { number: 8, name: "efd", label: Optional, kind: Nested(&EVENTFD_FILE_ENTRY), show: Plain },
        Field { number: 9, name: "epfd", label: Optional, kind: Nested(&EVENTPOLL_FILE_ENTRY), show: Plain },
        Field { number: 10, name: "sgfd", label: Optional, kind: Nested(&SIGNALFD_ENTRY), show: Plain },
        Field { number: 11, name: "tunf", label: Optional, kind: Nested(&TUNFILE_ENTRY), show: Plain },
        Field { number: 12, name: "tfd", label: Optional, kind: Nested(&TIMERFD_ENTRY), show: Plain },
        Field { number: 13, name: "ify", label: Optional, kind: Nested(&INOTIFY_FILE_ENTRY), show: Plain },
        Field { number: 14, name: "ffy", label: Optional, kind: Nested(&FANOTIFY_FILE_ENTRY), show: Plain },
        Field { number: 15, name: "ext", label: Optional, kind: Nested(&EXT_FILE_ENTRY), show: Plain },
        Field { number: 16, name: "usk", label: Optional, kind: Nested(&UNIX_SK_ENTRY), show: Plain },
        Field { number: 17, name: "fifo", label: Optional, kind: Nested(&FIFO_ENTRY), show: Plain },
        Field { number: 18, name: "pipe", label: Optional, kind: Nested(&PIPE_ENTRY), show: Plain },
        Field { number: 19, name: "tty", label: Optional, kind: Nested(&TTY_FILE_ENTRY), show: Plain },
        Field { number: 20, name: "memfd", label: Optional, kind: Nested(&MEMFD_FILE_ENTRY), show: Plain },
        Field { number: 21, name: "bpf", label: Optional, kind: Nested(&BPFMAP_FILE_ENTRY), show: Plain },
        Field { number: 22, name: "pidfd", label: Optional, kind: Nested(&PIDFD_ENTRY), show: Plain },
    ],
};
impl Schema for m::FileEntry {
    const SCHEMA: &'static Message = &FILE_ENTRY;
}

pub(crate) static REG_FILE_ENTRY: Message = Message {
    name: "reg_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Open },
        Field { number: 3, name: "pos", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 6, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 7, name: "mnt_id", label: Optional, kind: Sint32, show: Plain },
        Field { number: 8, name: "size", label: Optional, kind: Uint64, show: Plain },
        Field { number: 9, name: "ext", label: Optional, kind: Bool, show: Plain },
        Field { number: 10, name: "mode", label: Optional, kind: Uint32, show: Plain },
        Field { number: 11, name: "build_id", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 12, name: "checksum", label: Optional, kind: Uint32, show: Plain },
        Field { number: 13, name: "checksum_config", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "checksum_parameter", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::RegFileEntry {
    const SCHEMA: &'static Message = &REG_FILE_ENTRY;
}

pub(crate) static EXT_FILE_ENTRY: Message = Message {
    name: "ext_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
    ],
};
impl Schema for m::ExtFileEntry {
    const SCHEMA: &'static Message = &EXT_FILE_ENTRY;
}

pub(crate) static NS_FILE_ENTRY: Message = Message {
    name: "ns_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ns_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "ns_cflag", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "flags", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::NsFileEntry {
    const SCHEMA: &'static Message = &NS_FILE_ENTRY;
}

pub(crate) static PIPE_ENTRY: Message = Message {
    name: "pipe_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "pipe_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 4, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
    ],
};
impl Schema for m::PipeEntry {
    const SCHEMA: &'static Message = &PIPE_ENTRY;
}

pub(crate) static FIFO_ENTRY: Message = Message {
    name: "fifo_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "pipe_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "regf_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::FifoEntry {
    const SCHEMA: &'static Message = &FIFO_ENTRY;
}

pub(crate) static PIPE_DATA_ENTRY: Message = Message {
    name: "pipe_data_entry",
    fields: &[
        Field { number: 1, name: "pipe_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "bytes", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "size", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::PipeDataEntry {
    const SCHEMA: &'static Message = &PIPE_DATA_ENTRY;
}

pub(crate) static EVENTFD_FILE_ENTRY: Message = Message {
    name: "eventfd_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 4, name: "counter", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::EventfdFileEntry {
    const SCHEMA: &'static Message = &EVENTFD_FILE_ENTRY;
}

pub(crate) static EVENTPOLL_TFD_ENTRY: Message = Message {
    name: "eventpoll_tfd_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "tfd", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "events", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "data", label: Required, kind: Uint64, show: Plain },
        Field { number: 5, name: "dev", label: Optional, kind: Uint32, show: Plain },
        Field { number: 6, name: "inode", label: Optional, kind: Uint64, show: Plain },
        Field { number: 7, name: "pos", label: Optional, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::EventpollTfdEntry {
    const SCHEMA: &'static Message = &EVENTPOLL_TFD_ENTRY;
}

pub(crate) static EVENTPOLL_FILE_ENTRY: Message = Message {
    name: "eventpoll_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 4, name: "tfd", label: Repeated, kind: Nested(&EVENTPOLL_TFD_ENTRY), show: Plain },
    ],
};
impl Schema for m::EventpollFileEntry {
    const SCHEMA: &'static Message = &EVENTPOLL_FILE_ENTRY;
}

pub(crate) static SIGNALFD_ENTRY: Message = Message {
    name: "signalfd_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 3, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 4, name: "sigmask", label: Required, kind: Uint64, show: Hex },
    ],
};
impl Schema for m::SignalfdEntry {
    const SCHEMA: &'static Message = &SIGNALFD_ENTRY;
}

pub(crate) static TIMERFD_ENTRY: Message = Message {
    name: "timerfd_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 3, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 4, name: "clockid", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "ticks", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "settime_flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 7, name: "vsec", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "vnsec", label: Required, kind: Uint64, show: Plain },
        Field { number: 9, name: "isec", label: Required, kind: Uint64, show: Plain },
        Field { number: 10, name: "insec", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::TimerfdEntry {
    const SCHEMA: &'static Message = &TIMERFD_ENTRY;
}

pub(crate) static FH_ENTRY: Message = Message {
    name: "fh_entry",
    fields: &[
        Field { number: 1, name: "bytes", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "type", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "handle", label: Repeated, kind: Uint64, show: Plain },
        Field { number: 4, name: "path", label: Optional, kind: Bytes, show: Text },
        Field { number: 5, name: "mnt_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::FhEntry {
    const SCHEMA: &'static Message = &FH_ENTRY;
}

pub(crate) static IRMAP_CACHE_ENTRY: Message = Message {
    name: "irmap_cache_entry",
    fields: &[
        Field { number: 1, name: "dev", label: Required, kind: Uint32, show: Odev },
        Field { number: 2, name: "inode", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "path", label: Required, kind: Bytes, show: Text },
    ],
};
impl Schema for m::IrmapCacheEntry {
    const SCHEMA: &'static Message = &IRMAP_CACHE_ENTRY;
}

pub(crate) static INOTIFY_WD_ENTRY: Message = Message {
    name: "inotify_wd_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "i_ino", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "mask", label: Required, kind: Uint32, show: Hex },
        Field { number: 4, name: "ignored_mask", label: Required, kind: Uint32, show: Hex },
        Field { number: 5, name: "s_dev", label: Required, kind: Uint32, show: Dev },
        Field { number: 6, name: "wd", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "f_handle", label: Required, kind: Nested(&FH_ENTRY), show: Plain },
    ],
};
impl Schema for m::InotifyWdEntry {
    const SCHEMA: &'static Message = &INOTIFY_WD_ENTRY;
}

pub(crate) static INOTIFY_FILE_ENTRY: Message = Message {
    name: "inotify_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 4, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 5, name: "wd", label: Repeated, kind: Nested(&INOTIFY_WD_ENTRY), show: Plain },
    ],
};
impl Schema for m::InotifyFileEntry {
    const SCHEMA: &'static Message = &INOTIFY_FILE_ENTRY;
}

pub(crate) static FANOTIFY_INODE_MARK_ENTRY: Message = Message {
    name: "fanotify_inode_mark_entry",
    fields: &[
        Field { number: 1, name: "i_ino", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "f_handle", label: Required, kind: Nested(&FH_ENTRY), show: Plain },
    ],
};
impl Schema for m::FanotifyInodeMarkEntry {
    const SCHEMA: &'static Message = &FANOTIFY_INODE_MARK_ENTRY;
}

pub(crate) static FANOTIFY_MOUNT_MARK_ENTRY: Message = Message {
    name: "fanotify_mount_mark_entry",
    fields: &[
        Field { number: 1, name: "mnt_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "path", label: Optional, kind: Bytes, show: Text },
    ],
};
impl Schema for m::FanotifyMountMarkEntry {
    const SCHEMA: &'static Message = &FANOTIFY_MOUNT_MARK_ENTRY;
}

pub(crate) static FANOTIFY_MARK_ENTRY: Message = Message {
    name: "fanotify_mark_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "type", label: Required, kind: Named(&MARK_TYPE), show: Plain },
        Field { number: 3, name: "mflags", label: Required, kind: Uint32, show: Hex },
        Field { number: 4, name: "mask", label: Required, kind: Uint32, show: Hex },
        Field { number: 5, name: "ignored_mask", label: Required, kind: Uint32, show: Hex },
        Field { number: 6, name: "s_dev", label: Required, kind: Uint32, show: Dev },
        Field { number: 7, name: "ie", label: Optional, kind: Nested(&FANOTIFY_INODE_MARK_ENTRY), show: Plain },
        Field { number: 8, name: "me", label: Optional, kind: Nested(&FANOTIFY_MOUNT_MARK_ENTRY), show: Plain },
    ],
};
impl Schema for m::FanotifyMarkEntry {
    const SCHEMA: &'static Message = &FANOTIFY_MARK_ENTRY;
}

pub(crate) static FANOTIFY_FILE_ENTRY: Message = Message {
    name: "fanotify_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 3, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 4, name: "faflags", label: Required, kind: Uint32, show: Hex },
        Field { number: 5, name: "evflags", label: Required, kind: Uint32, show: Hex },
        Field { number: 6, name: "mark", label: Repeated, kind: Nested(&FANOTIFY_MARK_ENTRY), show: Plain },
    ],
};
impl Schema for m::FanotifyFileEntry {
    const SCHEMA: &'static Message = &FANOTIFY_FILE_ENTRY;
}

pub(crate) static PIDFD_ENTRY: Message = Message {
    name: "pidfd_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ino", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "flags", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "nspid", label: Required, kind: Int32, show: Plain },
        Field { number: 5, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
    ],
};
impl Schema for m::PidfdEntry {
    const SCHEMA: &'static Message = &PIDFD_ENTRY;
}

pub(crate) static BPFMAP_FILE_ENTRY: Message = Message {
    name: "bpfmap_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Required, kind: Uint32, show: Open },
        Field { number: 3, name: "pos", label: Required, kind: Uint64, show: Plain },
        Field { number: 4, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 5, name: "map_type", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "key_size", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "value_size", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "map_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "max_entries", label: Required, kind: Uint32, show: Plain },
        Field { number: 10, name: "map_flags", label: Required, kind: Uint32, show: Plain },
        Field { number: 11, name: "memlock", label: Required, kind: Uint64, show: Plain },
        Field { number: 12, name: "frozen", label: Required, kind: Bool, show: Plain },
        Field { number: 13, name: "map_name", label: Required, kind: Bytes, show: Text },
        Field { number: 14, name: "ifindex", label: Required, kind: Uint32, show: Plain },
        Field { number: 15, name: "mnt_id", label: Optional, kind: Sint32, show: Plain },
        Field { number: 16, name: "map_extra", label: Optional, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::BpfmapFileEntry {
    const SCHEMA: &'static Message = &BPFMAP_FILE_ENTRY;
}

pub(crate) static BPFMAP_DATA_ENTRY: Message = Message {
    name: "bpfmap_data_entry",
    fields: &[
        Field { number: 1, name: "map_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "keys_bytes", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "values_bytes", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "count", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::BpfmapDataEntry {
    const SCHEMA: &'static Message = &BPFMAP_DATA_ENTRY;
}

pub(crate) static TUNFILE_ENTRY: Message = Message {
    name: "tunfile_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "netdev", label: Optional, kind: Bytes, show: Text },
        Field { number: 3, name: "detached", label: Optional, kind: Bool, show: Plain },
        Field { number: 4, name: "ns_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TunfileEntry {
    const SCHEMA: &'static Message = &TUNFILE_ENTRY;
}

pub(crate) static TUN_LINK_ENTRY: Message = Message {
    name: "tun_link_entry",
    fields: &[
        Field { number: 1, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 2, name: "owner", label: Required, kind: Int32, show: Plain },
        Field { number: 3, name: "group", label: Required, kind: Int32, show: Plain },
        Field { number: 4, name: "vnethdr", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "sndbuf", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TunLinkEntry {
    const SCHEMA: &'static Message = &TUN_LINK_ENTRY;
}

pub(crate) static WINSIZE_ENTRY: Message = Message {
    name: "winsize_entry",
    fields: &[
        Field { number: 1, name: "ws_row", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ws_col", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "ws_xpixel", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "ws_ypixel", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::WinsizeEntry {
    const SCHEMA: &'static Message = &WINSIZE_ENTRY;
}

pub(crate) static TERMIOS_ENTRY: Message = Message {
    name: "termios_entry",
    fields: &[
        Field { number: 1, name: "c_iflag", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "c_oflag", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "c_cflag", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "c_lflag", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "c_line", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "c_ispeed", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "c_ospeed", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "c_cc", label: Repeated, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TermiosEntry {
    const SCHEMA: &'static Message = &TERMIOS_ENTRY;
}

pub(crate) static TTY_PTY_ENTRY: Message = Message {
    name: "tty_pty_entry",
    fields: &[
        Field { number: 1, name: "index", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TtyPtyEntry {
    const SCHEMA: &'static Message = &TTY_PTY_ENTRY;
}

pub(crate) static TTY_DATA_ENTRY: Message = Message {
    name: "tty_data_entry",
    fields: &[
        Field { number: 1, name: "tty_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "data", label: Required, kind: Bytes, show: Plain },
    ],
};
impl Schema for m::TtyDataEntry {
    const SCHEMA: &'static Message = &TTY_DATA_ENTRY;
}

pub(crate) static TTY_INFO_ENTRY: Message = Message {
    name: "tty_info_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "type", label: Required, kind: Named(&TTYTYPE), show: Plain },
        Field { number: 3, name: "locked", label: Required, kind: Bool, show: Plain },
        Field { number: 4, name: "exclusive", label: Required, kind: Bool, show: Plain },
        Field { number: 5, name: "packet_mode", label: Required, kind: Bool, show: Plain },
        Field { number: 6, name: "sid", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "pgrp", label: Required, kind: Uint32, show: Plain },
        Field { number: 8, name: "rdev", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "termios", label: Optional, kind: Nested(&TERMIOS_ENTRY), show: Plain },
        Field { number: 10, name: "termios_locked", label: Optional, kind: Nested(&TERMIOS_ENTRY), show: Plain },
        Field { number: 11, name: "winsize", label: Optional, kind: Nested(&WINSIZE_ENTRY), show: Plain },
        Field { number: 12, name: "pty", label: Optional, kind: Nested(&TTY_PTY_ENTRY), show: Plain },
        Field { number: 13, name: "dev", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "uid", label: Optional, kind: Uint32, show: Plain },
        Field { number: 15, name: "gid", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TtyInfoEntry {
    const SCHEMA: &'static Message = &TTY_INFO_ENTRY;
}

pub(crate) static TTY_FILE_ENTRY: Message = Message {
    name: "tty_file_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "tty_info_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 4, name: "fown", label: Required, kind: Nested(&FOWN_ENTRY), show: Plain },
        Field { number: 6, name: "regf_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::TtyFileEntry {
    const SCHEMA: &'static Message = &TTY_FILE_ENTRY;
}

pub(crate) static REMAP_FILE_PATH_ENTRY: Message = Message {
    name: "remap_file_path_entry",
    fields: &[
        Field { number: 1, name: "orig_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "remap_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "remap_type", label: Optional, kind: Named(&REMAP_TYPE), show: Plain },
    ],
};
impl Schema for m::RemapFilePathEntry {
    const SCHEMA: &'static Message = &REMAP_FILE_PATH_ENTRY;
}

pub(crate) static GHOST_FILE_ENTRY: Message = Message {
    name: "ghost_file_entry",
    fields: &[
        Field { number: 1, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "gid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "mode", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "dev", label: Optional, kind: Uint32, show: Dev },
        Field { number: 5, name: "ino", label: Optional, kind: Uint64, show: Plain },
        Field { number: 6, name: "rdev", label: Optional, kind: Uint32, show: Odev },
        Field { number: 7, name: "atim", label: Optional, kind: Nested(&TIMEVAL), show: Plain },
        Field { number: 8, name: "mtim", label: Optional, kind: Nested(&TIMEVAL), show: Plain },
        Field { number: 9, name: "chunks", label: Optional, kind: Bool, show: Plain },
        Field { number: 10, name: "size", label: Optional, kind: Uint64, show: Plain },
        Field { number: 11, name: "symlnk_target", label: Optional, kind: Bytes, show: Text },
    ],
};
impl Schema for m::GhostFileEntry {
    const SCHEMA: &'static Message = &GHOST_FILE_ENTRY;
}

pub(crate) static GHOST_CHUNK_ENTRY: Message = Message {
    name: "ghost_chunk_entry",
    fields: &[
        Field { number: 1, name: "len", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "off", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::GhostChunkEntry {
    const SCHEMA: &'static Message = &GHOST_CHUNK_ENTRY;
}

pub(crate) static TIMEVAL: Message = Message {
    name: "timeval",
    fields: &[
        Field { number: 1, name: "tv_sec", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "tv_usec", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::Timeval {
    const SCHEMA: &'static Message = &TIMEVAL;
}

pub(crate) static FILE_LOCK_ENTRY: Message = Message {
    name: "file_lock_entry",
    fields: &[
        Field { number: 1, name: "flag", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "type", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "pid", label: Required, kind: Int32, show: Plain },
        Field { number: 4, name: "fd", label: Required, kind: Int32, show: Plain },
        Field { number: 5, name: "start", label: Required, kind: Int64, show: Plain },
        Field { number: 6, name: "len", label: Required, kind: Int64, show: Plain },
    ],
};
impl Schema for m::FileLockEntry {
    const SCHEMA: &'static Message = &FILE_LOCK_ENTRY;
}

pub(crate) static MNT_ENTRY: Message = Message {
    name: "mnt_entry",
    fields: &[
        Field { number: 1, name: "fstype", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "mnt_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "root_dev", label: Required, kind: Uint32, show: Dev },
        Field { number: 4, name: "parent_mnt_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 6, name: "root", label: Required, kind: Bytes, show: Text },
        Field { number: 7, name: "mountpoint", label: Required, kind: Bytes, show: Text },
        Field { number: 8, name: "source", label: Required, kind: Bytes, show: Text },
        Field { number: 9, name: "options", label: Required, kind: Bytes, show: Text },
        Field { number: 10, name: "shared_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 11, name: "master_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 12, name: "with_plugin", label: Optional, kind: Bool, show: Plain },
        Field { number: 13, name: "ext_mount", label: Optional, kind: Bool, show: Plain },
        Field { number: 14, name: "fsname", label: Optional, kind: Bytes, show: Text },
        Field { number: 15, name: "internal_sharing", label: Optional, kind: Bool, show: Plain },
        Field { number: 16, name: "deleted", label: Optional, kind: Bool, show: Plain },
        Field { number: 17, name: "sb_flags", label: Optional, kind: Uint32, show: Hex },
        Field { number: 18, name: "ext_key", label: Optional, kind: Bytes, show: Text },
    ],
};
impl Schema for m::MntEntry {
    const SCHEMA: &'static Message = &MNT_ENTRY;
}

pub(crate) static AUTOFS_ENTRY: Message = Message {
    name: "autofs_entry",
    fields: &[
        Field { number: 1, name: "fd", label: Required, kind: Int32, show: Plain },
        Field { number: 2, name: "pgrp", label: Required, kind: Int32, show: Plain },
        Field { number: 3, name: "timeout", label: Required, kind: Int32, show: Plain },
        Field { number: 4, name: "minproto", label: Required, kind: Int32, show: Plain },
        Field { number: 5, name: "maxproto", label: Required, kind: Int32, show: Plain },
        Field { number: 6, name: "mode", label: Required, kind: Int32, show: Plain },
        Field { number: 7, name: "uid", label: Optional, kind: Int32, show: Plain },
        Field { number: 8, name: "gid", label: Optional, kind: Int32, show: Plain },
        Field { number: 9, name: "read_fd", label: Optional, kind: Int32, show: Plain },
    ],
};
impl Schema for m::AutofsEntry {
    const SCHEMA: &'static Message = &AUTOFS_ENTRY;
}

pub(crate) static BINFMT_MISC_ENTRY: Message = Message {
    name: "binfmt_misc_entry",
    fields: &[
        Field { number: 1, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "enabled", label: Required, kind: Bool, show: Plain },
        Field { number: 3, name: "interpreter", label: Required, kind: Bytes, show: Text },
        Field { number: 4, name: "flags", label: Optional, kind: Bytes, show: Text },
        Field { number: 5, name: "extension", label: Optional, kind: Bytes, show: Text },
        Field { number: 6, name: "magic", label: Optional, kind: Bytes, show: Text },
        Field { number: 7, name: "mask", label: Optional, kind: Bytes, show: Text },
        Field { number: 8, name: "offset", label: Optional, kind: Int32, show: Plain },
    ],
};
impl Schema for m::BinfmtMiscEntry {
    const SCHEMA: &'static Message = &BINFMT_MISC_ENTRY;
}

pub(crate) static UTSNS_ENTRY: Message = Message {
    name: "utsns_entry",
    fields: &[
        Field { number: 1, name: "nodename", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "domainname", label: Required, kind: Bytes, show: Text },
    ],
};
impl Schema for m::UtsnsEntry {
    const SCHEMA: &'static Message = &UTSNS_ENTRY;
}

pub(crate) static TIMESPEC: Message = Message {
    name: "timespec",
    fields: &[
        Field { number: 1, name: "tv_sec", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "tv_nsec", label: Required, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::Timespec {
    const SCHEMA: &'static Message = &TIMESPEC;
}

pub(crate) static TIMENS_ENTRY: Message = Message {
    name: "timens_entry",
    fields: &[
        Field { number: 1, name: "monotonic", label: Required, kind: Nested(&TIMESPEC), show: Plain },
        Field { number: 2, name: "boottime", label: Required, kind: Nested(&TIMESPEC), show: Plain },
    ],
};
impl Schema for m::TimensEntry {
    const SCHEMA: &'static Message = &TIMENS_ENTRY;
}

pub(crate) static PIDNS_ENTRY: Message = Message {
    name: "pidns_entry",
    fields: &[
        Field { number: 1, name: "ext_key", label: Optional, kind: Bytes, show: Text },
    ],
};
impl Schema for m::PidnsEntry {
    const SCHEMA: &'static Message = &PIDNS_ENTRY;
}

pub(crate) static UID_GID_EXTENT: Message = Message {
    name: "uid_gid_extent",
    fields: &[
        Field { number: 1, name: "first", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "lower_first", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "count", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::UidGidExtent {
    const SCHEMA: &'static Message = &UID_GID_EXTENT;
}

pub(crate) static USERNS_ENTRY: Message = Message {
    name: "userns_entry",
    fields: &[
        Field { number: 1, name: "uid_map", label: Repeated, kind: Nested(&UID_GID_EXTENT), show: Plain },
        Field { number: 2, name: "gid_map", label: Repeated, kind: Nested(&UID_GID_EXTENT), show: Plain },
    ],
};
impl Schema for m::UsernsEntry {
    const SCHEMA: &'static Message = &USERNS_ENTRY;
}

pub(crate) static CGROUP_PERMS: Message = Message {
    name: "cgroup_perms",
    fields: &[
        Field { number: 1, name: "mode", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "gid", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::CgroupPerms {
    const SCHEMA: &'static Message = &CGROUP_PERMS;
}

pub(crate) static CGROUP_PROP_ENTRY: Message = Message {
    name: "cgroup_prop_entry",
    fields: &[
        Field { number: 1, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "value", label: Required, kind: Bytes, show: Text },
        Field { number: 3, name: "perms", label: Optional, kind: Nested(&CGROUP_PERMS), show: Plain },
    ],
};
impl Schema for m::CgroupPropEntry {
    const SCHEMA: &'static Message = &CGROUP_PROP_ENTRY;
}

pub(crate) static CGROUP_DIR_ENTRY: Message = Message {
    name: "cgroup_dir_entry",
    fields: &[
        Field { number: 1, name: "dir_name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "children", label: Repeated, kind: Nested(&CGROUP_DIR_ENTRY), show: Plain },
        Field { number: 3, name: "properties", label: Repeated, kind: Nested(&CGROUP_PROP_ENTRY), show: Plain },
        Field { number: 4, name: "dir_perms", label: Optional, kind: Nested(&CGROUP_PERMS), show: Plain },
    ],
};
impl Schema for m::CgroupDirEntry {
    const SCHEMA: &'static Message = &CGROUP_DIR_ENTRY;
}

pub(crate) static CG_CONTROLLER_ENTRY: Message = Message {
    name: "cg_controller_entry",
    fields: &[
        Field { number: 1, name: "cnames", label: Repeated, kind: Bytes, show: Text },
        Field { number: 2, name: "dirs", label: Repeated, kind: Nested(&CGROUP_DIR_ENTRY), show: Plain },
        Field { number: 3, name: "is_threaded", label: Optional, kind: Bool, show: Plain },
    ],
};
impl Schema for m::CgControllerEntry {
    const SCHEMA: &'static Message = &CG_CONTROLLER_ENTRY;
}

pub(crate) static CG_MEMBER_ENTRY: Message = Message {
    name: "cg_member_entry",
    fields: &[
        Field { number: 1, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 2, name: "path", label: Required, kind: Bytes, show: Text },
        Field { number: 3, name: "cgns_prefix", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::CgMemberEntry {
    const SCHEMA: &'static Message = &CG_MEMBER_ENTRY;
}

pub(crate) static CG_SET_ENTRY: Message = Message {
    name: "cg_set_entry",
    fields: &[
        Field { number: 1, name: "id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "ctls", label: Repeated, kind: Nested(&CG_MEMBER_ENTRY), show: Plain },
    ],
};
impl Schema for m::CgSetEntry {
    const SCHEMA: &'static Message = &CG_SET_ENTRY;
}

pub(crate) static CGROUP_ENTRY: Message = Message {
    name: "cgroup_entry",
    fields: &[
        Field { number: 1, name: "sets", label: Repeated, kind: Nested(&CG_SET_ENTRY), show: Plain },
        Field { number: 2, name: "controllers", label: Repeated, kind: Nested(&CG_CONTROLLER_ENTRY), show: Plain },
    ],
};
impl Schema for m::CgroupEntry {
    const SCHEMA: &'static Message = &CGROUP_ENTRY;
}

pub(crate) static IPC_DESC_ENTRY: Message = Message {
    name: "ipc_desc_entry",
    fields: &[
        Field { number: 1, name: "key", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "uid", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "gid", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "cuid", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "cgid", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "mode", label: Required, kind: Uint32, show: Plain },
        Field { number: 7, name: "id", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpcDescEntry {
    const SCHEMA: &'static Message = &IPC_DESC_ENTRY;
}

pub(crate) static IPC_VAR_ENTRY: Message = Message {
    name: "ipc_var_entry",
    fields: &[
        Field { number: 1, name: "sem_ctls", label: Repeated, kind: Uint32, show: Plain },
        Field { number: 2, name: "msg_ctlmax", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "msg_ctlmnb", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "msg_ctlmni", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "auto_msgmni", label: Required, kind: Uint32, show: Plain },
        Field { number: 6, name: "shm_ctlmax", label: Required, kind: Uint64, show: Plain },
        Field { number: 7, name: "shm_ctlall", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "shm_ctlmni", label: Required, kind: Uint32, show: Plain },
        Field { number: 9, name: "shm_rmid_forced", label: Required, kind: Uint32, show: Plain },
        Field { number: 10, name: "mq_queues_max", label: Required, kind: Uint32, show: Plain },
        Field { number: 11, name: "mq_msg_max", label: Required, kind: Uint32, show: Plain },
        Field { number: 12, name: "mq_msgsize_max", label: Required, kind: Uint32, show: Plain },
        Field { number: 13, name: "mq_msg_default", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "mq_msgsize_default", label: Optional, kind: Uint32, show: Plain },
        Field { number: 15, name: "msg_next_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 16, name: "sem_next_id", label: Optional, kind: Uint32, show: Plain },
        Field { number: 17, name: "shm_next_id", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpcVarEntry {
    const SCHEMA: &'static Message = &IPC_VAR_ENTRY;
}

pub(crate) static IPC_SHM_ENTRY: Message = Message {
    name: "ipc_shm_entry",
    fields: &[
        Field { number: 1, name: "desc", label: Required, kind: Nested(&IPC_DESC_ENTRY), show: Plain },
        Field { number: 2, name: "size", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "in_pagemaps", label: Optional, kind: Bool, show: Plain },
        Field { number: 4, name: "hugetlb_flag", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpcShmEntry {
    const SCHEMA: &'static Message = &IPC_SHM_ENTRY;
}

pub(crate) static IPC_MSG: Message = Message {
    name: "ipc_msg",
    fields: &[
        Field { number: 1, name: "mtype", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "msize", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpcMsg {
    const SCHEMA: &'static Message = &IPC_MSG;
}

pub(crate) static IPC_MSG_ENTRY: Message = Message {
    name: "ipc_msg_entry",
    fields: &[
        Field { number: 1, name: "desc", label: Required, kind: Nested(&IPC_DESC_ENTRY), show: Plain },
        Field { number: 2, name: "qbytes", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "qnum", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpcMsgEntry {
    const SCHEMA: &'static Message = &IPC_MSG_ENTRY;
}

pub(crate) static IPC_SEM_ENTRY: Message = Message {
    name: "ipc_sem_entry",
    fields: &[
        Field { number: 1, name: "desc", label: Required, kind: Nested(&IPC_DESC_ENTRY), show: Plain },
        Field { number: 2, name: "nsems", label: Required, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::IpcSemEntry {
    const SCHEMA: &'static Message = &IPC_SEM_ENTRY;
}

pub(crate) static NET_DEVICE_ENTRY: Message = Message {
    name: "net_device_entry",
    fields: &[
        Field { number: 1, name: "type", label: Required, kind: Named(&ND_TYPE), show: Plain },
        Field { number: 2, name: "ifindex", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "mtu", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "flags", label: Required, kind: Uint32, show: Hex },
        Field { number: 5, name: "name", label: Required, kind: Bytes, show: Text },
        Field { number: 6, name: "tun", label: Optional, kind: Nested(&TUN_LINK_ENTRY), show: Plain },
        Field { number: 7, name: "address", label: Optional, kind: Bytes, show: Plain },
        Field { number: 8, name: "conf", label: Repeated, kind: Int32, show: Plain },
        Field { number: 9, name: "conf4", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 10, name: "conf6", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 11, name: "macvlan", label: Optional, kind: Nested(&MACVLAN_LINK_ENTRY), show: Plain },
        Field { number: 12, name: "peer_ifindex", label: Optional, kind: Uint32, show: Plain },
        Field { number: 13, name: "peer_nsid", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "master", label: Optional, kind: Uint32, show: Plain },
        Field { number: 15, name: "sit", label: Optional, kind: Nested(&SIT_ENTRY), show: Plain },
    ],
};
impl Schema for m::NetDeviceEntry {
    const SCHEMA: &'static Message = &NET_DEVICE_ENTRY;
}

pub(crate) static NETNS_ID: Message = Message {
    name: "netns_id",
    fields: &[
        Field { number: 1, name: "target_ns_id", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "netnsid_value", label: Required, kind: Int32, show: Plain },
    ],
};
impl Schema for m::NetnsId {
    const SCHEMA: &'static Message = &NETNS_ID;
}

pub(crate) static NETNS_ENTRY: Message = Message {
    name: "netns_entry",
    fields: &[
        Field { number: 1, name: "def_conf", label: Repeated, kind: Int32, show: Plain },
        Field { number: 2, name: "all_conf", label: Repeated, kind: Int32, show: Plain },
        Field { number: 3, name: "def_conf4", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 4, name: "all_conf4", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 5, name: "def_conf6", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 6, name: "all_conf6", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 7, name: "nsids", label: Repeated, kind: Nested(&NETNS_ID), show: Plain },
        Field { number: 8, name: "ext_key", label: Optional, kind: Bytes, show: Text },
        Field { number: 9, name: "unix_conf", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
        Field { number: 10, name: "ipv4_sysctl", label: Repeated, kind: Nested(&SYSCTL_ENTRY), show: Plain },
    ],
};
impl Schema for m::NetnsEntry {
    const SCHEMA: &'static Message = &NETNS_ENTRY;
}

pub(crate) static MACVLAN_LINK_ENTRY: Message = Message {
    name: "macvlan_link_entry",
    fields: &[
        Field { number: 1, name: "mode", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "flags", label: Optional, kind: Uint32, show: Plain },
    ],
};
impl Schema for m::MacvlanLinkEntry {
    const SCHEMA: &'static Message = &MACVLAN_LINK_ENTRY;
}

pub(crate) static SIT_ENTRY: Message = Message {
    name: "sit_entry",
    fields: &[
        Field { number: 1, name: "link", label: Optional, kind: Uint32, show: Plain },
        Field { number: 2, name: "local", label: Repeated, kind: Uint32, show: Ip },
        Field { number: 3, name: "remote", label: Repeated, kind: Uint32, show: Ip },
        Field { number: 4, name: "ttl", label: Optional, kind: Uint32, show: Plain },
        Field { number: 5, name: "tos", label: Optional, kind: Uint32, show: Plain },
        Field { number: 6, name: "pmtudisc", label: Optional, kind: Bool, show: Plain },
        Field { number: 7, name: "proto", label: Optional, kind: Uint32, show: Plain },
        Field { number: 8, name: "flags", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "encap_type", label: Optional, kind: Uint32, show: Plain },
        Field { number: 10, name: "encap_flags", label: Optional, kind: Uint32, show: Plain },
        Field { number: 11, name: "encap_sport", label: Optional, kind: Uint32, show: Plain },
        Field { number: 12, name: "encap_dport", label: Optional, kind: Uint32, show: Plain },
        Field { number: 13, name: "rd_prefixlen", label: Optional, kind: Uint32, show: Plain },
        Field { number: 14, name: "rd_prefix", label: Repeated, kind: Uint32, show: Ip },
        Field { number: 15, name: "relay_prefixlen", label: Optional, kind: Uint32, show: Plain },
        Field { number: 16, name: "relay_prefix", label: Repeated, kind: Uint32, show: Ip },
    ],
};
impl Schema for m::SitEntry {
    const SCHEMA: &'static Message = &SIT_ENTRY;
}

pub(crate) static SYSCTL_ENTRY: Message = Message {
    name: "sysctl_entry",
    fields: &[
        Field { number: 1, name: "type", label: Required, kind: Named(&SYSCTLTYPE), show: Plain },
        Field { number: 2, name: "iarg", label: Optional, kind: Int32, show: Plain },
        Field { number: 3, name: "sarg", label: Optional, kind: Bytes, show: Text },
    ],
};
impl Schema for m::SysctlEntry {
    const SCHEMA: &'static Message = &SYSCTL_ENTRY;
}

pub(crate) static DUMP_STATS_ENTRY: Message = Message {
    name: "dump_stats_entry",
    fields: &[
        Field { number: 1, name: "freezing_time", label: Required, kind: Uint32, show: Plain },
        Field { number: 2, name: "frozen_time", label: Required, kind: Uint32, show: Plain },
        Field { number: 3, name: "memdump_time", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "memwrite_time", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "pages_scanned", label: Required, kind: Uint64, show: Plain },
        Field { number: 6, name: "pages_skipped_parent", label: Required, kind: Uint64, show: Plain },
        Field { number: 7, name: "pages_written", label: Required, kind: Uint64, show: Plain },
        Field { number: 8, name: "irmap_resolve", label: Optional, kind: Uint32, show: Plain },
        Field { number: 9, name: "pages_lazy", label: Required, kind: Uint64, show: Plain },
        Field { number: 10, name: "page_pipes", label: Optional, kind: Uint64, show: Plain },
        Field { number: 11, name: "page_pipe_bufs", label: Optional, kind: Uint64, show: Plain },
        Field { number: 12, name: "shpages_scanned", label: Optional, kind: Uint64, show: Plain },
        Field { number: 13, name: "shpages_skipped_parent", label: Optional, kind: Uint64, show: Plain },
        Field { number: 14, name: "shpages_written", label: Optional, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::DumpStatsEntry {
    const SCHEMA: &'static Message = &DUMP_STATS_ENTRY;
}

pub(crate) static RESTORE_STATS_ENTRY: Message = Message {
    name: "restore_stats_entry",
    fields: &[
        Field { number: 1, name: "pages_compared", label: Required, kind: Uint64, show: Plain },
        Field { number: 2, name: "pages_skipped_cow", label: Required, kind: Uint64, show: Plain },
        Field { number: 3, name: "forking_time", label: Required, kind: Uint32, show: Plain },
        Field { number: 4, name: "restore_time", label: Required, kind: Uint32, show: Plain },
        Field { number: 5, name: "pages_restored", label: Optional, kind: Uint64, show: Plain },
    ],
};
impl Schema for m::RestoreStatsEntry {
    const SCHEMA: &'static Message = &RESTORE_STATS_ENTRY;
}

pub(crate) static STATS_ENTRY: Message = Message {
    name: "stats_entry",
    fields: &[
        Field { number: 1, name: "dump", label: Optional, kind: Nested(&DUMP_STATS_ENTRY), show: Plain },
        Field { number: 2, name: "restore", label: Optional, kind: Nested(&RESTORE_STATS_ENTRY), show: Plain },
    ],
};
impl Schema for m::StatsEntry {
    const SCHEMA: &'static Message = &STATS_ENTRY;
}

static USER_X86_REGS_MODE: Enum = Enum(&[(1, "NATIVE"), (2, "COMPAT")]);

static MARCH: Enum = Enum(&[(0, "UNKNOWN"), (1, "X86_64"), (2, "ARM"), (3, "AARCH64"), (4, "PPC64"), (5, "S390"), (6, "MIPS"), (7, "LOONGARCH64"), (8, "RISCV64")]);

static VENDOR: Enum = Enum(&[(0, "UNKNOWN"), (1, "INTEL"), (2, "AMD")]);

static LSMTYPE: Enum = Enum(&[(0, "NO_LSM"), (1, "SELINUX"), (2, "APPARMOR")]);

static SECCOMP_MODE: Enum = Enum(&[(0, "disabled"), (1, "strict"), (2, "filter")]);

static SK_SHUTDOWN: Enum = Enum(&[(0, "NONE"), (1, "READ"), (2, "WRITE"), (3, "BOTH")]);

static FD_TYPES: Enum = Enum(&[(0, "UND"), (1, "REG"), (2, "PIPE"), (3, "FIFO"), (4, "INETSK"), (5, "UNIXSK"), (6, "EVENTFD"), (7, "EVENTPOLL"), (8, "INOTIFY"), (9, "SIGNALFD"), (10, "PACKETSK"), (11, "TTY"), (12, "FANOTIFY"), (13, "NETLINKSK"), (14, "NS"), (15, "TUNF"), (16, "EXT"), (17, "TIMERFD"), (18, "MEMFD"), (19, "BPFMAP"), (20, "PIDFD"), (65534, "CTL_TTY"), (65535, "AUTOFS_PIPE")]);

static MARK_TYPE: Enum = Enum(&[(1, "INODE"), (2, "MOUNT")]);

static TTYTYPE: Enum = Enum(&[(0, "UNKNOWN"), (1, "PTY"), (2, "CONSOLE"), (3, "VT"), (4, "CTTY"), (5, "EXT_TTY"), (6, "SERIAL")]);

static REMAP_TYPE: Enum = Enum(&[(0, "LINKED"), (1, "GHOST"), (2, "PROCFS")]);

static ND_TYPE: Enum = Enum(&[(1, "LOOPBACK"), (2, "VETH"), (3, "TUN"), (4, "EXTLINK"), (5, "VENET"), (6, "BRIDGE"), (7, "MACVLAN"), (8, "SIT")]);

static SYSCTLTYPE: Enum = Enum(&[(5, "CTL_STR"), (6, "CTL_32")]);
