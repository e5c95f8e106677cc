# shellcheck shell=bash
# A kernel with WireGuard for the virtual machine of the kernel suite. Unpacked into the cache and never
# installed: a package would become the machine's own kernel at its next boot.

readonly VM_KERNEL=$CACHE/vm-kernel
export MALIKNODE_VM_KERNEL=$VM_KERNEL

# The image that a kernel's meta package stands for; reads to the end, because apt-cache would die of SIGPIPE.
newest_image() { apt-cache depends "$1" | awk '/Depends: linux-image-[0-9]/ && !found { print $2; found = 1 }'; }

setup_vm_kernel() {
  if compgen -G "$VM_KERNEL/boot/vmlinuz-*" >/dev/null; then
    note "$(basename "$VM_KERNEL"/boot/vmlinuz-*) already there"
    return
  fi
  hint "The kernel's package could not be fetched; only the suite 'kernel' needs it."
  local meta=linux-image-cloud-amd64 image version work=$VM_KERNEL.part
  if grep -qs '^ID=ubuntu' /etc/os-release; then meta=linux-image-virtual; fi
  rm -rf "$work"
  mkdir -p "$work/deb" "$work/root"
  image=$(newest_image "$meta")
  if [ -z "$image" ]; then
    apt_update_once
    image=$(newest_image "$meta")
  fi
  version=${image#linux-image-}
  (
    cd "$work/deb" || exit
    apt-get download "$image"
    # Ubuntu keeps the modules in packages of their own.
    if apt-cache show "linux-modules-$version" >/dev/null 2>&1; then apt-get download "linux-modules-$version"; fi
    for deb in *.deb; do dpkg -x "$deb" "$work/root"; done
  )
  # Debian 13 and Ubuntu unpack to /usr/lib, where /lib is a link.
  if [ ! -e "$work/root/lib" ]; then ln -s usr/lib "$work/root/lib"; fi
  depmod -b "$work/root" "$version"
  rm -rf "$VM_KERNEL"
  mv "$work/root" "$VM_KERNEL"
  rm -rf "$work"
  note "$version"
}
