//! Tells Cargo that the embedded migrations are sources too: the macro that
//! embeds them cannot see a file that was added since.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
