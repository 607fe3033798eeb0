//! What a process inside a container sees, as JSON, and small acts that a shell cannot do.
//!
//! Static, so it runs in any root file system. It never decides whether something is right: the tests do.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "most facts have no safe wrapper; each is one system call with plain arguments"
)]

use serde_json::{Map, Value, json};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["facts"] => println!("{}", facts()),
        ["hold"] => hold(),
        ["family", count] => family(count.parse().expect("count")),
        ["syscall", number, rest @ ..] => syscall(number, rest),
        ["int80", number] => println!("ret={}", int80(number.parse().expect("number"))),
        ["open", path, mode] => open(path, mode),
        ["notify", text] => notify(text),
        ["winch"] => winch(),
        ["connect-abstract", name] => connect_abstract(name),
        ["watch-capabilities", mask] => {
            watch_capabilities(u64::from_str_radix(mask, 16).expect("hexadecimal"))
        }
        ["touch-fd", fd, text] => write_fd(fd.parse().expect("fd"), text),
        ["hold-memory", size] => hold_memory(size.parse().expect("bytes")),
        ["map-huge", size] => map_huge(size.parse().expect("bytes")),
        ["spin", time] => spin(time.parse().expect("milliseconds")),
        ["transfer", mode, path, count, size] => {
            transfer(path, *mode == "w", count.parse().expect("count"), size.parse().expect("bytes"))
        }
        _ => {
            eprintln!(
                "usage: floe-probe facts | hold | family N | syscall NR ARG… | int80 NR | open PATH r|w|rw | \
                 notify TEXT | winch | connect-abstract NAME | watch-capabilities MASK | touch-fd FD TEXT | \
                 hold-memory BYTES | map-huge BYTES | spin MS | transfer r|w PATH COUNT BYTES"
            );
            std::process::exit(2);
        }
    }
}

fn facts() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let status: Map<String, Value> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), json!(value.trim())))
        .collect();
    json!({
        "args": std::env::args().collect::<Vec<_>>(),
        "env": std::env::vars_os()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy())).collect::<Vec<_>>(),
        "cwd": std::env::current_dir().map(|p| p.display().to_string()).unwrap_or_default(),
        "status": status,
        "uid": unsafe { libc::getuid() },
        "euid": unsafe { libc::geteuid() },
        "gid": unsafe { libc::getgid() },
        "groups": groups(),
        "pid": std::process::id(),
        "sid": unsafe { libc::getsid(0) },
        "pgid": unsafe { libc::getpgid(0) },
        "umask": umask(),
        "rlimits": rlimits(),
        "oom_score_adj": line("/proc/self/oom_score_adj"),
        "cgroup": line("/proc/self/cgroup"),
        "apparmor": line("/proc/self/attr/apparmor/current"),
        "scheduler": scheduler(),
        "ioprio": unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) },
        "affinity": affinity(),
        "mempolicy": mempolicy(),
        "personality": unsafe { libc::personality(0xffff_ffff) },
        "keyring": keyring(),
        "dumpable": unsafe { libc::prctl(libc::PR_GET_DUMPABLE) },
        "fds": links("/proc/self/fd"),
        "namespaces": links("/proc/self/ns"),
        "timens_offsets": fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default(),
        "boottime": clock(libc::CLOCK_BOOTTIME),
        "monotonic": clock(libc::CLOCK_MONOTONIC),
        "uid_map": fs::read_to_string("/proc/self/uid_map").unwrap_or_default(),
        "gid_map": fs::read_to_string("/proc/self/gid_map").unwrap_or_default(),
        "setgroups": line("/proc/self/setgroups"),
        "mountinfo": fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        "interfaces": names("/sys/class/net"),
        "hostname": line("/proc/sys/kernel/hostname"),
        "domainname": line("/proc/sys/kernel/domainname"),
        "tty": terminals(),
        "winsize": winsize(),
        "signals_blocked": status_field("SigBlk"),
        "signals_ignored": status_field("SigIgn"),
        "exe_links": exe_links(),
    })
}

fn line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}

fn status_field(name: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_default().trim().to_owned()
}

