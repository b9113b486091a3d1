#!/usr/bin/env bash
# The first process of a test host, in namespaces of its own: builds the host's file system, then is its sshd.
#   host_init.sh DISK NAME ADDRESS GATEWAY PYTHON VENV      (a line on standard input says: the network is there)
# DISK lives as long as the test, so a host that is killed and booted again finds its files. The system and the
# packages come from this machine, read-only or copy on write; nothing a host writes reaches this machine.
set -euo pipefail
disk=$1 name=$2 address=$3 gateway=$4 python=$5 venv=$6
read -r _

mount --make-rprivate /
hostname "$name"
ip link set lo up
ip addr add "$address/24" dev eth0
ip link set eth0 up
ip route add default via "$gateway" # nobody is there; Ray takes the node's address from the default route

for directory in usr proc sys dev run tmp var/tmp opt/firm/.venv root "${python#/}"; do
    mkdir -p "$disk/$directory"
done
for link in bin sbin lib lib64; do
    [ -e "/$link" ] && ln -sfn "usr/$link" "$disk/$link"
done
chmod 1777 "$disk/tmp" "$disk/var/tmp"
mount --bind /usr "$disk/usr"
mount -o remount,bind,ro "$disk/usr"
case "$python" in
/usr | /usr/*) ;;
*) mount --bind "$python" "$disk$python" && mount -o remount,bind,ro "$disk$python" ;;
esac
mount -t proc proc "$disk/proc"
mount -t sysfs sysfs "$disk/sys"
mount --rbind /dev "$disk/dev"
mount -t tmpfs -o size=10g,mode=1777 tmpfs "$disk/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$disk/dev/pts"
mount -t tmpfs tmpfs "$disk/run"
mkdir -p "$disk/run/sshd" "$disk/run/venv/upper" "$disk/run/venv/work"
mount -t overlay overlay "$disk/opt/firm/.venv" \
    -o "lowerdir=$venv,upperdir=$disk/run/venv/upper,workdir=$disk/run/venv/work"

exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root \
    chroot "$disk" /usr/sbin/sshd -D -e -f /dev/null -h /etc/ssh/host_key -o PidFile=none -o Port=22 \
    -o "ListenAddress=$address" -o PermitRootLogin=prohibit-password -o PasswordAuthentication=no \
    -o UsePAM=no -o UseDNS=no -o StrictModes=yes -o MaxStartups=100 -o Subsystem="sftp internal-sftp"
