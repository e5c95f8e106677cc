//! Lets the linker fold functions with equal code in optimised builds: generic code of
//! the pages is instantiated many times over, and a smaller program uses less memory.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    // There, and with a toolchain of rust-toolchain.toml, rustc links with its own LLD.
    // GNU's linker does not know the option.
    if is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
