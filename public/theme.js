// Loaded before the first paint: sets the chosen theme, and works its switch.
// A file of its own because the page's policy allows no inline script of ours.
(function () {
  var root = document.documentElement, key = "theme", order = ["system", "light", "dark"];
  function chosen() {
    try { return localStorage.getItem(key) || "system"; } catch (e) { return "system"; }
  }
  function show(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }
  function name(button, theme) {
    var text = "Theme: " + (theme === "system" ? "as the system" : theme) + ". Change";
    button.setAttribute("aria-label", text);
    button.title = text;
  }
  root.dataset.js = "";
  show(chosen());
  document.addEventListener("click", function (event) {
    var button = event.target.closest && event.target.closest("[data-theme-switch]");
    if (!button) return;
    var theme = order[(order.indexOf(chosen()) + 1) % order.length];
    try { localStorage.setItem(key, theme); } catch (e) { /* private window: for this page only */ }
    show(theme);
    document.querySelectorAll("[data-theme-switch]").forEach(function (b) { name(b, theme); });
  });
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll("[data-theme-switch]").forEach(function (b) { name(b, chosen()); });
  });
})();
