//! A registry of the tests' own, to pull from by a real engine.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// A running registry, whose tag `v1` was moved to another image after one was pinned.
pub struct Registry {
    process: Child,
    /// The image's name, with the tag.
    pub image: String,
    /// The digest of the pinned image.
    pub digest: String,
}

impl Registry {
    /// Starts it. One that lies answers for the pinned digest with the other image.
    pub fn start(lies: bool) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry/serve.py");
        let mut process = Command::new("python3")
            .arg(script)
            .args(lies.then_some("lie"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: ./dev setup --tests");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let (port, digest) = first.split_once(' ').unwrap();
        let registry = Self {
            process,
            image: format!("127.0.0.1:{port}/agh:v1"),
            digest: digest.to_owned(),
        };
        // A pipe that is full would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