fn names(dir: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

fn links(dir: &str) -> Map<String, Value> {
    names(dir)
        .into_iter()
        .filter_map(|name| {
            let target = fs::read_link(format!("{dir}/{name}")).ok()?;
            // The descriptor that lists the directory itself is gone by now or points at it.
            (target.as_os_str() != dir && !target.to_string_lossy().ends_with("/fd"))
                .then(|| (name, json!(target.to_string_lossy())))
        })
        .collect()
}

/// `/proc/PID/exe` of every process that is visible: the runtime's own binary must not be among them.
fn exe_links() -> Vec<String> {
    names("/proc")
        .iter()
        .filter(|n| n.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok())
        .map(|p| p.display().to_string())
        .collect()
}

fn groups() -> Vec<u32> {
    let mut list = [0u32; 256];
    let count = unsafe { libc::getgroups(256, list.as_mut_ptr()) };
    let mut groups = list[..count.max(0) as usize].to_vec();
    groups.sort();
    // Twice the same is the same.
    groups.dedup();
    groups
}

fn umask() -> u32 {
    unsafe {
        let mask = libc::umask(0);
        libc::umask(mask);
        mask
    }
}

fn rlimits() -> Value {
    let names = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let mut all = Map::new();
    for (resource, name) in names.iter().enumerate() {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        unsafe { libc::getrlimit(resource as _, &mut limit) };
        all.insert(format!("RLIMIT_{name}"), json!([limit.rlim_cur, limit.rlim_max]));
    }
    Value::Object(all)
}

fn scheduler() -> Value {
    #[repr(C)]
    #[derive(Default)]
    struct SchedAttr {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
        util_min: u32,
        util_max: u32,
    }
    let mut attr = SchedAttr::default();
    let size = size_of::<SchedAttr>() as u32;
    unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &mut attr, size, 0) };
    json!({"policy": attr.policy, "flags": attr.flags, "nice": attr.nice, "priority": attr.priority,
        "runtime": attr.runtime, "deadline": attr.deadline, "period": attr.period})
}

fn affinity() -> Vec<usize> {
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    }
}

fn mempolicy() -> Value {
    let (mut mode, mut nodes) = (0i32, [0u64; 16]);
    let rc = unsafe { libc::syscall(libc::SYS_get_mempolicy, &mut mode, nodes.as_mut_ptr(), 1024, 0, 0) };
    if rc == 0 { json!({"mode": mode, "nodes": nodes[0]}) } else { Value::Null }
}

/// Description of the session keyring: `type;uid;gid;perm;name`.
fn keyring() -> String {
    const KEYCTL_DESCRIBE: i32 = 6;
    const SESSION: i32 = -3;
    let mut text = [0u8; 256];
    let size =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_DESCRIBE, SESSION, text.as_mut_ptr(), text.len()) };
    let end = (size.max(1) as usize - 1).min(text.len());
    String::from_utf8_lossy(&text[..end]).into_owned()
}

fn clock(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec
}

fn terminals() -> [bool; 3] {
    [0, 1, 2].map(|fd| unsafe { libc::isatty(fd) } == 1)
}

fn winsize() -> [u16; 2] {
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        libc::ioctl(0, libc::TIOCGWINSZ, &mut size);
        [size.ws_row, size.ws_col]
    }
}

/// Waits. Prints the number of each signal that arrives; SIGTERM ends it with status 0.
fn hold() {
    extern "C" fn on_signal(signal: libc::c_int) {
        let text = [b's', b'i', b'g', b' ', b'0' + (signal / 10) as u8, b'0' + (signal % 10) as u8, b'\n'];
        unsafe {
            libc::write(1, text.as_ptr().cast(), text.len());
            if signal == libc::SIGTERM {
                libc::_exit(0);
            }
        }
    }
    for signal in 1..=31 {
        if ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(&signal) {
            unsafe { libc::signal(signal, on_signal as extern "C" fn(libc::c_int) as usize) };
        }
    }
    println!("ready");
    loop {
        unsafe { libc::pause() };
    }
}

/// `hold` with `count` children that hold as well.
fn family(count: u32) {
    for _ in 0..count {
        if unsafe { libc::fork() } == 0 {
            return hold();
        }
    }
    hold();
}

/// Writes to every page of new memory, then `hold`.
fn hold_memory(size: usize) {
    let memory = map(size, 0).expect("mmap");
    for offset in (0..size).step_by(4096) {
        unsafe { memory.add(offset).write_volatile(1) };
    }
    hold();
}

/// Maps memory of huge pages of the default size; prints `ok` or the errno.
fn map_huge(size: usize) {
    match map(size, libc::MAP_HUGETLB) {
        Ok(_) => println!("ok"),
        Err(errno) => println!("errno={errno}"),
    }
}

fn map(size: usize, flags: i32) -> Result<*mut u8, i32> {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags);
    match unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) } {
        libc::MAP_FAILED => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        memory => Ok(memory.cast()),
    }
}

/// Uses a processor for some time.
fn spin(time_ms: u64) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(time_ms) {}
}

