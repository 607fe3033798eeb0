//! `floe-bench move FLOE RUNC`: how long a peer waits for an answer when a container moves with its connection from one host to
//! another (hosts.rs). floe moves it through a stream; runc and CRIU through files, between which the network has to be cut
//! off.

use crate::dumps::{command, contenders};
use crate::hosts::{Clock, Hosts};
use crate::{Contender, median, ok};
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(30);

/// The first of `programs` has streams.
pub(crate) fn compare(programs: &[PathBuf], work: &Path) -> io::Result<()> {
    let contenders = contenders(programs, work)?;
    let mut waits = vec![Vec::new(); contenders.len()];
    for contender in &contenders {
        let rootfs = contender.bundle.join("rootfs");
        fs::copy(std::env::current_exe()?.with_file_name("floe-bench-echo"), rootfs.join("bin/echo"))?;
        fs::create_dir(rootfs.join("state"))?;
    }
    for _ in 0..ROUNDS {
        for (nth, (contender, waits)) in contenders.iter().zip(&mut waits).enumerate() {
            waits.push(Move { contender, work }.play(nth == 0)?.as_secs_f64() * 1000.0);
        }
    }
    println!("A peer's wait for an answer while a container moves, ms, in {ROUNDS} interleaved rounds");
    println!("{:10}{:>12}{:>10}{:>10}", "", "median", "least", "most");
    for (contender, waits) in contenders.iter().zip(&waits) {
        let (least, most) =
            (waits.iter().copied().fold(f64::MAX, f64::min), waits.iter().copied().fold(0.0, f64::max));
        println!("{:10}{:>12.1}{least:>10.1}{most:>10.1}", contender.name, median(waits));
    }
    Ok(())
}

struct Move<'a> {
    contender: &'a Contender,
    work: &'a Path,
}

impl Move<'_> {
    fn play(&self, by_stream: bool) -> io::Result<Duration> {
        let networks = [Network::new()?, Network::new()?, Network::new()?];
        let [first, second, peer] = networks.each_ref().map(Network::path);
        let hosts = Hosts::connect([first, second], peer)?;
        let state = self.contender.bundle.join("rootfs/state");
        fs::remove_dir_all(&state)?;
        fs::create_dir(&state)?;
        self.configure(&hosts.hosts[0])?;
        let Contender { bundle, short: here, long: there, .. } = self.contender;
        ok(self.command().args(["run", "--detach", "--bundle"]).arg(bundle).arg(here))?;
        wait_for("the program", || state.join("ready").exists())?;
        let clock = Clock::start(&hosts.peer)?;
        expect_answers(&clock)?;

        if by_stream {
            let mut from = self.command();
            from.args(["checkpoint", "--stream", "--tcp-established", here]).stdout(Stdio::piped());
            let mut from = from.spawn()?;
            let stream = from.stdout.take().expect("a pipe");
            self.configure(&hosts.hosts[1])?;
            let mut to = self.command();
            to.args(["restore", "--stream", "--no-start", "--tcp-established", "--bundle"]).arg(bundle);
            ok(to.arg(there).stdin(stream))?;
            // It has the other end of the pipe, too.
            drop(to);
            if !from.wait()?.success() {
                return Err(io::Error::other("checkpoint --stream has failed"));
            }
            hosts.switch()?;
            ok(self.command().args(["start", there]))?;
        } else {
            let images = self.work.join("moved");
            hosts.cut()?;
            let mut from = self.command();
            ok(from.args(["checkpoint", "--tcp-established", "--image-path"]).arg(&images).arg(here))?;
            self.configure(&hosts.hosts[1])?;
            let mut to = self.command();
            to.args(["restore", "--detach", "--tcp-established", "--image-path"]).arg(&images);
            ok(to.arg("--bundle").arg(bundle).arg(there))?;
            hosts.switch()?;
            fs::remove_dir_all(&images)?;
        }
        expect_answers(&clock)?;
        let wait = clock.end()?;
        ok(self.command().args(["delete", "--force", there]))?;
        Ok(wait)
    }

    fn command(&self) -> Command {
        command(self.contender, self.work)
    }

    /// The bundle is that of a host.
    fn configure(&self, network: &Path) -> io::Result<()> {
        let mut spec = self.contender.spec(&["/bin/echo"])?;
        spec["root"]["readonly"] = false.into();
        if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
            namespaces.retain(|namespace| namespace["type"] != "network");
            namespaces.push(json!({"type": "network", "path": network}));
        }
        fs::write(self.contender.bundle.join("config.json"), spec.to_string())
    }
}

/// A network namespace, for as long as this lives.
struct Network(Child);

impl Network {
    fn new() -> io::Result<Network> {
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", "ip link set lo up && exec sleep 1000"]);
        let network = Network(holder.spawn()?);
        let name = format!("/proc/{}/comm", network.0.id());
        wait_for("a network", || fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n"))?;
        Ok(network)
    }

    fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.id()).into()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn expect_answers(clock: &Clock) -> io::Result<()> {
    if clock.goes_on(LIMIT) { Ok(()) } else { Err(io::Error::other("the peer has no answer")) }
}

fn wait_for(what: &str, done: impl Fn() -> bool) -> io::Result<()> {
    let began = Instant::now();
    while !done() {
        if began.elapsed() > LIMIT {
            return Err(io::Error::other(format!("{what}: not within {} s", LIMIT.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
