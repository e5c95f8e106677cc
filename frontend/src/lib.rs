//! The wasm entry: hydrates the islands, nothing else.

/// Called by the page's script once the module is loaded.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    // Links the islands' own exports into this module.
    #[allow(unused_imports)]
    use app::*;
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
    // From here on what needs a script works: the style shows it, and hides what
    // only a page without one needs.
    if let Some(page) = leptos::prelude::document().document_element() {
        // Fails only for a name that is none.
        let _ = page.set_attribute("data-live", "");
    }
}
