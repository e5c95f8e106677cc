//! The lines of every page's head that name the built files. Leptos' own
//! components read the file with the hashes for each page; here it is read once,
//! and only the nonce is replaced for each answer.

use leptos::{
    nonce::{Nonce, provide_nonce, use_nonce},
    prelude::*,
    tachys::html::InertElement,
};
use leptos_meta::{HashedStylesheet, ServerMetaContext, provide_meta_context};

/// The links to style, script and wasm, as HTML without the nonces.
#[derive(Clone, Debug)]
pub struct Head {
    /// The HTML between the nonces.
    parts: std::sync::Arc<[String]>,
}

impl Head {
    /// Reads the names of the built files.
    pub fn new(options: LeptosOptions) -> Self {
        Owner::new().with(|| {
            provide_nonce();
            let (context, _) = ServerMetaContext::new();
            provide_context(context);
            provide_meta_context();
            let nonce = use_nonce()
                .map(|n: Nonce| n.to_string())
                .unwrap_or_default();
            let html = view! {
                <HashedStylesheet id="leptos" options=options.clone()/>
                <HydrationScripts options islands=true/>
            }
            .to_html();
            Self {
                parts: html.split(&nonce).map(str::to_owned).collect(),
            }
        })
    }

    /// Returns the lines for one answer, with its nonce.
    pub fn html(&self) -> impl IntoView + use<> {
        let nonce = use_nonce().map(|n| n.to_string()).unwrap_or_default();
        InertElement::new(self.parts.join(&nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_differ_in_their_nonce_only() {
        let options = LeptosOptions::builder().output_name("maliknode").build();
        let head = Head::new(options);
        let page = || {
            Owner::new().with(|| {
                provide_nonce();
                let nonce = use_nonce().unwrap().to_string();
                (head.html().into_view().to_html(), nonce)
            })
        };
        let [(one, first), (two, second)] = [page(), page()];
        assert_ne!(first, second);
        assert!(one.contains(&format!("nonce=\"{first}\"")) && !one.contains(&second));
        assert_eq!(one.replace(&first, ""), two.replace(&second, ""));
        assert!(one.contains("/pkg/maliknode.css") && one.contains("/pkg/maliknode.js"));
    }
}
