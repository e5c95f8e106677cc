//! Builds the crate again when a language's file or folder is added: the macro that
//! reads them notices only changes of files it has read.

fn main() {
    println!("cargo::rerun-if-changed=locales");
}
