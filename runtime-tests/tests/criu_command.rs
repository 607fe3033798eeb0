//! `criu dump`, `pre-dump` and `restore` as scripts call them: processes of the host, in no container. Only with
//! `FLOE_CRIU`, as all of `as_criu`.

use crate::harness::subject::criu_directory;
use crate::harness::*;
use images::messages::{CpuinfoEntry, CpuinfoX86Entry};
use images::{Reader, Writer, format};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Body = fn(&mut Counter<'_>);

pub(crate) fn cases() -> Vec<Case> {
    if criu_directory().is_none() {
        return Vec::new();
    }
    let bodies: [(&str, Body); 26] = [
        ("dump_and_restore", dump_and_restore),
        ("dump_leaves_running", dump_leaves_running),
        ("restore_waits_for_the_end", restore_waits_for_the_end),
        ("pre_dump_of_a_moving_tree", pre_dump_of_a_moving_tree),
        ("dedup", dedup),
        ("auto_dedup", auto_dedup),
        ("lazy_pages_by_a_daemon", lazy_pages_by_a_daemon),
        ("lazy_pages_without_a_daemon", lazy_pages_without_a_daemon),
        ("network", network),
        ("network_across", network_across),
        ("network_that_leads_outside", network_that_leads_outside),
        ("network_that_would_be_lost", network_that_would_be_lost),
        ("outer_unix_socket", outer_unix_socket),
        ("outer_unix_connection", outer_unix_connection),
        ("outer_unix_socket_across", outer_unix_socket_across),
        ("service", service),
        ("service_as_a_daemon", service_as_a_daemon),
        ("script_that_fails", script_that_fails),
        ("option_that_is_refused", option_that_is_refused),
        ("dump_leaves_stopped", dump_leaves_stopped),
        ("restore_leaves_stopped", restore_leaves_stopped),
        ("restore_executes_a_command", restore_executes_a_command),
        ("spellings_of_a_harness", spellings_of_a_harness),
        ("check_as_a_harness_does", check_as_a_harness_does),
        ("processors", processors),
        ("processor_of_a_dump", processor_of_a_dump),
    ];
    let case = |(name, body): (&str, Body)| {
        Case::new(format!("as_criu::command::{name}"), move |t| {
            body(&mut Counter::start(t));
        })
    };
    bodies.into_iter().map(case).collect()
}

/// A shell in a session of its own that counts in a file, with a child at most times.
pub(crate) struct Counter<'a> {
    pub(crate) t: &'a mut Test,
    pub(crate) child: Child,
    file: PathBuf,
    pub(crate) images: PathBuf,
}

