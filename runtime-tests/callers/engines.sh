# What all callers share: configuration that has nothing to do with floe, users, and the image `bb`.
hostname callers
ip link set lo up
mkdir -p /tmp/cases /etc/containers /etc/cni/net.d

# No network but what a case asks for: no image or name comes from outside.
cat >/etc/containers/containers.conf <<-'END'
	[containers]
	netns = "none"
	default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
	log_driver = "k8s-file"
	[engine]
	cgroup_manager = "cgroupfs"
	events_logger = "file"
END
# Podman asks for a limit of processes by default.
grep -qw pids /sys/fs/cgroup/cgroup.controllers || sed -i '/^\[containers\]/a pids_limit = 0' /etc/containers/containers.conf
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
groupadd -g 3001 extra
useradd -r containers
useradd -u 2001 -G extra -d /srv/rootless -m rootless
sed -i '/^rootless:/d' /etc/subuid /etc/subgid
printf 'rootless:200000:65536\ncontainers:1000000:10000000\n' | tee -a /etc/subuid >>/etc/subgid

# An image of busybox, with programs that no kernel runs.
image=/srv/image
mkdir -p $image/{bin,data,dev,etc,proc,run,sys,tmp,usr/user}
chmod 1777 $image/tmp
cp /usr/bin/busybox $image/bin/
ln -s usr/lib usr/lib64 $image/
for applet in $(/usr/bin/busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"
done
printf 'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/usr/user:/bin/sh\n' >$image/etc/passwd
printf 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n' >$image/etc/group
echo seed >$image/data/file
chown 1000:1000 $image/usr/user
echo 'echo no' >$image/bin/not-executable
printf '\1\2\3garbage' >$image/bin/garbage
printf '#!/no/interpreter\n' >$image/bin/no-interpreter
chmod 755 $image/bin/{garbage,no-interpreter}
chmod 755 $image
tar -C $image -cf /srv/image.tar .

# The kernel's answer is what matters, not the profile: mkdir has an errno that it never gives by itself.
cat >/srv/seccomp.json <<-'END'
	{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
	 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
END

# containerd: a network of its own for pods, and the image of their sandboxes.
cat >/etc/containerd/config.toml <<-'END'
	version = 3
	imports = ["/etc/containerd/conf.d/floe.toml"]
	[plugins."io.containerd.cri.v1.images".pinned_images]
	sandbox = "localhost/pause:1"
	[plugins."io.containerd.cri.v1.runtime".cni]
	bin_dirs = ["/usr/lib/cni"]
END
# CRI gives every sandbox a weight, which takes the cpu controller.
grep -qw cpu /sys/fs/cgroup/cgroup.controllers ||
	sed -i '/^\[plugins."io.containerd.cri.v1.runtime".cni/i [plugins."io.containerd.cri.v1.runtime"]\ndisable_cgroup = true' /etc/containerd/config.toml
cat >/etc/cni/net.d/10-pods.conflist <<-'END'
	{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods", "isGateway": true,
	 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/16"}]]}}]}
END
