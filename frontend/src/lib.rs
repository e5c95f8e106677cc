//! The wasm entry point: it hydrates the islands.

/// Hydrates the islands. The page's script calls it once the module is loaded.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    // Links the islands' exports into this module.
    #[allow(unused_imports)]
    use app::*;
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
    // The islands work from here on: the style shows elements that need a script
    // and hides those for pages without one.
    if let Some(page) = leptos::prelude::document().document_element() {
        // Fails only for an invalid attribute name.
        let _ = page.set_attribute("data-live", "");
    }
}
