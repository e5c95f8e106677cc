#!/usr/bin/env bash
# Runs a program as root with a real Linux kernel that supports WireGuard, in a virtual machine:
#
#   tools/dev/kernel-vm.sh PROGRAM [ARGUMENTS...]
#
# It tests the kernel implementation of the WireGuard port where the machine's own kernel has no WireGuard, and
# speed limits with fq_codel. KERNEL_VM_TOOLS names further programs to copy, e.g. "ip tc ping".
# Output and exit status are the program's; the status is 125 if the virtual machine itself failed. The
# program's shared libraries are copied. It finds /proc, /sys, /dev, tmpfs on /tmp and /run, and busybox.
#
# Requires: qemu-system-x86 busybox-static cpio kmod, and a kernel: the one that `./dev setup --tests` unpacks
# into MALIKNODE_VM_KERNEL (a folder with boot/ and lib/modules/), or an installed one.
# The machine is emulated in software and takes some seconds from start to power-off. On some build machines
# /dev/kvm exists and hangs, so it is used only with KERNEL_VM_ACCEL=kvm. KERNEL_VM_TIMEOUT is in seconds (900).
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

MODULES=(wireguard tun veth bridge nf_tables nft_ct nft_nat nft_chain_nat nft_masq
  sch_tbf sch_htb sch_ingress sch_fq_codel cls_u32 act_mirred ifb)

fail() { printf 'kernel-vm: %s\n' "$*" >&2; exit 125; }

# ./dev unpacks the kernel package and does not install it: otherwise the machine would boot it the next time.
BASE=/
if compgen -G "${MALIKNODE_VM_KERNEL:-/nowhere}/boot/vmlinuz-*" >/dev/null; then BASE=$MALIKNODE_VM_KERNEL; fi

# Prints the newest kernel that has both an image and the WireGuard module.
find_kernel() {
  local release
  for release in $(find "$BASE/lib/modules/" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -rV); do
    [ -e "$BASE/boot/vmlinuz-$release" ] || continue
    modprobe -d "$BASE" -S "$release" --show-depends wireguard >/dev/null 2>&1 || continue
    printf '%s\n' "$release"
    return
  done
  return 1
}

# Prints the module files and their dependencies in load order. Built-in modules have no file. If this kernel
# lacks a module, the program fails where it needs it.
module_files() {
  local module
  for module in "${MODULES[@]}"; do
    modprobe -d "$BASE" -S "$KERNEL" --show-depends "$module" 2>/dev/null || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

copy_libraries() {
  local library
  { ldd "$1" 2>/dev/null || true; } | { grep -o '/[^ )]*' || true; } | while read -r library; do
    mkdir -p "$ROOT_DIR$(dirname "$library")"
    cp -L "$library" "$ROOT_DIR$library"
  done
}

# Prints the arguments quoted for a POSIX shell: 'a' 'b c'.
quoted() {
  local word
  for word; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

make_root() {
  local file number=10 name
  mkdir -p "$ROOT_DIR"/{bin,dev,etc,mods,proc,root,run,sys,tmp}
  cp "$(command -v busybox)" "$ROOT_DIR/bin/busybox"
  cp "$PROGRAM" "$ROOT_DIR/program"
  # Debug information only slows down the start of the machine.
  if command -v strip >/dev/null; then strip --strip-debug "$ROOT_DIR/program"; fi
  copy_libraries "$PROGRAM"
  for name in ${KERNEL_VM_TOOLS:-}; do
    file=$(command -v "$name") || fail "$name is missing: ./dev setup --tests installs it"
    mkdir -p "$ROOT_DIR/usr/sbin"
    cp -L "$file" "$ROOT_DIR/usr/sbin/$name"
    copy_libraries "$file"
  done
  module_files | while read -r file; do
    number=$((number + 1))
    name=$number-$(basename "$file")
    case $file in
      *.xz) xz -dc "$file" >"$ROOT_DIR/mods/${name%.xz}" ;;
      *.zst) zstd -qdc "$file" >"$ROOT_DIR/mods/${name%.zst}" ;;
      *) cp "$file" "$ROOT_DIR/mods/$name" ;;
    esac
  done
  # Three serial lines carry the program's output, the kernel's output and the exit status.
  cat >"$ROOT_DIR/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/bin HOME=/root RUST_BACKTRACE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
for m in /mods/*.ko; do insmod "\$m"; done
ip link set lo up
stty -F /dev/ttyS0 raw -echo
/program $(quoted "$@") </dev/null >/dev/ttyS0 2>&1
echo "status \$?" >/dev/ttyS2
sync
poweroff -f
INIT
  chmod 755 "$ROOT_DIR/init"
}

[ $# -ge 1 ] || fail "usage: kernel-vm.sh PROGRAM [ARGUMENTS...]"
PROGRAM=$(realpath "$1")
shift
[ -x "$PROGRAM" ] || fail "$PROGRAM is not a program"
for tool in qemu-system-x86_64 busybox cpio modprobe gzip; do
  command -v "$tool" >/dev/null ||
    fail "$tool is missing: ./dev setup --tests installs it"
done
KERNEL=$(find_kernel) || fail "there is no kernel with WireGuard: ./dev setup --tests fetches one"

DIR=$(mktemp -d "${TMPDIR:-/tmp}/kernel-vm.XXXXXX")
trap 'rm -rf "$DIR"' EXIT
ROOT_DIR=$DIR/root
make_root "$@"
(cd "$ROOT_DIR" && find . | cpio -o -H newc --quiet | gzip -1) >"$DIR/initrd"

ACCEL=${KERNEL_VM_ACCEL:-tcg,thread=multi}
CPU=max
[ "$ACCEL" != kvm ] || CPU=host
# With -display none instead of -nographic, the firmware does not write to the program's line.
ended=0
timeout --kill-after=5 "${KERNEL_VM_TIMEOUT:-900}" qemu-system-x86_64 \
  -accel "$ACCEL" -cpu "$CPU" -smp 2 -m 1024 -no-reboot -nodefaults -display none -nic none \
  -serial stdio -serial "file:$DIR/kernel.log" -serial "file:$DIR/status" \
  -kernel "$BASE/boot/vmlinuz-$KERNEL" -initrd "$DIR/initrd" \
  -append "console=ttyS1 quiet panic=-1 random.trust_cpu=on" </dev/null || ended=$?

status=$(sed -n 's/^status \([0-9]*\).*/\1/p' "$DIR/status" 2>/dev/null | head -n 1)
if [ -z "$status" ]; then
  tail -n 40 "$DIR/kernel.log" >&2 || true
  fail "the machine ended (qemu: $ended) before the program did"
fi
exit "$status"