impl<'a> Counter<'a> {
    pub(crate) fn start(t: &'a mut Test) -> Counter<'a> {
        let (file, images) = (t.path("count"), t.path("images"));
        fs::create_dir(&images).expect("mkdir");
        let mut command = Command::new("setsid");
        let script = "n=0; while :; do n=$((n + 1)); echo $n >new; mv new count; sleep .02; done";
        command.args(["sh", "-c", script]).current_dir(&t.dir).env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("spawn");
        let counter = Counter { t, child, file, images };
        wait_until("it counts", || counter.count() > 5);
        counter
    }

    pub(crate) fn count(&self) -> u64 {
        read(&self.file).trim().parse().unwrap_or(0)
    }

    pub(crate) fn criu(&mut self, action: &str, options: &[&str]) -> Output {
        let mut command = self.t.floe();
        // It has options of its own before the command.
        let program = command.get_program().to_owned();
        command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(&self.t.dir);
        command.args(["criu", action, "--no-default-config", "--images-dir"]).arg(&self.images).args(options);
        self.t.run(command)
    }

    /// What floe or CRIU does, which succeeds.
    fn across(&mut self, is_criu: bool, action: &str, options: &[&str]) {
        let options = [&["-o", "log"], options].concat();
        let output = if is_criu {
            let mut command = Command::new(criu_directory().expect("asked for by cases").join("criu"));
            command.args([action, "-v4", "--network-lock", "skip", "-D"]).arg(&self.images);
            command.args(options).current_dir(&self.t.dir).env_clear().env("PATH", PATH);
            self.t.run(command)
        } else {
            self.criu(action, &options)
        };
        assert_eq!(output.code, 0, "{action}: {}", read(self.images.join("log")));
    }

    pub(crate) fn dump(&mut self, options: &[&str]) -> Output {
        let pid = self.child.id().to_string();
        self.criu("dump", &[&["--tree", &pid, "-v4", "--timeout", "10"], options].concat())
    }

    /// Without images.
    pub(crate) fn begin_anew(&self) {
        fs::remove_dir_all(&self.images).expect("remove");
        fs::create_dir(&self.images).expect("mkdir");
    }

    /// The dump has ended it.
    pub(crate) fn is_gone(&mut self) -> u64 {
        assert!(!self.child.wait().expect("wait").success());
        let count = self.count();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(self.count(), count, "it still counts");
        count
    }

    #[track_caller]
    pub(crate) fn goes_on_from(&self, count: u64) {
        wait_until("it counts again", || self.count() > count + 3);
        assert!(self.count() < count + 1000, "it has begun anew or run on: {count}, {}", self.count());
    }

    pub(crate) fn end(&self) {
        kill(self.child.id() as i32);
    }
}

impl Drop for Counter<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a process that runs.
fn kill(pid: i32) {
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it runs");
}

fn dump_and_restore(counter: &mut Counter<'_>) {
    let script = "echo $CRTOOLS_SCRIPT_ACTION ${CRTOOLS_INIT_PID:+pid} >>actions";
    counter.dump(&["--log-file", "d.log", "--action-script", script]).ok();
    let count = counter.is_gone();
    assert!(read(counter.images.join("d.log")).contains("write images"));
    counter.criu("restore", &["-d", "--pidfile", "pid", "-o", "r.log", "--action-script", script]).ok();
    // Relative paths are below the work directory, which is that of the images here.
    assert_eq!(read(counter.images.join("pid")), counter.child.id().to_string());
    counter.goes_on_from(count);
    counter.end();
    let actions = read(counter.images.join("actions"));
    // Nothing of namespaces: they are the host's.
    let expected =
        "pre-dump pid\npost-dump pid\npre-restore\npost-restore pid\npre-resume pid\npost-resume pid\n";
    assert_eq!(actions.replace(" \n", "\n"), expected);
}

fn dump_leaves_running(counter: &mut Counter<'_>) {
    counter.dump(&["--leave-running"]).ok();
    counter.goes_on_from(counter.count());
}

fn restore_waits_for_the_end(counter: &mut Counter<'_>) {
    counter.dump(&[]).ok();
    let count = counter.is_gone();
    let pid = counter.child.id() as i32;
    let file = counter.file.clone();
    let ends = std::thread::spawn(move || {
        wait_until("it counts again", || read(&file).trim().parse().unwrap_or(0) > count + 3);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
    });
    counter.criu("restore", &[]).ok();
    assert!(matches!(ends.join(), Ok(Ok(()))), "it has returned before the end");
}

/// It has another child at each of them, which may end while it is looked at.
fn pre_dump_of_a_moving_tree(counter: &mut Counter<'_>) {
    need_kernel(6, 7, "userfaultfd with WP_ASYNC");
    let pid = counter.child.id().to_string();
    for _ in 0..40 {
        counter.criu("pre-dump", &["--tree", &pid]).ok();
    }
    counter.goes_on_from(counter.count());
    let records = || {
        let files = fs::read_dir("/run/floe-criu").expect("records").flatten().map(|file| file.file_name());
        files.filter(|name| name.to_string_lossy().starts_with(&format!("{pid}-"))).count()
    };
    assert_eq!(records(), 1);
    counter.end();
    let _ = counter.child.wait();
    wait_until("no record is left", || records() == 0);
}

/// Bytes of the files of pages in a directory, and bytes that they take.
pub(crate) fn pages(directory: &Path) -> (u64, u64) {
    let names = fs::read_dir(directory).expect("images").map(|entry| entry.expect("a file"));
    let pages = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("pages-"));
    let metadata = pages.map(|entry| entry.metadata().expect("metadata"));
    metadata.fold((0, 0), |(size, taken), file| (size + file.len(), taken + file.blocks() * 512))
}

/// A pre-dump in `first`, beside the images.
fn pre_dump(counter: &mut Counter<'_>) -> PathBuf {
    let (first, pid) = (counter.t.path("first"), counter.child.id().to_string());
    fs::create_dir(&first).expect("mkdir");
    counter.criu("pre-dump", &["--images-dir", "first", "--tree", &pid, "--track-mem"]).ok();
    let count = counter.count();
    counter.goes_on_from(count);
    first
}

fn dedup(counter: &mut Counter<'_>) {
    need_kernel(6, 7, "userfaultfd with WP_ASYNC");
    let first = pre_dump(counter);
    counter.dump(&["--prev-images-dir", "../first"]).ok();
    let count = counter.is_gone();
    let before = pages(&first);
    counter.criu("dedup", &[]).ok();
    let after = pages(&first);
    assert!(after.0 == before.0 && after.1 < before.1, "{before:?} {after:?}");
    counter.criu("dedup", &[]).ok();
    assert_eq!(pages(&first), after);
    counter.criu("restore", &["-d"]).ok();
    counter.goes_on_from(count);
    counter.end();
}

/// What is left after a restore that gave up the pages is not restored again.
fn auto_dedup(counter: &mut Counter<'_>) {
    need_kernel(6, 7, "userfaultfd with WP_ASYNC");
    let first = pre_dump(counter);
    counter.dump(&["--prev-images-dir", "../first", "--auto-dedup"]).ok();
    let count = counter.is_gone();
    let (size, taken) = pages(&first);
    assert!(taken < size, "{taken} of {size} bytes");
    counter.criu("restore", &["-d", "--auto-dedup"]).ok();
    counter.goes_on_from(count);
    counter.end();
    assert_eq!((pages(&first).1, pages(&counter.images).1), (0, 0));
    counter.criu("restore", &["-d"]).exits(1).refused(&["pages were given up"]);
}

