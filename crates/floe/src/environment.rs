//! What floe takes from its environment and from the process it runs as. Nothing below the binary reads either.

use anyhow::{Context, Result, bail};
use cgroup::systemd::{Address, Manager};
use container::CreateOptions;
use std::env;
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The directory for state: `given`, or the default for this user.
pub fn root(given: Option<&Path>) -> Result<PathBuf> {
    let root = match given {
        Some(root) => std::path::absolute(root).with_context(|| format!("find root {}", root.display()))?,
        None => match runtime_dir() {
            Some(runtime_dir) => runtime_dir.join("floe"),
            None => PathBuf::from("/run/floe"),
        },
    };
    if is_top(&root) {
        bail!("--root must not be /");
    }
    Ok(root)
}

/// Makes the default root of a user who is not root. Its sticky bit keeps it from being cleaned up while containers run:
/// the XDG base directory specification, section 3.
pub fn make_rootless_root(root: &Path) -> Result<()> {
    if runtime_dir().is_none_or(|runtime_dir| root != runtime_dir.join("floe")) {
        return Ok(());
    }
    let make = || -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        std::fs::set_permissions(root, Permissions::from_mode(0o1700))
    };
    make().with_context(|| format!("make root {}", root.display()))
}

/// Adds what the environment says about sockets to the options of `create` and `run`.
pub fn add_sockets(options: &mut CreateOptions) {
    options.notify_socket = notify_socket();
    // LISTEN_PID is not compared, as in runc: a wrapper script between conmon and floe would make it wrong.
    let listen_fds = env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok());
    options.listen_fds = listen_fds.unwrap_or(0);
    options.listen_fdnames = env::var_os("LISTEN_FDNAMES");
}

/// systemd's readiness socket (sd_notify(3)).
pub fn notify_socket() -> Option<PathBuf> {
    env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Where the systemd manager is that makes scopes: the system's, or the user's own.
///
/// The bus comes first: on its own socket systemd tells every client of every unit, which it cannot do for many at once.
pub fn systemd_manager(is_rootless: bool) -> Result<Manager> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let of_bus = |list: Option<String>| list.map_or(Vec::new(), |list| Address::of_bus(&list));
    let mut addresses = Vec::new();
    let is_user = is_rootless && !is_system_ours();
    if is_user {
        let runtime_dir = variable("XDG_RUNTIME_DIR");
        addresses.extend(of_bus(runtime_dir.as_ref().map(|dir| format!("unix:path={dir}/bus"))));
        addresses.extend(of_bus(variable("DBUS_SESSION_BUS_ADDRESS")));
        addresses.extend(runtime_dir.map(|dir| Address::direct(format!("{dir}/systemd/private"))));
        if addresses.is_empty() {
            bail!(
                "the systemd cgroup driver: neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set, so this user's \
                 systemd cannot be found"
            );
        }
    } else {
        let bus =
            variable("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or("unix:path=/run/dbus/system_bus_socket".into());
        addresses.extend(Address::of_bus(&bus));
        addresses.push(Address::direct(PRIVATE_SOCKET));
    }
    Ok(Manager { addresses, is_user })
}

/// Whether the system's manager belongs to us although we are only root of a user namespace: in a system container it is
/// as much root as we are, and elsewhere its socket is a file of nobody we know.
fn is_system_ours() -> bool {
    nix::unistd::geteuid().is_root()
        && std::fs::metadata(PRIVATE_SOCKET).is_ok_and(|socket| socket.uid() == 0)
}

/// systemd's own socket, which every version of it makes.
const PRIVATE_SOCKET: &str = "/run/systemd/private";

/// `$XDG_RUNTIME_DIR` where runc would use it: not for the real root, and in a user namespace not for a login as root.
fn runtime_dir() -> Option<PathBuf> {
    let runtime_dir = env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty())?;
    let is_used = !nix::unistd::geteuid().is_root()
        || (in_user_namespace() && env::var_os("USER").is_none_or(|user| user != "root"));
    is_used.then(|| runtime_dir.into())
}

fn in_user_namespace() -> bool {
    match std::fs::read_to_string("/proc/self/uid_map") {
        Ok(map) => !is_identity(&map),
        Err(_) => false,
    }
}

/// Whether a uid_map is the one of the first user namespace.
fn is_identity(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn is_top(path: &Path) -> bool {
    let mut depth = 0;
    for component in path.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth = (depth - 1).max(0),
            _ => {}
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_is_refused() {
        for path in ["/", "//", "/.", "/a/..", "/a/../.."] {
            assert!(root(Some(Path::new(path))).is_err(), "{path}");
        }
        assert_eq!(root(Some(Path::new("/run/x/"))).expect("fine"), Path::new("/run/x"));
    }

    #[test]
    fn identity_map() {
        assert!(is_identity("         0          0 4294967295\n"));
        assert!(!is_identity("         0       1000          1\n"));
        assert!(!is_identity("0 0 65536\n65536 65536 10\n"));
    }
}
