//! Names of images, for reading, writing and errors.

pub(crate) const PSTREE: &str = "pstree.img";
pub(crate) const FILES: &str = "files.img";
pub(crate) const REMAP_FPATH: &str = "remap-fpath.img";
pub(crate) const MEMFD: &str = "memfd.img";
pub(crate) const FILE_LOCKS: &str = "filelocks.img";
pub(crate) const PIPES_DATA: &str = "pipes-data.img";
pub(crate) const FIFO_DATA: &str = "fifo-data.img";
pub(crate) const SK_QUEUES: &str = "sk-queues.img";
pub(crate) const TTY_INFO: &str = "tty-info.img";
pub(crate) const TTY_DATA: &str = "tty-data.img";
pub(crate) const SECCOMP: &str = "seccomp.img";
pub(crate) const CGROUP: &str = "cgroup.img";
pub(crate) const APPARMOR: &str = "apparmor.img";
pub(crate) const CPUINFO: &str = "cpuinfo.img";

macro_rules! numbered {
    ($($name:ident($id:ty) $format:literal)*) => {
        $(pub(crate) fn $name(id: $id) -> String {
            format!($format, id)
        })*
    };
}

numbered! {
    core(u32) "core-{}.img"
    ids(u32) "ids-{}.img"
    mm(u32) "mm-{}.img"
    vmas(u32) "vmas-{}.img"
    fs(u32) "fs-{}.img"
    pagemap(u32) "pagemap-{}.img"
    sent(u32) "sent-{}.img"
    shmem(u64) "pagemap-shmem-{}.img"
    pages(u32) "pages-{}.img"
    fdinfo(u32) "fdinfo-{}.img"
    ghost(u32) "ghost-file-{:x}.img"
    stream(u32) "tcp-stream-{:x}.img"
    mnt(u32) "mountpoints-{}.img"
    uts(u32) "utsns-{}.img"
    ipc_variables(u32) "ipcns-var-{}.img"
    ipc_shm(u32) "ipcns-shm-{}.img"
    ipc_msg(u32) "ipcns-msg-{}.img"
    ipc_sem(u32) "ipcns-sem-{}.img"
    time(u32) "timens-{}.img"
    user(u32) "userns-{}.img"
    pid(u32) "pidns-{}.img"
    net(u32) "netns-{}.img"
    net_devices(u32) "netdev-{}.img"
    addresses(u32) "ifaddr-{}.img"
    routes(u32) "route-{}.img"
    routes6(u32) "route6-{}.img"
    rules(u32) "rule-{}.img"
    iptables(u32) "iptables-{}.img"
    ip6tables(u32) "ip6tables-{}.img"
    nftables(u32) "nftables-{}.img"
}