/// Devices, addresses, routes, rules and sysctls of a network namespace of its own come back, seen by ip(8).
fn network(counter: &mut Counter<'_>) {
    let mut shell = Shell::start(
        counter,
        "ip link set lo up
        ip link add br0 type bridge forward_delay 500
        ip link add v0 mtu 1400 type veth peer name v1
        ip link set v0 master br0
        ip link add link v1 name mv type macvlan mode bridge
        ip link add d0 type dummy && ip link set d0 up
        ip link set v1 alias 'an end' txqueuelen 77
        for device in br0 v0 v1 mv; do ip link set $device up; done
        ip addr add 192.0.2.1/24 dev br0
        ip addr add 203.0.113.5 peer 203.0.113.6 dev v1
        ip -6 addr add 2001:db8::1/64 dev br0 nodad
        ip route add 10.0.0.0/8 via 192.0.2.254
        ip route add default via 192.0.2.254 table 100
        ip -6 route add 2001:db8:1::/48 via 2001:db8::2
        ip rule add from 198.51.100.0/24 lookup 100 priority 1000
        ip rule del priority 32767
        echo 1 >/proc/sys/net/ipv4/conf/v1/forwarding
        echo 77 >/proc/sys/net/unix/max_dgram_qlen
        echo 0 4242 >/proc/sys/net/ipv4/ping_group_range",
    );
    // The state of a bridge and of addresses that the kernel gives by itself settles in seconds.
    let settling = ["tentative", "NO-CARRIER"];
    wait_until("all is settled", || {
        let text = shell.sees(
            counter,
            "ip addr show up type veth; ip addr show up type bridge; ip addr show up type macvlan",
        );
        !settling.iter().any(|word| text.contains(word))
    });
    // Without what only the state of a bridge says, and routes in whatever order.
    let commands = "ip -d link | grep -v bridge_slave | sed 's/[a-z_]*timer *[0-9.]*//g'
        ip -o addr; (ip route show table all; ip -6 route show table all) | sort; ip rule; ip -6 rule
        grep . /proc/sys/net/ipv[46]/conf/*/forwarding /proc/sys/net/unix/* /proc/sys/net/ipv4/ping_group_range";
    // An address that is added by a restore is not looked for in the network first.
    let seen = |shell: &Shell, counter: &Counter<'_>| shell.sees(counter, commands).replace(" nodad", "");
    let before = seen(&shell, counter);
    assert!(
        ["br0", "203.0.113.6", "table 100", "1000:", "qlen 77", "qlen:77", "4242"]
            .iter()
            .all(|word| before.contains(word)),
        "{before}"
    );
    let pid = shell.child.id().to_string();
    let script = "echo $CRTOOLS_SCRIPT_ACTION >>actions; test -d $CRTOOLS_IMAGE_DIR/";
    counter.criu("dump", &["--tree", &pid, "--action-script", script]).ok();
    shell.child.wait().expect("wait");
    counter.criu("restore", &["-d", "--pidfile", "pid", "--action-script", script]).ok();
    assert_eq!(
        read(counter.images.join("actions")).split_whitespace().collect::<Vec<_>>(),
        [
            "pre-dump",
            "network-lock",
            "post-dump",
            "pre-restore",
            "setup-namespaces",
            "post-setup-namespaces",
            "post-restore",
            "network-unlock",
            "pre-resume",
            "post-resume"
        ]
    );
    shell.pid = read(counter.images.join("pid")).trim().parse().expect("a pid");
    // Whether a device has a carrier is found out by the kernel a moment after it is up.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut after = seen(&shell, counter);
    while after != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        after = seen(&shell, counter);
    }
    shell.end();
    for (before, after) in before.lines().zip(after.lines()) {
        assert_eq!(after, before);
    }
    assert_eq!(after.lines().count(), before.lines().count());
}

/// CRIU restores what floe has dumped of a network, and the other way round.
fn network_across(counter: &mut Counter<'_>) {
    for dumper_is_criu in [true, false] {
        let mut shell = Shell::start(
            counter,
            "ip link add br0 type bridge
            ip link add v0 mtu 1400 type veth peer name v1
            ip link set v0 master br0
            for device in lo br0 v0 v1; do ip link set $device up; done
            ip addr add 192.0.2.1/24 dev br0
            ip addr add 203.0.113.5 peer 203.0.113.6 dev v1
            ip route add 10.0.0.0/8 via 192.0.2.254
            echo 1 >/proc/sys/net/ipv4/conf/v1/forwarding",
        );
        let commands = "ip -o link | cut -d' ' -f2-6; ip -o -4 addr; ip route | sort; ip rule
            grep . /proc/sys/net/ipv4/conf/*/forwarding";
        wait_until("devices have a carrier", || !shell.sees(counter, commands).contains("NO-CARRIER"));
        let before = shell.sees(counter, commands);
        assert!(before.contains("mtu 1400") && before.contains("203.0.113.6"), "{before}");
        let pid = shell.child.id().to_string();
        counter.across(dumper_is_criu, "dump", &["--tree", &pid]);
        shell.child.wait().expect("wait");
        counter.across(!dumper_is_criu, "restore", &["-d", "--pidfile", "pid"]);
        shell.pid = read(counter.images.join("pid")).trim().parse().expect("a pid");
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut after = shell.sees(counter, commands);
        while after != before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            after = shell.sees(counter, commands);
        }
        shell.end();
        assert_eq!(after, before, "dumped by CRIU: {dumper_is_criu}");
        counter.begin_anew();
        fs::remove_file(counter.t.path("made")).expect("remove");
    }
}

