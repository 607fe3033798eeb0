//! CRIU's rpc.proto, as it is with 4.2 (`criu_req`, `criu_resp`). Fields that are not here are skipped when they are read;
//! of `criu_opts` all are here.

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Type {
    Empty = 0,
    Dump = 1,
    Restore = 2,
    Check = 3,
    PreDump = 4,
    PageServer = 5,
    Notify = 6,
    CpuinfoDump = 7,
    CpuinfoCheck = 8,
    FeatureCheck = 9,
    Version = 10,
    WaitPid = 11,
    /// A server that the client waits for by `WaitPid`.
    PageServerChild = 12,
    SinglePreDump = 13,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Request {
    /// Its number, also of one that is not in `Type`.
    #[prost(int32, required, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) opts: Option<Opts>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) notify_success: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) keep_open: Option<bool>,
    #[prost(message, optional, tag = "5")]
    pub(crate) features: Option<Features>,
    /// Of who is waited for.
    #[prost(uint32, optional, tag = "6")]
    pub(crate) pid: Option<u32>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Response {
    #[prost(int32, required, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(bool, required, tag = "2")]
    pub(crate) success: bool,
    #[prost(message, optional, tag = "3")]
    pub(crate) dump: Option<Dumped>,
    #[prost(message, optional, tag = "4")]
    pub(crate) restore: Option<Restored>,
    #[prost(message, optional, tag = "5")]
    pub(crate) notify: Option<Notification>,
    #[prost(message, optional, tag = "6")]
    pub(crate) ps: Option<PageServer>,
    #[prost(int32, optional, tag = "7")]
    pub(crate) cr_errno: Option<i32>,
    #[prost(message, optional, tag = "8")]
    pub(crate) features: Option<Features>,
    #[prost(string, optional, tag = "9")]
    pub(crate) cr_errmsg: Option<String>,
    #[prost(message, optional, tag = "10")]
    pub(crate) version: Option<Version>,
    /// Of who was waited for, as in wait(2).
    #[prost(int32, optional, tag = "11")]
    pub(crate) status: Option<i32>,
}

/// libcriu reads it of every dump that was made.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Dumped {
    /// The one who asked was dumped, and wakes up from it.
    #[prost(bool, optional, tag = "1")]
    pub(crate) restored: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Restored {
    #[prost(int32, required, tag = "1")]
    pub(crate) pid: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Notification {
    #[prost(string, optional, tag = "1")]
    pub(crate) script: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
}

/// Asked for in a request, there or not in a response.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Features {
    #[prost(bool, optional, tag = "1")]
    pub(crate) mem_track: Option<bool>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) lazy_pages: Option<bool>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) pidfd_store: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct Version {
    #[prost(int32, required, tag = "1")]
    pub(crate) major_number: i32,
    #[prost(int32, required, tag = "2")]
    pub(crate) minor_number: i32,
    #[prost(int32, optional, tag = "4")]
    pub(crate) sublevel: Option<i32>,
}

/// Two texts under tags 1 and 2, as `ext_mount_map`, `join_namespace` and `criu_veth_pair` have them.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Pair {
    #[prost(string, required, tag = "1")]
    pub(crate) first: String,
    #[prost(string, required, tag = "2")]
    pub(crate) second: String,
    /// Of `join_namespace`.
    #[prost(string, optional, tag = "3")]
    pub(crate) extra_opt: Option<String>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct InheritFd {
    #[prost(string, required, tag = "1")]
    pub(crate) key: String,
    #[prost(int32, required, tag = "2")]
    pub(crate) fd: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct CgroupRoot {
    #[prost(string, optional, tag = "1")]
    pub(crate) ctrl: Option<String>,
    #[prost(string, required, tag = "2")]
    pub(crate) path: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct UnixSocket {
    #[prost(uint32, required, tag = "1")]
    pub(crate) inode: u32,
}

/// Where memory is to be sent, or taken.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct PageServer {
    #[prost(string, optional, tag = "1")]
    pub(crate) address: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) port: Option<i32>,
    /// Of the server, in a response.
    #[prost(int32, optional, tag = "3")]
    pub(crate) pid: Option<i32>,
    /// A socket that is connected to it.
    #[prost(int32, optional, tag = "4")]
    pub(crate) fd: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Opts {
    /// A descriptor of the client's.
    #[prost(int32, required, tag = "1")]
    pub(crate) images_dir_fd: i32,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pid: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) leave_running: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) ext_unix_sk: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) tcp_established: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) evasive_devices: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) shell_job: Option<bool>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) file_locks: Option<bool>,
    #[prost(int32, optional, tag = "9")]
    pub(crate) log_level: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(crate) log_file: Option<String>,
    #[prost(message, optional, tag = "11")]
    pub(crate) ps: Option<PageServer>,
    #[prost(bool, optional, tag = "12")]
    pub(crate) notify_scripts: Option<bool>,
    #[prost(string, optional, tag = "13")]
    pub(crate) root: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub(crate) parent_img: Option<String>,
    #[prost(bool, optional, tag = "15")]
    pub(crate) track_mem: Option<bool>,
    #[prost(bool, optional, tag = "16")]
    pub(crate) auto_dedup: Option<bool>,
    #[prost(int32, optional, tag = "17")]
    pub(crate) work_dir_fd: Option<i32>,
    #[prost(bool, optional, tag = "18")]
    pub(crate) link_remap: Option<bool>,
    #[prost(message, repeated, tag = "19")]
    pub(crate) veths: Vec<Pair>,
    #[prost(uint32, optional, tag = "20")]
    pub(crate) cpu_cap: Option<u32>,
    #[prost(bool, optional, tag = "21")]
    pub(crate) force_irmap: Option<bool>,
    #[prost(string, repeated, tag = "22")]
    pub(crate) exec_cmd: Vec<String>,
    #[prost(message, repeated, tag = "23")]
    pub(crate) ext_mnt: Vec<Pair>,
    #[prost(bool, optional, tag = "24")]
    pub(crate) manage_cgroups: Option<bool>,
    #[prost(message, repeated, tag = "25")]
    pub(crate) cg_root: Vec<CgroupRoot>,
    #[prost(bool, optional, tag = "26")]
    pub(crate) rst_sibling: Option<bool>,
    #[prost(message, repeated, tag = "27")]
    pub(crate) inherit_fd: Vec<InheritFd>,
    #[prost(bool, optional, tag = "28")]
    pub(crate) auto_ext_mnt: Option<bool>,
    #[prost(bool, optional, tag = "29")]
    pub(crate) ext_sharing: Option<bool>,
    #[prost(bool, optional, tag = "30")]
    pub(crate) ext_masters: Option<bool>,
    #[prost(string, repeated, tag = "31")]
    pub(crate) skip_mnt: Vec<String>,
    #[prost(string, repeated, tag = "32")]
    pub(crate) enable_fs: Vec<String>,
    #[prost(message, repeated, tag = "33")]
    pub(crate) unix_sk_ino: Vec<UnixSocket>,
    #[prost(int32, optional, tag = "34")]
    pub(crate) manage_cgroups_mode: Option<i32>,
    #[prost(uint32, optional, tag = "35")]
    pub(crate) ghost_limit: Option<u32>,
    #[prost(string, repeated, tag = "36")]
    pub(crate) irmap_scan_paths: Vec<String>,
    #[prost(string, repeated, tag = "37")]
    pub(crate) external: Vec<String>,
    #[prost(uint32, optional, tag = "38")]
    pub(crate) empty_ns: Option<u32>,
    #[prost(message, repeated, tag = "39")]
    pub(crate) join_ns: Vec<Pair>,
    #[prost(string, optional, tag = "41")]
    pub(crate) cgroup_props: Option<String>,
    #[prost(string, optional, tag = "42")]
    pub(crate) cgroup_props_file: Option<String>,
    #[prost(string, repeated, tag = "43")]
    pub(crate) cgroup_dump_controller: Vec<String>,
    #[prost(string, optional, tag = "44")]
    pub(crate) freeze_cgroup: Option<String>,
    #[prost(uint32, optional, tag = "45")]
    pub(crate) timeout: Option<u32>,
    #[prost(bool, optional, tag = "46")]
    pub(crate) tcp_skip_in_flight: Option<bool>,
    #[prost(bool, optional, tag = "47")]
    pub(crate) weak_sysctls: Option<bool>,
    #[prost(bool, optional, tag = "48")]
    pub(crate) lazy_pages: Option<bool>,
    #[prost(int32, optional, tag = "49")]
    pub(crate) status_fd: Option<i32>,
    #[prost(bool, optional, tag = "50")]
    pub(crate) orphan_pts_master: Option<bool>,
    #[prost(string, optional, tag = "51")]
    pub(crate) config_file: Option<String>,
    #[prost(bool, optional, tag = "52")]
    pub(crate) tcp_close: Option<bool>,
    #[prost(string, optional, tag = "53")]
    pub(crate) lsm_profile: Option<String>,
    #[prost(string, optional, tag = "54")]
    pub(crate) tls_cacert: Option<String>,
    #[prost(string, optional, tag = "55")]
    pub(crate) tls_cacrl: Option<String>,
    #[prost(string, optional, tag = "56")]
    pub(crate) tls_cert: Option<String>,
    #[prost(string, optional, tag = "57")]
    pub(crate) tls_key: Option<String>,
    #[prost(bool, optional, tag = "58")]
    pub(crate) tls: Option<bool>,
    #[prost(bool, optional, tag = "59")]
    pub(crate) tls_no_cn_verify: Option<bool>,
    #[prost(string, optional, tag = "60")]
    pub(crate) cgroup_yard: Option<String>,
    #[prost(int32, optional, tag = "61")]
    pub(crate) pre_dump_mode: Option<i32>,
    #[prost(int32, optional, tag = "62")]
    pub(crate) pidfd_store_sk: Option<i32>,
    #[prost(string, optional, tag = "63")]
    pub(crate) lsm_mount_context: Option<String>,
    #[prost(int32, optional, tag = "64")]
    pub(crate) network_lock: Option<i32>,
    #[prost(bool, optional, tag = "65")]
    pub(crate) mntns_compat_mode: Option<bool>,
    #[prost(bool, optional, tag = "66")]
    pub(crate) skip_file_rwx_check: Option<bool>,
    #[prost(bool, optional, tag = "67")]
    pub(crate) unprivileged: Option<bool>,
    #[prost(string, optional, tag = "68")]
    pub(crate) images_dir: Option<String>,
    #[prost(bool, optional, tag = "69")]
    pub(crate) leave_stopped: Option<bool>,
    #[prost(bool, optional, tag = "70")]
    pub(crate) display_stats: Option<bool>,
    #[prost(bool, optional, tag = "71")]
    pub(crate) log_to_stderr: Option<bool>,
}
