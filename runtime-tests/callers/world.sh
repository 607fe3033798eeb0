# Makes the world below $2/root: the tree $1, /proc, /sys, /dev, floe ($3) and the drop-in files ($4) where they belong.
tree=$1 work=$2 floe=$3 contrib=$4
mount -t tmpfs -o mode=755,size=6g tmpfs "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
cd "$work/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for device in null zero full random urandom tty fuse; do cp -a "/dev/$device" dev/; done
mkdir dev/{pts,shm,mqueue}
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%:*}" "dev/${n#*:}"; done
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t mqueue mqueue dev/mqueue
# Engines keep layers there, as overlays that cannot lie on an overlay.
for dir in run tmp srv var/lib/containers var/lib/containerd var/lib/docker; do
	mkdir -p "$dir"
	mount -t tmpfs tmpfs "$dir"
done
chmod 1777 tmp
chmod 755 run srv
install -m 755 "$floe" usr/local/bin/floe
# Nothing but floe answers to that name.
rm -f usr/sbin/criu
ln -s floe usr/local/bin/criu
mkdir -p etc/containers/containers.conf.d etc/containerd/conf.d etc/docker
cp "$contrib/containers.conf.d/50-floe.conf" etc/containers/containers.conf.d/
cp "$contrib/containerd/floe.toml" etc/containerd/conf.d/
cp "$contrib/docker/daemon.json" etc/docker/