/// A veth and a macvlan whose other ends are elsewhere come back to what the restorer names, by floe and by CRIU.
fn network_that_leads_outside(counter: &mut Counter<'_>) {
    let criu = criu_directory().expect("asked for by cases").join("criu");
    let outside = Shell::start(
        counter,
        "ip link add br0 type bridge
        ip link add low type veth peer name end
        for device in lo br0 low end; do ip link set $device up; done",
    );
    let call = |counter: &mut Counter<'_>, is_criu: bool, action: &str, options: &[&str]| {
        let network = format!("--net=/proc/{}/ns/net", outside.pid);
        let mut command = Command::new("nsenter");
        command.arg(network).current_dir(&counter.t.dir).env_clear().env("PATH", PATH);
        if is_criu {
            command.arg(&criu).args([action, "--network-lock", "skip"]);
        } else {
            command.arg(counter.t.floe().get_program()).args(["criu", action]);
        }
        command.args(["--no-default-config", "-v4", "-o", "log", "-D"]).arg(&counter.images).args(options);
        counter.t.run(command)
    };
    let inner = "ip -o link | sed 's/@[^:]*//; s/ link-netnsid .*//'; ip -o -4 addr; ip route | sort";
    let outer =
        "ip -o link show master br0 | cut -d: -f2 | cut -d@ -f1; ip -o link show v0 | grep -o 'state UP'";
    // The kernel takes a namespace down some time after its last process.
    let wait_for_the_end = |counter: &Counter<'_>| {
        wait_until("the other end is gone", || !outside.sees(counter, "ip -o link").contains("v0"));
    };
    for (dumper_is_criu, restorer_is_criu) in [(false, false), (true, false), (false, true)] {
        fs::remove_file(counter.t.path("made")).expect("remove");
        let mut shell = Shell::start_in(counter, Some(&outside), "ip link set lo up");
        let pid = shell.pid.to_string();
        let make = "set -e
            ip link add v0 type veth peer name eth0 netns PID
            ip link set v0 master br0 up";
        outside.sees(counter, &make.replace("PID", &pid));
        shell.sees(
            counter,
            "set -e
            ip link set eth0 mtu 1400 address 02:00:00:00:00:07 up
            ip addr add 192.0.2.2/24 dev eth0
            ip route add default via 192.0.2.1",
        );
        // CRIU 4.2 asks for a macvlan in a way that the kernel does not support, for its own images, too.
        if !restorer_is_criu {
            let make = "ip link add link low name mac0 netns PID type macvlan mode bridge";
            outside.sees(counter, &make.replace("PID", &pid));
            shell.sees(counter, "ip link set mac0 up && ip addr add 198.51.100.2/24 dev mac0");
        }
        wait_until("devices have a carrier", || !shell.sees(counter, inner).contains("NO-CARRIER"));
        let before = (shell.sees(counter, inner), outside.sees(counter, outer));
        assert_eq!(before.1, " v0\nstate UP\n");
        let dumped = call(counter, dumper_is_criu, "dump", &["--tree", &pid]);
        assert_eq!(dumped.code, 0, "dump: {}", read(counter.images.join("log")));
        shell.child.wait().expect("wait");
        wait_for_the_end(counter);
        if !restorer_is_criu {
            let named = call(counter, false, "restore", &["-d", "--external", "macvlan[mac0]:low"]);
            named.refused(&["network device eth0", "--external veth[eth0]:PEER@BRIDGE"]);
            let missing = ["-d", "--external", "veth[eth0]:v0@br1", "--external", "macvlan[mac0]:low"];
            call(counter, false, "restore", &missing).refused(&["network device br1"]);
        }
        let links = ["--external", "veth[eth0]:v0@br0", "--external", "macvlan[mac0]:low"];
        let options = [&["-d", "--pidfile", "pid"][..], &links].concat();
        let restored = call(counter, restorer_is_criu, "restore", &options);
        assert_eq!(restored.code, 0, "restore: {}", read(counter.images.join("log")));
        shell.pid = read(counter.images.join("pid")).trim().parse().expect("a pid");
        let deadline = Instant::now() + Duration::from_secs(10);
        let seen = |counter: &Counter<'_>| (shell.sees(counter, inner), outside.sees(counter, outer));
        let mut after = seen(counter);
        while after != before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
            after = seen(counter);
        }
        shell.end();
        wait_for_the_end(counter);
        assert_eq!(after, before, "dumped by CRIU: {dumper_is_criu}, restored by CRIU: {restorer_is_criu}");
        counter.begin_anew();
    }
}

