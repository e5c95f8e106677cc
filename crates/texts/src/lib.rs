//! Messages for people: a [`Message`] (code and arguments) rendered in a
//! language. Each language is a folder of Fluent files below `locales/`
//! (<https://projectfluent.org/fluent/guide/>); English is complete, and serves
//! where another language lacks a message. A new language needs a new folder and
//! nothing else.
//!
//! Only the edges depend on this crate: `app`, `server`, later the API and
//! mail. Everything below them returns codes.

use domain::{
    ErrorCode, Failure, Problem, TenantStatus,
    message::{Arg, Message},
    view::ProblemView,
};
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use include_dir::{Dir, include_dir};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock},
};
use unic_langid::LanguageIdentifier;

static LOCALES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/locales");

static LANGUAGES: LazyLock<BTreeMap<String, Texts>> = LazyLock::new(|| {
    let folders = LOCALES.dirs();
    folders
        .map(|folder| (name_of(folder), load(folder)))
        .collect()
});

/// The language that is complete.
const FALLBACK: &str = "en";

/// The number of entries of an `Accept-Language` header that are read.
const MAX_ENTRIES: usize = 32;

/// The texts of one language.
pub struct Texts {
    language: LanguageIdentifier,
    bundle: FluentBundle<Arc<FluentResource>>,
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Texts({})", self.language)
    }
}

/// Returns the English texts.
pub fn english() -> &'static Texts {
    static EMPTY: LazyLock<Texts> = LazyLock::new(|| Texts::new(FALLBACK));
    LANGUAGES.get(FALLBACK).unwrap_or(&EMPTY)
}

/// Returns the texts of the first language of an `Accept-Language` header
/// (RFC 9110, 12.5.4) that has a folder, and English where none has. The header
/// is a visitor's: whatever it contains, there is an answer.
pub fn preferred(accept_language: &str) -> &'static Texts {
    let mut wanted: Vec<(&str, f32)> = accept_language
        .split(',')
        .take(MAX_ENTRIES)
        .filter_map(|entry| {
            let (tag, rest) = entry.split_once(';').unwrap_or((entry, "q=1"));
            let quality: f32 = rest.trim().strip_prefix("q=")?.parse().ok()?;
            Some((tag.trim(), quality))
        })
        .filter(|(_, quality)| *quality > 0.0)
        .collect();
    // Stable: equal qualities stay in the header's order.
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let found = wanted.iter().find_map(|(tag, _)| {
        let exact = LANGUAGES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(tag));
        let primary = tag.split('-').next()?.to_ascii_lowercase();
        exact
            .map(|(_, texts)| texts)
            .or_else(|| LANGUAGES.get(&primary))
    });
    found.unwrap_or_else(english)
}

/// Returns the languages there are, e.g. `en`.
pub fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.keys().map(String::as_str)
}

impl Texts {
    fn new(name: &str) -> Self {
        let language: LanguageIdentifier = name.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![language.clone()]);
        // The marks around arguments are for mixed scripts. They would also be in
        // terminals, logs and comparisons.
        bundle.set_use_isolating(false);
        Self { language, bundle }
    }

    /// Returns the language, e.g. for the `lang` attribute of a page.
    pub const fn language(&self) -> &LanguageIdentifier {
        &self.language
    }

    /// Renders a message for its reader: the operator, or the person whose
    /// request it answers.
    pub fn message(&self, message: &Message) -> String {
        let mut args = FluentArgs::new();
        for (name, arg) in message.args() {
            let value = match arg {
                Arg::Text(text) => FluentValue::String(Cow::Borrowed(text)),
                #[allow(clippy::cast_precision_loss)] // counts, far below 2^53
                Arg::Number(number) => FluentValue::from(number as f64),
                Arg::Message(inner) => FluentValue::String(self.message(inner).into()),
                Arg::Problem(code) => FluentValue::String(self.tenant_code(code).into()),
            };
            args.set(name, value);
        }
        self.entry(message.code(), Some(&args))
            .unwrap_or_else(|| message.to_string())
    }

    /// Renders a failure's message.
    pub fn failure(&self, failure: &Failure) -> String {
        self.message(&failure.message)
    }

    /// Renders the general message for a code, for a failure whose precise message
    /// is not known.
    pub fn code(&self, code: ErrorCode) -> String {
        let id = format!("code-{}", id_of(code.as_str()));
        self.entry(&id, None).unwrap_or_else(|| code.to_string())
    }

    /// Renders a problem for the operator, with paths, commands and the machine's
    /// own words.
    pub fn problem(&self, problem: &Problem) -> ProblemView {
        ProblemView {
            code: problem.code,
            message: self.message(&problem.message),
        }
    }

    /// Renders a problem for a tenant: by its code alone, so that no path, no
    /// command and no name of a container reaches a tenant.
    pub fn tenant_problem(&self, problem: &Problem) -> ProblemView {
        ProblemView {
            code: problem.code,
            message: self.tenant_code(problem.code),
        }
    }

    /// Renders a status for a tenant.
    pub fn tenant_status(&self, status: TenantStatus) -> TenantStatus<ProblemView> {
        status.map(|problem| self.tenant_problem(&problem))
    }

    /// Renders an event for a tenant: by its kind alone, e.g.
    /// `drift.interface_gone`.
    pub fn tenant_event(&self, kind: &str) -> String {
        let id = format!("tenant-event-{}", id_of(kind));
        let known = self.entry(&id, None);
        known
            .or_else(|| self.entry("tenant-event-other", None))
            .unwrap_or_else(|| kind.to_owned())
    }

    fn tenant_code(&self, code: ErrorCode) -> String {
        let id = format!("tenant-{}", id_of(code.as_str()));
        let known = self.entry(&id, None);
        known
            .or_else(|| self.entry("tenant-other", None))
            .unwrap_or_else(|| code.to_string())
    }

    /// Renders an entry; `None` where neither this language nor English has it.
    fn entry(&self, id: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
        self.format(id, args).or_else(|| english().format(id, args))
    }

    fn format(&self, id: &str, args: Option<&FluentArgs<'_>>) -> Option<String> {
        let pattern = self.bundle.get_message(id)?.value()?;
        let mut errors = Vec::new();
        let text = self.bundle.format_pattern(pattern, args, &mut errors);
        Some(text.into_owned())
    }
}

/// Returns the form that a code has in an id: Fluent's ids have neither dots nor,
/// by our custom, underscores.
fn id_of(code: &str) -> String {
    code.replace(['.', '_'], "-")
}

fn name_of(folder: &Dir<'_>) -> String {
    let name = folder.path().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Loads a language's files. What does not parse is left out; `tests/` refuses
/// such a file before it ships.
fn load(folder: &'static Dir<'static>) -> Texts {
    let mut texts = Texts::new(&name_of(folder));
    let files = folder.files().filter_map(|file| file.contents_utf8());
    for file in files {
        let resource = FluentResource::try_new(file.to_owned());
        let resource = resource.unwrap_or_else(|(partial, _)| partial);
        texts.bundle.add_resource_overriding(Arc::new(resource));
    }
    texts
}