/// Reads or writes blocks of a device past the page cache, and prints the time in milliseconds.
fn transfer(path: &str, write: bool, count: usize, size: usize) {
    let mut options = fs::File::options();
    let device = options.read(!write).write(write).custom_flags(libc::O_DIRECT).open(path).expect("open");
    // Aligned as O_DIRECT wants it.
    let memory = map(size, 0).expect("mmap");
    let block = unsafe { std::slice::from_raw_parts_mut(memory, size) };
    let begin = Instant::now();
    for number in 0..count {
        let offset = (number * size) as u64;
        if write { device.write_all_at(block, offset) } else { device.read_exact_at(block, offset) }
            .expect("transfer");
    }
    println!("{}", begin.elapsed().as_millis());
}

/// A raw system call by number or, for the few that tests use, by name. Prints `ret=R errno=E`.
fn syscall(number: &str, args: &[&str]) {
    let number = match number {
        "getcwd" => libc::SYS_getcwd,
        "getpid" => libc::SYS_getpid,
        "getppid" => libc::SYS_getppid,
        "mkdirat" => libc::SYS_mkdirat,
        "munlockall" => libc::SYS_munlockall,
        "personality" => libc::SYS_personality,
        "setdomainname" => libc::SYS_setdomainname,
        "sync" => libc::SYS_sync,
        "unshare" => libc::SYS_unshare,
        "clone" => libc::SYS_clone,
        number => number.parse().expect("system call number"),
    };
    let mut values = [0i64; 6];
    let strings: Vec<CString> = args.iter().map(|a| CString::new(*a).expect("argument")).collect();
    for (value, (arg, string)) in values.iter_mut().zip(args.iter().zip(&strings)) {
        *value = match arg.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).expect("hex") as i64,
            None => arg.parse().unwrap_or(string.as_ptr() as i64),
        };
    }
    let [a, b, c, d, e, f] = values;
    let ret = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    let errno = if ret == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
    println!("ret={ret} errno={errno}");
}

/// A system call through the 32-bit entry.
#[cfg(target_arch = "x86_64")]
fn int80(number: i64) -> i64 {
    let ret: i64;
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") number => ret, out("r8") _, out("r9") _, out("r10") _, out("r11") _)
    };
    ret
}

#[cfg(not(target_arch = "x86_64"))]
fn int80(_number: i64) -> i64 {
    -38
}

/// Opens a file and prints `ok` or the errno: `test -w` asks for permissions, this asks the kernel.
fn open(path: &str, mode: &str) {
    let path = CString::new(std::ffi::OsStr::new(path).as_bytes()).expect("path");
    let flags = match mode {
        "r" => libc::O_RDONLY,
        "w" => libc::O_WRONLY,
        _ => libc::O_RDWR,
    };
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_NONBLOCK) };
    match fd {
        -1 => println!("errno={}", std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        _ => println!("ok"),
    }
}

fn notify(text: &str) {
    let path = std::env::var_os("NOTIFY_SOCKET").expect("NOTIFY_SOCKET");
    let socket = UnixDatagram::unbound().expect("socket");
    socket.send_to(text.as_bytes(), path).expect("send");
    println!("sent");
}

/// Prints the terminal's size, waits for one SIGWINCH, prints it again.
fn winch() {
    extern "C" fn on_signal(_: libc::c_int) {}
    unsafe { libc::signal(libc::SIGWINCH, on_signal as extern "C" fn(libc::c_int) as usize) };
    let [rows, columns] = winsize();
    println!("size {rows}x{columns}");
    loop {
        unsafe { libc::usleep(20_000) };
        let now = winsize();
        if now != [rows, columns] {
            println!("resized {}x{}", now[0], now[1]);
            return;
        }
    }
}

fn connect_abstract(name: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).expect("name");
    match std::os::unix::net::UnixStream::connect_addr(&address) {
        Ok(_) => println!("connected"),
        Err(error) => println!("errno={}", error.raw_os_error().unwrap_or(0)),
    }
}

/// Looks for ever at the capabilities of every process in sight and prints those that are not in `mask`.
fn watch_capabilities(mask: u64) {
    println!("ready");
    loop {
        for pid in names("/proc").iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            for line in status.lines() {
                if let Some((name @ ("CapPrm" | "CapEff" | "CapInh"), set)) = line.split_once(":\t")
                    && u64::from_str_radix(set, 16).is_ok_and(|set| set & !mask != 0)
                {
                    println!("process {pid}: {name} {set}");
                }
            }
        }
    }
}

fn write_fd(fd: i32, text: &str) {
    match unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) } {
        -1 => println!("errno={}", std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        _ => println!("ok"),
    }
}