/// What of a network would not come back is not lost either, unless somebody says that it is made anew.
fn network_that_would_be_lost(counter: &mut Counter<'_>) {
    let mut shell = Shell::start(
        counter,
        "ip link add own type bridge
        ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 nud permanent dev own",
    );
    let pid = shell.child.id().to_string();
    let refused = counter.criu("dump", &["--tree", &pid]);
    let is_running = shell.child.try_wait().expect("wait").is_none();
    let taken = counter.criu("dump", &["--tree", &pid, "--empty-ns", "net"]);
    shell.child.wait().expect("wait");
    refused.exits(1).refused(&["network device own", "permanent neighbours", "--empty-ns net"]);
    assert!(is_running);
    taken.ok();
}

/// A process that sends numbers to a socket outside and, if it has one, speaks on a connection to outside.
struct Sender {
    child: Child,
    outer: UnixDatagram,
}

impl Sender {
    /// `stream` is the path of who listens.
    fn start(counter: &Counter<'_>, name: &str, stream: Option<&str>) -> Sender {
        const SCRIPT: &str = r#"
            use Socket;
            my ($name, $listener) = @ARGV;
            socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
            connect($socket, sockaddr_un($name)) or die "connect: $!";
            if ($listener) {
                socket($stream, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
                connect($stream, sockaddr_un($listener)) or die "connect: $!";
            }
            $SIG{PIPE} = "IGNORE";
            for (my $n = 1;; $n++) {
                my $is_alone = $stream && !syswrite($stream, ".");
                send($socket, $is_alone ? "alone" : $n, 0) or die "send: $!";
                select(undef, undef, undef, 0.02);
            }
        "#;
        let outer = UnixDatagram::bind(counter.t.path(name)).expect("bind");
        let mut command = Command::new("setsid");
        command.args(["perl", "-e", SCRIPT, name]).args(stream).current_dir(&counter.t.dir);
        command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("spawn");
        let sender = Sender { child, outer };
        wait_until("it sends", || sender.receives() == "4");
        sender
    }

    fn receives(&self) -> String {
        let mut buffer = [0; 20];
        let length = self.outer.recv(&mut buffer).expect("received");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    }

    fn tree(&self) -> String {
        self.child.id().to_string()
    }

    /// The dump has ended it. What it has sent until then is nothing any more.
    fn is_gone(&mut self) {
        assert!(!self.child.wait().expect("wait").success());
        self.outer.set_nonblocking(true).expect("set");
        while self.outer.recv(&mut [0; 20]).is_ok() {}
        self.outer.set_nonblocking(false).expect("set");
    }

    fn end(&self) {
        kill(self.child.id() as i32);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket outside is connected to again by its name, where its inode was named.
fn outer_unix_socket(counter: &mut Counter<'_>) {
    let mut sender = Sender::start(counter, "outer", None);
    let tree = sender.tree();
    let link = fs::read_link(format!("/proc/self/fd/{}", sender.outer.as_raw_fd())).expect("a link");
    let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
    let external = format!("unix[{}]", inode.expect("an inode"));
    for options in [&[][..], &["--external", "unix[1]"]] {
        let output = counter.criu("dump", &[&["--tree", &tree], options].concat());
        output.exits(1).refused(&["peer is outside", "--ext-unix-sk"]);
    }
    counter.criu("dump", &["--tree", &tree, "--external", &external]).ok();
    sender.is_gone();
    counter.criu("restore", &["-d"]).exits(1).refused(&["outside of the container; use --ext-unix-sk"]);
    counter.criu("restore", &["-d", "--external", &external]).ok();
    assert!(sender.receives().parse::<u64>().expect("a number") > 4);
    sender.end();
}

/// One end alone cannot make a connection again.
fn outer_unix_connection(counter: &mut Counter<'_>) {
    let listener = UnixListener::bind(counter.t.path("stream")).expect("bind");
    let mut sender = Sender::start(counter, "outer", Some("stream"));
    let _connection = listener.accept().expect("accept");
    let tree = sender.tree();
    counter.criu("dump", &["--tree", &tree]).exits(1).refused(&["peer is outside", "--ext-unix-sk"]);
    counter.criu("dump", &["--tree", &tree, "--ext-unix-sk"]).ok();
    sender.is_gone();
    counter.criu("restore", &["-d", "--ext-unix-sk"]).ok();
    wait_until("it has noticed", || sender.receives() == "alone");
    sender.end();
}

/// CRIU restores what floe has dumped of a socket that leads outside, and the other way round.
fn outer_unix_socket_across(counter: &mut Counter<'_>) {
    for dumper_is_criu in [true, false] {
        let mut sender = Sender::start(counter, &format!("outer-{dumper_is_criu}"), None);
        let tree = sender.tree();
        counter.across(dumper_is_criu, "dump", &["--tree", &tree, "--ext-unix-sk"]);
        sender.is_gone();
        counter.across(!dumper_is_criu, "restore", &["-d", "--ext-unix-sk"]);
        assert!(sender.receives().parse::<u64>().expect("a number") > 4);
        sender.end();
        counter.begin_anew();
    }
}

/// A shell in a network namespace of its own.
struct Shell {
    child: Child,
    pid: i32,
}

impl Shell {
    /// What it makes first may fail in part: not every kernel has every kind of device.
    fn start(counter: &Counter<'_>, makes: &str) -> Shell {
        Shell::start_in(counter, None, makes)
    }

    /// From the network of another.
    fn start_in(counter: &Counter<'_>, outside: Option<&Shell>, makes: &str) -> Shell {
        let script = format!("{makes}\necho >made; while :; do sleep .1; done");
        let pid = outside.map_or("self".to_owned(), |shell| shell.pid.to_string());
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .args(["setsid", "unshare", "--net", "sh", "-c", &script]);
        command.current_dir(&counter.t.dir).env_clear();
        command.env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn().expect("spawn");
        wait_until("the network is made", || counter.t.path("made").exists());
        Shell { pid: child.id() as i32, child }
    }

    /// What commands say in its network.
    fn sees(&self, counter: &Counter<'_>, commands: &str) -> String {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid)).args(["sh", "-c", commands]);
        let output =
            command.current_dir(&counter.t.dir).env_clear().env("PATH", PATH).output().expect("nsenter");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn end(&self) {
        kill(self.pid);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// With iproute2 of Debian.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// What perl says to a service at `socket` in the test's directory; it ends when it has the answer.
const CLIENT: &str = r#"
    use Socket;
    my ($images, $type, $pid, $options) = @ARGV;
    opendir(my $dir, $images) or die "$images: $!";
    socket(my $socket, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
    connect($socket, sockaddr_un("socket")) or die "connect: $!";
    sub varint { my $n = shift; $n < 128 ? chr $n : chr($n & 127 | 128) . varint($n >> 7) }
    my $opts = "" . varint(fileno $dir) . ($pid ? "" . varint($pid) : "") . pack("H*", $options);
    # criu_req: type, opts
    send($socket, "" . chr($type) . "" . varint(length $opts) . $opts, 0) or die "send: $!";
    recv($socket, my $answer, 4096, 0);
    open(my $file, ">", "answer") or die "answer: $!";
    print $file unpack("H*", $answer);
    close $file;
    sleep 1 while @ARGV > 4;
"#;

impl Counter<'_> {
    /// `criu service OPTIONS...`
    pub(crate) fn service(&mut self, options: &[&str]) -> Child {
        let mut command = Command::new(self.t.floe().get_program());
        command.args(["criu", "service", "--no-default-config", "--address", "socket"]).args(options);
        command.current_dir(&self.t.dir).env_clear().env("PATH", "/usr/bin:/bin");
        let child = command.stdin(Stdio::null()).spawn().expect("spawn");
        wait_until("it listens", || self.t.path("socket").exists());
        child
    }

    fn client(&self, pid: u32, options: &str) -> Command {
        self.client_of(1, pid, options)
    }

    /// One that asks for something else than a dump, by the number of its type.
    pub(crate) fn client_of(&self, kind: u32, pid: u32, options: &str) -> Command {
        let mut command = Command::new("setsid");
        command.args(["perl", "-e", CLIENT]).arg(&self.images).args([
            &kind.to_string(),
            &pid.to_string(),
            options,
        ]);
        command.current_dir(&self.t.dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// What the service has answered, in hexadecimal.
    pub(crate) fn answer(&self) -> String {
        let path = self.t.path("answer");
        wait_until("there is an answer", || !read(&path).is_empty());
        let answer = read(&path);
        fs::remove_file(path).expect("remove");
        answer
    }
}

/// `criu_resp` of a dump: type, success, `dump`.
const DUMPED: &str = "080110011a00";

fn service(counter: &mut Counter<'_>) {
    let mut service = counter.service(&["--pidfile", "pid", "-o", "service.log"]);
    assert_eq!(read(counter.t.path("pid")), service.id().to_string());
    let count = counter.count();
    // leave_running, log_file
    let asked = counter.client(counter.child.id(), "18015203612e6c").status().expect("perl");
    assert!(asked.success());
    assert_eq!(counter.answer(), DUMPED);
    counter.goes_on_from(count);
    assert!(read(counter.images.join("a.l")).contains("write images"));
    // A name is needed with a process that is not there; restore-sibling is for children only.
    for (pid, options, why) in
        [(4_194_305, "", "task 4194305"), (counter.child.id(), "d00101", "only with swrk")]
    {
        assert!(counter.client(pid, options).status().expect("perl").success());
        let answer = counter.answer();
        let text: Vec<u8> = (0..answer.len() / 2)
            .map(|at| u8::from_str_radix(&answer[2 * at..2 * at + 2], 16).expect("hexadecimal"))
            .collect();
        assert!(answer.starts_with("08011000"), "{answer}");
        assert!(String::from_utf8_lossy(&text).contains(why), "{}", String::from_utf8_lossy(&text));
    }
    // Who names no process is dumped, and has its answer when it goes on.
    let mut own = counter.client(0, "18013801").arg("stay").spawn().expect("perl");
    assert_eq!(counter.answer(), DUMPED);
    assert!(own.try_wait().expect("wait").is_none());
    own.kill().expect("it runs");
    own.wait().expect("wait");
    assert!(read(counter.t.path("service.log")).contains("a client is served"));
    service.kill().expect("it runs");
    service.wait().expect("wait");
}

/// It is there when the command returns; a socket that a service has left is replaced, that of one that runs is not.
fn service_as_a_daemon(counter: &mut Counter<'_>) {
    let mut first = counter.service(&[]);
    first.kill().expect("it runs");
    first.wait().expect("wait");
    assert!(counter.service(&["-d", "--pidfile", "pid"]).wait().expect("wait").success());
    let pid: i32 = read(counter.t.path("pid")).parse().expect("a pid");
    assert!(!counter.service(&[]).wait().expect("wait").success());
    let asked = counter.client(counter.child.id(), "1801").status().expect("perl");
    assert!(asked.success());
    assert_eq!(counter.answer(), DUMPED);
    kill(pid);
}

/// It goes on, and there are no images.
fn script_that_fails(counter: &mut Counter<'_>) {
    let script = "test $CRTOOLS_SCRIPT_ACTION != post-dump";
    counter.dump(&["--action-script", script]).exits(1).refused(&["action-script", "post-dump"]);
    assert!(!counter.images.join("inventory.img").exists());
    counter.goes_on_from(counter.count());
}

/// It says that it listens, and ends by itself.
fn lazy_pages_by_a_daemon(counter: &mut Counter<'_>) {
    counter.dump(&[]).ok();
    let count = counter.is_gone();
    let said = counter
        .criu("lazy-pages", &["--daemon", "--pidfile", "lazy.pid", "--status-fd", "1", "-o", "lazy.log"]);
    assert_eq!(said.ok().stdout, "\0");
    let daemon = read(counter.images.join("lazy.pid"));
    assert!(Path::new("/proc").join(&daemon).exists());
    counter.criu("restore", &["-d", "--lazy-pages", "-o", "r.log"]).ok();
    counter.goes_on_from(count);
    wait_until("nothing is missing", || {
        read(counter.images.join("lazy.log")).contains("no memory is missing")
    });
    counter.end();
}

/// Nothing is restored.
fn lazy_pages_without_a_daemon(counter: &mut Counter<'_>) {
    counter.dump(&[]).ok();
    counter.is_gone();
    let refused = "lazy pages: connect to lazy-pages.socket: no such file or directory (ENOENT)";
    counter.criu("restore", &["-d", "--lazy-pages"]).exits(1).refused(&[refused]);
    counter.criu("restore", &["-d", "--lazy-pages", "--auto-dedup"]).exits(1).refused(&["auto-dedup"]);
    counter.criu("restore", &["-d", "--status-fd", "1"]).exits(1).refused(&["status-fd"]);
    let server = ["--page-server", "--address", "10.0.0.1"];
    counter.criu("lazy-pages", &server).exits(1).refused(&["page-server: a port is needed"]);
    counter.criu("restore", &["-d"]).ok();
    counter.end();
}

fn option_that_is_refused(counter: &mut Counter<'_>) {
    counter.dump(&["--lazy-pages"]).exits(1).refused(&["lazy-pages"]);
    counter.dump(&["word"]).exits(1).refused(&["word"]);
    counter.criu("dump", &["--tree", "0"]).exits(1).refused(&["tree 0", "pid"]);
    counter.goes_on_from(counter.count());
}

impl Counter<'_> {
    /// The first task, in /proc/PID/stat.
    fn is_stopped(&self) -> bool {
        read(format!("/proc/{}/stat", self.child.id())).contains(") T ")
    }

    fn go_on(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).expect("it runs");
    }

    /// Its first task and the children that it has at this moment get SIGCONT until it counts.
    #[track_caller]
    fn goes_on_when_told(&self, count: u64) {
        wait_until("it counts when told to", || {
            self.go_on();
            let group = nix::unistd::Pid::from_raw(self.child.id() as i32);
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGCONT);
            self.count() > count + 3
        });
    }
}

/// The images are those of a task that runs.
fn dump_leaves_stopped(counter: &mut Counter<'_>) {
    counter.dump(&["-s"]).ok();
    wait_until("it is stopped", || counter.is_stopped());
    let count = counter.count();
    assert!(counter.images.join("inventory.img").exists());
    counter.goes_on_when_told(count);
    counter.child.kill().expect("it runs");
    counter.child.wait().expect("wait");
    // Its child keeps the number of the group from the restore.
    let group = nix::unistd::Pid::from_raw(counter.child.id() as i32);
    wait_until("the group is gone", || {
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).is_err()
    });
    counter.criu("restore", &["-d"]).ok();
    counter.goes_on_from(count);
    counter.end();
}

fn restore_leaves_stopped(counter: &mut Counter<'_>) {
    counter.dump(&[]).ok();
    let count = counter.is_gone();
    counter.criu("restore", &["-d", "--leave-stopped"]).ok();
    wait_until("it is stopped", || counter.is_stopped());
    assert_eq!(counter.count(), count);
    counter.goes_on_when_told(count);
    counter.end();
}

fn restore_executes_a_command(counter: &mut Counter<'_>) {
    counter.dump(&[]).ok();
    let count = counter.is_gone();
    counter.criu("restore", &["--exec-cmd"]).exits(1).refused(&["exec-cmd: a command is missing"]);
    let pid = counter.child.id();
    let script = format!("grep -q \"^PPid:[[:space:]]*$$\" /proc/{pid}/status && echo parent");
    let said = counter.criu("restore", &["-d", "--exec-cmd", "--", "sh", "-c", &script]).ok();
    assert_eq!(said.stdout, "parent\n");
    counter.goes_on_from(count);
    counter.end();
}

/// Letters together, beginnings of names, switches that are taken back; the log is there after every end.
fn spellings_of_a_harness(counter: &mut Counter<'_>) {
    let pid = counter.child.id().to_string();
    let refused = counter.criu("dump", &["-o", "refused.log", "--tree", &pid, "--stream"]);
    refused.exits(1).refused(&["stream: the option is not supported"]);
    assert!(read(counter.images.join("refused.log")).contains("Error: stream"));
    counter.criu("dump", &["--leave", "-o", "other.log"]).exits(1).refused(&["leave-running, leave-stopped"]);
    let options = [
        "-vvvv",
        "-jRt",
        &pid,
        "-verbosity=4",
        "--no-leave-running",
        "--leave-r",
        "--no-evasive",
        "--display-stats",
    ];
    let said = counter.criu("dump", &options).ok();
    assert!(said.stdout.contains("Displaying dump stats:\nFreezing time: "), "{}", said.stdout);
    counter.goes_on_from(counter.count());
}

fn check_as_a_harness_does(counter: &mut Counter<'_>) {
    let said = counter.criu("check", &["-verbosity=0", "--feature", "mnt_id", "-o", "check.log"]).ok();
    assert_eq!(said.stdout, "Looks good.\n");
    assert!(counter.images.join("check.log").exists());
    counter.criu("check", &["--feature", "words"]).exits(1).refused(&["words: the feature is not known"]);
    let all = counter.criu("check", &["--all"]);
    assert!(all.stdout.contains("Looks good"), "{}", all.stdout);
}

/// Asks CRIU itself.
pub(crate) fn criu(counter: &mut Counter<'_>, words: &[&str]) -> Output {
    let mut command = Command::new(criu_directory().expect("FLOE_CRIU").join("criu"));
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(&counter.t.dir);
    command.args(words).args(["--no-default-config", "--images-dir"]).arg(&counter.images);
    counter.t.run(command)
}

/// CRIU writes the same image, and both come to the same verdict about others.
fn processors(counter: &mut Counter<'_>) {
    let file = counter.images.join("cpuinfo.img");
    criu(counter, &["cpuinfo", "dump"]).ok();
    let theirs = fs::read(&file).expect("cpuinfo.img");
    fs::remove_file(&file).expect("removed");
    counter.criu("cpuinfo", &["check"]).exits(1).refused(&["cpuinfo.img: missing"]);
    counter.criu("cpuinfo", &["dump"]).ok();
    assert_eq!(fs::read(&file).expect("cpuinfo.img"), theirs);

    type Change = fn(&mut CpuinfoX86Entry);
    let changes: [(Change, &str); 5] = [
        (|_| {}, ""),
        // tbm, which only old processors have.
        (|there| there.capability[6] |= 1 << 21, "this processor lacks tbm"),
        // LWP, which no program has instructions of any more.
        (|there| there.capability[6] ^= 1 << 15, "bit 15 of word 6"),
        (|there| there.xsave_size = there.xsave_size.map(|size| size + 64), "the enabled state of XSAVE was"),
        (|there| there.xfeatures_mask = there.xfeatures_mask.map(|set| set | 1 << 40), "lacks the states"),
    ];
    for (change, words) in changes {
        let image = Reader::new("cpuinfo.img", theirs.as_slice()).expect("an image");
        let mut entry: CpuinfoEntry = image.message().expect("an entry");
        change(&mut entry.x86_entry[0]);
        let mut image = Writer::new(Vec::new(), &format::CPUINFO).expect("an image");
        image.entry(&entry).expect("an entry");
        fs::write(&file, image.finish().expect("an image")).expect("write");
        for option in
            [&[][..], &["--cpu-cap"], &["--cpu-cap=none,fpu"], &["--cpu-cap=none,ins"], &["--cpu-cap=cpu"]]
        {
            let theirs = criu(counter, &[&["cpuinfo", "check"], option].concat());
            let ours = counter.criu("cpuinfo", &[&["check"], option].concat());
            assert_eq!(ours.code == 0, theirs.code == 0, "{option:?} {words}: {}", ours.stderr);
            if ours.code != 0 {
                assert!(!words.is_empty());
                ours.exits(1).refused(&[words]);
            }
        }
    }
}

/// A dump has its processor where it is asked for, and a restore compares it.
fn processor_of_a_dump(counter: &mut Counter<'_>) {
    counter.dump(&["--leave-running"]).ok();
    assert!(!counter.images.join("cpuinfo.img").exists());
    counter.criu("restore", &["-d", "--cpu-cap"]).exits(1).refused(&["cpuinfo.img: missing"]);
    counter.dump(&["--cpu-cap=ins"]).ok();
    let count = counter.is_gone();
    criu(counter, &["cpuinfo", "check", "--cpu-cap"]).ok();
    counter.criu("cpuinfo", &["dump"]).exits(1).refused(&["cpuinfo.img: the dump"]);
    counter.criu("restore", &["-d", "--cpu-cap"]).ok();
    counter.goes_on_from(count);
    counter.end();
}
