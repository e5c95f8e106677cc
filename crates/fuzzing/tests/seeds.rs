//! Runs every target's body over its seeds, and over some thousand mutations of
//! them, which are the same in every run. What libFuzzer finds becomes a seed.

use fuzzing::{TARGETS, Target, body};
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Mutations for each target; `MALIKNODE_FUZZ_RUNS` sets another number.
const RUNS: usize = 2000;

fn fuzz(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(part)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// Returns a dictionary's entries: `"text"` a line, with `\xNN`, `\"` and `\\`.
fn dictionary(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz(&format!("dictionaries/{name}.dict"))).unwrap();
    let entry = |line: &str| {
        let inner = line.strip_prefix('"')?.strip_suffix('"')?;
        let (mut out, mut rest) = (Vec::new(), inner.as_bytes());
        while let [first, after @ ..] = rest {
            let (byte, after) = match (first, after) {
                (b'\\', [b'x', a, b, after @ ..]) => {
                    let hex = [*a, *b];
                    let hex = std::str::from_utf8(&hex).unwrap();
                    (u8::from_str_radix(hex, 16).unwrap(), after)
                }
                (b'\\', [next, after @ ..]) => (*next, after),
                _ => (*first, after),
            };
            out.push(byte);
            rest = after;
        }
        Some(out)
    };
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|l| entry(l).unwrap_or_else(|| panic!("{name}.dict: {l}")))
        .collect()
}

/// The generator xorshift64*, which makes the same rng on every machine.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn pick<'a>(&mut self, of: &'a [Vec<u8>]) -> &'a [u8] {
        &of[self.below(of.len())]
    }

    /// Makes one mutation like those of libFuzzer.
    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>]) {
        let (from, to) = (self.below(input.len() + 1), self.below(input.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match self.below(8) {
            0 => drop(input.drain(from..to)),
            1 if from < input.len() => input[from] ^= 1 << self.below(8),
            2 if from < input.len() => input[from] = self.below(256) as u8,
            3 => input.insert(from, self.below(256) as u8),
            4 => {
                let part = input[from..to].to_vec();
                drop(input.splice(from..from, part));
            }
            5 => drop(input.splice(from..to, self.pick(seeds).iter().copied())),
            6 if !words.is_empty() => {
                drop(input.splice(from..to, self.pick(words).iter().copied()))
            }
            _ if !words.is_empty() => {
                drop(input.splice(from..from, self.pick(words).iter().copied()))
            }
            _ => input.truncate(to),
        }
        input.truncate(16 * 1024);
    }
}

fn run(target: &Target, input: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.body)(input))) {
        let path = std::env::temp_dir().join(format!("maliknode-fuzz-{}", target.name));
        fs::write(&path, input).unwrap();
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        panic!(
            "{} does not hold for {what}, stored in {}: {}\n{}",
            target.name,
            path.display(),
            text.unwrap_or_default(),
            input.escape_ascii()
        );
    }
}

fn check(name: &str) {
    let target = &Target {
        name: TARGETS.iter().find(|t| t.name == name).unwrap().name,
        body: body(name),
    };
    let paths = files(&fuzz(&format!("corpus-seed/{name}")));
    assert!(!paths.is_empty(), "{name} has no seed");
    let mut seeds = Vec::new();
    for path in &paths {
        let seed = fs::read(path).unwrap();
        run(target, &seed, &path.display().to_string());
        seeds.push(seed);
    }
    for huge in [vec![b'['; 1 << 20], vec![b'a'; 1 << 20], vec![0; 1 << 20]] {
        run(target, &huge, "a megabyte of one byte");
    }
    let words = dictionary(name);
    let runs = std::env::var("MALIKNODE_FUZZ_RUNS")
        .ok()
        .and_then(|n| n.parse().ok());
    let mut rng = Xorshift(0x9e37_79b9_7f4a_7c15);
    for _ in 0..runs.unwrap_or(RUNS) {
        let mut input = rng.pick(&seeds).to_vec();
        for _ in 0..=rng.below(6) {
            rng.mutate(&mut input, &seeds, &words);
        }
        run(target, &input, "a mutation of a seed");
    }
}

macro_rules! each {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_target_has_all_its_parts() {
            let targets: BTreeSet<_> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
            let tested: BTreeSet<_> = [$(stringify!($name).to_owned()),*].into();
            assert_eq!(tested, targets);
            let named = |folder: &str| -> BTreeSet<String> {
                let stems = files(&fuzz(folder)).into_iter();
                stems.map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
            };
            for folder in ["fuzz_targets", "corpus-seed", "dictionaries"] {
                assert_eq!(named(folder), targets, "fuzz/{folder}");
            }
            let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
            for name in &targets {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

each!(
    adguard_clients,
    adguard_config,
    block_list,
    certificates,
    configuration,
    control_socket,
    docker,
    folders,
    host,
    names,
    nft_listing,
    proxy_answers,
    proxy_bodies,
    proxy_policy,
    tc_listing,
    wgconf,
);
