# shellcheck shell=bash
# Fetches a kernel with WireGuard for the virtual machine of the kernel suite. The package is unpacked into the
# cache and not installed: otherwise the machine would boot this kernel the next time.

readonly VM_KERNEL=$CACHE/vm-kernel
export MALIKNODE_VM_KERNEL=$VM_KERNEL

# Prints the image package of a kernel's meta package. Reads all input, because SIGPIPE would kill apt-cache.
newest_image() { apt-cache depends "$1" | awk '/Depends: linux-image-[0-9]/ && !found { print $2; found = 1 }'; }

setup_vm_kernel() {
  if compgen -G "$VM_KERNEL/boot/vmlinuz-*" >/dev/null; then
    note "$(basename "$VM_KERNEL"/boot/vmlinuz-*) already unpacked"
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
    # Ubuntu has the modules in separate packages.
    if apt-cache show "linux-modules-$version" >/dev/null 2>&1; then apt-get download "linux-modules-$version"; fi
    for deb in *.deb; do dpkg -x "$deb" "$work/root"; done
  )
  # On Debian 13 and Ubuntu, /lib is a link, and packages contain /usr/lib.
  if [ ! -e "$work/root/lib" ]; then ln -s usr/lib "$work/root/lib"; fi
  depmod -b "$work/root" "$version"
  rm -rf "$VM_KERNEL"
  mv "$work/root" "$VM_KERNEL"
  rm -rf "$work"
  note "$version"
}
